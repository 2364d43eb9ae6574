"""Operators' jobs: each does its operation on the lake, and shows the newest version in Dagster."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster import build_label_set_definitions, open_label_set
from encord_dagster.config import CONVERTER_VERSION, LabelSetConfig
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.samples import Project, first_export, next_export
from tests.label_set.test_golden import unpacked
from tests.orchestration.world import NAME, World

FIRST = first_export(Project(seed=3, rows=4, kinds=("image",)), exported_at=datetime(2023, 10, 2, tzinfo=UTC))
NEXT = next_export(FIRST, seed=4, exported_at=datetime(2023, 10, 9, tzinfo=UTC), changed=1)


def run(world: World, verb: str, **chosen: object) -> dg.ExecuteInProcessResult:
    """Launch a job with these choices, as its launchpad would."""
    job = world.defs.resolve_job_def(f"{NAME}_{verb}")
    config = {"ops": {f"{NAME}_{verb}_step": {"config": chosen}}}
    return job.execute_in_process(instance=world.instance, run_config=config, raise_on_error=False)


@pytest.fixture
def two_versions(ticking: World) -> World:
    """A label set of two versions."""
    for key, data in (("week-1.json", FIRST), ("week-2.json", NEXT)):
        ticking.deliver(key, data=data)
        for request in ticking.tick().requests:
            assert ticking.run(keys=[str(request.partition_key)]).success
    return ticking


def test_a_rollback_from_the_launchpad_is_what_readers_see(two_versions: World) -> None:
    """And what `label_set_latest` shows."""
    first = open_label_set(two_versions.lake, NAME).version(1).record.content_digest

    assert run(two_versions, "rollback", to_version=1, reason="wrong masks").success

    newest = open_label_set(two_versions.lake, NAME).version()
    shown = two_versions.materialized("label_set_latest")[None].metadata
    assert (newest.record.op, newest.record.content_digest) == ("rollback", first)
    assert shown["encord/version"].value == newest.number == 3


def test_verification_fails_where_an_object_is_missing(two_versions: World) -> None:
    """It is green before."""
    assert run(two_versions, "verify").success
    root = open_label_set(two_versions.lake, NAME).version().record.root
    assert root is not None
    two_versions.lake.delete(root.key)

    assert not run(two_versions, "verify").success


def test_cleaning_up_is_a_dry_run_unless_it_is_said_otherwise(two_versions: World) -> None:
    """Nothing goes by a click too many."""
    before = [info.key for info in two_versions.lake.list("label_sets/")]

    assert run(two_versions, "gc", keep=1).success
    assert [info.key for info in two_versions.lake.list("label_sets/")] == before
    assert run(two_versions, "gc", keep=1, dry_run=False).success
    assert len([info.key for info in two_versions.lake.list("label_sets/street/objects/")]) < len(
        [key for key in before if key.startswith("label_sets/street/objects/")]
    )


def test_what_an_older_converter_made_is_made_anew(ticking: World, tmp_path: Path) -> None:
    """A lake of the first release; older versions stay, and a second time there is nothing to do."""
    world = ticking
    lake = unpacked("v1-first", tmp_path / "lake")
    world.defs = build_label_set_definitions(landing=str(tmp_path), lake=str(tmp_path / "lake"), name=NAME)
    before = open_label_set(lake, NAME)
    old = {number: before.version(number).root.content_digest for number in (1, 2)}

    assert run(world, "stale", dry_run=True).success
    after_looking = len(open_label_set(lake, NAME).log())
    assert run(world, "stale").success
    assert run(world, "stale").success

    after = open_label_set(lake, NAME)
    assert after_looking == len(before.log())
    assert len(after.log()) == len(before.log()) + 1
    assert after.version().record.converter_version == CONVERTER_VERSION > before.version().record.converter_version
    assert after.version().rows == before.version().rows
    assert {number: after.version(number).root.content_digest for number in (1, 2)} == old
    assert verify(lake, NAME).problems == []
    assert world.materialized("label_set_latest")[None].metadata["encord/version"].value == after.version().number


def test_no_more_exports_are_read_again_than_the_launchpad_allows(two_versions: World) -> None:
    """A part of them would be a version that lacks rows: nothing is made, and the run says of how many it would be."""
    two_versions.defs = build_label_set_definitions(
        landing=two_versions.landing.url, lake=two_versions.lake.url, name=NAME, masks=False
    )
    before = [info.key for info in two_versions.lake.list("label_sets/")]

    refused = run(two_versions, "stale", most_exports=1)
    looked = run(two_versions, "stale", dry_run=True, most_exports=1)

    (failure,) = [event for event in refused.all_events if event.is_step_failure]
    assert not refused.success
    assert "2 exports would be read again, more than most_exports, 1. Nothing was changed" in str(
        failure.step_failure_data.error
    )
    (output,) = [event for event in looked.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["encord/stale"].value == {
        "stale": True,
        "converter": CONVERTER_VERSION,
        "rows": 4,
        "exports": 2,
    }
    assert [info.key for info in two_versions.lake.list("label_sets/")] == before
    assert run(two_versions, "stale", most_exports=2).success
    assert open_label_set(two_versions.lake, NAME).version().number == 3


def test_exports_of_another_configuration_are_converted_again_without_a_new_export(two_versions: World) -> None:
    """Out of the raw copies: what lay in the landing prefix may be gone."""
    for export in list(exports_in(two_versions.landing)):
        two_versions.landing.delete(export.key)
    two_versions.defs = build_label_set_definitions(
        landing=two_versions.landing.url, lake=two_versions.lake.url, name=NAME, masks=False
    )

    assert run(two_versions, "stale").success

    newest = open_label_set(two_versions.lake, NAME).version()
    assert newest.number == 3
    assert newest.record.config_digest == LabelSetConfig(name=NAME, masks=False).digest()
