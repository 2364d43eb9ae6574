"""YOLO as Ultralytics reads it: a text file for each image, `data.yaml`, and lists of images; four kinds of labels.

Numbers are fractions of the image, cut off at its edges, since the reader refuses a whole image for one number outside.
Class indices count from 0 in the order of category ids. Images are looked for under `images/`, labels lie in `labels/`
where Ultralytics looks for them: the last `/images/` of a path becomes `/labels/`.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from encord_dagster.formats.coco import Annotation, Image
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.outlines import clipped
from encord_dagster.formats.raster import FEWEST
from encord_dagster.formats.repaint import NEAR, is_upright
from encord_dagster.formats.writing import Chosen, File, GrowingText
from encord_dagster.formats.yolo_outlines import AT_ONCE, DECIMALS, Segment, fractions_text, segments_of
from encord_dagster.geometry import Ring

PICTURES = (".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp", ".pfm", ".heic")
READ = ("train", "val", "test")  # splits that data.yaml can name
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

Line = Callable[[Annotation, Image], list[float] | bytes | None]


class Yolo:
    """Writes one kind of YOLO labels into a folder of the format's name."""

    def __init__(self, name: str, chosen: Chosen) -> None:
        self.name, self.chosen, self.lost = name, chosen, chosen.lost
        self._openings = {category: b"%d " % place for category, place in chosen.places().items()}
        joints = (len(one.joints) or int(one.shape == "point") for one in chosen.categories)
        self._joints = max(joints, default=0)
        lines: dict[str, Line] = {
            "yolo_detect": self._box,
            "yolo_segment": self._outline,
            "yolo_pose": self._pose,
            "yolo_obb": self._corners,
        }
        self._line = lines[name]
        self._segments: dict[int, Segment] = {}  # of the images at hand, by annotation
        self._lists = {split: GrowingText(chosen) for split in chosen.selection.splits or ("images",)}

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """The labels of each image; an image without any has an empty file."""
        for first in range(0, len(images), AT_ONCE):
            some = images[first : first + AT_ONCE]
            self._segments = segments_of(some) if self.name == "yolo_segment" else {}
            for one in some:
                path = image_path(one.image.file_name)
                self._lists[one.split or "images"].add([f"./{path}"])
                held: list[bytes] = []
                for item in one.annotations:
                    if (found := self._line(item, one.image)) is not None:
                        text = found if isinstance(found, bytes) else _text(found)
                        held += (self._openings[item.category_id], text, b"\n")
                yield f"{self.name}/{labels_path(path)}", b"".join(held)

    def end(self) -> Iterator[File]:
        """The lists of images and data.yaml."""
        for split, held in self._lists.items():
            yield f"{self.name}/{split}.txt", held.pieces()
        yield f"{self.name}/data.yaml", self._yaml().encode()

    def _yaml(self) -> str:
        splits = self.chosen.selection.splits
        first = next(iter(self._lists))
        lines = [] if splits else ["# nothing was split: training and validation are the same images"]
        for key in READ:
            if key in splits:
                lines.append(f"{key}: {key}.txt")
            elif key != "test":
                lines.append(f"{key}: {first}.txt" + (f"  # no split {key} was chosen" if splits else ""))
        if self.name == "yolo_pose":
            lines.append(f"kpt_shape: [{self._joints}, 3]")
        lines.append("names:")
        lines += [f"  {place}: {yaml_text(one.name)}" for place, one in enumerate(self.chosen.categories)]
        return "\n".join(lines) + "\n"

    def _lose(self, name: str) -> None:
        self.lost[f"{self.name}:{name}"] += 1

    def _box(self, item: Annotation, image: Image) -> list[float] | None:
        x, y, width, height = item.bbox
        left, top = max(x, 0.0), max(y, 0.0)
        right, bottom = min(x + width, image.width), min(y + height, image.height)
        if item.polyline is not None or right <= left or bottom <= top:
            self._lose("no_box")
            return None
        if self.name == "yolo_detect" and not is_upright(item):
            self._lose("outline")
        numbers = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        return [round(number / image_side(image, place), DECIMALS) for place, number in enumerate(numbers)]

    def _outline(self, item: Annotation, image: Image) -> bytes | None:
        import numpy as np

        shape = item.segmentation
        if (found := self._segments.get(item.id)) is not None:
            self.lost["yolo_segment:outline_of_pixels"] += found.rings > 0
            self.lost["yolo_segment:rings_joined"] += found.rings > 1
            return found.text
        if item.polyline is None and item.keypoints is None and isinstance(shape, tuple) and len(shape) == 1:
            points = np.array(clipped(shape[0], width=image.width, height=image.height)).reshape(-1, 2)
            if len(points) >= FEWEST // 2:
                (text,) = fractions_text(points / (image.width, image.height), np.array([len(points)]))
                return text
        self._lose("no_area")
        return None

    def _pose(self, item: Annotation, image: Image) -> list[float] | None:
        joints = item.keypoints
        box = self._box(item, image) if joints is not None else None
        if joints is None or box is None:
            if joints is None:
                self._lose("no_joints")
            return None
        numbers = box
        for place in range(0, len(joints), 3):
            x, y, seen = joints[place : place + 3]
            numbers += _fractions((min(max(x, 0.0), image.width), min(max(y, 0.0), image.height)), image)
            numbers.append(seen)
        return numbers + [0.0] * (3 * self._joints - len(joints))

    def _corners(self, item: Annotation, image: Image) -> list[float] | None:
        if self._box(item, image) is None:
            return None
        shape = item.segmentation
        if isinstance(shape, tuple) and len(shape) == 1 and is_rectangle(shape[0]):
            (ring,) = shape
        else:
            x, y, width, height = item.bbox
            ring = (x, y, x + width, y, x + width, y + height, x, y + height)
            self._lose("upright_box")
        cut = tuple(
            min(max(value, 0.0), image.height if place % 2 else image.width) for place, value in enumerate(ring)
        )
        if cut != ring and item.attributes.rotation:
            self._lose("corners_cut")
        return _fractions(cut, image)


def image_path(file_name: str) -> str:
    """Where the image of a record is looked for; .png is added to names that are not those of pictures."""
    name = file_name.removeprefix("images/")
    return f"images/{name}" if name.lower().endswith(PICTURES) else f"images/{name}.png"


def labels_path(path: str) -> str:
    """Where Ultralytics looks for the labels of an image."""
    stem = path.rpartition(".")[0]
    before, between, after = f"/{stem}".rpartition("/images/")
    return f"{before}/labels/{after}.txt"[1:] if between else f"{stem}.txt"


def image_side(image: Image, place: int) -> int:
    """What the number at a place is a fraction of: x and width, y and height take turns."""
    return image.height if place % 2 else image.width


def _fractions(numbers: Sequence[float], image: Image) -> list[float]:
    width, height = image.width, image.height
    made = [0.0] * len(numbers)
    made[0::2] = [round(x / width, DECIMALS) for x in numbers[0::2]]
    made[1::2] = [round(y / height, DECIMALS) for y in numbers[1::2]]
    return made


def _text(numbers: Sequence[float]) -> bytes:
    return msgspec.json.encode(numbers)[1:-1].replace(b",", b" ")


def yaml_text(name: str) -> str:
    """A JSON string, which is one of YAML where it holds no character that YAML folds or refuses."""
    text = msgspec.json.encode(name).decode()
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_rectangle(ring: Ring) -> bool:
    """Whether a ring has four corners with diagonals of one length that halve each other."""
    if len(ring) != 8:
        return False
    x0, y0, x1, y1, x2, y2, x3, y3 = ring
    apart = math.hypot(x0 + x2 - x1 - x3, y0 + y2 - y1 - y3)
    return apart < NEAR and abs(math.hypot(x0 - x2, y0 - y2) - math.hypot(x1 - x3, y1 - y3)) < NEAR
