"""Damage at rest: records and objects that are missing, flipped, replayed, and hints that point nowhere."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from encord_dagster import layout
from encord_dagster.errors import EncordDagsterError, HistoryDamaged
from encord_dagster.label_set import history
from encord_dagster.label_set.read import open_label_set
from encord_dagster.label_set.verify import verify
from encord_dagster.storage.protocol import ObjectStore
from tests.effort import EFFORT
from tests.faults.registry import EVERY
from tests.faults.stage import FIRST, FOREIGN, NAME, SECOND, Backend, flipped, seen, sound_lake
from tests.lakes import Desk, exported_again

Survived = Callable[[int], None]
LATER = exported_again(FIRST, days=9, changed=1)


@pytest.mark.faults("F46", on=EVERY)
@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("hint", ["kept", "lost"])
def test_a_record_that_is_missing_stops_publishers(backend: Backend, missing: int, hint: str) -> None:
    """A publisher sees later records and does not begin anew before them; verify says so."""
    desk = sound_lake(FIRST, SECOND, FOREIGN, lake=backend.new())
    desk.lake.delete(layout.log(NAME, missing))
    if hint == "lost":
        desk.lake.delete(layout.latest(NAME))

    with pytest.raises(HistoryDamaged, match=f"{missing:012d}.json is missing"):
        desk.bring("more.json", LATER)

    assert desk.lake.get(layout.log(NAME, missing)) is None
    assert verify(desk.lake, NAME).problems


@pytest.mark.faults("F46", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("ahead", [2, 7])
def test_a_hint_ahead_of_the_log_is_damage(backend: Backend, ahead: int) -> None:
    """A log that is shorter than its hint was cut: nobody reads or writes on."""
    desk = sound_lake(FIRST, lake=backend.new())
    desk.lake.put_hint(layout.latest(NAME), b'{"seq":%d}' % ahead)

    with pytest.raises(HistoryDamaged, match=f"record {ahead}"):
        desk.bring("more.json", SECOND)
    with pytest.raises(HistoryDamaged):
        desk.label_set()


@pytest.mark.faults("F46", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("hint", [b"", b"{", b'{"seq":"one"}', b'{"seq":-4}', None], ids=repr)
def test_a_hint_that_cannot_be_read_is_no_hint(backend: Backend, hint: bytes | None) -> None:
    """The head is found without it, and the next commit writes a good one."""
    desk = sound_lake(FIRST, SECOND, lake=backend.new())
    desk.lake.delete(layout.latest(NAME))
    if hint is not None:
        desk.lake.put_hint(layout.latest(NAME), hint)

    desk.bring("more.json", FOREIGN)

    assert desk.label_set().head.seq == 3
    assert desk.lake.get(layout.latest(NAME)) == b'{"seq":3}\n'


def named_keys(lake: ObjectStore) -> list[str]:
    """Keys that the log names, and the log itself."""
    keys = [info.key for info in lake.list(layout.label_set(NAME))]
    return [key for key in keys if "/log/" in key or "/objects/" in key or "/events-" in key]


def harmless(desk: Desk, digest: str) -> None:
    """Whoever reads gets the old content whole, or an error of ours."""
    with contextlib.suppress(EncordDagsterError):
        version = desk.label_set().version()
        found = version.root.content_digest, version.coco(), version.table("annotations").num_rows
        assert found[0] == digest


def damaged(backend: Backend, damage: Callable[[bytes], bytes | None]) -> int:
    """Each key in turn is damaged: verify names it, readers refuse or do not need it. How many."""
    desk = sound_lake(FIRST, SECOND, lake=backend.new())
    lake, digest = desk.lake, desk.label_set().version().root.content_digest
    every = named_keys(lake)
    keys = every if EFFORT > 1 or backend.name == "memory" else every[::4]
    for key in keys:
        good = lake.get(key) or b""
        bad = damage(good)
        lake.delete(key)
        if bad is not None:
            lake.put_hint(key, bad)

        problems = verify(lake, NAME).problems

        assert any(key in problem or "record" in problem or "log" in problem for problem in problems), key
        harmless(desk, digest)
        lake.put_hint(key, good)
    assert verify(lake, NAME).problems == []
    return len(keys)


@pytest.mark.faults("F47", on=EVERY)
def test_verify_names_whatever_is_deleted(backend: Backend, survived: Survived) -> None:
    """Every object and record of the set; the newest record is one, as the hint still points at it."""
    survived(damaged(backend, lambda data: None))


@pytest.mark.faults("F47", on=EVERY, slow_on=("local", "s3"))
def test_verify_names_whatever_is_cut(backend: Backend, survived: Survived) -> None:
    """The last byte is gone."""
    survived(damaged(backend, lambda data: data[:-2]))


@pytest.mark.faults("F47", on=EVERY, slow_on=("local", "s3"))
def test_verify_names_whatever_is_overwritten_with_zeros(backend: Backend, survived: Survived) -> None:
    """As after a disk that lost a block."""
    survived(damaged(backend, lambda data: bytes(len(data))))


@pytest.mark.faults("F47", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("part", [1, 2, 3])
def test_readers_refuse_a_flipped_object(backend: Backend, part: int, survived: Survived) -> None:
    """One bit in each object of the newest version: no reader uses it."""
    desk = sound_lake(FIRST, lake=backend.new())
    lake, sound = desk.lake, seen(desk.lake)
    every = [key for key in named_keys(lake) if "/objects/" in key]
    keys = every if EFFORT > 1 or backend.name == "memory" else every[::4]
    for key in keys:
        good = lake.get(key) or b""
        lake.put_hint(key, flipped(good, len(good) * part // 4))
        assert any(key in problem for problem in verify(lake, NAME).problems)
        harmless(desk, (sound or ("", b""))[0])
        lake.put_hint(key, good)

    survived(len(keys))


@pytest.mark.faults("F47", on=("memory",))
def test_a_bit_flipped_anywhere_in_the_newest_record_is_named(backend: Backend, survived: Survived) -> None:
    """No later record vouches for it: neither a reader nor a publisher goes on from it."""
    desk = sound_lake(FIRST, SECOND, lake=backend.new())
    key = layout.log(NAME, 2)
    good = desk.lake.get(key) or b""
    for at in range(len(good)):
        desk.lake.put_hint(key, flipped(good, at))
        with pytest.raises(HistoryDamaged):
            history.head(desk.lake, NAME)
        if at % 100 == 0:
            assert any(key in problem for problem in verify(desk.lake, NAME).problems)

    survived(len(good))


@pytest.mark.faults("F47", on=("memory",))
def test_a_bit_flipped_anywhere_in_a_category_claim_is_named(backend: Backend, survived: Survived) -> None:
    """The next publish would give the class another number."""
    desk = sound_lake(FIRST, lake=backend.new())
    key = layout.category(NAME, 1)
    good = desk.lake.get(key) or b""
    for at in range(len(good)):
        desk.lake.put_hint(key, flipped(good, at))
        problems = verify(desk.lake, NAME).problems
        assert any(key in problem for problem in problems), good[at:]

    survived(len(good))


@pytest.mark.faults("F47", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("damage", ["flipped", "deleted"])
@pytest.mark.parametrize("number", [1, -1], ids=["first", "last"])
def test_a_damaged_category_claim_stops_publishers(backend: Backend, damage: str, number: int) -> None:
    """A class that has another number, or a number that another class takes, would be in all later versions."""
    desk = sound_lake(FIRST, lake=backend.new())
    keys = [info.key for info in desk.lake.list(layout.categories(NAME))]
    key = layout.category(NAME, number if number > 0 else len(keys))
    good = desk.lake.get(key) or b""
    desk.lake.delete(key)
    if damage == "flipped":
        desk.lake.put_hint(key, flipped(good, good.index(b'"feature_hash":"') + 16))

    with pytest.raises(HistoryDamaged, match=re.escape(key)):
        desk.bring("more.json", SECOND)

    desk.lake.put_hint(key, good)
    desk.bring("again.json", exported_again(SECOND, days=2, changed=1))
    assert seen(desk.lake)


@pytest.mark.faults("F48", on=EVERY)
@pytest.mark.parametrize("slot", [2, 3, 4])
def test_an_old_record_in_a_later_place_is_refused(backend: Backend, slot: int) -> None:
    """A record says its own number, so nobody takes a copy of it for a later one."""
    desk = sound_lake(FIRST, SECOND, FOREIGN, lake=backend.new())
    desk.lake.put_hint(layout.log(NAME, slot), desk.lake.get(layout.log(NAME, 1)) or b"")

    with pytest.raises(HistoryDamaged):
        desk.bring("more.json", LATER)
    assert verify(desk.lake, NAME).problems


@pytest.mark.faults("F48", on=EVERY, slow_on=("local", "s3"))
def test_an_older_head_beside_a_newer_hint_is_refused(backend: Backend) -> None:
    """The log was put back to an older state, the hint was not."""
    desk = sound_lake(FIRST, SECOND, lake=backend.new())
    desk.lake.delete(layout.log(NAME, 2))

    with pytest.raises(HistoryDamaged):
        desk.label_set()


@pytest.mark.faults("F48", on=EVERY, slow_on=("local", "s3"))
@pytest.mark.parametrize("instead", [None, FOREIGN], ids=["nothing since", "another history since"])
def test_a_whole_older_state_is_refused_by_a_reader_that_saw_a_newer_one(
    backend: Backend, instead: bytes | None, tmp_path: Path
) -> None:
    """Log and hint are those of last week and fit each other: only the state file of a reader can tell."""
    desk = sound_lake(FIRST, lake=backend.new())
    older = backend.copy(desk.lake)
    desk.bring("1.json", SECOND)
    state = tmp_path / "state" / "street.json"
    assert open_label_set(desk.lake, NAME, state=state).head.seq == 2
    desk.lake.delete(layout.log(NAME, 2))
    desk.lake.put_hint(layout.latest(NAME), older.get(layout.latest(NAME)) or b"")
    if instead:
        desk.bring("2.json", instead)
        assert desk.label_set().head.seq == 2

    with pytest.raises(HistoryDamaged, match="rewritten" if instead else "older head"):
        open_label_set(desk.lake, NAME, state=state)
