"""Where exports were found, and which exports hold the same bytes. All of it is append-only."""

import functools
from collections.abc import Iterator
from itertools import groupby, islice

import msgspec

from encord_dagster import layout
from encord_dagster.errors import UsageError
from encord_dagster.label_set import history
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.manifest import FORMAT_VERSION, encode, sha256
from encord_dagster.landing import Export, ids_of
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import Create, ObjectStore

_SAME_AS = "same-as-"


class RawPointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which export brought some bytes first."""

    format_version: int = FORMAT_VERSION
    sha256: str
    export: Export


def record_source(lake: ObjectStore, name: str, export: Export, *, first_id: str | None = None) -> None:
    """Write down where an export lies, before anything is made of it; `first_id` where the bytes are known."""
    data = encode(export)
    lake.create(layout.source(name, first_id or export.id, sha256(data)), data)


def find_export(lake: ObjectStore, name: str, export_id: str) -> Export | None:
    """The export of an id, as it was recorded when it was found."""
    if not all(char.isalnum() or char == "-" for char in export_id):
        raise UsageError(f"{export_id!r} is not an export id; ids look like 20231002T143530Z-3f9c2a1b04de")
    found = (export for export in sources(lake, name, export_id) if export.id == export_id)
    return next(found, None)


def sources(lake: ObjectStore, name: str, export_id: str) -> list[Export]:
    """Every place where an export's bytes were found."""
    keys = [info.key for info in lake.list(layout.sources(name, export_id))]
    return [msgspec.json.decode(data, type=Export) for key in keys if (data := lake.get(key))]


def of_day(lake: ObjectStore, name: str, day: str, *, after: str, most: int, only_new: bool) -> list[Export]:
    """Exports of a day of arrival with ids behind `after`, in order; `only_new`: that nothing accounts for."""
    log = Accounted(lake, name, history.head(lake, name))
    refused = set(refused_of_day(lake, name, day)) if only_new else set()

    def is_new(export_id: str, equal: list[str]) -> bool:
        if export_id in refused or export_id in log:
            return False
        return not any(_used_or_refused(log, first) for first in equal)

    ids = (key for key, equal in _found_on(lake, name, day, after=after) if not only_new or is_new(key, equal))
    found = at_once(lake, functools.partial(find_export, lake, name), islice(ids, most))
    return [export for export in found if export]


def refused_of_day(lake: ObjectStore, name: str, day: str) -> Iterator[str]:
    """Ids of the exports of a day of which the whole was quarantined at some time."""
    start = layout.quarantine(name)
    for info in lake.list(start + ids_of(day)):
        export_id, _, file = info.key[len(start) :].partition("/")
        if file.startswith("export-"):
            yield export_id


def _found_on(lake: ObjectStore, name: str, day: str, *, after: str) -> Iterator[tuple[str, list[str]]]:
    """Ids of a day's exports, each with those of the exports that are said to hold the same bytes."""
    start = layout.exports(name)
    behind = f"{start}{after}0" if after else ""  # 0 comes after /, which its own keys go on with
    keys = (info.key[len(start) :] for info in lake.list(start + ids_of(day), start_after=behind))
    for export_id, files in groupby(keys, key=lambda key: key.partition("/")[0]):
        names = (key.rpartition("/")[2] for key in files)
        yield export_id, [name[len(_SAME_AS) : -len(".json")] for name in names if name.startswith(_SAME_AS)]


def claim_bytes(lake: ObjectStore, digest: str, export: Export) -> Export:
    """The export that brought these bytes first: this one, unless another did."""
    mine = encode(RawPointer(sha256=digest, export=export))
    if lake.create(layout.raw_pointer(digest), mine) is not Create.DIFFERENT:
        return export
    data = lake.get(layout.raw_pointer(digest))
    return msgspec.json.decode(data, type=RawPointer).export if data else export


def known_bytes(log: Accounted, digest: str) -> str | None:
    """The id of the export that brought these bytes, where the label set accounts for it already."""
    data = log.lake.get(layout.raw_pointer(digest))
    if data is None:
        return None
    first = msgspec.json.decode(data, type=RawPointer).export.id
    return first if _used_or_refused(log, first) else None


def is_accounted(log: Accounted, export_id: str) -> bool:
    """Whether an export is among those that `accounted` tells of, without reading all of them."""
    if _used_or_refused(log, export_id):
        return True
    start = layout.same_as_any(log.name, export_id)
    equal = (info.key[len(start) : -len(".json")] for info in log.lake.list(start))
    return any(_used_or_refused(log, first) for first in equal)


def _used_or_refused(log: Accounted, export_id: str) -> bool:
    """Whether the log accounts for an export, or the whole of it is in quarantine."""
    return export_id in log or any(log.lake.list(layout.quarantined_whole(log.name, export_id)))


def record_duplicate(lake: ObjectStore, name: str, export: Export, *, first_id: str) -> None:
    """Account for an export whose bytes an earlier one brought: a second source, nothing else."""
    record_source(lake, name, export, first_id=first_id)
    lake.create(layout.same_as(name, export.id, first_id), encode(export))


def accounted(lake: ObjectStore, name: str) -> set[str]:
    """Ids of the exports that a version, an observe, the quarantine or an equal export accounts for."""
    held = set(Accounted(lake, name, history.head(lake, name)).all())
    start = len(layout.quarantine(name))
    for info in lake.list(layout.quarantine(name)):
        export_id, _, file = info.key[start:].partition("/")
        if file.startswith("export-"):
            held.add(export_id)
    start = len(layout.exports(name))
    for info in lake.list(layout.exports(name)):
        export_id, _, file = info.key[start:].partition("/")
        if file.startswith(_SAME_AS) and file[len(_SAME_AS) : -len(".json")] in held:
            held.add(export_id)
    return held
