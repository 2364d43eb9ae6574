"""Outcomes, logs and versions as text and as plain values for JSON."""

from collections.abc import Mapping, Sequence

from encord_dagster import layout
from encord_dagster.commands import Validated
from encord_dagster.findings import Finding
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.outcomes import Batch

RANKS = {"info": 0, "warning": 1, "error": 2}
SHOWN = 20


def at_least(findings: Sequence[Finding], severity: str) -> bool:
    """Whether any finding is as bad as `severity` or worse."""
    return any(RANKS[finding.severity] >= RANKS[severity] for finding in findings)


def worst_at_least(batch: Batch, severity: str) -> bool:
    """Whether any export of a batch failed or has a finding as bad as `severity` or worse."""
    return any(o.status == "failed" or at_least(o.findings, severity) for o in batch.outcomes)


def counts_text(counts: Mapping[str, int]) -> str:
    """`car 12, lane 3`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _findings_text(findings: Sequence[Finding]) -> str:
    lines = "".join(f"    {finding.severity:7} {finding}\n" for finding in findings[:SHOWN])
    more = len(findings) - SHOWN
    return lines + (f"    … and {more} more\n" if more > 0 else "")


def batch_text(batch: Batch) -> str:
    """What became of each export, and which version that made."""
    text = ""
    for outcome in batch.outcomes:
        text += f"{outcome.export.key}: {outcome.status}\n"
        if outcome.error:
            text += f"  {outcome.error}\n"
        if outcome.rows:
            text += (
                f"  {outcome.rows:,} rows ({outcome.rows_quarantined} quarantined), {outcome.objects_in:,} objects = "
                f"{outcome.objects_published:,} published + {outcome.objects_quarantined} quarantined + "
                f"{sum(outcome.objects_excluded.values())} excluded ({counts_text(outcome.objects_excluded)})\n"
                f"  classes: {counts_text(outcome.classes)}\n"
                f"  converted {outcome.fragments_converted} label rows, reused {outcome.fragments_reused}\n"
            )
        text += _findings_text([finding for finding in outcome.findings if finding.severity != "info"])
    made = batch.published
    if made:
        text += f"version {made.version} (record {made.seq}, {made.op}): {made.rows:,} rows, {made.annotations:,} objects\n"
    return text


def validation_text(report: Validated) -> str:
    """What is wrong with one export."""
    head = (
        f"{report.key}: {report.rows} rows ({report.rows_quarantined} cannot be used), {report.objects_in} objects "
        f"({report.objects_quarantined} cannot be converted), {len(report.findings)} findings\n"
    )
    return head + _findings_text(report.findings)


def log_entries(label_set: LabelSet) -> list[dict[str, object]]:
    """The log, oldest first."""
    return [
        {
            "seq": record.seq,
            "version": record.version,
            "op": record.op,
            "content_digest": record.content_digest,
            "manifest_digest": record.root.sha256 if record.root else None,
            "export_hashes": sorted({h for entry in record.exports for h in label_set.export_hashes(entry)}),
            "exports": [entry.id for entry in record.exports],
            "fragments": record.fragments,
            "buckets": record.buckets,
            "converter_version": record.converter_version,
            "config_digest": record.config_digest,
            "previous": record.previous,
        }
        for record in label_set.log()
    ]


def log_text(entries: Sequence[Mapping[str, object]]) -> str:
    """The log as a table."""
    lines = [f"{'seq':>4} {'version':>7}  {'op':8} {'content':12} {'fragments':>9}  exports\n"]
    for entry in entries:
        exports = entry["exports"]
        names = ", ".join(exports) if isinstance(exports, list) else ""
        digest = str(entry["content_digest"])[:12]
        lines.append(
            f"{entry['seq']:>4} {entry['version']:>7}  {entry['op']:8} {digest} {entry['fragments']:>9}  {names}\n"
        )
    return "".join(lines)


def version_summary(version: Version) -> dict[str, object]:
    """One version: counts, classes, lineage, where its files are."""
    root, lake = version.root, version.lake
    return {
        "version": version.number,
        "seq": version.record.seq,
        "op": version.record.op,
        "content_digest": root.content_digest,
        "manifest_digest": version.record.root.sha256 if version.record.root else None,
        "rows": root.rows,
        "tombstones": root.tombstones,
        "images": root.images,
        "annotations": root.annotations,
        "classes": version.classes,
        "categories": [{"id": c.id, "name": c.name, "feature_hash": c.feature_hash} for c in root.categories],
        "buckets": len(root.buckets),
        "exports": [
            {"id": e.id, "rows": e.rows, "sha256": e.sha256, "raw": f"{lake.url}/{layout.raw(e.sha256)}"}
            for e in version.exports().values()
        ],
        "files": {name: f"{lake.url}/{ref.key}" for name, ref in root.files.items()},
    }


def version_text(summary: Mapping[str, object]) -> str:
    """One version, line by line."""
    lines: list[str] = []
    for key, value in summary.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {held}" for name, held in value.items())]
        elif isinstance(value, list):
            lines += [f"{key}:", *("  " + ", ".join(f"{k} {v}" for k, v in item.items()) for item in value)]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines) + "\n"
