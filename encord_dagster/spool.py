"""Fragments between conversion and publishing: on disk, so that memory does not grow with the export."""

import contextlib
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from encord_dagster.errors import StorageError
from encord_dagster.formats.fragment import Fragment


class Spool:
    """An unnamed temporary file of fragments, by fragment name. StorageError where its disk is full or fails."""

    def __init__(self) -> None:
        with _storage_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._places: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written is needed no more
            self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def put(self, name: str, fragment: Fragment) -> None:
        """Keep a fragment."""
        data = msgspec.msgpack.encode(fragment)
        with _storage_errors():
            self._places[name] = (self._file.seek(0, 2), len(data))
            self._file.write(data)

    def get(self, name: str) -> Fragment:
        """A fragment that was put."""
        place, size = self._places[name]
        with _storage_errors():
            self._file.seek(place)
            data = self._file.read(size)
        return msgspec.msgpack.decode(data, type=Fragment)


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = tempfile.gettempdir()
        raise StorageError(
            f"{place}: {error.strerror or error}; set TMPDIR to a disk with room, then run again"
        ) from error
