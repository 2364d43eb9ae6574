"""Run-length codes of many masks in one pass of numpy, which costs little more than one mask alone.

Equal, mask by mask, to what `rle` and the reader make of a single one; a mask that is odd in any way is left to them.
"""

from array import array
from collections.abc import Sequence
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
    sizes = np.array([len(code) for code in plain])
    good = sizes > 0
    if not good.any():
        return [None] * len(codes)
    at = np.frombuffer("".join(plain).encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    ends = sizes.cumsum()
    outside = np.add.reduceat(((at < 0) | (at > 63)).astype(np.int64), (ends - sizes)[good]) > 0
    last = at & 32 == 0  # whether a character is the last of its number
    good[good] = ~outside & last[ends[good] - 1]
    if not good.all():  # what is odd must not run into its neighbour
        kept = decode_all(
            [code for code, fine in zip(codes, good, strict=True) if fine], np.array(pixels)[good].tolist()
        )
        found = iter(kept)
        return [next(found) if fine else None for fine in good.tolist()]
    numbers, long = _numbers(at, np.flatnonzero(last))
    stops = last.cumsum()[ends - 1]  # of the numbers of each mask
    counts = np.diff(stops, prepend=0)
    runs = _undone(numbers, stops - counts, counts)
    total = np.add.reduceat(runs, stops - counts)
    fine = (np.minimum.reduceat(runs, stops - counts) >= 0) & (total == pixels) & (counts <= np.array(pixels) + 1)
    fine &= np.add.reduceat(long, stops - counts) == 0
    data = runs.tobytes()
    made: list[array[int] | None] = []
    for start, stop, is_fine in zip((stops - counts).tolist(), stops.tolist(), fine.tolist(), strict=True):
        made.append(array("q", data[8 * start : 8 * stop]) if is_fine else None)
    return made


def turn_all(masks: Sequence[Sequence[int]], width: int, height: int) -> list[Turned]:
    """Masks of one frame size, given as row-major runs that cover it, by columns. RleError where some do not."""
    turned: list[Turned] = []
    for first in range(0, len(masks), AT_ONCE):
        turned += _turned(masks[first : first + AT_ONCE], width, height)
    return turned


def _turned(masks: Sequence[Sequence[int]], width: int, height: int) -> list[Turned]:
    import numpy as np

    packed = [runs if isinstance(runs, array) else array("q", runs) for runs in masks]
    counts = np.array([len(runs) for runs in packed])
    runs = np.frombuffer(b"".join(packed), dtype=np.int64)
    if not counts.all():
        return [_alone(one, width, height) for one in masks]
    stops = counts.cumsum()
    if (np.add.reduceat(runs, stops - counts) != width * height).any() or runs.min() < 0:
        return [_alone(one, width, height) for one in masks]  # says which, and why
    if len(masks) * (width + 1) * (height + 2) < _HALF_SIZE:
        runs = runs.astype(np.int32)
    pieces = _pieces(runs, counts, width, height)
    if pieces is None:
        return [_alone(one, width, height) for one in masks]
    mask, row, left, right = pieces
    made = _by_column(mask, row, left, right, width, height)
    filled = np.bincount(mask, minlength=len(masks))
    if made is None or not filled.all():
        return [_alone(one, width, height) for one in masks]
    owner, at = made
    firsts = filled.cumsum() - filled
    area = np.add.reduceat(right - left, firsts)
    x, y = np.minimum.reduceat(left, firsts), row[firsts]
    across = np.maximum.reduceat(right, firsts) - x
    down = row[firsts + filled - 1] + 1 - y
    codes = encode_all(*_as_runs(owner, at, len(masks), width * height))
    boxes = zip(x.tolist(), y.tolist(), across.tolist(), down.tolist(), strict=True)
    return [Turned(code, pixels, box) for code, pixels, box in zip(codes, area.tolist(), boxes, strict=True)]


def turned_ends(masks: Sequence["array[int]"], width: int, height: int) -> "tuple[Ints, Ints] | None":
    """Owner and column-major place of each change of value in masks given as row-major runs that cover the frame.

    None where one mask after the other is cheaper.
    """
    import numpy as np

    counts = np.array([len(runs) for runs in masks])
    runs = np.frombuffer(b"".join(masks), dtype=np.int64)
    if len(masks) * (width + 1) * (height + 2) < _HALF_SIZE:
        runs = runs.astype(np.int32)
    pieces = _pieces(runs, counts, width, height)
    return None if pieces is None else _by_column(*pieces, width, height)


def encode_all(runs: "Ints", counts: "Ints") -> list[str]:
    """The compressed strings of masks whose runs lie one after the other, `counts` of them each."""
    import numpy as np

    numbers = runs.copy()
    place = np.arange(len(runs)) - np.repeat(counts.cumsum() - counts, counts)
    later = np.flatnonzero(place > 2)
    numbers[later] -= runs[later - 2]
    size = np.ones(len(numbers), dtype=numbers.dtype)
    folded = numbers ^ numbers >> 8 * numbers.itemsize - 1  # bits beside the sign
    for groups in range(1, _GROUPS):
        if not (more := folded >= 1 << 5 * groups - 1).any():
            break
        size += more
    ends = size.cumsum(dtype=np.int64)
    text = np.empty(ends[-1], dtype=np.uint8)
    starts = ends - size
    text[starts] = (numbers & 31) + 48 + 32 * (size > 1)
    for group in range(1, int(size.max())):
        chosen = np.flatnonzero(size > group)
        follows = 32 * (size[chosen] > group + 1)
        text[starts[chosen] + group] = (numbers[chosen] >> 5 * group & 31) + 48 + follows
    whole = text.tobytes().decode("ascii")
    stops = ends[counts.cumsum() - 1].tolist()
    return [whole[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _alone(runs: Sequence[int], width: int, height: int) -> Turned:
    mask = rle.to_column_major(runs, width, height)
    return Turned(rle.encode(mask.runs), mask.area, mask.bbox)


def _numbers(at: "Ints", last: "Ints") -> "tuple[Ints, Ints]":
    """The signed numbers that end at `last`, and 1 for each that has too many groups."""
    import numpy as np

    groups = np.diff(last, prepend=-1)
    first = last - groups + 1
    numbers = at[first] & 31
    for group in range(1, min(_GROUPS, int(groups.max()))):
        longer = np.flatnonzero(groups > group)
        numbers[longer] |= (at[first[longer] + group] & 31) << 5 * group
    long = groups > _GROUPS
    numbers -= (at[last] >> 4 & 1) << 5 * np.minimum(groups, _GROUPS)  # two's complement
    return numbers, long.astype(np.int64)


def _undone(numbers: "Ints", firsts: "Ints", counts: "Ints") -> "Ints":
    """Runs out of differences: from the fourth of a mask on, each number is that to the run two before."""
    import numpy as np

    place = np.arange(len(numbers)) - np.repeat(firsts, counts)
    runs = numbers.copy()
    for chosen in (np.flatnonzero(place & 1), np.flatnonzero((place & 1 == 0) & (place > 0))):
        if not len(chosen):
            continue
        summed = numbers[chosen].cumsum()
        opens = np.flatnonzero(place[chosen] <= 2)  # the first of its mask: what came before is not its own
        before = summed[opens] - numbers[chosen[opens]]
        runs[chosen] = summed - np.repeat(before, np.diff(opens, append=len(chosen)))
    return runs


def _pieces(runs: "Ints", counts: "Ints", width: int, height: int) -> "tuple[Ints, Ints, Ints, Ints] | None":
    """Mask, row, left and right edge of each piece that runs leave in a row; None where there are too many."""
    import numpy as np

    ends = runs.cumsum(dtype=runs.dtype)  # mask after mask, as if they were one long frame
    place = np.arange(len(runs)) - np.repeat(counts.cumsum() - counts, counts)
    ones = np.flatnonzero(place & 1)
    starts, stops = ends[ones - 1], ends[ones]
    filled = np.flatnonzero(stops > starts)
    if len(filled) < len(ones):
        starts, stops = starts[filled], stops[filled]
    first, last = starts // width, (stops - 1) // width
    rows = last - first + 1
    total = int(rows.sum())
    if total > _MOST_AT_ONCE:
        return None
    if total == len(rows):
        row, left, right = first, starts - first * width, stops - first * width
    else:
        cut = rows.cumsum(dtype=rows.dtype)
        row = np.repeat(first - cut + rows, rows) + np.arange(total, dtype=rows.dtype)
        left = np.zeros(total, dtype=rows.dtype)
        left[cut - rows] = starts - first * width
        right = np.full(total, width, dtype=rows.dtype)
        right[cut - 1] = stops - last * width
    mask = row // height
    return mask, row - mask * height, left, right


def _by_column(
    mask: "Ints", row: "Ints", left: "Ints", right: "Ints", width: int, height: int
) -> "tuple[Ints, Ints] | None":
    """Owner and column-major place of each change of a pixel's value; None where a dense frame is cheaper.

    The method is that of `rle.to_column_major`: an edge in row y belongs to the boundaries above and below that row.
    """
    import numpy as np

    stride, kind = width + 1, mask.dtype
    if not len(row) or len(row) * 64 > width * height * (int(mask[-1]) + 1):
        return None
    base = (mask * (height + 1) + row) * stride
    edges = np.concatenate((base + left, base + right))
    edges = np.concatenate((edges, edges + stride))
    edges.sort()
    starts, lengths = edges[0::2], edges[1::2] - edges[0::2]
    total = lengths.cumsum(dtype=np.int64)
    if not total[-1] or total[-1] * height > _MOST_AT_ONCE * 256:
        return None
    boundary = starts // stride
    owner = boundary // (height + 1)
    span = width * height + 1
    # the pixels of a pair of edges are neighbours in a row, so `height` apart by columns
    places = (starts - boundary * stride) * height + (boundary - owner * (height + 1)) + owner * span
    ends = np.repeat(places - height * (total - lengths).astype(kind), lengths)
    ends += np.arange(total[-1], dtype=kind) * kind.type(height)
    ends.sort()
    same = ends[1:] == ends[:-1]  # the run goes on from the foot of one column to the head of the next
    keep = np.ones(len(ends), dtype=np.bool_)
    keep[1:] &= ~same
    keep[:-1] &= ~same
    ends = ends[np.flatnonzero(keep)]
    owner = ends // span
    return owner, ends - owner * span


def _as_runs(owner: "Ints", at: "Ints", masks: int, pixels: int) -> "tuple[Ints, Ints]":
    """Runs of masks out of the places where the value changes, and how many each has."""
    import numpy as np

    inner = np.flatnonzero(at != pixels)  # a last run of ones ends where the frame does
    owner, at = owner[inner], at[inner]
    counts = np.bincount(owner, minlength=masks) + 1
    stops = counts.cumsum()
    ends = np.empty(int(stops[-1]), dtype=at.dtype)
    ends[np.arange(len(at)) + owner] = at
    ends[stops - 1] = pixels
    runs = np.diff(ends, prepend=at.dtype.type(0))
    runs[stops[:-1]] = ends[stops[:-1]]
    return runs, counts
