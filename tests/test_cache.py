"""Checkouts through a cache folder: nothing is fetched twice, nothing half is seen, an edit harms nobody."""

import errno
import hashlib
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set import document
from encord_dagster.label_set.read import Version, open_label_set
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from tests import factories
from tests.lakes import Desk, exported_again, images_export, project_export


class Watched(MemoryStore):
    """A lake that notes what is fetched, and can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.fail: Callable[[str], bool] = lambda key: False

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        if self.fail(key):
            raise OSError(errno.EIO, "the line went dead")
        self.fetched.append(key)
        return super().get(key, etag=etag, start=start, end=end)


def desk_with(rows: int = 3, config: LabelSetConfig | None = None) -> tuple[Desk, Watched, bytes]:
    """A desk over a watched lake, and the export that its version 1 is of."""
    lake = Watched()
    desk, data = Desk(lake, config), images_export(rows)
    desk.bring("one.json", data)
    return desk, lake, data


def held(folder: Path) -> dict[str, bytes]:
    """The files below a folder by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def content(fetched: list[str]) -> list[str]:
    """What of it is content, not log."""
    return [key for key in fetched if "/objects/" in key or "/events-" in key]


def test_a_checkout_through_a_cache_has_the_same_files(tmp_path: Path) -> None:
    """With links, with copies, and with neither."""
    desk, _, _ = desk_with()
    version = desk.label_set().version()

    version.checkout(tmp_path / "plain")
    version.checkout(tmp_path / "linked", cache=tmp_path / "cache")
    version.checkout(tmp_path / "copied", cache=tmp_path / "cache", link=False)

    assert held(tmp_path / "plain") == held(tmp_path / "linked") == held(tmp_path / "copied")


def test_a_second_checkout_fetches_nothing(tmp_path: Path) -> None:
    """All of it lies in the cache, and both checkouts share the files."""
    desk, lake, _ = desk_with()
    version = desk.label_set().version()
    version.checkout(tmp_path / "one", cache=tmp_path / "cache")
    lake.fetched.clear()

    paths = version.checkout(tmp_path / "two", cache=tmp_path / "cache")

    assert content(lake.fetched) == []
    for path in paths:
        assert path.samefile(tmp_path / "one" / path.relative_to(tmp_path / "two"))


def test_a_checkout_of_the_next_version_fetches_what_changed(tmp_path: Path) -> None:
    """Of 270 rows in 16 buckets one changed: its bucket with shards, the root, the COCO file, one export's events."""
    desk, lake, data = desk_with(270)
    desk.label_set().version(1).checkout(tmp_path / "one", cache=tmp_path / "cache")
    desk.bring("two.json", exported_again(data, changed=1))
    version = desk.label_set().version(2)
    shards = len(next(version.buckets()).shards)
    lake.fetched.clear()

    version.checkout(tmp_path / "two", cache=tmp_path / "cache")

    assert len(version.root.buckets) == 16
    assert len(set(content(lake.fetched))) <= 1 + shards + 1 + 1 + 1
    assert held(tmp_path / "two")[document.INSTANCES] == version.coco()


def test_linked_files_are_read_only_and_copies_are_not(tmp_path: Path) -> None:
    """A link is the cache's own file: an editor must be told before it damages that."""
    desk, _, _ = desk_with()
    version = desk.label_set().version()

    linked = version.checkout(tmp_path / "linked", cache=tmp_path / "cache")
    copied = version.checkout(tmp_path / "copied", cache=tmp_path / "cache", link=False)

    assert {path.stat().st_mode & 0o222 for path in linked} == {0}
    assert {path.stat().st_mode & 0o200 for path in copied} == {0o200}
    assert {path.stat().st_nlink for path in copied} == {1}


def test_a_damaged_cache_is_mended_and_never_handed_on(tmp_path: Path) -> None:
    """Every file in it is overwritten in place, as somebody with root rights could through a checkout."""
    desk, _, _ = desk_with()
    version = desk.label_set().version()
    version.checkout(tmp_path / "plain")
    version.checkout(tmp_path / "one", cache=tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"edited")

    version.checkout(tmp_path / "two", cache=tmp_path / "cache")

    assert held(tmp_path / "two") == held(tmp_path / "plain")
    assert b"edited" not in held(tmp_path / "cache").values()


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_where_links_are_not_possible_files_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Another file system; a blank mask with as many names as a file can have; a file system without links."""
    desk, _, _ = desk_with()
    version = desk.label_set().version()
    version.checkout(tmp_path / "plain")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    version.checkout(tmp_path / "two", cache=tmp_path / "cache")

    assert held(tmp_path / "two") == held(tmp_path / "plain")


def test_other_errors_of_linking_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is one: a copy would not fit either."""
    desk, _, _ = desk_with()

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    with pytest.raises(OSError, match="no space left"):
        desk.label_set().version().checkout(tmp_path / "two", cache=tmp_path / "cache")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_a_checkout_that_breaks_off_leaves_nothing(tmp_path: Path, exists: bool, cached: bool) -> None:
    """At whatever object it stops, no file has its final name, and the next checkout is whole."""
    desk, lake, _ = desk_with(config=LabelSetConfig(name="street", inline_coco_bytes=0))  # COCO out of shards
    version = desk.label_set().version()
    version.checkout(tmp_path / "plain")
    (bucket,) = version.buckets()
    for kind in ("annotations", "coco", "masks", "images"):
        folder, key = tmp_path / f"of-{kind}", bucket.shards[kind].key
        if exists:
            folder.mkdir()
        lake.fail = key.__eq__

        cache = tmp_path / f"cache-{kind}" if cached else None
        with pytest.raises(OSError, match="the line went dead"):
            version.checkout(folder, cache=cache)

        assert folder.exists() == exists
        assert not list(tmp_path.rglob("*.tmp"))
        assert not list(tmp_path.rglob(".checkout-*"))
        lake.fail = lambda key: False
        version.checkout(folder, cache=cache)
        assert held(folder) == held(tmp_path / "plain")


def test_a_damaged_document_is_not_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fetched in pieces, and only the end tells that they are not those of the manifest."""
    desk, lake, _ = desk_with()
    version = desk.label_set().version()
    plain = version.root.files[document.INSTANCES]
    lake.put_hint(plain.key, (lake.get(plain.key) or b"").replace(b'"id":', b'"ID":', 1))
    monkeypatch.setattr(document, "STEP", 1000)

    for cache in (None, tmp_path / "cache"):
        with pytest.raises(HistoryDamaged, match="does not hold the bytes"):
            version.checkout(tmp_path / "files", cache=cache)

    assert not (tmp_path / "files").exists()
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_pieces_of_the_document_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetched in pieces, or put together with annotations waiting on the disk: the same bytes."""
    desk, _, _ = desk_with()
    version = desk.label_set().version()
    whole = version.coco()
    monkeypatch.setattr(document, "STEP", 1000)
    monkeypatch.setattr(document, "IN_MEMORY", 1000)

    assert b"".join(document.pieces(desk.lake, version.root)) == whole
    assert b"".join(document.coco_document(desk.lake, version.root)) == whole
    assert len(list(document.pieces(desk.lake, version.root))) > 3


@pytest.mark.parametrize("inline", [0, 2**28])
def test_the_document_in_a_cache_is_fetched_once(tmp_path: Path, inline: int) -> None:
    """Whether it lies plain in the lake or is put together."""
    desk, lake, data = desk_with(config=LabelSetConfig(name="street", inline_coco_bytes=inline))
    version = desk.label_set().version()

    path = version.coco_path(tmp_path)
    lake.fetched.clear()
    again = version.coco_path(tmp_path)

    assert (again, content(lake.fetched)) == (path, [])
    assert path.read_bytes() == version.coco()
    assert path.stem == hashlib.sha256(version.coco()).hexdigest()
    desk.bring("two.json", exported_again(data, changed=1))
    assert desk.label_set().version(2).coco_path(tmp_path).read_bytes() == desk.label_set().version(2).coco()


def check_out(url: str, cache: Path, folder: Path) -> None:
    """What one of several processes does."""
    open_label_set(url, "street").version().checkout(folder, cache=cache)


def test_checkouts_at_once_share_a_cache(tmp_path: Path) -> None:
    """Four processes begin with an empty cache; each ends with all files, and the cache with one of each."""
    desk = Desk(LocalStore(tmp_path / "lake"))
    desk.bring("one.json", project_export(2))
    context = multiprocessing.get_context("spawn")
    folders = [tmp_path / f"files-{number}" for number in range(4)]
    processes = [
        context.Process(target=check_out, args=(str(tmp_path / "lake"), tmp_path / "cache", folder))
        for folder in folders
    ]

    for process in processes:
        process.start()
    for process in processes:
        process.join()

    desk.label_set().version().checkout(tmp_path / "plain")
    assert [process.exitcode for process in processes] == [0] * 4
    assert all(held(folder) == held(tmp_path / "plain") for folder in folders)
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_an_existing_folder_stays_the_folder_it_was(tmp_path: Path) -> None:
    """Somebody may stand in it, or it may be a mount."""
    desk, _, _ = desk_with()
    (tmp_path / "here").mkdir()
    before = (tmp_path / "here").stat().st_ino

    paths = desk.label_set().version().checkout(tmp_path / "here", cache=tmp_path / "cache")

    assert (tmp_path / "here").stat().st_ino == before
    assert all(path.is_file() for path in paths)
    assert not list((tmp_path / "here").glob(".*"))


def test_a_folder_that_is_filled_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Two checkouts into one folder would mix two versions."""
    desk, _, _ = desk_with()
    (tmp_path / "here").mkdir()

    def meddle(line: str) -> None:
        (tmp_path / "here" / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match=r"is not empty, it holds mine\.txt"):
        desk.label_set().version().checkout(tmp_path / "here", progress=meddle)

    assert list(held(tmp_path / "here")) == ["mine.txt"]


def test_a_long_checkout_says_how_far_it_is(tmp_path: Path) -> None:
    """COCO, each table, each bucket of masks."""
    desk, _, _ = desk_with()
    lines: list[str] = []

    desk.label_set().version().checkout(tmp_path / "files", progress=lines.append)

    assert lines[0] == "version 1: annotations/instances.json"
    assert "version 1: table findings" in lines
    assert lines[-1] == "version 1: masks, 1 of 1 buckets"


def test_two_label_rows_on_one_image_do_not_paint_into_the_cache(tmp_path: Path) -> None:
    """The mask of the first row is replaced by that of both, not written over."""
    desk = Desk()
    rows = [
        factories.image_row(factories.box(object_hash=f"object-{number}"), label_hash=f"row-{number}")
        for number in range(3)
    ]
    desk.bring("rows.json", factories.encode(rows))
    version: Version = desk.label_set().version()
    version.checkout(tmp_path / "plain")

    paths = version.checkout(tmp_path / "files", cache=tmp_path / "cache")

    assert held(tmp_path / "files") == held(tmp_path / "plain")
    assert len(paths) == len(set(paths))
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
