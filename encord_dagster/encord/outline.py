"""What one JSON text is, and where in it the label rows are; no row is opened here."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.encord.notes import quote
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw
from encord_dagster.encord.spans import BLANKS, Broken, Span, elements, members, skip_space, without_space
from encord_dagster.errors import ExportError

MOST_ROWS = 5_000_000
_MOST_KEYS = 1000  # beside the rows: a wrapper has a handful
_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?:-?\bInfinity\b|\bNaN\b)(?!\s*:)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ROW_KEYS = frozenset({"label_hash", "data_units", "data_hash"})
_COCO_KEYS = frozenset({"images", "annotations", "categories"})


class Outline(msgspec.Struct, frozen=True):
    """What a text is, and where in it the rows are."""

    kind: Literal["labels", "coco"]
    rows: Sequence[Span] = ()
    ontology: Span | None = None


class _Outer(msgspec.Struct):
    """The keys that tell what an object is, unread. A dictionary of all keys could be far larger than the object."""

    label_hash: Raw = ABSENT
    data_units: Raw = ABSENT
    data_hash: Raw = ABSENT
    labels: Raw = ABSENT
    images: Raw = ABSENT
    annotations: Raw = ABSENT
    categories: Raw = ABSENT


_OUTER = msgspec.json.Decoder(_Outer)


def read_outline(text: bytes) -> tuple[Outline, bytes]:
    """The outline of a text, and the text that its rows are to be taken from; ExportError where it is no export."""
    broken: Broken | None = None
    for readable, source in _spellings(text):
        try:
            return _outline(readable), source
        except Broken as error:
            broken = error
    raise _unreadable(broken, text) from broken


def _spellings(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The text as it can be cut, and as its rows are to be read; later ones only matter where earlier ones fail.

    NaN and Infinity, which Python's writer emits, become texts of their length: the object that holds one is then
    quarantined for it. Halves of a surrogate pair are made good for cutting only, so that the row that holds one is
    quarantined and no other. Every offset stays true.
    """
    yield text, text
    source = text
    if b"NaN" in text or b"Infinity" in text:
        source = _TOKEN.sub(_as_text, text)
        yield source, source
    if _HALF.search(source):
        yield _ESCAPE.sub(_as_whole, source), source


def _as_text(token: re.Match[bytes]) -> bytes:
    word = token.group()
    return word if word.startswith(b'"') else b'"' + word[:-2] + b'"'


def _as_whole(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(escape.group()) > 2 else escape.group()


def _outline(text: bytes) -> Outline:
    """Where the rows of one file are; Broken where it is no JSON, ExportError where it is no export."""
    start = _start(text)
    if text[start : start + 1] == b"[":
        return Outline("labels", _checked(text, _counted(elements(text, start, whole=True))))
    try:
        outer = _OUTER.decode(memoryview(text)[start:])
    except UNREADABLE as error:
        if "trailing" in str(error):
            return Outline("labels", _checked(text, _counted(_lines(text, start))))
        raise Broken(error, start) from error
    keys = _present(outer)
    if not _ROW_KEYS & keys:
        if bytes(memoryview(outer.labels)[:1]) == b"[":
            return _wrapper(text, _once(text, start))
        if keys >= _COCO_KEYS:
            _once(text, start)
            return Outline("coco")
    return Outline("labels", _checked(text, [(start, without_space(text, len(text)) - start)]))


def _start(text: bytes) -> int:
    """Where the JSON starts; ExportError where the first bytes show that there is none."""
    start = skip_space(text, len(_BOM) if text.startswith(_BOM) else 0)
    first = text[start : start + 1]
    if not first:
        raise _error(codes.EMPTY_FILE, "the export is empty: export again, and check that the upload finished")
    if first == b"<":
        raise _error(codes.HTML_NOT_JSON, "the export is a web page, often a login or error page: download it again")
    if first not in b"[{":
        if _is_value(text[start:]):
            raise _error(codes.NOT_LABEL_ROWS, "the export is one bare value: deliver Encord's label export")
        message = f"the export is not JSON at {_position(text, start)}: deliver Encord's JSON export"
        raise _error(codes.NOT_JSON, message)
    return start


def _is_value(text: bytes) -> bool:
    """Whether a text is JSON."""
    try:
        msgspec.json.decode(text, type=Raw)
    except UNREADABLE:
        return False
    return True


def _wrapper(text: bytes, places: dict[str, Span]) -> Outline:
    """The SDK's dump: rows in `labels`, and the ontology beside them."""
    rows = _checked(text, _counted(elements(text, places["labels"][0])))
    at, length = places.get("ontology", (0, 0))
    return Outline("labels", rows, (at, length) if text[at : at + 1] == b"{" and length > len(b"{}") else None)


def _once(text: bytes, brace: int) -> dict[str, Span]:
    """The values around the rows by key. Of a key that is there twice, msgspec would show the last one only."""
    found: dict[str, Span] = {}
    for key, span in members(text, brace):
        if key in found:
            message = f"the export has the key {quote(key)} twice, and either value may be the right one: export again"
            raise _error(codes.DUPLICATE_KEY, message)
        found[key] = span
        if len(found) > _MOST_KEYS:
            message = f"the export has more than {_MOST_KEYS} keys around its rows: deliver Encord's label export"
            raise _error(codes.NOT_LABEL_ROWS, message)
    return found


def _lines(text: bytes, start: int) -> Iterator[Span]:
    """One row per line."""
    position = start
    while position < len(text):
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end].strip(BLANKS)
        if line:
            at = skip_space(text, position)
            try:
                _OUTER.decode(line)
            except UNREADABLE as error:
                raise Broken(error, at) from error
            yield at, len(line)
        position = end + 1


def _counted(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for span in spans:
        found.append(span)
        if len(found) > MOST_ROWS:
            raise too_many_rows()
    return found


def _checked(text: bytes, rows: list[Span]) -> list[Span]:
    """The rows, where at least one of them can be a label row; single bad ones are the row reader's."""
    view = memoryview(text)
    first: set[str] = set()
    for offset, length in rows:
        try:
            keys = _present(_OUTER.decode(view[offset : offset + length]))
        except UNREADABLE:
            continue
        if _ROW_KEYS & keys:
            return rows
        first = first or keys
    if not rows:
        return rows
    if first >= _COCO_KEYS:
        raise coco_refused()
    message = "the export is JSON, but no entry has a label_hash or data_units: deliver Encord's label export"
    raise _error(codes.NOT_LABEL_ROWS, message)


def _present(outer: _Outer) -> set[str]:
    return {name for name in _Outer.__struct_fields__ if getattr(outer, name) is not ABSENT}


def _unreadable(broken: Broken | None, text: bytes) -> ExportError:
    if broken is None or broken.truncated:
        return _error(codes.TRUNCATED_JSON, "the export ends in the middle: upload it again and compare its size")
    if broken.deep:
        return _error(codes.TOO_DEEP, "the export is nested deeper than any label row is: export again")
    place = "" if broken.byte is None else f" at {_position(text, broken.byte)}"
    return _error(codes.NOT_JSON, f"the export is not JSON{place}: export again, and do not edit it by hand")


def _position(text: bytes, byte: int) -> str:
    before = text[:byte]
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    line = before.count(b"\n") + 1
    return f"line {line}, column {column}"


def coco_refused() -> ExportError:
    """The error for a COCO file where label rows are wanted."""
    message = "the export is Encord's COCO export, which lacks label rows: export in Encord's own JSON format"
    return _error(codes.COCO_NOT_LABELS, message)


def too_many_rows() -> ExportError:
    """The error for more than MOST_ROWS rows."""
    return _error(codes.TOO_MANY_ROWS, f"the export has more than {MOST_ROWS} rows: export in parts")


def _error(code: Code, message: str) -> ExportError:
    return ExportError(code.name, message)
