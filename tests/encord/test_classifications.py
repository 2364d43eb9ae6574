"""Classifications in both encodings: frames that list them, and ranges in their answers."""

import pytest

from encord_dagster.encord import contents
from encord_dagster.encord.model import Classification
from tests import factories as make
from tests.factories import Json


def answers(classification_hash: str = "classif1", text: str = "sunny", **changes: object) -> Json:
    """An entry of `classification_answers` by its hash."""
    base: Json = {
        "classificationHash": classification_hash,
        "classifications": [make.answer(text, "weather")],
    }
    return {classification_hash: base | changes}


def on_frames(row: Json) -> dict[int, list[str]]:
    """The classification hashes by frame number."""
    frames = make.read(row).row.frames
    return {frame.number: [one.classification_hash for one in frame.classifications] for frame in frames}


def test_a_frame_lists_its_classifications() -> None:
    """The encoding through 2025: entry on the frame, answers beside."""
    row = make.image_row(classifications=[make.classification(confidence=0.5)], classification_answers=answers())

    reading = make.read(row)

    (found,) = reading.row.frames[0].classifications
    assert (found.classification_hash, found.feature_hash, found.name) == ("classif1", "ClassCl1", "weather")
    assert (found.confidence, found.manual) == (0.5, True)
    assert [attribute.answer for attribute in found.attributes] == ["sunny"]
    assert reading.row.classifications == ()
    assert reading.findings == ()


def test_a_range_places_a_classification_and_makes_frames() -> None:
    """The encoding since 2026 has no entries on frames."""
    row = make.video_row({2: [make.box()]}, classification_answers=answers(range=[[1, 3]], featureHash="ClassCl1"))

    reading = make.read(row)

    assert on_frames(row) == {1: ["classif1"], 2: ["classif1"], 3: ["classif1"]}
    found: Classification = reading.row.frames[0].classifications[0]
    assert (found.feature_hash, found.name) == ("ClassCl1", "weather")
    assert [frame.width for frame in reading.row.frames] == [1280, 1280, 1280]
    assert reading.findings == ()


def test_both_encodings_are_united() -> None:
    """A frame that lists a classification which its range holds too has it once."""
    row = make.video_row({0: [], 1: []}, classification_answers=answers(range=[[1, 2]]))
    listed = make.labels(classifications=[make.classification()])
    row = make.changed(
        make.changed(row, listed, "data_units", "video-0", "labels", "0"),
        listed,
        "data_units",
        "video-0",
        "labels",
        "1",
    )

    assert on_frames(row) == {0: ["classif1"], 1: ["classif1"], 2: ["classif1"]}


def test_a_range_of_a_group_reaches_its_images_only() -> None:
    """No image is invented."""
    row = make.group_row([], [], classification_answers=answers(range=[[0, 5]]))

    assert on_frames(row) == {0: ["classif1"], 1: ["classif1"]}
    assert make.rules(make.read(row)) == ["range_outside"]


def test_a_range_beyond_a_video_ends_with_it() -> None:
    """10 seconds at 25 frames a second."""
    row = make.video_row({}, classification_answers=answers(range=[[249, 10**9]]))

    assert list(on_frames(row)) == [249, 250]
    assert make.rules(make.read(row)) == ["range_outside"]


def test_ranges_that_name_too_many_frames_refuse_the_row() -> None:
    """A typing error must not fill the memory; a series and a video without a rate do not say where they end."""
    video = make.changed(make.video_row({}), None, "data_units", "video-0", "data_fps")
    for row, last, limit in ((make.nifti_row({}), 10**9, "400000 frames"), (video, 120_000, "120000 frames that have")):
        with pytest.raises(Exception, match=f"more than {limit}"):
            make.read(row | {"classification_answers": answers(range=[[0, last]])})


def test_frames_that_have_labels_do_not_count_as_made_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on what a few bytes can make."""
    monkeypatch.setattr(contents, "MOST_MADE", 1)
    row = make.video_row({0: [], 1: [], 2: []}, classification_answers=answers(range=[[0, 3]]))

    assert list(on_frames(row)) == [0, 1, 2, 3]


def test_a_range_over_a_hundred_thousand_frames_makes_them_all() -> None:
    """About an hour of video."""
    row = make.changed(make.video_row({}), 4000, "data_units", "video-0", "data_duration")

    reading = make.read(row | {"classification_answers": answers(range=[[0, 99_999]])})

    assert len(reading.row.frames) == 100_000
    assert reading.findings == ()


@pytest.mark.parametrize("ranges", ["all", [["first", 2]], [[2, 1]], [{"start": 0, "end": 1}], 5])
def test_a_range_that_cannot_be_read_is_not_the_whole_asset(ranges: object) -> None:
    """Only an empty one is."""
    reading = make.read(make.video_row({0: []}, classification_answers=answers(range=ranges)))

    assert reading.row.classifications == ()
    assert reading.row.frames[0].classifications == ()
    assert make.rules(reading) == ["bad_range", "orphan_answer"]


def test_an_empty_range_may_be_an_empty_object() -> None:
    """Some writers say `{}` for an empty list."""
    row = make.changed(make.video_row({}), answers(range={}), "classification_answers")

    assert [one.classification_hash for one in make.read(row).row.classifications] == ["classif1"]


@pytest.mark.parametrize("data_type", ["audio", "plain_text", "html", "pdf", "scene"])
def test_a_range_of_sound_or_text_is_a_part_that_is_not_converted(data_type: str) -> None:
    """Milliseconds, characters and pages are no frames of pixels."""
    row = make.changed(make.audio_row(classification_answers=answers(range=[[100, 200]])), data_type, "data_type")

    reading = make.read(row)

    assert (reading.row.frames, reading.row.classifications) == ((), ())
    assert make.rules(reading) == ["not_placed"]


def test_a_classification_on_a_frame_and_in_a_space_elsewhere_is_kept_and_told() -> None:
    """The frame has it; the space is not converted."""
    row = make.image_row(
        classifications=[make.classification()],
        classification_answers=answers(spaces={"sound": {"range": []}}),
    )

    assert on_frames(row) == {0: ["classif1"]}
    assert make.rules(make.read(row)) == ["not_placed"]


def test_an_empty_range_means_the_whole_asset() -> None:
    """Global classifications, and those of audio."""
    video = make.video_row({}, classification_answers=answers(range=[], featureHash="ClassCl1"))
    audio = make.audio_row(classification_answers=answers(range=[]))

    found = [make.read(row) for row in (video, audio)]

    assert [[one.classification_hash for one in reading.row.classifications] for reading in found] == 2 * [["classif1"]]
    assert [reading.findings for reading in found] == [(), ()]


def test_answers_without_a_place_are_told() -> None:
    """An orphan on frames; a part of an asset that is not converted."""
    orphan = make.read(make.image_row(classification_answers=answers()))
    part = make.read(make.audio_row(classification_answers=answers(range=[], spaces={"audio-1": {"range": []}})))

    assert (make.rules(orphan), make.rules(part)) == (["orphan_answer"], ["not_placed"])
    assert (orphan.row.classifications, part.row.classifications) == ((), ())


def test_a_classification_without_answers_is_kept_and_told_once() -> None:
    """On two frames of a video, one finding."""
    listed = make.labels(classifications=[make.classification()])
    row = make.changed(make.video_row({}), {"0": listed, "1": listed}, "data_units", "video-0", "labels")

    reading = make.read(row)

    assert on_frames(row) == {0: ["classif1"], 1: ["classif1"]}
    assert make.rules(reading) == ["no_answer"]


def test_the_feature_hash_comes_from_wherever_it_stands() -> None:
    """In answers of 2023 it is missing, on frames of 2026 too."""
    entry = make.classification() | {"featureHash": None}
    row = make.image_row(classifications=[entry], classification_answers=answers(featureHash="ClassCl9"))

    assert make.read(row).row.frames[0].classifications[0].feature_hash == "ClassCl9"


@pytest.mark.parametrize("bad", [5, make.classification("no hash"), make.classification() | {"name": []}])
def test_a_bad_classification_stops_only_itself(bad: Json) -> None:
    """The other one on the frame stays."""
    row = make.image_row(
        classifications=[bad, make.classification("classif2")], classification_answers=answers("classif2")
    )

    assert on_frames(row) == {0: ["classif2"]}
    assert make.rules(make.read(row)) == ["bad_classification"]


@pytest.mark.parametrize("bad", [{"no hash": {}}, {"classif3": 5}])
def test_a_bad_entry_of_answers_stops_only_itself(bad: Json) -> None:
    """The other one stays."""
    row = make.image_row(classification_answers=answers(range=[[0, 0]]) | bad)

    assert on_frames(row) == {0: ["classif1"]}
    assert make.rules(make.read(row)) == ["bad_classification"]


def test_a_classification_twice_on_a_frame_is_kept_once() -> None:
    """With a finding."""
    twice = [make.classification(), make.classification(name="climate")]
    row = make.image_row(classifications=twice, classification_answers=answers())

    reading = make.read(row)

    assert [one.name for one in reading.row.frames[0].classifications] == ["climate"]
    assert make.rules(reading) == ["duplicate_classification"]
