"""Whole objects, large ones in a mapped file: the same bytes out of every store, and into every store."""

import errno
import gc
import hashlib
import io
import os
import re
import secrets
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError

from encord_dagster.errors import CommitStateUnknown, StorageError
from encord_dagster.storage import fetch, mapped, whole
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.mapped import Mapped, substituted
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.storage.s3 import S3Store
from tests.storage.test_conformance import store as store  # one of each kind
from tests.storage.test_s3_errors import store_with_lost_answers

RANGE = 1000
HELD = 5000  # bytes: more are in a file
DATA = secrets.token_bytes(8 * RANGE)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of some thousand bytes."""
    monkeypatch.setattr(whole, "LARGEST_IN_MEMORY", HELD)
    for module in (fetch, whole):
        monkeypatch.setattr(module, "STEP", RANGE)


def in_file(data: bytes) -> Mapped:
    """The data as a large object comes."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the last reference to it
    file.write(data)
    return Mapped(file)


def got(store: ObjectStore, key: str = "a") -> mapped.Data | None:
    """An object as it is listed now."""
    (info,) = store.list(key)
    return whole.get(store, key, etag=info.etag, size=info.size)


@pytest.mark.parametrize("size", [0, 1, RANGE, RANGE + 1, HELD, HELD + 1, 8 * RANGE])
def test_an_object_comes_whole(store: ObjectStore, size: int) -> None:
    """At once, in ranges, or in a file; its digest is that of its bytes."""
    store.create("a", DATA[:size])

    data = got(store)

    assert data is not None
    assert isinstance(data, Mapped) == (size > HELD)
    assert bytes(data) == data[:] == DATA[:size]
    assert whole.digest(data) == hashlib.sha256(DATA[:size]).hexdigest()


@pytest.mark.parametrize("size", [1, HELD, 8 * RANGE])
def test_an_object_that_changed_or_went_is_not_taken_for_what_was_listed(store: ObjectStore, size: int) -> None:
    """Whatever its size."""
    store.create("a", DATA[:size])
    (old,) = store.list("a")
    store.put_hint("a", b"other" * size)

    with pytest.raises(StorageError, match="changed"):
        whole.get(store, "a", etag=old.etag, size=old.size)
    store.delete("a")
    assert whole.get(store, "a", etag=old.etag, size=old.size) is None


def test_a_file_that_is_changed_or_cut_short_later_is_not_seen(tmp_path: Path) -> None:
    """To read what was cut off a mapped file would end the process."""
    store = LocalStore(tmp_path)
    store.create("a", DATA)
    data = got(store)

    with (tmp_path / "a").open("r+b") as file:
        file.write(b"other")
        file.truncate(10)

    assert data is not None
    assert data[:] == DATA


@pytest.mark.parametrize("size", [RANGE - 1, RANGE, RANGE + 1, 8 * RANGE])
def test_a_large_object_is_created_only_once(store: ObjectStore, size: int) -> None:
    """The same bytes are the same, also where ranges end; others, longer ones and shorter ones are different."""
    data = DATA[:size]

    assert whole.create(store, "a", in_file(data)) is Create.CREATED

    assert store.get("a") == data
    assert whole.create(store, "a", in_file(data)) is Create.SAME
    assert store.create("a", data) is Create.SAME
    for other in (data[:-1] + bytes([data[-1] ^ 1]), data + b"x", data[:-1], b"x" + data[1:]):
        assert whole.create(store, "a", in_file(other)) is Create.DIFFERENT
    assert store.get("a") == data


def test_stores_that_people_use_are_given_files() -> None:
    """So that none of them takes memory for what it writes; others are given bytes."""
    assert issubclass(LocalStore, whole.TakesFiles)
    assert issubclass(S3Store, whole.TakesFiles)
    assert not issubclass(MemoryStore, whole.TakesFiles)


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    """As for small objects."""
    (tmp_path / "a").mkdir()

    with pytest.raises(StorageError, match="is a folder"):
        whole.create(LocalStore(tmp_path), "a", in_file(DATA))

    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("attempts", [1, 2])
def test_an_upload_whose_answer_is_lost_is_found(s3_server: str, attempts: int) -> None:
    """boto3 sends it again from its start, or it is compared with what is there."""
    store = store_with_lost_answers(s3_server, lost=1, attempts=attempts)

    assert whole.create(store, "a", in_file(DATA)) is Create.SAME
    assert store.get("a") == DATA


def test_an_upload_that_breaks_off_is_sent_again_from_its_start(s3_server: str) -> None:
    """Half of the file was read then."""
    store = store_with_lost_answers(s3_server, lost=0, attempts=1)
    left = [2]

    def break_off(request: AWSPreparedRequest, **_: object) -> None:
        if left[0]:
            left[0] -= 1
            assert isinstance(request.body, io.BufferedRandom)
            assert request.body.read(len(DATA) // 2) == DATA[: len(DATA) // 2]
            raise ConnectionClosedError(endpoint_url=s3_server)

    store._client.meta.events.register("before-send.s3.PutObject", break_off)

    assert whole.create(store, "a", in_file(DATA)) is Create.CREATED
    assert left == [0]
    assert store.get("a") == DATA


def test_an_upload_that_nobody_answers_is_unknown(s3_server: str) -> None:
    """Neither yes nor no, as for small objects."""
    store = store_with_lost_answers(s3_server, lost=100, attempts=1, also_reads=True)

    with pytest.raises(CommitStateUnknown, match="run again"):
        whole.create(store, "a", in_file(DATA))


def test_an_upload_that_is_damaged_on_the_way_is_refused(s3_server: str) -> None:
    """The checksum is that of the file."""
    store = store_with_lost_answers(s3_server, lost=0, attempts=4)

    def damage(params: dict[str, Any], **_: object) -> None:
        params["body"] = io.BytesIO(DATA[:-1] + b"?")

    store._client.meta.events.register("before-call.s3.PutObject", damage)

    with pytest.raises(StorageError, match="BadDigest"):
        whole.create(store, "a", in_file(DATA))

    assert store.get("a") is None


@pytest.mark.parametrize(("call", "error"), [("write", errno.ENOSPC), ("flush", errno.ENOSPC), ("write", errno.EIO)])
def test_a_full_disk_is_told_with_what_to_do(call: str, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of temporary files, and how to name another."""
    store = MemoryStore()
    store.create("a", DATA)

    class Failing(io.BytesIO):
        pass

    def fail(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Failing, call, fail)
    monkeypatch.setattr(tempfile, "TemporaryFile", Failing)

    with pytest.raises(StorageError, match=rf"{tempfile.gettempdir()}: {os.strerror(error)}; set TMPDIR"):
        got(store)


def test_the_file_is_closed_and_goes_with_the_last_reference() -> None:
    """A disk may not have room for two."""
    data = in_file(DATA)
    file, gone, view = data.file, weakref.ref(data), memoryview(data)
    gc.disable()
    try:
        del data
        assert not file.closed
        del view
        assert (gone(), file.closed) == (None, True)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("pattern", "by"), [(rb"NaN", b"'N'"), (rb"n.n", b"xyz"), (rb"^", b""), (rb"absent", b""), (rb"(?s)\A.*\Z", None)]
)
def test_words_of_the_same_length_are_put_in_place(pattern: bytes, by: bytes | None) -> None:
    """As `re.sub` does; what they were put into stays as it is."""
    text = b"NaN and nan, NaN" * 2000
    compiled = re.compile(pattern)

    def word(found: re.Match[bytes]) -> bytes:
        return found.group().swapcase() if by is None else by

    data = in_file(text)

    assert substituted(data, compiled, word)[:] == substituted(text, compiled, word) == compiled.sub(word, text)
    assert data[:] == text


def test_what_was_read_is_no_memory_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is there all the same, from its start and again."""
    monkeypatch.setattr(mapped, "STEP", 2**20)
    text = secrets.token_bytes(2**20) * 64
    data = in_file(text)

    def resident() -> int:
        """Bytes of the mapping that count as memory of this process."""
        found, smaps = 0, Path("/proc/self/smaps").read_text()
        for one in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
            if f" {os.fstat(data.file.fileno()).st_ino} " in one.splitlines()[0]:
                found += int(re.findall(r"\nRss: +([0-9]+) kB", one)[0]) * 1024
        return found

    most = 0
    for _ in range(2):
        for at, piece in pieces(data, 2**20):
            assert piece == text[at : at + 2**20]
            data.passed(at)
            most = max(most, resident())
    assert most < 8 * 2**20
    assert data[:] == text
    assert resident() == len(text)


def pieces(data: Mapped, size: int) -> Iterator[tuple[int, bytes]]:
    """The data cut."""
    return ((at, data[at : at + size]) for at in range(0, len(data), size))
