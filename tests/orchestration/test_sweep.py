"""The decision which exports are new, without Dagster."""

from bisect import bisect_right

import pytest

from encord_dagster.landing import Export
from encord_dagster.orchestration.sweep import (
    Cursor,
    Limits,
    Sighting,
    blocks,
    left_behind,
    read_cursor,
    requests,
    summary,
    sweep,
    write_cursor,
)


def _export(number: int) -> Export:
    return Export(id=f"id-{number:04}", key=f"{number:04}.json", size=1, etag="e", last_modified="2026-01-01T00:00:00Z")


def _look(export: Export) -> Sighting:
    return Sighting(export=export, hashes=(f"hash-{export.id}",))


def _never() -> bool:
    return False


def test_a_tick_stops_at_its_cap_and_the_next_goes_on_behind_it() -> None:
    """No export is skipped where one tick ends and the next begins."""
    exports = [_export(number) for number in range(5)]
    limits = Limits(exports=3)

    first = sweep(exports, known=set(), cursor=Cursor(), look=_look, limits=limits, expired=_never)
    rest = [export for export in exports if export.key > first.cursor.after]
    second = sweep(rest, known=set(), cursor=first.cursor, look=_look, limits=limits, expired=_never)

    assert [item.export for item in (*first.sightings, *second.sightings)] == exports
    assert (first.complete, second.complete) == (False, True)
    assert second.cursor == Cursor(after="", sweep=1)


def test_a_tick_without_any_time_still_gets_one_export_further() -> None:
    """A slow store cannot make the sensor stand still."""
    exports = [_export(1), _export(2)]

    seen = sweep(exports, known=set(), cursor=Cursor(), look=_look, limits=Limits(), expired=lambda: True)

    assert [item.export.id for item in seen.new] == ["id-0001"]
    assert seen.cursor == Cursor(after="0001.json", sweep=0)


def test_known_exports_count_against_the_page_and_are_not_looked_at() -> None:
    """A large landing prefix is walked in pages even where nothing is new."""
    exports = [_export(number) for number in range(10)]
    known = {export.id for export in exports}

    def look(export: Export) -> Sighting:
        raise AssertionError(f"looked at {export.id}")

    seen = sweep(exports, known=known, cursor=Cursor(), look=look, limits=Limits(listed=4), expired=_never)

    assert (seen.listed, seen.cursor.after, seen.sightings) == (4, "0003.json", ())


def test_what_the_label_set_accounts_for_is_not_new_and_is_told() -> None:
    """It counts against the cap, as each becomes a partition."""
    exports = [_export(number) for number in range(4)]

    def look(export: Export) -> Sighting:
        return Sighting(export=export, accounted=export.id != "id-0001")

    seen = sweep(exports, known=set(), cursor=Cursor(), look=look, limits=Limits(exports=3), expired=_never)

    assert [item.export.id for item in seen.new] == ["id-0001"]
    assert [item.export.id for item in seen.accounted] == ["id-0000", "id-0002"]
    assert "1 new" in summary(seen)
    assert "2 are accounted for" in summary(seen)


@pytest.mark.parametrize("text", ["", "garbage", "{}x", '{"v":2,"after":"a"}', '{"after":7}', "[1]", '"a"'])
def test_an_unreadable_cursor_starts_the_sweep_again(text: str) -> None:
    """Text of another release or hand is never an error; it is said aloud unless it is simply empty."""
    cursor, complaint = read_cursor(text)

    assert cursor == Cursor()
    assert (complaint is None) == (text == "")


def test_a_cursor_survives_being_stored() -> None:
    """Written and read back it is the same."""
    cursor = Cursor(after='weird "key"\n.json', sweep=3)

    assert read_cursor(write_cursor(cursor)) == (cursor, None)


@pytest.mark.parametrize(("new", "sizes"), [(0, []), (1, [1]), (3, [1, 1, 1]), (4, [4]), (100, [100])])
def test_few_exports_get_a_run_each_and_many_get_one(new: int, sizes: list[int]) -> None:
    """Up to three runs for latency, one run for throughput."""
    found = requests([_look(_export(number)) for number in range(new)])

    assert [len(request.keys) for request in found] == sizes
    assert all(len(request.hashes) <= 3 for request in found)


def test_blocks_hold_only_wanted_neighbours() -> None:
    """A range run would take a partition that lies between two wanted ones."""
    partitions = ["a", "b", "c", "d", "e", "f"]

    found = [request.keys for request in blocks(partitions, {"a", "b", "d", "e", "f"}, size=2)]

    assert found == [("a", "b"), ("d", "e"), ("f",)]


KNOWN = 100_000
INTERVAL = 30  # the sensor's default
LATE = 5  # the daemon looks every five seconds which sensors are due
TICK = 15  # a generous time for one tick: 60 pages of S3, 200 ms each, and Dagster


@pytest.mark.parametrize("place", [0, 59_999, 60_000, 99_999, KNOWN], ids=str)
@pytest.mark.parametrize("moment", [0, TICK, INTERVAL, INTERVAL + LATE], ids=str)
def test_a_new_export_among_a_hundred_thousand_is_asked_for_within_two_minutes(place: int, moment: int) -> None:
    """Wherever its key sorts and whenever it comes: by a clock of ours, over the sweep's own limits."""
    keys = [f"{number:06}" for number in range(KNOWN)]
    known = set(keys)
    new = f"{place:06}-new" if place else "-new"
    cursor, now, arrives, asked = Cursor(), 0, INTERVAL + LATE + moment, -1  # the first tick finds it not there
    while asked < 0:
        there = sorted([*keys, new]) if now >= arrives else keys  # worst: a page is listed as the tick begins
        start = bisect_right(there, cursor.after)
        listed = map(_keyed, there[start:])
        seen = sweep(listed, known=known, cursor=cursor, look=_look, limits=Limits(), expired=_never)
        cursor = seen.cursor
        asked = now + TICK if seen.new else -1
        now += INTERVAL + LATE

    assert asked - arrives <= 120


def _keyed(key: str) -> Export:
    return Export(id=key, key=key, size=1, etag="e", last_modified="2026-01-01T00:00:00Z")


def test_a_pass_over_a_hundred_thousand_takes_two_ticks() -> None:
    """No tick lists more than its limit, and the two list all."""
    exports = [_keyed(f"{number:06}") for number in range(KNOWN)]
    known = {export.id for export in exports}

    first = sweep(exports, known=known, cursor=Cursor(), look=_look, limits=Limits(), expired=_never)
    rest = [export for export in exports if export.key > first.cursor.after]
    second = sweep(rest, known=known, cursor=first.cursor, look=_look, limits=Limits(), expired=_never)

    assert (first.listed, second.listed, second.complete) == (60_000, 40_000, True)


def test_what_a_tick_left_behind_is_what_was_added_behind_the_last_one_that_was_done() -> None:
    """A cursor of an earlier release does not say, and a lost one neither."""
    partitions = ["a", "b", "c"]

    assert left_behind(partitions, Cursor(known=1)) == ["b", "c"]
    assert left_behind(partitions, Cursor(known=9)) == []
    assert left_behind(partitions, Cursor()) == []
    assert read_cursor('{"v":1,"after":"a","sweep":2}') == (Cursor(after="a", sweep=2), None)
