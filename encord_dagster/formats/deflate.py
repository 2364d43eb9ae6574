"""A zlib stream (RFC 1950, 1951) of a label picture made of its spans: the cost is that of the stream, not the pixels.

One block with a Huffman code of its own. Runs are matches of the pixel before, as zlib's strategy Z_RLE makes them.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from encord_dagster.formats.huffman import DISTANCES_1_AND_3, END_OF_BLOCK, SYMBOLS, Code
from encord_dagster.formats.spans import Spans

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.signedinteger[Any]]

ZLIB = b"\x78\x01"  # deflate, a window of 32 KiB, made in a fast way
LONGEST = 258  # bytes that one match can stand for
SHORTEST = 3
FAR = LONGEST + 1  # added to the length of a match of the two bytes before, to tell it from one of the byte before
_LENGTH_CLASSES = ((8, 0), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5))  # how many, with how many extra bits
_TOKEN = 56  # bits that may be written at once, so that a token lies in two words of 64 at most
_ADLER = 65521


def zlib_stream(picture: Spans, depth: int, colours: Sequence[int] = ()) -> bytes:
    """The rows of a PNG of 8, 16 or 24 bits a pixel, each behind the filter byte 0, compressed.

    At 24 bits a value is a place in `colours`, which are red + 256 green + 65536 blue, the first of them 0.
    """
    import numpy as np

    size = depth // 8
    highest = int(picture.values.max(initial=0)) + 1
    written = _bytes_of(np.array(colours[:highest]) if colours else np.arange(highest), size)
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
    check = struct.pack(">I", _adler32(starts, stops, [one[values] for one in written], total))
    return ZLIB + _block(lengths[there], shown[there], written) + check


def _bytes_of(values: "Ints", size: int) -> "list[Ints]":
    """The bytes of each value in the order in which a PNG has them: numbers from the highest, colours from red."""
    made: list[Ints] = [values >> 8 * place & 255 for place in range(size)]
    return made[::-1] if size == 2 else made


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


def _block(lengths: "Ints", values: "Ints", written: "Sequence[Ints]") -> bytes:
    """The last block of a stream that holds runs: so many bytes of one value each, whose two or three take turns.

    A run opens with its value. What is left of it is matches of 258, and one that is shorter: or the value again, where
    fewer than three bytes are left.
    """
    import numpy as np

    highest, size = len(written[0]), len(written)
    if size > 1:  # zeros are of one byte, as the filter is
        wide = (values > 0).astype(np.int64)
        left = lengths - 1 - wide * (size - 1)
    else:
        wide, left = None, lengths - 1
    many = left // LONGEST
    match = left - many * LONGEST
    if wide is not None:
        match += wide * FAR
    again = _again()[match]
    opening = values + again * highest if again.any() else values
    opened = np.bincount(opening, minlength=3 * highest).reshape(3, highest)
    matched = np.bincount(match, minlength=2 * FAR).reshape(2, FAR).sum(axis=0)
    matched[LONGEST] += many.sum()
    code = Code(_uses(opened, matched, written))
    codes, counts = np.array(code.codes), np.array(code.lengths)
    opening_code, opening_bits = _openings(codes, counts, written)
    match_code, match_bits = _matches(codes, counts)
    bits = opening_bits[opening]
    far = match >= FAR
    if size < 3:
        made = opening_code[opening] | match_code[match] << bits
        bits += match_bits[match]
    else:  # a colour and a match do not fit into one token
        made, bits = _by_turns(opening_code[opening], match_code[match]), _by_turns(bits, match_bits[match])
        many, far = _by_turns(0 * many, many), _by_turns(far, far)
    made, bits = _with_longest(made, bits, many, far, match_code, int(match_bits[LONGEST]))
    first, first_bits = _split(*(code.header(DISTANCES_1_AND_3) if size == 3 else code.header()))
    end = slice(END_OF_BLOCK, END_OF_BLOCK + 1)
    return _packed(np.concatenate((first, made, codes[end])), np.concatenate((first_bits, bits, counts[end])))


def _by_turns(one: "NDArray[Any]", other: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    return np.stack((one, other), axis=1).reshape(-1)


def _uses(opened: "Ints", matched: "Ints", written: "Sequence[Ints]") -> list[int]:
    """How often each symbol occurs, by the values that open runs, once to three times, and the lengths of matches."""
    import numpy as np

    times = np.array((1, 2, 3)) @ opened
    used = np.bincount(written[-1], weights=times, minlength=SYMBOLS)
    for one in written[:-1]:
        used += np.bincount(one[1:], weights=times[1:], minlength=SYMBOLS)
    used += np.bincount(_lengths()[0][SHORTEST:], weights=matched[SHORTEST:], minlength=SYMBOLS)
    used[END_OF_BLOCK] = 1
    found: list[int] = used.astype(np.int64).tolist()
    return found


def _openings(codes: "Ints", counts: "Ints", written: "Sequence[Ints]") -> "tuple[Ints, Ints]":
    """Code and number of bits of each value below `highest`: written once, then of each written twice, then thrice."""
    import numpy as np

    made, bits = codes[written[-1]], counts[written[-1]]
    for one in reversed(written[:-1]):
        made[1:] = codes[one[1:]] | made[1:] << counts[one[1:]]
        bits[1:] += counts[one[1:]]
    twice = made | made << bits
    return np.concatenate((made, twice, twice | made << 2 * bits)), np.concatenate((bits, 2 * bits, 3 * bits))


def _matches(codes: "Ints", counts: "Ints") -> "tuple[Ints, Ints]":
    """Code and number of bits of a match by its length, first of the byte before, then of the two bytes before."""
    import numpy as np

    symbols, extra, extra_bits = _lengths()
    made, bits = codes[symbols] | extra << counts[symbols], counts[symbols] + extra_bits
    far = made | 1 << bits  # the two distances have codes of one bit
    bits = bits + 1
    made[:SHORTEST] = far[:SHORTEST] = bits[:SHORTEST] = 0
    return np.concatenate((made, far)), np.concatenate((bits, bits))


def _with_longest(
    code: "Ints", bits: "Ints", many: "Ints", far: "NDArray[np.bool_]", match_code: "Ints", size: int
) -> "tuple[Ints, Ints]":
    """The codes with those of the longest matches behind each, as many of them at once as a token holds."""
    import numpy as np

    some = np.flatnonzero(many)
    if not len(some):
        return code, bits
    at_once = _TOKEN // size
    ones = np.array([((1 << copies * size) - 1) // ((1 << size) - 1) for copies in range(at_once + 1)])
    one = np.where(far[some], match_code[LONGEST + FAR], match_code[LONGEST])
    tokens = np.ones(len(code), dtype=np.int64)
    tokens[some] += -(-many[some] // at_once)
    stops = tokens.cumsum()
    starts = stops - tokens
    made = np.repeat(np.where(far, *(match_code[[LONGEST + FAR, LONGEST]] * ones[-1])), tokens)
    made_bits = np.full(len(made), at_once * size)
    left = many[some] - (tokens[some] - 2) * at_once
    made[starts], made_bits[starts] = code, bits
    made[stops[some] - 1] = one * ones[left]
    made_bits[stops[some] - 1] = left * size
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


@lru_cache(maxsize=1)
def _again() -> "Ints":
    """How often a value is written again where so few bytes are left that there is no match for them."""
    import numpy as np

    again = np.zeros(2 * FAR, dtype=np.int64)
    again[[1, 2, FAR + 2]] = 1, 2, 1
    return again


def _adler32(starts: "Ints", stops: "Ints", written: "Sequence[Ints]", total: int) -> int:
    """The checksum of all bytes: of each, its value and its place from the end; zeros count for nothing."""
    size = len(written)
    count = (stops - starts) // size
    places = count * (total - starts) - size * (count * (count - 1) // 2)
    one = 1 + sum(int((part * count).sum()) for part in written)
    two = total + sum(int((part * ((places - at * count) % _ADLER)).sum()) for at, part in enumerate(written))
    return two % _ADLER << 16 | one % _ADLER
