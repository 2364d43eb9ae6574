"""Training sets as assets behind `label_set_latest`: a version in formats and a selection that somebody trains on."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats.selection_report import ClassLine, Report
from encord_dagster.label_set.training_set import TrainingSet
from encord_dagster.orchestration import markdown, names, readable, specs
from encord_dagster.orchestration.assets import NO_HOOKS, Hooks
from encord_dagster.orchestration.readable import Metadata
from encord_dagster.orchestration.stores import LabelSetStores

if TYPE_CHECKING:
    from encord_dagster.label_set.training_set import Made

ROOM = 2600  # bytes of all tables together
NAME = 20  # letters of a class
INTERVAL = 30  # seconds between two looks at whether there is a new version
CONTENT = "encord/content_digest"
KINDS = 2  # of formats, since Dagster shows three in all


def build_training_assets(
    config: LabelSetConfig, wanted: Sequence[TrainingSet], *, ownership: specs.Ownership, hooks: Hooks = NO_HOOKS
) -> list[dg.AssetsDefinition]:
    """An asset for each training set."""
    return [_asset(config, one, ownership=ownership, hooks=hooks) for one in wanted]


def build_training_sensors(
    config: LabelSetConfig, wanted: Sequence[TrainingSet], *, running: bool
) -> list[dg.SensorDefinition]:
    """The sensor that materializes them when there is a new version; none where there is none to follow.

    It compares what there is with what there should be. An automation condition would look at what happened between two
    ticks, and loses a version that comes while the set of the one before is being made.
    """
    following = [names.training_key(config.name, one.name) for one in wanted if one.version == "latest"]
    if not following:
        return []

    @dg.sensor(
        name=names.training_sensor(config.name),
        target=dg.AssetSelection.assets(*following),
        minimum_interval_seconds=INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Makes the training sets of each new version.",
    )
    def follow(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        version = _newest(context.instance, names.asset_key(config.name, names.LATEST))
        if version is None:
            yield dg.SkipReason("there is no version yet")
            return
        behind = [key for key in following if _content_of(context.instance, key) != _content(version)]
        if not behind:
            yield dg.SkipReason(f"all are of the content of version {version.metadata['encord/version'].value}")
        for key in behind:
            yield dg.RunRequest(
                run_key=f"{key.to_user_string()} of version {version.metadata['encord/version'].value}",
                asset_selection=[key],
                tags={names.LABEL_SET_TAG: config.name},
            )

    return [follow]


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.AssetMaterialization | None:
    event = instance.get_latest_materialization_event(key)
    return event.asset_materialization if event else None


def _content(version: dg.AssetMaterialization) -> str:
    """The content digest of a version."""
    return (version.tags or {})[names.DATA_VERSION_TAG]


def _content_of(instance: dg.DagsterInstance, key: dg.AssetKey) -> object:
    """The content digest of the version that a training set was made of; None where there is no set."""
    made = _newest(instance, key)
    return made.metadata[CONTENT].value if made else None


def _asset(
    config: LabelSetConfig, wanted: TrainingSet, *, ownership: specs.Ownership, hooks: Hooks
) -> dg.AssetsDefinition:
    resource = names.stores_resource(config.name)

    @dg.multi_asset(
        name=names.training_step(config.name, wanted.name),
        specs=[specs.changed(_spec(config, wanted, ownership), hooks.asset_spec)],
        required_resource_keys={resource},
    )
    def training_set(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[object]]:
        from encord_dagster.label_set.read import open_label_set  # brings numpy and pyarrow
        from encord_dagster.label_set.training_sets import publish

        stores: LabelSetStores = getattr(context.resources, resource)
        version = open_label_set(stores.lake(), config.name).version(wanted.version)
        store, told = stores.at(wanted.url), context.log.info
        made = publish(version, wanted, store, progress=told, ontology=config.ontology)
        yield dg.MaterializeResult(metadata=training_metadata(made), data_version=dg.DataVersion(made.record.digest))

    return training_set


def _spec(config: LabelSetConfig, wanted: TrainingSet, ownership: specs.Ownership) -> dg.AssetSpec:
    families = dict.fromkeys(name.partition("_")[0] for name in wanted.formats)
    return specs.unpartitioned(
        config,
        ownership,
        key=names.training_key(config.name, wanted.name),
        after=names.LATEST,
        description=f"Version {wanted.version} to train on, as {', '.join(wanted.formats)}.",
        kinds={"encord", *list(families)[:KINDS]},
        code_version=wanted.digest()[:16],
    )


def training_metadata(made: "Made") -> Metadata:
    """Version, digests, where the files are; classes and splits; what these formats could not hold."""
    manifest, report = made.manifest, made.manifest.report
    lost = {code: n for code, n in manifest.losses.items() if code.partition(":")[0] in manifest.formats}
    return {
        "dagster/uri": dg.MetadataValue.text(made.uri),
        "encord/version": dg.MetadataValue.int(made.record.version),
        "encord/files_uri": dg.MetadataValue.text(made.uri),  # Dagster's overview leaves the other one out
        **readable.fitted([_splits(report), _classes(report), readable.losses(lost)], ROOM),
        "encord/images": dg.MetadataValue.int(report.written.images),
        "encord/annotations": dg.MetadataValue.int(report.written.annotations),
        "encord/formats": dg.MetadataValue.text(", ".join(manifest.formats)),
        "encord/files": dg.MetadataValue.int(manifest.files),
        "encord/bytes": dg.MetadataValue.int(manifest.bytes),
        "encord/written": dg.MetadataValue.bool(made.written),
        CONTENT: dg.MetadataValue.text(made.record.content_digest),
        "encord/training_set_digest": dg.MetadataValue.text(made.record.digest),
        **({"encord/splits_from": dg.MetadataValue.text(manifest.splits_from)} if manifest.splits_from else {}),
    }


def _splits(report: Report) -> readable.Section:
    shares = report.selection.splits
    rows = [
        (markdown.code(name), held.images, held.kept, f"{shares[name]:.0%}", held.annotations)
        for name, held in report.splits.items()
    ]
    columns = ("split", "images", "of them kept", "share", "objects")
    return readable.Section("encord/splits", columns, rows, 700, "more splits: see selection.json")


def _classes(report: Report) -> readable.Section:
    """Objects by class, most first, and by split, with how many percent of the class that is off the share.

    The page cuts what is wide: the names are short here and come first.
    """
    ranked = sorted(report.classes, key=lambda one: (-one.annotations, one.id))
    columns = ("class", *(markdown.code(split) for split in report.splits), "objects")
    rows = [_cells(one) for one in ranked]
    return readable.Section("encord/classes", columns, rows, 900, "more classes: see selection.json")


def _cells(one: ClassLine) -> list[str | int]:
    splits = [f"{count:,} {one.off.get(split, 0):+.1%}" for split, count in one.splits.items()]
    return [markdown.code(one.name, most=NAME), *splits, one.annotations]
