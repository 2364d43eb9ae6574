"""Rows that come again with the labels that the version has of them: they are accounted for, and not read."""

from collections.abc import Collection, Sequence

import msgspec

from encord_dagster import identity
from encord_dagster.draft import Draft
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.row_digest import Digested
from encord_dagster.findings import Finding
from encord_dagster.label_set.recall import Recall, Remembered


class Returning(msgspec.Struct, frozen=True):
    """A row that came before."""

    event: RowEvent
    known: Remembered


class ReturningRows:
    """Tells rows that come again from those that have to be read."""

    def __init__(self, recall: Recall, draft: Draft, *, retired: Collection[str]) -> None:
        self._recall, self._draft, self._retired = recall, draft, retired  # retired: row identities

    def among(self, rows: Sequence[Digested | None]) -> list[Returning | None]:
        """The rows that come again, None for each of the others."""
        found = self._recall.find([row.digest if row else None for row in rows])
        return [self._returning(row, known) if row and known else None for row, known in zip(rows, found, strict=True)]

    def take(self, row: Returning) -> tuple[Finding, ...]:
        """Offer a row to the draft; what the join finds odd about it."""
        return self._draft.take_again(row.event) if row.known.status == "accepted" else ()

    def _returning(self, row: Digested, known: Remembered) -> Returning | None:
        event = row.event(known.fingerprint)
        if event is None or identity.row_identity(event.label_hash, event.branch_name) in self._retired:
            return None
        if known.status == "accepted" and not self._draft.has(event, row.head.dataset_hash):
            return None
        return Returning(event, known)
