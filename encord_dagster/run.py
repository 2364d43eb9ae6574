"""One attempt at a batch of exports: read, validate, convert on top of one head, and commit."""

from collections.abc import Mapping, Sequence

import msgspec

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.packed import LARGEST_EXPORT
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError, HistoryDamaged, StorageError, UsageError
from encord_dagster.findings import Location
from encord_dagster.intake import Intake, Progress
from encord_dagster.label_set import quarantine, sources
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import sha256
from encord_dagster.label_set.publish import Changes
from encord_dagster.label_set.publish import publish as publish_version
from encord_dagster.landing import Export
from encord_dagster.outcomes import ExportOutcome
from encord_dagster.spool import Spool
from encord_dagster.storage import whole
from encord_dagster.storage.mapped import Data
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.tally import Tally
from encord_dagster.validation import apply_severities, finding
from encord_dagster.workers import Find, nobody


class Replay(msgspec.Struct, frozen=True):
    """Exports to read again, as they may be used now; ontologies are looked for in the landing prefix, if given."""

    exports: frozenset[str]
    landing: ObjectStore | None = None


class Run(Intake):
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
        replay: Replay | None = None,
        workers: Find = nobody,
    ) -> None:
        asked = replay.exports if replay else ()
        super().__init__(landing, lake, config, spool, ids=ids, publish=publish, say=say, asked=asked, workers=workers)
        self.again: dict[str, ExportOutcome] = {}  # of exports that were read again
        if publish:
            self._read_again(replay)

    def read(self, export: Export) -> ExportOutcome:
        """Read one export, convert what it decides, write its events and quarantine. Never raises for its content."""
        if export.size > LARGEST_EXPORT:
            self.draft.begin(export.id)
            tally = self.tally_of(export, digest="")
            error = ExportError("too_large", f"it has {export.size:,} bytes, which is too many: export in parts")
            return tally.refused(error, {"quarantine": f"{self.lake.url}/{self.refuse(tally, error)}"})
        try:
            data = whole.get(self.landing, export.key, etag=export.etag, size=export.size)
            beside = None if self.config.ontology else self.ontology_beside(export.key)
        except (StorageError, UsageError) as error:  # UsageError: a foreign key such as a//b.json
            return ExportOutcome(export=export, status="failed", error=redact(str(error)))
        if data is None:
            gone = f"{redact(export.key)} is no longer in {self.landing.url}; deliver it again if it is needed"
            return ExportOutcome(export=export, status="failed", error=gone)
        return self._read(data, beside, self.tally_of(export, whole.digest(data)))

    def _read(self, data: Data, beside: bytes | None, tally: Tally) -> ExportOutcome:
        export = tally.export
        self.say(f"{export.key}: {len(data):,} bytes, export {export.id}")
        sources.record_source(self.lake, self.config.name, export)
        first = sources.claim_bytes(self.lake, tally.digest, export)
        if self.publishes and first.id != export.id and (first.id in self.accounted or first.id in self.new_entries):
            sources.record_duplicate(self.lake, self.config.name, export, first_id=first.id)
            self.say(f"{export.key}: the same bytes as export {first.id}; recorded as a second source")
            return ExportOutcome(export=export, status="observed", sha256=tally.digest, uris={"same_as": first.id})
        if self.publishes and export.id in self.standing.blocked:
            return self._blocked(tally)
        try:
            uris = {"raw": self.keep_raw(tally.digest, data)}
            if beside and self.config.keep_raw:
                tally.ontology = sha256(beside)
                self.keep_raw(tally.ontology, beside)
        except HistoryDamaged as error:
            return ExportOutcome(export=export, status="failed", sha256=tally.digest, error=str(error))
        with self.alone():
            try:
                self.read_rows(data, beside, tally)
                if tally.unusable:
                    raise ExportError("no_usable_row", f"none of its {tally.counts['rows']} rows can be used")
            except ExportError as error:
                key = self.refuse(tally, error)
                return tally.refused(error, uris | {"quarantine": f"{self.lake.url}/{key}"})
            return self.accept(tally, uris)

    def _blocked(self, tally: Tally) -> ExportOutcome:
        """The outcome of an export that was rolled back."""
        text = "a rollback took this export out, so nothing of it is used; unblock it to bring it back"
        self.say(f"{tally.export.key}: {text}")
        (found,) = apply_severities([finding("export_blocked", Location(), text)], self.config.severities)
        outcome = ExportOutcome(export=tally.export, status="observed", sha256=tally.digest)
        return msgspec.structs.replace(outcome, findings=(found,), rules={found.rule: 1})

    def _read_again(self, replay: Replay | None) -> None:
        """Read earlier exports anew, out of the raw copies: all of them where configuration or converter changed.

        Those that were quarantined whole are then among them: what stopped them may be what changed.
        """
        if self.stale:
            self.say(f"configuration or converter changed: converting {len(self.standing.again)} earlier exports again")
        landing = replay.landing if replay else None
        for entry in self.standing.again.values():
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
            self._read_earlier(data, self.tally_of(export, entry.sha256, entry.ontology), landing)
            del data  # a large one is on the disk until it goes, and the next needs room there
        if not (self.stale or replay):
            return
        for held in quarantine.held_in_quarantine(self.lake, self.config.name):
            wanted = self.stale or (replay and held.export.id in replay.exports)
            if wanted and held.raw and held.whole and held.export.id not in self.accounted:
                data = quarantine.raw_copy(self.lake, held.raw)
                if data is not None:
                    self._read_earlier(data, self.tally_of(held.export, held.raw, held.ontology), landing)

    def _read_earlier(self, data: Data, tally: Tally, landing: ObjectStore | None) -> None:
        """Read an export of an earlier run, and account for it as it reads now.

        With a landing prefix it is read by the ontology that lies there now.
        """
        export, known = tally.export, tally.export.id in self.accounted
        kept = quarantine.raw_copy(self.lake, tally.ontology) if tally.ontology else None
        beside = None if kept is None else kept[:]
        if landing and not self.config.ontology and (newer := self.ontology_beside(export.key)):
            beside = newer
            if self.config.keep_raw:
                tally.ontology = sha256(newer)
                self.keep_raw(tally.ontology, newer)
        with self.alone():
            try:
                self.read_rows(data, beside, tally)
                if tally.unusable and not known:
                    raise ExportError("no_usable_row", f"none of its {tally.counts['rows']} rows can be used")
            except ExportError as error:
                key = self.refuse(tally, error)
                self.again[export.id] = tally.refused(error, {"quarantine": f"{self.lake.url}/{key}"})
                if known:  # none of its rows takes part any more
                    tally = self.tally_of(export, tally.digest, tally.ontology)
                    tally.quarantine = key
                    tally.note(tally.finding(error))
                    self.account(tally)
                return
            self.again[export.id] = self.accept(tally, {})

    def commit(self) -> Head | None:
        """Publish or observe; the head as it is where there is nothing to account for, None where the race was lost."""
        if not (self.new_entries or self.draft.changes or self.standing.again or self.stale):
            return self.head
        others = (row.row for row in self.state.rows()) if self.removes_others else ()
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
        if self.removes_others:
            deciding.add(self.newest[1])
        status = "published" if record.op == "publish" else "held"
        return [
            msgspec.structs.replace(outcome, status=status) if outcome.export.id in deciding else outcome
            for outcome in outcomes
        ]
