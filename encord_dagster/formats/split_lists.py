"""The images of each split by name: written beside the formats wherever there are splits."""

from collections.abc import Iterator, Sequence

from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.writing import Chosen, File, GrowingText


class SplitLists:
    """Writes splits/NAME.txt, a file name of the COCO file on each line."""

    def __init__(self, chosen: Chosen) -> None:
        self._lists = {split: GrowingText(chosen) for split in chosen.selection.splits}

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        for one in images:
            self._lists[one.split].add([one.image.file_name])
        yield from ()

    def end(self) -> Iterator[File]:
        """The lists."""
        for split, held in self._lists.items():
            yield f"splits/{split}.txt", held.pieces()
