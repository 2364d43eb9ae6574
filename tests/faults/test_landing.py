"""Faults of the landing prefix: exports that come late, twice, out of order, half, changed or not at all."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster import layout
from encord_dagster.errors import StorageError
from encord_dagster.label_set import sources
from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration.sweep import Cursor, Limits, Sighting, sweep
from encord_dagster.pipeline import ingest
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectInfo, ObjectStore
from tests import factories as make
from tests.effort import examples
from tests.faults.registry import EVERY
from tests.faults.stage import CONFIG, FIRST, FOREIGN, NAME, SECOND, Backend, content, published, seen, sound_lake
from tests.lakes import Desk, exported_again

Survived = Callable[[int], None]
THIRD = exported_again(SECOND, days=2, changed=1)
BURST = {"first": FIRST, "second": SECOND, "third": THIRD, "foreign": FOREIGN}


def desk_of(backend: Backend) -> Desk:
    """Landing prefix and lake, both in such a store."""
    desk = Desk(backend.new(), CONFIG)
    desk.landing = backend.new()
    return desk


def rewrite(desk: Desk, key: str, data: bytes) -> Export:
    """Put other bytes under a key of the landing prefix."""
    desk.landing.put_hint(key, data)
    return next(export for export in exports_in(desk.landing) if export.key == key)


@pytest.mark.faults("F29", on=EVERY)
def test_an_export_older_than_what_is_published_changes_nothing(backend: Backend) -> None:
    """It is accounted for by an observe, and never asked for again."""
    desk = desk_of(backend)
    desk.bring("new.json", SECOND)
    before = seen(desk.lake)

    batch = desk.bring("late.json", FIRST)

    assert [outcome.status for outcome in batch.outcomes] == ["observed"]
    assert seen(desk.lake) == before
    assert len(published(desk.lake)) == 1
    assert {export.id for export in exports_in(desk.landing)} <= desk.label_set().accounted()


@pytest.mark.faults("F30")
def test_exports_in_any_order_give_the_same_content(survived: Survived) -> None:
    """All orders of a burst, cut into batches anywhere."""
    expected = content(sound_lake(*BURST.values()).lake)
    tried: list[list[str]] = []

    @settings(max_examples=examples(16), deadline=None, database=None)
    @given(order=st.permutations(list(BURST)), cuts=st.sets(st.integers(1, len(BURST) - 1)))
    def in_any_order(order: list[str], cuts: set[int]) -> None:
        desk = Desk(MemoryStore(), CONFIG)
        delivered = [desk.deliver(f"{name}.json", BURST[name]) for name in order]
        for start, end in itertools.pairwise([0, *sorted(cuts), len(order)]):
            desk.ingest(*delivered[start:end])
        assert content(desk.lake) == expected
        tried.append(order)

    in_any_order()
    survived(len(tried))


@pytest.mark.faults("F31", on=EVERY)
def test_the_same_export_under_another_key_is_a_second_source(backend: Backend) -> None:
    """No version and no record comes of it; both places are written down."""
    desk = desk_of(backend)
    first = desk.bring("a.json", FIRST).outcomes[0].export

    batch = desk.bring("b.json", FIRST)

    assert batch.outcomes[0].uris["same_as"] == first.id
    assert desk.label_set().head.seq == 1
    assert {one.key for one in sources.sources(desk.lake, NAME, first.id)} == {"a.json", "b.json"}
    assert {export.id for export in exports_in(desk.landing)} <= desk.label_set().accounted()


@pytest.mark.faults("F32", on=EVERY)
def test_a_key_overwritten_by_a_newer_export_is_a_new_version(backend: Backend) -> None:
    """Listed anew it is another export."""
    desk = desk_of(backend)
    desk.ingest(rewrite(desk, "weekly.json", FIRST))

    desk.ingest(rewrite(desk, "weekly.json", SECOND))

    assert [version for version, _ in published(desk.lake)] == [1, 2]
    assert content(desk.lake) == content(sound_lake(FIRST, SECOND).lake)


def relabelled(object_hash: str) -> bytes:
    """One row of one export hash, with one box of this hash."""
    return make.encode([make.image_row(make.box(object_hash=object_hash))])


@pytest.mark.faults("F33", "F38", on=EVERY)
def test_two_exports_of_one_hash_and_time_have_one_winner_in_either_order(backend: Backend) -> None:
    """Nothing but their own bytes decides, and the difference is told."""
    one, other = relabelled("one00000"), relabelled("other000")  # as many objects: neither is held back
    digests, told = set(), set()
    for number, order in enumerate(((one, other), (other, one))):
        desk = desk_of(backend)
        outcomes = [desk.bring(f"{number}-{place}.json", data).outcomes[0] for place, data in enumerate(order)]
        digests.add(content(desk.lake))
        told |= {rule for outcome in outcomes for rule in outcome.rules}

    assert len(digests) == 1
    assert "export_hash_conflict" in told


@pytest.mark.faults("F34", on=EVERY)
def test_an_export_deleted_between_listing_and_read_fails_alone(backend: Backend) -> None:
    """Its neighbour is published; when it comes back it is taken."""
    desk = desk_of(backend)
    gone, good = rewrite(desk, "gone.json", FOREIGN), rewrite(desk, "good.json", FIRST)
    desk.landing.delete("gone.json")

    batch = desk.ingest(gone, good)
    desk.ingest(rewrite(desk, "gone.json", FOREIGN))

    statuses = {outcome.export.key: outcome.status for outcome in batch.outcomes}
    assert statuses == {"gone.json": "failed", "good.json": "published"}
    assert content(desk.lake) == content(sound_lake(FIRST, FOREIGN).lake)


@pytest.mark.faults("F35", on=EVERY)
def test_an_export_overwritten_between_listing_and_read_fails_alone(backend: Backend) -> None:
    """Its bytes are not those that its id speaks of; the next listing gives it another id."""
    desk = desk_of(backend)
    stale, good = rewrite(desk, "a.json", FOREIGN), rewrite(desk, "good.json", FIRST)
    fresh = rewrite(desk, "a.json", SECOND)

    batch = desk.ingest(stale, good)
    desk.ingest(fresh)

    statuses = {outcome.export.key: outcome.status for outcome in batch.outcomes}
    assert statuses == {"a.json": "failed", "good.json": "published"}
    assert stale.id != fresh.id
    assert content(desk.lake) == content(sound_lake(FIRST, SECOND).lake)


class Restless:
    """A landing prefix whose listing breaks off after some keys, `times` times, while other keys come and go."""

    def __init__(self, store: ObjectStore, *, keys: int, after: int, times: int) -> None:
        self.store, self.keys, self.after, self.times = store, keys, after, times

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """The listing, with what happens while it runs."""
        for number, info in enumerate(self.store.list(prefix, start_after=start_after)):
            if number == self.after and self.times:
                self.times -= 1
                self.store.put_hint(f"0000-{self.times}.json", b"came behind the cursor")
                self.store.put_hint(f"9999-{self.times}.json", b"came before the end")
                self.store.delete(f"{self.keys - 1 - self.times:04}.json")
                raise StorageError("500 on a page")
            yield info


def found_by_ticks(landing: ObjectStore, restless: Restless) -> int:
    """Ticks over a restless listing until nothing is new; all that is there then was found. How many ticks failed."""
    known: set[str] = set()
    cursor, failed, idle = Cursor(), 0, 0

    def look(export: Export) -> Sighting:
        return Sighting(export=export)

    while idle < 2:
        listed = restless.list(start_after=cursor.after)
        exports = (export for info in listed for export in exports_in(_Listed([info])))  # type: ignore[arg-type] # list alone
        try:
            found = sweep(
                exports, known=known, cursor=cursor, look=look, limits=Limits(exports=700), expired=lambda: False
            )
        except StorageError:
            failed += 1
            continue
        known |= {item.export.id for item in found.sightings}
        cursor = found.cursor
        idle = 0 if found.sightings else idle + 1

    assert {export.id for export in exports_in(landing)} <= known
    return failed


class _Listed:
    def __init__(self, infos: list[ObjectInfo]) -> None:
        self.infos = infos

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return iter(self.infos)


@pytest.mark.faults("F37", on=EVERY)
@pytest.mark.parametrize("keys", [100, 2500])
def test_a_long_listing_that_breaks_and_changes_loses_nothing(backend: Backend, keys: int, survived: Survived) -> None:
    """Listings that fail half way, keys that come before and behind the place where it broke."""
    landing = backend.new()
    for number in range(keys):
        landing.put_hint(f"{number:04}.json", b"%d" % number)

    failed = found_by_ticks(landing, Restless(landing, keys=keys, after=keys // 4, times=5))

    assert failed == 5
    survived(failed)


@pytest.mark.faults("F34", on=EVERY)
def test_a_landing_prefix_that_does_not_answer_fails_each_export_and_publishes_nothing(backend: Backend) -> None:
    """A run whose every read fails leaves nothing but its probe."""
    desk = desk_of(backend)
    exports = [rewrite(desk, f"{number}.json", FIRST) for number in range(2)]

    class Silent(MemoryStore):
        def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
            raise StorageError("no answer")

    batch = ingest(exports, landing=Silent(), lake=desk.lake, config=CONFIG)

    assert [outcome.status for outcome in batch.outcomes] == ["failed", "failed"]
    assert {key.split("/")[2] for key in desk.written()} == {layout.probe(NAME).split("/")[2]}
