"""Two at once of which neither is a plain publish: operators beside garbage collection, and beside publishers."""

from collections.abc import Callable

import msgspec
import pytest

from encord_dagster.errors import VersionGone
from encord_dagster.label_set import history
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.operations import release, rollback
from encord_dagster.label_set.retire import retire
from encord_dagster.label_set.tags import read_tag, tag
from encord_dagster.label_set.verify import verify
from encord_dagster.storage.protocol import ObjectStore
from tests.effort import EFFORT
from tests.faults.registry import EVERY
from tests.faults.stage import CONFIG, FIRST, FOREIGN, NAME, SECOND, Around, Backend, Watched, content, sound_lake
from tests.faults.stepper import Schedule, by_chance, interleaved, overtaken, publisher, twice_overtaken
from tests.label_set.test_operations import BOTH, WITHOUT_POINTS, dated, row
from tests.lakes import Desk

Survived = Callable[[int], None]
Work = Callable[[Around], object]


def schedules(backend: Backend) -> list[Schedule]:
    """As many as the store is fast; those of two operators are short, so few steps are all."""
    if backend.name != "memory":
        return overtaken(20 if backend.name == "radosgw" else max(1, 40 // EFFORT), calls=40)
    return overtaken(max(1, 12 // EFFORT), calls=48) + twice_overtaken(max(7, 20 // EFFORT), calls=40) + by_chance(1)


def through(lake: ObjectStore, act: Callable[[ObjectStore], object]) -> Work:
    """A work: do something to a lake."""
    return lambda around: act(Watched(lake, around))


def sound(desk: Desk) -> None:
    """Nothing is damaged, and readers get the newest version whole."""
    assert verify(desk.lake, NAME).problems == []
    version = desk.label_set().version()
    assert version.table("annotations").num_rows == version.root.annotations
    assert version.coco()


def failures(outcomes: list[object]) -> list[BaseException]:
    """What was raised."""
    return [outcome for outcome in outcomes if isinstance(outcome, BaseException)]


@pytest.mark.faults("F43", "F49", on=EVERY)
def test_a_rollback_beside_a_collection_gets_a_whole_version_or_is_told_that_it_is_gone(
    backend: Backend, survived: Survived
) -> None:
    """The collection is about to drop the version that the rollback goes back to."""
    plan, told = schedules(backend), 0
    first = content(sound_lake(FIRST).lake)
    for schedule in plan:
        desk = sound_lake(FIRST, SECOND, lake=backend.new())

        back, collected = interleaved(
            schedule,
            through(desk.lake, lambda lake: rollback(lake, NAME, 1, "the new labels are wrong")),
            through(desk.lake, lambda lake: gc(lake, NAME, keep=1)),
        )

        assert not failures([collected])
        assert isinstance(back, VersionGone) or not failures([back])
        sound(desk)
        assert (content(desk.lake) == first) is not isinstance(back, VersionGone)
        told += isinstance(back, VersionGone)
        gc(desk.lake, NAME, keep=1)
        sound(desk)
    assert backend.name != "memory" or 0 < told < len(plan)
    survived(len(plan))


@pytest.mark.faults("F43", "F50", on=EVERY, slow_on=("local", "s3"))
def test_a_tag_beside_a_collection_keeps_its_version_or_is_told_that_it_is_gone(
    backend: Backend, survived: Survived
) -> None:
    """A tag that was made stands for a version that can be read, now and after further collections."""
    plan, told = schedules(backend), 0
    for schedule in plan:
        desk = sound_lake(FIRST, SECOND, lake=backend.new())
        then = desk.label_set().version(1).coco()

        made, collected = interleaved(
            schedule,
            through(desk.lake, lambda lake: tag(lake, NAME, "golden", 1)),
            through(desk.lake, lambda lake: gc(lake, NAME, keep=1)),
        )

        assert not failures([collected])
        assert isinstance(made, VersionGone) or not failures([made])
        sound(desk)
        gc(desk.lake, NAME, keep=1)
        sound(desk)
        told += isinstance(made, VersionGone)
        if isinstance(made, VersionGone):
            continue
        assert read_tag(desk.lake, NAME, "golden")
        assert desk.label_set().version("golden").coco() == then
    assert backend.name != "memory" or 0 < told < len(plan)
    survived(len(plan))


@pytest.mark.faults("F18", "F19", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("other", [FOREIGN, SECOND], ids=["other rows", "the same row again"])
def test_a_row_retired_beside_a_publish_stays_out_and_the_publish_is_in(
    backend: Backend, other: bytes, survived: Survived
) -> None:
    """Also where the publish brings the row anew."""
    plan, one_by_one = schedules(backend), sound_lake(FIRST, other)
    gone = min(held.label_hash for held in one_by_one.label_set().version().label_rows())
    if other is FOREIGN:
        gone = min(held.label_hash for held in sound_lake(FIRST).label_set().version().label_rows())
    retire(one_by_one.lake, NAME, "consent withdrawn", label_hashes=[gone])
    for schedule in plan:
        desk = sound_lake(FIRST, lake=backend.new())
        desk.landing.put_hint("other.json", other)

        outcomes = interleaved(
            schedule,
            publisher(desk, "other.json"),
            through(desk.lake, lambda lake: retire(lake, NAME, "consent withdrawn", label_hashes=[gone])),
        )

        assert not failures(outcomes)
        sound(desk)
        assert content(desk.lake) == content(one_by_one.lake)
        assert [record.op for record in desk.label_set().log()].count("retire") == 1
        assert gone not in {held.label_hash for held in desk.label_set().version().label_rows()}
    survived(len(plan))


@pytest.mark.faults("F18", "F19", on=EVERY, slow_on=("local", "s3"))
def test_a_release_beside_a_publish_gives_readers_both(backend: Backend, survived: Survived) -> None:
    """What is held back and what comes meanwhile, in one order or the other."""
    more = dated(9, row("c", 2))
    everything = Desk(config=msgspec.structs.replace(CONFIG, hold_back=()))
    for number, data in enumerate((BOTH, WITHOUT_POINTS, more)):
        everything.bring(f"{number}.json", data)
    plan = schedules(backend)
    for schedule in plan:
        desk = sound_lake(BOTH, WITHOUT_POINTS, lake=backend.new())
        head = history.head(desk.lake, NAME).record
        assert head
        assert head.held
        desk.landing.put_hint("more.json", more)

        outcomes = interleaved(
            schedule,
            publisher(desk, "more.json"),
            through(desk.lake, lambda lake: release(lake, NAME, "as intended")),
        )

        assert not failures(outcomes)
        sound(desk)
        record = history.head(desk.lake, NAME).record
        assert record
        assert record.held is None
        assert content(desk.lake) == content(everything.lake)
    survived(len(plan))
