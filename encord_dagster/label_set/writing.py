"""Formats that are written at checkout: the rows of a version go through the selection into each of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from encord_dagster.formats import tables
from encord_dagster.formats.catalogue import WRITTEN
from encord_dagster.formats.labelled import Labelled, merged
from encord_dagster.formats.selected_tables import SelectedTables
from encord_dagster.formats.selection import Selecting, Selection
from encord_dagster.formats.selection_report import FILE, report
from encord_dagster.formats.split_lists import SplitLists
from encord_dagster.formats.stratify import groups_in, stratified
from encord_dagster.formats.writing import Chosen, Given
from encord_dagster.label_set.labelled import together

if TYPE_CHECKING:
    from encord_dagster.label_set.read import Version

SAID_EVERY = 1000  # rows


class Files(Protocol):
    """Where the files go."""

    def add(self, name: str, data: bytes | Iterator[bytes]) -> None:
        """Write a file; no other has its name."""
        ...


def write_chosen(
    version: "Version",
    formats: Sequence[str],
    selection: Selection,
    files: Files,
    progress: Callable[[str], None],
    given: Given,
) -> Mapping[str, int]:
    """Write the formats, the splits, and what was chosen; returns what the formats could not hold, by code."""
    new = _stratified(version, selection, given.kept) if selection.stratify else {}
    selecting = Selecting(selection, version.root.categories, kept=given.kept, stratified=new)
    lost: Counter[str] = Counter()
    with ExitStack() as stack:
        chosen = Chosen(
            categories=selecting.map.categories,
            selection=selection,
            lost=lost,
            stack=stack,
            given=given,
        )
        writers = [WRITTEN[name](chosen) for name in formats if name in WRITTEN]
        writers += [SplitLists(chosen)] if selection.splits else []
        selected = SelectedTables(chosen)
        writers += [selected] if "tables" in formats else []
        for number, images in enumerate(_images(version, selecting), start=1):
            if number % SAID_EVERY == 0:
                progress(f"version {version.number}: {', '.join(formats)}, {number:,} rows")
            for name, data in chain.from_iterable(writer.write(images) for writer in writers):
                files.add(name, data)
        for name, data in chain.from_iterable(writer.end() for writer in writers):
            files.add(name, data)
        for name, table in _tables(version, selected, selecting) if "tables" in formats else ():
            files.add(f"tables/{name}.parquet", tables.to_parquet(table))
    if selection != Selection():
        about = report(selecting, version=version.number, content_digest=version.root.content_digest)
        files.add(FILE, about.encoded())
    return {code: count for code, count in lost.items() if count}


def _stratified(version: "Version", selection: Selection, kept: Mapping[str, str]) -> dict[str, str]:
    """The splits of new groups: all labels are read once before they are written."""
    selecting = Selecting(selection.undivided, version.root.categories)
    groups = groups_in(chain.from_iterable(_images(version, selecting)), selection.split_by)
    return stratified(groups, selection.splits, seed=selection.split_seed, kept=kept)


def _tables(version: "Version", selected: SelectedTables, selecting: Selecting) -> Iterator[tuple[str, pa.Table]]:
    """The tables of what is chosen; row events and findings are those of the whole version."""
    gone = selecting.rows_left_out
    annotations = selected.cut("annotations", version.table("annotations"), rows_left_out=gone)
    images = selected.cut("images", version.table("images"), rows_left_out=gone)
    yield "images", selected.counted(images, annotations)
    yield "annotations", annotations
    for name in ("classifications", "attributes"):
        yield name, selected.cut(name, version.table(name), rows_left_out=gone)
    for name in ("row_events", "findings"):
        yield name, version.table(name)


def _images(version: "Version", selecting: Selecting) -> Iterator[list[Labelled]]:
    """What is chosen, row by row, or the rows on one data unit at once."""
    for rows in together(version.lake, version.root):
        kept = [part for row in rows if (part := selecting.row(row)) is not None]
        times = Counter(image.id for row in kept for image in row.images)
        images = merged(kept)
        yield [made for one in images if (made := selecting.image(one, times[one.image.id])) is not None]
