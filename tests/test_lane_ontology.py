"""Rows with an ontology beside them become in the fast lane what they become on the long way."""

import random
from pathlib import Path

import pytest

from tests import factories as make
from tests.effort import examples
from tests.factories import Json
from tests.stream_exports import compact, named, rows_taken
from tests.test_lane import same_of_the_lane

STATE = make.ontology_attribute(
    "radio",
    make.ontology_option("Good", "OptGood1"),
    make.ontology_option("Worn", "OptWorn1", make.ontology_attribute("text", name="why", feature_hash="Attribu2")),
    required=True,
)
COUNT = make.ontology_attribute("numeric", name="count", feature_hash="Attribu3")
CHECKED = make.ontology_attribute(
    "checklist",
    make.ontology_option("Left", "OptLeft1"),
    make.ontology_option("Right", "OptRight"),
    name="side",
    feature_hash="Attribu4",
)
ANSWERS: dict[str, list[Json]] = {
    "good": [make.answer([make.option("Good", "OptGood1")])],
    "old name": [make.answer([make.option("Fine", "OptGood1")], name="old")],
    "nested": [make.answer([make.option("Worn", "OptWorn1")]), make.answer("rust", "why", "Attribu2")],
    "nested not answered": [make.answer([make.option("Worn", "OptWorn1")])],
    "a whole number": [make.answer([make.option("Good", "OptGood1")]), make.answer(1, "count", "Attribu3")],
    "a decimal": [make.answer([make.option("Good", "OptGood1")]), make.answer(1.0, "count", "Attribu3")],
    "one of many": [
        make.answer([make.option("Right", "OptRight")], "side", "Attribu4"),
        make.answer([make.option("Good", "OptGood1")]),
    ],
    "none": [],
    "a text": [make.answer("good")],
    "another text": [make.answer("neither")],
    "two of one": [make.answer([make.option("Good", "OptGood1"), make.option("Worn", "OptWorn1")])],
    "unknown attribute": [make.answer([make.option("Good", "OptGood1")]), make.answer("?", "what", "Attribu9")],
}


def _document(*, required: bool = False, name: str = "a bounding_box") -> Json:
    return make.ontology(
        make.ontology_class(STATE, COUNT, CHECKED, name=name),
        make.ontology_class(shape="polygon", required=required),
    )


def _row(number: int, answers: list[list[Json]], *more: Json) -> Json:
    boxes = [make.box(x=0.05 * place, object_hash=f"box{number:03}{place:02}") for place in range(len(answers))]
    given = {
        str(one["objectHash"]): {"objectHash": one["objectHash"], "classifications": held}
        for one, held in zip(boxes, answers, strict=True)
    }
    return named(make.image_row(*boxes, *more, object_answers=given), number)


def _same(rows: list[Json], folder: Path, document: Json) -> None:
    (folder / "landing").mkdir()
    (folder / "landing" / "export.ontology.json").write_bytes(compact(document))
    same_of_the_lane(compact(rows), folder)


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_answers_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Among good ones, in one row of several."""
    monkeypatch.setattr("encord_dagster.stream.ranges.some_at_once", lambda pieces: ([piece] for piece in pieces))
    rows = [_row(number, [ANSWERS["good"], ANSWERS["nested"]]) for number in range(4)]
    _same([*rows, _row(9, [ANSWERS["good"], ANSWERS[kind]]), _row(11, [ANSWERS["good"]])], tmp_path, _document())


@pytest.mark.parametrize("seed", range(examples(6)))
def test_answers_of_all_kinds(tmp_path: Path, seed: int) -> None:
    """In rows of all kinds, some without a class that is required."""
    rng = random.Random(seed)
    rows = []
    for number in range(40):
        kinds = rng.choices(sorted(ANSWERS), k=rng.randrange(1, 4)) if rng.random() < 0.3 else ["good", "nested"]
        more = [make.polygon(object_hash=f"pol{number:04}")] if rng.random() < 0.7 else []
        rows.append(_row(number, [ANSWERS[kind] for kind in kinds], *more))
    _same(rows, tmp_path, _document(required=seed % 2 == 1))


@pytest.mark.parametrize(
    "odd",
    [
        make.box(featureHash="Unknown1", name="Unknown"),
        make.box(name="another name"),
        make.bitmask("0", object_hash="objectxx"),
    ],
)
def test_classes_that_the_ontology_has_otherwise(tmp_path: Path, odd: Json) -> None:
    """Not at all, or under another name."""
    rows = [_row(number, [ANSWERS["good"]]) for number in range(5)]
    _same([*rows, _row(7, [ANSWERS["good"]], odd), _row(8, [ANSWERS["nested"]])], tmp_path, _document())


@pytest.mark.parametrize("name", ["", "a bounding_box", "Lorry"])
def test_names_of_classes(tmp_path: Path, name: str) -> None:
    """The ontology's, or the export's where that has none."""
    _same([_row(number, [ANSWERS["good"]]) for number in range(5)], tmp_path, _document(name=name))


def test_classifications_are_left_to_the_long_way(tmp_path: Path) -> None:
    """They are held against the ontology too."""
    held = make.classification()
    given = {"classif1": {"classificationHash": "classif1", "classifications": [make.answer("sunny", "weather")]}}
    row = make.image_row(make.box(), classifications=[held], classification_answers=given)
    _same([_row(1, [ANSWERS["good"]]), named(row, 2), _row(3, [ANSWERS["good"]])], tmp_path, _document())


@pytest.mark.parametrize("kind", ["good", "none", "unknown attribute"])
def test_large_rows_with_an_ontology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Converted a few frames at a time where nothing is to be said of them."""
    monkeypatch.setattr("encord_dagster.stream.large.LARGE", 0)
    monkeypatch.setattr("encord_dagster.encord.plain_parts._PART", 1)
    answers = {
        "object01": {"objectHash": "object01", "classifications": ANSWERS["good"]},
        "object02": {"objectHash": "object02", "classifications": ANSWERS[kind]},
    }
    frames = {number: [make.box(), make.box(x=0.3, object_hash="object02")] for number in range(4)}
    rows = [named(make.video_row(frames, object_answers=answers), number) for number in range(3)]
    _same(rows, tmp_path, _document(required=kind == "good"))


def test_rows_with_an_ontology_take_the_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, also the first: the ontology says what classes there are."""
    taken = rows_taken(monkeypatch)
    _same([_row(number, [ANSWERS["good"], ANSWERS["a decimal"]]) for number in range(40)], tmp_path, _document())
    assert sum(taken) == 40
