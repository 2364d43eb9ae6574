"""The asset graph of a label set, and its checks."""

import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal

import dagster as dg
import msgspec

from encord_dagster.config import CONVERTER_VERSION, LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.findings import Severity
from encord_dagster.orchestration import columns, names

Backfill = Literal["multi_run", "single_run"]

ROLL_UP = "usable"  # the one check of each partitioned asset


class _Asset(msgspec.Struct, frozen=True):
    name: str
    after: tuple[str, ...]
    kinds: frozenset[str]
    description: str


_ASSETS = (
    _Asset(
        "raw_export",
        (),
        frozenset({"encord", "json"}),
        "The export as it arrived: pinned by ETag or version id, digested, kept under `raw/` in the lake.",
    ),
    _Asset(
        "label_rows",
        ("raw_export",),
        frozenset({"encord", "parquet"}),
        "The valid label rows of the export and their row events: export hash, time, history, findings.",
    ),
    _Asset(
        "quarantine",
        ("raw_export",),
        frozenset({"json"}),
        "What of the export cannot be converted: a pointer into the raw export, and the findings that say why.",
    ),
    _Asset("coco", ("label_rows",), frozenset({"coco", "json"}), "COCO records of the export's label rows."),
    _Asset("masks", ("label_rows",), frozenset({"png"}), "Semantic and instance masks of the export's label rows."),
    _Asset(
        "tables",
        ("label_rows",),
        frozenset({"parquet"}),
        "Images, annotations, classifications and attributes of the export's label rows.",
    ),
    _Asset(
        "label_set",
        ("coco", "masks", "tables"),
        frozenset({"coco", "parquet"}),
        "The publish that accounts for the export: a new version, or an `observe` where no label changed.",
    ),
)


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """How the assets are filed in the catalogue, and how old the newest version may become."""

    group: str | None = None  # default: the label set's name
    owners: tuple[str, ...] = ()  # e-mail addresses, or `team:name`
    tags: dict[str, str] = {}
    fresh_within_hours: float | None = None
    defined_at: tuple[str, int] | None = None  # file and line; YAML says it itself

    def __post_init__(self) -> None:
        """Refuse what Dagster would refuse without saying which option is meant."""
        if self.fresh_within_hours is not None and self.fresh_within_hours * 60 < 1:
            raise UsageError(f"fresh_within_hours {self.fresh_within_hours}: a minute (0.017) is the least")


def code_version(config: LabelSetConfig) -> str:
    """Changes when the same export would be converted to other content."""
    return f"{CONVERTER_VERSION}-{config.digest(with_key=False)[:8]}"


def partitioned_specs(
    config: LabelSetConfig, ownership: Ownership, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetSpec]:
    """The assets with one partition for each export, in the order in which they come to be."""
    chosen = [asset for asset in _ASSETS if config.masks or asset.name != "masks"]
    there = {asset.name for asset in chosen}
    return [
        dg.AssetSpec(
            names.asset_key(config.name, asset.name),
            deps=[names.asset_key(config.name, name) for name in asset.after if name in there],
            description=asset.description,
            skippable=True,
            group_name=ownership.group or names.identifier(config.name),
            code_version=code_version(config),
            owners=ownership.owners,
            tags=_tags(config, ownership),
            kinds=set(asset.kinds),
            metadata=columns.schema(asset.name) | _defined_at(ownership),
            partitions_def=partitions,
        ).with_io_manager_key(names.NO_VALUES)
        for asset in chosen
    ]


def latest_spec(config: LabelSetConfig, ownership: Ownership) -> dg.AssetSpec:
    """The asset that stands for the newest version."""
    return unpartitioned(
        config,
        ownership,
        key=names.asset_key(config.name, names.LATEST),
        after="label_set",
        description="The newest version: what it changed, classes, lineage. One check for each validation rule.",
        kinds={"encord", "coco"},
        freshness_policy=_freshness(ownership.fresh_within_hours),
    )


def unpartitioned(
    config: LabelSetConfig,
    ownership: Ownership,
    *,
    key: dg.AssetKey,
    after: str,
    description: str,
    kinds: set[str],
    code_version: str | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
) -> dg.AssetSpec:
    """An asset of the label set that has no partitions, behind another one."""
    return dg.AssetSpec(
        key,
        deps=[names.asset_key(config.name, after)],
        description=description,
        group_name=ownership.group or names.identifier(config.name),
        owners=ownership.owners,
        tags=_tags(config, ownership),
        kinds=kinds,
        metadata=_defined_at(ownership),
        code_version=code_version,
        freshness_policy=freshness_policy,
    ).with_io_manager_key(names.NO_VALUES)


def _tags(config: LabelSetConfig, ownership: Ownership) -> dict[str, str]:
    """Those of the project, and the label set, to search by."""
    return {names.LABEL_SET_TAG: config.name} | ownership.tags


def _freshness(hours: float | None) -> dg.FreshnessPolicy | None:
    """An export that is accounted for counts, also where no label changed."""
    return None if hours is None else dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours))


def _defined_at(ownership: Ownership) -> dict[str, dg.CodeReferencesMetadataValue]:
    """Where the project asked for the label set; `dg.link_code_references_to_git` makes a link of it."""
    if ownership.defined_at is None:
        return {}
    file, line = ownership.defined_at
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references are a beta
        place = dg.LocalFileCodeReference(file_path=file, line_number=line, label="build_label_set_definitions")
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[place])}


def changed(spec: dg.AssetSpec, change: Callable[[dg.AssetSpec], dg.AssetSpec]) -> dg.AssetSpec:
    """The spec as a hook makes it. UsageError where runs would not find their assets again."""
    made: object = change(spec)
    if not isinstance(made, dg.AssetSpec):
        raise UsageError(f"get_asset_spec gave a {type(made).__name__} for {spec.key.to_user_string()}: return a spec")
    for fixed in ("key", "partitions_def", "skippable"):
        if getattr(made, fixed) != getattr(spec, fixed):
            raise UsageError(
                f"get_asset_spec changed {fixed} of {spec.key.to_user_string()}: runs record events under the asset's "
                "own key and partitions. Change group, owners, tags, kinds, description, metadata, automation or deps"
            )
    return made.with_io_manager_key(names.NO_VALUES)


def roll_up_checks(specs: Sequence[dg.AssetSpec]) -> list[dg.AssetCheckSpec]:
    """One check for each partitioned asset, judged once by each run; the exports that it did not pass are named."""
    return [
        dg.AssetCheckSpec(
            ROLL_UP,
            asset=spec.key,
            description="Passes when every export of the run could be used; the metadata names those that could not.",
        )
        for spec in specs
    ]


def rule_checks(config: LabelSetConfig) -> list[dg.AssetCheckSpec]:
    """One check on `label_set_latest` for each validation rule."""
    from encord_dagster.validation import RULES

    return [
        dg.AssetCheckSpec(
            names.check_name(rule.name),
            asset=names.asset_key(config.name, names.LATEST),
            description=f"{rule.description} ({severity_of(rule.name, rule.severity, config)})",
        )
        for rule in RULES
    ]


def severity_of(rule: str, default: Severity, config: LabelSetConfig) -> Severity:
    """A rule's severity in this label set."""
    return config.severities.get(rule, default)
