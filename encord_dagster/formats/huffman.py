"""Huffman codes as deflate (RFC 1951) has them."""

import heapq
from collections.abc import Sequence

END_OF_BLOCK = 256
SYMBOLS = 286  # bytes, end of block, and 29 classes of lengths
MOST_BITS = 14  # of a code; 15 are allowed, but four codes are to fit into 56 bits
# How code lengths are written: in 4 bits the lengths 0 to 12 and two kinds of runs of zeros, in 5 bits the others
_SIZES = {**dict.fromkeys((*range(13), 17, 18), 4), 13: 5, 14: 5}
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_DISTANCES = (1, 1)  # bits of the codes of the distances 1 and 2
DISTANCES_1_AND_3 = (1, 0, 1)


class Code:
    """The code that takes the fewest bits where symbols occur so often; of at least two symbols that do.

    `lengths` and `codes` are by symbol, 0 for those that do not occur; the first bit of a code is its lowest.
    """

    def __init__(self, uses: Sequence[int]) -> None:
        used = [(count, symbol) for symbol, count in enumerate(uses) if count]
        while max(found := _code_lengths(used, len(uses))) > MOST_BITS:
            used = [((count >> 2) + 1, symbol) for count, symbol in used]
        self.lengths = found
        self.codes = _codes(found)

    def header(self, distances: Sequence[int] = _DISTANCES) -> tuple[int, int]:
        """What opens the last block of a stream that is written in this code: the bits as a number, and how many."""
        code, bits = 0, 0
        for value, size in [*_opening(distances), *_written([*self.lengths, *distances])]:
            code |= value << bits
            bits += size
        return code, bits


def _code_lengths(used: list[tuple[int, int]], symbols: int) -> list[int]:
    heap = used[:]
    heapq.heapify(heap)
    above: dict[int, int] = {}  # the node above each symbol and each node; nodes are numbered after all symbols
    node = symbols
    while len(heap) > 1:
        count, one = heapq.heappop(heap)
        more, other = heap[0]
        heapq.heapreplace(heap, (count + more, node))
        above[one] = above[other] = node
        node += 1
    depth = {node - 1: 0}
    for inner in range(node - 2, symbols - 1, -1):
        depth[inner] = depth[above[inner]] + 1
    lengths = [0] * symbols
    for _, symbol in used:
        lengths[symbol] = depth[above[symbol]] + 1
    return lengths


def _codes(lengths: Sequence[int]) -> list[int]:
    made, code, before = [0] * len(lengths), 0, 0
    for length, symbol in sorted([(length, symbol) for symbol, length in enumerate(lengths) if length]):
        code <<= length - before
        made[symbol] = int(f"{code:0{length}b}"[::-1], 2)
        code, before = code + 1, length
    return made


def _written(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Value and number of bits of each part of the list of code lengths."""
    made: list[tuple[int, int]] = []
    zeros = 0
    for length in lengths:
        if not length:
            zeros += 1
            continue
        if zeros:
            made += _zeros(zeros)
            zeros = 0
        made.append(_SIZE_CODES[length])
    return made


def _zeros(count: int) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    while count > 10:
        some = min(count, 138)
        made += [_SIZE_CODES[18], (some - 11, 7)]
        count -= some
    if count > 2:
        return [*made, _SIZE_CODES[17], (count - 3, 3)]
    return made + [_SIZE_CODES[0]] * count


_SIZE_CODES = {
    symbol: (code, _SIZES.get(symbol, 0)) for symbol, code in enumerate(_codes([_SIZES.get(n, 0) for n in range(19)]))
}


def _opening(distances: Sequence[int]) -> list[tuple[int, int]]:
    return [
        (1, 1),  # the last block
        (2, 2),  # with a code of its own
        (SYMBOLS - 257, 5),
        (len(distances) - 1, 5),
        (len(_ORDER) - 4, 4),
        *((_SIZES.get(symbol, 0), 3) for symbol in _ORDER),
    ]
