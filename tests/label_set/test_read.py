"""What somebody who trains models does with a label set, without Dagster."""

import json
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import pytest
from PIL import Image

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set.manifest import ObjectRef
from encord_dagster.label_set.read import LabelSet, Version, open_label_set
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests import factories
from tests.lakes import Desk, exported_again, project_export
from tests.published import coco_of, opened, pixels
from tests.test_checkout import every_shape

# versions


def desk_with_history() -> tuple[Desk, list[str]]:
    """Version 1, an observe of it, version 2; an export hash of each."""
    desk, data = Desk(), project_export(3)
    first = [data, exported_again(data, days=1), exported_again(data, days=2, changed=1)]
    for number, export in enumerate(first):
        desk.bring(f"{number}.json", export)
    return desk, [json.loads(export)[0]["export_hash"] for export in first]


def test_a_version_is_found_by_the_hash_of_an_export_that_it_came_with() -> None:
    """An observed export leads to the version that it found in place."""
    desk, hashes = desk_with_history()

    found = [desk.label_set().version(one) for one in hashes]

    assert [(version.number, version.record.op) for version in found] == [
        (1, "publish"),
        (1, "observe"),
        (2, "publish"),
    ]


def test_a_version_is_found_by_its_number_as_a_number_or_text() -> None:
    """The record is the newest of that version, so that it knows all exports that it accounts for."""
    desk, _ = desk_with_history()

    found = [desk.label_set().version(which) for which in (1, "1", 2, "latest")]

    assert [(version.number, version.record.seq) for version in found] == [(1, 2), (1, 2), (2, 3), (2, 3)]


def test_an_export_hash_of_two_versions_stands_for_the_newer() -> None:
    """Two files of one export can arrive on two days."""
    desk = Desk()
    for number in range(2):
        row = factories.image_row(factories.box(), label_hash=f"row-{number}")
        desk.bring(f"{number}.json", factories.encode([row | {"export_hash": "same-hash"}]))

    assert desk.label_set().version("same-hash").number == 2


def test_an_export_hash_beyond_the_first_hundred_is_found_in_the_events() -> None:
    """The log holds a hundred of them; Encord can give every row its own."""
    desk = Desk()
    hashes = [f"hash-{number:03}" for number in range(105)]
    rows = [factories.image_row(label_hash=f"row-{one}") | {"export_hash": one} for one in hashes]
    desk.bring("many.json", factories.encode(rows))
    desk.bring("next.json", factories.encode([factories.image_row(factories.box(), label_hash="other")]))

    assert desk.label_set().version(hashes[-1]).number == 1


def tag(desk: Desk, name: str, version: Version, **changes: object) -> None:
    """Write a tag as its command does."""
    assert version.record.root
    fields = {"seq": version.number, "version": version.number, "root": version.record.root}
    desk.lake.create(layout.tag("street", name), msgspec.json.encode(fields | changes))


def test_a_version_is_found_by_its_tag() -> None:
    """As by its number: with the exports that were accounted for since."""
    desk, _ = desk_with_history()
    tag(desk, "release-1.0", desk.label_set().version(1))

    version = desk.label_set().version("release-1.0")

    assert (version.number, version.record.seq) == (1, 2)


def test_a_tag_that_the_log_contradicts_is_refused() -> None:
    """Tags are created once; one that names another root was moved or forged."""
    desk, _ = desk_with_history()
    tag(desk, "forged", desk.label_set().version(1), root=ObjectRef("key", "0" * 64, 5))

    with pytest.raises(HistoryDamaged, match="the log has another one"):
        desk.label_set().version("forged")


def test_a_tag_set_after_opening_is_not_seen() -> None:
    """A label set stays what it was when it was opened."""
    desk = Desk()
    data = project_export(2)
    desk.bring("one.json", data)
    before = desk.label_set()
    desk.bring("two.json", exported_again(data, changed=1))
    tag(desk, "new", desk.label_set().version(2))

    assert before.version().number == 1
    with pytest.raises(UsageError, match="open it again"):
        before.version("new")


@pytest.mark.parametrize("which", [3, "3", 0, "no-such", "../log/000000000001", "a/b", "", "-1"])
def test_what_is_no_version_is_refused(which: int | str) -> None:
    """The message says which there are; nothing of the name becomes part of a key unless it can be a tag's."""
    desk, _ = desk_with_history()

    with pytest.raises(UsageError, match=r"has no version.*versions 1 to 2"):
        desk.label_set().version(which)


def test_a_label_set_without_records_says_so() -> None:
    """A slip in the url must not look like an empty version."""
    with pytest.raises(UsageError, match="holds no label set 'street'"):
        open_label_set(MemoryStore(), "street").version("anything")


def test_looking_for_a_version_notices_an_altered_record() -> None:
    """Every record on the way is checked against the one behind it."""
    desk, hashes = desk_with_history()
    alter(desk.lake, 2)

    with pytest.raises(HistoryDamaged, match="was altered"):
        desk.label_set().version(hashes[0])


def alter(lake: object, seq: int) -> None:
    """Change a record in place, as nobody may."""
    assert isinstance(lake, MemoryStore)
    key = layout.log("street", seq)
    lake.put_hint(key, (lake.get(key) or b"").replace(b'"buckets":', b'"buckets": '))


# remembered heads


def test_a_reader_remembers_the_newest_record(tmp_path: Path) -> None:
    """Opening again, also after further records, is no cause for alarm."""
    desk, state = Desk(), tmp_path / "new" / "street.json"
    data = project_export(2)
    desk.bring("one.json", data)

    seen = []
    for number in range(3):
        seen.append(open_label_set(desk.lake, "street", state=state).head.seq)
        seen.append(open_label_set(desk.lake, "street", state=state).head.seq)
        data = exported_again(data, days=number + 1, changed=1)
        desk.bring(f"more-{number}.json", data)

    assert seen == [1, 1, 2, 2, 3, 3]
    assert json.loads(state.read_bytes())["seq"] == 3


def test_a_truncated_log_is_refused(tmp_path: Path) -> None:
    """The last record and the hint at it are gone: without memory it looks like a sound, older label set."""
    desk, _ = desk_with_history()
    open_label_set(desk.lake, "street", state=tmp_path / "state")
    desk.lake.delete(layout.log("street", 3))
    desk.lake.delete(layout.latest("street"))

    assert open_label_set(desk.lake, "street").head.seq == 2
    with pytest.raises(HistoryDamaged, match=r"shown an older head: record 2 .* record 3 was seen"):
        open_label_set(desk.lake, "street", state=tmp_path / "state")


def test_an_emptied_log_is_refused(tmp_path: Path) -> None:
    """No log at all is an older head too."""
    desk, _ = desk_with_history()
    open_label_set(desk.lake, "street", state=tmp_path / "state")
    for key in desk.written("label_sets/street/"):
        desk.lake.delete(key)

    with pytest.raises(HistoryDamaged, match="shown an older head"):
        open_label_set(desk.lake, "street", state=tmp_path / "state")


def test_a_replayed_lake_is_refused(tmp_path: Path) -> None:
    """A copy of the whole lake from yesterday is put in the place of today's."""
    desk = Desk()
    data = project_export(2)
    desk.bring("one.json", data)
    yesterday = {key: desk.lake.get(key) or b"" for key in desk.written()}
    desk.bring("two.json", exported_again(data, changed=1))
    open_label_set(desk.lake, "street", state=tmp_path / "state")

    for key in desk.written():
        desk.lake.delete(key)
    for key, held in yesterday.items():
        desk.lake.create(key, held)

    with pytest.raises(HistoryDamaged, match="shown an older head"):
        open_label_set(desk.lake, "street", state=tmp_path / "state")


@pytest.mark.parametrize("records", [1, 3])
def test_a_rewritten_history_is_refused(tmp_path: Path, records: int) -> None:
    """Another label set of that name, as long as the one seen or longer, whole in itself."""
    lake, state = MemoryStore("lake"), tmp_path / "state"
    desk = Desk(lake)
    desk.bring("one.json", project_export(2))
    open_label_set(lake, "street", state=state)
    for key in desk.written():
        lake.delete(key)

    other = Desk(lake)
    data = project_export(2, seed=4)
    for number in range(records):
        other.bring(f"{number}.json", data)
        data = exported_again(data, days=number + 1, changed=1)

    assert open_label_set(lake, "street").head.seq == records
    with pytest.raises(HistoryDamaged, match="history was rewritten: record 1"):
        open_label_set(lake, "street", state=state)


def test_a_refused_head_is_not_remembered(tmp_path: Path) -> None:
    """The next reader is warned as well."""
    desk, _ = desk_with_history()
    state = tmp_path / "state"
    open_label_set(desk.lake, "street", state=state)
    before = state.read_bytes()
    desk.lake.delete(layout.log("street", 3))
    desk.lake.delete(layout.latest("street"))

    for _ in range(2):
        with pytest.raises(HistoryDamaged):
            open_label_set(desk.lake, "street", state=state)

    assert state.read_bytes() == before


def test_a_state_file_of_another_label_set_is_refused(tmp_path: Path) -> None:
    """It would say that the history was rewritten, which it was not."""
    desk, _ = desk_with_history()
    open_label_set(desk.lake, "street", state=tmp_path / "state")

    with pytest.raises(UsageError, match="give each label set its own file"):
        open_label_set(desk.lake, "road", state=tmp_path / "state")


def test_a_damaged_state_file_is_no_reason_to_forget(tmp_path: Path) -> None:
    """Who empties the file must not get rid of the memory unseen."""
    desk, _ = desk_with_history()
    (tmp_path / "state").write_bytes(b"")

    with pytest.raises(UsageError, match="is not what a reader wrote"):
        open_label_set(desk.lake, "street", state=tmp_path / "state")


def test_readers_that_share_a_state_file_do_not_alarm_each_other(tmp_path: Path) -> None:
    """One that looked before a commit and writes after it would seem to be shown an older head."""
    desk, state = Desk(), tmp_path / "state"
    data = project_export(1)
    desk.bring("one.json", data)
    stop = threading.Event()

    def read() -> int:
        seqs = [0]
        while not stop.is_set():
            seqs.append(open_label_set(desk.lake, "street", state=state).head.seq)
        assert seqs == sorted(seqs)
        return seqs[-1]

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for number in range(5):
            data = exported_again(data, days=number + 1)
            desk.bring(f"more-{number}.json", data)
        stop.set()

    assert max(reader.result() for reader in readers) >= 5
    assert open_label_set(desk.lake, "street", state=state).head.seq == 6


# tables and pictures


@pytest.fixture(scope="module")
def desk() -> Desk:
    """All data types, every shape on one frame, two label rows on one image."""
    desk = Desk()
    desk.bring("one.json", project_export(8))
    rows = [
        factories.image_row(*every_shape()[:4], label_hash="row-one"),
        factories.image_row(*every_shape()[2:], label_hash="row-two"),
    ]
    desk.bring("two.json", factories.encode(rows))
    return desk


@pytest.fixture(scope="module")
def version(desk: Desk) -> Version:
    """Its newest version."""
    return desk.label_set().version()


@pytest.fixture(scope="module")
def files(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files."""
    folder = tmp_path_factory.mktemp("files")
    version.checkout(folder)
    return folder


def test_tables_come_as_pandas_frames(version: Version) -> None:
    """The same rows and columns as the Arrow tables."""
    for name in ("images", "annotations", "classifications", "attributes", "row_events", "findings"):
        frame = version.frame(name)

        assert list(frame.columns) == version.table(name).column_names
        assert len(frame) == version.table(name).num_rows
    assert len(version.annotations()) == version.root.annotations


def test_an_unknown_table_is_refused(version: Version) -> None:
    """The message lists those that there are."""
    with pytest.raises(UsageError, match=r"no table 'boxes'; there are images, annotations"):
        version.frame("boxes")


def test_categories_are_those_of_coco(desk: Desk, version: Version) -> None:
    """Ids and names, in order."""
    categories = [(one.id, one.name) for one in version.categories]

    assert categories == [(one["id"], one["name"]) for one in coco_of(desk)["categories"]]


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_masks_are_those_of_a_checkout(desk: Desk, version: Version, files: Path, kind: str) -> None:
    """Of every image, by id and by file name, also where two label rows lie on one."""
    for image in coco_of(desk)["images"]:
        with Image.open((files / "masks" / kind / image["file_name"]).with_suffix(".png")) as picture:
            expected = np.array(picture).astype(np.uint16)

        mask = version.masks(image["id"], kind)  # type: ignore[arg-type]  # parametrised

        assert (mask.dtype, mask.shape) == (np.dtype(np.uint16), (image["height"], image["width"]))
        assert np.array_equal(mask, expected)
        assert np.array_equal(version.masks(image["file_name"], kind), expected)  # type: ignore[arg-type]


def test_the_mask_of_an_annotation_is_that_of_coco(desk: Desk, version: Version) -> None:
    """All shapes: polygons in parts, crossing themselves, turned boxes, RLE, and those without area."""
    coco = opened(coco_of(desk))
    painted = 0

    for annotation in coco.anns.values():
        mask = version.mask_of(annotation["id"])

        assert mask.dtype == np.dtype(bool)
        assert np.array_equal(mask, pixels(coco, annotation))
        painted += bool(mask.any())

    assert painted > 100


def test_one_mask_costs_its_own_bytes(desk: Desk) -> None:
    """Once the ids are known, nothing but the bucket's index is read whole, and that once; nor is its patch again."""
    lake = Counted(desk.lake)
    version = open_label_set(cast(ObjectStore, lake), "street").version()
    patched = {row for bucket in version.buckets() if bucket.patch for row in bucket.patch.rows}
    held = version.table("images").to_pylist()
    images = [record["image_id"] for record in held if record["row"] not in patched][:3]
    images += [record["image_id"] for record in held if record["row"] in patched][:1]
    version.masks(images[0], "instance")
    lake.gets.clear()

    for image in images:
        version.masks(image, "instance")

    assert all(end is not None for _, end in lake.gets)
    assert patched
    assert len(lake.gets) == 3


def test_an_image_that_is_not_there_is_refused(version: Version) -> None:
    """By id, by name, by annotation, by kind."""
    with pytest.raises(UsageError, match="no image id 5 in this version"):
        version.masks(5)
    with pytest.raises(UsageError, match=r"no image '\.\./x\.jpg'"):
        version.masks("../x.jpg")
    with pytest.raises(UsageError, match="no annotation id 5 in this version"):
        version.mask_of(5)
    with pytest.raises(UsageError, match="no masks of kind 'panoptic'"):
        version.masks(5, "panoptic")  # type: ignore[arg-type]  # on purpose


def test_a_version_without_masks_says_so() -> None:
    """Masks can be turned off; those of annotations are there all the same."""
    desk = Desk(config=LabelSetConfig(name="street", masks=False))
    desk.bring("one.json", factories.encode([factories.image_row(factories.box())]))
    version = desk.label_set().version()

    with pytest.raises(UsageError, match="has no masks: they were turned off"):
        version.masks("images/data-0.jpg")
    assert version.mask_of(int(version.annotations()["annotation_id"][0])).any()


def test_rows_that_disagree_on_the_size_have_no_one_mask() -> None:
    """Neither is silently left out."""
    desk = Desk()
    one = factories.image_row(factories.box(), label_hash="row-one")
    two = factories.changed(
        factories.image_row(factories.box(), label_hash="row-two"), 640, "data_units", "data-0", "width"
    )
    desk.bring("sizes.json", factories.encode([one, two]))

    with pytest.raises(UsageError, match="label rows disagree on the size"):
        desk.label_set().version().masks("images/data-0.jpg")


# processes and threads


class Counted:
    """A lake that notes what is read."""

    def __init__(self, lake: object) -> None:
        self._lake = lake
        self.gets: list[tuple[str, int | None]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._lake, name)

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        self.gets.append((key, end))
        data: bytes | None = self._lake.get(key, etag=etag, start=start, end=end)  # type: ignore[attr-defined]
        return data


def test_reading_needs_neither_dagster_nor_boto3_nor_pandas(tmp_path: Path) -> None:
    """A data loader starts many processes: each pays for every import."""
    desk = Desk(LocalStore(tmp_path))
    desk.bring("one.json", factories.encode([factories.image_row(factories.box())]))
    program = """if True:
        import sys
        from encord_dagster import open_label_set
        version = open_label_set(sys.argv[1], "street").version()
        version.coco(), version.masks("images/data-0.jpg")
        version.mask_of(version.table("annotations")["annotation_id"][0].as_py())
        version.summary()
        print(*sorted({name.partition(".")[0] for name in sys.modules}))
        version.annotations()
        print("pandas" in sys.modules)
    """

    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert {"dagster", "dagster_aws", "boto3", "botocore", "pandas", "PIL"} & set(run[0].split()) == set()
    assert run[1] == "True"


def sums(version: Version, images: list[int]) -> list[int]:
    """Something of each mask."""
    return [int(version.masks(image, "instance").sum()) for image in images]


def test_threads_share_a_version(desk: Desk, version: Version) -> None:
    """The first calls of all of them meet before any index is made."""
    images = [image["id"] for image in coco_of(desk)["images"]]
    annotations = [one["id"] for one in coco_of(desk)["annotations"][:40]]
    expected = sums(version, images), [int(version.mask_of(one).sum()) for one in annotations]
    fresh, ready = desk.label_set().version(), threading.Barrier(8)

    def read(turn: int) -> tuple[list[int], list[int]]:
        ready.wait()
        turned = images[turn:] + images[:turn]
        found = dict(zip(turned, sums(fresh, turned), strict=True))
        return [found[image] for image in images], [int(fresh.mask_of(one).sum()) for one in annotations]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(read, range(8)))

    assert all(result == expected for result in results)


def opened_there(place: tuple[str, list[int]]) -> list[int]:
    """What a worker of a data loader does."""
    url, images = place
    return sums(open_label_set(url, "street").version(), images)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_open_their_own(tmp_path: Path, method: str) -> None:
    """By url, whichever way they are started."""
    desk = Desk(LocalStore(tmp_path))
    desk.bring("one.json", project_export(1))
    version = desk.label_set().version()
    images = version.frame("images")["image_id"].tolist()

    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(opened_there, [(str(tmp_path), images)] * 2)
        pool.close()  # or they get a signal, which they ignore where the tests run in the background
        pool.join()

    assert found == [sums(version, images)] * 2


def test_a_label_set_is_not_sent_to_another_process(desk: Desk, version: Version) -> None:
    """Nothing is pickled; the error says what to do instead."""
    label_set: LabelSet = desk.label_set()
    queue = multiprocessing.get_context("spawn").SimpleQueue()

    for one in (label_set, version):
        with pytest.raises(TypeError, match=r"call open_label_set\(url, name\) in each"):
            queue.put(one)


# damage


def every_object(version: Version) -> Iterator[ObjectRef]:
    """The shards of a version."""
    for bucket in version.buckets():
        yield from bucket.shards.values()


def test_a_damaged_mask_is_noticed() -> None:
    """Bytes of one mask are not covered by the digest of the tar, but by the checksums in the PNG."""
    desk = Desk()
    desk.bring("one.json", factories.encode([factories.image_row(factories.box())]))
    (bucket,) = desk.label_set().version().buckets()
    key = bucket.shards["masks"].key
    tar = bytearray(desk.lake.get(key) or b"")
    for place in range(512 + 60, len(tar), 64):
        tar[place] ^= 1
    desk.lake.put_hint(key, bytes(tar))

    with pytest.raises((HistoryDamaged, ValueError)):
        desk.label_set().version().masks("images/data-0.jpg")


def test_a_missing_shard_is_named() -> None:
    """A lake that lost an object says which, however it is read."""
    desk = Desk()
    desk.bring("one.json", factories.encode([factories.image_row(factories.box())]))
    version = desk.label_set().version()
    for ref in every_object(version):
        desk.lake.delete(ref.key)

    for read in (lambda: version.table("images"), lambda: version.masks(1), lambda: version.mask_of(1)):
        with pytest.raises(HistoryDamaged, match="is missing"):
            read()


def test_hashes_of_an_export_are_read_from_its_events() -> None:
    """All of them, not only those in the log."""
    desk = Desk()
    rows = [factories.image_row(label_hash=f"row-{one}") | {"export_hash": f"hash-{one:03}"} for one in range(103)]
    desk.bring("many.json", factories.encode(rows))
    (entry,) = desk.label_set().version().exports().values()

    assert len(entry.export_hashes) == 100
    assert desk.label_set().export_hashes(entry) == [f"hash-{one:03}" for one in range(103)]
