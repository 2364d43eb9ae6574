"""What a reader remembers of a label set, so that nobody can show it an older or another history later."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set import history
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import encode
from encord_dagster.storage.protocol import ObjectStore


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The newest record ever seen of one label set."""

    lake: str  # url
    name: str
    seq: int
    record: str  # sha256 of its bytes, "" where the log was empty


def remembered_head(lake: ObjectStore, name: str, state: Path) -> Head:
    """The head of a log, which must go on from what `state` remembers; then `state` remembers the head.

    Raises:
        HistoryDamaged: the log ends before the record seen, or has another one in its place.
        UsageError: the file is of another label set, or not such a file.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    with _locked(state):
        seen = _read(state, lake, name)
        head = history.head(lake, name)
        if seen:
            _refuse_other_history(lake, name, head, seen)
        if seen is None or head.seq > seen.seq:
            _write(state, Seen(lake=lake.url, name=name, seq=head.seq, record=head.digest or ""))
    return head


def _refuse_other_history(lake: ObjectStore, name: str, head: Head, seen: Seen) -> None:
    where = f"{lake.url}, label set {name!r}"
    if head.seq < seen.seq:
        raise HistoryDamaged(
            f"{where}: shown an older head: record {head.seq} is the newest, record {seen.seq} was seen before; "
            "ask who restored or replaced the log"
        )
    newer = history.records(lake, name, head, after=seen.seq)
    found = newer[0].previous if newer else head.digest
    if (found or "") != seen.record:
        raise HistoryDamaged(
            f"{where}: its history was rewritten: record {seen.seq} is not the one that was seen before; "
            "ask who restored or replaced the log"
        )


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """One reader at a time, or a slower one would write an older head over a newer one."""
    descriptor = os.open(state.with_name(f"{state.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(state: Path, lake: ObjectStore, name: str) -> Seen | None:
    try:
        seen = msgspec.json.decode(state.read_bytes(), type=Seen)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UsageError(f"{state} is not what a reader wrote: {error}; restore it, or name another file") from error
    if (seen.lake, seen.name) != (lake.url, name):
        raise UsageError(f"{state} is of label set {seen.name!r} of {seen.lake}; give each label set its own file")
    return seen


def _write(state: Path, seen: Seen) -> None:
    temp = state.with_name(f".{secrets.token_hex(12)}.tmp")
    try:
        with temp.open("xb") as file:
            file.write(encode(seen))
            file.flush()
            os.fsync(file.fileno())
        temp.replace(state)
    finally:
        temp.unlink(missing_ok=True)
