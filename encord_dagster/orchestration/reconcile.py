"""The reconcile schedule: exports that the landing prefix holds and nothing accounts for are asked for again.

It is also the plain scheduled ingestion, for those who do without the sensor.
"""

from collections.abc import Sequence
from itertools import islice

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import sources
from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.requests import in_flight, run_request
from encord_dagster.orchestration.size_classes import SizeClass, size_tags
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import blocks
from encord_dagster.storage.protocol import ObjectStore

EXPORTS_PER_TICK = 1000
EXPORTS_PER_RUN = 100
RUNS_PER_TICK = 20
KEYS_PER_INSERT = 500  # Dagster puts a call's keys into one SQL list


def build_reconcile_schedule(
    config: LabelSetConfig, *, cron: str, running: bool, size_classes: Sequence[SizeClass] = ()
) -> dg.ScheduleDefinition:
    """A schedule that asks for what no version, observe or quarantine accounts for and no run is busy with."""
    resource = names.stores_resource(config.name)

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
        missing = unaccounted(stores.landing(), lake, config.name)
        wanted = _wanted(context.instance, lake, config.name, missing, size_classes)
        return wanted or dg.SkipReason(f"{len(missing)} exports are unaccounted for; none of them needs a run now")

    return reconcile


def unaccounted(landing: ObjectStore, lake: ObjectStore, name: str) -> list[Export]:
    """Exports in the landing prefix that the label set does not account for, in key order; at most 1000."""
    accounted = sources.accounted(lake, name)
    return list(islice((item for item in exports_in(landing) if item.id not in accounted), EXPORTS_PER_TICK))


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
    for start in range(0, len(unseen), KEYS_PER_INSERT):
        instance.add_dynamic_partitions(partitions_name, unseen[start : start + KEYS_PER_INSERT])
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
