"""Masks outlined and drawn again by pycocotools are the same, to the pixel; rings cut off at the frame likewise."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as codes

from encord_dagster import rle
from encord_dagster.formats import outlines
from encord_dagster.formats.outlines import clipped, joined, rings_of
from tests.effort import examples
from tests.written import drawn

_SETTINGS = settings(max_examples=examples(100), deadline=None)
Mask = npt.NDArray[np.bool_]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Noise, discs with holes, blocks that cut each other, everything."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    match draw(st.sampled_from(("noise", "disc", "blocks", "all"))):
        case "noise":
            mask = rng.random((height, width)) < 0.5
        case "disc":
            y, x = np.mgrid[:height, :width]
            mask = (x - width / 2) ** 2 / (width / 3 + 1) ** 2 + (y - height / 2) ** 2 / (height / 3 + 1) ** 2 < 1
            mask[height // 2 : height // 2 + 3, width // 2 : width // 2 + 4] = False
        case "blocks":
            mask = np.zeros((height, width), dtype=np.bool_)
            for _ in range(5):
                top, left = rng.integers(0, height), rng.integers(0, width)
                mask[top : top + rng.integers(1, 25), left : left + rng.integers(1, 25)] ^= True
        case _:
            mask = np.ones((height, width), dtype=np.bool_)
    return mask


def rings(mask: Mask) -> list[npt.NDArray[np.int64]]:
    """The outlines of a mask."""
    code = codes.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    (found,) = rings_of([code], width=mask.shape[1], height=mask.shape[0])
    return found


@_SETTINGS
@given(st.lists(masks(), min_size=1, max_size=4))
def test_masks_of_one_image_do_not_meddle(given_masks: list[Mask]) -> None:
    """Outlined together they are as outlined alone, also where one ends at the frame and the next begins there."""
    height, width = min(one.shape[0] for one in given_masks), min(one.shape[1] for one in given_masks)
    cut = [one[:height, :width] for one in given_masks]
    codes_of = [codes.encode(np.asfortranarray(one.astype(np.uint8)))["counts"].decode() for one in cut]

    together = rings_of(codes_of, width=width, height=height)

    for one, found in zip(cut, together, strict=True):
        assert [ring.tolist() for ring in found] == [ring.tolist() for ring in rings(one)]


@_SETTINGS
@given(masks())
def test_an_outline_drawn_again_is_the_mask(mask: Mask) -> None:
    """All rings as one, with numbers as YOLO has them: six decimals of a fraction."""
    found = rings(mask)
    height, width = mask.shape

    if not found:
        assert not mask.any()
        return
    numbers = np.round(joined(found) / (width, height), 6) * (width, height)

    assert np.array_equal(drawn(numbers.reshape(-1).tolist(), width=width, height=height), mask)


def test_a_large_mask_survives_six_decimals() -> None:
    """A disc in a frame of 8000 pixels a side, steep and flat all round."""
    y, x = np.mgrid[:900, :900]
    mask = np.zeros((8000, 8000), dtype=np.bool_)
    mask[7000:7900, 7050:7950] = (x - 450) ** 2 + (y - 450) ** 2 < 440**2
    (ring,) = rings(mask)

    numbers = np.round(ring / 8000, 6) * 8000

    assert np.array_equal(drawn(numbers.reshape(-1).tolist(), width=8000, height=8000), mask)


def test_an_outline_has_no_more_points_than_corners() -> None:
    """A straight edge has none between its ends."""
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[5:15, 5:25] = True
    mask[5:10, 5:10] = False

    (ring,) = rings(mask)

    assert len(ring) == 6


def test_parts_that_touch_at_a_corner_are_apart() -> None:
    """Two pixels on a diagonal are two rings; a hole is one of its own."""
    diagonal = np.eye(2, dtype=np.bool_)
    hole = np.ones((3, 3), dtype=np.bool_)
    hole[1, 1] = False

    assert [len(rings(mask)) for mask in (diagonal, diagonal[::-1], hole)] == [2, 2, 2]


@_SETTINGS
@given(masks())
def test_rings_go_round_pixels_one_way_and_round_holes_the_other(mask: Mask) -> None:
    """So that a reader that fills by winding sees the same; no corner lies on a straight edge."""
    found = rings(mask)
    size = 0.0
    for ring in found:
        x, y = ring.T
        size += (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
        turns = np.stack((np.diff(x, append=x[:1]), np.diff(y, append=y[:1]))) != 0
        assert (turns.sum(axis=0) == 1).all()
        assert (turns != np.roll(turns, 1, axis=1)).all()

    assert size == mask.sum()


def test_a_mask_of_another_size_has_no_outline() -> None:
    """Nor has what is no mask; those beside it have theirs."""
    code = rle.encode([3, 2, 4])

    found = rings_of([code, rle.encode([3, 2, 5]), "?", "", code], width=3, height=3)

    assert [len(one) for one in found] == [1, 0, 0, 0, 1]
    assert found[0][0].tolist() == found[4][0].tolist() == [[2, 0], [2, 2], [1, 2], [1, 0]]


def test_very_many_parts_are_joined_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looking for what is near, and with the same pixels."""
    mask = np.zeros((30, 30), dtype=np.bool_)
    mask[::2, ::2] = True
    monkeypatch.setattr(outlines, "MOST_NEAR", 5)

    whole = joined(rings(mask)).reshape(-1).astype(float).tolist()

    assert np.array_equal(drawn(whole, width=30, height=30), mask)


@_SETTINGS
@given(st.lists(st.tuples(st.integers(-40, 120), st.integers(-40, 90)), min_size=3, max_size=12))
def test_a_ring_cut_off_shows_the_same_pixels(points: list[tuple[int, int]]) -> None:
    """Nothing lies outside the frame afterwards, and within it nothing has changed but for rounding at edges."""
    width, height = 80, 50
    ring = tuple(float(value) for point in points for value in point)

    kept = clipped(ring, width=width, height=height)

    assert all(0 <= x <= width for x in kept[::2])
    assert all(0 <= y <= height for y in kept[1::2])
    shifted = [value + (60 if place % 2 == 0 else 60) for place, value in enumerate(ring)]
    before = drawn(shifted, width=260, height=260)[60 : 60 + height, 60 : 60 + width]
    after = drawn(list(kept), width=width, height=height) if len(kept) >= 6 else np.zeros_like(before)
    assert (before ^ after).sum() <= 3 * len(points) + 12


def test_a_ring_within_the_frame_stays_as_it_is() -> None:
    """The very same numbers."""
    ring = (0.0, 0.0, 80.0, 0.0, 80.0, 50.0)

    assert clipped(ring, width=80, height=50) is ring
