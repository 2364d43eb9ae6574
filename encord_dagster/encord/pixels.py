"""From fractions of the image to pixels: x and w scale by its width, y and h by its height."""

import math
from collections.abc import Sequence
from operator import sub

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.children import entries, members
from encord_dagster.encord.notes import BadObject
from encord_dagster.encord.scalars import ABSENT, Raw, Scalar, number
from encord_dagster.geometry import (
    LARGEST_FRAME,
    LONGEST_OUTLINE,
    Box,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
)

ROUNDING = 1e-6  # of a fraction: beyond the image by less is floating-point noise
SLACK = 0.05  # of a fraction: beyond the image by more is a damaged number, not a careless hand
_POLYGON_ROUNDING = 1.01e-4  # `polygon` repeats `polygons` rounded to 4 decimals


class Scale(msgspec.Struct):
    """The size of one frame in pixels, and what became of a geometry in it: the last three are results."""

    width: int
    height: int
    clipped: float = 0.0  # the largest distance outside the image, as a fraction
    differs: bool = False  # `polygon` is not the outline in `polygons`
    pasted: bool = False  # a bitmask was moved by its offsets


class _Box(msgspec.Struct):
    x: Scalar = None
    y: Scalar = None
    w: Scalar = None
    h: Scalar = None
    theta: Scalar = None


class _XY(msgspec.Struct, gc=False):
    x: float | str
    y: float | str


_BOX = msgspec.json.Decoder(_Box)
_POINTS = msgspec.json.Decoder(dict[str, _XY] | list[_XY])
_FLAT = msgspec.json.Decoder(list[float | str])
_POINT = msgspec.json.Decoder(_XY)


def read_box(raw: Raw, scale: Scale) -> Box:
    """An axis-parallel box, clipped to the image."""
    x, y, w, h, _ = _box_numbers(raw)
    left, right = _inside(x, scale, "x"), _inside(x + w, scale, "x + w")
    top, bottom = _inside(y, scale, "y"), _inside(y + h, scale, "y + h")
    width = w if (left, right) == (x, x + w) else right - left  # w itself keeps the export's exact value
    height = h if (top, bottom) == (y, y + h) else bottom - top
    if width <= 0 or height <= 0:
        raise BadObject(codes.EMPTY_BOX, "nothing of the box lies inside the image; correct or delete it in Encord")
    return Box(left * scale.width, top * scale.height, width * scale.width, height * scale.height)


def read_rotated_box(raw: Raw, scale: Scale) -> RotatedBox:
    """A turned box. Its corners may lie outside the image, which cannot be clipped; its centre may not."""
    x, y, w, h, turn = _box_numbers(raw)
    theta = number(turn)
    if theta is None:
        raise BadObject(codes.BAD_GEOMETRY, "the rotated box has no angle theta; draw it again in Encord")
    refuse_far(x + w / 2, "the centre's x")
    refuse_far(y + h / 2, "the centre's y")
    if max(w * scale.width, h * scale.height) > longest(scale):
        raise BadObject(codes.OUTSIDE_IMAGE, "the rotated box is longer than the image's diagonal: a slipped point?")
    return RotatedBox(x * scale.width, y * scale.height, w * scale.width, h * scale.height, reduced(theta))


def read_polygon(polygon: Raw, polygons: Raw, scale: Scale) -> Polygon:
    """Outlines with holes; `polygons` wins over `polygon`, which can only repeat its first outline."""
    nested = [[_ring(ring) for ring in entries(rings)] for rings in entries(polygons)]
    nested = [rings for rings in nested if rings]
    outline = _fractions(polygon) if polygon != ABSENT else ()
    if nested and outline:
        scale.differs = not same_outline(outline, nested[0][0])
    rings = nested or [[outline]]
    found = tuple(tuple(_area_ring(ring, scale) for ring in one) for one in rings)
    if scale.width * scale.height > LARGEST_FRAME and any(len(one) > 1 for one in found):
        size = f"{scale.width}x{scale.height}"
        raise BadObject(codes.TOO_LARGE_TO_MASK, f"no mask, and so no hole, can be written for an image of {size}")
    _refuse_endless([ring for one in found for ring in one], scale)
    return Polygon(found)


def read_polyline(raw: Raw, scale: Scale) -> Polyline:
    """An open line of at least two points."""
    points = _pixels(_fractions(raw), scale)
    if len(points) < 4:
        raise BadObject(codes.TOO_FEW_POINTS, f"the polyline has {len(points) // 2} points, it needs 2")
    _refuse_endless([points, points], scale)  # COCO has it there and back
    return Polyline(points)


def read_point(raw: Raw, scale: Scale) -> Point:
    """One point, flat or as the only entry of an object."""
    keys = members(raw)
    points = _xy(_POINT.decode(raw)) if "x" in keys else _fractions(raw)
    if len(points) != 2:
        raise BadObject(codes.BAD_GEOMETRY, f"a point needs exactly one pair of x and y, not {len(points) // 2}")
    x, y = _pixels(points, scale)
    return Point(x, y)


def to_pixels(x: Scalar, y: Scalar, scale: Scale, what: str) -> tuple[float, float]:
    """One pair of fractions in pixels, clipped to the image."""
    fractions = number(x), number(y)
    if fractions[0] is None or fractions[1] is None:
        raise BadObject(codes.BAD_GEOMETRY, f"{what} has no x or y that is a number")
    return (_inside(fractions[0], scale, "x") * scale.width, _inside(fractions[1], scale, "y") * scale.height)


def longest(scale: Scale) -> float:
    """The longest side or radius, in pixels, that can be meant."""
    return math.hypot(scale.width, scale.height) * (1 + 2 * SLACK)


def reduced(theta: float) -> float:
    """The angle in [0, 360): a tiny negative one rounds up to 360 itself."""
    turn = theta % 360.0
    return 0.0 if turn == 360.0 else turn


def refuse_far(fraction: float, what: str) -> None:
    """Refuse a fraction that no careless hand, only a damaged number, puts so far outside the image."""
    if not -SLACK - ROUNDING <= fraction <= 1 + SLACK + ROUNDING:
        raise BadObject(
            codes.OUTSIDE_IMAGE,
            f"{what} is {fraction:g} of the image, far outside 0 to 1: a slipped decimal point? Correct it in Encord",
        )


def _box_numbers(raw: Raw) -> tuple[float, float, float, float, Scalar]:
    keys = members(raw)
    box = _BOX.decode(keys["0"] if "0" in keys and "x" not in keys else raw)  # the 2023 docs wrap it in "0"
    values = [number(value) for value in (box.x, box.y, box.w, box.h)]
    x, y, w, h = (math.nan if value is None else value for value in values)
    if any(value is None for value in values):
        raise BadObject(codes.BAD_GEOMETRY, "the box needs x, y, w and h as finite numbers; draw it again in Encord")
    if w <= 0 or h <= 0:
        raise BadObject(codes.EMPTY_BOX, f"the box has w {w:g} and h {h:g}; correct or delete it in Encord")
    return x, y, w, h, box.theta


def _inside(fraction: float, scale: Scale, what: str) -> float:
    """The fraction itself, or 0 or 1 where it lies slightly outside."""
    if 0.0 <= fraction <= 1.0:
        return fraction + 0.0  # -0.0 becomes 0.0
    refuse_far(fraction, what)
    outside = -fraction if fraction < 0 else fraction - 1
    if outside > ROUNDING:
        scale.clipped = max(scale.clipped, outside)
    return 0.0 if fraction < 0 else 1.0


def _fractions(raw: Raw) -> Ring:
    """x0, y0, x1, y1, ... of a list of points, or of an object by index; gaps between indices are fine."""
    points = _POINTS.decode(raw)
    if isinstance(points, dict):
        digits = "".join(points)
        if points and not (digits.isascii() and digits.isdigit() and all(0 < len(key) < 10 for key in points)):
            raise BadObject(codes.BAD_GEOMETRY, "a key of the points is no index; draw the object again in Encord")
        points = [points[key] for key in sorted(points, key=int)]
    fractions: list[float] = []
    for point in points:
        fractions += _xy(point)
    return tuple(fractions)


def _ring(raw: Raw) -> Ring:
    """A ring of `polygons`: flat numbers, or points like those of `polygon`."""
    try:
        values = _FLAT.decode(raw)
    except msgspec.ValidationError:
        return _fractions(raw)
    if len(values) % 2:
        raise BadObject(codes.BAD_GEOMETRY, "a ring of `polygons` has an odd count of numbers; draw it again in Encord")
    return tuple(_number(value) for value in values)


def _xy(point: _XY) -> Ring:
    return (_number(point.x), _number(point.y))


def _number(value: float | str) -> float:
    if type(value) is float:
        return value  # msgspec refuses NaN and infinity
    result = number(value)
    if result is None:
        raise BadObject(codes.BAD_GEOMETRY, "a coordinate is not a number; draw the object again in Encord")
    return result


def _pixels(fractions: Ring, scale: Scale) -> Ring:
    if fractions and (min(fractions) < 0.0 or max(fractions) > 1.0):
        names = ("x", "y")
        fractions = tuple(_inside(value, scale, names[index % 2]) for index, value in enumerate(fractions))
    return pixels_of(fractions, scale.width, scale.height)


def pixels_of(fractions: Sequence[float], width: int, height: int) -> Ring:
    """x0, y0, x1, y1, ... in pixels, of fractions that lie in the image."""
    pixels = [0.0] * len(fractions)
    pixels[::2] = [value * width + 0.0 for value in fractions[::2]]
    pixels[1::2] = [value * height + 0.0 for value in fractions[1::2]]
    return tuple(pixels)


def _area_ring(fractions: Ring, scale: Scale) -> Ring:
    distinct: set[tuple[float, float]] = set()
    for point in zip(fractions[::2], fractions[1::2], strict=True):
        distinct.add(point)
        if len(distinct) == 3:
            break
    else:
        raise BadObject(codes.TOO_FEW_POINTS, "the polygon has fewer than 3 distinct points; draw it again in Encord")
    return _pixels(fractions, scale)


def _refuse_endless(rings: list[Ring], scale: Scale) -> None:
    """Refuse outlines that no rasteriser can follow, such as a million points from edge to edge."""
    if sum(map(len, rings)) // 2 * max(scale.width, scale.height) <= LONGEST_OUTLINE:
        return
    length = 0.0
    for ring in rings:
        xs, ys = ring[::2], ring[1::2]
        across, down = map(sub, xs, xs[1:] + xs[:1]), map(sub, ys, ys[1:] + ys[:1])
        length += sum(map(max, map(abs, across), map(abs, down)))
    if length > LONGEST_OUTLINE:
        message = f"the outline is {length:.0f} pixels long, more than {LONGEST_OUTLINE}; draw a plainer one"
        raise BadObject(codes.TOO_LARGE_TO_MASK, message)


def same_outline(one: Ring, other: Ring) -> bool:
    """Whether two outlines are one, but for the rounding of `polygon`."""
    return len(one) == len(other) and all(abs(a - b) <= _POLYGON_ROUNDING for a, b in zip(one, other, strict=True))
