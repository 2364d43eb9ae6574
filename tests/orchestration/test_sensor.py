"""The sensor over a landing prefix: what it adds, requests, records and says."""

import hashlib

import pytest

from encord_dagster.label_set import sources
from encord_dagster.label_set.sources import find_export
from encord_dagster.landing import exports_in
from encord_dagster.orchestration import names
from tests.orchestration.world import NAME, PARTITIONS, World


def _ids(world: World) -> list[str]:
    return [export.id for export in exports_in(world.landing)]


def _partitions(world: World) -> list[str]:
    return list(world.instance.get_dynamic_partitions(PARTITIONS))


def test_nothing_new_is_skipped_with_what_was_seen(world: World) -> None:
    """The reason counts the listing, so that an empty prefix looks different from a quiet one."""
    world.deliver("a.json", "b.json")
    world.tick()

    result = world.tick()

    assert not result.requests
    assert not result.added
    assert "2 exports listed" in (result.skipped or "")


@pytest.mark.parametrize("count", [1, 3])
def test_up_to_three_new_exports_get_a_run_each(world: World, count: int) -> None:
    """Each request names its partition and its export hashes."""
    world.deliver(*(f"{number}.json" for number in range(count)))

    result = world.tick()

    requests = result.requests
    assert [request.partition_key for request in requests] == _ids(world) == _partitions(world)
    assert [request.tags[names.EXPORT_HASH_TAG] for request in requests] == [
        f"hash-of-{number}.json" for number in range(count)
    ]


def test_four_new_exports_get_one_range_run(world: World) -> None:
    """The range goes from the first to the last of the keys, which are neighbours."""
    world.deliver("a.json", "b.json", "c.json", "d.json")

    result = world.tick()

    (request,) = result.requests
    ids = _ids(world)
    assert _partitions(world) == ids
    assert (request.tags[names.RANGE_START_TAG], request.tags[names.RANGE_END_TAG]) == (ids[0], ids[-1])
    assert request.partition_key is None
    assert request.tags[names.EXPORT_HASH_TAG] == "hash-of-a.json,hash-of-b.json,hash-of-c.json"


def test_a_hundred_and_fifty_new_exports_take_two_ticks(world: World) -> None:
    """One tick brings at most a hundred; the cursor makes the next one go on from there."""
    world.deliver(*(f"{number:03}.json" for number in range(150)))

    first = world.tick()
    second = world.tick(first.cursor)

    assert [len(result.requests) for result in (first, second)] == [1, 1]
    assert _partitions(world) == _ids(world)
    assert '"after":"099.json"' in (first.cursor or "")
    assert '"after":"","sweep":1' in (second.cursor or "")


def test_an_export_behind_the_cursor_is_found_by_the_next_pass(world: World) -> None:
    """Keys need not grow: the sweep wraps round."""
    world.deliver("m.json")
    cursor = '{"v":1,"after":"n.json","sweep":0}'

    first = world.tick(cursor)
    second = world.tick(first.cursor)

    assert not first.requests
    assert [request.partition_key for request in second.requests] == _ids(world)


def test_a_garbage_cursor_costs_a_pass_and_loses_nothing(world: World) -> None:
    """The sweep starts again at the first key."""
    world.deliver("a.json")

    result = world.tick("not a cursor")

    assert len(result.requests) == 1


def test_exports_of_the_same_second_are_all_found(world: World) -> None:
    """Times are no part of the decision: a second file of an already swept second is new too."""
    world.deliver("b.json")
    first = world.tick()
    world.deliver("a.json")

    second = world.tick(first.cursor)

    assert len(second.requests) == 1
    assert sorted(_partitions(world)) == sorted(_ids(world))


def test_a_rewritten_key_is_a_new_export(world: World) -> None:
    """The id is minted from key, ETag and size, so other bytes under one key get a partition of their own."""
    world.deliver("a.json", data=b"one")
    world.tick()
    world.deliver("a.json", data=b"two")

    result = world.tick()

    assert len(result.requests) == 1
    assert len(set(_partitions(world))) == 2


def test_the_source_of_an_unseen_export_is_written_in_the_tick(world: World) -> None:
    """A backfill, or a new Dagster database, finds the object by its id alone."""
    world.deliver("a.json")

    world.tick()

    (export,) = exports_in(world.landing)
    assert find_export(world.lake, NAME, export.id) == export


def test_a_lost_partition_gets_a_run_with_another_run_key(world: World) -> None:
    """Dagster would drop a repeated run key without a word."""
    world.deliver("a.json")
    first = world.tick().requests[0]
    world.instance.create_run_for_job(world.defs.resolve_job_def("street_ingest"), tags=dict(first.tags))
    world.instance.delete_dynamic_partition(PARTITIONS, first.partition_key or "")

    second = world.tick().requests[0]

    assert second.partition_key == first.partition_key
    assert second.run_key != first.run_key


def test_bytes_that_are_accounted_for_become_a_second_source_without_a_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes under another key: a partition that says so, recorded in the lake, and no run."""
    data = b'[{"export_hash": "hash-1"}]'
    world.deliver("a.json", data=data)
    world.tick()
    (first,) = exports_in(world.landing)
    sources.claim_bytes(world.lake, hashlib.sha256(data).hexdigest(), first)
    monkeypatch.setattr(sources.history, "accounted", lambda lake, name, upto: {first.id: None})
    world.deliver("b.json", data=data)

    result = world.tick()

    second = next(export for export in exports_in(world.landing) if export.key == "b.json")
    assert not result.requests
    assert f"{second.id} = {first.id}" in (result.skipped or "")
    assert [(event.asset_key.path[-1], event.partition) for event in result.events] == [("raw_export", second.id)]
    assert second.id in sources.accounted(world.lake, NAME)
    assert find_export(world.lake, NAME, second.id) == second
    assert (world.tick().skipped or "").endswith("0 new")


def test_new_exports_stay_neighbours_when_a_duplicate_lies_between_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range run must not take the duplicate along."""
    data = b"same"
    world.deliver("0.json", data=data)
    world.tick()
    (first,) = exports_in(world.landing)
    sources.claim_bytes(world.lake, hashlib.sha256(data).hexdigest(), first)
    monkeypatch.setattr(sources.history, "accounted", lambda lake, name, upto: {first.id: None})
    world.deliver("a.json", "b.json", "d.json", "e.json")
    world.deliver("c.json", data=data)

    (request,) = world.tick().requests

    partitions = _partitions(world)
    start = partitions.index(request.tags[names.RANGE_START_TAG])
    stop = partitions.index(request.tags[names.RANGE_END_TAG]) + 1
    by_id = {export.id: export.key for export in exports_in(world.landing)}
    assert [by_id[key] for key in partitions[start:stop]] == ["a.json", "b.json", "d.json", "e.json"]
