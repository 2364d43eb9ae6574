"""The fast lane of a conversion: rows of which nothing is to be said, a chunk of them at a time, column by column.

It writes the bytes that `Work` writes, and counts the same; rows that it does not know to be fine are left to that.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, repeat

from encord_dagster.accounting import disclosure_of
from encord_dagster.encord import plain
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.plain_frames import Row
from encord_dagster.encord.plain_keys import Odd, have_keys, is_utf8
from encord_dagster.encord.plain_many import BareRow, Left, bare_row
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.stream.batch import Batch, is_fit
from encord_dagster.stream.large import LARGE
from encord_dagster.stream.work import Work

Offered = tuple[RowSlice, BareRow]


class Lane:
    """Converts rows into the spools of a range."""

    def __init__(self, work: Work) -> None:
        self.work, self.config = work, work.config
        relations = work.ontology.relations if work.ontology else frozenset[str]()
        self.reader = PlainReader(relations=relations, disclosure=disclosure_of(self.config), keep_going=True)
        self.is_open = work.has_lane and self.reader.able

    def take(self, pieces: Sequence[RowSlice]) -> Sequence[RowSlice]:
        """Convert what can be converted here; the rows that are left."""
        if not self.is_open:
            return pieces
        text = b",".join([piece.raw for piece in pieces])
        offered = [(piece, row) for piece, row in zip(pieces, self._rows(text, pieces), strict=True) if row]
        while offered:
            try:
                batch = Batch([row for _, row in offered], self.work)
                batch.refuse_lacking()
            except Left as left:
                offered = _without(offered, left.places)
                continue
            except Odd:
                return pieces
            if not have_keys(
                text if len(offered) == len(pieces) else b",".join([piece.raw for piece, _ in offered]), batch.keys
            ):
                return pieces
            batch.write()
            break
        taken = {id(piece) for piece, _ in offered}
        return [piece for piece in pieces if id(piece) not in taken]

    def _rows(self, text: bytes, pieces: Sequence[RowSlice]) -> Iterator[BareRow | None]:
        """Each row, if it may be converted here; `text` is all of them."""
        if any(piece.length > LARGE for piece in pieces) or not is_utf8(text):
            return repeat(None, len(pieces))
        rows: Iterable[Row | None] | None = plain.decode_images(text)
        return map(self._bare, map(_decoded, pieces) if rows is None else rows, pieces)

    def _bare(self, row: Row | None, piece: RowSlice) -> BareRow | None:
        found = bare_row(row, piece, self.reader) if row else None
        return found if found and is_fit(found, self.work) else None


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
