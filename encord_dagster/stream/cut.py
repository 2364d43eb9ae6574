"""Rows cut out of a file that is too large to be read: at the text that opens each of them.

That text can open an inner object too. A piece that is cut there is no JSON, so it is never taken for a row.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import msgspec

from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.spans import BLANKS
from encord_dagster.storage.arriving import open_arriving

CHUNK = 2**18  # bytes read at a time: with what is made of them they stay in the cache; a larger row is read whole
_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?[ \t\r\n]*\[[ \t\r\n]*(\{[ \t\r\n]*"[^"\\]{1,64}"[ \t\r\n]*:)')
_LOOK = 2**16
_HELD = 16  # chunks in which no row opens: a longer row is looked for first, and then read at once
_BLANKS = tuple(bytes([blank]) for blank in BLANKS)
_ONE = msgspec.json.Decoder(msgspec.Raw)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


class Unusual(Exception):
    """The export cannot be converted this way; through a lake in memory it can, or that says what is wrong."""


class Cuts(msgspec.Struct, frozen=True):
    """Where a file can be cut. `opening` is what rows open with; a range starts with a row and ends before the next."""

    opening: bytes
    ranges: tuple[tuple[int, int], ...]


def cuts(path: Path, parts: int) -> Cuts:
    """Cut an array of rows into about equal ranges. Unusual where the file does not look like one."""
    with open_arriving(path) as file:
        head = _HEAD.match(file.read(_LOOK))
        if head is None:
            raise Unusual("it does not start as an array of label rows")
        first, opening, end = head.start(1), head[1], _end(file)
        starts = [first]
        for part in range(1, parts):
            found = _row_after(file, max(starts[-1] + 1, first + (end - first) * part // parts), end, opening)
            if found is not None:
                starts.append(found)
    return Cuts(opening, tuple(zip(starts, [*starts[1:], end], strict=True)))


class Chunk:
    """Some rows that lie beside each other: their text, from the first to the last, and where it lies in the file."""

    def __init__(self, text: bytes, at: int) -> None:
        self.text, self.end = text, at + len(text)
        self._at = at

    @cached_property
    def pieces(self) -> Sequence[RowSlice]:
        """The rows, cut apart: a tenth of all time. Unusual where they are none."""
        return _rows(self.text, self._at)


def rows(
    path: Path, start: int, end: int, opening: bytes, *, last: bool, chunk: int = CHUNK
) -> Iterator[Sequence[RowSlice]]:
    """The rows of a range, some at a time; `last`: it ends the array. Unusual where it holds else."""
    return (some.pieces for some in chunks(path, start, end, opening, last=last, chunk=chunk))


def chunks(path: Path, start: int, end: int, opening: bytes, *, last: bool, chunk: int = CHUNK) -> Iterator[Chunk]:
    """The same, not cut yet, and so not known to be rows."""
    with open_arriving(path) as file:
        file.seek(start)
        room, held, at, left = bytearray(2 * chunk), 0, start, end - start
        while left or held:
            seen = max(1, held - len(opening) + 1)
            got = _read_into(room, held, file, min(chunk, left))
            held, left = held + got, left - got
            cut = room.rfind(opening, seen, held) if left else held
            if cut < 0 and held < _HELD * chunk:
                continue
            if cut < 0:
                stop = _row_after(file, at + max(1, held - len(opening) + 1), end, opening) or end
                held, left = 0, end - stop
                yield _rows_between(file, at, stop, more=stop < end or not last)
                at = stop
                continue
            with memoryview(room) as view:
                text = bytes(view[: _stop(room, cut, more=cut < held or not last)])
            yield Chunk(text, at)
            del text  # before more is read: with all that is made of it, it takes memory
            rest = room[cut:held]
            room[: len(rest)], held = rest, len(rest)
            at += cut


def _read_into(room: bytearray, held: int, file: BufferedReader, size: int) -> int:
    """Read behind what is held; how many bytes."""
    if held + size > len(room):
        room.extend(bytes(held + size))
    with memoryview(room) as view, view[held : held + size] as free:
        got = file.readinto(free) if size else 0
    if size and not got:
        raise Unusual("the file has become shorter")
    return got


def _rows_between(file: BinaryIO, at: int, stop: int, *, more: bool) -> Chunk:
    """A row that is large, or several. What is behind it is looked at first, so that its bytes are held once."""
    file.seek(max(at, stop - _LOOK))
    tail = file.read(stop - file.tell())
    behind = len(tail) - _stop(tail, len(tail), more=more)
    file.seek(at)
    text = file.read(stop - behind - at)
    file.seek(stop)
    return Chunk(text, at)


def _stop(text: bytes | bytearray, end: int, *, more: bool) -> int:
    """Where rows stop that end there: before the comma where more rows follow."""
    stop = _without_blanks(text, end)
    if (text[stop - 1 : stop] == b",") != more:
        raise Unusual("rows are not separated as in an array")
    return _without_blanks(text, stop - 1) if more else stop


def _without_blanks(text: bytes | bytearray, stop: int) -> int:
    while text[stop - 1 : stop] in _BLANKS and stop:
        stop -= 1
    return stop


def _rows(body: bytes, at: int) -> list[RowSlice]:
    if len(body) > 2 * CHUNK and _is_one(body):  # no copies of a large row
        return [RowSlice(0, at, len(body), body)]
    try:
        values = _ROWS.decode(b"[" + body + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unusual("it cannot be cut into rows") from error
    found = []
    place = 0
    for value in values:
        raw = bytes(value)
        if raw[:1] != b"{":
            raise Unusual("it holds something that is no row")
        place = body.index(b"{", place)
        found.append(RowSlice(0, at + place, len(raw), raw))
        place += len(raw)
    return found


def _is_one(text: bytes) -> bool:
    """Whether a text is one JSON object."""
    try:
        return bytes(memoryview(_ONE.decode(text))[:1]) == b"{" == text[:1]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _end(file: BinaryIO) -> int:
    """Where the array ends."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _LOOK))
    tail = file.read().rstrip(BLANKS)
    if not tail.endswith(b"]"):
        raise Unusual("it does not end as an array")
    return max(0, size - _LOOK) + len(tail) - 1


def _row_after(file: BinaryIO, place: int, end: int, opening: bytes) -> int | None:
    """The first row from a place on, None where none is found before the end."""
    while place < end:
        file.seek(max(0, place - 1))
        block = file.read(min(CHUNK, end - place) + 1)
        at = block.find(opening, 1)
        while at > 0:
            if block[:at].rstrip(BLANKS).endswith(b","):
                return max(0, place - 1) + at
            at = block.find(opening, at + 1)
        place += max(1, len(block) - len(opening))
    return None
