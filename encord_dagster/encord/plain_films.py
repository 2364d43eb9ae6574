"""Rows of videos and series, or some frames of one, read together in columns: as `plain_images` reads images."""

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from encord_dagster.encord import plain
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.plain_answers import PlainAnswers
from encord_dagster.encord.plain_columns import Frames, RowColumns, object_hashes, row_columns
from encord_dagster.encord.plain_counts import keys_of
from encord_dagster.encord.plain_frames import Row, frames_of
from encord_dagster.encord.plain_heads import branch_of, hashes, node_of, statuses, units_of
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.plain_rows import PlainReader

_objects, _classifications = attrgetter("objects"), attrgetter("classifications")


def film_columns(rows: Sequence[plain.FilmRow], reader: PlainReader) -> RowColumns:
    """Rows of videos and series without their objects. Odd where another way has to look."""
    if not {row.data_type for row in rows} <= {"video", "dicom"}:
        raise Odd
    read = [_frames(row) for row in rows]
    frames, sheets = _joined([frames for frames, _ in read]), [sheet for _, sheets in read for sheet in sheets]
    counts = [len(sheets) for _, sheets in read]
    units = [key for row in rows for key in row.data_units]
    return row_columns(rows, units, frames, counts, sheets, reader)


def part_columns(row: plain.FilmRow, event: RowEvent, answers: PlainAnswers) -> RowColumns:
    """Some frames of a row that has such an event and such answers."""
    label_status, _ = statuses(row)
    hashes(row)
    node_of(row.workflow_graph_node)
    frames, sheets = _frames(row)
    object_hashes(sheets)
    return RowColumns(
        label_hashes=[row.label_hash],
        branch_names=[branch_of(row)],
        data_types=[row.data_type],
        label_statuses=[label_status],
        exported_at=[event.exported_at or event.last_edited_at],
        export_hashes=[event.export_hash],
        frame_counts=[len(sheets)],
        frames=frames,
        sheets=sheets,
        answers=[(answers, len(sheets))],
        keys=keys_of([row]) + answers.keys,
    )


def _frames(row: plain.FilmRow) -> tuple[Frames, list[list[plain.Object]]]:
    """The frames of a row in order, and the objects on each."""
    found, sheets = list[Frames](), list[list[plain.Object]]()
    for one in units_of(row):
        labels, numbers, widths, heights, identities = frames_of(one, row.data_type)
        if any(map(_classifications, labels)):
            raise Odd
        count = len(labels)
        data_hashes, mime_types = [one.unit.data_hash] * count, [one.mime_type] * count
        found.append(Frames(data_hashes, numbers, identities, mime_types, widths, heights))
        sheets += map(_objects, labels)
    return _joined(found), sheets


def _joined(parts: Sequence[Frames]) -> Frames:
    return parts[0] if len(parts) == 1 else Frames(*(list(chain.from_iterable(of)) for of in zip(*parts, strict=True)))


def labelled_film(row: Row) -> plain.FilmRow | None:
    """The row, if it is of a video or a series that has objects, and has no classifications."""
    if not isinstance(row, plain.FilmRow) or bytes(row.classification_answers) != b"{}":
        return None
    labels = list(chain.from_iterable(unit.labels.values() for unit in row.data_units.values()))
    return row if any(map(_objects, labels)) and not any(map(_classifications, labels)) else None
