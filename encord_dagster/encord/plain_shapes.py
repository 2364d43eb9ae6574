"""Shapes of plain rows in pixels. None where the tolerant reader has to look: outside the image, or odd."""

from collections.abc import Collection, Sequence
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw

from encord_dagster.encord.pixels import pixels_of, same_outline
from encord_dagster.encord.plain import Box as Fractions
from encord_dagster.encord.plain import Object
from encord_dagster.encord.plain_points import read_points
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.geometry import LARGEST_FRAME, LONGEST_OUTLINE, Box, Polygon, Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


class _XY(msgspec.Struct, gc=False):
    x: float
    y: float


_POINTS = msgspec.json.Decoder(dict[str, _XY])
_NESTED = msgspec.json.Decoder(list[list[list[float]]])
_xy = attrgetter("x", "y")
_PACKER, _PACKED = msgspec.msgpack.Encoder(), 1 + 4 * (2 + 9)  # bytes: of a map, of names of one letter, of floats
_INDICES = [str(number) for number in range(10_000)]


def box(given: Fractions, width: int, height: int) -> Box | None:
    """An axis-parallel box that lies in the image."""
    x, y, w, h = given.x, given.y, given.w, given.h
    if x >= 0.0 and y >= 0.0 and w > 0.0 and h > 0.0 and x + w <= 1.0 and y + h <= 1.0:
        return Box((x + 0.0) * width, (y + 0.0) * height, w * width, h * height)
    return None


def polygon(given: Object, width: int, height: int) -> tuple[Polygon, int] | None:
    """A polygon that lies in the image, and how many keys its points have."""
    points = _POINTS.decode(given.polygon) if given.polygon is not UNSET else {}
    if list(points) != _INDICES[: len(points)]:
        return None
    outline: list[float] = []
    for point in points.values():
        outline += (point.x, point.y)
    nested = [[outline]]
    if given.polygons is not UNSET:
        nested = _NESTED.decode(given.polygons)
        if not nested or not all(nested) or not same_outline(tuple(outline), tuple(nested[0][0])):
            return None
    numbers = sum(len(ring) for rings in nested for ring in rings)
    if numbers // 2 * max(width, height) > LONGEST_OUTLINE or width * height > LARGEST_FRAME:
        return None
    made: list[tuple[Ring, ...]] = []
    for rings in nested:
        found = [_ring(ring, width, height) for ring in rings]
        if () in found or not found:
            return None
        made.append(tuple(found))
    return Polygon(tuple(made)), 3 * len(points)


def _ring(ring: list[float], width: int, height: int) -> Ring:
    """A ring of three distinct points or more, in pixels; empty where it is none, or reaches outside."""
    if len(ring) < 6 or len(ring) % 2 or min(ring) < 0.0 or max(ring) > 1.0:
        return ()
    first, second, third = ring[0:2], ring[2:4], ring[4:6]
    if (first == second or second == third or third == first) and len(set(zip(ring[::2], ring[1::2], strict=True))) < 3:
        return ()
    return pixels_of(ring, width, height)


def boxes(given: Sequence[Fractions], frames: "Ints") -> tuple["Floats", "Flags"]:
    """`box` of many: x, y, width and height of each, and which of them the tolerant reader has to look at.

    `frames` are width and height of the frame of each.
    """
    import numpy as np

    # in msgpack each box takes as many bytes, with its numbers at the same places: cheaper to get at than fields
    packed = np.frombuffer(_PACKER.encode(given), dtype=np.uint8)[-_PACKED * len(given) :].reshape(len(given), _PACKED)
    found = packed[:, 1:].reshape(len(given), 4, -1)[:, :, 3:].copy().view(">f8")[:, :, 0].astype(np.float64)
    starts, sides = found[:, :2], found[:, 2:]
    outside = (starts < 0.0) | (sides <= 0.0) | (starts + sides > 1.0)
    odd = outside[:, 0] | outside[:, 1]
    return np.concatenate(((starts + 0.0) * frames, sides * frames), axis=1), odd


def outlines(given: Sequence[Raw], frames: "Ints") -> tuple["Floats", "Ints", "Flags"]:
    """`polygon` of many that have one ring: all points, how many each has, and which the tolerant reader has to see."""
    import numpy as np

    flat, sizes = read_points([bytes(raw) for raw in given]) or _points_of(given)
    odd = (sizes < 3) | (sizes * frames.max(axis=1) > LONGEST_OUTLINE) | (frames.prod(axis=1) > LARGEST_FRAME)
    if odd.any():
        return flat, sizes, odd
    firsts = sizes.cumsum() - sizes
    odd = (np.minimum.reduceat(flat, firsts) < 0.0).any(axis=1) | (np.maximum.reduceat(flat, firsts) > 1.0).any(axis=1)
    first, second, third = (flat[firsts + place] for place in range(3))
    for one, other in ((first, second), (second, third), (third, first)):
        odd |= (one == other).all(axis=1)
    return (flat * np.repeat(frames, sizes, axis=0) + 0.0).ravel(), sizes, odd


def _points_of(given: Sequence[Raw]) -> tuple["Floats", "Ints"]:
    """The points of each outline, one by one; none where they are not written so."""
    import numpy as np

    decoded = [_points(raw) for raw in given]
    sizes = np.array(list(map(len, decoded)))
    points = chain.from_iterable(map(_xy, chain.from_iterable(decoded)))
    return np.fromiter(points, dtype=np.float64, count=2 * int(sizes.sum())).reshape(-1, 2), sizes


def _points(raw: Raw) -> Collection[_XY]:
    """The points of a polygon in order; none where they are not written so."""
    try:
        points = _POINTS.decode(raw)
    except UNREADABLE:
        return ()
    return points.values() if list(points) == _INDICES[: len(points)] else ()
