"""An object store in memory: for tests and for trying things out. Nothing survives the process."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec

from encord_dagster.errors import StorageError
from encord_dagster.storage.protocol import Create, ObjectInfo, check_key, check_range, whole_seconds

_unnamed = itertools.count(1)


class _Stored(msgspec.Struct, frozen=True):
    data: bytes
    info: ObjectInfo


class MemoryStore:
    """Objects in a dictionary, safe to share between threads."""

    def __init__(self, name: str | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        # Without a name each store gets its own url: the self-test remembers stores by url.
        self.url = f"memory://{name or f'unnamed-{next(_unnamed)}'}"
        self._now = now
        self._lock = threading.Lock()
        self._objects: dict[str, _Stored] = {}

    def create(self, key: str, data: bytes) -> Create:
        """Write `data` at `key` only if nothing is there."""
        check_key(key)
        with self._lock:
            there = self._objects.get(key)
            if there is None:
                self._store(key, data)
                return Create.CREATED
        return Create.SAME if there.data == data else Create.DIFFERENT

    def put_hint(self, key: str, data: bytes) -> None:
        """Write or replace `data` at `key`."""
        check_key(key)
        with self._lock:
            self._store(key, data)

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """Bytes `[start, end)` of `key`, None if it does not exist. With `etag`, StorageError if it changed."""
        check_key(key)
        check_range(start, end)
        with self._lock:
            there = self._objects.get(key)
        if there is None:
            return None
        if etag is not None and there.info.etag != etag:
            raise StorageError(f"{self.url}/{key} changed since it was listed (etag {etag}): list again and retry")
        return there.data[start:end]

    def head(self, key: str) -> ObjectInfo | None:
        """The description of `key`, None if it does not exist."""
        check_key(key)
        with self._lock:
            there = self._objects.get(key)
        return None if there is None else there.info

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key, as they were at the first step."""
        with self._lock:
            infos = [stored.info for key, stored in self._objects.items() if key.startswith(prefix)]
        # Code point order is UTF-8 byte order.
        yield from sorted((info for info in infos if info.key > start_after), key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Remove `key`; absent is fine."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def _store(self, key: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()[:32]
        info = ObjectInfo(key=key, size=len(data), etag=digest, last_modified=whole_seconds(self._now()))
        self._objects[key] = _Stored(bytes(data), info)
