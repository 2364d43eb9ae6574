"""A folder of files by the digest of their bytes, shared by checkouts: what is there is not fetched again.

Files are read-only and checked whenever they are used, so that an edited one is fetched anew and harms nobody.
"""

import errno
import hashlib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from encord_dagster import layout
from encord_dagster.label_set.manifest import sha256
from encord_dagster.storage.protocol import Create, ObjectInfo, ObjectStore

READ_ONLY = 0o444
# another file system, a file with as many names as it can have (blank masks), a file system without hard links
NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class Cache:
    """The files of one cache folder. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def held(self, digest: str) -> Path | None:
        """The file of a digest, or of the beginning of one, if it is there and whole."""
        within = self.folder / digest[:2]
        path = within / digest
        if len(digest) < 64:
            path = next(within.glob(f"{digest}*"), path)
        return path if _holds(path, path.name) else None

    def read(self, digest: str) -> bytes | None:
        """The bytes of a digest, or of the beginning of one, if they are there and whole."""
        path = self.held(digest)
        return path.read_bytes() if path else None

    def add(self, data: bytes) -> Path:
        """The file that holds these bytes, written unless it is there."""
        digest = sha256(data)
        return self.held(digest) or self._write(self.folder / digest[:2] / digest, [data])

    def coco(self, root: str, pieces: Iterable[bytes]) -> Path:
        """The COCO file of the version with a root digest; `pieces` are taken only where it is not there.

        Its digest is not known beforehand where it is put together, so it lies under that of the root.
        """
        folder = self.folder / "coco" / root
        for path in folder.glob("*.json"):
            if _holds(path, path.stem):
                return path
        return self._write(folder / "{}.json", pieces)

    def _write(self, path: Path, pieces: Iterable[bytes]) -> Path:
        """Write a file under another name first; `{}` in the name becomes the digest."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temp = path.parent / f".{secrets.token_hex(12)}.tmp"
        digest = hashlib.sha256()
        try:
            with temp.open("xb") as file:
                for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
            temp.chmod(READ_ONLY)
            return temp.replace(path.with_name(path.name.replace("{}", digest.hexdigest())))
        finally:
            temp.unlink(missing_ok=True)


class Through:
    """A lake whose content-addressed objects are read through a cache."""

    def __init__(self, lake: ObjectStore, cache: Cache) -> None:
        self.lake, self.cache, self.url = lake, cache, lake.url

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """Bytes of `key`; whole objects that are named after their digest come out of the cache where it has them."""
        digest = layout.digest_in(key) if (etag, start, end) == (None, 0, None) else None
        if digest is None:
            return self.lake.get(key, etag=etag, start=start, end=end)
        data = self.cache.read(digest)
        if data is None:
            data = self.lake.get(key)
            if data is not None and sha256(data).startswith(digest):
                self.cache.add(data)
        return data

    def head(self, key: str) -> ObjectInfo | None:
        """As in the lake."""
        return self.lake.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """As in the lake."""
        return self.lake.list(prefix, start_after=start_after)

    def create(self, key: str, data: bytes) -> Create:
        """As in the lake."""
        return self.lake.create(key, data)

    def put_hint(self, key: str, data: bytes) -> None:
        """As in the lake."""
        self.lake.put_hint(key, data)

    def delete(self, key: str) -> None:
        """As in the lake."""
        self.lake.delete(key)


def link_or_copy(source: Path, path: Path, *, link: bool) -> None:
    """Give a file of the cache a second name, read-only as it is; or a copy of its own, that may be edited."""
    if link:
        try:
            path.hardlink_to(source)
            return
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
    shutil.copyfile(source, path)


def _holds(path: Path, digest: str) -> bool:
    """Whether a file is there and holds the bytes that it is named after; one that does not is removed."""
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                return True
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    return False
