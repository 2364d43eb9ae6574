"""Fragments between conversion and publishing: on disk, so that memory does not grow with the export."""

import contextlib
import tempfile
from collections.abc import Iterator
from threading import Lock
from types import TracebackType
from typing import Self

import msgspec

from encord_dagster.errors import StorageError
from encord_dagster.formats.fragment import Fragment, MaskImage


class _Spooled(msgspec.Struct, frozen=True):
    """A fragment as it lies in the file: frames that show nothing share their pictures, of which a video has few."""

    fragment: Fragment  # without its masks
    pictures: tuple[bytes, ...]
    masks: tuple[tuple[int, str, int], ...]  # image id, kind, place of the picture


class Spool:
    """An unnamed temporary file of fragments, by fragment name. StorageError where its disk is full or fails.

    Threads may share it.
    """

    def __init__(self) -> None:
        with _storage_errors():
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

    def put(self, name: str, fragment: Fragment) -> None:
        """Keep a fragment."""
        pictures: dict[bytes, int] = {}
        masks = [(one.image_id, one.kind, pictures.setdefault(one.png, len(pictures))) for one in fragment.masks]
        bare = msgspec.structs.replace(fragment, masks=())
        data = msgspec.msgpack.encode(_Spooled(bare, tuple(pictures), tuple(masks)))
        with self._lock, _storage_errors():
            self._places[name] = (self._file.seek(0, 2), len(data))
            self._file.write(data)

    def get(self, name: str) -> Fragment:
        """A fragment that was put."""
        place, size = self._places[name]
        with self._lock, _storage_errors():
            self._file.seek(place)
            data = self._file.read(size)
        held = msgspec.msgpack.decode(data, type=_Spooled)
        masks = tuple(MaskImage(image_id, kind, held.pictures[place]) for image_id, kind, place in held.masks)
        return msgspec.structs.replace(held.fragment, masks=masks)


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = tempfile.gettempdir()
        raise StorageError(
            f"{place}: {error.strerror or error}; set TMPDIR to a disk with room, then run again"
        ) from error
