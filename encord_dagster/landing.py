"""The landing prefix: which exports lie there, and the id of each, minted from the listing alone."""

import hashlib
import re
from collections.abc import Iterator

import msgspec

from encord_dagster.storage.protocol import ObjectInfo, ObjectStore

_SUFFIX = re.compile(r"(?:\.(?:json|ndjson|jsonl|gz|zip))+$", re.IGNORECASE)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery from Encord: one object in the landing prefix at one ETag."""

    id: str  # the partition key
    key: str
    size: int
    etag: str
    last_modified: str  # ISO 8601, UTC, whole seconds
    version_id: str | None = None


def export_of(info: ObjectInfo) -> Export:
    """The export that a listed object is: `<last modified>-<12 hex of sha256(key, version, size)>`."""
    pinned = info.version_id or info.etag
    digest = hashlib.sha256("\0".join((info.key, pinned, str(info.size))).encode()).hexdigest()
    stamp = info.last_modified.replace("-", "").replace(":", "")
    return Export(
        id=f"{stamp}-{digest[:12]}",
        key=info.key,
        size=info.size,
        etag=info.etag,
        last_modified=info.last_modified,
        version_id=info.version_id,
    )


def day_of(export_id: str) -> str:
    """The day of arrival, UTC, that an export's id begins with, as 2023-10-02."""
    return f"{export_id[:4]}-{export_id[4:6]}-{export_id[6:8]}"


def ids_of(day: str) -> str:
    """What the ids of a day's exports begin with."""
    return f"{day.replace('-', '')}T"


def is_export(key: str) -> bool:
    """Whether a key can be an export: not hidden, not a temporary name, not a folder marker, not an ontology."""
    name = key.rsplit("/", 1)[-1]
    if not name or name.startswith((".", "_")) or name.endswith((".tmp", ".part")):
        return False
    return name != "ontology.json" and not name.endswith(".ontology.json")


def ontology_keys(key: str) -> list[str]:
    """Where the ontology of an export may lie, nearest first.

    `<its name>.ontology.json` beside it, else `ontology.json` in its folder or one above, up to the landing prefix.
    """
    keys = [f"{_SUFFIX.sub('', key)}.ontology.json"]
    folders = key.split("/")[:-1]
    return keys + ["/".join((*folders[:depth], "ontology.json")) for depth in range(len(folders), -1, -1)]


def named_parts(key: str, pattern: str) -> dict[str, str]:
    """What the named groups of a regular expression find in an export's name, such as `(?P<project>...)`."""
    found = re.search(pattern, key.rpartition("/")[2]) if pattern else None
    return {name: part[:200] for name, part in found.groupdict().items() if part} if found else {}


def exports_in(landing: ObjectStore, *, start_after: str = "") -> Iterator[Export]:
    """Exports in the landing prefix, in key order."""
    return (export_of(info) for info in landing.list(start_after=start_after) if is_export(info.key))
