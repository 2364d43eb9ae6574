"""The image records of a checkout, out of its COCO files; annotations, the most of such a file, are not read."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats import coco

_STEP = 2**20  # bytes read at a time


class _Head(msgspec.Struct):
    images: tuple[coco.Image, ...]


def images_of(checkout: Path) -> Iterator[coco.Image]:
    """The images of `annotations/instances.json`, or of the file of each split.

    Raises:
        UsageError: there is no such file, or it is none that this package wrote.
    """
    folder = checkout / Path(coco.FILE).parent
    stem = Path(coco.FILE).stem
    paths = sorted({*folder.glob(f"{stem}.json"), *folder.glob(f"{stem}_*.json")})
    if not paths:
        raise UsageError(f"{checkout} holds no {coco.FILE}: name a checkout that has coco among its formats")
    for path in paths:
        try:
            images = msgspec.json.decode(_before_annotations(path), type=_Head).images
        except msgspec.DecodeError as error:
            raise UsageError(f"{path} is no COCO file of this package: {error}") from error
        for image in images:
            if any(part in ("", ".", "..") for part in image.file_name.split("/")):
                raise UsageError(f"{path}: image {image.id} is called {image.file_name!r}, no path below a folder")
            yield image


def _before_annotations(path: Path) -> bytes:
    """The file up to its annotations: no string of JSON has the line break in which they begin."""
    held = b""
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            start = max(0, len(held) - len(coco.ANNOTATIONS))
            held += piece
            if (end := held.find(coco.ANNOTATIONS, start)) >= 0:
                return held[:end] + b"]}"
    return held
