"""Faults below Python: a full disk, I/O errors, no file descriptors, no hard links, wrong clocks.

libfiu (Debian's fiu-utils) makes calls of libc fail, faketime moves the clock of a process. Where they are not
installed the calls of the os module are made to fail instead, and only the clocks of stores in memory are wrong.
"""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from encord_dagster.errors import EncordDagsterError, StorageError, UnsafeStore
from encord_dagster.label_set import history
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from tests.faults.stage import CONFIG, FIRST, NAME, SECOND, Act, Backend, Watched, content, published, seen, sound_lake
from tests.faults.work import FIU_PRELOAD
from tests.lakes import Desk

Survived = Callable[[int], None]
ROOT = Path(__file__).parents[2]

needs_fiu = pytest.mark.skipif(not FIU_PRELOAD.exists(), reason="apt-get install fiu-utils")
needs_faketime = pytest.mark.skipif(shutil.which("faketime") is None, reason="apt-get install faketime")

CALLS: tuple[tuple[object, str, int], ...] = (
    (os, "fsync", errno.EIO),
    (os, "fsync", errno.ENOSPC),
    (os, "open", errno.EMFILE),
    (os, "open", errno.EACCES),
    (os, "scandir", errno.EIO),
    (Path, "open", errno.ENOSPC),
    (Path, "open", errno.EROFS),
    (Path, "hardlink_to", errno.EDQUOT),
    (Path, "hardlink_to", errno.EIO),
    (Path, "mkdir", errno.ENOSPC),
    (Path, "replace", errno.EIO),
    (Path, "stat", errno.EIO),
    (Path, "unlink", errno.EIO),
)


@pytest.mark.faults("F40", on=("local",))
@pytest.mark.parametrize(
    ("owner", "name", "error"), CALLS, ids=[f"{name}-{errno.errorcode[error]}" for _, name, error in CALLS]
)
def test_a_call_of_the_os_that_fails_fails_the_run_cleanly(
    backend: Backend, owner: object, name: str, error: int, survived: Survived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any place, once: the error is ours, a reader sees a whole version, the next run publishes."""
    original, calls = getattr(owner, name), [0]
    fail_at = [0]

    def failing(*args: object, **more: object) -> object:
        calls[0] += 1
        if calls[0] == fail_at[0]:
            raise OSError(error, os.strerror(error))
        return original(*args, **more)

    sound = seen(sound_lake(FIRST).lake)
    desk = Desk(MemoryStore(), CONFIG)
    export = desk.deliver("0.json", FIRST)
    tried = 0
    for at in (1, 2, 5, 13, 34, 80):
        desk.lake = backend.new()
        calls[0], fail_at[0] = 0, at
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            try:
                desk.ingest(export)
            except EncordDagsterError as raised:
                assert os.strerror(error) in str(raised) or "hard links" in str(raised)
        if calls[0] < at:
            break
        tried += 1
        assert seen(desk.lake) in (None, sound)
        desk.ingest(export)
        assert seen(desk.lake) == sound
        assert len(published(desk.lake)) == 1

    assert tried
    survived(tried)


@pytest.mark.faults("F40", on=("local",))
@pytest.mark.parametrize(("call", "error"), [("write", errno.ENOSPC), ("seek", errno.ENOSPC), ("read", errno.EIO)])
def test_a_temporary_folder_that_fails_fails_the_run_cleanly(
    backend: Backend, call: str, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Converted rows wait there: the error is ours, nothing is published, and the next run publishes."""
    desk = Desk(backend.new(), CONFIG)
    export = desk.deliver("0.json", FIRST)

    class Failing(io.BytesIO):
        def close(self) -> None:
            raise OSError(error, os.strerror(error))

    def fail(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(Failing, call, fail)
        patch.setattr("encord_dagster.spool.tempfile.TemporaryFile", Failing)
        with pytest.raises(StorageError, match="TMPDIR"):
            desk.ingest(export)

    assert published(desk.lake) == []
    desk.ingest(export)
    assert seen(desk.lake) == seen(sound_lake(FIRST).lake)


POINTS = {
    "fsync-EIO": ("posix/io/sync/fsync", errno.EIO),
    "write-ENOSPC": ("posix/io/rw/write", errno.ENOSPC),
    "open-EMFILE": ("posix/io/oc/open", errno.EMFILE),
    "unlink-EIO": ("posix/io/dir/unlink", errno.EIO),
    "rename-ENOSPC": ("posix/io/dir/rename", errno.ENOSPC),
    "close-EIO": ("posix/io/oc/close", errno.EIO),
    "read-EIO": ("posix/io/rw/read", errno.EIO),
}


def child(*arguments: str, before: tuple[str, ...] = (), preload: Path | None = None) -> dict[str, object]:
    """What a child process says."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"LD_PRELOAD": str(preload)} if preload else {})
    # a thread that pyarrow's allocator starts while pyarrow is loaded can wait for the loader inside libfiu, for ever
    environment["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    command = [*before, sys.executable, "-m", "tests.faults.work", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, object] = json.loads(done.stdout)
    return said


@needs_fiu
@pytest.mark.faults("F40", on=("local",))
@pytest.mark.parametrize("step", [pytest.param(18, id="some"), pytest.param(1, marks=pytest.mark.slow, id="all")])
@pytest.mark.parametrize("point", POINTS)
def test_a_call_of_libc_that_fails_fails_the_run_cleanly(
    backend: Backend, point: str, step: int, tmp_path: Path, survived: Survived
) -> None:
    """The same by libfiu, below Python, for each call of the function in turn."""
    name, error = POINTS[point]

    said = child("kernel", str(tmp_path), name, str(error), str(step), preload=FIU_PRELOAD)

    assert said["complaints"] == []
    assert isinstance(said["injections"], int)
    assert said["injections"]
    survived(said["injections"])


@pytest.mark.faults("F41", on=("local",))
@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def test_a_folder_without_hard_links_is_refused(backend: Backend, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT and some network disks are: at start, with advice, and nothing is written."""

    def refuse(self: Path, target: Path) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    desk = Desk(backend.new(), CONFIG)

    with pytest.raises(UnsafeStore, match="no hard links here.*use another disk"):
        desk.bring("0.json", FIRST)

    assert desk.written() == set()


@pytest.mark.faults("F42", on=("memory",))
def test_a_store_that_ignores_if_none_match_is_refused_at_start(backend: Backend) -> None:
    """Nothing is written but the probe, and nothing can be published there."""
    store = backend.new()

    def overwriting(call: str, key: str, act: Act) -> object:
        if call == "create":
            store.delete(key)
        return act()

    desk = Desk(Watched(store, overwriting), CONFIG)
    for _ in range(2):
        with pytest.raises(UnsafeStore, match="If-None-Match"):
            desk.bring("0.json", FIRST)

    assert {key.split("/")[2] for key in desk.written()} == {"probes"}


SHIFTS = {"a day ahead": 1, "a day behind": -1, "ten years ahead": 3653, "ten years behind": -3653}


def wrong_clock(days: int) -> Callable[[], datetime]:
    """A clock that is off, and goes backwards by an hour each time that it is asked."""
    now = [datetime.now(UTC) + timedelta(days=days)]

    def tell() -> datetime:
        now[0] -= timedelta(hours=1)
        return now[0]

    return tell


def root_digest(store: MemoryStore | LocalStore) -> str:
    """The digest of the newest version's manifest."""
    record = history.head(store, NAME).record
    return record.root.sha256 if record and record.root else ""


@pytest.mark.faults("F39", on=("memory",))
@pytest.mark.parametrize("days", SHIFTS.values(), ids=SHIFTS)
def test_a_wrong_clock_that_goes_backwards_changes_no_digest(backend: Backend, days: int) -> None:
    """Landing prefix and lake both tell times that are off."""
    sound = sound_lake(SECOND, FIRST)
    desk = Desk(MemoryStore(now=wrong_clock(days)), CONFIG)
    desk.landing = MemoryStore(now=wrong_clock(days))

    desk.bring("0.json", SECOND)
    desk.bring("1.json", FIRST)

    assert isinstance(sound.lake, MemoryStore)
    assert isinstance(desk.lake, MemoryStore)
    assert content(desk.lake) == content(sound.lake)
    assert root_digest(desk.lake) == root_digest(sound.lake)


@needs_faketime
@pytest.mark.faults("F39", on=("local",))
@pytest.mark.parametrize(
    "shift", ["+10y", pytest.param("-10y", marks=pytest.mark.slow), pytest.param("-1d", marks=pytest.mark.slow)]
)
def test_a_process_with_a_wrong_clock_makes_the_same_version(backend: Backend, shift: str, tmp_path: Path) -> None:
    """The whole process lives at another time, by faketime."""
    sound = sound_lake(FIRST, SECOND).lake

    said = child("clock", str(tmp_path), before=("faketime", "-f", shift))

    assert isinstance(sound, MemoryStore)
    assert (said["content"], said["root"], said["problems"]) == (content(sound), root_digest(sound), [])
