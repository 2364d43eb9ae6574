"""The points of many outlines read at once, where they are written as the platform writes them, to the byte.

That is `{"0":{"x":0.1234,"y":0.5},"1":...}`: the numbers that the points are kept by count up from 0, and coordinates
are decimals from 0 to 1. All bytes are looked at: what is written otherwise is never read here.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_LONGEST = 17  # characters of a coordinate: all of its digits together are a whole number that 64 bits hold exactly
_ZERO = ord("0")


class _Other(Exception):
    """It is not written like that."""


def read_points(texts: Sequence[bytes]) -> "tuple[Floats, Ints] | None":
    """Coordinates of all points, and how many points each outline has; None where one is not written as above."""
    import numpy as np

    data = np.frombuffer(b"".join([*texts, b" " * _LONGEST]), dtype=np.uint8)
    ends = np.fromiter(accumulate(map(len, texts)), dtype=np.int64, count=len(texts))
    try:
        return _read(data, ends)
    except _Other:
        return None


def _read(data: "Bytes", ends: "Ints") -> "tuple[Floats, Ints]":
    import numpy as np

    colons, closers = np.flatnonzero(data == ord(":")), np.flatnonzero(data == ord("}"))
    _expect(len(colons) % 3 == 0 and len(closers) == len(colons) // 3 + len(ends))
    key, x, y = colons.reshape(-1, 3).T
    behind = np.searchsorted(key, ends)  # the first point of the next outline
    sizes = np.diff(behind, prepend=0)
    _expect(bool((sizes > 0).all()))
    last = behind + np.arange(len(ends))  # of closers: the one of the outline itself
    _expect(bool((closers[last] == ends - 1).all()))
    stop = np.delete(closers, last)
    before = np.concatenate(([-1], stop[:-1])) + 1  # the comma before a point, or what opens its outline
    firsts = behind - sizes
    before[firsts] = ends - np.diff(ends, prepend=0)
    opening = np.full(len(before), ord(","), dtype=np.uint8)
    opening[firsts] = ord("{")
    _expect(bool((data[before] == opening).all() and (x == key + 5).all()))
    _are(data, before + 1, b'"')
    _are(data, key - 1, b'":{"x":')
    _are(data, y - 4, b',"y":')
    counted = np.arange(len(key)) - np.repeat(firsts, sizes)
    _expect(bool((_whole(data, before + 2, key - 1) == counted).all()))
    found = np.stack((_decimals(data, x + 1, y - 4), _decimals(data, y + 1, stop)), axis=1)
    return found, sizes


def _expect(found: bool) -> None:
    if not found:
        raise _Other


def _are(data: "Bytes", places: "Ints", text: bytes) -> None:
    """Expect a text at all places."""
    for offset, byte in enumerate(text):
        _expect(bool((data[places + offset] == byte).all()))


def _digits(data: "Bytes", starts: "Ints", lengths: "Ints") -> "Bytes":
    """The characters of texts as digits, one text a row, with zeros behind; what is no digit is more than 9."""
    import numpy as np

    width = int(lengths.max())
    found: Bytes = np.lib.stride_tricks.sliding_window_view(data, width)[starts] - _ZERO
    if int(lengths.min()) < width:
        found[np.arange(width) >= lengths[:, None]] = 0
    return found


def _whole(data: "Bytes", starts: "Ints", stops: "Ints") -> "Ints":
    """Whole numbers of at most 4 digits, without zeros before them."""
    import numpy as np

    lengths = stops - starts
    _expect(bool((lengths > 0).all() and (lengths <= 4).all()))
    digits = _digits(data, starts, lengths)
    _expect(bool((digits <= 9).all() and ((digits[:, 0] > 0) | (lengths == 1)).all()))
    width = digits.shape[1]
    found: Ints = digits @ 10 ** np.arange(width - 1, -1, -1) // 10 ** (width - lengths)
    return found


def _decimals(data: "Bytes", starts: "Ints", stops: "Ints") -> "Floats":
    """Decimals from 0 to 1.9...: the quotient of two whole numbers that are exact is rounded as a text that is read."""
    import numpy as np

    lengths = stops - starts
    _expect(bool((lengths > 0).all() and (lengths <= _LONGEST).all() and (lengths != 2).all()))
    digits = _digits(data, starts, lengths)
    _expect(bool((digits[:, 0] <= 1).all()))
    width = digits.shape[1]
    if width == 1:
        return digits[:, 0].astype(np.float64)
    point = np.uint8((ord(".") - _ZERO) % 256)
    _expect(bool(((digits[:, 1] == point) | (lengths == 1)).all()))
    digits[:, 1] = 0
    _expect(bool((digits <= 9).all()))
    weights = 10.0 ** np.array([width - 2, 0, *range(width - 3, -1, -1)])
    found: Floats = digits @ weights / 10.0 ** (width - 2)
    return found
