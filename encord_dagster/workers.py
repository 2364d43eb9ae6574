"""Who prepares rows ahead: processes of this machine, or commands that somebody else runs where there is room.

No task is lost with a worker: what fails is done by the process that asked.
"""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol

import msgspec

from encord_dagster import layout, preparing, process
from encord_dagster.accounting import Delivery
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.container import RowSlice
from encord_dagster.formats.fragment import Category
from encord_dagster.preparing import Prepared, Task
from encord_dagster.storage.protocol import ObjectStore

LEAST_TO_SHARE = 32 * 2**20  # bytes of an export for each process
MOST_PROCESSES = 4
_TASK = 4 * 2**20  # bytes of rows that travel to a process of this machine at a time
_SHARE = 8  # of a task: less of it is read where the rest was known already

Launch = Callable[[Sequence[str]], object]
"""Runs a command somewhere and waits for its end; raises where it failed."""


Find = Callable[[int], "Workers | None"]
"""Who prepares the rows of an export of that many bytes; None where nobody does."""


def nobody(_size: int) -> "Workers | None":
    """Every row is read by the process that brings it in."""
    return None


class WorkerFailed(Exception):
    """A worker ended before its task was done."""


class Workers(Protocol):
    """Does tasks (see `preparing.prepare`)."""

    at_once: int  # tasks that are of use at a time
    by_reference: bool  # whether tasks name rows in the lake rather than hold them

    def task_size(self, export: int) -> int:
        """How many bytes of the rows of an export of that many bytes make a task."""
        ...

    def submit(self, task: bytes) -> "Future[bytes]":
        """Have a task done. The result raises WorkerFailed where the worker did not live to its end."""
        ...


def processes_for(size: int, asked: int = 0) -> int:
    """How many processes are of use for an export of that many bytes; 0 asks for as many as are."""
    room = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return asked or max(1, min(room, MOST_PROCESSES, size // LEAST_TO_SHARE))


@contextlib.contextmanager
def local(processes: int = 0) -> Iterator[Find]:
    """Processes of this machine, as many as are of use for each export where 0 are asked for."""
    made: dict[int, LocalWorkers] = {}

    def find(size: int) -> Workers | None:
        count = processes_for(size, processes)
        if count < 2:
            return None
        if count not in made:
            made[count] = LocalWorkers(count)
        return made[count]

    try:
        yield find
    finally:
        for workers in made.values():
            workers.close()


class Preparing:
    """Has the rows of one export prepared by workers."""

    def __init__(
        self,
        workers: Workers,
        delivery: Delivery,
        config: LabelSetConfig,
        claimed: Mapping[str, Category],
        *,
        source: str,
        size: int,
        say: Callable[[str], None],
    ) -> None:
        self._workers, self._delivery, self._config, self._claimed = workers, delivery, config, claimed
        self._source = source if workers.by_reference else ""  # key of the object that holds the rows
        self._say = say
        self.task_size = workers.task_size(size)
        self.tasks = 2 * workers.at_once

    def __call__(self, pieces: Sequence[RowSlice]) -> Callable[[], Sequence[Prepared | None]]:
        """Begin a task; what is returned waits for it. Few rows are no task: it would cost more than to read them."""
        if sum(piece.length for piece in pieces) * _SHARE < self.task_size:
            return lambda: [None] * len(pieces)
        source = self._source if self._source and all(map(self._lies_there, pieces)) else ""
        rows = [msgspec.structs.replace(piece, raw=b"") for piece in pieces] if source else pieces
        task = Task(
            config=self._config,
            document=self._delivery.document,
            categories=tuple(self._claimed.values()),
            rows=tuple(rows),
            source=source,
        )
        future = self._workers.submit(preparing.encoded(task))

        def wait() -> Sequence[Prepared | None]:
            try:
                return preparing.decoded(future.result())
            except WorkerFailed as error:
                self._say(f"{error}; its {len(pieces):,} rows are read here")
                return [None] * len(pieces)

        return wait

    def _lies_there(self, piece: RowSlice) -> bool:
        data = self._delivery.opened.data
        return data[piece.offset : piece.offset + piece.length] == piece.raw


class LocalWorkers:
    """Processes of this machine. Tasks and results travel through their standard input and output."""

    by_reference = False

    def __init__(self, processes: int) -> None:
        self.at_once = processes
        self._pool = ThreadPoolExecutor(processes, thread_name_prefix="prepare")
        self._idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for _ in range(processes):
            self._idle.put(None)  # a process that is not started yet

    def task_size(self, export: int) -> int:
        """Small enough that all of them have work, large enough that a batch of rows costs less than each alone."""
        return min(_TASK, max(2**18, export // (4 * self.at_once)))

    def submit(self, task: bytes) -> "Future[bytes]":
        """Have a task done by the next process that is free."""
        return self._pool.submit(self._done, task)

    def _done(self, task: bytes) -> bytes:
        worker = self._idle.get() or _started()
        try:
            assert worker.stdin and worker.stdout  # noqa: S101 - both are pipes
            preparing.write_frame(worker.stdin, task)
            found = preparing.read_frame(worker.stdout)
        except OSError as error:
            found, why = None, str(error)
        else:
            why = "it ended"
        if found is None:
            worker.kill()
            self._idle.put(None)
            raise WorkerFailed(f"process {worker.pid} that prepares rows: {why} (exit code {worker.wait()})")
        self._idle.put(worker)
        return found

    def close(self) -> None:
        """End the processes; what they were doing is not wanted any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for _ in range(self.at_once):
            if worker := self._idle.get():
                worker.kill()
                worker.communicate()


def _started() -> "subprocess.Popen[bytes]":
    command, environment = process.command(preparing.__name__, "serve")
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class RemoteWorkers:
    """Commands that an engine runs elsewhere: tasks and results lie in the lake, rows in the raw copy there.

    A result is kept under the digest of its task, so that what was done is not done again by a second attempt.
    """

    by_reference = True

    def __init__(
        self,
        lake: ObjectStore,
        name: str,
        *,
        lake_url: str,
        launch: Launch,
        workers: int,
        module: str = preparing.__name__,
    ) -> None:
        self.at_once = workers
        self._lake, self._name, self._launch = lake, name, launch
        self._command = ["python", "-m", module, lake_url, name]
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="launch")

    def task_size(self, export: int) -> int:
        """One task for each worker: to start one somewhere may take longer than to read a range."""
        return max(1, -(-export // self.at_once))

    def submit(self, task: bytes) -> "Future[bytes]":
        """Have a task done by a command of its own."""
        return self._pool.submit(self._done, task)

    def _done(self, task: bytes) -> bytes:
        key = layout.work(self._name, preparing.digest_of(task), "task")
        done = preparing.result_key(self._name, task)
        if (held := self._lake.get(done)) is not None:
            return held
        self._lake.create(key, task)
        try:
            self._launch([*self._command, key])
        except Exception as error:
            raise WorkerFailed(f"the worker for {key}: {error}") from error
        found = self._lake.get(done)
        if found is None:
            raise WorkerFailed(f"the worker for {key} ended, and {done} is not there")
        return found

    def close(self) -> None:
        """Begin no further task."""
        self._pool.shutdown(wait=True, cancel_futures=True)
