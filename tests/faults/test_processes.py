"""Real processes: six that publish at once, and runs that are killed at any time."""

import multiprocessing
import secrets
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random

import pytest

from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.protocol import ObjectStore
from tests.faults.stage import CONFIG, FIRST, NAME, SECOND, Backend, content, published, seen, sound_lake
from tests.faults.work import numbered_export, publish_all, store_of
from tests.lakes import Desk

Survived = Callable[[int], None]
KILLS = 200  # on each store, half of them in one label set


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Starts processes that have everything imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.work"])
    return context


def url_of(backend: Backend, request: pytest.FixtureRequest) -> tuple[str, str, str | None]:
    """Urls of an empty landing prefix and lake, and the server they are on."""
    server = request.getfixturevalue("s3_server") if backend.name == "s3" else None
    return backend.new().url, backend.new().url, server


def many_at_once(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, *, workers: int, each: int
) -> None:
    """So many processes publish so many exports each: all are in, each in a version of its own, and none failed."""
    landing_url, lake_url, server = url_of(backend, request)
    landing, lake = store_of(landing_url, server), store_of(lake_url, server)
    keys = [f"{number:02}.json" for number in range(workers * each)]
    for number, key in enumerate(keys):
        landing.put_hint(key, numbered_export(number))
    running = [
        processes.Process(target=publish_all, args=(landing_url, lake_url, server, keys[worker::workers]))
        for worker in range(workers)
    ]

    for process in running:
        process.start()
    for process in running:
        process.join(240)

    assert [process.exitcode for process in running] == [0] * workers
    assert [version for version, _ in published(lake)] == list(range(1, len(keys) + 1))
    label_set = Desk(lake, CONFIG).label_set()
    assert {export.id for export in exports_in(landing)} <= label_set.accounted()
    assert label_set.version().rows == len(keys)
    assert verify(lake, NAME).problems == []


@pytest.mark.faults("F20", on=("local", "s3"))
def test_processes_that_publish_at_once_all_get_in(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, survived: Survived
) -> None:
    """Two with two exports each."""
    many_at_once(backend, request, processes, workers=2, each=2)
    survived(4)


@pytest.mark.slow
@pytest.mark.faults("F20", on=("local", "s3"))
def test_six_processes_with_eight_exports_each_all_get_in(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, survived: Survived
) -> None:
    """48 exports, 48 versions, no error."""
    many_at_once(backend, request, processes, workers=6, each=8)
    survived(48)


def killed(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, *, times: int
) -> tuple[int, int]:
    """Kill a publish on top of a version at a random time, so often; how many were killed, and how many after it."""
    landing_url, base_url, server = url_of(backend, request)
    landing, base = store_of(landing_url, server), store_of(base_url, server)
    sound_lake(FIRST, lake=base)
    landing.put_hint("swept.json", SECOND)
    old, new = seen(base), seen(sound_lake(FIRST, SECOND).lake)
    lasts, random = _duration(backend, base, processes, landing_url, server), Random(secrets.randbits(32))
    hits = late = 0
    for _ in range(4 * times):
        if hits == times:
            break
        lake = backend.copy(base)
        process = processes.Process(target=publish_all, args=(landing_url, lake.url, server, ["swept.json"]))
        process.start()
        process.join(random.uniform(0, lasts))
        process.kill()
        process.join()
        hits += process.exitcode != 0
        lasts *= (
            1.05 if process.exitcode else 0.95
        )  # so that many are hit around their commit, however busy the machine
        found = seen(lake)
        late += process.exitcode != 0 and found == new
        assert found in (old, new)
        _again(landing, lake)
        assert seen(lake) == new
        assert len(published(lake)) == 2
    return hits, late


def killed_in_a_row(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, *, times: int
) -> int:
    """Kill so many processes, one after the other, that publish to one label set; how many were hit.

    What one leaves undone is left to the next. Versions that were seen stay, and in the end nothing is lost.
    """
    landing_url, lake_url, server = url_of(backend, request)
    landing, lake = store_of(landing_url, server), store_of(lake_url, server)
    sound_lake(FIRST, lake=lake)
    random, hits, delivered, known = Random(secrets.randbits(32)), 0, 2, published(lake)
    lasts = _duration(backend, lake, processes, landing_url, server, key=_next(landing, 1))
    for number in range(times):
        accounted = Desk(lake, CONFIG).label_set().accounted()
        pending = [export.key for export in exports_in(landing) if export.id not in accounted]
        while len(pending) < 2:
            pending.append(_next(landing, delivered))
            delivered += 1
        process = processes.Process(target=publish_all, args=(landing_url, lake_url, server, pending[:2]))
        process.start()
        process.join(random.uniform(0, 1.5 * lasts))
        process.kill()
        process.join()
        hits += process.exitcode != 0
        before, known = known, published(lake)
        assert known[: len(before)] == before
        assert len(known) - len(before) <= 2
        version = Desk(lake, CONFIG).label_set().version()
        assert version.table("annotations").num_rows == version.root.annotations
        assert number % 10 or verify(lake, NAME).problems == []
    _nothing_is_lost(landing, lake)
    return hits


def _nothing_is_lost(landing: ObjectStore, lake: ObjectStore) -> None:
    """A last run leaves what one run over all exports makes."""
    desk, whole = Desk(lake, CONFIG), sound_lake(FIRST)
    desk.landing = whole.landing = landing
    exports = list(exports_in(landing))
    desk.ingest(*exports)
    whole.ingest(*exports)

    assert {export.id for export in exports} <= desk.label_set().accounted()
    assert verify(lake, NAME).problems == []
    assert content(lake) == content(whole.lake)
    assert desk.label_set().version().coco() == whole.label_set().version().coco()


def _next(landing: ObjectStore, number: int) -> str:
    """The key of one more delivered export."""
    key = f"{number:04}.json"
    landing.put_hint(key, numbered_export(number))
    return key


def _duration(
    backend: Backend,
    base: ObjectStore,
    processes: ForkServerContext,
    landing_url: str,
    server: str | None,
    *,
    key: str = "swept.json",
) -> float:
    """How long such a process takes, the second time."""
    for _ in range(2):
        lake = backend.copy(base)
        began = time.monotonic()
        process = processes.Process(target=publish_all, args=(landing_url, lake.url, server, [key]))
        process.start()
        process.join()
        assert process.exitcode == 0
    return time.monotonic() - began


def _again(landing: ObjectStore, lake: ObjectStore) -> None:
    desk = Desk(lake, CONFIG)
    desk.landing = landing
    (export,) = exports_in(landing)
    desk.ingest(export)


@pytest.mark.faults("F25", on=("local", "s3"), slow_on=("s3",))
def test_a_run_that_is_killed_at_a_random_time_leaves_a_whole_version(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, survived: Survived
) -> None:
    """SIGKILL, some times; the next run gives exactly one version."""
    hits, _ = killed(backend, request, processes, times=4)
    survived(max(1, hits))


@pytest.mark.faults("F25", on=("local", "s3"), slow_on=("local",))
@pytest.mark.parametrize(
    "times", [pytest.param(3, id="some"), pytest.param(KILLS // 2, id="many", marks=pytest.mark.slow)]
)
def test_runs_that_are_killed_one_after_the_other_lose_nothing(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, survived: Survived, times: int
) -> None:
    """Each in the same label set, on top of what the one before left."""
    hits = killed_in_a_row(backend, request, processes, times=times)

    assert hits >= times // 4
    survived(max(1, hits))


@pytest.mark.slow
@pytest.mark.faults("F25", on=("local", "s3"))
def test_many_runs_that_are_killed_leave_whole_versions(
    backend: Backend, request: pytest.FixtureRequest, processes: ForkServerContext, survived: Survived
) -> None:
    """Often enough to hit every stage; sweeps of all calls look at what is between commit and end."""
    hits, late = killed(backend, request, processes, times=KILLS // 2)

    assert hits == KILLS // 2
    assert late < hits
    survived(hits)


def test_a_killed_writer_leaves_only_hidden_files(tmp_path: Path) -> None:
    """What a kill leaves half written is never listed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".0123.tmp").write_bytes(b"half")

    assert list(LocalStore(tmp_path).list()) == []
