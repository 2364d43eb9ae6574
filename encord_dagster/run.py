"""One attempt at a batch of exports: read, validate, convert on top of one head, and commit."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from encord_dagster import layout
from encord_dagster.accounting import Reading, open_delivery, read_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.draft import Draft
from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.packed import LARGEST_EXPORT
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError, HistoryDamaged, RowError, StorageError, UsageError
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set import history, quarantine, sources
from encord_dagster.label_set.categories import Categories
from encord_dagster.label_set.converted import write_converted
from encord_dagster.label_set.events import accepted, read_events, write_events
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.join import Join, State
from encord_dagster.label_set.manifest import ExportEntry, sha256
from encord_dagster.label_set.publish import Changes
from encord_dagster.label_set.publish import publish as publish_version
from encord_dagster.landing import Export, named_parts, ontology_keys
from encord_dagster.outcomes import ExportOutcome
from encord_dagster.spool import Spool
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.tally import Tally
from encord_dagster.validation import apply_severities, ontology_missing

Progress = Callable[[str], None]


def _redacting(say: Progress) -> Progress:
    """The same, for lines that name exports: people choose those names."""
    return lambda line: say(redact(line))


class Run:
    """One attempt at a batch, on top of one head."""

    def __init__(
        self,
        landing: ObjectStore,
        lake: ObjectStore,
        config: LabelSetConfig,
        spool: Spool,
        *,
        ids: Mapping[str, int],
        publish: bool,
        say: Progress,
    ) -> None:
        self.landing, self.lake, self.config, self.spool, self.say = landing, lake, config, spool, _redacting(say)
        self.publishes = publish
        self.head = history.head(lake, config.name)
        history.refuse_gap(lake, config.name, self.head)
        self.entries = history.accounted(lake, config.name, self.head)
        self.state = State(lake, self.head)
        self.ids = {**ids, **(self.state.root.id_overrides if self.state.root else {})}
        self.stale = self.state.is_stale(config.digest())
        self.new_entries: dict[str, ExportEntry] = {}
        self._ontologies: dict[str, bytes | None] = {}  # by key in the landing prefix
        self.categories = Categories(lake, config.name)
        if self.stale or not publish:
            self.state.start_over()
        self.draft = self._empty_draft()
        if self.stale and publish:
            self._read_again()

    def _empty_draft(self) -> Draft:
        join = Join(self.state, {} if self.stale or not self.publishes else self.entries)
        return Draft(join, categories=self.categories, spool=self.spool, config=self.config, ids=self.ids)

    # reading

    def read(self, export: Export) -> ExportOutcome:
        """Read one export, convert what it decides, write its events and quarantine. Never raises for its content."""
        if export.size > LARGEST_EXPORT:
            self.draft.begin(export.id)
            tally = self._tally(export, digest="")
            error = ExportError("too_large", f"it has {export.size:,} bytes, which is too many: export in parts")
            return tally.refused(error, {"quarantine": f"{self.lake.url}/{self._refuse(tally, error)}"})
        try:
            data = self.landing.get(export.key, etag=export.etag)
            beside = None if self.config.ontology else self._beside(export.key)
        except (StorageError, UsageError) as error:  # UsageError: a foreign key such as a//b.json
            return ExportOutcome(export=export, status="failed", error=redact(str(error)))
        if data is None:
            gone = f"{redact(export.key)} is no longer in {self.landing.url}; deliver it again if it is needed"
            return ExportOutcome(export=export, status="failed", error=gone)
        return self._read(data, beside, self._tally(export, sha256(data)))

    def _beside(self, key: str) -> bytes | None:
        """The ontology that lies beside an export; one of a folder is fetched once."""
        for place in ontology_keys(key):
            if place not in self._ontologies:
                self._ontologies[place] = self.landing.get(place)
            if found := self._ontologies[place]:
                return found
        return None

    def _tally(self, export: Export, digest: str, ontology: str = "") -> Tally:
        return Tally(export, digest, ontology=ontology, named=self._named(export))

    def _named(self, export: Export) -> dict[str, str]:
        """Parts of the export's name; people choose those, so they are read as any text of an export."""
        return {name: redact(part) for name, part in named_parts(export.key, self.config.name_pattern).items()}

    def _read(self, data: bytes, beside: bytes | None, tally: Tally) -> ExportOutcome:
        export = tally.export
        self.say(f"{export.key}: {len(data):,} bytes, export {export.id}")
        sources.record_source(self.lake, self.config.name, export)
        first = sources.claim_bytes(self.lake, tally.digest, export)
        if self.publishes and first.id != export.id and (first.id in self.entries or first.id in self.new_entries):
            sources.record_duplicate(self.lake, self.config.name, export, first_id=first.id)
            self.say(f"{export.key}: the same bytes as export {first.id}; recorded as a second source")
            return ExportOutcome(export=export, status="observed", sha256=tally.digest, uris={"same_as": first.id})
        try:
            uris = {"raw": self._keep_raw(tally.digest, data)}
            if beside and self.config.keep_raw:
                tally.ontology = sha256(beside)
                self._keep_raw(tally.ontology, beside)
        except HistoryDamaged as error:
            return ExportOutcome(export=export, status="failed", sha256=tally.digest, error=str(error))
        if not self.publishes:
            self.draft = self._empty_draft()
        try:
            self._read_rows(data, beside, tally)
            if tally.unusable:
                raise ExportError("no_usable_row", f"none of its {tally.counts['rows']} rows can be used")
        except ExportError as error:
            key = self._refuse(tally, error)
            return tally.refused(error, uris | {"quarantine": f"{self.lake.url}/{key}"})
        return self._accepted(tally, uris)

    def _read_rows(self, data: bytes, beside: bytes | None, tally: Tally) -> None:
        self.draft.begin(tally.export.id)
        delivery = open_delivery(data, self.config, beside=beside)
        self.draft.use(delivery.ontology.ontology if delivery.ontology else None)
        for reading in read_rows(delivery, self.config):
            taken, row, findings = self._take(reading, tally)
            tally.add(taken, row, findings)
            if tally.counts["rows"] % 1000 == 0:
                self.say(f"{tally.export.key}: {tally.counts['rows']:,} rows, {tally.counts['objects_in']:,} objects")
        if delivery.ontology is None and tally.counts["rows"]:
            tally.note(*apply_severities([ontology_missing()], self.config.severities))

    def _take(self, reading: Reading, tally: Tally) -> tuple[Reading, LabelRow | None, tuple[Finding, ...]]:
        """Offer a row to the draft; what became of it, the row without what cannot be held, and all findings."""
        row, event, more = reading.row, reading.event, list[Finding]()
        if row and event and reading.status == "accepted":
            try:
                taken = self.draft.take(row, event)
            except RowError as error:  # it reads, and no format can hold it
                more = [Finding(error.reason, "error", Location(row=row.label_hash), str(error))]
                reading, row = msgspec.structs.replace(reading, status="quarantined"), None
            else:
                row, more = taken.row, list(taken.findings)
                tally.counts["reused"] += taken.change is None
                if taken.fragment:
                    tally.converted(taken.fragment)
        if event and reading.status == "quarantined" and (older := self.draft.keeps_older(event)):
            more.append(older)
        more = list(apply_severities(more, self.config.severities))
        return reading, row, (*more, *reading.findings) if row is None else (*reading.findings, *more)

    def _read_again(self) -> None:
        """The converter or the configuration changed: read all earlier exports anew, out of the raw copies.

        Those that were quarantined whole are among them: what stopped them may be what changed.
        """
        self.say(f"configuration or converter changed: converting {len(self.entries)} earlier exports again")
        for entry in self.entries.values():
            found = sources.find_export(self.lake, self.config.name, entry.id)
            place = layout.raw(entry.sha256)
            export = found or Export(id=entry.id, key=place, size=0, etag="", last_modified="")
            tally = self._tally(export, entry.sha256, entry.ontology)
            data = self._raw(entry.sha256)
            if data is None:
                raise UsageError(
                    f"the configuration changed, and {place} is not in {self.lake.url}, so the rows of that export "
                    "cannot be converted again; keep the old configuration or use a new label set name"
                )
            if error := self._read_earlier(data, tally):
                tally = self._tally(export, entry.sha256, entry.ontology)  # none of its rows takes part any more
                tally.note(tally.finding(error))
            self._account(tally)
        for held in quarantine.read(self.lake, self.config.name):
            data = self._raw(held.raw) if held.raw and held.whole and held.export.id not in self.entries else None
            tally = self._tally(held.export, held.raw, held.ontology)
            if data is not None and self._read_earlier(data, tally) is None and not tally.unusable:
                self._account(tally)

    def _raw(self, digest: str) -> bytes | None:
        """The raw copy of an export, None where only a pointer was kept."""
        data = self.lake.get(layout.raw(digest))
        if data is not None and sha256(data) != digest:
            place = f"{self.lake.url}/{layout.raw(digest)}"
            raise HistoryDamaged(f"{place} does not hold the bytes it is named after; restore it")
        return data

    def _read_earlier(self, data: bytes, tally: Tally) -> ExportError | None:
        """Read an export of an earlier run; why it is quarantined now, if it is."""
        try:
            self._read_rows(data, self._raw(tally.ontology) if tally.ontology else None, tally)
        except ExportError as error:
            self._refuse(tally, error)
            return error
        return None

    # writing

    def _keep_raw(self, digest: str, data: bytes) -> str:
        if not self.config.keep_raw:
            return f"{self.lake.url}/{layout.raw_pointer(digest)}"
        place = f"{self.lake.url}/{layout.raw(digest)}"
        if self.lake.create(layout.raw(digest), data) is Create.DIFFERENT:
            raise HistoryDamaged(f"{place} does not hold the bytes it is named after; remove it, then run again")
        return place

    def _refuse(self, tally: Tally, error: ExportError) -> str:
        """Take back what the export brought, and quarantine it; where the quarantine record lies."""
        self.draft.take_back()
        self.say(f"{tally.export.key}: quarantined: {error}")
        held = tally.refusal(error)
        return quarantine.write(self.lake, self.config.name, tally.held(held, whole=True))

    def _accepted(self, tally: Tally, uris: dict[str, str]) -> ExportOutcome:
        export, name, counts = tally.export, self.config.name, tally.counts
        if not tally.accounts:
            text = f"{redact(export.key)} holds no label rows; check the export's filter"
            tally.note(Finding("no_rows", "warning", Location(), text))
        uris |= {"events": f"{self.lake.url}/{self._account(tally)}"}
        if tally.held_back:
            key = quarantine.write(self.lake, name, tally.held(tally.held_back, whole=False))
            uris |= {"quarantine": f"{self.lake.url}/{key}"}
        self.say(f"{export.key}: {counts['rows']:,} rows, {counts['published']:,} objects")
        if self.publishes:
            return tally.observed(uris)
        rows, categories = self.draft.decided(export.id), self.categories.claimed
        uris |= write_converted(self.lake, name, export.id, rows, self.spool.get, categories)
        return msgspec.structs.replace(tally.observed(uris), status="converted")

    def _account(self, tally: Tally) -> str:
        """Write the events of an export, and account for it where the log does not, or says otherwise of its rows."""
        ref = write_events(self.lake, self.config.name, tally.export.id, tally.accounts)
        known = self.entries.get(tally.export.id)
        took_part = [account.event for account in tally.accounts if account.status == "accepted"]
        if known is None or (known.events != ref and list(accepted(read_events(self.lake, known.events))) != took_part):
            self.new_entries[tally.export.id] = tally.entry(ref)
        return ref.key

    # ending

    def commit(self) -> Head | None:
        """Publish or observe; the head as it is where there is nothing to account for, None where the race was lost."""
        if not (self.new_entries or self.draft.changes or self.stale):
            return self.head
        return publish_version(
            self.state,
            config=self.config,
            changes=Changes(
                rows=self.draft.changes,
                load=self.spool.get,
                categories=self.categories.claimed,
                defined=self.draft.defined,
                id_overrides=self.ids,
                datasets=frozenset(self.draft.datasets),
            ),
            exports=tuple(self.new_entries.values()),
        )

    def settled(self, outcomes: Sequence[ExportOutcome], head: Head) -> list[ExportOutcome]:
        """Outcomes with what the commit made of them."""
        if head.record is None or head.record.op != "publish" or head == self.head:
            return list(outcomes)
        deciding = {self.draft.decided_by[key] for key in self.draft.changes}
        return [
            msgspec.structs.replace(outcome, status="published") if outcome.export.id in deciding else outcome
            for outcome in outcomes
        ]
