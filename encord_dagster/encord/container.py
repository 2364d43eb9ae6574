"""The bytes of an export cut into label rows, each with its place in the unpacked bytes; no row is opened here."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from encord_dagster.encord import outline
from encord_dagster.encord.outline import Outline, coco_refused, read_outline, too_many_rows
from encord_dagster.encord.packed import LARGEST_HELD, Part, refuse_larger, unpack_parts
from encord_dagster.encord.spans import Spans
from encord_dagster.errors import ExportError
from encord_dagster.storage.mapped import Data, passed

LARGEST_ROW = 256 * 2**20  # bytes


class RowSlice(msgspec.Struct, frozen=True):
    """One label row: `raw` is `data[offset:offset + length]` of the unpacked bytes.

    But NaN and Infinity come as text, and a row that is too large to be read comes cut off behind LARGEST_ROW.
    """

    index: int
    offset: int
    length: int
    raw: bytes


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An export unpacked and cut. `rows` can be gone through once, and is empty for a COCO file; there are `count`.

    `ontology` is the document in the SDK's wrapper; None also where the files of a zip bring different ones.
    """

    kind: Literal["labels", "coco"]
    data: Data
    rows: Iterator[RowSlice]
    count: int
    ontology: bytes | None


class _Cut(msgspec.Struct, frozen=True):
    """The rows of one file: `source[start + offset:...]`; `part` is where the file lies in the unpacked bytes."""

    outline: Outline
    part: Part
    source: Data
    start: int

    def ontology(self) -> bytes | None:
        """The document in the wrapper, None without one."""
        if self.outline.ontology is None:
            return None
        offset, length = self.outline.ontology
        return self.source[self.start + offset : self.start + offset + length]


def open_export(data: Data) -> Opened:
    """An export as it was delivered, packed or not: an array of rows, one row, the SDK's wrapper, or one row per line.

    Encord's COCO file is known too, for another reader. A zip holds several of the former; a file in it that cannot
    be cut comes as one row, which the row reader refuses. Raises ExportError, before the first row, where nothing
    can be used.
    """
    unpacked = unpack_parts(data)
    if len(unpacked.parts) == 1:
        cuts = [_cut(unpacked.data, unpacked.parts[0])]
    else:
        cuts = _cut_each(unpacked.data, unpacked.parts)
    if cuts[0].outline.kind == "coco":
        refuse_larger(unpacked.data, LARGEST_HELD, "the COCO export")
    ontologies = {ontology for cut in cuts if (ontology := cut.ontology()) is not None}
    return Opened(
        kind=cuts[0].outline.kind,
        data=unpacked.data,
        rows=_rows(cuts),
        count=sum(len(cut.outline.rows) for cut in cuts),
        ontology=ontologies.pop() if len(ontologies) == 1 else None,
    )


def iter_rows(data: Data) -> Iterator[RowSlice]:
    """The label rows of an export; ExportError, before the first row, where it holds none."""
    opened = open_export(data)
    if opened.kind == "coco":
        raise coco_refused()
    return opened.rows


def _rows(cuts: Iterable[_Cut]) -> Iterator[RowSlice]:
    index = 0
    for cut in cuts:
        for offset, length in cut.outline.rows:
            at = cut.start + offset
            raw = cut.source[at : at + min(length, LARGEST_ROW + 1)]
            passed(cut.source, at)
            yield RowSlice(index, cut.part.start + offset, length, raw)
            index += 1


def _cut_each(data: Data, parts: Sequence[Part]) -> list[_Cut]:
    """The files of a zip. One that cannot be cut is one row, so that it ends in quarantine and stops no other."""
    cuts: list[_Cut] = []
    refused: list[ExportError] = []
    try:
        for part in parts:
            try:
                cut = _cut(data, part)
                if cut.outline.kind == "coco":
                    raise coco_refused()
            except ExportError as error:
                refused.append(error)
                cut = _Cut(Outline("labels", Spans([(0, part.end - part.start)])), part, data, part.start)
            cuts.append(cut)
        if len(refused) == len(parts):
            raise refused[0]
    finally:
        refused.clear()  # as in `read_outline`
    if sum(len(cut.outline.rows) for cut in cuts) > outline.MOST_ROWS:
        raise too_many_rows()
    return cuts


def _cut(data: Data, part: Part) -> _Cut:
    """One file cut into rows; ExportError where it is none."""
    text = data if part.end - part.start == len(data) else data[part.start : part.end]
    try:
        found, source = read_outline(text)
    except ExportError as error:
        if not part.title:
            raise
        raise ExportError(error.reason, f"{part.title}: {error.message}") from error
    return _Cut(found, part, data, part.start) if source is text else _Cut(found, part, source, 0)
