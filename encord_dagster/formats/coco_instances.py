"""COCO of what is chosen of a version: `annotations/instances.json` as it is published, but for what was left out."""

from collections.abc import Iterator, Sequence

from encord_dagster.formats import coco
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.writing import Chosen, CocoFiles, File


class CocoInstances:
    """Writes annotations/instances.json, or one file for each split."""

    def __init__(self, chosen: Chosen) -> None:
        self._files = CocoFiles(coco.FILE, chosen, [coco.category_record(one) for one in chosen.categories])

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        for one in images:
            self._files.add(one, one.image, one.annotations)
        yield from ()

    def end(self) -> Iterator[File]:
        """The COCO files."""
        yield from self._files.end()
