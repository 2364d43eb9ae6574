"""What is chosen of a conversion: rows out of the spools take the way of those of a version at checkout."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import KINDS, About, Labelled, Row, merged
from encord_dagster.formats.selection import Selecting, Selection
from encord_dagster.formats.stratify import groups_in, stratified
from encord_dagster.stream import assemble

_IMAGES = msgspec.json.Decoder(tuple[coco.Image, ...])
_ANNOTATIONS = msgspec.json.Decoder(tuple[coco.Annotation, ...])
_TOLD = ("{dataset_hash", "{data_type")  # by templates


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What to choose, and what that has to know beside the records."""

    selection: Selection
    kept: dict[str, str]  # group -> split, of an earlier checkout
    stratified: dict[str, str] = {}  # likewise of new groups
    abouts: tuple[tuple[About, ...], ...] = ()  # of each range, where rows point to them

    def selecting(self, categories: tuple[Category, ...]) -> Selecting:
        """What applies it."""
        return Selecting(self.selection, categories, kept=self.kept, stratified=self.stratified)


def asks_about(selection: Selection) -> bool:
    """Whether a selection asks for what COCO does not say of a row."""
    templates = selection.file_name + selection.coco_url
    by_row = selection.label_statuses or selection.workflow_nodes or selection.split_by == "dataset_hash"
    return bool(by_row) or any(field in templates for field in _TOLD)


def chosen(
    folders: Sequence[Path],
    rows: assemble.Rows,
    renamed: Sequence[Mapping[int, int]],
    abouts: Sequence[Sequence[About]],
    selecting: Selecting,
) -> Iterator[tuple[int, list[Labelled]]]:
    """The images that are chosen, row by row; with each the row's number."""
    about = assemble.abouts(folders, rows, abouts) if abouts else None
    for number, records in assemble.records(folders, rows, renamed):
        known = about(number) if about else About(KINDS[records.kind])
        row = Row(
            row="",
            images=_IMAGES.decode(listed(records.images)),
            annotations=_ANNOTATIONS.decode(listed(records.annotations)),
            **msgspec.structs.asdict(known),
        )
        kept = selecting.row(row)
        images = merged([kept]) if kept else []
        yield number, [made for one in images if (made := selecting.image(one)) is not None]


def with_splits(
    choice: Choice,
    folders: Sequence[Path],
    rows: assemble.Rows,
    renamed: Sequence[Mapping[int, int]],
    categories: tuple[Category, ...],
) -> Choice:
    """The same with the splits of new groups, where classes are evened out: all labels are read once for that."""
    selection = choice.selection
    if not selection.stratify:
        return choice
    images = chosen(folders, rows, renamed, choice.abouts, Selecting(selection.undivided, categories))
    groups = groups_in(chain.from_iterable(some for _, some in images), selection.split_by)
    splits = stratified(groups, selection.splits, seed=selection.split_seed, kept=choice.kept)
    return msgspec.structs.replace(choice, stratified=splits)


def listed(records: bytes) -> bytes:
    """Records of a spool as one list of JSON."""
    return b"[" + records.removesuffix(coco.BETWEEN) + b"]"
