"""Recompute everything a label set claims from the store alone."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged
from encord_dagster.label_set import history, manifest, objects
from encord_dagster.label_set.manifest import Bucket, LogRecord, ObjectRef, Root
from encord_dagster.storage.protocol import ObjectStore


class Report(msgspec.Struct, kw_only=True):
    """What was looked at, and what is wrong; an empty `problems` means that every digest held."""

    records: int = 0
    objects: int = 0
    bytes: int = 0
    problems: list[str] = []


def verify(lake: ObjectStore, name: str) -> Report:
    """Read every record, manifest, shard, event and plain file of a label set and check its digest and counts."""
    report = Report(problems=[])
    try:
        head = history.head(lake, name)
        records = history.records(lake, name, head)
    except HistoryDamaged as error:
        report.problems.append(str(error))
        return report
    report.records = len(records)
    beyond = [info.key for info in lake.list(layout.log_prefix(name))]
    if len(beyond) != len(records):
        report.problems.append(f"the log holds {len(beyond)} records, and {len(records)} are reachable; one is missing")
    checked: set[str] = set()
    totals: dict[str, Counter[str]] = {}  # of each bucket, by key: versions share buckets
    for record in records:
        for ref in _refs(lake, record, report, checked, totals):
            _read(lake, ref, report, checked)
    return report


def _read(lake: ObjectStore, ref: ObjectRef, report: Report, checked: set[str]) -> bytes | None:
    try:
        data = objects.read(lake, ref)
    except HistoryDamaged as error:
        if ref.key not in checked:
            report.problems.append(str(error))
        data = None
    if ref.key not in checked:
        report.objects += 1
        report.bytes += ref.size
    checked.add(ref.key)
    return data


def _refs(
    lake: ObjectStore, record: LogRecord, report: Report, checked: set[str], totals: dict[str, Counter[str]]
) -> Iterator[ObjectRef]:
    yield from (entry.events for entry in record.exports)
    if record.root is None or record.root.key in checked:
        return
    data = _read(lake, record.root, report, checked)
    if data is None:
        return
    root = msgspec.json.decode(data, type=Root)
    yield from root.files.values()
    for prefix, named in root.buckets.items():
        if named.ref.key in checked:
            continue
        found = _read(lake, named.ref, report, checked)
        if found is None:
            continue
        bucket = msgspec.json.decode(found, type=Bucket)
        if manifest.tree_digest(bucket.rows, root.prefix_length) != named.digest:
            report.problems.append(f"{named.ref.key}: rows do not give the digest that version {record.version} states")
        totals[named.ref.key] = _counted(bucket)
        report.problems += [f"{named.ref.key}: {problem}" for problem in _unaccounted(bucket, prefix)]
        yield from bucket.shards.values()
    held = sum((totals.get(named.ref.key, Counter()) for named in root.buckets.values()), Counter())
    stated = Counter(rows=root.rows, tombstones=root.tombstones, images=root.images, annotations=root.annotations)
    stated.update({f"loss {code}": count for code, count in root.losses.items()}, coco_rows=root.coco_rows)
    if held != stated:
        report.problems.append(f"{record.root.key}: it states {dict(stated)}, its buckets hold {dict(held)}")
    if manifest.content_digest(root.buckets, root.config_digest) != record.content_digest:
        report.problems.append(f"record {record.seq}: its buckets do not give its content digest")


def _unaccounted(bucket: Bucket, prefix: str) -> Iterator[str]:
    for row in bucket.rows:
        accounted = row.annotations + row.objects_quarantined + sum(row.objects_excluded.values())
        if accounted != row.objects_in:
            yield f"row {row.label_hash} holds {row.objects_in} objects, {accounted} accounted for"
        if not row.row.startswith(prefix):
            yield f"row {row.label_hash} belongs into another bucket"


def _counted(bucket: Bucket) -> Counter[str]:
    counts: Counter[str] = Counter(rows=len(bucket.rows))
    for row in bucket.rows:
        counts.update(tombstones=row.fragment is None, images=row.images, annotations=row.annotations)
        counts.update({f"loss {code}": count for code, count in row.losses.items()}, coco_rows=row.source == "coco")
    return counts
