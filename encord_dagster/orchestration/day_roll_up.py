"""A day of arrival as Dagster shows it: its exports as one, so far as they were used."""

import hashlib
from collections import Counter
from typing import Literal

import dagster as dg
import msgspec

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.findings import Finding
from encord_dagster.label_set import history, sources
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.landing import Export, ids_of
from encord_dagster.orchestration import events
from encord_dagster.outcomes import MAX_FINDINGS, MAX_HASHES, Batch, ExportOutcome, Published
from encord_dagster.storage.protocol import ObjectStore

NAMED = 10  # exports that could not be used

Status = Literal["published", "observed", "held", "converted", "quarantined", "failed"]

_COUNTS = (
    *("rows", "rows_quarantined", "images", "objects_in", "objects_published", "objects_quarantined"),
    *("fragments_converted", "fragments_reused", "coco_bytes", "mask_bytes"),
)
_TABLES = ("objects_excluded", "classes", "rules")
_GOOD: tuple[Status, ...] = (
    "published",
    "held",
    "observed",
    "converted",
)  # the first that any export is


class DayRollUp:
    """What became of a day. Counts of objects are of what this run took, all else is of the whole day."""

    def __init__(self, lake: ObjectStore, config: LabelSetConfig, day: str, *, publish: bool) -> None:
        self.day, self.publish = day, publish
        self.statuses: Counter[str] = Counter()  # of this run's exports
        self.problems: dict[str, str] = {}  # likewise
        self.committed: Published | None = None
        self.accounted = False  # whether Dagster was told of a version that accounts for it
        self.shown = Batch(outcomes=(), published=None)  # what Dagster was told
        self._lake, self._config = lake, config
        self._counts: Counter[str] = Counter()
        self._tables: dict[str, Counter[str]] = {name: Counter() for name in _TABLES}
        self._findings: list[Finding] = []
        self._times: list[str] = []
        self._bytes = 0
        self._entries: dict[str, tuple[str, int, int]] = {}  # id -> sha256, rows, export events
        self._hashes: set[str] = set()

    def add(self, batch: Batch) -> None:
        """Count in what became of some of its exports."""
        self.problems |= events.problems([one.export.id for one in batch.outcomes], batch, publish=self.publish)
        self.committed = batch.published or self.committed
        for outcome in batch.outcomes:
            self.statuses[outcome.status] += 1
            self._bytes += outcome.export.size
            self._counts.update({name: getattr(outcome, name) for name in _COUNTS})
            for name, table in self._tables.items():
                table.update(getattr(outcome, name))
            self._findings += outcome.findings[: MAX_FINDINGS - len(self._findings)]
            self._times += [time for time in (outcome.exported_from, outcome.exported_to) if time]
            self._times = [min(self._times), max(self._times)] if self._times else []

    def batch(self) -> Batch:
        """The day as one export, and the version that accounts for it. No outcome where nothing arrived."""
        from encord_dagster.pipeline import published  # brings numpy and pyarrow: not when definitions load

        head = history.head(self._lake, self._config.name)
        self._read(Accounted(self._lake, self._config.name, head))
        outcome = self._outcome()
        version = (self.committed or published(self._lake, self._config.name, head)) if self.publish else None
        return Batch(outcomes=(outcome,) if outcome else (), published=version)

    def counted(self, event: dg.AssetMaterialization) -> dg.AssetMaterialization:
        """What a day's event says beside that of an export."""
        counts = {
            "encord/exports": len(self._entries),
            "encord/exports_taken": self.statuses.total(),
            "encord/exports_unusable": len(self.problems),
        }
        return dg.AssetMaterialization(
            event.asset_key,
            partition=event.partition,
            metadata={**event.metadata, **{name: dg.MetadataValue.int(count) for name, count in counts.items()}},
            tags=event.tags,
        )

    def problem(self, asset: str) -> str | None:
        """A day with an export that could not be used is no green one, whatever became of the others."""
        if not self.problems or asset == "quarantine" or (asset == "raw_export" and not self.statuses["failed"]):
            return None
        return self._told()

    def _read(self, log: Accounted) -> None:
        """What the log accounts for, and what was refused."""
        start = ids_of(self.day)
        for entry in log.between(start, f"{start}~"):
            self._entries[entry.id] = entry.sha256, entry.rows, entry.export_hash_count
            self._hashes.update(entry.export_hashes if len(self._hashes) < MAX_HASHES else ())
        for key in sources.refused_of_day(self._lake, self._config.name, self.day):
            if key not in self._entries:
                self.problems.setdefault(key, "Nothing in this export could be used: see what is in quarantine.")

    def _outcome(self) -> ExportOutcome | None:
        if not (self._entries or self.statuses or self.problems):
            self.problems[self.day] = "No export of this day is recorded in the lake."
            return None
        none: Status | None = "observed" if self._entries else None
        good = next((status for status in _GOOD if self.statuses[status]), none)
        bad: Status = "quarantined" if self.statuses["quarantined"] or not self.statuses else "failed"
        outcome = ExportOutcome(
            export=Export(id=self.day, key=self._told(), size=self._bytes, etag="", last_modified=self.day),
            status=good or bad,
            sha256=self._digest(),
            findings=tuple(self._findings),
            export_hashes=tuple(sorted(self._hashes)[:MAX_HASHES]),
            export_hash_count=sum(hashes for _, _, hashes in self._entries.values()),
            exported_from=self._times[0] if self._times else None,
            exported_to=self._times[-1] if self._times else None,
            uris={"events": f"{self._lake.url}/{layout.exports(self._config.name)}{ids_of(self.day)}"},
            error=None if good else self._told(),
        )
        counted = {name: self._counts[name] for name in _COUNTS} | {n: dict(table) for n, table in self._tables.items()}
        rows = sum(rows for _, rows, _ in self._entries.values()) if self.publish else self._counts["rows"]
        return msgspec.structs.replace(outcome, **counted | {"rows": rows})

    def _digest(self) -> str:
        """Equal where the same bytes arrived on the day, in however many runs they were taken."""
        held = "\n".join(f"{key} {self._entries[key][0]}" for key in sorted(self._entries))
        return hashlib.sha256(held.encode()).hexdigest()

    def _told(self) -> str:
        if not self.problems:
            return f"{len(self._entries) or self.statuses.total()} exports of {self.day}"
        total = len(self._entries.keys() | self.problems.keys())
        named = ", ".join(sorted(self.problems)[:NAMED])
        more = f" and {len(self.problems) - NAMED} more" if len(self.problems) > NAMED else ""
        return f"{len(self.problems)} of {total} exports of {self.day} could not be used: {named}{more}."
