"""One suite for every object store: what the publish protocol rests on."""

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import cast

import pytest

from encord_dagster.errors import StorageError, UsageError
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe

ODD_KEYS = (
    "8/VCHNzS",
    "a+b=c/d==",
    "with space/and  two",
    "percent%2Fsign",
    "question?mark#hash&amp",
    "Zürich/東京/🦊.json",
    "e\u0301.json",
    "\u00e9.json",
    "a../b..c/d...",
    "quote'\"<>*",
    "x" * 200,
)
BAD_KEYS = ("", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "a/./b", "a\0b", "a/\ud800")


@pytest.fixture(params=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store of each kind, with neighbours outside its prefix that it must not see."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "local":
        (tmp_path / "lake-2").mkdir()
        (tmp_path / "lake-2" / "neighbour").write_bytes(b"not ours")
        yield LocalStore(tmp_path / "lake")
    else:
        client = request.getfixturevalue("s3_client")
        bucket = f"conformance-{secrets.token_hex(8)}"
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="lake-2/neighbour", Body=b"not ours")
        yield open_store(f"s3://{bucket}/lake", client=client)


def keys(store: ObjectStore, prefix: str = "", *, start_after: str = "") -> list[str]:
    """Listed keys, in the order of the listing."""
    return [info.key for info in store.list(prefix, start_after=start_after)]


def test_a_created_object_is_read_back_whole(store: ObjectStore) -> None:
    """Create writes exactly the given bytes, also none and also a megabyte."""
    for name, data in (("empty", b""), ("binary", bytes(range(256))), ("big", secrets.token_bytes(2**20))):
        outcome = store.create(f"a/{name}", data)

        assert outcome is Create.CREATED
        assert store.get(f"a/{name}") == data


def test_creating_the_same_bytes_again_is_same(store: ObjectStore) -> None:
    """A repeated create with equal bytes says so."""
    store.create("a", b"one")

    again = store.create("a", b"one")

    assert again is Create.SAME
    assert store.get("a") == b"one"


@pytest.mark.parametrize("other", [b"two", b"", b"one and more", b"on"])
def test_creating_other_bytes_is_refused_and_changes_nothing(store: ObjectStore, other: bytes) -> None:
    """A second create never overwrites, and leaves the description as it was."""
    store.create("a", b"one")
    before = store.head("a")

    outcome = store.create("a", other)

    assert outcome is Create.DIFFERENT
    assert store.get("a") == b"one"
    assert store.head("a") == before


def test_of_twelve_racing_creators_one_wins(store: ObjectStore) -> None:
    """Twelve threads create one key at once: one CREATED, whose bytes stay."""
    for number in range(8):
        key, barrier = f"log/{number:012}.json", Barrier(12)

        def create(thread: int, *, key: str = key, barrier: Barrier = barrier) -> Create:
            barrier.wait()
            return store.create(key, b"writer %d" % thread)

        with ThreadPoolExecutor(12) as pool:
            outcomes = list(pool.map(create, range(12)))

        assert sorted(outcome.value for outcome in outcomes) == ["created"] + ["different"] * 11
        assert store.get(key) == b"writer %d" % outcomes.index(Create.CREATED)


def test_racing_creators_of_the_same_bytes_all_succeed(store: ObjectStore) -> None:
    """Content-addressed writes race without harm: one CREATED, the others SAME."""
    barrier = Barrier(12)

    def create(_: int) -> Create:
        barrier.wait()
        return store.create("objects/0/ab/abcd", b"same")

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(create, range(12)))

    assert sorted(outcome.value for outcome in outcomes) == ["created"] + ["same"] * 11
    assert keys(store) == ["objects/0/ab/abcd"]


def test_readers_never_see_a_part_of_an_object(store: ObjectStore) -> None:
    """While a large object is created, a reader sees nothing or all of it."""
    data = secrets.token_bytes(4 * 2**20)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(store.create, "a/big", data)
        seen = {store.get("a/big") for _ in range(20)}
        outcome = writer.result()

    assert outcome is Create.CREATED
    assert seen <= {None, data}
    assert store.get("a/big") == data


def test_an_absent_key_is_none(store: ObjectStore) -> None:
    """Absence is an answer, not an error, also for ranges, pinned reads and deletes."""
    store.create("a/b", b"one")

    for absent in ("c", "a", "a/b/c", "a/b.json"):
        assert store.get(absent) is None
        assert store.get(absent, start=2, end=2) is None
        assert store.get(absent, etag="0123") is None
        assert store.head(absent) is None
        store.delete(absent)

    assert keys(store) == ["a/b"]


def test_an_empty_store_lists_nothing(store: ObjectStore) -> None:
    """A store nothing was ever written to is empty, not an error."""
    assert keys(store) == []
    assert keys(store, "a/", start_after="a/b") == []


@pytest.mark.parametrize("start", [0, 1, 5, 9, 10, 11, 500])
@pytest.mark.parametrize("end", [None, 0, 1, 5, 9, 10, 11, 500])
def test_ranges_are_slices(store: ObjectStore, start: int, end: int | None) -> None:
    """A range means what a slice of the bytes means, also past the end."""
    data = b"0123456789"
    store.create("a", data)

    assert store.get("a", start=start, end=end) == data[start:end]


def test_ranges_of_an_empty_object_are_empty(store: ObjectStore) -> None:
    """Nothing can be read of an empty object, and that is no error."""
    store.create("a", b"")

    assert store.get("a", start=0, end=8) == b""
    assert store.get("a", start=3) == b""


def test_ranges_from_the_end_are_refused(store: ObjectStore) -> None:
    """A negative index would mean different things to different stores."""
    store.create("a", b"0123456789")

    with pytest.raises(UsageError, match="count from the start"):
        store.get("a", start=-3)
    with pytest.raises(UsageError, match="count from the start"):
        store.get("a", end=-1)


def test_head_and_list_agree(store: ObjectStore) -> None:
    """The two descriptions of one object are equal, so ids minted from either are."""
    store.create("a/b", b"12345")

    listed = list(store.list())

    assert listed == [store.head("a/b")]
    assert listed[0].size == 5
    assert listed[0].etag.strip('"') == listed[0].etag != ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0].last_modified)


def test_an_overwrite_changes_the_etag_and_fails_pinned_reads(store: ObjectStore) -> None:
    """A read pinned to an etag sees that object or fails, never a newer one."""
    store.put_hint("latest.json", b"one")
    old = store.head("latest.json")
    assert old is not None
    assert store.get("latest.json", etag=old.etag) == b"one"

    store.put_hint("latest.json", b"two")

    new = store.head("latest.json")
    assert new is not None
    assert new.etag != old.etag
    assert store.get("latest.json", etag=new.etag, start=1, end=2) == b"w"
    for start, end in ((0, None), (1, 2), (2, 2), (10, 20)):
        with pytest.raises(StorageError, match="changed since it was listed"):
            store.get("latest.json", etag=old.etag, start=start, end=end)


def test_reading_does_not_change_the_etag(store: ObjectStore) -> None:
    """An etag is a property of the object, stable until it is overwritten."""
    store.create("a", b"one")
    before = store.head("a")

    store.get("a")
    store.create("a", b"one")
    store.create("b", b"two")

    assert store.head("a") == before


def test_a_listing_is_ordered_by_the_bytes_of_the_keys(store: ObjectStore) -> None:
    """Folders do not disturb the order: 'a.b' < 'a/b' < 'ab', and é comes after z."""
    written = ["b", "a/b", "a.b", "ab", "a-b", "a/b!", "é", "z", "a/ÿ", "A", "a0/b", "a/c/d", "a/c.d", "\uffee", "🦊"]
    for key in written:
        store.create(key, key.encode())

    assert keys(store) == sorted(written, key=str.encode)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "a/b/c", "a.", "b", "x", "/", "a/b/c/d"])
def test_a_prefix_is_a_plain_string_prefix(store: ObjectStore, prefix: str) -> None:
    """A prefix need not end at a folder."""
    written = ["a", "a.json", "a.d/x"] if prefix == "a." else ["a/b/c", "a/b/cd", "a/bc", "a.json", "ab/c", "b"]
    for key in written:
        store.create(key, b"")

    assert keys(store, prefix) == sorted(key for key in written if key.startswith(prefix))


def test_start_after_resumes_a_listing_anywhere(store: ObjectStore) -> None:
    """Listing after any key, there or not, gives the rest of the listing, with and without a prefix."""
    written = sorted(["a", "ab", "b/a", "b/a.b", "b/aa/x", "b/ab", "b/b/c", "b/b/d", "b.c", "c"], key=str.encode)
    for key in written:
        store.create(key, b"")

    for after in (*written, "a!", "b", "b/", "b/a/", "b/b/", "b/b/c/d", "b0", "zzz"):
        assert keys(store, start_after=after) == [key for key in written if key > after]
        assert keys(store, "b/", start_after=after) == [key for key in written if key.startswith("b/") and key > after]


def test_a_listing_of_many_pages_is_complete(store: ObjectStore) -> None:
    """1 200 objects are listed once each and in order, from the start and from the middle."""
    written = [f"exports/{number:05}.json" for number in range(1200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put_hint(key, b""), written))

    assert keys(store) == written
    assert keys(store, "exports/", start_after=written[999]) == written[1000:]
    assert keys(store, "exports/010") == written[1000:1100]


def test_a_listing_survives_deletes_behind_it(store: ObjectStore) -> None:
    """Objects deleted while a listing runs are not an error, and the others still come."""
    written = [f"{number:02}" for number in range(20)]
    for key in written:
        store.create(key, b"")

    listing = store.list()
    first = next(listing).key
    for key in written[:10]:
        store.delete(key)
    rest = [info.key for info in listing]

    assert first == "00"
    assert rest[-10:] == written[10:]
    assert keys(store) == written[10:]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_work_in_every_call(store: ObjectStore, key: str) -> None:
    """Hashes hold '/', '+' and '='; names hold anything; none is altered on the way."""
    outcome = store.create(key, b"data")

    info = store.head(key)
    assert outcome is Create.CREATED
    assert info is not None
    assert info.key == key
    assert keys(store) == keys(store, key) == [key]
    assert keys(store, start_after=key) == []
    assert store.get(key, etag=info.etag, start=1) == b"ata"
    store.delete(key)
    assert keys(store) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused_by_every_call(store: ObjectStore, key: str) -> None:
    """A key that could leave the store's root, or that stores read differently, reaches no store."""
    calls = (
        lambda: store.create(key, b""),
        lambda: store.put_hint(key, b""),
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.delete(key),
    )
    for call in calls:
        with pytest.raises(UsageError):
            cast("object", call())


def test_unicode_twins_are_two_objects(store: ObjectStore) -> None:
    """Composed and decomposed spellings of one name are different keys."""
    store.create("\u00e9", b"composed")
    store.create("e\u0301", b"decomposed")

    assert store.get("\u00e9") == b"composed"
    assert store.get("e\u0301") == b"decomposed"


def test_a_deleted_key_can_be_created_again(store: ObjectStore) -> None:
    """Delete really removes: the key is absent, unlisted and free."""
    store.create("a/b", b"one")

    store.delete("a/b")

    assert store.get("a/b") is None
    assert keys(store) == []
    assert store.create("a/b", b"two") is Create.CREATED


def test_the_self_test_accepts_every_store(store: ObjectStore) -> None:
    """All stores here honour create-only writes; the probe lies below the given prefix."""
    refuse_unsafe(store, prefix="selftest/")

    assert len(keys(store, "selftest/")) == 1


def test_the_self_test_runs_once_a_process(store: ObjectStore) -> None:
    """A second self-test of the same url writes nothing."""
    refuse_unsafe(store, prefix="selftest/")
    after_first = keys(store)

    refuse_unsafe(store, prefix="selftest/")

    assert keys(store) == after_first
