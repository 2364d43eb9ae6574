"""Faults of single storage calls of a publish: crashes, lost answers, outages, bytes that are not what was stored."""

import contextlib
from collections.abc import Callable
from random import Random

import pytest

from encord_dagster import layout
from encord_dagster.errors import AccessDenied, CommitStateUnknown, EncordDagsterError, StorageError
from encord_dagster.label_set.verify import verify
from tests.effort import EFFORT, examples
from tests.faults.registry import EVERY
from tests.faults.stage import (
    BASES,
    CONFIG,
    FIRST,
    FOREIGN,
    NAME,
    SECOND,
    Act,
    Backend,
    Counting,
    LosesAnswers,
    content,
    flipped,
    published,
    seen,
    sound_lake,
    sweep_of,
)
from tests.lakes import Desk

Survived = Callable[[int], None]
bases = pytest.mark.parametrize("base", BASES)
landed = pytest.mark.parametrize("lands", [True, False], ids=["landed", "did not land"])


def places(calls: int, backend: Backend, *, start: int = 3, memory: int = 3) -> range:
    """Every call of a run; in the quick run some of those over a network or a disk."""
    step = max(1, {"memory": memory, "local": 8, "s3": 24, "radosgw": 12 * EFFORT}[backend.name] // EFFORT)
    return range(start if step > 1 else 1, calls + 1, step)


def crash_everywhere(backend: Backend, base: str, *, after: bool, memory: int) -> int:
    """Die around each call in turn; readers see one version whole, and the next run mends it."""
    sweep = sweep_of(backend, base)
    tried = places(sweep.calls, backend, memory=memory)
    for at in tried:
        lake = sweep.lake()
        sweep.crash(lake, at, after=after)
        sweep.recovers(lake)
    assert sweep.calls > 25
    return len(tried)


@pytest.mark.faults("F01", on=EVERY)
@bases
def test_a_crash_before_any_storage_call_leaves_a_whole_version(
    backend: Backend, base: str, survived: Survived
) -> None:
    """Readers see the old or the new version whole, and the next run gives exactly one version of the same content."""
    survived(crash_everywhere(backend, base, after=False, memory=2))


@pytest.mark.faults("F02", on=EVERY)
@bases
def test_a_crash_after_any_storage_call_leaves_a_whole_version(backend: Backend, base: str, survived: Survived) -> None:
    """The same where the call was made and its answer never read: what dying before the next call leaves."""
    survived(crash_everywhere(backend, base, after=True, memory=4))


@pytest.mark.faults("F03", on=EVERY)
@bases
def test_two_crashes_in_a_row_leave_a_whole_version(backend: Backend, base: str, survived: Survived) -> None:
    """A second crash, in the run that repairs the first one, changes nothing of it."""
    sweep, random = sweep_of(backend, base), Random(5)
    count = examples({"memory": 10, "local": 2, "s3": 1}[backend.name])
    pairs = [(random.randint(1, sweep.calls), random.randint(1, sweep.calls)) for _ in range(count)]

    for first, second in pairs:
        lake = sweep.lake()
        sweep.crash(lake, first, after=random.random() < 0.5)
        sweep.crash(lake, second, after=random.random() < 0.5)
        sweep.recovers(lake)

    survived(len(pairs))


@pytest.mark.slow
@pytest.mark.faults("F03", on=("memory",))
@bases
def test_many_pairs_of_crashes_leave_a_whole_version(backend: Backend, base: str, survived: Survived) -> None:
    """Places of two crashes, a sixth of all; dying after a call leaves what dying before the next one does."""
    sweep, pairs = sweep_of(backend, base), 0
    for first in range(1, sweep.calls + 2, 2):
        died = sweep.lake()
        sweep.crash(died, first, after=False)
        for second in range(1 + first % 3, sweep.calls + 2, 3):
            lake = backend.copy(died)
            sweep.crash(lake, second, after=False)
            sweep.recovers(lake)
            pairs += 1

    survived(pairs)


@pytest.mark.faults("F09", on=("memory", "local"))
@bases
@landed
def test_an_outage_at_any_storage_call_fails_the_run_cleanly(
    backend: Backend, base: str, lands: bool, survived: Survived
) -> None:
    """Whatever call the store gives up on, the error is ours, readers see one version whole, the next run publishes."""
    sweep = sweep_of(backend, base)
    found = 0
    tried = places(sweep.calls, backend, memory=5)
    for at in tried:
        lake = sweep.lake()
        outage = Counting(at, after=lands, error=lambda: StorageError("503 for longer than the retries"))
        try:
            batch = sweep.run(lake, outage)
        except StorageError:
            found += 1
        else:
            found += any(outcome.status == "failed" for outcome in batch.outcomes)
        assert seen(lake) in (sweep.old, sweep.new)
        sweep.recovers(lake)

    assert found > len(tried) / 2
    survived(len(tried))


@pytest.mark.faults("F16", on=("memory", "local"))
@bases
def test_credentials_that_end_in_mid_run_fail_it_cleanly(backend: Backend, base: str, survived: Survived) -> None:
    """From some call on every answer is no: AccessDenied or a failed export, and with new credentials it publishes."""
    sweep = sweep_of(backend, base)
    tried = places(sweep.calls, backend)[::2]
    for at in tried:
        lake, left = sweep.lake(), [at]

        def expiring(call: str, key: str, act: Act, left: list[int] = left) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise AccessDenied("the token is expired")
            return act()

        try:
            batch = sweep.run(lake, expiring)
        except (AccessDenied, CommitStateUnknown):  # unknown: the record was sent and cannot be read back
            pass
        else:
            assert at >= sweep.calls or batch.outcomes[0].status == "failed"
        assert seen(lake) in (sweep.old, sweep.new)
        sweep.recovers(lake)

    survived(len(tried))


def one_lost_commit(backend: Backend, base: str, *, lands: bool) -> None:
    """The answer to the commit is lost once: the run itself finds out whether its record is there."""
    sweep = sweep_of(backend, base)
    lake = sweep.lake()
    losing = LosesAnswers("log", lands=lands)

    sweep.run(lake, losing)

    assert len(losing.lost) == 1
    assert published(lake) == sweep.versions
    assert seen(lake) == sweep.new


@pytest.mark.faults("F04", on=EVERY, slow_on=("s3",))
@bases
@landed
def test_a_commit_whose_answer_is_lost_is_asked_after(backend: Backend, base: str, lands: bool) -> None:
    """Landed or not, there is one version, and the run says so."""
    one_lost_commit(backend, base, lands=lands)


@pytest.mark.faults("F05", on=EVERY, slow_on=("s3",))
@landed
def test_a_commit_that_is_never_answered_is_an_unknown_state(backend: Backend, lands: bool) -> None:
    """Where no answer ever comes the run says so by name, and the next run finds or makes the one version."""
    sweep = sweep_of(backend, "first publish")
    lake = sweep.lake()

    with pytest.raises(CommitStateUnknown, match=r"log/000000000001\.json"):
        sweep.run(lake, LosesAnswers("log", times=100, lands=lands))

    assert len(published(lake)) == lands
    sweep.recovers(lake)


@pytest.mark.faults("F16", on=EVERY, slow_on=("s3",))
def test_a_refused_commit_is_no_unknown_state(backend: Backend) -> None:
    """A commit that the credentials may not make is told as what it is."""
    sweep = sweep_of(backend, "first publish")
    lake = sweep.lake()

    with pytest.raises(AccessDenied):
        sweep.run(lake, LosesAnswers("log", lands=False, error=AccessDenied))

    assert published(lake) == []
    sweep.recovers(lake)


@pytest.mark.faults("F06", on=EVERY, slow_on=("s3",))
@landed
@pytest.mark.parametrize(
    ("part", "base"),
    [
        ("objects", "first publish"),
        ("objects", "publish on top"),
        ("exports", "first publish"),
        ("exports", "publish on top"),
        ("raw", "first publish"),
        ("raw", "publish on top"),
        ("categories", "first publish"),  # on top of it no class is new
    ],
)
def test_a_lost_answer_to_any_other_write_fails_the_run_and_not_the_label_set(
    backend: Backend, part: str, base: str, lands: bool
) -> None:
    """The run fails cleanly, readers see the old version, and the next run publishes."""
    sweep = sweep_of(backend, base)
    lake = sweep.lake()
    losing = LosesAnswers(part, lands=lands)

    with pytest.raises(StorageError):
        sweep.run(lake, losing)

    assert len(losing.lost) == 1
    assert published(lake) == published(sweep.base)
    sweep.recovers(lake)


@pytest.mark.faults("F08", on=EVERY, slow_on=("s3",))
def test_a_rival_in_the_slot_is_not_taken_for_ours(backend: Backend) -> None:
    """An answer is lost and another publisher's record is in the slot: the run joins on top of it."""
    sweep = sweep_of(backend, "first publish")
    lake = sweep.lake()
    rival = Desk(lake, CONFIG)
    raced: list[str] = []

    def around(call: str, key: str, act: Act) -> object:
        if call == "create" and "/log/" in key and not raced:
            raced.append(key)
            rival.bring("foreign.json", FOREIGN)
            raise StorageError("no answer")
        return act()

    sweep.run(lake, around)

    assert [version for version, _ in published(lake)] == [1, 2]
    assert content(lake) == content(sound_lake(FOREIGN, FIRST).lake)


CLAIMS = layout.categories(NAME)


def is_checked(key: str) -> bool:
    """Whether a key lies in the lake and its bytes have a digest somewhere."""
    return key.startswith(("label_sets/", "raw/")) and not key.startswith(CLAIMS)


def spoiled_reads(
    backend: Backend, base: str, spoil: Callable[[bytes], bytes], *, of: Callable[[str], bool] = is_checked
) -> int:
    """Each read of the lake in turn gives spoiled bytes, once; no wrong version may come of it. How many there were."""
    sweep = sweep_of(backend, base)
    reads: list[str] = []

    def count(call: str, key: str, act: Act) -> object:
        reads.extend([key] if call == "get" and of(key) else [])
        return act()

    sweep.run(sweep.lake(), count)
    for at in places(len(reads), backend, start=1):
        lake, left = sweep.lake(), [at]

        def around(call: str, key: str, act: Act, left: list[int] = left) -> object:
            found = act()
            if call == "get" and of(key):
                left[0] -= 1
                if left[0] == 0 and isinstance(found, bytes):
                    return spoil(found)
            return found

        with contextlib.suppress(EncordDagsterError):
            sweep.run(lake, around)
        assert seen(lake) in (sweep.old, sweep.new), f"read {at}, of {reads[at - 1]}"
        sweep.recovers(lake)
    return len(places(len(reads), backend, start=1))


@pytest.mark.faults("F12", on=EVERY, slow_on=("s3",))
@bases
def test_half_an_object_is_never_used(backend: Backend, base: str, survived: Survived) -> None:
    """A torn read that nobody retried is refused by what it should have been."""
    survived(spoiled_reads(backend, base, lambda data: data[: len(data) // 2]))


@pytest.mark.faults("F13", on=EVERY)
@bases
def test_bytes_that_are_not_what_was_stored_are_never_used(backend: Backend, base: str, survived: Survived) -> None:
    """Other bytes of the right length are refused by their digest."""
    survived(spoiled_reads(backend, base, lambda data: bytes(len(data))))


@pytest.mark.faults("F13", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_flipped_bit_in_a_read_is_never_used(backend: Backend, part: int, survived: Survived) -> None:
    """What is still JSON with one character changed is refused as surely as garbage."""
    survived(spoiled_reads(backend, "publish on top", lambda data: flipped(data, len(data) * part // 4)))


@pytest.mark.faults("F13", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[: len(data) // 2], lambda data: flipped(data, data.index(b'"feature_hash":"') + 16)],
    ids=["torn", "bit flipped"],
)
def test_a_category_claim_that_is_read_wrong_is_refused(
    backend: Backend, spoil: Callable[[bytes], bytes], survived: Survived
) -> None:
    """Its number stays what it is in all versions before."""
    survived(spoiled_reads(backend, "publish on top", spoil, of=lambda key: key.startswith(CLAIMS)))


def damaged_upload(backend: Backend) -> None:
    """A torn upload lies where the events belong: the log names good bytes, and late exports can be joined."""
    sound = sound_lake(SECOND)
    (entry,) = sound.label_set().version().exports().values()
    desk = Desk(backend.new(), CONFIG)
    desk.landing = sound.landing
    desk.lake.put_hint(entry.events.key, b"torn")

    desk.ingest(desk.deliver("0.json", SECOND))
    desk.bring("late.json", FIRST)

    assert desk.lake.get(entry.events.key) == b"torn"
    assert verify(desk.lake, NAME).problems == []
    assert content(desk.lake) == content(sound.lake)


@pytest.mark.faults("F14", on=EVERY)
def test_a_torn_upload_under_our_digest_is_stored_again_beside(backend: Backend) -> None:
    """The version names the good bytes; the bad ones are left where they are."""
    damaged_upload(backend)


@pytest.mark.faults("F14", on=EVERY, slow_on=("local", "s3"))
def test_any_torn_object_of_a_version_is_stored_again_beside(backend: Backend, survived: Survived) -> None:
    """Each object that a publish writes lies there torn already: the version is whole all the same."""
    sound = sound_lake(FIRST)
    keys = [info.key for info in sound.lake.list(f"{layout.label_set(NAME)}objects/")]

    if backend.name == "radosgw" or (backend.name != "memory" and EFFORT == 1):
        keys = keys[::5]
    for key in keys:
        desk = Desk(backend.new(), CONFIG)
        desk.lake.put_hint(key, (sound.lake.get(key) or b"")[:-1])
        desk.bring("0.json", FIRST)
        assert seen(desk.lake) == seen(sound.lake)

    survived(len(keys))


@pytest.mark.faults("F14", on=EVERY, slow_on=("local", "s3"))
def test_a_damaged_raw_copy_fails_its_export_only(backend: Backend) -> None:
    """Raw bytes that are not what their name says are never converted later, and other exports go on."""
    (entry,) = sound_lake(SECOND).label_set().version().exports().values()
    desk = Desk(backend.new(), CONFIG)
    desk.lake.put_hint(layout.raw(entry.sha256), b"torn")

    batch = desk.ingest(desk.deliver("bad.json", SECOND), desk.deliver("good.json", FOREIGN))

    assert sorted((outcome.export.key, outcome.status) for outcome in batch.outcomes) == [
        ("bad.json", "failed"),
        ("good.json", "published"),
    ]
    assert "remove it" in next(outcome.error or "" for outcome in batch.outcomes if outcome.status == "failed")
