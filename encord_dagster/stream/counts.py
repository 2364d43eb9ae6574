"""What is counted while rows go by; counts of ranges add up to those of the export."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from encord_dagster.encord.model import RowEvent
from encord_dagster.findings import RANKS, Finding
from encord_dagster.formats.fragment import Category, ClassCount
from encord_dagster.landing import Export
from encord_dagster.outcomes import MAX_FINDINGS, MAX_HASHES, ExportOutcome
from encord_dagster.stream.judge import names_of


class Counts(msgspec.Struct, kw_only=True):
    """Counts of one range of an export."""

    rows: int = 0
    rows_quarantined: int = 0
    images: int = 0
    objects_in: int = 0
    published: int = 0
    quarantined: int = 0
    converted: int = 0
    coco_bytes: int = 0
    mask_bytes: int = 0
    excluded: dict[str, int] = {}
    losses: dict[str, int] = {}
    rules: dict[str, int] = {}
    names: dict[str, int] = {}  # objects by the name of their class
    classes: dict[str, dict[str, int]] = {}  # feature hash -> name -> objects
    findings: dict[str, list[Finding]] = {}  # by severity, the first of each
    export_hashes: list[str] = []
    earliest: str | None = None
    latest: str | None = None

    def add_event(self, event: RowEvent) -> None:
        """Count the export event of a row."""
        self.add_exports([event.exported_at or event.last_edited_at], [event.export_hash])

    def add_exports(self, at: Sequence[str | None], export_hashes: Sequence[str | None]) -> None:
        """Count events of such hashes; the times that order them are without their zone letter, as in `event_time`."""
        times = [(one or "").rstrip("Z") for one in at]
        self.earliest = min(times if self.earliest is None else [self.earliest, *times])
        self.latest = max(times if self.latest is None else [self.latest, *times])
        self.export_hashes += filter(None, export_hashes)

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Count findings, and keep the first ones."""
        for finding in findings:
            add(self.rules, {finding.rule: 1})
            kept = self.findings.setdefault(finding.severity, [])
            if len(kept) < MAX_FINDINGS:
                kept.append(finding)

    def add_classes(self, given: Mapping[tuple[str, str], int]) -> None:
        """Count objects by the feature hash and name of their class."""
        for (feature_hash, name), objects in given.items():
            add(self.classes.setdefault(feature_hash, {}), {name: objects})

    def add_objects(
        self, pairs: Mapping[tuple[str, str], int], losses: Mapping[str, int], *, images: int, objects: int
    ) -> None:
        """Count objects of which nothing is to be said, by class and name, and what formats cannot hold of them."""
        self.add_classes(pairs)
        add(self.names, names_of(pairs))
        add(self.losses, {code: count for code, count in losses.items() if count})
        self.images += images
        self.objects_in += objects
        self.published += objects


def add(counts: dict[str, int], more: dict[str, int]) -> None:
    """Add counts to others."""
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def together(parts: Iterable[Counts]) -> Counts:
    """The counts of several ranges, in their order."""
    whole = Counts()
    for part in parts:
        for name in ("rows", "rows_quarantined", "images", "objects_in", "published", "quarantined", "converted"):
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
        whole.coco_bytes += part.coco_bytes
        whole.mask_bytes += part.mask_bytes
        for name in ("excluded", "losses", "rules", "names"):
            add(getattr(whole, name), getattr(part, name))
        for feature_hash, named in part.classes.items():
            add(whole.classes.setdefault(feature_hash, {}), named)
        for severity, findings in part.findings.items():
            whole.findings[severity] = [*whole.findings.get(severity, []), *findings][:MAX_FINDINGS]
        whole.export_hashes += part.export_hashes
        times = [time for time in (whole.earliest, whole.latest, part.earliest, part.latest) if time is not None]
        whole.earliest, whole.latest = min(times, default=None), max(times, default=None)
    return whole


def class_counts(counts: Counts, categories: dict[str, Category]) -> list[ClassCount]:
    """Objects by class and name."""
    return [
        ClassCount(key, categories[key].id, name, categories[key].shape, objects)
        for key, named in counts.classes.items()
        for name, objects in named.items()
    ]


def outcome_of(export: Export, counts: Counts) -> ExportOutcome:
    """What became of the export. Its bytes are not digested here."""
    findings = [
        one for severity in sorted(counts.findings, key=lambda s: -RANKS[s]) for one in counts.findings[severity]
    ]
    hashes = sorted(set(counts.export_hashes))
    return ExportOutcome(
        export=export,
        status="converted",
        rows=counts.rows,
        rows_quarantined=counts.rows_quarantined,
        images=counts.images,
        objects_in=counts.objects_in,
        objects_published=counts.published,
        objects_quarantined=counts.quarantined,
        objects_excluded=counts.excluded,
        classes=dict(sorted(counts.names.items())),
        rules=dict(Counter(counts.rules).most_common()),
        findings=tuple(findings[:MAX_FINDINGS]),
        export_hashes=tuple(hashes[:MAX_HASHES]),
        export_hash_count=len(hashes),
        exported_from=f"{counts.earliest}Z" if counts.earliest else None,
        exported_to=f"{counts.latest}Z" if counts.latest else None,
        fragments_converted=counts.converted,
        coco_bytes=counts.coco_bytes,
        mask_bytes=counts.mask_bytes,
    )
