"""Rows prepared by other processes: the lake is the same, byte for byte, whoever read them, even where they died."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from encord_dagster import workers
from encord_dagster.config import LabelSetConfig
from encord_dagster.pipeline import ingest
from encord_dagster.samples import Project, bad_row, ontology
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.workers import Find, LocalWorkers, RemoteWorkers, nobody
from tests import factories as make
from tests.lakes import DAY, Desk, exported_again, project_export

CONFIG = LabelSetConfig(name="street", hold_back=())
FIRST = project_export(24)
NEXT = exported_again(FIRST, changed=3, added=2, deleted=1)
BAD = bad_row(seed=3, rows=6, exported_at=DAY)
WITH_ONTOLOGY = msgspec.structs.replace(CONFIG, ontology=ontology(Project(3, 24)).decode())


def in_lake(desk: Desk) -> dict[str, bytes | None]:
    """All that a label set came to; tasks of workers are none of it, and probes are random."""
    keys = (key for key in desk.written() if "/probes/" not in key and not key.startswith("raw/tasks/"))
    return {key: desk.lake.get(key) for key in keys}


def brought(
    deliveries: Sequence[bytes], find: Find, *, config: LabelSetConfig = CONFIG, lake: ObjectStore | None = None
) -> Desk:
    """A label set that took in some exports, one after the other, with whom `find` finds."""
    desk = Desk(lake or MemoryStore("lake"), config)
    desk.landing = MemoryStore("landing", now=lambda: DAY)
    for number, data in enumerate(deliveries):
        export = desk.deliver(f"{number}.json", data)
        ingest([export], landing=desk.landing, lake=desk.lake, config=config, workers=find)
    return desk


@contextmanager
def two(prepared: list[int] | None = None) -> Iterator[Find]:
    """Two processes, and tasks of a few rows."""
    made = LocalWorkers(2)
    made.task_size = lambda export: 20_000  # type: ignore[method-assign]
    submit = made.submit

    def counted(task: bytes) -> "Future[bytes]":
        if prepared is not None:
            prepared.append(len(task))
        return submit(task)

    made.submit = counted  # type: ignore[method-assign]
    try:
        yield lambda size: made
    finally:
        made.close()


@pytest.mark.parametrize("config", [CONFIG, WITH_ONTOLOGY], ids=["without ontology", "with ontology"])
def test_the_lake_is_the_same_with_two_processes(config: LabelSetConfig) -> None:
    """All kinds of rows, bad ones, changed, new and deleted ones, and an export that nothing changed in."""
    deliveries = [FIRST, BAD, NEXT, exported_again(NEXT, days=3)]
    alone = brought(deliveries, nobody, config=config)
    tasks: list[int] = []

    with two(tasks) as find:
        shared = brought(deliveries, find, config=config)

    assert len(tasks) > 10
    assert in_lake(shared) == in_lake(alone)


@pytest.mark.parametrize("change", [{"content": "export"}, {"free_text": False}, {"masks": False}, {"branch": "other"}])
def test_what_is_configured_holds_in_other_processes(change: dict[str, object]) -> None:
    """They get the configuration that the run has."""
    config = msgspec.structs.replace(CONFIG, **change)
    alone = brought([FIRST, NEXT], nobody, config=config)

    with two() as find:
        shared = brought([FIRST, NEXT], find, config=config)

    assert in_lake(shared) == in_lake(alone)


def test_a_killed_process_costs_nothing_but_its_task() -> None:
    """Its rows are read by the process that asked, and the next task gets a new process."""
    made = LocalWorkers(2)
    made.task_size = lambda export: 20_000  # type: ignore[method-assign]
    submit, started, killed = made.submit, list[int](), list[int]()
    begin = workers._started

    def begun() -> "subprocess.Popen[bytes]":
        process = begin()
        started.append(process.pid)
        return process

    def murderous(task: bytes) -> "Future[bytes]":
        if len(started) == 2 and not killed:
            os.kill(started[0], signal.SIGKILL)
            killed.append(started[0])
        return submit(task)

    made.submit = murderous  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_started", begun)
        shared = brought([FIRST, NEXT], lambda size: made)
    made.close()

    assert killed
    assert len(started) > 2
    assert in_lake(shared) == in_lake(brought([FIRST, NEXT], nobody))


def command_line(lake: Path, launched: list[int]) -> Callable[[Sequence[str]], None]:
    """An engine that runs commands on this machine."""

    def launch(command: Sequence[str]) -> None:
        launched.append(len(command))
        subprocess.run([sys.executable, *command[1:]], check=True, cwd=lake)

    return launch


def test_commands_elsewhere_come_to_the_same(tmp_path: Path) -> None:
    """Two commands at a time, which find their rows in the raw copy; what they did is not done again."""
    lake, launched = LocalStore(tmp_path / "lake"), list[int]()
    engine = RemoteWorkers(
        lake, "street", lake_url=str(tmp_path / "lake"), launch=command_line(tmp_path, launched), workers=2
    )

    shared = brought([FIRST], lambda size: engine, config=WITH_ONTOLOGY, lake=lake)

    assert len(launched) == 2
    tasks = [lake.get(info.key) or b"" for info in lake.list("raw/tasks/") if info.key.endswith(".task")]
    assert sum(map(len, tasks)) < len(FIRST)
    alone = brought([FIRST], nobody, config=WITH_ONTOLOGY)
    assert in_lake(shared) == in_lake(alone)
    for info in list(lake.list("label_sets/")):
        lake.delete(info.key)
    brought([FIRST], lambda size: engine, config=WITH_ONTOLOGY, lake=lake)
    engine.close()
    assert len(launched) == 2
    assert in_lake(shared) == in_lake(alone)


def test_an_engine_that_fails_stops_nothing(tmp_path: Path) -> None:
    """The rows are read by the run itself."""

    def launch(command: Sequence[str]) -> None:
        raise OSError("no room anywhere")

    lake = LocalStore(tmp_path / "lake")
    engine = RemoteWorkers(lake, "street", lake_url=str(tmp_path / "lake"), launch=launch, workers=2)

    shared = brought([FIRST], lambda size: engine, lake=lake)
    engine.close()

    assert in_lake(shared) == in_lake(brought([FIRST], nobody))


def test_a_skeleton_that_its_class_cannot_hold_is_left_to_the_run() -> None:
    """It is quarantined then as without workers."""
    rows = [
        make.image_row(make.skeleton([make.joint(0.1, 0.1, "nose", "JointCl1")]), label_hash="row-1"),
        make.image_row(make.skeleton([make.joint(0.2, 0.2, "tail", "JointCl9")]), label_hash="row-2"),
    ]
    deliveries = [make.encode(rows[:1]), make.encode(rows)]
    alone = brought(deliveries, nobody)

    with two() as find:
        shared = brought(deliveries, find)

    assert in_lake(shared) == in_lake(alone)
    assert any(row.objects_quarantined for row in alone.label_set().version().label_rows())
