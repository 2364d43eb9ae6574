"""What may come beside label rows: ontologies, packed exports, COCO; and rows that a configuration leaves out."""

import gzip
import io
import json
import zipfile
from itertools import permutations
from typing import Any

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.label_set.read import Version
from encord_dagster.label_set.verify import verify
from encord_dagster.samples import Project, ontology
from tests import coco_files
from tests import factories as make
from tests.lakes import Desk, exported_again, project_export

EXPORT = project_export()
ONTOLOGY = ontology(Project(3, 10))
CLASSES = [one["name"] for one in json.loads(ONTOLOGY)["objects"]]
PLAIN = LabelSetConfig(name="street", masks=False, hold_back=())


def categories(version: Version) -> list[dict[str, Any]]:
    """The categories of a version's COCO file."""
    return list(json.loads(version.coco())["categories"])


def desk_with(files: dict[str, bytes], config: LabelSetConfig = PLAIN) -> Desk:
    """A desk whose landing prefix holds files that are no exports."""
    desk = Desk(config=config)
    for key, data in files.items():
        desk.landing.create(key, data)
    return desk


@pytest.mark.parametrize("place", ["day1/export.ontology.json", "day1/ontology.json", "ontology.json"])
def test_an_ontology_that_lies_beside_an_export_orders_and_describes_the_categories(place: str) -> None:
    """All its classes, also those without objects, in its order, with colours and the edges of skeletons."""
    desk = desk_with({place: ONTOLOGY})

    batch = desk.bring("day1/export.json.gz", gzip.compress(EXPORT))

    found = categories(desk.label_set().version())
    pedestrian = next(one for one in found if one["name"] == "Pedestrian")
    assert [one["name"] for one in found] == CLASSES
    assert [one["id"] for one in found] == list(range(1, 1 + len(CLASSES)))
    assert len(pedestrian["skeleton"]) > 3
    assert all("color" in one["encord"] for one in found)
    assert "ontology_missing" not in batch.outcomes[0].rules
    assert verify(desk.lake, "street").problems == []


def test_without_an_ontology_classes_are_those_seen_and_that_is_said_once() -> None:
    """One finding for the export, whatever its rows."""
    desk = desk_with({})

    batch = desk.bring("export.json", EXPORT)

    assert batch.outcomes[0].rules["ontology_missing"] == 1
    assert {one["name"] for one in categories(desk.label_set().version())} < set(CLASSES)


def test_an_ontology_in_the_wrapper_decides_over_one_that_lies_beside() -> None:
    """And the configured one over both."""
    renamed = ONTOLOGY.replace(b'"Car"', b'"Motor car"')
    wrapped = b'{"labels": %b, "ontology": %b}' % (EXPORT, renamed)

    for config, name in ((PLAIN, "Motor car"), (msgspec.structs.replace(PLAIN, ontology=ONTOLOGY.decode()), "Car")):
        desk = desk_with({"ontology.json": ONTOLOGY.replace(b'"Car"', b'"Auto"')}, config)
        desk.bring("export.json", wrapped)
        assert categories(desk.label_set().version())[0]["name"] == name


def test_a_configured_ontology_that_cannot_be_read_stops_before_anything_is_written() -> None:
    """It is the operator's to mend."""
    desk = desk_with({}, msgspec.structs.replace(PLAIN, ontology="[]"))
    export = desk.deliver("export.json", EXPORT)

    with pytest.raises(UsageError, match="ontology"):
        desk.ingest(export)

    assert not desk.written("label_sets/street/log/")


def test_a_changed_ontology_converts_the_rows_that_it_concerns_and_no_others() -> None:
    """The fingerprint of a row is also over what it takes from its ontology."""
    desk = desk_with({"day1/ontology.json": ONTOLOGY, "day2/ontology.json": ONTOLOGY.replace(b'"Car"', b'"Auto"')})
    desk.bring("day1/export.json", EXPORT)
    before = {row.label_hash: row.fingerprint for row in desk.label_set().version().label_rows()}

    desk.bring("day2/export.json", exported_again(EXPORT))

    rows = list(desk.label_set().version(2).label_rows())
    changed = {row.label_hash for row in rows if row.fingerprint != before[row.label_hash]}
    with_cars = {row.label_hash for row in rows if any(one.name == "Auto" for one in row.classes)}
    assert changed == with_cars
    assert 0 < len(changed) < len(rows)


def test_a_rebuild_reads_each_export_by_the_ontology_that_it_came_with() -> None:
    """It is kept with the raw exports, whatever lies in the landing prefix later."""
    desk = desk_with({"day1/ontology.json": ONTOLOGY})
    desk.bring("day1/export.json", EXPORT)
    before = categories(desk.label_set().version())
    desk.config = msgspec.structs.replace(PLAIN, masks=True)
    desk.landing.delete("day1/ontology.json")

    desk.bring("day2/export.json", make.encode([make.image_row()]))

    assert categories(desk.label_set().version())[: len(before)] == before


def test_versions_do_not_depend_on_the_order_of_exports_with_and_without_an_ontology() -> None:
    """The same row, once read by an ontology and once without, is decided by its bytes alone."""
    deliveries = {
        "with/export.json": EXPORT,
        "without/export.json": json.dumps(json.loads(EXPORT)).encode(),
        "later/export.json": exported_again(EXPORT, changed=2),
    }
    found = set()
    for order in permutations(deliveries):
        desk = desk_with({"with/ontology.json": ONTOLOGY})
        for key in order:
            desk.bring(key, deliveries[key])
        found.add(desk.label_set().version().record.content_digest)

    assert len(found) == 1


def zipped(*files: bytes) -> bytes:
    """A zip of files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}.json", data)
    return packed.getvalue()


def test_packed_exports_are_the_exports_in_them() -> None:
    """One file for each label row in a zip, gzip, and plain: one content digest."""
    rows = json.loads(EXPORT)
    bad = make.image_row(label_hash="bad", data_units=5)
    deliveries = [EXPORT, gzip.compress(EXPORT), zipped(*(json.dumps(row).encode() for row in (*rows, bad)))]
    found = set()
    for data in deliveries:
        desk = desk_with({})
        outcome = desk.bring("export.bin", data).outcomes[0]
        assert outcome.status == "published"
        found.add(desk.label_set().version().record.content_digest)

    assert outcome.rows_quarantined == 1
    assert len(found) == 1


def test_one_label_set_holds_label_rows_and_coco() -> None:
    """Rows say in which format they came, and with an ontology a class is one category out of both."""
    known = {"objects": [{"id": "1", "name": "a bounding_box", "shape": "bounding_box", "featureNodeHash": "BoxClas1"}]}
    desk = desk_with({"ontology.json": make.encode(known)})
    desk.bring("labels.json", make.encode([make.image_row(make.box())]))

    batch = desk.bring(
        "coco.json",
        make.encode(coco_files.document([coco_files.annotation()], [coco_files.image("images/data-1.jpg")])),
    )

    version = desk.label_set().version()
    document = json.loads(version.coco())
    assert sorted(row.source for row in version.label_rows()) == ["coco", "labels"]
    assert [one["name"] for one in document["categories"]] == ["a bounding_box"]
    assert {one["category_id"] for one in document["annotations"]} == {1}
    assert {one["encord"]["data_hash"] for one in document["images"]} == {"data-0", "data-1"}
    assert {"coco_row"} <= batch.outcomes[0].rules.keys()
    assert any(code.startswith("source_coco:") for code in version.losses)
    assert verify(desk.lake, "street").problems == []


@pytest.mark.parametrize("first", ["labels", "coco"])
def test_labels_of_one_image_in_both_formats_are_a_finding(first: str) -> None:
    """Whichever comes first; in one batch or in two."""
    exports = {
        "labels": make.encode([make.image_row(make.box())]),
        "coco": make.encode(coco_files.document([coco_files.annotation()])),
    }
    keys = [first, *(key for key in exports if key != first)]
    two, one = desk_with({}), desk_with({})

    apart = [two.bring(f"{key}.json", exports[key]).outcomes[0] for key in keys]
    together = one.ingest(*(one.deliver(f"{key}.json", exports[key]) for key in keys)).outcomes

    assert "labels_in_both_formats" not in apart[0].rules
    assert "labels_in_both_formats" in apart[1].rules
    assert sum("labels_in_both_formats" in outcome.rules for outcome in together) == 1


def test_rows_of_an_unwanted_status_keep_their_place_and_lose_their_labels() -> None:
    """Their objects are counted as filtered; a later export in the wanted status brings them in, and out again."""
    desk = desk_with({}, msgspec.structs.replace(PLAIN, label_statuses=("REVIEWED",)))

    def bring(day: int, status: str) -> tuple[dict[str, int], int]:
        row = make.image_row(make.box(), label_status=status, exported_at=f"Mon, {day:02} Jul 2024 09:20:25 UTC")
        outcome = desk.bring(f"{day}.json", make.encode([row])).outcomes[0]
        version = desk.label_set().version()
        assert verify(desk.lake, "street").problems == []
        return dict(outcome.objects_excluded), len(json.loads(version.coco())["images"])

    assert bring(1, "LABELLED") == ({"filtered": 1}, 0)
    assert bring(2, "REVIEWED") == ({}, 1)
    assert bring(3, "REVIEW_IN_PROGRESS") == ({"filtered": 1}, 0)


def test_parts_of_an_exports_name_stand_in_its_outcome_and_in_the_log() -> None:
    """Encord's own pattern of names is not documented, so the configuration says it."""
    desk = desk_with({}, msgspec.structs.replace(PLAIN, name_pattern=r"^(?P<project>[0-9a-f]+)_(?P<version>.+?)\.json"))

    outcome = desk.bring("day1/00c0ffee_jane@example.com.json", EXPORT).outcomes[0]

    entry = desk.label_set().log()[-1].exports[0]
    assert outcome.named == entry.named == {"project": "00c0ffee", "version": "[e-mail removed]"}
    with pytest.raises(UsageError, match="name pattern"):
        LabelSetConfig(name="street", name_pattern="(")
