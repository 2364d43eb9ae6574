"""Which record of the log a reader means: by number, `latest`, tag or export hash."""

import re
from collections.abc import Iterator

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set import events, history
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import ExportEntry, LogRecord, ObjectRef
from encord_dagster.storage.protocol import ObjectStore

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Tag(msgspec.Struct, frozen=True):
    """What a reader needs of a tag: the record that made its version, and what that was."""

    seq: int
    version: int
    root: ObjectRef


def record_of(lake: ObjectStore, name: str, head: Head, which: int | str) -> LogRecord:
    """The newest record of a version. Of an export hash the newest record that brought it.

    Raises:
        UsageError: there is no such version.
        HistoryDamaged: a record is missing or altered, or a tag says otherwise than the log.
    """
    if head.record is None:
        raise UsageError(f"{lake.url} holds no label set {name!r}; publish an export to it first")
    if which == "latest":
        return head.record
    found = None
    if str(which).isdecimal():
        found = _newest_of(lake, name, head, int(which))
    elif tag := read_tag(lake, name, str(which)):
        return _tagged(lake, name, head, tag, str(which))
    else:
        found = next((one for one in backwards(lake, name, head) if _brought(lake, one, str(which))), None)
    if found is None:
        newest = head.record.version
        what = "version" if str(which).isdecimal() else "version, tag or export hash"
        raise UsageError(f"label set {name!r} has no {what} {which!r}; it has versions 1 to {newest}, or say latest")
    return found


def _newest_of(lake: ObjectStore, name: str, head: Head, version: int) -> LogRecord | None:
    """The newest record of a version: its own, or that of an observe behind it."""
    if head.record and head.record.version == version:
        return head.record if head.record.root else None
    behind = history.first_of(lake, name, head, version + 1)
    found = history.at(lake, name, behind.seq - 1) if behind and behind.record else None
    if behind and behind.record and found and behind.record.previous != found.digest:
        key = layout.log(name, found.seq)
        raise HistoryDamaged(f"{lake.url}: {key} was altered; run `verify` and restore the log")
    record = found.record if found else None
    return record if record and record.version == version and record.root else None


def backwards(lake: ObjectStore, name: str, head: Head) -> Iterator[LogRecord]:
    """The records from the head on down, each checked against the one behind it."""
    for seq in range(head.seq, 0, -1):
        (record,) = history.records(lake, name, head, after=seq - 1)
        yield record
        head = Head(seq - 1, None, record.previous)


def export_hashes(lake: ObjectStore, entry: ExportEntry) -> list[str]:
    """All export hashes that one accounted export carried."""
    if entry.export_hash_count <= len(entry.export_hashes):
        return list(entry.export_hashes)
    column = events.read_events(lake, entry.events, ["export_hash"])["export_hash"]
    return sorted({value for value in column.to_pylist() if value})


def read_tag(lake: ObjectStore, name: str, tag: str) -> Tag | None:
    """A tag, None where there is none of that name."""
    data = lake.get(layout.tag(name, tag)) if _TAG.fullmatch(tag) else None
    try:
        return msgspec.json.decode(data, type=Tag) if data else None
    except msgspec.DecodeError as error:
        raise HistoryDamaged(f"{lake.url}: {layout.tag(name, tag)} is not a tag: {error}") from error


def _tagged(lake: ObjectStore, name: str, head: Head, tag: Tag, called: str) -> LogRecord:
    if tag.seq > head.seq:
        raise UsageError(f"tag {called!r} is of record {tag.seq}, made after this label set was opened; open it again")
    found = _newest_of(lake, name, head, tag.version)
    if found is None or found.seq < tag.seq or found.root != tag.root:
        raise HistoryDamaged(
            f"{lake.url}: tag {called!r} is of version {tag.version}, record {tag.seq}, and the log has another one "
            "there; run `verify`"
        )
    return found


def _brought(lake: ObjectStore, record: LogRecord, export_hash: str) -> bool:
    return any(export_hash in export_hashes(lake, entry) for entry in record.exports)
