"""COCO panoptic: one segment for each object, in a picture of ids (R + 256 G + 65536 B) and a JSON that lists them.

Objects overlap as in our masks: later annotations lie on top. The id of a segment is made of its object's track, so an
object keeps it, and its colour, over the frames of a video and over versions. 0 is void.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from encord_dagster.formats import coco, png
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.palette import colour
from encord_dagster.formats.repaint import picture_of, visible
from encord_dagster.formats.writing import Chosen, File, Growing

if TYPE_CHECKING:
    from encord_dagster.formats.png import Shown

FILE = "annotations/panoptic.json"
FOLDER = "masks/panoptic"
IDS = 2**24


class CocoPanoptic:
    """Writes annotations/panoptic.json and masks/panoptic/**.png."""

    def __init__(self, chosen: Chosen) -> None:
        self._names = chosen.names(FILE)
        self._files = {split: Growing(chosen, "images", "annotations") for split in self._names}
        self._categories = [
            {"id": one.id, "name": one.name, "supercategory": one.shape, "isthing": 1, "color": colour(one.id)}
            for one in chosen.categories
        ]
        self._lost = chosen.lost

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """The picture of each image."""
        for one in images:
            if (found := picture_of(one, self._lost, "coco_panoptic")) is None:
                continue
            painted, picture = found
            ids = segment_ids([item.attributes.track_id for item in painted])
            name = str(PurePosixPath(one.image.file_name).with_suffix(".png"))
            yield f"{FOLDER}/{name}", png.write_colours(picture, [0, *ids])
            segments = self._segments(painted, ids, picture)
            file = self._files["" if "" in self._files else one.split]
            file.add("images", [one.image])
            file.add("annotations", [{"image_id": one.image.id, "file_name": name, "segments_info": segments}])

    def _segments(self, painted: Sequence[coco.Annotation], ids: Sequence[int], picture: "Shown") -> list[object]:
        """What of each object is to be seen; objects that are covered wholly are counted as lost."""
        there = visible(picture)
        segments: list[object] = []
        for value, (item, number) in enumerate(zip(painted, ids, strict=True), start=1):
            seen = there.get(value)
            if seen is None:
                self._lost["coco_panoptic:covered"] += 1
                continue
            about = {"id": number, "category_id": item.category_id, "area": seen.area, "bbox": seen.bbox}
            segments.append(about | {"iscrowd": 0, "annotation_id": item.id})
        return segments

    def end(self) -> Iterator[File]:
        """The lists of segments."""
        head = coco.ABOUT | {"categories": self._categories}
        for split, file in self._files.items():
            yield self._names[split], file.document(head)


def segment_ids(tracks: Sequence[int]) -> list[int]:
    """An id from 1 to 2**24 - 1 for each object of an image, made of its track; the next one where that is taken."""
    taken: dict[int, None] = {}
    for track in tracks:
        number = track % (IDS - 1) + 1
        while number in taken:
            number = number % (IDS - 1) + 1
        taken[number] = None
    return list(taken)
