"""Rows of a version that complete exports do not hold any more. They are told, and stay."""

from collections.abc import Iterable, Iterator, Mapping

from encord_dagster.encord.notes import quote
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set.events import read_events, rows_of
from encord_dagster.label_set.join import rank
from encord_dagster.label_set.manifest import BucketRow, ExportEntry
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.validation import finding

NAMED = 10  # label hashes in one finding


def absent(
    lake: ObjectStore,
    rows: Iterable[BucketRow],
    *,
    own: set[str],
    at: tuple[str, str],
    others: Mapping[str, ExportEntry],
    after: int,
) -> Iterator[Finding]:
    """A finding where rows are in none of the last exports: the one of rank `at` with its `own` rows, and others.

    Nothing where a newer export is known, which says more, and where there were fewer than `after` of them.
    """
    ranked = sorted(others.values(), key=rank)
    last = ranked[len(ranked) - after + 1 :] if len(ranked) >= after - 1 else None
    if last is None or (ranked and rank(ranked[-1]) > at):
        return
    present = own.union(*(rows_of(read_events(lake, entry.events, ["row"])) for entry in last))
    gone = sorted(row.label_hash for row in rows if row.fragment and row.row not in present)
    if gone:
        among = ", ".join(map(quote, gone[:NAMED])) + (" and others" if len(gone) > NAMED else "")
        text = (
            f"{len(gone):,} rows of the label set are in none of the last {after} complete exports: {among}; retire "
            "them where they are gone for good, else check what the exports leave out: the version keeps them"
        )
        yield finding("row_absent", Location(), text)
