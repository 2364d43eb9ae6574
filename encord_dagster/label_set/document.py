"""The COCO file of a version, in pieces: as it lies in the lake, or put together out of the buckets."""

import hashlib
import tempfile
from collections.abc import Iterator
from functools import partial

import msgspec

from encord_dagster.errors import HistoryDamaged, IdClash
from encord_dagster.formats import coco
from encord_dagster.label_set import objects, shards
from encord_dagster.label_set.manifest import Bucket, BucketRef, ObjectRef, Root
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import ObjectStore

INSTANCES = coco.FILE
STEP = 16 * 2**20  # bytes of the plain file fetched at a time
IN_MEMORY = 64 * 2**20  # bytes


class _Frame(msgspec.Struct, frozen=True):
    data_hash: str
    frame: int
    space: str | None = None

    def __str__(self) -> str:
        return f"frame {self.frame} of {self.data_hash}" + (f", space {self.space}" if self.space else "")


class _Image(msgspec.Struct, frozen=True):
    id: int
    encord: _Frame


class _Annotation(msgspec.Struct, frozen=True):
    id: int


_IMAGE = msgspec.json.Decoder(_Image)
_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])
_STEP = 2**20  # bytes read at a time


def pieces(lake: ObjectStore, root: Root) -> Iterator[bytes]:
    """The COCO file. Who writes it somewhere must wait for the end: only then its digest is known to hold."""
    plain = root.files.get(INSTANCES)
    return _plain(lake, plain) if plain else coco_document(lake, root)


def coco_document(lake: ObjectStore, root: Root, *, in_memory: int = IN_MEMORY) -> Iterator[bytes]:
    """The COCO file out of the buckets, one after the other: records copied as they are.

    More than so many bytes of annotations wait on the disk.

    Raises:
        IdClash: two images or two annotations have one id.
    """
    images: dict[int, bytes] = {}
    numbers: set[int] = set()
    annotations = 0
    with tempfile.SpooledTemporaryFile(max_size=in_memory) as held:
        for rows in at_once(lake, partial(_rows, lake), Tree(lake, root).buckets()):
            for line in rows:
                for image_id, image in zip(line.image_ids, line.images, strict=True):
                    known = images.get(image_id)
                    images[image_id] = _merged_image(known, bytes(image)) if known else bytes(image)
            records = [record for line in rows for record in line.annotations]
            if records:
                joined = coco.BETWEEN.join(records)
                numbers.update(one.id for one in _ANNOTATIONS.decode(b"[" + joined + b"]"))
                held.write(coco.BETWEEN + joined if annotations else joined)
                annotations += len(records)
        if len(numbers) < annotations:
            twice = annotations - len(numbers)
            raise IdClash(
                f"{twice} annotations have the id of another one; use the tables, which tell label rows apart"
            )
        held.seek(0)
        yield from coco.document(root.categories, images, iter(lambda: held.read(_STEP), b""))


def _rows(lake: ObjectStore, named: tuple[str, BucketRef]) -> list[shards.CocoRow]:
    bucket = msgspec.json.decode(objects.read(lake, named[1].ref), type=Bucket)
    return shards.OpenBucket(lake, bucket).coco_rows()


def _merged_image(known: bytes, image: bytes) -> bytes:
    """One record of an image that two label rows describe; IdClash where they describe two images."""
    one, other = _IMAGE.decode(known), _IMAGE.decode(image)
    if one != other:
        raise IdClash(
            f"image id {one.id} stands for {one.encord} and for {other.encord}; "
            "use the tables, which tell label rows apart"
        )
    return coco.merged_image(known, image)


def _plain(lake: ObjectStore, ref: ObjectRef) -> Iterator[bytes]:
    if ref.size <= STEP:
        yield objects.read(lake, ref)
        return
    digest = hashlib.sha256()
    for start in range(0, ref.size, STEP):
        piece = lake.get(ref.key, start=start, end=min(start + STEP, ref.size))
        if piece is None:
            break
        digest.update(piece)
        yield piece
    if digest.hexdigest() != ref.sha256:
        objects.read(lake, ref)  # raises, and says whether it is missing, removed or altered
        raise HistoryDamaged(f"{lake.url}: {ref.key} changed while it was read; read it again")
