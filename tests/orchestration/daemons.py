"""Dagster's own processes over a throwaway instance: code server and daemon, which may be killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from tests.servers import free_port

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 300.0

DEFINITIONS = """\
from encord_dagster import build_label_set_definitions

defs = build_label_set_definitions(
    landing={landing!r},
    lake={lake!r},
    name="street",
    running={running},
    sensor_interval_seconds=1,
    reconcile_cron={cron!r},
    {more}
)
"""
INSTANCE = """\
run_queue: {dequeue_interval_seconds: 1}
run_monitoring: {enabled: true, start_timeout_seconds: 60, poll_interval_seconds: 5}
telemetry: {enabled: false}
nux: {enabled: false}
"""
# The daemon, killed where Dagster's own tests let it crash, and between what it adds and what it keeps.
KILLED = """\
import os, signal, sys
import dagster._daemon.sensor as sensor
from dagster._daemon.cli import cli

def stop(stage):
    if stage == os.environ["KILL_AT"]:
        os.kill(os.getpid(), signal.SIGKILL)

def after(function, stage):
    def call(*args, **kwargs):
        made = function(*args, **kwargs)
        stop(stage)
        return made
    return call

sensor.check_for_debug_crash = lambda flags, stage: stop(stage)
sensor._handle_dynamic_partitions_requests = after(sensor._handle_dynamic_partitions_requests, "PARTITIONS_ADDED")
sys.argv = ["dagster-daemon", "run", *sys.argv[1:]]
cli()
"""


class Site:
    """A landing folder, a lake folder, and Dagster's processes over them."""

    def __init__(self, folder: Path, *, running: bool = True, cron: str = "* * * * *", more: str = "") -> None:
        self.folder, self.home = folder, folder / "home"
        self.landing, self.lake = folder / "landing", folder / "lake"
        for place in (self.home, self.landing, self.lake):
            place.mkdir(parents=True)
        self.port = free_port()
        (self.home / "dagster.yaml").write_text(INSTANCE)
        (folder / "definitions.py").write_text(
            DEFINITIONS.format(landing=str(self.landing), lake=str(self.lake), running=running, cron=cron, more=more)
        )
        (folder / "workspace.yaml").write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {self.port}, location_name: site}}\n"
        )
        (folder / "killed.py").write_text(KILLED)
        self._running: list[subprocess.Popen[bytes]] = []

    def environment(self, **more: str) -> dict[str, str]:
        """That of each process."""
        python = os.pathsep.join([str(ROOT), str(self.folder)])
        return {**os.environ, "DAGSTER_HOME": str(self.home), "PYTHONPATH": python, **more}

    def start(self, *words: str, **variables: str) -> "subprocess.Popen[bytes]":
        """A process of its own session."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def daemon(self, *, kill_at: str = "") -> "subprocess.Popen[bytes]":
        """The daemon; `kill_at` is the stage of a tick at which it is killed."""
        return self.start("killed.py", "-w", "workspace.yaml", KILL_AT=kill_at)

    def call(self, program: str, *words: str) -> str:
        """Run one of Dagster's programs to its end; what it printed."""
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *words],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait(self, what: str, holds: Callable[[], bool], *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            told = (self.folder / "log").read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s\n{told}"
            time.sleep(0.2)

    def cpu_seconds(self) -> float:
        """User and system time of the processes so far, with those that they started (Linux)."""
        sessions = {process.pid for process in self._running}
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                fields = path.read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15])) if int(fields[3]) in sessions else 0
        return ticks / os.sysconf("SC_CLK_TCK")

    def runs(self) -> Sequence[dg.DagsterRun]:
        """All runs, as Dagster's database has them now."""
        with dg.DagsterInstance.get() as instance:
            return instance.get_runs()

    def deliver(self, **exports: bytes) -> None:
        """Put exports into the landing folder, whole or not at all."""
        for name, data in exports.items():
            (self.landing / f".{name}").write_bytes(data)
            (self.landing / f".{name}").rename(self.landing / f"{name}.json")

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """As a machine that is switched off."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._running.remove(process)

    def end(self) -> None:
        """Kill what is left."""
        for process in list(self._running):
            if process.poll() is None:
                self.kill(process)


@contextmanager
def site(folder: Path, **chosen: object) -> Iterator[Site]:
    """A site whose code server answers; no daemon runs yet."""
    made = Site(folder, **chosen)  # type: ignore[arg-type]  # as they are
    try:
        made.call("dagster", "instance", "migrate")  # processes that make the tables at once would race
        made.start("-m", "dagster", "code-server", "start", "-p", str(made.port), "-f", "definitions.py")
        health = [sys.executable, "-m", "dagster", "api", "grpc-health-check", "-p", str(made.port)]
        made.wait("the code server", lambda: subprocess.run(health, capture_output=True, check=False).returncode == 0)
        yield made
    finally:
        made.end()
