"""A version beside the one before it: what is suspicious, and from when on."""

import msgspec
import pytest

from encord_dagster.config import Thresholds
from encord_dagster.errors import UsageError
from encord_dagster.findings import Location
from encord_dagster.formats.fragment import Category, ClassCount
from encord_dagster.label_set.compare import TOLD, compare
from encord_dagster.label_set.manifest import Root


def root(*counts: tuple[str, int], names: dict[str, str] | None = None) -> Root:
    """A version of objects by feature hash; a class may be counted under several names."""
    hashes = sorted({key for key, _ in counts})
    called = {key: f"class {key}" for key in hashes} | (names or {})
    return Root(
        format_version=1,
        content_digest="",
        config_digest="",
        prefix_length=0,
        buckets={},
        categories=tuple(
            Category(id=number, feature_hash=key, name=called[key], shape="point")
            for number, key in enumerate(hashes, start=1)
        ),
        classes=tuple(ClassCount(key, 1, called[key], "point", objects) for key, objects in counts),
        datasets=(),
        id_overrides={},
        files={},
        rows=1,
        tombstones=0,
        images=1,
        annotations=sum(objects for _, objects in counts),
    )


def rules(old: Root | None, new: Root, **thresholds: float) -> list[str]:
    """The rules that fire."""
    return [finding.rule for finding in compare(old, new, msgspec.convert(thresholds, Thresholds))]


def test_a_first_version_has_nothing_to_be_compared_with() -> None:
    """However odd it is."""
    assert rules(None, root(("A", 1))) == []


def test_an_empty_version_before_is_no_reason_for_suspicion() -> None:
    """Whatever comes is more."""
    assert rules(root(), root(("A", 1000))) == []


@pytest.mark.parametrize(("objects", "least", "fires"), [(1, 1, True), (9, 10, False), (10, 10, True), (0, 1, False)])
def test_a_class_vanishes_where_it_had_enough_objects(objects: int, least: int, fires: bool) -> None:
    """One is enough by default."""
    old, new = root(("A", 1000), ("B", objects)), root(("A", 1000))

    assert rules(old, new, class_vanished=least) == ["class_vanished"] * fires


def test_a_class_that_vanished_is_named_with_its_count() -> None:
    """Largest first; the finding says where the objects still are."""
    old = root(("A", 900), ("B", 1), ("C", 2), names={"C": "c" * 200})

    one, other = compare(old, root(("A", 900)), Thresholds())

    assert (one.rule, one.severity, one.location) == ("class_vanished", "error", Location())
    assert "(C) had 2 objects" in one.message
    assert "'class B' (B) had 1 object " in other.message
    assert "the version before still holds them" in one.message
    assert len(one.message) < 300


def test_a_class_that_goes_by_several_names_is_one_class() -> None:
    """Its objects are counted by feature hash: a new name is no loss."""
    old, new = root(("A", 60), ("A", 40)), root(("A", 100), names={"A": "renamed"})

    assert rules(old, new) == []


@pytest.mark.parametrize(
    ("after", "share", "fires"),
    [(80, 0.2, False), (79, 0.2, True), (120, 0.2, False), (99, 0.0, True), (0, 1.0, False)],
)
def test_annotations_drop_by_more_than_a_share(after: int, share: float, fires: bool) -> None:
    """A fifth by default; 1 switches the rule off, 0 allows no drop at all."""
    found = rules(root(("A", 100)), root(("A", after)), annotations_dropped=share)

    assert ("annotations_dropped" in found) is fires


def test_a_drop_is_told_in_numbers() -> None:
    """How many of how many."""
    (finding,) = compare(root(("A", 2000)), root(("A", 500)), Thresholds())

    assert (finding.rule, finding.severity) == ("annotations_dropped", "error")
    assert "1,500 of 2,000 annotations of the version before are gone (75%)" in finding.message


@pytest.mark.parametrize(
    ("before", "after", "fires"),
    [
        ((60, 40), (75, 25), False),  # exactly 15 points
        ((60, 40), (76, 24), True),
        ((24, 25), (49, 0), False),  # 49 annotations say nothing
        ((49, 1), (49, 49), True),
        ((100, 0), (100, 10), False),
        ((100, 0), (100, 30), True),  # a new class
    ],
)
def test_a_share_shifts_by_more_than_a_threshold(before: tuple[int, int], after: tuple[int, int], fires: bool) -> None:
    """Of both classes alike, where the version before has 50 annotations."""
    old, new = (root(*((key, n) for key, n in zip("AB", counts, strict=True) if n)) for counts in (before, after))

    found = [finding for finding in compare(old, new, Thresholds()) if finding.rule == "class_share_shifted"]

    assert len(found) == 2 * fires
    assert all(finding.severity == "warning" for finding in found)


def test_a_class_that_vanished_has_no_shifted_share_too() -> None:
    """One cause, one finding; what it left behind has another share indeed."""
    old, new = root(("A", 60), ("B", 40)), root(("A", 60))

    assert rules(old, new) == ["class_vanished", "annotations_dropped", "class_share_shifted"]
    assert rules(old, root()) == ["class_vanished", "class_vanished", "annotations_dropped"]


def test_a_thousand_classes_do_not_fill_the_log() -> None:
    """The first are named, the others counted."""
    old = root(*((f"C{number:04}", 1) for number in range(1000)))

    found = [one for one in compare(old, root(), Thresholds()) if one.rule == "class_vanished"]

    assert len(found) == TOLD + 1
    assert f"{1000 - TOLD} more classes" in found[-1].message


@pytest.mark.parametrize(
    "wrong",
    [{"annotations_dropped": 20}, {"class_share_shifted": -0.1}, {"class_vanished": 0}, {"class_share_needs": 0}],
)
def test_a_threshold_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    """20 for 20% would switch the rule off unseen."""
    (name,) = wrong

    with pytest.raises(UsageError, match=name):
        Thresholds(**wrong)  # type: ignore[arg-type]  # numbers by name
