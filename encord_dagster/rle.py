"""Run-length codes: the compressed alphabet, and row order (Encord) turned into column order (COCO)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A number is a little-endian sequence of 5-bit groups, one character each; `P` to `o` say that more groups follow.
NUMBER = re.compile(r"[P-o]*[0-O]")
FOREIGN = re.compile(r"[^0-o]")
MAX_GROUPS = 7  # 35 bits: more than any frame has pixels, so longer numbers are damage


class RleError(ValueError):
    """A run-length code that does not describe a mask; `str()` is the reason."""


class ColumnRuns(msgspec.Struct, frozen=True):
    """A mask as canonical column-major runs, zeros first: no run but the first is 0, their sum is width x height."""

    runs: tuple[int, ...]
    width: int
    height: int
    area: int  # pixels that are set
    bbox: tuple[int, int, int, int]  # x, y, width, height, tight; all 0 for an empty mask


def decode(text: str) -> list[int]:
    """Runs that a compressed string holds, zeros first, whatever their pixel order.

    Raises:
        RleError: characters outside the alphabet, an unfinished number, a number of more than 7 groups, a negative run.
    """
    if foreign := FOREIGN.search(text):
        raise RleError(f"character {foreign[0]!r} at position {foreign.start()} is not in the alphabet '0' to 'o'")
    if text and text[-1] > "O":
        raise RleError("the last number is unfinished: the string has been cut")
    numbers = list(map(_number, NUMBER.findall(text)))
    runs = numbers[:]
    runs[1::2] = accumulate(numbers[1::2])  # from the fourth on, each number is the difference to the run two before
    runs[2::2] = accumulate(numbers[2::2])
    if runs and min(runs) < 0:
        at = next(index for index, run in enumerate(runs) if run < 0)
        raise RleError(f"run {at} is negative ({runs[at]} pixels)")
    return runs


def encode(runs: Sequence[int]) -> str:
    """Compressed string of `runs`, as pycocotools writes it; canonical if the runs are.

    Raises:
        RleError: a negative run.
    """
    if runs and min(runs) < 0:
        raise RleError(f"a run is negative ({min(runs)} pixels)")
    return "".join(map(_code, runs[:3])) + "".join(map(_code, map(sub, runs[3:], runs[1:])))


def to_column_major(runs: Sequence[int], width: int, height: int) -> ColumnRuns:
    """The mask whose row-major runs over `width` x `height` pixels are given, by columns.

    Raises:
        RleError: a negative run, or runs that do not cover exactly the frame.
    """
    import numpy as np

    ends = _run_ends(runs, width * height)
    starts, stops = ends[0::2], ends[1::2]
    filled = stops > starts
    starts, stops = starts[filled], stops[filled]
    if not len(starts):
        return ColumnRuns((width * height,), width, height, 0, (0, 0, 0, 0))
    row, left, right = _row_pieces(starts, stops, width)
    changes = _column_changes(row, left, right, width, height)
    if changes is None:
        changes = _column_changes_dense(starts, stops, width, height)
    columns = np.diff(changes, prepend=0, append=width * height).tolist()
    if columns[-1] == 0:
        columns.pop()
    x, y = int(left.min()), int(row[0])
    bbox = (x, y, int(right.max()) - x, int(row[-1]) + 1 - y)
    return ColumnRuns(tuple(columns), width, height, int((stops - starts).sum()), bbox)


def to_dense(mask: ColumnRuns) -> "NDArray[np.bool_]":
    """Pixels of a mask, indexed [y, x].

    Raises:
        RleError: runs that do not cover exactly the frame.
    """
    import numpy as np

    flat = np.zeros(mask.width * mask.height, dtype=np.bool_)
    paint(flat, mask.runs, 1)
    return flat.reshape(mask.width, mask.height).T


def paint(flat: "NDArray[np.generic]", runs: Sequence[int], value: int) -> None:
    """Set the pixels of the odd runs to `value` in a flat canvas of the same pixel order.

    Raises:
        RleError: a negative run, or runs that do not cover exactly the canvas.
    """
    import numpy as np

    ends = list(accumulate(runs))
    if not ends or ends[-1] != len(flat) or min(runs) < 0:
        raise RleError(_not_the_frame(runs, len(flat)))
    if len(runs) * 100 > len(flat):  # so ragged that one pass over the canvas is cheaper
        flat[np.repeat(np.arange(len(runs)) % 2 == 1, runs)] = value
        return
    for start, stop in zip(ends[0::2], ends[1::2], strict=False):  # a last run of zeros has no partner
        flat[start:stop] = value


@lru_cache(maxsize=8192)
def _number(groups: str) -> int:
    """The number that a few characters of the alphabet stand for."""
    if len(groups) > MAX_GROUPS:
        raise RleError(f"a number has {len(groups)} groups; {MAX_GROUPS} hold more pixels than any frame has")
    number = sum((ord(group) - 48 & 31) << 5 * place for place, group in enumerate(groups))
    return number - (1 << 5 * len(groups)) if ord(groups[-1]) - 48 & 16 else number


@lru_cache(maxsize=8192)
def _code(number: int) -> str:
    """The characters that stand for a number."""
    groups = []
    while not -16 <= number <= 15:
        groups.append(chr(48 + 32 + (number & 31)))
        number >>= 5
    return "".join(groups) + chr(48 + (number & 31))


def _run_ends(runs: Sequence[int], pixels: int) -> "NDArray[np.int64]":
    """Where the pixel value changes: start and stop of each run of ones, an even number of ends."""
    import numpy as np

    lengths = np.array(runs, dtype=np.int64)
    ends = lengths.cumsum()
    if not len(ends) or lengths.min() < 0 or ends[-1] != pixels:
        raise RleError(_not_the_frame(runs, pixels))
    return ends[: len(ends) // 2 * 2]


def _row_pieces(
    starts: "NDArray[np.int64]", stops: "NDArray[np.int64]", width: int
) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]":
    """Row, left and right edge of each piece that runs leave in a row; runs over several rows are cut."""
    import numpy as np

    first, last = starts // width, (stops - 1) // width
    rows = last - first + 1
    if len(rows) == rows.sum():
        return first, starts - first * width, stops - first * width
    cut = rows.cumsum()
    row = np.repeat(first - cut + rows, rows) + np.arange(cut[-1])
    left = np.zeros(len(row), dtype=np.int64)
    left[cut - rows] = starts - first * width
    right = np.full(len(row), width, dtype=np.int64)
    right[cut - 1] = stops - last * width
    return row, left, right


def _column_changes(
    row: "NDArray[np.int64]", left: "NDArray[np.int64]", right: "NDArray[np.int64]", width: int, height: int
) -> "NDArray[np.int64] | None":
    """Column-major run ends without a full frame; None for a mask so ragged that a full frame is cheaper.

    An edge in row y belongs to the boundaries above and below that row. The sorted edges of one boundary, taken in
    pairs, enclose exactly the pixels that differ between the two rows: there a column's run ends.
    """
    import numpy as np

    stride = width + 1
    edges = np.concatenate((row * stride + left, row * stride + right))
    edges = np.concatenate((edges, edges + stride))
    if len(edges) * 16 > width * height:
        return None
    edges.sort()
    lengths = edges[1::2] - edges[0::2]
    total = lengths.cumsum()
    if total[-1] * 16 > width * height:
        return None
    boundary, x = np.divmod(np.repeat(edges[1::2] - total, lengths) + np.arange(total[-1]), stride)
    ends = x * height + boundary
    ends.sort()
    same = ends[1:] == ends[:-1]  # the run goes on from the foot of one column to the head of the next
    keep = np.ones(len(ends), dtype=np.bool_)
    keep[1:] &= ~same
    keep[:-1] &= ~same
    return ends[keep]


def _column_changes_dense(
    starts: "NDArray[np.int64]", stops: "NDArray[np.int64]", width: int, height: int
) -> "NDArray[np.int64]":
    """Column-major run ends by way of a full frame."""
    import numpy as np

    toggles = np.zeros(width * height + 1, dtype=np.bool_)
    toggles[starts] = True
    toggles[stops] ^= True  # a stop that is also a start is no change
    dense = np.logical_xor.accumulate(toggles[:-1]).reshape(height, width)
    columns = np.ascontiguousarray(dense.T).ravel()
    ends = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    return np.concatenate(([0], ends)) if columns[0] else ends


def _not_the_frame(runs: Sequence[int], pixels: int) -> str:
    if runs and min(runs) < 0:
        return f"a run is negative ({min(runs)} pixels)"
    return f"the runs add up to {sum(runs)} pixels, the frame has {pixels}"
