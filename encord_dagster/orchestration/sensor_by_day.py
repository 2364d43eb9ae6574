"""Ticks where a partition is a day of arrival: for one file per task, by the hundred thousand.

What the sensor has seen is kept as by export, in dynamic partitions that no asset has. A run for a day takes whatever
of the day nothing accounts for, so exports are not looked at one by one, and one waiting run of a day is enough.
"""

import functools
from collections.abc import Collection, Iterable, Sequence

import dagster as dg

from encord_dagster.label_set import history, sources
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.landing import Export, day_of
from encord_dagster.orchestration import names
from encord_dagster.orchestration.requests import WAITING, add_partitions, in_flight, run_request
from encord_dagster.orchestration.size_classes import SizeClass, size_tags
from encord_dagster.orchestration.sweep import Limits, Sighting, blocks, summary, write_cursor
from encord_dagster.orchestration.ticks import Tick
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import ObjectStore

BY_DAY = Limits(exports=2000)
DAYS_PER_RUN = 10


def tick_by_day(tick: Tick, size_classes: Sequence[SizeClass]) -> dg.SensorResult:
    """Write down where unseen exports lie, and ask for their days."""
    log = functools.cache(lambda: Accounted(tick.lake, tick.name, history.head(tick.lake, tick.name)))
    left = tick.left_behind()
    seen = tick.swept(lambda export: Sighting(export=export, accounted=export.id in log()))
    tick.log.info(summary(seen))
    keys = record(tick.lake, tick.instance, tick.name, [item.export for item in seen.sightings])
    sizes = dict.fromkeys((day_of(key) for key in left if key not in log()), 0)
    for item in seen.new:
        day = day_of(item.export.id)
        sizes[day] = sizes.get(day, 0) + item.export.size
    days, missing = days_of(tick.instance, tick.name, [*tick.partitions, *keys])
    wanted = day_requests(tick.instance, tick.name, days, sizes, size_classes, busy=WAITING)
    partitions = dg.DynamicPartitionsDefinition(name=names.days_partitions(tick.name))
    return dg.SensorResult(
        run_requests=wanted,
        skip_reason=None if wanted else summary(seen),
        cursor=write_cursor(tick.cursor_after(seen.cursor, left=left, added=len(keys))),
        dynamic_partitions_requests=[partitions.build_add_request(missing)] if missing else [],
    )


def record(lake: ObjectStore, instance: dg.DagsterInstance, name: str, exports: Collection[Export]) -> list[str]:
    """Write down where exports lie, and then that they were seen; their ids.

    Here and not by the daemon, which asks for each key by itself. If the tick is cut off after it, the next one finds
    that it was not done.
    """
    for _ in at_once(lake, functools.partial(sources.record_source, lake, name), exports):
        pass
    keys = [export.id for export in exports]
    add_partitions(instance, names.exports_partitions(name), keys)
    return keys


def days_of(instance: dg.DagsterInstance, name: str, ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """The days that are to be partitions, in their order there, and those among them that are none yet."""
    there = list(instance.get_dynamic_partitions(names.days_partitions(name)))
    missing = sorted({day_of(key) for key in ids} - set(there))
    return [*there, *missing], missing


def day_requests(
    instance: dg.DagsterInstance,
    name: str,
    days: Sequence[str],
    sizes: dict[str, int],
    size_classes: Sequence[SizeClass],
    *,
    busy: Collection[dg.DagsterRunStatus],
) -> list[dg.RunRequest]:
    """Runs for these days, but for those that a run in one of the states is for; neighbours share one."""
    served = in_flight(list(days), name=name, instance=instance, statuses=busy) if sizes else set()
    wanted = sizes.keys() - served
    return [
        run_request(
            request,
            name=name,
            instance=instance,
            more=size_tags(size_classes, sum(sizes[day] for day in request.keys)),
        )
        for request in blocks(days, wanted, size=DAYS_PER_RUN)
    ]
