"""Row events: the lineage of one export, one Parquet object, and the total order that the join rests on."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, groupby
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from encord_dagster import identity, layout
from encord_dagster.encord.history import event_time as event_time  # its readers ask for it here
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.encord.row_digest import SIZE
from encord_dagster.encord.row_events import Events
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.tables import from_parquet, to_parquet
from encord_dagster.label_set import objects
from encord_dagster.label_set.manifest import ObjectRef, sha256
from encord_dagster.storage.protocol import ObjectStore

Order = tuple[str, int, str, str]  # time, length of the history, export hash, fingerprint
OF_ORDER = ("row", "status", "exported_at", "last_edited_at", "history", "export_hash", "fingerprint")

_HISTORY = pa.list_(pa.struct([("export_hash", pa.string()), ("exported_at", pa.string()), ("user", pa.string())]))
_FINDINGS = pa.list_(
    pa.struct(
        [(name, pa.string()) for name in ("rule", "severity", "unit", "object", "message")]
        + [("frame", pa.int64()), ("space", pa.string())]
    )
)
_COUNTS = pa.list_(pa.struct([("name", pa.string()), ("objects", pa.int64())]))
SCHEMA = pa.schema(
    [
        ("row", pa.string()),
        ("label_hash", pa.string()),
        ("branch_name", pa.string()),
        ("status", pa.string()),
        ("fingerprint", pa.string()),
        ("export_hash", pa.string()),
        ("exported_at", pa.string()),
        ("last_edited_at", pa.string()),
        ("history", _HISTORY),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("objects_in", pa.int64()),
        ("objects_quarantined", pa.int64()),
        ("objects_excluded", pa.int64()),
        ("findings", _FINDINGS),
        ("digest", pa.binary(SIZE)),  # what reading the row depends on, null where it has to be read again
        ("images", pa.int64()),
        ("classes", _COUNTS),
        ("excluded", _COUNTS),
    ]
)
PUBLIC = SCHEMA.names[: SCHEMA.names.index("findings")]  # columns of the table that readers see
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

    def event(self, place: int) -> RowEvent:
        """That of one row."""
        of_one = {name: column[place] for name, column in self.events._asdict().items()}
        return RowEvent(fingerprint=self.fingerprints[place], **of_one)

    def sum(self, name: str) -> int:
        """The sum of a column of numbers."""
        return int(pc.sum(self.known[name]).as_py())


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


def order(event: RowEvent) -> Order:
    """The join takes the greatest: from the row's own bytes alone, a total order."""
    return (event_time(event), len(event.history), event.export_hash or "", event.fingerprint)


class Accounts:
    """What became of the rows of an export, in their order. No more than the last few are held as objects."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._held: list[RowAccount | Again] = []

    def __bool__(self) -> bool:
        return bool(self._batches or self._held)

    def add(self, account: RowAccount | Again) -> None:
        """Add one row, or some that come again."""
        self._held.append(account)
        if len(self._held) >= _AT_ONCE:
            self._pack()

    def table(self) -> pa.Table:
        """The events of the export."""
        self._pack()
        together = pa.Table.from_batches(self._batches, SCHEMA).combine_chunks()
        return pa.Table.from_batches(together.to_batches(max_chunksize=_AT_ONCE), SCHEMA)  # its form is that of a file

    def _pack(self) -> None:
        for again, some in groupby(self._held, key=lambda one: isinstance(one, Again)):
            if again:
                self._batches += [_batch_again(one) for one in some if isinstance(one, Again)]
            else:
                self._batches.append(_batch([one for one in some if isinstance(one, RowAccount)]))
        self._held = []


def _batch_again(rows: Again) -> pa.RecordBatch:
    values = rows.events._asdict() | {"row": rows.keys, "fingerprint": rows.fingerprints}
    values["objects_quarantined"] = [0] * len(rows.keys)  # what has something there is read each time
    history = _lists(_HISTORY, values.pop("history"))
    columns = {name: pa.array(column, SCHEMA.field(name).type) for name, column in values.items()}
    columns |= {"findings": _lists(_FINDINGS, [[]] * len(rows.keys)), "history": history}
    columns |= {"objects_excluded": pa.array(_sums(rows.known["excluded"]), pa.int64())}
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
    columns = {name: pa.array(column, SCHEMA.field(name).type) for name, column in values.items()}
    columns["history"] = _lists(_HISTORY, [event.history if event else None for event in events])
    columns["findings"] = _lists(_FINDINGS, [[_Told.of(one) for one in account.findings] for account in accounts])
    for name in ("classes", "excluded"):
        counts: list[Mapping[str, int]] = [getattr(account, name) for account in accounts]
        columns[name] = _lists(_COUNTS, [[_Count(*pair) for pair in one.items()] for one in counts])
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _sums(counts: "pa.ChunkedArray[Any]") -> list[int]:
    """How many objects there are in each list of counts."""
    return [sum(count["objects"] for count in some or ()) for some in counts.to_pylist()]


def _lists(kind: "pa.ListType[Any]", rows: Sequence[Sequence[object] | None]) -> "pa.Array[Any]":
    """A column of lists; None is null. Built by column, as records one by one take ten times as long."""
    items = [item for row in rows if row for item in row]
    fields = kind.value_type.fields
    columns = [pa.array([getattr(item, field.name) for item in items], field.type) for field in fields]
    ends = accumulate(len(row or ()) for row in rows)
    offsets = pa.array([0, *ends], pa.int32())
    empty = pa.array([row is None for row in rows], pa.bool_())
    made = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(offsets, made, type=kind, mask=empty)


def write_events(lake: ObjectStore, name: str, export_id: str, accounts: pa.Table) -> ObjectRef:
    """Store the events of an export; the same events are the same object."""
    data = to_parquet(accounts)
    return objects.write_at(lake, layout.events(name, export_id, sha256(data)), data)


def read_events(lake: ObjectStore, ref: ObjectRef, columns: Sequence[str] | None = None) -> pa.Table:
    """The events of an export, or some columns of them."""
    return from_parquet(objects.read(lake, ref), columns)


def event_of(record: Mapping[str, object]) -> RowEvent:
    """A row event out of its table record."""
    fields = {name: record[name] for name in RowEvent.__struct_fields__}
    return msgspec.convert(fields, RowEvent)


def accepted(table: pa.Table) -> Iterator[RowEvent]:
    """The events of rows that took part in the join."""
    return (event_of(record) for record in table.to_pylist() if record["status"] == "accepted")


def orders(table: pa.Table) -> Iterator[tuple[str, Order]]:
    """(row identity, order) of the events that `accepted` gives, out of the columns OF_ORDER."""
    table = table.filter(pc.equal(table["status"], pa.scalar("accepted")))
    names = ("row", "exported_at", "last_edited_at", "export_hash", "fingerprint")
    columns: list[list[Any]] = [table[name].to_pylist() for name in names]
    entries: pa.ChunkedArray[Any] = pc.list_value_length(table["history"])
    for row, exported, edited, export_hash, fingerprint, count in zip(*columns, entries.to_pylist(), strict=True):
        yield row, ((exported or edited or "").rstrip("Z"), count, export_hash or "", fingerprint)


def rows_of(table: pa.Table) -> set[str]:
    """The identities of all rows that an export named, whatever became of them."""
    return {row for row in table["row"].to_pylist() if row}


def finding_of(item: Mapping[str, Any], label_hash: str | None) -> Finding:
    """A finding out of its table record; older events have no column of spaces."""
    place = Location(label_hash, item["unit"], item["frame"], item["object"], item.get("space"))
    return Finding(item["rule"], item["severity"], place, item["message"])


def findings_of(table: pa.Table) -> Iterator[tuple[str | None, Finding]]:
    """(row identity, finding) of every finding in an export's events."""
    for record in table.select(["row", "label_hash", "findings"]).to_pylist():
        for item in record["findings"]:
            yield record["row"], finding_of(item, record["label_hash"])


def history_hashes(history: Sequence[HistoryEntry]) -> set[str]:
    """The export hashes that a row says it went through."""
    return {entry.export_hash for entry in history}
