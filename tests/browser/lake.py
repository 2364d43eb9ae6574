"""A label set of several versions behind Dagster's own web server: what a user of some weeks would open."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.landing import Export
from encord_dagster.orchestration import events, names
from encord_dagster.orchestration.definitions import build_label_set_definitions
from encord_dagster.outcomes import Batch, ExportOutcome
from encord_dagster.samples import Project, bad_exports, first_export, next_export
from encord_dagster.samples.catalogue import CLASSES
from tests.orchestration.hostile_names import NAMES
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
FIRST_DAY = datetime(2023, 10, 2, 14, 35, tzinfo=UTC)
WEEKS = 3
SERVER = Path(sys.executable).with_name("dagster-webserver")
START_SECONDS = 90.0
QUIET = "telemetry:\n  enabled: false\nnux:\n  enabled: false\npython_logs:\n  python_log_level: ERROR\n"
DEFINITIONS = """\
import os
import dagster as dg
from encord_dagster import build_label_set_definitions
from encord_dagster.formats.selection import Selection
from encord_dagster.label_set.training_set import TrainingSet

FOLDER = os.environ["BROWSER_FOLDER"]


def tell(alert):
    pass


defs = dg.Definitions.merge(
    build_label_set_definitions(
        landing=f"{FOLDER}/street/in",
        lake=f"{FOLDER}/lake",
        name="street",
        owners=["team:perception"],
        tags={"domain": "driving"},
        fresh_within_hours=24,
        alerts=tell,
        training_sets=[
            TrainingSet(
                name="detector",
                url="memory://training/street/detector",
                formats=("yolo_detect", "coco"),
                selection=Selection(splits={"train": 0.6, "val": 0.2, "test": 0.2}, stratify=True, min_side=4),
            )
        ],
    ),
    build_label_set_definitions(landing=f"{FOLDER}/unruly/in", lake=f"{FOLDER}/lake", name="unruly"),
)
"""


class Site(msgspec.Struct):
    """Where the pages are, and what they are about."""

    url: str
    folder: Path
    keys: dict[str, list[str]]  # export ids by label set, in order of arrival
    red_run: str  # id of the run with bad exports


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Two label sets with their history, and a web server over them."""
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "dagster.yaml").write_text(QUIET)
    (folder / "labels.py").write_text(DEFINITIONS)
    made = _history(folder)
    port = free_port()
    variables = os.environ | {
        "DAGSTER_HOME": str(folder / "home"),
        "BROWSER_FOLDER": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }
    command = [str(SERVER), "-f", str(folder / "labels.py"), "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=log, stderr=log)
        try:
            made.url = f"http://127.0.0.1:{port}"
            _wait(process, f"{made.url}/server_info", folder / "web.log")
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"dagster-webserver did not start:\n{log.read_text()[-3000:]}")


def _history(folder: Path) -> Site:
    """Weeks of exports, bad ones among those of the second, and one delivery of hostile names."""
    made = Site(url="", folder=folder, keys={"street": [], "unruly": []}, red_run="")
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        export = first_export(Project(3, 16), exported_at=FIRST_DAY)
        for week in range(WEEKS):
            files = {f"week-{week + 1}.json": export} | (bad_exports() if week == 1 else {})
            run = _arrive(made, instance, "street", files)
            made.red_run = run if week == 1 else made.red_run
            _train(folder, instance)
            later = FIRST_DAY + timedelta(days=7 * (week + 1))
            export = next_export(export, seed=week + 5, exported_at=later, changed=3, added=2)
        named = _hostile(first_export(Project(5, 16), exported_at=FIRST_DAY))
        _arrive(made, instance, "unruly", {"names.json": named})
        _complain(instance, made.keys["unruly"][0])
    return made


def _train(folder: Path, instance: dg.DagsterInstance) -> None:
    """The training set of the newest version, as the sensor would ask for it."""
    found: dict[str, dg.Definitions] = {}
    os.environ["BROWSER_FOLDER"] = str(folder)
    exec((folder / "labels.py").read_text(), found)  # noqa: S102 - what the web server loads
    job = found["defs"].resolve_implicit_global_asset_job_def()
    key = names.training_key("street", "detector")
    assert job.execute_in_process(instance=instance, asset_selection=[key]).success


def _hostile(export: bytes) -> bytes:
    """The same labels; every class has a name that would be more than a name."""
    for place, name in enumerate(sorted(CLASSES)):
        evil = msgspec.json.encode(NAMES[place % len(NAMES)])
        export = export.replace(b'"name": ' + msgspec.json.encode(name), b'"name": ' + evil)
    return export


def _complain(instance: dg.DagsterInstance, key: str) -> None:
    """A check that failed with a text made of such names, as an error that quotes an export would have it."""
    export = Export(id=key, key="names.json", etag="", version_id=None, size=1, last_modified="2023-10-02T14:35:00Z")
    batch = Batch(outcomes=(ExportOutcome(export=export, status="failed", error=" ".join(NAMES)),), published=None)
    selected = [names.asset_key("unruly", "raw_export")]
    config = LabelSetConfig(name="unruly")
    for verdict in events.verdicts([key], batch, config=config, selected=selected):
        instance.report_runless_asset_event(verdict)


def _arrive(made: Site, instance: dg.DagsterInstance, name: str, files: dict[str, bytes]) -> str:
    """Files arrive, the sensor ticks, its runs run; the id of the last one."""
    landing = made.folder / name / "in"
    for file, data in files.items():
        (landing / file).parent.mkdir(parents=True, exist_ok=True)
        (landing / file).write_bytes(data)
    defs = build_label_set_definitions(landing=str(landing), lake=str(made.folder / "lake"), name=name)
    sensor = defs.resolve_sensor_def(f"{name}_exports")
    resources = dict(defs.resources or {})
    with dg.build_sensor_context(
        instance=instance, instance_ref=instance.get_ref(), resources=resources, definitions=defs
    ) as context:
        tick = sensor.evaluate_tick(context)
    last = ""
    for request in tick.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        made.keys[name] += request.partition_keys
    for wanted in tick.run_requests or ():
        result = defs.resolve_job_def(names.ingest_job(name)).execute_in_process(
            instance=instance,
            partition_key=wanted.partition_key,
            tags=wanted.tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        last = result.run_id
    return last
