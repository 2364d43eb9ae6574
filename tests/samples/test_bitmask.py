"""Sample masks, judged by pycocotools and by vectors of the platform's encoding."""

from datetime import UTC, datetime

import numpy.typing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encord_dagster.samples import BAD_OBJECTS, Project, bad_row, first_export, next_export
from encord_dagster.samples.bitmask import compressed, filled, mask, runs
from tests.samples.json_rows import JsonObject, objects, rows

AT = datetime(2023, 10, 2, 14, 35, 30, tzinfo=UTC)


def _bits(width: int, height: int, text: str) -> list[str]:
    """The mask row by row as text."""
    return ["".join(map(str, line)) for line in _pixels(width, height, text).tolist()]


def _pixels(width: int, height: int, text: str) -> numpy.typing.NDArray[numpy.uint8]:
    """The mask as pycocotools decodes it: sizes swapped and transposed, as it reads column by column."""
    from pycocotools import mask as coco

    decoded: numpy.typing.NDArray[numpy.uint8] = coco.decode({"size": [width, height], "counts": text.encode()})
    return decoded.T


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("02220N:0F20N", [0, 2, 2, 4, 2, 2, 12, 2, 2, 4, 2, 2]),
        ("01521", [0, 1, 5, 3, 6]),
        ("g04600000a0", [23, 4, 6, 4, 6, 4, 6, 4, 23]),
        ("9", [9]),
        ("09", [0, 9]),
        ("i?", [505]),
    ],
)
def test_runs_are_written_as_the_platform_writes_them(text: str, lengths: list[int]) -> None:
    """Known strings of the vendor's own encoder."""
    assert compressed(lengths) == text


def test_spans_that_touch_at_a_line_end_are_one_run() -> None:
    """Rows 011, 110 have one run of four."""
    assert runs([(0, 1, 3), (1, 0, 2)], width=3, height=2) == [1, 4, 1]


@given(st.lists(st.booleans(), min_size=35, max_size=35))
def test_any_mask_is_decoded_to_itself(pixels: list[bool]) -> None:
    """The decoder of pycocotools gives back each pixel of a mask of 7 x 5, made of single pixels as spans."""
    spans = [(p // 7, p % 7, p % 7 + 1) for p, on in enumerate(pixels) if on]

    made = mask(spans, width=7, height=5)

    assert "".join(_bits(7, 5, made.rle_string)) == "".join(str(int(on)) for on in pixels)


def test_filled_ring_holds_the_pixels_whose_centre_is_inside() -> None:
    """A rectangle from 1 to 4 across and 1 to 3 down."""
    made = mask(filled([(1, 1), (4, 1), (4, 3), (1, 3)], width=6, height=4), width=6, height=4)

    assert _bits(6, 4, made.rle_string) == ["000000", "011100", "011100", "000000"]


@pytest.mark.parametrize("seed", [7, 8])
def test_every_mask_of_an_export_fills_its_frame_exactly(seed: int) -> None:
    """Run sums are width x height, and the masks have an area that can be seen, before and after edits."""
    first = first_export(Project(seed=seed), exported_at=AT)
    for export in (first, next_export(first, seed=seed, exported_at=AT, changed=15)):
        entries = [entry for row in rows(export) for entry in objects(row) if "bitmask" in entry]
        masks = {tuple(entry["bitmask"].items()) for entry in entries}
        assert len(masks) > 5
        for found in masks:
            _judge(dict(found))


def test_wrong_run_sum_is_one_off() -> None:
    """The spoilt mask has one pixel more or less than its frame; all other masks of that export are good."""
    entries = [entry for row in rows(bad_row()) for entry in objects(row) if "bitmask" in entry]
    [bad] = [entry["bitmask"] for entry in entries if entry["objectHash"] == BAD_OBJECTS["run_sum"]]

    pixels = bad["width"] * bad["height"]
    assert _sums_to(bad["rleString"], pixels + 1) or _sums_to(bad["rleString"], pixels - 1)
    for entry in entries:
        if entry["objectHash"] != BAD_OBJECTS["run_sum"]:
            _judge(entry["bitmask"])


def test_sum_judge_knows_right_from_wrong() -> None:
    """The judge of run sums accepts the sum 15 of a known string and nothing beside it."""
    assert [total for total in range(1, 20) if _sums_to("01521", total)] == [15]


def _judge(found: JsonObject) -> None:
    """Sum first, as pycocotools fills a short mask with whatever memory holds; then its decoded pixels."""
    width, height = found["width"], found["height"]
    assert _sums_to(found["rleString"], width * height)
    assert (found["top"], found["left"]) == (0, 0)
    pixels = _pixels(width, height, found["rleString"])
    assert pixels.shape == (height, width)
    assert 0.05 < pixels.mean() < 0.7


def _sums_to(text: str, pixels: int) -> bool:
    """Whether the runs fit into that many pixels and into no fewer: pycocotools refuses only runs that are too long."""
    return _fits(text, pixels) and not _fits(text, pixels - 1)


def _fits(text: str, pixels: int) -> bool:
    from pycocotools import mask as coco

    try:
        coco.decode({"size": [pixels, 1], "counts": text.encode()})
    except ValueError:
        return False
    return True
