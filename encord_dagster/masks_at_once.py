"""Many masks in one pass of numpy from row order (Encord) to column order (COCO), at little more than the cost of one.

Equal, mask by mask, to what `rle` and the reader make of a single one; a mask that is odd in any way is left to them.
"""

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from encord_dagster import rle
from encord_dagster.codes_at_once import decode_together, encode_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.signedinteger[Any]]

AT_ONCE = 64  # masks: more of them leave the processor's cache
_HALF_SIZE = 2**31  # places that 32 bits can hold, which are twice as fast
_MOST_AT_ONCE = 2**22  # pieces of masks: more of them are left to one mask after the other
_FEW_KEYS = 2**16  # that numpy sorts by their digits
_NO_RUN = bytes(8)


class Turned(msgspec.Struct, frozen=True):
    """A mask as COCO has it: compressed column-major runs, pixels set, and x, y, width, height (all 0 if none is)."""

    counts: str
    area: int
    bbox: tuple[int, int, int, int]


def turn_all(masks: Sequence[Sequence[int]], width: int, height: int) -> list[Turned]:
    """Masks of one frame size, given as row-major runs that cover it, by columns. RleError where some do not."""
    turned: list[Turned] = []
    at_once = _at_once(width)
    for first in range(0, len(masks), at_once):
        some = masks[first : first + at_once]
        turned += _turned(*_joined(some), width, height) or [_alone(one, width, height) for one in some]
    return turned


def turn_codes(codes: Sequence[str], width: int, height: int) -> list[Turned] | None:
    """The same of masks that are codes still. None where one of them is no mask of such a frame."""
    turned: list[Turned] = []
    at_once = _at_once(width)
    for first in range(0, len(codes), at_once):
        some = codes[first : first + at_once]
        held = decode_together(some, [width * height] * len(some))
        if held is None or not held.covers.all():
            return None
        found = _turned(held.runs, (held.counts + 1) >> 1, width, height)
        if found is None:
            parts = zip(held.firsts.tolist(), (held.firsts + held.counts).tolist(), strict=True)
            found = [_alone(held.runs[start:stop].tolist(), width, height) for start, stop in parts]
        turned += found
    return turned


def _at_once(width: int) -> int:
    """How many masks of a width are turned together."""
    return max(1, min(AT_ONCE, _FEW_KEYS // (width + 1)))


def turned_ends(masks: Sequence[Sequence[int]], width: int, height: int) -> "tuple[Ints, Ints] | None":
    """Owner and column-major place of each change of value in masks given as row-major runs; None as `_turned`."""
    pieces = _pieces(*_joined(masks), width, height)
    ends = None if pieces is None else _by_column(pieces, width, height)
    if ends is None:
        return None
    owner = ends // ((width + 1) * height)
    return owner, ends - owner * ((width + 1) * height)


class _Pieces(msgspec.Struct, frozen=True):
    """What runs leave in rows: `rows` and both edges of each piece, counted as if all masks were one long frame."""

    mask: "Ints"
    rows: "Ints"
    starts: "Ints"
    stops: "Ints"


def _turned(runs: "Ints", pairs: "Ints", width: int, height: int) -> list[Turned] | None:
    """Some masks by columns; None where one after the other is cheaper, or where one does not cover its frame."""
    import numpy as np

    pieces, masks = _pieces(runs, pairs, width, height), len(pairs)
    if pieces is None:
        return None
    filled = np.bincount(pieces.mask, minlength=masks)
    ends = _by_column(pieces, width, height)
    if ends is None or not filled.all():
        return None
    lasts = filled.cumsum()
    firsts = lasts - filled
    area = np.add.reduceat(pieces.stops - pieces.starts, firsts)
    above = pieces.rows * width
    x = np.minimum.reduceat(pieces.starts - above, firsts)
    across = np.maximum.reduceat(pieces.stops - above, firsts) - x
    y = pieces.rows[firsts] - np.arange(masks) * height
    down = pieces.rows[lasts - 1] + 1 - pieces.rows[firsts]
    codes = encode_all(*_as_runs(ends, masks, width, height))
    boxes = zip(x.tolist(), y.tolist(), across.tolist(), down.tolist(), strict=True)
    return [Turned(code, pixels, box) for code, pixels, box in zip(codes, area.tolist(), boxes, strict=True)]


def _alone(runs: Sequence[int], width: int, height: int) -> Turned:
    mask = rle.to_column_major(runs, width, height)
    return Turned(rle.encode(mask.runs), mask.area, mask.bbox)


def _joined(masks: Sequence[Sequence[int]]) -> "tuple[Ints, Ints]":
    """The runs of all masks, an even number of each so that zeros and ones take turns; how many pairs each has."""
    import numpy as np

    parts: list[bytes | array[int]] = []
    for one in masks:
        parts.append(one if isinstance(one, array) else array("q", one))
        if len(one) % 2:
            parts.append(_NO_RUN)
    return np.frombuffer(b"".join(parts), dtype=np.int64), np.array([len(one) + 1 >> 1 for one in masks])


def _pieces(runs: "Ints", pairs: "Ints", width: int, height: int) -> _Pieces | None:
    """The pieces of masks in order; None where there are too many, or where runs do not cover the frame."""
    import numpy as np

    ends = runs.cumsum()
    wanted = np.arange(1, len(pairs) + 1) * (width * height)
    if not pairs.all() or runs.min() < 0 or (ends[2 * pairs.cumsum() - 1] != wanted).any():
        return None
    if len(pairs) * (width + 1) * (height + 2) < _HALF_SIZE:
        ends = ends.astype(np.int32)
    starts, stops = ends[0::2], ends[1::2]
    if not (filled := stops > starts).all():
        starts, stops = starts[filled], stops[filled]
    rows = starts // width
    if (stops > (rows + 1) * width).any():
        cut = _cut(starts, stops, rows, width)
        if cut is None:
            return None
        rows, starts, stops = cut
    return _Pieces(rows // height, rows, starts, stops)


def _cut(starts: "Ints", stops: "Ints", first: "Ints", width: int) -> "tuple[Ints, Ints, Ints] | None":
    """Row, start and stop of runs cut where rows end; None where there would be too many."""
    import numpy as np

    rows = (stops - 1) // width - first + 1
    total = int(rows.sum())
    if total > _MOST_AT_ONCE:
        return None
    cut = rows.cumsum(dtype=rows.dtype)
    row = np.repeat(first - cut + rows, rows) + np.arange(total, dtype=rows.dtype)
    lefts = row * rows.dtype.type(width)
    rights = lefts + rows.dtype.type(width)
    lefts[cut - rows], rights[cut - 1] = starts, stops
    return row, lefts, rights


def _by_column(pieces: _Pieces, width: int, height: int) -> "Ints | None":
    """Column-major places where pixels change their value, mask after mask; None where a dense frame is cheaper.

    Each mask has the places of one column more than its frame has, so that none is that of another mask.
    """
    import numpy as np

    masks = int(pieces.mask[-1]) + 1 if len(pieces.mask) else 0
    if not masks or len(pieces.mask) * 64 > width * height * masks:
        return None
    starts, lengths = _between_rows(pieces, width)
    total = int(lengths.sum(dtype=np.int64))
    if not total or total * height > _MOST_AT_ONCE * 256:
        return None
    kind = starts.dtype.type
    boundary = starts // kind(width + 1)
    owner = boundary // kind(height + 1)
    column = starts + (owner - boundary) * kind(width + 1)
    # the pixels between a pair of edges lie beside each other: one column each, and a column has height + 1 boundaries
    first = column * kind(height + 1) + boundary - owner * kind(height + 1)
    opened = lengths.cumsum(dtype=starts.dtype) - lengths
    places = np.repeat(first - opened * kind(height + 1), lengths)
    places += np.arange(0, total * (height + 1), height + 1, dtype=starts.dtype)
    columns = places // kind(height + 1)
    places -= columns  # the foot of one column is the head of the next
    if masks * (width + 1) <= _FEW_KEYS:
        places = places.take(np.argsort(columns.astype(np.uint16), kind="stable"))  # by digits; rows are in order
    else:
        places.sort()
    same = places[1:] == places[:-1]
    if not same.any():
        return places
    keep = np.ones(len(places), dtype=np.bool_)
    keep[1:] &= ~same  # a run goes on there
    keep[:-1] &= ~same
    return places[keep]


def _between_rows(pieces: _Pieces, width: int) -> "tuple[Ints, Ints]":
    """Start and length of the stretches in which a row differs from the one above, in order; one more place a row.

    The method is that of `rle.to_column_major`: an edge in row y belongs to the boundaries above and below that row.
    """
    import numpy as np

    count, kind = len(pieces.rows), pieces.rows.dtype.type
    edges = np.empty(4 * count, dtype=pieces.rows.dtype)
    base = pieces.rows + pieces.mask * kind(width + 1)  # each mask has a boundary more than rows
    np.add(pieces.starts, base, out=edges[0 : 2 * count : 2])
    np.add(pieces.stops, base, out=edges[1 : 2 * count : 2])
    np.add(edges[: 2 * count], kind(width + 1), out=edges[2 * count :])
    edges.sort(kind="stable")  # merges two halves that are in order, in a tenth of the time of another sort
    starts, lengths = edges[0::2], edges[1::2] - edges[0::2]
    some = np.flatnonzero(lengths != 0)
    return starts[some], lengths[some]


def _as_runs(ends: "Ints", masks: int, width: int, height: int) -> "tuple[Ints, Ints]":
    """Runs of masks out of the places where their values change, and how many each has."""
    import numpy as np

    closing = ((np.arange(masks) * (width + 1) + width) * height).astype(ends.dtype)
    at = ends.searchsorted(closing)
    closed = ends[np.minimum(at, len(ends) - 1)] == closing  # a last run of ones ends where the frame does
    missing = np.flatnonzero(~closed)
    ends = np.insert(ends, at[missing], closing[missing])
    stops = at + 1 + np.cumsum(~closed) - ~closed
    runs = np.diff(ends, prepend=ends.dtype.type(-height))
    counts = np.diff(stops, prepend=0)
    runs[stops - counts] -= height  # the column that each mask has more
    return runs, counts
