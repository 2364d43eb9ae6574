"""From files in the landing prefix to versions, through sensor, run and reconcile, with the real pipeline."""

from datetime import UTC, datetime

import dagster as dg

from encord_dagster import open_label_set
from encord_dagster.orchestration import names
from encord_dagster.samples import Project, bad_exports, first_export, next_export
from tests.orchestration.test_reconcile import evaluate
from tests.orchestration.world import NAME, World

FIRST = first_export(Project(seed=3, rows=4, kinds=("image",)), exported_at=datetime(2023, 10, 2, tzinfo=UTC))
NEXT = next_export(FIRST, seed=4, exported_at=datetime(2023, 10, 9, tzinfo=UTC), changed=1)


def _run_all(world: World, requests: list[dg.RunRequest]) -> list[bool]:
    runs = []
    for request in requests:
        ends = (request.tags.get(names.RANGE_START_TAG), request.tags.get(names.RANGE_END_TAG))
        keys = [request.partition_key] if request.partition_key else list(ends)
        runs.append(world.run(keys=[key for key in keys if key]).success)
    return runs


def test_a_delivery_with_bad_files_becomes_a_version_and_the_next_one_another(ticking: World) -> None:
    """What can be used is published, what cannot is red and accounted for, and nothing is asked for twice."""
    ticking.deliver("week-1.json", data=FIRST)
    for key, data in bad_exports().items():
        ticking.deliver(key, data=data)

    first = _run_all(ticking, ticking.tick().requests)
    ticking.deliver("week-2.json", data=NEXT)
    second = _run_all(ticking, ticking.tick().requests)
    ticking.deliver("copy-of-week-2.json", data=NEXT)
    third = ticking.tick()
    reconciled = evaluate(ticking)

    label_set = open_label_set(ticking.lake, NAME)
    assert (first, second, third.requests, reconciled) == ([False], [True], [], [])
    assert [record.version for record in label_set.log()] == [1, 2]
    assert len(ticking.materialized("label_set")) == 2
    assert len(ticking.materialized("quarantine")) == 5
    latest = ticking.materialized("label_set_latest")[None].metadata
    assert latest["encord/version"].value == 2
    lines = [line.split("|")[1:3] for line in str(latest["encord/classes"].value).splitlines()[2:]]
    assert {name.strip(" `"): int(count) for count, name in lines} == label_set.version("latest").classes
