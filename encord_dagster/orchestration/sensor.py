"""The export sensor: what lies in the landing prefix and is no partition yet becomes one, and gets a run."""

import functools
import time
from collections.abc import Callable, Sequence

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.privacy import redact
from encord_dagster.label_set import history, sources
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.peek import peek
from encord_dagster.orchestration.requests import run_request
from encord_dagster.orchestration.size_classes import SizeClass, size_tags
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import (
    Limits,
    Sighting,
    Sweep,
    read_cursor,
    requests,
    summary,
    sweep,
    write_cursor,
)
from encord_dagster.storage.protocol import ObjectStore


def build_export_sensor(
    config: LabelSetConfig,
    *,
    interval_seconds: int,
    running: bool,
    limits: Limits | None = None,
    size_classes: Sequence[SizeClass] = (),
) -> dg.SensorDefinition:
    """A sensor that asks for a run for every export that neither Dagster nor the lake knows, in whatever order."""
    resource = names.stores_resource(config.name)

    @dg.sensor(
        name=f"{names.identifier(config.name)}_exports",
        job_name=names.ingest_job(config.name),
        minimum_interval_seconds=interval_seconds,
        required_resource_keys={resource},
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Finds exports in the landing prefix that no partition stands for, and ingests them.",
    )
    def export_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        stores: LabelSetStores = getattr(context.resources, resource)
        seen = _tick(context, stores, config.name, limits or Limits())
        return _result(context, seen, config.name, size_classes)

    return export_sensor


def _tick(context: dg.SensorEvaluationContext, stores: LabelSetStores, name: str, limits: Limits) -> Sweep:
    landing, lake = stores.landing(), stores.lake()
    cursor, complaint = read_cursor(context.cursor)
    if complaint:
        context.log.warning(complaint)
    deadline = time.monotonic() + limits.seconds
    return sweep(
        exports_in(landing, start_after=cursor.after),
        known=set(context.instance.get_dynamic_partitions(names.exports_partitions(name))),
        cursor=cursor,
        look=_looker(landing, lake, name),
        limits=limits,
        expired=lambda: time.monotonic() > deadline,
    )


def _looker(landing: ObjectStore, lake: ObjectStore, name: str) -> Callable[[Export], Sighting]:
    """Looks at an unseen export and writes down where it lies, so that a run or a backfill finds it again.

    What the label set accounts for needs no run, whatever became of Dagster's database.
    """
    log = functools.cache(lambda: Accounted(lake, name, history.head(lake, name)))  # not read where nothing is unseen

    def look(export: Export) -> Sighting:
        if sources.is_accounted(log(), export.id):
            sources.record_source(lake, name, export)
            return Sighting(export=export, accounted=True)
        sighting = peek(landing, export)
        if sighting.changed:
            return sighting
        sources.record_source(lake, name, export)
        first_id = sources.known_bytes(log(), sighting.sha256) if sighting.sha256 else None
        if first_id is None or first_id == export.id:
            return sighting
        sources.record_duplicate(lake, name, export, first_id=first_id)
        return msgspec.structs.replace(sighting, known_as=first_id)

    return look


def _result(
    context: dg.SensorEvaluationContext, seen: Sweep, name: str, size_classes: Sequence[SizeClass]
) -> dg.SensorResult:
    context.log.info(summary(seen))
    # The new keys last: they must be neighbours, a range run takes all between its first and last.
    keys = [item.export.id for item in (*seen.accounted, *seen.duplicates, *seen.new)]
    partitions = dg.DynamicPartitionsDefinition(name=names.exports_partitions(name))
    sizes = {item.export.id: item.export.size for item in seen.new}
    wanted = [
        run_request(
            request,
            name=name,
            instance=context.instance,
            more=size_tags(size_classes, sum(sizes[key] for key in request.keys)),
        )
        for request in requests(seen.new)
    ]
    return dg.SensorResult(
        run_requests=wanted,
        skip_reason=None if wanted else summary(seen),
        cursor=write_cursor(seen.cursor),
        dynamic_partitions_requests=[partitions.build_add_request(keys)] if keys else [],
        asset_events=[_second_source(item, name) for item in seen.duplicates],
    )


def _second_source(item: Sighting, name: str) -> dg.AssetMaterialization:
    """No run is needed for bytes that are there already; the partition says whose they are."""
    return dg.AssetMaterialization(
        names.asset_key(name, "raw_export"),
        partition=item.export.id,
        metadata={
            "encord/same_bytes_as": dg.MetadataValue.text(item.known_as or ""),
            "encord/landing_key": dg.MetadataValue.text(redact(item.export.key)),
            "encord/bytes": dg.MetadataValue.int(item.export.size),
        },
        tags={names.DATA_VERSION_TAG: item.sha256 or ""},
    )
