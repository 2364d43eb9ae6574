"""Two days of exports become two versions: through the sensor, the job and the lake that `definitions.py` names.

`python -m examples.demo` uses a local folder, `python -m examples.demo --s3` a real S3 server on loopback.
"""

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from encord_dagster.accounting import open_delivery, read_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.formats.masks import overlay
from encord_dagster.label_set import quarantine
from encord_dagster.label_set.read import LabelSet, Version, open_label_set
from encord_dagster.label_set.verify import verify
from encord_dagster.reports import counts_text
from encord_dagster.samples import write_samples
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import ObjectStore

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".demo"
NAME = "street"
BUCKET = "encord-demo"
QUIET = "telemetry:\n  enabled: false\nnux:\n  enabled: false\npython_logs:\n  python_log_level: ERROR\n"


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--s3", action="store_true", help="a real S3 server on loopback instead of a folder")
    started = time.monotonic()
    with _places(s3=parser.parse_args().s3) as (landing_url, lake_url):
        os.environ |= {"ENCORD_LANDING": landing_url, "ENCORD_LAKE": lake_url, "ENCORD_LABEL_SET": NAME}
        _demo(open_store(landing_url), open_store(lake_url))
    print(f"\n{time.monotonic() - started:.0f} s in all")


@contextmanager
def _places(*, s3: bool) -> Iterator[tuple[str, str]]:
    """Empty places for landing and lake, and for Dagster's own files."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    home = FOLDER / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(QUIET)
    os.environ["DAGSTER_HOME"] = str(home)
    if not s3:
        (FOLDER / "landing").mkdir()
        yield str(FOLDER / "landing"), str(FOLDER / "lake")
        return
    import boto3

    from tests.servers import ministack

    with ministack() as endpoint:
        credentials = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ |= {"AWS_ENDPOINT_URL": endpoint, **credentials}
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        print(f"S3 server at {endpoint}, bucket {BUCKET}")
        yield f"s3://{BUCKET}/landing", f"s3://{BUCKET}/lake"


def _demo(landing: ObjectStore, lake: ObjectStore) -> None:
    from definitions import defs  # reads the environment

    samples = write_samples(FOLDER / "samples", days=2)
    landing.create("ontology.json", (FOLDER / "samples" / "ontology.json").read_bytes())
    with dg.DagsterInstance.get() as instance:
        cursor = None
        for day in ("day1", "day2"):
            arriving = [path for path in samples if path.parent.name == day]
            for path in arriving:
                landing.create(f"{day}/{path.name}", path.read_bytes())
            print(f"\n== {day}: {len(arriving)} files arrive in {landing.url}")
            cursor = _tick(defs, instance, cursor)
            _say_version(open_label_set(lake, NAME))
    print("\n== what could not be used")
    for record in quarantine.read(lake, NAME):
        what = "whole export" if record.whole else "objects"
        for item in record.items:
            print(f"  {what:12} {record.export.key}: {item.findings[0].message} [{item.reason}]")
    label_set = open_label_set(lake, NAME)
    _say_lineage(label_set)
    _say_files(label_set, landing)


def _tick(defs: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None) -> str | None:
    """One tick of the sensor, and the runs that it asks for, as the daemon would do it."""
    sensor = defs.resolve_sensor_def(f"{NAME}_exports")
    with dg.build_sensor_context(
        instance=instance,
        instance_ref=instance.get_ref(),
        cursor=cursor,
        resources=dict(defs.resources or {}),
        definitions=defs,
    ) as context:
        tick = sensor.evaluate_tick(context)
    for added in tick.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(added.partitions_def_name, list(added.partition_keys))
    for request in tick.run_requests or ():
        span = " .. ".join(value for tag, value in sorted(request.tags.items(), reverse=True) if "range" in tag)
        print(f"sensor asks for a run of {request.partition_key or span}")
        result = defs.resolve_job_def(f"{NAME}_ingest").execute_in_process(
            instance=instance,
            partition_key=request.partition_key,
            tags=request.tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},  # Dagster's page has the log
            raise_on_error=False,
        )
        state = "succeeded" if result.success else "ended red, since some exports could not be used"
        print(f"run {result.run_id[:8]} {state}")
    return tick.cursor


def _say_version(label_set: LabelSet) -> None:
    version = label_set.version()
    objects = f"{version.root.annotations} objects on {version.images} images"
    print(f"version {version.number}: {version.rows} label rows, {objects}")
    print(f"  classes: {counts_text(version.classes)}")
    record = version.record
    print(f"  {record.fragments} label rows converted for it; content digest {record.content_digest[:16]}…")


def _say_lineage(label_set: LabelSet) -> None:
    version = label_set.version()
    key, (export_id, event) = sorted(version.winning().items())[0]
    print(f"\n== lineage of one label row of version {version.number}, {event.label_hash}")
    print(f"  from export {export_id}, export_hash {event.export_hash}, exported at {event.exported_at}")
    for entry in event.history:
        if entry.export_hash == event.export_hash:
            continue
        print(f"  before that: export_hash {entry.export_hash} at {entry.exported_at}")
    report = verify(label_set.lake, NAME)
    state = "; ".join(report.problems) or "every digest and count holds"
    print(f"verify: {report.records} records, {report.objects} objects, {report.bytes:,} bytes: {state}")


def _say_files(label_set: LabelSet, landing: ObjectStore) -> None:
    version = label_set.version()
    folder = FOLDER / f"version-{version.number}"
    files = version.checkout(folder)
    picture = FOLDER / "overlay.png"
    picture.write_bytes(_picture(version, landing))
    print(f"\n== files\n  plain files of version {version.number}: {folder} ({len(files)} files)")
    print("    annotations/instances.json, masks/semantic, masks/instance, tables/*.parquet")
    print(f"  stored in {label_set.lake.url}/label_sets/{NAME}")
    print(f"  a picture of some labels: {picture}")
    print("  Dagster's page: make dev, then http://127.0.0.1:3000")


def _picture(version: Version, landing: ObjectStore) -> bytes:
    """The frame with the most classes, drawn."""
    ids = {category.feature_hash: category.id for category in version.root.categories}
    source = next(info.key for info in landing.list("day1/"))
    config = LabelSetConfig(name=NAME)
    rows = read_rows(open_delivery(landing.get(source) or b"", config), config)
    frames = [frame for reading in rows if reading.row for frame in reading.row.frames if frame.width]
    richest = max(frames, key=lambda frame: (len({item.feature_hash for item in frame.objects}), frame.width or 0))
    return overlay(richest, ids)


if __name__ == "__main__":
    main()
