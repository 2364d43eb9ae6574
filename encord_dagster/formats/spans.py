"""A label picture as the runs of its pixels, row by row: what takes no pass over every pixel to write."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.signedinteger[Any]]

MOST = 2**18  # spans: beyond, arrays of spans would take more memory than the pixels
LEAST_LENGTH = 16  # pixels for each span on average: below, a pass over the pixels is cheaper
_BLOCK = 2**22  # pixels compared at a time


class Spans(msgspec.Struct, frozen=True):
    """The pixels that are not 0: `starts` and `stops` count from the first pixel, row after row; `values` of each.

    Spans are in order and apart; those that touch have different values. So equal pictures have equal spans.
    """

    width: int
    height: int
    starts: "Ints"
    stops: "Ints"
    values: "Ints"

    def mapped(self, table: Sequence[int]) -> "Spans":
        """The picture with table[v] for each value v; no value that occurs may become 0."""
        import numpy as np

        values = np.array(table, dtype=np.int64)[self.values]
        new = np.ones(len(values), dtype=np.bool_)
        new[1:] = (self.starts[1:] != self.stops[:-1]) | (values[1:] != values[:-1])
        if new.all():
            return Spans(self.width, self.height, self.starts, self.stops, values)
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(values)) - 1
        return Spans(self.width, self.height, self.starts[first], self.stops[last], values[first])


def most_spans(pixels: int) -> int:
    """How many spans a picture of so many pixels may have and still be written span by span."""
    return min(MOST, pixels // LEAST_LENGTH)


def spans_between(places: "Ints", values: "Ints", width: int, height: int) -> Spans:
    """Spans out of the places where a picture's value changes, in order, and the values from there on."""
    import numpy as np

    stops = np.append(places[1:], width * height)
    chosen = np.flatnonzero(values)
    return Spans(width, height, places[chosen], stops[chosen], values[chosen])


def spans_of(pixels: "NDArray[np.uint8] | NDArray[np.uint16]") -> Spans | None:
    """The spans of a picture [y, x]; None where there are too many."""
    import numpy as np

    height, width = pixels.shape
    flat = pixels.reshape(-1)
    found, count = [np.zeros(1, dtype=np.int64)], 1
    for first in range(1, len(flat), _BLOCK):
        stop = min(first + _BLOCK, len(flat))
        places = np.flatnonzero(flat[first:stop] != flat[first - 1 : stop - 1]) + first
        count += len(places)
        if count > most_spans(len(flat)):
            return None
        found.append(places)
    places = np.concatenate(found)
    return spans_between(places, flat[places].astype(np.int64), width, height)
