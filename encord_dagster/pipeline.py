"""From listed exports to a published version: read, validate, convert, publish. No Dagster, no bucket names."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from encord_dagster import identity, layout
from encord_dagster.accounting import Reading, excluded, read_rows, rule_counts
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.model import LabelRow, RowEvent
from encord_dagster.errors import ExportError, RowError, StorageError, UsageError
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import classes_of, fitted, fragment_name
from encord_dagster.label_set import history, quarantine, sources
from encord_dagster.label_set.categories import Categories
from encord_dagster.label_set.converted import write_converted
from encord_dagster.label_set.events import RowAccount, event_time, history_hashes, write_events
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.join import Join, State
from encord_dagster.label_set.manifest import BucketRow, ExportEntry, sha256
from encord_dagster.label_set.publish import publish as publish_version
from encord_dagster.landing import Export
from encord_dagster.outcomes import MAX_FINDINGS, MAX_HASHES, Batch, ExportOutcome, Published
from encord_dagster.spool import Spool
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe

Progress = Callable[[str], None]
COMMIT_ATTEMPTS = 50


def ingest(
    exports: Sequence[Export],
    *,
    landing: ObjectStore,
    lake: ObjectStore,
    config: LabelSetConfig,
    publish: bool = True,
    progress: Progress | None = None,
) -> Batch:
    """Bring exports into a label set as at most one new version. A bad export stops only itself.

    Raises StorageError where the lake fails, UnsafeStore where it has no create-only writes, HistoryDamaged where its
    log is altered, UsageError where a newer converter made its newest version.
    """
    refuse_unsafe(lake, prefix=layout.probe(config.name))
    with Spool() as spool:
        for attempt in range(COMMIT_ATTEMPTS):
            run = _Run(landing=landing, lake=lake, config=config, spool=spool, say=progress or (lambda _: None))
            outcomes = [run.read(export) for export in sorted(exports, key=lambda export: export.id)]
            if not publish:
                return Batch(outcomes=tuple(run.convert_only(outcomes)), published=None)
            head = run.commit()
            if head:
                return Batch(outcomes=tuple(run.settled(outcomes, head)), published=run.published(head))
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))  # noqa: S311 - jitter between racing publishers
    raise StorageError(
        f"{lake.url}: lost the commit to other publishers {COMMIT_ATTEMPTS} times; run again when quieter"
    )


class _Tally:
    """Counts of one export while its rows go by."""

    def __init__(self, export: Export) -> None:
        self.export = export
        self.accounts: list[RowAccount] = []
        self.held_back: list[quarantine.Item] = []
        self.counts: Counter[str] = Counter()
        self.excluded: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.changed: set[str] = set()  # row identities whose content this export decides

    def findings(self) -> list[Finding]:
        ranks = {"error": 0, "warning": 1, "info": 2}
        found = [finding for account in self.accounts for finding in account.findings]
        return sorted(found, key=lambda finding: ranks[finding.severity])

    def add(self, reading: Reading, row: LabelRow | None, findings: tuple[Finding, ...]) -> None:
        left_out = excluded(row) if row else {}
        quarantined = len(row.quarantined) if row else 0
        self.counts["rows"] += 1
        self.counts["rows_quarantined"] += reading.status == "quarantined"
        if row:
            on_frames = [item for frame in row.frames for item in frame.objects]
            if reading.status == "other_branch":
                left_out = {**left_out, "other_branch": len(on_frames)}
            else:
                self.counts["images"] += len(row.frames)
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


class _Run:
    """One attempt at a batch, on top of one head."""

    def __init__(
        self, *, landing: ObjectStore, lake: ObjectStore, config: LabelSetConfig, spool: Spool, say: Progress
    ) -> None:
        self.landing, self.lake, self.config, self.spool, self.say = landing, lake, config, spool, say
        self.head = history.head(lake, config.name)
        self.entries = history.accounted(lake, config.name, self.head)
        self.state = State(lake, self.head)
        self.stale = self.state.is_stale(config.digest())
        self.join = Join(self.state, {} if self.stale else self.entries, stale=self.stale)
        self.categories = Categories(lake, config.name)
        self.changes: dict[str, BucketRow] = {}
        self.decided_by: dict[str, str] = {}  # row identity -> export id
        self.datasets: set[str] = set()
        self.new_entries: dict[str, ExportEntry] = {}
        self.duplicates: set[str] = set()
        if self.stale:
            self._read_again()

    # reading

    def read(self, export: Export) -> ExportOutcome:
        """Read one export, convert what it decides, write its events and quarantine. Never raises for its content."""
        try:
            data = self.landing.get(export.key, etag=export.etag)
        except (StorageError, UsageError) as error:  # UsageError: a foreign key such as a//b.json
            return ExportOutcome(export=export, status="failed", error=str(error))
        if data is None:
            gone = f"{export.key} is no longer in {self.landing.url}; deliver it again if it is needed"
            return ExportOutcome(export=export, status="failed", error=gone)
        digest = sha256(data)
        self.say(f"{export.key}: {len(data):,} bytes, export {export.id}")
        sources.record_source(self.lake, self.config.name, export)
        first = sources.claim_bytes(self.lake, digest, export)
        if first.id != export.id and (first.id in self.entries or first.id in self.new_entries):
            sources.record_duplicate(self.lake, self.config.name, export, first_id=first.id)
            self.say(f"{export.key}: the same bytes as export {first.id}; recorded as a second source")
            return ExportOutcome(export=export, status="observed", sha256=digest, uris={"same_as": first.id})
        uris = {"raw": self._keep_raw(digest, data)}
        tally = _Tally(export)
        try:
            self._read_rows(data, tally)
        except ExportError as error:
            return self._refused(export, digest, error, uris)
        if tally.counts["rows"] and tally.counts["rows"] == tally.counts["rows_quarantined"]:
            unusable = ExportError("no_usable_row", f"none of its {tally.counts['rows']} rows can be used")
            return self._refused(export, digest, unusable, uris, tally)
        return self._accepted(digest, tally, uris)

    def _read_rows(self, data: bytes, tally: _Tally) -> None:
        for reading in read_rows(data, self.config):
            findings, row = list(reading.findings), reading.row
            if row and reading.event and reading.status == "accepted":
                try:
                    row, more = self._take(row, reading.event, tally)
                except RowError as error:  # it reads, and no format can hold it
                    more = [Finding(error.reason, "error", Location(row=row.label_hash), str(error))]
                    reading, row = msgspec.structs.replace(reading, status="quarantined"), None
                findings = [*more, *findings] if row is None else [*findings, *more]
            if reading.event and reading.status == "quarantined":
                findings += self._kept_older(reading.event)
            tally.add(reading, row, tuple(findings))
            if tally.counts["rows"] % 1000 == 0:
                self.say(f"{tally.export.key}: {tally.counts['rows']:,} rows, {tally.counts['objects_in']:,} objects")

    def _take(self, row: LabelRow, event: RowEvent, tally: _Tally) -> tuple[LabelRow, list[Finding]]:
        """Offer a row to the join; convert it where it decides its content and the content is new."""
        place = Location(row=row.label_hash)
        findings: list[Finding] = []
        known = self.state.root.datasets if self.state.root else ()
        if row.dataset_hash and known and row.dataset_hash not in known and row.dataset_hash not in self.datasets:
            text = f"dataset {row.dataset_hash} is new to this label set; check that the prefix holds one project"
            findings.append(Finding("new_dataset", "warning", place, text))
        self.datasets |= {row.dataset_hash} if row.dataset_hash else set()
        key = identity.row_identity(row.label_hash, row.branch_name)
        categories = self.categories.claim(classes_of(row))
        row = fitted(row, categories)
        findings += [f for held in row.quarantined for f in held.findings if f.rule == "skeleton_joint_unknown"]
        changed, rival = self.join.offer(event)
        if rival and rival.export_hash != event.export_hash and rival.export_hash in history_hashes(event.history):
            text = f"its history holds export {rival.export_hash}, yet that event is newer by its own time"
            findings.append(Finding("history_disagrees", "warning", place, text))
        if rival is None:
            self.changes.pop(key, None)
            self.decided_by[key] = tally.export.id
        if changed:
            name = fragment_name(event.fingerprint, categories, config_digest=self.config.digest())
            if name not in self.spool and not row.deleted:
                self.spool.put(name, convert(row, categories, masks=self.config.masks))
                tally.counts["converted"] += 1
            self.changes[key] = self._bucket_row(row, event, None if row.deleted else name)
        else:
            tally.counts["reused"] += 1
        return row, findings

    def _bucket_row(self, row: LabelRow, event: RowEvent, name: str | None) -> BucketRow:
        fragment = self.spool.get(name) if name else None
        return BucketRow(
            row=identity.row_identity(row.label_hash, row.branch_name),
            label_hash=row.label_hash,
            branch_name=row.branch_name,
            fingerprint=event.fingerprint,
            fragment=name,
            objects_in=row.objects_in,
            objects_quarantined=len(row.quarantined),
            objects_excluded=excluded(row),
            images=len(fragment.images) if fragment else 0,
            annotations=len(fragment.annotations) if fragment else 0,
            classes=fragment.classes if fragment else (),
        )

    def _kept_older(self, event: RowEvent) -> list[Finding]:
        if self.state.row(identity.row_identity(event.label_hash, event.branch_name)) is None:
            return []
        text = "this event cannot be used, so the version keeps the row as it was before"
        return [Finding("newer_event_quarantined", "warning", Location(row=event.label_hash), text)]

    def _read_again(self) -> None:
        """The converter or the configuration changed: convert all accounted exports anew, out of the raw copies."""
        self.say(f"configuration or converter changed: converting {len(self.entries)} earlier exports again")
        for entry in self.entries.values():
            data = self.lake.get(layout.raw(entry.sha256))
            if data is None:
                raise UsageError(
                    f"the configuration changed, and {layout.raw(entry.sha256)} is not in {self.lake.url}, so the rows "
                    "of that export cannot be converted again; keep the old configuration or use a new label set name"
                )
            earlier = Export(id=entry.id, key=layout.raw(entry.sha256), size=len(data), etag="", last_modified="")
            self._read_rows(data, _Tally(earlier))

    # writing

    def _keep_raw(self, digest: str, data: bytes) -> str:
        if self.config.keep_raw:
            self.lake.create(layout.raw(digest), data)
        return f"{self.lake.url}/{layout.raw(digest) if self.config.keep_raw else layout.raw_pointer(digest)}"

    def _refused(
        self, export: Export, digest: str, error: ExportError, uris: dict[str, str], tally: _Tally | None = None
    ) -> ExportOutcome:
        finding = Finding(error.reason, "error", Location(), f"{export.key}: {error}")
        held = [*(tally.held_back if tally else ()), quarantine.Item(reason=error.reason, findings=(finding,))]
        key = quarantine.write(self.lake, self.config.name, export, digest, held, whole=True)
        self.say(f"{export.key}: quarantined: {error}")
        findings = (finding, *(tally.findings() if tally else ()))
        return ExportOutcome(
            export=export,
            status="quarantined",
            sha256=digest,
            rows=tally.counts["rows"] if tally else 0,
            rows_quarantined=tally.counts["rows_quarantined"] if tally else 0,
            rules=rule_counts(findings),
            findings=findings[:MAX_FINDINGS],
            uris=uris | {"quarantine": f"{self.lake.url}/{key}"},
            error=str(error),
        )

    def _accepted(self, digest: str, tally: _Tally, uris: dict[str, str]) -> ExportOutcome:
        export, name = tally.export, self.config.name
        if not tally.accounts:
            empty = Finding(
                "no_rows", "warning", Location(), f"{export.key} holds no label rows; check the export's filter"
            )
            tally.accounts.append(RowAccount(status="export", event=None, findings=(empty,)))
        ref = write_events(self.lake, name, export.id, tally.accounts)
        uris |= {"events": f"{self.lake.url}/{ref.key}"}
        if tally.held_back:
            key = quarantine.write(self.lake, name, export, digest, tally.held_back, whole=False)
            uris |= {"quarantine": f"{self.lake.url}/{key}"}
        events = [account.event for account in tally.accounts if account.event]
        times = sorted(event_time(event) for event in events)
        hashes = tuple(sorted({event.export_hash for event in events if event.export_hash}))
        if export.id not in self.entries:
            self.new_entries[export.id] = ExportEntry(
                id=export.id,
                sha256=digest,
                events=ref,
                rows=len(events),
                latest=times[-1] if times else "",
                export_hashes=hashes[:MAX_HASHES],
                export_hash_count=len(hashes),
            )
        findings, counts = tally.findings(), tally.counts
        self.say(f"{export.key}: {counts['rows']:,} rows, {counts['published']:,} objects, {len(findings):,} findings")
        return ExportOutcome(
            export=export,
            status="observed",
            sha256=digest,
            rows=counts["rows"],
            rows_quarantined=counts["rows_quarantined"],
            images=counts["images"],
            objects_in=counts["objects_in"],
            objects_published=counts["published"],
            objects_quarantined=counts["quarantined"],
            objects_excluded=dict(tally.excluded),
            classes=dict(sorted(tally.classes.items())),
            rules=rule_counts(findings),
            findings=tuple(findings[:MAX_FINDINGS]),
            export_hashes=hashes[:MAX_HASHES],
            exported_from=times[0] if times else None,
            exported_to=times[-1] if times else None,
            fragments_converted=counts["converted"],
            fragments_reused=counts["reused"],
            uris=uris,
        )

    # ending

    def commit(self) -> Head | None:
        """Publish or observe; the head as it is where there is nothing to account for, None where the race was lost."""
        if not self.new_entries and not self.changes:
            return self.head
        return publish_version(
            self.state,
            config=self.config,
            changes=self.changes,
            load=self.spool.get,
            categories=self.categories.claimed,
            datasets=self.datasets,
            exports=tuple(self.new_entries.values()),
        )

    def settled(self, outcomes: Sequence[ExportOutcome], head: Head) -> list[ExportOutcome]:
        """Outcomes with what the commit made of them."""
        record = head.record
        if record is None or record.op != "publish" or head == self.head:
            return list(outcomes)
        deciding = {self.decided_by[key] for key in self.changes}
        return [
            msgspec.structs.replace(outcome, status="published") if outcome.export.id in deciding else outcome
            for outcome in outcomes
        ]

    def convert_only(self, outcomes: Sequence[ExportOutcome]) -> list[ExportOutcome]:
        """Store what was converted beside the exports that it came from; publish nothing."""
        made: list[ExportOutcome] = []
        for outcome in outcomes:
            mine = [row for key, row in self.changes.items() if self.decided_by[key] == outcome.export.id]
            if outcome.status != "observed":
                made.append(outcome)
                continue
            files = write_converted(
                self.lake, self.config.name, outcome.export.id, mine, self.spool.get, self.categories.claimed
            )
            made.append(msgspec.structs.replace(outcome, status="converted", uris=outcome.uris | files))
        return made

    def published(self, head: Head) -> Published | None:
        """The head for people; None in an empty label set."""
        record = head.record
        if record is None or record.op not in ("publish", "observe"):
            return None
        root = State(self.lake, head).root
        coco = root.files.get("annotations/instances.json") if root else None
        counts: Counter[str] = Counter()
        for count in root.classes if root else ():
            counts[count.name] += count.objects
        return Published(
            seq=record.seq,
            version=record.version,
            op=record.op,
            content_digest=record.content_digest,
            manifest_digest=record.root.sha256 if record.root else "",
            rows=root.rows if root else 0,
            images=root.images if root else 0,
            annotations=root.annotations if root else 0,
            classes=dict(counts),
            uri=f"{self.lake.url}/{layout.log(self.config.name, record.seq)}",
            coco_uri=f"{self.lake.url}/{coco.key}" if coco else None,
        )
