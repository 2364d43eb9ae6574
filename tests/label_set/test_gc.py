"""Garbage collection removes what no kept version names, whatever a publisher does meanwhile and wherever it dies."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster import layout
from encord_dagster.errors import CommitStateUnknown, HistoryDamaged, StorageError, UsageError, VersionGone
from encord_dagster.label_set import condemned, history, objects
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.manifest import LogRecord, ObjectRef
from encord_dagster.label_set.verify import verify
from encord_dagster.pipeline import ingest
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests.effort import EFFORT, apart, examples
from tests.label_set.test_faults import CONFIG, FIRST, FOREIGN, NAME, SECOND, Counting, Crash, Stepper, Watched, copy_of
from tests.lakes import Desk, exported_again

THIRD = exported_again(SECOND, changed=1, days=2)
Told = Callable[[str, object], None]


def orphaned(*exports: bytes, crashed: bytes = THIRD) -> Desk:
    """A desk whose lake holds these exports, and objects of a publisher that died before its commit."""
    lake = MemoryStore()
    desk = Desk(lake, CONFIG)
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)

    def dies(call: str, key: str, act: Callable[[], object]) -> object:
        if call == "create" and "/log/" in key:
            raise Crash
        return act()

    export = desk.deliver("crashed.json", crashed)
    with pytest.raises(Crash):
        ingest([export], landing=desk.landing, lake=Watched(lake, dies), config=CONFIG)
    return desk


def another(desk: Desk, lake: MemoryStore) -> Desk:
    """A desk with the same landing prefix and another lake."""
    other = Desk(lake, CONFIG)
    other.landing = desk.landing
    return other


def store_of(desk: Desk) -> MemoryStore:
    """The lake of a desk as what it is."""
    assert isinstance(desk.lake, MemoryStore)
    return desk.lake


def content(desk: Desk) -> set[str]:
    """Keys of the content-addressed objects."""
    return desk.written(layout.contents(NAME))


def versions(desk: Desk) -> dict[int, bytes]:
    """The COCO file of every version that can be read, read from its buckets too."""
    found: dict[int, bytes] = {}
    for record in desk.label_set().log():
        try:
            version = desk.label_set().version(record.version)
            assert version.table("annotations").num_rows == version.root.annotations
            found[record.version] = version.coco()
        except VersionGone:
            continue
    return found


def sound(desk: Desk) -> None:
    """Nothing is damaged."""
    assert verify(desk.lake, NAME).problems == []


def test_what_a_crashed_publisher_left_is_removed() -> None:
    """Objects that no version names go, all versions stay, and a record says what was done."""
    desk = orphaned(FIRST, SECOND)
    clean = Desk(MemoryStore(), CONFIG)
    clean.bring("0.json", FIRST)
    clean.bring("1.json", SECOND)
    before = versions(desk)

    report = gc(desk.lake, NAME)

    assert content(desk) == content(clean)
    assert (report.seq, report.kept, report.dropped, report.live) == (3, (1, 2), (), len(content(clean)))
    assert report.removed >= 5
    assert report.removed_bytes > 1000
    assert versions(desk) == before
    head = history.head(desk.lake, NAME).record
    assert head is not None
    assert (head.op, head.version, head.epoch, head.exports) == ("gc", 2, 1, ())
    sound(desk)


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    """Its report is that of the run after it, but for the record."""
    desk = orphaned(FIRST, SECOND)
    before = desk.written()

    told = gc(desk.lake, NAME, dry_run=True, keep=1)

    assert desk.written() == before
    done = gc(desk.lake, NAME, keep=1)
    assert told == msgspec.structs.replace(done, dry_run=True, seq=None)


def test_a_gc_that_finds_nothing_writes_nothing() -> None:
    """Run twice, the second one has nothing to do and leaves no record."""
    desk = orphaned(FIRST)
    gc(desk.lake, NAME)
    before = desk.written()

    report = gc(desk.lake, NAME)

    assert (report.seq, report.removed) == (None, 0)
    assert desk.written() == before


def test_the_next_version_begins_a_new_epoch() -> None:
    """What is published after a gc lies in the next epoch, and what it took over stays where it was."""
    desk = orphaned(FIRST)
    gc(desk.lake, NAME)
    old = content(desk)

    desk.bring("more.json", SECOND)

    assert {key.split("/")[3] for key in content(desk) - old} == {"1"}
    assert old <= content(desk)
    sound(desk)


def test_only_the_last_versions_are_kept() -> None:
    """Older ones are gone: readers are told so by name, the log still lists them, and to verify it is no damage."""
    desk = orphaned(FIRST, SECOND, FOREIGN)
    newest = versions(desk)[3]

    report = gc(desk.lake, NAME, keep=1)

    assert (report.kept, report.dropped) == ((3,), (1, 2))
    with pytest.raises(VersionGone, match=r"removed by gc \(log record 4\)"):
        desk.label_set().version(1)
    assert versions(desk) == {3: newest}
    assert [record.version for record in desk.label_set().log()] == [1, 2, 3, 3]
    found = verify(desk.lake, NAME)
    assert (found.problems, found.versions, found.dropped) == ([], 3, 2)


def test_a_reader_of_a_version_that_is_dropped_is_told_so() -> None:
    """Also where it opened the version before."""
    desk = orphaned(FIRST, SECOND)
    version = desk.label_set().version(1)

    gc(desk.lake, NAME, keep=1)

    with pytest.raises(VersionGone, match="use a later version"):
        version.table("annotations")


def test_nothing_but_objects_of_versions_is_ever_deleted() -> None:
    """The log, checkpoints, claims, exports, events, raw copies and the quarantine stay."""
    desk = orphaned(FIRST, SECOND, FOREIGN)
    before = desk.written() - content(desk)

    gc(desk.lake, NAME, keep=1)

    assert before <= desk.written()


def test_a_tagged_version_is_kept() -> None:
    """However old it is."""
    desk = orphaned(FIRST, SECOND, FOREIGN)
    desk.lake.create(f"{layout.tags(NAME)}paper.json", b'{"version":1}')
    before = versions(desk)

    report = gc(desk.lake, NAME, keep=1)

    assert (report.kept, report.dropped) == ((1, 3), (2,))
    assert versions(desk) == {1: before[1], 3: before[3]}
    sound(desk)


def test_a_version_that_is_tagged_at_the_last_moment_is_spared() -> None:
    """The tag comes between the record that drops the version and the first delete; the next gc spares it too."""
    desk = orphaned(FIRST, SECOND, FOREIGN)
    before = versions(desk)

    def tags(call: str, key: str, act: Callable[[], object]) -> object:
        found = act()
        if call == "create" and "/log/" in key:
            desk.lake.create(f"{layout.tags(NAME)}late.json", b'{"version":2}')
        return found

    report = gc(Watched(store_of(desk), tags), NAME, keep=1)
    gc(desk.lake, NAME, keep=1)

    assert report.dropped == (1,)
    assert versions(desk) == {2: before[2], 3: before[3]}
    sound(desk)


def test_a_root_that_a_later_version_names_again_is_kept() -> None:
    """As a rollback does: the newest version is the first one once more."""
    desk = orphaned(FIRST, SECOND)
    first, second = desk.label_set().log()
    head = history.head(desk.lake, NAME)
    back = msgspec.structs.replace(
        second,
        seq=3,
        version=3,
        op="rollback",
        previous=head.digest,
        root=first.root,
        content_digest=first.content_digest,
        exports=(),
    )
    assert history.commit(desk.lake, NAME, back)
    before = versions(desk)

    report = gc(desk.lake, NAME, keep=1)

    assert (report.kept, report.dropped) == ((1, 3), (2,))
    assert versions(desk) == {1: before[1], 3: before[3]}
    sound(desk)


def test_every_object_that_a_record_names_counts() -> None:
    """Also the root of what is no version yet, in whatever field it stands; events are not of them."""

    class Waiting(msgspec.Struct):
        candidate: ObjectRef

    class Later(LogRecord, frozen=True, kw_only=True):
        waiting: Waiting

    root, candidate = (ObjectRef(layout.content(NAME, 0, digit * 64), digit * 64, 1) for digit in "ab")
    (record,) = orphaned(FIRST).label_set().log()
    fields = msgspec.structs.asdict(record) | {"root": root, "waiting": Waiting(candidate)}

    assert objects.named(Later(**fields)) == [root, candidate]


@pytest.mark.parametrize("keep", [0, -1])
def test_the_newest_version_cannot_be_dropped(keep: int) -> None:
    """To keep none is refused."""
    with pytest.raises(UsageError, match="never dropped"):
        gc(orphaned(FIRST).lake, NAME, keep=keep)


def test_no_label_set_is_an_error() -> None:
    """A slip in the name must not look like a clean label set."""
    with pytest.raises(UsageError, match="no label set 'other'"):
        gc(orphaned(FIRST).lake, "other")


@pytest.mark.parametrize("what", ["format_version", "converter_version"])
def test_an_older_release_does_not_collect(what: str) -> None:
    """It would not know all that the newer one names."""
    desk = orphaned(FIRST)
    head = history.head(desk.lake, NAME)
    assert head.record is not None
    newer = {what: 1000, "seq": 2, "previous": head.digest, "exports": ()}
    history.commit(desk.lake, NAME, msgspec.structs.replace(head.record, **newer))
    before = desk.written()

    with pytest.raises(UsageError, match="upgrade"):
        gc(desk.lake, NAME)

    assert desk.written() == before


@pytest.mark.parametrize("what", ["root", "bucket", "record", "list"])
def test_where_it_cannot_tell_what_is_named_nothing_is_deleted(what: str) -> None:
    """A root, a bucket, a log record or an earlier list is missing: history is damaged."""
    desk = orphaned(FIRST)
    gc(desk.lake, NAME)
    desk.bring("1.json", SECOND)
    root = desk.label_set().log()[0].root
    assert root is not None
    listed = next(iter(desk.written(layout.condemned_lists(NAME))))
    bucket = next(iter(desk.label_set().version(1).root.buckets.values())).ref.key
    desk.lake.delete({"root": root.key, "bucket": bucket, "record": layout.log(NAME, 2), "list": listed}[what])
    before = desk.written()

    with pytest.raises(HistoryDamaged, match="missing"):
        gc(desk.lake, NAME)

    assert desk.written() == before


# crashes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("keep", [None, 1], ids=["keep all", "keep one"])
def test_a_gc_that_dies_at_any_storage_call_is_finished_by_the_next(
    keep: int | None, after: bool, record_testsuite_property: Told
) -> None:
    """Each version is there whole or gone by name, and a second gc leaves what one without a crash leaves."""
    base = orphaned(FIRST, SECOND)
    whole = versions(base)
    done = another(base, copy_of(store_of(base)))
    counting = Counting()
    gc(Watched(store_of(done), counting), NAME, keep=keep)

    for at in range(1, counting.calls + 1):
        desk = another(base, copy_of(store_of(base)))
        try:
            gc(Watched(store_of(desk), Counting(at, after=after)), NAME, keep=keep)
        except Crash:
            assert versions(desk).items() <= whole.items()
            sound(desk)
        gc(desk.lake, NAME, keep=keep)

        assert content(desk) == content(done)
        assert versions(desk) == versions(done)
        sound(desk)

    record_testsuite_property("faults survived", counting.calls)
    assert counting.calls > 20


def test_a_publisher_goes_on_after_a_gc_that_died_at_any_storage_call(record_testsuite_property: Told) -> None:
    """Whatever is left to delete, the next version names none of it."""
    base = orphaned(FIRST, SECOND)
    export = base.deliver("more.json", THIRD)
    counting = Counting()
    gc(Watched(copy_of(store_of(base)), counting), NAME, keep=1)

    for at in range(1, counting.calls + 1):
        desk = another(base, copy_of(store_of(base)))
        with pytest.raises(Crash):
            gc(Watched(store_of(desk), Counting(at)), NAME, keep=1)
        desk.ingest(export)
        sound(desk)
        gc(desk.lake, NAME, keep=1)

        assert list(versions(desk)) == [3]
        sound(desk)

    record_testsuite_property("faults survived", counting.calls)


def test_a_gc_whose_commit_answer_is_lost_finds_its_record() -> None:
    """Its record landed, so it goes on to delete."""
    desk = orphaned(FIRST)
    lost: list[str] = []

    def around(call: str, key: str, act: Callable[[], object]) -> object:
        found = act()
        if call == "create" and "/log/" in key and not lost:
            lost.append(key)
            raise StorageError("no answer")
        return found

    report = gc(Watched(store_of(desk), around), NAME)

    assert (report.seq, len(lost)) == (2, 1)
    assert report.removed >= 5
    assert len(desk.label_set().log()) == 2
    sound(desk)


def test_a_gc_that_cannot_read_its_commit_back_deletes_nothing() -> None:
    """It may have lost its place to a publisher; the next gc finds out."""
    desk = orphaned(FIRST)
    before = content(desk)

    def around(call: str, key: str, act: Callable[[], object]) -> object:
        found = act()
        if call == "create" and "/log/" in key:
            raise StorageError("no answer")
        return found

    with pytest.raises(CommitStateUnknown):
        gc(Watched(store_of(desk), around), NAME)

    assert content(desk) == before
    report = gc(desk.lake, NAME)
    assert (report.seq, len(desk.label_set().log())) == (None, 2)
    assert report.removed >= 5


# publishers at the same time


class Race:
    """A publisher and a garbage collection on copies of one lake."""

    def __init__(self, keep: int | None) -> None:
        self.base, self.keep = orphaned(FIRST, SECOND, crashed=FOREIGN), keep
        self.export = self.base.deliver("raced.json", THIRD)
        done = self.copy()
        self.publish(done, done.lake)
        self.expected = versions(done)[3]
        self.calls = {"publish": self.count(self.publish), "gc": self.count(self.collect)}

    def copy(self) -> Desk:
        return another(self.base, copy_of(store_of(self.base)))

    def publish(self, desk: Desk, lake: ObjectStore) -> None:
        ingest([self.export], landing=desk.landing, lake=lake, config=CONFIG)

    def collect(self, desk: Desk, lake: ObjectStore) -> None:
        gc(lake, NAME, keep=self.keep)

    def count(self, act: Callable[[Desk, ObjectStore], None]) -> int:
        desk, counting = self.copy(), Counting()
        act(desk, Watched(store_of(desk), counting))
        return counting.calls

    def holds(self, desk: Desk) -> None:
        """The new version is whole, so is every other that was kept, and no key dangles."""
        seen = versions(desk)
        assert seen[3] == self.expected
        assert len(seen) == 3 if self.keep is None else seen
        sound(desk)
        gc(desk.lake, NAME, keep=self.keep)
        assert versions(desk)[3] == self.expected
        sound(desk)


def once(at: int, act: Callable[[], None]) -> Callable[[str, str, Callable[[], object]], object]:
    """Something else happens, from beginning to end, before the n-th storage call."""
    calls = iter(range(1, 10**6))

    def around(call: str, key: str, on: Callable[[], object]) -> object:
        if next(calls) == at:
            act()
        return on()

    return around


@pytest.mark.parametrize("keep", [None, 1], ids=["keep all", "keep one"])
@pytest.mark.parametrize("inner", [1, 2], ids=["once", "twice"])
def test_a_publisher_that_a_gc_overtakes_at_any_storage_call_writes_its_objects_again(
    keep: int | None, inner: int, record_testsuite_property: Told
) -> None:
    """The publisher sleeps through collections: it loses its place, and the version that it makes is whole."""
    race = Race(keep)

    places = range(1, race.calls["publish"] + 1, 1 if inner == 1 or EFFORT > 1 else 4)
    for at in places:
        desk = race.copy()

        def collections(desk: Desk = desk) -> None:
            for number in range(inner):
                store_of(desk).create(layout.content(NAME, 0, f"{number}" * 64), b"orphan")
                race.collect(desk, desk.lake)

        race.publish(desk, Watched(store_of(desk), once(at, collections)))
        race.holds(desk)

    record_testsuite_property("interleavings", len(places))
    assert race.calls["publish"] > 25


@pytest.mark.parametrize("keep", [None, 1], ids=["keep all", "keep one"])
def test_a_gc_that_a_publisher_overtakes_at_any_storage_call_starts_over(
    keep: int | None, record_testsuite_property: Told
) -> None:
    """What the publisher brought is alive, whatever the collection had taken for dead before."""
    race = Race(keep)

    for at in range(1, race.calls["gc"] + 1):
        desk = race.copy()
        publishes = once(at, lambda desk=desk: race.publish(desk, desk.lake))  # type: ignore[misc]
        race.collect(desk, Watched(store_of(desk), publishes))
        race.holds(desk)

    record_testsuite_property("interleavings", race.calls["gc"])


def schedules(first: int, second: int) -> Iterator[list[int]]:
    """Either one does some calls, then the other some, then both to the end; strict turns; and orders by chance."""
    step = apart(12)
    for one, other, lengths in ((0, 1, (first, second)), (1, 0, (second, first))):
        for some in range(1, lengths[0], step):
            for then in range(1, lengths[1], step):
                yield [one] * some + [other] * then + [one] * 500
    yield from ([0, 1] * 300, [1, 0] * 300, [0, 0, 1] * 200, [0, 1, 1] * 200)
    for seed in range(examples(10)):
        yield Random(seed).choices((0, 1), k=600)


@pytest.mark.parametrize("keep", [None, 1], ids=["keep all", "keep one"])
def test_a_publisher_and_a_gc_at_once_leave_no_dangling_key_whatever_the_order_of_their_calls(
    keep: int | None, record_testsuite_property: Told
) -> None:
    """Their storage calls in many orders: the new version is whole, and the next gc finds nothing wrong."""
    race = Race(keep)
    count = 0

    for schedule in schedules(race.calls["publish"], race.calls["gc"]):
        desk = race.copy()
        at_once(desk, schedule, race.publish, race.collect)
        race.holds(desk)
        count += 1

    record_testsuite_property("interleavings", count)
    assert count > 25


def test_two_collections_and_a_publisher_at_once(record_testsuite_property: Told) -> None:
    """Three of them, one of which drops all versions but the newest."""
    race = Race(keep=1)
    seeds = range(examples(30))

    for seed in seeds:
        desk = race.copy()
        schedule = Random(seed).choices((0, 1, 2), weights=(3, 2, 2), k=900)
        at_once(desk, schedule, race.publish, race.collect, keep_all)
        race.holds(desk)

    record_testsuite_property("interleavings", len(seeds))


def keep_all(desk: Desk, lake: ObjectStore) -> None:
    """A collection of what is in no version."""
    gc(lake, NAME)


def at_once(desk: Desk, schedule: list[int], *actors: Callable[[Desk, ObjectStore], None]) -> None:
    """Run actors, their storage calls in the order of the schedule."""
    stepper = Stepper(iter(schedule))

    def run(me: int) -> None:
        try:
            actors[me](desk, Watched(store_of(desk), stepper.pass_through(me)))
        finally:
            stepper.end(me)

    with ThreadPoolExecutor(len(actors)) as pool:
        running = [pool.submit(run, me) for me in range(len(actors))]
        stepper.drive(len(actors))
        for one in running:
            one.result()


def test_a_publisher_whose_head_is_dropped_meanwhile_builds_on_the_newer_one(record_testsuite_property: Told) -> None:
    """Another one publishes, and gc drops the version that this one was about to build on, before any of its calls."""
    race = Race(keep=1)
    foreign = race.base.deliver("foreign.json", FOREIGN)

    for at in range(1, race.calls["publish"] + 1):
        desk = race.copy()

        def overtaken(desk: Desk = desk) -> None:
            desk.ingest(foreign)
            gc(desk.lake, NAME, keep=1)

        race.publish(desk, Watched(store_of(desk), once(at, overtaken)))

        assert desk.label_set().version().rows == 5
        assert desk.label_set().version().number == 4
        sound(desk)

    record_testsuite_property("interleavings", race.calls["publish"])


def test_who_would_name_a_condemned_object_again_is_refused() -> None:
    """Also while it is still there, as a collection may be about to delete it."""
    desk = orphaned(FIRST, SECOND)
    first = desk.label_set().log()[0].root
    newest = desk.label_set().log()[1].root
    assert first is not None
    assert newest is not None

    def dies(call: str, key: str, act: Callable[[], object]) -> object:
        if call == "delete":
            raise Crash
        return act()

    with pytest.raises(Crash):
        gc(Watched(store_of(desk), dies), NAME, keep=1)

    assert desk.lake.head(first.key)
    with pytest.raises(VersionGone):
        condemned.refuse(desk.lake, first.key)
    condemned.refuse(desk.lake, newest.key)


# what runs leave beside objects


def test_probes_of_the_self_test_are_swept_when_they_are_old() -> None:
    """A probe of a run that may still be going on stays."""
    times = iter(datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(0, 10**6, 20))
    lake = MemoryStore(now=lambda: next(times))
    old, recent = (f"{layout.probe(NAME)}{name}" for name in ("old", "recent"))
    lake.create(old, b"1")
    desk = Desk(lake, CONFIG)
    desk.bring("0.json", FIRST)
    lake.create(recent, b"2")

    report = gc(lake, NAME)

    assert lake.head(old) is None
    assert lake.head(recent)
    assert report.probes >= 1


def test_half_written_files_of_a_folder_are_swept_when_they_are_old(tmp_path: Path) -> None:
    """A file that a crash left is removed, a newer one and one of another name stay; nothing else changes."""
    desk = Desk(LocalStore(tmp_path / "lake"), CONFIG)
    desk.bring("0.json", FIRST)
    before = desk.written()
    folder = tmp_path / "lake" / layout.contents(NAME) / "0"
    old, recent, foreign = (folder / name for name in (f".{'a' * 24}.tmp", f".{'b' * 24}.tmp", ".notes.tmp"))
    for path in (old, recent, foreign):
        path.write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (0, 0))

    told = gc(desk.lake, NAME, dry_run=True)
    assert old.exists()
    report = gc(desk.lake, NAME)

    assert (old.exists(), recent.exists(), foreign.exists()) == (False, True, True)
    assert told.unfinished == report.unfinished == 1
    assert desk.written() == before


def test_lists_of_collections_that_never_committed_are_swept() -> None:
    """A list whose place in the log another record took names nothing; that of a collection under way stays."""
    desk = orphaned(FIRST, SECOND)
    lost, under_way = (layout.condemned(NAME, seq, "f" * 64) for seq in (1, 4))
    for key in (lost, under_way):
        desk.lake.create(key, b"{}")

    gc(desk.lake, NAME)

    assert desk.lake.head(lost) is None
    assert desk.lake.head(under_way)
    sound(desk)


# everything together

EXPORTS = (FIRST, SECOND, THIRD, FOREIGN)
ACTS = st.one_of(
    st.tuples(st.just("publish"), st.integers(0, len(EXPORTS) - 1), st.integers(1, 60)),
    st.tuples(st.just("crash"), st.integers(0, len(EXPORTS) - 1), st.integers(1, 60)),
    st.tuples(st.just("gc"), st.sampled_from([0, 1, 2]), st.integers(1, 60)),
    st.tuples(st.just("gc crash"), st.sampled_from([0, 1, 2]), st.integers(1, 60)),
    st.tuples(st.just("tag"), st.integers(1, 4), st.integers(1, 60)),
)


class Story:
    """A label set, and what a reader must find in it."""

    def __init__(self) -> None:
        self.desk = Desk(MemoryStore(), CONFIG)
        self.exports = [self.desk.deliver(f"{number}.json", data) for number, data in enumerate(EXPORTS)]
        self.seen: dict[int, bytes] = {}
        self.kept: set[int] = set()
        self.tagged: set[int] = set()

    def act(self, what: str, which: int, at: int) -> None:
        """One step; a crash may come anywhere."""
        lake = Watched(store_of(self.desk), Counting(at if "crash" in what else 0))
        if what == "tag":
            self.tag(which)
        elif "gc" in what and self.kept:
            newest = sorted(self.seen, reverse=True)[: which or None]
            self.kept &= {*newest, *self.tagged}
            self.run(lambda: gc(lake, NAME, keep=which or None))
        elif "gc" not in what:
            self.run(lambda: ingest([self.exports[which]], landing=self.desk.landing, lake=lake, config=CONFIG))
        self.check()

    def run(self, act: Callable[[], object]) -> None:
        with contextlib.suppress(Crash):
            act()

    def tag(self, version: int) -> None:
        if version in self.kept:
            self.desk.lake.create(f"{layout.tags(NAME)}v{version}.json", msgspec.json.encode({"version": version}))
            self.tagged.add(version)

    def check(self) -> None:
        """Every version that was to be kept is there, each as it was when it was new, and nothing is damaged."""
        found = versions(self.desk)
        for version, data in found.items():
            assert self.seen.setdefault(version, data) == data
        new = set(found) - self.kept
        self.kept |= {version for version in new if version > max(self.kept, default=0)}
        assert self.kept <= set(found)
        sound(self.desk)


@settings(max_examples=examples(30), deadline=None)
@given(steps=st.lists(ACTS, min_size=3, max_size=9))
def test_any_sequence_of_publishing_collecting_tagging_and_crashing_keeps_what_is_to_be_kept(
    steps: list[tuple[str, int, int]],
) -> None:
    """Every kept version stays readable and as it was, and the label set verifies after every step."""
    story = Story()
    for step in steps:
        story.act(*step)

    if story.kept:
        gc(story.desk.lake, NAME)
        once_more = gc(story.desk.lake, NAME)
        assert (once_more.removed, once_more.seq) == (0, None)
        story.check()
