"""Buckets of which little changes keep their shards and are patched: readers cannot tell, and what must go is gone."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats import tables
from encord_dagster.label_set import shards
from encord_dagster.label_set.diff import diff
from encord_dagster.label_set.manifest import Bucket
from encord_dagster.label_set.read import Version
from encord_dagster.label_set.retire import retire
from encord_dagster.label_set.verify import verify
from tests.effort import examples
from tests.lakes import Desk, exported_again, project_export

CONFIG = LabelSetConfig(name="street", hold_back=())
FIRST = project_export(20)  # rows of all kinds
NEVER = 10**9


def days(*changes: dict[str, int]) -> list[bytes]:
    """The project, and its exports of the days after."""
    found = [FIRST]
    for day, change in enumerate(changes, start=1):
        found.append(exported_again(found[-1], days=day, **change))
    return found


def lake_of(exports: list[bytes], *, patched: bool) -> Desk:
    """A label set that took in some exports, one after the other."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        if not patched:
            monkeypatch.setattr(shards, "PATCHED_SHARE", NEVER)
        desk = Desk(config=CONFIG)
        for number, data in enumerate(exports):
            desk.bring(f"{number}.json", data)
        return desk


def patches(version: Version) -> list[Bucket]:
    """The buckets that have a patch."""
    return [bucket for bucket in version.buckets() if bucket.patch]


def files(version: Version, folder: Path) -> dict[str, bytes]:
    """The COCO file and the masks of a checkout."""
    version.checkout(folder, formats=("coco", "masks"))
    told = {"croissant.json", "prov.jsonld"}  # of the lake's objects and times
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in told)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_readers_cannot_tell(tmp_path: Path) -> None:
    """COCO, masks and tables are those of a label set whose shards are written anew each time."""
    exports = days({"changed": 2}, {"changed": 1, "added": 1}, {"changed": 1})
    one, other = (lake_of(exports, patched=patched).label_set() for patched in (True, False))

    assert patches(one.version(2))
    assert patches(one.version(3))
    for number in (2, 3, 4):
        mine, theirs = one.version(number), other.version(number)
        assert not patches(theirs)
        assert mine.record.content_digest == theirs.record.content_digest
        assert files(mine, tmp_path / f"one-{number}") == files(theirs, tmp_path / f"other-{number}")
        for name in tables.SCHEMAS:
            assert mine.table(name).equals(theirs.table(name))
        for image in tables.integers(mine.table("images")["image_id"]).tolist():
            assert (mine.masks(image) == theirs.masks(image)).all()
        for annotation in tables.integers(mine.table("annotations")["annotation_id"]).tolist():
            assert (mine.mask_of(annotation) == theirs.mask_of(annotation)).all()
    assert diff(one, 1, 4).rows == diff(other, 1, 4).rows


CHANGES = st.fixed_dictionaries(
    {}, optional={"changed": st.integers(0, 4), "added": st.integers(0, 2), "deleted": st.integers(0, 1)}
)


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_any_changes_come_to_the_same(changes: list[dict[str, int]]) -> None:
    """Whatever changes from day to day: the same COCO file and tables with patches and without, all of it sound."""
    exports = days(*changes)
    one, other = (lake_of(exports, patched=patched) for patched in (True, False))

    mine, theirs = one.label_set().version(), other.label_set().version()
    assert mine.coco() == theirs.coco()
    for name in tables.SCHEMAS:
        assert mine.table(name).equals(theirs.table(name))
    assert verify(one.lake, "street").problems == []


def test_a_patch_grows_until_shards_are_written_anew() -> None:
    """At most one in four rows of a bucket is read from its patch."""
    desk = lake_of(days(*[{"changed": 1}] * 12), patched=True)
    label_set = desk.label_set()

    sizes = []
    for number in range(1, 1 + label_set.version().number):
        (bucket,) = label_set.version(number).buckets()
        assert len(bucket.patch.rows if bucket.patch else ()) * shards.PATCHED_SHARE <= len(bucket.rows)
        sizes.append(len(bucket.patch.rows) if bucket.patch else 0)
    assert sizes[:2] == [0, 1]
    assert 0 in sizes[2:]


def test_a_patch_costs_what_changed() -> None:
    """A publish of one row writes its patch, and none of the shards of its bucket."""
    desk = lake_of([FIRST], patched=True)
    before = desk.written("label_sets/street/objects/")
    (old,) = desk.label_set().version().buckets()

    desk.bring("next.json", days({"changed": 1})[1])

    (new,) = desk.label_set().version().buckets()
    assert new.patch is not None
    assert new.shards == old.shards
    wanted = ("patch", "bucket", "root", "plain coco", "losses", "croissant", "provenance")
    assert len(desk.written("label_sets/street/objects/") - before) <= len(wanted)


def patched_row(desk: Desk) -> str:
    """The label hash of a row that is in a patch."""
    (bucket,) = desk.label_set().version().buckets()
    assert bucket.patch
    return next(row.label_hash for row in bucket.rows if row.row in bucket.patch.rows)


def test_what_is_retired_is_in_nothing_that_the_version_names() -> None:
    """Neither in shards nor in a patch: garbage collection of older versions removes its bytes."""
    desk = lake_of(days({"changed": 2}), patched=True)
    for gone in (patched_row(desk), unpatched_row(desk)):
        assert gone in named(desk)
        retire(desk.lake, "street", "asked to", label_hashes=[gone])
        assert gone not in named(desk)


def test_a_tombstone_leaves_no_labels_in_shards() -> None:
    """The data behind a row is gone, so its labels are in nothing that the version names."""
    desk = lake_of(days({"changed": 2}, {"deleted": 1}), patched=True)

    gone = {row.label_hash for row in desk.label_set().version().label_rows() if row.fragment is None}

    assert gone
    assert not gone & named(desk)


def named(desk: Desk) -> set[str]:
    """The label hashes in the tables of all shards and patches that the newest version names."""
    found: set[str] = set()
    for bucket in desk.label_set().version().buckets():
        bare = shards.OpenBucket(desk.lake, msgspec.structs.replace(bucket, patch=None))
        patch = shards.OpenBucket(desk.lake, bucket).patch
        for name in tables.SCHEMAS:
            for table in (bare.table(name), shards.table_of(name, patch)):
                found |= {str(label_hash) for label_hash in table["label_hash"].to_pylist()}
    return found


def unpatched_row(desk: Desk) -> str:
    """The label hash of a row that is only in shards."""
    (bucket,) = desk.label_set().version().buckets()
    patched = bucket.patch.rows if bucket.patch else ()
    return next(row.label_hash for row in bucket.rows if row.fragment and row.row not in patched)
