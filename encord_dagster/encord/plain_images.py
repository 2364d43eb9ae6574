"""Rows of one image, which most rows are, read at a glance: as `bare_row` reads them, in a third of the time.

What is not as in most rows is left to that.
"""

import re

from msgspec import UNSET

from encord_dagster.encord import plain
from encord_dagster.encord.head import LABEL_STATUSES, TASK_STATUSES
from encord_dagster.encord.model import Frame, LabelRow
from encord_dagster.encord.plain_answers import PlainAnswers
from encord_dagster.encord.plain_heads import any_hash, branch_of, mime_of, time
from encord_dagster.encord.plain_many import BareRow
from encord_dagster.encord.plain_rows import NEVER, PlainReader
from encord_dagster.encord.scalars import HASH
from encord_dagster.encord.units import LARGEST_SIDE

_STATES = {UNSET: None, None: None} | {status: status for status in TASK_STATUSES}
_SHORTEST, _LONGEST = "{1,64}", "{5,64}"  # shorter ones may be words for absent
_HASHES = re.compile(f"(?:{HASH.pattern.replace(_SHORTEST, _LONGEST)} ){{5}}")


def bare_image(row: plain.ImageRow, reader: PlainReader) -> BareRow | None:
    """The row without its objects; None where another way has to look."""
    try:
        return _read(row, reader) if len(row.data_units) == 1 else None
    except NEVER:
        return None


def _read(row: plain.ImageRow, reader: PlainReader) -> BareRow | None:
    ((key, unit),) = row.data_units.items()
    export_hash, exported_at = _exported(row)
    together = f"{row.label_hash} {row.data_hash} {row.dataset_hash} {key} {export_hash} "
    if exported_at is None or together.count(" ") != 5 or not _HASHES.fullmatch(together):
        return None
    if not (key == unit.data_hash and _is_plain(row) and _is_plain_image(unit)):
        return None
    objects = unit.labels.objects
    hashes = {one.object_hash for one in objects}
    if len(hashes) < len(objects) or not row.object_answers.keys() <= hashes:
        return None
    time(row.last_edited_at)
    answers = PlainAnswers(row.object_answers, row.object_actions, reader.known)
    keys = plain.keys_of(row) + answers.keys
    return BareRow(_label_row(row, unit), exported_at, export_hash, answers, [objects], keys)


def _is_plain(row: plain.ImageRow) -> bool:
    return (
        row.label_status in LABEL_STATUSES
        and row.annotation_task_status in _STATES
        and row.is_valid is not False
        and row.data_type in ("image", "img_group")
        and bytes(row.classification_answers) == b"{}"
    )


def _is_plain_image(unit: plain.Image) -> bool:
    return (
        0 <= unit.data_sequence < 10**9
        and 0 < unit.width <= LARGEST_SIDE
        and 0 < unit.height <= LARGEST_SIDE
        and not unit.labels.classifications
    )


def _label_row(row: plain.ImageRow, unit: plain.Image) -> LabelRow:
    frame = Frame(
        data_hash=unit.data_hash,
        number=unit.data_sequence,
        identity=str(unit.data_sequence),
        mime_type=mime_of(unit.data_type),
        width=unit.width,
        height=unit.height,
    )
    return LabelRow(
        label_hash=row.label_hash,
        branch_name=branch_of(row),
        data_hash=row.data_hash,
        dataset_hash=row.dataset_hash,
        data_type=row.data_type,
        is_image_sequence=None if row.is_image_sequence is UNSET else row.is_image_sequence,
        label_status=row.label_status,
        annotation_task_status=_STATES[row.annotation_task_status],
        workflow_node=None,
        frames=(frame,),
        classifications=(),
        objects_in=len(unit.labels.objects),
    )


def _exported(row: plain.Head) -> tuple[str, str | None]:
    """Export hash and time of the event; no time where it has none of its own."""
    export_hash, at = row.export_hash, row.exported_at
    if export_hash is UNSET or at is UNSET:
        return "", None
    for told in () if row.export_history is UNSET else row.export_history:
        if told.exported_at != at:
            time(told.exported_at)
        if told.export_hash != export_hash:
            any_hash(told.export_hash)
    return export_hash, time(at)
