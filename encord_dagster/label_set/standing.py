"""What operations have decided about exports and rows: which take no part, and which are read again."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from encord_dagster import identity
from encord_dagster.label_set import objects
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.manifest import ExportEntry, LogRecord, Retired, RetiredRow
from encord_dagster.storage.protocol import ObjectStore


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the exports that the log accounts for stand in one run."""

    accounted: Accounted
    blocked: frozenset[str]  # their events take no part in the join
    again: Mapping[str, ExportEntry]  # they are read again, out of their raw copies
    retired: frozenset[str]  # identities of rows that stay out
    stale: bool  # all of them are read again

    def joined(self) -> Iterator[ExportEntry]:
        """What of them is in the version, or has lost to it; the greatest rank first."""
        if not self.stale:
            out = {*self.blocked, *self.again}
            yield from (entry for entry in self.accounted.descending() if entry.id not in out)


def standing(
    lake: ObjectStore,
    record: LogRecord | None,
    accounted: Accounted,
    *,
    stale: bool,
    asked: Collection[str] = (),
) -> Standing:
    """How exports stand on top of a record; those that are `asked` for are read again, and all where it is stale."""
    blocked = frozenset(record.blocked if record else ())
    if stale:
        entries = accounted.all()
    else:
        wanted = sorted({*(record.again if record else ()), *asked})
        entries = {key: entry for key in wanted if (entry := accounted.get(key))}
    return Standing(
        accounted=accounted,
        blocked=blocked,
        again={key: entry for key, entry in entries.items() if key not in blocked},
        retired=frozenset(map(row_of, retired_rows(lake, record))),
        stale=stale,
    )


def retired_rows(lake: ObjectStore, record: LogRecord | None) -> tuple[RetiredRow, ...]:
    """All rows that were removed on purpose."""
    if record is None or record.retired is None:
        return ()
    return msgspec.json.decode(objects.read(lake, record.retired), type=Retired).rows


def row_of(retired: RetiredRow) -> str:
    """The identity of a retired row."""
    return identity.row_identity(retired.label_hash, retired.branch_name)


def in_order(rows: Iterable[RetiredRow]) -> Retired:
    """Retired rows as they are stored: once each, by label hash and branch."""
    found = {(row.label_hash, row.branch_name): row for row in rows}
    return Retired(rows=tuple(found[key] for key in sorted(found)))
