"""deploy/ at work: the commands, environment and health checks of its Compose file, without containers."""

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.services import Deployment, deployment, skip_where_missing, wait_for

pytestmark = pytest.mark.slow

HEALTH = """{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
              workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"""


@pytest.fixture
def deployed() -> Iterator[Deployment]:
    """Databases and buckets that are ready, and nothing else."""
    skip_where_missing()
    with deployment() as deployed:
        yield deployed


def say(text: str) -> None:
    """Report, for who runs it by hand: `pytest -s`."""
    sys.stdout.write(f"{text}\n")


def _log(deployed: Deployment) -> list[dict[str, Any]]:
    lake, name = deployed.variables["ENCORD_LAKE"], deployed.variables["ENCORD_LABEL_SET"]
    records: list[dict[str, Any]] = json.loads(
        deployed.run("cli", ["encord-dagster", "log", "--json", "--lake", lake, "--name", name])
    )
    return records


def _ask(deployed: Deployment, query: str) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own server
        deployed.url("/graphql"),
        data=json.dumps({"query": query}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
        found: dict[str, Any] = json.load(answer)["data"]
    return found


def _start(deployed: Deployment) -> None:
    deployed.run("migrate")
    for service in ("code", "webserver", "daemon"):
        started = time.monotonic()
        deployed.start(service)
        say(f"{service}: healthy after {time.monotonic() - started:.1f} s")


def _partitions(deployed: Deployment) -> int:
    return int(deployed.sql("select count(*) from dynamic_partitions"))


def _runs(deployed: Deployment) -> list[str]:
    return deployed.sql("select status from runs").splitlines()


def _published(deployed: Deployment, version: int) -> list[dict[str, Any]]:
    """The log as soon as it has a version and every run has ended."""

    def is_there() -> bool:
        return any(record["version"] >= version for record in _log(deployed))

    seconds = wait_for(f"version {version} is published", is_there)
    say(f"version {version}: published after {seconds:.1f} s")
    wait_for("the runs have ended", lambda: set(_runs(deployed)) <= {"SUCCESS", "FAILURE"})
    return _log(deployed)


def _stop(deployed: Deployment) -> None:
    codes = {service: deployed.stop(service) for service in ("daemon", "webserver", "code")}
    say(f"stopped: {codes}")
    assert set(codes.values()) == {0}


def test_what_is_delivered_is_published_and_a_lost_database_comes_back(deployed: Deployment) -> None:
    """Sensor, queue and run bring an export into the lake; over an empty database nothing is published twice."""
    say(deployed.run("samples").strip())
    _start(deployed)

    published, partitions = _published(deployed, 1), _partitions(deployed)
    say(f"{len(published)} records, {partitions} partitions, runs: {_runs(deployed)}")
    health = _ask(deployed, HEALTH)
    daemons = health["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert [kind for kind in daemons if kind["required"] and not kind["healthy"]] == []
    assert health["workspaceOrError"]["locationEntries"] == [{"name": "encord", "loadStatus": "LOADED"}]
    # nothing was written where the image is read-only
    assert sorted(path.name for path in deployed.home.iterdir()) == ["dagster.yaml", "workspace.yaml"]

    _stop(deployed)
    deployed.sql("drop database dagster", database="postgres")
    deployed.sql("create database dagster", database="postgres")
    _start(deployed)
    wait_for("the partitions are back", lambda: _partitions(deployed) == partitions)
    assert (_log(deployed), _runs(deployed)) == (published, [])


def test_an_old_backup_and_another_password(deployed: Deployment) -> None:
    """What was published since the backup gets partitions again and no run; the password lies in the .env alone."""
    deployed.run("samples")
    _start(deployed)
    _published(deployed, 1)
    dump = deployed.folder / "tmp" / "dagster.dump"
    deployed.postgres("pg_dump", "-d", "dagster", "-Fc", "-f", dump)
    before = len(_runs(deployed))
    deployed.run("samples", ["python", "deliver.py", "2"])
    published, partitions = _published(deployed, 2), _partitions(deployed)

    _stop(deployed)
    deployed.postgres("pg_restore", "-d", "dagster", "--clean", "--if-exists", dump)
    deployed.sql("alter role dagster password 'another'")
    deployed.configure(DAGSTER_POSTGRES_PASSWORD="another")
    assert _partitions(deployed) < partitions
    _start(deployed)

    wait_for("the partitions are back", lambda: _partitions(deployed) == partitions)
    assert (_log(deployed), len(_runs(deployed))) == (published, before)
