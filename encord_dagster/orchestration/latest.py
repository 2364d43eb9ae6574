"""What Dagster shows of the newest version: chain, classes, lineage, and a verdict for each rule."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.findings import Severity
from encord_dagster.label_set.manifest import LogRecord
from encord_dagster.orchestration import metadata, names
from encord_dagster.orchestration.specs import severity_of
from encord_dagster.storage.protocol import ObjectStore

RECORDS_SHOWN = 50


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a label set."""

    records: Sequence[LogRecord]  # oldest first, the last ones
    rows: int
    images: int
    annotations: int
    classes: dict[str, int]
    losses: dict[str, int] = {}


def newest(lake: ObjectStore, name: str) -> Newest | None:
    """The newest version; None before the first one. This function and the next are all that ask the reader."""
    from encord_dagster.label_set.read import open_label_set

    label_set = open_label_set(lake, name)
    records = label_set.log(last=RECORDS_SHOWN)
    if not records or records[-1].root is None:
        return None
    version = label_set.version("latest")
    return Newest(
        records=records,
        rows=version.rows,
        images=version.images,
        annotations=version.root.annotations,
        classes=version.classes,
        losses=version.losses,
    )


def findings_by_rule(lake: ObjectStore, name: str) -> dict[str, int]:
    """How often each rule fired on the newest version and its rows. Reads all of its row events."""
    from encord_dagster.label_set.read import open_label_set

    return dict(Counter(finding.rule for finding in open_label_set(lake, name).version("latest").findings()))


def materialization(
    state: Newest, *, name: str, fired: Mapping[str, int] | None, upto: int | None
) -> dg.AssetMaterialization:
    """The event that a run logs when it committed a record; `fired` where the version is new.

    `upto` is the newest `label_set` event. The tags tell Dagster that it was taken into account: a partition of an
    export that could not be used would else make this asset look out of date for ever.
    """
    digest = state.records[-1].content_digest
    source = names.asset_key(name, "label_set").to_user_string()
    inputs = {
        names.CODE_VERSION_TAG: str(state.records[-1].converter_version),
        f"{names.INPUT_VERSION_TAG}/{source}": digest,
        f"{names.INPUT_POINTER_TAG}/{source}": str(upto),
    }
    return dg.AssetMaterialization(
        names.asset_key(name, names.LATEST),
        metadata=state_metadata(state, fired=fired),
        tags={names.DATA_VERSION_TAG: digest} | (inputs if upto is not None else {}),
    )


def evaluations(fired: Mapping[str, int], *, config: LabelSetConfig) -> Iterator[dg.AssetCheckEvaluation]:
    """One verdict for each rule; a rule of severity info never fails."""
    from encord_dagster.validation import RULES

    for rule in RULES:
        count = fired.get(rule.name, 0)
        severity = severity_of(rule.name, rule.severity, config)
        yield dg.AssetCheckEvaluation(
            asset_key=names.asset_key(config.name, names.LATEST),
            check_name=names.check_name(rule.name),
            passed=count == 0 or severity == "info",
            severity=_dagster_severity(severity),
            metadata={"encord/findings": dg.MetadataValue.int(count)},
        )


def results(fired: Mapping[str, int], *, config: LabelSetConfig) -> list[dg.AssetCheckResult]:
    """The same verdicts, for the asset's own step."""
    return [
        dg.AssetCheckResult(
            check_name=verdict.check_name,
            passed=verdict.passed,
            severity=verdict.severity,
            metadata=verdict.metadata,
        )
        for verdict in evaluations(fired, config=config)
    ]


def state_metadata(state: Newest, *, fired: Mapping[str, int] | None) -> metadata.Metadata:
    """Version chain (newest first), counts, classes, rules that fired, and the export events of the newest record."""
    head = state.records[-1]
    hashes = sorted({item for entry in head.exports for item in entry.export_hashes})
    rules: metadata.Metadata = {} if fired is None else {"encord/rules": dg.MetadataValue.json(dict(fired))}
    return rules | {
        "encord/version": dg.MetadataValue.int(head.version),
        "encord/seq": dg.MetadataValue.int(head.seq),
        "encord/content_digest": dg.MetadataValue.text(head.content_digest),
        "encord/rows": dg.MetadataValue.int(state.rows),
        "encord/images": dg.MetadataValue.int(state.images),
        "encord/annotations": dg.MetadataValue.int(state.annotations),
        "encord/classes": metadata.classes_table(state.classes),
        "encord/losses": metadata.losses_table(state.losses),
        "encord/version_findings": metadata.version_findings_table(head.doubts),
        "encord/log": _chain(state.records),
        "encord/exports": dg.MetadataValue.json([entry.id for entry in head.exports][: metadata.HASHES_SHOWN]),
        "encord/export_hashes": dg.MetadataValue.json(hashes[: metadata.HASHES_SHOWN]),
    }


def _chain(records: Sequence[LogRecord]) -> dg.MetadataValue:
    columns = {"seq": "int", "version": "int", "op": "string", "content digest": "string", "exports": "int"}
    columns |= {"rows changed": "int", "manifest": "string"}
    rows = (
        {
            "seq": record.seq,
            "version": record.version,
            "op": record.op,
            "content digest": record.content_digest[:16],
            "exports": len(record.exports),
            "rows changed": record.fragments,
            "manifest": record.root.sha256[:16] if record.root else "",
        }
        for record in reversed(records)
    )
    return metadata.table(columns, rows)


def _dagster_severity(severity: Severity) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if severity == "error" else dg.AssetCheckSeverity.WARN
