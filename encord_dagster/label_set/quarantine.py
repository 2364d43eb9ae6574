"""The quarantine: which rows and objects could not be converted, where their bytes are, and why. No payload."""

from collections.abc import Sequence

import msgspec

from encord_dagster import layout
from encord_dagster.accounting import Reading
from encord_dagster.encord.packed import unpack
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.findings import Finding
from encord_dagster.label_set import history, objects
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.manifest import FORMAT_VERSION, encode, sha256
from encord_dagster.landing import Export
from encord_dagster.offers import Facts
from encord_dagster.storage import whole
from encord_dagster.storage.mapped import Data
from encord_dagster.storage.protocol import ObjectStore


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row, or one object of a row, that is held back. `offset` and `length` find the row in the unpacked export."""

    reason: str
    findings: tuple[Finding, ...]
    label_hash: str | None = None
    object_hash: str | None = None
    offset: int | None = None
    length: int | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What one export left in quarantine; `raw` is the digest of its bytes."""

    format_version: int = FORMAT_VERSION
    export: Export
    raw: str
    ontology: str = ""  # digest of the ontology that lay beside it
    whole: bool
    items: tuple[Item, ...]


def items(reading: Reading, row: Facts | None, findings: Sequence[Finding]) -> list[Item]:
    """What of one row goes to quarantine: the row, or some of its objects."""
    if reading.status == "quarantined":
        label_hash = next((finding.location.row for finding in findings if finding.location.row), None)
        reason = findings[0].rule if findings else "unknown"
        return [_item(reason, tuple(findings), label_hash, None, reading)]
    return [
        _item(held.findings[0].rule, held.findings, row.label_hash, held.location.object, reading)
        for held in (row.quarantined if row else ())
        if row
    ]


def _item(
    reason: str, findings: tuple[Finding, ...], label_hash: str | None, object_hash: str | None, reading: Reading
) -> Item:
    return Item(
        reason=reason,
        findings=findings,
        label_hash=label_hash,
        object_hash=object_hash,
        offset=reading.offset,
        length=reading.length,
    )


def write(lake: ObjectStore, name: str, record: Record) -> str:
    """Store what an export left in quarantine and return its key; the same findings are the same object."""
    data = encode(record)
    key = layout.quarantined(name, record.export.id, sha256(data), whole=record.whole)
    return objects.write_at(lake, key, data).key


def read(lake: ObjectStore, name: str) -> list[Record]:
    """Everything in quarantine."""
    keys = [info.key for info in lake.list(layout.quarantine(name))]
    return [record for key in keys if (record := _record(lake, key))]


def _record(lake: ObjectStore, key: str) -> Record | None:
    data = lake.get(key)
    return msgspec.json.decode(data, type=Record) if data else None


def held_in_quarantine(lake: ObjectStore, name: str) -> list[Record]:
    """What is in quarantine now, one record for each export that has something there, by export id.

    Of exports that the log accounts for: what their newest reading left there. Of others: why none of it can be used.
    """
    entries = Accounted(lake, name, history.head(lake, name)).all()
    keys = {entry.id: entry.quarantine for entry in entries.values() if entry.quarantine}
    start, written = len(layout.quarantine(name)), dict[str, str]()
    for info in lake.list(layout.quarantine(name)):
        export_id, _, file = info.key[start:].partition("/")
        if file.startswith("export-") and export_id not in entries:
            if info.last_modified >= written.get(export_id, ""):
                keys[export_id] = info.key
            written[export_id] = max(info.last_modified, written.get(export_id, ""))
    return [record for _, key in sorted(keys.items()) if (record := _record(lake, key))]


def held_bytes(lake: ObjectStore, record: Record, item: Item) -> bytes:
    """The bytes that an item is about, unchanged: a row, or the whole export. UsageError where no copy was kept."""
    data = raw_copy(lake, record.raw) if record.raw else None
    if data is None:
        raise UsageError(f"{lake.url} holds no copy of export {record.export.id}; look for it in the landing prefix")
    if item.offset is None or item.length is None:
        return data[:]
    return unpack(data)[item.offset : item.offset + item.length]  # places count in the unpacked bytes


def raw_copy(lake: ObjectStore, digest: str) -> Data | None:
    """The bytes of an export as they came, None where only a pointer was kept."""
    place = layout.raw(digest)
    info = lake.head(place)
    data = whole.get(lake, place, etag=info.etag, size=info.size) if info else None
    if data is not None and whole.digest(data) != digest:
        raise HistoryDamaged(f"{lake.url}/{place} does not hold the bytes it is named after; restore it")
    return data
