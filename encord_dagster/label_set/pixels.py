"""Masks of single images and annotations, read where they lie: an index once, then only the bytes of each mask."""

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
import numpy as np
import pyarrow as pa

from encord_dagster import rle
from encord_dagster.errors import HistoryDamaged, IdClash, UsageError
from encord_dagster.formats import masks, png, tables
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.raster import rasterise
from encord_dagster.geometry import LARGEST_MASK, Polygon, Ring
from encord_dagster.label_set import objects
from encord_dagster.label_set.images import described
from encord_dagster.label_set.manifest import Bucket, ObjectRef, Root
from encord_dagster.label_set.shards import OpenBucket
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["semantic", "instance"]

AT_ONCE = 8  # buckets fetched at a time while an index is made
OPEN_BUCKETS = 16  # whose index stays in memory
OPEN_SHAPES = 4  # buckets whose segmentations stay in memory


class _Place(msgspec.Struct, frozen=True):
    """One mask of one label row in the tar of its bucket, or out of its patch."""

    row: str
    offset: int = 0
    size: int = 0
    png: bytes = b""


class _Opened(msgspec.Struct, frozen=True):
    """The index of one bucket."""

    tar: ObjectRef | None
    places: dict[tuple[int, str], list[_Place]]  # by image id and kind, in row order
    annotations: Counter[tuple[str, int]]  # by row and image id


class _Size(msgspec.Struct, frozen=True):
    width: int
    height: int


class _Shape(msgspec.Struct, frozen=True):
    id: int
    image_id: int
    segmentation: tuple[Ring, ...] | Rle


_SIZE = msgspec.json.Decoder(_Size)
_SHAPE = msgspec.json.Decoder(_Shape)


class Pixels:
    """The masks of one version. Threads may share it; processes open their own."""

    def __init__(self, lake: ObjectStore, root: Root) -> None:
        self.lake = lake
        self._root = root
        self._lock = threading.Lock()  # an index is made once, by whoever comes first
        self._ids: dict[str, _Ids] = {}
        self._names: dict[str, int] = {}
        self._opened = lru_cache(OPEN_BUCKETS)(self._open)
        self._shapes = lru_cache(OPEN_SHAPES)(self._read_shapes)

    @cached_property
    def _refs(self) -> list[ObjectRef]:
        return [named.ref for _, named in Tree(self.lake, self._root).buckets()]

    def mask(self, image: int | str, kind: Kind) -> "NDArray[np.uint16]":
        """The mask of an image by id or file name, indexed [y, x], as a checkout writes it."""
        if kind not in get_args(Kind):
            raise UsageError(f"no masks of kind {kind!r}; there are {' and '.join(get_args(Kind))}")
        image_id = self._image_id(image) if isinstance(image, str) else int(image)
        found, painted = b"", 0
        for opened in map(self._opened, dict.fromkeys(self._buckets_of("images", image_id))):
            for place in opened.places.get((image_id, kind), ()):
                above = self._mask_at(opened, place)
                if found and png.size_of(found) != png.size_of(above):
                    raise UsageError(f"label rows disagree on the size of image {image_id}: a checkout has both masks")
                offset = painted if kind == "instance" else 0
                found = masks.compose(found, above, offset=offset) if found else above
                painted += opened.annotations[place.row, image_id]
        if not found:
            raise UsageError(f"image {image_id} has no masks: they were turned off, or it is too large for them")
        return png.read(found).pixels.astype(np.uint16)

    def mask_of(self, annotation_id: int) -> "NDArray[np.bool_]":
        """The pixels of one annotation on its image, indexed [y, x], also those that others cover in the masks."""
        buckets = self._buckets_of("annotations", int(annotation_id))
        if len(buckets) > 1:
            raise IdClash(f"two annotations have the id {annotation_id}; use the tables, which tell label rows apart")
        return _decoded(*self._shapes(buckets[0])[int(annotation_id)])

    def _image_id(self, file_name: str) -> int:
        with self._lock:
            if not self._names:
                for part in self._columns("images", ["image_id", "file_name"]):
                    self._names |= {record["file_name"]: record["image_id"] for record in part.to_pylist()}
        if file_name not in self._names:
            raise UsageError(f"no image {file_name!r} in this version; the table images has their names")
        return self._names[file_name]

    def _buckets_of(self, table: Literal["images", "annotations"], number: int) -> list[int]:
        """The place in the root of the bucket of each record of an image or annotation."""
        column = {"images": "image_id", "annotations": "annotation_id"}[table]
        with self._lock:
            if table not in self._ids:
                self._ids[table] = _Ids([tables.integers(part[column]) for part in self._columns(table, [column])])
        found = self._ids[table].buckets_of(number)
        if not found:
            raise UsageError(f"no {column.replace('_', ' ')} {number} in this version; the table {table} has them all")
        return found

    def _columns(self, table: str, columns: Sequence[str]) -> list[pa.Table]:
        def read(place: int) -> pa.Table:
            return self._bucket(place).table(table, columns)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(read, range(len(self._refs))))

    def _bucket(self, place: int) -> OpenBucket:
        return OpenBucket(self.lake, msgspec.json.decode(objects.read(self.lake, self._refs[place]), type=Bucket))

    def _open(self, place: int) -> _Opened:
        bucket = self._bucket(place)
        annotations = described(bucket, {})
        places: dict[tuple[int, str], list[_Place]] = defaultdict(list)
        for one in bucket.mask_places():
            places[one.image_id, one.kind].append(_Place(one.row, one.offset, one.size))
        for row, fragment in bucket.patch.items():
            for mask in fragment.masks:
                places[mask.image_id, mask.kind].append(_Place(row, png=mask.png))
        for held in places.values():
            held.sort(key=attrgetter("row"))
        return _Opened(bucket.bucket.shards.get("masks"), dict(places), annotations)

    def _mask_at(self, opened: _Opened, place: _Place) -> bytes:
        """The bytes of one mask. They are held by the checksums of PNG: the digest is of the whole tar."""
        if place.png:
            return place.png
        tar = opened.tar
        data = self.lake.get(tar.key, start=place.offset, end=place.offset + place.size) if tar else None
        if tar and data is None:
            objects.read(self.lake, tar)  # raises, and says whether it is missing or removed
        return data or b""

    def _read_shapes(self, place: int) -> dict[int, tuple[_Shape, _Size]]:
        found: dict[int, tuple[_Shape, _Size]] = {}
        for line in self._bucket(place).coco_rows():
            sizes = dict(zip(line.image_ids, map(_SIZE.decode, line.images), strict=True))
            for shape in map(_SHAPE.decode, line.annotations):
                found[shape.id] = shape, sizes[shape.image_id]
        return found


class _Ids:
    """The ids in the tables of all buckets, sorted, and the bucket of each: two numbers a record in memory."""

    def __init__(self, parts: Sequence["NDArray[np.int64]"]) -> None:
        ids = np.concatenate([np.empty(0, np.int64), *parts])
        order = np.argsort(ids, kind="stable")
        self._ids = ids[order]
        self._buckets = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])[order]

    def buckets_of(self, number: int) -> list[int]:
        """The bucket of each record of an id, in order."""
        first, last = np.searchsorted(self._ids, [number, number + 1])
        return [int(bucket) for bucket in self._buckets[first:last]]


def _decoded(shape: _Shape, size: _Size) -> "NDArray[np.bool_]":
    """What pycocotools makes of a segmentation, with every size checked before anything is allocated."""
    width, height = size.width, size.height
    if width * height > LARGEST_MASK:
        raise UsageError(f"annotation {shape.id} lies on an image of {width}x{height}, too large for a mask in memory")
    if isinstance(shape.segmentation, Rle):
        counts, stated = shape.segmentation.counts, shape.segmentation.size
    else:  # COCO unites the rings of a list
        made = rasterise(Polygon(tuple((ring,) for ring in shape.segmentation)), width=width, height=height)
        counts, stated = (made.counts, made.size) if made else ("", (0, 0))
    pixels = np.zeros(width * height, dtype=np.bool_)
    try:
        if stated != (height, width):
            raise rle.RleError(f"its mask is of {stated[1]}x{stated[0]} pixels, its image of {width}x{height}")
        rle.paint(pixels, rle.decode(counts), 1)
    except rle.RleError as error:
        raise HistoryDamaged(f"annotation {shape.id} holds no mask of its image: {error}; run `verify`") from error
    return np.ascontiguousarray(pixels.reshape(width, height).T)
