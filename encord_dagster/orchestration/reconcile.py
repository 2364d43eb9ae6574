"""The reconcile schedule: exports that the landing prefix holds and nothing accounts for are asked for again.

It is also the plain scheduled ingestion, for those who do without the sensor.
"""

from collections.abc import Sequence
from itertools import islice

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import sources
from encord_dagster.landing import Export, day_of, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.requests import ACTIVE, add_partitions, in_flight, run_request
from encord_dagster.orchestration.sensor_by_day import day_requests, days_of, record
from encord_dagster.orchestration.size_classes import SizeClass, size_tags
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import blocks
from encord_dagster.storage.protocol import ObjectStore

EXPORTS_PER_TICK = 1000
EXPORTS_PER_RUN = 100
RUNS_PER_TICK = 20
BY_DAY_PER_TICK = 10_000  # exports that have only to be written down


def build_reconcile_schedule(
    config: LabelSetConfig,
    *,
    cron: str,
    running: bool,
    size_classes: Sequence[SizeClass] = (),
    partition_by: names.PartitionBy = "export",
) -> dg.ScheduleDefinition:
    """A schedule that asks for what no version, observe or quarantine accounts for and no run is busy with."""
    resource = names.stores_resource(config.name)
    wanted_of = _wanted_days if partition_by == "day" else _wanted
    most = BY_DAY_PER_TICK if partition_by == "day" else EXPORTS_PER_TICK

    @dg.schedule(
        name=f"{names.identifier(config.name)}_reconcile",
        cron_schedule=cron,
        job_name=names.ingest_job(config.name),
        required_resource_keys={resource},
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description="Asks again for exports in the landing prefix that nothing in the lake accounts for.",
    )
    def reconcile(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        stores: LabelSetStores = getattr(context.resources, resource)
        lake = stores.lake()
        missing = unaccounted(stores.landing(), lake, config.name, most=most)
        wanted = wanted_of(context.instance, lake, config.name, missing, size_classes)
        return wanted or dg.SkipReason(f"{len(missing)} exports are unaccounted for; none of them needs a run now")

    return reconcile


def unaccounted(landing: ObjectStore, lake: ObjectStore, name: str, *, most: int = EXPORTS_PER_TICK) -> list[Export]:
    """Exports in the landing prefix that the label set does not account for, in key order."""
    accounted = sources.accounted(lake, name)
    return list(islice((item for item in exports_in(landing) if item.id not in accounted), most))


def _wanted(
    instance: dg.DagsterInstance,
    lake: ObjectStore,
    name: str,
    missing: Sequence[Export],
    size_classes: Sequence[SizeClass],
) -> list[dg.RunRequest]:
    """Runs for those that no run is busy with; each is a partition with a source record before its run is asked for."""
    partitions_name = names.exports_partitions(name)
    partitions = list(instance.get_dynamic_partitions(partitions_name))
    busy = in_flight(partitions, name=name, instance=instance)
    idle = [export for export in missing if export.id not in busy]
    for export in idle:
        sources.record_source(lake, name, export)
    known = set(partitions)
    unseen = [export.id for export in idle if export.id not in known]
    add_partitions(instance, partitions_name, unseen)
    sizes = {export.id: export.size for export in idle}
    found = blocks([*partitions, *unseen], sizes, size=EXPORTS_PER_RUN)
    return [
        run_request(
            request,
            name=name,
            instance=instance,
            more=size_tags(size_classes, sum(sizes[key] for key in request.keys)),
        )
        for request in islice(found, RUNS_PER_TICK)
    ]


def _wanted_days(
    instance: dg.DagsterInstance,
    lake: ObjectStore,
    name: str,
    missing: Sequence[Export],
    size_classes: Sequence[SizeClass],
) -> list[dg.RunRequest]:
    """Runs for the days that they are of, but for those that a run is busy with."""
    record(lake, instance, name, missing)
    days, new = days_of(instance, name, (export.id for export in missing))
    add_partitions(instance, names.days_partitions(name), new)
    sizes: dict[str, int] = {}
    for export in missing:
        sizes[day_of(export.id)] = sizes.get(day_of(export.id), 0) + export.size
    return day_requests(instance, name, days, sizes, size_classes, busy=ACTIVE)
