"""The assets. Bodies read, call, write and report; what is made of an export is the pipeline's matter."""

from collections.abc import Iterator
from typing import Literal

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import sources
from encord_dagster.orchestration import events, latest, names, reporting, specs
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.outcomes import Batch
from encord_dagster.storage.protocol import ObjectStore

Backfill = Literal["multi_run", "single_run"]

EXPORTS_PER_RUN = 100


def build_ingest_assets(
    config: LabelSetConfig, *, ownership: specs.Ownership, backfill: Backfill
) -> dg.AssetsDefinition:
    """All partitioned assets in one step: an export is parsed once, and a range of them is one run."""
    partitions = dg.DynamicPartitionsDefinition(name=names.exports_partitions(config.name))
    assets = specs.partitioned_specs(config, ownership, partitions)
    resource = names.stores_resource(config.name)

    @dg.multi_asset(
        name=f"{names.identifier(config.name)}_exports",
        specs=assets,
        check_specs=specs.roll_up_checks(assets),
        can_subset=True,
        backfill_policy=_policy(backfill),
        required_resource_keys={resource},
    )
    def ingest_exports(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[object]]:
        stores: LabelSetStores = getattr(context.resources, resource)
        keys, lake = list(context.partition_keys), stores.lake()
        publish = names.asset_key(config.name, "label_set") in context.selected_asset_keys
        batch = _ingest(context, keys, landing=stores.landing(), lake=lake, config=config, publish=publish)
        recorded = reporting.log_exports(context, keys, batch, config)
        if publish and batch.published:
            new = any(outcome.status == "published" for outcome in batch.outcomes)
            reporting.log_latest(context, lake, config, recorded=recorded, new=new)
        if bad := events.problems(keys, batch, publish=publish):
            raise events.failure(bad, total=len(keys))
        yield from ()  # Dagster takes logged events as the outcome of a generator

    return ingest_exports


def build_latest_asset(config: LabelSetConfig, *, ownership: specs.Ownership) -> dg.AssetsDefinition:
    """The newest version as an asset of its own. Runs that commit log it too; this step brings it up to date alone."""
    resource = names.stores_resource(config.name)

    @dg.multi_asset(
        name=f"{names.identifier(config.name)}_latest",
        specs=[specs.latest_spec(config, ownership)],
        check_specs=specs.rule_checks(config),
        required_resource_keys={resource},
    )
    def label_set_latest(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[object]]:
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


def _policy(backfill: Backfill) -> dg.BackfillPolicy:
    """Bounded runs, or one run, which `dg launch --partition-range` insists on."""
    return dg.BackfillPolicy.single_run() if backfill == "single_run" else dg.BackfillPolicy.multi_run(EXPORTS_PER_RUN)


def _ingest(
    context: dg.AssetExecutionContext,
    keys: list[str],
    *,
    landing: ObjectStore,
    lake: ObjectStore,
    config: LabelSetConfig,
    publish: bool,
) -> Batch:
    """Ingest the exports of these keys; a key without a source record has no outcome."""
    from encord_dagster.pipeline import ingest  # brings numpy and pyarrow: not when definitions load

    found = [export for key in keys if (export := sources.find_export(lake, config.name, key))]
    if not found:
        return Batch(outcomes=(), published=None)
    return ingest(found, landing=landing, lake=lake, config=config, publish=publish, progress=context.log.info)
