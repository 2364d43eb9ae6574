"""What killed processes left of a checkout is removed by the next one there, and nothing else is."""

import errno
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from encord_dagster.label_set import staging
from encord_dagster.label_set.staging import staged

_WRITES = """
import sys, time
from pathlib import Path
from encord_dagster.label_set.staging import staged
with staged(Path(sys.argv[1])) as place:
    (place / "images").mkdir()
    (place / "images" / "half.png").write_bytes(b"half")
    print(place, flush=True)
    time.sleep(600)
"""


@contextmanager
def writing(folder: Path) -> Iterator[tuple[Path, "subprocess.Popen[str]"]]:
    """A process in the middle of writing a folder, and where it writes."""
    process = subprocess.Popen([sys.executable, "-c", _WRITES, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield Path(process.stdout.readline().strip()), process
    finally:
        process.kill()
        process.communicate()


def write(folder: Path) -> None:
    """A folder with a file."""
    with staged(folder) as place:
        (place / "file").touch()


@pytest.mark.parametrize("exists", [False, True])
def test_what_a_killed_process_left_is_removed(tmp_path: Path, exists: bool) -> None:
    """Beside the wanted folder, or in it where that exists, which could not be written into otherwise."""
    folder = tmp_path / "out"
    if exists:
        folder.mkdir()
    with writing(folder) as (left, process):
        process.kill()
        process.wait()
        assert (left / "images" / "half.png").exists()

    write(folder)

    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/file"]


def test_what_is_being_written_is_left(tmp_path: Path) -> None:
    """By another process, and by this one."""
    with writing(tmp_path / "theirs") as (place, _), staged(tmp_path / "mine") as mine:
        write(tmp_path / "out")
        assert (place / "images" / "half.png").exists()
        assert mine.exists()
    assert (tmp_path / "mine").exists()


def test_folders_of_others_are_left(tmp_path: Path) -> None:
    """Of another machine or an earlier start of this one, whose locks are not seen; and links to elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    others = [tmp_path / ".checkout-0123456789abcdef", tmp_path / f".checkout-{'0' * 32}-0123456789abcdef"]
    for one in others:
        one.mkdir()
    with staged(tmp_path / "first") as place:
        name = place.name
    (tmp_path / f"{name[:-1]}x").symlink_to(tmp_path / "elsewhere")

    write(tmp_path / "out")

    assert (tmp_path / "elsewhere").exists()
    assert all(one.exists() for one in others)


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems, also by a machine that has them there."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with staged(tmp_path / "mine") as mine:
            patch.undo()
            write(tmp_path / "out")
            assert mine.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


@pytest.mark.parametrize("late", [False, True])
def test_a_folder_that_is_taken_for_a_dead_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Another process looks between its making and its lock: it is gone before that, or just after."""
    lock, seen = staging._lock, list[Path]()

    def slow(path: Path) -> int:
        if seen:
            return lock(path)
        seen.append(path)
        held = lock(path) if late else None
        path.rmdir()
        return lock(path) if held is None else held

    monkeypatch.setattr(staging, "_lock", slow)
    write(tmp_path / "out")
    assert not seen[0].exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]
