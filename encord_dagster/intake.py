"""The rows of exports on their way into a label set: taken into a draft, accounted for, put into quarantine."""

import contextlib
import functools
import heapq
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from encord_dagster import identity, layout
from encord_dagster.accounting import Delivery, Reading, open_delivery, read_new_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.draft import Draft
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError, HistoryDamaged, RowError
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set import history, quarantine
from encord_dagster.label_set.absent import absent
from encord_dagster.label_set.accounted import Accounted, rank
from encord_dagster.label_set.accounts import Again
from encord_dagster.label_set.categories import Categories
from encord_dagster.label_set.converted import write_converted
from encord_dagster.label_set.events import accepted, read_events, rows_of, write_events
from encord_dagster.label_set.join import Join, State
from encord_dagster.label_set.manifest import ExportEntry, ObjectRef
from encord_dagster.label_set.recall import EXPORTS, Recall
from encord_dagster.label_set.standing import standing
from encord_dagster.landing import Export, named_parts, ontology_keys
from encord_dagster.offers import Facts, Offer, RowOffer
from encord_dagster.outcomes import ExportOutcome
from encord_dagster.preparing import Prepared, PreparedOffer
from encord_dagster.returning import Returning, ReturningRows
from encord_dagster.spool import Spool
from encord_dagster.storage import whole
from encord_dagster.storage.mapped import Data
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.tally import Tally
from encord_dagster.validation import apply_severities, finding, ontology_missing
from encord_dagster.workers import Find, Preparing, nobody

Progress = Callable[[str], None]


def _redacting(say: Progress) -> Progress:
    """The same, for lines that name exports: people choose those names."""
    return lambda line: say(redact(line))


class Intake:
    """What a batch of exports brings to a label set, on top of one head."""

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
        asked: Collection[str] = (),
        workers: Find = nobody,
    ) -> None:
        self.workers = workers
        self.landing, self.lake, self.config, self.spool, self.say = landing, lake, config, spool, _redacting(say)
        self.publishes = publish
        self.head = history.head(lake, config.name)
        history.refuse_gap(lake, config.name, self.head)
        self.accounted = Accounted(lake, config.name, self.head)
        self.state = State(lake, self.head)
        self.ids = {**ids, **(self.state.root.id_overrides if self.state.root else {})}
        self.stale = self.state.is_stale(config.digest())
        self.standing = standing(lake, self.head.record, self.accounted, stale=self.stale, asked=asked)
        self.newest = next(map(rank, self.standing.joined()), ("", ""))
        self.removes_others = False  # whether the version becomes what the draft holds, and nothing else
        self.new_entries: dict[str, ExportEntry] = {}
        self._ontologies: dict[str, bytes | None] = {}  # by key in the landing prefix
        self.categories = Categories(lake, config.name, of=self.state.root.categories if self.state.root else ())
        if self.stale or not publish:
            self.state.start_over()
        self.draft = self.empty_draft()

    def empty_draft(self) -> Draft:
        """A draft on top of what the log accounts for and the run does not read again."""
        joins = self.publishes and self.config.content == "join"
        join = Join(self.state, self.standing.joined() if joins else iter(()))
        return Draft(join, categories=self.categories, spool=self.spool, config=self.config, ids=self.ids)

    def tally_of(self, export: Export, digest: str, ontology: str = "") -> Tally:
        """The counts of an export whose reading begins."""
        return Tally(export, digest, ontology=ontology, named=self._named(export))

    def _named(self, export: Export) -> dict[str, str]:
        """Parts of the export's name; people choose those, so they are read as any text of an export."""
        return {name: redact(part) for name, part in named_parts(export.key, self.config.name_pattern).items()}

    def ontology_beside(self, key: str) -> bytes | None:
        """The ontology that lies beside an export; one of a folder is fetched once."""
        for place in ontology_keys(key):
            if place not in self._ontologies:
                self._ontologies[place] = self.landing.get(place)
            if found := self._ontologies[place]:
                return found
        return None

    def keep_raw(self, digest: str, data: Data) -> str:
        """Keep a copy of what was delivered, if configured; where it lies."""
        if not self.config.keep_raw:
            return f"{self.lake.url}/{layout.raw_pointer(digest)}"
        place = f"{self.lake.url}/{layout.raw(digest)}"
        if whole.create(self.lake, layout.raw(digest), data) is Create.DIFFERENT:
            raise HistoryDamaged(f"{place} does not hold the bytes it is named after; remove it, then run again")
        return place

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A draft for one export, where it is not joined with others; it stays if it is that of the newest export."""
        if self.publishes and self.config.content == "join":
            yield
            return
        others, newest = self.draft, self.newest
        self.draft = self.empty_draft()
        yield
        if self.publishes and self.newest == newest:
            self.draft = others

    def read_rows(self, data: Data, beside: bytes | None, tally: Tally) -> None:
        """Take the rows of an export into the draft. ExportError where the whole of it is unusable."""
        self.draft.begin(tally.export.id, again=tally.export.id in self.accounted)
        delivery = open_delivery(data, self.config, beside=beside)
        self.draft.use(delivery.ontology.ontology if delivery.ontology else None)
        returning = self._returning(delivery)
        known = returning.among if returning else None
        ahead = self._ahead(data, delivery, tally)
        task_size, tasks = (ahead.task_size, ahead.tasks) if ahead else (0, 0)
        for reading in read_new_rows(delivery, self.config, known, ahead=ahead, task_size=task_size, tasks=tasks):
            before = tally.counts["rows"]
            if returning and isinstance(reading, Again | Returning):
                self._take_again(returning, reading, tally)
            elif isinstance(reading, Reading | Prepared):
                tally.add(*self._take(reading, tally))
            if tally.counts["rows"] // 1000 > before // 1000:
                self.say(f"{tally.export.key}: {tally.counts['rows']:,} rows, {tally.counts['objects_in']:,} objects")
        if delivery.ontology is None and tally.counts["rows"]:
            tally.note(*apply_severities([ontology_missing()], self.config.severities))

    def _take_again(self, returning: ReturningRows, known: Again | Returning, tally: Tally) -> None:
        """Offer rows to the draft that came before."""
        rows = returning.take_all(known) if isinstance(known, Again) else [known]
        if isinstance(known, Again) and not rows:
            tally.add_all_again(known)
        for row in rows:
            tally.add_again(row, apply_severities(returning.take(row), self.config.severities))

    def _returning(self, delivery: Delivery) -> ReturningRows | None:
        if delivery.disclosure.links or delivery.disclosure.key:  # each export has these anew
            return None
        recall = Recall(self.lake, self._recalled, rows=delivery.opened.count)
        return ReturningRows(recall, self.draft, retired=self.standing.retired)

    def _ahead(self, data: Data, delivery: Delivery, tally: Tally) -> Preparing | None:
        """Whoever prepares rows ahead. Nobody where it is of no use, or where more decides than the bytes of a row."""
        if self.ids or self.config.on_bad_object == "fail_export" or delivery.opened.kind == "coco":
            return None
        workers = self.workers(len(data))
        if workers is None:
            return None
        unpacked = delivery.opened.data is data
        source = layout.raw(tally.digest) if self.config.keep_raw and unpacked else ""
        return Preparing(
            workers, delivery, self.config, self.categories.claimed, source=source, size=len(data), say=self.say
        )

    @functools.cached_property
    def _recalled(self) -> list[ExportEntry]:
        """The newest exports. Once a run: putting all of them in order for each export would cost their square."""
        entries = (entry for entry in self.accounted.descending() if entry.id not in self.standing.blocked)
        return list(itertools.islice(entries, EXPORTS))

    def _take(self, reading: Reading | Prepared, tally: Tally) -> tuple[Reading, Facts | None, tuple[Finding, ...]]:
        """Offer a row to the draft; what became of it, the row without what cannot be held, and all findings."""
        offer = self._offer(reading)
        reading = reading.reading if isinstance(reading, Prepared) else reading
        event, row, more = reading.event, None, list[Finding]()
        if event and identity.row_identity(event.label_hash, event.branch_name) in self.standing.retired:
            return self._retired(reading, offer.facts() if offer else None)
        if offer and event and reading.status == "accepted":
            try:
                taken = self.draft.take(offer, event, reading.findings)
            except RowError as error:  # it reads, and no format can hold it
                more = [Finding(error.reason, "error", Location(row=event.label_hash), str(error))]
                reading = msgspec.structs.replace(reading, status="quarantined")
            else:
                row, more = taken.row, list(taken.findings)
                tally.counts["reused"] += taken.change is None
                if taken.made:
                    tally.converted(taken.made)
        elif offer:
            row = offer.facts()
        if event and reading.status == "quarantined" and (older := self.draft.keeps_older(event)):
            more.append(older)
        if more:  # the next time the join may find something else
            reading = msgspec.structs.replace(reading, digest=None)
        more = list(apply_severities(more, self.config.severities))
        return reading, row, (*more, *reading.findings) if row is None else (*reading.findings, *more)

    def _offer(self, reading: Reading | Prepared) -> Offer | None:
        """A row that could be read, as the draft takes it."""
        if isinstance(reading, Reading):
            return RowOffer(reading.row, masks=self.config.masks) if reading.row else None
        if reading.facts is None:
            return None
        return PreparedOffer(reading, reading.facts, self.categories.claimed, self.draft.config_digest)

    def _retired(self, reading: Reading, row: Facts | None) -> tuple[Reading, Facts | None, tuple[Finding, ...]]:
        """A row that was removed on purpose: it is known, and nothing of it is used."""
        label_hash = reading.event.label_hash if reading.event else None
        text = "this row was retired from the label set, so nothing of it is used; restore it to bring it back"
        found = apply_severities([finding("row_retired", Location(row=label_hash), text)], self.config.severities)
        status = "retired" if reading.status == "accepted" else reading.status
        reading = msgspec.structs.replace(reading, status=status, digest=None)
        return reading, row, (*reading.findings, *found)

    def refuse(self, tally: Tally, error: ExportError) -> str:
        """Take back what the export brought, and quarantine it; where the quarantine record lies."""
        self.draft.take_back()
        self.say(f"{tally.export.key}: quarantined: {error}")
        held = tally.refusal(error)
        return quarantine.write(self.lake, self.config.name, tally.held(held, whole=True))

    def accept(self, tally: Tally, uris: dict[str, str]) -> ExportOutcome:
        """Account for an export that was read, and put into quarantine what of it cannot be used."""
        export, name, counts = tally.export, self.config.name, tally.counts
        if not tally.accounts:
            text = f"{redact(export.key)} holds no label rows; check the export's filter"
            tally.note(Finding("no_rows", "warning", Location(), text))
        tally.note(*self._absent(tally))
        if tally.held_back:
            tally.quarantine = quarantine.write(self.lake, name, tally.held(tally.held_back, whole=False))
            uris |= {"quarantine": f"{self.lake.url}/{tally.quarantine}"}
        uris |= {"events": f"{self.lake.url}/{self.account(tally)}"}
        self.say(f"{export.key}: {counts['rows']:,} rows, {counts['published']:,} objects")
        if self.publishes:
            return tally.observed(uris)
        rows, categories = self.draft.decided(export.id), self.categories.claimed
        uris |= write_converted(self.lake, name, export.id, rows, self.spool.get, categories)
        return msgspec.structs.replace(tally.observed(uris), status="converted")

    def account(self, tally: Tally) -> str:
        """Write the events of an export, and account for it where the log does not, or says otherwise of its rows."""
        ref = write_events(self.lake, self.config.name, tally.export.id, tally.accounts.table())
        known, entry = self.accounted.get(tally.export.id), tally.entry(ref)
        if known is None or self._other_quarantine(known, entry) or self._other_events(known, tally, ref):
            self.new_entries[tally.export.id] = entry
        if self.config.content == "export" and self.publishes and rank(entry) > self.newest:
            self.newest, self.removes_others = rank(entry), True
        return ref.key

    def _other_quarantine(self, known: ExportEntry, entry: ExportEntry) -> bool:
        """Whether something else of it is held now. Findings of the join may differ each time that it comes by."""
        if entry.id in self.standing.again:
            return known.quarantine != entry.quarantine
        return bool(known.quarantine) != bool(entry.quarantine)

    def _other_events(self, known: ExportEntry, tally: Tally, ref: ObjectRef) -> bool:
        if known.events == ref:
            return False
        return list(accepted(read_events(self.lake, known.events))) != list(accepted(tally.accounts.table()))

    def _absent(self, tally: Tally) -> Iterator[Finding]:
        """A finding where rows of the version are in none of the last complete exports, this one among them."""
        if self.config.landing != "complete" or self.config.content == "export" or not self.publishes:
            return
        rows = {row.row: row for row in self.state.rows()} | self.draft.changes
        yield from apply_severities(
            absent(
                self.lake,
                rows.values(),
                own=rows_of(tally.accounts.table()),
                at=tally.rank,
                others=self._others(tally.export.id),
                after=self.config.absent_after,
            ),
            self.config.severities,
        )

    def _others(self, export_id: str) -> Iterator[ExportEntry]:
        """All exports but one, and but those that are blocked: the greatest rank first."""
        out = {*self.standing.blocked, export_id}
        new = sorted(self.new_entries.values(), key=rank, reverse=True)
        known = (entry for entry in self.accounted.descending() if entry.id not in self.new_entries)
        return (entry for entry in heapq.merge(new, known, key=rank, reverse=True) if entry.id not in out)
