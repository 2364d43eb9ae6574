"""The outlines of a mask's pixels as rings, and several rings as one: for formats whose objects are one polygon."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from encord_dagster.codes_at_once import decode_together
from encord_dagster.geometry import Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

AT_ONCE = 32  # masks: what more of them need leaves the processor's cache
_FEW_KEYS = 2**16  # that numpy sorts by their digits
MOST_NEAR = 200  # rings whose nearest vertices are looked for; of more, first vertices are joined
# An end of a piece, or a corner, is four times the place where it lies, and two bits: whether it is a piece's top, and
# whether that piece is in the column at its right. Places count down borders of columns, border after border.
_OF_TOP, _AT_RIGHT = 2, 1


def rings_of(codes: Sequence[str], *, width: int, height: int) -> list[list["Ints"]]:
    """Rings along the edges of the pixels of masks, given as compressed column-major runs, as points [n, 2].

    Filled even-odd or by winding, they are the mask: clockwise on screen, and round holes the other way. Parts that
    touch at a corner only are apart. A mask of another size has none.
    """
    at_once = max(1, min(AT_ONCE, _FEW_KEYS // (height + 1)))
    found: list[list[Ints]] = []
    for first in range(0, len(codes), at_once):
        found += _rings(codes[first : first + at_once], width, height)
    return found


def _rings(codes: Sequence[str], width: int, height: int) -> list[list["Ints"]]:
    import numpy as np

    held = decode_together(codes, [width * height] * len(codes))
    if held is None or not held.covers.all():
        return [[]] if len(codes) == 1 else [_rings([code], width, height)[0] for code in codes]
    rings: list[list[Ints]] = [[] for _ in codes]
    corners = _corners(held.runs, width, height)
    if not len(corners):
        return rings
    border, y = np.divmod(corners >> 2, height + 1)
    mask = border // (width + 1)
    along = _along_rows(corners, mask * (height + 1) + y, len(codes) * (height + 1))
    # a side runs from an upper corner to a lower one: rings go up where pixels are at its right, and else down
    kind = corners[0::2] & 3
    leave = np.arange(0, len(corners), 2) + ((kind == _OF_TOP) | (kind == _AT_RIGHT))
    sides, stops = _followed(along[leave] >> 1)
    turned = np.arange(1, len(sides) + 1)
    turned[stops - 1] = np.concatenate(([0], stops[:-1]))  # the first side of each ring, at its left, comes last
    leave = leave[sides[turned]]
    owner = mask[leave]
    points = np.empty((2 * len(leave), 2), dtype=np.int64)
    points[0::2, 0] = points[1::2, 0] = border[leave] - owner * (width + 1)
    points[0::2, 1], points[1::2, 1] = y[leave ^ 1], y[leave]
    for start, stop in pairwise([0, *stops.tolist()]):
        rings[owner[start]].append(points[2 * start : 2 * stop])
    return rings


def _corners(runs: "Ints", width: int, height: int) -> "Ints":
    """Where outlines of masks turn, mask after mask and column after column: two by two, the ends of upright sides.

    A mask has one border more than columns: no two masks share one. Along a border, what both columns have ends at the
    same place is no corner. Where they touch at a corner only, what ends above comes first, and so sides are apart.
    """
    import numpy as np

    ends = runs.cumsum()
    filled = ends[1::2] > ends[0::2]
    starts, stops = ends[0::2][filled], ends[1::2][filled]
    column = starts // height
    if (stops > (column + 1) * height).any():
        column, starts, stops = _cut(starts, stops, column, height)
    moved = column + column // width * (height + 1)
    of_right = np.empty(2 * len(column), dtype=np.int64)  # on the borders before columns, in order
    of_right[0::2] = (starts + moved) * 4 + (_OF_TOP | _AT_RIGHT)
    of_right[1::2] = (stops + moved) * 4 + _AT_RIGHT
    both = np.concatenate((of_right, of_right + (4 * (height + 1) - _AT_RIGHT)))
    both.sort(kind="stable")  # which merges what is in order
    kept = np.ones(len(both), dtype=np.bool_)
    same = both[1:] ^ both[:-1] == _AT_RIGHT
    kept[1:] &= ~same
    kept[:-1] &= ~same
    return both[kept]


def _cut(starts: "Ints", stops: "Ints", first: "Ints", height: int) -> "tuple[Ints, Ints, Ints]":
    """Column, start and stop of runs cut where columns end."""
    import numpy as np

    columns = (stops - 1) // height - first + 1
    until = columns.cumsum()
    column = np.repeat(first - until + columns, columns) + np.arange(until[-1])
    tops = column * height
    bottoms = tops + height
    tops[until - columns], bottoms[until - 1] = starts, stops
    return column, tops, bottoms


def _along_rows(corners: "Ints", row: "Ints", rows: int) -> "Ints":
    """The corner at the other end of the level side at each: along a row of a mask, those in order in pairs."""
    import numpy as np

    ordered = np.arange(len(corners))
    # where parts touch, the side that comes from the left ends first
    touching = np.flatnonzero((corners[:-1] & 3 == _AT_RIGHT) & (np.diff(corners) == _OF_TOP - _AT_RIGHT))
    ordered[touching] += 1
    ordered[touching + 1] -= 1
    ordered = ordered[np.argsort(row.astype(np.uint16) if rows <= _FEW_KEYS else row, kind="stable")]
    other = np.empty_like(ordered)
    other[ordered[0::2]], other[ordered[1::2]] = ordered[1::2], ordered[0::2]
    return other


def _followed(further: "Ints") -> "tuple[Ints, Ints]":
    """What lies in rings ring after ring, and where each ring ends, out of what comes behind each.

    Rings are cut into chains before whatever is less than both its neighbours. In its chain, each finds its place by
    going back to the first one, all at once and each time twice as far. Chains, which are half as many at most, are
    followed in the same way.
    """
    import numpy as np

    whole = np.arange(len(further))
    if (further == whole).all():
        return whole, whole + 1
    before = np.empty_like(whole)
    before[further] = whole
    is_first = (whole <= before) & (whole <= further)
    back = np.where(is_first, whole, before)
    place = 1 - is_first.astype(np.int64)
    on_the_way = np.flatnonzero(~is_first[back])
    while len(on_the_way):
        past = back[on_the_way]
        place[on_the_way] += place[past]
        back[on_the_way] = past = back[past]
        on_the_way = on_the_way[~is_first[past]]
    firsts = np.flatnonzero(is_first)
    chain = (is_first.cumsum() - 1)[back]
    behind = np.empty_like(firsts)
    behind[chain[before[firsts]]] = np.arange(len(firsts))
    ordered, stops = _followed(behind)
    lengths = np.bincount(chain)
    until = lengths[ordered].cumsum()
    start = np.empty_like(until)
    start[ordered] = until - lengths[ordered]
    made = np.empty_like(whole)
    made[start[chain] + place] = whole
    return made, until[stops - 1]


def joined(rings: Sequence["Ints"]) -> "Ints":
    """Several rings as one, by seams of no width between vertices that are near: filled even-odd, it is the same."""
    import numpy as np

    whole = rings[0]
    if len(rings) > MOST_NEAR:
        return np.concatenate([part for ring in rings for part in (ring, ring[:1], whole[:1])])
    for ring in rings[1:]:
        here = _nearest(whole, ring.mean(axis=0))
        there = _nearest(ring, whole[here])
        whole = np.concatenate((whole[: here + 1], ring[there:], ring[: there + 1], whole[here:]))
    return whole


def _nearest(points: "Ints", to: "Ints | NDArray[np.float64]") -> int:
    import numpy as np

    away = points - to
    return int(np.einsum("ij,ij->i", away, away).argmin())


def clipped(ring: Ring, *, width: float, height: float) -> Ring:
    """The part of a ring within the frame (Sutherland and Hodgman), also along its border; () where there is none."""
    xs, ys = ring[::2], ring[1::2]
    if min(xs) >= 0 and min(ys) >= 0 and max(xs) <= width and max(ys) <= height:
        return ring
    points = list(zip(xs, ys, strict=True))
    for axis, limit, sign in ((0, 0.0, 1), (0, width, -1), (1, 0.0, 1), (1, height, -1)):
        if all((point[axis] - limit) * sign >= 0 for point in points):
            continue
        kept: list[tuple[float, float]] = []
        for before, point in pairwise([*points[-1:], *points]):
            was, now = (before[axis] - limit) * sign, (point[axis] - limit) * sign
            if (was < 0) != (now < 0):
                share = was / (was - now)
                crossing = [before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])]
                crossing[axis] = limit
                kept.append((crossing[0], crossing[1]))
            if now >= 0:
                kept.append(point)
        points = kept
    return tuple(value for point in points for value in point)
