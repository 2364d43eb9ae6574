"""Ids of images and annotations: unique in every version, the same in all later ones, whatever collides."""

import json
from collections.abc import Callable, Sequence

import msgspec
import pytest

from encord_dagster import identity
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import IdClash
from encord_dagster.formats.tables import from_parquet
from encord_dagster.label_set import manifest, objects
from encord_dagster.label_set.read import Version
from encord_dagster.label_set.verify import verify
from encord_dagster.storage.protocol import Create
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
    assert sorted(one["id"] for one in file["annotations"]) == sorted(version.annotations()["annotation_id"])
    assert {one["image_id"] for one in file["annotations"]} <= {image["id"] for image in file["images"]}
    assert sorted(str(image["id"]) for image in file["images"]) == sorted(
        map(str, version.table("images")["image_id"].to_pylist())
    )
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


def image_number(*parts: str) -> int:
    """One number for all images, the usual ones for everything else."""
    return 77 if parts[0] == "image" else int(identity.digest(*parts)[:13], 16)


def one_by_one(*parts: str) -> Callable[[Sequence[str]], list[int]]:
    """`identity.numbering` by way of `identity.number`, which a test has replaced."""
    return lambda rests: [identity.number(*parts, *rest.split("\0")) for rest in rests]


def test_a_record_that_is_published_keeps_its_id_against_a_newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two images with one number it is always the newer one that gets another."""
    monkeypatch.setattr(identity, "number", image_number)
    monkeypatch.setattr(identity, "numbering", one_by_one)
    desk = Desk(config=CONFIG)
    desk.bring("foreign.json", FOREIGN)
    (old,) = (owner for owner, n in ids(desk.label_set().version()).items() if n == 77)

    desk.bring("first.json", FIRST)

    found = ids(desk.label_set().version())
    assert unique(found)
    assert [owner for owner, n in found.items() if n == 77] == [old]


def test_annotations_of_rows_in_different_buckets_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that writes one bucket of a small set compares its ids with those of all buckets."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 1)
    desk = Desk(config=CONFIG)
    desk.bring("first.json", FIRST)
    counted: dict[str, dict[Owner, int]] = {}  # by label hash: the annotations of every row are 1, 2, 3, ...

    def from_one(kind: str, *parts: str) -> int:
        if kind != "annotation":
            return int(identity.digest(kind, *parts)[:13], 16)
        return counted.setdefault(parts[0], {}).setdefault(parts, len(counted[parts[0]]) + 1)

    monkeypatch.setattr(identity, "number", from_one)
    monkeypatch.setattr(identity, "numbering", one_by_one)
    desk.bring("one.json", FOREIGN)
    before = ids(desk.label_set().version())

    desk.bring("other.json", images_export(1, seed=9))

    version = desk.label_set().version()
    assert len(version.root.buckets) == 4
    assert unique(ids(version))
    assert before.items() <= ids(version).items()
    assert len(version.root.id_overrides) == len(counted[min(counted)])


def test_masks_lie_under_the_ids_that_the_file_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of an image that got another id are named by that id."""
    monkeypatch.setattr(identity, "number", image_number)
    monkeypatch.setattr(identity, "numbering", one_by_one)
    desk = Desk(config=LabelSetConfig(name="street"))

    desk.bring("first.json", FIRST)

    version = desk.label_set().version()
    images = {n for owner, n in ids(version).items() if owner[0] == "image"}
    (bucket,) = version.buckets()
    index = from_parquet(objects.read(desk.lake, bucket.shards["masks_index"]))
    assert len(images) == 2
    assert set(index["image_id"].to_pylist()) == images


def clashing(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A set too large for a plain file, in which two runs, each in a bucket of its own, wrote images of one number."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 1)
    desk = Desk(config=msgspec.structs.replace(CONFIG, inline_coco_bytes=0))
    desk.bring("first.json", FIRST)
    monkeypatch.setattr(identity, "number", image_number)
    monkeypatch.setattr(identity, "numbering", one_by_one)
    desk.bring("one.json", FOREIGN)
    desk.bring("other.json", images_export(1, seed=9))
    return desk


def test_a_large_set_tells_of_a_clash_with_rows_it_did_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a plain file only what a run writes is compared; the COCO file is then refused, not written broken."""
    version = clashing(monkeypatch).label_set().version()

    with pytest.raises(IdClash, match="image id 77 .* use the tables"):
        version.coco()

    assert version.table("annotations").num_rows == version.root.annotations


def test_an_old_clash_does_not_stop_publishing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that were published stay even where they clash: later versions go on, without a plain file."""
    desk = clashing(monkeypatch)
    desk.config = CONFIG

    batch = desk.bring("more.json", images_export(1, seed=10))

    assert batch.published is not None
    assert (batch.published.version, batch.published.coco_uri) == (4, None)
    numbers = desk.label_set().version().table("images")["image_id"].to_pylist()
    assert numbers.count(77) == 2


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


def test_a_slot_lost_while_ids_are_told_apart_is_won_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rival commits between the attempts: the overrides of both hold, and all ids are unique."""
    monkeypatch.setattr(identity, "ID_BITS", 6)
    desk = Desk(config=CONFIG)
    rival = Desk(desk.lake, CONFIG)
    create, raced = desk.lake.create, list[str]()

    def create_after_a_rival(key: str, data: bytes) -> Create:
        if "/log/" in key and not raced:
            raced.append(key)
            rival.bring("foreign.json", FOREIGN)
        return create(key, data)

    monkeypatch.setattr(desk.lake, "create", create_after_a_rival)

    desk.bring("first.json", FIRST)

    first, second = desk.label_set().version(1), desk.label_set().version(2)
    assert unique(ids(second))
    assert ids(first).items() <= ids(second).items()
    assert first.root.id_overrides.items() <= second.root.id_overrides.items()
