"""A long video or series read a few frames at a time: all of its objects at once take many times its bytes."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.encord import plain
from encord_dagster.encord.container import LARGEST_ROW, RowSlice
from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain_answers import Known, PlainAnswers
from encord_dagster.encord.plain_frames import masks_of
from encord_dagster.encord.plain_heads import event_of
from encord_dagster.encord.plain_keys import Odd, have_keys, is_utf8
from encord_dagster.encord.scalars import FRAME_NUMBER, UNREADABLE, Raw

if TYPE_CHECKING:
    from encord_dagster.encord.plain_columns import RowColumns
    from encord_dagster.encord.plain_rows import PlainReader

_PART = 2**18  # bytes of frames that are read together


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
        from encord_dagster.encord.plain_rows import LabelReader

        if not reader.able or piece.length > LARGEST_ROW or not is_utf8(piece.raw):
            raise Odd
        try:
            self._row = row = _ROW.decode(piece.raw)
        except UNREADABLE as error:
            raise Odd from error
        if (
            not row.data_type.startswith(plain.FILMS)
            or len(row.data_units) != 1
            or bytes(row.classification_answers) != b"{}"
        ):
            raise Odd
        self._piece, self._reader = piece, reader
        self.event = event_of(row, piece, "")
        self.data_type = row.data_type
        self._answers = PlainAnswers(row.object_answers, row.object_actions, reader.known)
        self._keys = self._around = LabelReader(*self._about(self._part({})), answers=self._answers).keys
        self._seen, self._identities = set[str](), set[str]()

    def __iter__(self) -> Iterator[plain.FilmRow]:
        """The parts, in order of frames. What is read of each has to be noted before the next."""
        for labels in self._portions():
            yield self._part(labels)
        if not self._row.object_answers.keys() <= self._seen or not have_keys(self._piece.raw, self._keys):
            raise Odd

    def read(self, row: plain.FilmRow) -> LabelRow:
        """A part with its objects."""
        from encord_dagster.encord.plain_rows import LabelReader

        part = LabelReader(*self._about(row), masks_of([row]), whole=False, answers=self._answers)
        made = part.read()
        if part.notes.findings or part.notes.excluded or part.notes.quarantined:
            raise Odd
        self.note([frame.identity for frame in made.frames], part.seen, part.keys)
        return made

    def columns(self, row: plain.FilmRow) -> "RowColumns":
        """A part without its objects. Odd where more than labels is to be said of it."""
        from encord_dagster.encord.plain_films import part_columns

        return part_columns(row, self.event, self._answers)

    def note(self, identities: Iterable[str], objects: Iterable[str], keys: int) -> None:
        """Note what was read of a part: the identities of its frames, its objects and keys."""
        own = set(identities)
        if own & self._identities:
            raise Odd
        self._identities |= own
        self._seen.update(objects)
        self._keys += keys - self._around

    def _about(self, row: plain.FilmRow) -> "tuple[plain.FilmRow, Notes, Known, set[str]]":
        return row, Notes(row.label_hash), self._reader.known, self._reader.classes

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
