"""The self-test at start: publishing rests on create-only writes, so a store without them is refused."""

import secrets

from encord_dagster.errors import UnsafeStore
from encord_dagster.storage.protocol import Create, ObjectStore

_passed: set[str] = set()  # urls of stores; once a process is enough


def refuse_unsafe(store: ObjectStore, *, prefix: str) -> None:
    """Create a probe key below `prefix` twice; UnsafeStore if the second is accepted or the first does not stay.

    The probe object stays: publishers may not delete.
    """
    if store.url in _passed:
        return
    key = f"{prefix}{secrets.token_hex(16)}"
    first, second = secrets.token_hex(16).encode(), secrets.token_hex(16).encode()
    accepted = store.create(key, first)
    if accepted is Create.DIFFERENT:
        raise UnsafeStore(f"{store.url}: the new key {key} already held other bytes; is something else writing there?")
    refused = store.create(key, second)
    if refused is not Create.DIFFERENT or store.get(key) != first:
        raise UnsafeStore(
            f"{store.url} accepted a second create of one key ({key}): two writers could overwrite each other. "
            "Use a store that honours If-None-Match on PUT (AWS S3 does), and no proxy that drops this header"
        )
    _passed.add(store.url)
