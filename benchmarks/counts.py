"""What a COCO file holds, counted, ours and the vendor's by the same program: `python -m benchmarks.counts FILE`."""

import sys
from collections import Counter
from pathlib import Path

import msgspec


class Image(msgspec.Struct, gc=False):
    """An image's id."""

    id: int


class Annotation(msgspec.Struct, gc=False):
    """What of an annotation is counted; `area` is in square pixels."""

    image_id: int
    category_id: int
    area: float


class Category(msgspec.Struct, gc=False):
    """A class."""

    id: int
    name: str


class Coco(msgspec.Struct):
    """A COCO file."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


class Counts(msgspec.Struct):
    """Numbers that two converters of one export agree on."""

    images: int
    annotations: int
    annotated_images: int
    classes: dict[str, int]  # annotations by name of class, of classes that have some
    area: float  # of all annotations, in square pixels


def count(data: bytes) -> Counts:
    """The counts of a COCO file."""
    coco = msgspec.json.decode(data, type=Coco)
    names = {category.id: category.name for category in coco.categories}
    return Counts(
        images=len({image.id for image in coco.images}),
        annotations=len(coco.annotations),
        annotated_images=len({one.image_id for one in coco.annotations}),
        classes=dict(sorted(Counter(names[one.category_id] for one in coco.annotations).items())),
        area=sum(one.area for one in coco.annotations),
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(count(Path(sys.argv[1]).read_bytes())))
