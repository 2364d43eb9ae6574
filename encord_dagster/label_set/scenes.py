"""Images to look at: of a version, and of the rows that differ between two. What is read for them has a limit."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import msgspec

from encord_dagster.formats.thumbnail import Scene, Shape
from encord_dagster.label_set.manifest import Bucket
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.shards import OpenBucket
from encord_dagster.label_set.touched import Touched, touched
from encord_dagster.storage.protocol import ObjectStore

SHARD_BYTES = 8 * 2**20  # larger ones are not read for a picture
LARGEST = 2**26  # pixels of an image that is drawn
BUCKETS = 4  # read at most for the images of a version
PLACES = 8  # where two versions differ, read at most for images of both

Records = Sequence[bytes | msgspec.Raw]
Pair = tuple["Seen", "Seen"]  # one image before and after


class Seen(msgspec.Struct, frozen=True):
    """An image that can be drawn, and the row that describes it."""

    label_hash: str
    file_name: str
    scene: Scene

    def busy(self) -> tuple[int, int]:
        """How many classes and objects it shows."""
        return len({one.category_id for one in self.scene.shapes}), len(self.scene.shapes)


class _Encord(msgspec.Struct, frozen=True):
    label_hash: str = ""


class _Image(msgspec.Struct, frozen=True):
    id: int
    width: int
    height: int
    file_name: str = ""
    encord: _Encord = _Encord()


class _Drawn(Shape, frozen=True, gc=False, kw_only=True):
    image_id: int


_IMAGE, _DRAWN = msgspec.json.Decoder(_Image), msgspec.json.Decoder(_Drawn)


def samples(version: Version, most: int) -> list[Seen]:
    """Some images, so that few show as many classes as they can; one of each row of the first buckets."""
    found: list[Seen] = []
    for bucket in islice(version.buckets(), BUCKETS):
        rows = {row.row for row in bucket.rows}
        shards = rows.difference(bucket.patch.rows) if bucket.patch else rows
        for _, held in records(version.lake, bucket, wanted=shards or rows):
            if seen := drawable(*held):
                found.append(max(seen, key=Seen.busy))
    found.sort(key=Seen.busy, reverse=True)
    return _varied(found, most)


def _varied(found: list[Seen], most: int) -> list[Seen]:
    """At each step the one that shows most of what was not shown; what comes first where several do."""
    chosen: list[Seen] = []
    shown: set[int] = set()
    while found and len(chosen) < most:
        best = max(found, key=lambda seen: len({one.category_id for one in seen.scene.shapes} - shown))
        shown |= {one.category_id for one in best.scene.shapes}
        found.remove(best)
        chosen.append(best)
    return chosen


def pairs(label_set: LabelSet, before: Version, after: Version, most: int) -> list[Pair]:
    """Images whose shapes are not the same in two versions, one of each row."""
    found: list[Pair] = []
    for place in islice(touched(label_set.lake, before.root, after.root), PLACES):
        found += _pairs(label_set.lake, place)
        if len(found) >= most:
            break
    return found[:most]


def _pairs(lake: ObjectStore, place: Touched) -> Iterator[Pair]:
    wanted = place.before.keys() & place.after.keys()
    was, now = (
        {row: drawable(*held) for bucket in buckets for row, held in records(lake, bucket, wanted=wanted)}
        for buckets in (place.buckets_before, place.buckets_after)
    )
    for row in sorted(was.keys() & now.keys()):
        earlier = {seen.file_name: seen for seen in was[row]}
        changed = [
            (earlier[seen.file_name], seen)
            for seen in now[row]
            if seen.file_name in earlier and earlier[seen.file_name].scene != seen.scene
        ]
        if changed:
            yield max(changed, key=lambda pair: pair[1].busy())


def records(
    lake: ObjectStore, bucket: Bucket, *, wanted: Collection[str]
) -> Iterator[tuple[str, tuple[Records, Records]]]:
    """Image and annotation records of some rows of a bucket, out of its patch alone where that has any of them."""
    opened = OpenBucket(lake, bucket)
    patch, shard = (bucket.patch.ref.size if bucket.patch else 0), bucket.shards["coco"].size
    patched = [row for row in bucket.patch.rows if row in wanted] if bucket.patch else []
    if patched and patch <= SHARD_BYTES:
        yield from ((row, (opened.patch[row].images, opened.patch[row].annotations)) for row in patched)
    elif not patched and patch + shard <= SHARD_BYTES:
        yield from ((line.row, (line.images, line.annotations)) for line in opened.coco_rows() if line.row in wanted)


def drawable(images: Records, annotations: Records) -> list[Seen]:
    """The images of one row that have labels."""
    shapes: dict[int, list[Shape]] = {}
    for record in annotations:
        shape = _DRAWN.decode(record)
        shapes.setdefault(shape.image_id, []).append(shape)
    return [
        Seen(one.encord.label_hash, one.file_name, Scene(one.width, one.height, tuple(shapes[one.id])))
        for one in map(_IMAGE.decode, images)
        if one.id in shapes and 0 < one.width * one.height <= LARGEST
    ]
