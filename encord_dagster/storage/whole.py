"""Whole objects, of which large ones lie in a private file rather than in memory: got, digested, stored, compared."""

import hashlib
import io
from typing import Protocol, runtime_checkable

from encord_dagster.errors import StorageError
from encord_dagster.storage.arriving import STEP
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.fetch import fetch
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.mapped import Data, written
from encord_dagster.storage.protocol import Create, ObjectStore

LARGEST_IN_MEMORY = 128 * 2**20  # bytes


@runtime_checkable
class TakesFiles(Protocol):
    """A store that needs no memory for what it writes."""

    def create_file(self, key: str, file: io.BufferedRandom) -> Create:
        """`create` of what a file holds, at most 5 GiB: a single PUT of S3."""
        ...


def get(store: ObjectStore, key: str, *, etag: str, size: int) -> Data | None:
    """An object as it was listed, None if it does not exist. StorageError where it has changed since.

    More than LARGEST_IN_MEMORY is in a temporary file, which goes with the last reference to the data.
    """
    most = LARGEST_IN_MEMORY if isinstance(store, LocalStore) else min(STEP, LARGEST_IN_MEMORY)
    if size <= most:  # in one go: a folder has no slow streams
        return store.get(key, etag=etag)
    try:
        return _fetched(store, key, etag, size)
    except StorageError:
        if store.head(key) is None:
            return None
        raise


def _fetched(store: ObjectStore, key: str, etag: str, size: int) -> Data:
    if size <= LARGEST_IN_MEMORY:
        held = io.BytesIO()
        fetch(store, key, etag=etag, size=size, to=held)
        return held.getvalue()
    return written(lambda file: fetch(store, key, etag=etag, size=size, to=file))


def digest(data: Data) -> str:
    """sha256 hex."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    data.file.seek(0)
    return hashlib.file_digest(data.file, "sha256").hexdigest()


def create(store: ObjectStore, key: str, data: Data) -> Create:
    """`store.create`, without a copy in memory where the store needs none."""
    if isinstance(data, bytes):
        return store.create(key, data)
    if isinstance(store, TakesFiles):
        return store.create_file(key, data.file)
    return store.create(key, data[:])


def holds(store: ObjectStore, key: str, file: io.BufferedRandom) -> bool | None:
    """Whether an object holds what a file does, None if it does not exist. Compared range by range."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    # one range is not full, perhaps empty: a longer object shows there
    found = at_once(store, lambda start: store.get(key, start=start, end=start + STEP), range(0, size + 1, STEP))
    for data in found:
        if data is None:
            return None
        if data != file.read(STEP):
            return False
    return True
