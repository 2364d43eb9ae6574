"""What COCO says of a shape: box, area, segmentation, keypoints. One at a time, or those of whole rows at once.

Both give the same, to the last bit. Lengths in pixels; coordinates are rounded to `DECIMALS`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from encord_dagster import masks_at_once
from encord_dagster.encord.model import LabelRow
from encord_dagster.formats import rounded
from encord_dagster.formats.columns import box_columns, ring_columns
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.raster import (
    DECIMALS,
    Raster,
    area_in_pixels,
    corners,
    ellipse_hull,
    ellipse_ring,
    is_simple,
    needs_rle,
    rasterise,
    ring_area,
)
from encord_dagster.formats.rasters import rasterise_all
from encord_dagster.geometry import (
    LARGEST_MASK,
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
)

COCO_VISIBILITY = {"visible": 2, "occluded": 1, "self_occluded": 1, "invisible": 0}


class Rle(msgspec.Struct, frozen=True):
    """Compressed column-major runs; `size` is (height, width)."""

    size: tuple[int, int]
    counts: str


def _r(value: float) -> float:
    return round(value, DECIMALS)


def _ring(points: Sequence[float]) -> Ring:
    return tuple(_r(value) for value in points)


def _hull(points: Sequence[float]) -> tuple[float, float, float, float]:
    left, top = min(points[::2]), min(points[1::2])
    return _r(left), _r(top), _r(max(points[::2]) - left), _r(max(points[1::2]) - top)


class Form(msgspec.Struct, frozen=True, gc=False):
    """What COCO says of a shape. `rotation` is in degrees, clockwise on screen."""

    bbox: tuple[float, float, float, float]
    area: float
    segmentation: tuple[Ring, ...] | Rle
    keypoints: tuple[float, ...] | None = None
    num_keypoints: int | None = None
    polyline: Ring | None = None
    rotation: float | None = None
    simple: bool = False  # whether it is known to be one simple outline, whose area `area` is


def _raster_form(raster: Raster | None, *, width: int, height: int) -> Form:
    if raster is None:
        return Form(bbox=(0, 0, 0, 0), area=0, segmentation=_empty(width, height))
    return Form(bbox=raster.bbox, area=raster.area, segmentation=Rle(raster.size, raster.counts))


def _empty(width: int, height: int) -> Rle:
    from encord_dagster import rle

    return Rle((height, width), rle.encode([width * height]))


def _polygon_form(polygon: Polygon, *, width: int, height: int, raster: Raster | None = None) -> Form:
    """The form of a polygon, whose pixels may be at hand."""
    if needs_rle(polygon):
        return _raster_form(raster or rasterise(polygon, width=width, height=height), width=width, height=height)
    rings = tuple(_ring(ring) for rings in polygon.polygons for ring in rings)
    if len(rings) == 1 and is_simple(rings[0]):
        area = ring_area(rings[0])
    else:
        area = float(raster.area) if raster else area_in_pixels(polygon, width=width, height=height)
    return Form(bbox=_hull([v for ring in rings for v in ring]), area=_r(area), segmentation=rings)


def _ellipse_form(ellipse: Ellipse) -> Form:
    """A ring nowhere 0.1 pixels off the ellipse with the ring's own area, and the exact hull of the ellipse."""
    ring = _ring(ellipse_ring(ellipse))
    left, top, across, down = ellipse_hull(ellipse)
    return Form(
        bbox=(_r(left), _r(top), _r(across), _r(down)),
        area=_r(ring_area(ring)),
        segmentation=(ring,),
        rotation=_r(ellipse.theta) or None,
    )


def _skeleton_form(joints: Sequence[Joint], category: Category, *, width: int, height: int) -> Form:
    by_hash = {joint.feature_hash: joint for joint in joints}
    keypoints: list[float] = []
    for name in category.joints:
        joint = by_hash.get(name.feature_hash)
        seen = COCO_VISIBILITY[joint.visibility] if joint else 0
        keypoints += [_r(joint.x), _r(joint.y), seen] if joint and seen else [0, 0, 0]
    return Form(
        bbox=_hull([v for joint in joints for v in (joint.x, joint.y)]),
        area=0,
        segmentation=_empty(width, height),
        keypoints=tuple(keypoints),
        num_keypoints=sum(1 for v in keypoints[2::3] if v),
    )


def form_of(shape: Geometry, category: Category, *, width: int, height: int) -> Form:
    """The form of one shape in a frame of `width` x `height`. RowError where the frame is too large for its mask."""
    match shape:
        case Box(x, y, w, h):
            ring = _ring((x, y, x + w, y, x + w, y + h, x, y + h))
            return Form(bbox=(_r(x), _r(y), _r(w), _r(h)), area=_r(w * h), segmentation=(ring,))
        case RotatedBox(_, _, w, h, theta) as box:
            ring = _ring(corners(box))
            return Form(bbox=_hull(ring), area=_r(w * h), segmentation=(ring,), rotation=_r(math.fmod(theta, 360)))
        case Ellipse() as ellipse:
            return _ellipse_form(ellipse)
        case Polygon() as polygon:
            return _polygon_form(polygon, width=width, height=height)
        case Bitmask() as mask:
            return _raster_form(rasterise(mask, width=width, height=height), width=width, height=height)
        case Polyline(points):
            line = _ring(points)
            back = tuple(v for i in range(len(line) - 2, -1, -2) for v in line[i : i + 2])
            return Form(bbox=_hull(line), area=0, segmentation=(line + back,), polyline=line)
        case Point(x, y):
            return Form(
                bbox=(_r(x), _r(y), 0, 0),
                area=0,
                segmentation=_empty(width, height),
                keypoints=(_r(x), _r(y), 2),
                num_keypoints=1,
            )
        case Skeleton(joints):
            return _skeleton_form(joints, category, width=width, height=height)


class _Waiting(msgspec.Struct):
    """Shapes that are cheaper together, with their places among all forms."""

    boxes: list[tuple[int, Box]] = []
    rings: list[tuple[int, Ring, int, int]] = []  # of polygons of one ring, with the size of their frames
    masks: dict[tuple[int, int], list[tuple[int, Bitmask]]] = {}  # by the size of their frames
    several: dict[tuple[int, int], list[tuple[int, Polygon]]] = {}  # polygons of several rings, likewise


def forms_of(rows: Sequence[LabelRow], categories: Mapping[str, Category]) -> list[Form]:
    """The forms of all objects on frames of known size, in document order. RowError as `form_of`."""
    forms: list[Form | None] = []
    waiting = _Waiting()
    for row in rows:
        for frame in row.frames:
            width, height = frame.width, frame.height
            if not width or not height:
                continue
            for item in frame.objects:
                shape = item.geometry
                if isinstance(shape, Box):
                    waiting.boxes.append((len(forms), shape))
                elif isinstance(shape, Polygon) and len(shape.polygons) == 1 and len(shape.polygons[0]) == 1:
                    waiting.rings.append((len(forms), shape.polygons[0][0], width, height))
                elif isinstance(shape, Polygon) and has_outlines(shape) and width * height <= LARGEST_MASK:
                    waiting.several.setdefault((width, height), []).append((len(forms), shape))
                elif isinstance(shape, Bitmask) and width * height <= LARGEST_MASK:
                    waiting.masks.setdefault((width, height), []).append((len(forms), shape))
                else:
                    forms.append(form_of(shape, categories[item.feature_hash], width=width, height=height))
                    continue
                forms.append(None)
    for place, form in _of_waiting(waiting):
        forms[place] = form
    return forms  # type: ignore[return-value]  # all have been filled in


def _of_waiting(waiting: _Waiting) -> Iterator[tuple[int, Form]]:
    if waiting.boxes:
        places, boxes = zip(*waiting.boxes, strict=True)
        yield from zip(places, _box_forms(boxes), strict=True)
    if waiting.rings:
        yield from _ring_forms(waiting.rings)
    for (width, height), polygons in waiting.several.items():
        found = forms_of_polygons([polygon for _, polygon in polygons], width=width, height=height)
        yield from zip((place for place, _ in polygons), found, strict=True)
    for (width, height), masks in waiting.masks.items():
        turned = masks_at_once.turn_all([mask.runs for _, mask in masks], width, height)
        size = (height, width)
        for (place, _), one in zip(masks, turned, strict=True):
            yield place, Form(one.bbox, one.area, Rle(size, one.counts))


def has_outlines(polygon: Polygon) -> bool:
    """Whether a polygon has rings, each of three points or more."""
    return (
        bool(polygon.polygons)
        and all(len(ring) >= 6 for rings in polygon.polygons for ring in rings)
        and all(polygon.polygons)
    )


def forms_of_polygons(polygons: Sequence[Polygon], *, width: int, height: int) -> Iterator[Form]:
    """The forms of polygons that have outlines, in a frame that can hold masks."""
    rasters = rasterise_all(polygons, width=width, height=height)
    for polygon, raster in zip(polygons, rasters, strict=True):
        yield _polygon_form(polygon, width=width, height=height, raster=raster)


def _box_forms(boxes: Sequence[Box]) -> Iterator[Form]:
    import numpy as np

    found = box_columns(np.array([(box.x, box.y, box.width, box.height) for box in boxes]))
    return map(Form, found.hulls, found.areas, found.segmentations)


def _ring_forms(given: Sequence[tuple[int, Ring, int, int]]) -> Iterator[tuple[int, Form]]:
    """The forms of polygons of one ring, with their places."""
    drawn, sizes = rounded.flattened([ring for _, ring, _, _ in given])
    found = ring_columns(drawn, sizes, [(width, height) for *_, width, height in given])
    for (place, *_), hull, area, segmentation, simple in zip(given, *found, strict=True):
        yield place, Form(hull, area, segmentation, simple=simple)
