"""A file that is read while its bytes still arrive (`fetch.fetching`): who wants those to come waits for them.

A second file beside it has a byte for each step that is there, and a lock says that somebody fetches. The system takes
a lock away when its process ends, however that comes about, so nobody waits for bytes that will never come.
"""

import fcntl
import io
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from encord_dagster.errors import StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STEP = 2 * 2**20  # bytes that are asked for, and arrive, together
HERE = b"\1"
_PAUSE = 0.005  # seconds between two looks


class NotFetched(StorageError):
    """Bytes that nobody fetches any more; who fetched them says why."""


def marks_of(path: Path) -> Path:
    """Where it stands which steps are there."""
    return path.with_name(f"{path.name}.arrived")


def open_arriving(path: Path) -> io.BufferedReader:
    """A file to read, which may be on its way: what is not there yet is waited for. NotFetched where it never comes."""
    return io.BufferedReader(_Arriving(path)) if marks_of(path).exists() else path.open("rb")


class _Arriving(io.RawIOBase):
    def __init__(self, path: Path) -> None:
        self._file, self._marks = path.open("rb", buffering=0), marks_of(path).open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        start = self._file.tell()
        self._wait(start, min(start + len(memoryview(buffer).cast("B")), self._size))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        self._marks.close()
        super().close()

    def _wait(self, start: int, end: int) -> None:
        while not self._is_there(start, end):
            try:
                fcntl.flock(self._marks, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
                continue
            fcntl.flock(self._marks, fcntl.LOCK_UN)
            if not self._is_there(start, end):  # it may have come before the lock went
                raise NotFetched(f"bytes {start} to {end} were not fetched; run again")

    def _is_there(self, start: int, end: int) -> bool:
        first, stop = start // STEP, -(-end // STEP)
        found = os.pread(self._marks.fileno(), stop - first, first)
        return found == HERE * (stop - first)
