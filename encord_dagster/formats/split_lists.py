"""The images of each split by name, and what they were divided by: written wherever there are splits."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.splits import group_of
from encord_dagster.formats.writing import Chosen, File, GrowingText

GROUPS = "splits/groups.jsonl"


class Assigned(msgspec.Struct, frozen=True):
    """A line of `splits/groups.jsonl`: all images of the group lie in the split. A group may be there again."""

    group: str
    split: str


class SplitLists:
    """Writes splits/NAME.txt, a file name of the COCO file on each line, and splits/groups.jsonl.

    Groups of the checkout that gave the splits are in the latter also where no image of them is left: one that comes
    back goes where it was.
    """

    def __init__(self, chosen: Chosen) -> None:
        self._selection = chosen.selection
        self._lists = {split: GrowingText(chosen) for split in chosen.selection.splits}
        self._groups = GrowingText(chosen)
        self._kept = chosen.given.kept

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        for one in images:
            self._lists[one.split].add([one.image.file_name])
        found = {group_of(one, self._selection.split_by): one.split for one in images}
        self._add(found.items())
        yield from ()

    def end(self) -> Iterator[File]:
        """The lists."""
        if self._kept:
            there = {msgspec.json.decode(line, type=Assigned).group for line in self._groups.lines()}
            self._add((group, split) for group, split in self._kept.items() if group not in there)
        for split, held in self._lists.items():
            yield f"splits/{split}.txt", held.pieces()
        yield GROUPS, self._groups.pieces()

    def _add(self, groups: Iterable[tuple[str, str]]) -> None:
        self._groups.add(msgspec.json.encode(Assigned(group, split)).decode() for group, split in groups)
