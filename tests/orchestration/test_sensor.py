"""The sensor over a landing prefix: what it adds, requests, records and says."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from encord_dagster.label_set import history, sources
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.sources import find_export
from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.sweep import Sighting
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests.orchestration.world import NAME, PARTITIONS, World


def _ids(ticking: World) -> list[str]:
    return [export.id for export in exports_in(ticking.landing)]


def _partitions(ticking: World) -> list[str]:
    return list(ticking.instance.get_dynamic_partitions(PARTITIONS))


def test_nothing_new_is_skipped_with_what_was_seen(ticking: World) -> None:
    """The reason counts the listing, so that an empty prefix looks different from a quiet one."""
    ticking.deliver("a.json", "b.json")
    ticking.tick()

    result = ticking.tick()

    assert not result.requests
    assert not result.added
    assert "2 exports listed" in (result.skipped or "")


@pytest.mark.parametrize("count", [1, 3])
def test_up_to_three_new_exports_get_a_run_each(ticking: World, count: int) -> None:
    """Each request names its partition and its export hashes."""
    ticking.deliver(*(f"{number}.json" for number in range(count)))

    result = ticking.tick()

    requests = result.requests
    assert [request.partition_key for request in requests] == _ids(ticking) == _partitions(ticking)
    assert [request.tags[names.EXPORT_HASH_TAG] for request in requests] == [
        f"hash-of-{number}" for number in range(count)
    ]


def test_four_new_exports_get_one_range_run(ticking: World) -> None:
    """The range goes from the first to the last of the keys, which are neighbours."""
    ticking.deliver("a.json", "b.json", "c.json", "d.json")

    result = ticking.tick()

    (request,) = result.requests
    ids = _ids(ticking)
    assert _partitions(ticking) == ids
    assert (request.tags[names.RANGE_START_TAG], request.tags[names.RANGE_END_TAG]) == (ids[0], ids[-1])
    assert request.partition_key is None
    assert request.tags[names.EXPORT_HASH_TAG] == "hash-of-a,hash-of-b,hash-of-c"


def test_a_hundred_and_fifty_new_exports_take_two_ticks(ticking: World) -> None:
    """One tick brings at most a hundred; the cursor makes the next one go on from there."""
    ticking.deliver(*(f"{number:03}.json" for number in range(150)))

    first = ticking.tick()
    second = ticking.tick(first.cursor)

    assert [len(result.requests) for result in (first, second)] == [1, 1]
    assert _partitions(ticking) == _ids(ticking)
    assert '"after":"099.json"' in (first.cursor or "")
    assert '"after":"","sweep":1' in (second.cursor or "")


def test_an_export_behind_the_cursor_is_found_by_the_next_pass(ticking: World) -> None:
    """Keys need not grow: the sweep wraps round."""
    ticking.deliver("m.json")
    cursor = '{"v":1,"after":"n.json","sweep":0}'

    first = ticking.tick(cursor)
    second = ticking.tick(first.cursor)

    assert not first.requests
    assert [request.partition_key for request in second.requests] == _ids(ticking)


def test_a_garbage_cursor_costs_a_pass_and_loses_nothing(ticking: World) -> None:
    """The sweep starts again at the first key."""
    ticking.deliver("a.json")

    result = ticking.tick("not a cursor")

    assert len(result.requests) == 1


def test_exports_of_the_same_second_are_all_found(ticking: World) -> None:
    """Times are no part of the decision: a second file of an already swept second is new too."""
    ticking.deliver("b.json")
    first = ticking.tick()
    ticking.deliver("a.json")

    second = ticking.tick(first.cursor)

    assert len(second.requests) == 1
    assert sorted(_partitions(ticking)) == sorted(_ids(ticking))


def test_a_rewritten_key_is_a_new_export(ticking: World) -> None:
    """The id is minted from key, ETag and size, so other bytes under one key get a partition of their own."""
    ticking.deliver("a.json", data=b"one")
    ticking.tick()
    ticking.deliver("a.json", data=b"two")

    result = ticking.tick()

    assert len(result.requests) == 1
    assert len(set(_partitions(ticking))) == 2


def test_the_source_of_an_unseen_export_is_written_in_the_tick(ticking: World) -> None:
    """A backfill, or a new Dagster database, finds the object by its id alone."""
    ticking.deliver("a.json")

    ticking.tick()

    (export,) = exports_in(ticking.landing)
    assert find_export(ticking.lake, NAME, export.id) == export


def test_a_lost_partition_gets_a_run_with_another_run_key(ticking: World) -> None:
    """Dagster would drop a repeated run key without a word."""
    ticking.deliver("a.json")
    first = ticking.tick().requests[0]
    ticking.instance.create_run_for_job(ticking.defs.resolve_job_def("street_ingest"), tags=dict(first.tags))
    ticking.instance.delete_dynamic_partition(PARTITIONS, first.partition_key or "")

    second = ticking.tick().requests[0]

    assert second.partition_key == first.partition_key
    assert second.run_key != first.run_key


def _account(monkeypatch: pytest.MonkeyPatch, export: Export) -> None:
    monkeypatch.setattr(Accounted, "all", lambda self: {export.id: None})
    monkeypatch.setattr(Accounted, "__contains__", lambda self, export_id: export_id == export.id)


def test_bytes_that_are_accounted_for_become_a_second_source_without_a_run(
    ticking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes under another key: a partition that says so, recorded in the lake, and no run."""
    data = b'[{"export_hash": "hash-1"}]'
    ticking.deliver("a.json", data=data)
    ticking.tick()
    (first,) = exports_in(ticking.landing)
    sources.claim_bytes(ticking.lake, hashlib.sha256(data).hexdigest(), first)
    _account(monkeypatch, first)
    ticking.deliver("b.json", data=data)

    result = ticking.tick()

    second = next(export for export in exports_in(ticking.landing) if export.key == "b.json")
    assert not result.requests
    assert f"{second.id} = {first.id}" in (result.skipped or "")
    assert [(event.asset_key.path[-1], event.partition) for event in result.events] == [("raw_export", second.id)]
    assert second.id in sources.accounted(ticking.lake, NAME)
    assert find_export(ticking.lake, NAME, second.id) == second
    assert (ticking.tick().skipped or "").endswith("0 new")


def test_a_tick_without_unseen_exports_does_not_read_the_log(ticking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks come every half minute, for ever."""
    ticking.deliver("a.json")
    ticking.tick()

    def refuse(*_: object) -> None:
        raise AssertionError("the log is read")

    monkeypatch.setattr(history, "head", refuse)

    assert not ticking.tick().added


def test_the_log_is_read_once_for_all_unseen_exports_of_a_tick(ticking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many may be unseen, when Dagster's database is lost."""
    read: list[str] = []
    head = history.head

    def told(lake: ObjectStore, name: str) -> history.Head:
        read.append(name)
        return head(lake, name)

    monkeypatch.setattr(history, "head", told)
    ticking.deliver("a.json", "b.json", "c.json")

    ticking.tick()

    assert read == [NAME]


def test_forgotten_exports_that_are_accounted_for_become_partitions_again_a_hundred_a_tick(
    ticking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their bytes are not looked at, and the new one among them gets its run."""
    ticking.deliver(*(f"{number:03}.json" for number in range(150)))
    by_key = {export.key: export for export in exports_in(ticking.landing)}
    monkeypatch.setattr(Accounted, "__contains__", lambda self, export_id: export_id != by_key["120.json"].id)
    looked: list[str] = []

    def look(landing: ObjectStore, export: Export) -> Sighting:
        looked.append(export.key)
        return Sighting(export=export)

    monkeypatch.setattr("encord_dagster.orchestration.sensor.peek", look)

    first = ticking.tick()
    second = ticking.tick(first.cursor)

    assert looked == ["120.json"]
    assert not first.requests
    assert "100 are accounted for by the label set" in (first.skipped or "")
    assert [request.partition_key for request in second.requests] == [by_key["120.json"].id]
    assert [len(result.added) for result in (first, second)] == [100, 50]
    assert all(find_export(ticking.lake, NAME, export.id) == export for export in by_key.values())


def test_new_exports_stay_neighbours_when_a_duplicate_lies_between_them(
    ticking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range run must not take the duplicate along."""
    data = b"same"
    ticking.deliver("0.json", data=data)
    ticking.tick()
    (first,) = exports_in(ticking.landing)
    sources.claim_bytes(ticking.lake, hashlib.sha256(data).hexdigest(), first)
    _account(monkeypatch, first)
    ticking.deliver("a.json", "b.json", "d.json", "e.json")
    ticking.deliver("c.json", data=data)

    (request,) = ticking.tick().requests

    partitions = _partitions(ticking)
    start = partitions.index(request.tags[names.RANGE_START_TAG])
    stop = partitions.index(request.tags[names.RANGE_END_TAG]) + 1
    by_id = {export.id: export.key for export in exports_in(ticking.landing)}
    assert [by_id[key] for key in partitions[start:stop]] == ["a.json", "b.json", "d.json", "e.json"]


def test_what_a_cut_off_tick_made_partitions_of_is_asked_for_by_the_next(ticking: World) -> None:
    """The daemon adds partitions before it keeps cursor and requests; killed between, it has forgotten the runs."""
    before = ticking.tick()
    ticking.deliver("a.json", "b.json")
    cut_off = ticking.tick(before.cursor)
    ticking.deliver("c.json")

    after = ticking.tick(before.cursor)
    later = ticking.tick(after.cursor)

    ranged, single = after.requests
    ends = (ranged.tags[names.RANGE_START_TAG], ranged.tags[names.RANGE_END_TAG])
    assert ends == tuple(cut_off.added)
    assert [single.partition_key] == after.added
    assert (later.requests, later.added) == ([], [])


def test_partitions_that_others_added_are_left_to_their_runs(ticking: World) -> None:
    """The reconcile schedule adds partitions too; a run that is busy with them is enough."""
    before = ticking.tick()
    (key,) = ticking.delivered("a.json")
    job = ticking.defs.resolve_job_def("street_ingest")
    run = ticking.instance.create_run_for_job(job, tags={names.LABEL_SET_TAG: NAME, names.PARTITION_TAG: key})

    while_busy = ticking.tick(before.cursor)
    ticking.instance.delete_run(run.run_id)
    without = ticking.tick(before.cursor)

    assert while_busy.requests == []
    assert [request.partition_key for request in without.requests] == [key]


def test_partitions_typed_by_hand_are_not_asked_for(ticking: World) -> None:
    """There is no export behind them."""
    before = ticking.tick()
    ticking.instance.add_dynamic_partitions(PARTITIONS, ["20260101T000000Z-0123456789ab"])

    after = ticking.tick(before.cursor)

    assert after.requests == []
    assert ticking.tick(after.cursor).requests == []


def test_a_lost_cursor_does_not_look_at_all_partitions_again(ticking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a hundred thousand; what is missing among them is the reconcile schedule's."""
    ticking.deliver("a.json")
    ticking.tick()

    def refuse(*_: object) -> None:
        raise AssertionError("the log is read")

    monkeypatch.setattr(history, "head", refuse)

    assert ticking.tick("{").requests == []


def test_deleted_partitions_cost_nothing_but_a_look(ticking: World) -> None:
    """Fewer are there than the cursor remembers."""
    ticking.deliver("a.json", "b.json")
    first = ticking.tick()
    ticking.instance.delete_dynamic_partition(PARTITIONS, first.added[0])

    again = ticking.tick(first.cursor)

    assert [request.partition_key for request in again.requests] == [first.added[0]]
    assert ticking.tick(again.cursor).requests == []


def test_what_is_deleted_after_it_was_seen_is_not_asked_for_again(ticking: World) -> None:
    """Nor is what is left; the same key with other bytes later is another export."""
    ticking.deliver("a.json", "b.json")
    first = ticking.tick()
    ticking.landing.delete("a.json")

    second = ticking.tick(first.cursor)
    ticking.deliver("a.json", data=b"others")
    third = ticking.tick(second.cursor)

    assert (second.requests, second.added) == ([], [])
    assert len(third.added) == 1
    assert third.added[0] not in first.added


def test_a_clock_that_jumps_hides_nothing(ticking: World) -> None:
    """The store's times go back a year and forth ten: they are part of ids, and of no decision."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    cursor, added = None, list[str]()
    for number, days in enumerate((0, -365, 3650, -1, 0)):
        now = moment + timedelta(days=days)
        set_clock(ticking, now)
        ticking.deliver(f"{9 - number}.json")
        tick = ticking.tick(cursor)
        cursor = tick.cursor
        added += [request.partition_key or "" for request in tick.requests]

    assert sorted(added) == sorted(_ids(ticking))
    assert len(added) == 5


def set_clock(world: World, now: datetime) -> None:
    """Have the landing store think that it is then."""
    assert isinstance(world.landing, MemoryStore)
    world.landing._now = lambda: now
