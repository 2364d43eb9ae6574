"""A fresh process measured from outside: CPU of its whole tree, wall time, peak memory.

The measuring process stays small: what Linux says of a child's peak memory includes its parent's at the fork.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

INTERVAL = 0.02  # seconds between two looks at the memory
SHARE = 0.02  # of the time that looking may take: it costs milliseconds where the process is large


class Measured(msgspec.Struct, frozen=True):
    """One run of a command."""

    cpu: float  # seconds, user and system, of the process and of the children it waited for
    wall: float  # seconds
    peak: float  # MB: highest sum of proportional set sizes of the process and its descendants that was seen
    largest: float  # MB: highest resident set of any one process, as the kernel kept it
    output: str  # what it printed


class CommandFailed(Exception):
    """A measured command ended with a code other than those expected."""


def measure(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Measured:
    """Run a command. CommandFailed where its exit code is not 0."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=said, env=env, cwd=cwd)
        watch = _Watch(process.pid)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        watch.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        said.seek(0)
        if process.returncode:
            text = said.read().decode(errors="replace")[-2000:]
            raise CommandFailed(f"{' '.join(command)} ended with code {process.returncode}:\n{text}")
        cpu = usage.ru_utime + usage.ru_stime
        return Measured(cpu, wall, watch.peak / 1000, usage.ru_maxrss / 1000, printed.read().decode(errors="replace"))


class _Watch(threading.Thread):
    """Looks at the memory of a process tree until it is told to stop. `peak` is in kB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self._ended = threading.Event()

    def run(self) -> None:
        pause = INTERVAL
        while not self._ended.wait(pause):
            started = time.perf_counter()
            self.peak = max(self.peak, sum(map(_proportional, _tree(self.pid))))
            pause = max(INTERVAL, (time.perf_counter() - started) / SHARE)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(pid: int) -> list[int]:
    """A process and its descendants, as far as they are there."""
    found = [pid]
    for one in found:  # grows while it is gone through
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return found


def _proportional(pid: int) -> int:
    """Memory of a process in kB, shared pages divided by those who share them; 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
