"""The step where a partition is a day of arrival: one run takes all of a day that nothing accounts for, in pieces."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import sources
from encord_dagster.orchestration import alerts, events, latest, names, reporting
from encord_dagster.orchestration.day_roll_up import DayRollUp
from encord_dagster.orchestration.elsewhere import readers
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.outcomes import Batch
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from encord_dagster.workers import Find

EXPORTS_PER_PIECE = 2000  # each is a record of the log: memory is bounded by it, and versions are few

Events = Iterator[dg.MaterializeResult[object]]


def ingest_days(context: dg.AssetExecutionContext, config: LabelSetConfig) -> Events:
    """What the step does: what arrived on the run's days becomes part of the label set, a day after the other."""
    stores: LabelSetStores = getattr(context.resources, names.stores_resource(config.name))
    landing, lake, say = stores.landing(), stores.lake(), reporting.progress(context.log.info)
    with readers(context, lake, config.name, lake_url=stores.lake_url) as find:
        rolled = [
            _ingest(context, day, landing=landing, lake=lake, config=config, workers=find, say=say)
            for day in context.partition_keys
        ]
    shown = Batch(outcomes=tuple(outcome for one in rolled for outcome in one.shown.outcomes), published=None)
    by_day = {one.day: one for one in rolled}
    reporting.log_checks(context, list(by_day), shown, config, also=lambda asset, day: by_day[day].problem(asset))
    state = latest.newest(lake, config.name) if any(one.committed for one in rolled) else None
    if state:
        new = any(one.statuses["published"] for one in rolled)
        last = next((one.day for one in reversed(rolled) if one.accounted), None)
        reporting.log_latest(context, lake, config, state=state, last=last, new=new)
    bad = {key: why for one in rolled for key, why in one.problems.items()}
    alerts.send(context, config, shown, {one.day for one in rolled if one.problems})
    if bad:
        raise events.failure(bad, shown, total=sum(one.statuses.total() for one in rolled) or len(bad))
    yield from ()  # Dagster takes logged events as the outcome of a generator


def _ingest(
    context: dg.AssetExecutionContext,
    day: str,
    *,
    landing: ObjectStore,
    lake: ObjectStore,
    config: LabelSetConfig,
    workers: "Find",
    say: Callable[[str], None],
) -> DayRollUp:
    """Ingest what arrived on a day, and tell Dagster of the whole of it."""
    from encord_dagster.pipeline import ingest  # brings numpy and pyarrow: not when definitions load

    publish = names.asset_key(config.name, "label_set") in context.selected_asset_keys
    rolled, after = DayRollUp(lake, config, day, publish=publish), ""
    while piece := sources.of_day(lake, config.name, day, after=after, most=EXPORTS_PER_PIECE, only_new=publish):
        context.log.info(f"{day}: {len(piece)} exports, {piece[0].id} to {piece[-1].id}")
        batch = ingest(
            piece,
            landing=landing,
            lake=lake,
            config=config,
            publish=publish,
            progress=say,
            workers=workers,
        )
        rolled.add(batch)
        after = piece[-1].id
    rolled.shown = rolled.batch()
    state = latest.newest(lake, config.name) if rolled.shown.published else None
    last = reporting.log_exports(context, [day], rolled.shown, config, newest=state, change=rolled.counted)
    rolled.accounted = last is not None
    return rolled
