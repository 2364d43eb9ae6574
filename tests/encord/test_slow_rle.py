"""The run-length code against a second decoder: the same masks bit by bit, and the same refusals."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from encord_dagster import rle
from encord_dagster.encord.bitmask import RunsError, decode_runs
from tests.effort import examples
from tests.encord.slow_rle import Refused, code_of, mask_of, written

Mask = NDArray[np.bool_]

VECTORS = [
    ("01521", 5, 3, ["10000", "01110", "00000"]),
    ("121O2", 4, 2, ["0110", "1000"]),
    ("9", 3, 3, ["000"] * 3),
    ("09", 3, 3, ["111"] * 3),
    ("g04600000a0", 10, 8, ["0000000000"] * 2 + ["0001111000"] * 4 + ["0000000000"] * 2),
]
MUST_FAIL = [
    ("02220N:0F20N", 5, 6),
    ("02220N:0F20N", 7, 6),
    ("1N9", 3, 3),
    ("0a", 3, 3),
    ("", 3, 3),
    ("", 0, 0),
    ("0", 0, 0),
    ("9", 3, -3),
    ("9", -3, -3),
    ("/", 3, 3),
    ("p", 3, 3),
    ("é9", 3, 3),
    ("９", 3, 3),  # a full-width nine
    ("9\n", 3, 3),
    (" 9", 3, 3),
    ("YPPPPPP0", 3, 3),  # nine, in eight groups
    ("0" * 11, 3, 3),
    ("9" + "0" * 10, 3, 3),
]


def ours(code: str, width: int, height: int) -> Mask | None:
    """The mask as the package decodes it, None where it refuses."""
    try:
        runs = decode_runs(code, width, height)
    except RunsError:
        return None
    return rle.to_dense(rle.to_column_major(runs, width, height))


def theirs(code: str, width: int, height: int) -> Mask | None:
    """The mask as the slow decoder has it, None where it refuses."""
    try:
        return mask_of(code, width, height)
    except Refused:
        return None


def random_masks(count: int, seed: int) -> Iterator[Mask]:
    """Masks of odd sizes: noise of any density, blocks, stripes, one row, one column, empty and full."""
    random = np.random.default_rng(seed)
    for place in range(count):
        width, height = (int(2 * side + 1) for side in random.integers(0, 12, 2))
        if place % 50 == 0:
            width, height = height * 41, 1
        mask = random.random((height, width)) < random.choice([0, 0.02, 0.2, 0.5, 0.9, 1])
        if place % 3 == 0:
            top, left = int(random.integers(0, height)), int(random.integers(0, width))
            mask[top : top + int(random.integers(1, 9)), left : left + int(random.integers(1, 9))] ^= True
        yield mask


def spoilt(code: str, random: np.random.Generator) -> str:
    """A code with one character changed, left out or put in; now and then outside the alphabet."""
    at = int(random.integers(0, len(code) + 1))
    new = chr(int(random.integers(44, 116)))
    return str(
        random.choice([code[:at] + new + code[at + 1 :], code[:at] + code[at + 1 :], code[:at] + new + code[at:]])
    )


def compare(count: int, seed: int) -> None:
    """Each mask from its code, and what becomes of its code once it is spoilt, by both decoders."""
    random = np.random.default_rng(seed)
    refused = 0
    for mask in random_masks(count, seed):
        height, width = mask.shape
        code = code_of(mask)
        decoded = ours(code, width, height)
        assert decoded is not None, (code, width, height)
        assert np.array_equal(decoded, mask), (code, width, height)
        assert np.array_equal(mask_of(code, width, height), mask), (code, width, height)
        bad = spoilt(code, random)
        one, other = ours(bad, width, height), theirs(bad, width, height)
        assert (one is None) == (other is None), (bad, width, height)
        assert one is None or other is None or np.array_equal(one, other), (bad, width, height)
        refused += one is None
    assert refused > count / 2


@pytest.mark.parametrize(("code", "width", "height", "rows"), VECTORS)
def test_both_decoders_have_the_known_masks(code: str, width: int, height: int, rows: list[str]) -> None:
    """Vectors that the vendor's own decoder was run on, none of them its own transpose in a square."""
    expected = np.array([[pixel == "1" for pixel in row] for row in rows])

    assert np.array_equal(mask_of(code, width, height), expected)
    found = ours(code, width, height)
    assert found is not None
    assert np.array_equal(found, expected)
    assert code_of(expected) == code


@pytest.mark.parametrize(("code", "width", "height"), MUST_FAIL)
def test_both_decoders_refuse_what_is_no_mask(code: str, width: int, height: int) -> None:
    """Too short, too long, negative, cut, foreign characters, no pixels, endless numbers, more runs than pixels."""
    assert theirs(code, width, height) is None
    assert ours(code, width, height) is None


def test_both_decoders_take_a_padded_number() -> None:
    """Nine in seven groups is still nine; the longest number that is read."""
    found = ours("YPPPPP0", 3, 3)

    assert found is not None
    assert np.array_equal(found, mask_of("YPPPPP0", 3, 3))
    assert not found.any()


@pytest.mark.parametrize(("number", "code"), [(505, "i?"), (23, "g0"), (17, "a0"), (-2, "N"), (16, "`0"), (-17, "_O")])
def test_the_slow_encoder_writes_known_numbers(number: int, code: str) -> None:
    """Worked out by hand: five bits a group, the sign in the last one."""
    assert written(number) == code


@pytest.mark.parametrize("seed", range(4))
def test_both_decoders_agree_on_random_masks(seed: int) -> None:
    """2,000 masks of odd sizes bit by bit, and as many damaged codes: both refuse the same ones."""
    compare(examples(500), seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_both_decoders_agree_on_a_hundred_thousand_random_masks(seed: int) -> None:
    """The same, fifty times as often."""
    compare(10_000, seed)
