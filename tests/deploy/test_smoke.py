"""deploy/ at work: the commands, environment and health checks of its Compose file, without containers."""

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.services import Deployment, deployment, skip_where_missing, sql, wait_for

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


def _quiet(deployed: Deployment) -> bool:
    """Whether every run has ended."""
    open_runs = "select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"
    return sql(deployed.variables["DAGSTER_POSTGRES_PORT"], open_runs) == "0"


def test_what_is_delivered_is_published_and_a_lost_database_comes_back(deployed: Deployment) -> None:
    """Sensor, queue and run bring an export into the lake; over an empty database nothing is published twice."""
    port = deployed.variables["DAGSTER_POSTGRES_PORT"]
    say(deployed.run("samples").strip())
    _start(deployed)

    seconds = wait_for("a version is published", lambda: any(record["version"] for record in _log(deployed)))
    say(f"version {_log(deployed)[-1]['version']}: published {seconds:.1f} s after the daemon was healthy")
    wait_for("the runs have ended", lambda: _quiet(deployed))
    health = _ask(deployed, HEALTH)
    daemons = health["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert [kind for kind in daemons if kind["required"] and not kind["healthy"]] == []
    assert health["workspaceOrError"]["locationEntries"] == [{"name": "encord", "loadStatus": "LOADED"}]
    published, partitions = _log(deployed), sql(port, "select count(*) from dynamic_partitions")
    runs = sql(port, "select status from runs").splitlines()
    say(f"{len(published)} records, {partitions} partitions, runs: {runs}")
    # nothing was written where the image is read-only
    assert sorted(path.name for path in deployed.home.iterdir()) == ["dagster.yaml", "workspace.yaml"]

    codes = {service: deployed.stop(service) for service in ("daemon", "webserver", "code")}
    say(f"stopped: {codes}")
    sql(port, "drop database dagster", database="postgres")
    sql(port, "create database dagster", database="postgres")
    _start(deployed)
    wait_for("the partitions are back", lambda: sql(port, "select count(*) from dynamic_partitions") == partitions)
    assert (_log(deployed), sql(port, "select count(*) from runs")) == (published, "0")
