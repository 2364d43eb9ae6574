"""The fast lane of a conversion: rows of which nothing is to be said, a chunk of them at a time, column by column.

It writes the bytes that `Work` writes, and counts the same; rows that it does not know to be fine are left to that.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from encord_dagster.accounting import disclosure_of
from encord_dagster.encord import plain
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.plain_columns import RowColumns
from encord_dagster.encord.plain_films import film_columns, labelled_film
from encord_dagster.encord.plain_frames import Row
from encord_dagster.encord.plain_images import image_columns, labelled_images
from encord_dagster.encord.plain_keys import Odd, have_keys, have_keys_once, is_utf8
from encord_dagster.encord.plain_many import BareRow, Left, bare_columns, bare_row
from encord_dagster.encord.plain_rows import NEVER, PlainReader
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.stream import large
from encord_dagster.stream.batch import Batch, are_fit, is_fit
from encord_dagster.stream.cut import Chunk
from encord_dagster.stream.work import Work

_Row = TypeVar("_Row")


class Lane:
    """Converts rows into the spools of a range."""

    def __init__(self, work: Work) -> None:
        self.work, self.config = work, work.config
        relations = work.ontology.relations if work.ontology else frozenset[str]()
        self.reader = PlainReader(relations=relations, disclosure=disclosure_of(self.config), keep_going=True)
        self.is_open = work.has_lane and self.reader.able

    def take(self, chunk: Chunk) -> Sequence[RowSlice]:
        """Convert what can be converted here; the rows that are left."""
        rows = self._rows(chunk) if self.is_open else []
        if not rows:
            return chunk.pieces
        waiting = {place: row for place, row in enumerate(rows) if row}
        taken = self._take(chunk, waiting, labelled_images, lambda some: image_columns(some, self.reader))
        taken |= self._take(chunk, waiting, labelled_film, lambda some: film_columns(some, self.reader))
        taken |= self._take(chunk, waiting, self._bare, bare_columns)
        if len(taken) == len(rows):
            return ()
        return [piece for place, piece in enumerate(chunk.pieces) if place not in taken]

    def _take(
        self,
        chunk: Chunk,
        waiting: dict[int, Row],
        chosen: Callable[[Row], _Row | None],
        columns: Callable[[Sequence[_Row]], RowColumns],
    ) -> set[int]:
        """Convert rows that are read in one way, by their places. Those still wait that cannot be read so."""
        offered = {place: one for place, row in waiting.items() if (one := chosen(row)) is not None}
        try:
            places, batch = self._batch(offered, columns)
        except Odd:
            return set()
        for place in offered:
            del waiting[place]
        if not batch or not _have_keys(chunk, places, batch.keys, whole=not waiting):
            return set()
        batch.write(lambda number: chunk.pieces[places[number]].offset)
        return set(places)

    def _batch(
        self, offered: Mapping[int, _Row], columns: Callable[[Sequence[_Row]], RowColumns]
    ) -> tuple[list[int], Batch | None]:
        """Rows that can be converted together, and their places."""
        places = list(offered)
        while places:
            try:
                rows = columns([offered[place] for place in places])
            except NEVER as error:
                raise Odd from error
            if not are_fit(rows, self.work):
                raise Odd
            try:
                batch = Batch(rows, self.work)
                batch.refuse_lacking()
            except Left as left:
                odd = {bisect_right(rows.ends, place) for place in left.places}
                places = [place for number, place in enumerate(places) if number not in odd]
            else:
                return places, batch
        return [], None

    def _rows(self, chunk: Chunk) -> Sequence[Row | None]:
        """Each row, if it can be decoded; none at all where they are not to be read together."""
        if large.may_be_large(chunk.text) and any(map(large.is_large, chunk.pieces)) or not is_utf8(chunk.text):
            return []
        return plain.decode_many(chunk.text) or list(map(_decoded, chunk.pieces))

    def _bare(self, row: Row) -> BareRow | None:
        found = bare_row(row, self.reader)
        return found if found and is_fit(found, self.work) else None


def _have_keys(chunk: Chunk, places: Sequence[int], keys: int, *, whole: bool) -> bool:
    """Whether rows of a chunk, or the whole of it, have so many keys, or others of which none is there twice.

    Between rows there may be lines and blanks.
    """
    if whole and have_keys(chunk.text, keys):
        return True
    rows = b",".join([chunk.pieces[place].raw for place in places])
    return have_keys(rows, keys) or have_keys_once(rows)


def _decoded(piece: RowSlice) -> Row | None:
    try:
        return plain.decode(piece.raw)
    except UNREADABLE:
        return None
