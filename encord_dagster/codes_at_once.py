"""The compressed strings of many masks read and written in one pass of numpy, which costs little more than one alone.

Equal, mask by mask, to what `rle` and the reader make of a single one; a mask that is odd in any way is left to them.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from encord_dagster import rle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.signedinteger[Any]]
    Flags = NDArray[np.bool_]

_GROUPS = 7  # of 5 bits: 35 bits, more than the largest mask needs
_HALF = 2**14  # numbers from -_HALF to _HALF - 1 take three characters at most
_END = ord("\n") << 24  # behind three characters


class Runs(NamedTuple):
    """Row-major runs of many masks, an even number of each: the last may be one more than it has, and 0."""

    runs: "Ints"
    firsts: "Ints"  # of each mask among them
    counts: "Ints"  # how many each mask has
    covers: "Flags"  # whether they are exactly those of a mask of so many pixels


def decode_all(codes: Sequence[str], pixels: Sequence[int]) -> list["array[int] | None"]:
    """The row-major runs of each code; None where they are not exactly those of a mask of so many pixels."""
    if not codes:
        return []
    at, ends, good = _read(codes)
    if not good.all():  # what is odd must not run into its neighbour
        fine = good.tolist()
        kept = [(code, most) for code, most, is_fine in zip(codes, pixels, fine, strict=True) if is_fine]
        found = iter(decode_all([code for code, _ in kept], [most for _, most in kept]))
        return [next(found) if is_fine else None for is_fine in fine]
    runs, firsts, counts, covers = _decoded(at, ends, pixels)
    data = runs.tobytes()
    made: list[array[int] | None] = []
    for start, count, is_fine in zip(firsts.tolist(), counts.tolist(), covers.tolist(), strict=True):
        made.append(array("q", data[8 * start : 8 * (start + count)]) if is_fine else None)
    return made


def decode_together(codes: Sequence[str], pixels: Sequence[int]) -> Runs | None:
    """The same of one or more codes, side by side; None where one is no code at all."""
    at, ends, good = _read(codes)
    return _decoded(at, ends, pixels) if good.all() else None


def _read(codes: Sequence[str]) -> "tuple[NDArray[np.uint8], Ints, Flags]":
    """The digits of all codes, where each code ends among them, and whether each is whole numbers and nothing else."""
    import numpy as np

    plain = [code if code.isascii() else "" for code in codes]
    sizes = np.array(list(map(len, plain)), dtype=np.int64)
    at = np.frombuffer("".join(plain).encode("ascii"), dtype=np.uint8) - np.uint8(48)
    good = sizes > 0
    ends = sizes.cumsum()
    good[good] = at[ends[good] - 1] < 32
    if len(at) and at.max() > 63:
        good[sizes > 0] &= ~np.logical_or.reduceat(at > 63, (ends - sizes)[sizes > 0])
    return at, ends, good


def _decoded(at: "NDArray[np.uint8]", ends: "Ints", pixels: Sequence[int]) -> Runs:
    import numpy as np

    lasts = np.flatnonzero(at < 32)  # characters that are the last of their number
    numbers, groups = _numbers(at, lasts)
    stops = lasts.searchsorted(ends)  # of the numbers of each mask
    counts = np.diff(stops, prepend=0)
    runs, firsts = _undone(numbers, stops, counts)
    covers = (np.add.reduceat(runs, firsts) == pixels) & (np.minimum.reduceat(runs, firsts) >= 0)
    covers &= (np.maximum.reduceat(groups, stops - counts) <= _GROUPS) & (counts <= np.array(pixels) + 1)
    return Runs(runs, firsts, counts, covers)


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
    """Characters as one word, unused bytes 0: of numbers from -_HALF on, and of the lower 15 bits of longer ones."""
    import numpy as np

    numbers = np.arange(-_HALF, _HALF)
    groups = 1 + (numbers < -16) + (numbers > 15) + (numbers < -512) + (numbers > 511)
    last, opening = np.zeros_like(numbers), np.zeros_like(numbers)
    for group in range(3):
        digit = numbers >> 5 * group & 31
        last |= (digit + 48 + 32 * (groups > group + 1)) * (groups > group) << 8 * group
        opening |= (np.arange(2 * _HALF) >> 5 * group & 31) + 80 << 8 * group
    return last.astype("<u4"), opening.astype("<u4")


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
    """Runs out of differences, and the first of each mask; from its fourth on, a number is that to the run two before.

    Each mask has an even number of runs here, of which the last may be one more than it has, and 0.
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
