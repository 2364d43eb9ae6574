"""One label set as Dagster definitions: assets, checks, job, sensor, schedule, resources."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import dagster as dg

from encord_dagster.config import LabelSetConfig, Publish, Thresholds
from encord_dagster.errors import UsageError
from encord_dagster.findings import Severity
from encord_dagster.label_set.training_set import TrainingSet, checked
from encord_dagster.orchestration import names
from encord_dagster.orchestration.alerts import NOBODY, Alerts, Notify, build_alert_sensor, notifier
from encord_dagster.orchestration.assets import NO_HOOKS, Hooks, build_ingest_assets, build_latest_asset
from encord_dagster.orchestration.elsewhere import Elsewhere, Readers, engine
from encord_dagster.orchestration.jobs import build_operation_jobs
from encord_dagster.orchestration.names import PartitionBy
from encord_dagster.orchestration.reconcile import build_reconcile_schedule
from encord_dagster.orchestration.sensor import build_export_sensor
from encord_dagster.orchestration.size_classes import SizeClass, read_size_classes
from encord_dagster.orchestration.specs import Backfill, Ownership
from encord_dagster.orchestration.stores import NO_VALUES, EnvironmentS3, LabelSetStores
from encord_dagster.orchestration.training import build_training_assets, build_training_sensors
from encord_dagster.validation import RULES

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource


class Options(TypedDict, total=False):
    """The choices of `LabelSetConfig`, where the defaults do not suit."""

    branch: str
    on_bad_object: Literal["quarantine_object", "quarantine_row", "fail_export"]
    severities: dict[str, Severity]
    label_statuses: tuple[str, ...]
    workflow_nodes: tuple[str, ...]
    name_pattern: str
    min_area_pixels: float
    thresholds: Thresholds
    hold_back: tuple[str, ...]
    content: Literal["join", "export"]
    absent_after: int
    masks: bool
    keep_raw: bool
    inline_coco_bytes: int
    publish: tuple[Publish, ...]
    free_text: bool
    pseudonym_key_variable: str


def build_label_set_definitions(
    *,
    landing: str,
    lake: str,
    name: str,
    s3: "S3Resource | EnvironmentS3 | None" = None,
    sensor_interval_seconds: int = 30,
    reconcile_cron: str = "0 * * * *",
    running: bool = False,
    backfill: Backfill = "multi_run",
    partition_by: PartitionBy = "export",
    queue: str | None = None,
    group: str | None = None,
    owners: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    ontology: Path | str | None = None,
    exports: Literal["partial", "complete"] = "partial",
    size_classes: Path | str | None = None,
    fresh_within_hours: float | None = None,
    alerts: Notify | str | None = None,
    alert_at: Severity = "error",
    processes: int = 0,
    elsewhere: Elsewhere | str | None = None,
    training_sets: Sequence[TrainingSet] = (),
    **options: Unpack[Options],
) -> dg.Definitions:
    """Everything that turns exports in `landing` into versions of label set `name` in `lake`.

    Urls are `s3://bucket/prefix`, `file:///folder` or a folder. Nothing is opened or asked before a run or tick.
    `s3` hands out the client for s3:// urls; without it boto3's usual variables and profiles decide.
    `running` starts sensor and schedule without anybody switching them on. `backfill="single_run"` puts a whole
    backfill into one run, as `dg launch --partition-range` needs it. `ontology` is a local file, the JSON of the
    ontology; without it each export may bring its own, beside it in the landing prefix. `partition_by="day"`: one
    partition for all that arrived on a day, where exports come by the hundred thousand. `queue` is the url of an SQS
    queue that gets the bucket's notifications; the sensor then looks first at what they name. `exports="complete"`
    says that every export is meant to hold all rows. `size_classes` is a JSON file with tags of runs by the bytes
    that they are for, in the run launcher's words: a list of `{"from_bytes": 50000000, "tags": {...}}`.
    `fresh_within_hours` is how old the newest version may become before Dagster shows it as stale. `alerts` is
    called with an `Alert` where a run failed, a version is held back, or an export has findings of severity
    `alert_at` or worse: a function, or its Python path. `processes` is how many read the rows of a large export, 0 as
    many as are of use; `elsewhere` is an engine that does it for giant ones, or its Python path. `training_sets` are
    written for each new version, or for the version that they name, in formats and a selection of their own. UsageError
    for a name that cannot be used. Definitions of several sets merge with `dg.Definitions.merge`.
    """
    return label_set_definitions(
        configuration(name=name, ontology=ontology, exports=exports, **options),
        LabelSetStores(landing_url=landing, lake_url=lake, s3=s3 or EnvironmentS3(), queue_url=queue),
        sensor_interval_seconds=sensor_interval_seconds,
        reconcile_cron=reconcile_cron,
        running=running,
        backfill=backfill,
        partition_by=partition_by,
        ownership=Ownership(
            group=group,
            owners=tuple(owners),
            tags=dict(tags or {}),
            fresh_within_hours=fresh_within_hours,
            defined_at=_caller(),
        ),
        size_classes=read_size_classes(size_classes),
        alerts=Alerts(notifier(alerts), alert_at),
        readers=Readers(engine(elsewhere), processes),
        training_sets=training_sets,
    )


def configuration(
    *, name: str, ontology: Path | str | None, exports: Literal["partial", "complete"], **options: Unpack[Options]
) -> LabelSetConfig:
    """What is chosen about the label set. UsageError for what cannot be chosen."""
    config = LabelSetConfig(name=name, ontology=_document(ontology), landing=exports, **options)
    if unknown := set(config.severities) - {rule.name for rule in RULES}:
        raise UsageError(f"severities of {', '.join(sorted(unknown))}: there is no such rule, see RULES")
    return config


def label_set_definitions(
    config: LabelSetConfig,
    stores: LabelSetStores,
    *,
    sensor_interval_seconds: int,
    reconcile_cron: str,
    running: bool,
    backfill: Backfill,
    ownership: Ownership,
    hooks: Hooks = NO_HOOKS,
    size_classes: Sequence[SizeClass] = (),
    alerts: Alerts = NOBODY,
    readers: Readers = Readers(),  # noqa: B008 - a tuple
    partition_by: PartitionBy = "export",
    training_sets: Sequence[TrainingSet] = (),
) -> dg.Definitions:
    """The definitions of a label set whose choices are made."""
    checked(training_sets, landing=stores.landing_url)
    if stores.queue_url and not stores.landing_url.startswith("s3://"):
        raise UsageError(f"queue {stores.queue_url!r}: only buckets send notifications; {stores.landing_url} is none")
    exports = build_ingest_assets(
        config, ownership=ownership, backfill=backfill, hooks=hooks, partition_by=partition_by
    )
    job = dg.define_asset_job(
        names.ingest_job(config.name),
        selection=dg.AssetSelection.assets(exports),
        executor_def=dg.in_process_executor,
        description="Brings exports into the label set: read, validate, convert, publish. One key or a range of keys.",
        tags={names.LABEL_SET_TAG: config.name},
    )
    telling = [build_alert_sensor(config, alerts.notify, running=running)] if alerts.notify else []
    return dg.Definitions(
        assets=[
            exports,
            build_latest_asset(config, ownership=ownership, hooks=hooks),
            *build_training_assets(config, training_sets, ownership=ownership, hooks=hooks),
        ],
        jobs=[job, *build_operation_jobs(config)],
        sensors=[
            build_export_sensor(
                config,
                interval_seconds=sensor_interval_seconds,
                running=running,
                size_classes=size_classes,
                partition_by=partition_by,
            ),
            *telling,
            *build_training_sensors(config, training_sets, running=running),
        ],
        schedules=[
            build_reconcile_schedule(
                config, cron=reconcile_cron, running=running, size_classes=size_classes, partition_by=partition_by
            )
        ],
        resources={
            names.stores_resource(config.name): stores,
            names.alerts_resource(config.name): alerts,
            names.readers_resource(config.name): readers,
            names.NO_VALUES: NO_VALUES,
        },
    )


def _caller() -> tuple[str, int] | None:
    """File and line of whoever asked for the label set."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame and frame.f_back else None
    return (caller.f_code.co_filename, caller.f_lineno) if caller else None


def _document(ontology: Path | str | None) -> str:
    """The text of an ontology file."""
    if not ontology:
        return ""
    try:
        return Path(ontology).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"ontology {str(ontology)!r}: {why}; name the JSON file of an ontology") from error
