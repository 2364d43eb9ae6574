"""The fast lane of a conversion: rows of which nothing is to be said, a chunk of them at a time, column by column.

It writes the same bytes as `Work`, and counts the same; rows of which it cannot tell that they are fine are left to that.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from encord_dagster.accounting import disclosure_of
from encord_dagster.encord import plain
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.plain_keys import Odd, have_keys, is_utf8
from encord_dagster.encord.plain_many import BareRow, bare_row
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.geometry import LARGEST_MASK
from encord_dagster.stream.batch import Batch
from encord_dagster.stream.columns import Left
from encord_dagster.stream.large import LARGE
from encord_dagster.stream.work import Work
from encord_dagster.validation import is_wanted

Offered = tuple[RowSlice, BareRow]
_TYPES = frozenset({"image", "img_group", "video", "dicom"})


class Lane:
    """Converts rows into the spools of a range."""

    def __init__(self, work: Work) -> None:
        self.work, self.config = work, work.config
        self.is_open = work.judges_late and not work.job.masks and self.config.free_text
        self.reader = PlainReader(relations=frozenset(), disclosure=disclosure_of(self.config), keep_going=True)
        self.is_open = self.is_open and self.reader.able

    def take(self, pieces: Sequence[RowSlice]) -> Sequence[RowSlice]:
        """Convert what can be converted here; the rows that are left."""
        if not self.is_open:
            return pieces
        offered = [(piece, row) for piece in pieces if (row := self._bare(piece))]
        while offered:
            try:
                batch = Batch([row for _, row in offered], self.work)
                if not have_keys(b"".join([piece.raw for piece, _ in offered]), batch.keys):
                    return pieces
            except Left as left:
                offered = _without(offered, left.places)
                continue
            except Odd:
                return pieces
            batch.write()
            break
        taken = {id(piece) for piece, _ in offered}
        return [piece for piece in pieces if id(piece) not in taken]

    def _bare(self, piece: RowSlice) -> BareRow | None:
        """A row that may be converted here: all of its frames are labelled, and of known sizes."""
        if piece.length > LARGE or not is_utf8(piece.raw):
            return None
        try:
            found = bare_row(plain.decode(piece.raw), self.reader)
        except UNREADABLE:
            return None
        if found is None or found.row.data_type not in _TYPES or not all(found.sheets):
            return None
        row = found.row
        fit = all(0 < (frame.width or 0) * (frame.height or 0) <= LARGEST_MASK for frame in row.frames)
        wanted = row.branch_name == self.config.branch and is_wanted(row, self.config)
        return found if fit and wanted and row.objects_in else None


def _without(offered: Sequence[Offered], objects: Sequence[int]) -> list[Offered]:
    """The rows but those of some objects."""
    ends = list(accumulate(row.row.objects_in for _, row in offered))
    left = {bisect_right(ends, place) for place in objects}
    return [one for place, one in enumerate(offered) if place not in left]
