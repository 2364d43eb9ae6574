"""Row events: the lineage of one export, one Parquet object, and the total order that the join rests on."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pyarrow as pa

from encord_dagster import identity, layout
from encord_dagster.encord.history import event_time as event_time  # its readers ask for it here
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.tables import from_parquet, to_parquet
from encord_dagster.label_set import objects
from encord_dagster.label_set.manifest import ObjectRef, sha256
from encord_dagster.storage.protocol import ObjectStore

Order = tuple[str, int, str, str]

_HISTORY = pa.list_(pa.struct([("export_hash", pa.string()), ("exported_at", pa.string()), ("user", pa.string())]))
_FINDINGS = pa.list_(
    pa.struct(
        [(name, pa.string()) for name in ("rule", "severity", "unit", "object", "message")]
        + [("frame", pa.int64()), ("space", pa.string())]
    )
)
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
    ]
)


class RowAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one row of an export.

    `status`: `accepted`, `quarantined`, `other_branch`, `retired`, or `export` for the findings of the export itself.
    """

    status: str
    event: RowEvent | None
    findings: tuple[Finding, ...] = ()
    objects_in: int = 0
    objects_quarantined: int = 0
    objects_excluded: int = 0


def order(event: RowEvent) -> Order:
    """The join takes the greatest: from the row's own bytes alone, a total order."""
    return (event_time(event), len(event.history), event.export_hash or "", event.fingerprint)


def _record(account: RowAccount) -> dict[str, object]:
    event = account.event
    record: dict[str, object] = {
        "status": account.status,
        "objects_in": account.objects_in,
        "objects_quarantined": account.objects_quarantined,
        "objects_excluded": account.objects_excluded,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "unit": finding.location.unit,
                "object": finding.location.object,
                "message": finding.message,
                "frame": finding.location.frame,
                "space": finding.location.space,
            }
            for finding in account.findings
        ],
    }
    if event:
        record |= msgspec.to_builtins(event)
        record["row"] = identity.row_identity(event.label_hash, event.branch_name)
    return record


def write_events(lake: ObjectStore, name: str, export_id: str, accounts: Sequence[RowAccount]) -> ObjectRef:
    """Store the events of an export; the same events are the same object."""
    data = to_parquet(pa.Table.from_pylist([_record(account) for account in accounts], schema=SCHEMA))
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


def rows_of(table: pa.Table) -> set[str]:
    """The identities of all rows that an export named, whatever became of them."""
    return {row for row in table["row"].to_pylist() if row}


def findings_of(table: pa.Table) -> Iterator[tuple[str | None, Finding]]:
    """(row identity, finding) of every finding in an export's events."""
    for record in table.select(["row", "label_hash", "findings"]).to_pylist():
        for item in record["findings"]:
            space = item.get("space")  # older events have no such column
            place = Location(record["label_hash"], item["unit"], item["frame"], item["object"], space)
            yield record["row"], Finding(item["rule"], item["severity"], place, item["message"])


def history_hashes(history: Sequence[HistoryEntry]) -> set[str]:
    """The export hashes that a row says it went through."""
    return {entry.export_hash for entry in history}
