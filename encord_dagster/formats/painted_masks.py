"""Our masks of what is chosen of a version: semantic and instance PNGs as those published, repainted."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from encord_dagster.formats import png
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.masks import HIGHEST_IN_PALETTE
from encord_dagster.formats.palette import palette
from encord_dagster.formats.repaint import has_pixels, shown
from encord_dagster.formats.writing import Chosen, File
from encord_dagster.geometry import LARGEST_MASK


class PaintedMasks:
    """Writes masks/semantic and masks/instance."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Two pictures of each image."""
        for one in images:
            width, height = one.image.width, one.image.height
            if width * height > LARGEST_MASK:
                continue  # the published version has none either, and its losses say so
            places = [at for at, item in enumerate(one.annotations, 1) if has_pixels(item, width=width, height=height)]
            painted = [one.annotations[at - 1] for at in places]
            picture = shown(painted, width=width, height=height)
            name = PurePosixPath(one.image.file_name).with_suffix(".png")
            ids = [0, *(item.category_id for item in painted)]
            if max(ids) > HIGHEST_IN_PALETTE:
                semantic = png.write_grey16(picture, ids)
            else:
                semantic = png.write_palette(picture, palette(max(ids)), ids)
            yield f"masks/semantic/{name}", semantic
            yield f"masks/instance/{name}", png.write_grey16(picture, [0, *places])

    def end(self) -> Iterator[File]:
        """Nothing is left."""
        yield from ()
