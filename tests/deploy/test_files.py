"""The files of deploy/ say what they should: Compose, Dockerfile, variables, Helm values."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import composed
from tests.deploy.composed import DEPLOY, ROOT
from tests.deploy.services import BIN

GIVEN = composed.dotenv(DEPLOY / ".env.example") | {"DAGSTER_POSTGRES_PASSWORD": "x"}
COMPOSE = composed.read(GIVEN)
SERVICES: dict[str, Any] = COMPOSE["services"]
ALWAYS_UP = {name for name, service in SERVICES.items() if service.get("restart") != "no"}

# Of the Compose specification: the attributes that are used here.
ATTRIBUTES = {
    *("build", "cap_drop", "command", "depends_on", "deploy", "environment", "healthcheck", "image", "init"),
    *("logging", "mem_limit", "networks", "pids_limit", "ports", "profiles", "read_only", "restart", "security_opt"),
    *("shm_size", "stop_grace_period", "tmpfs", "user", "volumes"),
}
HEALTHCHECK = {"test", "interval", "timeout", "start_period", "retries"}
CONDITIONS = {"service_healthy", "service_completed_successfully"}

# Keys of Dagster's chart, as its values and templates have them (1.13): the sections that are used here.
_POD = {
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "podSecurityContext",
    "securityContext",
    "volumes",
    "volumeMounts",
    "resources",
    "nodeSelector",
    "tolerations",
}
_TICKS = {"useThreads", "numWorkers", "numSubmitWorkers"}
_DAYS = {"purgeAfterDays"}
CHART: dict[str, set[str]] = {
    "": {
        *("global", "serviceAccount", "generatePostgresqlPasswordSecret", "postgresql", "migrate", "retention"),
        *("dagster-user-deployments", "dagsterWebserver", "dagsterDaemon", "runLauncher", "computeLogManager"),
        *("telemetry", "concurrency", "additionalInstanceConfig"),
    },
    "global": {"postgresqlSecretName", "dagsterHome", "serviceAccountName"},
    "serviceAccount": {"create", "name", "annotations"},
    "postgresql": {
        *("image", "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword", "postgresqlDatabase"),
        *("postgresqlParams", "postgresqlScheme", "service"),
    },
    "migrate": {"enabled", "extraContainers", "initContainers"},
    "dagster-user-deployments": {"enabled", "enableSubchart", "deployments", "imagePullSecrets"},
    "dagster-user-deployments.deployments": {
        *("name", "image", "codeServerArgs", "port", "includeConfigInLaunchedRuns", "env", "envSecrets", *_POD),
    },
    "dagsterWebserver": {"replicaCount", "image", "service", "env", "envSecrets", "enableReadOnly", *_POD},
    "dagsterWebserver.service": {"type", "port", "annotations"},
    "dagsterDaemon": {
        *("enabled", "image", "runCoordinator", "runMonitoring", "runRetries", "sensors", "schedules", *_POD),
    },
    "dagsterDaemon.runCoordinator": {"enabled", "type", "config"},
    "dagsterDaemon.runCoordinator.config": {"queuedRunCoordinator", "customRunCoordinator"},
    "dagsterDaemon.runCoordinator.config.queuedRunCoordinator": {
        *("maxConcurrentRuns", "tagConcurrencyLimits", "dequeueIntervalSeconds", "dequeueUseThreads"),
    },
    "dagsterDaemon.runMonitoring": {
        *("enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "maxResumeRunAttempts", "pollIntervalSeconds"),
        *("freeSlotsAfterRunEndSeconds", "maxRuntimeSeconds"),
    },
    "dagsterDaemon.runRetries": {"enabled", "maxRetries"},
    "dagsterDaemon.sensors": _TICKS,
    "dagsterDaemon.schedules": _TICKS,
    "runLauncher": {"type", "config"},
    "runLauncher.config": {"k8sRunLauncher"},
    "runLauncher.config.k8sRunLauncher": {"imagePullPolicy", "runK8sConfig", "envSecrets", "loadInclusterConfig"},
    "runLauncher.config.k8sRunLauncher.runK8sConfig": {"containerConfig", "podSpecConfig", "jobSpecConfig"},
    "computeLogManager": {"type", "config"},
    "retention": {"enabled", "sensor", "schedule", "autoMaterialize"},
    "retention.sensor": _DAYS,
    "retention.schedule": _DAYS,
    "telemetry": {"enabled"},
    "concurrency": {"enabled", "pools", "runs"},
    "concurrency.pools": {"defaultLimit", "granularity", "opGranularityRunBuffer"},
    "concurrency.runs": {"maxConcurrentRuns", "tagConcurrencyLimits"},
}
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())


def test_compose_is_made_of_what_the_specification_knows() -> None:
    """Attributes, health checks, conditions, and only networks, volumes and services that exist."""
    for name, service in SERVICES.items():
        assert set(service) <= ATTRIBUTES, name
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK, name
        for other, condition in service.get("depends_on", {}).items():
            assert condition["condition"] in CONDITIONS, name
            assert "healthcheck" in SERVICES[other] or condition["condition"].endswith("successfully"), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        named = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert named <= set(COMPOSE["volumes"]), name
    assert set(COMPOSE) - {key for key in COMPOSE if key.startswith("x-")} == {
        "name",
        "services",
        "networks",
        "volumes",
    }


def test_there_is_exactly_one_daemon() -> None:
    """Two would tick every sensor twice."""
    daemons = {name for name, service in SERVICES.items() if "dagster-daemon" in service.get("command", ())}

    assert daemons == {"daemon"}
    assert SERVICES["daemon"]["deploy"] == {"replicas": 1}


def test_every_container_is_locked_down_and_has_limits() -> None:
    """No root, nothing writable but what is named, no capabilities, bounded memory and processes."""
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["user"] in ("10001:10001", "postgres"), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "pids_limit", "logging"} <= set(service), name
        assert not any("docker.sock" in volume for volume in service.get("volumes", ())), name
    assert {name for name in ALWAYS_UP if "healthcheck" not in SERVICES[name]} == set()


def test_nothing_of_dagster_starts_before_the_database_is_migrated() -> None:
    """Two processes that make the tables at once would race."""
    waiting = {"condition": "service_completed_successfully"}

    assert all(SERVICES[name]["depends_on"]["migrate"] == waiting for name in ("code", "webserver", "daemon"))
    assert SERVICES["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert SERVICES["migrate"]["restart"] == "no"


def test_only_what_touches_buckets_has_their_keys() -> None:
    """Webserver and daemon have none, the database lies on a network without a way out, the page on loopback."""
    holders = {name for name, service in SERVICES.items() if "AWS_SECRET_ACCESS_KEY" in service.get("environment", {})}

    assert holders == {"code", "cli", "samples"}
    assert SERVICES["postgres"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert [port for service in SERVICES.values() for port in service.get("ports", ())] == ["127.0.0.1:3000:3000"]


def test_the_example_names_every_variable_and_no_secret() -> None:
    """What is asked for in compose.yaml, dagster.yaml and workspace.yaml is in .env.example, or set in compose.yaml."""
    example = composed.dotenv(DEPLOY / ".env.example")
    asked = set(re.findall(r"\$\{([A-Z0-9_]+)", composed.COMPOSE.read_text()))
    config = (DEPLOY / "dagster.yaml").read_text() + (DEPLOY / "workspace.yaml").read_text()
    of_dagster = set(re.findall(r"env: ([A-Z_]+)", config)) - {"DAGSTER_LOGS"}  # the image sets that

    assert asked == set(example)
    assert of_dagster <= set(SERVICES["daemon"]["environment"])
    assert {name for name in example if re.search("KEY|SECRET|PASSWORD", name) and example[name]} == set()
    with pytest.raises(composed.NotSet, match="DAGSTER_POSTGRES_PASSWORD"):
        composed.read(example)


def test_the_image_holds_bytecode_and_is_nobodys_root() -> None:
    """What comes from the context is let through by the .dockerignore, and is there."""
    text = (DEPLOY / "Dockerfile").read_text()
    stages = text.split("\nFROM ")[1:]
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    let_through = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()

    assert "PYTHONDONTWRITEBYTECODE" not in text
    assert "compileall" in text
    assert all("USER 10001:10001" in stage for stage in stages if not stage.startswith("python:3.11-slim AS build"))
    assert all((ROOT / path).exists() for path in copied)
    assert all(f"!{path}" in let_through for path in copied)


def test_every_value_is_one_of_the_charts() -> None:
    """A key that the chart does not know would be passed over without a word."""
    unknown = {f"{place}.{key}" for place, keys in _sections(VALUES) for key in keys - CHART[place]}

    assert unknown == set()


def test_the_charts_own_schema_accepts_the_values() -> None:
    """Of the chart as `helm pull dagster/dagster --untar` leaves it, where DAGSTER_CHART names that folder."""
    chart = os.environ.get("DAGSTER_CHART")
    if not chart:
        pytest.skip("DAGSTER_CHART names no folder of Dagster's chart: helm pull dagster/dagster --untar")
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(chart) / "values.schema.json").read_text())
    defaults = yaml.safe_load((Path(chart) / "values.yaml").read_text())

    jsonschema.validate(_merged(defaults, VALUES), schema)


def test_tags_of_size_classes_are_kubernetes() -> None:
    """Dagster's own reader of `dagster-k8s/config` takes each class, and what all runs get."""
    if not (BIN / "python").exists():
        pytest.skip(f"{BIN} is not there: make smoke installs it")
    classes = json.loads((DEPLOY / "helm" / "size-classes.json").read_text())
    of_all = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    snake = {re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", key): value for key, value in of_all.items()}
    configs = [*(item["tags"]["dagster-k8s/config"] for item in classes), snake]
    program = (
        "import json, sys; from dagster_k8s.job import UserDefinedDagsterK8sConfig as Config\n"
        "print(json.dumps([Config.from_dict(item).to_dict() for item in json.load(sys.stdin)]))"
    )
    done = subprocess.run(
        [BIN / "python", "-c", program], input=json.dumps(configs), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert [item["container_config"].get("resources", {}).get("limits") for item in read] == [
        {"memory": "8Gi"},
        {"memory": "32Gi"},
        None,
    ]


def _sections(values: Any, place: str = "") -> list[tuple[str, set[str]]]:
    """Every section of the chart's that is used, with its keys."""
    if isinstance(values, list):
        return [found for item in values for found in _sections(item, place)]
    if place not in CHART or not isinstance(values, dict):
        return []
    inner = [_sections(value, f"{place}.{key}".lstrip(".")) for key, value in values.items()]
    return [(place, set(values)), *(found for sections in inner for found in sections)]


def _merged(defaults: Any, values: Any) -> Any:
    """As Helm merges values: maps key by key, everything else replaced."""
    if isinstance(defaults, dict) and isinstance(values, dict):
        return defaults | {key: _merged(defaults.get(key), value) for key, value in values.items()}
    return values
