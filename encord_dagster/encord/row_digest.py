"""What the reading of a row depends on, as a digest: rows with equal digests differ in nothing but their events.

Every export writes a new hash, time, history and new link signatures into every row, changed or not. The digest is over
all other bytes of the row, so that an unchanged row is known without a look at its labels.
"""

import hashlib

import msgspec
from msgspec import UNSET, Raw, UnsetType

from encord_dagster.encord import plain
from encord_dagster.encord.container import LARGEST_ROW, RowSlice
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.plain_heads import event_of
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.scalars import UNREADABLE

SIZE = 16  # bytes
_ESCAPED_QUOTE = b"\\u0022"  # the text that JSON can also write as \"


class _Unit(plain.Unit, gc=False, kw_only=True, forbid_unknown_fields=True):
    labels: Raw


class _Slice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    objects: Raw
    classifications: Raw
    metadata: plain.Slice | UnsetType | None = UNSET


class _Series(plain.Unit, gc=False, kw_only=True, forbid_unknown_fields=True):
    labels: dict[str, _Slice]


class _Row(plain.Head, gc=False, kw_only=True, forbid_unknown_fields=True):
    object_answers: Raw
    classification_answers: Raw
    object_actions: Raw
    data_units: dict[str, _Unit]


class _SeriesRow(plain.Head, gc=False, kw_only=True, forbid_unknown_fields=True):
    object_answers: Raw
    classification_answers: Raw
    object_actions: Raw
    data_units: dict[str, _Series]


_ROWS = msgspec.json.Decoder(_Row)
_SERIES = msgspec.json.Decoder(_SeriesRow)
_ENCODER = msgspec.json.Encoder()


class Digested(msgspec.Struct, frozen=True):
    """A row of which no more is known than its outside."""

    digest: bytes
    piece: RowSlice
    head: plain.Head

    def event(self, fingerprint: str) -> RowEvent | None:
        """The row as this export carried it, None where something is to be said of it."""
        try:
            return event_of(self.head, self.piece, fingerprint)
        except Odd:
            return None


def digested(piece: RowSlice, context: bytes) -> Digested | None:
    """The digest of a row, None where its outside is not as the platform writes it.

    `context` is what else the reading depends on: reader, configuration, ontology.
    """
    if piece.length > LARGEST_ROW or _ESCAPED_QUOTE in piece.raw:
        return None
    try:
        row: _Row | _SeriesRow = _decoded(piece.raw)
    except UNREADABLE:
        return None
    # Of a key that is there twice one value is decoded, so that the row has more quotes than are left.
    if _ENCODER.encode(row).count(b'"') != piece.raw.count(b'"'):
        return None
    head = msgspec.structs.replace(row)
    _strip(row)
    digest = hashlib.sha256(context)
    digest.update(_ENCODER.encode(row))
    return Digested(digest.digest()[:SIZE], piece, head)


def _decoded(raw: bytes) -> _Row | _SeriesRow:
    return _SERIES.decode(raw) if plain.type_in(raw).startswith(b'"dicom') else _ROWS.decode(raw)


def _strip(row: _Row | _SeriesRow) -> None:
    """Take out what an export changes in every row. The reader makes nothing but the event of it."""
    row.export_hash = row.exported_at = row.export_history = UNSET
    row.last_edited_at, row.video_link = "", None
    for unit in row.data_units.values():
        unit.data_link = unit.data_links = UNSET
        if isinstance(unit, _Series):
            for one in unit.labels.values():
                if isinstance(one.metadata, plain.Slice):
                    one.metadata.file_uri = ""
