"""A store that counts what reaches it."""

from collections import Counter
from collections.abc import Iterator

from encord_dagster.storage.protocol import Create, ObjectInfo, ObjectStore


class Counted:
    """A store that counts its calls and the bytes that go through them."""

    def __init__(self, store: ObjectStore) -> None:
        self.store, self.url = store, store.url
        self.calls: Counter[str] = Counter()
        self.read = self.written = 0

    def create(self, key: str, data: bytes) -> Create:
        """Count a create-only write."""
        self.calls["create"] += 1
        self.written += len(data)
        return self.store.create(key, data)

    def put_hint(self, key: str, data: bytes) -> None:
        """Count a hint."""
        self.calls["put"] += 1
        self.written += len(data)
        self.store.put_hint(key, data)

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """Count a read."""
        self.calls["get"] += 1
        data = self.store.get(key, etag=etag, start=start, end=end)
        self.read += len(data or b"")
        return data

    def head(self, key: str) -> ObjectInfo | None:
        """Count a look."""
        self.calls["head"] += 1
        return self.store.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Count a listing."""
        self.calls["list"] += 1
        return self.store.list(prefix, start_after=start_after)

    def delete(self, key: str) -> None:
        """Count a removal."""
        self.calls["delete"] += 1
        self.store.delete(key)
