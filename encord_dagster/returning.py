"""Rows that come again with the labels that the version has of them: they are accounted for, and not read."""

from collections.abc import Iterator, Sequence, Set
from itertools import groupby

import msgspec
import pyarrow as pa

from encord_dagster import identity
from encord_dagster.draft import Draft
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.row_digest import Digested
from encord_dagster.encord.row_events import events_of
from encord_dagster.findings import Finding
from encord_dagster.label_set.accounts import Again
from encord_dagster.label_set.recall import Recall, Remembered, remembered


class Returning(msgspec.Struct, frozen=True):
    """A row that came before."""

    event: RowEvent
    known: Remembered


class ReturningRows:
    """Tells rows that come again from those that have to be read."""

    def __init__(self, recall: Recall, draft: Draft, *, retired: Set[str]) -> None:
        self._recall, self._draft, self._retired = recall, draft, retired  # retired: row identities

    def among(self, rows: Sequence[Digested | None]) -> Iterator[tuple[int, Again | Returning | None]]:
        """Rows that lie beside each other, how many, and what is known of them; None where they have to be read."""
        places = self._recall.find([row.digest if row else None for row in rows])
        found = [(row, place) if row and place >= 0 else None for row, place in zip(rows, places, strict=True)]
        usual = [one for one in found if one and self._recall.is_usual(one[1])]
        together, start = self._again(usual) if usual else None, 0
        for is_usual, some in groupby(found, key=lambda one: bool(one and self._recall.is_usual(one[1]))):
            known, again = list(some), None
            if is_usual:
                end = start + len(known)
                again = together.cut(start, end) if together else self._again(usual[start:end])
                start = end
            if again:
                yield len(known), again
            else:
                yield from ((1, self._returning(*one) if one else None) for one in known)

    def take(self, row: Returning) -> tuple[Finding, ...]:
        """Offer a row to the draft; what the join finds odd about it."""
        return self._draft.take_again(row.event) if row.known.status == "accepted" else ()

    def take_all(self, rows: Again) -> list[Returning]:
        """Offer rows to the draft; all of them, to be offered one by one, where the join has to look at some."""
        if self._draft.take_all_again(rows):
            return []
        return [Returning(rows.event(place), known) for place, known in enumerate(_remembered(rows.known))]

    def _again(self, known: Sequence[tuple[Digested, int]]) -> Again | None:
        """Rows together, of which nothing was found before; None where something may be said of one now."""
        rows, places = [row for row, _ in known], [place for _, place in known]
        try:
            events = events_of(rows)
        except Odd:
            return None
        keys = [one.hex() for one in identity.row_identities(events.label_hash, events.branch_name)]
        fingerprints = self._recall.fingerprints(places)
        if not (self._retired.isdisjoint(keys) and all(map(self._draft.has, keys, fingerprints, _datasets(rows)))):
            return None
        return Again(keys, fingerprints, events, self._recall.told(places))

    def _returning(self, row: Digested, place: int) -> Returning | None:
        (known,) = _remembered(self._recall.told([place]))
        event = row.event(known.fingerprint)
        if event is None:
            return None
        key = identity.row_identity(event.label_hash, event.branch_name)
        if key in self._retired or (
            known.status == "accepted" and not self._draft.has(key, known.fingerprint, row.told.dataset_hash)
        ):
            return None
        return Returning(event, known)


def _datasets(rows: Sequence[Digested]) -> Iterator[str]:
    return (row.told.dataset_hash for row in rows)


def _remembered(known: pa.Table) -> list[Remembered]:
    return [remembered(**record) for record in known.to_pylist()]
