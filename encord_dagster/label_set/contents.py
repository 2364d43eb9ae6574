"""What label rows hold, out of the shards of a bucket, and how two such holdings differ."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from encord_dagster.formats import tables
from encord_dagster.formats.arrays import array
from encord_dagster.formats.coco import Annotation
from encord_dagster.label_set import annotations, shards
from encord_dagster.label_set.manifest import Bucket
from encord_dagster.storage.protocol import ObjectStore

Key = tuple[object, ...]
Held = dict[Key, object]
Value = TypeVar("Value")

_IMAGE = [name for name in tables.IMAGES.names if name not in ("objects", "image_id", *tables.IMAGES.names[:3])]
_CLASSIFICATION = ("image_id", "frame", "classification_hash")
_GIVEN = [name for name in tables.CLASSIFICATIONS.names[3:] if name not in _CLASSIFICATION]
_ANSWER = ("feature_hash", "name", "dynamic", "text", "number", "options", "option_hashes")  # not what ontologies add


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What some label rows hold: images, classifications and objects with their answers, by row."""

    images: dict[str, Held]  # by image id
    classifications: dict[str, Held]  # by image, frame and hash; the values hold the answers too
    objects: dict[str, dict[int, Annotation]]  # by annotation id
    answers: dict[int, list[Key]]  # of objects, by annotation id


class Changed(msgspec.Struct, frozen=True):
    """How many were added, removed, changed."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    def __add__(self, other: "Changed") -> "Changed":
        """Both together."""
        return Changed(self.added + other.added, self.removed + other.removed, self.changed + other.changed)


class ObjectChange(msgspec.Struct, frozen=True, kw_only=True):
    """One object on one image that is not the same. `was` and `now` are feature hashes, None where it is not there."""

    was: str | None
    now: str | None
    geometry: bool = False
    attributes: bool = False
    other: bool = False  # confidence, people, times, whether it was drawn by hand


def contents(lake: ObjectStore, buckets: Iterable[Bucket], rows: Iterable[str]) -> Contents:
    """What the rows hold that are in these buckets; their masks are not read."""
    found = Contents(images={}, classifications={}, objects={}, answers={})
    wanted = frozenset(rows)
    for bucket in buckets:
        opened = shards.OpenBucket(lake, bucket)
        for line in opened.coco_rows():
            if line.row in wanted:
                found.objects[line.row] = {one.id: one for one in annotations.read(line.annotations)}
        given: dict[Key, list[Key]] = {}
        for record in _records(opened, "attributes", wanted):
            answer = tuple(_plain(record[name]) for name in _ANSWER)
            if isinstance(number := record["annotation_id"], int):
                found.answers.setdefault(number, []).append(answer)
            else:
                at = (record["row"], record["image_id"], record["frame"], record["of_hash"])
                given.setdefault(at, []).append(answer)
        for record in _records(opened, "images", wanted):
            image = tuple(_plain(record[name]) for name in _IMAGE)
            found.images.setdefault(str(record["row"]), {})[(record["image_id"],)] = image
        for record in _records(opened, "classifications", wanted):
            one = tuple(record[name] for name in _CLASSIFICATION)
            answered = sorted(given.get((record["row"], *one), ()), key=repr)
            held = (*(_plain(record[name]) for name in _GIVEN), answered)
            found.classifications.setdefault(str(record["row"]), {})[one] = held
    return found


def _records(bucket: shards.OpenBucket, name: str, rows: frozenset[str]) -> list[tables.Record]:
    """The records of some rows, with the columns of today."""
    table = bucket.table(name)
    table = table.filter(pc.is_in(table["row"], value_set=array(sorted(rows), pa.string())))
    return tables.united([table], tables.SCHEMAS[name]).to_pylist()


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def changed(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> Changed:
    """How two holdings differ."""
    return Changed(
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        changed=sum(before[key] != after[key] for key in before.keys() & after.keys()),
    )


def object_changes(before: Contents, after: Contents, row: str) -> list[ObjectChange]:
    """The objects of one row that are not the same."""
    was, now = before.objects.get(row, {}), after.objects.get(row, {})
    found: list[ObjectChange] = []
    for number in sorted({*was, *now}):
        one, other = was.get(number), now.get(number)
        if one is None or other is None:
            found.append(ObjectChange(was=_class(one), now=_class(other)))
            continue
        answers = [sorted(held.answers.get(number, ()), key=repr) for held in (before, after)]
        change = ObjectChange(
            was=_class(one),
            now=_class(other),
            geometry=_geometry(one) != _geometry(other),
            attributes=answers[0] != answers[1],
            other=_other(one) != _other(other),
        )
        if change.geometry or change.attributes or change.other or change.was != change.now:
            found.append(change)
    return found


def _class(item: Annotation | None) -> str | None:
    return item.encord.feature_hash or "" if item else None


def _geometry(item: Annotation) -> Key:
    drawn = (item.bbox, item.area, item.segmentation, item.keypoints, item.num_keypoints, item.polyline)
    return (*drawn, item.attributes.rotation)


def _other(item: Annotation) -> object:
    return item.score, msgspec.structs.replace(item.attributes, classifications={}, rotation=None)
