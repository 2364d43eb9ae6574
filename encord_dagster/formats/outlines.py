"""The outlines of a mask's pixels as rings, and several rings as one: for formats whose objects are one polygon."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from encord_dagster.geometry import Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]
    Ints = NDArray[np.int64]

MOST_NEAR = 200  # rings whose nearest vertices are looked for; of more, first vertices are joined


def rings_of(runs: Sequence[int], *, height: int) -> list["Points"]:
    """Rings along the edges of the pixels that column-major runs set, as points [n, 2].

    Filled even-odd, they are the mask. Parts that touch at a corner only are apart.
    """
    import numpy as np

    ends = np.array(runs, dtype=np.int64).cumsum()
    starts, stops = ends[0:-1:2], ends[1::2]
    if not len(starts):
        return []
    # one piece a column: its upper and its lower edge are sides of the outline
    first, last = starts // height, (stops - 1) // height
    columns = last - first + 1
    until = columns.cumsum()
    column = np.repeat(first - until + columns, columns) + np.arange(until[-1])
    edges = np.zeros((len(column), 2), dtype=np.int64)
    edges[:, 1] = height
    edges[until - columns, 0] = starts - first * height
    edges[until - 1, 1] = stops - last * height
    # each side has an end at its column's left and one at its right, named 2 * side and 2 * side + 1
    y = np.repeat(edges.reshape(-1), 2)
    x = np.repeat(column, 4)
    x[1::2] += 1
    # along one border between columns, ends in order are joined in pairs: there the two columns differ
    order = np.argsort(x * (height + 1) + y, kind="stable")
    partner = np.empty(len(order), dtype=np.int64)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    after = partner[np.arange(len(partner)) ^ 1]  # through a side from one end to the other, and to the next side
    return [_points(np.array(ends) ^ 1, partner, x, y) for ends in _followed(after.tolist())]


def _followed(after: Sequence[int]) -> list[list[int]]:
    """The ends through which each ring enters its sides."""
    rings: list[list[int]] = []
    seen = bytearray(len(after))
    for start in range(0, len(after), 2):
        if seen[start] or seen[start + 1]:
            continue
        ring: list[int] = []
        add, end = ring.append, start
        while True:
            add(end)
            seen[end] = 1
            end = after[end]
            if end == start:
                break
        rings.append(ring)
    return rings


def _points(leaves: "Ints", partner: "Ints", x: "Ints", y: "Ints") -> "Points":
    """The corners of a ring by the ends through which it leaves its sides: the two ends of each step behind a side."""
    import numpy as np

    enters = partner[leaves]  # of the next side each
    steps = np.flatnonzero(y[leaves] != y[enters])  # elsewhere the outline goes straight on
    made = np.empty((len(steps), 2, 2))
    made[:, :, 0] = x[leaves[steps], None]
    made[:, 0, 1], made[:, 1, 1] = y[leaves[steps]], y[enters[steps]]
    return made.reshape(-1, 2)


def joined(rings: Sequence["Points"]) -> "Points":
    """Several rings as one, by seams of no width between vertices that are near: filled even-odd, it is the same."""
    import numpy as np

    whole = rings[0]
    if len(rings) > MOST_NEAR:
        return np.concatenate([part for ring in rings for part in (ring, ring[:1], whole[:1])])
    for ring in rings[1:]:
        here = int(np.argmin(((whole - ring.mean(axis=0)) ** 2).sum(axis=1)))
        there = int(np.argmin(((ring - whole[here]) ** 2).sum(axis=1)))
        whole = np.concatenate((whole[: here + 1], ring[there:], ring[: there + 1], whole[here:]))
    return whole


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
