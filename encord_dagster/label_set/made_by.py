"""Which record of the log made a version."""

from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set import history
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import LogRecord
from encord_dagster.label_set.read import LabelSet


def head_at(label_set: LabelSet, seq: int) -> Head:
    """The log as it was when record `seq` was its newest."""
    found = history.read_record(label_set.lake, label_set.name, seq) if seq else None
    if found is None:
        if seq:
            raise HistoryDamaged(f"{label_set.lake.url}: record {seq} of {label_set.name!r} is missing; run `verify`")
        return Head(0, None, None)
    return Head(seq, *found)


def records(label_set: LabelSet, *, after: int, upto: int) -> list[LogRecord]:
    """The records behind `after` up to `upto`, oldest first, their chain checked."""
    return history.records(label_set.lake, label_set.name, head_at(label_set, upto), after=after)


def maker(label_set: LabelSet, version: int) -> Head:
    """The record that made a version, by halving: version numbers never fall along the log."""
    low, high = 0, label_set.head.seq
    while high - low > 1:
        middle = (low + high) // 2
        record = head_at(label_set, middle).record
        low, high = (low, middle) if record and record.version >= version else (middle, high)
    found = head_at(label_set, high)
    if version < 1 or found.record is None or found.record.version != version:
        newest = label_set.head.record.version if label_set.head.record else 0
        raise UsageError(f"label set {label_set.name!r} has no version {version}; it has 1 to {newest}, or say latest")
    return found
