"""What an operator does to a label set: go back, unblock, release. Each is one new record; nothing is rewritten."""

from collections.abc import Callable, Collection

import msgspec

from encord_dagster import layout
from encord_dagster.encord.notes import quote
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set import accounted, condemned, history, manifest, objects
from encord_dagster.label_set.accounted import Accounted, rank
from encord_dagster.label_set.events import accepted, order, read_events
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.join import Join, State
from encord_dagster.label_set.manifest import Bucket, ExportEntry, LogRecord, ObjectRef, Op, Root
from encord_dagster.label_set.publish import epoch, without
from encord_dagster.label_set.standing import in_order, retired_rows, row_of, standing
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe

LONGEST_REASON = 500  # characters

Operation = Callable[[State, LogRecord], LogRecord | None]  # the record to commit; None where all is as it should be


def operate(lake: ObjectStore, name: str, operation: Operation) -> LogRecord:
    """Commit the record that an operation makes of the head; anew on top of the newest where another came first."""

    def attempt() -> Head | None:
        head = history.head(lake, name)
        if head.record is None:
            raise UsageError(f"{lake.url} holds no label set {name!r}; publish an export to it first")
        refuse_unsafe(lake, prefix=layout.probe(name))
        history.refuse_gap(lake, name, head)
        state = State(lake, head)
        state.refuse_newer()
        record = operation(state, head.record)
        return accounted.commit(lake, name, record) if record else head

    done = history.committed(lake, attempt).record
    if done is None:
        raise HistoryDamaged(f"{lake.url}: label set {name!r} has lost its newest record; run `verify`")
    return done


def said(reason: str) -> str:
    """A reason as it may be written down. UsageError where there is none."""
    text = redact(reason).strip()[:LONGEST_REASON]
    if not text:
        raise UsageError("say why: the reason is written into the log, for whoever reads it next year")
    return text


def is_same(record: LogRecord, op: Op, reason: str) -> bool:
    """Whether the head is what this operation would do: it was committed, and only its answer was lost."""
    return record.op == op and record.reason == reason


def rollback(lake: ObjectStore, name: str, to_version: int, reason: str) -> LogRecord:
    """Give readers the content of an older version again, as a new version, and return its record.

    Exports that came since and changed the content are blocked, so that the next run does not bring them back, and
    what is held back is dropped: going back to the present version does that alone. Rows that were retired since
    stay out. UsageError where nothing would change, and where there is no such version.
    """
    why = said(reason)

    def operation(state: State, record: LogRecord) -> LogRecord | None:
        if is_same(record, "rollback", why) and record.went_back_to == to_version:
            return None
        target = _publishing(state, name, to_version)
        made = _gone_back(state, record, name, target, why)
        if made.content_digest == record.content_digest and not record.held:
            raise UsageError(
                f"version {to_version}, without rows that were retired since, is what readers of label set {name!r} "
                "see now; there is nothing to go back to"
            )
        return made

    return operate(lake, name, operation)


def _publishing(state: State, name: str, version: int) -> Head:
    """The record that made a version."""
    found = history.first_of(state.lake, name, state.head, version)
    if found is None:
        newest = state.head.record.version if state.head.record else 0
        raise UsageError(f"label set {name!r} has no version {version}; it has 1 to {newest}")
    return found


def _gone_back(state: State, record: LogRecord, name: str, target: Head, reason: str) -> LogRecord:
    then = target.record
    if then is None or then.root is None:
        raise UsageError(f"label set {name!r} has nothing to go back to")
    lake = state.lake
    condemned.refuse(lake, then.root.key)  # a garbage collection may be about to delete it
    entries, before = Accounted(lake, name, state.head).all(), Accounted(lake, name, target)
    blocked = {*then.blocked, *_changing(state, name, target, then, entries)}
    known = before.all()
    retired = in_order((*retired_rows(lake, record), *retired_rows(lake, then)))
    kept = State(lake, target)
    root = msgspec.json.decode(objects.read(lake, then.root), type=Root)
    _refuse_damaged(lake, root, then.version)
    kept.build_on(root)
    gone = frozenset(row for row in map(row_of, retired.rows) if kept.row(row))
    ref: ObjectRef | None = then.root
    if gone:
        state.published = root  # ids that it gave stay
        root, _ = without(state, root, name, gone)
        ref = objects.write(lake, name, epoch(state), manifest.encode(root))
    if root.content_digest == record.content_digest:
        ref = record.root  # the same version
    made = history.following(
        state.head, record, "rollback", reason=reason, root=ref, content_digest=root.content_digest
    )
    return msgspec.structs.replace(
        made,
        # where they disagree, the version was cut while another one was held back: the next run converts all anew
        config_digest=root.config_digest if root.config_digest == then.config_digest else "",
        content=then.content,
        # of exports that were read again since, the log speaks as it did then
        exports=tuple(entry for key, entry in sorted(known.items()) if entries[key] != entry),
        findings=(),
        held=None,
        held_findings=(),
        blocked=tuple(sorted(blocked)),
        again=tuple(sorted({*then.again, *record.again} - blocked)),
        retired=_stored(state, name, retired) if retired.rows else None,
        went_back_to=then.version,
    )


def _changing(state: State, name: str, target: Head, then: LogRecord, entries: dict[str, ExportEntry]) -> list[str]:
    """Exports that came since a version and would change its content, or were read by other choices.

    Also those that are older than it, but were held back as it was made: they are not in it.
    """
    kept = State(state.lake, target)
    kept.build_on(kept.published)
    since = target
    while since.record and since.record.held:
        since = history.at(state.lake, name, since.seq - 1)
    before = Accounted(state.lake, name, since)
    stood = standing(state.lake, then, before, stale=False)
    newest = next(map(rank, stood.joined()), ("", ""))
    join = Join(kept, stood.joined())
    records = history.records(state.lake, name, state.head, after=since.seq)
    choices = {entry.id: one.config_digest for one in records for entry in one.exports}

    def changes(entry: ExportEntry) -> bool:
        if choices[entry.id] != then.config_digest:
            return True
        if then.content == "export":
            return rank(entry) > newest
        for event in accepted(read_events(state.lake, entry.events)):
            rival = join.rival(event)
            if (rival is None or order(event) > rival) and join.is_new(event):
                return True
        return False

    return [key for key, entry in entries.items() if key not in before and changes(entry)]


def _refuse_damaged(lake: ObjectStore, root: Root, version: int) -> None:
    """HistoryDamaged or VersionGone where something of a version is not there: it must not become the newest one."""
    named: list[ObjectRef] = list(root.files.values())
    for _, ref in Tree(lake, root).buckets():
        named += msgspec.json.decode(objects.read(lake, ref.ref), type=Bucket).refs
    for one in named:
        if lake.head(one.key) is None:
            condemned.refuse(lake, one.key)  # a garbage collection dropped the version meanwhile
            raise HistoryDamaged(f"{lake.url}: {one.key} of version {version} is missing; restore it, or go elsewhere")


def _stored(state: State, name: str, retired: manifest.Retired) -> ObjectRef:
    return objects.write(state.lake, name, epoch(state), manifest.encode(retired))


def unblock(lake: ObjectStore, name: str, export_ids: Collection[str], reason: str) -> LogRecord:
    """Let exports that a rollback took out take part again; the next run reads them, out of their raw copies.

    UsageError for exports that the log does not account for, and where a copy is missing.
    """
    why, wanted = said(reason), set(export_ids)

    def operation(state: State, record: LogRecord) -> LogRecord | None:
        known = Accounted(lake, name, state.head)
        entries = {key: entry for key in wanted if (entry := known.get(key))}
        if unknown := sorted(wanted - entries.keys()):
            raise UsageError(f"label set {name!r} accounts for no export {', '.join(map(quote, unknown[:10]))}")
        blocked = wanted.intersection(record.blocked)
        if not blocked:
            return None
        refuse_without_copy(lake, [entries[key] for key in blocked])
        made = _unchanged(state, record, "unblock", why)
        return msgspec.structs.replace(
            made,
            blocked=tuple(key for key in record.blocked if key not in blocked),
            again=tuple(sorted({*record.again, *blocked})),
        )

    return operate(lake, name, operation)


def refuse_without_copy(lake: ObjectStore, entries: Collection[ExportEntry]) -> None:
    """UsageError where an export cannot be read again, since the lake holds no copy of its bytes."""
    missing = [entry.id for entry in entries if lake.head(layout.raw(entry.sha256)) is None]
    if missing:
        raise UsageError(
            f"{lake.url} holds no raw copy of export {', '.join(sorted(missing)[:10])}, so it cannot be read again; "
            "have its rows exported anew instead"
        )


def _unchanged(state: State, record: LogRecord, op: Op, reason: str) -> LogRecord:
    return history.following(
        state.head, record, op, reason=reason, root=record.root, content_digest=record.content_digest
    )


def release(lake: ObjectStore, name: str, reason: str) -> LogRecord:
    """Publish the version that is held back, and return its record. UsageError where none is."""
    why = said(reason)

    def operation(state: State, record: LogRecord) -> LogRecord | None:
        if record.held is None or state.root is None:
            if is_same(record, "release", why):
                return None
            raise UsageError(f"label set {name!r} holds no version back")
        made = history.following(
            state.head, record, "release", reason=why, root=record.held, content_digest=state.root.content_digest
        )
        return msgspec.structs.replace(made, held=None, held_findings=(), findings=record.held_findings)

    return operate(lake, name, operation)
