"""Damaged objects are put back as they were, out of copies or raw exports, or it is said that they cannot."""

from collections.abc import Callable

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.label_set.gc import gc
from encord_dagster.repair import repair
from encord_dagster.storage.memory import MemoryStore
from tests.effort import EFFORT
from tests.label_set.test_faults import CONFIG, FIRST, FOREIGN, NAME, SECOND, Counting, Crash, Watched, copy_of
from tests.label_set.test_verify import THIRD, all_objects, flip, replace
from tests.lakes import Desk

Told = Callable[[str, object], None]


@pytest.fixture(scope="module")
def sound() -> MemoryStore:
    """Three versions."""
    lake = MemoryStore()
    desk = Desk(lake, CONFIG)
    for number, data in enumerate((FIRST, SECOND, FOREIGN)):
        desk.bring(f"{number}.json", data)
    return lake


def everything(lake: MemoryStore) -> dict[str, bytes | None]:
    """All objects of a lake."""
    return {info.key: lake.get(info.key) for info in lake.list()}


@pytest.mark.parametrize(
    "what", ["root 2", "bucket 2", "coco 2", "images 1", "events 3", "annotations/instances.json 1"]
)
def test_any_object_of_a_version_can_be_put_back(sound: MemoryStore, what: str) -> None:
    """A root, a bucket, a shard, events, a plain file: the lake is then what it was."""
    desk = Desk(copy_of(sound), CONFIG)
    ref = all_objects(desk)[what]
    replace(desk, ref.key, flip(desk.lake.get(ref.key) or b""))

    report = repair(desk.lake, NAME, CONFIG)

    assert (report.repaired, report.problems) == ((ref.key,), ())
    assert isinstance(desk.lake, MemoryStore)
    assert everything(desk.lake) == everything(sound)


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_label_set_of_which_all_objects_are_damaged_is_put_back(
    sound: MemoryStore, damage: str, record_testsuite_property: Told
) -> None:
    """Log, claims and raw copies are enough."""
    desk = Desk(copy_of(sound), CONFIG)
    named = {ref.key for ref in all_objects(desk).values()}
    for key in named:
        replace(desk, key, flip(desk.lake.get(key) or b"") if damage == "flipped" else None)

    report = repair(desk.lake, NAME, CONFIG)

    assert (set(report.repaired), report.problems) == (named, ())
    assert isinstance(desk.lake, MemoryStore)
    assert everything(desk.lake) == everything(sound)
    record_testsuite_property("faults repaired", len(named))


def test_versions_of_several_epochs_are_put_back(sound: MemoryStore) -> None:
    """After a gc that dropped versions, objects of the old and of the new epoch are made again alike."""
    lake = copy_of(sound)
    gc(lake, NAME, keep=1)
    desk = Desk(lake, CONFIG)
    desk.bring("more.json", THIRD)
    whole = everything(lake)
    for ref in (desk.label_set().version(number).record.root for number in (3, 4)):
        assert ref
        replace(desk, ref.key, b"torn")

    report = repair(lake, NAME, CONFIG)

    assert (len(report.repaired), report.problems) == (2, ())
    assert everything(lake) == whole


def test_a_copy_of_another_epoch_is_enough(sound: MemoryStore) -> None:
    """Also where the raw copies are gone; the damaged copy beside it is not taken."""
    desk = Desk(copy_of(sound), CONFIG)
    ref = all_objects(desk)["images 1"]
    desk.lake.create(layout.content(NAME, 4, ref.sha256), b"torn")
    desk.lake.create(layout.content(NAME, 5, ref.sha256), desk.lake.get(ref.key) or b"")
    for key in [*desk.written("raw/"), ref.key]:
        desk.lake.delete(key)

    report = repair(desk.lake, NAME, CONFIG)

    assert (report.repaired, report.problems) == ((ref.key,), ())


@pytest.mark.parametrize("why", ["no raw copies", "altered raw copies", "another configuration"])
def test_what_cannot_be_made_again_is_told_and_left(sound: MemoryStore, why: str) -> None:
    """No other bytes are put in its place."""
    desk = Desk(copy_of(sound), CONFIG)
    ref = all_objects(desk)["coco 3"]
    replace(desk, ref.key, b"torn")
    for key in desk.written("raw/") if "raw" in why else ():
        replace(desk, key, b"torn" if "altered" in why else None)
    config = msgspec.structs.replace(CONFIG, branch="other") if "configuration" in why else CONFIG

    report = repair(desk.lake, NAME, config)

    assert report.repaired == ()
    assert [text for text in report.problems if text.startswith(ref.key)]
    assert desk.lake.get(ref.key) == b"torn"


def test_a_repair_that_dies_at_any_storage_call_is_finished_by_the_next(
    sound: MemoryStore, record_testsuite_property: Told
) -> None:
    """Nothing that was whole is touched."""
    base = copy_of(sound)
    ref = all_objects(Desk(base, CONFIG))["bucket 3"]
    replace(Desk(base, CONFIG), ref.key, b"torn")
    counting = Counting()
    repair(Watched(copy_of(base), counting), NAME, CONFIG)
    places = range(1, counting.calls + 1, 1 if EFFORT > 1 else 29)

    for at in places:
        lake = copy_of(base)
        with pytest.raises(Crash):
            repair(Watched(lake, Counting(at)), NAME, CONFIG)
        repair(lake, NAME, CONFIG)

        assert everything(lake) == everything(sound)

    record_testsuite_property("faults survived", len(places))
