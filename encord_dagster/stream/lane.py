"""The fast lane of a conversion: rows of which nothing is to be said, a chunk of them at a time, column by column.

It writes the bytes that `Work` writes, and counts the same; rows that it does not know to be fine are left to that.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from encord_dagster.accounting import disclosure_of
from encord_dagster.encord import plain
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.plain_frames import Row
from encord_dagster.encord.plain_images import bare_image
from encord_dagster.encord.plain_keys import Odd, have_keys, is_utf8
from encord_dagster.encord.plain_many import BareRow, Left, bare_row
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.stream import large
from encord_dagster.stream.batch import Batch, is_fit
from encord_dagster.stream.cut import Chunk
from encord_dagster.stream.work import Work

Offered = tuple[int, BareRow]  # with its place among the rows of its chunk


class Lane:
    """Converts rows into the spools of a range."""

    def __init__(self, work: Work) -> None:
        self.work, self.config = work, work.config
        relations = work.ontology.relations if work.ontology else frozenset[str]()
        self.reader = PlainReader(relations=relations, disclosure=disclosure_of(self.config), keep_going=True)
        self.is_open = work.has_lane and self.reader.able

    def take(self, chunk: Chunk) -> Sequence[RowSlice]:
        """Convert what can be converted here; the rows that are left."""
        found = self._rows(chunk) if self.is_open else []
        offered = [(place, row) for place, row in enumerate(found) if row]
        batch = None
        while offered and not batch:
            try:
                batch = self._batch([row for _, row in offered])
            except Left as left:
                offered = _without(offered, left.places)
            except Odd:
                break
        places = [place for place, _ in offered]
        if not batch or not _have_keys(chunk, places, batch.keys, whole=len(places) == len(found)):
            return chunk.pieces
        batch.write(lambda number: chunk.pieces[places[number]].offset)
        left_over = set(range(len(found))).difference(places)
        return [chunk.pieces[place] for place in sorted(left_over)]

    def _batch(self, rows: Sequence[BareRow]) -> Batch:
        batch = Batch(rows, self.work)
        batch.refuse_lacking()
        return batch

    def _rows(self, chunk: Chunk) -> list[BareRow | None]:
        """Each row, if it may be converted here; none at all where they are not to be read together."""
        if len(chunk.text) > large.LARGE and any(map(large.is_large, chunk.pieces)) or not is_utf8(chunk.text):
            return []
        images = plain.decode_images(chunk.text)
        rows = map(_decoded, chunk.pieces) if images is None else images
        return [self._bare(row) for row in rows]

    def _bare(self, row: Row | None) -> BareRow | None:
        found = bare_image(row, self.reader) if isinstance(row, plain.ImageRow) else None
        if found is None and row is not None:
            found = bare_row(row, self.reader)
        return found if found and is_fit(found, self.work) else None


def _have_keys(chunk: Chunk, places: Sequence[int], keys: int, *, whole: bool) -> bool:
    """Whether rows of a chunk, or the whole of it, have so many keys. Between rows there may be lines and blanks."""
    if whole and have_keys(chunk.text, keys):
        return True
    return have_keys(b",".join([chunk.pieces[place].raw for place in places]), keys)


def _decoded(piece: RowSlice) -> Row | None:
    try:
        return plain.decode(piece.raw)
    except UNREADABLE:
        return None


def _without(offered: Sequence[Offered], objects: Sequence[int]) -> list[Offered]:
    """The rows but those of some objects."""
    ends = list(accumulate(row.row.objects_in for _, row in offered))
    left = {bisect_right(ends, place) for place in objects}
    return [one for place, one in enumerate(offered) if place not in left]
