"""Label pictures compressed out of their spans, read back with zlib and compared byte by byte."""

import io
import random
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from encord_dagster.encord.model import Frame, ObjectInstance
from encord_dagster.formats import deflate, huffman, masks, painting, png, spans
from encord_dagster.formats.spans import spans_of
from encord_dagster.geometry import Bitmask
from encord_dagster.rle import RleError
from tests.effort import examples
from tests.formats.test_masks import IDS, every_shape, opened

_SETTINGS = settings(max_examples=examples(80), deadline=None)
Pixels = NDArray[np.uint16]


@st.composite
def pictures(draw: st.DrawFn, *, highest: int) -> Pixels:
    """Blocks of few or many values, some across whole rows; now and then noise, nothing, or one value."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 1100))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = np.zeros((height, width), dtype=np.uint16)
    match draw(st.sampled_from(("blocks", "blocks", "noise", "none", "all"))):
        case "blocks":
            for _ in range(int(rng.integers(1, 40))):
                y, x = rng.integers(0, height), rng.integers(0, width)
                down, across = rng.integers(1, 30), rng.choice((1, 2, 3, 4, 30, 257, 258, 259, 520, width))
                pixels[y : y + down, x : x + across] = rng.integers(0, highest + 1)
        case "noise":
            pixels[:] = rng.integers(0, highest + 1, pixels.shape)
        case "all":
            pixels[:] = highest
        case _:
            pass
    return pixels


def rows_of(pixels: Pixels, depth: int) -> bytes:
    """The bytes that a PNG compresses."""
    body = pixels.astype(">u2" if depth == 16 else np.uint8).view(np.uint8).reshape(len(pixels), -1)
    return np.concatenate((np.zeros((len(pixels), 1), np.uint8), body), axis=1).tobytes()


@pytest.mark.parametrize("highest", [1, 12, 300, 20_000])
def test_what_zlib_inflates_are_rows_of_colours(highest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three bytes a pixel, whose runs are matches of the pixel before."""
    monkeypatch.setattr(spans, "most_spans", lambda pixels: pixels + 1)
    colours = [0, *random.Random(5).sample(range(1, 2**24), highest)]
    table = np.array(colours, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :3]

    @_SETTINGS
    @given(pictures(highest=highest))
    def holds(pixels: Pixels) -> None:
        found = spans_of(pixels)
        assert found is not None
        body = table[pixels].reshape(len(pixels), -1)
        rows = np.concatenate((np.zeros((len(pixels), 1), np.uint8), body), axis=1)
        assert zlib.decompress(deflate.zlib_stream(found, 24, colours)) == rows.tobytes()

    holds()


@pytest.mark.parametrize("dense", [False, True])
def test_a_picture_of_colours_is_read_by_pillow(dense: bool) -> None:
    """Out of spans, or out of pixels where these are too many."""
    rng = np.random.default_rng(1)
    pixels = np.zeros((64, 96), dtype=np.uint16)
    pixels[10:40, 20:50] = rng.integers(0, 4, (30, 30)) if dense else 3
    colours = [0, 1, 70_000, 2**24 - 1]

    with Image.open(io.BytesIO(png.write_colours(pixels, colours))) as picture:
        assert picture.mode == "RGB"
        found = np.array(picture).astype(np.int64) @ (1, 256, 65536)

    assert np.array_equal(found, np.array(colours)[pixels])


@pytest.mark.parametrize(("depth", "highest"), [(8, 1), (8, 255), (16, 12), (16, 65535)])
def test_what_zlib_inflates_are_the_rows(depth: int, highest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of pictures for which a pass over the pixels would be cheaper; zlib compares the checksum."""
    monkeypatch.setattr(spans, "most_spans", lambda pixels: pixels + 1)

    @_SETTINGS
    @given(pictures(highest=highest))
    def holds(pixels: Pixels) -> None:
        found = spans_of(pixels)
        assert found is not None
        assert zlib.decompress(deflate.zlib_stream(found, depth)) == rows_of(pixels, depth)

    holds()


def test_runs_of_every_length_are_written() -> None:
    """Matches are at most 258 bytes, and at least 3."""
    for left in range(1, 600):
        pixels = np.zeros((2, 700), dtype=np.uint16)
        pixels[0, 3 : 3 + left] = 5
        pixels[1, 1 : 1 + left] = 700
        found = spans_of(pixels)
        assert found is not None
        assert zlib.decompress(deflate.zlib_stream(found, 16)) == rows_of(pixels, 16)
        one = found.mapped([0] + [3] * 700)
        assert zlib.decompress(deflate.zlib_stream(one, 8)) == rows_of((pixels > 0) * np.uint16(3), 8)


def test_codes_are_whole_and_short_however_rare_a_symbol_is() -> None:
    """Uses that grow like Fibonacci's numbers make the longest codes; a code fills the tree, as deflate wants it."""
    uses = [1, 1]
    while len(uses) < 40:
        uses.append(uses[-1] + uses[-2])

    code = huffman.Code(uses + [0] * (huffman.SYMBOLS - len(uses)))

    assert max(code.lengths) == huffman.MOST_BITS
    assert sum(2.0**-length for length in code.lengths if length) == 1
    assert not any(code.lengths[40:])


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1, 700), (700, 1), (97, 103)])
def test_pixels_and_run_ends_make_the_same_pictures(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame with few objects is painted without pixels, one with many pixel by pixel: nobody can tell which."""
    frame = every_shape(width, height)
    one = masks.mask_pngs(frame, IDS)
    monkeypatch.setattr(painting, "MOST_OBJECTS", 0)

    other = masks.mask_pngs(frame, IDS)

    assert one == other


def test_ragged_pictures_are_written_pixel_by_pixel() -> None:
    """Spans of noise would take more memory than its pixels."""
    pixels = np.random.default_rng(1).integers(0, 2, (200, 300)).astype(np.uint8)

    assert spans_of(pixels) is None
    assert (opened(png.write_grey16(pixels)) == pixels).all()


@pytest.mark.parametrize("runs", [(5, 3), (), (100, 1), (5, -1, 96), (50, 20, 20)])
def test_a_mask_that_is_not_of_its_frame_is_refused(runs: tuple[int, ...]) -> None:
    """However its frame is painted."""
    item = ObjectInstance(object_hash="o", feature_hash="car", name="car", shape="bitmask", geometry=Bitmask(runs))
    frame = Frame(data_hash="d", number=0, identity="0", mime_type="", width=10, height=10, objects=(item,))

    with pytest.raises(RleError):
        masks.mask_pngs(frame, IDS)
