"""The bytes of an export cut into label rows, each with its place in those bytes; no row is opened here."""

import re
from collections.abc import Iterator

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.encord.scalars import Raw
from encord_dagster.errors import ExportError

LARGEST_EXPORT = 2 * 2**30  # bytes
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\n\r"
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b', re.DOTALL)
_LIST = msgspec.json.Decoder(list[Raw])
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ROW_KEYS = frozenset({"label_hash", "data_units", "data_hash"})
_COCO_KEYS = frozenset({"images", "annotations", "categories"})
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class RowSlice(msgspec.Struct, frozen=True):
    """One label row: `raw` is `data[offset:offset + length]` of the export, save for NaN and Infinity."""

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
    except _BAD:
        plain = _without_infinities(data)
        if plain is data:
            raise
        cut, data = _cut(plain, start), plain
    return (RowSlice(index, offset, len(raw), bytes(raw)) for index, (offset, raw) in enumerate(cut))


def _start(data: bytes) -> int:
    """Where the JSON starts; ExportError where the first bytes show that there is none."""
    if len(data) > LARGEST_EXPORT:
        raise _error(codes.TOO_LARGE, f"the export has {len(data)} bytes, at most {LARGEST_EXPORT} are read: export in parts")
    for magic, name in _PACKED.items():
        if data.startswith(magic):
            raise _error(codes.COMPRESSED_FILE, f"the export is packed with {name}: unpack it, then deliver the JSON")
    start = len(_BOM) if data.startswith(_BOM) else 0
    start = _skip_space(data, start)
    if start == len(data):
        raise _error(codes.EMPTY_FILE, "the export is empty: export again, and check that the upload finished")
    if data[start : start + 1] == b"<":
        raise _error(codes.HTML_NOT_JSON, "the export is a web page, often a login or error page: download it again")
    if data[start : start + 1] not in (b"[", b"{"):
        raise _error(codes.NOT_JSON, f"the export is not JSON at {_position(data, start)}: deliver the JSON of the export")
    return start


def _cut(data: bytes, start: int) -> list[tuple[int, Raw]]:
    """Offset and bytes of each row."""
    whole = Raw(memoryview(data)[start:]) if start else data
    return []


def _error(code: Code, message: str) -> ExportError:
    return ExportError(code.name, message)
