"""The points of many outlines read at once, where they are written as the platform writes them, to the byte.

That is `{"0":{"x":0.1234,"y":0.5},"1":...}`: the numbers that the points are kept by count up from 0, and coordinates
are decimals from 0 to 1. All bytes are looked at: what is written otherwise is never read here.
"""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]

_LONGEST = 17  # characters of a coordinate: all of its digits together are a whole number that 64 bits hold exactly
_SHORT = 10  # characters of a coordinate whose decimals are read as one word
_MOST_POINTS = 10_000  # of one outline
_WORD = 8  # bytes
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
    counted = np.arange(len(key)) - np.repeat(firsts, sizes)
    _expect(bool((data[before] == opening).all() and (x == key + 5).all() and sizes.max() <= _MOST_POINTS))
    words: Words = np.ndarray(len(data) - _WORD + 1, "<u8", data, strides=(1,))  # the text from each byte on
    keys, lengths = _keys(1 << int(sizes.max()).bit_length())
    _expect(bool((words[before + 1] == keys[counted]).all() and (key - before == lengths[counted]).all()))
    _are(words[key - 1], b'":{"x":')
    _are(words[y - 4], b',"y":')
    found = np.empty((len(key), 2))
    found[:, 0], found[:, 1] = _decimals(data, words, x + 1, y - 4), _decimals(data, words, y + 1, stop)
    return found, sizes


def _expect(found: bool) -> None:
    if not found:
        raise _Other


def _are(words: "Words", text: bytes) -> None:
    """Expect all words to start with a text."""
    import numpy as np

    behind = np.uint64(8 * (_WORD - len(text)))
    _expect(bool((words << behind == np.uint64(int.from_bytes(text, "little")) << behind).all()))


@cache
def _keys(points: int) -> "tuple[Words, Ints]":
    """How the key and the opening of each point start, and how far the colon of the key is from what is before it."""
    import numpy as np

    texts = [f'"{number}"' for number in range(points)]
    opened = "".join([f'{text}:{{"x":'[:_WORD] for text in texts])
    return np.frombuffer(opened.encode(), dtype="<u8"), np.array(list(map(len, texts))) + 1


def _decimals(data: "Bytes", words: "Words", starts: "Ints", stops: "Ints") -> "Floats":
    """Decimals from 0 to 1.9...: the quotient of two whole numbers that are exact is rounded as a text that is read."""
    import numpy as np

    lengths = stops - starts
    _expect(bool((lengths > 0).all() and (lengths != 2).all()))
    longest = int(lengths.max())
    if longest > _SHORT:
        return _long_decimals(data, starts, lengths)
    whole = data[starts] - _ZERO
    _expect(bool((whole <= 1).all() and ((data[starts + 1] == ord(".")) | (lengths == 1)).all()))
    many = np.maximum(lengths - 2, 0)
    # the decimals at the upper end of a word, with zeros before them; then pairs of digits, of pairs, and of fours
    behind = (4 * (_WORD - many)).astype(np.uint64)
    digits = (words[starts + 2] ^ np.uint64(0x3030303030303030)) << behind << behind
    _expect(not ((digits + np.uint64(0x7676767676767676) | digits) & np.uint64(0x8080808080808080)).any())
    for bits, mask in ((8, 0x00FF00FF00FF00FF), (16, 0x0000FFFF0000FFFF), (32, 0x00000000FFFFFFFF)):
        digits = digits * np.uint64(10 ** (bits // 8)) + (digits >> np.uint64(bits)) & np.uint64(mask)
    unit = 10.0 ** np.arange(_SHORT)
    found: Floats = (whole * unit[many] + digits) / unit[many]
    return found


def _long_decimals(data: "Bytes", starts: "Ints", lengths: "Ints") -> "Floats":
    """The same of some that have more digits."""
    import numpy as np

    _expect(bool((lengths <= _LONGEST).all()))
    width = int(lengths.max())
    digits: Bytes = np.lib.stride_tricks.sliding_window_view(data, width)[starts] - _ZERO
    digits[np.arange(width) >= lengths[:, None]] = 0
    point = np.uint8((ord(".") - _ZERO) % 256)
    _expect(bool((digits[:, 0] <= 1).all() and ((digits[:, 1] == point) | (lengths == 1)).all()))
    digits[:, 1] = 0
    _expect(bool((digits <= 9).all()))
    weights = 10.0 ** np.array([width - 2, 0, *range(width - 3, -1, -1)])
    found: Floats = digits @ weights / 10.0 ** (width - 2)
    return found
