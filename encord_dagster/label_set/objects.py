"""Content-addressed objects of a label set: written once, checked on every read."""

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from encord_dagster import layout
from encord_dagster.errors import EncordDagsterError, HistoryDamaged
from encord_dagster.label_set import condemned
from encord_dagster.label_set.manifest import LogRecord, ObjectRef, Root, sha256
from encord_dagster.storage.local import LocalStore, Piece
from encord_dagster.storage.protocol import Create, ObjectStore


def write(lake: ObjectStore, name: str, epoch: int, data: bytes) -> ObjectRef:
    """Store `data` under its digest."""
    digest = sha256(data)
    return write_at(lake, layout.content(name, epoch, digest), data, digest)


def write_pieces(lake: ObjectStore, name: str, epoch: int, pieces: Sequence[Piece]) -> ObjectRef:
    """The same of data in pieces. A folder takes them so: to copy a large file costs as much as its digest."""
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    digest = whole.hexdigest()
    key = layout.content(name, epoch, digest)
    if isinstance(lake, LocalStore) and lake.create(key, pieces) is not Create.DIFFERENT:
        return ObjectRef(key, digest, sum(map(len, pieces)))
    return write_at(lake, key, b"".join(pieces), digest)


def write_at(lake: ObjectStore, key: str, data: bytes, digest: str = "") -> ObjectRef:
    """Store `data` at a key made of its digest; damaged bytes already there are left, the good ones go beside them."""
    digest = digest or sha256(data)
    for repair in range(10):
        at = f"{key}.r{repair}" if repair else key
        if lake.create(at, data) is not Create.DIFFERENT:
            return ObjectRef(at, digest, len(data))
    raise HistoryDamaged(f"{lake.url}: ten damaged copies of {key}; run `verify` and check the bucket's disks")


def read(lake: ObjectStore, ref: ObjectRef) -> bytes:
    """The bytes of an object; refuses bytes that are not what the manifest says.

    VersionGone where garbage collection removed it.
    """
    data = lake.get(ref.key)
    if data is None:
        raise _missing(lake, ref.key)
    if sha256(data) != ref.sha256:
        raise HistoryDamaged(f"{lake.url}: {ref.key} does not hold the bytes it is named after; restore it")
    return data


def named(record: LogRecord) -> list[ObjectRef]:
    """Every content-addressed object that a record names: its root, one that it holds back, and so on."""
    return list(dict.fromkeys(ref for ref in _refs(record) if layout.is_content(ref.key)))


def as_root(data: bytes) -> Root | None:
    """A root manifest, None where the object is something else that a record names."""
    try:
        return msgspec.json.decode(data, type=Root)
    except msgspec.ValidationError:
        return None


def _refs(value: object) -> Iterator[ObjectRef]:
    if isinstance(value, ObjectRef):
        yield value
    elif isinstance(value, msgspec.Struct):
        yield from _refs(msgspec.structs.astuple(value))
    elif isinstance(value, tuple):
        for part in value:
            yield from _refs(part)


def _missing(lake: ObjectStore, key: str) -> EncordDagsterError:
    if seq := condemned.record_of(lake, key):
        return condemned.gone(lake, key, seq)
    return HistoryDamaged(f"{lake.url}: {key} is missing; run `verify` to see what else is, and restore it")
