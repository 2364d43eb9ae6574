"""A large object copied to a file, in ranges of which a store that waits is asked several at a time."""

from typing import IO

from encord_dagster.errors import StorageError
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import ObjectStore

STEP = 8 * 2**20  # bytes of a range


def fetch(store: ObjectStore, key: str, *, etag: str, size: int, to: IO[bytes]) -> None:
    """Copy an object as it was listed. StorageError where it has changed since, or is no longer there."""

    def piece(start: int) -> bytes:
        data = store.get(key, etag=etag, start=start, end=min(start + STEP, size))
        if data is None or len(data) != min(STEP, size - start):
            raise StorageError(f"{store.url}: {key} changed or went while it was fetched; run again")
        return data

    for data in at_once(store, piece, range(0, size, STEP)):
        to.write(data)
