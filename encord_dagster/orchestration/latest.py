"""What Dagster shows of the newest version: pictures, changes, classes, lineage, and a verdict for each rule."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import msgspec

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import EncordDagsterError, VersionGone
from encord_dagster.findings import Severity
from encord_dagster.label_set.manifest import LogRecord
from encord_dagster.orchestration import metadata, names, pictures, readable
from encord_dagster.orchestration.readable import Metadata
from encord_dagster.orchestration.specs import severity_of
from encord_dagster.rle import RleError
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from encord_dagster.label_set.beside import Beside
    from encord_dagster.label_set.fired import Fired
    from encord_dagster.label_set.read import LabelSet, Version

RECORDS_SHOWN = 10
ROOM = 2600  # bytes of all tables together


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a label set."""

    records: Sequence[LogRecord]  # oldest first, the last ones
    rows: int
    images: int
    annotations: int
    classes: dict[str, int]
    losses: dict[str, int] = {}
    exports: str = ""  # url of what the lake knows of each export: sources, row events, findings
    beside: "Beside | None" = None  # what it changed; None where that could not be read

    def shown(self, room: int) -> Metadata:
        """What the version changed, for the export that it came with."""
        changes = [readable.changes(self.beside)] if self.beside else []
        return {**self.preview(), **readable.fitted(changes, room)}

    def preview(self) -> Metadata:
        """Its pictures."""
        return pictures.preview(self.beside) if self.beside else {}


def newest(lake: ObjectStore, name: str) -> Newest | None:
    """The newest version; None before the first one. The next functions too are all that ask the reader."""
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
        exports=f"{lake.url}/{layout.exports(name)}",
        beside=_beside(label_set, version),
    )


def _beside(label_set: "LabelSet", version: "Version") -> "Beside | None":
    """What the version changed. It is published whatever comes of showing that."""
    from encord_dagster.label_set.beside import beside

    try:
        return beside(label_set, version)
    except (EncordDagsterError, RleError, msgspec.MsgspecError) as error:
        dg.get_dagster_logger().warning(f"what version {version.number} changed is not shown: {error}")
        return None


def findings_by_rule(lake: ObjectStore, name: str) -> "dict[str, Fired]":
    """The rules that fired on the newest version and its rows."""
    from encord_dagster.label_set.fired import fired
    from encord_dagster.label_set.read import open_label_set

    return fired(open_label_set(lake, name).version("latest"))


def fired_before(lake: ObjectStore, name: str) -> Collection[str]:
    """The rules whose verdicts may change with the newest version: those that fired on the one before, else all."""
    from encord_dagster.label_set.fired import fired
    from encord_dagster.label_set.read import open_label_set
    from encord_dagster.validation import RULES

    label_set = open_label_set(lake, name)
    number = label_set.version("latest").number
    try:
        return fired(label_set.version(number - 1), look_into=0).keys() if number > 1 else [rule.name for rule in RULES]
    except VersionGone:  # by garbage collection
        return [rule.name for rule in RULES]


def materialization(
    state: Newest, *, name: str, fired: "Mapping[str, Fired]", upto: int | None
) -> dg.AssetMaterialization:
    """The event that a run logs when it committed a record.

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


def evaluations(
    fired: "Mapping[str, Fired]", *, config: LabelSetConfig, only: Collection[str] | None = None
) -> Iterator[dg.AssetCheckEvaluation]:
    """One verdict for each rule, or for some; a rule of severity info never fails."""
    from encord_dagster.validation import RULES

    for rule in RULES:
        if only is not None and rule.name not in only:
            continue
        count = fired[rule.name].count if rule.name in fired else 0
        severity = severity_of(rule.name, rule.severity, config)
        yield dg.AssetCheckEvaluation(
            asset_key=names.asset_key(config.name, names.LATEST),
            check_name=names.check_name(rule.name),
            passed=count == 0 or severity == "info",
            severity=_dagster_severity(severity),
            metadata={
                "encord/findings": dg.MetadataValue.int(count),
                **(_first(fired[rule.name]) if count else {}),
            },
        )


def results(fired: "Mapping[str, Fired]", *, config: LabelSetConfig) -> list[dg.AssetCheckResult]:
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


def state_metadata(state: Newest, *, fired: "Mapping[str, Fired]") -> Metadata:
    """What people look at first: pictures and changes; then counts, classes, findings and lineage."""
    head = state.records[-1]
    sections = [readable.changes(state.beside)] if state.beside else []
    sections += [readable.version_findings(head.doubts), readable.classes(state.classes)]
    sections += [readable.lineage(state.records), *([readable.fired(fired)] if fired else [])]
    return {
        "encord/version": dg.MetadataValue.int(head.version),
        **state.preview(),
        **readable.fitted(sections, ROOM),
        "encord/rows": dg.MetadataValue.int(state.rows),
        "encord/images": dg.MetadataValue.int(state.images),
        "encord/annotations": dg.MetadataValue.int(state.annotations),
        "encord/record": dg.MetadataValue.text(f"{head.seq} {head.op}"),
        "encord/exports_uri": dg.MetadataValue.text(state.exports),
        "encord/content_digest": dg.MetadataValue.text(head.content_digest),
    }


def _first(found: "Fired") -> dict[str, dg.MetadataValue]:
    """Where to look first."""
    return {
        "encord/first_at": dg.MetadataValue.text(str(found.first.location)[: metadata.TEXT_SHOWN]),
        "encord/first_message": dg.MetadataValue.text(found.first.message[: metadata.TEXT_SHOWN]),
        **({"encord/look_in": dg.MetadataValue.text(found.events)} if found.events else {}),
    }


def _dagster_severity(severity: Severity) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if severity == "error" else dg.AssetCheckSeverity.WARN
