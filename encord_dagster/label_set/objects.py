"""Content-addressed objects of a label set: written once, checked on every read."""

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged
from encord_dagster.label_set.manifest import ObjectRef, sha256
from encord_dagster.storage.protocol import Create, ObjectStore


def write(lake: ObjectStore, name: str, epoch: int, data: bytes) -> ObjectRef:
    """Store `data` under its digest."""
    return write_at(lake, layout.content(name, epoch, sha256(data)), data)


def write_at(lake: ObjectStore, key: str, data: bytes) -> ObjectRef:
    """Store `data` at a key made of its digest; damaged bytes already there are left, the good ones go beside them."""
    for repair in range(10):
        at = f"{key}.r{repair}" if repair else key
        if lake.create(at, data) is not Create.DIFFERENT:
            return ObjectRef(at, sha256(data), len(data))
    raise HistoryDamaged(f"{lake.url}: ten damaged copies of {key}; run `verify` and check the bucket's disks")


def read(lake: ObjectStore, ref: ObjectRef) -> bytes:
    """The bytes of an object; refuses bytes that are not what the manifest says."""
    data = lake.get(ref.key)
    if data is None:
        raise HistoryDamaged(f"{lake.url}: {ref.key} is missing; run `verify` to see what else is, and restore it")
    if sha256(data) != ref.sha256:
        raise HistoryDamaged(f"{lake.url}: {ref.key} does not hold the bytes it is named after; restore it")
    return data
