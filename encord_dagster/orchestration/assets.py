"""The assets. Bodies read, call, write and report; what is made of an export is the pipeline's matter."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import sources
from encord_dagster.orchestration import alerts, events, latest, names, reporting, specs
from encord_dagster.orchestration.days import ingest_days
from encord_dagster.orchestration.elsewhere import readers
from encord_dagster.orchestration.sensor_by_day import DAYS_PER_RUN
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.outcomes import Batch
from encord_dagster.storage.protocol import ObjectStore

EXPORTS_PER_RUN = 100

Events = Iterator[dg.MaterializeResult[object]]


class Hooks(NamedTuple):
    """What a subclass of the component may put in the place of ours."""

    asset_spec: Callable[[dg.AssetSpec], dg.AssetSpec] = lambda spec: spec
    execute: Callable[[dg.AssetExecutionContext, LabelSetConfig], Events] | None = None  # instead of `ingest_exports`


NO_HOOKS = Hooks()


def build_ingest_assets(
    config: LabelSetConfig,
    *,
    ownership: specs.Ownership,
    backfill: specs.Backfill,
    hooks: Hooks = NO_HOOKS,
    partition_by: names.PartitionBy = "export",
) -> dg.AssetsDefinition:
    """All partitioned assets in one step: an export is parsed once, and a range of them is one run."""
    partitions = dg.DynamicPartitionsDefinition(name=names.partitions(config.name, partition_by))
    assets = [specs.changed(spec, hooks.asset_spec) for spec in specs.partitioned_specs(config, ownership, partitions)]
    execute = hooks.execute or step_of(partition_by)

    @dg.multi_asset(
        name=f"{names.identifier(config.name)}_exports",
        specs=assets,
        check_specs=specs.roll_up_checks(assets),
        can_subset=True,
        backfill_policy=_policy(backfill, partition_by),
        required_resource_keys={
            names.stores_resource(config.name),
            names.alerts_resource(config.name),
            names.readers_resource(config.name),
        },
    )
    def ingest(context: dg.AssetExecutionContext) -> Events:
        yield from execute(context, config)

    return ingest


def step_of(partition_by: names.PartitionBy) -> Callable[[dg.AssetExecutionContext, LabelSetConfig], Events]:
    """What the step does, where no subclass says otherwise."""
    return ingest_days if partition_by == "day" else ingest_exports


def ingest_exports(context: dg.AssetExecutionContext, config: LabelSetConfig) -> Events:
    """What the step does: the exports of the run's partitions become part of the label set."""
    stores: LabelSetStores = getattr(context.resources, names.stores_resource(config.name))
    keys, lake = list(context.partition_keys), stores.lake()
    publish = names.asset_key(config.name, "label_set") in context.selected_asset_keys
    batch = _ingest(context, keys, stores, lake, config=config, publish=publish)
    state = latest.newest(lake, config.name) if publish and batch.published else None
    last = reporting.log_exports(context, keys, batch, config, newest=state)
    reporting.log_checks(context, keys, batch, config)
    if state:
        new = any(outcome.status == "published" for outcome in batch.outcomes)
        reporting.log_latest(context, lake, config, state=state, last=last, new=new)
    bad = events.problems(keys, batch, publish=publish)
    alerts.send(context, config, batch, bad)
    if bad:
        raise events.failure(bad, batch, total=len(keys))
    yield from ()  # Dagster takes logged events as the outcome of a generator


def build_latest_asset(
    config: LabelSetConfig, *, ownership: specs.Ownership, hooks: Hooks = NO_HOOKS
) -> dg.AssetsDefinition:
    """The newest version as an asset of its own. Runs that commit log it too; this step brings it up to date alone."""
    resource = names.stores_resource(config.name)

    @dg.multi_asset(
        name=f"{names.identifier(config.name)}_latest",
        specs=[specs.changed(specs.latest_spec(config, ownership), hooks.asset_spec)],
        check_specs=specs.rule_checks(config),
        required_resource_keys={resource},
    )
    def label_set_latest(context: dg.AssetExecutionContext) -> Events:
        stores: LabelSetStores = getattr(context.resources, resource)
        lake = stores.lake()
        state = latest.newest(lake, config.name)
        fired = latest.findings_by_rule(lake, config.name) if state else {}
        yield dg.MaterializeResult(
            metadata=latest.state_metadata(state, fired=fired) if state else {},
            data_version=dg.DataVersion(state.records[-1].content_digest if state else "no version yet"),
            check_results=latest.results(fired, config=config),
        )

    return label_set_latest


def _policy(backfill: specs.Backfill, partition_by: names.PartitionBy) -> dg.BackfillPolicy:
    """Bounded runs, or one run, which `dg launch --partition-range` insists on."""
    if backfill == "single_run":
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(DAYS_PER_RUN if partition_by == "day" else EXPORTS_PER_RUN)


def _ingest(
    context: dg.AssetExecutionContext,
    keys: list[str],
    stores: LabelSetStores,
    lake: ObjectStore,
    *,
    config: LabelSetConfig,
    publish: bool,
) -> Batch:
    """Ingest the exports of these keys; a key without a source record has no outcome."""
    from encord_dagster.pipeline import ingest  # brings numpy and pyarrow: not when definitions load

    found = [export for key in keys if (export := sources.find_export(lake, config.name, key))]
    if not found:
        return Batch(outcomes=(), published=None)
    with readers(context, lake, config.name, lake_url=stores.lake_url) as find:
        return ingest(
            found,
            landing=stores.landing(),
            lake=lake,
            config=config,
            publish=publish,
            progress=reporting.progress(context.log.info),
            workers=find,
        )
