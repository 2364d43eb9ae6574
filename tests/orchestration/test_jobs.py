"""Operators' jobs: each does its operation on the lake, and shows the newest version in Dagster."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from encord_dagster import open_label_set
from encord_dagster.samples import Project, first_export, next_export
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
