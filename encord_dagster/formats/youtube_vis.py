"""YouTube-VIS: COCO for videos. An annotation is a track: its mask and box at each labelled frame, or null.

Masks are runs that are not compressed, as in YouTube-VIS itself: not all readers take others. A track is an object of a
label row. Videos are videos, series, stacks and groups of images; single images are none.
"""

from collections.abc import Iterator, Sequence
from itertools import count

import msgspec

from encord_dagster import identity
from encord_dagster.formats.coco import ABOUT, Annotation
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.labelled import Labelled, sequences_by_split
from encord_dagster.formats.repaint import has_pixels
from encord_dagster.formats.runs import runs_of
from encord_dagster.formats.writing import Chosen, File, Growing, Held

_NO_ID, _ID = b'{"id":0,"track_id"', b'{"id":%d,"track_id"'
FILE = "annotations/youtube_vis.json"


class YoutubeVis:
    """Writes annotations/youtube_vis.json, or one file for each split."""

    def __init__(self, chosen: Chosen) -> None:
        self._names = chosen.names(FILE)
        self._files = {split: Growing(chosen, "videos", "annotations") for split in self._names}
        self._categories = [{"id": one.id, "name": one.name, "supercategory": one.shape} for one in chosen.categories]
        self._lost = chosen.lost

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        for one in images:
            if one.sequence is None:
                self._lost["youtube_vis:no_sequence"] += len(one.annotations)
        for name, split, frames in sequences_by_split(images, self._files):
            self._add(name, split, frames)
        yield from ()

    def _add(self, name: str, split: str, frames: Sequence[Labelled]) -> None:
        first = frames[0].image
        fitting = [one for one in frames if (one.image.width, one.image.height) == (first.width, first.height)]
        held = sum(len(one.annotations) for one in fitting)
        self._lost["youtube_vis:frame_sizes"] += sum(len(one.annotations) for one in frames) - held
        video = identity.number("video", name)
        about = {
            "id": video,
            "width": first.width,
            "height": first.height,
            "length": len(fitting),
            "file_names": [one.image.file_name for one in fitting],
            "frames": [one.image.encord.frame for one in fitting],
        }
        self._files[split].add("videos", [about])
        self._files[split].add("annotations", self._tracks(video, fitting))

    def _tracks(self, video: int, frames: Sequence[Labelled]) -> list[object]:
        """The tracks of a video; one that changes its class is one for each."""
        found: dict[tuple[int, int], dict[int, Annotation]] = {}
        for place, one in enumerate(frames):
            for item in one.annotations:
                if not has_pixels(item, width=one.image.width, height=one.image.height):
                    self._lost["youtube_vis:no_area"] += 1
                    continue
                self._lost["youtube_vis:outline_as_mask"] += not isinstance(item.segmentation, Rle)
                found.setdefault((item.attributes.track_id, item.category_id), {})[place] = item
        made: list[object] = []
        first = frames[0].image
        shown = [item for at in found.values() for item in at.values()]
        masks = runs_of(shown, width=first.width, height=first.height)
        for (track, category), at in found.items():
            runs: list[msgspec.Raw | None] = [None] * len(frames)
            boxes: list[object] = [None] * len(frames)
            areas: list[float | None] = [None] * len(frames)
            for place, item in at.items():
                runs[place], boxes[place], areas[place] = next(masks), item.bbox, item.area
            about = {"id": 0, "track_id": track, "video_id": video, "category_id": category, "iscrowd": 0}
            size = {"width": first.width, "height": first.height}
            made.append(about | size | {"segmentations": runs, "bboxes": boxes, "areas": areas})
        return made

    def end(self) -> Iterator[File]:
        """The files."""
        head = ABOUT | {"categories": self._categories}
        for split, file in self._files.items():
            yield self._names[split], file.document(head, {"annotations": _numbered})


def _numbered(held: Held) -> Iterator[bytes]:
    """Annotations with ids from 1 on in their file: TrackEval makes an array as long as the highest of them."""
    numbers, rest = count(1), b""
    for piece in held.pieces():
        *parts, rest = (rest + piece).split(_NO_ID)
        for part in parts:
            yield part
            yield _ID % next(numbers)
        kept = max(0, len(rest) - len(_NO_ID))  # what is behind may go on in the next piece
        yield rest[:kept]
        rest = rest[kept:]
    yield rest
