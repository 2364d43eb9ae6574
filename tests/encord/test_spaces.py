"""Data groups: images, videos and slices of their spaces become frames; ids of rows without spaces stay."""

import json
from collections import Counter

import msgspec
import pytest

from encord_dagster import identity
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord import contents
from encord_dagster.encord.label_rows import RowReading
from encord_dagster.encord.model import LabelRow
from encord_dagster.formats import coco
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import Category, Fragment, classes_of, own_ids
from encord_dagster.label_set.verify import verify
from encord_dagster.validation import conservation
from tests import factories as make
from tests.factories import Json
from tests.lakes import Desk
from tests.published import coco_of

GROUP = "group-0"


def space(kind: str, labels: object, **changes: object) -> Json:
    """One space of a group, 200 x 100 pixels; a change to None removes the key."""
    base: Json = {"space_type": kind, "child_info": {"file_name": "Jane Doe.jpg"}, "width": 200, "height": 100}
    return {key: value for key, value in (base | changes | {"labels": labels}).items() if value is not None}


def video(frames: dict[int, list[Json]], **changes: object) -> Json:
    """A video of ten frames; objects by frame number."""
    labels = {str(number): make.labels(*objects) for number, objects in frames.items()}
    return space("video", labels, **({"number_of_frames": 10} | changes))


def image(*objects: Json, **changes: object) -> Json:
    """An image with objects."""
    return space("image", {"0": make.labels(*objects)}, **changes)


def stack(frames: dict[int, list[Json]], *sizes: object) -> Json:
    """A medical stack; the sizes of its slices are width and height."""
    labels = {str(number): make.labels(*objects) for number, objects in frames.items()}
    return space("medical_stack", labels, frames=list(sizes), width=None, height=None)


def group(spaces: Json, **changes: object) -> Json:
    """A row of a data group."""
    unit: Json = {"data_hash": GROUP, "data_type": "group", "data_sequence": 0, "labels": make.labels()}
    return make.row("group", [unit], spaces=spaces, **changes)


def classified(spaces: object, classification_hash: str = "classif1", **changes: object) -> Json:
    """An entry of `classification_answers` with its places in spaces."""
    entry: Json = {
        "classificationHash": classification_hash,
        "featureHash": "ClassCl1",
        "classifications": [make.answer("sunny", "weather")],
        "spaces": spaces,
    }
    return {classification_hash: entry | changes}


def places(reading: RowReading) -> list[tuple[str | None, int]]:
    """Space and number of each frame."""
    return [(frame.space, frame.number) for frame in reading.row.frames]


def given(reading: RowReading) -> dict[tuple[str | None, int], list[str]]:
    """The classification hashes by space and frame number."""
    return {
        (frame.space, frame.number): [one.classification_hash for one in frame.classifications]
        for frame in reading.row.frames
    }


def converted(row: LabelRow, ids: dict[str, int] | None = None) -> Fragment:
    """The fragment of a row, with classes numbered as they come."""
    claims = enumerate(classes_of(row).items(), start=1)
    categories: dict[str, Category] = {key: msgspec.structs.replace(one, id=n) for n, (key, one) in claims}
    return convert(row, categories, ids=ids)


def test_ids_and_keys_of_rows_without_spaces_are_what_they_were() -> None:
    """Published label sets hold these numbers."""
    assert identity.image_id("data-0", "0") == 4806545213535346
    assert identity.image_key("data-0", 3) == "3e650e018ec72a894cf415a1edd21c1b91090fff557930e439ada718f4fa1752"
    assert identity.annotation_id("row", "main", "object01", 77) == 4427171499558481

    fragment = converted(make.read(make.video_row({3: [make.box()]})).row)

    assert fragment.images[0] == (
        b'{"id":1261556171352083,"width":1280,"height":720,"file_name":"videos/video-0/3.jpg","classifications":[],'
        b'"encord":{"label_hash":"a97f86f8-3af8-478c-9280-7b80afbf5ffc","data_hash":"video-0","frame":3,'
        b'"branch_name":"main"}}'
    )
    assert b'"space"' not in fragment.annotations[0]


def test_every_space_with_pixels_gives_its_frames() -> None:
    """An image is a frame without labels too, a video only where it is labelled; spaces are ordered by name."""
    row = group(
        {
            "video-b": video({7: [make.box()], 2: []}),
            "video-a": video({7: []}),
            "sequence": space("image_sequence", {"3": make.labels(make.box())}, number_of_frames=10),
            "scan": space("medical_file", {"1": make.labels(make.box())}, number_of_frames=2),
            "front": space("image", {}),
            "back": space("image", None),
        }
    )

    reading = make.read(row)

    assert places(reading) == [
        ("back", 0),
        ("front", 0),
        ("scan", 1),
        ("sequence", 3),
        ("video-a", 7),
        ("video-b", 2),
        ("video-b", 7),
    ]
    assert {(frame.data_hash, frame.width, frame.height) for frame in reading.row.frames} == {(GROUP, 200, 100)}
    assert reading.row.objects_in == 3
    assert reading.findings == ()


def test_boxes_of_a_space_scale_by_its_own_size() -> None:
    """Not by that of the space before."""
    row = group({"a": image(make.box()), "b": image(make.box(), width="400", height=300)})

    frames = make.read(row).row.frames

    assert [str(frame.objects[0].geometry) for frame in frames] == [
        "Box(x=50.0, y=50.0, width=25.0, height=25.0)",
        "Box(x=100.0, y=150.0, width=50.0, height=75.0)",
    ]


def test_the_order_of_spaces_in_the_export_does_not_matter() -> None:
    """An export with the same content gives the same row."""
    spaces: Json = {"b": video({1: [make.box()]}), "a": image(make.point())}

    forth, back = make.read(group(spaces)), make.read(group(dict(reversed(spaces.items()))))

    assert forth.row == back.row
    assert forth.event.fingerprint == back.event.fingerprint


def test_labels_of_an_image_may_be_flat() -> None:
    """As those of image rows are."""
    row = group({"a": space("image", make.labels(make.box()))})

    assert make.read(row).row == make.read(group({"a": image(make.box())})).row


def test_images_of_one_group_are_told_apart_by_their_space() -> None:
    """The same frame number in two spaces, and in a row of the same data hash without spaces."""
    row = make.read(group({"a": video({0: [make.box()]}), "b": video({0: [make.box()]})})).row
    plain = make.read(make.changed(make.video_row({0: []}), GROUP, "data_units", "video-0", "data_hash")).row

    images = [json.loads(one) for one in converted(row).images]
    annotations = [json.loads(one) for one in converted(row).annotations]

    assert [frame.identity for frame in row.frames] == ["space:a#0", "space:b#0"]
    assert len({*(one["id"] for one in images), *(json.loads(one)["id"] for one in converted(plain).images)}) == 3
    assert len({one["id"] for one in annotations}) == 2
    assert len({one["attributes"]["track_id"] for one in annotations}) == 1  # one object seen by two cameras
    assert [one["encord"]["space"] for one in images + annotations] == ["a", "b", "a", "b"]
    assert len({identity.image_key(GROUP, 0, name) for name in (None, "a", "b")}) == 3


def test_an_id_given_to_an_image_of_a_space_is_its_own() -> None:
    """The same frame of another space keeps its plain id."""
    row = make.read(group({"a": video({0: [make.box()]}), "b": video({0: [make.box()]})})).row
    ids = {identity.image_key(GROUP, 0, "b"): 77}

    first, second = (json.loads(one) for one in converted(row, ids).images)

    assert (first["id"], second["id"]) == (identity.image_id(GROUP, "space:a#0"), 77)
    assert own_ids(row, ids | {identity.image_key(GROUP, 0): 78}) == ids


@pytest.mark.parametrize("bits", [3, 53])
def test_published_images_of_spaces_have_ids_of_their_own(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there are so few numbers that some collide."""
    monkeypatch.setattr(identity, "ID_BITS", bits)
    spaces: Json = {name: video({0: [make.box()], 1: [make.box()]}) for name in ("left", "root")}
    desk = Desk(config=LabelSetConfig(name="street", masks=False))

    desk.bring("group.json", make.encode([group(spaces)]))

    document = coco_of(desk)
    for kind in ("images", "annotations"):
        assert len({one["id"] for one in document[kind]}) == len(document[kind]) == 4
    assert bool(desk.label_set().version().root.id_overrides) == (bits == 3)
    images = desk.label_set().version().table("images").to_pylist()
    assert {(one["space"], one["frame"], one["image_id"]) for one in images} == {
        (one["encord"]["space"], one["encord"]["frame"], one["id"]) for one in document["images"]
    }
    assert verify(desk.lake, "street").problems == []


@pytest.mark.parametrize("key", ["cameras/jane.doe@example.com.mp4", "../../x", "", "a b", "x" * 65])
def test_a_space_id_that_is_no_hash_is_published_as_its_digest(key: str) -> None:
    """It may be a path or hold a name; the digest is the same in every export."""
    row = make.read(group({key: video({4: [make.box()]})})).row

    (frame,) = row.frames
    assert frame.space is not None
    assert frame.space.startswith("~")
    assert len(frame.space) == 33
    published = b"".join(converted(row).images + converted(row).annotations)
    assert b"jane" not in published
    assert f"groups/group-0/{frame.space}/4.jpg".encode() in published
    assert make.read(group({key: video({4: []}), "other": image()})).row.frames[-1].space == frame.space


def test_answers_reach_a_space_whose_id_is_no_hash() -> None:
    """They name it by the id that the export has."""
    key = "path/to/a video.mp4"
    action = make.answer("moving", dynamic=True, range=[[0, 9]], spaceId=key)
    row = group(
        {key: video({1: [make.box()]})},
        classification_answers=classified({key: {"range": [[1, 1]], "type": "frame"}}),
        object_actions={"object01": {"objectHash": "object01", "actions": [action]}},
    )

    (frame,) = make.read(row).row.frames

    assert [one.classification_hash for one in frame.classifications] == ["classif1"]
    assert [one.answer for one in frame.objects[0].attributes] == ["moving"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("image", "groups/group-0/a%2Fb"),
        ("video", "groups/group-0/a%2Fb/4.jpg"),
        ("image_sequence", "groups/group-0/a%2Fb/4.jpg"),
        ("medical_file", "groups/group-0/a%2Fb/4"),
    ],
)
def test_files_of_a_group_lie_under_group_and_space(kind: str, name: str) -> None:
    """An image has no extension: what kind it is the export says only in its file name, which may be personal."""
    number = "0" if kind == "image" else "4"
    row = make.read(group({"a/b": space(kind, {number: make.labels()})})).row

    made = coco.image(row.frames[0], row)

    assert made is not None
    assert made.file_name == name


def test_slices_of_a_stack_have_the_sizes_of_their_places() -> None:
    """Sizes may come as text; a slice that `frames` does not hold has none, and its objects are quarantined."""
    row = group(
        {"a": stack({1: [make.box()], 2: [make.box()]}, {"width": 1, "height": 1}, {"width": "40", "height": 20})}
    )

    reading = make.read(row)

    assert [(frame.number, frame.width, frame.height) for frame in reading.row.frames] == [(1, 40, 20), (2, None, None)]
    assert make.rules(reading) == ["frame_beyond_video", "no_frame_size"]
    assert conservation(reading.row) is None


@pytest.mark.parametrize("frames", [5, [5], [{"width": []}]])
def test_sizes_of_a_stack_that_cannot_be_read_are_told(frames: object) -> None:
    """Its objects are quarantined, those of other spaces are not."""
    broken = space("medical_stack", {"0": make.labels(make.box())}, frames=frames, width=None, height=None)

    reading = make.read(group({"a": broken, "b": image(make.box())}))

    assert make.rules(reading) == ["bad_frame_size", "no_frame_size"]
    assert [len(frame.objects) for frame in reading.row.frames] == [0, 1]


def test_a_slice_of_a_space_scales_by_its_own_metadata() -> None:
    """Where it has any; it stays known by its space, since one series can be in two."""
    slices = {"0": make.dicom_slice(make.box(), uid="1.2.3", width=300, height=400)}
    spaces: Json = {name: space("medical_file", slices, number_of_frames=1) for name in ("a", "b")}

    frames = make.read(group(spaces)).row.frames

    assert [(frame.width, frame.height, frame.identity) for frame in frames] == [
        (300, 400, "space:a#0"),
        (300, 400, "space:b#0"),
    ]


@pytest.mark.parametrize(
    "kind", ["audio", "text", "html", "pdf", "point_cloud", "scene_image", "time_series", "hologram", None]
)
def test_objects_of_spaces_without_pixels_are_counted(kind: str | None) -> None:
    """Flat or by frame, whatever the kind; a group of nothing else has no frames."""
    labels = make.labels(make.box(), make.circle())
    row = group({"a": space(str(kind), labels), "b": space(str(kind), {"3": labels, "stream#4": labels})})
    if kind is None:
        row = make.changed(row, ..., "spaces", "a", "space_type")

    reading = make.read(row)

    assert reading.row.frames == ()
    assert [one.reason for one in reading.row.excluded] == 6 * ["unsupported_modality"]
    assert [one.location.frame for one in reading.row.excluded] == [None, None, 3, 3, None, None]
    assert conservation(reading.row) is None
    assert reading.findings == ()


@pytest.mark.parametrize("spaces", [{}, None, []])
def test_a_group_without_spaces_has_no_frames(spaces: object) -> None:
    """It is a row all the same; objects beside its spaces are counted."""
    row = make.changed(group({}), spaces, "spaces")
    row = make.changed(row, make.labels(make.box()), "data_units", GROUP, "labels")

    reading = make.read(row)

    assert (reading.row.frames, reading.row.objects_in) == ((), 1)
    assert [one.reason for one in reading.row.excluded] == ["unsupported_modality"]


def test_an_object_of_two_sounds_is_counted_once() -> None:
    """It lies in `object_answers` alone, with its ranges in both spaces."""
    ranges = {name: {"range": [[100, 200]], "type": "frame"} for name in ("audio-1", "audio-2")}
    html = {"page": {"range": [{"start": {"xpath": "a", "offset": 1}, "end": {}}], "type": "html"}}
    answers: Json = {
        "speaker1": make.entry("audio", {}, "speaker1") | {"range": [], "spaces": ranges},
        "quote1": make.entry("text", {}, "quote1") | {"range": [], "spaces": html},
        "object01": {"objectHash": "object01", "classifications": []},
    }
    row = group({"audio-1": space("audio", {}), "b": image(make.box())}, object_answers=answers)

    reading = make.read(row)

    assert reading.row.objects_in == 3
    assert [(one.reason, one.shape, one.location.object) for one in reading.row.excluded] == [
        ("unsupported_modality", "audio", "speaker1"),
        ("unsupported_modality", "text", "quote1"),
    ]
    assert reading.findings == ()


def test_spaces_of_other_rows_are_counted_not_converted() -> None:
    """What they show of the row's own image or scene the export does not say."""
    for data_type in ("image", "scene", "hologram"):
        row = make.changed(
            make.image_row(spaces={"a": image(make.box()), "b": video({1: [make.box()]})}), data_type, "data_type"
        )

        reading = make.read(row)

        assert Counter(one.reason for one in reading.row.excluded) == {"unsupported_modality": 2}
        assert all(frame.space is None for frame in reading.row.frames)


def test_a_deleted_group_is_a_tombstone() -> None:
    """Its objects are counted as deleted, also without data units."""
    row = make.changed(group({"a": image(make.box()), "b": video({1: [make.box()]})}), "deleted", "data_type")

    for found in (make.read(row), make.read(make.changed(row, ..., "data_units"))):
        assert found.row.deleted
        assert found.row.frames == ()
        assert [one.reason for one in found.row.excluded] == ["deleted", "deleted"]


def test_frames_and_ranges_beyond_a_space_are_told() -> None:
    """Ten frames end at frame 9; what is labelled stays, what is ranged ends there."""
    row = group(
        {"a": video({10: [make.box()]})},
        classification_answers=classified({"a": {"range": [[8, 20]], "type": "frame"}}),
    )

    reading = make.read(row)

    assert given(reading) == {("a", 8): ["classif1"], ("a", 9): ["classif1"], ("a", 10): []}
    assert make.rules(reading) == ["frame_beyond_video", "range_outside"]


def test_a_space_of_unknown_length_has_no_end() -> None:
    """`number_of_frames` may be missing or no number."""
    for count in (None, "many", 0, -1):
        assert make.read(group({"a": video({5000: [make.box()]}, number_of_frames=count)})).findings == ()


@pytest.mark.parametrize("bad", [5, {"space_type": ["image"]}, {"space_type": "image", "width": {}}])
def test_a_space_that_cannot_be_opened_refuses_the_row(bad: object) -> None:
    """Nobody knows what it holds."""
    with pytest.raises(Exception, match="an entry of `spaces` cannot be read"):
        make.read(group({"a": bad}))


def test_a_space_without_a_size_quarantines_its_objects() -> None:
    """Fractions of an unknown size are not pixels."""
    reading = make.read(group({"a": image(make.box(), width=None), "b": image(make.box(), height=0)}))

    assert make.rules(reading) == ["bad_frame_size", "no_frame_size", "no_frame_size"]
    assert [frame.objects for frame in reading.row.frames] == [(), ()]


def test_a_dynamic_answer_holds_in_its_own_space() -> None:
    """One without a space holds in all whose frames match; the last in the list wins."""
    actions = [
        make.answer("everywhere", "state", "Attribu1", dynamic=True, range=[[0, 1]]),
        make.answer("left", "state", "Attribu1", dynamic=True, range=[[1, 1]], spaceId="left"),
        make.answer("right", "side", "Attribu2", dynamic=True, range=[[0, 0]], spaceId="right"),
    ]
    frames = {0: [make.box()], 1: [make.box()]}
    row = group(
        {"left": video(frames), "right": video(frames)},
        object_actions={"object01": {"objectHash": "object01", "actions": actions}},
    )

    reading = make.read(row)

    found = {
        (frame.space, frame.number): [one.answer for one in frame.objects[0].attributes] for frame in reading.row.frames
    }
    assert found == {
        ("left", 0): ["everywhere"],
        ("left", 1): ["left"],
        ("right", 0): ["everywhere", "right"],
        ("right", 1): ["everywhere"],
    }
    assert make.rules(reading) == ["overlapping_answers"]


def test_bad_dynamic_answers_of_a_group_are_told_once() -> None:
    """Not once in each space; the good one stays."""
    actions = [
        make.answer("here", dynamic=True, range=[[0, 0]]),
        make.answer("nowhere", dynamic=True, range=[[0, 0]], spaceId=["a"]),
        5,
    ]
    row = group(
        {"a": image(make.box()), "b": image(make.box(), make.point())},
        object_actions={
            "object01": {"objectHash": "object01", "actions": actions},
            "object05": {"objectHash": "object05", "actions": 5},
        },
    )

    reading = make.read(row)

    assert [[one.answer for one in frame.objects[0].attributes] for frame in reading.row.frames] == [["here"], ["here"]]
    assert make.rules(reading) == 3 * ["bad_answer"]


def test_static_answers_hold_in_every_space() -> None:
    """And are read once."""
    bad = {"name": "state", "answers": "parked"}
    answers = {"object01": {"objectHash": "object01", "classifications": [make.answer("parked"), bad]}}
    row = group({"a": image(make.box()), "b": image(make.box())}, object_answers=answers)

    reading = make.read(row)

    assert [[one.answer for one in frame.objects[0].attributes] for frame in reading.row.frames] == 2 * [["parked"]]
    assert make.rules(reading) == ["bad_answer"]


def test_a_classification_lies_where_frames_list_it_and_where_its_ranges_are() -> None:
    """The same hash in two spaces is one classification; ranges make frames."""
    listed = make.labels(classifications=[make.classification()])
    row = group(
        {"a": space("video", {"0": listed}, number_of_frames=10), "b": video({})},
        classification_answers=classified({name: {"range": [[0, 1]], "type": "frame"} for name in ("a", "b")}),
    )

    reading = make.read(row)

    assert given(reading) == {(name, number): ["classif1"] for name in ("a", "b") for number in (0, 1)}
    assert {one.name for frame in reading.row.frames for one in frame.classifications} == {"weather"}
    assert reading.row.classifications == ()
    assert reading.findings == ()


def test_an_empty_range_in_a_space_means_all_of_it() -> None:
    """Every frame of that space, and nothing of the others."""
    row = group(
        {"a": video({0: [], 3: [make.box()]}), "b": image(), "c": image()},
        classification_answers=classified({"a": {"range": []}, "b": {"range": []}}, range=[]),
    )

    reading = make.read(row)

    assert given(reading) == {("a", 0): ["classif1"], ("a", 3): ["classif1"], ("b", 0): ["classif1"], ("c", 0): []}
    assert reading.row.classifications == ()
    assert reading.findings == ()


def test_a_classification_of_the_whole_group_stays_one() -> None:
    """`range` empty, `spaces` empty."""
    reading = make.read(group({"a": image()}, classification_answers=classified({}, range=[])))

    assert given(reading) == {("a", 0): []}
    assert [one.classification_hash for one in reading.row.classifications] == ["classif1"]


def test_a_range_without_a_space_is_of_the_root() -> None:
    """Layers over one image: the space `root` is the group's own image."""
    row = group({"root": image(make.box()), "layer": image()}, classification_answers=classified({}, range=[[0, 0]]))

    assert given(make.read(row)) == {("layer", 0): [], ("root", 0): ["classif1"]}
    assert make.read(row).findings == ()


@pytest.mark.parametrize(
    ("answers", "rules"),
    [
        (classified({"sound": {"range": []}}), ["not_placed"]),
        (classified({"sound": {"range": [[0, 5]]}, "a": {"range": [[1, 1]]}}), ["not_placed"]),
        (classified({"gone": {"range": [[0, 5]]}}), ["not_placed"]),
        (classified({"unlabelled": {"range": []}}, range=[]), ["not_placed"]),
        (classified({"a": {}}), ["not_placed"]),
        (classified({}, range=[[0, 0]]), ["not_placed"]),
        (classified({}), ["not_placed"]),
        (classified({"a": 5}), ["bad_range", "not_placed"]),
        (classified({"a": {"range": [["first", 1]]}}), ["bad_range", "not_placed"]),
        (classified(5), ["bad_classification"]),
    ],
)
def test_a_classification_without_a_converted_place_is_told(answers: Json, rules: list[str]) -> None:
    """Of sound, of a space that the row does not have, of a video without frames, without a readable range."""
    spaces: Json = {"a": video({1: [make.box()]}), "sound": space("audio", {}), "unlabelled": video({})}

    reading = make.read(group(spaces, classification_answers=answers))

    assert make.rules(reading) == rules
    assert reading.row.classifications == ()


def test_a_group_of_images_only_has_orphans() -> None:
    """Where all spaces are converted, a classification on no frame is on nothing."""
    reading = make.read(group({"a": image()}, classification_answers=classified({})))

    assert make.rules(reading) == ["orphan_answer"]


@pytest.mark.parametrize("limit", ["MOST_MADE", "MOST_RANGED"])
def test_ranges_of_all_spaces_count_together(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row cannot fill the memory by having many spaces."""
    spaces: Json = {name: video({}) for name in ("a", "b")}
    ranges = {name: {"range": [[0, 5]], "type": "frame"} for name in spaces}
    row = group(spaces, classification_answers=classified(ranges))

    monkeypatch.setattr(contents, limit, 12)
    assert len(make.read(row).row.frames) == 12

    monkeypatch.setattr(contents, limit, 11)
    with pytest.raises(Exception, match="more than 11 frames"):
        make.read(row)


def test_every_frame_of_a_group_is_in_the_tables() -> None:
    """With its space, which is null for other rows."""
    desk = Desk(config=LabelSetConfig(name="street"))

    desk.bring("group.json", make.encode([group({"a": image(make.box()), "b": video({3: [make.box()]})})]))
    desk.bring("image.json", make.encode([make.image_row(make.box(), label_hash="other-row")]))

    images = desk.label_set().version().table("images").to_pylist()
    assert {(one["data_type"], one["space"], one["frame"]) for one in images} == {
        ("group", "a", 0),
        ("group", "b", 3),
        ("image", None, 0),
    }
    assert desk.label_set().version().root.images == 3
    assert verify(desk.lake, "street").problems == []


def test_findings_of_a_group_name_the_space() -> None:
    """Two members have a frame 0 each: what is wrong with one of them is told of that one, to the table and back."""
    bad: Json = {
        "a": image(make.box(w=0, object_hash="badbox01")),
        "b": image(make.point(x=1.01, object_hash="outside1")),
    }
    row = group(bad | {"c": video({0: [], 3: [make.box(object_hash="goodbox1")]})})
    wanted = {
        ("empty_box", "a", 0, "badbox01"),
        ("coordinate_clipped", "b", 0, "outside1"),
        ("unlabelled_frame", "c", 0, None),
    }
    desk = Desk(config=LabelSetConfig(name="street", masks=False))

    (outcome,) = desk.bring("group.json", make.encode([row])).outcomes

    told = {(one.rule, one.location.space, one.location.frame, one.location.object) for one in outcome.findings}
    assert told >= wanted
    table = desk.label_set().version().table("findings").to_pylist()
    assert {tuple(one[key] for key in ("rule", "space", "frame", "object_hash")) for one in table} >= wanted
    texts = [str(one.location) for one in outcome.findings if one.rule == "unlabelled_frame"]
    assert texts == ["row " + str(row["label_hash"]) + " unit group-0 space c frame 0"]


def test_a_range_that_is_too_long_is_told_of_its_own_space() -> None:
    """The second of two videos is the short one."""
    spaces: Json = {"a": video({}), "b": video({}, number_of_frames=3)}
    ranges = {name: {"range": [[0, 5]], "type": "frame"} for name in spaces}

    reading = make.read(group(spaces, classification_answers=classified(ranges)))

    assert [(one.rule, one.location.space) for one in reading.findings] == [("range_outside", "b")]
