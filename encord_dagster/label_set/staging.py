"""A folder that appears with all of its files, or not at all; and the files in it."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encord_dagster.errors import UsageError


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one, or within it where that exists, whose files get their names at the end."""
    exists = folder.exists()
    if exists:
        _refuse_others(folder)
    parent = folder if exists else folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    staging = parent / f".checkout-{secrets.token_hex(8)}"
    staging.mkdir()
    try:
        yield staging
        if exists:  # it stays: it may be a mount, or where somebody stands
            _refuse_others(folder, staging)
            for entry in list(staging.iterdir()):
                entry.rename(folder / entry.name)
        else:
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_others(folder: Path, *mine: Path) -> None:
    if other := next((path for path in folder.iterdir() if path not in mine), None):
        raise UsageError(f"{folder} is not empty, it holds {other.name}; name a folder that is, or does not exist yet")


class NewFiles:
    """Writes files below a folder: thousands of small ones, for which paths and folders must cost next to nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._made: set[str] = set()  # folders

    def write(self, name: str, data: bytes | Iterator[bytes]) -> None:
        """Write a file. FileExistsError where there is one of that name."""
        path = f"{self._folder}/{name}"
        above = path.rpartition("/")[0]
        if above not in self._made:
            Path(above).mkdir(parents=True, exist_ok=True)
            self._made.add(above)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            for piece in (data,) if isinstance(data, bytes) else data:
                left = memoryview(piece)
                while left:
                    left = left[os.write(file, left) :]
        finally:
            os.close(file)


def twice(name: str) -> UsageError:
    """What to say where two images ask for one file."""
    return UsageError(f"two images would have the file {name}; choose a file_name that tells them apart")


def files_below(folder: Path) -> list[str]:
    """The files below a folder by their paths in it, in order."""
    found: list[str] = []
    waiting = [(str(folder), "")]
    while waiting:
        path, name = waiting.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{name}{entry.name}/"))
                else:
                    found.append(name + entry.name)
    return sorted(found)
