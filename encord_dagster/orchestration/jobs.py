"""What operators do to a label set, as jobs in Dagster's launchpad: each writes one record of the log, or looks."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.orchestration import latest, names
from encord_dagster.orchestration.stores import LabelSetStores

if TYPE_CHECKING:
    from encord_dagster.storage.protocol import ObjectStore

Choices = Mapping[str, object]
Act = Callable[["ObjectStore", LabelSetConfig, Choices], object]

_REASON = dg.Field(str, description="Why: written into the log, for whoever reads it next year.")
_HASHES = dg.Field([str], is_required=False, default_value=[])


def build_operation_jobs(config: LabelSetConfig) -> list[dg.JobDefinition]:
    """One job for each operation on a label set."""
    return [_job(config, verb, text, fields, act) for verb, text, fields, act in _OPERATIONS]


def _job(config: LabelSetConfig, verb: str, text: str, fields: Mapping[str, dg.Field], act: Act) -> dg.JobDefinition:
    name = f"{names.identifier(config.name)}_{verb}"
    resource = names.stores_resource(config.name)

    @dg.op(name=f"{name}_step", config_schema=dict(fields), required_resource_keys={resource}, out=dg.Out(dg.Nothing))
    def step(context: dg.OpExecutionContext) -> None:
        stores: LabelSetStores = getattr(context.resources, resource)
        lake = stores.lake()
        found = act(lake, config, context.op_config)
        told = msgspec.json.encode(found)
        context.log.info(f"{verb}: {told.decode()}")
        context.add_output_metadata({f"encord/{verb}": dg.MetadataValue.json(msgspec.json.decode(told))})
        state = latest.newest(lake, config.name)
        if state:
            fired = latest.findings_by_rule(lake, config.name)
            context.log_event(latest.materialization(state, name=config.name, fired=fired, upto=None))

    @dg.job(name=name, description=text, executor_def=dg.in_process_executor, tags={names.LABEL_SET_TAG: config.name})
    def job() -> None:
        step()

    return job


def _rollback(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.label_set.operations import rollback

    return rollback(lake, config.name, int(str(chosen["to_version"])), str(chosen["reason"]))


def _release(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.label_set.operations import release

    return release(lake, config.name, str(chosen["reason"]))


def _retire(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.label_set.retire import retire

    rows, data = (list(map(str, _listed(chosen[name]))) for name in ("label_hashes", "data_hashes"))
    return retire(lake, config.name, str(chosen["reason"]), label_hashes=rows, data_hashes=data)


def _gc(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.label_set.gc import gc

    keep = int(str(chosen["keep"]))
    return gc(lake, config.name, dry_run=bool(chosen["dry_run"]), keep=keep or None)


def _verify(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.label_set.verify import verify

    report = verify(lake, config.name, quick=bool(chosen["quick"]))
    if report.problems:
        raise dg.Failure(
            f"label set {config.name!r} is damaged: {'; '.join(report.problems[:10])}", allow_retries=False
        )
    return {"records": report.records, "objects": report.objects, "bytes": report.bytes}


def _replay(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.pipeline import replay

    batch = replay(lake=lake, config=config, export_ids=list(map(str, _listed(chosen["exports"]))) or None)
    return {outcome.export.id: outcome.status for outcome in batch.outcomes}


def _stale(lake: "ObjectStore", config: LabelSetConfig, chosen: Choices) -> object:
    from encord_dagster.config import CONVERTER_VERSION
    from encord_dagster.label_set import history
    from encord_dagster.label_set.accounted import Accounted
    from encord_dagster.label_set.join import State
    from encord_dagster.label_set.standing import standing
    from encord_dagster.pipeline import ingest

    head = history.head(lake, config.name)
    state = State(lake, head)
    stale = state.is_stale(config.digest())
    exports = standing(lake, head.record, Accounted(lake, config.name, head), stale=stale).again
    found = {
        "stale": stale,
        "converter": CONVERTER_VERSION,
        "rows": state.published.rows if state.published else 0,
        "exports": len(exports),
    }
    if not stale or chosen["dry_run"]:
        return found
    # A version of a part of them would lack the rows of the others: it is made of all, or not yet.
    if len(exports) > (most := int(str(chosen["most_exports"]))):
        raise dg.Failure(
            f"{len(exports):,} exports would be read again, more than most_exports, {most:,}. Nothing was changed: "
            "launch the job with a greater one, the time and the size class for it",
            metadata={"encord/exports": len(exports)},
            allow_retries=False,
        )
    done = ingest((), landing=lake, lake=lake, config=config).published
    return found | ({"version": done.version, "content_digest": done.content_digest} if done else {})


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


_OPERATIONS: tuple[tuple[str, str, Mapping[str, dg.Field], Act], ...] = (
    (
        "rollback",
        "Gives readers an older version again, as a new one, and blocks the exports that came after it.",
        {"to_version": dg.Field(int), "reason": _REASON},
        _rollback,
    ),
    ("release", "Publishes the version that is held back.", {"reason": _REASON}, _release),
    (
        "retire",
        "Takes label rows out, for good: also where they are exported again.",
        {"label_hashes": _HASHES, "data_hashes": _HASHES, "reason": _REASON},
        _retire,
    ),
    (
        "gc",
        "Deletes what no kept version names. The resource's credentials must be allowed to delete.",
        {
            "dry_run": dg.Field(bool, is_required=False, default_value=True, description="Only say what would go."),
            "keep": dg.Field(int, is_required=False, default_value=0, description="Versions to keep; 0: all."),
        },
        _gc,
    ),
    (
        "verify",
        "Recomputes every digest and count; fails where something is damaged.",
        {"quick": dg.Field(bool, is_required=False, default_value=False, description="Sizes only.")},
        _verify,
    ),
    (
        "quarantine_replay",
        "Reads again what is in quarantine, and publishes what can be used now.",
        {"exports": _HASHES},
        _replay,
    ),
    (
        "stale",
        "Makes the newest version anew where an older converter or another configuration made it.",
        {
            "dry_run": dg.Field(bool, is_required=False, default_value=False, description="Only say whether it is."),
            "most_exports": dg.Field(
                int, is_required=False, default_value=1000, description="Of more exports it is not made in one run."
            ),
        },
        _stale,
    ),
)
