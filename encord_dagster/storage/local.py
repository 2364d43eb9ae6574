"""A folder as an object store. Names that start with a dot are its own: never listed, refused as keys to write."""

import errno
import hashlib
import io
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from encord_dagster.errors import AccessDenied, StorageError, UnsafeStore, UsageError
from encord_dagster.storage.protocol import Create, ObjectInfo, check_key, check_range, whole_seconds

Piece = bytes | memoryview
_CHUNK = 2**20
ABSENT = (FileNotFoundError, NotADirectoryError)  # `a/b` where `a` is a file is just as absent
TEMPORARY = re.compile(r"\.[0-9a-f]{24}\.tmp")
NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class LocalStore:
    """Objects as files below `root`, which need not exist yet. Unlike in S3, `a` and `a/b` cannot both exist."""

    calls_at_once = 4  # a write waits for the disk twice; see storage.at_once

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.url = self.root.as_uri()

    def create(self, key: str, data: bytes | Sequence[Piece]) -> Create:
        """Write `data` at `key` only if nothing is there, durably and atomically. It may come in pieces."""
        pieces = [data] if isinstance(data, bytes) else data
        if self._created(key, pieces):
            return Create.CREATED
        there = self.get(key)
        return self._same_or_different(key, None if there is None else there == b"".join(pieces))

    def create_file(self, key: str, file: io.BufferedRandom) -> Create:
        """The same of what a file holds, without its bytes in memory."""
        file.seek(0)
        if self._created(key, iter(lambda: file.read(_CHUNK), b"")):
            return Create.CREATED
        from encord_dagster.storage.whole import holds  # and with it threads, which nothing else here needs

        return self._same_or_different(key, holds(self, key, file))

    def _created(self, key: str, pieces: Iterable[Piece]) -> bool:
        path = self._path_to_write(key)
        with _storage_errors("create", path):
            temp = _write_temp(path.parent, pieces)
            try:
                _link(temp, path)
            except FileExistsError:
                # Whoever wrote it may not have got as far as the fsync; we are about to rely on it.
                _fsync_folder(path.parent)
                return False
            finally:
                temp.unlink()
            _fsync_folder(path.parent)
        return True

    def put_hint(self, key: str, data: bytes) -> None:
        """Write or replace `data` at `key`."""
        path = self._path_to_write(key)
        with _storage_errors("write", path):
            temp = _write_temp(path.parent, [data])
            try:
                temp.replace(path)
            except OSError:
                temp.unlink()
                raise
            _fsync_folder(path.parent)

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """Bytes `[start, end)` of `key`, None if it does not exist. With `etag`, StorageError if it changed."""
        check_range(start, end)
        path = self._path(key)
        with _storage_errors("read", path):
            file = _open_file(path)
            if file is None:
                return None
            with file:
                before = _etag(os.fstat(file.fileno()))
                file.seek(start)
                data = file.read() if end is None else file.read(max(0, end - start))
                after = _etag(os.fstat(file.fileno()))
        if etag is not None and (before != etag or after != etag):
            raise StorageError(f"{path} changed since it was listed (etag {etag}): list again and retry")
        return data

    def head(self, key: str) -> ObjectInfo | None:
        """The description of `key`, None if it does not exist."""
        path = self._path(key)
        with _storage_errors("look at", path):
            return _info(key, path)

    def unfinished(self, *, before: str) -> list[Path]:
        """Hidden files of writes that a crash cut short, last changed before a time: nothing names them."""
        if not self.root.is_dir():
            return []
        with _storage_errors("list", self.root):
            found = [path for path in self.root.rglob(".*.tmp") if TEMPORARY.fullmatch(path.name)]
            changed = {path: datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in found}
        return sorted(path for path, time in changed.items() if whole_seconds(time) < before)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key (UTF-8 bytes), folder by folder."""
        return self._walk("", prefix=prefix, start_after=start_after)

    def delete(self, key: str) -> None:
        """Remove `key`; absent is fine. Its folder stays."""
        path = self._path(key)
        with _storage_errors("delete", path):
            if path.is_dir():  # no object, so absent
                return
            try:
                path.unlink()
            except ABSENT:
                return
            _fsync_folder(path.parent)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.root / key

    def _path_to_write(self, key: str) -> Path:
        path = self._path(key)
        if any(segment.startswith(".") for segment in key.split("/")):
            raise UsageError(f"key {key!r}: a folder store never lists names that start with a dot; choose another")
        return path

    def _same_or_different(self, key: str, same: bool | None) -> Create:
        if same is None:
            raise StorageError(f"{self.root / key} is a folder, or was removed just now: look at it, then run again")
        return Create.SAME if same else Create.DIFFERENT

    def _walk(self, parent: str, *, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        """Objects below the folder key `parent` ('' or ending in '/'), skipping folders that cannot match."""
        for name in _names(self.root / parent):
            key = parent + name
            if name.endswith("/"):
                may_hold_prefix = key.startswith(prefix) or prefix.startswith(key)
                if may_hold_prefix and (key > start_after or start_after.startswith(key)):
                    yield from self._walk(key, prefix=prefix, start_after=start_after)
            elif key.startswith(prefix) and key > start_after:
                with _storage_errors("look at", self.root / key):
                    info = _info(key, self.root / key)
                if info is not None:  # else it was deleted since its folder was read
                    yield info


def _names(folder: Path) -> list[str]:
    """Visible names in a folder, those of folders ending in '/', in the order of the keys below them."""
    with _storage_errors("list", folder):
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
                # The slash takes part in the order: 'a.b' comes before 'a/b', and 'a/b' before 'ab'.
                names = [entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in visible]
        except FileNotFoundError:
            return []
    try:
        return sorted(names, key=str.encode)
    except UnicodeEncodeError as error:
        raise StorageError(f"{folder}: the file name {error.object!r} is not UTF-8; rename the file") from error


def _open_file(path: Path) -> io.BufferedReader | None:
    """The file opened for reading, None if there is none."""
    try:
        # Non-blocking, or a named pipe in the folder would hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except ABSENT:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _info(key: str, path: Path) -> ObjectInfo | None:
    try:
        status = path.stat()
    except ABSENT:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    modified = datetime.fromtimestamp(status.st_mtime_ns // 10**9, UTC)
    return ObjectInfo(key=key, size=status.st_size, etag=_etag(status), last_modified=whole_seconds(modified))


def _etag(status: os.stat_result) -> str:
    """Changes with every replacement and, without reading the file, with every edit the clock can tell."""
    seen = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
    return hashlib.sha256(seen.encode()).hexdigest()[:32]


def _write_temp(folder: Path, pieces: Iterable[Piece]) -> Path:
    """A hidden file in `folder` that holds the data on the disk, not only in memory."""
    _make_folder(folder)
    temp = folder / f".{secrets.token_hex(12)}.tmp"
    try:
        with temp.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    return temp


def _link(temp: Path, path: Path) -> None:
    """Give a finished file its name; unlike rename, this refuses a name that is taken."""
    try:
        path.hardlink_to(temp)
    except OSError as error:
        if error.errno in NO_HARD_LINKS:
            raise UnsafeStore(f"{path.parent}: no hard links here ({error.strerror}); use another disk") from error
        raise


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    """A new name survives a power cut only once its folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storage_errors(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise AccessDenied(f"may not {action} {path}: {error.strerror}; check who owns it") from error
    except OSError as error:
        raise StorageError(f"could not {action} {path}: {error.strerror}; put that right and run again") from error
