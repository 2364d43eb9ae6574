"""What the newest version changed beside the one before, at a glance: work follows the change and has a limit."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import get_args

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats.chart import ClassBar
from encord_dagster.formats.thumbnail import Scene, Shape
from encord_dagster.label_set.manifest import Bucket, Root
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.shards import OpenBucket
from encord_dagster.label_set.touched import Fate, Touched, fate_of, touched
from encord_dagster.storage.protocol import ObjectStore

PLACES = 64  # buckets that differ whose rows are counted
SCENES = 3
SHARD_BYTES = 8 * 2**20  # larger ones are not read for a picture
SHARDS = 2  # read at most for pictures
LARGEST = 2**26  # pixels of an image that is drawn


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A version beside the one before it."""

    before: int  # 0: there was none, or it is gone
    after: int
    rows: dict[Fate, int]
    whole: bool  # whether all rows are counted: not where more than 64 buckets differ
    classes: tuple[ClassBar, ...]  # of both versions, most objects first
    scenes: tuple[Scene, ...]  # some images that changed


class _Size(msgspec.Struct, frozen=True):
    id: int
    width: int
    height: int


class _Drawn(Shape, frozen=True, gc=False, kw_only=True):
    image_id: int


_Records = Sequence[bytes | msgspec.Raw]
_Busy = tuple[int, int, Scene]  # classes, objects
_SIZE, _DRAWN = msgspec.json.Decoder(_Size), msgspec.json.Decoder(_Drawn)


def beside(label_set: LabelSet, version: Version) -> Beside:
    """Compare a version with the one before it. Reads roots, the buckets that differ, and a shard or two."""
    before = _before(label_set, version.number)
    old = before.root if before else None
    places = islice(touched(label_set.lake, old, version.root), PLACES + 1 if old else SHARDS)
    rows: Counter[Fate] = Counter()
    scenes: list[Scene] = []
    read = seen = 0
    for seen, place in enumerate(places, start=1):
        if seen > PLACES:
            break
        rows.update(fate_of(place.before.get(key), place.after.get(key)) for key in place.keys)
        if len(scenes) < SCENES and read < SHARDS and place.after:
            read += 1
            scenes += _scenes(label_set.lake, place)
    if old is None:
        rows = Counter({"added": version.root.rows})
    return Beside(
        before=before.number if before else 0,
        after=version.number,
        rows={fate: rows[fate] for fate in get_args(Fate)},
        whole=seen <= PLACES,
        classes=tuple(_classes(old, version.root)),
        scenes=tuple(scenes[:SCENES]),
    )


def _before(label_set: LabelSet, number: int) -> Version | None:
    """The version before; None where there is none, or garbage collection dropped it."""
    try:
        return label_set.version(number - 1) if number > 1 else None
    except UsageError:
        return None


def _classes(before: Root | None, after: Root) -> Iterator[ClassBar]:
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
    found: list[_Busy] = []
    for bucket in place.buckets_after:
        for images, annotations in _records(lake, bucket, wanted=place.after.keys()):
            if scenes := _drawable(images, annotations):
                found.append(max(scenes, key=lambda scene: scene[:2]))
    found.sort(key=lambda scene: scene[:2], reverse=True)
    return [scene for _, _, scene in found[:SCENES]]


def _records(lake: ObjectStore, bucket: Bucket, *, wanted: Collection[str]) -> Iterator[tuple[_Records, _Records]]:
    """Image and annotation records of some rows of a bucket, out of its patch alone where that has any of them."""
    opened = OpenBucket(lake, bucket)
    patch, shard = (bucket.patch.ref.size if bucket.patch else 0), bucket.shards["coco"].size
    patched = [row for row in bucket.patch.rows if row in wanted] if bucket.patch else []
    if patched and patch <= SHARD_BYTES:
        yield from ((opened.patch[row].images, opened.patch[row].annotations) for row in patched)
    elif not patched and patch + shard <= SHARD_BYTES:
        yield from ((line.images, line.annotations) for line in opened.coco_rows() if line.row in wanted)


def _drawable(images: _Records, annotations: _Records) -> list[_Busy]:
    """The images of one row with labels, behind how many classes and objects each shows."""
    shapes: dict[int, list[Shape]] = {}
    for record in annotations:
        shape = _DRAWN.decode(record)
        shapes.setdefault(shape.image_id, []).append(shape)
    sizes = [size for size in map(_SIZE.decode, images) if size.id in shapes]
    return [
        (len({one.category_id for one in shapes[size.id]}), len(shapes[size.id]), scene)
        for size in sizes
        if 0 < size.width * size.height <= LARGEST and (scene := Scene(size.width, size.height, tuple(shapes[size.id])))
    ]
