"""Outcomes, logs and versions as text and as plain values for JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from encord_dagster import layout
from encord_dagster.commands import Validated
from encord_dagster.encord.privacy import redact
from encord_dagster.findings import RANKS, Finding
from encord_dagster.formats import losses
from encord_dagster.label_set import tree
from encord_dagster.outcomes import Batch, ExportOutcome

if TYPE_CHECKING:
    from encord_dagster.label_set.diff import Diff, ObjectCounts, RowChange, Sides
    from encord_dagster.label_set.read import LabelSet, Version

SHOWN = 20
IDS_SHOWN = 3


def at_least(findings: Sequence[Finding], severity: str) -> bool:
    """Whether any finding is as bad as `severity` or worse."""
    return any(RANKS[finding.severity] >= RANKS[severity] for finding in findings)


def worst_at_least(batch: Batch, severity: str) -> bool:
    """Whether any export of a batch failed, or it or the version it made has a finding as bad or worse."""
    found = [finding for outcome in batch.outcomes for finding in outcome.findings]
    found += _told(batch)
    return at_least(found, severity) or any(outcome.status == "failed" for outcome in batch.outcomes)


def _told(batch: Batch) -> tuple[Finding, ...]:
    """Findings of the version that the batch made, also where it is held back; none of one that it found there."""
    made = batch.published
    if made is None or not any(outcome.status in ("published", "held") for outcome in batch.outcomes):
        return ()
    return made.held_findings if made.held else made.findings


def counts_text(counts: Mapping[str, int]) -> str:
    """`car 12, lane 3`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _findings_text(findings: Sequence[Finding]) -> str:
    lines = "".join(f"    {finding.severity:7} {finding}\n" for finding in findings[:SHOWN])
    more = len(findings) - SHOWN
    return lines + (f"    … and {more} more\n" if more > 0 else "")


def _version_findings_text(findings: Sequence[Finding]) -> str:
    """Findings of a version as a whole, which lie in no row."""
    return "".join(f"    {finding.severity:7} {finding.message} [{finding.rule}]\n" for finding in findings)


def batch_text(batch: Batch) -> str:
    """What became of each export, and which version that made."""
    text = "".join(_outcome_text(outcome) for outcome in batch.outcomes)
    made = batch.published
    if made is None and batch.outcomes and all(outcome.status == "converted" for outcome in batch.outcomes):
        return text
    if made is None:
        return text + ("nothing was published\n" if batch.outcomes else "there was nothing to do\n")
    return text + (
        f"{'' if batch.outcomes else 'nothing new: '}version {made.version} (record {made.seq}, {made.op}): "
        f"{_counted(made.rows, 'label row')}, {_counted(made.images, 'image')}, "
        f"{_counted(made.annotations, 'annotation')}\n{_version_findings_text(_told(batch))}"
    )


def _outcome_text(outcome: ExportOutcome) -> str:
    text = f"{redact(outcome.export.key)}: {outcome.status}{_why(outcome)}\n"
    if outcome.rows:
        unusable = f" ({outcome.rows_quarantined} quarantined)" if outcome.rows_quarantined else ""
        text += f"  {_counted(outcome.rows, 'label row')}{unusable}, {_fates(outcome)}\n"
    if outcome.classes:
        text += f"  classes: {counts_text(outcome.classes)}\n"
    if outcome.status in ("published", "observed", "held", "converted") and outcome.rows:
        done, known = outcome.fragments_converted, outcome.fragments_reused
        text += f"  {_counted(done, 'label row')} converted, {known:,} known from earlier exports\n"
    shown = [finding for finding in outcome.findings if finding.severity != "info"]
    if shown and outcome.error and shown[0].message.endswith(outcome.error):
        shown = shown[1:]  # said above
    return text + _findings_text(shown)


def _why(outcome: ExportOutcome) -> str:
    if outcome.error:
        return f": {outcome.error}"
    if "same_as" in outcome.uris:
        return f", the same bytes as export {outcome.uris['same_as']}"
    if outcome.status == "held":
        return ", the version that it changes is held back: release it, roll back, or bring a better export"
    return ", all of it was known or overtaken" if outcome.status == "observed" else ""


def _fates(outcome: ExportOutcome) -> str:
    """`56 objects: 53 published, 3 quarantined`."""
    if not outcome.objects_in:
        return "no objects"
    fates = [f"{outcome.objects_published:,} published"]
    if outcome.objects_quarantined:
        fates.append(f"{outcome.objects_quarantined:,} quarantined")
    if outcome.objects_excluded:
        fates.append(f"{sum(outcome.objects_excluded.values()):,} excluded ({counts_text(outcome.objects_excluded)})")
    return f"{_counted(outcome.objects_in, 'object')}: {', '.join(fates)}"


def validation_text(report: Validated) -> str:
    """What is wrong with one export."""
    rows = f" ({report.rows_quarantined:,} cannot be used)" if report.rows_quarantined else ""
    objects = [f"{report.objects_quarantined:,} cannot be converted"] if report.objects_quarantined else []
    if left_out := report.objects_excluded:
        objects.append(f"{sum(left_out.values()):,} left out: {counts_text(left_out)}")
    fates = f" ({', '.join(objects)})" if objects else ""
    head = (
        f"{report.key}: {_counted(report.rows, 'label row')}{rows}, {_counted(report.objects_in, 'object')}{fates}, "
        f"{_counted(len(report.findings), 'finding')}\n"
    )
    return head + _findings_text(sorted(report.findings, key=lambda finding: -RANKS[finding.severity]))


def log_entries(label_set: "LabelSet", *, last: int | None = None) -> list[dict[str, object]]:
    """The log, or its last records, oldest first. Of the export hashes of an export no more than the record has."""
    return [
        {
            "seq": record.seq,
            "version": record.version,
            "op": record.op,
            "content_digest": record.content_digest,
            "manifest_digest": record.root.sha256 if record.root else None,
            "export_hashes": sorted({found for entry in record.exports for found in entry.export_hashes}),
            "export_hash_count": sum(entry.export_hash_count for entry in record.exports),
            "exports": [entry.id for entry in record.exports],
            "fragments": record.fragments,
            "buckets": record.buckets,
            "converter_version": record.converter_version,
            "config_digest": record.config_digest,
            "previous": record.previous,
            "findings": record.doubts,
            "held": record.held is not None,
            "blocked": record.blocked,
            "reason": record.reason,
        }
        for record in label_set.log(last=last)
    ]


def log_text(entries: Sequence[Mapping[str, object]]) -> str:
    """The log as a table."""
    lines = [f"{'seq':>4} {'version':>7}  {'op':8} {'content':12} {'fragments':>9} {'findings':>8} {'exports':>7}\n"]
    for entry in entries:
        exports, findings = entry["exports"], entry["findings"]
        ids = exports if isinstance(exports, list) else []
        found = len(findings) if isinstance(findings, tuple) else 0
        names = ", ".join(ids[:IDS_SHOWN]) + (f" and {len(ids) - IDS_SHOWN:,} more" if len(ids) > IDS_SHOWN else "")
        lines.append(
            f"{entry['seq']:>4} {entry['version']:>7}  {entry['op']:8} {str(entry['content_digest'])[:12]} "
            f"{entry['fragments']:>9} {found:>8} {len(ids):>7}  {names}\n"
        )
    return "".join(lines)


def version_summary(version: "Version") -> dict[str, object]:
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
        "buckets": tree.count(root),
        "losses": version.losses,
        "findings": version.record.doubts,
        "held": version.record.held is not None,
        "exports": [
            {"id": e.id, "rows": e.rows, "sha256": e.sha256, "raw": f"{lake.url}/{layout.raw(e.sha256)}"}
            for e in version.exports().values()
        ],
        "files": {name: f"{lake.url}/{ref.key}" for name, ref in root.files.items()},
    }


def version_text(version: "Version") -> str:
    """One version: what it holds, what is odd about it, its classes, its losses, its exports, its files."""
    root, record = version.root, version.record
    deleted = f" ({root.tombstones:,} of deleted data)" if root.tombstones else ""
    lines = [
        f"version {version.number} (record {record.seq}, {record.op})",
        f"  {_counted(root.rows, 'label row')}{deleted}, {_counted(root.images, 'image')}, "
        f"{_counted(root.annotations, 'annotation')} in {_counted(tree.count(root), 'bucket')}",
        f"  content digest   {root.content_digest}",
        f"  manifest digest  {record.root.sha256 if record.root else 'none'}",
        *(["findings", _version_findings_text(record.doubts).rstrip("\n")] if record.doubts else []),
        "classes",
        *_class_lines(version),
        "losses",
        *_loss_lines(version),
        "exports",
        *_export_lines(version),
    ]
    if root.files:
        lines += ["files", *(f"  {name}  {version.lake.url}/{ref.key}" for name, ref in root.files.items())]
    return "\n".join(lines) + "\n"


def _export_lines(version: "Version") -> list[str]:
    exports = list(version.exports().values())
    lines = [f"  {entry.id}  {_counted(entry.rows, 'label row')}" for entry in exports[-SHOWN:]]
    earlier = len(exports) - len(lines)
    return ([f"  {_counted(earlier, 'earlier export')}: --json lists them all"] if earlier else []) + lines


def _class_lines(version: "Version") -> list[str]:
    objects: Counter[str] = Counter()
    for count in version.root.classes:
        objects[count.feature_hash] += count.objects
    wide = max((len(category.name) for category in version.root.categories), default=0)
    return [
        f"  {category.id:>5}  {category.name:{wide}}  {objects[category.feature_hash]:>9,}  {category.shape}"
        for category in version.root.categories
    ] or ["  none"]


def _loss_lines(version: "Version") -> list[str]:
    lines = losses.reported(version.losses)
    wide = max((len(line.code) for line in lines), default=0)
    return [f"  {line.count:>9,}  {line.code:{wide}}  {line.description}" for line in lines] or ["  none"]


def diff_text(found: "Diff") -> str:
    """What changed between two versions."""
    config = " (another configuration)" if found.configuration_changed else ""
    head = f"version {found.before} -> {found.after}{config}\n"
    if not any(found.rows.values()) and not found.categories:
        return f"{head}  nothing differs\n"
    rows, images, given = found.rows, found.images, found.classifications
    lines = [
        f"  label rows       {rows['added']:,} added, {rows['removed']:,} removed, {rows['changed']:,} changed"
        + (f", {rows['converted']:,} converted anew" if rows["converted"] else ""),
        f"  images           {images.added:,} added, {images.removed:,} removed, {images.changed:,} changed",
        f"  classifications  {given.added:,} added, {given.removed:,} removed, {given.changed:,} changed",
        f"  objects          {_objects_text(found.objects)}",
        "totals",
        *_sides(found.totals),
        *(["classes"] if found.classes else []),
        *(f"  {one.name or one.feature_hash}: {_objects_text(one.objects)}" for one in found.classes),
        *(["categories"] if found.categories else []),
        *(f"  {one.id:>5}  {one.name}: {one.fate}" for one in found.categories),
        *(["losses", *_sides(found.losses)] if found.losses else []),
        *(["new findings", _version_findings_text(found.findings_new).rstrip("\n")] if found.findings_new else []),
        *(["findings gone", _version_findings_text(found.findings_gone).rstrip("\n")] if found.findings_gone else []),
        "rows",
        *map(_row_line, found.listed[:SHOWN]),
    ]
    more = sum(rows.values()) - min(len(found.listed), SHOWN)
    return head + "\n".join(lines + ([f"  … and {more:,} more"] if more else [])) + "\n"


def _objects_text(counts: "ObjectCounts") -> str:
    """`2 added, 0 removed, 3 changed (1 geometry, 2 attributes)`."""
    kinds = {
        "geometry": counts.geometry,
        "attributes": counts.attributes,
        "class": counts.reclassified,
        "other": counts.other,
    }
    what = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    return f"{counts.added:,} added, {counts.removed:,} removed, {counts.changed:,} changed" + (
        f" ({what})" if what else ""
    )


def _sides(counts: "Mapping[str, Sides]") -> list[str]:
    return [f"  {name}  {was:,} -> {now:,}" for name, (was, now) in counts.items() if was or now]


def _row_line(row: "RowChange") -> str:
    gone = ", its data was deleted" if row.gone else ""
    export = f"  by export {row.export_id}" if row.export_id else ""
    return f"  {row.label_hash}  {row.fate}{gone}: objects {_objects_text(row.objects)}{export}"
