"""Fragments between conversion and publishing: on disk, so that memory does not grow with the export."""

import tempfile
from types import TracebackType
from typing import Self

import msgspec

from encord_dagster.formats.fragment import Fragment


class Spool:
    """An unnamed temporary file of fragments, by fragment name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._places: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def put(self, name: str, fragment: Fragment) -> None:
        """Keep a fragment."""
        data = msgspec.msgpack.encode(fragment)
        self._places[name] = (self._file.seek(0, 2), len(data))
        self._file.write(data)

    def get(self, name: str) -> Fragment:
        """A fragment that was put."""
        place, size = self._places[name]
        self._file.seek(place)
        return msgspec.msgpack.decode(self._file.read(size), type=Fragment)
