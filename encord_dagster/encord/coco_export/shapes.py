"""Geometry out of COCO annotations: pixels already, checked against the image as fractions are in label rows."""

import math

import msgspec

from encord_dagster import rle
from encord_dagster.encord import codes
from encord_dagster.encord.bitmask import RunsError, decode_runs
from encord_dagster.encord.coco_export.classes import CocoClass, stand_in
from encord_dagster.encord.notes import BadObject
from encord_dagster.encord.pixels import ROUNDING, SLACK, Scale
from encord_dagster.encord.scalars import Raw, Scalar, number
from encord_dagster.geometry import (
    LARGEST_MASK,
    Bitmask,
    Box,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
    Visibility,
)

SHAPES = frozenset({"bitmask", "bounding_box", "point", "polygon", "polyline", "rotatable_bounding_box", "skeleton"})
_SAME = 0.01  # pixels by which two spellings of one corner may differ
_VISIBILITY: dict[float, Visibility] = {0.0: "invisible", 1.0: "occluded", 2.0: "visible"}


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What an annotation holds of its geometry, unread."""

    bbox: Raw
    segmentation: Raw
    keypoints: Raw
    rotation: Scalar


class _Rle(msgspec.Struct):
    size: list[int]
    counts: str | list[int]


_NUMBERS: msgspec.json.Decoder[list[float] | None] = msgspec.json.Decoder(list[float] | None)
_RINGS: msgspec.json.Decoder[list[list[float]] | None] = msgspec.json.Decoder(list[list[float]] | None)
_RLE = msgspec.json.Decoder(_Rle)


def read_geometry(drawn: Drawn, one: CocoClass, scale: Scale) -> Geometry:
    """The geometry of a shape among SHAPES; BadObject where it is damaged, `scale.clipped` where it was clipped."""
    match one.shape:
        case "bounding_box":
            return _box(drawn, scale)
        case "rotatable_bounding_box":
            return _rotated_box(drawn, scale)
        case "polyline":
            return _polyline(drawn, scale)
        case "point":
            return _point(drawn, scale)
        case "skeleton":
            return _skeleton(drawn, one, scale)
        case _ if _is_rle(drawn.segmentation):
            return _bitmask(drawn.segmentation, scale)  # also of polygons with several rings
        case "polygon":
            return _polygon(drawn, scale)
        case _:
            raise BadObject(codes.BAD_BITMASK, "the bitmask has no run-length code; draw the mask again in Encord")


def _box(drawn: Drawn, scale: Scale) -> Box:
    x, y, w, h = _bbox(drawn)
    left, right = _inside(x, scale.width, "x", scale), _inside(x + w, scale.width, "x + w", scale)
    top, bottom = _inside(y, scale.height, "y", scale), _inside(y + h, scale.height, "y + h", scale)
    width = w if (left, right) == (x, x + w) else right - left
    height = h if (top, bottom) == (y, y + h) else bottom - top
    if width <= 0 or height <= 0:
        raise BadObject(codes.EMPTY_BOX, "nothing of the box lies inside the image; correct or delete it in Encord")
    return Box(left, top, width, height)


def _rotated_box(drawn: Drawn, scale: Scale) -> RotatedBox:
    """Encord writes the box before it is turned, and its corners as well; the angle stands apart."""
    x, y, w, h = _bbox(drawn)
    theta = number(drawn.rotation)
    if theta is None:
        raise BadObject(codes.BAD_GEOMETRY, "the rotated box has no angle (attributes.rotation); draw it again")
    ring = _only_ring(drawn)
    corners = (x, y, x + w, y, x + w, y + h, x, y + h)
    if len(ring) != 8 or any(abs(a - b) > _SAME for a, b in zip(ring, corners, strict=True)):
        message = "bbox and segmentation of the rotated box differ, so which one is the unturned box is not certain"
        raise BadObject(codes.BAD_GEOMETRY, message)
    _near(x + w / 2, scale.width, "the centre's x")
    _near(y + h / 2, scale.height, "the centre's y")
    if max(w, h) > math.hypot(scale.width, scale.height) * (1 + 2 * SLACK):
        raise BadObject(codes.OUTSIDE_IMAGE, "the rotated box is longer than the image's diagonal: a slipped point?")
    return RotatedBox(x, y, w, h, theta % 360.0 % 360.0)  # a tiny negative angle rounds up to 360 at first


def _polygon(drawn: Drawn, scale: Scale) -> Polygon:
    """One polygon for each ring: COCO unites them, and has no holes."""
    rings = _RINGS.decode(drawn.segmentation)
    if not rings:
        raise BadObject(codes.NO_GEOMETRY, "the polygon has no segmentation; draw it again in Encord")
    return Polygon(tuple((_area_ring(ring, scale),) for ring in rings))


def _polyline(drawn: Drawn, scale: Scale) -> Polyline:
    """Encord writes a line as a polygon there and back."""
    values = _only_ring(drawn)
    there = tuple(zip(values[::2], values[1::2], strict=True))
    half = len(there) // 2
    if len(there) != 2 * half or there != there[::-1]:
        message = "the polyline is not written there and back, so where it ends is not certain; draw it again in Encord"
        raise BadObject(codes.BAD_GEOMETRY, message)
    if half < 2:
        raise BadObject(codes.TOO_FEW_POINTS, f"the polyline has {half} points, it needs 2")
    return Polyline(_points(values[: 2 * half], scale))


def _point(drawn: Drawn, scale: Scale) -> Point:
    values = _NUMBERS.decode(drawn.keypoints) or [*_only_ring(drawn), 2]
    if len(values) != 3:
        raise BadObject(codes.BAD_GEOMETRY, "a point needs exactly one x and y; draw it again in Encord")
    x, y = _points(values[:2], scale)
    return Point(x, y)


def _skeleton(drawn: Drawn, one: CocoClass, scale: Scale) -> Skeleton:
    """Joints by their order: COCO does not name them, the ontology's template does."""
    values = _NUMBERS.decode(drawn.keypoints) or []
    count = len(values) // 3
    if not values or len(values) % 3:
        raise BadObject(codes.NO_GEOMETRY, "the skeleton has no keypoints of x, y and v; draw it again in Encord")
    template = one.known.joints if one.known else ()
    if template and len(template) != count:
        message = f"the skeleton has {count} joints, its class {len(template)}: which is which is not certain"
        raise BadObject(codes.BAD_GEOMETRY, message)
    joints = []
    for index in range(count):
        x, y, seen = values[3 * index : 3 * index + 3]
        if seen not in _VISIBILITY:
            raise BadObject(codes.BAD_GEOMETRY, f"the visibility of joint {index} is {seen:g}, not 0, 1 or 2")
        x, y = _points([x, y], scale)
        made = (stand_in("joint", one.feature_hash, str(index)), f"joint {index + 1}")
        feature_hash, name = (template[index].feature_hash, template[index].name) if template else made
        joints.append(Joint(feature_hash, name, x, y, _VISIBILITY[seen]))
    return Skeleton(tuple(joints))


def _bitmask(raw: Raw, scale: Scale) -> Bitmask:
    """Row-major runs: read as the transposed mask by rows, COCO's runs by columns come out by rows."""
    code = _RLE.decode(raw)
    width, height = scale.width, scale.height
    if code.size != [height, width]:
        message = f"the mask is not of the image's size, height {height} and width {width}"
        raise BadObject(codes.BAD_BITMASK, f"{message}; draw the mask again in Encord")
    try:
        runs = decode_runs(code.counts, width, height) if isinstance(code.counts, str) else _checked(code.counts, scale)
    except RunsError as error:
        raise BadObject(codes.BAD_BITMASK, f"{error}; draw the mask again in Encord") from error
    return Bitmask(rle.to_column_major(runs, height, width).runs)


def _checked(counts: list[int], scale: Scale) -> tuple[int, ...]:
    """Uncompressed runs that cover exactly the image; RunsError otherwise."""
    pixels = scale.width * scale.height
    if pixels > LARGEST_MASK:
        raise RunsError(f"a mask of {scale.width}x{scale.height} is larger than {LARGEST_MASK} pixels")
    if min(counts, default=0) < 0:
        raise RunsError("a run is negative")
    if sum(counts) != pixels:
        raise RunsError(f"the runs do not cover the {pixels} pixels of {scale.width}x{scale.height}")
    return tuple(counts)


def _is_rle(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _bbox(drawn: Drawn) -> tuple[float, float, float, float]:
    values = _NUMBERS.decode(drawn.bbox) or []
    if len(values) != 4:
        raise BadObject(codes.BAD_GEOMETRY, "the box needs x, y, width and height; draw it again in Encord")
    x, y, w, h = values
    if w <= 0 or h <= 0:
        raise BadObject(codes.EMPTY_BOX, f"the box has width {w:g} and height {h:g}; correct or delete it in Encord")
    return x, y, w, h


def _only_ring(drawn: Drawn) -> list[float]:
    rings = _RINGS.decode(drawn.segmentation)
    if not rings:
        raise BadObject(codes.NO_GEOMETRY, "the object has no segmentation; draw it again in Encord")
    if len(rings) > 1 or len(rings[0]) % 2:
        raise BadObject(codes.BAD_GEOMETRY, "the segmentation is not one list of pairs of x and y; draw it again")
    return rings[0]


def _area_ring(ring: list[float], scale: Scale) -> Ring:
    if len(ring) % 2:
        raise BadObject(codes.BAD_GEOMETRY, "a ring of the polygon has an odd count of numbers; draw it again")
    if len(set(zip(ring[::2], ring[1::2], strict=True))) < 3:
        raise BadObject(codes.TOO_FEW_POINTS, "the polygon has fewer than 3 distinct points; draw it again in Encord")
    return _points(ring, scale)


def _points(values: list[float], scale: Scale) -> Ring:
    sides = ((scale.width, "x"), (scale.height, "y"))
    return tuple(_inside(value, *sides[index % 2], scale) for index, value in enumerate(values))


def _inside(value: float, side: int, what: str, scale: Scale) -> float:
    """The value itself, or the image's edge where it lies slightly outside."""
    if 0.0 <= value <= side:
        return value + 0.0  # -0.0 becomes 0.0
    outside = _near(value, side, what)
    if outside > ROUNDING:
        scale.clipped = max(scale.clipped, outside)
    return 0.0 if value < 0 else float(side)


def _near(value: float, side: int, what: str) -> float:
    """How far outside a value lies, as a fraction of the side; BadObject where that is no careless hand any more."""
    outside = max(-value, value - side) / side
    if not outside <= SLACK + ROUNDING:
        message = f"{what} is {value:g} of {side} pixels, far outside the image: a slipped decimal point?"
        raise BadObject(codes.OUTSIDE_IMAGE, f"{message} Correct it in Encord")
    return outside
