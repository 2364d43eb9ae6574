"""Counts of one export while its rows go by, and what they say about it in the end."""

from collections import Counter
from collections.abc import Mapping, Sequence

from encord_dagster import identity
from encord_dagster.accounting import Reading, excluded, rule_counts
from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError
from encord_dagster.findings import RANKS, Finding, Location
from encord_dagster.formats.fragment import Fragment
from encord_dagster.label_set import quarantine
from encord_dagster.label_set.events import RowAccount, event_time
from encord_dagster.label_set.manifest import ExportEntry, ObjectRef
from encord_dagster.landing import Export
from encord_dagster.outcomes import MAX_FINDINGS, MAX_HASHES, ExportOutcome


class Tally:
    """What became of the rows of one export."""

    def __init__(
        self, export: Export, digest: str, *, ontology: str = "", named: Mapping[str, str] | None = None
    ) -> None:
        self.export, self.digest = export, digest  # digest: sha256 hex of its bytes
        self.ontology = ontology  # sha256 hex of the ontology that lay beside it and was kept
        self.named = dict(named or {})  # parts of its name
        self.quarantine = ""  # key of what it left there
        self.accounts: list[RowAccount] = []
        self.held_back: list[quarantine.Item] = []
        self.counts: Counter[str] = Counter()
        self.excluded: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()

    def add(self, reading: Reading, row: LabelRow | None, findings: tuple[Finding, ...]) -> None:
        """Count a row; `row` is None where it cannot be used."""
        left_out = excluded(row) if row else {}
        quarantined = len(row.quarantined) if row else 0
        self.counts["rows"] += 1
        self.counts["rows_quarantined"] += reading.status == "quarantined"
        if row:
            on_frames = [item for frame in row.frames for item in frame.objects]
            if reading.status in ("other_branch", "retired"):
                left_out = {**left_out, reading.status: len(on_frames)}
            else:
                self.counts["images"] += sum(1 for frame in row.frames if frame.width and frame.height)
                self.counts["published"] += len(on_frames)
                self.classes.update(item.name for item in on_frames)
            self.counts["objects_in"] += row.objects_in
            self.counts["quarantined"] += quarantined
            self.excluded.update(left_out)
        self.held_back += quarantine.items(reading, row, findings)
        self.accounts.append(
            RowAccount(
                status=reading.status,
                event=reading.event,
                findings=findings,
                objects_in=row.objects_in if row else 0,
                objects_quarantined=quarantined,
                objects_excluded=sum(left_out.values()),
            )
        )

    def converted(self, fragment: Fragment) -> None:
        """Count the fragment of a row that decides new content."""
        self.counts["converted"] += 1
        self.counts["coco_bytes"] += sum(map(len, (*fragment.images, *fragment.annotations)))
        self.counts["mask_bytes"] += sum(len(mask.png) for mask in fragment.masks)

    def note(self, *findings: Finding) -> None:
        """Add findings about the export as a whole."""
        self.accounts += [RowAccount(status="export", event=None, findings=(finding,)) for finding in findings]

    @property
    def unusable(self) -> bool:
        """Whether it has rows, and none of them can be used."""
        return 0 < self.counts["rows"] == self.counts["rows_quarantined"]

    def findings(self) -> list[Finding]:
        """All findings, worst first."""
        found = [finding for account in self.accounts for finding in account.findings]
        return sorted(found, key=lambda finding: -RANKS[finding.severity])

    def held(self, items: Sequence[quarantine.Item], *, whole: bool) -> quarantine.Record:
        """What goes to quarantine, as a record."""
        return quarantine.Record(
            export=self.export, raw=self.digest, ontology=self.ontology, whole=whole, items=tuple(items)
        )

    def refusal(self, error: ExportError) -> list[quarantine.Item]:
        """What goes to quarantine where the whole export does."""
        return [*self.held_back, quarantine.Item(reason=error.reason, findings=(self.finding(error),))]

    def refused(self, error: ExportError, uris: dict[str, str]) -> ExportOutcome:
        """The outcome of an export that is quarantined whole."""
        findings = [self.finding(error), *self.findings()]
        return ExportOutcome(
            export=self.export,
            status="quarantined",
            sha256=self.digest,
            named=self.named,
            rows=self.counts["rows"],
            rows_quarantined=self.counts["rows_quarantined"],
            rules=rule_counts(findings),
            findings=tuple(findings[:MAX_FINDINGS]),
            uris=uris,
            error=str(error),
        )

    def observed(self, uris: dict[str, str]) -> ExportOutcome:
        """The outcome of an export whose rows were offered to the label set."""
        findings, hashes, times = self.findings(), self._export_hashes(), self._times()
        return ExportOutcome(
            export=self.export,
            status="observed",
            sha256=self.digest,
            named=self.named,
            rows=self.counts["rows"],
            rows_quarantined=self.counts["rows_quarantined"],
            images=self.counts["images"],
            objects_in=self.counts["objects_in"],
            objects_published=self.counts["published"],
            objects_quarantined=self.counts["quarantined"],
            objects_excluded=dict(self.excluded),
            classes=dict(sorted(self.classes.items())),
            rules=rule_counts(findings),
            findings=tuple(findings[:MAX_FINDINGS]),
            export_hashes=hashes[:MAX_HASHES],
            export_hash_count=len(hashes),
            exported_from=f"{times[0]}Z" if times and times[0] else None,
            exported_to=f"{times[-1]}Z" if times and times[-1] else None,
            fragments_converted=self.counts["converted"],
            fragments_reused=self.counts["reused"],
            coco_bytes=self.counts["coco_bytes"],
            mask_bytes=self.counts["mask_bytes"],
            uris=uris,
        )

    def entry(self, events: ObjectRef) -> ExportEntry:
        """How the log accounts for the export."""
        hashes, times = self._export_hashes(), self._times()
        return ExportEntry(
            id=self.export.id,
            sha256=self.digest,
            ontology=self.ontology,
            named=self.named,
            quarantine=self.quarantine,
            events=events,
            rows=sum(1 for account in self.accounts if account.event),
            latest=times[-1] if times else "",
            export_hashes=hashes[:MAX_HASHES],
            export_hash_count=len(hashes),
        )

    @property
    def rank(self) -> tuple[str, str]:
        """What orders exports, as `join.rank` does."""
        times = self._times()
        return (times[-1] if times else "", self.export.id)

    def rows(self) -> set[str]:
        """Identities of the rows that it names."""
        events = (account.event for account in self.accounts if account.event)
        return {identity.row_identity(event.label_hash, event.branch_name) for event in events}

    def _export_hashes(self) -> tuple[str, ...]:
        found = {account.event.export_hash for account in self.accounts if account.event}
        return tuple(sorted(export_hash for export_hash in found if export_hash))

    def _times(self) -> Sequence[str]:
        return sorted(event_time(account.event) for account in self.accounts if account.event)

    def finding(self, error: ExportError) -> Finding:
        """Why the whole export cannot be used."""
        return Finding(error.reason, "error", Location(), f"{redact(self.export.key)}: {error}")
