"""Counts of one export while its rows go by, and what they say about it in the end."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from encord_dagster.accounting import Reading, rule_counts
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError
from encord_dagster.findings import RANKS, Finding, Location
from encord_dagster.formats.arrays import compute
from encord_dagster.label_set import quarantine
from encord_dagster.label_set.accounted import Rank
from encord_dagster.label_set.accounts import Accounts, Again, RowAccount
from encord_dagster.label_set.events import event_time
from encord_dagster.label_set.manifest import ExportEntry, ObjectRef
from encord_dagster.landing import Export
from encord_dagster.offers import Facts, Made
from encord_dagster.outcomes import MAX_FINDINGS, MAX_HASHES, ExportOutcome
from encord_dagster.returning import Returning


class Tally:
    """What became of the rows of one export."""

    def __init__(
        self, export: Export, digest: str, *, ontology: str = "", named: Mapping[str, str] | None = None
    ) -> None:
        self.export, self.digest = export, digest  # digest: sha256 hex of its bytes
        self.ontology = ontology  # sha256 hex of the ontology that lay beside it and was kept
        self.named = dict(named or {})  # parts of its name
        self.quarantine = ""  # key of what it left there
        self.accounts = Accounts()
        self.found: list[Finding] = []
        self.held_back: list[quarantine.Item] = []
        self.counts: Counter[str] = Counter()
        self.excluded: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.events = 0  # rows that have a name
        self._times = ("", "")  # the first and the last of their times

    def add(self, reading: Reading, row: Facts | None, findings: tuple[Finding, ...]) -> None:
        """Count a row; `row` is None where it cannot be used."""
        self.held_back += quarantine.items(reading, row, findings)
        account = RowAccount(status=reading.status, event=reading.event, findings=findings)
        if row:
            images, classes, left_out = row.images, row.classes, row.excluded
            if reading.status in ("other_branch", "retired"):
                images, classes, left_out = 0, {}, left_out | {reading.status: sum(classes.values())}
            account = msgspec.structs.replace(
                account,
                objects_in=row.objects_in,
                objects_quarantined=len(row.quarantined),
                images=images,
                classes=classes,
                excluded=left_out,
                digest=None if row.quarantined else reading.digest,
            )
        self._add(account)

    def add_again(self, row: Returning, findings: tuple[Finding, ...]) -> None:
        """Count a row that came before with the same labels; `findings` are those of the join."""
        known = row.known
        account = RowAccount(
            status=known.status,
            event=row.event,
            findings=(*known.findings, *findings),
            objects_in=known.objects_in,
            images=known.images,
            classes=known.classes,
            excluded=known.excluded,
            digest=None if findings else known.digest,  # the next time the join may find something else
        )
        self.counts["reused"] += known.status == "accepted"
        self._add(account)

    def add_all_again(self, rows: Again) -> None:
        """Count rows that came before with the same labels, of which nothing is to be said."""
        counts, excluded, objects = self.counts, rows.counts("excluded"), rows.sum("objects_in")
        counts["rows"] += len(rows.keys)
        counts["reused"] += len(rows.keys)
        counts["images"] += rows.sum("images")
        counts["objects_in"] += objects
        counts["published"] += objects - excluded.total()
        self.classes.update(rows.counts("classes"))
        self.excluded.update(excluded)
        self._note_times(rows.times())
        self.accounts.add(rows)

    def _note_times(self, times: Sequence[str]) -> None:
        """Count rows that have a name by their times."""
        known = self._times if self.events else times[:1]
        self._times = (min(*known, *times), max(*known, *times))
        self.events += len(times)

    def _add(self, account: RowAccount) -> None:
        counts, event = self.counts, account.event
        counts["rows"] += 1
        counts["rows_quarantined"] += account.status == "quarantined"
        counts["images"] += account.images
        counts["objects_in"] += account.objects_in
        counts["quarantined"] += account.objects_quarantined
        counts["published"] += account.objects_in - account.objects_quarantined - sum(account.excluded.values())
        if account.classes:
            self.classes.update(account.classes)
        if account.excluded:
            self.excluded.update(account.excluded)
        self.found += account.findings
        if event:
            self._note_times([event_time(event)])
        self.accounts.add(account)

    def converted(self, made: Made) -> None:
        """Count the fragment of a row that decides new content."""
        self.counts["converted"] += 1
        self.counts["coco_bytes"] += made.coco_bytes
        self.counts["mask_bytes"] += made.mask_bytes

    def note(self, *findings: Finding) -> None:
        """Add findings about the export as a whole."""
        for finding in findings:
            self.found.append(finding)
            self.accounts.add(RowAccount(status="export", event=None, findings=(finding,)))

    @property
    def unusable(self) -> bool:
        """Whether it has rows, and none of them can be used."""
        return 0 < self.counts["rows"] == self.counts["rows_quarantined"]

    def findings(self) -> list[Finding]:
        """All findings, worst first."""
        return sorted(self.found, key=lambda finding: -RANKS[finding.severity])

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
        findings, hashes, (first, last) = self.findings(), self._export_hashes(), self._times
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
            exported_from=f"{first}Z" if first else None,
            exported_to=f"{last}Z" if last else None,
            fragments_converted=self.counts["converted"],
            fragments_reused=self.counts["reused"],
            coco_bytes=self.counts["coco_bytes"],
            mask_bytes=self.counts["mask_bytes"],
            uris=uris,
        )

    def entry(self, events: ObjectRef) -> ExportEntry:
        """How the log accounts for the export."""
        hashes = self._export_hashes()
        return ExportEntry(
            id=self.export.id,
            sha256=self.digest,
            ontology=self.ontology,
            named=self.named,
            quarantine=self.quarantine,
            events=events,
            rows=self.events,
            latest=self._times[1],
            export_hashes=hashes[:MAX_HASHES],
            export_hash_count=len(hashes),
        )

    @property
    def rank(self) -> Rank:
        """What orders exports."""
        return (self._times[1], self.export.id)

    def _export_hashes(self) -> tuple[str, ...]:
        found = compute("unique", self.accounts.table()["export_hash"]).to_pylist()
        return tuple(sorted(export_hash for export_hash in found if export_hash))

    def finding(self, error: ExportError) -> Finding:
        """Why the whole export cannot be used."""
        return Finding(error.reason, "error", Location(), f"{redact(self.export.key)}: {error}")
