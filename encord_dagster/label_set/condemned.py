"""What garbage collections removed: one list of keys for each, which its log record names."""

from collections.abc import Iterable

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged, VersionGone
from encord_dagster.label_set import history
from encord_dagster.label_set.manifest import FORMAT_VERSION, LogRecord, ObjectRef, sha256
from encord_dagster.storage.protocol import ObjectStore


class Condemned(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that no record may name again. Roots go first, so that a version is there whole or not at all."""

    format_version: int = FORMAT_VERSION
    roots: tuple[str, ...]  # of versions that are dropped
    objects: tuple[str, ...]  # everything else


def read(lake: ObjectStore, ref: ObjectRef) -> Condemned:
    """One list. HistoryDamaged where it is missing or altered."""
    data = lake.get(ref.key)
    if data is None or sha256(data) != ref.sha256:
        what = "is missing" if data is None else "was altered"
        raise HistoryDamaged(f"{lake.url}: {ref.key} {what}; it says what gc removed, restore it")
    return msgspec.json.decode(data, type=Condemned)


def by_all(lake: ObjectStore, records: Iterable[LogRecord]) -> Condemned:
    """Everything that the gc records among these condemned."""
    roots, objects = set[str](), set[str]()
    for record in records:
        if record.op == "gc" and record.condemned:
            listed = read(lake, record.condemned)
            roots.update(listed.roots)
            objects.update(listed.objects)
    return Condemned(roots=tuple(sorted(roots)), objects=tuple(sorted(objects)))


def record_of(lake: ObjectStore, key: str) -> int | None:
    """The log record of the garbage collection that condemned an object, None where none did."""
    name = layout.label_set_of(key)
    for info in lake.list(layout.condemned_lists(name)):
        seq = seq_of(info.key)
        found = history.read_record(lake, name, seq)
        if found and found[0].op == "gc" and found[0].condemned and found[0].condemned.key == info.key:
            listed = read(lake, found[0].condemned)
            if key in listed.roots or key in listed.objects:
                return seq
    return None


def seq_of(key: str) -> int:
    """The number of the log record that a list was made for."""
    return int(key.rpartition("/")[2].partition("-")[0])


def refuse(lake: ObjectStore, key: str) -> None:
    """VersionGone where a garbage collection condemned the object, whether or not it is still there.

    Whoever is about to name an object that the head does not name asks this first.
    """
    if seq := record_of(lake, key):
        raise gone(lake, key, seq)


def gone(lake: ObjectStore, key: str, seq: int) -> VersionGone:
    """The error for an object that garbage collection removed."""
    return VersionGone(
        f"{lake.url}: {key} was removed by gc (log record {seq}), as it belongs to no version that was to be kept; "
        "use a later version"
    )
