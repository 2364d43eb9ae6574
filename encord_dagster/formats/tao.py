"""TAO (Tracking Any Object): COCO for videos whose annotations are boxes on frames, each of a track.

A track has one class and one video: an object of a label row that changes its class, or lies in two spaces of a group,
is one for each. Tracks count from 1 in their file: TrackEval makes arrays as long as their highest id.
`area` is that of the box, as TAO has it; `segmentation` is that of the COCO file.
Source: the file format in TAO-Dataset/tao, `tao/toolkit/tao/tao.py`; TrackEval 1.3, `datasets/tao.py`.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from encord_dagster import identity
from encord_dagster.formats.coco import ABOUT
from encord_dagster.formats.labelled import Labelled, sequences_by_split
from encord_dagster.formats.writing import Chosen, File, Growing

FILE = "annotations/tao.json"
UNKNOWN = "unknown"  # what TAO calls the synset of a class that is not in LVIS


class Tao:
    """Writes annotations/tao.json, or one file for each split."""

    def __init__(self, chosen: Chosen) -> None:
        self._names = chosen.names(FILE)
        self._files = {split: Growing(chosen, "videos", "images", "tracks", "annotations") for split in self._names}
        self._categories = [
            {"id": one.id, "name": one.name, "supercategory": one.shape, "synset": UNKNOWN} for one in chosen.categories
        ]
        self._lost = chosen.lost
        self._count = 0  # of tracks

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        for one in images:
            if one.sequence is None:
                self._lost["tao:no_sequence"] += len(one.annotations)
        for name, split, frames in sequences_by_split(images, self._files):
            self._add(name, split, frames)
        yield from ()

    def _add(self, name: str, split: str, frames: Sequence[Labelled]) -> None:
        video, first, file = identity.number("video", name), frames[0].image, self._files[split]
        # nobody looked for what is not there, and no class is known to be labelled in part
        known: dict[str, object] = {"neg_category_ids": [], "not_exhaustive_category_ids": [], "metadata": {}}
        name = quote(name, safe="")  # some readers make `-` of `/`, and two names could become one
        file.add("videos", [{"id": video, "name": name, "width": first.width, "height": first.height} | known])
        tracks: dict[tuple[int, int], dict[str, int]] = {}
        for one in frames:
            image = one.image
            described = {"id": image.id, "video_id": video, "video": name, "file_name": image.file_name}
            size = {"width": image.width, "height": image.height}
            file.add("images", [described | size | {"frame_index": image.encord.frame}])
            file.add("annotations", list(self._annotations(one, video, tracks)))
        file.add("tracks", list(tracks.values()))

    def _annotations(
        self, one: Labelled, video: int, tracks: dict[tuple[int, int], dict[str, int]]
    ) -> Iterator[dict[str, object]]:
        for item in one.annotations:
            width, height = item.bbox[2:]
            if item.polyline is not None or min(width, height) <= 0:
                self._lost["tao:no_box"] += 1
                continue
            self._lost["tao:joints"] += item.keypoints is not None
            place = item.attributes.track_id, item.category_id
            if place not in tracks:
                self._count += 1
                about = {"id": self._count, "category_id": item.category_id, "video_id": video}
                tracks[place] = about | {"encord_track_id": item.attributes.track_id}
            yield {
                "id": item.id,
                "image_id": item.image_id,
                "video_id": video,
                "track_id": tracks[place]["id"],
                "category_id": item.category_id,
                "bbox": item.bbox,
                "area": round(width * height, 6),
                "segmentation": item.segmentation,
                "iscrowd": 0,
            }

    def end(self) -> Iterator[File]:
        """The files."""
        head = ABOUT | {"categories": self._categories}
        for split, file in self._files.items():
            yield self._names[split], file.document(head)
