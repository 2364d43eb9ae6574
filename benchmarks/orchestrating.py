"""The Dagster side alone, over a pipeline that does nothing: an export in a range run, and ticks of the sensor."""

import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import dagster as dg

from benchmarks.figures import Figure, show
from benchmarks.listed import Landing
from encord_dagster.orchestration import latest, names
from encord_dagster.orchestration.requests import add_partitions
from encord_dagster.orchestration.stores import LabelSetStores
from tests.orchestration.conftest import newest
from tests.orchestration.world import NAME, PARTITIONS, FakeIngest, World

EXPORTS = 100
KNOWN = 100_000


def main() -> None:
    """Runs over an instance in memory, ticks over one on disk: sensors open theirs by reference."""
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    logging.disable(logging.CRITICAL)
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as another,
        mock.patch("encord_dagster.pipeline.ingest", FakeIngest()),
        mock.patch.object(latest, "newest", lambda lake, name: newest()),
        mock.patch.object(latest, "findings_by_rule", lambda lake, name: {}),
        mock.patch.object(latest, "fired_before", lambda lake, name: ()),
        dg.DagsterInstance.ephemeral() as in_memory,
        dg.DagsterInstance.local_temp(folder) as on_disk,
        dg.DagsterInstance.local_temp(another) as many,
    ):
        figures = [*_runs(in_memory), *_ticks(on_disk), *_database(on_disk, Path(folder)), *_many(many)]
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


def _database(instance: dg.DagsterInstance, folder: Path) -> list[Figure]:
    """What a run adds to SQLite, checks and all, for each materialization; there are no previews."""
    world = World(instance)
    keys = world.delivered(*(f"stored-{number:03}.json" for number in range(EXPORTS)))
    before = _bytes(folder)
    world.run(keys=keys)
    assets = [spec.key for spec in world.defs.resolve_all_asset_specs() if spec.partitions_def]
    made = sum(len(set(world.materialized(asset.path[-1])) & set(keys)) for asset in assets)
    if made != EXPORTS * len(assets):
        raise SystemExit("the run did not materialize every export: its bytes say nothing")
    return [
        Figure("database per materialization", (_bytes(folder) - before) / made / 1024, "KiB", "SQLite, no previews")
    ]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _many(instance: dg.DagsterInstance) -> list[Figure]:
    """Ticks over a bucket of many known exports: the work of boto3's client is in it, the network is not."""
    world = World(instance)
    landing = Landing(KNOWN)
    add_partitions(instance, PARTITIONS, landing.ids)
    with mock.patch.object(LabelSetStores, "landing", lambda self: landing.store):
        first = world.tick()
        none = [_seconds(lambda: world.tick(first.cursor)) for _ in range(3)]
        landing.add(EXPORTS)
        new = _seconds(lambda: world.tick(first.cursor))
    if len(instance.get_dynamic_partitions(names.exports_partitions(NAME))) != KNOWN + EXPORTS:
        raise SystemExit("the tick did not find the exports: its time says nothing")
    return [
        Figure(f"a tick with none new among {KNOWN:,} known", min(none), "s CPU", "S3 client, no network"),
        Figure(f"a tick with {EXPORTS} new among {KNOWN:,} known", new, "s CPU", "likewise"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
