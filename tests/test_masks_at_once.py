"""Codes of many masks at once are those of one mask after the other, and those of pycocotools."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

from encord_dagster import codes_at_once, masks_at_once, rle
from encord_dagster.encord.bitmask import RunsError, decode_runs
from tests.effort import examples

_SETTINGS = settings(max_examples=examples(60), deadline=None)
ALPHABET = "".join(map(chr, range(46, 114)))


@st.composite
def pictures(draw: st.DrawFn) -> list[NDArray[np.bool_]]:
    """Masks of one size: noise, blocks, stripes, nothing and everything."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = []
    for kind in draw(
        st.lists(st.sampled_from(("noise", "blocks", "rows", "columns", "none", "all")), min_size=1, max_size=5)
    ):
        pixels = np.zeros((height, width), dtype=np.bool_)
        match kind:
            case "noise":
                pixels = rng.random((height, width)) < rng.random()
            case "blocks":
                y, x = rng.integers(0, height), rng.integers(0, width)
                pixels[y : y + 9, x : x + 9] = True
                pixels[y + 2 : y + 5, x + 2 : x + 5] = False
            case "rows":
                pixels[:: int(rng.integers(1, 5))] = True
            case "columns":
                pixels[:, :: int(rng.integers(1, 5))] = True
            case "all":
                pixels[:] = True
            case _:
                pass
        made.append(pixels)
    return made


def runs_of(pixels: NDArray[np.bool_]) -> list[int]:
    """Row-major runs, zeros first."""
    flat = pixels.ravel()
    edges = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), len(flat)]
    runs = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs


@_SETTINGS
@given(pictures())
def test_masks_are_turned_as_pycocotools_writes_them(masks: list[NDArray[np.bool_]]) -> None:
    """String, area and box of each, also of masks that are too ragged for the fast way."""
    height, width = masks[0].shape
    found = masks_at_once.turn_all([runs_of(mask) for mask in masks], width, height)
    for mask, turned in zip(masks, found, strict=True):
        code: dict[str, Any] = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert turned.counts == code["counts"].decode("ascii")
        assert turned.area == mask.sum()
        assert list(turned.bbox) == coco_masks.toBbox(code).tolist()


@_SETTINGS
@given(st.integers(0, 2**32), st.integers(1, 900), st.sampled_from((1, 60, 700)))
def test_masks_of_large_frames_are_turned_as_pycocotools_writes_them(seed: int, width: int, height: int) -> None:
    """Sparse ones, for which no frame is filled; more than are turned at once."""
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(int(rng.integers(1, 2 * masks_at_once.AT_ONCE))):
        pixels = np.zeros((height, width), dtype=np.bool_)
        for _ in range(int(rng.integers(1, 4))):
            y, x = rng.integers(0, height), rng.integers(0, width)
            pixels[y : y + rng.integers(1, 40), x : x + rng.integers(1, width + 1)] ^= True
        masks.append(pixels)
    codes = [rle.encode(runs_of(mask)) for mask in masks]
    runs = codes_at_once.decode_all(codes, [width * height] * len(masks))
    assert [one and list(one) for one in runs] == [runs_of(mask) for mask in masks]
    for mask, turned in zip(masks, masks_at_once.turn_all([one or [] for one in runs], width, height), strict=True):
        code: dict[str, Any] = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert turned.counts == code["counts"].decode("ascii")
        assert turned.area == mask.sum()
        assert list(turned.bbox) == coco_masks.toBbox(code).tolist()


@_SETTINGS
@given(pictures(), st.integers(0, 2**32))
def test_codes_are_turned_as_their_runs(masks: list[NDArray[np.bool_]], seed: int) -> None:
    """All of them, or none where one is no mask of the frame."""
    rng = random.Random(seed)
    height, width = masks[0].shape
    codes = [rle.encode(runs_of(mask)) for mask in masks for _ in range(rng.randrange(1, 20))]
    runs = [list(decode_runs(code, width, height)) for code in codes]
    assert masks_at_once.turn_codes(codes, width, height) == masks_at_once.turn_all(runs, width, height)
    for wrong in ("", "é", "~", "o", rle.encode([height * width + 1]), "0O0"):
        odd = [*codes]
        odd.insert(rng.randrange(len(codes) + 1), wrong)
        assert masks_at_once.turn_codes(odd, width, height) is None


@_SETTINGS
@given(pictures(), st.integers(0, 2**32))
def test_codes_are_decoded_as_one_alone(masks: list[NDArray[np.bool_]], seed: int) -> None:
    """Or not at all, where the reader refuses them; a damaged one harms no other."""
    rng = random.Random(seed)
    height, width = masks[0].shape
    codes = [rle.encode(runs_of(mask)) for mask in masks]
    for _ in range(rng.randrange(3)):
        place = rng.randrange(len(codes))
        text = list(codes[place])
        at = rng.randrange(len(text) + 1)
        text[at : at + rng.randrange(2)] = rng.choice(("", *ALPHABET, "é", "ooooooo1"))
        codes[place] = "".join(text)
    found = codes_at_once.decode_all(codes, [width * height] * len(codes))
    for code, runs in zip(codes, found, strict=True):
        assert (None if runs is None else tuple(runs)) == _alone(code, width, height)


def test_no_masks_and_masks_of_another_size() -> None:
    """Nothing makes nothing, and runs that do not cover the frame are refused as alone."""
    assert masks_at_once.turn_all([], 3, 3) == []
    assert codes_at_once.decode_all(["", "9"], [9, 9])[0] is None
    wrongs: list[list[list[int]]] = [[[8]], [[]], [[9], [10, -1]]]
    for wrong in wrongs:
        with pytest.raises(rle.RleError):
            masks_at_once.turn_all(wrong, 3, 3)


def _alone(code: str, width: int, height: int) -> tuple[int, ...] | None:
    try:
        return decode_runs(code, width, height)
    except RunsError:
        return None
