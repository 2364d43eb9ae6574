"""Garbage collection, rollback and tags beside publishers, in every order of their storage calls."""

import importlib
from collections.abc import Callable
from typing import cast

import pytest

from encord_dagster.errors import EncordDagsterError
from encord_dagster.label_set.verify import verify
from encord_dagster.storage.protocol import ObjectStore
from tests.effort import EFFORT
from tests.faults.registry import EVERY
from tests.faults.stage import (
    CONFIG,
    FIRST,
    FOREIGN,
    NAME,
    SECOND,
    Act,
    Around,
    Backend,
    Counting,
    Crash,
    Watched,
    content,
    sound_lake,
)
from tests.faults.stepper import Schedule, by_chance, interleaved, overtaken, publisher
from tests.lakes import Desk

Survived = Callable[[int], None]
Operation = Callable[..., object]


def operation(name: str, *modules: str) -> Operation:
    """An operation of the label set; the test is skipped where there is no such module yet."""
    for module in modules:
        found = getattr(_module(module), name, None)
        if found is not None:
            return cast("Operation", found)
    pytest.skip(f"there is no {name} in label_set.{' or '.join(modules)}")


def _module(name: str) -> object:
    try:
        return importlib.import_module(f"encord_dagster.label_set.{name}")
    except ModuleNotFoundError:
        return None


def littered(backend: Backend) -> Desk:
    """A published export, and what a publish of the next one left that died just before its commit."""
    desk = sound_lake(FIRST, lake=backend.new())

    def dying(call: str, key: str, act: Act) -> object:
        if call == "create" and "/log/" in key:
            raise Crash
        return act()

    clean, desk.lake = desk.lake, Watched(desk.lake, dying)
    with pytest.raises(Crash):
        desk.bring("swept.json", SECOND)
    desk.lake = clean
    return desk


def schedules(backend: Backend) -> list[Schedule]:
    """As many as the store is fast."""
    step, chance = {
        "memory": (20, 3 * EFFORT - 2),
        "local": (64, EFFORT - 1),
        "s3": (64, EFFORT - 1),
        "radosgw": (20 * EFFORT, 0),
    }[backend.name]
    return overtaken(max(1, step // EFFORT)) + (by_chance(chance) if chance else [])


def raced(backend: Backend, *, collections: int) -> int:
    """A publisher of what lies there uncommitted, beside garbage collections; every version names what is there."""
    gc = operation("gc", "gc")
    expected = content(sound_lake(FIRST, SECOND).lake)
    plan = schedules(backend)
    for schedule in plan:
        desk = littered(backend)

        def collect(around: Around, lake: ObjectStore = desk.lake) -> object:
            return [gc(Watched(lake, around), NAME) for _ in range(collections)]

        outcomes = interleaved(schedule, publisher(desk, "swept.json"), collect)

        assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert verify(desk.lake, NAME).problems == []
        assert content(desk.lake) == expected
    return len(plan)


@pytest.mark.faults("F43", on=EVERY, slow_on=("local", "s3"))
def test_garbage_collection_beside_a_publisher_leaves_no_dangling_key(backend: Backend, survived: Survived) -> None:
    """The publisher is about to name objects that nothing names yet."""
    survived(raced(backend, collections=1))


@pytest.mark.faults("F45", on=EVERY)
def test_a_publisher_stalled_through_two_collections_publishes_whole_objects(
    backend: Backend, survived: Survived
) -> None:
    """It stands before any of its calls while two collections run."""
    survived(raced(backend, collections=2))


@pytest.mark.faults("F44", on=EVERY)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_collection_killed_at_any_call_is_finished_by_the_next(
    backend: Backend, after: bool, survived: Survived
) -> None:
    """Nothing that a version names is gone, and in the end the litter is."""
    gc = operation("gc", "gc")
    desk = littered(backend)
    counting = Counting()
    done = backend.copy(desk.lake)
    gc(Watched(done, counting), NAME)
    left = {info.key for info in done.list() if "/objects/" in info.key}
    step = max(1, {"memory": 3, "local": 24, "s3": 24}[backend.name] // EFFORT)

    for at in range(1, counting.calls + 1, step):
        lake = backend.copy(desk.lake)
        with pytest.raises(Crash):
            gc(Watched(lake, Counting(at, after=after)), NAME)
        assert verify(lake, NAME).problems == []
        gc(lake, NAME)
        assert verify(lake, NAME).problems == []
        assert {info.key for info in lake.list() if "/objects/" in info.key} == left

    survived(len(range(1, counting.calls + 1, step)))


@pytest.mark.faults("F49", on=EVERY, slow_on=("local", "s3"))
def test_a_rollback_beside_a_publish_leaves_one_order_of_both(backend: Backend, survived: Survived) -> None:
    """The publish comes before it, and is taken back, or after it, on top of the older version."""
    rollback = operation("rollback", "operations")
    allowed = {content(sound_lake(FIRST).lake), content(sound_lake(FIRST, FOREIGN).lake)}
    plan = schedules(backend)
    for schedule in plan:
        desk = sound_lake(FIRST, SECOND, lake=backend.new())
        desk.landing.put_hint("foreign.json", FOREIGN)

        def back(around: Around, lake: ObjectStore = desk.lake) -> object:
            return rollback(Watched(lake, around), NAME, 1, "the new labels are wrong")

        outcomes = interleaved(schedule, publisher(desk, "foreign.json"), back)

        assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert verify(desk.lake, NAME).problems == []
        label_set = Desk(desk.lake, CONFIG).label_set()
        assert [record.op for record in label_set.log()].count("rollback") == 1
        assert content(desk.lake) in allowed
        assert label_set.version().coco()
    survived(len(plan))


@pytest.mark.faults("F50", on=EVERY)
def test_of_two_tags_of_one_name_one_wins(backend: Backend, survived: Survived) -> None:
    """The other is told so, and the tag never moves."""
    tag = operation("tag", "operations", "tags")
    plan = schedules(backend)
    desk = sound_lake(FIRST, SECOND, lake=backend.new())
    for number, schedule in enumerate(plan):
        works = [
            lambda around, version=version: tag(Watched(desk.lake, around), NAME, f"release-{number}", version)  # noqa: B023
            for version in (1, 2)
        ]

        outcomes = interleaved(schedule, *works)

        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(errors) == 1
        assert isinstance(errors[0], EncordDagsterError)
    survived(len(plan))
