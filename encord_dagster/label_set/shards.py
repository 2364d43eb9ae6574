"""Buckets and their shards: what changed is put in, the rest is copied, or stays and is patched where that is most."""

import io
import tarfile
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, cached_property
from typing import NamedTuple

import msgspec
import pyarrow as pa

from encord_dagster.formats import tables
from encord_dagster.formats.arrays import array
from encord_dagster.formats.fragment import Fragment, MaskImage, pack, unpack
from encord_dagster.label_set import objects
from encord_dagster.label_set.manifest import FORMAT_VERSION, Bucket, BucketRow, ObjectRef, Patch, encode
from encord_dagster.storage.protocol import ObjectStore

PATCHED_SHARE = 4  # shards are written anew when more than one in so many rows of a bucket is in its patch


class CocoRow(msgspec.Struct, frozen=True):
    """One line of a coco shard: the records of one label row."""

    row: str
    image_ids: tuple[int, ...]
    images: tuple[msgspec.Raw, ...]
    annotations: tuple[msgspec.Raw, ...]


class MaskPlace(NamedTuple):
    """Where a mask picture lies in the tar of its bucket."""

    row: str
    image_id: int
    kind: str
    offset: int
    size: int


class _Line(msgspec.Struct, frozen=True):
    row: str


_LINE = msgspec.json.Decoder(_Line)
_LINES = msgspec.json.Decoder(list[CocoRow])
_PATCH = msgspec.msgpack.Decoder(dict[str, bytes])  # packed fragments by row identity


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


def mask_name(image_id: int, row: str, kind: str) -> str:
    """WebDataset name: one sample per image and label row, `semantic.png` and `instance.png` in it."""
    return f"{image_id}_{row[:12]}.{kind}.png"


class OpenBucket:
    """A bucket to be read: each of its objects is checked against its digest, and its patch is read once."""

    def __init__(self, lake: ObjectStore, bucket: Bucket) -> None:
        self.lake, self.bucket = lake, bucket

    @cached_property
    def patch(self) -> dict[str, Fragment]:
        """The rows of its patch, in order of identity."""
        patch = self.bucket.patch
        held = _PATCH.decode(objects.read(self.lake, patch.ref)) if patch else {}
        return {row: unpack(data) for row, data in held.items()}

    def parts(self) -> Parts:
        """All that it holds."""
        held = {name: self.table(name) for name in tables.SCHEMAS}
        return Parts(coco=self._coco_lines(), masks=self.masks(), tables=held)

    def coco_rows(self) -> list[CocoRow]:
        """The COCO records of its rows, in order of identity."""
        lines = b"".join(self._coco_lines().values()) if self.bucket.patch else self._shard("coco")
        return _LINES.decode(b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]")  # no JSON has a bare line break

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One table, or some columns of it, ordered by row. Shards of earlier releases lack newer columns."""
        shard, schema = self._shard(name), tables.SCHEMAS[name]
        if not self.bucket.patch and shard != empty_shard(name):
            return tables.from_parquet(shard, columns)
        held = pa.Table.from_batches([], schema) if shard == empty_shard(name) else tables.from_parquet(shard)
        if self.patch:
            held = tables.updated(held, gone=list(self.patch), new=table_of(name, self.patch), schema=schema)
        return held.select(list(columns)) if columns else held

    def mask_places(self) -> list[MaskPlace]:
        """The index of its tar, without rows that the patch has."""
        if "masks_index" not in self.bucket.shards:
            return []
        index = tables.from_parquet(self._shard("masks_index"), MaskPlace._fields)
        places = (MaskPlace(**record) for record in index.to_pylist())
        return [place for place in places if place.row not in self.patch]

    def masks(self) -> dict[str, list[MaskImage]]:
        """Its mask pictures by row, in order of identity."""
        found = {row: list(fragment.masks) for row, fragment in self.patch.items() if fragment.masks}
        tar = self._shard("masks") if "masks" in self.bucket.shards else b""
        pictures: dict[int, bytes] = {}  # by their offsets: masks that look the same share one
        for place in self.mask_places():
            png = pictures.setdefault(place.offset, tar[place.offset : place.offset + place.size])
            found.setdefault(place.row, []).append(MaskImage(place.image_id, place.kind, png))
        return dict(sorted(found.items()))

    def _shard(self, kind: str) -> bytes:
        return objects.read(self.lake, self.bucket.shards[kind])

    def _coco_lines(self) -> dict[str, bytes]:
        lines = {_LINE.decode(line).row: line for line in self._shard("coco").splitlines(keepends=True)}
        lines |= {row: coco_line(row, fragment) for row, fragment in self.patch.items()}
        return dict(sorted(lines.items()))


def table_of(name: str, fragments: Mapping[str, Fragment]) -> pa.Table:
    """One table of rows that are in no shard yet."""
    given = [fragment.tables for fragment in fragments.values()]
    packed = [tables.from_parquet(data) for one in given for data in one.packed.get(name, ())]
    records = [record for one in given for record in getattr(one, name)]
    return pa.concat_tables([*packed, tables.table_of(name, records)])


@cache
def empty_shard(name: str) -> bytes:
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
    return buffer.getvalue(), tables.to_parquet(tables.of_columns(index, tables.MASKS))


def merged(rows: Sequence[BucketRow], fresh: Mapping[str, Fragment], old: Sequence[Parts]) -> Parts:
    """The parts of a bucket of `rows`: fragments that are fresh, everything else from the old buckets."""
    import pyarrow.compute as pc

    gone = sorted({row.row for row in rows if row.fragment is None} | set(fresh))
    keep = {row.row for row in rows if row.fragment is not None} - set(fresh)
    coco = {row: line for part in old for row, line in part.coco.items() if row in keep}
    masks = {row: held for part in old for row, held in part.masks.items() if row in keep}
    for row, fragment in fresh.items():
        coco[row] = coco_line(row, fragment)
        masks[row] = list(fragment.masks)
    held: dict[str, pa.Table] = {}
    for name, schema in tables.SCHEMAS.items():
        new = table_of(name, fresh)
        before = tables.united([part.tables[name] for part in old], schema) if old else None
        if before is not None and len(before):
            before = before.filter(pc.is_in(before["row"], value_set=array([row.row for row in rows], pa.string())))
        held[name] = tables.updated(before, gone=gone, new=new, schema=schema)
    return Parts(coco=coco, masks=masks, tables=held)


def packed(rows: Sequence[BucketRow], parts: Parts) -> dict[str, bytes]:
    """The shards of a bucket of `rows`, as they are stored; nothing for a table without records."""
    ids = [row.row for row in rows]
    shards = {"coco": b"".join(parts.coco[row] for row in ids if row in parts.coco)}
    if any(parts.masks.values()):
        shards["masks"], shards["masks_index"] = mask_tar(parts.masks, ids)
    for table, part in parts.tables.items():
        shards[table] = tables.to_parquet(part, small=True) if len(part) else b""
    return shards


def write_bucket(
    lake: ObjectStore,
    name: str,
    epoch: int,
    rows: Sequence[BucketRow],
    shards: Mapping[str, bytes],
    empty: Callable[[str], ObjectRef],
) -> ObjectRef:
    """Store the shards of a bucket, then the bucket that names them. `empty` stores a table without records, once."""
    refs = {
        kind: objects.write(lake, name, epoch, data) if data or kind not in tables.SCHEMAS else empty(kind)
        for kind, data in shards.items()
    }
    return objects.write(
        lake, name, epoch, encode(Bucket(format_version=FORMAT_VERSION, rows=tuple(rows), shards=refs))
    )


def patchable(rows: Sequence[BucketRow], held: Bucket, fresh: Collection[str]) -> bool:
    """Whether a bucket that comes to hold these rows keeps its shards: few are fresh, and none of the others is gone.

    What was removed, or is a tombstone now, must not stay in what new versions name.
    """
    patch = {*(held.patch.rows if held.patch else ()), *fresh}
    gone = {row.row for row in held.rows if row.fragment} - {row.row for row in rows if row.fragment}
    return not gone and len(patch) * PATCHED_SHARE <= len(rows)


def write_patched(
    lake: ObjectStore, name: str, epoch: int, rows: Sequence[BucketRow], held: Bucket, fresh: Mapping[str, Fragment]
) -> tuple[ObjectRef, int]:
    """Store a bucket that keeps the shards of the one it takes the place of; all that came since is in its patch.

    Also returns how many bytes its COCO records may have.
    """
    patch = dict(sorted({**OpenBucket(lake, held).patch, **fresh}.items()))
    data = msgspec.msgpack.encode({row: pack(fragment) for row, fragment in patch.items()})
    made = Bucket(
        format_version=FORMAT_VERSION,
        rows=tuple(rows),
        shards=held.shards,
        patch=Patch(objects.write(lake, name, epoch, data), tuple(patch)),
    )
    coco_size = held.shards["coco"].size + sum(len(coco_line(row, fragment)) for row, fragment in patch.items())
    return objects.write(lake, name, epoch, encode(made)), coco_size
