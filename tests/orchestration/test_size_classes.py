"""Runs of large exports carry the tags of their size class."""

import json
from pathlib import Path

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.orchestration import names
from encord_dagster.orchestration.definitions import build_label_set_definitions
from encord_dagster.orchestration.size_classes import SizeClass, read_size_classes, size_tags
from tests.orchestration.test_reconcile import evaluate
from tests.orchestration.world import NAME, World

DEPLOYED = Path(__file__).parents[2] / "deploy" / "helm" / "size-classes.json"
CLASSES = (SizeClass(from_bytes=300, tags={"size": "large", "dagster-k8s/config": {"container_config": {}}}),)


@pytest.mark.parametrize(
    ("size", "expected"), [(0, None), (49_999_999, None), (50_000_000, "medium"), (2**31, "large")]
)
def test_a_run_is_of_the_largest_class_that_it_reaches(size: int, expected: str | None) -> None:
    """Below the first there are no tags."""
    assert size_tags(read_size_classes(DEPLOYED), size).get("encord/size") == expected


def test_sensor_and_reconcile_tag_runs_by_the_bytes_of_their_exports(ticking: World, tmp_path: Path) -> None:
    """Of all exports of a range together; what is no text is JSON, as launchers read it."""
    (tmp_path / "classes.json").write_text(
        json.dumps([{"from_bytes": item.from_bytes, "tags": item.tags} for item in CLASSES])
    )
    ticking.defs = build_label_set_definitions(
        landing=ticking.landing.url, lake=ticking.lake.url, name=NAME, size_classes=tmp_path / "classes.json"
    )
    ticking.deliver("small.json", data=b"[" + b" " * 100 + b"]")
    small = ticking.tick().requests
    ticking.deliver(*(f"{number}.json" for number in range(4)), data=b"[" + b" " * 100 + b"]")
    many = ticking.tick().requests
    again = evaluate(ticking)

    assert [request.tags.get("size") for request in small] == [None]
    assert [request.tags.get("size") for request in many] == ["large"]
    assert json.loads(many[0].tags["dagster-k8s/config"]) == {"container_config": {}}
    assert names.RANGE_START_TAG in many[0].tags
    assert [request.tags.get("size") for request in again] == ["large"]


@pytest.mark.parametrize("text", ["{", "{}", '[{"from_bytes": "1", "tags": {}}]', '[{"from_bytes": 1}]'])
def test_a_file_that_holds_no_classes_is_refused(text: str, tmp_path: Path) -> None:
    """As is one that is not there; when definitions load, not when a large export comes."""
    (tmp_path / "classes.json").write_text(text)

    for name in ("classes.json", "missing.json"):
        with pytest.raises(UsageError, match=name):
            build_label_set_definitions(landing="in", lake="lake", name=NAME, size_classes=tmp_path / name)


def test_without_classes_nothing_changes(ticking: World) -> None:
    """Which is the default."""
    ticking.deliver("one.json")

    tags = ticking.tick().requests[0].tags

    ours = {names.LABEL_SET_TAG, names.FIRST_EXPORT_TAG, names.ATTEMPT_TAG, names.EXPORT_HASH_TAG}
    assert {tag for tag in tags if not tag.startswith("dagster/")} == ours
