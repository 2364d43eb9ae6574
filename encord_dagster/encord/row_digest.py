"""What the reading of a row depends on, as a digest: rows with equal digests differ in nothing but their events.

Every export writes a new hash, time, history and new link signatures into every row, changed or not. The digest is over
all other bytes of the row, so that an unchanged row is known without a look at its labels.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from operator import attrgetter

import msgspec
from msgspec import UNSET, Raw, UnsetType

from encord_dagster.encord import plain
from encord_dagster.encord.container import LARGEST_ROW, RowSlice
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.plain_heads import Told, event_of
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.scalars import UNREADABLE

SIZE = 16  # bytes
_AT_ONCE = 2**18  # bytes of rows: they and what is made of them stay in the processor's cache
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


class Digested(msgspec.Struct, frozen=True, gc=False):
    """A row of which no more is known than its outside."""

    digest: bytes
    piece: RowSlice
    told: Told

    def event(self, fingerprint: str) -> RowEvent | None:
        """The row as this export carried it, None where something is to be said of it."""
        try:
            return event_of(self.told, self.piece, fingerprint)
        except Odd:
            return None


_told = attrgetter(*Told.__struct_fields__)


def digested(pieces: Sequence[RowSlice], context: bytes) -> list[Digested | None]:
    """The digests of rows, None where the outside of one is not as the platform writes it.

    `context` is what else the reading depends on: reader, configuration, ontology.
    """
    ends = accumulate(piece.length for piece in pieces)
    together = groupby(zip(ends, pieces, strict=True), key=lambda one: one[0] // _AT_ONCE)
    return [one for _, some in together for one in _some_digested([piece for _, piece in some], context)]


def _some_digested(pieces: Sequence[RowSlice], context: bytes) -> list[Digested | None]:
    rows = [_decoded(piece) for piece in pieces]
    whole = [_ENCODER.encode(row) if row else b"" for row in rows]
    # Of a key that is there twice one value is decoded, so that the row has more quotes than are left.
    if None in rows or _quotes(whole) != _quotes(piece.raw for piece in pieces):
        rows = [
            row if row and text.count(b'"') == piece.raw.count(b'"') else None
            for row, text, piece in zip(rows, whole, pieces, strict=True)
        ]
    return [_digested(row, piece, context) if row else None for row, piece in zip(rows, pieces, strict=True)]


def _digested(row: "_Row | _SeriesRow", piece: RowSlice, context: bytes) -> Digested:
    told = Told(*_told(row))
    _strip(row)
    return Digested(hashlib.sha256(context + _ENCODER.encode(row)).digest()[:SIZE], piece, told)


def _quotes(texts: Iterable[bytes]) -> int:
    """How many quotes there are in all."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(b"".join(texts), np.uint8) == ord('"')))


def _decoded(piece: RowSlice) -> _Row | _SeriesRow | None:
    raw = piece.raw
    if piece.length > LARGEST_ROW or (b"\\" in raw and _ESCAPED_QUOTE in raw):  # one byte is found ten times as fast
        return None
    try:
        return _SERIES.decode(raw) if plain.type_in(raw).startswith(b'"dicom') else _ROWS.decode(raw)
    except UNREADABLE:
        return None


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
