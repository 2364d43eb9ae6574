"""The events of many rows in columns, as `plain_heads.event_of` makes that of each."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from msgspec import UNSET

from encord_dagster.encord import plain
from encord_dagster.encord.history import united
from encord_dagster.encord.model import HistoryEntry
from encord_dagster.encord.plain_columns import refuse_hashes
from encord_dagster.encord.plain_heads import branch_of, times
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.row_digest import Digested


class Events(NamedTuple):
    """Rows as an export carried them, field by field of `model.RowEvent`."""

    label_hash: Sequence[str]
    branch_name: Sequence[str]
    export_hash: Sequence[str]
    exported_at: Sequence[str]
    last_edited_at: Sequence[str]
    history: Sequence[tuple[HistoryEntry, ...]]
    offset: Sequence[int]
    length: Sequence[int]


def events_of(rows: Sequence[Digested]) -> Events:
    """The events of rows that tell of their export. Odd where something is to be said of one of them."""
    told = [row.told for row in rows]
    hashes = [one.export_hash for one in told if one.export_hash is not UNSET]
    stated = [one.exported_at for one in told if one.exported_at is not UNSET]
    if not len(hashes) == len(stated) == len(told):
        raise Odd
    given: list[list[plain.Exported]] = [[] if one.export_history is UNSET else one.export_history for one in told]
    entries = list(chain.from_iterable(given))
    label_hashes = [one.label_hash for one in told]
    refuse_hashes(label_hashes, hashes, [entry.export_hash for entry in entries])
    exported = times(stated)
    made = map(HistoryEntry, [entry.export_hash for entry in entries], times([entry.exported_at for entry in entries]))
    current = map(HistoryEntry, hashes, exported)
    return Events(
        label_hashes,
        [branch_of(one) for one in told],
        hashes,
        exported,
        times([one.last_edited_at for one in told]),
        [_united(now, [next(made) for _ in some]) for now, some in zip(current, given, strict=True)],
        [row.piece.offset for row in rows],
        [row.piece.length for row in rows],
    )


def _united(current: HistoryEntry, entries: list[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """`united`, where most rows have nothing to unite."""
    return (current,) if entries == [current] else united(current, entries)
