"""Publishers at once: every order of their storage calls with up to two changes of turn, and orders by chance."""

from collections.abc import Callable
from random import Random

import pytest

from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from tests.effort import EFFORT, examples
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
    Crash,
    content,
    published,
    sound_lake,
)
from tests.faults.stepper import Schedule, by_chance, interleaved, overtaken, publisher, twice_overtaken
from tests.lakes import Desk

Survived = Callable[[int], None]


def schedules(backend: Backend) -> list[Schedule]:
    """As many as the store is fast."""
    step, chance = {
        "memory": (16, 4 * EFFORT - 3),
        "local": (64, EFFORT - 1),
        "s3": (64, EFFORT - 1),
        "radosgw": (20 * EFFORT, 0),
    }[backend.name]
    return overtaken(max(1, step // EFFORT)) + (by_chance(chance) if chance else [])


def desk_of(backend: Backend, *exports: bytes) -> Desk:
    """An empty lake and delivered exports `0.json`, `1.json`, ..."""
    desk = Desk(backend.new(), CONFIG)
    for number, data in enumerate(exports):
        desk.landing.put_hint(f"{number}.json", data)
    return desk


def race(backend: Backend, schedule: Schedule, exports: tuple[bytes, ...], versions: set[int], digest: str) -> None:
    """Publish each export by a publisher of its own; all are accounted for, and the content is that of one by one."""
    desk = desk_of(backend, *exports)
    errors = interleaved(schedule, *(publisher(desk, f"{number}.json") for number in range(len(exports))))

    assert not [error for error in errors if isinstance(error, BaseException)]
    assert published(desk.lake)[-1][0] in versions
    assert content(desk.lake) == digest
    assert {export.id for export in exports_in(desk.landing)} <= desk.label_set().accounted()
    assert verify(desk.lake, NAME).problems == []


def race_all(backend: Backend, plan: list[Schedule], exports: tuple[bytes, ...], versions: set[int]) -> int:
    """The same under every schedule of a plan; how many there are."""
    digest = content(sound_lake(*exports).lake)
    for schedule in plan:
        race(backend, schedule, exports, versions, digest)
    return len(plan)


@pytest.mark.faults("F17", on=EVERY)
def test_two_publishers_of_the_same_export_make_one_version(backend: Backend, survived: Survived) -> None:
    """The same bytes under two keys, whatever the order of the calls."""
    survived(race_all(backend, schedules(backend), (FIRST, FIRST), {1}))


@pytest.mark.faults("F18", on=EVERY)
@pytest.mark.parametrize("exports", [(FIRST, SECOND), (SECOND, FIRST)], ids=["older first", "newer first"])
def test_of_a_newer_and_an_older_export_the_newer_wins(
    backend: Backend, exports: tuple[bytes, bytes], survived: Survived
) -> None:
    """And the older one is accounted for."""
    survived(race_all(backend, schedules(backend), exports, {1, 2}))


@pytest.mark.faults("F19", on=EVERY)
def test_two_publishers_of_different_rows_are_both_in(backend: Backend, survived: Survived) -> None:
    """Two versions, and the second holds the rows of both."""
    survived(race_all(backend, schedules(backend), (FIRST, FOREIGN), {2}))


@pytest.mark.slow
@pytest.mark.faults("F17", "F18", "F19", on=("memory",))
@pytest.mark.parametrize(
    ("exports", "versions"),
    [((FIRST, FIRST), {1}), ((FIRST, SECOND), {1, 2}), ((SECOND, FIRST), {1, 2}), ((FIRST, FOREIGN), {2})],
    ids=["the same", "older first", "newer first", "different rows"],
)
def test_many_orders_of_two_publishers_with_two_changes_of_turn(
    backend: Backend, exports: tuple[bytes, ...], versions: set[int], survived: Survived
) -> None:
    """Every place where the first is overtaken; places six apart with as many calls of the second in between."""
    survived(race_all(backend, overtaken(1) + twice_overtaken(6), exports, versions))


@pytest.mark.faults("F21", on=EVERY)
def test_of_three_publishers_by_chance_one_is_killed(backend: Backend, survived: Survived) -> None:
    """The others publish, and when the killed one runs again, all are in."""
    exports, random = (FIRST, SECOND, FOREIGN), Random(9)
    digest = content(sound_lake(*exports).lake)
    plan = by_chance(examples({"memory": 4, "local": 1, "s3": 1}[backend.name]) - 1, works=3)
    for schedule in plan:
        desk = desk_of(backend, *exports)
        works = [publisher(desk, f"{number}.json") for number in range(3)]
        works[0] = _killed(works[0], at=random.randint(1, 40))
        first, *others = interleaved(schedule, *works)

        assert isinstance(first, Crash) or not isinstance(first, BaseException)
        assert not [error for error in others if isinstance(error, BaseException)]
        assert verify(desk.lake, NAME).problems == []
        desk.ingest(next(export for export in exports_in(desk.landing) if export.key == "0.json"))
        assert content(desk.lake) == digest
        assert verify(desk.lake, NAME).problems == []

    survived(len(plan))


def _killed(work: Callable[[Around], object], *, at: int) -> Callable[[Around], object]:
    """The same work, dying at its n-th call."""
    left = [at]

    def killed(around: Around) -> object:
        def dying(call: str, key: str, act: Act) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return around(call, key, act)

        return work(dying)

    return killed
