"""Where values lie in JSON bytes, without making anything of them: msgspec skips, and says where it stopped."""

import re
from array import array
from collections.abc import Iterable, Iterator

import msgspec

from encord_dagster.encord.scalars import UNREADABLE, Raw
from encord_dagster.storage.mapped import Data, passed

BLANKS = b" \t\n\r"
_SPACE = re.compile(rb"[ \t\n\r]*")
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_ANY = msgspec.json.Decoder(Raw)
_TEXT = msgspec.json.Decoder(str)

Span = tuple[int, int]  # where it starts, and how many bytes it has


class Spans:
    """Many spans in order, 16 bytes each. A tuple of two numbers has 120."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._flat = array("q")
        for span in spans:
            self.append(span)

    def append(self, span: Span) -> None:
        """Add one behind the others."""
        self._flat.extend(span)

    def __len__(self) -> int:
        return len(self._flat) // 2

    def __iter__(self) -> Iterator[Span]:
        numbers = iter(self._flat)
        return zip(numbers, numbers, strict=True)


class Broken(Exception):
    """The bytes are no JSON, at `byte` where that is known."""

    def __init__(self, cause: Exception, start: int) -> None:
        super().__init__(cause, start)
        found = _BYTE.search(str(cause))
        self.byte = start + int(found.group(1)) if found else None
        self.truncated = "truncated" in str(cause)
        self.deep = isinstance(cause, RecursionError)


def elements(text: Data, bracket: int, *, whole: bool = False) -> Iterator[Span]:
    """The elements of an array one by one: a list of them could be far larger than the text.

    With `whole` nothing but blanks may follow the array.
    """
    position = skip_space(text, bracket + 1)
    while text[position : position + 1] != b"]":
        end = _value_end(text, position)
        yield position, end - position
        position = _next(text, end, b"]")
        passed(text, position)
    rest = skip_space(text, position + 1)
    if whole and rest < len(text):
        raise Broken(msgspec.DecodeError("trailing characters (byte 0)"), rest)


def members(text: Data, brace: int, *, by_elements: str = "") -> Iterator[tuple[str, Span]]:
    """The keys of an object, as often as they are there, and their values; nothing but blanks may follow it.

    The array at the key `by_elements` is gone over one element at a time.
    """
    position = skip_space(text, brace + 1)
    while found := _KEY.match(text, position):
        key, colon = _decoded(found), skip_space(text, found.end())
        if text[colon : colon + 1] != b":":
            raise Broken(msgspec.DecodeError("no colon (byte 0)"), colon)
        start = skip_space(text, colon + 1)
        stepped = key == by_elements and text[start : start + 1] == b"["
        end = _array_end(text, start) if stepped else _value_end(text, start)
        yield key, (start, end - start)
        position = _next(text, end, b"}")
    rest = skip_space(text, position + 1)
    if text[position : position + 1] != b"}" or rest < len(text):
        raise Broken(msgspec.DecodeError("trailing characters (byte 0)"), rest)


def skip_space(text: Data, position: int) -> int:
    """The next byte that is no blank."""
    found = _SPACE.match(text, position)
    return found.end() if found else position


def without_space(text: Data, end: int) -> int:
    """Where the text before `end` ends without blanks."""
    while end and text[end - 1] in BLANKS:
        end -= 1
    return end


def _value_end(text: Data, position: int) -> int:
    """Where the value at `position` ends; Broken where there is none, or nothing follows it."""
    try:
        _ANY.decode(memoryview(text)[position:])
    except UNREADABLE as error:
        trailing = _BYTE.search(str(error)) if "trailing" in str(error) else None
        if trailing is None:
            raise Broken(error, position) from error
        return without_space(text, position + int(trailing.group(1)) - 1)
    raise Broken(msgspec.DecodeError("truncated"), len(text))


def _array_end(text: Data, bracket: int) -> int:
    end = bracket + 1
    for start, length in elements(text, bracket):
        end = start + length
    return skip_space(text, end) + 1


def _next(text: Data, end: int, closing: bytes) -> int:
    """Where the next element or key starts, or the closing bracket stands."""
    position = skip_space(text, end)
    mark = text[position : position + 1]
    if mark == closing:
        return position
    if mark != b",":
        raise Broken(msgspec.DecodeError("no comma (byte 0)"), position)
    position = skip_space(text, position + 1)
    if text[position : position + 1] == closing:
        raise Broken(msgspec.DecodeError("a comma too many (byte 0)"), position)
    return position


def _decoded(key: re.Match[bytes]) -> str:
    try:
        return _TEXT.decode(key.group())
    except UNREADABLE as error:
        raise Broken(error, key.start()) from error
