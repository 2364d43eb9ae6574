"""Whether JSON is plain, so that its keys can be counted by their colons, and how many it has."""

import codecs
import json
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 2**16  # bytes looked at together: they and what is made of them stay in the processor's cache


class Odd(Exception):
    """The row is not written as the platform writes rows; the tolerant reader has to look at it."""


def keys_in(text: bytes) -> int:
    """How many keys a JSON text has. Odd where one may be apart from its colon, or look like the end of a text."""
    import numpy as np

    data = np.frombuffer(text, dtype=np.uint8)
    total = 0
    for start in range(0, len(data), _BLOCK):
        total += _count(data[max(0, start - 2) : start + _BLOCK], overlap=min(start, 2))
    return total


@cache
def _room() -> "tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]":
    import numpy as np

    return tuple(np.empty(_BLOCK + 2, dtype=np.bool_) for _ in range(3))  # type: ignore[return-value]


def _count(data: "NDArray[np.uint8]", *, overlap: int) -> int:
    """The keys whose colon lies behind the first `overlap` bytes."""
    import numpy as np

    colon, found, other = (room[: len(data)] for room in _room())
    np.less(data, 32, out=other)
    if other.any():
        raise Odd
    np.equal(data, 58, out=colon)
    np.equal(data[:-1], 32, out=other[1:])
    other[0] = False
    other &= colon
    if other.any():
        raise Odd
    np.equal(data[:-1], 34, out=found[1:])
    found[0] = False
    found &= colon
    np.equal(data[:-2], 92, out=other[2:])
    other[:2] = False
    other &= found
    if other.any():
        raise Odd
    return int(np.count_nonzero(found[overlap:]))


def have_keys(text: bytes, expected: int) -> bool:
    """Whether a JSON text has so many keys, and certainly so."""
    try:
        return keys_in(text) == expected
    except Odd:
        return False


def is_utf8(raw: bytes) -> bool:
    """Whether bytes are UTF-8, also where nobody reads them."""
    if raw.isascii():
        return True
    decode, at, view = codecs.utf_8_decode, 0, memoryview(raw)
    try:
        while len(view) - at > _BLOCK:  # all of a large row at once would take several times its bytes
            at += decode(view[at : at + _BLOCK], "strict", False)[1]
        decode(view[at:], "strict", True)
    except UnicodeDecodeError:
        return False
    return True


def keys_of_part(text: bytes) -> int:
    """The same of a part of a row. Odd where an object in it has a key twice."""
    try:
        json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Odd from error
    return text.count(b'":')


def _once(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise Odd
