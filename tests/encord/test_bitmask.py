"""Encord's run-length code against its known vectors and against pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_masks

from encord_dagster.encord.bitmask import RunsError, decode_runs, paste_runs


@pytest.mark.parametrize(
    ("code", "width", "height", "runs"),
    [
        ("02220N:0F20N", 6, 6, (0, 2, 2, 4, 2, 2, 12, 2, 2, 4, 2, 2)),
        ("01521", 5, 3, (0, 1, 5, 3, 6)),
        ("g04600000a0", 10, 8, (23, 4, 6, 4, 6, 4, 6, 4, 23)),
        ("9", 3, 3, (9,)),
        ("09", 3, 3, (0, 9)),
        ("i?", 505, 1, (505,)),
        ("121O2", 4, 2, (1, 2, 1, 1, 3)),
    ],
)
def test_a_known_code_has_its_known_runs(code: str, width: int, height: int, runs: tuple[int, ...]) -> None:
    """Vectors that the vendor's own decoder was run on; one of them is its own transpose."""
    decoded = decode_runs(code, width, height)

    assert decoded == runs


def test_runs_are_row_major() -> None:
    """The vector 5 wide and 3 high tells rows from columns."""
    runs = decode_runs("01521", 5, 3)

    assert rows_of(runs, 5) == ["10000", "01110", "00000"]


@pytest.mark.parametrize(
    ("code", "width", "height", "reason"),
    [
        ("02220N:0F20N", 5, 6, "reach beyond"),
        ("02220N:0F20N", 7, 6, "cover 36 of the 42"),
        ("1N9", 3, 3, "negative"),
        ("0a", 3, 3, "ends inside a number"),
        ("", 3, 3, "empty"),
        ("/", 3, 3, "outside its alphabet"),
        ("p", 3, 3, "outside its alphabet"),
        ("é", 3, 3, "outside its alphabet"),
        ("oooooooooooo0", 3, 3, "larger than any mask"),
        ("9", 3, 0, "cannot be 3x0"),
        ("9", -3, -3, "cannot be -3x-3"),
        ("9", 2**15, 2**14, "larger than"),
    ],
)
def test_a_damaged_code_is_refused_with_its_reason(code: str, width: int, height: int, reason: str) -> None:
    """Pycocotools would read some of these into memory that is not a mask."""
    with pytest.raises(RunsError, match=reason):
        decode_runs(code, width, height)


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_mask_comes_back_from_the_code_that_pycocotools_writes(
    width: int, height: int, data: st.DataObject
) -> None:
    """COCO runs along columns: the code of the transposed mask is Encord's code of the mask."""
    bits = data.draw(st.lists(st.integers(0, 1), min_size=width * height, max_size=width * height))
    mask = np.array(bits, dtype=np.uint8).reshape(height, width)
    code = coco_masks.encode(np.asfortranarray(mask.T))["counts"].decode()

    runs = decode_runs(code, width, height)

    assert pixels(runs, width).tolist() == mask.tolist()


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.data())
def test_a_pasted_mask_lies_at_its_offsets(
    width: int, height: int, left: int, top: int, room: int, data: st.DataObject
) -> None:
    """Against the same paste with an array; the runs cover the frame exactly."""
    bits = data.draw(st.lists(st.integers(0, 1), min_size=width * height, max_size=width * height))
    mask = np.array(bits, dtype=np.uint8).reshape(height, width)
    code = coco_masks.encode(np.asfortranarray(mask.T))["counts"].decode()
    frame = np.zeros((top + height + room, left + width + room), dtype=np.uint8)
    frame[top : top + height, left : left + width] = mask
    size = (frame.shape[1], frame.shape[0])

    runs = paste_runs(decode_runs(code, width, height), width=width, at=(left, top), frame=size)

    assert sum(runs) == frame.size
    assert pixels(runs, frame.shape[1]).tolist() == frame.tolist()
    assert 0 not in runs[1:]


def pixels(runs: tuple[int, ...], width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The runs as rows of zeros and ones."""
    return np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8).reshape(-1, width)


def rows_of(runs: tuple[int, ...], width: int) -> list[str]:
    """The runs as rows of digits."""
    return ["".join(map(str, row)) for row in pixels(runs, width).tolist()]
