"""What the newest version changed: right where it is counted, bounded in what it reads, and never in the way."""

from pathlib import Path
from typing import Any

import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import beside as module
from encord_dagster.label_set import manifest, scenes
from encord_dagster.label_set.beside import beside
from encord_dagster.label_set.diff import diff
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.read import open_label_set
from encord_dagster.storage.memory import MemoryStore
from tests import factories as make
from tests.golden import make as golden
from tests.label_set.test_golden import LAKES, unpacked
from tests.lakes import Desk, exported_again, images_export, project_export


class Counting(MemoryStore):
    """A lake that counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        self.keys.append(key)
        return super().get(key, etag=etag, start=start, end=end)


def two_versions(desk: Desk, first: bytes, **changes: int) -> Desk:
    """A label set of two versions."""
    desk.bring("one.json", first)
    desk.bring("two.json", exported_again(first, **changes))
    return desk


def test_it_counts_what_the_full_comparison_counts() -> None:
    """Which reads all shards of the buckets that differ."""
    label_set = two_versions(Desk(), project_export(20), changed=3, added=2, deleted=1).label_set()

    found = beside(label_set, label_set.version())

    whole = diff(label_set, 1, 2)
    assert (found.before, found.after, found.whole) == (1, 2, True)
    assert found.rows == whole.rows
    assert found.rows["added"] == 2
    assert {one.name: one.now for one in found.classes if one.now} == label_set.version(2).classes
    assert {one.name: one.before for one in found.classes if one.before} == label_set.version(1).classes


def test_a_first_version_is_all_new() -> None:
    """And shows some of its images."""
    desk = Desk()
    desk.bring("one.json", project_export(12))

    found = beside(desk.label_set(), desk.label_set().version())

    assert (found.before, found.rows["added"]) == (0, 12)
    assert len(found.scenes) == 3


def test_its_pictures_are_of_rows_that_changed() -> None:
    """Each of another row."""
    label_set = two_versions(Desk(), project_export(20), changed=2).label_set()

    scenes = beside(label_set, label_set.version()).scenes

    assert len(scenes) == 2
    assert all(scene.shapes for scene in scenes)


def test_what_it_reads_follows_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set eight times as large costs the same."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 4)
    reads = []
    for rows in (40, 320):
        lake = Counting()
        label_set = two_versions(Desk(lake), images_export(rows), changed=2).label_set()
        version = label_set.version()
        lake.keys.clear()

        beside(label_set, version)

        reads.append(len(lake.keys))
    assert reads[1] <= reads[0] + 2
    assert max(reads) <= 20


def test_very_many_changes_are_counted_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """And said to be."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 4)
    monkeypatch.setattr(module, "PLACES", 2)
    label_set = two_versions(Desk(), images_export(60), changed=30).label_set()

    found = beside(label_set, label_set.version())

    assert not found.whole
    assert 0 < found.rows["changed"] < 30


def test_a_shard_that_is_too_large_is_not_read_for_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are there without it."""
    monkeypatch.setattr(scenes, "SHARD_BYTES", 10)
    label_set = two_versions(Desk(), project_export(20), changed=3).label_set()

    found = beside(label_set, label_set.version())

    assert found.scenes == ()
    assert found.rows["changed"] == 3


def test_a_version_before_that_was_dropped_is_not_missed() -> None:
    """Garbage collection took it."""
    desk = two_versions(Desk(), project_export(12), changed=2)
    gc(desk.lake, "street", dry_run=False, keep=1)

    found = beside(desk.label_set(), desk.label_set().version())

    assert (found.before, found.rows["added"]) == (0, 12)


def test_a_class_that_is_gone_is_named() -> None:
    """With what it had."""
    desk = Desk(config=LabelSetConfig(name="street", hold_back=()))
    desk.bring("one.json", make.encode([make.image_row(make.box(), make.point())]))
    later: dict[str, Any] = {"export_hash": "later", "exported_at": "Mon, 22 Jul 2024 09:20:25 UTC"}
    desk.bring("two.json", make.encode([make.image_row(make.box(), **later)]))

    found = beside(desk.label_set(), desk.label_set().version())

    assert [(one.before, one.now) for one in found.classes] == [(1, 1), (1, 0)]


@pytest.mark.parametrize("name", LAKES)
def test_lakes_of_every_release_can_be_shown(name: str, tmp_path: Path) -> None:
    """With pictures: an older form of records is no reason to show nothing."""
    label_set = open_label_set(unpacked(name, tmp_path), golden.NAME)

    found = beside(label_set, label_set.version())

    assert {one.name: one.now for one in found.classes if one.now} == label_set.version().classes
    assert found.scenes != ()


def test_rows_of_a_patch_are_drawn_out_of_the_patch(tmp_path: Path) -> None:
    """The shard beside it may be large, and is not read."""
    lake = Counting()
    label_set = two_versions(Desk(lake), images_export(60), changed=2).label_set()
    (bucket,) = label_set.version().buckets()
    shard = bucket.shards["coco"].key
    lake.keys.clear()

    found = beside(label_set, label_set.version())

    assert bucket.patch is not None
    assert len(found.scenes) == 2
    assert bucket.patch.ref.key in lake.keys
    assert shard not in lake.keys
