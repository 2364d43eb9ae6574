"""The parts of the differential test that need no SDK: random rows, the slow model, and a judge that can say no."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from encord_dagster import geometry as g
from encord_dagster import validation
from tests.oracle import slow_model
from tests.oracle.compare_labels import close, expected, numbers
from tests.oracle.generate import rows
from tests.oracle.judge import Judge
from tests.oracle.ontologies import NEW_SHAPES, SHAPES, random_ontology
from tests.oracle.ours import Ours, answers, read_export

Json = dict[str, Any]
ROWS = 60


@pytest.fixture(scope="module", params=["frames", "ranges"])
def exports(request: pytest.FixtureRequest) -> list[tuple[Json, Ours]]:
    """Random rows, and what we read in them."""
    ontology = random_ontology(7, new_shapes=request.param == "ranges")
    made = list(rows(7, ROWS, ontology, request.param))
    return list(zip(made, read_export(json.dumps(made).encode()), strict=True))


def test_equal_seeds_make_equal_rows() -> None:
    """A difference that was found once is found again."""
    one, two = (list(rows(3, 20, random_ontology(3, new_shapes=True), "ranges")) for _ in range(2))

    assert one == two


def test_every_shape_and_data_type_occurs(exports: list[tuple[Json, Ours]]) -> None:
    """The rows are worth a comparison."""
    shapes = {entry["shape"] for row, _ in exports for entry in slow_model.entries_of(row).values()}

    assert shapes - set(NEW_SHAPES) == set(SHAPES)
    assert {row["data_type"] for row, _ in exports} == {"image", "img_group", "video", "dicom", "nifti"}


def test_nothing_of_a_random_row_is_quarantined(exports: list[tuple[Json, Ours]]) -> None:
    """What the generator writes is valid, and every object is on a frame or excluded with a reason."""
    for _, ours in exports:
        row = ours.reading.row
        assert row.quarantined == ()
        assert {one.reason for one in row.excluded} <= {"deleted", "unsupported_shape"}
        assert validation.conservation(row) is None


def test_answers_are_those_of_the_slow_model(exports: list[tuple[Json, Ours]]) -> None:
    """At every frame of every object, static, nested and dynamic."""
    compared = 0
    for row, ours in exports:
        for (frame, object_hash), (_, item) in ours.objects.items():
            slow = slow_model.answers_at(row, object_hash, frame)
            assert answers(item.attributes) == slow
            compared += len(slow)
    assert compared > 200


def test_classifications_lie_where_the_slow_model_has_them(exports: list[tuple[Json, Ours]]) -> None:
    """In either spelling: listed by frames, or as ranges of frames."""
    compared = 0
    for row, ours in exports:
        found = {one.classification_hash: set[int]() for one in ours.reading.row.classifications}
        for frame in ours.reading.row.frames:
            for one in frame.classifications:
                found.setdefault(one.classification_hash, set()).add(frame.number)
        assert found == slow_model.placements(row)
        compared += len(found)
    assert compared > 20


def test_turned_boxes_are_those_of_the_formula(exports: list[tuple[Json, Ours]]) -> None:
    """Corners by complex numbers, which share nothing with ours."""
    compared = 0
    for frame, item, record in _converted(exports):
        if isinstance(item, g.RotatedBox):
            told = [v for xy in slow_model.corners([item.x, item.y, item.width, item.height, item.theta]) for v in xy]
            assert close(record["segmentation"][0], told, frame[0] + 1, frame[1] + 1)
            compared += 1
    assert compared > 5


def test_swapped_sides_are_noticed() -> None:
    """The comparison of geometry tells a frame from one on its side, and pixels from the next millionth."""
    box = g.Box(x=10.0, y=40.0, width=20.0, height=30.0)

    told = expected("bounding_box", [0.1, 0.2, 0.2, 0.15], 100, 200)

    assert close(list(numbers(box)), told, 100, 200)
    assert not close(list(numbers(box)), expected("bounding_box", [0.1, 0.2, 0.2, 0.15], 200, 100), 100, 200)
    assert not close(list(numbers(box)), expected("bounding_box", [0.10001, 0.2, 0.2, 0.15], 100, 200), 100, 200)


def test_the_judge_tells_known_from_unexplained() -> None:
    """A deviation without a name is a failure; one with a name is counted."""
    judge = Judge()

    judge.same("ids", "row 1", 1, 1)
    judge.same("ids", "row 2", 1, 0, "id_zero")
    judge.same("ids", "row 3", 1, 2)

    assert (judge.agreed["ids"], judge.known["ids", "id_zero"], judge.unexplained["ids"]) == (1, 1, 1)
    assert "row 3" in judge.report()
    with pytest.raises(AssertionError):
        judge.same("ids", "row 4", 1, 2, "a name that nobody declared")


def _converted(exports: list[tuple[Json, Ours]]) -> Iterator[tuple[tuple[int, int], g.Geometry, Json]]:
    for _, ours in exports:
        for key, (frame, item) in ours.objects.items():
            yield (frame.width or 0, frame.height or 0), item.geometry, ours.annotations[key]
