"""Buckets and their shards: what changed is put in, the rest is copied."""

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import msgspec
import pyarrow as pa

from encord_dagster.formats import tables
from encord_dagster.formats.fragment import Fragment, MaskImage
from encord_dagster.label_set import objects
from encord_dagster.label_set.manifest import FORMAT_VERSION, Bucket, BucketRow, ObjectRef, encode
from encord_dagster.storage.protocol import ObjectStore


class CocoRow(msgspec.Struct, frozen=True):
    """One line of a coco shard: the records of one label row."""

    row: str
    image_ids: tuple[int, ...]
    images: tuple[msgspec.Raw, ...]
    annotations: tuple[msgspec.Raw, ...]


class _Line(msgspec.Struct, frozen=True):
    row: str


_LINE = msgspec.json.Decoder(_Line)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The shards of a bucket, opened: coco lines and mask pictures by row, tables."""

    coco: dict[str, bytes]
    masks: dict[str, list[MaskImage]]
    tables: dict[str, pa.Table]


def coco_line(row: str, fragment: Fragment) -> bytes:
    """The line of one row; records are copied as they are."""
    line = CocoRow(
        row,
        fragment.image_ids,
        tuple(msgspec.Raw(image) for image in fragment.images),
        tuple(msgspec.Raw(annotation) for annotation in fragment.annotations),
    )
    return msgspec.json.encode(line) + b"\n"


def coco_rows(shard: bytes) -> Iterator[CocoRow]:
    """The lines of a coco shard."""
    decoder = msgspec.json.Decoder(CocoRow)
    return (decoder.decode(line) for line in shard.splitlines())


def mask_name(image_id: int, row: str, kind: str) -> str:
    """WebDataset name: one sample per image and label row, `semantic.png` and `instance.png` in it."""
    return f"{image_id}_{row[:12]}.{kind}.png"


def open_bucket(lake: ObjectStore, bucket: Bucket) -> Parts:
    """Read all shards of a bucket, each checked against its digest."""
    shards = {kind: objects.read(lake, ref) for kind, ref in bucket.shards.items()}
    masks: dict[str, list[MaskImage]] = {}
    if "masks" in shards:
        pictures: dict[int, bytes] = {}  # by their offsets: masks that look the same share one
        for place in tables.from_parquet(shards["masks_index"]).to_pylist():
            start = place["offset"]
            png = pictures.setdefault(start, shards["masks"][start : start + place["size"]])
            masks.setdefault(place["row"], []).append(MaskImage(place["image_id"], place["kind"], png))
    return Parts(
        coco={_LINE.decode(line).row: line for line in shards["coco"].splitlines(keepends=True)},
        masks=masks,
        tables={name: _table(name, shards[name]) for name in tables.SCHEMAS},
    )


def _table(name: str, shard: bytes) -> pa.Table:
    schema = tables.SCHEMAS[name]
    return pa.Table.from_batches([], schema) if shard == _empty(name) else tables.from_parquet(shard)


@cache
def _empty(name: str) -> bytes:
    """The shard of a table without records: there are many."""
    return tables.to_parquet(pa.Table.from_batches([], tables.SCHEMAS[name]), small=True)


def mask_tar(masks: Mapping[str, Sequence[MaskImage]], rows: Sequence[str]) -> tuple[bytes, bytes]:
    """A tar of mask pictures and its index; no times or owners, so the same pictures give the same bytes.

    Pictures that are equal, as those of frames that show nothing, are in the tar once, under the name of the first.
    """
    buffer = io.BytesIO()
    index: dict[str, list[object]] = {column: [] for column in tables.MASKS.names}
    places: dict[bytes, int] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for row in rows:
            for mask in masks.get(row, ()):
                name = mask_name(mask.image_id, row, mask.kind)
                if mask.png not in places:
                    info = tarfile.TarInfo(name)
                    info.size = len(mask.png)
                    tar.addfile(info, io.BytesIO(mask.png))
                    places[mask.png] = buffer.tell() - (info.size + 511) // 512 * 512
                place = (row, mask.image_id, mask.kind, name, places[mask.png], len(mask.png))
                for column, value in zip(index.values(), place, strict=True):
                    column.append(value)
    return buffer.getvalue(), tables.to_parquet(pa.Table.from_pydict(index, schema=tables.MASKS))


def merged(rows: Sequence[BucketRow], fresh: Mapping[str, Fragment], old: Sequence[Parts]) -> Parts:
    """The parts of a bucket of `rows`: fragments that are fresh, everything else from the old buckets."""
    gone = sorted({row.row for row in rows if row.fragment is None} | set(fresh))
    keep = {row.row for row in rows if row.fragment is not None} - set(fresh)
    coco = {row: line for part in old for row, line in part.coco.items() if row in keep}
    masks = {row: held for part in old for row, held in part.masks.items() if row in keep}
    for row, fragment in fresh.items():
        coco[row] = coco_line(row, fragment)
        masks[row] = list(fragment.masks)
    held: dict[str, pa.Table] = {}
    for name, schema in tables.SCHEMAS.items():
        given = [fragment.tables for fragment in fresh.values()]
        packed = [tables.from_parquet(data) for one in given for data in one.packed.get(name, ())]
        records = [record for one in given for record in getattr(one, name)]
        new = pa.concat_tables([*packed, tables.table_of(name, records)])
        before = tables.united([part.tables[name] for part in old], schema) if old else None
        if before is not None and len(before):
            before = before.filter(pa.compute.is_in(before["row"], value_set=pa.array([row.row for row in rows])))
        held[name] = tables.updated(before, gone=gone, new=new, schema=schema)
    return Parts(coco=coco, masks=masks, tables=held)


def write_bucket(lake: ObjectStore, name: str, epoch: int, rows: Sequence[BucketRow], parts: Parts) -> ObjectRef:
    """Store the shards of a bucket, then the bucket that names them."""
    ids = [row.row for row in rows]
    shards = {"coco": b"".join(parts.coco[row] for row in ids if row in parts.coco)}
    if any(parts.masks.values()):
        shards["masks"], shards["masks_index"] = mask_tar(parts.masks, ids)
    for table, part in parts.tables.items():
        shards[table] = tables.to_parquet(part, small=True) if len(part) else _empty(table)
    refs = {kind: objects.write(lake, name, epoch, data) for kind, data in shards.items()}
    return objects.write(
        lake, name, epoch, encode(Bucket(format_version=FORMAT_VERSION, rows=tuple(rows), shards=refs))
    )
