"""The images of a bucket as its table tells them: names, sizes, and how many annotations each row has on them."""

from collections import Counter

import msgspec

from encord_dagster.errors import IdClash
from encord_dagster.formats import tables
from encord_dagster.label_set.shards import OpenBucket


class Described(msgspec.Struct, frozen=True):
    """One image, as the first label row in order of identity describes it."""

    file_name: str
    data_hash: str
    frame: int
    space: str | None


def described(bucket: OpenBucket, known: dict[int, Described]) -> Counter[tuple[str, int]]:
    """Add a bucket's images, by id, to those known; returns how many annotations each row has on each image.

    Raises:
        IdClash: an id stands for two images.
    """
    annotations: Counter[tuple[str, int]] = Counter()
    part = bucket.table("images")
    for record in tables.united([part], tables.SCHEMAS["images"]).to_pylist():
        image = Described(*(record[field] for field in Described.__struct_fields__))
        first = known.setdefault(record["image_id"], image)
        if msgspec.structs.replace(first, file_name=image.file_name) != image:
            raise IdClash(
                f"image id {record['image_id']} stands for frame {first.frame} of {first.data_hash} and for frame "
                f"{image.frame} of {image.data_hash}; use the tables, which tell label rows apart"
            )
        annotations[record["row"], record["image_id"]] += record["objects"]
    return annotations
