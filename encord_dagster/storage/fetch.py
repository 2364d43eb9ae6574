"""Large objects copied to files, in ranges of which a store that waits is asked several at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, zip_longest
from pathlib import Path
from threading import Event
from typing import IO

from encord_dagster.errors import StorageError
from encord_dagster.storage.arriving import HERE, STEP, marks_of
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import ObjectStore


def fetch(store: ObjectStore, key: str, *, etag: str, size: int, to: IO[bytes]) -> None:
    """Copy an object as it was listed. StorageError where it has changed since, or is no longer there."""

    def piece(start: int) -> bytes:
        return ranged(store, key, etag=etag, start=start, end=min(start + STEP, size))

    for data in at_once(store, piece, range(0, size, STEP)):
        to.write(data)


@contextlib.contextmanager
def fetching(store: ObjectStore, key: str, *, etag: str, size: int, path: Path, readers: int) -> Iterator[None]:
    """Fetch an object, as it was listed, into a new file, which can be opened by `open_arriving` at once.

    So many `readers` start at places that are equally far from each other. StorageError where the object has changed
    since, or is no longer there.
    """
    cancelled = Event()
    with path.open("xb") as file, marks_of(path).open("xb") as marks:
        file.truncate(size)
        fcntl.flock(marks, fcntl.LOCK_EX)

        def get(step: int) -> None:
            if not cancelled.is_set():
                start = step * STEP
                data = ranged(store, key, etag=etag, start=start, end=min(start + STEP, size))
                _write(file.fileno(), data, start)
                _write(marks.fileno(), HERE, step)

        def get_all() -> None:
            try:
                for _ in at_once(store, get, _order(-(-size // STEP), readers)):
                    pass
            finally:
                fcntl.flock(marks, fcntl.LOCK_UN)

        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
            done = pool.submit(get_all)
            try:
                yield
            except Exception:
                cancelled.set()
                if cause := done.exception():  # which is why reading failed
                    raise cause from None
                raise
            finally:
                cancelled.set()
            done.result()


def ranged(store: ObjectStore, key: str, *, etag: str, start: int, end: int) -> bytes:
    """Bytes `[start, end)` of an object. StorageError as `fetch`."""
    data = store.get(key, etag=etag, start=start, end=end)
    if data is None or len(data) != end - start:
        raise StorageError(f"{store.url}: {key} changed or went while it was fetched; run again")
    return data


def _order(steps: int, readers: int) -> Iterator[int]:
    """The end, which shows whether it is an export at all; then each reader's next step in turn."""
    starts = [steps * reader // readers for reader in range(readers + 1)]
    in_turn = chain.from_iterable(zip_longest(*map(range, starts, starts[1:])))
    yield from dict.fromkeys(step for step in (*range(steps)[-2:], *in_turn) if step is not None)


def _write(descriptor: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
