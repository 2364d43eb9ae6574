"""Rows of every data type: which frames they give, and where each object ends."""

import pickle  # noqa: TID251  # to prove that the error survives a process boundary
from collections import Counter
from typing import Any

import pytest

from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import UnusableRow, read_row
from encord_dagster.errors import RowError
from encord_dagster.validation import conservation
from tests import factories as make
from tests.factories import Json

UNIT = ("data_units", "data-0")


def refused(row: Json) -> UnusableRow:
    """The error of a row that cannot be used."""
    with pytest.raises(RowError) as caught:
        make.read(row)
    assert isinstance(caught.value, UnusableRow)
    return caught.value


def test_an_image_is_one_frame_with_its_objects_in_document_order() -> None:
    """The row's identity, state and size arrive with it."""
    row = make.image_row(make.box(), make.point(), workflow_graph_node={"uuid": "1", "title": "Review 1"})

    reading = make.read(row)

    (frame,) = reading.row.frames
    assert [instance.object_hash for instance in frame.objects] == ["object01", "object05"]
    assert (frame.data_hash, frame.number, frame.identity) == ("data-0", 0, "0")
    assert (frame.mime_type, frame.width, frame.height) == ("image/jpeg", 1280, 720)
    assert (reading.row.data_type, reading.row.branch_name) == ("image", "main")
    assert (reading.row.label_status, reading.row.annotation_task_status) == ("LABELLED", "QUEUED")
    assert reading.row.workflow_node == "Review 1"
    assert reading.findings == ()


def test_an_image_without_labels_is_a_frame() -> None:
    """Negatives are kept; `labels` may be an empty object."""
    layouts: list[object] = [{}, [], None, {"objects": {}, "classifications": None}]
    for found in layouts:
        reading = make.read(make.changed(make.image_row(), found, *UNIT, "labels"))

        assert [frame.objects for frame in reading.row.frames] == [()]
        assert reading.row.objects_in == 0


@pytest.mark.parametrize("key", ["0", "3"])
def test_both_layouts_of_labels_give_the_same_frame(key: str) -> None:
    """Labels of an image keyed by frame, as the 2023 documentation shows them, are not lost."""
    flat = make.changed(make.image_row(make.box()), 3, *UNIT, "data_sequence")
    keyed = make.changed(flat, {key: make.labels(make.box())}, *UNIT, "labels")

    assert make.read(keyed).row.frames == make.read(flat).row.frames
    assert make.read(flat).row.frames[0].number == 3


def test_a_single_image_may_have_labels_keyed_by_frame_only() -> None:
    """No `objects` beside the keys, and its frame may be without labels."""
    row = make.changed(make.image_row(), {"0": {}}, *UNIT, "labels")

    reading = make.read(row)

    assert [frame.objects for frame in reading.row.frames] == [()]
    assert reading.findings == ()


def test_the_data_hash_of_a_unit_may_be_its_key_alone() -> None:
    """Units of old rows do not repeat it."""
    row = make.changed(make.image_row(make.box()), ..., *UNIT, "data_hash")

    assert make.read(row).row == make.read(make.image_row(make.box())).row


def test_an_image_with_labels_under_another_frame_keeps_them() -> None:
    """All labels of an image lie on its only frame, with a finding."""
    row = make.changed(
        make.image_row(), {"0": make.labels(make.box()), "7": make.labels(make.point())}, *UNIT, "labels"
    )

    reading = make.read(row)

    assert len(reading.row.frames[0].objects) == 2
    assert make.rules(reading) == ["unexpected_frame"]


def test_the_frames_of_a_group_are_its_images_by_data_sequence() -> None:
    """Sequences come as numbers or as text, in any order; an image without objects stays."""
    row = make.group_row([make.box()], [], [make.point()])
    row = make.changed(row, "10", "data_units", "data-0", "data_sequence")

    reading = make.read(make.changed(row, "image_group", "data_type"))

    assert [(frame.data_hash, frame.number) for frame in reading.row.frames] == [
        ("data-1", 1),
        ("data-2", 2),
        ("data-0", 10),
    ]
    assert [len(frame.objects) for frame in reading.row.frames] == [0, 1, 1]
    assert reading.row.data_type == "img_group"
    assert reading.row.is_image_sequence is False


def test_the_data_units_may_be_a_list() -> None:
    """A list is taken by the data hashes of its entries."""
    row = make.group_row([make.box()], [make.point()])
    listed = make.changed(row, list(row["data_units"].values()), "data_units")  # type: ignore[attr-defined]  # JSON

    assert make.read(listed).row == make.read(row).row


def test_the_frames_of_a_video_are_those_with_labels() -> None:
    """Frame numbers are sorted as numbers, and one object hash on several frames is one track."""
    reading = make.read(make.video_row({10: [make.box()], 2: [make.box()], 100: []}))

    assert [frame.number for frame in reading.row.frames] == [2, 10, 100]
    assert [frame.identity for frame in reading.row.frames] == ["2", "10", "100"]
    assert reading.row.objects_in == 2
    assert reading.findings == ()


def test_a_frame_beyond_the_video_is_told() -> None:
    """10 seconds at 25 frames a second end by frame 250."""
    reading = make.read(make.video_row({250: [], 251: [make.box()]}))

    assert [(finding.rule, finding.location.frame) for finding in reading.findings] == [("frame_beyond_video", 251)]
    assert len(reading.row.frames) == 2


def test_a_slice_scales_by_its_own_size_and_is_named_by_its_instance() -> None:
    """A series of 1280 x 720 with one slice of 300 x 400, given as text."""
    row = make.dicom_row(
        {
            0: make.dicom_slice(make.box(), uid="1.2.3", width="300", height=400),
            1: make.dicom_slice(make.box(), uid="1.2.3", multiframe=7),
            2: make.labels(make.box()),
            3: make.labels(make.box(), metadata=None),
        }
    )

    reading = make.read(row)

    assert [frame.identity for frame in reading.row.frames] == ["sop:1.2.3#-", "sop:1.2.3#7", "2", "3"]
    assert [(frame.width, frame.height) for frame in reading.row.frames] == [(300, 400)] + 3 * [(1280, 720)]
    first = reading.row.frames[0].objects[0].geometry
    assert first == make.read(scaled(300, 400)).row.frames[0].objects[0].geometry
    assert reading.findings == ()


def scaled(width: int, height: int) -> Json:
    """A row of one image of another size."""
    row = make.changed(make.image_row(make.box()), width, *UNIT, "width")
    return make.changed(row, height, *UNIT, "height")


@pytest.mark.parametrize(
    "second",
    [
        make.dicom_slice(uid="1.2.3"),  # the same instance as the first
        make.dicom_slice(uid="jane doe"),
        make.dicom_slice(uid=17),
        make.dicom_slice(uid="1.2.4", multiframe="first"),
        make.labels(metadata="none"),
    ],
)
def test_a_slice_with_unusable_metadata_is_named_by_its_number(second: Json) -> None:
    """Two images never share an identity."""
    reading = make.read(make.dicom_row({0: make.dicom_slice(uid="1.2.3"), 1: second}))

    assert [frame.identity for frame in reading.row.frames] == ["sop:1.2.3#-", "1"]
    assert make.rules(reading) == ["bad_slice"]


def test_a_volume_is_its_labelled_slices() -> None:
    """NIfTI has no metadata of slices: the unit's size counts."""
    reading = make.read(make.nifti_row({127: [make.box()]}, branch_name=None))

    assert [(frame.number, frame.identity, frame.width) for frame in reading.row.frames] == [(127, "127", 1280)]
    assert reading.event.branch_name == "main"


def test_deleted_objects_are_excluded_and_not_forgotten() -> None:
    """`isDeleted` may be a word."""
    row = make.image_row(make.box(isDeleted=True), make.point(isDeleted="true"), make.polyline(isDeleted=False))

    reading = make.read(row)

    assert [one.reason for one in reading.row.excluded] == ["deleted", "deleted"]
    assert [one.location.object for one in reading.row.excluded] == ["object01", "object05"]
    assert len(reading.row.frames[0].objects) == 1
    assert conservation(reading.row) is None


def test_of_two_objects_with_one_hash_the_last_is_kept() -> None:
    """On one frame only; on the next frame the hash means the same track."""
    row = make.video_row({0: [make.box(x=0.1), make.point(), make.box(x=0.2)], 1: [make.box(x=0.3)]})

    reading = make.read(row)

    assert [one.reason for one in reading.row.excluded] == ["duplicate"]
    assert make.rules(reading) == ["duplicate_object"]
    kept = [instance.object_hash for instance in reading.row.frames[0].objects]
    assert kept == ["object05", "object01"]
    assert (
        reading.row.frames[0].objects[1].geometry
        == make.read(make.image_row(make.box(x=0.2))).row.frames[0].objects[0].geometry
    )


@pytest.mark.parametrize("shape", ["cuboid_2d", "cuboid", "segmentation", "audio", "text", "time_range", "hologram"])
def test_an_unsupported_shape_is_excluded_by_name(shape: str) -> None:
    """Never a crash and never a silence."""
    reading = make.read(make.image_row(make.entry(shape, {shape: {"x": 0.5}}, "object99"), make.box()))

    (excluded,) = reading.row.excluded
    assert (excluded.reason, excluded.shape, excluded.feature_hash) == ("unsupported_shape", shape, "OtherCl1")
    assert len(reading.row.frames[0].objects) == 1


def test_an_object_without_a_frame_size_is_quarantined() -> None:
    """Fractions of an unknown size are not pixels; the frame itself stays."""
    reading = make.read(make.changed(make.image_row(make.box(), make.cuboid()), "wide", *UNIT, "width"))

    assert make.rules(reading) == ["bad_frame_size", "no_frame_size"]
    assert (reading.row.frames[0].width, reading.row.frames[0].height) == (None, 720)
    assert conservation(reading.row) is None


def test_objects_of_audio_are_excluded_as_another_modality() -> None:
    """They live in `object_answers` alone."""
    reading = make.read(make.audio_row(make.entry("audio", {}), make.entry("audio", {}, "object02")))

    assert (reading.row.frames, reading.row.objects_in) == ((), 2)
    assert [one.reason for one in reading.row.excluded] == 2 * ["unsupported_modality"]
    assert reading.findings == ()


def test_objects_of_pages_spaces_and_unknown_types_are_excluded_as_another_modality() -> None:
    """Whatever holds `objects` is counted."""
    page = make.row("pdf", [make.unit("pdf-0", "application/pdf", {"0": make.labels(make.box())}, width=0, height=0)])
    space = make.changed(
        make.image_row(), {"a/b.pcd": {"space_type": "image", "labels": make.labels(make.box())}}, "spaces"
    )
    unknown = make.changed(make.image_row(make.box()), "hologram", "data_type")

    found = [make.read(row) for row in (page, space, unknown)]

    assert [Counter(one.reason for one in reading.row.excluded) for reading in found] == 3 * [
        {"unsupported_modality": 1}
    ]
    assert [make.rules(reading) for reading in found] == [[], [], ["unknown_data_type"]]


@pytest.mark.parametrize(
    "labels",
    [
        {"20": make.labels(make.box()), "21": make.labels(make.point())},
        {"20": make.labels(make.box(), make.point(event="delete"))},
        {"lidar#1754000000000000000": make.labels(make.box(event="upsert"), make.point(event="delete"))},
        make.labels(make.box(), make.point()),
        {"objects": {"0": make.box(), "1": make.point()}},
        make.labels(make.box()) | {"7": make.labels(make.point())},
        [make.labels(make.box()), make.labels(make.point())],
    ],
)
@pytest.mark.parametrize("data_type", ["scene", "pdf", "hologram"])
def test_objects_of_any_layout_are_counted_where_nothing_is_converted(data_type: str, labels: object) -> None:
    """By event, stream and time, page, flat, or both; each with its shape and its class."""
    row = make.changed(make.changed(make.image_row(), labels, *UNIT, "labels"), data_type, "data_type")

    reading = make.read(row)

    assert (reading.row.frames, reading.row.objects_in) == ((), 2)
    assert [(one.reason, one.shape, one.feature_hash) for one in reading.row.excluded] == [
        ("unsupported_modality", "bounding_box", "BoxClas1"),
        ("unsupported_modality", "point", "PointCl1"),
    ]
    assert make.rules(reading) == (["unknown_data_type"] if data_type == "hologram" else [])


@pytest.mark.parametrize(
    "data_type", ["audio", "plain_text", "html", "pdf", "group", "scene", "dicom_study", "time_series", "DELETED"]
)
def test_every_data_type_without_pixels_is_known(data_type: str) -> None:
    """Whatever its units say of order and size: pages and scenes have a size of 0, and several files no order."""
    units = [make.unit(f"file-{n}", "text/html", {}, sequence=None, width=0, height=0) for n in range(2)]

    reading = make.read(make.row(data_type, units, data_hash="file-0"))

    assert (reading.row.data_type, reading.row.frames) == (data_type.lower(), ())
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ("audio", {"range": [[100, 200]]}),
        ("text", {"range": [[0, 5]]}),
        ("text", {"range": [], "range_html": [{"start": {"xpath": "a", "offset": 5}, "end": {}}]}),
        ("time_range", {"range": [[0, 5]]}),
        ("hologram", {"range": {}}),
    ],
)
@pytest.mark.parametrize("data_type", ["audio", "plain_text", "html", "time_series", "hologram"])
def test_objects_that_lie_in_answers_alone_are_counted(data_type: str, shape: str, place: Json) -> None:
    """With their shape and class, whatever their ranges are."""
    entry = make.entry(shape, place, "speaker1")
    row = make.changed(make.audio_row(object_answers={"speaker1": entry}), data_type, "data_type")

    (excluded,) = make.read(row).row.excluded

    assert (excluded.reason, excluded.shape, excluded.feature_hash) == ("unsupported_modality", shape, "OtherCl1")
    assert excluded.location.object == "speaker1"


def test_labels_flat_and_by_frame_at_once_are_both_read() -> None:
    """No layout hides another."""
    both = make.labels(make.box()) | {"0": make.labels(make.point())}

    image = make.read(make.changed(make.image_row(), both, *UNIT, "labels"))
    video = make.changed(make.video_row({}), both, "data_units", "video-0", "labels")

    assert [len(frame.objects) for frame in image.row.frames] == [2]
    assert refused(video).reason == "bad_frame_number"


@pytest.mark.parametrize("data_type", ["IMAGE", "Img_Group", "img_sequence", "IMAGE_SEQUENCE"])
def test_a_data_type_may_be_spelled_otherwise(data_type: str) -> None:
    """In capitals, or as the documentation calls it."""
    reading = make.read(make.changed(make.image_row(make.box(), is_image_sequence=True), data_type, "data_type"))

    assert reading.row.data_type == ("image" if data_type == "IMAGE" else "img_group")
    assert reading.row.is_image_sequence is True
    assert reading.findings == ()


@pytest.mark.parametrize("mime", ["image", None, 5, "../../etc/passwd", "a b/c"])
def test_a_media_type_that_is_none_is_left_out(mime: object) -> None:
    """The documentation has a bare `image`; a file name gets no extension from it."""
    reading = make.read(make.changed(make.image_row(make.box()), mime, *UNIT, "data_type"))

    assert reading.row.frames[0].mime_type == ""
    assert reading.findings == ()


def test_numbers_of_a_video_may_come_as_text() -> None:
    """10 seconds at 25 frames a second, as text."""
    row = make.changed(make.video_row({251: []}), "25.0", "data_units", "video-0", "data_fps")
    row = make.changed(row, "10", "data_units", "video-0", "data_duration")
    row = make.changed(row, "1280", "data_units", "video-0", "width")

    reading = make.read(row)

    assert make.rules(reading) == ["frame_beyond_video"]
    assert reading.row.frames[0].width == 1280


def test_links_of_slices_may_be_an_object_or_few() -> None:
    """They are read by nobody."""
    row = make.dicom_row({0: make.dicom_slice(make.box()), 1: make.dicom_slice(make.box(), uid="1.2.3")})
    several: list[object] = [{}, {"0": "cord-dicoms/one"}, [], None]
    for links in several:
        reading = make.read(make.changed(row, links, "data_units", "dicom-0", "data_links"))

        assert [len(frame.objects) for frame in reading.row.frames] == [1, 1]
        assert reading.findings == ()


@pytest.mark.parametrize("number", ["null", "None", "", None])
def test_a_multiframe_number_may_be_a_word_for_absent(number: object) -> None:
    """The vendor's SDK refuses such a slice; it is the only frame of its file."""
    reading = make.read(make.dicom_row({4: make.dicom_slice(make.box(), uid="1.2.3", multiframe=number)}))

    assert reading.row.frames[0].identity == "sop:1.2.3#-"
    assert reading.findings == ()


def test_a_frame_number_beyond_reason_refuses_the_row() -> None:
    """A thousand million frames are more than a year of video."""
    last = make.nifti_row({10**9 - 1: [make.box()]})

    assert make.read(last).row.frames[0].number == 10**9 - 1
    assert refused(make.nifti_row({10**9: [make.box()]})).reason == "bad_frame_number"


def test_actions_of_an_image_hold_at_its_only_frame() -> None:
    """The platform writes dynamic answers of images with the range 0 to 0."""
    actions = [make.answer("parked", dynamic=True, range=[[0, 0]])]
    row = make.image_row(make.box(), object_actions={"object01": {"objectHash": "object01", "actions": actions}})

    assert [one.answer for one in make.read(row).row.frames[0].objects[0].attributes] == ["parked"]


@pytest.mark.parametrize(
    "changes",
    [
        {"data_link": None},
        {"width": None, "height": None},
        {"width": "gone", "height": -1},
        {"data_type": None},
        {"data_sequence": None},
        {"data_title": None, "data_link": None, "width": None, "height": None, "data_sequence": "gone"},
    ],
)
def test_a_deleted_asset_may_lack_everything_about_its_file(changes: Json) -> None:
    """Link, size, media type and order; a group and a sequence have one unit for all their images."""
    units = [make.unit(name, "image/png", make.labels(make.box()), **changes) for name in ("data-0", "data-1")]

    for held in (units, units[:1]):
        reading = make.read(make.row("deleted", held, data_hash="group-0"))

        assert reading.row.deleted
        assert (reading.row.data_hash, reading.row.objects_in) == ("group-0", len(held))
        assert reading.findings == ()


def test_a_deleted_asset_keeps_state_and_counts_but_no_classifications() -> None:
    """It is out of every format; labels by frame and in answers are counted too."""
    row = make.video_row(
        {3: [make.box()], 4: [make.box()]},
        object_answers={"speaker1": make.entry("audio", {"range": [[0, 1]]}, "speaker1")},
        classification_answers={"classif1": {"classifications": [make.answer("sunny")], "range": []}},
    )

    reading = make.read(make.changed(row, "deleted", "data_type"))

    assert [(one.reason, one.location.frame) for one in reading.row.excluded] == [
        ("deleted", 3),
        ("deleted", 4),
        ("deleted", None),
    ]
    assert (reading.row.classifications, reading.row.label_status) == ((), "LABELLED")
    assert conservation(reading.row) is None


def test_a_deleted_asset_is_a_tombstone_whose_objects_are_counted() -> None:
    """The data is gone, the labels remain; links, sizes and even the data units may be missing."""
    row = make.changed(make.image_row(make.box(), make.circle()), "deleted", "data_type")
    bare = make.row("DELETED", [], data_units=None)

    found, empty = make.read(row), make.read(bare)

    assert found.row.deleted
    assert (found.row.frames, found.row.objects_in) == ((), 2)
    assert [one.reason for one in found.row.excluded] == ["deleted", "deleted"]
    assert (empty.row.deleted, empty.row.data_hash, empty.row.objects_in) == (True, "data-0", 0)


def test_missing_parts_of_a_row_are_empty_parts() -> None:
    """Rows of the documentation have no answers; rows of 2022 have no data hash."""
    row = make.image_row(
        make.box(),
        object_answers=None,
        classification_answers=None,
        object_actions=None,
        data_hash=None,
        branch_name=None,
        label_status=None,
        export_history=None,
        export_hash=None,
        exported_at=None,
    )

    reading = make.read(row)

    assert (reading.row.data_hash, reading.row.branch_name) == ("data-0", "main")
    assert (reading.event.export_hash, reading.event.exported_at, reading.event.history) == (None, None, ())
    assert len(reading.row.frames[0].objects) == 1
    assert reading.findings == ()


@pytest.mark.parametrize("word", ["null", "None", "none", ""])
def test_a_word_for_absent_is_absent(word: str) -> None:
    """Exports write these where they mean nothing."""
    changes = dict.fromkeys(("branch_name", "is_image_sequence", "label_status", "exported_at", "export_hash"), word)

    reading = make.read(make.image_row(make.box(confidence=word, manualAnnotation=word)) | changes)

    assert reading.row.branch_name == "main"
    assert (reading.row.is_image_sequence, reading.row.label_status) == (None, None)
    assert (reading.event.exported_at, reading.event.export_hash) == (None, None)
    instance = reading.row.frames[0].objects[0]
    assert (instance.confidence, instance.manual) == (1.0, True)
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("changes", "confidence", "manual", "rules"),
    [
        ({"confidence": 0.25, "manualAnnotation": False}, 0.25, False, []),
        ({"confidence": "1", "manualAnnotation": "false"}, 1.0, False, []),
        ({"confidence": "0.5"}, 0.5, True, []),
        ({"confidence": 7}, 1.0, True, ["bad_confidence"]),
        ({"confidence": "sure"}, 1.0, True, ["bad_confidence"]),
    ],
)
def test_confidence_and_origin_of_an_object(changes: Json, confidence: float, manual: bool, rules: list[str]) -> None:
    """Numbers and booleans may come as text."""
    reading = make.read(make.image_row(make.box() | changes))

    instance = reading.row.frames[0].objects[0]
    assert (instance.confidence, instance.manual) == (confidence, manual)
    assert make.rules(reading) == rules


def test_the_spelling_of_2020_says_who_drew_an_object() -> None:
    """`manual_annotation` is the old name."""
    entry = {key: value for key, value in make.box().items() if key != "manualAnnotation"}

    reading = make.read(make.image_row(entry | {"manual_annotation": False}))

    assert reading.row.frames[0].objects[0].manual is False


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (make.changed(make.image_row(), "img", *UNIT, "data_hash"), "data_hash_differs"),
        (make.image_row(label_hash=None), "label_hash_missing"),
        (make.image_row(is_valid=False), "row_invalid"),
        (make.image_row(label_status="POLISHED"), "unknown_status"),
        (make.image_row(annotation_task_status="LOST"), "unknown_status"),
        (make.image_row(dataset_hash="a b"), "bad_hash"),
        (make.changed(make.group_row([], []), ..., "data_hash"), "data_hash_missing"),
        (make.changed(make.video_row({}), 5000, "data_units", "video-0", "data_fps"), "odd_frame_rate"),
        (make.image_row(object_answers={"gone": {"objectHash": "gone", "classifications": []}}), "orphan_answer"),
    ],
)
def test_something_odd_about_a_row_is_a_finding_and_no_more(row: Json, rule: str) -> None:
    """The row is used as it is meant."""
    reading = make.read(row)

    assert make.rules(reading) == [rule]
    assert reading.findings[0].location.row == reading.row.label_hash


def test_the_old_word_for_a_completed_task_is_taken() -> None:
    """The documentation of 2023 says COMPLETE."""
    reading = make.read(make.image_row(annotation_task_status="COMPLETE"))

    assert reading.row.annotation_task_status == "COMPLETED"
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (make.image_row(label_hash=None, data_hash=None), "no_identity"),
        (make.image_row(label_hash="a b"), "bad_hash"),
        (make.image_row(label_hash=12), "bad_hash"),
        (make.image_row(label_hash=["x"]), "row_unreadable"),
    ],
)
def test_a_row_without_a_readable_name_is_refused_without_an_event(row: Json, reason: str) -> None:
    """Only its place in the export can name it."""
    error = refused(row)

    assert (error.reason, error.event, error.label_hash) == (reason, None, None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (make.row("image", []), "no_data_units"),
        (make.image_row(data_units=5), "no_data_units"),
        (make.image_row(data_units={"data-0": 5}), "unit_unreadable"),
        (make.changed(make.image_row(), 5, *UNIT, "labels"), "unit_unreadable"),
        (make.changed(make.image_row(), 5, *UNIT, "labels", "objects"), "unit_unreadable"),
        (make.changed(make.image_row(), "a b", *UNIT, "data_hash"), "bad_hash"),
        (make.changed(make.group_row([], []), 1, "data_units", "data-0", "data_sequence"), "bad_sequence"),
        (make.changed(make.group_row([], []), -1, "data_units", "data-0", "data_sequence"), "bad_sequence"),
        (make.changed(make.group_row([], []), None, "data_units", "data-0", "data_sequence"), "bad_sequence"),
        (
            make.changed(make.video_row({}), {"first": make.labels()}, "data_units", "video-0", "labels"),
            "bad_frame_number",
        ),
        (make.changed(make.video_row({}), {"1": {}, "01": {}}, "data_units", "video-0", "labels"), "bad_frame_number"),
        (make.changed(make.video_row({}), {"-1": {}}, "data_units", "video-0", "labels"), "bad_frame_number"),
        (make.changed(make.video_row({}), {"0": 5}, "data_units", "video-0", "labels"), "unit_unreadable"),
        (make.image_row(data_units=2 * [make.unit("data-0", "image/png", {})]), "bad_hash"),
        (make.image_row(data_units=[{"data_type": "image/png", "labels": {}}]), "bad_hash"),
        (make.image_row(object_answers="none"), "row_unreadable"),
        (make.image_row(spaces={"a": 5}), "row_unreadable"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_under_its_own_name(row: Json, reason: str) -> None:
    """The event still says which row it was and of which export."""
    error = refused(row)

    assert error.reason == reason
    assert error.event is not None
    assert error.label_hash == row["label_hash"]
    assert error.event.exported_at == "2024-07-19T09:20:25Z"


def test_the_error_of_a_row_survives_a_process_boundary() -> None:
    """Rows may be read in another process."""
    error = refused(make.row("image", []))

    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own bytes

    assert (copied.reason, copied.message, copied.event) == (error.reason, error.message, error.event)


def test_the_first_bad_object_refuses_the_row_where_that_is_asked() -> None:
    """The policy `quarantine_row`."""
    (piece,) = iter_rows(make.encode([make.image_row(make.box(), make.box(x=7, object_hash="object09"))]))

    with pytest.raises(RowError) as caught:
        read_row(piece, on_bad_object="quarantine_row")

    assert caught.value.reason == "outside_image"
    assert "object09" in str(caught.value)


def test_a_bad_object_stops_only_itself() -> None:
    """Three entries that are no objects at all, and one that is."""
    row = make.changed(make.image_row(), [5, None, [], make.box()], *UNIT, "labels", "objects")

    reading = make.read(row)

    assert make.rules(reading) == 3 * ["object_unreadable"]
    assert (reading.row.objects_in, len(reading.row.quarantined)) == (4, 3)
    assert len(reading.row.frames[0].objects) == 1


@pytest.mark.parametrize("row", [make.image_row(make.box(name="CUT")), make.image_row(data_title="CUT")])
def test_bytes_that_are_no_utf_8_stop_their_row(row: Json) -> None:
    """A name cut in the middle of a character, as broken uploads have it, whether or not anybody reads that name."""
    (piece,) = iter_rows(make.encode([row]).replace(b"CUT", b"\xc3"))

    with pytest.raises(UnusableRow) as caught:
        read_row(piece)

    assert caught.value.reason == "row_unreadable"
    assert caught.value.event is not None


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"study_uid": "1.2.840.10008", "series_uid": "1"}, 0),
        ({"study_uid": "null", "series_uid": None, "patient_id": None}, 0),
        (None, 0),
        ({}, 0),
        ({"study_uid": "1.2.3", "series_uid": "jane-doe/scan 1.dcm"}, 1),
        ({"study_uid": 7, "series_uid": "1." * 40 + "1"}, 2),
        ([], 1),
    ],
)
def test_a_study_or_series_uid_that_is_none_is_told(metadata: object, told: int) -> None:
    """The vendor's page has a file's path there. The slices are converted all the same."""
    row = make.changed(make.dicom_row({0: make.labels(make.box())}), metadata, "data_units", "dicom-0", "metadata")

    reading = make.read(row)

    assert make.rules(reading) == told * ["bad_series"]
    assert "jane" not in str(reading.findings)
    assert len(reading.row.frames[0].objects) == 1


def test_newer_and_unknown_keys_are_no_harm_wherever_they_stand() -> None:
    """What the platform has added since, and what it may add: the same labels, no findings, all of it in the digest."""
    of_object: Json = {"objectNumber": 3, "event": "upsert", "interpolate": True, "reviews": [], "unheard": {"of": [1]}}
    of_action: Json = {"shouldPropagate": False, "trackHash": "track001", "unheard": None}
    of_row: Json = {
        "workflow_graph_node": None,
        "is_shadow_data": False,
        "is_valid": True,
        "task_uuid": "t",
        "priority": 0.5,
        "client_metadata": {"Jane": "Doe"},
        "backing_item_uuid": "b",
        "group_hash": None,
        "unheard": [{"of": 1}],
    }
    of_unit: Json = {"audio_codec": "aac", "audio_sample_rate": 44100, "audio_bit_depth": "16", "audio_num_channels": 2}
    action = make.action("red", [[0, 3]])

    def row(objects: Json, actions: Json, unit: Json, whole: Json) -> Json:
        held = {"object01": {"objectHash": "object01", "actions": [action | actions]}}
        made = make.video_row({0: [make.box() | objects], 3: [make.box()]}, object_actions=held)
        units: Any = made["data_units"]
        return make.changed(made, units["video-0"] | unit, "data_units", "video-0") | whole

    plain, newer = make.read(row({}, {}, {}, {})), make.read(row(of_object, of_action, of_unit, of_row))

    assert newer.row == plain.row
    assert newer.findings == plain.findings == ()
    assert newer.event.fingerprint != plain.event.fingerprint


@pytest.mark.parametrize("mime", ["application/mcap", "application/json", "text/html", "application/nifti1", "image"])
def test_media_types_do_not_decide_what_is_read(mime: str) -> None:
    """The data type of the row does."""
    reading = make.read(make.changed(make.image_row(make.box()), mime, *UNIT, "data_type"))

    assert (len(reading.row.frames[0].objects), reading.findings) == (1, ())
