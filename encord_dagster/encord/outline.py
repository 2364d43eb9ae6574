"""What one JSON text is, and where in it the label rows are; no row is opened here."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.encord.notes import quote
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw
from encord_dagster.encord.spans import Broken, Span, Spans, elements, members, skip_space, without_space
from encord_dagster.errors import ExportError
from encord_dagster.storage.mapped import Data, Mapped, passed, slices, substituted

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
    rows: Spans
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


def read_outline(text: Data) -> tuple[Outline, Data]:
    """The outline of a text, and the text that its rows are to be taken from; ExportError where it is no export."""
    broken: Broken | None = None
    try:
        for readable, source in _spellings(text):
            try:
                return _outline(readable), source
            except Broken as error:
                broken = error
        raise _unreadable(broken, text) from broken
    finally:
        broken = None  # it holds this frame, which must not hold it: the text would stay until cycles are looked for


def _spellings(text: Data) -> Iterator[tuple[Data, Data]]:
    """The text as it can be cut, and as its rows are to be read; later ones only matter where earlier ones fail.

    NaN and Infinity, which Python's writer emits, become texts of their length: the object that holds one is then
    quarantined for it. Halves of a surrogate pair are made good for cutting only, so that the row that holds one is
    quarantined and no other. Every offset stays true.
    """
    yield text, text
    source = text
    if b"NaN" in text or b"Infinity" in text:
        source = substituted(text, _TOKEN, _as_text)
        yield source, source
    if _HALF.search(source):
        yield substituted(source, _ESCAPE, _as_whole), source


def _as_text(token: re.Match[bytes]) -> bytes:
    word = token.group()
    return word if word.startswith(b'"') else b'"' + word[:-2] + b'"'


def _as_whole(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(escape.group()) > 2 else escape.group()


def _outline(text: Data) -> Outline:
    """Where the rows of one file are; Broken where it is no JSON, ExportError where it is no export."""
    start = _start(text)
    if text[start : start + 1] == b"[":
        return Outline("labels", _checked(text, _counted(elements(text, start, whole=True))))
    if isinstance(text, Mapped) and (wrapper := _large_wrapper(text, start)):
        return wrapper
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
            return Outline("coco", Spans())
    return Outline("labels", _checked(text, Spans([(start, without_space(text, len(text)) - start)])))


def _start(text: Data) -> int:
    """Where the JSON starts; ExportError where the first bytes show that there is none."""
    start = skip_space(text, len(_BOM) if text.startswith(_BOM) else 0)
    first = text[start : start + 1]
    if not first:
        raise _error(codes.EMPTY_FILE, "the export is empty: export again, and check that the upload finished")
    if first == b"<":
        raise _error(codes.HTML_NOT_JSON, "the export is a web page, often a login or error page: download it again")
    if first not in b"[{":
        if _is_value(memoryview(text)[start:]):
            raise _error(codes.NOT_LABEL_ROWS, "the export is one bare value: deliver Encord's label export")
        message = f"the export is not JSON at {_position(text, start)}: deliver Encord's JSON export"
        raise _error(codes.NOT_JSON, message)
    return start


def _is_value(text: memoryview) -> bool:
    """Whether a text is JSON."""
    try:
        msgspec.json.decode(text, type=Raw)
    except UNREADABLE:
        return False
    return True


def _wrapper(text: Data, places: dict[str, Span]) -> Outline:
    """The SDK's dump: rows in `labels`, and the ontology beside them."""
    rows = _checked(text, _counted(elements(text, places["labels"][0])))
    at, length = places.get("ontology", (0, 0))
    return Outline("labels", rows, (at, length) if text[at : at + 1] == b"{" and length > len(b"{}") else None)


def _large_wrapper(text: Mapped, start: int) -> Outline | None:
    """The wrapper, gone over row by row: at once, all of it would count as memory. None where it is something else."""
    try:
        places = _once(text, start, by_elements="labels")
    except (Broken, ExportError):  # which is told by who reads it at once
        return None
    at, _ = places.get("labels", (start, 0))
    return None if _ROW_KEYS & places.keys() or text[at : at + 1] != b"[" else _wrapper(text, places)


def _once(text: Data, brace: int, *, by_elements: str = "") -> dict[str, Span]:
    """The values around the rows by key. Of a key that is there twice, msgspec would show the last one only."""
    found: dict[str, Span] = {}
    for key, span in members(text, brace, by_elements=by_elements):
        if key in found:
            message = f"the export has the key {quote(key)} twice, and either value may be the right one: export again"
            raise _error(codes.DUPLICATE_KEY, message)
        found[key] = span
        if len(found) > _MOST_KEYS:
            message = f"the export has more than {_MOST_KEYS} keys around its rows: deliver Encord's label export"
            raise _error(codes.NOT_LABEL_ROWS, message)
    return found


def _lines(text: Data, start: int) -> Iterator[Span]:
    """One row per line."""
    view, position = memoryview(text), start
    while position < len(text):
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        at = skip_space(text, position)
        if at < end:
            length = without_space(text, end) - at
            try:
                _OUTER.decode(view[at : at + length])
            except UNREADABLE as error:
                raise Broken(error, at) from error
            yield at, length
        position = end + 1
        passed(text, position)


def _counted(spans: Iterable[Span]) -> Spans:
    found = Spans()
    for span in spans:
        found.append(span)
        if len(found) > MOST_ROWS:
            raise too_many_rows()
    return found


def _checked(text: Data, rows: Spans) -> Spans:
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


def _unreadable(broken: Broken | None, text: Data) -> ExportError:
    if broken is None or broken.truncated:
        return _error(codes.TRUNCATED_JSON, "the export ends in the middle: upload it again and compare its size")
    if broken.deep:
        return _error(codes.TOO_DEEP, "the export is nested deeper than any label row is: export again")
    place = "" if broken.byte is None else f" at {_position(text, broken.byte)}"
    return _error(codes.NOT_JSON, f"the export is not JSON{place}: export again, and do not edit it by hand")


def _position(text: Data, byte: int) -> str:
    start = text.rfind(b"\n", 0, byte) + 1
    line = 1 + sum(piece.count(b"\n") for piece in slices(text, 0, byte))
    characters = codecs.iterdecode(slices(text, start, byte), "utf-8", "replace")
    return f"line {line}, column {sum(map(len, characters)) + 1}"


def coco_refused() -> ExportError:
    """The error for a COCO file where label rows are wanted."""
    message = "the export is Encord's COCO export, which lacks label rows: export in Encord's own JSON format"
    return _error(codes.COCO_NOT_LABELS, message)


def too_many_rows() -> ExportError:
    """The error for more than MOST_ROWS rows."""
    return _error(codes.TOO_MANY_ROWS, f"the export has more than {MOST_ROWS} rows: export in parts")


def _error(code: Code, message: str) -> ExportError:
    return ExportError(code.name, message)
