"""What the newest version changed beside the one before, at a glance: work follows the change and has a limit."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import get_args

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats.chart import ClassBar
from encord_dagster.formats.thumbnail import Scene
from encord_dagster.label_set import scenes
from encord_dagster.label_set.manifest import Root
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.scenes import Seen
from encord_dagster.label_set.touched import Fate, Touched, fate_of, touched
from encord_dagster.storage.protocol import ObjectStore

PLACES = 64  # buckets that differ whose rows are counted
SCENES = 3
SHARDS = 2  # read at most for pictures


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A version beside the one before it."""

    before: int  # 0: there was none, or it is gone
    after: int
    rows: dict[Fate, int]
    whole: bool  # whether all rows are counted: not where more than 64 buckets differ
    classes: tuple[ClassBar, ...]  # of both versions, most objects first
    scenes: tuple[Scene, ...]  # some images that changed


def beside(label_set: LabelSet, version: Version) -> Beside:
    """Compare a version with the one before it. Reads roots, the buckets that differ, and a shard or two."""
    before = _before(label_set, version.number)
    old = before.root if before else None
    places = islice(touched(label_set.lake, old, version.root), PLACES + 1 if old else SHARDS)
    rows: Counter[Fate] = Counter()
    shown: list[Scene] = []
    read = seen = 0
    for seen, place in enumerate(places, start=1):
        if seen > PLACES:
            break
        rows.update(fate_of(place.before.get(key), place.after.get(key)) for key in place.keys)
        if len(shown) < SCENES and read < SHARDS and place.after:
            read += 1
            shown += _scenes(label_set.lake, place)
    if old is None:
        rows = Counter({"added": version.root.rows})
    return Beside(
        before=before.number if before else 0,
        after=version.number,
        rows={fate: rows[fate] for fate in get_args(Fate)},
        whole=seen <= PLACES,
        classes=tuple(class_bars(old, version.root)),
        scenes=tuple(shown[:SCENES]),
    )


def _before(label_set: LabelSet, number: int) -> Version | None:
    """The version before; None where there is none, or garbage collection dropped it."""
    try:
        return label_set.version(number - 1) if number > 1 else None
    except UsageError:
        return None


def class_bars(before: Root | None, after: Root) -> Iterator[ClassBar]:
    """The objects of each class of two versions, most first."""
    counts: list[Counter[str]] = []
    for root in (before, after):
        counts.append(Counter())
        for count in root.classes if root else ():
            counts[-1][count.feature_hash] += count.objects
    was, now = counts
    known = {one.feature_hash: one for root in (before, after) if root for one in root.categories}
    for key in sorted({*was, *now}, key=lambda key: (-now[key], -was[key], known[key].id)):
        yield ClassBar(known[key].id, known[key].name, now[key], was[key])


def _scenes(lake: ObjectStore, place: Touched) -> list[Scene]:
    """Images of rows that changed, those with the most classes first, one of each row."""
    found: list[Seen] = []
    for bucket in place.buckets_after:
        for _, records in scenes.records(lake, bucket, wanted=place.after.keys()):
            if seen := scenes.drawable(*records):
                found.append(max(seen, key=Seen.busy))
    found.sort(key=Seen.busy, reverse=True)
    return [seen.scene for seen in found[:SCENES]]
