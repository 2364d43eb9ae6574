"""The six calls that everything else needs of an object store, and the rules for keys that all stores share."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol

import msgspec

from encord_dagster.errors import UsageError


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One object as the store describes it. `key` is relative to the store's root."""

    key: str
    size: int
    etag: str  # without quotes
    last_modified: str  # ISO 8601, UTC, whole seconds, ending in Z
    version_id: str | None = None  # only `head` of a versioned bucket knows it: a listing does not tell


class Create(Enum):
    """What became of a create-only write, learnt by reading back where the answer was uncertain."""

    CREATED = "created"  # by this call
    SAME = "same"  # the key already held exactly these bytes, perhaps by this call whose answer was lost
    DIFFERENT = "different"  # the key already holds other bytes; nothing was written


class ObjectStore(Protocol):
    """A bucket or folder. Keys are relative, `/`-separated, never start with `/` and hold no `..`."""

    url: str  # for people: s3://bucket/prefix, file:///path, memory://name

    def create(self, key: str, data: bytes) -> Create:
        """Write `data` at `key` only if nothing is there, durably and atomically."""
        ...

    def put_hint(self, key: str, data: bytes) -> None:
        """Write or replace `data` at `key`; only for hints that readers verify."""
        ...

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """Bytes `[start, end)` of `key`, None if it does not exist. With `etag`, StorageError if it changed."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """The description of `key`, None if it does not exist."""
        ...

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key (UTF-8 bytes), fetched page by page."""
        ...

    def delete(self, key: str) -> None:
        """Remove `key`; absent is fine. Only maintenance calls this."""
        ...


def check_key(key: str) -> None:
    """Refuse a key that some store would read as another place, or not at all. UsageError."""
    segments = key.split("/")
    if not key or any(segment in ("", ".", "..") for segment in segments) or "\0" in key:
        raise UsageError(f"key {key!r}: use a relative path without empty, '.' or '..' parts and without NUL")
    if not _is_utf8(key):
        raise UsageError(f"key {key!r}: it cannot be written as UTF-8; rename it")


def check_range(start: int, end: int | None) -> None:
    """Refuse a byte range that counts from the end. UsageError."""
    if start < 0 or (end is not None and end < 0):
        raise UsageError(f"byte range [{start}, {end}): count from the start of the object, from 0")


def whole_seconds(moment: datetime) -> str:
    """ISO 8601 in UTC, cut (not rounded) to whole seconds: listings and heads of one object must agree."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates
        return False
    return True
