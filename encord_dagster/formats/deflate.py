"""A zlib stream (RFC 1950, 1951) of a label picture made of its spans: the cost is that of the stream, not the pixels.

One block with a Huffman code of its own. Runs are matches of the pixel before, as zlib's strategy Z_RLE makes them.
"""

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from encord_dagster.formats import huffman
from encord_dagster.formats.huffman import END_OF_BLOCK, SYMBOLS
from encord_dagster.formats.spans import Spans

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.signedinteger[Any]]

ZLIB = b"\x78\x01"  # deflate, a window of 32 KiB, made in a fast way
LONGEST = 258  # bytes that one match can stand for
SHORTEST = 3
_LENGTH_CLASSES = ((8, 0), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5))  # how many, with how many extra bits
_TOKEN = 56  # bits that may be written at once, so that a token lies in two words of 64 at most
_ADLER = 65521


def zlib_stream(picture: Spans, depth: int) -> bytes:
    """The rows of a PNG of 8 or 16 bits a pixel, each behind the filter byte 0, compressed."""
    import numpy as np

    size = depth // 8
    stride = picture.width * size + 1
    starts, stops, values = _pieces(picture, size, stride)
    total = stride * picture.height
    lengths = np.empty(2 * len(starts) + 1, dtype=np.int64)  # zeros, and between them the others
    lengths[1::2] = stops - starts
    lengths[0:-1:2], lengths[-1] = starts, total
    lengths[2::2] -= stops
    shown = np.zeros(len(lengths), dtype=np.int64)
    shown[1::2] = values
    there = np.flatnonzero(lengths)
    check = struct.pack(">I", _adler32(starts, stops, values, total, size))
    return ZLIB + _block(lengths[there], shown[there], size) + check


def _pieces(picture: Spans, size: int, stride: int) -> "tuple[Ints, Ints, Ints]":
    """First byte, byte after the last, and value of each piece that spans leave in a row."""
    import numpy as np

    width, values = picture.width, picture.values
    first, last = picture.starts // width, (picture.stops - 1) // width
    begins, ends = picture.starts * size + first + 1, picture.stops * size + last + 1
    rows = last - first + 1
    if len(rows) == rows.sum():
        return begins, ends, values
    cut = rows.cumsum()
    row = np.repeat(first - cut + rows, rows) + np.arange(cut[-1])
    lefts, rights = row * stride + 1, (row + 1) * stride
    lefts[cut - rows], rights[cut - 1] = begins, ends
    return lefts, rights, np.repeat(values, rows)


def _block(lengths: "Ints", values: "Ints", size: int) -> bytes:
    """The last block of a stream that holds runs: so many bytes of one value each, or of two bytes by turns.

    A run opens with its value. What is left of it is matches of 258, and one that is shorter: or the value again, where
    fewer than three bytes are left.
    """
    import numpy as np

    wide = (values > 0) & (size == 2)  # zeros are of one byte, as the filter is
    many, rest = np.divmod(lengths - 1 - wide, LONGEST)
    again = np.where(rest < SHORTEST, rest >> wide, 0)
    sizes = huffman.code_lengths(_uses(values, again + 1, wide, many, rest))
    code, bits = _openings(values, again, wide, sizes)
    match_code, match_bits = _matches(sizes)
    kind = rest + (LONGEST + 1) * wide
    code |= match_code[kind] << bits
    bits += match_bits[kind]
    longest = [int(match_code[LONGEST + (LONGEST + 1) * far]) for far in (0, 1)]
    code, bits = _with_longest(code, bits, many, wide, longest, int(match_bits[LONGEST]))
    opening_code, opening_bits = _split(*huffman.header(sizes))
    end = huffman.codes(sizes)[END_OF_BLOCK]
    return _packed(
        np.concatenate((opening_code, code, [end])), np.concatenate((opening_bits, bits, [sizes[END_OF_BLOCK]]))
    )


def _uses(values: "Ints", times: "Ints", wide: "NDArray[np.bool_]", many: "Ints", rest: "Ints") -> list[int]:
    """How often each symbol occurs."""
    import numpy as np

    used = np.bincount(values & 255, weights=times, minlength=SYMBOLS)
    used += np.bincount(values[wide] >> 8, weights=times[wide], minlength=SYMBOLS)
    symbols, _, _ = _lengths()
    used += np.bincount(symbols[rest[rest >= SHORTEST]], minlength=SYMBOLS)
    used[symbols[LONGEST]] += many.sum()
    used[END_OF_BLOCK] = 1
    found: list[int] = used.astype(np.int64).tolist()
    return found


def _openings(
    values: "Ints", again: "Ints", wide: "NDArray[np.bool_]", sizes: list[int]
) -> "tuple[Ints, Ints]":
    """Code and number of bits of the value of each run, written once and `again`."""
    import numpy as np

    codes, counts = np.array(huffman.codes(sizes)), np.array(sizes)
    low, high = values & 255, values[wide] >> 8
    code, bits = codes[low], counts[low]
    code[wide] = codes[high] | code[wide] << counts[high]
    bits[wide] += counts[high]
    some = np.flatnonzero(again)
    one, step, times = code[some], bits[some], again[some]
    code[some] |= one << step | (one << 2 * step) * (times > 1)
    bits[some] += step * times
    return code, bits


def _matches(sizes: list[int]) -> "tuple[Ints, Ints]":
    """Code and number of bits of a match by its length, first of the byte before, then of the two bytes before."""
    import numpy as np

    symbols, extra, extra_bits = _lengths()
    codes, counts = np.array(huffman.codes(sizes)), np.array(sizes)
    code, bits = codes[symbols] | extra << counts[symbols], counts[symbols] + extra_bits
    far = code | 1 << bits  # the two distances have codes of one bit
    bits = bits + 1
    code[:SHORTEST] = far[:SHORTEST] = bits[:SHORTEST] = 0
    return np.concatenate((code, far)), np.concatenate((bits, bits))


def _with_longest(
    code: "Ints", bits: "Ints", many: "Ints", wide: "NDArray[np.bool_]", longest: list[int], size: int
) -> "tuple[Ints, Ints]":
    """The codes with those of the longest matches behind each, as many of them at once as a token holds."""
    import numpy as np

    at_once = _TOKEN // size
    copies = np.arange(at_once + 1)
    ones = ((1 << copies * size) - 1) // ((1 << size) - 1)  # a bit at the place of each copy
    tokens = -(-many // at_once)
    stops = (tokens + 1).cumsum()
    starts = stops - tokens - 1
    one = np.where(wide, longest[1], longest[0])
    made = np.repeat(one * ones[-1], tokens + 1)
    made_bits = np.full(len(made), at_once * size)
    some = np.flatnonzero(tokens)
    left = many[some] - (tokens[some] - 1) * at_once
    made[stops[some] - 1] = one[some] * ones[left]
    made_bits[stops[some] - 1] = left * size
    made[starts], made_bits[starts] = code, bits
    return made, made_bits


def _split(code: int, bits: int) -> "tuple[Ints, Ints]":
    """A long code as tokens."""
    import numpy as np

    at = range(0, bits, _TOKEN)
    tokens = [code >> place & (1 << _TOKEN) - 1 for place in at]
    return np.array(tokens), np.array([min(_TOKEN, bits - place) for place in at])


def _packed(code: "Ints", bits: "Ints") -> bytes:
    """Tokens one after the other, from the lowest bit of each byte on, as deflate has them."""
    import numpy as np

    ends = bits.cumsum()
    at = ends - bits
    word, shift = at >> 6, at & 63
    first = np.flatnonzero(np.diff(word, prepend=-1))
    last = np.append(first[1:], len(word)) - 1
    words = np.zeros(len(first) + 1, dtype="<i8")
    words[:-1] = np.bitwise_or.reduceat(code << shift, first)
    words[1:] |= code[last] >> 1 >> 63 - shift[last]  # what of a token lies in the next word
    return words.tobytes()[: int(ends[-1]) + 7 >> 3]


@lru_cache(maxsize=1)
def _lengths() -> "tuple[Ints, Ints, Ints]":
    """Symbol, extra bits and their number for each length of a match, from 0 on; those below 3 mean nothing."""
    import numpy as np

    made, symbol = [(0, 0, 0)] * SHORTEST, END_OF_BLOCK + 1
    for classes, bits in _LENGTH_CLASSES:
        for _ in range(classes):
            made += [(symbol, extra, bits) for extra in range(1 << bits)]
            symbol += 1
    made[LONGEST:] = [(symbol, 0, 0)]  # has a symbol of its own, and no extra bits
    symbols, extra, extra_bits = np.array(made).T
    return symbols, extra, extra_bits


def _adler32(starts: "Ints", stops: "Ints", values: "Ints", total: int, size: int) -> int:
    """The checksum of all bytes: of each, its value and its place from the end; zeros count for nothing."""
    count = (stops - starts) // size
    places = count * (total - starts) - size * (count * (count - 1) // 2)
    low, high = values & 255, values >> 8
    one = 1 + int(((low + high) * count).sum())
    two = total + int((high * (places % _ADLER)).sum() + (low * ((places - (size - 1) * count) % _ADLER)).sum())
    return two % _ADLER << 16 | one % _ADLER
