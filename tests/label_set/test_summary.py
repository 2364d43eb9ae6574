"""A version in numbers: the same that its tables give to whoever counts them with pandas."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from encord_dagster.findings import RANKS
from encord_dagster.label_set import counting
from encord_dagster.label_set.fired import fired
from encord_dagster.label_set.numbers import Summary
from encord_dagster.label_set.read import Version, open_label_set
from encord_dagster.label_set.spread import BINS, Spread, Spreads, bin_of
from tests import factories as make
from tests.golden import make as golden
from tests.label_set.test_beside import Counting, two_versions
from tests.label_set.test_golden import LAKES, unpacked
from tests.lakes import Desk, project_export


@pytest.fixture(scope="module")
def version() -> Version:
    """All shapes and data types; some rows lie in patches."""
    return two_versions(Desk(), project_export(40), changed=4, added=2, deleted=1).label_set().version()


@pytest.fixture(scope="module")
def summary(version: Version) -> Summary:
    """Its numbers."""
    return version.summary()


def test_classes_are_those_of_the_annotations(version: Version, summary: Summary) -> None:
    """Objects, shares, images, shapes, and how wide, high and large they are."""
    frame = version.annotations()

    for one in summary.classes:
        own = frame[frame["category_id"] == one.category_id]
        assert (one.objects, one.images) == (len(own), own["image_id"].nunique())
        assert one.share == pytest.approx(len(own) / len(frame))
        assert one.shapes == own["shape"].value_counts().to_dict()
        for spread, column in ((one.width, own["width"]), (one.height, own["height"]), (one.area, own["area"])):
            assert (spread.count, spread.least, spread.most) == (len(column), column.min(), column.max())
            assert spread.mean == pytest.approx(column.mean())
            assert sum(spread.bins) == len(column)
        areas = [(own["area"] == 0), (own["area"] > 0) & (own["area"] < 1024), own["area"] >= 96**2]
        assert [one.without_area, one.small, one.large] == [int(found.sum()) for found in areas]
        assert one.medium == len(own) - one.without_area - one.small - one.large
    assert {one.name: one.objects for one in summary.classes} == version.classes
    assert [one.objects for one in summary.classes] == sorted(version.classes.values(), reverse=True)


def test_images_are_those_of_the_table(version: Version, summary: Summary) -> None:
    """Sizes, types, statuses, workflow stages, and how many objects lie on them."""
    frame, found = version.frame("images"), summary.images

    assert (found.images, found.without_objects) == (len(frame), int((frame["objects"] == 0).sum()))
    sizes = frame.groupby(["width", "height"]).size().to_dict()
    assert {(one.width, one.height): one.images for one in found.sizes} == sizes
    assert found.other_sizes == 0
    assert found.data_types == frame["data_type"].value_counts().to_dict()
    assert found.objects.total == len(version.annotations()) == summary.annotations
    for held, column in (
        (found.label_statuses, "label_status"),
        (found.task_statuses, "annotation_task_status"),
        (found.workflow_nodes, "workflow_node"),
    ):
        by: Any = frame.assign(**{column: frame[column].fillna("")}).groupby(column)["row"]
        assert held == {key: (int(by.size()[key]), int(by.nunique()[key])) for key in by.groups}


def test_answers_are_those_of_the_attributes(version: Version, summary: Summary) -> None:
    """By class and attribute; where several options are ticked, each counts."""
    frame, objects = version.frame("attributes"), version.annotations()
    of_object = frame[frame["of"] == "object"].merge(objects[["annotation_id", "category_id"]], on="annotation_id")
    names = {one.category_id: one.name for one in summary.classes}
    wanted: dict[Any, Any] = {}
    by: Any = of_object.groupby(["category_id", "name"])
    for (category_id, name), held in by:
        options = held["options"].dropna().explode().value_counts().to_dict()
        wanted[names[category_id], name] = options, int(held["text"].notna().sum()), int(held["number"].notna().sum())

    found = {
        (one.owner, one.name): (one.options, one.texts, one.numbers.count)
        for one in summary.attributes
        if one.of == "object"
    }

    assert found == wanted
    assert {tuple(bool(part) for part in kinds) for kinds in found.values()} == {
        (True, False, False),
        (False, True, False),
        (False, False, True),
    }
    of_image = frame[frame["of"] == "classification"]
    counted = [one for one in summary.attributes if one.of == "classification"]
    assert sum(one.answers for one in counted) == int(
        of_image["options"].dropna().explode().notna().sum()
        + of_image["text"].notna().sum()
        + of_image["number"].notna().sum()
    )
    given = version.frame("classifications")["feature_hash"].value_counts().to_dict()
    assert {one.feature_hash: one.given for one in summary.classifications} == given
    assert {one.owner for one in counted} <= {one.name for one in summary.classifications}


def test_text_answers_are_counted_and_not_told(version: Version, summary: Summary) -> None:
    """They are people's own words."""
    texts = set(version.frame("attributes")["text"].dropna())

    said = msgspec.json.encode(summary).decode()

    assert len(texts) > 3
    assert [text for text in texts if text in said] == []


def test_findings_and_losses_are_those_of_the_version(version: Version, summary: Summary) -> None:
    """Each rule with how often it fired, worst first."""
    of_rows = Counter(finding.rule for finding in version.findings() if finding.location.row)

    found = {one.rule: one.count for one in summary.rules}

    assert found == {rule: one.count for rule, one in fired(version).items()}
    assert {rule: found[rule] for rule in of_rows} == of_rows
    assert [one.severity for one in summary.rules] == sorted(
        (one.severity for one in summary.rules), key=lambda severity: -RANKS[severity]
    )
    assert summary.losses == version.losses


def test_classes_come_as_a_frame(summary: Summary) -> None:
    """A line for each."""
    frame = summary.frame()

    assert list(frame["name"]) == [one.name for one in summary.classes]
    assert frame["share"].sum() == pytest.approx(1.0)
    assert frame["area_mean"].iloc[0] == summary.classes[0].area.mean


def test_every_shard_is_read_once_and_no_coco_or_masks() -> None:
    """Of a version of one bucket: its four tables."""
    lake = Counting()
    label_set = two_versions(Desk(lake), project_export(30), changed=10).label_set()
    version = label_set.version()
    (bucket,) = version.buckets()
    lake.keys.clear()

    version.summary()

    read = {kind: lake.keys.count(ref.key) for kind, ref in bucket.shards.items()}
    assert bucket.patch is None
    assert {kind: count for kind, count in read.items() if count} == dict.fromkeys(counting.COLUMNS, 1)


def test_what_is_kept_of_many_names_has_a_limit(monkeypatch: pytest.MonkeyPatch, version: Version) -> None:
    """The sums stay right; what came late is counted together."""
    whole = version.summary()
    monkeypatch.setattr(counting, "MOST", 3)

    found = version.summary()

    assert len(found.images.sizes) == 3
    assert found.images.other_sizes + sum(one.images for one in found.images.sizes) == whole.images.images
    assert sum(one.answers for one in found.attributes) == sum(one.answers for one in whole.attributes)


def test_a_version_without_objects_has_numbers_too() -> None:
    """Of nothing."""
    desk = Desk()
    desk.bring("one.json", make.encode([make.image_row()]))

    found = desk.label_set().version().summary()

    assert (found.rows, found.images.images, found.images.without_objects) == (1, 1, 1)
    assert found.classes == ()
    assert found.images.objects == Spread(1, 0.0, 0.0, 0.0, (1,))
    assert found.frame().empty


@pytest.mark.parametrize("name", LAKES)
def test_lakes_of_every_release_have_numbers(name: str, tmp_path: Path) -> None:
    """Their shards lack newer columns."""
    version = open_label_set(unpacked(name, tmp_path), golden.NAME).version()

    found = version.summary()

    assert {one.name: one.objects for one in found.classes if one.objects} == version.classes
    assert found.images.images == version.images == len(version.table("images"))
    assert sum(one.given for one in found.classifications) == len(version.table("classifications"))


@pytest.mark.parametrize(
    ("value", "place"),
    [(0.0, 0), (0.999, 0), (1.0, 1), (1.999, 1), (2.0, 2), (3.999, 2), (4.0, 3), (2.0**60, BINS - 1), (-1.0, 0)],
)
def test_bins_lie_between_powers_of_two(value: float, place: int) -> None:
    """The lower end belongs to a bin, the upper one to the next."""
    assert bin_of(np.array([value])).tolist() == [place]


def test_spreads_add_up_as_their_values_would() -> None:
    """Whichever groups come in which order."""
    spreads: Spreads[str] = Spreads()
    spreads.add(["a", "b"], np.array([0, 1, 0]), np.array([1.0, 5.0, 3.0]))
    spreads.add(["c", "a"], np.array([1, 0]), np.array([0.5, 9.0]))

    assert spreads.keys() == ["a", "b", "c"]
    assert spreads.spread("a") == Spread(3, 4.5, 0.5, 3.0, (1, 1, 1))
    assert spreads.spread("c") == Spread(1, 9.0, 9.0, 9.0, (0, 0, 0, 0, 1))
    assert spreads.spread("d") == Spread()
