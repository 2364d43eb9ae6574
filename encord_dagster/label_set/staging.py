"""A folder that appears with all of its files, or not at all; and the files in it."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from encord_dagster.errors import UsageError

_PREFIX = ".checkout-"
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # of Linux: another one after each start of the machine


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one, or within it where that exists, whose files get their names at the end.

    Those that killed processes left there are removed.
    """
    exists = folder.exists()
    parent = folder if exists else folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(parent)
    if exists:
        _refuse_others(folder)
    with _locked_folder(parent) as staging:
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


def remove_left_behind(parent: Path) -> None:
    """Remove folders of processes that are surely dead: of this start of this machine, and locked by none.

    The system takes a lock away when its process ends, however that comes about. Another machine's locks may not be
    seen here, as on some shared disks: its folders are called otherwise.
    """
    for path in parent.glob(f"{_PREFIX}{_boot()}-*") if _boot() else ():
        with suppress(OSError):  # it is in use, or gone
            lock = _lock(path)
            try:
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _locked_folder(parent: Path) -> Iterator[Path]:
    """A new folder, held by a lock while it is in use; without one where there are none, so that it is not removed."""
    while _boot():
        path = parent / f"{_PREFIX}{_boot()}-{secrets.token_hex(8)}"
        path.mkdir()
        try:
            lock = _lock(path)
        except (BlockingIOError, FileNotFoundError):  # taken for one that was left behind, just before the lock
            continue
        except OSError:  # no locks here, as on some network file systems
            path.rmdir()
            break
        try:
            if path.exists():
                yield path
                return
        finally:
            os.close(lock)
    path = parent / f"{_PREFIX}{secrets.token_hex(8)}"
    path.mkdir()
    yield path


def _lock(path: Path) -> int:
    """A descriptor of a folder that holds its lock. BlockingIOError where another one does."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(folder)
        raise
    return folder


@cache
def _boot() -> str:
    """Names this start of this machine, whatever its containers are called; "" where the system does not tell."""
    try:
        return _BOOT.read_text("ascii").strip().replace("-", "")
    except OSError:
        return ""


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
