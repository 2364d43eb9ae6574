"""The landing prefix: which exports lie there, and the id of each, minted from the listing alone."""

import hashlib
from collections.abc import Iterator

import msgspec

from encord_dagster.storage.protocol import ObjectInfo, ObjectStore


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


def is_export(key: str) -> bool:
    """Whether a key can be an export: not hidden, not a temporary name, not a folder marker, not an ontology."""
    name = key.rsplit("/", 1)[-1]
    return bool(name) and not name.startswith((".", "_")) and not name.endswith((".tmp", ".part", ".ontology.json"))


def exports_in(landing: ObjectStore, *, start_after: str = "") -> Iterator[Export]:
    """Exports in the landing prefix, in key order."""
    return (export_of(info) for info in landing.list(start_after=start_after) if is_export(info.key))
