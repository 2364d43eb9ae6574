"""Fragments between conversion and publishing: on disk, so that memory does not grow with the export."""

import contextlib
import tempfile
from threading import Lock
from types import TracebackType
from typing import Self

from encord_dagster.formats.fragment import Fragment, unpack
from encord_dagster.storage.mapped import disk_errors


class Spool:
    """An unnamed temporary file of fragments, by fragment name. StorageError where its disk is full or fails.

    Threads may share it.
    """

    def __init__(self) -> None:
        with disk_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = Lock()  # of the place in the file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written is needed no more
            self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def put(self, name: str, data: bytes) -> None:
        """Keep a packed fragment."""
        with self._lock, disk_errors():
            self._places[name] = (self._file.seek(0, 2), len(data))
            self._file.write(data)

    def get(self, name: str) -> Fragment:
        """A fragment that was put."""
        place, size = self._places[name]
        with self._lock, disk_errors():
            self._file.seek(place)
            data = self._file.read(size)
        return unpack(data)
