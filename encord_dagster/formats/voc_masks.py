"""Pascal VOC segmentation: a palette PNG of classes and one of objects for each image, and lists of images.

Values are places in the order of classes, from 1; 0 is background. No border of 255 is drawn: where VOC leaves the edge
of an object undecided, every pixel here belongs to an object or to none.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from encord_dagster.formats import png
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.repaint import picture_of
from encord_dagster.formats.writing import Chosen, File, GrowingText

FOLDER = "voc_masks"
HIGHEST = 254  # 255 is VOC's border


class VocMasks:
    """Writes voc_masks/: SegmentationClass, SegmentationObject, ImageSets/Segmentation and labels.txt."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen, self._lost = chosen, chosen.lost
        self._values = {one: place + 1 for one, place in chosen.places().items()}
        self._lists = {split: GrowingText(chosen) for split in chosen.selection.splits or ("trainval",)}

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Two pictures of each image."""
        for one in images:
            if (found := picture_of(one, self._lost, "voc_masks")) is None:
                continue
            painted, picture = found
            classes = [0, *(self._value(self._values[item.category_id], "class_above_254") for item in painted)]
            objects = [0, *(self._value(place, "object_above_254") for place in range(1, len(painted) + 1))]
            name = PurePosixPath(one.image.file_name).with_suffix("")
            self._lists[one.split or "trainval"].add([str(name)])
            for folder, values in (("SegmentationClass", classes), ("SegmentationObject", objects)):
                yield f"{FOLDER}/{folder}/{name}.png", png.write_palette(picture, palette(), values)

    def end(self) -> Iterator[File]:
        """The lists of images, and the names of the classes by value."""
        for split, held in self._lists.items():
            yield f"{FOLDER}/ImageSets/Segmentation/{split}.txt", held.pieces()
        names = ["background", *(" ".join(one.name.split()) for one in self._chosen.categories)]
        yield f"{FOLDER}/labels.txt", "".join(f"{name}\n" for name in names).encode()

    def _value(self, value: int, loss: str) -> int:
        """The value, or the border's where there are not so many: it is ignored in training."""
        if value <= HIGHEST:
            return value
        self._lost[f"voc_masks:{loss}"] += 1
        return 255


@lru_cache(maxsize=1)
def palette() -> bytes:
    """VOC's own colours: the bits of a value, from the lowest on, are the highest bits of red, green and blue."""
    made = bytearray()
    for value in range(256):
        made += bytes(sum((value >> 3 * bit + channel & 1) << 7 - bit for bit in range(3)) for channel in range(3))
    return bytes(made)
