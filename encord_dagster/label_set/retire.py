"""Rows removed on purpose, and brought back: the only way in which a label set comes to hold fewer rows."""

from collections.abc import Collection, Iterable

import msgspec

from encord_dagster.encord.notes import quote
from encord_dagster.errors import UsageError
from encord_dagster.label_set import history, manifest, objects
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.events import read_events, rows_of
from encord_dagster.label_set.join import State
from encord_dagster.label_set.manifest import LogRecord, ObjectRef, RetiredRow, Root
from encord_dagster.label_set.operations import is_same, operate, refuse_without_copy, said
from encord_dagster.label_set.publish import epoch, without
from encord_dagster.label_set.standing import in_order, retired_rows, row_of
from encord_dagster.storage.protocol import ObjectStore


def retire(
    lake: ObjectStore,
    name: str,
    reason: str,
    *,
    label_hashes: Collection[str] = (),
    data_hashes: Collection[str] = (),
) -> LogRecord:
    """Take label rows out, as a new version without them, and return its record.

    They are named by their own hashes or by those of the data that they describe; a row stays out also where it is
    exported again, until it is restored. UsageError for a hash that no row has.
    """
    why, labels, data = said(reason), set(label_hashes), set(data_hashes)
    if not labels | data:
        raise UsageError("name the rows to retire, by label hash or by data hash")

    def operation(state: State, record: LogRecord) -> LogRecord | None:
        known = retired_rows(lake, record)
        found = _named(state, labels, data)
        told = {row.label_hash for row in (*known, *found)} | {row.data_hash for row in (*known, *found)}
        if unknown := sorted((labels | data) - told):
            if is_same(record, "retire", why):
                return None
            raise UsageError(f"label set {name!r} has no row of {', '.join(map(quote, unknown[:10]))}; nothing is done")
        if not found:
            return None
        return _without(state, record, name, frozenset(map(row_of, found)), in_order((*found, *known)), why)

    return operate(lake, name, operation)


def _named(state: State, labels: set[str], data: set[str]) -> list[RetiredRow]:
    """The rows that hashes name, of the version that readers see and of the one that is held back."""
    found: dict[str, RetiredRow] = {}
    for root in _roots(state):
        state.build_on(root)
        by_row: dict[str, str] = {}
        if data:
            sources = state.sources_by_data()
            by_row = {row: one for one in sorted(data) for row in sources.get(one, ())}
        for row in state.rows():
            if row.label_hash in labels or row.row in by_row:
                found[row.row] = RetiredRow(
                    label_hash=row.label_hash, branch_name=row.branch_name, data_hash=by_row.get(row.row, "")
                )
    return list(found.values())


def _roots(state: State) -> Iterable[Root]:
    record = state.head.record
    held = state.root_of(record.held) if record else None
    return [root for root in (state.published, held) if root]


def _without(
    state: State, record: LogRecord, name: str, rows: frozenset[str], retired: manifest.Retired, reason: str
) -> LogRecord:
    """The record of what readers see and of what is held back, both without some rows."""

    def cut(ref: ObjectRef | None) -> tuple[ObjectRef | None, str]:
        root = state.root_of(ref)
        if root is None:
            return None, ""
        state.build_on(root)
        present = frozenset(row for row in rows if state.row(row))
        if not present:
            return ref, root.content_digest
        smaller, _ = without(state, root, name, present)
        return objects.write(state.lake, name, epoch(state), manifest.encode(smaller)), smaller.content_digest

    root, digest = cut(record.root)
    held, held_digest = cut(record.held)
    healed = held_digest == digest
    made = history.following(
        state.head, record, "retire", reason=reason, root=root, content_digest=digest or record.content_digest
    )
    return msgspec.structs.replace(
        made,
        findings=() if digest != record.content_digest else record.findings,  # on purpose is not suspicious
        held=None if healed else held,
        held_findings=() if healed else record.held_findings,
        retired=objects.write(state.lake, name, epoch(state), manifest.encode(retired)),
    )


def restore(lake: ObjectStore, name: str, label_hashes: Collection[str], reason: str) -> LogRecord:
    """Let retired rows back in: the next run reads the exports that hold them again, out of their raw copies.

    UsageError for rows that are not retired, and where a copy is missing.
    """
    why, wanted = said(reason), set(label_hashes)

    def operation(state: State, record: LogRecord) -> LogRecord | None:
        known = retired_rows(lake, record)
        if unknown := sorted(wanted - {row.label_hash for row in known}):
            if is_same(record, "restore", why):
                return None
            raise UsageError(f"label set {name!r} has not retired {', '.join(map(quote, unknown[:10]))}")
        back = {row_of(row) for row in known if row.label_hash in wanted}
        entries = [
            entry
            for entry in Accounted(lake, name, state.head).all().values()
            if back & rows_of(read_events(lake, entry.events, ["row"])) and entry.id not in record.blocked
        ]
        refuse_without_copy(lake, entries)
        left = in_order(row for row in known if row.label_hash not in wanted)
        ref = objects.write(lake, name, epoch(state), manifest.encode(left)) if left.rows else None
        made = history.following(
            state.head, record, "restore", reason=why, root=record.root, content_digest=record.content_digest
        )
        again = {*record.again, *(entry.id for entry in entries)}
        return msgspec.structs.replace(made, retired=ref, again=tuple(sorted(again)))

    return operate(lake, name, operation)
