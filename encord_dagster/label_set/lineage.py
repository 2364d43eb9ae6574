"""Where a label row comes from, and what made a version. Reads the log, row events, and the buckets it needs."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from encord_dagster import identity
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.encord.notes import quote
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.findings import Finding
from encord_dagster.label_set import objects
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.decided import Decided, deciding
from encord_dagster.label_set.events import event_of, findings_of, order, read_events
from encord_dagster.label_set.made_by import head_at, maker, records
from encord_dagster.label_set.manifest import Bucket, BucketRow, ExportEntry, LogRecord, ObjectRef, Root
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.sources import sources
from encord_dagster.label_set.touched import Fate, content_of, fate_of, touched
from encord_dagster.label_set.tree import Tree
from encord_dagster.landing import Export
from encord_dagster.storage.protocol import ObjectStore

NAMED = 100  # label hashes of an export that are named; all of them are counted


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A place where an export's bytes were found. People choose its name, so that is shown without secrets."""

    key: str
    etag: str
    version_id: str | None
    size: int
    last_modified: str


class KnownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The row as one export carried it; `offset` and `length` place its bytes in the export's decompressed bytes."""

    export_id: str
    sha256: str  # of the export's bytes
    sources: tuple[Source, ...]
    status: str  # accepted, quarantined, other_branch
    stands: bool  # whether the version stands for this event
    fingerprint: str
    export_hash: str | None
    exported_at: str | None
    last_edited_at: str | None
    history: tuple[HistoryEntry, ...]  # people are pseudonyms, None unless they are published
    offset: int
    length: int
    objects_in: int
    objects_quarantined: int
    objects_excluded: int
    findings: tuple[Finding, ...]


class RowHistory(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one label row."""

    label_hash: str
    branch_name: str
    version: int  # that `stands` and `gone` speak of
    held: bool  # whether that version has the row
    gone: bool  # it has a tombstone of it: the data behind the row was deleted
    changed_in: tuple[int, ...]  # the versions up to that one whose content of the row is not that of the one before
    events: tuple[KnownEvent, ...]  # of all exports that the log accounts for, oldest first


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One export that a record accounts for, and the rows whose content in the new version it decided."""

    export_id: str
    sha256: str
    rows: int
    export_hashes: tuple[str, ...]  # the first 100
    export_hash_count: int
    added: int
    changed: int
    converted: int
    label_hashes: tuple[str, ...]  # of decided rows, the first 100 in order of row identity


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What made a version: the record that committed it, and what each of its exports had to do with it."""

    version: int
    record: LogRecord
    record_digest: str
    previous_version: int  # 0 where there was none
    previous_content_digest: str | None
    configuration_changed: bool
    converter_changed: bool
    exports: tuple[Deed, ...]
    undecided: int  # rows that none of these exports decided: converted anew, or taken from another version
    removed: int
    findings: tuple[Finding, ...]  # of the version beside the previous one


def history(label_set: LabelSet, label_hash: str, branch: str = "main", *, version: int | str = "latest") -> RowHistory:
    """All row events of one label row over all exports, and in which versions its content changed.

    An export that was quarantined whole has no row events. UsageError where no export holds the row.
    """
    at = label_set.version(version)
    row = identity.row_identity(label_hash, branch)
    held = _held(label_set.lake, at.root, row)
    known = _events(label_set, row)
    if not known and held is None:
        raise UsageError(
            f"no export of label set {label_set.name!r} holds label row {quote(label_hash)} on branch "
            f"{quote(branch)}; the table row_events names those that there are"
        )
    stands = _standing(at, held, known)
    exports = {one.entry.id for one in known}
    return RowHistory(
        label_hash=label_hash,
        branch_name=branch,
        version=at.number,
        held=held is not None,
        gone=held is not None and held.fragment is None,
        changed_in=tuple(sorted(_changed_in(label_set, at, row, exports))),
        events=tuple(_known(label_set, one, stands=one is stands) for one in known),
    )


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a row as an export's events have it."""

    entry: ExportEntry
    event: RowEvent
    status: str
    objects: tuple[int, int, int]  # in, quarantined, excluded
    findings: tuple[Finding, ...]


def _events(label_set: LabelSet, row: str) -> list[_Event]:
    """The events of one row in all exports that the log accounts for, oldest first."""
    found: list[_Event] = []
    for entry in Accounted(label_set.lake, label_set.name, label_set.head).all().values():
        table = read_events(label_set.lake, entry.events)
        table = table.filter(pc.equal(table["row"], pa.scalar(row)))
        for place, record in enumerate(table.to_pylist()):
            found.append(
                _Event(
                    entry=entry,
                    event=event_of(record),
                    status=record["status"],
                    objects=(record["objects_in"], record["objects_quarantined"], record["objects_excluded"]),
                    findings=tuple(finding for _, finding in findings_of(table.slice(place, 1))),
                )
            )
    return sorted(found, key=lambda one: (order(one.event), one.entry.id))


def _standing(at: Version, held: BucketRow | None, known: Sequence[_Event]) -> _Event | None:
    """The greatest event that carries what the version holds, of the exports that it accounts for."""
    exports = at.exports()
    carrying = [
        one
        for one in known
        if held and one.status == "accepted" and one.entry.id in exports and one.event.fingerprint == held.fingerprint
    ]
    return carrying[-1] if carrying else None


def _known(label_set: LabelSet, one: _Event, *, stands: bool) -> KnownEvent:
    event = one.event
    objects_in, quarantined, excluded = one.objects
    return KnownEvent(
        export_id=one.entry.id,
        sha256=one.entry.sha256,
        sources=tuple(_source(export) for export in sources(label_set.lake, label_set.name, one.entry.id)),
        status=one.status,
        stands=stands,
        fingerprint=event.fingerprint,
        export_hash=event.export_hash,
        exported_at=event.exported_at,
        last_edited_at=event.last_edited_at,
        history=event.history,
        offset=event.offset,
        length=event.length,
        objects_in=objects_in,
        objects_quarantined=quarantined,
        objects_excluded=excluded,
        findings=one.findings,
    )


def _source(export: Export) -> Source:
    return Source(
        key=redact(export.key),
        etag=export.etag,
        version_id=export.version_id,
        size=export.size,
        last_modified=export.last_modified,
    )


def _changed_in(label_set: LabelSet, at: Version, row: str, exports: Collection[str]) -> Iterator[int]:
    """The versions up to one whose content of a row differs from that of the version before, newest first.

    Rows say which version they came with, so the versions between are not read. That does not hold where something
    else than a publish made a version, or where an older release wrote the row: then every version is read, back to
    the first that accounts for an export that holds the row.
    """
    log = records(label_set, after=0, upto=at.record.seq)
    straight = all(record.op in ("publish", "observe", "gc") for record in log)
    roots = {record.version: record.root for record in reversed(log)}  # as the record had it that made the version
    first = min((one.version for one in log if any(entry.id in exports for entry in one.exports)), default=1)
    number, held = at.number, _held(label_set.lake, at.root, row)
    while number >= max(first, 1):
        if straight and held and held.version:
            yield held.version
            number = held.version - 1
            held = _held(label_set.lake, _root(label_set.lake, roots.get(number)), row)
            continue
        before = _held(label_set.lake, _root(label_set.lake, roots.get(number - 1)), row)
        if content_of(before) != content_of(held):
            yield number
        number, held = number - 1, before


def why(label_set: LabelSet, version: int | str = "latest") -> Why:
    """What made a version: reads its record and the one before, the events of its exports, and buckets that differ."""
    made = maker(label_set, version if isinstance(version, int) else label_set.version(version).number)
    before = head_at(label_set, made.seq - 1)
    record, previous = made.record, before.record
    new = _root(label_set.lake, record.root if record else None)
    if record is None or new is None or record.previous != before.digest:
        raise HistoryDamaged(f"{label_set.lake.url}: record {made.seq} does not follow the one before; run `verify`")
    fates: dict[str, Fate] = {}
    wanted: dict[str, str] = {}
    for place in touched(label_set.lake, _root(label_set.lake, previous.root if previous else None), new):
        fates |= {key: fate_of(place.before.get(key), place.after.get(key)) for key in place.keys}
        wanted |= {key: row.fingerprint for key, row in place.after.items()}
    decided = deciding(label_set.lake, record.exports, wanted)
    return Why(
        version=record.version,
        record=record,
        record_digest=made.digest or "",
        previous_version=previous.version if previous else 0,
        previous_content_digest=previous.content_digest if previous and previous.root else None,
        configuration_changed=previous is not None and previous.config_digest != record.config_digest,
        converter_changed=previous is not None and previous.converter_version != record.converter_version,
        exports=tuple(_deeds(record.exports, decided, fates)),
        undecided=len(wanted) - len(decided),
        removed=sum(fate == "removed" for fate in fates.values()),
        findings=record.findings,
    )


def _deeds(entries: Iterable[ExportEntry], decided: dict[str, Decided], fates: dict[str, Fate]) -> Iterator[Deed]:
    rows: dict[str, list[str]] = {}
    for key in sorted(decided):
        rows.setdefault(decided[key].export_id, []).append(key)
    for entry in entries:
        keys = rows.get(entry.id, [])
        counts = Counter(fates[key] for key in keys)
        yield Deed(
            export_id=entry.id,
            sha256=entry.sha256,
            rows=entry.rows,
            export_hashes=entry.export_hashes,
            export_hash_count=entry.export_hash_count,
            added=counts["added"],
            changed=counts["changed"],
            converted=counts["converted"],
            label_hashes=tuple(decided[key].event.label_hash for key in keys[:NAMED]),
        )


def _root(lake: ObjectStore, ref: ObjectRef | None) -> Root | None:
    return msgspec.json.decode(objects.read(lake, ref), type=Root) if ref else None


def _held(lake: ObjectStore, root: Root | None, row: str) -> BucketRow | None:
    """What a version holds of one row."""
    named = Tree(lake, root).bucket(row) if root else None
    if named is None:
        return None
    bucket = msgspec.json.decode(objects.read(lake, named.ref), type=Bucket)
    return next((held for held in bucket.rows if held.row == row), None)
