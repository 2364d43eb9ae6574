"""Lakes that earlier releases wrote stay readable: each `tests/golden/<name>` says what is to be found in it."""

import json
import tarfile
from pathlib import Path

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.config import CONVERTER_VERSION
from encord_dagster.formats.selection import Selection
from encord_dagster.label_set import quarantine
from encord_dagster.label_set.diff import ObjectCounts, diff
from encord_dagster.label_set.read import Version, open_label_set
from encord_dagster.label_set.verify import verify
from encord_dagster.storage.local import LocalStore
from tests import factories
from tests.golden import make
from tests.lakes import Desk
from tests.published import coco_of
from tests.written import document

LAKES = sorted(path.parent.name for path in make.HERE.glob("*/lake.tar.gz"))
LARGEST = 350_000  # bytes packed
SURE = 0.9


def unpacked(name: str, folder: Path) -> LocalStore:
    """A golden lake in a folder of its own."""
    with tarfile.open(make.HERE / name / "lake.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return LocalStore(folder)


RECORDS = dict.fromkeys(LAKES, 3) | {"v2-tall": 3 + make.MORE, "v2-patched": 4}


def test_there_are_lakes_of_every_form() -> None:
    """A lake that is not found would be read by no test. Tall ones have nodes; the newest is gone on with as it is."""
    assert LAKES == ["v1", "v1-first", "v2", "v2-converter-3", "v2-patched", "v2-tall"]
    assert all((make.HERE / name / "lake.tar.gz").stat().st_size < LARGEST for name in LAKES)


@pytest.mark.parametrize("name", LAKES)
def test_versions_of_a_golden_lake_are_what_they_were(name: str, tmp_path: Path) -> None:
    """Digests, the bytes of the COCO files, classes and tables, as the release said that wrote them."""
    expected = json.loads((make.HERE / name / "expected.json").read_text("utf-8"))

    found = make.described(unpacked(name, tmp_path))

    assert found == expected


@pytest.mark.parametrize("name", LAKES)
def test_a_golden_lake_verifies(name: str, tmp_path: Path) -> None:
    """Every digest and count holds by the rules of today."""
    report = verify(unpacked(name, tmp_path), make.NAME)

    assert report.problems == []
    assert (report.records, report.objects > 10) == (RECORDS[name], True)


@pytest.mark.parametrize("name", LAKES)
def test_a_golden_lake_tells_its_history(name: str, tmp_path: Path) -> None:
    """Two versions, an observe between them, a broken file and bad objects in quarantine."""
    lake = unpacked(name, tmp_path)

    held = quarantine.read(lake, make.NAME)

    ops = [(record.op, record.version) for record in open_label_set(lake, make.NAME).log()]
    later = [("publish", 3)] if name == "v2-patched" else [("observe", 2)] * (RECORDS[name] - 3)
    assert ops == [("publish", 1), ("observe", 1), ("publish", 2), *later]
    assert {item.reason for record in held for item in record.items} >= {"empty_file", "bad_bitmask", "too_few_points"}


@pytest.mark.parametrize("name", LAKES)
def test_a_golden_lake_checks_out(name: str, tmp_path: Path) -> None:
    """All files of both versions, two masks for each image."""
    label_set = open_label_set(unpacked(name, tmp_path / "lake"), make.NAME)

    for number in (1, 2):
        paths = label_set.version(number).checkout(tmp_path / str(number))

        assert sum(path.suffix == ".png" for path in paths) == 2 * label_set.version(number).images


@pytest.mark.parametrize("name", LAKES)
def test_the_next_export_builds_on_a_golden_lake(name: str, tmp_path: Path) -> None:
    """It is published as one version more, by the converter of today; the older versions stay what they were."""
    expected = json.loads((make.HERE / name / "expected.json").read_text("utf-8"))
    lake = unpacked(name, tmp_path)

    make.bring(lake, {"next.json": make.next_delivery()}, day=21)

    label_set = open_label_set(lake, make.NAME)
    newest = label_set.version()
    assert (newest.number, newest.record.converter_version) == (len(expected) + 1, CONVERTER_VERSION)
    assert verify(lake, make.NAME).problems == []
    found = make.described(lake)
    assert {number: found[number] for number in expected} == expected


@pytest.mark.parametrize("name", LAKES)
def test_the_version_after_an_earlier_converter_has_no_record_of_it(name: str, tmp_path: Path) -> None:
    """Also of rows that the next export does not carry: they are converted anew, in shape and score as before."""
    desk = Desk(unpacked(name, tmp_path))
    before = desk.label_set().version()

    desk.bring("other.json", factories.encode([factories.image_row(factories.box(confidence=0.25))]))

    after = desk.label_set().version()
    made = coco_of(desk)["annotations"]
    assert (len(made), after.rows) == (before.root.annotations + 1, before.rows + 1)
    assert {"score" in one and "confidence" not in one["attributes"] for one in made} == {True}
    assert sorted(one["score"] for one in made) == sorted([0.25, *scores(before).values()])
    found = diff(desk.label_set(), before.number, after.number)
    objects = msgspec.structs.replace(found.objects, changed=0, attributes=0)  # of v1-first answers are others
    assert (objects, found.images.added) == (ObjectCounts(added=1), 1)


@pytest.mark.parametrize("name", LAKES)
def test_objects_of_an_earlier_converter_are_selected_by_their_scores(name: str, tmp_path: Path) -> None:
    """Which stood among the attributes then; what is written anew has them where they are today."""
    version = open_label_set(unpacked(name, tmp_path / "lake"), make.NAME).version()
    sure = {number: score for number, score in scores(version).items() if score >= SURE}

    version.checkout(tmp_path / "out", formats=("coco",), selection=Selection(min_confidence=SURE))

    found = {one["id"]: one["score"] for one in document(tmp_path / "out")["annotations"]}
    assert found == sure
    assert 0 < len(sure) < version.root.annotations


def scores(version: Version) -> dict[int, float]:
    """Those of a version as it was published, by annotation id."""
    annotations = json.loads(version.coco())["annotations"]
    return {one["id"]: one["score"] if "score" in one else one["attributes"]["confidence"] for one in annotations}


def test_the_patched_lake_has_patches(tmp_path: Path) -> None:
    """So that they are read by later releases."""
    assert any(
        bucket.patch for bucket in open_label_set(unpacked("v2-patched", tmp_path), make.NAME).version().buckets()
    )


def test_the_tall_lake_has_nodes_and_spans(tmp_path: Path) -> None:
    """So that both are read by later releases."""
    lake = unpacked("v2-tall", tmp_path)
    label_set = open_label_set(lake, make.NAME)

    assert label_set.version().root.nodes
    marks = [lake.get(info.key) or b"" for info in lake.list(layout.checkpoints(make.NAME))]
    assert any(b'"earlier":[{' in data for data in marks)
    assert len(label_set.version().exports()) == 4 + make.MORE
