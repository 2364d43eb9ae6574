"""Whether JSON is plain, so that its keys can be counted by their colons, and how many it has."""

import codecs
import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from encord_dagster.encord.scalars import FRAME_NUMBER, UNREADABLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 2**17  # bytes looked at together: they and what is made of them stay in the processor's cache
OLD_SHAPES = frozenset({"bounding_box", "rotatable_bounding_box", "rot_bounding_box"})
OLD_FLAG = "manual_annotation"
_SUSPECT = [f'"{name}":'.encode() for name in (*OLD_SHAPES, OLD_FLAG, "theta")]
_ESCAPED_QUOTE = b"\\u0022"  # the text that JSON can also write as \"


class Odd(Exception):
    """The row is not written as the platform writes rows; the tolerant reader has to look at it."""


def have_keys(text: bytes, expected: int) -> bool:
    """Whether a JSON text has so many keys, and certainly so; `expected` is how many of them are known, or fewer.

    What is counted is colons behind a quote or a blank. Each key has one, so there are at least as many as keys; a text
    can hold more. Where they are as many as the keys that are known, there is no other key, and no such text.
    """
    import numpy as np

    data = np.frombuffer(text, dtype=np.uint8)
    total = 0
    for start in range(0, len(data), _BLOCK):
        block = data[max(0, start - 1) : start + _BLOCK]
        if block.min() < 32:  # a line feed can stand before a colon too
            return False
        total += _colons(block)
    return total == expected


def _colons(block: "NDArray[np.uint8]") -> int:
    """The colons behind a quote or a blank."""
    import numpy as np

    before, colon, found = (room[: len(block) - 1] for room in _room())
    np.bitwise_or(block[:-1], 2, out=before)  # which a quote and a blank differ by
    np.equal(before, 34, out=found)
    np.equal(block[1:], 58, out=colon)
    found &= colon
    return int(np.count_nonzero(found))


@cache
def _room() -> "tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]":
    import numpy as np

    return tuple(np.empty(_BLOCK, dtype=kind) for kind in (np.uint8, np.bool_, np.bool_))  # type: ignore[return-value]


def have_keys_once(rows: bytes) -> bool:
    """Whether no object in rows, with commas between them, has a key twice, or one that means something unread."""
    return written_again(rows) is not None


def written_again(rows: bytes) -> bytes | None:
    """Rows with the same keys in a list, without white space; None where `have_keys_once` is not so.

    Of a key that is there twice one value is decoded, and written again the rows have fewer quotes. The tolerant reader
    looks at old names of keys, at frames beside the labels of an image, and at angles of boxes that cannot be turned.
    """
    if _ESCAPED_QUOTE in rows:
        return None
    try:
        found = msgspec.json.decode(b"[" + rows + b"]")
    except UNREADABLE:
        return None
    written = msgspec.json.encode(found)
    if written.count(b'"') != rows.count(b'"'):
        return None
    labels = [unit["labels"] for row in found for unit in row["data_units"].values()]
    if any(map(_has_frames_beside, labels)):
        return None
    if any(name in written for name in _SUSPECT) and any(map(_means_more, _objects(labels))):
        return None
    return written


def _has_frames_beside(labels: dict[str, Any]) -> bool:
    return "objects" in labels and any(map(FRAME_NUMBER.fullmatch, labels))


def _objects(labels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in labels:
        for frame in [one] if "objects" in one else one.values():
            yield from frame["objects"]


def _means_more(one: dict[str, Any]) -> bool:
    """Whether an object has a shape of an old name, or what has to be a value and is none: old flag, angle of a box."""
    old = not OLD_SHAPES.isdisjoint(one) or isinstance(one.get(OLD_FLAG), dict | list)
    return old or "theta" in one.get("boundingBox", ())


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
    """How many keys a part of a row has. Odd where an object in it has a key twice."""
    keys = 0

    def once(pairs: list[tuple[str, object]]) -> None:
        nonlocal keys
        keys += len(pairs)
        if len(dict(pairs)) != len(pairs):
            raise Odd

    try:
        json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Odd from error
    return keys
