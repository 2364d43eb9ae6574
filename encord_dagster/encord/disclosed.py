"""What a row discloses beyond its labels, as a digest, and the row without its text answers."""

import hashlib

import msgspec
from msgspec.structs import replace

from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow, ObjectInstance

_Item = ObjectInstance | Classification


def disclosed_digest(row: LabelRow) -> str:
    """sha256 hex of the titles, links, people and times of a row, "" where it has none.

    Fingerprints leave most of these out. A row that has some is known by both digests, so that a version shows those
    of the export that it stands for, in whatever order exports came.
    """
    given: list[object] = [_signature(item) for item in row.classifications]
    for frame in row.frames:
        signed = [_signature(item) for item in _items(frame)]
        given.append((frame.title, frame.link, signed) if frame.title or frame.link or any(signed) else ())
    return hashlib.sha256(msgspec.json.encode(given)).hexdigest() if any(given) else ""


def without_free_text(row: LabelRow) -> LabelRow:
    """The row without text answers: without an ontology also without options that are answered as a text."""
    found = [*row.classifications, *(item for frame in row.frames for item in _items(frame))]
    lost = sum(isinstance(attribute.answer, str) for item in found for attribute in item.attributes)
    if not lost:
        return row
    return replace(
        row,
        frames=tuple(_untexted(frame) for frame in row.frames),
        classifications=tuple(replace(one, attributes=_kept(one)) for one in row.classifications),
        texts_left_out=lost,
    )


def _items(frame: Frame) -> list[_Item]:
    return [*frame.objects, *frame.classifications]


def _signature(item: _Item) -> tuple[str | None, ...]:
    said = (item.created_by, item.last_edited_by, item.created_at, item.last_edited_at)
    return said if any(said) else ()


def _untexted(frame: Frame) -> Frame:
    return replace(
        frame,
        objects=tuple(replace(one, attributes=_kept(one)) for one in frame.objects),
        classifications=tuple(replace(one, attributes=_kept(one)) for one in frame.classifications),
    )


def _kept(item: _Item) -> tuple[Attribute, ...]:
    return tuple(attribute for attribute in item.attributes if not isinstance(attribute.answer, str))
