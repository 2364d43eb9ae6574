"""The services of deploy/compose.yaml as processes of this machine, with the same commands and configuration."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import composed
from tests.servers import free_port, ministack

BIN = composed.ROOT / ".make" / "deploy" / "bin"
PASSWORD = "smoke"
WAIT_SECONDS = 180.0
STOP_SECONDS = 60.0


def postgres_programs() -> Path | None:
    """Where Debian or PATH has PostgreSQL's programs."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def skip_where_missing() -> None:
    """Skip where what the smoke test starts is not installed."""
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if not (BIN / "dagster-webserver").exists():
        pytest.skip(f"{BIN} is not there: make smoke installs it")


def wait_for(what: str, holds: Callable[[], bool], *, seconds: float = WAIT_SECONDS) -> float:
    """Wait until it holds; the seconds that it took."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - started


class Deployment:
    """The services; each is started by its name in the Compose file."""

    def __init__(self, folder: Path, *, s3: str, database_port: int) -> None:
        self.folder, self.home = folder, folder / "home"
        self.ports = {"3000": str(free_port()), "4000": str(free_port())}
        self.variables = composed.dotenv(composed.DEPLOY / ".env.example") | {
            "AWS_ENDPOINT_URL_S3": s3,
            "AWS_ACCESS_KEY_ID": "smoke",
            "AWS_SECRET_ACCESS_KEY": "smoke",
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(database_port),
            "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
        }
        self.services: dict[str, Any] = {}
        self.configure()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._install()

    def configure(self, **variables: str) -> None:
        """Other values in the .env; services that run keep theirs until they are started again."""
        self.variables |= variables
        self.services = composed.read(self.variables)["services"]

    def _install(self) -> None:
        """What the Dockerfile copies."""
        for place in ("home", "app", "logs", "tmp"):
            (self.folder / place).mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(composed.DEPLOY / name, self.home)
        shutil.copy(composed.ROOT / "definitions.py", self.folder / "app")
        shutil.copy(composed.DEPLOY / "try" / "deliver.py", self.folder / "app")
        for place in ("home", "app"):
            (self.folder / place).chmod(0o555)  # as the image's root

    def environment(self, service: str) -> dict[str, str]:
        """That of the Compose file, and what the image sets."""
        here = {"DAGSTER_CODE_HOST": "127.0.0.1", "DAGSTER_CODE_PORT": self.ports["4000"]}
        named: dict[str, str] = self.services[service]["environment"]
        return {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_LOGS": str(self.folder / "logs"),
            "HOME": str(self.folder / "tmp"),
            "TMPDIR": str(self.folder / "tmp"),
            "AWS_EC2_METADATA_DISABLED": "true",
            **named,
            **{key: value for key, value in here.items() if key in named},
        }

    def words(self, command: Sequence[str]) -> list[str]:
        """A command with the ports and folders of this machine, without capabilities: read-only is so for root too."""
        places = {"0.0.0.0": "127.0.0.1", **self.ports}  # noqa: S104 - the image's, which is replaced
        words = [places.get(word, word).replace("/opt/dagster/home", str(self.home)) for word in command]
        for port, mine in self.ports.items():
            words = [word.replace(f"127.0.0.1:{port}/", f"127.0.0.1:{mine}/") for word in words]
        return [*_without_capabilities(), *words]

    def run(self, service: str, command: Sequence[str] | None = None) -> str:
        """Run a command of a service, or its own, to its end; what it printed."""
        done = subprocess.run(
            self.words(command or self.services[service]["command"]),
            env=self.environment(service),
            cwd=self.folder / "app",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{service}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, service: str) -> None:
        """Start a service, and wait until its healthcheck passes."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self._running[service] = subprocess.Popen(
                self.words(self.services[service]["command"]),
                env=self.environment(service),
                cwd=self.folder / "app",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # as in a container: what it starts is stopped with it
            )
        wait_for(f"{service} is healthy; {self.folder}/{service}.log", lambda: self.is_healthy(service))

    def is_healthy(self, service: str) -> bool:
        """Whether the service runs and the test of its healthcheck passes."""
        process = self._running[service]
        assert process.poll() is None, f"{service} ended: {(self.folder / f'{service}.log').read_text()[-3000:]}"
        test = self.services[service]["healthcheck"]["test"]
        answer = subprocess.run(
            self.words(test[1:]), env=self.environment(service), cwd=self.folder, capture_output=True, check=False
        )
        return answer.returncode == 0

    def stop(self, service: str) -> int:
        """End a service as Compose does; its exit code."""
        process = self._running.pop(service)
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        finally:
            _kill_group(process.pid)

    def stop_all(self) -> None:
        """End what still runs, the newest first."""
        for service in reversed(list(self._running)):
            self.stop(service)

    def sql(self, statement: str, *, database: str = "dagster") -> str:
        """What psql prints for a statement."""
        return self.postgres("psql", "-qAt", "-c", statement, "-d", database).strip()

    def postgres(self, program: str, *words: object) -> str:
        """What one of PostgreSQL's programs prints, run over Dagster's database."""
        variables = self.variables
        place = ["-h", "127.0.0.1", "-p", variables["DAGSTER_POSTGRES_PORT"], "-U", "dagster"]
        password = {"PGPASSWORD": variables["DAGSTER_POSTGRES_PASSWORD"]}
        return _run([_programs() / program, *place, *words], environment=password)

    def url(self, path: str) -> str:
        """A page of the webserver."""
        return f"http://127.0.0.1:{self.ports['3000']}{path}"


@contextmanager
def deployment() -> Iterator[Deployment]:
    """PostgreSQL and an S3 server; nothing of Dagster is started yet."""
    with tempfile.TemporaryDirectory(prefix="deploy-") as name, ministack() as s3:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL's own user must reach its folder below
        with postgres(folder) as port:
            deployed = Deployment(folder, s3=s3, database_port=port)
            try:
                yield deployed
            finally:
                deployed.stop_all()


@contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """A PostgreSQL server on loopback, of a user who is not root; yields its port."""
    programs, owner = _programs(), _unprivileged()
    data, port = folder / "postgres", free_port()
    data.mkdir()
    (folder / "password").write_text(PASSWORD)
    if owner:
        shutil.chown(data, owner)
        shutil.chown(folder / "password", owner)
    flags = ["-U", "dagster", "-A", "scram-sha-256", "--pwfile", folder / "password", "-E", "UTF8", "--locale", "C"]
    _run([programs / "initdb", "-D", data, "--no-sync", *flags], user=owner)
    options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]  # -F: no fsync, it is thrown away
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen([str(programs / "postgres"), *options], user=owner, cwd=data, stdout=log, stderr=log)
    try:
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_for("PostgreSQL", lambda: subprocess.run(ready, check=False).returncode == 0, seconds=30)
        place = ["-h", "127.0.0.1", "-p", port, "-U", "dagster"]
        _run([programs / "createdb", *place, "dagster"], environment={"PGPASSWORD": PASSWORD})
        yield port
    finally:
        server.terminate()
        server.wait(STOP_SECONDS)


def _programs() -> Path:
    found = postgres_programs()
    assert found is not None
    return found


def _without_capabilities() -> list[str]:
    """`cap_drop: [ALL]`; who is not root has none."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def _unprivileged() -> str | None:
    """Whom PostgreSQL runs as: it refuses root. None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run(words: Sequence[object], *, user: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        user=user,
        cwd="/",
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


def _kill_group(leader: int) -> None:
    """What a service left behind in its own session."""
    try:
        os.killpg(leader, 9)
    except ProcessLookupError:
        return
