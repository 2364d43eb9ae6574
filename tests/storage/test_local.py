"""What only a folder store has: temporary files, hard links, symlinks, the disk."""

import errno
import os
from pathlib import Path

import pytest

from encord_dagster.errors import AccessDenied, StorageError, UnsafeStore, UsageError
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.protocol import Create


def test_nothing_is_left_beside_the_objects(tmp_path: Path) -> None:
    """Created, refused and replaced objects leave no temporary file."""
    store = LocalStore(tmp_path)

    store.create("a/b", b"one")
    store.create("a/b", b"two")
    store.put_hint("a/b", b"three")

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b"]


def test_what_comes_in_pieces_is_one_object(tmp_path: Path) -> None:
    """And it is compared as one."""
    store = LocalStore(tmp_path)

    assert store.create("a", [b"one ", memoryview(b"two three")[:3], b"", b" three"]) is Create.CREATED
    assert store.get("a") == b"one two three"
    assert store.create("a", [b"one two ", b"three"]) is Create.SAME
    assert store.create("a", [b"one two"]) is Create.DIFFERENT


def test_files_are_as_readable_as_others(tmp_path: Path) -> None:
    """A published file has the mode that the umask asks for, not the 0600 of temporary files."""
    umask = os.umask(0o022)
    try:
        LocalStore(tmp_path).create("a", b"")
    finally:
        os.umask(umask)

    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_hidden_names_are_not_listed(tmp_path: Path) -> None:
    """Half-written temporary files and the desktop's own files are no objects."""
    for name in (".0123.tmp", ".DS_Store", ".git/config", "a/.b", "a/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    assert [info.key for info in LocalStore(tmp_path).list()] == ["a/c"]


@pytest.mark.parametrize("key", [".a", "a/.b", ".a/b", "...", "..a"])
def test_hidden_names_cannot_be_written(tmp_path: Path, key: str) -> None:
    """An object that no listing would show is refused."""
    store = LocalStore(tmp_path)

    with pytest.raises(UsageError, match="start with a dot"):
        store.create(key, b"")
    with pytest.raises(UsageError, match="start with a dot"):
        store.put_hint(key, b"")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Without links a create cannot be atomic: the store says so and leaves nothing."""

    def no_links(self: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", no_links)

    with pytest.raises(UnsafeStore, match="no hard links here"):
        LocalStore(tmp_path).create("a", b"")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What could not be made durable is not created, and no temporary file stays."""

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(StorageError, match=os.strerror(number)):
        LocalStore(tmp_path).create("a", b"data")

    assert list(tmp_path.iterdir()) == []


def test_an_object_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data is synced while the name is free; afterwards the folder, and each new parent, is."""
    synced: list[tuple[Path, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), (tmp_path / "a/b/c").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)

    LocalStore(tmp_path).create("a/b/c", b"data")

    assert synced[0] == (tmp_path, False)
    assert synced[1] == (tmp_path / "a", False)
    assert synced[2][0].name.endswith(".tmp")
    assert synced[2][1] is False
    assert synced[3:] == [(tmp_path / "a/b", True)]


def test_a_refused_permission_is_access_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is not an absent one."""
    (tmp_path / "a").write_bytes(b"")

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(AccessDenied, match="may not read"):
        LocalStore(tmp_path).get("a")


def test_a_folder_at_the_key_is_an_error(tmp_path: Path) -> None:
    """A folder cannot become an object: neither created nor different, so it is said."""
    store = LocalStore(tmp_path)
    store.create("a/b", b"")

    with pytest.raises(StorageError, match="is a folder"):
        store.create("a", b"")


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    """An object cannot become a folder."""
    store = LocalStore(tmp_path)
    store.create("a", b"")

    with pytest.raises(StorageError, match="a/b"):
        store.create("a/b", b"")


def test_an_edit_in_place_changes_the_etag(tmp_path: Path) -> None:
    """A landing folder may be written by programs that know nothing of us."""
    store = LocalStore(tmp_path)
    (tmp_path / "a").write_bytes(b"one")
    os.utime(tmp_path / "a", ns=(0, 1_000_000_000))
    before = store.head("a")
    assert before is not None

    (tmp_path / "a").write_bytes(b"two")

    with pytest.raises(StorageError, match="changed since it was listed"):
        store.get("a", etag=before.etag)


def test_an_edit_during_a_pinned_read_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of two states of a file are never handed out as one."""
    store = LocalStore(tmp_path)
    (tmp_path / "a").write_bytes(b"one")
    pinned = store.head("a")
    assert pinned is not None
    looks: list[os.stat_result] = []
    fstat = os.fstat

    def edit_after_second_look(descriptor: int) -> os.stat_result:
        looks.append(fstat(descriptor))
        if len(looks) == 2:
            os.utime(tmp_path / "a", ns=(0, 1))
        return looks[-1]

    monkeypatch.setattr(os, "fstat", edit_after_second_look)

    with pytest.raises(StorageError, match="changed since it was listed"):
        store.get("a", etag=pinned.etag)


def test_times_are_cut_to_whole_seconds(tmp_path: Path) -> None:
    """Half a second before midnight is still the day before."""
    (tmp_path / "a").write_bytes(b"")
    os.utime(tmp_path / "a", ns=(0, 1_696_291_199_500_000_000))

    info = LocalStore(tmp_path).head("a")

    assert info is not None
    assert info.last_modified == "2023-10-02T23:59:59Z"


def test_what_is_no_file_is_no_object(tmp_path: Path) -> None:
    """Named pipes, broken links and loops of folders neither hang nor break a listing; links to files are read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "real").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = LocalStore(tmp_path)

    assert [info.key for info in store.list()] == ["link", "real"]
    assert store.get("link") == b"data"
    assert store.get("pipe") is None
    assert store.get("broken") is None


def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """Such a file cannot have a key: the listing stops and says which."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.json")).write_bytes(b"")

    with pytest.raises(StorageError, match=r"a\\udcff.json' is not UTF-8"):
        list(LocalStore(tmp_path).list())


def test_a_listing_opens_only_folders_that_can_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix or a start deep in a large lake does not walk the rest."""
    store = LocalStore(tmp_path)
    for folder in ("a", "b", "c"):
        store.create(f"{folder}/x/1", b"")
    opened: list[str] = []
    scandir = os.scandir

    def record(path: Path) -> "os._ScandirIterator[str]":
        opened.append(str(path.relative_to(tmp_path)))
        return scandir(str(path))

    monkeypatch.setattr(os, "scandir", record)

    by_prefix = [info.key for info in store.list("b/x")]
    by_start = [info.key for info in store.list(start_after="b/y")]

    assert by_prefix == ["b/x/1"]
    assert by_start == ["c/x/1"]
    assert opened == [".", "b", "b/x", ".", "b", "c", "c/x"]


def test_a_create_that_was_cut_before_its_name_can_be_repeated(tmp_path: Path) -> None:
    """A temporary file left by a killed writer is in nobody's way."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".0123456789abcdef01234567.tmp").write_bytes(b"da")

    assert LocalStore(tmp_path).create("a/b", b"data") is Create.CREATED
