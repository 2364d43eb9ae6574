"""Many plain rows at once: each read without its objects, whose fields then stand together as columns.

What is told of a row here is what `plain_rows` tells of it; a row of which more is to be said is left to that.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from encord_dagster.encord import plain
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.instances import Place
from encord_dagster.encord.model import LabelRow, ObjectInstance, RowEvent
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain_answers import PlainAnswers
from encord_dagster.encord.plain_columns import Frames, RowColumns
from encord_dagster.encord.plain_frames import Row
from encord_dagster.encord.plain_heads import clean, event_of
from encord_dagster.encord.plain_keys import Odd, keys_of_part
from encord_dagster.encord.plain_rows import NEVER, LabelReader, PlainReader
from encord_dagster.encord.scalars import HASH, HASH_CHARACTERS

_NOWHERE = RowSlice(0, 0, 0, b"")
_SHORTEST_KEY = 16  # characters
_fields = attrgetter(
    *("object_hash", "feature_hash", "name", "confidence", "manual_annotation", "shape", "bounding_box"),
    *("created_by", "last_edited_by", "last_edited_at", "is_deleted", "reviews"),
)


class Left(Exception):
    """Objects, by their places, whose rows have to be read another way."""

    def __init__(self, places: Iterable[int]) -> None:
        super().__init__()
        self.places = list(places)


class BareRow(msgspec.Struct, frozen=True):
    """A row whose frames hold no objects; `sheets` has those of each frame. `keys`: how many it has without theirs."""

    row: LabelRow
    exported_at: str | None  # or edited, if that is all that is known
    export_hash: str | None
    answers: PlainAnswers
    sheets: Sequence[list[plain.Object]]
    keys: int


class _BareReader(LabelReader):
    """Reads all of a row but its objects."""

    def _objects(self, given: list[plain.Object], place: Place) -> tuple[ObjectInstance, ...]:
        hashes = {one.object_hash for one in given}
        if len(hashes) < len(given):
            raise Odd
        self.seen |= hashes
        self.notes.objects_in += len(hashes)
        self.sheets.append(given)
        return ()

    def read(self) -> LabelRow:
        self.sheets: list[list[plain.Object]] = []
        return super().read()


def bare_row(row: Row, reader: PlainReader) -> BareRow | None:
    """The row without its objects, wherever it lies; None where more than labels is to be said of it."""
    try:
        return _bare(event_of(row, _NOWHERE, ""), _BareReader(row, Notes(None), reader.known, reader.classes))
    except NEVER:
        return None


def _bare(event: RowEvent, reader: _BareReader) -> BareRow | None:
    read, notes = reader.read(), reader.notes
    if notes.findings or notes.excluded or notes.quarantined:
        return None
    at = event.exported_at or event.last_edited_at
    return BareRow(read, at, event.export_hash, reader.answers, reader.sheets, reader.keys)


def bare_columns(rows: Sequence[BareRow]) -> RowColumns:
    """Rows that were read one by one, in columns."""
    read = [one.row for one in rows]
    frames = [frame for row in read for frame in row.frames]
    return RowColumns(
        label_hashes=[row.label_hash for row in read],
        branch_names=[row.branch_name for row in read],
        data_types=[row.data_type for row in read],
        label_statuses=[row.label_status for row in read],
        exported_at=[one.exported_at for one in rows],
        export_hashes=[one.export_hash for one in rows],
        frame_counts=[len(row.frames) for row in read],
        frames=Frames(*([getattr(frame, name) for frame in frames] for name in Frames._fields)),
        sheets=[sheet for one in rows for sheet in one.sheets],
        answers=[(one.answers, len(one.row.frames)) for one in rows],
        keys=sum(one.keys for one in rows),
        classifications=[frame.classifications for frame in frames],
        of_rows=[row.classifications for row in read],
    )


class Columns(NamedTuple):
    """The objects of many frames, field by field. `keys`: how many keys they have without those of their shapes."""

    object_hashes: Sequence[str]
    feature_hashes: Sequence[str]
    names: Sequence[str]
    confidences: Sequence[float]
    manual: Sequence[bool]
    shapes: Sequence[str]
    boxes: Sequence[plain.Box | UnsetType]
    keys: int


def columns(objects: Sequence[plain.Object]) -> Columns:
    """The fields of objects. Left where something is to be said about some."""
    found = zip(*map(_fields, objects), strict=True)
    object_hashes, feature_hashes, names, confidences, manual, shapes, boxes, *signed, deleted, reviews = found
    is_rare = not deleted.count(UNSET) == reviews.count(UNSET) == len(objects)
    levels = set(confidences)
    fine = min(levels) >= 0.0 and max(levels) <= 1.0 and not (is_rare and True in deleted)
    fine = fine and all(map(HASH.fullmatch, set(feature_hashes))) and _are_hashes(object_hashes)
    if not (fine and all(map(_is_clean, set(names)))):
        raise Left(place for place, one in enumerate(objects) if not _is_fine(one))
    keys = 13 * len(objects) - sum(column.count(UNSET) for column in signed)
    if is_rare:
        keys += sum(1 + _keys_of_rare(one) for one in chain(deleted, reviews) if one is not UNSET)
    return Columns(object_hashes, feature_hashes, names, confidences, manual, shapes, boxes, keys)


def _is_fine(one: plain.Object) -> bool:
    """Whether nothing is to be said about the fields of an object."""
    hashes = HASH.fullmatch(one.object_hash) and HASH.fullmatch(one.feature_hash)
    return bool(hashes) and 0.0 <= one.confidence <= 1.0 and one.is_deleted is not True and _is_clean(one.name)


def _is_clean(name: str) -> bool:
    try:
        clean(name)
    except Odd:
        return False
    return True


def _keys_of_rare(value: bool | list[Raw]) -> int:
    """The keys in a field that old exports have."""
    return sum(keys_of_part(bytes(review)) for review in value) if isinstance(value, list) else 0


def _are_hashes(texts: Sequence[str]) -> bool:
    """Whether all are hashes: those of the platform have 8 characters, and a key that must not pass has 16."""
    together = "".join(texts)
    sizes = set(map(len, texts))
    short = 0 not in sizes and max(sizes) < _SHORTEST_KEY and HASH_CHARACTERS.fullmatch(together)
    return bool(short) or all(map(HASH.fullmatch, texts))
