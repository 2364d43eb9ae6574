"""The bytes of an export cut into label rows, each with its place in those bytes; no row is opened here."""

import re
from collections.abc import Iterator

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.encord.scalars import UNREADABLE, Raw
from encord_dagster.errors import ExportError

LARGEST_EXPORT = 2 * 2**30  # bytes
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \t\n\r]*")
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"(\xb5/\xfd": "zstd", b"BZh": "bzip2"}
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\bInfinity\b|\bNaN\b', re.DOTALL)
_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_ROW_KEYS = frozenset({"label_hash", "data_units", "data_hash"})
_COCO_KEYS = frozenset({"images", "annotations", "categories"})
_LIST = msgspec.json.Decoder(list[Raw])
_OBJECT = msgspec.json.Decoder(dict[str, Raw])

_Cut = list[tuple[int, Raw]]  # offset and bytes of each row


class RowSlice(msgspec.Struct, frozen=True):
    """One label row. `raw` is `data[offset:offset + length]`, but for NaN and Infinity, which come as text."""

    index: int
    offset: int
    length: int
    raw: bytes


def iter_rows(data: bytes) -> Iterator[RowSlice]:
    """The label rows of an export: an array, one row, the SDK's wrapper, or one row per line.

    Raises ExportError, before the first row, where the bytes are anything else.
    """
    start = _start(data)
    try:
        cut = _cut(data, start)
    except _Broken as broken:
        plain = _without_infinities(data)
        if plain is None:
            raise broken.as_error(data) from broken
        try:
            cut = _cut(plain, start)
        except _Broken as still:
            raise still.as_error(data) from still
    return (RowSlice(index, offset, len(raw), bytes(raw)) for index, (offset, raw) in enumerate(cut))


class _Broken(Exception):
    """A part of the export, from `start`, is no JSON."""

    def __init__(self, cause: Exception, start: int) -> None:
        super().__init__(cause, start)
        found = _BYTE.search(str(cause))
        self.byte = start + int(found.group(1)) if found else None
        self.truncated = "truncated" in str(cause)
        self.deep = isinstance(cause, RecursionError)

    def as_error(self, data: bytes) -> ExportError:
        if self.truncated:
            return _error(codes.TRUNCATED_JSON, "the export ends in the middle: upload it again and compare its size")
        if self.deep:
            return _error(codes.NOT_JSON, "the export is nested deeper than any label row is: export again")
        place = "" if self.byte is None else f" at {_position(data, self.byte)}"
        return _error(codes.NOT_JSON, f"the export is not JSON{place}: export again, and do not edit it by hand")


def _start(data: bytes) -> int:
    """Where the JSON starts; ExportError where the first bytes show that there is none."""
    if len(data) > LARGEST_EXPORT:
        message = f"the export has {len(data)} bytes, at most {LARGEST_EXPORT} are read: export in parts"
        raise _error(codes.TOO_LARGE, message)
    for magic, name in _PACKED.items():
        if data.startswith(magic):
            raise _error(codes.COMPRESSED_FILE, f"the export is packed with {name}: unpack it and deliver the JSON")
    start = _skip_space(data, len(_BOM) if data.startswith(_BOM) else 0)
    first = data[start : start + 1]
    if not first:
        raise _error(codes.EMPTY_FILE, "the export is empty: export again, and check that the upload finished")
    if first == b"<":
        raise _error(codes.HTML_NOT_JSON, "the export is a web page, often a login or error page: download it again")
    if first not in b"[{":
        message = f"the export is not JSON at {_position(data, start)}: deliver Encord's JSON export"
        raise _error(codes.NOT_JSON, message)
    return start


def _cut(data: bytes, start: int) -> _Cut:
    view = memoryview(data)[start:]
    if data[start : start + 1] == b"[":
        return _checked(_located(data, start, _decode_list(view, start)))
    try:
        keys = _OBJECT.decode(view)
    except UNREADABLE as error:
        if "trailing" in str(error):
            return _lines(data, start)
        raise _Broken(error, start) from error
    labels = keys.get("labels")
    if labels is not None and bytes(memoryview(labels)[:1]) == b"[" and not _ROW_KEYS & keys.keys():
        at = data.find(labels, start)
        return _checked(_located(data, at, _decode_list(memoryview(labels), at)))
    return _checked([(start, Raw(view[: len(data.rstrip()) - start]))])


def _lines(data: bytes, start: int) -> _Cut:
    """One row per line."""
    cut: _Cut = []
    position = start
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end < 0 else end
        line = data[position:end].strip()
        if line:
            at = _skip_space(data, position)
            try:
                cut.append((at, _decode_object(line)))
            except UNREADABLE as error:
                raise _Broken(error, at) from error
        position = end + 1
    return _checked(cut)


def _checked(cut: _Cut) -> _Cut:
    """The rows, where at least one of them can be a label row; single bad ones are the row reader's."""
    if not cut:
        return cut
    first: set[str] = set()
    for _, raw in cut:
        keys = _keys(raw)
        if _ROW_KEYS & keys:
            return cut
        first = first or keys
    if first >= _COCO_KEYS:
        message = "the export is Encord's COCO export, which lacks label rows: export in Encord's own JSON format"
        raise _error(codes.COCO_NOT_LABELS, message)
    message = "the export is JSON, but no entry has a label_hash or data_units: deliver Encord's label export"
    raise _error(codes.NOT_LABEL_ROWS, message)


def _keys(raw: Raw) -> set[str]:
    try:
        return set(_OBJECT.decode(raw))
    except UNREADABLE:
        return set()


def _located(data: bytes, bracket: int, rows: list[Raw]) -> _Cut:
    """The rows with their offsets: only blanks and one comma lie between them."""
    cut: _Cut = []
    position = bracket + 1
    for raw in rows:
        position = _skip_space(data, position)
        cut.append((position, raw))
        position = _skip_space(data, position + len(raw)) + 1
    return cut


def _decode_list(view: memoryview, start: int) -> list[Raw]:
    try:
        return _LIST.decode(view)
    except UNREADABLE as error:
        raise _Broken(error, start) from error


def _decode_object(line: bytes) -> Raw:
    _OBJECT.decode(line)
    return Raw(line)


def _without_infinities(data: bytes) -> bytes | None:
    """The bytes with NaN and Infinity, which Python's writer emits, as texts of their length; None without any.

    The object that holds one is then quarantined for it, and every offset stays true.
    """
    if b"NaN" not in data and b"Infinity" not in data:
        return None
    return _TOKEN.sub(_as_text, data)


def _as_text(token: re.Match[bytes]) -> bytes:
    word = token.group()
    return word if word.startswith(b'"') else b'"' + word[:-2] + b'"'


def _position(data: bytes, byte: int) -> str:
    before = data[:byte]
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    line = before.count(b"\n") + 1
    return f"line {line}, column {column}"


def _skip_space(data: bytes, position: int) -> int:
    found = _SPACE.match(data, position)
    return found.end() if found else position


def _error(code: Code, message: str) -> ExportError:
    return ExportError(code.name, message)
