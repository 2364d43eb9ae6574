"""Run-length codes, judged by pycocotools and by vectors that other decoders agreed on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from encord_dagster import rle

Mask = NDArray[np.bool_]

REAL = Path(__file__).parents[2] / "shared" / "real_exports"

# string, width, height, runs, rows of the mask, COCO counts of the same mask
VECTORS = [
    (
        "02220N:0F20N",
        6,
        6,
        [0, 2, 2, 4, 2, 2, 12, 2, 2, 4, 2, 2],
        ["110011", "110011", "000000", "000000", "110011", "110011"],
        "02220N:0F20N",
    ),
    ("01521", 5, 3, [0, 1, 5, 3, 6], ["10000", "01110", "00000"], "0130O0002"),
    (
        "g04600000a0",
        10,
        8,
        [23, 4, 6, 4, 6, 4, 6, 4, 23],
        ["0000000000"] * 2 + ["0001111000"] * 4 + ["0000000000"] * 2,
        "j04400000f0",
    ),
    ("9", 3, 3, [9], ["000"] * 3, "9"),
    ("09", 3, 3, [0, 9], ["111"] * 3, "09"),
    ("121O2", 4, 2, [1, 2, 1, 1, 3], ["0110", "1000"], "121O2"),
]


def row_runs(mask: Mask) -> list[int]:
    """Row-major runs of a mask, pixel by pixel."""
    runs, value = [0], False
    for pixel in mask.ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def random_masks(number: int, *, seed: int, largest: int) -> Iterator[Mask]:
    """Masks of odd sizes: noise of any density, empty, full, one row or column, rectangles with holes."""
    random = np.random.default_rng(seed)
    for index in range(number):
        height, width = (int(side) for side in random.integers(1, largest, 2))
        mask = np.zeros((height, width), dtype=np.bool_)
        if index % 7 == 0:
            mask = random.random((height, width)) < random.random()
        elif index % 7 == 1:
            mask[:] = index % 2
        elif index % 7 == 2:
            mask[random.integers(height)] = True
        elif index % 7 == 3:
            mask[:, random.integers(width)] = True
        else:
            for _ in range(index % 7):
                y, x = random.integers(height), random.integers(width)
                mask[y : y + random.integers(1, largest), x : x + random.integers(1, largest)] ^= True
        yield mask


def assert_as_pycocotools(mask: Mask) -> None:
    """Conversion, string, area, box and pixels equal pycocotools' own."""
    height, width = mask.shape
    expected = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))

    columns = rle.to_column_major(row_runs(mask), width, height)

    assert rle.encode(columns.runs) == expected["counts"].decode()
    assert rle.decode(expected["counts"].decode()) == list(columns.runs)
    assert columns.area == coco_mask.area(expected)
    assert list(columns.bbox) == coco_mask.toBbox(expected).tolist()
    assert np.array_equal(rle.to_dense(columns), mask)


@pytest.mark.parametrize(("text", "width", "height", "runs", "rows", "counts"), VECTORS)
def test_a_known_string_has_the_known_runs_pixels_and_coco_counts(
    text: str, width: int, height: int, runs: list[int], rows: list[str], counts: str
) -> None:
    """Vectors that the vendor's SDK and pycocotools agree on."""
    decoded = rle.decode(text)

    columns = rle.to_column_major(decoded, width, height)

    assert decoded == runs
    assert rle.encode(runs) == text
    assert ["".join(str(int(pixel)) for pixel in row) for row in rle.to_dense(columns)] == rows
    assert rle.encode(columns.runs) == counts


def test_thousands_of_small_masks_equal_pycocotools() -> None:
    """Empty, full, thin, noisy and holed masks of odd sizes, byte for byte."""
    for mask in random_masks(4000, seed=1, largest=24):
        assert_as_pycocotools(mask)


def test_sparse_masks_take_the_path_without_a_full_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger frames with little in them are converted without the dense fallback, and equal pycocotools."""
    random = np.random.default_rng(2)
    taken: list[bool] = []
    sparse = rle._column_changes

    def watched(*arguments: object) -> object:
        changes = sparse(*arguments)  # type: ignore[arg-type]  # handed on as it came
        taken.append(changes is not None)
        return changes

    monkeypatch.setattr(rle, "_column_changes", watched)
    for _ in range(300):
        mask = np.zeros((int(random.integers(150, 260)), int(random.integers(150, 260))), dtype=np.bool_)
        for _ in range(int(random.integers(1, 5))):
            y, x = random.integers(mask.shape[0]), random.integers(mask.shape[1])
            mask[y : y + random.integers(1, 40), x : x + random.integers(1, 40)] ^= True
        assert_as_pycocotools(mask)

    assert sum(taken) > 280


def test_row_order_is_not_column_order() -> None:
    """A mask that is not its own transpose comes out transposed if the orders are mixed up."""
    columns = rle.to_column_major(rle.decode("01521"), 5, 3)

    assert rle.encode(columns.runs) != "01521"
    assert rle.to_dense(columns)[0].tolist() == [True, False, False, False, False]


@given(st.lists(st.integers(0, 2**33), max_size=40))
def test_any_runs_survive_the_alphabet(runs: list[int]) -> None:
    """Decoding what was encoded gives the same runs, zero runs included."""
    assert rle.decode(rle.encode(runs)) == runs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0p2", "character 'p' at position 1"),
        ("0 2", "character ' ' at position 1"),
        ("0é", "character 'é'"),
        ("0\n", "character '\\\\n'"),
        ("0a", "unfinished"),
        ("1N9", "run 1 is negative"),
        ("PPPPPPP0", "8 groups"),
        ("0" + "P" * 5000 + "0", "5001 groups"),
    ],
)
def test_a_damaged_string_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Nothing is guessed: the reason says what is wrong where."""
    with pytest.raises(rle.RleError, match=reason):
        rle.decode(text)


def test_seven_groups_are_still_a_number() -> None:
    """The limit is beyond any frame, not below it."""
    assert rle.decode("ooooooO"[:-1] + "?") == [2**34 - 1]


@pytest.mark.parametrize(
    ("runs", "width", "height"),
    [([0, 2, 2, 4, 2, 2, 12, 2, 2, 4, 2, 2], 5, 6), ([0, 2, 2, 4, 2, 2, 12, 2, 2, 4, 2, 2], 7, 6), ([], 3, 3)],
)
def test_runs_that_do_not_cover_exactly_the_frame_are_refused(runs: list[int], width: int, height: int) -> None:
    """Too short, too long and empty codes never become a mask."""
    with pytest.raises(rle.RleError, match=f"the frame has {width * height}"):
        rle.to_column_major(runs, width, height)
    with pytest.raises(rle.RleError, match=f"the frame has {width * height}"):
        rle.to_dense(rle.ColumnRuns(tuple(runs), width, height, 0, (0, 0, 0, 0)))


def test_negative_runs_are_refused_everywhere() -> None:
    """A sum that fits does not hide a negative run."""
    with pytest.raises(rle.RleError, match="negative"):
        rle.to_column_major([4, -1, 6], 3, 3)
    with pytest.raises(rle.RleError, match="negative"):
        rle.to_dense(rle.ColumnRuns((4, -1, 6), 3, 3, 0, (0, 0, 0, 0)))
    with pytest.raises(rle.RleError, match="negative"):
        rle.encode([4, -1, 6])


def test_runs_of_no_length_inside_a_code_change_nothing() -> None:
    """A code that is not canonical means the same mask, and comes out canonical."""
    plain = rle.to_column_major([4, 6, 20], 6, 5)

    padded = rle.to_column_major([4, 2, 0, 4, 0, 0, 20, 0], 6, 5)

    assert padded == plain


@pytest.mark.skipif(not REAL.is_dir(), reason="the vendor's sample exports are not on this machine")
def test_the_vendors_bitmasks_become_the_vendors_coco_codes() -> None:
    """Area, box and string of every bitmask in a real export equal the vendor's own COCO of it."""
    export = json.loads((REAL / "platform_rows.json").read_text("utf-8"))
    coco = json.loads((REAL / "platform_rows.encord_coco.json").read_text("utf-8"))
    coded = [item for item in coco["annotations"] if isinstance(item["segmentation"], dict)]

    masks = [
        rle.to_column_major(rle.decode(mask["rleString"]), mask["width"], mask["height"]) for mask in bitmasks(export)
    ]

    assert len(masks) == 9
    assert [rle.encode(mask.runs) for mask in masks] == [item["segmentation"]["counts"] for item in coded]
    assert [mask.area for mask in masks] == [item["area"] for item in coded]
    assert [list(mask.bbox) for mask in masks] == [item["bbox"] for item in coded]


def bitmasks(part: object) -> Iterator[Any]:
    """Every bitmask anywhere in a JSON document, in document order."""
    if isinstance(part, dict) and "rleString" in part:
        yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from bitmasks(inner)
