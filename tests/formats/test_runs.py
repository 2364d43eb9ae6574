"""Runs in JSON beside those that pycocotools makes of the same shapes."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as codes

from encord_dagster import rle
from encord_dagster.formats.coco import Annotation, AnnotationAttributes, Origin
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.runs import runs_of
from encord_dagster.geometry import Ring
from tests.effort import examples

_SETTINGS = settings(max_examples=examples(100), deadline=None)


def annotation(segmentation: tuple[Ring, ...] | Rle) -> Annotation:
    """One of such a shape."""
    return Annotation(
        id=1,
        image_id=1,
        category_id=1,
        bbox=(0, 0, 1, 1),
        area=1.0,
        segmentation=segmentation,
        iscrowd=0,
        score=1.0,
        attributes=AnnotationAttributes(track_id=1, manual_annotation=True, classifications={}),
        encord=Origin(label_hash="row", data_hash="data", frame=0),
    )


def written(shapes: list[tuple[Ring, ...] | Rle], *, width: int, height: int) -> list[list[int]]:
    """The runs of shapes, read back."""
    found = [json.loads(bytes(one)) for one in runs_of([annotation(one) for one in shapes], width=width, height=height)]
    assert all(one["size"] == [height, width] for one in found)
    return [one["counts"] for one in found]


@_SETTINGS
@given(
    st.lists(st.tuples(*[st.floats(-30, 90).map(lambda number: round(number, 3))] * 4), min_size=1, max_size=20),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_boxes_have_the_runs_that_pycocotools_fills(sides: list[tuple[float, ...]], width: int, height: int) -> None:
    """Within the frame, across its edges, outside, and over all of it."""
    boxes = [*sides, (0, 0, width, height), (0, 0, width, 1), (0, 0, 1, height)]
    shapes = [((x, y, right, y, right, bottom, x, bottom),) for x, y, right, bottom in boxes]

    found = written([*shapes], width=width, height=height)

    for shape, runs in zip(shapes, found, strict=True):
        (code,) = codes.frPyObjects([list(shape[0])], height, width)
        assert runs == rle.decode(code["counts"].decode())


@_SETTINGS
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 300))
def test_masks_have_their_own_runs(seed: int, width: int, height: int) -> None:
    """Of any length, the last one set or not; more than four digits too."""
    rng = np.random.default_rng(seed)
    masks = [rng.random((height, width)) < share for share in (0, 0.0001, 0.01, 0.5, 1)]
    encoded = [codes.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode() for mask in masks]

    found = written([Rle((height, width), code) for code in encoded], width=width, height=height)

    assert found == [rle.decode(code) for code in encoded]


def test_a_mask_of_another_size_is_written_as_it_is() -> None:
    """And those beside it; a frame of more pixels than two words can count is no other."""
    shapes: list[tuple[Ring, ...] | Rle] = [
        Rle((20_000, 10_000), rle.encode(runs)) for runs in ([5, 7], [199_999_999, 1])
    ]

    assert written(shapes, width=10_000, height=20_000) == [[5, 7], [199_999_999, 1]]
    assert written(shapes, width=100, height=10)[0] == [5, 7]
