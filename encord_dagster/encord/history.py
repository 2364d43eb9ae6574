"""The export events of a row: `export_hash`, `exported_at` and `export_history`."""

from collections.abc import Iterable

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.authors import read_person
from encord_dagster.encord.children import entries as children_of
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.encord.notes import Notes, shown
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, is_hash, present
from encord_dagster.encord.times import parse_time


class _Entry(msgspec.Struct):
    export_hash: Scalar = None
    exported_at: Scalar = None
    user: Raw = msgspec.field(name="user_email", default=ABSENT)


_ENTRY = msgspec.json.Decoder(_Entry)


def read_time(value: Scalar, name: str, notes: Notes) -> str | None:
    """A time of the row in ISO 8601 UTC; None, with a finding, where it is in no known format."""
    value = present(value)
    if value is None:
        return None
    time = parse_time(value) if isinstance(value, str) else None
    if time is None:
        notes.add(codes.BAD_TIME, f"{name} {shown(value)} is in no known format; it was left out")
    return time


def event_time(event: RowEvent) -> str:
    """The time that orders an event; without its zone letter, so that fractions of a second sort rightly."""
    return (event.exported_at or event.last_edited_at or "").rstrip("Z")


def read_export_hash(value: Scalar, notes: Notes) -> str | None:
    """The export hash of the row, None where it is absent or no hash."""
    value = present(value)
    if value is None:
        return None
    if isinstance(value, str) and is_hash(value):
        return value
    notes.add(codes.BAD_HISTORY, f"export_hash {shown(value)} is no hash; it was left out")
    return None


def read_history(raw: Raw, current: HistoryEntry | None, notes: Notes) -> tuple[HistoryEntry, ...]:
    """The entries of `export_history` and the current one, each export hash once, newest first."""
    return united(current, _entries(raw, notes))


def united(current: HistoryEntry | None, entries: Iterable[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Entries and the current one, each export hash once, newest first."""
    found = {current.export_hash: current} if current else {}
    for entry in entries:
        known = found.get(entry.export_hash)
        if known is None or known.exported_at is None:
            found[entry.export_hash] = entry
        elif known.user is None and entry.user:
            found[entry.export_hash] = msgspec.structs.replace(known, user=entry.user)
    ordered = sorted(found.values(), key=lambda entry: entry.export_hash)
    return tuple(sorted(ordered, key=lambda entry: entry.exported_at or "", reverse=True))


def _entries(raw: Raw, notes: Notes) -> list[HistoryEntry]:
    try:
        children = children_of(raw)
    except UNREADABLE:
        notes.add(codes.BAD_HISTORY, "export_history is neither a list nor an object; it was left out")
        return []
    return [entry for entry in (_entry(child, notes) for child in children) if entry is not None]


def _entry(raw: Raw, notes: Notes) -> HistoryEntry | None:
    try:
        entry = _ENTRY.decode(raw)
    except UNREADABLE:
        entry = _Entry()
    if not isinstance(entry.export_hash, str) or not is_hash(entry.export_hash):
        notes.add(codes.BAD_HISTORY, "an entry of export_history has no readable export hash; it was left out")
        return None
    exported_at = read_time(entry.exported_at, "exported_at in export_history", notes)
    return HistoryEntry(entry.export_hash, exported_at, read_person(entry.user, notes))
