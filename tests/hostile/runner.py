"""Cases run in a process of their own, whose memory is limited and measured: `python -m tests.hostile.runner B07 ...`.

With case ids it prints what is wrong with each. Without, it reads ids from its input and answers a line of JSON each.
"""

import contextlib
import os
import queue
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

ADDRESS_SPACE = 3 * 2**30  # bytes that a process of cases may map
MOST_MEMORY = 1024  # MiB that it may use
PATIENCE = 600  # seconds for one case; other programs may want the processor too


class Verdict(msgspec.Struct, frozen=True):
    """What came of one case: complaints, the highest memory of its process so far in MiB, and seconds."""

    id: str
    complaints: list[str]
    peak: int
    seconds: float


class Worker:
    """A process that runs cases one after the other; a new one is started where it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def run(self, case_id: str) -> Verdict:
        """Run one case; a process that dies, hangs or takes too much memory is a complaint."""
        process = self._process or self._start()
        assert process.stdin
        process.stdin.write(case_id + "\n")
        process.stdin.flush()
        try:
            line = self._answers.get(timeout=PATIENCE)
        except queue.Empty:
            self.close()
            return Verdict(case_id, [f"no answer within {PATIENCE} seconds"], 0, PATIENCE)
        if not line:
            code = process.wait()
            self.close()
            return Verdict(case_id, [f"the process died with exit code {code}"], 0, 0)
        verdict = msgspec.json.decode(line, type=Verdict)
        if verdict.peak >= MOST_MEMORY:
            self.close()
            verdict.complaints.append(f"it took {verdict.peak} MiB of memory, {MOST_MEMORY} are allowed")
        return verdict

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        self._answers = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        threading.Thread(target=self._listen, args=(self._process, self._answers), daemon=True).start()
        return self._process

    @staticmethod
    def _listen(process: subprocess.Popen[str], answers: "queue.Queue[str]") -> None:
        assert process.stdout
        for line in process.stdout:
            answers.put(line)
        answers.put("")


@contextlib.contextmanager
def worker() -> Iterator[Worker]:
    """A worker that is ended in the end."""
    made = Worker()
    try:
        yield made
    finally:
        made.close()


def verdict(case_id: str) -> Verdict:
    """Run one case in this process."""
    from tests.hostile.judge import complaints
    from tests.hostile.registry import BY_ID

    started = time.monotonic()
    found = complaints(BY_ID[case_id])
    return Verdict(case_id, found, _peak(), round(time.monotonic() - started, 2))


def _peak() -> int:
    """MiB that this process has held at most; `ru_maxrss` would count what its parent held when it was started."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def main(arguments: list[str]) -> int:
    """Run the cases named, or those that come in."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    if arguments:
        verdicts = [verdict(case_id) for case_id in arguments]
        for one in verdicts:
            print(f"{one.id}: {one.peak} MiB, {one.seconds} s", *(one.complaints or ["survived"]), sep="\n  ")  # noqa: T201
        return int(any(one.complaints for one in verdicts))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a case prints must not be read as an answer
    for line in sys.stdin:
        answers.write(msgspec.json.encode(verdict(line.strip())).decode() + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
