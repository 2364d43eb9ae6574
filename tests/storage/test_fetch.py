"""A large object copied to a file in ranges, and read while it arrives."""

import contextlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from encord_dagster.errors import StorageError
from encord_dagster.storage import arriving
from encord_dagster.storage import fetch as module
from encord_dagster.storage.arriving import NotFetched, marks_of, open_arriving
from encord_dagster.storage.fetch import fetch, fetching
from tests.storage.test_at_once import Waiting


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """A store that may be asked four things at a time, with ranges of seven bytes."""
    monkeypatch.setattr(module, "STEP", 7)
    monkeypatch.setattr(arriving, "STEP", 7)
    return Waiting(4)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 200])
def test_an_object_is_copied_whole(store: Waiting, size: int) -> None:
    """Whatever is left for the last range."""
    store.create("a.json", bytes(range(size)))
    (info,) = store.list()
    to = io.BytesIO()

    fetch(store, "a.json", etag=info.etag, size=info.size, to=to)

    assert to.getvalue() == bytes(range(size))


def test_an_object_that_changed_since_it_was_listed_is_refused(store: Waiting) -> None:
    """Half of one and half of the other would be no export of anybody."""
    store.create("a.json", b"x" * 50)
    (info,) = store.list()
    store.put_hint("a.json", b"y" * 50)

    with pytest.raises(StorageError, match="changed"):
        fetch(store, "a.json", etag=info.etag, size=info.size, to=io.BytesIO())


def test_an_object_that_went_is_refused(store: Waiting) -> None:
    """It says what and what to do."""
    with pytest.raises(StorageError, match="run again"):
        fetch(store, "a.json", etag="e", size=50, to=io.BytesIO())


class Held(Waiting):
    """A store whose ranges come as they are let go, by where they start; without that, all at once."""

    def __init__(self, data: bytes) -> None:
        super().__init__(4)
        self.create("a.json", data)
        (self.info,) = self.list()
        self.let_go: Callable[[int], None] = lambda start: None
        self.asked: list[int] = []

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """As ever, when it is let go."""
        self.asked.append(start)
        self.let_go(start)
        return super().get(key, etag=etag, start=start, end=end)

    def into(self, path: Path, readers: int = 1) -> "contextlib.AbstractContextManager[None]":
        """Fetch what it holds."""
        return fetching(self, "a.json", etag=self.info.etag, size=self.info.size, path=path, readers=readers)


@pytest.fixture
def steps_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of seven bytes."""
    monkeypatch.setattr(module, "STEP", 7)
    monkeypatch.setattr(arriving, "STEP", 7)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 200])
@pytest.mark.parametrize("readers", [1, 2, 3])
@pytest.mark.usefixtures("steps_of_seven")
def test_what_arrives_can_be_read_at_once(tmp_path: Path, size: int, readers: int) -> None:
    """From its start, from its end, and with any buffer."""
    data = os.urandom(size)
    path = tmp_path / "export"
    with Held(data).into(path, readers), open_arriving(path) as file:
        file.seek(max(0, size - 5))
        assert file.read() == data[-5:]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(3), b"")) == data
    assert path.read_bytes() == data


@pytest.mark.usefixtures("steps_of_seven")
def test_each_reader_gets_its_first_bytes_soon(tmp_path: Path) -> None:
    """The end first, which shows whether it is an export, then where each starts, in turn."""
    store = Held(bytes(70))
    store.calls_at_once = 1
    with store.into(tmp_path / "export", readers=2), open_arriving(tmp_path / "export") as file:
        file.read()

    assert store.asked == [56, 63, 0, 35, 7, 42, 14, 49, 21, 28]


@pytest.mark.usefixtures("steps_of_seven")
def test_bytes_that_are_not_there_yet_are_waited_for(tmp_path: Path) -> None:
    """And those that are there can be read meanwhile."""
    store, later = Held(bytes(range(70))), threading.Event()

    def hold(start: int) -> None:
        if start not in (0, 56, 63):
            later.wait(10)

    store.let_go = hold
    path, read = tmp_path / "export", list[bytes]()
    with store.into(path), open_arriving(path) as file:
        assert file.raw.read(7) == bytes(range(7))
        reading = threading.Thread(target=lambda: read.append(file.raw.read(7) or b""))
        reading.start()
        time.sleep(0.05)
        assert not read
        later.set()
        reading.join(10)
    assert read == [bytes(range(7, 14))]


@pytest.mark.usefixtures("steps_of_seven")
def test_a_reader_is_told_that_nothing_more_comes(tmp_path: Path) -> None:
    """And whoever started it is told why."""
    store = Held(bytes(70))

    def fail(start: int) -> None:
        if start == 28:
            store.put_hint("a.json", bytes(71))

    store.let_go = fail
    path = tmp_path / "export"
    with pytest.raises(StorageError, match="changed") as caught, store.into(path), open_arriving(path) as file:
        with pytest.raises(NotFetched):
            while file.read(7):
                pass
        raise NotFetched("as a process that reads ends")
    assert not isinstance(caught.value, NotFetched)


@pytest.mark.usefixtures("steps_of_seven")
def test_what_is_not_wanted_any_more_is_not_fetched(tmp_path: Path) -> None:
    """The first bytes can show that it is no export."""
    store = Held(bytes(7000))
    store.let_go = lambda start: time.sleep(0.01)
    with pytest.raises(ValueError, match="no export"), store.into(tmp_path / "export"):
        raise ValueError("no export")

    assert len(store.asked) < 100


def test_a_killed_fetcher_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Its lock goes with it."""
    path = tmp_path / "export"
    script = (
        "import fcntl, os, sys, time\n"
        "file = open(sys.argv[1], 'xb'); file.truncate(100); marks = open(sys.argv[2], 'xb')\n"
        "fcntl.flock(marks, fcntl.LOCK_EX); print('locked', flush=True); time.sleep(60)\n"
    )
    command = (sys.executable, "-c", script, str(path), str(marks_of(path)))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as fetcher:
        assert fetcher.stdout is not None
        fetcher.stdout.readline()
        threading.Timer(0.2, fetcher.kill).start()
        with open_arriving(path) as file, pytest.raises(NotFetched):
            file.read()
