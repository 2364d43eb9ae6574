"""Ids of images and annotations: unique in every version, the same in all later ones, whatever collides."""

import json

import msgspec
import pytest

from encord_dagster import identity
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import IdClash
from encord_dagster.label_set import manifest
from encord_dagster.label_set.read import Version
from encord_dagster.label_set.verify import verify
from tests.lakes import Desk, exported_again, images_export

CONFIG = LabelSetConfig(name="street", masks=False)
FIRST = images_export(2)  # 26 annotations
SECOND = exported_again(FIRST, changed=1, days=1)
FOREIGN = images_export(1, seed=8)

Owner = tuple[str, ...]


def ids(version: Version) -> dict[Owner, int]:
    """The id of every image and annotation by what it stands for; COCO and tables must agree on them."""
    file = json.loads(version.coco())
    found: dict[Owner, int] = {}
    for image in file["images"]:
        found["image", image["encord"]["data_hash"], str(image["encord"]["frame"])] = image["id"]
    for one in file["annotations"]:
        origin = one["encord"]
        found["annotation", origin["label_hash"], origin["object_hash"], str(origin["frame"])] = one["id"]
    assert len(found) == len(file["images"]) + len(file["annotations"])
    assert sorted(one["id"] for one in file["annotations"]) == sorted(version.annotations_frame()["annotation_id"])
    assert {one["image_id"] for one in file["annotations"]} <= {image["id"] for image in file["images"]}
    assert sorted(image["id"] for image in file["images"]) == sorted(version.table("images")["image_id"].to_pylist())
    return found


def unique(found: dict[Owner, int]) -> bool:
    """Whether no two images and no two annotations share an id."""
    return all(
        len(numbers) == len(set(numbers))
        for numbers in ([n for owner, n in found.items() if owner[0] == kind] for kind in ("image", "annotation"))
    )


@pytest.fixture(params=[6, 7, 53])
def bits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So few bits that records of one export collide; and as many as there really are."""
    count = int(request.param)
    monkeypatch.setattr(identity, "ID_BITS", count)
    return count


def test_ids_of_every_version_are_unique_and_stay(bits: int) -> None:
    """Records that share a number get others, which later versions keep, also where their rows are converted anew."""
    desk = Desk(config=CONFIG)

    versions = []
    for number, data in enumerate((FIRST, SECOND, FOREIGN, exported_again(SECOND, changed=1, days=2))):
        desk.bring(f"{number}.json", data)
        versions.append(desk.label_set().version())

    before: dict[Owner, int] = {}
    for version in versions:
        found = ids(version)
        assert unique(found)
        assert {owner: n for owner, n in found.items() if owner in before} == {
            owner: n for owner, n in before.items() if owner in found
        }
        before = found
    overrides = [version.root.id_overrides for version in versions]
    assert all(older.items() <= newer.items() for older, newer in zip(overrides, overrides[1:], strict=False))
    assert bool(overrides[0]) == (bits < 53)
    assert verify(desk.lake, "street").problems == []


def test_collisions_change_no_content_digest(bits: int) -> None:
    """Ids are not content: exports that come in another order give other ids and the same digest."""
    forth, back = Desk(config=CONFIG), Desk(config=CONFIG)

    for number, data in enumerate((FIRST, FOREIGN)):
        forth.bring(f"{number}.json", data)
    for number, data in enumerate((FOREIGN, FIRST)):
        back.bring(f"{number}.json", data)

    one, other = forth.label_set().version(), back.label_set().version()
    assert unique(ids(one))
    assert unique(ids(other))
    assert one.root.content_digest == other.root.content_digest


def test_a_record_that_is_published_keeps_its_id_against_a_newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two images with one number it is always the newer one that gets another."""
    monkeypatch.setattr(identity, "image_key", identity.image_key)
    plain = identity.number

    def same_for_images(*parts: str) -> int:
        return 77 if parts[0] == "image" else plain(*parts)

    monkeypatch.setattr(identity, "number", same_for_images)
    desk = Desk(config=CONFIG)
    desk.bring("foreign.json", FOREIGN)
    (old,) = (owner for owner, n in ids(desk.label_set().version()).items() if n == 77)

    desk.bring("first.json", FIRST)

    found = ids(desk.label_set().version())
    assert unique(found)
    assert [owner for owner, n in found.items() if n == 77] == [old]


def test_masks_lie_under_the_ids_that_the_file_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of an image that got another id are named by that id."""
    monkeypatch.setattr(identity, "ID_BITS", 2)
    desk = Desk(config=LabelSetConfig(name="street"))
    monkeypatch.setattr("encord_dagster.identity.annotation_id", wide_annotation_id)

    desk.bring("first.json", FIRST)

    version = desk.label_set().version()
    images = {owner: n for owner, n in ids(version).items() if owner[0] == "image"}
    (bucket,) = version.buckets()
    index = version._shard(bucket, "masks_index")
    from encord_dagster.formats.tables import from_parquet

    assert set(from_parquet(index)["image_id"].to_pylist()) <= set(images.values())


def wide_annotation_id(label_hash: str, branch_name: str, object_hash: str, image: int) -> int:
    """An annotation id of 53 bits."""
    return int(identity.annotation_key(label_hash, branch_name, object_hash, image)[:13], 16)


def test_a_large_set_tells_of_a_clash_with_rows_it_did_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a plain file only what a run writes is compared; the COCO file is then refused, not written broken."""
    monkeypatch.setattr(identity, "ID_BITS", 6)
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 1)
    desk = Desk(config=msgspec.structs.replace(CONFIG, inline_coco_bytes=0))
    for number in range(6):
        desk.bring(f"{number}.json", images_export(1, seed=number))

    version = desk.label_set().version()

    assert len(version.root.buckets) > 1
    with pytest.raises(IdClash, match="use the tables"):
        version.coco()
    assert version.table("annotations").num_rows == version.annotations


def test_a_run_of_a_large_set_keeps_its_own_ids_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without a plain file the records of one run get ids of their own."""
    monkeypatch.setattr(identity, "ID_BITS", 7)
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 1)
    desk = Desk(config=msgspec.structs.replace(CONFIG, inline_coco_bytes=0))

    desk.bring("first.json", images_export(3))

    version = desk.label_set().version()
    assert len(version.root.buckets) > 1
    assert version.root.id_overrides
    assert unique(ids(version))


def test_an_old_clash_does_not_stop_publishing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that were published stay even where they clash: later versions go on, without a plain file."""
    monkeypatch.setattr(identity, "ID_BITS", 6)
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 1)
    desk = Desk(config=msgspec.structs.replace(CONFIG, inline_coco_bytes=0))
    for number in range(6):
        desk.bring(f"{number}.json", images_export(1, seed=number))
    desk.config = CONFIG
    monkeypatch.setattr(identity, "ID_BITS", 53)

    batch = desk.bring("more.json", images_export(1, seed=9))

    assert batch.published is not None
    assert (batch.published.version, batch.published.coco_uri) == (7, None)
