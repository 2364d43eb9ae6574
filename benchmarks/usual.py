"""`python -m benchmarks.usual FORMAT COCO OUT IMAGES`: the script that one usually writes, out of a COCO file.

`json.load`, pycocotools for masks, numpy and Pillow for pictures, a file for each image; later objects lie on top.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def main() -> None:
    """Write one format."""
    name, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    held = json.loads(source.read_text("utf-8"))
    places = {one["id"]: place for place, one in enumerate(held["categories"])}
    on_image: dict[int, list[Json]] = defaultdict(list)
    for item in held["annotations"]:
        on_image[item["image_id"]].append(item)
    for image in held["images"][: int(sys.argv[4])]:
        FORMATS[name](image, on_image[image["id"]], places, out)


def yolo_detect(image: Json, items: list[Json], places: dict[int, int], out: Path) -> None:
    """A line for each box: class, centre and size as fractions."""
    lines = []
    for item in items:
        x, y, width, height = item["bbox"]
        numbers = (x + width / 2) / image["width"], (y + height / 2) / image["height"]
        sides = width / image["width"], height / image["height"]
        lines.append(" ".join([str(places[item["category_id"]]), *(f"{number:.6f}" for number in (*numbers, *sides))]))
    path = (out / "labels" / image["file_name"].removeprefix("images/")).with_suffix(".txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def voc_masks(image: Json, items: list[Json], places: dict[int, int], out: Path) -> None:
    """A palette picture of classes, and one of objects."""
    import numpy as np
    from PIL import Image

    from encord_dagster.formats.voc_masks import palette

    classes = np.zeros((image["height"], image["width"]), dtype=np.uint8)
    objects = np.zeros_like(classes)
    for number, item in enumerate(items, start=1):
        mask = _mask(item, image)
        classes[mask] = places[item["category_id"]] + 1
        objects[mask] = number
    for folder, pixels in (("SegmentationClass", classes), ("SegmentationObject", objects)):
        picture = Image.fromarray(pixels, mode="P")
        picture.putpalette(palette())
        _save(picture, out / folder / image["file_name"])


def coco_panoptic(image: Json, items: list[Json], _places: dict[int, int], out: Path) -> None:
    """A picture of ids: red + 256 green + 65536 blue."""
    import numpy as np
    from PIL import Image

    ids = np.zeros((image["height"], image["width"]), dtype=np.uint32)
    for number, item in enumerate(items, start=1):
        ids[_mask(item, image)] = number
    colours = np.stack([ids >> shift & 255 for shift in (0, 8, 16)], axis=2).astype(np.uint8)
    _save(Image.fromarray(colours), out / image["file_name"])


def _mask(item: Json, image: Json) -> Any:
    from pycocotools import mask as codes

    shape = item["segmentation"]
    if isinstance(shape, list):
        shape = codes.merge(codes.frPyObjects(shape, image["height"], image["width"]))
    return codes.decode(shape).astype(bool)


def _save(picture: Any, path: Path) -> None:
    path = path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


FORMATS: dict[str, Callable[[Json, list[Json], dict[int, int], Path], None]] = {
    "yolo_detect": yolo_detect,
    "voc_masks": voc_masks,
    "coco_panoptic": coco_panoptic,
}


if __name__ == "__main__":
    main()
