"""Differences of two versions: counted exactly, out of nothing but the buckets that differ."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig, Thresholds
from encord_dagster.label_set.diff import Diff, ObjectCounts, diff
from encord_dagster.label_set.manifest import Bucket, encode
from encord_dagster.reports import diff_text
from encord_dagster.samples import Project, first_export
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests import factories as make
from tests.lakes import DAY, Desk, exported_again, images_export, project_export
from tests.published import coco_of

Json = dict[str, Any]

WITHOUT_MASKS = LabelSetConfig(name="street", masks=False, hold_back=())  # versions here lose much on purpose


class CountingStore:
    """A store that notes which keys are read."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner, self.url = inner, inner.url
        self.read: list[str] = []

    def get(self, key: str, **options: Any) -> bytes | None:
        self.read.append(key)
        return self.inner.get(key, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def expected(before: Json, after: Json) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Objects that differ in two COCO files, by brute force: all of them, and by feature hash."""
    was, now = ({one["id"]: one for one in document["annotations"]} for document in (before, after))
    of_class: dict[str, Counter[str]] = {}
    for number in {*was, *now}:
        one, other = was.get(number), now.get(number)
        found = of_class.setdefault((other or one or {})["encord"]["feature_hash"], Counter())
        if one is None or other is None:
            found["added" if one is None else "removed"] += 1
        elif one != other:
            found.update(changed=1, **kinds(one, other))
    return sum(of_class.values(), Counter()), {key: counts for key, counts in of_class.items() if counts}


def kinds(one: Json, other: Json) -> dict[str, int]:
    """In what an annotation differs."""
    drawn = ("bbox", "area", "segmentation", "keypoints", "num_keypoints", "polyline")
    geometry = any(one.get(key) != other.get(key) for key in drawn)
    geometry = geometry or one["attributes"].get("rotation") != other["attributes"].get("rotation")
    answers = one["attributes"]["classifications"] != other["attributes"]["classifications"]
    left = (
        {k: v for k, v in a["attributes"].items() if k not in ("rotation", "classifications")} for a in (one, other)
    )
    reclassified = one["encord"]["feature_hash"] != other["encord"]["feature_hash"]
    rest = one["score"] != other["score"] or next(left) != next(left)
    return {"geometry": geometry, "attributes": answers, "other": rest, "reclassified": reclassified}


def counts(found: ObjectCounts) -> Counter[str]:
    """The counts that are not zero."""
    return +Counter(msgspec.structs.asdict(found))


def assert_is_exact(desk: Desk, before: int, after: int) -> Diff:
    """Hold a diff against the COCO files and the rows of the two versions."""
    found = diff(desk.label_set(), before, after)
    was, now = coco_of(desk, before), coco_of(desk, after)
    objects, of_class = expected(was, now)
    assert counts(found.objects) == +objects
    assert {one.feature_hash: counts(one.objects) for one in found.classes} == {k: +v for k, v in of_class.items()}
    images = [{image["id"] for image in document["images"]} for document in (was, now)]
    assert (found.images.added, found.images.removed) == (len(images[1] - images[0]), len(images[0] - images[1]))
    rows = [{row.row: row.fingerprint for row in desk.label_set().version(n).label_rows()} for n in (before, after)]
    assert found.rows["added"] == len(rows[1].keys() - rows[0].keys())
    assert found.rows["removed"] == len(rows[0].keys() - rows[1].keys())
    assert found.rows["changed"] == sum(rows[0][key] != rows[1][key] for key in rows[0].keys() & rows[1].keys())
    assert found.totals["annotations"] == (len(was["annotations"]), len(now["annotations"]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_diff_counts_what_the_coco_files_tell(seed: int) -> None:
    """Rows edited, added and deleted in a project of all shapes: every count as brute force finds it, both ways."""
    desk = Desk(config=WITHOUT_MASKS)
    data = project_export(16, seed=seed)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=6, added=3, deleted=2, days=seed + 1))

    found = assert_is_exact(desk, 1, 2)

    assert found.rows == {"added": 3, "removed": 0, "changed": 8, "converted": 0}
    assert sum(row.gone for row in found.listed) == 2
    assert found.objects.added
    assert found.objects.removed
    back = assert_is_exact(desk, 2, 1)
    assert (back.rows["removed"], back.images.removed) == (3, found.images.added)


def test_samples_tell_geometry_from_attributes() -> None:
    """Over many edits, objects whose outline moved and objects whose answers changed are both found, each exactly."""
    desk = Desk(config=WITHOUT_MASKS)
    data = project_export(40)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=30))

    found = assert_is_exact(desk, 1, 2)

    assert found.objects.geometry
    assert found.objects.attributes
    assert found.objects.changed <= found.objects.geometry + found.objects.attributes + found.objects.other


def test_one_change_at_a_time_is_named_as_what_it_is() -> None:
    """A moved box, another answer, another class and a lower confidence, each in a version of its own."""
    desk = Desk(config=WITHOUT_MASKS)
    answers = {"object01": {"objectHash": "object01", "classifications": [make.answer("wet")]}}
    other = {"object01": {"objectHash": "object01", "classifications": [make.answer("dry")]}}
    first = make.image_row(make.box(), object_answers=answers)
    steps = [
        make.image_row(make.box(x=0.5), object_answers=answers),
        make.image_row(make.box(x=0.5), object_answers=other),
        make.image_row(make.box(x=0.5, featureHash="OtherCl1", name="another"), object_answers=other),
        make.image_row(make.box(x=0.5, featureHash="OtherCl1", name="another", confidence=0.5), object_answers=other),
    ]
    for number, row in enumerate([first, *steps]):
        stamped = row | {"exported_at": f"Fri, {number + 1:02} Mar 2024 09:00:00 UTC", "export_hash": f"e-{number}"}
        desk.bring(f"{number}.json", make.encode([stamped]))

    found = [counts(assert_is_exact(desk, number, number + 1).objects) for number in range(1, 5)]

    assert found == [
        {"changed": 1, "geometry": 1},
        {"changed": 1, "attributes": 1},
        {"changed": 1, "reclassified": 1},
        {"changed": 1, "other": 1},
    ]


def test_classifications_and_statuses_are_compared() -> None:
    """A classification whose answer changed, a new one, and a row whose status alone changed."""
    desk = Desk(config=WITHOUT_MASKS)

    def row(value: str, day: int, *more: str, status: str = "LABELLED") -> bytes:
        hashes = ("classif1", *more)
        given = [make.classification(one) for one in hashes]
        answers = {one: {"classificationHash": one, "classifications": [make.answer(value)]} for one in hashes}
        stamp = {"exported_at": f"Fri, {day:02} Mar 2024 09:00:00 UTC", "export_hash": f"e-{day}"}
        changes = {"classification_answers": answers, "label_status": status, **stamp}
        return make.encode([make.image_row(make.box(), classifications=given, **changes)])

    desk.bring("1.json", row("sunny", 1))
    desk.bring("2.json", row("rainy", 2, "classif2"))
    desk.bring("3.json", row("rainy", 3, "classif2", status="APPROVED"))

    one, two = diff(desk.label_set(), 1, 2), diff(desk.label_set(), 2, 3)

    assert (one.classifications.added, one.classifications.changed, one.classifications.removed) == (1, 1, 0)
    assert counts(one.objects) == {}
    assert (two.images.changed, two.classifications.changed) == (1, 0)


def test_a_row_names_the_export_that_decided_it() -> None:
    """Of three exports, each changed row names the one that brought its content, whatever carried it again."""
    desk = Desk(config=WITHOUT_MASKS)
    data = images_export(20)
    second = exported_again(data, changed=2)
    third = exported_again(second, changed=2, days=2)
    desk.bring("one.json", data)
    exports = [desk.bring(f"{n}.json", d).outcomes[0].export.id for n, d in enumerate((second, third))]

    found = diff(desk.label_set(), 1, 3)

    rows = {row.label_hash: row for row in found.listed}
    assert {row.version for row in rows.values()} <= {2, 3}
    assert {row.export_id for row in rows.values()} == set(exports)
    for row in rows.values():
        assert row.export_id == exports[row.version - 2]
        carried = {one["label_hash"]: one["export_hash"] for one in json.loads((second, third)[row.version - 2])}
        assert row.export_hash == carried[row.label_hash]


@pytest.mark.parametrize(("rows", "edited"), [(300, 3), pytest.param(5_000, 10, marks=pytest.mark.slow)])
def test_only_buckets_that_differ_are_read(rows: int, edited: int) -> None:
    """A few rows of many: of each version no more buckets are opened than rows were edited, and no masks."""
    counting = CountingStore(MemoryStore())
    desk = Desk(lake=counting, config=WITHOUT_MASKS)
    data = images_export(rows)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=edited))
    label_set = desk.label_set()
    roots = [label_set.version(number).root for number in (1, 2)]
    same = {ref.ref.key for ref in roots[0].buckets.values()} & {ref.ref.key for ref in roots[1].buckets.values()}
    counting.read.clear()

    found = diff(label_set, 1, 2)

    touched = label_set.log()[-1].buckets
    read = [key for key in counting.read if "/objects/" in key]
    assert found.rows["changed"] == edited
    assert len(same) >= len(roots[0].buckets) - edited
    assert not same & set(read)
    shards = len(("coco", "images", "classifications", "attributes"))
    assert len(read) == 2 + 2 * touched * (1 + shards) + touched  # the second version's buckets have a patch each
    assert len([key for key in counting.read if "/events-" in key]) == 1
    assert_is_exact(desk, 1, 2)


def test_versions_of_other_bucket_sizes_are_compared() -> None:
    """A set that split its buckets between two versions: only the new and the changed rows differ, both ways."""
    desk = Desk(config=WITHOUT_MASKS)
    small = images_export(250)
    desk.bring("small.json", small)
    desk.bring("more.json", exported_again(small, changed=1, added=10))
    assert [desk.label_set().version(n).root.prefix_length for n in (1, 2)] == [0, 1]

    found = assert_is_exact(desk, 1, 2)

    assert found.rows == {"added": 10, "removed": 0, "changed": 1, "converted": 0}
    assert assert_is_exact(desk, 2, 1).rows == {"added": 0, "removed": 10, "changed": 1, "converted": 0}


def test_after_a_split_only_parts_that_differ_are_read() -> None:
    """Of sixteen new buckets those that hold what the old one held there are not read."""
    counting = CountingStore(MemoryStore())
    desk = Desk(lake=counting, config=WITHOUT_MASKS)
    small, large = images_export(256), images_export(257)
    desk.bring("small.json", small)
    desk.bring("large.json", exported_again(large))
    label_set = desk.label_set()
    keys = {ref.ref.key for ref in label_set.version(2).root.buckets.values()}
    assert len(keys) == 16
    counting.read.clear()

    found = diff(label_set, 1, 2)

    assert found.rows == {"added": 1, "removed": 0, "changed": 0, "converted": 0}
    assert len(keys & set(counting.read)) == 1


def test_another_configuration_converts_rows_without_changing_them() -> None:
    """The same labels under other options are `converted`, and no object differs."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("one.json", images_export(5))
    desk.config = LabelSetConfig(name="street", masks=True)
    desk.ingest()

    found = assert_is_exact(desk, 1, 2)

    assert found.configuration_changed
    assert found.rows == {"added": 0, "removed": 0, "changed": 0, "converted": 5}
    assert all(row.export_id for row in found.listed)
    assert counts(found.objects) == {}


def test_a_version_does_not_differ_from_itself() -> None:
    """No bucket, no row, no object."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("one.json", images_export(5))

    found = diff(desk.label_set(), 1, "latest")

    assert sum(found.rows.values()) == 0
    assert found.listed == ()
    assert "nothing" in diff_text(found)


def test_categories_losses_and_findings_are_compared() -> None:
    """A class that vanished, a new one, and a shape that masks cannot hold."""
    desk = Desk(config=LabelSetConfig(name="street", thresholds=Thresholds(annotations_dropped=1), hold_back=()))
    stamps: list[dict[str, Any]] = [
        {"exported_at": f"Fri, {day:02} Mar 2024 09:00:00 UTC", "export_hash": f"e-{day}"} for day in (1, 2)
    ]
    desk.bring("1.json", make.encode([make.image_row(make.box(), **stamps[0])]))
    desk.bring("2.json", make.encode([make.image_row(make.polyline(), **stamps[1])]))

    found = diff(desk.label_set(), 1, 2)

    assert {(one.feature_hash, one.fate) for one in found.categories} == {
        ("BoxClas1", "removed"),
        ("Polylin1", "added"),
    }
    assert found.losses["masks:polyline"] == (0, 1)
    assert [finding.rule for finding in found.findings_new] == ["class_vanished"]
    assert diff(desk.label_set(), 2, 1).findings_gone == found.findings_new


def test_more_rows_than_are_listed_are_still_counted() -> None:
    """The list is cut, the counts are not."""
    desk = Desk(config=WITHOUT_MASKS)
    data = images_export(20)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=9))

    found = diff(desk.label_set(), 1, 2, listed=4)

    assert (len(found.listed), found.rows["changed"]) == (4, 9)
    assert found.objects == diff(desk.label_set(), 1, 2).objects
    assert "5 more" in diff_text(found)


def test_a_report_says_what_changed() -> None:
    """The text names rows, classes and where the change came from; JSON carries the same counts."""
    desk = Desk(config=WITHOUT_MASKS)
    data = first_export(Project(3, 16), exported_at=DAY)
    desk.bring("one.json", data)
    export = desk.bring("two.json", exported_again(data, changed=4, added=1)).outcomes[0].export

    found = diff(desk.label_set(), 1, 2)
    text = diff_text(found)

    assert text.startswith("version 1 -> 2")
    assert "1 added, 0 removed, 4 changed" in text
    assert export.id in text
    assert all(row.label_hash in text for row in found.listed)
    again = msgspec.json.decode(msgspec.json.encode(found), type=Diff)
    assert again == found


def test_rows_of_older_releases_are_read() -> None:
    """A bucket written before rows said their version decodes, and a row without one is written as it was."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("one.json", images_export(1))
    (bucket,) = desk.label_set().version().buckets()

    older = msgspec.structs.replace(bucket, rows=tuple(msgspec.structs.replace(row, version=0) for row in bucket.rows))

    assert bucket.rows[0].version == 1
    assert b'"version":' not in encode(older)
    assert msgspec.json.decode(encode(older), type=Bucket) == older
