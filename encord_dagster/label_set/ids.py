"""Ids are unique within a version: of two records that share a number, the newer one gets another, for good."""

from collections.abc import Mapping
from itertools import count

import msgspec
import pyarrow as pa

from encord_dagster import identity
from encord_dagster.formats.arrays import compute
from encord_dagster.label_set import objects, shards
from encord_dagster.label_set.manifest import Bucket, Root
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.protocol import ObjectStore

Owner = tuple[str | int, ...]

COLUMNS = {  # a record's number, then its owner, in the order of `identity.image_key` and `annotation_key`
    "image": ["image_id", "data_hash", "frame", "space"],  # no space where there is none
    "annotation": ["annotation_id", "label_hash", "branch_name", "object_hash", "image_id"],
}
KINDS = ("images", "annotations")  # the tables whose records have ids


class IdsTaken(Exception):
    """Records of a run share ids; `numbers` gives the newer ones others, by identity, for the next attempt."""

    def __init__(self, numbers: dict[str, int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


class Written:
    """The ids in the buckets that one run writes; of one that it patches, those of the rows it brings."""

    def __init__(self) -> None:
        self._images: list[pa.Table] = []
        self._annotations: list[pa.Table] = []

    def add(self, tables: Mapping[str, pa.Table]) -> None:
        """Take in the tables of a bucket, or of rows."""
        self._images.append(tables["images"].select(COLUMNS["image"]))
        self._annotations.append(tables["annotations"].select(["annotation_id"]))

    def shared(self) -> bool:
        """Whether two records have one id. An image that two label rows describe is one image."""
        if not self._images:
            return False
        images, annotations = pa.concat_tables(self._images), pa.concat_tables(self._annotations)
        if _twice(annotations["annotation_id"]):
            return True
        return _twice(images["image_id"]) and _twice(_distinct(images)["image_id"])


def renumbered(lake: ObjectStore, *, before: Root | None, after: Root) -> dict[str, int]:
    """The id overrides of `after` and those that it lacks; ids that `before` has published stay.

    Annotation ids are made from image ids, so annotations have their turn when all images are told apart.
    """
    numbers = dict(after.id_overrides)
    for kind in ("image", "annotation"):
        owners = _owners(lake, after, kind)
        kept = _owners(lake, before, kind) if before else {}
        taken = {*owners, *numbers.values()}
        for number, sharing in sorted(owners.items()):
            published = sharing & kept.get(number, set())
            newer = sorted(sharing - published)
            for owner in newer if published else newer[1:]:
                key = identity.digest(kind, *map(str, owner))
                numbers[key] = next(n for i in count(1) if (n := identity.number(key, str(i))) not in taken)
                taken.add(numbers[key])
        if numbers != after.id_overrides:
            break
    return numbers


def _owners(lake: ObjectStore, root: Root, kind: str) -> dict[int, set[Owner]]:
    found: dict[int, set[Owner]] = {}
    for _, named in Tree(lake, root).buckets():
        bucket = msgspec.json.decode(objects.read(lake, named.ref), type=Bucket)
        table = shards.OpenBucket(lake, bucket).table(f"{kind}s")
        # tables of earlier releases have no space
        columns = [column for column in COLUMNS[kind] if column in table.column_names]
        for number, *owner in zip(*(table[column].to_pylist() for column in columns), strict=True):
            found.setdefault(number, set()).add(tuple(part for part in owner if part is not None))
    return found


def _twice(ids: "pa.ChunkedArray[pa.Int64Scalar]") -> bool:
    return len(compute("unique", ids)) < len(ids)


def _distinct(table: pa.Table) -> pa.Table:
    return table.group_by(table.column_names).aggregate([])
