"""`fingerprint` of plain rows by msgspec, which writes most of them to the byte as Python's json writes what counts.

A row that it would write otherwise, or does not read, is left to `fingerprint`: that one stays the definition.
"""

import codecs
import json
import re
from functools import cache, lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from encord_dagster.encord.fingerprint import VOLATILE, canonical_object, canonical_text, digest, fingerprint
from encord_dagster.encord.plain import is_film
from encord_dagster.encord.plain_kept import Frame, Row, Unit
from encord_dagster.encord.scalars import UNREADABLE

_SMALL = b"0.0000"  # in each number below 1e-4 that has no negative exponent; json writes them with one
_NEGATIVE = re.compile(rb"-[0-9]+\s*[,}\]]")  # in each that has one; also -0, which msgspec reads as 0.0
_ESCAPES = "encord_dagster.json"  # how characters that are not ASCII are encoded: msgspec writes them as they are
_INDICES = [str(number) for number in range(10_000)]
_SHORT = 1024  # bytes of a part that is remembered
_IMAGES = msgspec.json.Decoder(Row[Unit[Frame]])
_FILMS = msgspec.json.Decoder(Row[Unit[dict[str, Frame]]])
_ENCODER = msgspec.json.Encoder(order="deterministic")  # keys of dicts are sorted


def _escaped(given: UnicodeError) -> tuple[str, int]:
    if not isinstance(given, UnicodeEncodeError):
        raise given
    return encode_basestring_ascii(given.object[given.start : given.end])[1:-1], given.end


codecs.register_error(_ESCAPES, _escaped)


def plain_fingerprint(raw: bytes) -> str:
    """`fingerprint` of a row that `PlainReader` reads, and of which it has counted the keys. Raises as that does.

    So none is unknown or there twice: what a struct does not declare is volatile.
    """
    if _SMALL in raw or _NEGATIVE.search(raw) or not _writes_alike():
        return fingerprint(raw)
    try:
        row: Row[Any] = (_FILMS if is_film(raw) else _IMAGES).decode(raw)
        _complete(row)
    except UNREADABLE:
        return fingerprint(raw)
    return digest(_written(row))


def _written(value: Any) -> bytes:
    written = _ENCODER.encode(value)
    if not written.isascii():
        written = written.decode().encode("ascii", _ESCAPES)
    return written.replace(b"\x7f", b"\\u007f")


@cache
def _writes_alike() -> bool:
    """Whether this msgspec writes numbers and texts as json does: else all rows would seem to have changed."""
    numbers = [0.0, 1e-4, 0.1, 1 / 3, 2.5e-4, 1280.0, 123456.789, 1e15 / 3, 9999999999999998.0, -0.5]
    text = "".join(map(chr, range(0x180))) + "\u2028\uffff\U0001f600"
    return _written({"b": numbers, "a": text}).decode() == json.dumps({"a": text, "b": numbers}, separators=(",", ":"))


def _complete(row: Row[Any]) -> None:
    """What structs do not do: objects that are empty or keyed by index become lists, and unread parts what counts."""
    for unit in row.data_units.values():
        if isinstance(unit.labels, Frame):
            _complete_frame(unit.labels)
        else:
            for frame in unit.labels.values():
                _complete_frame(frame)
            unit.labels = _listed(unit.labels)
        _complete_parts(unit, "metadata")
    for answers in row.object_answers.values():
        answers.classifications = _part(answers.classifications)
    for actions in row.object_actions.values():
        actions.actions = _part(actions.actions)
    for name in ("data_units", "object_answers", "object_actions"):
        setattr(row, name, _listed(getattr(row, name)))
    _complete_parts(row, "classification_answers", "client_metadata", "spaces", "workflow_graph_node")


def _complete_frame(frame: Frame) -> None:
    frame.classifications = _part(frame.classifications)
    for one in frame.objects:
        if one.polygon is not None:
            one.polygon = _listed(one.polygon)
        if one.polyline is not None:
            one.polyline = _listed(one.polyline)
        if one.point is not None:
            one.point = _listed(one.point)
        if not (one.skeleton is one.circle is one.ellipse is UNSET):
            _complete_parts(one, "skeleton", "circle", "ellipse")


def _complete_parts(of: msgspec.Struct, *names: str) -> None:
    for name in names:
        if (raw := getattr(of, name)) is not UNSET:
            setattr(of, name, _part(raw))


def _listed(given: dict[str, Any]) -> Any:
    """An object as `fingerprint` has it. Its values are already so, and none is null or false."""
    if given and "0" not in given and VOLATILE.isdisjoint(given):
        return given
    if list(given) == _INDICES[: len(given)]:
        return list(given.values())
    return canonical_object(list(given.items()))


def _part(raw: Raw) -> Any:
    """The same of any value that was left unread; UNSET where it is null."""
    text = bytes(raw)
    return _remembered(text) if len(text) <= _SHORT else _canonical(text)


def _canonical(text: bytes) -> Raw | UnsetType:
    written = canonical_text(text)
    return UNSET if written == "null" else Raw(written.encode())


_remembered = lru_cache(maxsize=4096)(_canonical)
