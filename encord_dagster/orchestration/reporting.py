"""Telling Dagster, from inside a run, what became of its exports and of the newest version.

Events are logged, not yielded: only a logged event has its own partition, metadata and data version in a range run.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.orchestration import events, latest, names
from encord_dagster.outcomes import Batch
from encord_dagster.storage.protocol import ObjectStore

Materialization = Callable[[dg.AssetMaterialization], dg.AssetMaterialization]
Verdict = Callable[[dg.AssetCheckEvaluation], dg.AssetCheckEvaluation]


class Change(NamedTuple):
    """What is done to events before they are logged."""

    materialization: Materialization = lambda event: event
    verdict: Verdict = lambda verdict: verdict


AS_IT_IS = Change()
KEYS_PER_QUERY = 250
RECORDS_PER_QUERY = 1000


def log_exports(
    context: dg.AssetExecutionContext,
    keys: Sequence[str],
    batch: Batch,
    config: LabelSetConfig,
    *,
    newest: latest.Newest | None,
    change: Change = AS_IT_IS,
) -> events.Recorded:
    """Log materializations and then checks of all keys; the last materialization of each asset and key."""
    selected = context.selected_asset_keys
    for event in events.materializations(keys, batch, config=config, selected=selected, newest=newest):
        context.log_event(change.materialization(event))
    recorded = _recorded(context.instance, selected, keys)
    for verdict in events.verdicts(keys, batch, config=config, selected=selected, recorded=recorded):
        context.log_event(change.verdict(verdict))
    return recorded


def log_latest(
    context: dg.AssetExecutionContext,
    lake: ObjectStore,
    config: LabelSetConfig,
    *,
    state: latest.Newest,
    recorded: events.Recorded,
    new: bool,
) -> None:
    """Show the newest version in the run that committed, with the verdicts of the rules that have something to say.

    A verdict takes three KB of Dagster's database, and a version that says nothing of a rule is not red.
    """
    version = str(state.records[-1].version)
    context.instance.add_run_tags(context.run.run_id, {names.LABEL_SET_TAG: config.name, names.VERSION_TAG: version})
    fired = latest.findings_by_rule(lake, config.name)
    told = {*fired, *(latest.fired_before(lake, config.name) if new else ())}
    label_set = names.asset_key(config.name, "label_set")
    upto = max((record.storage_id for (asset, _), record in recorded.items() if asset == label_set), default=None)
    context.log_event(latest.materialization(state, name=config.name, fired=fired, upto=upto))
    for verdict in latest.evaluations(fired, config=config, only=told):
        context.log_event(verdict)


def _recorded(
    instance: dg.DagsterInstance, assets: Collection[dg.AssetKey], keys: Sequence[str]
) -> dict[tuple[dg.AssetKey, str], dg.EventLogRecord]:
    found: dict[tuple[dg.AssetKey, str], dg.EventLogRecord] = {}
    for asset in assets:
        for start in range(0, len(keys), KEYS_PER_QUERY):
            chosen = dg.AssetRecordsFilter(asset, asset_partitions=list(keys[start : start + KEYS_PER_QUERY]))
            for record in instance.fetch_materializations(chosen, limit=RECORDS_PER_QUERY).records:
                found.setdefault((asset, record.partition_key or ""), record)  # newest first
    return found
