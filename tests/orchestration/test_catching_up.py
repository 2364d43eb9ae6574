"""Historic exports by the thousand: bounded runs, and one bad export among a hundred good ones."""

import hashlib
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster import open_label_set
from encord_dagster.label_set.sources import record_source
from encord_dagster.landing import exports_in
from encord_dagster.orchestration import latest, names
from encord_dagster.orchestration.specs import ROLL_UP
from encord_dagster.storage.open import open_store
from tests.lakes import images_export
from tests.orchestration.projects import FIVE_LINES, Project
from tests.orchestration.world import NAME, PARTITIONS, World

ASSETS = ("raw_export", "label_rows", "quarantine", "coco", "masks", "tables", "label_set")


def deliver(world: World, count: int) -> dict[str, str]:
    """So many exports of one row, the last of each hundred broken; sha256 by export id."""
    digests = {}
    for number in range(count):
        key = f"{number:05}.json"
        data = b"broken %d" % number if number % 100 == 99 else images_export(1, seed=number)
        world.deliver(key, data=data)
        digests[key] = hashlib.sha256(data).hexdigest()
    return {export.id: digests[export.key] for export in exports_in(world.landing)}


def caught_up(world: World, *, assets: list[str]) -> list[int]:
    """Ticks and their runs until nothing is asked for; how many exports each run was for."""
    cursor, sizes = None, list[int]()
    while (tick := world.tick(cursor)).requests:
        cursor = tick.cursor
        partitions = list(world.instance.get_dynamic_partitions(PARTITIONS))
        for request in tick.requests:
            first = request.partition_key or request.tags[names.RANGE_START_TAG]
            last = request.partition_key or request.tags[names.RANGE_END_TAG]
            sizes.append(partitions.index(last) - partitions.index(first) + 1)
            result = world.run(keys=[first, last] if first != last else [first], assets=assets)
            failures = [str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure]
            assert result.success or len(failures) == 1, f"no step failed, and yet the run: {result.all_events[-3:]}"
            assert [text for text in failures if "exports could not be used" not in text] == []
    return sizes


@pytest.mark.parametrize("count", [110, pytest.param(5000, marks=pytest.mark.slow)])
def test_historic_exports_are_caught_up_with_in_bounded_runs(
    ticking: World, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """At most a hundred a run; each good one in one record of the log, each bad one in quarantine."""
    monkeypatch.setattr(latest, "evaluations", lambda fired, *, config, only: ())
    digests = deliver(ticking, count)

    sizes = caught_up(ticking, assets=["label_set"])

    log = open_label_set(ticking.lake, NAME).log()
    told = {entry.id: (entry.sha256, record.content_digest) for record in log for entry in record.exports}
    shown = ticking.instance.get_materialized_partitions(dg.AssetKey([NAME, "label_set"]))
    assert (max(sizes), sum(sizes)) == (100, count)
    assert len(told) == count - count // 100 == sum(len(record.exports) for record in log)
    assert {key: sha for key, (sha, _) in told.items()} == {key: digests[key] for key in told}
    assert shown == set(told)
    assert open_label_set(ticking.lake, NAME).version().rows == len(told)


def test_of_a_hundred_exports_a_bad_one_costs_only_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the others has its own data versions and metadata, of one run that is red; its checks name the bad."""
    monkeypatch.setattr(latest, "evaluations", lambda fired, *, config, only: ())
    digests = deliver(world, 100)
    exports = {export.id: export for export in exports_in(world.landing)}
    for export in exports.values():
        record_source(world.lake, NAME, export)
    world.instance.add_dynamic_partitions(PARTITIONS, keys := list(exports))
    (bad,) = (key for key, export in exports.items() if export.key == "00099.json")

    result = world.run(keys=keys)

    made = {asset: world.materialized(asset) for asset in ASSETS}
    version = open_label_set(world.lake, NAME).version()
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert not result.success
    assert bad in str(failure.step_failure_data.error)
    assert {asset: len(events) for asset, events in made.items()} == dict.fromkeys(ASSETS, 99) | {
        "raw_export": 100,
        "quarantine": 100,
    }
    assert data_versions(made["raw_export"]) == digests
    assert set(data_versions(made["label_set"]).values()) == {version.record.content_digest}
    assert len(set(data_versions(made["coco"]).values())) == 99
    for key, event in made["raw_export"].items():
        assert event.metadata["encord/landing_key"].value == exports[key or ""].key
        assert event.metadata["encord/sha256"].value == digests[key or ""]
    assert {event.metadata["dagster/partition_row_count"].value for event in made["label_rows"].values()} == {1}
    for asset in ASSETS:
        (verdict,) = world.checks(asset).values()
        named = str(verdict.metadata["encord/partitions"].value) if "encord/partitions" in verdict.metadata else ""
        assert [key for key in keys if key in named] == ([] if asset in GOOD_ANYWAY else [bad])
        assert verdict.passed == (asset in GOOD_ANYWAY)
    verdict = world.checks("label_set")[ROLL_UP, None]
    assert verdict.description == "1 of 100 partitions could not be used."
    assert verdict.metadata["encord/rules"].value == {"not_json": 1}


GOOD_ANYWAY = ("raw_export",)


def data_versions(made: dict[str | None, dg.AssetMaterialization]) -> dict[str | None, str]:
    """The data version of each partition."""
    return {key: (event.tags or {})["dagster/data_version"] for key, event in made.items()}


def test_dg_launches_a_range_in_one_run_and_a_bad_export_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dg launch --partition-range` wants `backfill: single_run`; the README says so."""
    project = Project(tmp_path / "project", monkeypatch).lay_out()
    folder = project.write("street", f"{FIVE_LINES}  backfill: single_run\n").parent
    landing, lake = open_store(str(folder / "landing")), open_store(str(folder / "lake"))
    for number in range(4):
        landing.create(f"{number}.json", images_export(1, seed=number) if number else b"no JSON")
    exports = {export.id: export.key for export in exports_in(landing)}
    for export in exports_in(landing):
        record_source(lake, NAME, export)
    assert project.call("list", "defs").code == 0  # makes the instance's folder
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(PARTITIONS, list(exports))
    first, *_, last = exports

    chosen = " or ".join(f'key:"street/{asset}"' for asset in ASSETS)
    launched = project.call("launch", "--assets", chosen, "--partition-range", f"{first}...{last}")

    with dg.DagsterInstance.get() as instance:
        shown = instance.get_materialized_partitions(dg.AssetKey([NAME, "label_set"]))
        runs = instance.get_runs()
    assert launched.code != 0
    assert [run.status for run in runs] == [dg.DagsterRunStatus.FAILURE]
    assert {exports[key] for key in shown} == {"1.json", "2.json", "3.json"}
