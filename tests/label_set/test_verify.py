"""Verification finds every damage, names the object, and tells damage from what gc dropped."""

from collections.abc import Callable

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged
from encord_dagster.formats.fragment import Category
from encord_dagster.label_set import accounted, history, manifest
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.manifest import Bucket, LogRecord, ObjectRef, Root
from encord_dagster.label_set.verify import Report, verify
from encord_dagster.storage.memory import MemoryStore
from tests.label_set.test_faults import CONFIG, FIRST, FOREIGN, NAME, SECOND, Counting, Watched, copy_of
from tests.lakes import Desk, exported_again

THIRD = exported_again(SECOND, changed=1, days=2)
Told = Callable[[str, object], None]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Three versions and a checkpoint."""
    monkeypatch.setattr(accounted, "CHECKPOINT_EVERY", 2)
    desk = Desk(MemoryStore(), CONFIG)
    for number, data in enumerate((FIRST, SECOND, FOREIGN)):
        desk.bring(f"{number}.json", data)
    return desk


def replace(desk: Desk, key: str, data: bytes | None) -> None:
    """Put other bytes at a key, or none, as no publisher can."""
    desk.lake.delete(key)
    if data is not None:
        desk.lake.create(key, data)


def flip(data: bytes) -> bytes:
    """The same bytes but for one bit."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def problems(desk: Desk, *, quick: bool = False) -> list[str]:
    """What verify says."""
    return verify(desk.lake, NAME, quick=quick).problems


def all_objects(desk: Desk) -> dict[str, ObjectRef]:
    """Every object that a version or a record names, by what it is."""
    found: dict[str, ObjectRef] = {}
    for record in desk.label_set().log():
        assert record.root
        found[f"root {record.version}"] = record.root
        for entry in record.exports:
            found[f"events {record.version}"] = entry.events
        root = desk.label_set().version(record.version).root
        found |= {f"{name} {record.version}": ref for name, ref in root.files.items()}
        for named in root.buckets.values():
            found[f"bucket {record.version}"] = named.ref
            bucket = msgspec.json.decode(desk.lake.get(named.ref.key) or b"", type=Bucket)
            found |= {f"{kind} {record.version}": ref for kind, ref in bucket.shards.items()}
    return found


def record_of(desk: Desk, seq: int) -> LogRecord:
    """A record of the log."""
    found = history.read_record(desk.lake, NAME, seq)
    assert found
    return found[0]


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
def test_a_sound_label_set_has_no_problem(desk: Desk, quick: bool) -> None:
    """Everything is counted: records, versions, and each object once with its bytes."""
    named = {ref.key: ref.size for ref in all_objects(desk).values()}

    report = verify(desk.lake, NAME, quick=quick)

    assert report == Report(
        records=3, versions=3, dropped=0, objects=len(named), bytes=sum(named.values()), problems=[]
    )


@pytest.mark.parametrize("damage", ["flipped", "missing", "cut"])
def test_every_damaged_object_is_named(desk: Desk, damage: str, record_testsuite_property: Told) -> None:
    """A flipped bit, a missing object and a cut one, for each object that is named anywhere: it and no other."""
    named = all_objects(desk)

    for what, ref in named.items():
        data = desk.lake.get(ref.key) or b""
        replace(desk, ref.key, {"flipped": flip(data), "missing": None, "cut": data[:-1]}[damage])
        found = problems(desk)
        replace(desk, ref.key, data)

        assert len([text for text in found if text.startswith(ref.key)]) == 1, (what, found)
        assert len(found) == 1, (what, found)

    record_testsuite_property("faults found", len(named))
    assert len(named) > 15


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_quick_look_finds_what_sizes_tell(desk: Desk, damage: str, record_testsuite_property: Told) -> None:
    """Missing and cut objects; a flipped bit in a shard takes a full look."""
    named = all_objects(desk)

    for what, ref in named.items():
        data = desk.lake.get(ref.key) or b""
        replace(desk, ref.key, data[:-1] if damage == "cut" else None)
        found = problems(desk, quick=True)
        replace(desk, ref.key, data)

        assert [text for text in found if text.startswith(ref.key)], (what, found)

    record_testsuite_property("faults found", len(named))


def test_a_quick_look_reads_no_shard_and_no_events(desk: Desk) -> None:
    """It reads the log, roots and buckets."""
    read: list[str] = []

    def around(call: str, key: str, act: Callable[[], object]) -> object:
        if call == "get":
            read.append(key)
        return act()

    assert isinstance(desk.lake, MemoryStore)
    verify(Watched(desk.lake, around), NAME, quick=True)

    named = all_objects(desk)
    manifests = {ref.key for what, ref in named.items() if what.startswith(("root", "bucket"))}
    assert manifests <= set(read)
    assert not set(read) & ({ref.key for ref in named.values()} - manifests)


def test_each_object_is_read_once(desk: Desk) -> None:
    """However many versions share it, and whatever is wrong with it."""
    damaged = all_objects(desk)["images 1"]
    replace(desk, damaged.key, b"torn")
    read: list[str] = []

    def around(call: str, key: str, act: Callable[[], object]) -> object:
        if call == "get":
            read.append(key)
        return act()

    assert isinstance(desk.lake, MemoryStore)
    verify(Watched(desk.lake, around), NAME)

    assert [read.count(ref.key) for ref in all_objects(desk).values()] == [1] * len(all_objects(desk))


# the log


@pytest.mark.parametrize("seq", [1, 2])
def test_a_record_missing_in_the_middle_is_named(desk: Desk, seq: int) -> None:
    """Also behind a hint that leads to the head; what the other records name is checked all the same."""
    replace(desk, layout.log(NAME, seq), None)
    events = record_of(desk, 3).exports[0].events
    replace(desk, events.key, None)

    found = problems(desk)

    assert any(text.startswith(f"{layout.log(NAME, seq)} is missing") for text in found)
    assert any(text.startswith(events.key) for text in found)


@pytest.mark.parametrize("seq", [1, 2])
def test_an_altered_record_is_named(desk: Desk, seq: int) -> None:
    """The record after it does not follow it."""
    other = msgspec.structs.replace(record_of(desk, seq), fragments=77)
    replace(desk, layout.log(NAME, seq), manifest.encode(other))

    assert any(layout.log(NAME, seq) in text and "was altered" in text for text in problems(desk))


def test_a_record_that_cannot_be_read_is_named(desk: Desk) -> None:
    """And those around it are held against what can be read."""
    replace(desk, layout.log(NAME, 2), b"{")

    assert any(text.startswith(f"{layout.log(NAME, 2)} cannot be read") for text in problems(desk))


@pytest.mark.parametrize("at", [2, 3, 4])
def test_a_replayed_record_is_named(desk: Desk, at: int) -> None:
    """An old record copied to a later number, also as a new head."""
    replace(desk, layout.log(NAME, at), desk.lake.get(layout.log(NAME, 1)))

    assert f"{layout.log(NAME, at)} holds record 1: it was moved or replayed" in problems(desk)


def test_an_old_record_with_a_new_number_is_named(desk: Desk) -> None:
    """Its content rolls the label set back behind the backs of its readers: versions never go down."""
    head = history.head(desk.lake, NAME)
    forged = msgspec.structs.replace(record_of(desk, 1), seq=4, previous=head.digest)
    desk.lake.create(layout.log(NAME, 4), manifest.encode(forged))

    assert any("version 1 cannot follow version 3" in text for text in problems(desk))


def test_a_record_of_another_epoch_is_named(desk: Desk) -> None:
    """Only a gc begins an epoch."""
    head = history.head(desk.lake, NAME)
    forged = msgspec.structs.replace(record_of(desk, 3), seq=4, previous=head.digest, op="observe", epoch=5)
    desk.lake.create(layout.log(NAME, 4), manifest.encode(forged))

    assert any("epoch 5 cannot follow epoch 0" in text for text in problems(desk))


def test_a_hint_ahead_of_the_head_is_named(desk: Desk) -> None:
    """The log was cut, or the hint was forged."""
    desk.lake.put_hint(layout.latest(NAME), b'{"seq":7}')

    assert any("names record 7, and the log ends at 3" in text for text in problems(desk))


def test_a_log_that_was_cut_together_with_its_hint_is_found_by_the_checkpoint(desk: Desk) -> None:
    """A checkpoint speaks of a record that is not there."""
    for seq in (2, 3):
        replace(desk, layout.log(NAME, seq), None)
    desk.lake.put_hint(layout.latest(NAME), b'{"seq":1}')

    assert any(text.startswith(layout.checkpoint(NAME, 2)) for text in problems(desk))


def test_a_lagging_or_unreadable_hint_is_no_problem(desk: Desk) -> None:
    """It is no more than a hint."""
    for hint in (b'{"seq":1}', b"{"):
        desk.lake.put_hint(layout.latest(NAME), hint)

        assert problems(desk) == []


def test_something_else_in_the_log_is_named(desk: Desk) -> None:
    """Nobody else writes there."""
    key = f"{layout.log_prefix(NAME)}1.json"
    desk.lake.create(key, b"{}")

    assert problems(desk) == [f"{key} does not belong there"]


def test_an_altered_checkpoint_is_named(desk: Desk) -> None:
    """One that leaves an export out, one that speaks of another record, and one that cannot be read."""
    key = layout.checkpoint(NAME, 2)
    good = msgspec.json.decode(desk.lake.get(key) or b"", type=accounted.Checkpoint)
    forged = (
        manifest.encode(msgspec.structs.replace(good, exports=good.exports[1:])),
        manifest.encode(msgspec.structs.replace(good, record="0" * 64)),
        b"{",
    )
    for data in forged:
        replace(desk, key, data)

        assert [text for text in problems(desk) if text.startswith(key)]

    replace(desk, key, None)  # it is derived, so a crash before it was written is no damage
    assert problems(desk) == []


# claims and quarantine


@pytest.mark.parametrize("damage", ["id", "feature_hash", "shape", "missing", "garbage", "twice"])
def test_an_altered_category_claim_is_named(desk: Desk, damage: str) -> None:
    """Ids of published annotations rest on it."""
    key = layout.category(NAME, 1)
    claim = msgspec.json.decode(desk.lake.get(key) or b"", type=Category)
    other = msgspec.json.decode(desk.lake.get(layout.category(NAME, 2)) or b"", type=Category)
    forged = {
        "id": manifest.encode(msgspec.structs.replace(claim, id=9)),
        "feature_hash": manifest.encode(msgspec.structs.replace(claim, feature_hash="other")),
        "shape": manifest.encode(msgspec.structs.replace(claim, shape="cuboid")),
        "missing": None,
        "garbage": b"{",
        "twice": manifest.encode(msgspec.structs.replace(other, id=1)),
    }
    replace(desk, key, forged[damage])

    assert [text for text in problems(desk) if text.startswith((key, layout.category(NAME, 2)))]


def test_a_damaged_quarantine_record_is_named(desk: Desk) -> None:
    """Its name ends in its digest."""
    desk.bring("bad.json", b"{}")
    assert problems(desk) == []
    (key,) = desk.written(layout.quarantine(NAME))
    replace(desk, key, flip(desk.lake.get(key) or b""))

    assert problems(desk) == [f"{key} does not hold the bytes it is named after"]


# statements of manifests


@pytest.mark.parametrize("what", ["rows", "annotations", "tombstones", "images", "coco_rows", "losses"])
def test_a_root_with_other_totals_than_its_buckets_is_named(desk: Desk, what: str) -> None:
    """Its digest is right, and its statement is wrong."""
    changed: dict[str, object] = {what: {"colour": 3} if what == "losses" else 99}
    ref = forge(desk, lambda root: msgspec.structs.replace(root, **changed))

    assert any(text.startswith(f"{ref.key}: it states") for text in problems(desk))


def test_a_root_with_another_content_digest_is_named(desk: Desk) -> None:
    """Its buckets, the root and the record must say the same."""
    ref = forge(desk, lambda root: msgspec.structs.replace(root, content_digest="0" * 64))

    assert any(ref.key in text and "content digest" in text for text in problems(desk))


def test_a_bucket_with_other_rows_than_its_root_says_is_named(desk: Desk) -> None:
    """The tree digest of its rows is computed anew."""

    def other_rows(root: Root) -> Root:
        buckets = {key: msgspec.structs.replace(named, digest="0" * 64) for key, named in root.buckets.items()}
        return msgspec.structs.replace(root, buckets=buckets)

    # the forged version shares its bucket with the one before, so that one must not vouch for it
    forge(desk, other_rows)

    assert any("content digest" in text for text in problems(desk))


def forge(desk: Desk, change: Callable[[Root], Root]) -> ObjectRef:
    """Commit a version whose root was changed, as a faulty release would."""
    head = history.head(desk.lake, NAME)
    assert head.record
    root = manifest.encode(change(desk.label_set().version().root))
    digest = manifest.sha256(root)
    ref = ObjectRef(layout.content(NAME, 0, digest), digest, len(root))
    desk.lake.create(ref.key, root)
    record = msgspec.structs.replace(
        head.record, seq=head.seq + 1, version=head.record.version + 1, previous=head.digest, root=ref, exports=()
    )
    history.commit(desk.lake, NAME, record)
    return ref


# with gc


def test_what_gc_dropped_is_counted_and_no_damage(desk: Desk) -> None:
    """And what it kept is damage where it is missing."""
    gc(desk.lake, NAME, keep=1)

    report = verify(desk.lake, NAME)
    assert (report.problems, report.versions, report.dropped) == ([], 3, 2)
    shard = next(ref for what, ref in shards_of_newest(desk).items() if what == "coco")
    replace(desk, shard.key, None)
    assert [text for text in problems(desk) if text.startswith(shard.key)]


def test_an_object_of_a_kept_version_is_damage_whatever_the_lists_of_gc_say(desk: Desk) -> None:
    """A collection that deleted too much is not covered by its own list."""
    gc(desk.lake, NAME, keep=1)
    record = record_of(desk, 4)
    assert record.condemned
    shard = shards_of_newest(desk)["images"]
    listed = msgspec.json.decode(desk.lake.get(record.condemned.key) or b"")
    data = msgspec.json.encode(listed | {"objects": [*listed["objects"], shard.key]})
    ref = ObjectRef(record.condemned.key, manifest.sha256(data), len(data))
    replace(desk, ref.key, data)
    replace(desk, layout.log(NAME, 4), manifest.encode(msgspec.structs.replace(record, condemned=ref)))
    desk.lake.delete(shard.key)

    assert [text for text in problems(desk) if text.startswith(shard.key)]


def test_a_record_that_names_again_what_gc_condemned_is_named(desk: Desk) -> None:
    """As a rollback would that does not ask: the version is damage, and not counted as dropped."""
    first = record_of(desk, 1)
    gc(desk.lake, NAME, keep=1)
    head = history.head(desk.lake, NAME)
    assert head.record
    assert first.root
    back = msgspec.structs.replace(
        head.record, seq=5, version=4, op="rollback", previous=head.digest, root=first.root, condemned=None
    )
    history.commit(desk.lake, NAME, back)

    report = verify(desk.lake, NAME)

    assert f"record 5 names {first.root.key}, which an earlier gc condemned" in report.problems
    assert any(text.startswith(f"{first.root.key} is missing") for text in report.problems)
    with pytest.raises(HistoryDamaged, match="gc removed before"):
        gc(desk.lake, NAME)


def shards_of_newest(desk: Desk) -> dict[str, ObjectRef]:
    """The shards of a bucket of the newest version."""
    return dict(next(iter(desk.label_set().version().buckets())).shards)


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_damaged_list_of_gc_is_named(desk: Desk, damage: str) -> None:
    """Without it nobody can tell what is damage and what was dropped."""
    gc(desk.lake, NAME, keep=1)
    (key,) = desk.written(layout.condemned_lists(NAME))
    replace(desk, key, None if damage == "missing" else b"{}")

    assert any(f"{key} " in text for text in problems(desk))


def test_a_gc_in_the_middle_of_a_verification_is_no_damage(desk: Desk, record_testsuite_property: Told) -> None:
    """Wherever it comes: versions that it drops are counted as dropped, and nothing else is wrong."""
    assert isinstance(desk.lake, MemoryStore)
    counting = Counting()
    verify(Watched(copy_of(desk.lake), counting), NAME)

    for at in range(1, counting.calls + 1):
        lake = copy_of(desk.lake)
        calls = iter(range(1, 10**6))

        def around(
            call: str,
            key: str,
            act: Callable[[], object],
            lake: MemoryStore = lake,
            calls: object = calls,
            at: int = at,
        ) -> object:
            if next(calls) == at:  # type: ignore[call-overload]
                gc(lake, NAME, keep=1)
            return act()

        assert verify(Watched(lake, around), NAME).problems == []

    record_testsuite_property("interleavings", counting.calls)
    assert counting.calls > 40


def test_a_publish_in_the_middle_of_a_verification_is_no_damage(desk: Desk) -> None:
    """Wherever it comes."""
    assert isinstance(desk.lake, MemoryStore)
    export = desk.deliver("more.json", THIRD)
    counting = Counting()
    verify(Watched(copy_of(desk.lake), counting), NAME, quick=True)

    for at in range(1, counting.calls + 1):
        other = Desk(copy_of(desk.lake), CONFIG)
        other.landing = desk.landing
        calls = iter(range(1, 10**6))

        def around(
            call: str, key: str, act: Callable[[], object], other: Desk = other, calls: object = calls, at: int = at
        ) -> object:
            if next(calls) == at:  # type: ignore[call-overload]
                other.ingest(export)
            return act()

        assert isinstance(other.lake, MemoryStore)
        assert verify(Watched(other.lake, around), NAME, quick=True).problems == []
