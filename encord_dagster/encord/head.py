"""The outside of a label row: who it is, of which export, in which state. Titles, links and users stay undecoded."""

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.container import LARGEST_ROW, RowSlice
from encord_dagster.encord.fingerprint import DuplicateKey, digest, fingerprint, outermost_keys
from encord_dagster.encord.history import read_export_hash, read_history, read_time
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.encord.notes import Notes, problem, quote, row_error, shown
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, flag, is_hash, present, text
from encord_dagster.encord.units import IMAGE_TYPES
from encord_dagster.errors import RowError

_OTHER_TYPES = frozenset(
    {"audio", "deleted", "dicom_study", "group", "html", "pdf", "plain_text", "scene", "time_series"}
)
_TYPE_ALIASES = {"image_group": "img_group", "image_sequence": "img_group", "img_sequence": "img_group"}
LABEL_STATUSES = frozenset(
    {"NOT_LABELLED", "LABEL_IN_PROGRESS", "LABELLED", "REVIEW_IN_PROGRESS", "REVIEWED", "REVIEWED_TWICE"}
)
TASK_STATUSES = frozenset({"QUEUED", "ASSIGNED", "IN_REVIEW", "RETURNED", "COMPLETED"})


class Head(msgspec.Struct):
    """A row as exports write it, its parts unread."""

    label_hash: Scalar = None
    branch_name: Scalar = None
    data_hash: Scalar = None
    dataset_hash: Scalar = None
    data_type: Scalar = None
    is_image_sequence: Scalar = None
    label_status: Scalar = None
    annotation_task_status: Scalar = None
    is_valid: Scalar = None
    export_hash: Scalar = None
    exported_at: Scalar = None
    last_edited_at: Scalar = None
    export_history: Raw = ABSENT
    workflow_graph_node: Raw = ABSENT
    data_units: Raw = ABSENT
    object_answers: Raw = ABSENT
    object_actions: Raw = ABSENT
    classification_answers: Raw = ABSENT
    spaces: Raw = ABSENT


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of row it is, and how far its labelling has come."""

    data_type: str
    is_image_sequence: bool | None
    label_status: str | None
    annotation_task_status: str | None
    workflow_node: str | None


class _Node(msgspec.Struct):
    title: Scalar = None
    uuid: Scalar = None


class AmbiguousRow(RowError):
    """A row that has a key twice; `event` names it, None where the key can be one that it is named by."""

    def __init__(self, reason: str, message: str, event: RowEvent | None) -> None:
        super().__init__(reason, message)
        self.args = (reason, message, event)  # all of them, so that the error survives pickling
        self.event = event


_HEAD = msgspec.json.Decoder(Head)
_NODE = msgspec.json.Decoder(_Node | Scalar)


def read_head(raw: bytes) -> Head:
    """The row with its parts unread; RowError where even that is not possible."""
    if len(raw) > LARGEST_ROW:
        message = f"the row has more than {LARGEST_ROW} bytes, which is not read; split it in Encord, then export again"
        raise row_error(codes.ROW_TOO_LARGE, message)
    try:
        return _HEAD.decode(raw)
    except RecursionError as error:
        raise _too_deep() from error
    except UNREADABLE as error:
        raise row_error(codes.ROW_UNREADABLE, f"the row cannot be read ({problem(error)}); export it again") from error


def read_label_hash(head: Head) -> tuple[str, bool]:
    """The row's identity, and whether it is its own label hash rather than its data hash."""
    for value in (present(head.label_hash), present(head.data_hash)):
        if value is not None and not is_hash(value):
            raise row_error(codes.BAD_HASH, f"the row's hash {shown(value)} is no hash; export the row again")
    label_hash, data_hash = text(head.label_hash), text(head.data_hash)
    if label_hash is None and data_hash is None:
        raise row_error(codes.NO_IDENTITY, "the row has neither label_hash nor data_hash; export it again")
    return (label_hash, True) if label_hash is not None else (str(data_hash), False)


def read_event(head: Head, row: RowSlice, notes: Notes) -> RowEvent:
    """The row as this export carried it; AmbiguousRow where an object in it has a key twice."""
    try:
        return _event(head, row, notes, fingerprint(row.raw))
    except RecursionError as error:
        raise _too_deep() from error
    except DuplicateKey as error:
        keys = outermost_keys(row.raw)
        event = _event(head, row, notes, digest(row.raw)) if len(keys) == len(set(keys)) else None
        message = f"the row has the key {quote(error.key)} twice in one object, and either value may be the right one"
        raise AmbiguousRow(codes.DUPLICATE_KEY.name, f"{message}; export the row again", event) from error


def _too_deep() -> RowError:
    return row_error(codes.TOO_DEEP, "the row is nested deeper than any label row is; export it again")


def _event(head: Head, row: RowSlice, notes: Notes, fingerprint: str) -> RowEvent:
    branch = present(head.branch_name)
    if branch is not None and not isinstance(branch, str):
        raise row_error(codes.ROW_UNREADABLE, "`branch_name` is no text; export the row again")
    export_hash = read_export_hash(head.export_hash, notes)
    exported_at = read_time(head.exported_at, "exported_at", notes)
    current = HistoryEntry(export_hash, exported_at) if export_hash else None
    return RowEvent(
        label_hash=str(notes.row),
        branch_name=notes.clean(branch, "the branch name", notes.at()) or "main",
        fingerprint=fingerprint,
        export_hash=export_hash,
        exported_at=exported_at,
        last_edited_at=read_time(head.last_edited_at, "last_edited_at", notes),
        history=read_history(head.export_history, current, notes),
        offset=row.offset,
        length=row.length,
    )


def read_state(head: Head, notes: Notes) -> State:
    """Kind and statuses of the row, in Encord's current words."""
    if flag(head.is_valid) is False:
        notes.add(codes.ROW_INVALID, "Encord marks the row as not valid (is_valid); check it there")
    task = _status(head.annotation_task_status, "annotation_task_status", TASK_STATUSES, notes)
    return State(
        data_type=_data_type(head, notes),
        is_image_sequence=flag(head.is_image_sequence),
        label_status=_status(head.label_status, "label_status", LABEL_STATUSES, notes),
        annotation_task_status=task,
        workflow_node=read_node(head.workflow_graph_node, notes),
    )


def _data_type(head: Head, notes: Notes) -> str:
    stated = notes.clean(present(head.data_type), "the data type", notes.at()).strip().lower()
    data_type = _TYPE_ALIASES.get(stated, stated)
    if data_type not in IMAGE_TYPES and data_type not in _OTHER_TYPES:
        message = f"the data type {quote(stated)} is not known; its objects are counted, not converted"
        notes.add(codes.UNKNOWN_DATA_TYPE, message)
    return data_type or "unknown"


def _status(value: Scalar, name: str, known: frozenset[str], notes: Notes) -> str | None:
    status = notes.clean(present(value), name, notes.at()).strip().upper()
    status = {"COMPLETE": "COMPLETED"}.get(status, status)
    if status and status not in known:
        notes.add(codes.UNKNOWN_STATUS, f"the {name} {quote(status)} is not known; it was kept")
    return status or None


def read_node(raw: Raw, notes: Notes) -> str | None:
    """The stage of the workflow that a row is in."""
    try:
        node = _NODE.decode(raw)
    except UNREADABLE:
        return None
    name = (present(node.title) or present(node.uuid)) if isinstance(node, _Node) else node
    return notes.clean(name, "the workflow stage", notes.at()) or None
