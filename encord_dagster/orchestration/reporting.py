"""Telling Dagster, from inside a run, what became of its exports and of the newest version.

Events are logged, not yielded: only a logged event has its own partition, metadata and data version in a range run.
"""

import time
from collections.abc import Callable, Sequence

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.orchestration import events, latest, names
from encord_dagster.outcomes import Batch
from encord_dagster.storage.protocol import ObjectStore

Change = Callable[[dg.AssetMaterialization], dg.AssetMaterialization]


LINES = 20  # of a run that are logged however fast they come
PATIENCE = 5.0  # seconds between two lines after these


def progress(log: Callable[[str], None], *, now: Callable[[], float] = time.monotonic) -> Callable[[str], None]:
    """What the pipeline says, so far as it fits: Dagster keeps each line for ever as an event of a KB."""
    told, left_out, last = 0, 0, -PATIENCE

    def say(line: str) -> None:
        nonlocal told, left_out, last
        if told >= LINES and now() - last < PATIENCE:
            left_out += 1
            return
        log(f"{line} ({left_out} lines before it are left out)" if left_out else line)
        told, left_out, last = told + 1, 0, now()

    return say


def log_exports(
    context: dg.AssetExecutionContext,
    keys: Sequence[str],
    batch: Batch,
    config: LabelSetConfig,
    *,
    newest: latest.Newest | None,
    change: Change = lambda event: event,
) -> str | None:
    """Log the materializations of all keys; the last key whose `label_set` is among them."""
    chosen, last = context.selected_asset_keys, None
    for event in events.materializations(keys, batch, config=config, selected=chosen, newest=newest):
        context.log_event(change(event))
        last = event.partition if event.asset_key == names.asset_key(config.name, "label_set") else last
    return last


def log_checks(
    context: dg.AssetExecutionContext,
    keys: Sequence[str],
    batch: Batch,
    config: LabelSetConfig,
    *,
    also: events.Also = lambda asset, key: None,
) -> None:
    """Log the roll-up check of each asset, once for all keys of the run."""
    for verdict in events.verdicts(keys, batch, config=config, selected=context.selected_asset_keys, also=also):
        context.log_event(verdict)


def log_latest(
    context: dg.AssetExecutionContext,
    lake: ObjectStore,
    config: LabelSetConfig,
    *,
    state: latest.Newest,
    last: str | None,
    new: bool,
) -> None:
    """Show the newest version in the run that committed, with the verdicts of the rules that have something to say.

    A verdict takes three KB of Dagster's database, and a version that says nothing of a rule is not red. `last` is
    the key of the run's last `label_set` event.
    """
    version = str(state.records[-1].version)
    context.instance.add_run_tags(context.run.run_id, {names.LABEL_SET_TAG: config.name, names.VERSION_TAG: version})
    fired = latest.findings_by_rule(lake, config.name)
    told = {*fired, *(latest.fired_before(lake, config.name) if new else ())}
    upto = _newest_event(context.instance, names.asset_key(config.name, "label_set"), last) if last else None
    context.log_event(latest.materialization(state, name=config.name, fired=fired, upto=upto))
    for verdict in latest.evaluations(fired, config=config, only=told):
        context.log_event(verdict)


def _newest_event(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str) -> int | None:
    chosen = dg.AssetRecordsFilter(asset, asset_partitions=[key])
    return next((one.storage_id for one in instance.fetch_materializations(chosen, limit=1).records), None)
