"""What changed between two versions of a label set. Reads the buckets that differ, one place at a time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import get_args

import msgspec

from encord_dagster.findings import Finding
from encord_dagster.label_set.contents import Changed, ObjectChange, changed, contents, object_changes
from encord_dagster.label_set.decided import Decided, deciding
from encord_dagster.label_set.made_by import maker
from encord_dagster.label_set.manifest import BucketRow, ExportEntry, Root
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.touched import Fate, Touched, fate_of, touched

LISTED = 10_000  # rows that are named; all of them are counted

Sides = tuple[int, int]  # before, after
TOTALS = ("rows", "tombstones", "images", "annotations", "coco_rows")


class ObjectCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Objects on images that are not the same. A changed one may be counted under several of the last four."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    geometry: int = 0
    attributes: int = 0
    reclassified: int = 0
    other: int = 0  # confidence, people, times, whether it was drawn by hand


class ClassChange(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of one class that are not the same; a reclassified one counts under its new class."""

    feature_hash: str
    name: str
    objects: ObjectCounts


class CategoryChange(msgspec.Struct, frozen=True, kw_only=True):
    """A category that only one version has, or that they describe differently (name, colour, joints, edges)."""

    id: int
    feature_hash: str
    name: str  # in the later version where that has it
    fate: Fate


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """One label row that is not the same, and the export that brought what the second version has."""

    label_hash: str
    branch_name: str
    fate: Fate
    gone: bool  # the second version has a tombstone of it: the data behind the row was deleted
    version: int  # that its content in the second version came with, 0 where that is not known
    objects: ObjectCounts
    images: Changed
    classifications: Changed
    export_id: str | None = None
    export_hash: str | None = None
    exported_at: str | None = None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from version `before` to version `after`.

    Images and classifications are counted by label row: an image that two rows describe counts twice. Findings are
    those of the versions as such; those of row events are in `history` of the row.
    """

    before: int
    after: int
    content_digests: tuple[str, str]
    configuration_changed: bool
    rows: dict[Fate, int]
    listed: tuple[RowChange, ...]  # the first of them, in order of row identity
    objects: ObjectCounts
    classes: tuple[ClassChange, ...]
    images: Changed
    classifications: Changed
    categories: tuple[CategoryChange, ...]
    totals: dict[str, Sides]
    losses: dict[str, Sides]  # those that differ, by code
    findings_new: tuple[Finding, ...]
    findings_gone: tuple[Finding, ...]


def diff(label_set: LabelSet, before: int | str, after: int | str, *, listed: int = LISTED) -> Diff:
    """Compare two versions. Memory holds the buckets of one place, and the rows that are listed."""
    one, other = label_set.version(before), label_set.version(after)
    old, new = one.root, other.root
    tally = _Tally(listed)
    for place in touched(label_set.lake, old, new):
        tally.add(label_set, place)
    return Diff(
        before=one.number,
        after=other.number,
        content_digests=(old.content_digest, new.content_digest),
        configuration_changed=old.config_digest != new.config_digest,
        rows={fate: tally.rows[fate] for fate in get_args(Fate)},
        listed=tuple(_with_exports(label_set, one, other, tally)),
        objects=_counts(tally.classes.values()),
        classes=tuple(_classes(tally.classes, old, new)),
        images=tally.images,
        classifications=tally.classifications,
        categories=tuple(_categories(old, new)),
        totals={name: (getattr(old, name), getattr(new, name)) for name in TOTALS},
        losses={code: sides for code, sides in _losses(old, new).items() if sides[0] != sides[1]},
        findings_new=tuple(found for found in other.record.findings if found not in one.record.findings),
        findings_gone=tuple(found for found in one.record.findings if found not in other.record.findings),
    )


class _Tally:
    """What is added up row by row."""

    def __init__(self, most: int) -> None:
        self.most = most  # rows to list
        self.rows: Counter[Fate] = Counter()
        self.listed: dict[str, RowChange] = {}
        self.fingerprints: dict[str, str] = {}  # of listed rows, in the second version
        self.classes: dict[str, Counter[str]] = {}
        self.images = Changed()
        self.classifications = Changed()

    def add(self, label_set: LabelSet, place: Touched) -> None:
        """Take in the rows of one place."""
        before = contents(label_set.lake, place.buckets_before, place.keys)
        after = contents(label_set.lake, place.buckets_after, place.keys)
        for key in place.keys:
            items = object_changes(before, after, key)
            for item in items:
                feature_hash = item.was if item.now is None else item.now
                self.classes.setdefault(feature_hash or "", Counter()).update(_kinds(item))
            row = place.after.get(key) or place.before[key]
            change = RowChange(
                label_hash=row.label_hash,
                branch_name=row.branch_name,
                fate=fate_of(place.before.get(key), place.after.get(key)),
                gone=key in place.after and row.fragment is None,
                version=row.version if key in place.after else 0,
                objects=_counts([Counter(kind for item in items for kind in _kinds(item))]),
                images=changed(before.images.get(key, {}), after.images.get(key, {})),
                classifications=changed(before.classifications.get(key, {}), after.classifications.get(key, {})),
            )
            self._take(key, change, place.after.get(key))

    def _take(self, key: str, change: RowChange, now: BucketRow | None) -> None:
        self.rows[change.fate] += 1
        self.images, self.classifications = self.images + change.images, self.classifications + change.classifications
        if len(self.listed) < self.most:
            self.listed[key] = change
            self.fingerprints |= {key: now.fingerprint} if now else {}


def _kinds(item: ObjectChange) -> Iterator[str]:
    """Under which counts an object falls."""
    if item.was is None or item.now is None:
        yield "removed" if item.now is None else "added"
        return
    yield "changed"
    yield from (name for name in ("geometry", "attributes", "other") if getattr(item, name))
    if item.was != item.now:
        yield "reclassified"


def _counts(parts: Iterable[Counter[str]]) -> ObjectCounts:
    return ObjectCounts(**sum(parts, Counter()))


def _with_exports(label_set: LabelSet, before: Version, after: Version, tally: _Tally) -> Iterator[RowChange]:
    """The listed rows with the export that brought their content: of the version that they say they came with."""
    found: dict[str, Decided] = {}
    came: dict[int, dict[str, str]] = {}
    for key, row in tally.listed.items():
        if before.number < row.version <= after.number:
            came.setdefault(row.version, {})[key] = tally.fingerprints[key]
    for version, wanted in sorted(came.items()):
        found |= deciding(label_set.lake, _exports_of(label_set, version), wanted)
    unknown = {key: fingerprint for key, fingerprint in tally.fingerprints.items() if key not in found}
    if unknown:  # converted anew, or in versions of older releases, or an earlier version compared with a later one
        found |= deciding(label_set.lake, after.exports().values(), unknown)
    for key, change in tally.listed.items():
        yield _decided(change, found[key]) if key in found else change


def _exports_of(label_set: LabelSet, version: int) -> tuple[ExportEntry, ...]:
    record = maker(label_set, version).record
    return record.exports if record else ()


def _decided(change: RowChange, by: Decided) -> RowChange:
    event = by.event
    return msgspec.structs.replace(
        change, export_id=by.export_id, export_hash=event.export_hash, exported_at=event.exported_at
    )


def _classes(counts: dict[str, Counter[str]], before: Root, after: Root) -> Iterator[ClassChange]:
    names = {category.feature_hash: category.name for root in (before, after) for category in root.categories}
    for key in sorted(counts, key=lambda key: (names.get(key, ""), key)):
        yield ClassChange(feature_hash=key, name=names.get(key, ""), objects=_counts([counts[key]]))


def _categories(before: Root, after: Root) -> Iterator[CategoryChange]:
    was, now = ({category.feature_hash: category for category in root.categories} for root in (before, after))
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            known = now.get(key) or was[key]
            fate: Fate = "added" if key not in was else "removed" if key not in now else "changed"
            yield CategoryChange(id=known.id, feature_hash=key, name=known.name, fate=fate)


def _losses(before: Root, after: Root) -> dict[str, Sides]:
    codes = sorted({*before.losses, *after.losses})
    return {code: (before.losses.get(code, 0), after.losses.get(code, 0)) for code in codes}
