"""Bytes in a private temporary file, mapped: read as `bytes` are, and no memory is taken by their size."""

import contextlib
import io
import mmap
import re
import shutil
import weakref
from collections.abc import Callable, Iterator
from typing import Self

from encord_dagster.errors import StorageError

STEP = 8 * 2**20  # bytes that are looked at before their memory is given back


class Mapped(mmap.mmap):
    """A file that nobody else can change or cut short: to read what is no longer there would end the process.

    What reads it whole without a step in between reads `file`, whose bytes never count as memory of the process.
    """

    file: io.BufferedRandom
    _given: int

    def __new__(cls, file: io.BufferedRandom) -> Self:
        """Map an unnamed file that was written and is not empty."""
        file.flush()
        self = super().__new__(cls, file.fileno(), 0, access=mmap.ACCESS_READ)
        self.file, self._given = file, 0
        weakref.finalize(self, file.close)
        return self

    def __contains__(self, part: object, /) -> bool:
        return isinstance(part, bytes) and self.find(part, 0) >= 0

    def startswith(self, prefix: bytes) -> bool:
        """As of `bytes`."""
        return self[: len(prefix)] == prefix

    def passed(self, end: int) -> None:
        """What lies before `end` was read: its pages count no longer, and come again where they are asked for."""
        if end < self._given:  # read from the start again
            self._given = 0
        if end - self._given >= STEP:
            self.madvise(mmap.MADV_DONTNEED, self._given, end - self._given)
            self._given = end - end % mmap.PAGESIZE


Data = bytes | Mapped


def passed(data: Data, end: int) -> None:
    """See `Mapped.passed`; of bytes nothing is given back."""
    if isinstance(data, Mapped):
        data.passed(end)


def slices(data: Data, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a range, a step at a time."""
    for at in range(start, end, STEP):
        yield data[at : min(at + STEP, end)]
        passed(data, at)


def substituted(data: Data, pattern: re.Pattern[bytes], by: Callable[[re.Match[bytes]], bytes]) -> Data:
    """`pattern.sub(by, data)`, where no match changes its length. Of a mapped file it is another one."""
    if isinstance(data, bytes):
        return pattern.sub(by, data)

    def write(file: io.BufferedRandom) -> None:
        data.file.seek(0)
        shutil.copyfileobj(data.file, file)
        for found in pattern.finditer(data):
            if (text := by(found)) != found.group():
                file.seek(found.start())
                file.write(text)
            passed(data, found.start())

    return written(write)


def written(write: Callable[[io.BufferedRandom], None]) -> Mapped:
    """What is written to a temporary file, which goes with the last reference to it. StorageError without room."""
    import tempfile  # only where something is large: what it needs in turn would slow every start

    with disk_errors():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the map
        try:
            write(file)
            return Mapped(file)
        except BaseException:
            file.close()
            raise


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """StorageError where the disk of temporary files is full or fails."""
    try:
        yield
    except OSError as error:
        import tempfile

        place = tempfile.gettempdir()
        raise StorageError(
            f"{place}: {error.strerror or error}; set TMPDIR to a disk with room, then run again"
        ) from error
