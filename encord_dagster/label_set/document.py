"""The COCO file of a version, put together out of its buckets."""

from collections.abc import Iterable

import msgspec

from encord_dagster.errors import IdClash
from encord_dagster.formats import coco
from encord_dagster.label_set import objects, shards
from encord_dagster.label_set.manifest import Bucket, Root
from encord_dagster.storage.protocol import ObjectStore


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
_ANNOTATION = msgspec.json.Decoder(_Annotation)


def coco_document(lake: ObjectStore, root: Root) -> Iterable[bytes]:
    """The COCO file of a version in pieces: bucket by bucket, records copied as they are."""
    images: dict[int, bytes] = {}
    annotations: list[bytes] = []
    numbers: set[int] = set()
    for ref in root.buckets.values():
        bucket = msgspec.json.decode(objects.read(lake, ref.ref), type=Bucket)
        for line in shards.coco_rows(objects.read(lake, bucket.shards["coco"])):
            for image_id, image in zip(line.image_ids, line.images, strict=True):
                known = images.get(image_id)
                images[image_id] = _merged_image(known, bytes(image)) if known else bytes(image)
            annotations += [bytes(annotation) for annotation in line.annotations]
            numbers.update(_ANNOTATION.decode(annotation).id for annotation in line.annotations)
    if len(numbers) < len(annotations):
        twice = len(annotations) - len(numbers)
        raise IdClash(f"{twice} annotations have the id of another one; use the tables, which tell label rows apart")
    return coco.document(root.categories, images, annotations)


def _merged_image(known: bytes, image: bytes) -> bytes:
    """One record of an image that two label rows describe; IdClash where they describe two images."""
    one, other = _IMAGE.decode(known), _IMAGE.decode(image)
    if one != other:
        raise IdClash(
            f"image id {one.id} stands for {one.encord} and for {other.encord}; "
            "use the tables, which tell label rows apart"
        )
    return coco.merged_image(known, image)
