"""Counts the records of a version, one bucket after the other: of each no more is kept than its counts."""

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from encord_dagster.label_set.manifest import Bucket
from encord_dagster.label_set.shards import OpenBucket
from encord_dagster.label_set.spread import Spreads
from encord_dagster.storage.at_once import at_once

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encord_dagster.label_set.read import Version

    _Texts = pa.ChunkedArray[pa.StringScalar]

SMALL, LARGE = 32.0**2, 96.0**2  # pixels of area: where COCO draws its lines
MOST = 20_000  # keys of one kind; what comes later is counted together
OTHER = "…"
STATUSES = ("label_status", "annotation_task_status", "workflow_node")
COLUMNS = {
    "images": ("row", "width", "height", "objects", "data_type", *STATUSES),
    "annotations": ("annotation_id", "image_id", "category_id", "shape", "width", "height", "area"),
    "classifications": ("row", "classification_hash", "feature_hash", "name"),
    "attributes": ("row", "of", "of_hash", "annotation_id", "feature_hash", "name", "text", "number", "options"),
}

Tables = dict[str, pa.Table]
Answered = tuple[str, str, str, str]  # object or classification, id or hash of its class, attribute, its hash
_Key = TypeVar("_Key")


class Counted:
    """The counts of all buckets so far."""

    def __init__(self) -> None:
        self.images = self.without_objects = 0
        self.sizes: Counter[tuple[int, int]] = Counter()  # (-1, -1): of sizes that came late
        self.data_types: Counter[str] = Counter()
        self.statuses: dict[str, dict[str, list[int]]] = {name: {} for name in STATUSES}  # images, label rows
        self.on_images: Spreads[None] = Spreads()
        self.objects: Counter[int] = Counter()
        self.shown: Counter[int] = Counter()
        self.shapes: Counter[tuple[int, str]] = Counter()
        self.widths: Spreads[int] = Spreads()
        self.heights: Spreads[int] = Spreads()
        self.areas: Spreads[int] = Spreads()
        self.sized: Counter[tuple[int, int]] = Counter()  # by class, and 0 without area, 1 small, 2 medium, 3 large
        self.classifications: Counter[tuple[str, str]] = Counter()
        self.options: Counter[tuple[str, str, str, str, str]] = Counter()
        self.texts: Counter[Answered] = Counter()
        self.numbers: Spreads[Answered] = Spreads()

    def by_area(self, category_id: int) -> tuple[int, int, int, int]:
        """How many objects of a class are small, medium, large, and without area."""
        return (
            self.sized[category_id, 1],
            self.sized[category_id, 2],
            self.sized[category_id, 3],
            self.sized[category_id, 0],
        )

    def add(self, held: Tables) -> None:
        """Count the tables of one bucket."""
        self._add_images(held["images"])
        self._add_annotations(held["annotations"])
        for record in _grouped(held["classifications"], "feature_hash", "name"):
            self.classifications[_text(record["feature_hash"]), _text(record["name"])] += record["count_all"]
        if len(held["attributes"]):
            self._add_answers(_owned(held))

    def _add_images(self, images: pa.Table) -> None:
        objects = _numbers(images["objects"])
        self.images += len(images)
        self.without_objects += int((objects == 0).sum())
        self.on_images.add([None], np.zeros(len(images), dtype=np.int64), objects)
        for record in _grouped(images, "width", "height"):
            _count(self.sizes, (record["width"], record["height"]), record["count_all"], other=(-1, -1))
        for record in _grouped(images, "data_type"):
            self.data_types[_text(record["data_type"])] += record["count_all"]
        for name, counts in self.statuses.items():
            for record in _grouped(images, name, distinct="row"):
                held = counts.setdefault(_text(record[name]), [0, 0])
                held[0] += record["count_all"]
                held[1] += record["row_count_distinct"]

    def _add_annotations(self, annotations: pa.Table) -> None:
        ids, groups = np.unique(_numbers(annotations["category_id"]).astype(np.int64), return_inverse=True)
        keys = [int(one) for one in ids]
        for name, spreads in (("width", self.widths), ("height", self.heights), ("area", self.areas)):
            spreads.add(keys, groups, _numbers(annotations[name]))
        area = _numbers(annotations["area"])
        sized = (area > 0).astype(np.int64) + (area >= SMALL) + (area >= LARGE)
        for place, count in enumerate(np.bincount(groups * 4 + sized, minlength=4 * len(keys))):
            self.sized[keys[place // 4], place % 4] += int(count)
        for place, count in enumerate(np.bincount(groups, minlength=len(keys))):
            self.objects[keys[place]] += int(count)
        for record in _grouped(annotations, "category_id", "shape"):
            self.shapes[record["category_id"], _text(record["shape"])] += record["count_all"]
        for record in _grouped(annotations, "category_id", distinct="image_id"):
            self.shown[record["category_id"]] += record["image_id_count_distinct"]

    def _add_answers(self, answers: pa.Table) -> None:
        names = ("of", "owner", "name", "feature_hash")
        for record in _grouped(answers.filter(pc.is_valid(answers["text"])), *names):
            _count(self.texts, _answered(record), record["count_all"], other=("", "", OTHER, ""))
        chosen = answers.filter(pc.is_valid(answers["options"])).combine_chunks()
        if len(chosen):
            places = pc.list_parent_indices(chosen["options"])
            ticked = chosen.select(list(names)).take(places)
            ticked = ticked.append_column("option", pc.list_flatten(chosen["options"]))
            for record in _grouped(ticked, *names, "option"):
                key = _answered(record)
                _count(self.options, (*key, _text(record["option"])), record["count_all"], other=(*key, OTHER))
        given = answers.filter(pc.is_valid(answers["number"]))
        if len(given):
            found = [_answered(record) for record in given.select(list(names)).to_pylist()]
            order = {key: place for place, key in enumerate(dict.fromkeys(found))}
            groups = np.array([order[key] for key in found], dtype=np.int64)
            self.numbers.add(list(order), groups, _numbers(given["number"]))


def count_buckets(version: "Version") -> Counted:
    """Count a version: each shard of a table is read once."""

    def read(bucket: Bucket) -> Tables:
        opened = OpenBucket(version.lake, bucket)
        return {name: opened.table(name, columns) for name, columns in COLUMNS.items()}

    counted = Counted()
    for held in at_once(version.lake, read, version.buckets()):
        counted.add(held)
    return counted


def _owned(held: Tables) -> pa.Table:
    """The answers of one bucket, each with the id of its object's class, or the hash of its classification."""
    answers, objects, given = held["attributes"], held["annotations"], held["classifications"]
    of_object = pc.index_in(answers["annotation_id"], value_set=objects["annotation_id"].combine_chunks())
    of_image = pc.index_in(
        _joined(answers["row"], answers["of_hash"]),
        value_set=_joined(given["row"], given["classification_hash"]).combine_chunks(),
    )
    class_id = pc.cast(objects["category_id"], pa.string()).take(of_object)
    owner = pc.if_else(pc.is_valid(answers["annotation_id"]), class_id, given["feature_hash"].take(of_image))
    return answers.append_column("owner", owner)


def _joined(row: "_Texts", found: "_Texts") -> "_Texts":
    """Both as one text; the row, which is of one length, is the separator too, as pa.scalar() would import pandas."""
    return pc.binary_join_element_wise(row, found, row)


def _answered(record: dict[str, Any]) -> Answered:
    return (_text(record["of"]), _text(record["owner"]), _text(record["name"]), _text(record["feature_hash"]))


def _grouped(table: pa.Table, *names: str, distinct: str | None = None) -> list[dict[str, Any]]:
    """How many records have the same values, and how many values of another column there are among them.

    Table.group_by() would import pandas.
    """
    if not len(table):
        return []
    columns = [_encoded(table[name]) for name in names]
    places = np.zeros(len(table), dtype=np.int64)
    for values, codes in columns:  # numbered anew for each column: products of many would overflow
        _, first, places, counts = np.unique(
            places * len(values) + codes, return_index=True, return_inverse=True, return_counts=True
        )
    found = [
        {name: values[codes[at]] for name, (values, codes) in zip(names, columns, strict=True)} | {"count_all": count}
        for at, count in zip(first, counts.tolist(), strict=True)
    ]
    if distinct:
        pairs = np.unique(np.stack((places, _encoded(table[distinct])[1])), axis=1)
        for record, count in zip(found, np.bincount(pairs[0]), strict=True):
            record[f"{distinct}_count_distinct"] = int(count)
    return found


def _encoded(column: "pa.ChunkedArray[Any]") -> "tuple[list[Any], NDArray[np.int64]]":
    """The values that a column has, null among them, and for each record which one it is."""
    encoded = column.combine_chunks().dictionary_encode("encode")
    return encoded.dictionary.to_pylist(), np.from_dlpack(encoded.indices).astype(np.int64)


def _numbers(column: "pa.ChunkedArray[Any]") -> "NDArray[np.float64]":
    """The values of a column without nulls; to_numpy() would import pandas."""
    parts = [np.from_dlpack(chunk).astype(np.float64) for chunk in column.chunks if len(chunk)]
    return np.concatenate([np.empty(0), *parts])


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _count(counts: "Counter[_Key]", key: _Key, count: int, *, other: _Key) -> None:
    counts[key if key in counts or len(counts) < MOST else other] += count
