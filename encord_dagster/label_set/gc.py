"""Garbage collection: a log record condemns what no kept version names, and only then is it deleted.

The record takes the next place in the log and begins a new epoch. A publisher that was about to name a condemned object
loses its place, and writes its objects again into the new epoch. Log records, checkpoints, category claims, what is
known of exports, raw copies and the quarantine are never deleted. The six calls of a store are all it needs, `delete`
among them, which publishers may lack.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from encord_dagster import layout
from encord_dagster.config import CONVERTER_VERSION
from encord_dagster.errors import HistoryDamaged, StorageError, UsageError, VersionGone
from encord_dagster.label_set import accounted, condemned, history, objects
from encord_dagster.label_set.condemned import Condemned
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import (
    FORMAT_VERSION,
    BucketRef,
    LogRecord,
    Node,
    NodeRef,
    ObjectRef,
    encode,
    sha256,
)
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.protocol import ObjectInfo, ObjectStore, whole_seconds

ATTEMPTS = 50
LEFT_BEHIND = timedelta(days=1)  # probes and unfinished files that are so much older than the newest record


class GcReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a garbage collection removed, or would remove in a dry run."""

    dry_run: bool
    seq: int | None  # of its log record, None where it needed none
    kept: tuple[int, ...]  # versions that can be read
    dropped: tuple[int, ...]  # versions that this one dropped
    live: int  # objects of the versions kept
    removed: int  # objects
    removed_bytes: int
    probes: int  # of the self-test
    unfinished: int  # files that a crash left half written


class Tag(msgspec.Struct, frozen=True):
    """The part of a tag that says which version it keeps."""

    version: int


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    head: Head
    records: list[LogRecord]
    kept: frozenset[int]
    tagged: frozenset[int]
    earlier: Condemned
    live: frozenset[str]
    dead: dict[str, int]  # key -> size
    dropped: frozenset[str]  # roots of versions that this one drops


def gc(lake: ObjectStore, name: str, *, dry_run: bool = False, keep: int | None = None) -> GcReport:
    """Delete what no kept version names: of the last `keep` versions and the tagged ones, by default of all of them.

    Raises HistoryDamaged where what a kept version names cannot be told, and deletes nothing then.
    """
    if keep is not None and keep < 1:
        raise UsageError(f"gc can keep 1 version or more, not {keep}; the newest version is never dropped")
    for _ in range(ATTEMPTS):
        try:
            plan = _plan(lake, name, keep)
        except VersionGone:  # another gc drops what this one was about to look into
            continue
        seq = None
        if _is_news(plan) and not dry_run:
            committed = _commit(lake, name, plan)
            if committed is None:  # somebody else's record came first, which may name what is dead here
                continue
            seq = committed.seq
        return _sweep(lake, name, plan, seq=seq, dry_run=dry_run)
    raise StorageError(f"{lake.url}: lost the commit to publishers {ATTEMPTS} times; run gc again when quieter")


def _plan(lake: ObjectStore, name: str, keep: int | None) -> _Plan:
    head = history.head(lake, name)
    if head.record is None:
        raise UsageError(f"{lake.url} holds no label set {name!r}; check --lake and --name")
    history.refuse_gap(lake, name, head)
    records = history.records(lake, name, head)
    _refuse_newer(lake, records)
    earlier = condemned.by_all(lake, records)
    tagged = _tagged(lake, name)
    versions = sorted({record.version for record in records}, reverse=True)
    wanted = {*versions[:keep], *tagged, head.record.version}
    kept = {ref.key: ref for record in records if record.version in wanted for ref in objects.named(record)}
    named = {ref.key for record in records for ref in objects.named(record)}
    for ref in objects.named(head.record):
        if ref.key in {*earlier.roots, *earlier.objects}:
            raise HistoryDamaged(f"{lake.url}: the newest record names {ref.key}, which gc removed before; go back")
    there = [ref for key, ref in kept.items() if key not in earlier.roots or _is_tagged(lake, ref, records, tagged)]
    live = _reachable(lake, name, there)
    return _Plan(
        head=head,
        records=records,
        kept=frozenset(record.version for record in records if record.root in there),
        tagged=frozenset(tagged),
        earlier=earlier,
        live=frozenset(live),
        dead={info.key: info.size for info in lake.list(layout.contents(name)) if info.key not in live},
        dropped=frozenset(named - set(kept) - set(earlier.roots)),
    )


def _refuse_newer(lake: ObjectStore, records: Iterable[LogRecord]) -> None:
    """A newer release may name objects in ways that this one does not know, and would take for dead."""
    if any(r.format_version > FORMAT_VERSION or r.converter_version > CONVERTER_VERSION for r in records):
        raise UsageError(f"{lake.url}: a newer release published here; upgrade encord_dagster before running gc")


def _tagged(lake: ObjectStore, name: str) -> set[int]:
    tags = [lake.get(info.key) for info in lake.list(layout.tags(name))]
    return {msgspec.json.decode(data, type=Tag).version for data in tags if data}


def _is_tagged(lake: ObjectStore, ref: ObjectRef, records: Iterable[LogRecord], tagged: set[int]) -> bool:
    """Whether a tag came just in time for a version that an earlier gc condemned and then spared."""
    names = (record.version in tagged and record.root == ref for record in records)
    return any(names) and lake.head(ref.key) is not None


def _reachable(lake: ObjectStore, name: str, refs: Iterable[ObjectRef]) -> set[str]:
    """What records name, and every key that stands in it, in a node or in a bucket of it: so unknown fields count."""
    key = re.compile(b'"(' + re.escape(layout.contents(name)).encode() + b'[^"\\\\]+)"')
    live: set[str] = set()
    looked_into: set[str] = set()

    def look(children: Iterable[BucketRef | NodeRef]) -> None:
        for named in children:
            if named.ref.key not in looked_into:
                looked_into.add(named.ref.key)
                data = objects.read(lake, named.ref)
                live.update(found.decode() for found in key.findall(data))
                if isinstance(named, NodeRef):
                    node = msgspec.json.decode(data, type=Node)
                    look([*node.nodes.values(), *node.buckets.values()])

    for ref in refs:
        data = objects.read(lake, ref)
        live |= {ref.key} | {found.decode() for found in key.findall(data)}
        root = objects.as_root(data)
        look([*root.nodes.values(), *root.buckets.values()] if root else ())
    return live


def _is_news(plan: _Plan) -> bool:
    """Whether a record is needed: not to finish what an earlier one condemned."""
    return bool(plan.dropped or set(plan.dead) - {*plan.earlier.roots, *plan.earlier.objects})


def _commit(lake: ObjectStore, name: str, plan: _Plan) -> Head | None:
    """Store the list, then the record that names it; everything else in it is as the head has it."""
    head = plan.head.record
    assert head is not None  # noqa: S101 - a plan is made of a head
    rest = set(plan.dead) - plan.dropped
    listed = encode(Condemned(roots=tuple(sorted(plan.dropped)), objects=tuple(sorted(rest))))
    seq = plan.head.seq + 1
    record = msgspec.structs.replace(
        head,
        format_version=FORMAT_VERSION,
        seq=seq,
        op="gc",
        previous=plan.head.digest,
        epoch=head.epoch + 1,
        exports=(),
        fragments=0,
        buckets=0,
        condemned=objects.write_at(lake, layout.condemned(name, seq, sha256(listed)), listed),
    )
    return accounted.commit(lake, name, record)


def _sweep(lake: ObjectStore, name: str, plan: _Plan, *, seq: int | None, dry_run: bool) -> GcReport:
    """Delete what is condemned, roots first."""
    spared = set() if dry_run else _tagged_meanwhile(lake, name, plan)
    dead = {key: size for key, size in plan.dead.items() if key not in spared}
    roots = {*plan.dropped, *plan.earlier.roots}
    dropped = {r.version for r in plan.records if r.root and r.root.key in plan.dropped - spared}
    before = _left_behind(lake, name, plan.head)
    probes = [info for info in lake.list(layout.probe(name)) if info.last_modified < before]
    unfinished = lake.unfinished(before=before) if isinstance(lake, LocalStore) else []
    if not dry_run:
        for key in sorted(dead, key=lambda key: (key not in roots, key)):
            lake.delete(key)
        for info in [*probes, *_lost_lists(lake, name, plan)]:
            lake.delete(info.key)
        for path in unfinished:
            path.unlink(missing_ok=True)
    return GcReport(
        dry_run=dry_run,
        seq=seq,
        kept=tuple(sorted(plan.kept)),
        dropped=tuple(sorted(dropped)),
        live=len(plan.live | spared),
        removed=len(dead),
        removed_bytes=sum(dead.values()),
        probes=len(probes),
        unfinished=len(unfinished),
    )


def _tagged_meanwhile(lake: ObjectStore, name: str, plan: _Plan) -> set[str]:
    """What versions name that were tagged since the plan was made.

    Whoever tags a version looks at the log after that: either we see the tag, or they see the record.
    """
    late = _tagged(lake, name) - plan.tagged
    roots = [ref for record in plan.records if record.version in late for ref in objects.named(record)]
    return _reachable(lake, name, [ref for ref in roots if ref.key in plan.dropped])


def _left_behind(lake: ObjectStore, name: str, head: Head) -> str:
    """Before when something must have been left behind, by the clock of the store."""
    info = lake.head(layout.log(name, head.seq))
    newest = info.last_modified if info else "1970-01-02T00:00:00Z"
    return whole_seconds(datetime.fromisoformat(newest) - LEFT_BEHIND)


def _lost_lists(lake: ObjectStore, name: str, plan: _Plan) -> list[ObjectInfo]:
    """Lists of garbage collections that never came to commit: another record has their place in the log."""
    named = {record.condemned.key for record in plan.records if record.condemned}
    listed = (info for info in lake.list(layout.condemned_lists(name)) if info.key not in named)
    return [info for info in listed if condemned.seq_of(info.key) <= plan.head.seq]
