"""Upright boxes painted without going round them are, to the pixel, what pycocotools makes of their corners."""

import numpy as np
import pycocotools.mask
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.formats import painting
from encord_dagster.formats.rounded import rounded
from tests.effort import examples

WIDTH, HEIGHT = 400, 300
# anywhere, and where a fifth, a half or the sixth decimal decides; also outside the frame
PLACES = st.one_of(
    st.floats(-9, 409),
    st.integers(-90, 4090).map(lambda tenths: tenths / 10),
    st.integers(-90, 4090).map(lambda tenths: tenths / 10 + 5e-7),
    st.integers(-9, 409).map(float),
)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(PLACES, PLACES, PLACES, PLACES), min_size=1, max_size=5))
def test_boxes_are_filled_as_pycocotools_fills_them(sides: list[tuple[float, float, float, float]]) -> None:
    """The topmost of each pixel, of boxes in any place, empty ones among them."""
    rings = []
    for one, other, above, below in sides:
        (left, right), (top, bottom) = sorted((one, other)), sorted((above, below))
        rings.append((left, top, right, top, right, bottom, left, bottom))
    expected = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    for number, ring in enumerate(rings, start=1):
        (code,) = pycocotools.mask.frPyObjects([rounded(np.array(ring)).tolist()], HEIGHT, WIDTH)
        expected[pycocotools.mask.decode(code) == 1] = number

    spans = painting.spans_of_outlines([(ring,) for ring in rings], WIDTH, HEIGHT)

    if spans is None:  # too many for so small a picture: it is painted by pixels
        return
    shown = np.zeros(WIDTH * HEIGHT, dtype=np.int64)
    for start, stop, value in zip(spans.starts, spans.stops, spans.values, strict=True):
        shown[start:stop] = value
    assert np.array_equal(shown.reshape(HEIGHT, WIDTH), expected)
