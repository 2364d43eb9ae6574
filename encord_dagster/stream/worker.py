"""Converts one range of an export in a process of its own.

Job, progress and result are small JSON files in the range's folder; records never pass from process to process.
"""

import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn, Protocol

import msgspec

from encord_dagster import process
from encord_dagster.formats.fragment import Category
from encord_dagster.storage.arriving import NotFetched
from encord_dagster.stream.counts import Counts
from encord_dagster.stream.cut import Unusual, rows
from encord_dagster.stream.job import Done, Job
from encord_dagster.stream.ranges import claims, convert_range

_PROGRESS = struct.Struct("<qqq")  # rows, objects, bytes
_FIRST = 2**20  # bytes of rows whose classes all processes know from the start
_OFTEN = 0.5  # seconds
UNUSUAL = 3  # exit code


class HasFolder(Protocol):
    """A job of any kind."""

    @property
    def folder(self) -> str:
        """Where the job, and what comes of it, is written."""
        ...


def start(job: HasFolder, module: str = __name__) -> "subprocess.Popen[bytes]":
    """Start a process for a job, which `run` of a module does."""
    path = Path(job.folder, "job")
    path.write_bytes(msgspec.json.encode(job))
    command, environment = process.command(module, "run")
    return subprocess.Popen([*command, str(path)], env=environment, stdin=subprocess.DEVNULL)


def result(job: Job, code: int) -> Done:
    """What the process of a job has done. Unusual where it said so; RuntimeError where it failed."""
    if code == UNUSUAL:
        raise Unusual(Path(job.folder, "unusual").read_text())
    if code:
        raise RuntimeError(f"a process that converts rows ended with code {code}: run again with one process")
    return msgspec.json.decode(Path(job.folder, "done").read_bytes(), type=Done)


def read_progress(job: Job) -> tuple[int, int, int]:
    """Rows, objects and bytes that the process of a job has done."""
    path = Path(job.folder, "progress")
    data = path.read_bytes() if path.exists() else b""
    if len(data) != _PROGRESS.size:
        return 0, 0, 0
    done, objects, size = _PROGRESS.unpack(data)
    return done, objects, size


def first_categories(job: Job) -> tuple[Category, ...]:
    """The categories after the first rows: what most processes would bring as new, and number differently."""
    end = min(job.end, job.start + _FIRST)
    for pieces in rows(Path(job.path), job.start, job.end, job.opening.encode(), last=job.last, chunk=end - job.start):
        return claims(job, pieces[:1000])
    return job.categories


def main(path: Path) -> int:
    """Do a job."""
    job = msgspec.json.decode(path.read_bytes(), type=Job)
    last = 0.0

    def progress(counts: Counts, size: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last > _OFTEN:
            last = now
            Path(job.folder, "progress").write_bytes(_PROGRESS.pack(counts.rows, counts.objects_in, size))

    try:
        done = convert_range(job, progress)
    except Unusual as error:
        Path(job.folder, "unusual").write_text(str(error))
        return UNUSUAL
    except NotFetched:  # which the process that fetches tells
        return 1
    Path(job.folder, "done").write_bytes(msgspec.json.encode(done))
    return 0


def run() -> NoReturn:
    """Do the job that the command line names."""
    process.end(main(Path(sys.argv[1])))
