"""COCO keypoints: points and skeletons alone, as pycocotools' keypoint evaluation reads them.

`area` is that of the box round the joints, since OKS measures distances by it; `num_keypoints` counts v > 0.
"""

from collections.abc import Iterator, Sequence

import msgspec

from encord_dagster.formats import coco
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.writing import Chosen, CocoFiles, File

FILE = "annotations/keypoints.json"


class CocoKeypoints:
    """Writes annotations/keypoints.json, or one file for each split."""

    def __init__(self, chosen: Chosen) -> None:
        records = [coco.category_record(one) for one in chosen.categories if one.shape == "point" or one.joints]
        self._files = CocoFiles(FILE, chosen, records)
        self._lost = chosen.lost

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        for one in images:
            made = [
                msgspec.structs.replace(item, area=round(item.bbox[2] * item.bbox[3], 6))
                for item in one.annotations
                if item.keypoints is not None
            ]
            self._lost["coco_keypoints:no_joints"] += len(one.annotations) - len(made)
            self._files.add(one, one.image, made)
        yield from ()

    def end(self) -> Iterator[File]:
        """The keypoint files."""
        yield from self._files.end()
