"""Run-length codes of many masks in one pass of numpy, which costs little more than one mask alone.

Equal, mask by mask, to what `rle` and the reader make of a single one; a mask that is odd in any way is left to them.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from encord_dagster import rle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.signedinteger[Any]]

AT_ONCE = 64  # masks: more of them leave the processor's cache
_HALF_SIZE = 2**31  # places that 32 bits can hold, which are twice as fast
_MOST_AT_ONCE = 2**22  # pieces of masks: more of them are left to one mask after the other
_HALF = 2**14  # numbers from -_HALF to _HALF - 1 take three characters at most
_END = ord("\n") << 24  # behind three characters
_FEW_KEYS = 2**16  # that numpy sorts by their digits
_NO_RUN = bytes(8)
_GROUPS = 7  # of 5 bits: 35 bits, more than the largest mask needs


class Turned(msgspec.Struct, frozen=True):
    """A mask as COCO has it: compressed column-major runs, pixels set, and x, y, width, height (all 0 if none is)."""

    counts: str
    area: int
    bbox: tuple[int, int, int, int]


def decode_all(codes: Sequence[str], pixels: Sequence[int]) -> list["array[int] | None"]:
    """The row-major runs of each code; None where they are not exactly those of a mask of so many pixels."""
    import numpy as np

    plain = [code if code.isascii() else "" for code in codes]
    sizes = np.array(list(map(len, plain)), dtype=np.int64)
    at = np.frombuffer("".join(plain).encode("ascii"), dtype=np.uint8) - np.uint8(48)
    last = at < 32  # whether a character is the last of its number
    good = sizes > 0
    ends = sizes.cumsum()
    firsts, stops = (ends - sizes)[good], ends[good]
    good[good] = last[stops - 1]
    if len(at) and at.max() > 63:
        good[sizes > 0] &= ~np.logical_or.reduceat(at > 63, firsts)
    if not good.all():  # what is odd must not run into its neighbour
        fine = good.tolist()
        kept = [(code, most) for code, most, is_fine in zip(codes, pixels, fine, strict=True) if is_fine]
        found = iter(decode_all([code for code, _ in kept], [most for _, most in kept]) if kept else ())
        return [next(found) if is_fine else None for is_fine in fine]
    if not len(codes):
        return []
    lasts = np.flatnonzero(last)
    numbers, groups = _numbers(at, lasts)
    stops = lasts.searchsorted(ends)  # of the numbers of each mask
    counts = np.diff(stops, prepend=0)
    runs, firsts = _undone(numbers, stops, counts)
    covers = (np.add.reduceat(runs, firsts) == pixels) & (np.minimum.reduceat(runs, firsts) >= 0)
    covers &= (np.maximum.reduceat(groups, stops - counts) <= _GROUPS) & (counts <= np.array(pixels) + 1)
    data = runs.tobytes()
    made: list[array[int] | None] = []
    for start, count, is_fine in zip(firsts.tolist(), counts.tolist(), covers.tolist(), strict=True):
        made.append(array("q", data[8 * start : 8 * (start + count)]) if is_fine else None)
    return made


def turn_all(masks: Sequence[Sequence[int]], width: int, height: int) -> list[Turned]:
    """Masks of one frame size, given as row-major runs that cover it, by columns. RleError where some do not."""
    turned: list[Turned] = []
    at_once = max(1, min(AT_ONCE, _FEW_KEYS // (width + 1)))
    for first in range(0, len(masks), at_once):
        some = masks[first : first + at_once]
        turned += _turned(some, width, height) or [_alone(one, width, height) for one in some]
    return turned


def turned_ends(masks: Sequence[Sequence[int]], width: int, height: int) -> "tuple[Ints, Ints] | None":
    """Owner and column-major place of each change of value in masks given as row-major runs; None as `_turned`."""
    pieces = _pieces(masks, width, height)
    ends = pieces and _by_column(pieces, width, height)
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


def _turned(masks: Sequence[Sequence[int]], width: int, height: int) -> list[Turned] | None:
    """Some masks by columns; None where one after the other is cheaper, or where one does not cover its frame."""
    import numpy as np

    pieces = _pieces(masks, width, height)
    if pieces is None:
        return None
    filled = np.bincount(pieces.mask, minlength=len(masks))
    ends = _by_column(pieces, width, height)
    if ends is None or not filled.all():
        return None
    lasts = filled.cumsum()
    firsts = lasts - filled
    area = np.add.reduceat(pieces.stops - pieces.starts, firsts)
    above = pieces.rows * width
    x = np.minimum.reduceat(pieces.starts - above, firsts)
    across = np.maximum.reduceat(pieces.stops - above, firsts) - x
    y = pieces.rows[firsts] - np.arange(len(masks)) * height
    down = pieces.rows[lasts - 1] + 1 - pieces.rows[firsts]
    codes = encode_all(*_as_runs(ends, len(masks), width, height))
    boxes = zip(x.tolist(), y.tolist(), across.tolist(), down.tolist(), strict=True)
    return [Turned(code, pixels, box) for code, pixels, box in zip(codes, area.tolist(), boxes, strict=True)]


def encode_all(runs: "Ints", counts: "Ints") -> list[str]:
    """The compressed strings of masks whose runs lie one after the other, `counts` of them each."""
    import numpy as np

    stops = counts.cumsum()
    numbers = runs.copy()
    numbers[2:] -= runs[:-2]
    firsts = stops - counts
    for place in range(3):  # the first three of a mask are as they are
        some = firsts[counts > place] + place
        numbers[some] = runs[some]
    last, opening = _texts()
    texts = last.take(numbers + _HALF, mode="clip")
    wide = np.flatnonzero((numbers < -_HALF) | (numbers >= _HALF))
    texts[wide] = opening[numbers[wide] & 2 * _HALF - 1]
    upper = numbers[wide] >> 15
    if len(upper) and (upper.min() < -_HALF or upper.max() >= _HALF):  # runs of more pixels than any mask that is read
        return [rle.encode(runs[start:stop].tolist()) for start, stop in zip(firsts, stops, strict=True)]
    texts = np.insert(texts, wide + 1, last[upper + _HALF])
    texts[stops + wide.searchsorted(stops) - 1] |= _END
    return texts.tobytes().translate(None, b"\0").decode("ascii").split("\n")[:-1]


@lru_cache(maxsize=1)
def _texts() -> "tuple[NDArray[np.uint32], NDArray[np.uint32]]":
    """Up to three characters as one word, unused bytes 0: of numbers from -2**14 on, and of the lower 15 bits of others."""
    import numpy as np

    numbers = np.arange(-_HALF, _HALF)
    groups = 1 + (numbers < -16) + (numbers > 15) + (numbers < -512) + (numbers > 511)
    last, opening = np.zeros_like(numbers), np.zeros_like(numbers)
    for group in range(3):
        digit = numbers >> 5 * group & 31
        last |= (digit + 48 + 32 * (groups > group + 1)) * (groups > group) << 8 * group
        opening |= (np.arange(2 * _HALF) >> 5 * group & 31) + 80 << 8 * group
    return last.astype("<u4"), opening.astype("<u4")


def _alone(runs: Sequence[int], width: int, height: int) -> Turned:
    mask = rle.to_column_major(runs, width, height)
    return Turned(rle.encode(mask.runs), mask.area, mask.bbox)


def _numbers(at: "NDArray[np.uint8]", last: "Ints") -> "tuple[Ints, Ints]":
    """The signed numbers that end at `last`, and how many groups each has; one of too many has a wrong value."""
    import numpy as np

    groups = np.diff(last, prepend=-1)
    bits = (at & 31).astype(np.int32)
    three = (bits ^ 16) - 16 << 10  # each group as the highest of a number, with the two before it
    three[1:] |= bits[:-1] << 5
    three[2:] |= bits[:-2]
    ended = three[last].astype(np.int64)
    numbers = ended >> 5 * np.maximum(3 - groups, 0)
    if len(more := np.flatnonzero(groups > 3)):
        first, many = last[more] - groups[more] + 1, np.minimum(groups[more], _GROUPS)
        numbers[more] = ended[more] << 5 * (many - 3) | three[first + 2] & 2**15 - 1 | bits[first + 3] << 15
    return numbers, groups


def _undone(numbers: "Ints", stops: "Ints", counts: "Ints") -> "tuple[Ints, Ints]":
    """Runs out of differences, and the first of each mask: from the fourth on, each number is that to the run two before.

    Each mask has an even number of runs, of which the last may be one more than it has, and 0.
    """
    import numpy as np

    odd = counts & 1
    ends = (stops + odd.cumsum()) >> 1  # in pairs of numbers
    firsts = np.concatenate(([0], ends[:-1]))
    even = np.insert(numbers, stops[odd == 1], 0) if odd.any() else numbers
    runs = np.empty_like(even)
    for side in (0, 1):
        summed = even[side::2].cumsum()
        before = summed[firsts] - (even[2 * firsts + side] if side else 0)  # the first of all is of no sum
        runs[side::2] = summed - np.repeat(before, ends - firsts)
    runs[2 * firsts] = even[2 * firsts]
    runs[2 * ends[odd == 1] - 1] = 0
    return runs, 2 * firsts


def _pieces(masks: Sequence[Sequence[int]], width: int, height: int) -> _Pieces | None:
    """The pieces of masks in order; None where there are too many, or where runs do not cover the frame."""
    import numpy as np

    parts: list[bytes | array[int]] = []
    for runs in masks:
        parts.append(runs if isinstance(runs, array) else array("q", runs))
        if len(runs) % 2:
            parts.append(_NO_RUN)  # so that zeros and ones take turns across masks
    runs = np.frombuffer(b"".join(parts), dtype=np.int64)
    ends = runs.cumsum()
    pairs = np.array([len(one) + 1 >> 1 for one in masks])
    pixels = width * height
    wanted = np.arange(1, len(masks) + 1) * pixels
    if not pairs.all() or runs.min() < 0 or (ends[2 * pairs.cumsum() - 1] != wanted).any():
        return None
    if len(masks) * (width + 1) * (height + 2) < _HALF_SIZE:
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

    Each mask has the places of one column more than its frame. The method is that of `rle.to_column_major`: an edge in row y belongs to
    the boundaries above and below that row.
    """
    import numpy as np

    mask, stride, count = pieces.mask, width + 1, len(pieces.rows)
    kind = mask.dtype.type
    if not count or count * 64 > width * height * (int(mask[-1]) + 1):
        return None
    edges = np.empty(4 * count, dtype=mask.dtype)
    base = pieces.rows + mask * kind(stride)  # a place more in each row, and a boundary more in each mask
    np.add(pieces.starts, base, out=edges[0 : 2 * count : 2])
    np.add(pieces.stops, base, out=edges[1 : 2 * count : 2])
    np.add(edges[: 2 * count], kind(stride), out=edges[2 * count :])
    edges.sort(kind="stable")  # which merges two halves in order, in a tenth of the time of another sort
    starts, lengths = edges[0::2], edges[1::2] - edges[0::2]
    some = np.flatnonzero(lengths != 0)
    starts, lengths = starts[some], lengths[some]
    total = int(lengths.sum(dtype=np.int64))
    if not total or total * height > _MOST_AT_ONCE * 256:
        return None
    boundary = starts // kind(stride)
    owner = boundary // kind(height + 1)
    # The pixels between a pair of edges are neighbours in a row: one column each. Each mask has a column more than its
    # frame, and each column a place more, so that no two places are told by one number.
    first = (starts - boundary * kind(stride) + owner * kind(stride)) * kind(height + 1)
    first += boundary - owner * kind(height + 1)
    opened = lengths.cumsum(dtype=mask.dtype) - lengths
    places = np.repeat(first - opened * kind(height + 1), lengths)
    places += np.arange(0, total * (height + 1), height + 1, dtype=mask.dtype)
    columns = places // kind(height + 1)
    places -= columns
    if (int(mask[-1]) + 1) * stride <= _FEW_KEYS:
        order = np.argsort(columns.astype(np.uint16), kind="stable")  # by their digits; rows are in order
        places = places.take(order)
    else:
        places.sort()
    same = places[1:] == places[:-1]  # the run goes on from the foot of one column to the head of the next
    if not same.any():
        return places
    keep = np.ones(len(places), dtype=np.bool_)
    keep[1:] &= ~same
    keep[:-1] &= ~same
    return places[keep]


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
