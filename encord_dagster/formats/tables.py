"""Parquet tables of a label row: images, annotations, classifications, attributes.

A record is a dict with the columns of its schema; `row` (the row identity) orders records and finds a row's own.
Lengths are pixels, origin at the top-left corner.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from encord_dagster import identity
from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow, ObjectInstance
from encord_dagster.errors import RowError
from encord_dagster.formats import coco

if TYPE_CHECKING:
    from numpy.typing import NDArray

Record = dict[str, object]
PACKED_AT = 20_000  # records of a table: as dicts they take 1 KiB each, packed 50 bytes
# A row may have a million answers on its frames, and more where it has many objects: answers of a track or of a range
# stand in the export once and in the table at every frame.
MOST_ANSWERS = 1_000_000
ANSWERS_OF_AN_OBJECT = 10

_Columns = list[tuple[str, pa.DataType]]

_KEYS: _Columns = [("row", pa.string()), ("label_hash", pa.string()), ("branch_name", pa.string())]
_TEXTS = pa.list_(pa.string())

IMAGES = pa.schema(
    [
        *_KEYS,
        ("image_id", pa.int64()),
        ("data_hash", pa.string()),
        ("dataset_hash", pa.string()),
        ("frame", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("file_name", pa.string()),
        ("data_type", pa.string()),
        ("label_status", pa.string()),
        ("annotation_task_status", pa.string()),
        ("workflow_node", pa.string()),
        ("objects", pa.int32()),
        ("space", pa.string()),
        ("title", pa.string()),  # this and the next: only where they are published
        ("link", pa.string()),
    ]
)
ANNOTATIONS = pa.schema(
    [
        *_KEYS,
        ("annotation_id", pa.int64()),
        ("image_id", pa.int64()),
        ("category_id", pa.int32()),
        ("frame", pa.int64()),
        ("object_hash", pa.string()),
        ("feature_hash", pa.string()),
        ("class_name", pa.string()),
        ("shape", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("width", pa.float64()),
        ("height", pa.float64()),
        ("area", pa.float64()),
        ("rotation", pa.float64()),
        ("track_id", pa.int64()),
        ("confidence", pa.float64()),
        ("manual", pa.bool_()),
        ("mask_value", pa.int32()),
        ("created_by", pa.string()),  # this and the next three: only where they are published
        ("last_edited_by", pa.string()),
        ("created_at", pa.string()),
        ("last_edited_at", pa.string()),
    ]
)
CLASSIFICATIONS = pa.schema(
    [
        *_KEYS,
        ("image_id", pa.int64()),
        ("frame", pa.int64()),
        ("classification_hash", pa.string()),
        ("feature_hash", pa.string()),
        ("name", pa.string()),
        ("confidence", pa.float64()),
        ("manual", pa.bool_()),
        ("created_by", pa.string()),  # this and the next three: only where they are published
        ("last_edited_by", pa.string()),
        ("created_at", pa.string()),
        ("last_edited_at", pa.string()),
    ]
)
ATTRIBUTES = pa.schema(
    [
        *_KEYS,
        ("of", pa.string()),
        ("of_hash", pa.string()),
        ("annotation_id", pa.int64()),
        ("image_id", pa.int64()),
        ("frame", pa.int64()),
        ("feature_hash", pa.string()),
        ("name", pa.string()),
        ("dynamic", pa.bool_()),
        ("text", pa.string()),
        ("number", pa.float64()),
        ("options", _TEXTS),
        ("option_hashes", _TEXTS),
        ("kind", pa.string()),  # this and the next: only where an ontology tells
        ("parent_option", pa.string()),
    ]
)
_FINDINGS: _Columns = [
    ("rule", pa.string()),
    ("severity", pa.string()),
    ("label_hash", pa.string()),
    ("data_hash", pa.string()),
    ("space", pa.string()),
    ("frame", pa.int64()),
    ("object_hash", pa.string()),
    ("message", pa.string()),
]
FINDINGS = pa.schema(_FINDINGS)
_MASKS: _Columns = [
    ("row", pa.string()),
    ("image_id", pa.int64()),
    ("kind", pa.string()),
    ("name", pa.string()),
    ("offset", pa.int64()),
    ("size", pa.int64()),
]
MASKS = pa.schema(_MASKS)
SCHEMAS = {"images": IMAGES, "annotations": ANNOTATIONS, "classifications": CLASSIFICATIONS, "attributes": ATTRIBUTES}


def _attribute_records(
    attributes: Sequence[Attribute], keys: Record, *, of: str, of_hash: str, annotation_id: int | None
) -> Iterator[Record]:
    for attribute in attributes:
        answer = attribute.answer
        yield keys | {
            "of": of,
            "of_hash": of_hash,
            "annotation_id": annotation_id,
            "feature_hash": attribute.feature_hash,
            "name": attribute.name,
            "dynamic": attribute.dynamic,
            "text": answer if isinstance(answer, str) else None,
            "number": answer if isinstance(answer, float) else None,
            "options": [option.name for option in answer] if isinstance(answer, tuple) else None,
            "option_hashes": [option.feature_hash for option in answer] if isinstance(answer, tuple) else None,
            "kind": attribute.kind,
            "parent_option": attribute.parent,
        }


def _authors(item: ObjectInstance | Classification) -> Record:
    return {
        "created_by": item.created_by,
        "last_edited_by": item.last_edited_by,
        "created_at": item.created_at,
        "last_edited_at": item.last_edited_at,
    }


class RowTables:
    """Collects the records of one label row, frame by frame.

    Of a table with very many, `packed` has the first as Parquet, and `records` those that follow.
    Adding raises RowError where the answers of a few objects and ranges would fill the memory.
    """

    def __init__(self, row: LabelRow) -> None:
        self.row = row
        self.keys: Record = {
            "row": identity.row_identity(row.label_hash, row.branch_name),
            "label_hash": row.label_hash,
            "branch_name": row.branch_name,
        }
        self.records: dict[str, list[Record]] = {name: [] for name in SCHEMAS}
        self.packed: dict[str, list[bytes]] = {}
        self._room = MOST_ANSWERS
        self._add_classifications(row.classifications, self.keys | {"image_id": None, "frame": None})

    def add_frame(self, frame: Frame, image: coco.Image, annotations: Sequence[coco.Annotation]) -> None:
        """Add one frame and the annotations on it, which stand in the order of its objects."""
        keys = self.keys | {"image_id": image.id, "frame": frame.number}
        self.records["images"].append(
            keys
            | {
                "data_hash": frame.data_hash,
                "dataset_hash": self.row.dataset_hash,
                "width": image.width,
                "height": image.height,
                "file_name": image.file_name,
                "data_type": self.row.data_type,
                "label_status": self.row.label_status,
                "annotation_task_status": self.row.annotation_task_status,
                "workflow_node": self.row.workflow_node,
                "objects": len(annotations),
                "space": frame.space,
                "title": frame.title,
                "link": frame.link,
            }
        )
        self._add_classifications(frame.classifications, keys)
        self._room += ANSWERS_OF_AN_OBJECT * len(annotations)
        for place, (item, made) in enumerate(zip(frame.objects, annotations, strict=True), start=1):
            x, y, width, height = made.bbox
            self.records["annotations"].append(
                keys
                | {
                    "annotation_id": made.id,
                    "category_id": made.category_id,
                    "object_hash": item.object_hash,
                    "feature_hash": item.feature_hash,
                    "class_name": item.name,
                    "shape": item.shape,
                    "x": x,
                    "y": y,
                    "width": width,
                    "height": height,
                    "area": made.area,
                    "rotation": made.attributes.rotation,
                    "track_id": made.attributes.track_id,
                    "confidence": item.confidence,
                    "manual": item.manual,
                    "mask_value": place,
                    **_authors(item),
                }
            )
            self._add_answers(item, keys, of="object", of_hash=item.object_hash, annotation_id=made.id)
        self._pack()

    def add_without_image(self, frame: Frame) -> None:
        """Add the classifications of a frame whose size the export does not say, so that it is no COCO image."""
        self._add_classifications(frame.classifications, self.keys | {"image_id": None, "frame": frame.number})
        self._pack()

    def _pack(self) -> None:
        for name, records in self.records.items():
            if len(records) >= PACKED_AT:
                table = pa.Table.from_pylist(records, schema=SCHEMAS[name])
                self.packed.setdefault(name, []).append(to_parquet(table))
                records.clear()

    def _add_classifications(self, given: Sequence[Classification], keys: Record) -> None:
        for item in given:
            self.records["classifications"].append(
                keys
                | {
                    "classification_hash": item.classification_hash,
                    "feature_hash": item.feature_hash,
                    "name": item.name,
                    "confidence": item.confidence,
                    "manual": item.manual,
                    **_authors(item),
                }
            )
            self._add_answers(item, keys, of="classification", of_hash=item.classification_hash, annotation_id=None)

    def _add_answers(
        self, item: ObjectInstance | Classification, keys: Record, *, of: str, of_hash: str, annotation_id: int | None
    ) -> None:
        self._room -= len(item.attributes)
        if self._room < 0:
            text = f"it has more than {MOST_ANSWERS} answers on its frames; split the video, or leave attributes out"
            raise RowError("too_many_answers", text)
        self.records["attributes"] += _attribute_records(
            item.attributes, keys, of=of, of_hash=of_hash, annotation_id=annotation_id
        )


def to_parquet(table: pa.Table, *, small: bool = False) -> bytes:
    """One Parquet file; the same table gives the same bytes with one release of pyarrow.

    Dictionaries and statistics take half of the time of a `small` one, and make it larger.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=not small, write_statistics=not small)
    return bytes(sink.getvalue())


def from_parquet(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The table of a Parquet file, or some columns of it."""
    # read_table(), pa.array(), to_numpy() and empty_table() would import pandas, which readers may never need.
    # No threads: a short command can end while pyarrow still starts them, and is then aborted.
    file = pq.ParquetFile(pa.BufferReader(data))
    return file.read(columns=list(columns) if columns else None, use_threads=False)


def integers(column: "pa.ChunkedArray[pa.Int64Scalar]") -> "NDArray[np.int64]":
    """The values of a column of 64-bit integers without nulls."""
    chunks = [np.from_dlpack(chunk) for chunk in column.chunks if len(chunk)]
    return np.concatenate([np.empty(0, np.int64), *chunks])


def numbered(annotations: pa.Table) -> pa.Table:
    """The annotations of all rows with `mask_value` as a checkout paints it: from 1 on each image, whatever the row."""
    ids = integers(annotations["image_id"])
    order = np.argsort(ids, kind="stable")
    first = np.flatnonzero(np.diff(ids[order], prepend=0))  # where another image starts; ids are never 0
    values = np.empty(len(ids), dtype=np.int32)
    values[order] = np.arange(len(ids)) - np.repeat(first, np.diff(first, append=len(ids))) + 1
    place = annotations.schema.get_field_index("mask_value")
    column = pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values.data)])
    return annotations.set_column(place, annotations.schema.field(place), column)


def united(parts: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Tables of one kind as one with the columns of today: older ones lack newer columns, which are null there."""
    whole = pa.concat_tables([pa.Table.from_batches([], schema), *parts], promote_options="default")
    return whole.select(schema.names)


def updated(old: pa.Table | None, *, gone: Sequence[str], new: pa.Table, schema: pa.Schema) -> pa.Table:
    """`old` without the records of the rows `gone`, with the new records, ordered by row (a stable sort)."""
    table = new
    if old is not None and len(old):
        kept = old.filter(pc.invert(pc.is_in(old["row"], value_set=pa.array(gone, pa.string()))))
        table = united([kept, new], schema)
    if _in_order(table["row"]):
        return table  # a copy of a large one takes its memory once more
    return table.take(pc.sort_indices(table, sort_keys=[("row", "ascending")]))


def _in_order(column: "pa.ChunkedArray[pa.StringScalar]") -> bool:
    return len(column) < 2 or bool(pc.all(pc.less_equal(column.slice(0, len(column) - 1), column.slice(1))).as_py())
