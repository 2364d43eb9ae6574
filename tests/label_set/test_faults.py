"""What publishing survives: a crash at every storage call, lost answers, two publishers at once, damaged hints."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import AccessDenied, CommitStateUnknown, HistoryDamaged, StorageError
from encord_dagster.label_set import accounted, history
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import Export
from encord_dagster.pipeline import ingest
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import Create, ObjectInfo
from tests.effort import examples
from tests.lakes import Desk, exported_again, images_export

NAME = "street"
CONFIG = LabelSetConfig(name=NAME, masks=False)
FIRST = images_export(3)
SECOND = exported_again(FIRST, changed=1)
FOREIGN = images_export(2, seed=8)


class Crash(BaseException):
    """The process is gone: nothing may catch it."""


class Watched:
    """A store whose every call goes through `around`, which may raise before or after it."""

    def __init__(self, store: MemoryStore, around: Callable[[str, str, Callable[[], object]], object]) -> None:
        self.store, self.around, self.url = store, around, store.url

    def create(self, key: str, data: bytes) -> Create:
        found = self.around("create", key, lambda: self.store.create(key, data))
        assert isinstance(found, Create)
        return found

    def put_hint(self, key: str, data: bytes) -> None:
        self.around("put_hint", key, lambda: self.store.put_hint(key, data))

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        found = self.around("get", key, lambda: self.store.get(key, etag=etag, start=start, end=end))
        assert found is None or isinstance(found, bytes)
        return found

    def head(self, key: str) -> ObjectInfo | None:
        found = self.around("head", key, lambda: self.store.head(key))
        assert found is None or isinstance(found, ObjectInfo)
        return found

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        found = self.around("list", prefix, lambda: list(self.store.list(prefix, start_after=start_after)))
        assert isinstance(found, list)
        return iter(found)

    def delete(self, key: str) -> None:
        self.around("delete", key, lambda: self.store.delete(key))


class Counting:
    """Counts calls; with `at` the process dies around that one."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at, self.after, self.calls = at, after, 0

    def __call__(self, call: str, key: str, act: Callable[[], object]) -> object:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Crash
        found = act()
        if self.calls == self.at:
            raise Crash
        return found


def copy_of(store: MemoryStore) -> MemoryStore:
    """Another store with the same objects."""
    copied = MemoryStore()
    for info in store.list():
        copied.create(info.key, store.get(info.key) or b"")
    copied.put_hint(layout.latest(NAME), store.get(layout.latest(NAME)) or b'{"seq":0}')
    return copied


def sound_lake(*exports: bytes) -> tuple[Desk, MemoryStore]:
    """A desk whose lake holds these exports, brought one by one."""
    lake = MemoryStore()
    desk = Desk(lake, CONFIG)
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk, lake


def published(lake: MemoryStore) -> list[tuple[int, str]]:
    """Versions with their content digests, once each."""
    records = history.records(lake, NAME, history.head(lake, NAME))
    return list(dict.fromkeys((record.version, record.content_digest) for record in records))


class Sweep:
    """One export on top of a base, and everything a reader may see of it."""

    def __init__(self, base: tuple[bytes, ...], data: bytes) -> None:
        self.desk, self.base = sound_lake(*base)
        self.export = self.desk.deliver("swept.json", data)
        self.old = self._seen(self.base)
        done = copy_of(self.base)
        counting = Counting()
        self.run(done, counting)
        self.calls, self.new, self.versions = counting.calls, self._seen(done), published(done)

    def run(self, lake: MemoryStore, around: Callable[[str, str, Callable[[], object]], object]) -> None:
        watched = Watched(lake, around)
        ingest([self.export], landing=self.desk.landing, lake=watched, config=CONFIG)

    def crash(self, lake: MemoryStore, at: int, *, after: bool) -> None:
        """A run that dies around its n-th call, if it makes so many; a reader then finds one version whole."""
        try:
            self.run(lake, Counting(at, after=after))
        except Crash:
            assert self._seen(lake) in (self.old, self.new)

    def recovers(self, lake: MemoryStore) -> None:
        """A clean run leaves what a run without a crash leaves."""
        self.run(lake, Counting())

        assert published(lake) == self.versions
        assert self._seen(lake) == self.new
        assert verify(lake, NAME).problems == []
        assert self.export.id in Desk(lake, CONFIG).label_set().accounted()

    def _seen(self, lake: MemoryStore) -> tuple[str, bytes] | None:
        label_set = Desk(lake, CONFIG).label_set()
        if label_set.head.record is None:
            return None
        version = label_set.version()
        assert version.table("annotations").num_rows == version.root.annotations
        assert verify(lake, NAME).problems == []
        return version.root.content_digest, version.coco()


@pytest.mark.parametrize("base", [(), (FIRST,)], ids=["first publish", "publish on top"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_storage_call_leaves_a_whole_version(
    base: tuple[bytes, ...], after: bool, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Readers see the old or the new version whole, and the next run gives exactly one version of the same content."""
    sweep = Sweep(base, SECOND if base else FIRST)

    for at in range(1, sweep.calls + 1):
        lake = copy_of(sweep.base)
        sweep.crash(lake, at, after=after)
        sweep.recovers(lake)

    record_testsuite_property("faults survived", sweep.calls)
    assert sweep.calls > 25


@pytest.mark.parametrize("base", [(), (FIRST,)], ids=["first publish", "publish on top"])
def test_two_crashes_in_a_row_leave_a_whole_version(
    base: tuple[bytes, ...], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """A second crash, in the run that repairs the first one, changes nothing of it."""
    sweep, random = Sweep(base, SECOND if base else FIRST), Random(5)
    pairs = [(random.randint(1, sweep.calls), random.randint(1, sweep.calls)) for _ in range(examples(30))]

    for first, second in pairs:
        lake = copy_of(sweep.base)
        sweep.crash(lake, first, after=random.random() < 0.5)
        sweep.crash(lake, second, after=random.random() < 0.5)
        sweep.recovers(lake)

    record_testsuite_property("faults survived", len(pairs))


class LosesAnswers:
    """The first `times` creates of keys with a part of this name raise: after they landed, or instead."""

    def __init__(self, part: str, *, times: int = 1, lands: bool = True, error: type[StorageError] = StorageError):
        self.part, self.times, self.lands, self.error = part, times, lands, error
        self.lost: list[str] = []

    def __call__(self, call: str, key: str, act: Callable[[], object]) -> object:
        if call != "create" or f"/{self.part}/" not in f"/{key}" or len(self.lost) >= self.times:
            return act()
        self.lost.append(key)
        if self.lands:
            act()
        raise self.error(f"{key}: no answer")


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "did not land"])
@pytest.mark.parametrize("base", [(), (FIRST,)], ids=["first publish", "publish on top"])
def test_a_commit_whose_answer_is_lost_is_asked_after(base: tuple[bytes, ...], lands: bool) -> None:
    """The run itself finds out whether its record is there, and there is one version."""
    sweep = Sweep(base, SECOND if base else FIRST)
    lake = copy_of(sweep.base)
    losing = LosesAnswers("log", lands=lands)

    sweep.run(lake, losing)

    assert len(losing.lost) == 1
    assert published(lake) == sweep.versions
    assert verify(lake, NAME).problems == []


def test_a_commit_that_cannot_be_read_back_is_an_unknown_state() -> None:
    """Where no answer ever comes the run says so by name, and the next run finds the version published."""
    sweep = Sweep((), FIRST)
    lake = copy_of(sweep.base)

    with pytest.raises(CommitStateUnknown, match=r"log/000000000001\.json"):
        sweep.run(lake, LosesAnswers("log", times=100))

    sweep.recovers(lake)


def test_a_refused_commit_is_no_unknown_state() -> None:
    """A commit that the credentials may not make is told as what it is."""
    sweep = Sweep((), FIRST)
    lake = copy_of(sweep.base)

    with pytest.raises(AccessDenied):
        sweep.run(lake, LosesAnswers("log", lands=False, error=AccessDenied))

    assert published(lake) == []


def test_a_rival_in_the_slot_is_not_taken_for_ours() -> None:
    """An answer is lost and another publisher's record is in the slot: the run joins on top of it."""
    sweep = Sweep((), FIRST)
    lake = copy_of(sweep.base)
    rival = Desk(lake, CONFIG)
    raced: list[str] = []

    def around(call: str, key: str, act: Callable[[], object]) -> object:
        if call == "create" and "/log/" in key and not raced:
            raced.append(key)
            rival.bring("foreign.json", FOREIGN)
            raise StorageError("no answer")
        return act()

    sweep.run(lake, around)

    assert [version for version, _ in published(lake)] == [1, 2]
    assert Desk(lake, CONFIG).label_set().version().rows == 5


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "did not land"])
@pytest.mark.parametrize(
    ("part", "base"),
    [
        ("objects", ()),
        ("objects", (FIRST,)),
        ("exports", ()),
        ("exports", (FIRST,)),
        ("raw", ()),
        ("raw", (FIRST,)),
        ("categories", ()),  # on top of it no class is new
    ],
)
def test_a_lost_answer_to_any_other_write_fails_the_run_and_not_the_label_set(
    part: str, base: tuple[bytes, ...], lands: bool
) -> None:
    """The run fails cleanly, readers see the old version, and the next run publishes."""
    sweep = Sweep(base, SECOND if base else FIRST)
    lake = copy_of(sweep.base)
    losing = LosesAnswers(part, lands=lands)

    with pytest.raises(StorageError):
        sweep.run(lake, losing)

    assert len(losing.lost) == 1
    assert published(lake) == published(sweep.base)
    sweep.recovers(lake)


class Stepper:
    """Lets threads make one storage call at a time, in the order of a schedule."""

    def __init__(self, schedule: Iterator[int]) -> None:
        self.schedule = schedule
        self.changed = threading.Condition()
        self.parked: set[int] = set()
        self.ended: set[int] = set()
        self.turn: int | None = None

    def pass_through(self, me: int) -> Callable[[str, str, Callable[[], object]], object]:
        def around(call: str, key: str, act: Callable[[], object]) -> object:
            with self.changed:
                self.parked.add(me)
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.turn == me)
                self.turn = None
                self.parked.discard(me)
                return act()

        return around

    def end(self, me: int) -> None:
        with self.changed:
            self.ended.add(me)
            self.changed.notify_all()

    def drive(self, threads: int) -> None:
        """Wait until every thread stands before a call or is done; let one go; again."""
        while True:
            with self.changed:
                ready = self.changed.wait_for(
                    lambda: self.turn is None and len(self.parked) + len(self.ended) == threads, timeout=30
                )
                assert ready, "a publisher hangs"
                if len(self.ended) == threads:
                    return
                wanted = next(self.schedule, 0)
                self.turn = wanted if wanted in self.parked else min(self.parked)
                self.changed.notify_all()


def interleaved(lake: MemoryStore, desk: Desk, exports: list[Export], schedule: Iterator[int]) -> None:
    """Publish each export by a publisher of its own, their storage calls in the order of the schedule."""
    stepper = Stepper(schedule)

    def publish(me: int) -> None:
        try:
            ingest([exports[me]], landing=desk.landing, lake=Watched(lake, stepper.pass_through(me)), config=CONFIG)
        finally:
            stepper.end(me)

    with ThreadPoolExecutor(len(exports)) as pool:
        publishers = [pool.submit(publish, me) for me in range(len(exports))]
        stepper.drive(len(exports))
        for publisher in publishers:
            publisher.result()


def schedules() -> list[list[int]]:
    """One publisher is overtaken at any of many places; strict turns; and orders by chance."""
    overtaken = [[0] * steps + [1] * 500 for steps in range(1, 60, 4)]
    turns = [[0, 1] * 300, [1, 0] * 300, [0, 0, 1] * 200]
    return overtaken + turns + [Random(seed).choices((0, 1), k=600) for seed in range(6)]


@pytest.mark.parametrize(
    ("exports", "versions"),
    [
        pytest.param((SECOND, FIRST), {1, 2}, id="newer and older"),
        pytest.param((FIRST, SECOND), {1, 2}, id="older and newer"),
        pytest.param((FIRST, FOREIGN), {2}, id="different rows"),
        pytest.param((FIRST, FIRST), {1}, id="the same bytes"),
    ],
)
def test_two_publishers_at_once_lose_nothing_whatever_the_order_of_their_calls(
    exports: tuple[bytes, bytes], versions: set[int], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The newer export wins, both are accounted for, and the content is that of one publisher after the other."""
    _, sound = sound_lake(*exports)

    for schedule in schedules():
        lake = MemoryStore()
        desk = Desk(lake, CONFIG)
        delivered = [desk.deliver(f"{number}.json", data) for number, data in enumerate(exports)]
        interleaved(lake, desk, delivered, iter(schedule))

        assert published(lake)[-1][1] == published(sound)[-1][1]
        assert published(lake)[-1][0] in versions
        assert {export.id for export in delivered} <= desk.label_set().accounted()
        assert verify(lake, NAME).problems == []

    record_testsuite_property("faults survived", len(schedules()))


@pytest.mark.parametrize("hint", [b"", b"{", b'{"seq":"one"}', b'{"seq":-4}', None], ids=repr)
def test_a_hint_that_cannot_be_read_is_no_hint(hint: bytes | None) -> None:
    """The head is found without the hint, and the next commit writes a good one."""
    desk, lake = sound_lake(FIRST, SECOND)
    lake.delete(layout.latest(NAME))
    if hint is not None:
        lake.put_hint(layout.latest(NAME), hint)

    desk.bring("more.json", FOREIGN)

    assert history.head(lake, NAME).seq == 3
    assert lake.get(layout.latest(NAME)) == b'{"seq":3}\n'


def test_a_hint_ahead_of_the_log_is_damage() -> None:
    """A log that is shorter than its hint was cut: nobody reads or writes on."""
    desk, lake = sound_lake(FIRST)
    lake.put_hint(layout.latest(NAME), b'{"seq":7}')

    with pytest.raises(HistoryDamaged, match="record 7"):
        desk.bring("more.json", SECOND)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_record_missing_behind_a_lagging_hint_stops_publishers(missing: int) -> None:
    """Where the hint is gone too, a publisher sees later records and does not begin anew before them."""
    desk, lake = sound_lake(FIRST, SECOND, FOREIGN)
    lake.delete(layout.log(NAME, missing))
    lake.delete(layout.latest(NAME))

    with pytest.raises(HistoryDamaged, match=f"{missing:012d}.json is missing"):
        desk.bring("more.json", exported_again(FIRST, days=9, changed=1))

    assert lake.get(layout.log(NAME, missing)) is None


@pytest.mark.parametrize("damage", ["garbage", "another log"])
def test_a_checkpoint_that_does_not_fit_the_log_is_not_believed(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accounted for is then read out of the records themselves."""
    monkeypatch.setattr(accounted, "CHECKPOINT_EVERY", 2)
    desk, lake = sound_lake(FIRST, SECOND, FOREIGN)
    key = layout.checkpoint(NAME, 2)
    good = msgspec.json.decode(lake.get(key) or b"", type=accounted.Checkpoint)
    expected = Accounted(lake, NAME, history.head(lake, NAME)).all()
    lake.delete(key)
    bad = msgspec.structs.replace(good, record="0" * 64, exports=())
    lake.create(key, b"{" if damage == "garbage" else msgspec.json.encode(bad))

    found = Accounted(lake, NAME, history.head(lake, NAME)).all()

    assert found == expected
    assert len(found) == 3


def test_damaged_events_under_our_digest_are_stored_again_beside() -> None:
    """A torn upload lies where the events belong: the log names good bytes, and late exports can be joined."""
    sound, _ = sound_lake(SECOND)
    (entry,) = sound.label_set().version().exports().values()
    lake = MemoryStore()
    desk = Desk(lake, CONFIG)
    desk.landing = sound.landing
    lake.create(entry.events.key, b"torn")

    desk.ingest(desk.deliver("0.json", SECOND))
    desk.bring("late.json", FIRST)

    assert verify(lake, NAME).problems == []
    assert published(lake)[-1][1] == published_by(sound)


def published_by(desk: Desk) -> str:
    """The content digest of a desk's newest version."""
    return desk.label_set().version().root.content_digest


def test_a_damaged_raw_copy_fails_its_export_only() -> None:
    """Raw bytes that are not what their name says are never converted later, and other exports go on."""
    sound, _ = sound_lake(SECOND)
    (entry,) = sound.label_set().version().exports().values()
    lake = MemoryStore()
    desk = Desk(lake, CONFIG)
    lake.create(layout.raw(entry.sha256), b"torn")

    batch = desk.ingest(desk.deliver("bad.json", SECOND), desk.deliver("good.json", FOREIGN))

    assert sorted((outcome.export.key, outcome.status) for outcome in batch.outcomes) == [
        ("bad.json", "failed"),
        ("good.json", "published"),
    ]
    assert "remove it" in next(outcome.error or "" for outcome in batch.outcomes if outcome.status == "failed")
