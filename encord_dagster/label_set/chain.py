"""The log held against itself, its hint and its checkpoints, so that every damage is told and not only the first."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from encord_dagster import layout
from encord_dagster.label_set import history
from encord_dagster.label_set.manifest import ExportEntry, LogRecord, sha256
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

    def records(self) -> Iterator[LogRecord]:
        """The records that can be read, oldest first, held against each other, the hint and the checkpoints."""
        last = self._last()
        before: LogRecord | None = None
        digest: str | None = None
        accounted: dict[str, ExportEntry] | None = {}  # None behind a record that cannot be read
        for seq in range(1, last + 1):
            key = layout.log(self.name, seq)
            data = self.lake.get(key)
            record = decoded(key, data, LogRecord, self.problem)
            if record:
                self._link(key, seq, record, before, digest)
            before, digest = record, sha256(data) if data else None
            if record is None or accounted is None:
                accounted = None
            else:
                accounted |= {entry.id: entry for entry in record.exports}
            if digest and seq % history.CHECKPOINT_EVERY == 0:
                self._checkpoint(seq, digest, accounted)
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

    def _checkpoint(self, seq: int, digest: str, accounted: dict[str, ExportEntry] | None) -> None:
        """A checkpoint may be missing: it is derived. One that says something else than the log is damage."""
        key = layout.checkpoint(self.name, seq)
        data = self.lake.get(key)
        if data is None:
            return
        checkpoint = decoded(key, data, history.Checkpoint, self.problem)
        if checkpoint and checkpoint != history.Checkpoint(seq, digest, checkpoint.exports):
            self.problem(f"{key} speaks of another record than the log has")
        elif checkpoint and accounted is not None and {entry.id: entry for entry in checkpoint.exports} != accounted:
            self.problem(f"{key} does not list the exports that the records up to {seq} account for")
