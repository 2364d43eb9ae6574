"""One label row: bytes in; its event, its labels in pixels and its findings out."""

from typing import Literal

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.contents import read_contents
from encord_dagster.encord.head import AmbiguousRow, Head, read_event, read_head, read_label_hash, read_state
from encord_dagster.encord.model import LabelRow, RowEvent
from encord_dagster.encord.notes import Notes, row_error, shown
from encord_dagster.encord.privacy import Disclosure
from encord_dagster.encord.scalars import is_hash, present, text
from encord_dagster.encord.units import Unit, read_units
from encord_dagster.errors import RowError
from encord_dagster.findings import Finding


class RowReading(msgspec.Struct, frozen=True):
    """What one row of an export holds; `findings` include those of quarantined objects."""

    event: RowEvent
    row: LabelRow
    findings: tuple[Finding, ...]


class UnusableRow(RowError):
    """A row that goes to quarantine; `event` names it and its export, None where it cannot even be named."""

    def __init__(self, reason: str, message: str, event: RowEvent | None = None) -> None:
        super().__init__(reason, message)
        self.args = (reason, message, event)  # all of them, so that the error survives pickling
        self.event = event

    @property
    def label_hash(self) -> str | None:
        """The row's label hash, None where it was not readable."""
        return self.event.label_hash if self.event else None


def read_row(
    piece: RowSlice,
    *,
    on_bad_object: Literal["quarantine_object", "quarantine_row"] = "quarantine_object",
    relations: frozenset[str] = frozenset(),
    disclosure: Disclosure = Disclosure(),  # noqa: B008 - frozen
) -> RowReading:
    """Read one label row. Bad objects are quarantined inside it; UnusableRow where the row itself cannot be used.

    `relations` are the feature hashes of attributes that an ontology calls relations: their answers are kept raw.
    `disclosure` says what is read beyond labels.
    """
    event = None
    try:
        head = read_head(piece.raw)
        label_hash, own = read_label_hash(head)
        keep_going = on_bad_object == "quarantine_object"
        notes = Notes(label_hash, keep_going=keep_going, relations=relations, disclosure=disclosure)
        if not own:
            notes.add(codes.LABEL_HASH_MISSING, "the row has no label_hash; its data_hash stands in")
        event = read_event(head, piece, notes)
        _refuse_other_encodings(piece.raw)
        row = _read(head, event, notes)
    except AmbiguousRow as error:
        raise UnusableRow(error.reason, error.message, error.event) from error
    except RowError as error:
        raise UnusableRow(error.reason, error.message, event) from error
    return RowReading(event, row, tuple(notes.findings))


def _refuse_other_encodings(raw: bytes) -> None:
    """Texts that nobody reads are not decoded, and would let damaged bytes through."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        message = f"the row is not UTF-8 at its byte {error.start}; export it again"
        raise row_error(codes.ROW_UNREADABLE, message) from error


def _read(head: Head, event: RowEvent, notes: Notes) -> LabelRow:
    state = read_state(head, notes)
    units = read_units(head.data_units, state.data_type, notes)
    contents = read_contents(head, units, state.data_type, notes)
    return LabelRow(
        label_hash=event.label_hash,
        branch_name=event.branch_name,
        data_hash=_data_hash(head, units, notes),
        dataset_hash=_dataset_hash(head, notes),
        data_type=state.data_type,
        is_image_sequence=state.is_image_sequence,
        label_status=state.label_status,
        annotation_task_status=state.annotation_task_status,
        workflow_node=state.workflow_node,
        frames=contents.frames,
        classifications=contents.classifications,
        objects_in=notes.objects_in,
        excluded=tuple(notes.excluded),
        quarantined=tuple(notes.quarantined),
    )


def _data_hash(head: Head, units: tuple[Unit, ...], notes: Notes) -> str:
    """The row's data hash; rows of 2022 have none, and the only data unit has it."""
    stated = text(head.data_hash)
    if stated is not None:
        return stated
    if not units:
        return str(notes.row)
    if len(units) > 1:
        notes.add(codes.DATA_HASH_MISSING, "the row has no data_hash; that of its first data unit stands in")
    return units[0].data_hash


def _dataset_hash(head: Head, notes: Notes) -> str | None:
    value = present(head.dataset_hash)
    if value is None or is_hash(value):
        return text(value)
    notes.add(codes.BAD_HASH, f"the dataset hash {shown(value)} is no hash; it was left out")
    return None
