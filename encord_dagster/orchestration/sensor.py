"""The export sensor: what lies in the landing prefix and is no partition yet becomes one, and gets a run."""

import functools
from collections.abc import Callable, Iterator, Sequence

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.privacy import redact
from encord_dagster.label_set import history, sources
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.landing import Export
from encord_dagster.orchestration import names
from encord_dagster.orchestration.peek import peek
from encord_dagster.orchestration.requests import in_flight, run_request
from encord_dagster.orchestration.sensor_by_day import BY_DAY, tick_by_day
from encord_dagster.orchestration.size_classes import SizeClass, size_tags
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import Limits, Request, Sighting, blocks, requests, summary, write_cursor
from encord_dagster.orchestration.ticks import Tick


def build_export_sensor(
    config: LabelSetConfig,
    *,
    interval_seconds: int,
    running: bool,
    limits: Limits | None = None,
    size_classes: Sequence[SizeClass] = (),
    partition_by: names.PartitionBy = "export",
) -> dg.SensorDefinition:
    """A sensor that asks for a run for every export that neither Dagster nor the lake knows, in whatever order."""
    resource = names.stores_resource(config.name)
    chosen = limits or (BY_DAY if partition_by == "day" else Limits())
    evaluate = tick_by_day if partition_by == "day" else _tick_by_export

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
        return evaluate(Tick(context, stores, name=config.name, limits=chosen), size_classes)

    return export_sensor


def _tick_by_export(tick: Tick, size_classes: Sequence[SizeClass]) -> dg.SensorResult:
    # Read once, and not at all where nothing is unseen: ticks come every half minute, for ever.
    log = functools.cache(lambda: Accounted(tick.lake, tick.name, history.head(tick.lake, tick.name)))
    left = tick.left_behind()
    missed = {export.id: export for export in _missed(tick, left, log)}
    seen = tick.swept(_looker(tick, log))
    tick.log.info(summary(seen))
    # The new keys last: they must be neighbours, a range run takes all between its first and last.
    keys = [item.export.id for item in (*seen.accounted, *seen.duplicates, *seen.new)]
    partitions = dg.DynamicPartitionsDefinition(name=names.exports_partitions(tick.name))
    sizes = {item.export.id: item.export.size for item in seen.new} | {key: one.size for key, one in missed.items()}
    asked = [*blocks(tick.partitions, missed, size=tick.limits.exports), *requests(seen.new)]
    wanted = [_request(tick, request, sizes, size_classes) for request in asked]
    return dg.SensorResult(
        run_requests=wanted,
        skip_reason=None if wanted else summary(seen),
        cursor=write_cursor(tick.cursor_after(seen.cursor, left=left, added=len(keys))),
        dynamic_partitions_requests=[partitions.build_add_request(keys)] if keys else [],
        asset_events=[_second_source(item, tick.name) for item in seen.duplicates],
    )


def _request(tick: Tick, request: Request, sizes: dict[str, int], size_classes: Sequence[SizeClass]) -> dg.RunRequest:
    more = size_tags(size_classes, sum(sizes[key] for key in request.keys))
    return run_request(request, name=tick.name, instance=tick.instance, more=more)


def _missed(tick: Tick, left: Sequence[str], log: Callable[[], Accounted]) -> Iterator[Export]:
    """Of partitions that were added since the last tick was done, those that nobody asks for or accounts for."""
    busy = in_flight(tick.partitions, name=tick.name, instance=tick.instance) if left else ()
    for key in left:
        if key not in busy and not sources.is_accounted(log(), key):
            export = sources.find_export(tick.lake, tick.name, key)
            if export:
                tick.log.info(f"{key} became a partition, and nobody asked for a run: its tick was cut off")
                yield export


def _looker(tick: Tick, log: Callable[[], Accounted]) -> Callable[[Export], Sighting]:
    """Looks at an unseen export and writes down where it lies, so that a run or a backfill finds it again.

    What the label set accounts for needs no run, whatever became of Dagster's database.
    """
    lake, name = tick.lake, tick.name

    def look(export: Export) -> Sighting:
        if sources.is_accounted(log(), export.id):
            sources.record_source(lake, name, export)
            return Sighting(export=export, accounted=True)
        sighting = peek(tick.landing, export)
        if sighting.changed:
            return sighting
        sources.record_source(lake, name, export)
        first_id = sources.known_bytes(log(), sighting.sha256) if sighting.sha256 else None
        if first_id is None or first_id == export.id:
            return sighting
        sources.record_duplicate(lake, name, export, first_id=first_id)
        return msgspec.structs.replace(sighting, known_as=first_id)

    return look


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
