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


def rings_of(masks: Sequence[Sequence[int]], *, width: int, height: int) -> list[list["Points"]]:
    """Rings along the edges of the pixels that each mask's column-major runs set, as points [n, 2].

    Filled even-odd, they are the mask. Parts that touch at a corner only are apart.
    """
    import numpy as np

    rings: list[list[Points]] = [[] for _ in masks]
    column, sides = _pieces(masks, width, height)
    if len(column):
        # each side has an end at its column's left and one at its right, named 2 * side and 2 * side + 1
        y = np.repeat(sides, 2)
        x = np.repeat(column, 4)
        x[1::2] += 1
        partner = _partners(x, y, height)
        leaves, stops = _followed(partner)
        for ring in _points(leaves, stops, partner, x, y):
            owner = int(ring[0, 0]) // (width + 1)
            ring[:, 0] -= owner * (width + 1)
            rings[owner].append(ring)
    return rings


def _pieces(masks: Sequence[Sequence[int]], width: int, height: int) -> "tuple[Ints, Ints]":
    """The column of each piece that runs leave in columns, and its upper and its lower side: y of one after the other.

    A mask's columns are counted on from those of the mask before, with one border more: no two masks share one.
    """
    import numpy as np

    starts, stops, befores = [], [], []
    for number, runs in enumerate(masks):
        ends = np.array(runs, dtype=np.int64).cumsum()
        starts.append(ends[0:-1:2])
        stops.append(ends[1::2])
        befores.append(np.full(len(starts[-1]), number * (width + 1)))
    start, stop, before = (np.concatenate(some) if some else np.empty(0, np.int64) for some in (starts, stops, befores))
    first, last = start // height, (stop - 1) // height
    columns = last - first + 1
    until = columns.cumsum()
    total = int(until[-1]) if len(until) else 0
    column = np.repeat(before + first - until + columns, columns) + np.arange(total)
    edges = np.zeros((total, 2), dtype=np.int64)
    edges[:, 1] = height
    edges[until - columns, 0] = start - first * height
    edges[until - 1, 1] = stop - last * height
    return column, edges.reshape(-1)


def _partners(x: "Ints", y: "Ints", height: int) -> "Ints":
    """The end that each end is joined with: along a border, those in order in pairs, as the columns differ there."""
    import numpy as np

    order = np.argsort(x * (height + 1) + y, kind="stable")
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _followed(partner: "Ints") -> "tuple[Ints, Ints]":
    """The ends through which rings leave their sides, ring after ring, and where each ring ends.

    Sides that go on from column to column make a chain, which a ring takes as a whole: to the right, and the next one
    to the left. So only chains are followed one by one.
    """
    import numpy as np

    sides = np.arange(len(partner) // 2)
    before = partner[0::2] >> 1
    is_head = partner[0::2] & 1 == 0
    before[is_head] = sides[is_head]
    rank = 1 - is_head.astype(np.int64)
    while ((further := before[before]) != before).any():
        rank += rank[before]
        before = further  # each time twice as far
    heads = np.flatnonzero(is_head)
    chain = np.zeros_like(sides)
    chain[heads] = np.arange(len(heads))
    chain = chain[before]  # of each side
    lengths = np.bincount(chain, minlength=len(heads))
    firsts = lengths.cumsum() - lengths
    ordered = np.empty_like(sides)
    ordered[firsts[chain] + rank] = sides
    tails = ordered[firsts + lengths - 1]
    lefts = chain[partner[2 * heads] >> 1].tolist()  # the chain that goes on at the left of each
    rights = chain[partner[2 * tails + 1] >> 1].tolist()
    taken, counts = _chained(lefts, rights)
    # chains at even places go to the right, the others to the left
    length, first = lengths[taken], firsts[taken]
    backward = np.arange(len(taken)) & 1
    step = np.arange(int(length.sum())) - np.repeat(length.cumsum() - length, length)
    turned = np.repeat(backward, length)
    place = np.repeat(first + backward * (length - 1), length) + np.where(turned, -step, step)
    return 2 * ordered[place] + 1 - turned, length.cumsum()[np.cumsum(counts) - 1]


def _chained(lefts: Sequence[int], rights: Sequence[int]) -> tuple[list[int], list[int]]:
    """The chains of each ring, ring after ring, and how many each has: always an even number."""
    taken: list[int] = []
    counts: list[int] = []
    seen = bytearray(len(lefts))
    for start in range(len(lefts)):
        if seen[start]:
            continue
        size, one = len(taken), start
        while True:
            other = rights[one]
            seen[one] = seen[other] = 1
            taken += (one, other)
            one = lefts[other]
            if one == start:
                break
        counts.append(len(taken) - size)
    return taken, counts


def _points(leaves: "Ints", stops: "Ints", partner: "Ints", x: "Ints", y: "Ints") -> "list[Points]":
    """The corners of rings by the ends through which they leave their sides: both ends of the step behind a side."""
    import numpy as np

    enters = partner[leaves]  # of the next side each
    steps = np.flatnonzero(y[leaves] != y[enters])  # elsewhere the outline goes straight on
    made = np.empty((len(steps), 2, 2))
    made[:, :, 0] = x[leaves[steps], None]
    made[:, 0, 1], made[:, 1, 1] = y[leaves[steps]], y[enters[steps]]
    until = steps.searchsorted(stops)
    return [ring.reshape(-1, 2) for ring in np.split(made, until[:-1])]


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
