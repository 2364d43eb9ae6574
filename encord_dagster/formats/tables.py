"""Parquet tables of a label row: images, annotations, classifications, attributes.

A record has the columns of its schema; `row` (the row identity) orders records and finds a row's own.
Lengths are pixels, origin at the top-left corner.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from encord_dagster.formats.arrays import array, compute

if TYPE_CHECKING:
    from numpy.typing import NDArray

Record = dict[str, object]  # out of a table
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


def table_of(name: str, records: Sequence[object]) -> pa.Table:
    """Records of one kind as a table."""
    schema = SCHEMAS[name]
    columns = zip(*map(attrgetter(*schema.names), records), strict=True) if records else [()] * len(schema)
    return of_columns(dict(zip(schema.names, columns, strict=True)), schema)


def of_columns(values: Mapping[str, Sequence[object]], schema: pa.Schema) -> pa.Table:
    """The columns of a schema as a table."""
    return pa.Table.from_arrays([array(values[field.name], field.type) for field in schema], schema=schema)


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
    import pyarrow.compute as pc

    table = new
    if old is not None and len(old):
        kept = old.filter(pc.invert(pc.is_in(old["row"], value_set=array(gone, pa.string()))))
        table = united([kept, new], schema)
    if _in_order(table["row"]):
        return table  # a copy of a large one takes its memory once more
    return table.take(pc.sort_indices(table, sort_keys=[("row", "ascending")]))


def _in_order(column: "pa.ChunkedArray[pa.StringScalar]") -> bool:
    if len(column) < 2:
        return True
    return bool(compute("all", compute("less_equal", column.slice(0, len(column) - 1), column.slice(1))).as_py())
