"""Which record of the log made a version."""

from encord_dagster.errors import UsageError
from encord_dagster.label_set import history
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import LogRecord
from encord_dagster.label_set.read import LabelSet


def head_at(label_set: LabelSet, seq: int) -> Head:
    """The log as it was when record `seq` was its newest."""
    return history.at(label_set.lake, label_set.name, seq)


def records(label_set: LabelSet, *, after: int, upto: int) -> list[LogRecord]:
    """The records behind `after` up to `upto`, oldest first, their chain checked."""
    return history.records(label_set.lake, label_set.name, head_at(label_set, upto), after=after)


def maker(label_set: LabelSet, version: int) -> Head:
    """The record that made a version."""
    found = history.first_of(label_set.lake, label_set.name, label_set.head, version)
    if found is None:
        newest = label_set.head.record.version if label_set.head.record else 0
        raise UsageError(f"label set {label_set.name!r} has no version {version}; it has 1 to {newest}, or say latest")
    return found
