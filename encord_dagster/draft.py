"""What a run would change: the rows that its exports decide, converted. What one export brought can be taken back."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from encord_dagster import identity
from encord_dagster.accounting import rule_counts
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.ontology import Ontology
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.fragment import Category, described, fragment_name, ontology_categories
from encord_dagster.label_set.accounts import Again
from encord_dagster.label_set.categories import Categories
from encord_dagster.label_set.events import Order, history_hashes, order
from encord_dagster.label_set.join import Join
from encord_dagster.label_set.manifest import BucketRow
from encord_dagster.offers import Facts, Made, Offer, made_of
from encord_dagster.spool import Spool

Held = TypeVar("Held")
_NO_RIVAL: Order = ("", 0, "", "")
Before = tuple[Order | None, BucketRow | None, str | None]  # best, change and deciding export of one row


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it was offered, without what its categories cannot hold; `change` is what it brings to the version."""

    row: Facts
    findings: tuple[Finding, ...]
    change: BucketRow | None
    made: Made | None  # where it was converted


class Draft:
    """Changes of a label set, by row identity, out of the exports of one run."""

    def __init__(
        self, join: Join, *, categories: Categories, spool: Spool, config: LabelSetConfig, ids: Mapping[str, int]
    ) -> None:
        self.join, self.categories, self.spool, self.config, self.ids = join, categories, spool, config, ids
        self.config_digest = config.digest()
        self.changes: dict[str, BucketRow] = {}
        self.decided_by: dict[str, str] = {}  # row identity -> export id
        root = join.state.root
        self.datasets = set(root.datasets if root else ())
        self.defined: dict[str, Category] = {}  # as the ontologies of this run describe them
        self._defined_before: dict[str, Category] = {}
        self._has_coco = bool(root and root.coco_rows)
        self._sources: dict[str, dict[str, str]] | None = None  # of the version, by data hash; read where COCO comes in
        self._taken_sources: dict[str, dict[str, str]] = {}  # of this run
        self._export_id, self._again = "", False
        self._ontology: Ontology | None = None
        self._before: dict[str, Before] = {}
        self._datasets_before = frozenset(self.datasets)

    def begin(self, export_id: str, *, again: bool = False) -> None:
        """From here on rows come from this export; `again` where the version may hold what it brought before."""
        self._again = again
        self._export_id, self._before, self._datasets_before = export_id, {}, frozenset(self.datasets)
        self._ontology, self._defined_before = None, dict(self.defined)

    def use(self, ontology: Ontology | None) -> None:
        """The export's ontology: its classes keep its order, and a version describes them as it does."""
        self._ontology = ontology
        if ontology:
            claimed = self.categories.claim(ontology_categories(ontology))
            self.defined |= {key: described(category, ontology) for key, category in claimed.items()}

    def take_back(self) -> None:
        """Forget what came since `begin`: its export cannot be used after all."""
        for key, (event, change, decider) in self._before.items():
            _restore(self.join.best, key, event)
            _restore(self.changes, key, change)
            _restore(self.decided_by, key, decider)
        self.datasets, self.defined = set(self._datasets_before), dict(self._defined_before)

    def take(self, offer: Offer, event: RowEvent, found: Sequence[Finding]) -> Taken:
        """Offer a row; convert it where it decides its content and the content is new. RowError leaves no trace.

        `found` is what its reading has brought up.
        """
        categories = self.categories.claim(offer.classes(self._ontology))
        row = offer.fit(categories)
        key = identity.row_identity(row.label_hash, row.branch_name)
        rival = self.join.rival(event)
        wins = rival is None or order(event) > rival
        is_new = wins and self.join.is_new(event)
        known = self.join.state.row(key) if is_new and not self._again else None
        findings = [f for held in row.quarantined for f in held.findings if f.rule == "skeleton_joint_unknown"]
        findings += [*self._of_dataset(row), *self._of_other_source(row), *_of_known(event, rival, known)]
        change: BucketRow | None = None
        made: Made | None = None
        if wins:
            if is_new:
                change, made = self._converted(offer, row, event, categories)
                change = msgspec.structs.replace(change, rules=rule_counts((*findings, *found)))
            self._decide(key, event, change)
        if row.dataset_hash:
            self.datasets.add(row.dataset_hash)
        return Taken(row=row, findings=tuple(findings), change=change, made=made)

    def has(self, key: str, fingerprint: str, dataset_hash: str) -> bool:
        """Whether a row need not be looked at: the version has what it says, and nothing is to be said of it."""
        if self._again or self._has_coco or dataset_hash not in self.datasets:
            return False
        return self.join.state.fingerprint(key) == fingerprint

    def take_again(self, event: RowEvent) -> tuple[Finding, ...]:
        """Offer a row that the version has as it is; `has` must have said so."""
        key = identity.row_identity(event.label_hash, event.branch_name)
        rival = self.join.rival(event)
        if rival is None or order(event) > rival:
            self._decide(key, event, None)
        return tuple(_of_known(event, rival, None))

    def take_all_again(self, rows: Again) -> bool:
        """The same of several rows; nothing is done where a known event could beat one of them."""
        if self.join.has_rivals(rows):
            return False
        for key, one in zip(rows.keys, rows.orders(), strict=True):
            self._before.setdefault(key, (None, None, None))
            self.join.best[key], self.decided_by[key] = one, self._export_id
        return True

    def keeps_older(self, event: RowEvent) -> Finding | None:
        """A finding where this event cannot be used, and an older one stands in for it."""
        rival = self.join.rival(event)
        held = self.join.state.row(identity.row_identity(event.label_hash, event.branch_name))
        if (rival is None and held is None) or (rival and rival >= order(event)):
            return None
        text = "this event cannot be used, so the version keeps the row as it was before"
        return Finding("newer_event_quarantined", "warning", Location(row=event.label_hash), text)

    def decided(self, export_id: str) -> list[BucketRow]:
        """The rows whose new content one export decides."""
        return [row for key, row in self.changes.items() if self.decided_by[key] == export_id]

    def _decide(self, key: str, event: RowEvent, change: BucketRow | None) -> None:
        before = self.join.best.get(key), self.changes.get(key), self.decided_by.get(key)
        self._before.setdefault(key, before)
        self.join.best[key], self.decided_by[key] = order(event), self._export_id
        _restore(self.changes, key, change)

    def _converted(
        self, offer: Offer, row: Facts, event: RowEvent, categories: Mapping[str, Category]
    ) -> tuple[BucketRow, Made | None]:
        ids = offer.own_ids(self.ids) if self.ids else {}
        name = fragment_name(event.fingerprint, categories, config_digest=self.config_digest, ids=ids)
        made: Made | None = None
        if name in self.spool:
            made = made_of(self.spool.get(name))
        elif not row.deleted:
            made = offer.make(categories, ids)
            self.spool.put(name, made.data)
        change = BucketRow(
            row=identity.row_identity(row.label_hash, row.branch_name),
            label_hash=row.label_hash,
            branch_name=row.branch_name,
            fingerprint=event.fingerprint,
            fragment=name if made else None,
            objects_in=row.objects_in,
            objects_quarantined=len(row.quarantined),
            objects_excluded=row.excluded,
            images=made.images if made else 0,
            annotations=made.annotations if made else 0,
            classes=made.classes if made else (),
            source=row.source,
            losses=offer.losses(),
            export_hash=event.export_hash or "",
            exports=len(event.history),
        )
        return change, made

    def _of_other_source(self, row: Facts) -> list[Finding]:
        """A finding where Encord's own JSON and its COCO export both bring labels of one data unit."""
        key = identity.row_identity(row.label_hash, row.branch_name)
        self._has_coco = self._has_coco or row.source == "coco"
        if self._has_coco and self._sources is None:
            self._sources = self.join.state.sources_by_data()
        twice = False
        for data_hash in row.data_hashes:
            for known in (self._sources or {}, self._taken_sources):
                twice = twice or any(source != row.source for source in known.get(data_hash, {}).values())
            self._taken_sources.setdefault(data_hash, {})[key] = row.source
        if not twice:
            return []
        text = "its images have labels out of both formats, JSON and COCO, so they are there twice; deliver one of them"
        return [Finding("labels_in_both_formats", "warning", Location(row=row.label_hash), text)]

    def _of_dataset(self, row: Facts) -> list[Finding]:
        if not row.dataset_hash or row.dataset_hash in self.datasets or not self._datasets_before:
            return []
        text = f"dataset {row.dataset_hash} is new to this label set; check that the prefix holds one project"
        return [Finding("new_dataset", "warning", Location(row=row.label_hash), text)]


def _of_known(event: RowEvent, rival: Order | None, held: BucketRow | None) -> list[Finding]:
    """What is odd about an event beside the greatest known one of its row, and beside what the version holds of it."""
    place, (_, _, rival_hash, rival_fingerprint) = Location(row=event.label_hash), rival or _NO_RIVAL
    known = {(rival_hash, rival_fingerprint), (held.export_hash, held.fingerprint) if held else ("", "")}
    if any(came and came == event.export_hash and of != event.fingerprint for came, of in known):
        text = f"it came with other labels under the same export hash {event.export_hash}; export the row again"
        return [Finding("export_hash_conflict", "warning", place, text)]
    if held and held.exports > len(event.history) and not (rival and rival > order(event)):
        text = (
            f"its history has {len(event.history)} exports, an older event's had {held.exports}; was it imported anew?"
        )
        return [Finding("history_shrank", "warning", place, text)]
    if rival and rival > order(event) and rival_hash in history_hashes(event.history):
        text = f"its history holds export {rival_hash}, yet that event is newer by its own time"
        return [Finding("history_disagrees", "warning", place, text)]
    return []


def _restore(held: dict[str, Held], key: str, value: Held | None) -> None:
    if value is None:
        held.pop(key, None)
    else:
        held[key] = value
