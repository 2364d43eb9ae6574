"""The log held against itself, its hint and its checkpoints, so that every damage is told and not only the first."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from encord_dagster import layout
from encord_dagster.label_set import accounted, history
from encord_dagster.label_set.accounted import Checkpoint, Entries, Span
from encord_dagster.label_set.manifest import LogRecord, record_holds, seal_holds, sha256
from encord_dagster.storage.protocol import ObjectStore

Decoded = TypeVar("Decoded")
Problem = Callable[[str], None]

NUMBERED = re.compile(r"(\d{12})\.json")


def numbers(keys: Sequence[str], pattern: re.Pattern[str], problem: Problem) -> list[int]:
    """The numbers in the names of objects; another name is a problem."""
    found = {key: pattern.fullmatch(key.rpartition("/")[2]) for key in keys}
    for key in (key for key, match in found.items() if not match):
        problem(f"{key} does not belong there")
    return [int(match[1]) for match in found.values() if match]


def decoded(key: str, data: bytes | None, kind: type[Decoded], problem: Problem) -> Decoded | None:
    """An object that must be there and be what it is read as; else a problem."""
    if data is None:
        problem(f"{key} is missing; restore it")
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        problem(f"{key} cannot be read: {error}")
        return None


class Chain:
    """The log of a label set, read without trust."""

    def __init__(self, lake: ObjectStore, name: str, problem: Problem) -> None:
        self.lake, self.name, self.problem = lake, name, problem
        self._exports: list[Entries] | None = []  # of each record; None behind one that cannot be read
        self._spans: dict[tuple[int, int], Span] = {}  # as the records have them, by first and last

    def records(self) -> Iterator[LogRecord]:
        """The records that can be read, oldest first, held against each other, the hint and the checkpoints."""
        last = self._last()
        before: LogRecord | None = None
        digest: str | None = None
        for seq in range(1, last + 1):
            key = layout.log(self.name, seq)
            data = self.lake.get(key)
            record = decoded(key, data, LogRecord, self.problem)
            if record and data and not record_holds(data, record):
                self.problem(f"{key} was altered: its digest does not hold")
            if record:
                self._link(key, seq, record, before, digest)
            before, digest = record, sha256(data) if data else None
            if record is None or self._exports is None:
                self._exports = None
            else:
                self._exports.append({entry.id: entry for entry in record.exports})
            if digest and seq % accounted.CHECKPOINT_EVERY == 0:
                self._checkpoint(seq, digest)
            if record:
                yield record

    def _last(self) -> int:
        """The number of the newest record: by the listing, as the way from the hint ends at a gap."""
        keys = [info.key for info in self.lake.list(layout.log_prefix(self.name))]
        last = max(numbers(keys, NUMBERED, self.problem), default=0)
        try:
            hint = msgspec.json.decode(self.lake.get(layout.latest(self.name)) or b'{"seq":0}', type=history.Hint).seq
        except msgspec.DecodeError:
            hint = 0  # it is no more than a hint
        if hint > last and self.lake.get(layout.log(self.name, hint)) is None:  # else it was committed just now
            self.problem(f"{layout.latest(self.name)} names record {hint}, and the log ends at {last}")
        marks = [info.key for info in self.lake.list(layout.checkpoints(self.name))]
        for seq in numbers(marks, NUMBERED, self.problem):
            if seq > last and self.lake.get(layout.log(self.name, seq)) is None:
                self.problem(f"{layout.checkpoint(self.name, seq)} is there, and the log ends at {last}")
        return last

    def _link(self, key: str, seq: int, record: LogRecord, before: LogRecord | None, digest: str | None) -> None:
        """Hold a record against its number and the one before it, of which a gap may hide all or the content."""
        if record.seq != seq:
            self.problem(f"{key} holds record {record.seq}: it was moved or replayed")
        elif (digest or seq == 1) and record.previous != digest:
            earlier = layout.log(self.name, seq - 1)
            self.problem(f"{key} does not follow {earlier}: one of the two was altered")
        elif before:
            self._step(key, before, record)

    def _step(self, key: str, before: LogRecord, record: LogRecord) -> None:
        if record.version - before.version not in (0, 1):
            self.problem(f"{key}: version {record.version} cannot follow version {before.version}")
        if record.epoch - before.epoch != (record.op == "gc"):
            self.problem(f"{key}: epoch {record.epoch} cannot follow epoch {before.epoch}")
        if record.op == "gc" and (record.root, record.version) != (before.root, before.version):
            self.problem(f"{key}: a gc must leave the version as it is")

    def _checkpoint(self, seq: int, digest: str) -> None:
        """A checkpoint may be missing: it is derived. One that says something else than the log is damage."""
        key = layout.checkpoint(self.name, seq)
        data = self.lake.get(key)
        if data is None:
            return
        checkpoint = decoded(key, data, Checkpoint, self.problem)
        if checkpoint and (checkpoint.seq, checkpoint.record) != (seq, digest):
            self.problem(f"{key} speaks of another record than the log has")
        elif checkpoint and seal_holds(data) is False:
            self.problem(f"{key} was altered: its digest does not hold")
        elif checkpoint and self._exports is not None and not self._agrees(checkpoint, self._exports):
            self.problem(f"{key} does not list the exports that the records up to {seq} account for")

    def _agrees(self, checkpoint: Checkpoint, exports: list[Entries]) -> bool:
        """Whether a checkpoint lists what the last records account for, and tells of all earlier ones in spans."""
        start = 0
        for one in checkpoint.earlier:
            if one.upto - one.records != start or one != self._span(start, one.upto, exports):
                return False
            start = one.upto
        held = {entry.id: entry for entry in checkpoint.exports}
        return start == checkpoint.since and held == _united(exports[start : checkpoint.seq])

    def _span(self, since: int, upto: int, exports: list[Entries]) -> Span:
        """The span as checkpoints come to it: an export that came again with earlier times counts in both its parts."""
        if (since, upto) not in self._spans:
            step, rest = divmod(upto - since, accounted.SPAN)
            if step > 1 and not rest:
                parts = [self._span(start, start + step, exports) for start in range(since, upto, step)]
                (found,) = accounted.folded(parts)
            else:
                found = accounted.span(_united(exports[since:upto]).values(), since=since, upto=upto)
            self._spans[since, upto] = found
        return self._spans[since, upto]


def _united(exports: Sequence[Entries]) -> Entries:
    return {key: entry for some in exports for key, entry in some.items()}
