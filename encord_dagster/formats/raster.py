"""Shapes to pixels, by pycocotools' rasteriser: masks, areas and COCO's own evaluation then agree to the pixel."""

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import msgspec

from encord_dagster import rle
from encord_dagster.errors import RowError
from encord_dagster.geometry import (
    LARGEST_FRAME,
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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECIMALS = 6  # coordinates are rounded as COCO files hold them: the rasteriser's own rounding can turn on the last bit
# Numbers of a ring that has area. pycocotools takes four for a box, so a "ring" of two points must not reach it.
FEWEST = 6
QUARTER_TURNS = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}  # cos, sin without noise
MAX_SAGITTA = 0.05  # pixels: half the 0.1 that is promised, so that also the area of a small circle is right to 0.5 %
COARSE = 2**14  # cells a side, where a frame is too large for a mask and only an area is wanted
LEAST_TURN = 1e-3  # square pixels: far more than rounding can make of a turn back
MAX_EDGE_PAIRS = 100_000  # beyond this, looking for crossings costs more than a thousand rasterisations are worth


class Raster(msgspec.Struct, frozen=True):
    """The pixels of one object as COCO stores them: compressed column-major runs over the frame."""

    counts: str
    size: tuple[int, int]  # height, width
    area: int  # pixels
    bbox: tuple[int, int, int, int]  # x, y, width, height, tight; all 0 where no pixel is set


def rasterise(geometry: Geometry, *, width: int, height: int) -> Raster | None:
    """Pixels of a shape in a frame of `width` x `height`; parts outside are cut off. None for shapes without area.

    Rings of one polygon are filled even-odd, so holes stay holes; the polygons of one object are united.

    Raises:
        RleError: the runs of a bitmask do not cover exactly the frame.
        RowError: the frame has more pixels than a mask can have.
    """
    if width * height > LARGEST_FRAME:
        raise RowError("too_large_to_mask", f"an image of {width}x{height} is too large for masks: turn them off")
    if isinstance(geometry, Bitmask):
        mask = rle.to_column_major(geometry.runs, width, height)
        return Raster(rle.encode(mask.runs), (height, width), mask.area, mask.bbox)
    counts = filled(geometry, width=width, height=height)
    return None if counts is None else _raster(counts, width, height)


def filled(
    geometry: Box | RotatedBox | Ellipse | Polygon | Polyline | Point | Skeleton, *, width: int, height: int
) -> bytes | None:
    """Compressed column-major runs of the pixels of a shape, as `rasterise` fills it; None for shapes without area."""
    match geometry:
        case Box() | RotatedBox() | Ellipse():
            return _fill_even_odd((outline(geometry),), width, height)
        case Polygon():
            parts = [_fill_even_odd(rings, width, height) for rings in geometry.polygons]
            parts = parts or [_fill_even_odd((), width, height)]
            return parts[0] if len(parts) == 1 else _union(parts, width * height)
        case Polyline() | Point() | Skeleton():
            return None


def outline(shape: Box | RotatedBox | Ellipse) -> Ring:
    """The ring that stands for a shape without vertices of its own."""
    return ellipse_ring(shape) if isinstance(shape, Ellipse) else corners(shape)


def corners(box: Box | RotatedBox) -> Ring:
    """Corners of a box, clockwise on screen from its top-left corner before rotation, about its centre."""
    left, top, right, bottom = box.x, box.y, box.x + box.width, box.y + box.height
    if isinstance(box, Box):
        return (left, top, right, top, right, bottom, left, bottom)
    cos, sin = _direction(box.theta)
    across, down = box.width / 2, box.height / 2
    centre_x, centre_y = box.x + across, box.y + down
    ring: list[float] = []
    for dx, dy in ((-across, -down), (across, -down), (across, down), (-across, down)):
        ring += (centre_x + dx * cos - dy * sin, centre_y + dx * sin + dy * cos)
    return tuple(ring)


def ellipse_ring(ellipse: Ellipse) -> Ring:
    """A ring on an ellipse, clockwise on screen from the end of its first semi-axis; nowhere 0.1 pixels off it.

    The ends of both axes are vertices, so the hull of an ellipse that is not turned is exact.
    """
    longer = max(ellipse.rx, ellipse.ry)
    points = 16
    if longer > MAX_SAGITTA:  # a chord over the angle 2a is longer * (1 - cos a) off its arc at most
        points = max(points, 4 * math.ceil(math.pi / math.acos(1 - MAX_SAGITTA / longer) / 4))
    cos, sin = _direction(ellipse.theta)
    ring: list[float] = []
    for step in range(points):
        turn = 2 * math.pi * step / points
        dx, dy = ellipse.rx * math.cos(turn), ellipse.ry * math.sin(turn)
        ring += (ellipse.x + dx * cos - dy * sin, ellipse.y + dx * sin + dy * cos)
    return tuple(ring)


def ellipse_hull(ellipse: Ellipse) -> tuple[float, float, float, float]:
    """Left, top, width and height of the axis-parallel box round an ellipse itself, not round its ring."""
    cos, sin = _direction(ellipse.theta)
    across = math.hypot(ellipse.rx * cos, ellipse.ry * sin)
    down = math.hypot(ellipse.rx * sin, ellipse.ry * cos)
    return ellipse.x - across, ellipse.y - down, 2 * across, 2 * down


def needs_rle(polygon: Polygon) -> bool:
    """Whether COCO's list of polygons cannot say what `polygon` is: it unites its rings, and so would fill holes.

    A ring that crosses itself can stay a list, since COCO fills it even-odd; take its area from `rasterise`.
    """
    return any(len(rings) > 1 for rings in polygon.polygons)


def ring_area(ring: Ring) -> float:
    """Area that a ring encloses, in square pixels; right only for a simple ring (a bow-tie may have 0)."""
    if len(ring) < 6:
        return 0.0
    x0, y0 = ring[0], ring[1]  # near the ring, differences lose fewer digits
    xs, ys = [x - x0 for x in ring[0::2]], [y - y0 for y in ring[1::2]]
    doubled = sum(x * y_next - x_next * y for (x, y), (x_next, y_next) in pairwise(zip(xs, ys, strict=True)))
    return abs(doubled) / 2


def area_in_pixels(polygon: Polygon, *, width: int, height: int) -> float:
    """Area of a polygon's pixels; of coarser cells over the polygon alone where the frame is too large for a mask."""
    if width * height <= LARGEST_FRAME:
        made = rasterise(polygon, width=width, height=height)
        return float(made.area) if made else 0.0
    points = [value for rings in polygon.polygons for ring in rings for value in ring]
    corner = min(points[::2]), min(points[1::2])
    cell = max(1.0, (max(points[::2]) - corner[0]) / COARSE), max(1.0, (max(points[1::2]) - corner[1]) / COARSE)

    def moved(ring: Ring) -> Ring:
        return tuple((value - corner[place % 2]) / cell[place % 2] for place, value in enumerate(ring))

    coarse = Polygon(tuple(tuple(moved(ring) for ring in rings) for rings in polygon.polygons))
    made = rasterise(coarse, width=COARSE, height=COARSE)
    return made.area * cell[0] * cell[1] if made else 0.0


def is_simple(ring: Ring) -> bool:
    """Whether a ring neither crosses, touches nor retraces itself. Repeated points in a row are no harm.

    A star is simple. Of other rings only edges whose x ranges overlap are compared. A ring with more than
    `MAX_EDGE_PAIRS` such pairs counts as not simple without being looked at: the caller then takes the area in pixels,
    which is right for any ring.
    """
    import numpy as np

    points = np.array(ring, dtype=np.float64).reshape(-1, 2)
    start = points[(points != np.roll(points, -1, axis=0)).any(axis=1)]
    if len(start) < 3:
        return False
    stop = np.roll(start, -1, axis=0)
    if len(start) == len(points) and _is_star(start, stop):
        return True
    if _retraces(start):
        return False
    pairs = _edges_that_may_meet(np.minimum(start, stop), np.maximum(start, stop))
    if pairs is None:
        return False
    one, two = pairs
    a, b, c, d = start[one], stop[one], start[two], stop[two]
    meet = (_side(a, b, c) * _side(a, b, d) <= 0) & (_side(c, d, a) * _side(c, d, b) <= 0)
    return not bool(meet.any())


def star_shaped(
    x: "NDArray[np.float64]",
    y: "NDArray[np.float64]",
    next_x: "NDArray[np.float64]",
    next_y: "NDArray[np.float64]",
    firsts: "NDArray[np.int64]",
) -> "NDArray[np.bool_]":
    """Whether rings, given by all their points and the point after each, turn once round the origin and never back.

    Such a ring is simple: its edges lie in sectors that do not overlap. `firsts` are where rings begin.
    """
    import numpy as np

    turn = x * next_y - next_x * y
    one_way = (np.minimum.reduceat(turn, firsts) > LEAST_TURN) | (np.maximum.reduceat(turn, firsts) < -LEAST_TURN)
    rises = ((y < 0) & (next_y >= 0)).astype(np.int64)
    found: NDArray[np.bool_] = one_way & (np.add.reduceat(rises, firsts) == 1)
    return found


def _is_star(start: "NDArray[np.float64]", stop: "NDArray[np.float64]") -> bool:
    """Whether one ring is a star about the centre of its hull."""
    import numpy as np

    centre = (start.min(axis=0) + start.max(axis=0)) / 2
    here, there = start - centre, stop - centre
    return bool(star_shaped(here[:, 0], here[:, 1], there[:, 0], there[:, 1], np.zeros(1, dtype=np.int64))[0])


def _direction(theta: float) -> tuple[float, float]:
    """Cosine and sine of an angle in degrees."""
    theta %= 360.0
    return QUARTER_TURNS.get(theta) or (math.cos(math.radians(theta)), math.sin(math.radians(theta)))


def _fill_even_odd(rings: tuple[Ring, ...], width: int, height: int) -> bytes:
    """Compressed column-major runs of the pixels that an odd number of rings encloses."""
    import pycocotools.mask

    fit = [[round(number, DECIMALS) for number in ring] for ring in rings if len(ring) >= FEWEST]
    parts = pycocotools.mask.frPyObjects(fit, height, width) if fit else []
    codes: list[bytes] = [part["counts"] for part in parts]
    if len(codes) == 1:
        return codes[0]
    ends: set[int] = set()
    for code in codes:
        ends ^= set(accumulate(rle.decode(code.decode("ascii"))))
    ends.discard(width * height)
    runs = [stop - start for start, stop in pairwise((0, *sorted(ends), width * height))]
    return rle.encode(runs).encode("ascii")


def _raster(counts: bytes, width: int, height: int) -> Raster:
    """The pixels of compressed column-major runs."""
    import pycocotools.mask

    code = {"size": [height, width], "counts": counts}
    x, y, across, down = (int(number) for number in pycocotools.mask.toBbox(code))
    area = int(pycocotools.mask.area(code))
    return Raster(counts.decode("ascii"), (height, width), area, (x, y, across, down))


def _union(parts: list[bytes], pixels: int) -> bytes:
    """The union of parts in one sweep over all their runs; pycocotools' own takes the square of their number."""
    import numpy as np

    starts: list[int] = []
    stops: list[int] = []
    for part in parts:
        ends = list(accumulate(rle.decode(part.decode("ascii"))))
        starts += ends[0:-1:2]
        stops += ends[1::2]
    edges = np.array(starts + stops, dtype=np.int64)
    steps = np.repeat((1, -1), (len(starts), len(stops)))
    order = np.argsort(edges, kind="stable")  # where one run ends and another starts, the start comes first
    depth = steps[order].cumsum()
    outer = (depth == 0) | ((depth == 1) & (steps[order] == 1))
    runs = np.diff(edges[order][outer], prepend=0, append=pixels).tolist()
    return rle.encode(runs if runs[-1] or len(runs) == 1 else runs[:-1]).encode("ascii")


def _retraces(start: "NDArray[np.float64]") -> bool:
    """Whether some edge of a closed ring runs back over the edge before it."""
    import numpy as np

    edge = np.roll(start, -1, axis=0) - start
    before = np.roll(edge, 1, axis=0)
    cross = before[:, 0] * edge[:, 1] - before[:, 1] * edge[:, 0]
    return bool(((cross == 0) & ((before * edge).sum(axis=1) < 0)).any())


def _edges_that_may_meet(
    low: "NDArray[np.float64]", high: "NDArray[np.float64]"
) -> "tuple[NDArray[np.int64], NDArray[np.int64]] | None":
    """Pairs of edges, not neighbours, whose bounding boxes overlap; None if there are too many to look at."""
    import numpy as np

    edges = len(low)
    order = np.argsort(low[:, 0], kind="stable")
    overlapping = np.searchsorted(low[order, 0], high[order, 0], side="right") - np.arange(edges) - 1
    total = overlapping.cumsum()
    if total[-1] > MAX_EDGE_PAIRS:
        return None
    place = np.repeat(np.arange(edges), overlapping)
    one, two = order[place], order[place + 1 + np.arange(total[-1]) - np.repeat(total - overlapping, overlapping)]
    apart = (abs(one - two) > 1) & (abs(one - two) < edges - 1)
    chosen = apart & (low[one, 1] <= high[two, 1]) & (low[two, 1] <= high[one, 1])
    return one[chosen], two[chosen]


def _side(a: "NDArray[np.float64]", b: "NDArray[np.float64]", point: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Positive where `point` lies on one side of the line a-b, negative on the other, 0 on it."""
    along, off = b - a, point - a
    crossed: NDArray[np.float64] = along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0]
    return crossed
