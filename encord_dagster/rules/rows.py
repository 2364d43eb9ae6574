"""The rules that look at one label row, and at nothing else."""

import math
from collections import Counter
from collections.abc import Iterator

from encord_dagster.encord.instances import UNSUPPORTED_SHAPES
from encord_dagster.encord.model import Excluded, Frame, LabelRow, ObjectInstance, Quarantined
from encord_dagster.findings import Location
from encord_dagster.geometry import (
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
)
from encord_dagster.rules.against import Against, Found

_FLAT = 1e-6  # square pixels that rounding makes of nothing
_OUTSIDE = 0.5  # pixels beyond the edge that are no finding yet


def is_labelled(row: LabelRow) -> bool:
    """Whether a row holds any object or classification, converted or not."""
    return bool(row.objects_in or row.classifications or any(frame.classifications for frame in row.frames))


def class_name_differs(row: LabelRow, _: Against) -> Iterator[Found]:
    """One finding for a class, at the first object of another name."""
    names: dict[str, str] = {}
    told: set[str] = set()
    for frame, instance in _objects(row):
        name = names.setdefault(instance.feature_hash, instance.name)
        if name != instance.name and instance.feature_hash not in told:
            told.add(instance.feature_hash)
            message = f"class {instance.feature_hash} is called {name!r} and {instance.name!r}; export the row again"
            yield _at(row, frame, instance), message


def object_outside_frame(row: LabelRow, _: Against) -> Iterator[Found]:
    """Only what is turned or round can reach outside: the reader clips all other shapes."""
    for frame, instance in _objects(row):
        shape = instance.geometry
        if not isinstance(shape, RotatedBox | Ellipse) or frame.width is None or frame.height is None:
            continue
        left, top, right, bottom = _hull(shape)
        beyond = max(-left, -top, right - frame.width, bottom - frame.height)
        if beyond > _OUTSIDE:
            what = "rotated box" if isinstance(shape, RotatedBox) else "ellipse"
            message = f"the {what} reaches {beyond:.1f} pixels beyond the image; check it in Encord"
            yield _at(row, frame, instance), message


def duplicate_boxes(row: LabelRow, _: Against) -> Iterator[Found]:
    """Each box that lies on another one of its class."""
    for frame in row.frames:
        drawn: dict[tuple[str, Box | RotatedBox], str] = {}
        for instance in frame.objects:
            if not isinstance(instance.geometry, Box | RotatedBox):
                continue
            other = drawn.setdefault((instance.feature_hash, instance.geometry), instance.object_hash)
            if other != instance.object_hash:
                message = f"object {other} has the same class and the same box; delete one of them in Encord"
                yield _at(row, frame, instance), message


def zero_area(row: LabelRow, _: Against) -> Iterator[Found]:
    """Each polygon whose outlines enclose nothing."""
    for frame, instance in _objects(row):
        if isinstance(instance.geometry, Polygon) and is_flat(instance.geometry):
            yield _at(row, frame, instance), "the polygon has no area; correct or delete it in Encord"


def empty_mask(row: LabelRow, _: Against) -> Iterator[Found]:
    """Each bitmask without a pixel."""
    for frame, instance in _objects(row):
        if isinstance(instance.geometry, Bitmask) and not any(instance.geometry.runs[1::2]):
            yield _at(row, frame, instance), "the bitmask has no pixels; draw or delete it in Encord"


def small_object(row: LabelRow, against: Against) -> Iterator[Found]:
    """One finding for an object, at the first frame where it is too small. Without any area it has another one."""
    least = against.min_area_pixels
    first: dict[str, tuple[Location, float]] = {}
    frames: Counter[str] = Counter()
    for frame, instance in _objects(row) if least > 0 else ():
        area = _area(instance.geometry)
        if area is not None and _FLAT < area < least:
            first.setdefault(instance.object_hash, (_at(row, frame, instance), area))
            frames[instance.object_hash] += 1
    for object_hash, (where, area) in first.items():
        more = f", and is too small on {frames[object_hash]} frames in all" if frames[object_hash] > 1 else ""
        yield where, f"the object covers {area:.1f} square pixels of at least {least:g}{more}; check it in Encord"


def unknown_shape(row: LabelRow, _: Against) -> Iterator[Found]:
    """Each object that was left out for a shape that nobody has heard of."""
    for excluded in row.excluded:
        if excluded.reason == "unsupported_shape" and excluded.shape not in UNSUPPORTED_SHAPES:
            yield excluded.location, f"the shape {excluded.shape!r} is not known; the object was left out"


def unlabelled_row(row: LabelRow, _: Against) -> Iterator[Found]:
    """A row in which nothing was drawn or answered."""
    if not is_labelled(row) and not row.deleted:
        yield Location(row=row.label_hash), "the row has no objects and no classifications"


def unlabelled_frame(row: LabelRow, _: Against) -> Iterator[Found]:
    """Of the frames that the export lists: of a video those are the labelled ones, and rarely an empty one."""
    if row.data_type == "image" or not is_labelled(row):
        return
    not_converted: tuple[Excluded | Quarantined, ...] = (*row.excluded, *row.quarantined)
    set_aside = {(item.location.unit, item.location.space, item.location.frame) for item in not_converted}
    empty = [
        frame
        for frame in row.frames
        if not (frame.objects or frame.classifications or (frame.data_hash, frame.space, frame.number) in set_aside)
    ]
    if empty:
        yield unlabelled(row.label_hash, empty[0], len(empty), len(row.frames))


def unlabelled(label_hash: str, first: Frame, count: int, frames: int) -> Found:
    """What is said of `count` frames without labels among all `frames` of a row."""
    where = Location(label_hash, first.data_hash, first.number, space=first.space)
    message = (
        f"{count} of {frames} listed frames have no labels, this one is the first; "
        "they are published as negatives: label them if they are none"
    )
    return where, message


def _objects(row: LabelRow) -> Iterator[tuple[Frame, ObjectInstance]]:
    return ((frame, instance) for frame in row.frames for instance in frame.objects)


def _at(row: LabelRow, frame: Frame, instance: ObjectInstance) -> Location:
    return Location(row.label_hash, frame.data_hash, frame.number, instance.object_hash, frame.space)


def _hull(shape: RotatedBox | Ellipse) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the turned shape, in pixels."""
    sine, cosine = abs(math.sin(math.radians(shape.theta))), abs(math.cos(math.radians(shape.theta)))
    if isinstance(shape, Ellipse):
        half_width = math.hypot(shape.rx * cosine, shape.ry * sine)
        half_height = math.hypot(shape.rx * sine, shape.ry * cosine)
        return shape.x - half_width, shape.y - half_height, shape.x + half_width, shape.y + half_height
    half_width = (shape.width * cosine + shape.height * sine) / 2
    half_height = (shape.width * sine + shape.height * cosine) / 2
    x, y = shape.x + shape.width / 2, shape.y + shape.height / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def is_flat(polygon: Polygon) -> bool:
    """Whether the outlines of a polygon enclose nothing."""
    return all(abs(_ring_area(rings[0])) < _FLAT for rings in polygon.polygons)


def _area(shape: Geometry) -> float | None:
    """Square pixels; of polygons without their holes, overlaps counted twice. None for shapes without area."""
    match shape:
        case Box() | RotatedBox():
            return shape.width * shape.height
        case Ellipse():
            return math.pi * shape.rx * shape.ry
        case Polygon():
            areas = [[abs(_ring_area(ring)) for ring in rings] for rings in shape.polygons]
            return sum(outline - sum(holes) for outline, *holes in areas)
        case Bitmask():
            return sum(shape.runs[1::2])
        case Polyline() | Point() | Skeleton():
            return None


def _ring_area(ring: Ring) -> float:
    """Signed area of a ring in square pixels."""
    xs, ys = ring[::2], ring[1::2]
    return sum(x * v - u * y for x, y, u, v in zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)) / 2
