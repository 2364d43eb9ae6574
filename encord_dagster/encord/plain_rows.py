"""The fast reader: rows written as the platform writes them, several at once. It reads nothing that is odd.

What it reads is, value for value, what the tolerant reader (`label_rows.read_row`) makes of the same bytes; that one
stays the definition, and reads all rows that come back as None. A single odd object is handed to it alone.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec import UNSET

from encord_dagster.encord import plain, plain_shapes
from encord_dagster.encord.container import LARGEST_ROW, RowSlice
from encord_dagster.encord.fingerprint import DuplicateKey, fingerprint
from encord_dagster.encord.instances import Place, read_again
from encord_dagster.encord.label_rows import RowReading
from encord_dagster.encord.model import Classification, Frame, LabelRow, ObjectInstance
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain_answers import Known, PlainAnswers
from encord_dagster.encord.plain_classified import Classified
from encord_dagster.encord.plain_counts import keys_of
from encord_dagster.encord.plain_frames import Row, masks_of, sheets_of
from encord_dagster.encord.plain_heads import (
    PlainUnit,
    branch_of,
    clean,
    event_of,
    hashes,
    is_sequence,
    node_of,
    statuses,
    units_of,
)
from encord_dagster.encord.plain_keys import Odd, have_keys, is_utf8, keys_of_part, written_again
from encord_dagster.encord.privacy import Disclosure
from encord_dagster.encord.scalars import HASH, UNREADABLE
from encord_dagster.errors import RowError
from encord_dagster.geometry import Bitmask, Geometry

NEVER = (Odd, DuplicateKey, RowError, *UNREADABLE)


class PlainReader:
    """Reads plain rows; equal answers are read once. `fingerprints`: whether events get theirs, else it is ""."""

    def __init__(
        self, *, relations: frozenset[str], disclosure: Disclosure, keep_going: bool, fingerprints: bool = True
    ) -> None:
        self.able = not (disclosure.titles or disclosure.links or disclosure.times or disclosure.key)
        self._disclosure, self._keep_going, self._fingerprints = disclosure, keep_going, fingerprints
        self.known = Known(relations)
        self.classes: set[str] = set()  # feature hashes that are hashes

    def read(self, pieces: Sequence[RowSlice]) -> list[RowReading | None]:
        """The rows; None for each that the tolerant reader has to read."""
        rows = [self._decoded(piece) for piece in pieces]
        masks = masks_of(rows)
        found = [self._reading(row, piece, masks) if row else None for row, piece in zip(rows, pieces, strict=True)]
        read = [(piece.raw, one[1]) for piece, one in zip(pieces, found, strict=True) if one]
        # each key that is known is one that is counted: where there are as many in all rows, so there are in each
        counted = have_keys(b"".join([raw for raw, _ in read]), sum(keys for _, keys in read))
        both = zip(pieces, found, strict=True)
        return [self._marked(*one, piece, counted=counted) if one else None for piece, one in both]

    def _marked(self, reading: RowReading, keys: int, piece: RowSlice, *, counted: bool) -> RowReading | None:
        """The reading with its fingerprint, if that is wanted; None where the row may have a key that has to be read.

        `keys` are known, and `counted` says whether there is certainly no other.
        """
        counted = counted or have_keys(piece.raw, keys)
        if not counted:
            written = written_again(piece.raw)
            if written is None:
                return None
            counted = have_keys(written, keys)
        if not self._fingerprints:
            return reading
        from encord_dagster.encord.plain_fingerprint import plain_fingerprint  # conversions start without

        found = plain_fingerprint(piece.raw) if counted else fingerprint(piece.raw)
        return RowReading(msgspec.structs.replace(reading.event, fingerprint=found), reading.row, reading.findings)

    def _decoded(self, piece: RowSlice) -> Row | None:
        if not self.able or piece.length > LARGEST_ROW or not is_utf8(piece.raw):
            return None
        try:
            return plain.decode(piece.raw)
        except UNREADABLE:
            return None

    def _reading(self, row: Row, piece: RowSlice, masks: dict[int, Bitmask]) -> tuple[RowReading, int] | None:
        """The row, and how many keys it should have."""
        notes = Notes(row.label_hash, keep_going=self._keep_going, disclosure=self._disclosure)
        try:
            event = event_of(row, piece, "")
            made = LabelReader(row, notes, self.known, self.classes, masks)
            label_row = made.read()
        except NEVER:
            return None
        return RowReading(event, label_row, tuple(notes.findings)), made.keys


class LabelReader:
    """One row in the reading; `keys` grows to the number of keys in all that was read."""

    def __init__(
        self,
        row: Row,
        notes: Notes,
        known: Known,
        classes: set[str],
        masks: Mapping[int, Bitmask] = MappingProxyType({}),
        *,
        whole: bool = True,
        answers: PlainAnswers | None = None,
    ) -> None:
        self.row, self.notes, self.classes, self.masks = row, notes, classes, masks
        self.answers = answers or PlainAnswers(row.object_answers, row.object_actions, known)
        self.keys = keys_of([row]) + self.answers.keys
        self.seen: set[str] = set()
        self._whole = whole  # whether all objects are on the frames that are read
        self._classified = Classified(row.classification_answers, notes)

    def read(self) -> LabelRow:
        """The labels of the row."""
        label_status, task = statuses(self.row)
        data_hash, dataset_hash = hashes(self.row)
        units = units_of(self.row)
        frames, whole = self._frames(units), self._classified.of_the_whole()
        self.keys += self._classified.keys
        if self._whole and not self.row.object_answers.keys() <= self.seen:
            raise Odd
        return LabelRow(
            label_hash=self.row.label_hash,
            branch_name=branch_of(self.row),
            data_hash=data_hash,
            dataset_hash=dataset_hash,
            data_type=self.row.data_type,
            is_image_sequence=is_sequence(self.row),
            label_status=label_status,
            annotation_task_status=task,
            workflow_node=node_of(self.row.workflow_graph_node),
            frames=tuple(frames),
            classifications=whole,
            objects_in=self.notes.objects_in,
            excluded=tuple(self.notes.excluded),
            quarantined=tuple(self.notes.quarantined),
        )

    def _frames(self, units: Sequence[PlainUnit]) -> list[Frame]:
        sheets = [sheet for one in units for sheet in sheets_of(one, self.row.data_type)]
        found = self._classified.on_frames(sheets, units, open_ended=isinstance(self.row, plain.FilmRow))
        return [self._frame(*sheet, given) for sheet, given in found]

    def _frame(
        self,
        labels: plain.Frame,
        of: PlainUnit,
        place: Place,
        identity: str,
        given: tuple[Classification, ...],
    ) -> Frame:
        return Frame(
            data_hash=place.unit,
            number=place.frame,
            identity=identity,
            mime_type=of.mime_type,
            width=place.width,
            height=place.height,
            objects=self._objects(labels.objects, place),
            classifications=given,
        )

    def _objects(self, given: list[plain.Object], place: Place) -> tuple[ObjectInstance, ...]:
        hashes = [one.object_hash for one in given]
        self._note_hashes(hashes)
        made: list[ObjectInstance] = []
        at, frame = self.answers.at, place.frame
        for one in given:
            geometry = self._shape(one, place)
            if not 0.0 <= one.confidence <= 1.0:
                raise Odd
            if geometry is None:
                self._read_again(one, place, made)
                continue
            if one.is_deleted is True:
                raise Odd
            signed = (one.created_by, one.last_edited_by, one.last_edited_at)
            self.keys += 10 + sum(told is not UNSET for told in signed)
            if one.is_deleted is not UNSET or one.reviews is not UNSET:
                self._note_old_keys(one)
            if one.feature_hash not in self.classes:
                self._note_class(one.feature_hash)
            made.append(
                ObjectInstance(
                    one.object_hash,
                    one.feature_hash,
                    clean(one.name),
                    one.shape,
                    geometry,
                    one.confidence,
                    one.manual_annotation,
                    at(one.object_hash, frame),
                )
            )
        return tuple(made)

    def _shape(self, one: plain.Object, place: Place) -> Geometry | None:
        """The shape of an object, None where the tolerant reader has to look."""
        shape, width, height = one.shape, place.width or 0, place.height or 0
        if shape == "bounding_box" and one.bounding_box is not UNSET:
            found: Geometry | None = plain_shapes.box(one.bounding_box, width, height)
            self.keys += 4 * (found is not None)
            return found
        if shape == "polygon" and (made := plain_shapes.polygon(one, width, height)):
            self.keys += made[1] + (one.polygons is not UNSET)
            return made[0]
        if shape == "bitmask" and one.bitmask is not UNSET:
            mask = one.bitmask
            if mask.width == width and mask.height == height and not mask.top | mask.left:
                found = self.masks.get(id(one))
                self.keys += 5 * (found is not None)
                return found
        return None

    def _note_old_keys(self, one: plain.Object) -> None:
        self.keys += one.is_deleted is not UNSET
        if one.reviews is not UNSET:
            self.keys += 1 + sum(keys_of_part(bytes(review)) for review in one.reviews)

    def _note_hashes(self, hashes: list[str]) -> None:
        if len(set(hashes)) < len(hashes) or not all(map(HASH.fullmatch, hashes)):
            raise Odd
        self.seen.update(hashes)
        self.notes.objects_in += len(hashes)

    def _note_class(self, feature_hash: str) -> None:
        if not HASH.fullmatch(feature_hash):
            raise Odd
        self.classes.add(feature_hash)

    def _read_again(self, one: plain.Object, place: Place, made: list[ObjectInstance]) -> None:
        """Let the tolerant reader read an object: one that reaches outside its image, or of a rare shape."""
        text = msgspec.json.encode(one)
        self.keys += keys_of_part(text)
        instance = read_again(msgspec.Raw(text), place, self.answers, self.notes)
        if instance is not None:
            made.append(instance)
