"""Faults of Dagster: ticks that come twice, daemons that die, runs that fail for good, cursors that are lost.

What is in the lake decides: whatever Dagster has forgotten or done twice, the same content comes of it.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import msgspec
import pytest
from _pytest.mark.structures import ParameterSet

from encord_dagster import open_label_set
from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import history
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.orchestration import latest, names
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import Cursor
from tests.effort import EFFORT
from tests.faults.stage import FIRST, FOREIGN, SECOND, Act, LosesAnswers, Watched
from tests.lakes import Desk, exported_again, images_export
from tests.orchestration.test_reconcile import evaluate
from tests.orchestration.world import NAME, PARTITIONS, World

THIRD = exported_again(SECOND, days=2, changed=1)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Definitions over stores in memory, and an instance on disk, as sensors and schedules open theirs by reference."""
    if EFFORT == 1:
        monkeypatch.setattr(latest, "evaluations", lambda fired, *, config, only: ())
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield World(instance)


def run(world: World, keys: list[str]) -> dg.ExecuteInProcessResult:
    """A run for one key or a range. The quick one leaves out events, which are nearly all that it costs."""
    return world.run(keys=keys, assets=["label_set"] if EFFORT == 1 else None)


def run_all(world: World, requests: list[dg.RunRequest]) -> None:
    """Run what was asked for."""
    for request in requests:
        ends = (request.tags.get(names.RANGE_START_TAG), request.tags.get(names.RANGE_END_TAG))
        keys = [request.partition_key] if request.partition_key else list(ends)
        assert run(world, [key for key in keys if key]).success


def settle(world: World) -> int:
    """Ticks and reconciling until nothing is asked for; how many runs that took."""
    asked = 0
    for _ in range(10):
        requests = world.tick().requests
        run_all(world, requests)
        missed = evaluate(world)
        run_all(world, missed)
        if not requests and not missed:
            return asked
        asked += len(requests) + len(missed)
    raise AssertionError("it never comes to rest")


def content(world: World) -> str:
    """The content digest that readers see, of a lake that is sound and accounts for every delivered export."""
    label_set = open_label_set(world.lake, NAME)
    assert verify(world.lake, NAME).problems == []
    assert {export.id for export in exports_in(world.landing)} <= label_set.accounted()
    return label_set.version().root.content_digest


def versions(world: World) -> int:
    """How many versions there are."""
    return open_label_set(world.lake, NAME).version().number


def in_order(*exports: bytes) -> str:
    """The content digest that these exports come to one after the other, without Dagster and without a fault."""
    desk = Desk(config=LabelSetConfig(name=NAME))
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk.label_set().version().root.content_digest


def some(cases: Mapping[str, object], *quick: str) -> list[ParameterSet]:
    """All cases by name; those that are not named are left to the slow run."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), id=name, marks=[] if name in quick else pytest.mark.slow
        )
        for name, case in cases.items()
    ]


@pytest.mark.faults("F22", on=("memory",))
def test_a_tick_that_is_evaluated_twice_brings_one_version(world: World) -> None:
    """The second evaluation knows nothing of the first: its request runs as well, and is a no-op."""
    world.deliver("a.json", data=FIRST)

    first = world.tick().requests
    world.instance.delete_dynamic_partition(PARTITIONS, first[0].partition_key or "")
    second = world.tick().requests
    run_all(world, [*first, *second])

    assert first[0].run_key == second[0].run_key  # Dagster itself would drop the second
    assert settle(world) == 0
    assert (versions(world), content(world)) == (1, in_order(FIRST))


@pytest.mark.faults("F23", on=("memory",))
def test_deliveries_twice_and_out_of_order_come_to_the_content_of_time_order(world: World) -> None:
    """The newest first, then older ones, then all of them again under other keys."""
    exports = {"third": THIRD, "first": FIRST, "foreign": FOREIGN, "second": SECOND}
    for name, data in exports.items():
        world.deliver(f"{name}.json", data=data)
        settle(world)
    before = versions(world)
    for name, data in exports.items():
        world.deliver(f"again-{name}.json", data=data)
    settle(world)

    assert versions(world) == before
    assert content(world) == in_order(FIRST, SECOND, FOREIGN, THIRD)


STAGES = {name: name for name in ("evaluated", "partitions added", "run created", "run started", "run done")}


@pytest.mark.faults("F24", on=("memory",))
@pytest.mark.parametrize("stage", some(STAGES, "evaluated", "run started"))
def test_a_daemon_that_dies_between_the_stages_of_a_tick_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """What Dagster's database holds after each stage is all that the next daemon finds."""
    world.deliver("a.json", data=FIRST)
    (request,) = world.tick().requests
    key = request.partition_key or ""
    job = world.defs.resolve_job_def("street_ingest")
    if stage == "evaluated":
        world.instance.delete_dynamic_partition(PARTITIONS, key)
    if stage == "run created":  # run monitoring finds it dead, and says so
        world.instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.FAILURE)
    if stage == "run started":
        with monkeypatch.context() as patched:
            patched.setattr(LabelSetStores, "lake", lambda _: Watched(world.lake, LosesAnswers("log", lands=False)))
            patched.setattr(history, "COMMIT_TRIES", 1)
            assert not run(world, [key]).success
    if stage == "run done":
        run_all(world, [request])

    asked = settle(world)

    assert asked == (stage != "run done")
    assert (versions(world), content(world)) == (1, in_order(FIRST))


@pytest.mark.faults("F26", on=("memory",))
def test_an_export_whose_run_failed_for_good_is_asked_for_under_another_run_key(world: World) -> None:
    """Dagster drops a repeated run key without a word, also that of a failed run."""
    world.deliver("a.json", data=FIRST)
    (request,) = world.tick().requests
    job = world.defs.resolve_job_def("street_ingest")
    world.instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.FAILURE)

    (again,) = evaluate(world)
    run_all(world, [again])

    assert again.run_key != request.run_key
    assert settle(world) == 0
    assert (versions(world), content(world)) == (1, in_order(FIRST))


CURSORS = {
    "garbage": "{",
    "lost": None,
    "of something else": '{"after": 7}',
    "ahead": msgspec.json.encode(Cursor(after="zzzz")).decode(),
}


@pytest.mark.faults("F28", on=("memory",))
@pytest.mark.parametrize("cursor", some(CURSORS, "ahead"))
def test_a_cursor_that_is_lost_ahead_or_garbage_costs_a_pass(world: World, cursor: str | None) -> None:
    """What is new is found by the next tick at the latest, and what is done is not asked for again."""
    world.deliver("a.json", data=FIRST)
    settle(world)
    world.deliver("b.json", data=SECOND)

    first = world.tick(cursor)
    second = world.tick(first.cursor)
    requests = [*first.requests, *second.requests]
    run_all(world, requests)

    assert len(requests) == 1
    assert settle(world) == 0
    assert (versions(world), content(world)) == (2, in_order(FIRST, SECOND))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A second instance, which knows nothing of the first."""
    (tmp_path / "empty").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "empty")) as instance:
        yield instance


@pytest.mark.faults("F27", on=("memory",))
@pytest.mark.parametrize("restored", some({"lost": 0, "restored from last week": 2}, "lost"))
def test_a_database_that_is_lost_costs_no_run(world: World, empty: dg.DagsterInstance, restored: int) -> None:
    """Published, observed, quarantined whole, or the same bytes again: the lake says that it is done."""
    exports = {"a": FIRST, "b-late": SECOND, "c-observed": FIRST[:-1] + b" ]", "d-bad": b"not JSON", "e-again": SECOND}
    for name, data in exports.items():
        world.deliver(f"{name}.json", data=data)
        run_red_or_green(world, world.tick().requests)
    before, digest, log = objects_of(world), content(world), open_label_set(world.lake, NAME).log()
    assert {record.op for record in log} == {"publish", "observe"}
    keys = [export.id for export in exports_in(world.landing)]
    world.instance = empty
    world.instance.add_dynamic_partitions(PARTITIONS, keys[:restored])

    tick = world.tick()

    assert not tick.requests
    assert sorted(tick.added) == sorted(keys[restored:])
    assert f"{len(exports) - restored} are accounted for by the label set" in (tick.skipped or "")
    assert evaluate(world) == []
    assert settle(world) == 0
    assert objects_of(world) == before  # nothing was written, not even who asked

    world.deliver("f-new.json", data=THIRD)
    assert settle(world) == 1
    assert content(world) == in_order(FIRST, SECOND, THIRD)
    assert digest == in_order(FIRST, SECOND)


def run_red_or_green(world: World, requests: list[dg.RunRequest]) -> None:
    """Run what was asked for; a bad export turns its run red."""
    for request in requests:
        run(world, [request.partition_key or ""])


def objects_of(world: World) -> set[str]:
    """All keys of the lake."""
    return {info.key for info in world.lake.list()}


STOPS = {  # the call before which the run is terminated, and how many exports an earlier run of the backfill did
    "as it reads its first export": ("landing", "get", "0.json", 0),
    "as it reads its last export": ("landing", "get", "5.json", 0),
    "before its commit": ("lake", "create", "/log/", 0),
    "before its commit, in its second run": ("lake", "create", "/log/", 2),
    "after its commit": ("lake", "put_hint", "latest.json", 0),
}


class Stopped:
    """Does something else and then terminates the run, by the signal that Dagster sends, before the first such call."""

    def __init__(self, call: str, part: str, meanwhile: Callable[[], None]) -> None:
        self.call, self.part, self.meanwhile, self.done = call, part, meanwhile, False

    def __call__(self, call: str, key: str, act: Act) -> object:
        if call == self.call and self.part in key and not self.done:
            self.done = True
            self.meanwhile()
            os.kill(os.getpid(), signal.SIGINT)
        return act()


@pytest.mark.faults("F51", on=("memory",))
@pytest.mark.parametrize(("place", "call", "part", "earlier"), some(STOPS, "before its commit, in its second run"))
def test_a_backfill_that_is_cancelled_half_way_can_be_resumed(
    world: World, monkeypatch: pytest.MonkeyPatch, place: str, call: str, part: str, earlier: int
) -> None:
    """Meanwhile the sensor brings another export in; then the whole range is asked for again."""
    fourth = exported_again(THIRD, days=3, changed=1)
    backfilled = {"0": FIRST, "1": THIRD, "2": SECOND, "3": images_export(1, seed=9), "4": images_export(1, seed=10)}
    backfilled["5"] = exported_again(backfilled["3"], changed=1)
    for name, data in backfilled.items():
        world.deliver(f"{name}.json", data=data)
    keys = world.tick().added
    if earlier:
        assert run(world, keys[:earlier]).success

    original = getattr(LabelSetStores, place)

    def sensor() -> None:
        with monkeypatch.context() as unpatched:
            unpatched.setattr(LabelSetStores, place, original)
            world.deliver("meanwhile.json", data=fourth)
            (request,) = world.tick().requests
            with ThreadPoolExecutor(1) as another_process:
                assert another_process.submit(run, world, [request.partition_key or ""]).result().success

    stopped = Stopped(call, part, sensor)
    with monkeypatch.context() as patched:
        patched.setattr(LabelSetStores, place, lambda self: Watched(original(self), stopped))
        assert not run(world, keys[earlier:]).success

    assert stopped.done
    assert verify(world.lake, NAME).problems == []
    assert open_label_set(world.lake, NAME).version().coco()

    assert run(world, keys).success

    assert content(world) == in_order(*backfilled.values(), fourth)
    assert set(world.materialized("label_set")) >= set(keys)
    assert settle(world) == 0
    accounted = [entry.id for record in open_label_set(world.lake, NAME).log() for entry in record.exports]
    assert len(accounted) == len(set(accounted)) == len(keys) + 1
