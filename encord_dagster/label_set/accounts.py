"""What became of the rows of one export, on its way into the table of its events."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from encord_dagster import identity
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.row_events import Events
from encord_dagster.findings import Finding
from encord_dagster.formats.arrays import array, compute
from encord_dagster.label_set.events import COUNTS, FINDINGS, HISTORY, SCHEMA, Order

_AT_ONCE = 10_000  # rows whose events are held as objects
_OF_EVENT = (
    "label_hash",
    "branch_name",
    "fingerprint",
    "export_hash",
    "exported_at",
    "last_edited_at",
    "offset",
    "length",
)
_OF_ACCOUNT = ("status", "objects_in", "objects_quarantined", "digest", "images")


class RowAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one row of an export.

    `status`: `accepted`, `quarantined`, `other_branch`, `retired`, or `export` for the findings of the export itself.
    """

    status: str
    event: RowEvent | None
    findings: tuple[Finding, ...] = ()
    objects_in: int = 0
    objects_quarantined: int = 0
    excluded: Mapping[str, int] = {}  # objects left out on purpose, by reason
    images: int = 0
    classes: Mapping[str, int] = {}  # objects by the name of their class
    digest: bytes | None = None


class Again(msgspec.Struct, frozen=True):
    """Accepted rows that lie beside each other in an export and came before, of which nothing is to be said."""

    keys: Sequence[str]  # row identities
    fingerprints: Sequence[str]
    events: Events
    known: pa.Table  # what reading them came to: columns of their events that came before

    def times(self) -> list[str]:
        """What `event_time` says of each."""
        return [time.rstrip("Z") for time in self.events.exported_at]

    def orders(self) -> list[Order]:
        """What `order` says of each."""
        lengths = map(len, self.events.history)
        return list(zip(self.times(), lengths, self.events.export_hash, self.fingerprints, strict=True))

    def counts(self, name: str) -> Counter[str]:
        """The sums of a column of counts, by name."""
        found: Counter[str] = Counter()
        for count in chain.from_iterable(some or () for some in self.known[name].to_pylist()):
            found[count["name"]] += count["objects"]
        return found

    def cut(self, start: int, end: int) -> "Again":
        """Some of the rows."""
        columns: Iterator[Any] = (column[start:end] for column in self.events)
        return Again(self.keys[start:end], self.fingerprints[start:end], Events(*columns), self.known[start:end])

    def event(self, place: int) -> RowEvent:
        """That of one row."""
        of_one = {name: column[place] for name, column in self.events._asdict().items()}
        return RowEvent(fingerprint=self.fingerprints[place], **of_one)

    def sum(self, name: str) -> int:
        """The sum of a column of numbers."""
        return int(compute("sum", self.known[name]).as_py())


class _Count(msgspec.Struct, frozen=True):
    name: str
    objects: int


class _Told(msgspec.Struct, frozen=True):
    """A finding as it is stored; its row is known."""

    rule: str
    severity: str
    unit: str | None
    object: str | None
    message: str
    frame: int | None
    space: str | None

    @classmethod
    def of(cls, one: Finding) -> "_Told":
        at = one.location
        return cls(one.rule, one.severity, at.unit, at.object, one.message, at.frame, at.space)


class Accounts:
    """What became of the rows of an export, in their order. No more than the last few are held as objects."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._held: list[RowAccount | Again] = []
        self._rows = 0  # of these
        self._table: pa.Table | None = None  # as it was asked for, until another row comes

    def __bool__(self) -> bool:
        return bool(self._batches or self._held)

    def add(self, account: RowAccount | Again) -> None:
        """Add one row, or some that come again."""
        self._held.append(account)
        self._table = None
        self._rows += len(account.keys) if isinstance(account, Again) else 1
        if self._rows >= _AT_ONCE:
            self._pack()

    def table(self) -> pa.Table:
        """The events of the export."""
        if self._table is None:
            self._pack()
            together = pa.Table.from_batches(self._batches, SCHEMA).combine_chunks()
            self._batches = together.to_batches(max_chunksize=_AT_ONCE)  # its form is that of a file
            self._table = pa.Table.from_batches(self._batches, SCHEMA)
        return self._table

    def _pack(self) -> None:
        """Make a batch of what is held: of the rows that come again, and of the others; then in their order."""
        again = [one for one in self._held if isinstance(one, Again)]
        alone = [one for one in self._held if isinstance(one, RowAccount)]
        made = [*([_batch_again(_together(again))] if again else []), *([_batch(alone)] if alone else [])]
        if again and alone:
            places, next_again, next_alone = list[int](), 0, sum(len(one.keys) for one in again)
            for one in self._held:
                if isinstance(one, Again):
                    places += range(next_again, next_again := next_again + len(one.keys))
                else:
                    places.append(next_alone)
                    next_alone += 1
            whole = compute("take", pa.Table.from_batches(made), array(places, pa.int64()))
            made = whole.combine_chunks().to_batches()
        self._batches += made
        self._held, self._rows = [], 0


def _together(parts: Sequence[Again]) -> Again:
    """Rows that come again as if they lay beside each other."""
    return Again(
        [key for one in parts for key in one.keys],
        [fingerprint for one in parts for fingerprint in one.fingerprints],
        Events(*(list(chain.from_iterable(columns)) for columns in zip(*(one.events for one in parts), strict=True))),
        pa.concat_tables([one.known for one in parts]),
    )


def _batch_again(rows: Again) -> pa.RecordBatch:
    values = rows.events._asdict() | {"row": rows.keys, "fingerprint": rows.fingerprints}
    values["objects_quarantined"] = [0] * len(rows.keys)  # what has something there is read each time
    history = _lists(HISTORY, values.pop("history"))
    columns = {name: array(column, SCHEMA.field(name).type) for name, column in values.items()}
    columns |= {"findings": _lists(FINDINGS, [[]] * len(rows.keys)), "history": history}
    columns |= {"objects_excluded": array(_sums(rows.known["excluded"]), pa.int64())}
    for name in SCHEMA.names:
        if name not in columns:
            columns[name] = rows.known[name].combine_chunks()
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _batch(accounts: Sequence[RowAccount]) -> pa.RecordBatch:
    events = [account.event for account in accounts]
    values: dict[str, list[object]] = {name: [getattr(one, name, None) for one in events] for name in _OF_EVENT}
    values |= {name: [getattr(account, name) for account in accounts] for name in _OF_ACCOUNT}
    values["row"] = [event and identity.row_identity(event.label_hash, event.branch_name) for event in events]
    values["objects_excluded"] = [sum(account.excluded.values()) for account in accounts]
    columns = {name: array(column, SCHEMA.field(name).type) for name, column in values.items()}
    columns["history"] = _lists(HISTORY, [event.history if event else None for event in events])
    columns["findings"] = _lists(FINDINGS, [[_Told.of(one) for one in account.findings] for account in accounts])
    for name in ("classes", "excluded"):
        counts: list[Mapping[str, int]] = [getattr(account, name) for account in accounts]
        columns[name] = _lists(COUNTS, [[_Count(*pair) for pair in one.items()] for one in counts])
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _sums(counts: "pa.ChunkedArray[Any]") -> list[int]:
    """How many objects there are in each list of counts."""
    return [sum(count["objects"] for count in some or ()) for some in counts.to_pylist()]


def _lists(kind: "pa.ListType[Any]", rows: Sequence[Sequence[object] | None]) -> "pa.Array[Any]":
    """A column of lists; None is null. Built by column, as records one by one take ten times as long."""
    items = [item for row in rows if row for item in row]
    fields = kind.value_type.fields
    columns = [array(list(map(attrgetter(field.name), items)), field.type) for field in fields]
    starts = list(accumulate((len(row or ()) for row in rows), initial=0))
    offsets = [None if row is None else start for row, start in zip(rows, starts, strict=False)]  # null is a null list
    made = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(array([*offsets, starts[-1]], pa.int32()), made, type=kind)
