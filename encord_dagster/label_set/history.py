"""The log of a label set: numbered records, each naming the digest of the one before. Creating one is the commit."""

import contextlib
import random
import time
from collections.abc import Callable

import msgspec

from encord_dagster import layout
from encord_dagster.config import CONVERTER_VERSION
from encord_dagster.errors import AccessDenied, CommitStateUnknown, HistoryDamaged, StorageError
from encord_dagster.label_set.manifest import LogRecord, ObjectRef, Op, encode, record_holds, sealed, sha256
from encord_dagster.storage.protocol import Create, ObjectStore

COMMIT_TRIES = 3  # of one record, each on top of the retries of the store
COMMIT_ATTEMPTS = 50  # to get a record in, each on top of the newest head


class Hint(msgspec.Struct, frozen=True):
    """`latest.json`: where the head was once; readers go on from there."""

    seq: int


class Head(msgspec.Struct, frozen=True):
    """The newest record and the digest of its bytes; seq 0 and no record in an empty set."""

    seq: int
    record: LogRecord | None
    digest: str | None


def read_record(lake: ObjectStore, name: str, seq: int) -> tuple[LogRecord, str] | None:
    """Record `seq` and the sha256 of its bytes, None where there is none."""
    data = lake.get(layout.log(name, seq))
    if data is None:
        return None
    try:
        record = msgspec.json.decode(data, type=LogRecord)
    except msgspec.DecodeError as error:
        raise HistoryDamaged(f"{lake.url}: {layout.log(name, seq)} is not a log record: {error}") from error
    if not record_holds(data, record):
        raise HistoryDamaged(f"{lake.url}: {layout.log(name, seq)} was altered; run `verify` and restore the log")
    if record.seq != seq:
        raise HistoryDamaged(f"{lake.url}: {layout.log(name, seq)} holds record {record.seq}; a record was moved")
    return record, sha256(data)


def head(lake: ObjectStore, name: str) -> Head:
    """The newest record: from the hint on by steps that double, then by halving."""
    low = _hint(lake, name)
    if low and lake.head(layout.log(name, low)) is None:
        raise HistoryDamaged(f"{lake.url}: {layout.latest(name)} names record {low}, which is missing; restore the log")
    step = 1
    while lake.head(layout.log(name, low + step)):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if lake.head(layout.log(name, middle)) else (low, middle)
    found = read_record(lake, name, low) if low else None
    return Head(low, *found) if found else Head(0, None, None)


def _hint(lake: ObjectStore, name: str) -> int:
    """Where to begin to look: the hint's record, 0 where there is no hint or it cannot be read."""
    try:
        return max(0, msgspec.json.decode(lake.get(layout.latest(name)) or b'{"seq":0}', type=Hint).seq)
    except msgspec.DecodeError:
        return 0


def refuse_gap(lake: ObjectStore, name: str, upto: Head) -> None:
    """HistoryDamaged where records lie behind the head with a gap before them: building on it would hide them."""
    beyond = next(lake.list(layout.log_prefix(name), start_after=layout.log(name, upto.seq)), None)
    if beyond and beyond.key != layout.log(name, upto.seq + 1):  # the very next one is a rival's new commit
        raise HistoryDamaged(
            f"{lake.url}: {layout.log(name, upto.seq + 1)} is missing and {beyond.key} is there; restore the log"
        )


def records(lake: ObjectStore, name: str, upto: Head, *, after: int = 0) -> list[LogRecord]:
    """The records behind `after` up to a head, oldest first, their chain checked."""
    found: list[LogRecord] = []
    expected = upto.digest
    for seq in range(upto.seq, after, -1):
        read = read_record(lake, name, seq)
        if read is None or read[1] != expected:
            what = "is missing" if read is None else "was altered"
            raise HistoryDamaged(f"{lake.url}: {layout.log(name, seq)} {what}; run `verify` and restore the log")
        expected = read[0].previous
        found.append(read[0])
    return found[::-1]


def at(lake: ObjectStore, name: str, seq: int) -> Head:
    """The log as it was when record `seq` was its newest. HistoryDamaged where that is missing."""
    if seq == 0:
        return Head(0, None, None)
    found = read_record(lake, name, seq)
    if found is None:
        raise HistoryDamaged(f"{lake.url}: {layout.log(name, seq)} is missing; run `verify` and restore the log")
    return Head(seq, *found)


def first_of(lake: ObjectStore, name: str, upto: Head, version: int) -> Head | None:
    """The record that made a version, by halving, as version numbers never fall along the log; None without one.

    The record behind it vouches for it: HistoryDamaged where that names another digest.
    """
    if upto.record is None or not 1 <= version <= upto.record.version:
        return None
    low, high, behind = 0, upto, None
    while high.seq - low > 1:
        middle = at(lake, name, (low + high.seq) // 2)
        if middle.record and middle.record.version >= version:
            high = middle
        else:
            low = middle.seq
    if high.seq < upto.seq:
        behind = at(lake, name, high.seq + 1).record
    if behind and behind.previous != high.digest:
        raise HistoryDamaged(f"{lake.url}: {layout.log(name, high.seq)} was altered; run `verify` and restore the log")
    return high if high.record and high.record.version == version and high.record.root else None


def committed(lake: ObjectStore, attempt: Callable[[], Head | None]) -> Head:
    """The head that an attempt commits; one that lost its number to another publisher is made anew, 50 times."""
    for number in range(COMMIT_ATTEMPTS):
        if head := attempt():
            return head
        time.sleep(random.uniform(0, 0.05 * (number + 1)))  # noqa: S311 - jitter between racing publishers
    raise StorageError(
        f"{lake.url}: lost the commit to other publishers {COMMIT_ATTEMPTS} times; run again when quieter"
    )


def following(
    head: Head, record: LogRecord, op: Op, *, reason: str, root: ObjectRef | None, content_digest: str
) -> LogRecord:
    """The record of an operation behind a head: what `record`, which is the head's, carries on is carried on."""
    return msgspec.structs.replace(
        record,
        seq=head.seq + 1,
        version=record.version + (content_digest != record.content_digest),
        op=op,
        previous=head.digest,
        root=root,
        content_digest=content_digest,
        converter_version=CONVERTER_VERSION,
        exports=(),
        fragments=0,
        buckets=0,
        went_back_to=0,
        condemned=None,
        reason=reason,
    )


def commit(lake: ObjectStore, name: str, record: LogRecord) -> Head | None:
    """Create the next record; None where another one took its number first."""
    data = sealed(encode(record))
    if not _landed(lake, layout.log(name, record.seq), data):
        return None
    new = Head(record.seq, record, sha256(data))
    _refuse_unread(lake, name, new)
    with contextlib.suppress(StorageError):  # it is derived: readers do without, and go on from an older one
        lake.put_hint(layout.latest(name), encode(Hint(record.seq)))
    return new


def _refuse_unread(lake: ObjectStore, name: str, new: Head) -> None:
    """CommitStateUnknown where a record that was sent does not read back as it was sent."""
    try:
        now = lake.get(layout.log(name, new.seq))
    except StorageError as error:
        raise CommitStateUnknown(
            f"{lake.url}: record {new.seq} was sent and cannot be read back; run again: {error}"
        ) from error
    if now is None or sha256(now) != new.digest:
        raise CommitStateUnknown(f"{lake.url}: record {new.seq} was sent and does not read back; run again")


def _landed(lake: ObjectStore, key: str, data: bytes) -> bool:
    """Whether the key now holds these bytes. A lost answer is a question: sending the same bytes again answers it."""
    lost: StorageError | None = None
    for _ in range(COMMIT_TRIES):
        try:
            return lake.create(key, data) is not Create.DIFFERENT
        except AccessDenied as error:
            if lost is None:
                raise
            lost = error  # refused now, and what was sent before may be there
            break
        except StorageError as error:
            lost = error
    raise CommitStateUnknown(f"{lake.url}: {key} was sent, and whether it landed is not known; run again") from lost
