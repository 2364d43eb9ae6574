"""Bugs planted on purpose: a suite that finds none of them proves nothing."""

from collections.abc import Callable

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.label_set import history, join, objects
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import LogRecord, ObjectRef, encode, sha256
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests.faults import test_damage, test_landing, test_schedules, test_storage_calls
from tests.faults.stage import FIRST, FOREIGN, Backend

MEMORY = Backend("memory", MemoryStore)
Plant = Callable[[pytest.MonkeyPatch], None]


def _not(injections: int) -> None:
    """Count nothing: these runs are not injections of their own."""


def takes_a_refused_create_for_success(patch: pytest.MonkeyPatch) -> None:
    """A 412 is not read back: whatever is there is taken for ours."""

    def commit(lake: ObjectStore, name: str, record: LogRecord) -> Head:
        lake.create(layout.log(name, record.seq), encode(record))
        return Head(record.seq, record, sha256(encode(record)))

    patch.setattr(history, "commit", commit)


def commits_before_its_objects(patch: pytest.MonkeyPatch) -> None:
    """Objects are written when the record that names them is there already."""
    waiting: list[tuple[ObjectStore, str, bytes]] = []
    write_at, commit, read = objects.write_at, history.commit, objects.read

    def later(lake: ObjectStore, key: str, data: bytes, digest: str = "") -> ObjectRef:
        waiting.append((lake, key, data))
        return ObjectRef(key, sha256(data), len(data))

    def early(lake: ObjectStore, name: str, record: LogRecord) -> Head | None:
        head = commit(lake, name, record)
        for each in waiting:
            write_at(*each)
        waiting.clear()
        return head

    def read_waiting(lake: ObjectStore, ref: ObjectRef) -> bytes:
        found = next((data for store, key, data in waiting if store is lake and key == ref.key), None)
        return read(lake, ref) if found is None else found

    patch.setattr(objects, "write_at", later)
    patch.setattr(objects, "read", read_waiting)
    patch.setattr(history, "commit", early)


def takes_what_arrived_last(patch: pytest.MonkeyPatch) -> None:
    """The join does not ask what came before."""
    patch.setattr(join.Join, "rival", lambda self, event: None)


def believes_what_it_reads(patch: pytest.MonkeyPatch) -> None:
    """No digest is checked."""
    patch.setattr(objects, "read", lambda lake, ref: lake.get(ref.key) or b"")


def believes_the_hint(patch: pytest.MonkeyPatch) -> None:
    """The record that the hint names is the head, without a look behind it."""

    def head(lake: ObjectStore, name: str) -> Head:
        seq = history._hint(lake, name)
        found = history.read_record(lake, name, seq) if seq else None
        return Head(seq, *found) if found else Head(0, None, None)

    patch.setattr(history, "head", head)


class Mutant(msgspec.Struct, frozen=True):
    """A bug, and a fault test that must fail with it and passes without."""

    plant: Plant
    caught_by: Callable[[], None]

    @property
    def name(self) -> str:
        """What the bug does."""
        return self.plant.__name__


def _one_race() -> None:
    test_schedules.race_all(MEMORY, [[0] * 25 + [1] * 500], (FIRST, FOREIGN), {2})


MUTANTS = (
    Mutant(
        takes_a_refused_create_for_success,
        _one_race,
    ),
    Mutant(
        takes_a_refused_create_for_success,
        lambda: test_storage_calls.test_a_rival_in_the_slot_is_not_taken_for_ours(MEMORY),
    ),
    Mutant(
        commits_before_its_objects,
        lambda: test_storage_calls.test_a_crash_after_any_storage_call_leaves_a_whole_version(
            MEMORY, "first publish", _not
        ),
    ),
    Mutant(
        takes_what_arrived_last,
        lambda: test_landing.test_an_export_older_than_what_is_published_changes_nothing(MEMORY),
    ),
    Mutant(believes_what_it_reads, lambda: test_damage.test_readers_refuse_a_flipped_object(MEMORY, 2, _not)),
    Mutant(
        believes_what_it_reads,
        lambda: test_storage_calls.test_bytes_that_are_not_what_was_stored_are_never_used(
            MEMORY, "publish on top", _not
        ),
    ),
    Mutant(believes_the_hint, lambda: test_damage.test_a_hint_ahead_of_the_log_is_damage(MEMORY, 7)),
)


@pytest.mark.faults("F52", on=("memory",))
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault test passes, and fails as soon as the bug is in."""
    mutant.caught_by()

    mutant.plant(monkeypatch)
    monkeypatch.setattr(
        "encord_dagster.label_set.history.COMMIT_ATTEMPTS", 3
    )  # a run that can never commit soon gives up

    with pytest.raises(BaseException) as caught:
        mutant.caught_by()
    assert not isinstance(caught.value, (KeyboardInterrupt, SystemExit, NameError, TypeError))


@pytest.mark.faults("F52", on=("memory",))
def test_there_are_five_kinds_of_planted_bugs() -> None:
    """Each is caught by one test or more."""
    assert len({mutant.plant for mutant in MUTANTS}) == 5
