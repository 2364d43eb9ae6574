"""The Dagster side alone, over a pipeline that does nothing: an export in a range run, and ticks of the sensor."""

import logging
import os
import tempfile
import time
from collections.abc import Callable
from unittest import mock

import dagster as dg

from benchmarks.figures import Figure, show
from encord_dagster.orchestration import latest
from tests.orchestration.conftest import newest
from tests.orchestration.world import PARTITIONS, FakeIngest, World

EXPORTS = 100


def main() -> None:
    """Runs over an instance in memory, ticks over one on disk: sensors open theirs by reference."""
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    logging.disable(logging.CRITICAL)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("encord_dagster.pipeline.ingest", FakeIngest()),
        mock.patch.object(latest, "newest", lambda lake, name: newest()),
        mock.patch.object(latest, "findings_by_rule", lambda lake, name: {}),
        dg.DagsterInstance.ephemeral() as in_memory,
        dg.DagsterInstance.local_temp(folder) as on_disk,
    ):
        figures = [*_runs(in_memory), *_ticks(on_disk)]
    show(figures)


def _runs(instance: dg.DagsterInstance) -> list[Figure]:
    world = World(instance)
    one = world.delivered("one.json")
    keys = world.delivered(*(f"range-{number:03}.json" for number in range(EXPORTS)))
    _seconds(lambda: world.run(keys=one))  # the first run of a process also loads code
    single = _seconds(lambda: world.run(keys=one))
    ranged = _seconds(lambda: world.run(keys=keys))
    if set(world.materialized("label_set")) != {*one, *keys}:
        raise SystemExit("the runs did not materialize every export: their time says nothing")
    return [
        Figure("a run of one export", single * 1000, "ms CPU"),
        Figure(f"an export in a range run of {EXPORTS}", ranged / EXPORTS * 1000, "ms CPU"),
    ]


def _ticks(instance: dg.DagsterInstance) -> list[Figure]:
    world = World(instance)
    world.deliver(*(f"tick-{number:03}.json" for number in range(EXPORTS)))
    before = len(instance.get_dynamic_partitions(PARTITIONS))
    new = _seconds(world.tick)
    none = _seconds(world.tick)
    if len(instance.get_dynamic_partitions(PARTITIONS)) != before + EXPORTS:
        raise SystemExit("the tick did not find the exports: its time says nothing")
    return [
        Figure(f"a tick with {EXPORTS} new exports", new * 1000, "ms CPU"),
        Figure("a tick with none new", none * 1000, "ms CPU"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
