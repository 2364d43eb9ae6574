"""Coordinates of many shapes rounded, and many rings measured, in a few passes of numpy: each as if it were alone."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from encord_dagster.formats.raster import DECIMALS, ring_area, star_shaped
from encord_dagster.geometry import Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_UNIT = 10.0**DECIMALS
_NEAR = 1e-3  # of the last decimal: closer to the middle between two, Python decides
_LARGE = 1e9  # beyond it there are fewer exact digits


def rounded(values: "Floats") -> "Floats":
    """`round(value, DECIMALS)` of each value: the whole number of last decimals is exact, and so is its quotient."""
    import numpy as np

    scaled = values * _UNIT
    whole = np.rint(scaled)
    made: Floats = whole / _UNIT
    doubtful = (np.abs(np.abs(scaled - whole) - 0.5) < _NEAR) | (np.abs(values) > _LARGE)
    if doubtful.any():
        made[doubtful] = [round(value, DECIMALS) for value in values[doubtful].tolist()]
    return made


def flattened(rings: Sequence[Ring]) -> tuple["Floats", "Ints"]:
    """All points of rings, and how many each has."""
    import numpy as np

    sizes = np.array([len(ring) for ring in rings])
    return np.fromiter(chain.from_iterable(rings), dtype=np.float64, count=int(sizes.sum())), sizes // 2


class Rings:
    """Rings, rounded, of at least one point each. `flat` is all their points, `sizes` how many each has."""

    def __init__(self, flat: "Floats", sizes: "Ints") -> None:
        import numpy as np

        self._sizes = sizes
        self._ends = self._sizes.cumsum()
        self._firsts = self._ends - self._sizes
        self._flat = rounded(flat)
        points = self._flat.reshape(-1, 2)
        self._x, self._y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
        self._next = np.arange(1, len(points) + 1)
        self._next[self._ends - 1] = self._firsts
        self._left, self._top = self._least(self._x), self._least(self._y)
        self._right, self._bottom = self._most(self._x), self._most(self._y)

    def rounded(self) -> list[Ring]:
        """The rings themselves."""
        values, ends = self._flat.tolist(), (2 * self._ends).tolist()
        return [tuple(values[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    def hulls(self) -> list[tuple[float, float, float, float]]:
        """x, y, width and height of the box round each."""
        import numpy as np

        sides = np.stack((self._left, self._top, self._right - self._left, self._bottom - self._top), axis=1)
        return [(x, y, w, h) for x, y, w, h in rounded(sides).tolist()]

    def areas(self) -> list[float]:
        """The area that each encloses, rounded."""
        import numpy as np

        x = self._x - np.repeat(self._x[self._firsts], self._sizes)
        y = self._y - np.repeat(self._y[self._firsts], self._sizes)
        cross = x * y[self._next] - x[self._next] * y
        areas = np.abs(np.add.reduceat(cross, self._firsts)) / 2
        scaled = areas * _UNIT
        made = np.rint(scaled) / _UNIT
        # the order of a sum shows in its last digits only: where those decide, sum as one ring is summed
        doubtful = (np.abs(np.abs(scaled - np.rint(scaled)) - 0.5) < 0.01 + scaled * 1e-12) | (areas > 1e7)
        for place in np.flatnonzero(doubtful).tolist():
            made[place] = round(ring_area(self.of(self._flat, place)), DECIMALS)
        found: list[float] = made.tolist()
        return found

    def stars(self) -> list[bool]:
        """Whether each is star-shaped, as `star_shaped` says of one."""
        import numpy as np

        x = self._x - np.repeat((self._left + self._right) / 2, self._sizes)
        y = self._y - np.repeat((self._top + self._bottom) / 2, self._sizes)
        found: list[bool] = star_shaped(x, y, x[self._next], y[self._next], self._firsts).tolist()
        return found

    def of(self, points: "Floats", place: int) -> Ring:
        """One of the rings, out of the points of all."""
        first, end = 2 * int(self._firsts[place]), 2 * int(self._ends[place])
        return tuple(points[first:end].tolist())

    def _least(self, values: "Floats") -> "Floats":
        import numpy as np

        least: Floats = np.minimum.reduceat(values, self._firsts)
        return least

    def _most(self, values: "Floats") -> "Floats":
        import numpy as np

        most: Floats = np.maximum.reduceat(values, self._firsts)
        return most
