"""A long video or series read a few frames at a time: all of its objects at once take many times its bytes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.encord import plain
from encord_dagster.encord.container import LARGEST_ROW, RowSlice
from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain_frames import masks_of
from encord_dagster.encord.plain_heads import event_of
from encord_dagster.encord.plain_keys import Odd, have_keys, is_utf8
from encord_dagster.encord.scalars import FRAME_NUMBER, UNREADABLE, Raw

if TYPE_CHECKING:
    from encord_dagster.encord.plain_rows import PlainReader

_PART = 2**20  # bytes of frames that are read together


class _Film(plain.Unit, gc=False, kw_only=True):
    """A video or a series, its frames unread."""

    labels: dict[str, Raw]


class _Row(plain.Row, gc=False, kw_only=True):
    """A row of one, its frames unread."""

    data_units: dict[str, _Film]


_ROW = msgspec.json.Decoder(_Row)
_FRAME = msgspec.json.Decoder(plain.Frame)


class Parts:
    """The parts of one row, each a row with some of its frames. Odd, also at the end, where it has to be read whole."""

    def __init__(self, piece: RowSlice, reader: "PlainReader") -> None:
        if not reader.able or piece.length > LARGEST_ROW or not is_utf8(piece.raw):
            raise Odd
        try:
            self._row = row = _ROW.decode(piece.raw)
        except UNREADABLE as error:
            raise Odd from error
        if len(row.data_units) != 1 or bytes(row.classification_answers) != b"{}":
            raise Odd
        self._piece, self._reader = piece, reader
        self.event = event_of(row, piece, "")

    def __iter__(self) -> Iterator[LabelRow]:
        """The parts, in order of frames."""
        from encord_dagster.encord.plain_rows import LabelReader

        reader, seen, identities = self._reader, set[str](), set[str]()
        bare = LabelReader(self._part({}), Notes(None), reader.known, reader.classes, {}).keys
        keys = bare
        for labels in self._portions():
            row, notes = self._part(labels), Notes(self._row.label_hash)
            part = LabelReader(row, notes, reader.known, reader.classes, masks_of([row]), whole=False)
            made = part.read()
            own = {frame.identity for frame in made.frames}
            if notes.findings or notes.excluded or notes.quarantined or own & identities:
                raise Odd
            keys += part.keys - bare
            seen |= part.seen
            identities |= own
            yield made
        if not self._row.object_answers.keys() <= seen or not have_keys(self._piece.raw, keys):
            raise Odd

    def _portions(self) -> Iterator[dict[str, plain.Frame]]:
        """Frames by number, some at a time."""
        (unit,) = self._row.data_units.values()
        if not all(map(FRAME_NUMBER.fullmatch, unit.labels)) or len(set(map(int, unit.labels))) < len(unit.labels):
            raise Odd
        some: dict[str, plain.Frame] = {}
        size = 0
        for key in sorted(unit.labels, key=int):
            raw = unit.labels[key]
            some[key] = _FRAME.decode(raw)
            size += len(memoryview(raw))
            if size >= _PART:
                yield some
                some, size = {}, 0
        if some:
            yield some

    def _part(self, labels: dict[str, plain.Frame]) -> plain.FilmRow:
        """The row with some of its frames."""
        ((key, unit),) = self._row.data_units.items()
        about = {name: getattr(unit, name) for name in plain.Unit.__struct_fields__}
        row = {name: getattr(self._row, name) for name in plain.Row.__struct_fields__}
        return plain.FilmRow(**row, data_units={key: plain.Film(**about, labels=labels)})
