"""What a run tells Dagster of each export: materializations, data versions, checks. Values in, events out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.orchestration import markdown, metadata, names
from encord_dagster.orchestration.latest import Newest
from encord_dagster.orchestration.specs import ROLL_UP, code_version
from encord_dagster.outcomes import Batch, ExportOutcome, Published

Also = Callable[[str, str], str | None]  # asset, partition -> why it is not as it should be, whatever its outcome says

CHANGES_ROOM = 700  # bytes
CONVERTED = ("published", "observed", "held", "converted")


def materializations(
    keys: Collection[str],
    batch: Batch,
    *,
    config: LabelSetConfig,
    selected: Collection[dg.AssetKey],
    newest: Newest | None = None,
) -> Iterator[dg.AssetMaterialization]:
    """What came to be, by key and then in the order of the graph."""
    last = _shows_the_version(keys, batch)
    for key, outcome, asset in _each(keys, batch, config, selected):
        if outcome and _exists(asset, outcome):
            shown = metadata.BUILDERS[asset](outcome, batch.published)
            if asset == "label_set" and key == last and batch.published:
                changed = newest.shown(CHANGES_ROOM) if newest and outcome.status == "published" else {}
                shown = changed | shown | metadata.version(batch.published)
            yield dg.AssetMaterialization(
                names.asset_key(config.name, asset),
                partition=key,
                metadata=shown,
                tags={names.DATA_VERSION_TAG: _data_version(asset, outcome, batch.published, config)},
            )


def verdicts(
    keys: Collection[str],
    batch: Batch,
    *,
    config: LabelSetConfig,
    selected: Collection[dg.AssetKey],
    also: Also = lambda asset, key: None,
) -> Iterator[dg.AssetCheckEvaluation]:
    """The roll-up check of every selected asset, one for the whole run: it names the keys that it does not pass.

    One for each key and asset would be half of what a range run writes into Dagster's database.
    """
    outcomes = {outcome.export.id: outcome for outcome in batch.outcomes}
    for asset in _assets(config, selected):
        problems = {key: why for key in keys if (why := also(asset, key) or _problem(asset, outcomes.get(key)))}
        doubts = {
            key: why for key in keys if key not in problems and (why := _doubt(asset, outcomes.get(key))) is not None
        }
        yield dg.AssetCheckEvaluation(
            asset_key=names.asset_key(config.name, asset),
            check_name=ROLL_UP,
            passed=not (problems or doubts),
            severity=dg.AssetCheckSeverity.ERROR if problems else dg.AssetCheckSeverity.WARN,
            description=_said(problems, doubts, total=len(keys)),
            metadata=metadata.check(batch.outcomes, problems | doubts, total=len(keys)),
        )


def problems(keys: Collection[str], batch: Batch, *, publish: bool) -> dict[str, str]:
    """The keys that did not get where they were meant to go, and why."""
    outcomes = {outcome.export.id: outcome for outcome in batch.outcomes}
    asset = "label_set" if publish else "coco"
    found = {key: _problem(asset, outcomes.get(key)) for key in keys}
    return {key: problem for key, problem in found.items() if problem}


def failure(problems: Mapping[str, str], batch: Batch, *, total: int) -> dg.Failure:
    """The error that turns a run red after the good exports were recorded."""
    rules = sum((Counter(o.rules) for o in batch.outcomes if o.export.id in problems), Counter[str]())
    named = ", ".join(list(problems)[:10]) + (f" and {len(problems) - 10} more" if len(problems) > 10 else "")
    return dg.Failure(
        f"{len(problems)} of {total} exports could not be used: {named}. Their checks say why; the others are done.",
        metadata={
            "encord/bad_exports": dg.MetadataValue.json(dict(problems)),
            "encord/rules": dg.MetadataValue.json(dict(rules)),
        },
        allow_retries=False,
    )


def _each(
    keys: Collection[str], batch: Batch, config: LabelSetConfig, selected: Collection[dg.AssetKey]
) -> Iterator[tuple[str, ExportOutcome | None, str]]:
    outcomes = {outcome.export.id: outcome for outcome in batch.outcomes}
    for key in keys:
        for asset in _assets(config, selected):
            yield key, outcomes.get(key), asset


def _assets(config: LabelSetConfig, selected: Collection[dg.AssetKey]) -> list[str]:
    return [asset for asset in metadata.BUILDERS if names.asset_key(config.name, asset) in selected]


def _shows_the_version(keys: Collection[str], batch: Batch) -> str | None:
    """The key that shows the version: there is one, however many exports it is made of; the last that changed it."""
    there = {outcome.export.id: outcome for outcome in batch.outcomes if _exists("label_set", outcome)}
    ranked = [key for key in keys if key in there]
    return max(ranked, key=lambda key: (there[key].status == "published", ranked.index(key)), default=None)


def _said(problems: dict[str, str], doubts: dict[str, str], *, total: int) -> str | None:
    """Text of exports is in it as code: Dagster's page renders Markdown."""
    if total == 1:
        return next((markdown.code(why, most=400) for why in (problems | doubts).values()), None)
    told = ((len(problems), "could not be used"), (len(doubts), "can be used in part"))
    return " ".join(f"{count} of {total} partitions {what}." for count, what in told if count) or None


def _problem(asset: str, outcome: ExportOutcome | None) -> str | None:
    """Why an asset of this export is not as it should be; None where it is."""
    if outcome is None:
        return "The lake has no source record of this export: let the sensor or the reconcile schedule find it again."
    if outcome.status == "failed":
        return outcome.error or "The store or the converter failed: run the export again."
    if outcome.status == "quarantined" and asset != "raw_export":
        return outcome.error or "Nothing in this export could be used: the findings say why."
    if asset == "label_set" and outcome.status == "converted":
        return outcome.error or "The export was converted and no version accounts for it: run it again."
    return None


def _doubt(asset: str, outcome: ExportOutcome | None) -> str | None:
    """Why somebody should look at an asset that is good to use."""
    if outcome is None or asset not in ("label_rows", "quarantine") or outcome.status not in CONVERTED:
        return None
    if outcome.rows_quarantined or outcome.objects_quarantined:
        return f"{outcome.rows_quarantined} rows and {outcome.objects_quarantined} objects are in quarantine."
    if asset == "label_rows" and any(finding.severity == "error" for finding in outcome.findings):
        return "There are findings of severity error."
    return None


def _exists(asset: str, outcome: ExportOutcome) -> bool:
    if asset in ("raw_export", "quarantine"):  # a quarantined export is kept, and its findings
        return outcome.status != "failed"
    return _problem(asset, outcome) is None


def _data_version(asset: str, outcome: ExportOutcome, published: Published | None, config: LabelSetConfig) -> str:
    """Equal where the asset's content is equal."""
    raw = outcome.sha256 or outcome.export.id
    if asset == "raw_export":
        return raw
    if asset == "label_set" and published:
        return published.content_digest
    return f"{raw[:32]}-{code_version(config)}"
