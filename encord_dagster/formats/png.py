"""A PNG writer for label pictures, and a reader for what it wrote: no filters, one IDAT, the same bytes each time."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from encord_dagster.formats.deflate import zlib_stream
from encord_dagster.formats.spans import Spans, spans_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8] | NDArray[np.uint16]
    Shown = Pixels | Spans

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE = 0, 2, 3
REMEDY = "fetch it again, or write it again from the labels"
_BLOCK = 2**22  # pixels turned into rows of a file at a time
SMALLEST = 9  # for small pictures that are kept for ever
LEVEL = 1  # label pictures are flat: higher levels cost several times the time and save little


class Picture(msgspec.Struct, frozen=True):
    """A PNG taken apart: grey or palette pixels indexed [y, x]; `palette` is None for grey."""

    pixels: "NDArray[np.uint8] | NDArray[np.uint16]"
    palette: bytes | None  # red, green, blue of each value


def write_palette(pixels: "Shown", palette: bytes, values: Sequence[int] = ()) -> bytes:
    """8-bit palette PNG of pixels [y, x]; `palette` holds red, green, blue of each value up to the highest.

    With `values` a pixel p is written as values[p].
    """
    return _label_png(pixels, depth=8, colour=PALETTE, palette=palette, values=values)


def write_grey16(pixels: "Shown", values: Sequence[int] = ()) -> bytes:
    """16-bit grey PNG of pixels [y, x]; with `values` a pixel p is written as values[p]."""
    return _label_png(pixels, depth=16, colour=GREY, values=values)


def write_small(pixels: "NDArray[np.uint8]", palette: bytes) -> bytes:
    """Palette PNG in as few bytes as zlib can: half a byte a pixel where 16 colours do."""
    import numpy as np

    height, width = pixels.shape
    depth = 4 if len(palette) <= 16 * 3 else 8
    if depth == 4:
        even = np.pad(pixels, ((0, 0), (0, width % 2)))
        pixels = even[:, ::2] * np.uint8(16) + even[:, 1::2]
    rows = np.pad(pixels, ((0, 0), (1, 0)))  # each opens with its filter: 0, none
    return _file(width, height, depth, PALETTE, palette, zlib.compress(rows.tobytes(), SMALLEST))


def write_rgb(pixels: "NDArray[np.uint8]") -> bytes:
    """8-bit colour PNG of pixels [y, x, channel]."""
    height, width = pixels.shape[:2]
    return _file(width, height, 8, RGB, b"", _deflated(pixels, 8, zlib.Z_DEFAULT_STRATEGY))


def write_colours(pixels: "Shown", colours: Sequence[int]) -> bytes:
    """8-bit colour PNG; a pixel p is written as colours[p] = red + 256 green + 65536 blue."""
    if not isinstance(pixels, Spans):
        spans = spans_of(pixels)
        if spans is None:
            return _dense_colours(pixels, colours)
        pixels = spans
    return _file(pixels.width, pixels.height, 8, RGB, b"", zlib_stream(pixels, 24, colours))


def _dense_colours(pixels: "Pixels", colours: Sequence[int]) -> bytes:
    import numpy as np

    table = np.array(colours, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return write_rgb(np.ascontiguousarray(table[pixels]))


def read(data: bytes) -> Picture:
    """A grey or palette picture that this module wrote.

    Raises:
        ValueError: the bytes are damaged, or another program's PNG (filters, interlacing, other depths).
    """
    import numpy as np

    chunks = _chunks(data)
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if (depth, colour) not in ((16, GREY), (8, PALETTE)) or any(methods):
        raise ValueError(f"not a mask PNG of this package (depth {depth}, colour type {colour}): {REMEDY}")
    row = 1 + width * depth // 8
    inflated = zlib.decompressobj().decompress(chunks[b"IDAT"], row * height + 1)  # never more than the header promises
    raw = np.frombuffer(inflated, dtype=np.uint8)
    if len(raw) != row * height or raw[::row].any():
        raise ValueError(f"not a mask PNG of this package (rows are cut or filtered): {REMEDY}")
    body = np.ascontiguousarray(raw.reshape(height, row)[:, 1:])
    pixels = body if depth == 8 else body.view(">u2").astype(np.uint16)
    return Picture(pixels, chunks.get(b"PLTE"))


def size_of(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels, out of the header alone."""
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _label_png(shown: "Shown", *, depth: int, colour: int, values: Sequence[int], palette: bytes = b"") -> bytes:
    """A picture out of its spans, or of its pixels where the spans are too many."""
    if not isinstance(shown, Spans):
        spans = spans_of(shown)
        if spans is None:
            return _dense_png(shown, depth, colour, values, palette)
        shown = spans
    data = zlib_stream(shown.mapped(values) if values else shown, depth)
    return _file(shown.width, shown.height, depth, colour, palette, data)


def _dense_png(pixels: "Pixels", depth: int, colour: int, values: Sequence[int], palette: bytes) -> bytes:
    # equal neighbours are equal bytes only in a picture of one byte a pixel
    strategy = zlib.Z_RLE if colour == PALETTE else zlib.Z_DEFAULT_STRATEGY
    height, width = pixels.shape
    return _file(width, height, depth, colour, palette, _deflated(pixels, depth, strategy, values))


def _deflated(pixels: "Pixels", depth: int, strategy: int, values: Sequence[int] = ()) -> bytes:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return b"".join(map(deflate.compress, _scanlines(pixels, depth, values))) + deflate.flush()


def _file(width: int, height: int, depth: int, colour: int, palette: bytes, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    if palette:
        parts.insert(1, _chunk(b"PLTE", palette))
    return SIGNATURE + b"".join(parts)


def _scanlines(pixels: "Pixels", depth: int, values: Sequence[int]) -> Iterator[memoryview]:
    """The rows as PNG has them, some at a time: a large picture needs no second one beside it in memory."""
    import numpy as np

    form = np.dtype(">u2" if depth == 16 else np.uint8)
    table = np.array(values, dtype=form)
    some = max(1, _BLOCK // max(1, pixels[:1].size))
    for top in range(0, len(pixels), some):
        block = pixels[top : top + some]
        body = _looked_up(table, block) if values else block.astype(form)
        body = np.ascontiguousarray(body).view(np.uint8).reshape(len(block), -1)
        raw = np.zeros((len(block), 1 + body.shape[1]), dtype=np.uint8)  # each row opens with its filter: 0, none
        raw[:, 1:] = body
        yield raw.data


def _looked_up(table: "NDArray[Any]", block: "Pixels") -> "NDArray[Any]":
    """The value in the table for each pixel; the last one for those beyond its end."""
    import numpy as np

    if table.dtype != np.uint8 or block.dtype != np.uint8:
        return np.take(table, block, mode="clip")
    whole = bytes(table[:256]) + bytes(table[-1:]) * (256 - len(table))
    return np.frombuffer(block.tobytes().translate(whole), dtype=np.uint8).reshape(block.shape)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Chunks by kind; each kind that this module writes occurs once."""
    chunks: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while data.startswith(SIGNATURE) and at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at : at + 12 + length] != _chunk(kind, body):
            raise ValueError(f"the PNG is damaged in its {kind!r} chunk: {REMEDY}")
        chunks[kind] = body
        at += 12 + length
    if not chunks.keys() >= {b"IHDR", b"IDAT", b"IEND"}:
        raise ValueError(f"the bytes are not a whole PNG: {REMEDY}")
    return chunks
