"""Row events: the lineage of one export, one Parquet object, and the total order that the join rests on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from encord_dagster import layout
from encord_dagster.encord.history import event_time as event_time  # its readers ask for it here
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.encord.row_digest import SIZE
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.arrays import compute
from encord_dagster.formats.tables import from_parquet, to_parquet
from encord_dagster.label_set import objects
from encord_dagster.label_set.manifest import ObjectRef, sha256
from encord_dagster.storage.protocol import ObjectStore

Order = tuple[str, int, str, str]  # time, length of the history, export hash, fingerprint
OF_ORDER = ("row", "status", "exported_at", "last_edited_at", "history", "export_hash", "fingerprint")

HISTORY = pa.list_(pa.struct([("export_hash", pa.string()), ("exported_at", pa.string()), ("user", pa.string())]))
FINDINGS = pa.list_(
    pa.struct(
        [(name, pa.string()) for name in ("rule", "severity", "unit", "object", "message")]
        + [("frame", pa.int64()), ("space", pa.string())]
    )
)
COUNTS = pa.list_(pa.struct([("name", pa.string()), ("objects", pa.int64())]))
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
        ("history", HISTORY),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("objects_in", pa.int64()),
        ("objects_quarantined", pa.int64()),
        ("objects_excluded", pa.int64()),
        ("findings", FINDINGS),
        ("digest", pa.binary(SIZE)),  # what reading the row depends on, null where it has to be read again
        ("images", pa.int64()),
        ("classes", COUNTS),
        ("excluded", COUNTS),
    ]
)
PUBLIC = SCHEMA.names[: SCHEMA.names.index("findings")]  # columns of the table that readers see


def order(event: RowEvent) -> Order:
    """The join takes the greatest: from the row's own bytes alone, a total order."""
    return (event_time(event), len(event.history), event.export_hash or "", event.fingerprint)


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
    table = compute("filter", table, compute("equal", table["status"], pa.scalar("accepted")))
    names = ("row", "exported_at", "last_edited_at", "export_hash", "fingerprint")
    columns: list[list[Any]] = [table[name].to_pylist() for name in names]
    entries: pa.ChunkedArray[Any] = compute("list_value_length", table["history"])
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
