"""Attributes of objects: for all frames, and at each frame of a range."""

import pytest

from encord_dagster.encord.model import Attribute, Option
from tests import factories as make
from tests.factories import Json

RED, BLUE, GREEN = make.option("Red", "OptRed01"), make.option("Blue", "OptBlue1"), make.option("Green", "OptGreen")
RED_OPTION, BLUE_OPTION, GREEN_OPTION = (
    Option("OptRed01", "Red", "red"),
    Option("OptBlue1", "Blue", "blue"),
    Option("OptGreen", "Green", "green"),
)


def answered(*answers: Json) -> Json:
    """An image with one box that has these answers."""
    given = {"object01": {"objectHash": "object01", "classifications": list(answers)}}
    return make.image_row(make.box(), object_answers=given)


def video(frames: int, *actions: Json, answers: tuple[Json, ...] = ()) -> Json:
    """A video with one box on each frame and these dynamic answers."""
    return make.video_row(
        {number: [make.box()] for number in range(frames)},
        object_answers={"object01": {"objectHash": "object01", "classifications": list(answers)}},
        object_actions={"object01": {"objectHash": "object01", "actions": list(actions)}},
    )


def attributes(row: Json, frame: int = 0) -> tuple[Attribute, ...]:
    """The attributes of the only object of a frame."""
    return make.read(row).row.frames[frame].objects[0].attributes


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("a text", "a text"),
        ("42", "42"),
        ([RED], (RED_OPTION,)),
        ([RED, BLUE], (RED_OPTION, BLUE_OPTION)),
        ([], ()),
        ({"0": RED, "1": BLUE}, (RED_OPTION, BLUE_OPTION)),
        (RED, (RED_OPTION,)),
        (7, 7.0),
        (0.5, 0.5),
    ],
)
def test_an_answer_is_a_text_a_number_or_options(given: object, answer: object) -> None:
    """The type of the attribute shows in the answer; no ontology is needed."""
    row = answered(make.answer(given, "colour"))

    found = attributes(row)

    assert found == (Attribute("Attribu1", "colour", answer),)  # type: ignore[arg-type]  # a parameter of the test
    assert make.read(row).findings == ()


@pytest.mark.parametrize("given", [None, "", "null"])
def test_an_attribute_without_answer_is_absent(given: object) -> None:
    """Not answered is not an empty answer."""
    row = answered(make.answer(given), make.answer("x", "other", "Attribu2"))

    assert [attribute.name for attribute in attributes(row)] == ["other"]
    assert make.read(row).findings == ()


@pytest.mark.parametrize(
    "bad",
    [
        make.answer(True),
        make.answer([5]),
        make.answer([make.option("Red", "no hash")]),
        make.answer("x", feature_hash="no hash"),
        make.answer("x") | {"featureHash": None},
        make.answer("x") | {"name": {}},
        make.answer(10**400),
        {"answers": [[]]},
    ],
)
def test_a_bad_answer_stops_only_itself(bad: Json) -> None:
    """The object and its other answers stay."""
    row = answered(bad, make.answer("x", "other", "Attribu2"))

    reading = make.read(row)

    assert make.rules(reading) == ["bad_answer"]
    assert reading.findings[0].location.object == "object01"
    assert [attribute.name for attribute in reading.row.frames[0].objects[0].attributes] == ["other"]


@pytest.mark.parametrize("answers", [5, {"objectHash": "object01", "classifications": 5}, "text"])
def test_unreadable_answers_of_an_object_leave_it_without_attributes(answers: object) -> None:
    """With a finding."""
    reading = make.read(make.image_row(make.box(), object_answers={"object01": answers}))

    assert reading.row.frames[0].objects[0].attributes == ()
    assert make.rules(reading) == ["bad_answer"]


def test_a_dynamic_answer_holds_from_first_to_last_frame() -> None:
    """Ranges include both ends, and an answer may have several."""
    row = video(7, make.action("left", [[1, 2], [5, 5]], "side"))

    found = [attributes(row, frame) for frame in range(7)]

    left = (Attribute("Attribu1", "side", "left", dynamic=True),)
    assert found == [(), left, left, (), (), left, ()]


def test_dynamic_answers_stand_behind_those_of_all_frames() -> None:
    """In the order of the export."""
    actions = make.action("left", [[0, 9]], "side", "Attribu3"), make.action("up", [[1, 1]], "lift", "Attribu2")
    row = video(2, *actions, answers=(make.answer("x", "fixed", "Attribu9"),))

    names = [[attribute.name for attribute in attributes(row, frame)] for frame in range(2)]

    assert names == [["fixed", "side"], ["fixed", "side", "lift"]]
    assert make.read(row).findings == ()


def test_ticked_options_of_a_dynamic_checklist_are_united() -> None:
    """Exports write each ticked option as its own action, with its own range."""
    row = video(3, make.action([RED], [[0, 1]]), make.action([BLUE, RED], [[1, 2]]), make.action([GREEN], [[1, 1]]))

    found = [attributes(row, frame)[0].answer for frame in range(3)]

    assert found == [(RED_OPTION,), (RED_OPTION, BLUE_OPTION, GREEN_OPTION), (BLUE_OPTION, RED_OPTION)]
    assert make.read(row).findings == ()


def test_of_two_texts_at_one_frame_the_last_wins_with_one_finding() -> None:
    """One finding per attribute, not one per frame."""
    row = video(4, make.action("left", [[0, 3]], "side"), make.action("right", [[2, 3]], "side"))

    reading = make.read(row)

    assert [frame.objects[0].attributes[0].answer for frame in reading.row.frames] == ["left", "left", "right", "right"]
    assert [(finding.rule, finding.location.frame) for finding in reading.findings] == [("overlapping_answers", 2)]


def test_frames_of_a_group_are_counted_by_data_sequence() -> None:
    """Images at sequence 3 and 7, the action at 7."""
    actions = {"object01": {"objectHash": "object01", "actions": [make.action("left", [[7, 7]])]}}
    row = make.group_row([make.box()], [make.box()], object_actions=actions)
    row = make.changed(row, 3, "data_units", "data-0", "data_sequence")

    reading = make.read(make.changed(row, 7, "data_units", "data-1", "data_sequence"))

    assert [len(frame.objects[0].attributes) for frame in reading.row.frames] == [0, 1]


@pytest.mark.parametrize("ranges", [[[1]], [[2, 1]], [["a", 1]], [5], 5, [[-1, 3]], [[0, 10**12]]])
def test_a_bad_range_leaves_out_its_answer_alone(ranges: list[list[int]]) -> None:
    """The other action still holds."""
    row = video(1, make.action("left", ranges, "side", "Attribu2"), make.action("up", [["0", 0.0]], "lift"))

    reading = make.read(row)

    assert [attribute.name for attribute in reading.row.frames[0].objects[0].attributes] == ["lift"]
    assert make.rules(reading) == ["bad_range"]


def test_an_attribute_that_is_answered_twice_is_merged_like_actions() -> None:
    """Options are united; of two texts the last wins, with a finding."""
    row = answered(
        make.answer([RED]),
        make.answer([BLUE]),
        make.answer("a", "note", "Attribu2"),
        make.answer("b", "note", "Attribu2"),
    )

    reading = make.read(row)

    assert [one.answer for one in reading.row.frames[0].objects[0].attributes] == [(RED_OPTION, BLUE_OPTION), "b"]
    assert make.rules(reading) == ["overlapping_answers"]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (["object02"], '["object02"]'),
        ([{"objectHash": "object02", "a": None}], '[{"a":null,"objectHash":"object02"}]'),
        (
            {"to": ["jane.doe@example.com", "https://bucket/x?sig=1", True]},
            '{"to":["[e-mail removed]","https://bucket/x",true]}',
        ),
        ([RED], '[{"featureHash":"OptRed01","name":"Red","value":"red"}]'),
        ("object02", "object02"),
        ([], "[]"),
    ],
)
def test_an_answer_that_calls_itself_a_relation_is_kept_raw(given: object, answer: str) -> None:
    """As the text of its JSON, without secrets; told once in a row, however many there are."""
    row = answered(make.answer(given, type="relation"), make.answer(["x"], "other", "Attribu2", type="relation"))

    reading = make.read(row)

    assert attributes(row)[0] == Attribute("Attribu1", "state", answer, kind="relation")
    assert make.rules(reading).count("relation_kept_raw") == 1
    assert set(make.rules(reading)) <= {"relation_kept_raw", "personal_data_removed"}


@pytest.mark.parametrize("given", [None, "", "null"])
def test_a_relation_without_answer_is_absent(given: object) -> None:
    """As any attribute."""
    row = answered(make.answer(given, type="relation"))

    assert attributes(row) == ()
    assert make.read(row).findings == ()


def test_a_relation_that_is_too_long_to_keep_is_left_out() -> None:
    """With a finding: cut in the middle it would be no JSON."""
    row = answered(make.answer(2000 * ["object"], type="relation"))

    assert attributes(row) == ()
    assert make.rules(make.read(row)) == ["bad_answer"]


@pytest.mark.parametrize("kind", [None, {}, [], "radio", 5])
def test_another_type_of_an_answer_means_nothing(kind: object) -> None:
    """Whatever it is: the answer is read as without it."""
    assert attributes(answered(make.answer([RED], type=kind))) == (Attribute("Attribu1", "state", (RED_OPTION,)),)


@pytest.mark.parametrize("word", ["None", "none"])
def test_none_is_a_word_that_people_answer_with(word: str) -> None:
    """As a text, and as the name of an option: elsewhere exports mean by it that there is nothing."""
    text = make.answer(word, "defects", "Defects1")
    ticked = make.answer([make.option(word, "OptNone1")], "kind", "KindAtt1")
    document = make.image_row(
        make.box(), object_answers={"object01": {"objectHash": "object01", "classifications": [text, ticked]}}
    )

    attributes = make.read(document).row.frames[0].objects[0].attributes

    assert [one.answer for one in attributes] == [word, (Option("OptNone1", word, word.lower()),)]
