"""How numbers are spread: least, most, mean, and how many lie between powers of two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Key = TypeVar("Key")

BINS = 34  # below 1; from 1 to 2, from 2 to 4 and so on; what is larger is in the last one


class Spread(msgspec.Struct, frozen=True):
    """`bins[0]` counts what is below 1, `bins[k]` what is at least 2 to the power of k-1 and below twice that."""

    count: int = 0
    total: float = 0.0
    least: float = 0.0
    most: float = 0.0
    bins: tuple[int, ...] = ()  # none behind the last one that counts something

    @property
    def mean(self) -> float:
        """Their mean; 0 of none."""
        return self.total / self.count if self.count else 0.0


class Spreads(Generic[Key]):
    """The spreads of many groups, added up: some numbers a group stay in memory, and none of the values."""

    def __init__(self) -> None:
        self._places: dict[Key, int] = {}
        self._sums = np.zeros((0, 3))  # total, least, most
        self._bins = np.zeros((0, BINS), dtype=np.int64)

    def keys(self) -> Sequence[Key]:
        """The groups, in the order in which they came."""
        return list(self._places)

    def add(self, keys: Sequence[Key], groups: "NDArray[np.int64]", values: "NDArray[np.float64]") -> None:
        """Add values; the group of each is the key at its place in `groups`."""
        places = np.array([self._places.setdefault(key, len(self._places)) for key in keys], dtype=np.int64)[groups]
        new = len(self._places) - len(self._sums)
        self._sums = np.concatenate((self._sums, np.tile([0.0, np.inf, -np.inf], (new, 1))))
        self._bins = np.concatenate((self._bins, np.zeros((new, BINS), dtype=np.int64)))
        np.add.at(self._sums[:, 0], places, values)
        np.minimum.at(self._sums[:, 1], places, values)
        np.maximum.at(self._sums[:, 2], places, values)
        np.add.at(self._bins, (places, bin_of(values)), 1)

    def spread(self, key: Key) -> Spread:
        """The spread of one group."""
        if key not in self._places:
            return Spread()
        place = self._places[key]
        total, least, most = map(float, self._sums[place])
        bins = [int(one) for one in self._bins[place]]
        while bins and not bins[-1]:
            bins.pop()
        return Spread(sum(bins), total, least, most, tuple(bins))


def bin_of(values: "NDArray[np.float64]") -> "NDArray[np.int64]":
    """The bin of each number. frexp is exact where a logarithm is not."""
    _, exponents = np.frexp(np.maximum(values, 0.0))
    places: NDArray[np.int64] = np.clip(exponents, 0, BINS - 1).astype(np.int64)
    return places
