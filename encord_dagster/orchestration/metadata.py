"""What Dagster shows of an export's outcome and of the newest version.

Names of classes, and all other text of an export, are other people's words: text, tables and JSON, never Markdown.
"""

from collections.abc import Callable, Iterable, Mapping

import dagster as dg
from dagster import MetadataValue

from encord_dagster.encord.privacy import redact
from encord_dagster.findings import Finding
from encord_dagster.formats.losses import reported
from encord_dagster.outcomes import ExportOutcome, Published

Metadata = dict[str, MetadataValue]
Builder = Callable[[ExportOutcome, Published | None], Metadata]

FINDINGS_SHOWN = 50
CLASSES_SHOWN = 100
HASHES_SHOWN = 20
TEXT_SHOWN = 500


def raw_export(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the export lies, how large it is, and which export events it carries."""
    export = outcome.export
    return {
        **_uri(outcome, "raw"),
        "encord/landing_key": _text(redact(export.key)),
        "encord/etag": _text(export.etag),
        "encord/last_modified": _text(export.last_modified),
        "encord/bytes": MetadataValue.int(export.size),
        **_optional("encord/sha256", outcome.sha256),
        **{f"encord/name_{part}": _text(text) for part, text in outcome.named.items()},
        **lineage(outcome),
    }


def label_rows(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Rows and objects, counted in and out, and the findings."""
    return {
        **_uri(outcome, "events"),
        "dagster/partition_row_count": MetadataValue.int(outcome.rows),
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_in": MetadataValue.int(outcome.objects_in),
        "encord/objects_published": MetadataValue.int(outcome.objects_published),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        "encord/objects_excluded": MetadataValue.json(dict(outcome.objects_excluded)),
        "encord/rules": MetadataValue.json(dict(outcome.rules)),
        "encord/findings": findings_table(outcome.findings),
        **lineage(outcome),
    }


def quarantine(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """What was set aside, and why."""
    return {
        **_uri(outcome, "quarantine"),
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        "encord/rules": MetadataValue.json(dict(outcome.rules)),
        **_optional("encord/error", outcome.error),
    }


def coco(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Images and annotations of the export, by class."""
    return {
        **_uri(outcome, "coco"),
        **_converted(outcome, published),
        "encord/bytes": MetadataValue.int(outcome.coco_bytes),
        "encord/annotations": MetadataValue.int(outcome.objects_published),
        "encord/classes": classes_table(outcome.classes),
    }


def masks(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the masks lie."""
    return {
        **_uri(outcome, "masks"),
        **_converted(outcome, published),
        "encord/bytes": MetadataValue.int(outcome.mask_bytes),
    }


def tables(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the tables lie, and the columns of the one that most people open."""
    from encord_dagster.formats.tables import ANNOTATIONS

    columns = [dg.TableColumn(field.name, str(field.type)) for field in ANNOTATIONS]
    return {
        **_uri(outcome, "tables"),
        **_converted(outcome, published),
        "dagster/column_schema": MetadataValue.table_schema(dg.TableSchema(columns)),
    }


def label_set(outcome: ExportOutcome, published: Published | None) -> Metadata:
    """What became of the export, and the version that accounts for it."""
    state: Metadata = {"encord/status": _text(outcome.status), **lineage(outcome)}
    return state | (version(published) if published else {})


def version(published: Published) -> Metadata:
    """The log record and the version it stands for."""
    return {
        "dagster/uri": _text(published.uri),
        "encord/version": MetadataValue.int(published.version),
        "encord/seq": MetadataValue.int(published.seq),
        "encord/op": _text(published.op),
        "encord/content_digest": _text(published.content_digest),
        "encord/manifest_digest": _text(published.manifest_digest),
        "encord/rows": MetadataValue.int(published.rows),
        "encord/images": MetadataValue.int(published.images),
        "encord/annotations": MetadataValue.int(published.annotations),
        "encord/classes": classes_table(published.classes),
        "encord/losses": losses_table(published.losses),
        "encord/version_findings": version_findings_table((*published.held_findings, *published.findings)),
        **_optional("encord/coco_uri", published.coco_uri),
    }


def check(outcome: ExportOutcome, *, passed: bool) -> Metadata:
    """The rules that fired; where the check fails also their findings, so that nobody has to look elsewhere."""
    fired: Metadata = {"encord/rules": MetadataValue.json(dict(outcome.rules))}
    if passed:
        return fired
    return fired | {
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        "encord/findings": findings_table(outcome.findings),
        **_optional("encord/error", outcome.error),
    }


BUILDERS: Mapping[str, Builder] = {
    "raw_export": raw_export,
    "label_rows": label_rows,
    "quarantine": quarantine,
    "coco": coco,
    "masks": masks,
    "tables": tables,
    "label_set": label_set,
}


def lineage(outcome: ExportOutcome) -> Metadata:
    """Which export events of Encord the export carries, and their span in time."""
    hashes = list(outcome.export_hashes)
    return {
        "encord/export_hashes": MetadataValue.json(hashes[:HASHES_SHOWN]),
        "encord/export_hash_count": MetadataValue.int(outcome.export_hash_count),
        **_optional("encord/exported_from", outcome.exported_from),
        **_optional("encord/exported_to", outcome.exported_to),
    }


def classes_table(classes: Mapping[str, int]) -> MetadataValue:
    """Objects by class, most first."""
    ranked = sorted(classes.items(), key=lambda item: (-item[1], item[0]))[:CLASSES_SHOWN]
    return table(
        {"class": "string", "objects": "int"}, ({"class": name[:TEXT_SHOWN], "objects": n} for name, n in ranked)
    )


def losses_table(counts: Mapping[str, int]) -> MetadataValue:
    """What the formats cannot hold, and where it is still to be found."""
    columns = {"loss": "string", "count": "int", "description": "string"}
    lines: list[dict[str, str | int]] = [
        {"loss": line.code, "count": line.count, "description": line.description} for line in reported(counts)
    ]
    return table(columns, lines)


def version_findings_table(findings: Iterable[Finding]) -> MetadataValue:
    """What is odd about a version as a whole; its findings lie in no row."""
    columns = {"severity": "string", "rule": "string", "message": "string"}
    records = (_finding_record(finding) for finding in findings)
    return table(columns, ({name: record[name] for name in columns} for record in records))


def findings_table(findings: Iterable[Finding]) -> MetadataValue:
    """The first findings, worst first."""
    columns = {"severity": "string", "rule": "string", "where": "string", "message": "string"}
    first = tuple(findings)[:FINDINGS_SHOWN]
    return table(columns, (_finding_record(finding) for finding in first))


def table(columns: Mapping[str, str], records: Iterable[Mapping[str, str | int]]) -> MetadataValue:
    """A table with a schema, so that an empty one shows its columns too."""
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
    return MetadataValue.table([dg.TableRecord(dict(record)) for record in records], schema=schema)


def _finding_record(finding: Finding) -> dict[str, str | int]:
    return {
        "severity": finding.severity,
        "rule": finding.rule,
        "where": str(finding.location),
        "message": finding.message[:TEXT_SHOWN],
    }


def _converted(outcome: ExportOutcome, published: Published | None) -> Metadata:
    return {
        # Published fragments lie in the version's shards, which the log record leads to.
        **_optional("encord/log_record", published.uri if published else None),
        "encord/images": MetadataValue.int(outcome.images),
        "encord/fragments_converted": MetadataValue.int(outcome.fragments_converted),
        "encord/fragments_reused": MetadataValue.int(outcome.fragments_reused),
    }


def _uri(outcome: ExportOutcome, kind: str) -> Metadata:
    return _optional("dagster/uri", outcome.uris.get(kind))


def _optional(name: str, value: str | None) -> Metadata:
    return {} if value is None else {name: _text(value)}


def _text(value: str) -> MetadataValue:
    return MetadataValue.text(value[:TEXT_SHOWN])
