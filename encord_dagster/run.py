"""One attempt at a batch of exports: read, validate, convert on top of one head, and commit."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from encord_dagster import identity, layout
from encord_dagster.accounting import Reading, open_delivery, read_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.draft import Draft
from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.packed import LARGEST_EXPORT
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError, HistoryDamaged, RowError, StorageError, UsageError
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set import history, quarantine, sources
from encord_dagster.label_set.absent import absent
from encord_dagster.label_set.categories import Categories
from encord_dagster.label_set.converted import write_converted
from encord_dagster.label_set.events import accepted, read_events, write_events
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.join import Join, State, rank
from encord_dagster.label_set.manifest import ExportEntry, ObjectRef, sha256
from encord_dagster.label_set.publish import Changes
from encord_dagster.label_set.publish import publish as publish_version
from encord_dagster.label_set.standing import standing
from encord_dagster.landing import Export, named_parts, ontology_keys
from encord_dagster.outcomes import ExportOutcome
from encord_dagster.spool import Spool
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.tally import Tally
from encord_dagster.validation import apply_severities, finding, ontology_missing

Progress = Callable[[str], None]


class Replay(msgspec.Struct, frozen=True):
    """Exports to read again, as they may be used now; ontologies are looked for in the landing prefix, if given."""

    exports: frozenset[str]
    landing: ObjectStore | None = None


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
        again: Replay | None = None,
    ) -> None:
        self.landing, self.lake, self.config, self.spool, self.say = landing, lake, config, spool, _redacting(say)
        self.publishes = publish
        self.head = history.head(lake, config.name)
        history.refuse_gap(lake, config.name, self.head)
        self.entries = history.accounted(lake, config.name, self.head)
        self.state = State(lake, self.head)
        self.ids = {**ids, **(self.state.root.id_overrides if self.state.root else {})}
        self.stale = self.state.is_stale(config.digest())
        self.standing = standing(
            lake, self.head.record, self.entries, stale=self.stale, asked=again.exports if again else ()
        )
        self.again: dict[str, ExportOutcome] = {}  # of exports that were read again
        self._newest = max(map(rank, self.standing.joined.values()), default=("", ""))
        self._removes_others = False  # whether the version becomes what the draft holds, and nothing else
        self.new_entries: dict[str, ExportEntry] = {}
        self._ontologies: dict[str, bytes | None] = {}  # by key in the landing prefix
        self.categories = Categories(lake, config.name)
        if self.stale or not publish:
            self.state.start_over()
        self.draft = self._empty_draft()
        if publish:
            self._read_again(again)

    def _empty_draft(self) -> Draft:
        join = Join(self.state, self.standing.joined if self.publishes and self.config.content == "join" else {})
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
        if self.publishes and export.id in self.standing.blocked:
            return self._blocked(tally)
        try:
            uris = {"raw": self._keep_raw(tally.digest, data)}
            if beside and self.config.keep_raw:
                tally.ontology = sha256(beside)
                self._keep_raw(tally.ontology, beside)
        except HistoryDamaged as error:
            return ExportOutcome(export=export, status="failed", sha256=tally.digest, error=str(error))
        with self._alone():
            try:
                self._read_rows(data, beside, tally)
                if tally.unusable:
                    raise ExportError("no_usable_row", f"none of its {tally.counts['rows']} rows can be used")
            except ExportError as error:
                key = self._refuse(tally, error)
                return tally.refused(error, uris | {"quarantine": f"{self.lake.url}/{key}"})
            return self._accepted(tally, uris)

    def _blocked(self, tally: Tally) -> ExportOutcome:
        """The outcome of an export that was rolled back."""
        text = "a rollback took this export out, so nothing of it is used; unblock it to bring it back"
        self.say(f"{tally.export.key}: {text}")
        (found,) = apply_severities([finding("export_blocked", Location(), text)], self.config.severities)
        outcome = ExportOutcome(export=tally.export, status="observed", sha256=tally.digest)
        return msgspec.structs.replace(outcome, findings=(found,), rules={found.rule: 1})

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """A draft for one export, where it is not joined with others; it stays if it is that of the newest export."""
        if self.publishes and self.config.content == "join":
            yield
            return
        others, newest = self.draft, self._newest
        self.draft = self._empty_draft()
        yield
        if self.publishes and self._newest == newest:
            self.draft = others

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
        if event and identity.row_identity(event.label_hash, event.branch_name) in self.standing.retired:
            return self._retired(reading)
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

    def _retired(self, reading: Reading) -> tuple[Reading, LabelRow | None, tuple[Finding, ...]]:
        """A row that was removed on purpose: it is known, and nothing of it is used."""
        label_hash = reading.event.label_hash if reading.event else None
        text = "this row was retired from the label set, so nothing of it is used; restore it to bring it back"
        found = apply_severities([finding("row_retired", Location(row=label_hash), text)], self.config.severities)
        status = "retired" if reading.status == "accepted" else reading.status
        return msgspec.structs.replace(reading, status=status), reading.row, (*reading.findings, *found)

    def _read_again(self, replay: Replay | None) -> None:
        """Read earlier exports anew, out of the raw copies: all of them where configuration or converter changed.

        Those that were quarantined whole are then among them: what stopped them may be what changed.
        """
        if self.stale:
            self.say(f"configuration or converter changed: converting {len(self.standing.again)} earlier exports again")
        landing = replay.landing if replay else None
        for entry in (self.entries[key] for key in self.standing.again):
            found = sources.find_export(self.lake, self.config.name, entry.id)
            place = layout.raw(entry.sha256)
            export = found or Export(id=entry.id, key=place, size=0, etag="", last_modified="")
            data = quarantine.raw_copy(self.lake, entry.sha256)
            if data is None:
                raise UsageError(
                    f"{place} is not in {self.lake.url}, so the rows of export {entry.id} cannot be converted again, "
                    "as another configuration, an unblocked export or a restored row needs it; put the bytes of the "
                    "export there, keep the old configuration, or use a new label set name"
                )
            self._read_earlier(data, self._tally(export, entry.sha256, entry.ontology), landing)
        if not (self.stale or replay):
            return
        for held in quarantine.held_in_quarantine(self.lake, self.config.name):
            wanted = self.stale or (replay and held.export.id in replay.exports)
            if wanted and held.raw and held.whole and held.export.id not in self.entries:
                data = quarantine.raw_copy(self.lake, held.raw)
                if data is not None:
                    self._read_earlier(data, self._tally(held.export, held.raw, held.ontology), landing)

    def _read_earlier(self, data: bytes, tally: Tally, landing: ObjectStore | None) -> None:
        """Read an export of an earlier run, and account for it as it reads now.

        With a landing prefix it is read by the ontology that lies there now.
        """
        export, known = tally.export, tally.export.id in self.entries
        beside = quarantine.raw_copy(self.lake, tally.ontology) if tally.ontology else None
        if landing and not self.config.ontology and (newer := self._beside(export.key)):
            beside = newer
            if self.config.keep_raw:
                tally.ontology = sha256(newer)
                self._keep_raw(tally.ontology, newer)
        with self._alone():
            try:
                self._read_rows(data, beside, tally)
                if tally.unusable and not known:
                    raise ExportError("no_usable_row", f"none of its {tally.counts['rows']} rows can be used")
            except ExportError as error:
                key = self._refuse(tally, error)
                self.again[export.id] = tally.refused(error, {"quarantine": f"{self.lake.url}/{key}"})
                if known:  # none of its rows takes part any more
                    tally = self._tally(export, tally.digest, tally.ontology)
                    tally.quarantine = key
                    tally.note(tally.finding(error))
                    self._account(tally)
                return
            self.again[export.id] = self._accepted(tally, {})

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
        tally.note(*self._absent(tally))
        if tally.held_back:
            tally.quarantine = quarantine.write(self.lake, name, tally.held(tally.held_back, whole=False))
            uris |= {"quarantine": f"{self.lake.url}/{tally.quarantine}"}
        uris |= {"events": f"{self.lake.url}/{self._account(tally)}"}
        self.say(f"{export.key}: {counts['rows']:,} rows, {counts['published']:,} objects")
        if self.publishes:
            return tally.observed(uris)
        rows, categories = self.draft.decided(export.id), self.categories.claimed
        uris |= write_converted(self.lake, name, export.id, rows, self.spool.get, categories)
        return msgspec.structs.replace(tally.observed(uris), status="converted")

    def _account(self, tally: Tally) -> str:
        """Write the events of an export, and account for it where the log does not, or says otherwise of its rows."""
        ref = write_events(self.lake, self.config.name, tally.export.id, tally.accounts)
        known, entry = self.entries.get(tally.export.id), tally.entry(ref)
        if known is None or self._other_quarantine(known, entry) or self._other_events(known, tally, ref):
            self.new_entries[tally.export.id] = entry
        if self.config.content == "export" and self.publishes and rank(entry) > self._newest:
            self._newest, self._removes_others = rank(entry), True
        return ref.key

    def _other_quarantine(self, known: ExportEntry, entry: ExportEntry) -> bool:
        """Whether something else of it is held now. Findings of the join may differ each time that it comes by."""
        if entry.id in self.standing.again:
            return known.quarantine != entry.quarantine
        return bool(known.quarantine) != bool(entry.quarantine)

    def _other_events(self, known: ExportEntry, tally: Tally, ref: ObjectRef) -> bool:
        took_part = [account.event for account in tally.accounts if account.status == "accepted"]
        return known.events != ref and list(accepted(read_events(self.lake, known.events))) != took_part

    def _absent(self, tally: Tally) -> Iterator[Finding]:
        """A finding where rows of the version are in none of the last complete exports, this one among them."""
        if self.config.landing != "complete" or self.config.content == "export" or not self.publishes:
            return
        others = {**self.entries, **self.new_entries}
        rows = {row.row: row for row in self.state.rows()} | self.draft.changes
        blocked = {*self.standing.blocked, tally.export.id}
        yield from apply_severities(
            absent(
                self.lake,
                rows.values(),
                own=tally.rows(),
                at=tally.rank,
                others={key: entry for key, entry in others.items() if key not in blocked},
                after=self.config.absent_after,
            ),
            self.config.severities,
        )

    # ending

    def commit(self) -> Head | None:
        """Publish or observe; the head as it is where there is nothing to account for, None where the race was lost."""
        if not (self.new_entries or self.draft.changes or self.standing.again or self.stale):
            return self.head
        others = (row.row for row in self.state.rows()) if self._removes_others else ()
        return publish_version(
            self.state,
            config=self.config,
            changes=Changes(
                rows=self.draft.changes,
                removed=frozenset(others) - self.draft.join.best.keys(),
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
        record = head.record
        if record is None or head == self.head or not (record.op == "publish" or record.held):
            return list(outcomes)
        deciding = {self.draft.decided_by[key] for key in self.draft.changes}
        if self._removes_others:
            deciding.add(self._newest[1])
        status = "published" if record.op == "publish" else "held"
        return [
            msgspec.structs.replace(outcome, status=status) if outcome.export.id in deciding else outcome
            for outcome in outcomes
        ]
