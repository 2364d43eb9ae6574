"""Rows of a version that complete exports do not hold any more. They are told, and stay."""

from collections.abc import Iterable, Iterator
from itertools import islice

from encord_dagster.encord.notes import quote
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set.accounted import Rank, rank
from encord_dagster.label_set.events import read_events, rows_of
from encord_dagster.label_set.manifest import BucketRow, ExportEntry
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.validation import finding

NAMED = 10  # label hashes in one finding


def absent(
    lake: ObjectStore,
    rows: Iterable[BucketRow],
    *,
    own: set[str],
    at: Rank,
    others: Iterable[ExportEntry],
    after: int,
) -> Iterator[Finding]:
    """A finding where rows are in none of the last exports: the one of rank `at` with its `own` rows, and others.

    Others come with the greatest rank first. Nothing is found where one of them is newer, which says more, and where
    there were fewer than `after` exports.
    """
    newest = list(islice(others, max(1, after - 1)))
    if len(newest) < after - 1 or (newest and rank(newest[0]) > at):
        return
    last = newest[: after - 1]
    present = own.union(*(rows_of(read_events(lake, entry.events, ["row"])) for entry in last))
    gone = sorted(row.label_hash for row in rows if row.fragment and row.row not in present)
    if gone:
        among = ", ".join(map(quote, gone[:NAMED])) + (" and others" if len(gone) > NAMED else "")
        text = (
            f"{len(gone):,} rows of the label set are in none of the last {after} complete exports: {among}; retire "
            "them where they are gone for good, else check what the exports leave out: the version keeps them"
        )
        yield finding("row_absent", Location(), text)
