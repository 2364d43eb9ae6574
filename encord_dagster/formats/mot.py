"""MOT Challenge: boxes of tracks, a folder with gt/gt.txt and seqinfo.ini for each video, series or group of images.

A track is an object of a label row; within a sequence tracks count from 1 as they appear, frames from 1 = frame 0.
Columns: frame, track, left, top, width, height, 1 (to be evaluated), class from 1 in order of ids, 1 (visibility).
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from encord_dagster.formats.labelled import Labelled, sequences
from encord_dagster.formats.repaint import is_upright
from encord_dagster.formats.writing import Chosen, File, GrowingText

FOLDER = "mot"


class Mot:
    """Writes mot/, with a folder for each split in it."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen, self._lost = chosen, chosen.lost
        self._places = chosen.places()
        self._lists = {split: GrowingText(chosen) for split in chosen.selection.splits or ("train",)}

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """The files of each sequence."""
        for one in images:
            if one.sequence is None:
                self._lost["mot:no_sequence"] += len(one.annotations)
        for name, frames in sequences(images).items():
            for split in dict.fromkeys(one.split for one in frames):
                within = [one for one in frames if one.split == split]
                yield from self._sequence(quote(name, safe=""), split or "train", within)

    def _sequence(self, name: str, split: str, frames: Sequence[Labelled]) -> Iterator[File]:
        tracks: dict[int, int] = {}
        lines: list[str] = []
        for one in frames:
            number = one.image.encord.frame + 1
            for item in one.annotations:
                if item.polyline is not None or min(item.bbox[2:]) <= 0:
                    self._lost["mot:no_box"] += 1
                    continue
                track = tracks.setdefault(item.attributes.track_id, len(tracks) + 1)
                box = ",".join(f"{side:.10g}" for side in item.bbox)
                lines.append(f"{number},{track},{box},1,{self._places[item.category_id] + 1},1\n")
                self._lost["mot:outline"] += not is_upright(item)
        self._lists[split].add([name])
        yield f"{FOLDER}/{split}/{name}/gt/gt.txt", "".join(lines).encode()
        yield f"{FOLDER}/{split}/{name}/seqinfo.ini", self._about(name, frames).encode()

    def _about(self, name: str, frames: Sequence[Labelled]) -> str:
        """Frames of one sequence may differ in size: the first tells it. Videos are as long as they are labelled."""
        first = frames[0].image
        if any((one.image.width, one.image.height) != (first.width, first.height) for one in frames):
            self._lost["mot:frame_sizes"] += 1
        return (
            f"[Sequence]\nname={name}\nimDir=img1\nframeRate={self._chosen.selection.frame_rate:g}\n"
            f"seqLength={frames[-1].image.encord.frame + 1}\n"
            f"imWidth={first.width}\nimHeight={first.height}\nimExt=.jpg\n"
        )

    def end(self) -> Iterator[File]:
        """Lists of sequences as TrackEval reads them, and the names of the classes."""
        for split, held in self._lists.items():
            yield f"{FOLDER}/seqmaps/{split}.txt", _headed(b"name\n", held)
        yield (
            f"{FOLDER}/labels.txt",
            "".join(f"{' '.join(one.name.split())}\n" for one in self._chosen.categories).encode(),
        )


def _headed(head: bytes, held: GrowingText) -> Iterator[bytes]:
    yield head
    yield from held.pieces()
