"""One real row each, of every data type: what becomes of it, written down by hand after looking at each row."""

import msgspec
import pytest

from encord_dagster.label_set.verify import verify
from tests.factories import REAL_EXPORTS, real_export
from tests.lakes import Desk
from tests.published import coco_of
from tests.real_exports.rows import objects_of, rows_of


class Fate(msgspec.Struct, frozen=True):
    """What must become of one row; every one of them is published and none has a bad object."""

    images: int = 0
    objects: int = 0  # in the export
    published: int = 0
    excluded: dict[str, int] = {}
    rules: frozenset[str] = frozenset()


def not_converted(objects: int, *rules: str) -> Fate:
    """A row of audio, text, a scene or a group of such: counted, in the lineage, not in COCO."""
    return Fate(objects=objects, excluded={"unsupported_modality": objects}, rules=frozenset(rules))


def converted(images: int, objects: int, *rules: str) -> Fate:
    """A row with pixels: every image and every object is in COCO."""
    return Fate(images=images, objects=objects, published=objects, rules=frozenset(rules))


UNLABELLED = Fate(rules=frozenset({"unlabelled_row"}))

FATES = {
    # audio: classifications only; nothing; five ranges of sound
    "audio_labels.AUDIO_LABELS": Fate(),
    "audio_labels.EMPTY_AUDIO_LABELS": UNLABELLED,
    "audio_objects.AUDIO_OBJECTS": not_converted(5),
    # a video of 640x480: seven boxes and a point on four frames
    "data_1.labels": converted(4, 8),
    # groups of files, one space each: an image is there without labels too, of a video only the labelled frames are;
    # one object in each of a video, an image, a sequence and two medical files is converted, and four of sound, text,
    # HTML and PDF are not; three classifications state a confidence of 5
    "data_group.all_modalities.DATA_GROUP_NO_LABELS": converted(1, 0, "unlabelled_row"),
    "data_group.all_modalities.DATA_GROUP_WITH_LABELS": Fate(
        images=5,
        objects=9,
        published=5,
        excluded={"unsupported_modality": 4},
        rules=frozenset({"bad_confidence", "not_placed"}),
    ),
    # layers over one image, which is the space `root`
    "data_group.multilayer_image.DATA_GROUP_MULTILAYER_IMAGE_LABELS": converted(1, 2),
    "data_group.multilayer_image.DATA_GROUP_MULTILAYER_IMAGE_NO_LABELS": converted(1, 0, "unlabelled_row"),
    "data_group.two_audio.DATA_GROUP_TWO_AUDIO_NO_LABELS": UNLABELLED,
    "data_group.two_audio.DATA_GROUP_WITH_TWO_AUDIO_LABELS": not_converted(1, "not_placed"),
    "data_group.two_html.DATA_GROUP_TWO_HTML_NO_LABELS": UNLABELLED,
    "data_group.two_html.DATA_GROUP_WITH_TWO_HTML": not_converted(1, "not_placed"),
    "data_group.two_images.DATA_GROUP_TWO_IMAGES_NO_LABELS": converted(2, 0, "unlabelled_row"),
    "data_group.two_images.DATA_GROUP_WITH_TWO_IMAGES_LABELS": converted(2, 2),
    "data_group.two_text.DATA_GROUP_TWO_TEXT_NO_LABELS": UNLABELLED,
    "data_group.two_text.DATA_GROUP_WITH_TWO_TEXT_LABELS": not_converted(1, "not_placed"),
    "data_group.two_videos.DATA_GROUP_TWO_VIDEOS_NO_LABELS": UNLABELLED,
    # three objects on a frame, two on the next, and one on the same frame of the other video
    "data_group.two_videos.DATA_GROUP_WITH_TWO_VIDEOS_LABELS": converted(3, 6),
    # a scene: a cuboid, and one segmentation in each of two point clouds
    "data_group.scene.SCENE_NO_LABELS": UNLABELLED,
    "data_group.scene.SCENE_WITH_LABELS": not_converted(3),
    # DICOM: one box on three slices; two boxes in a series that names all its 56 slices
    "dicom_labels.dicom_labels": converted(3, 3),
    "dicom_labels_with_metadata.DICOM_LABELS_WITH_METADATA_TEST_BLURB": converted(56, 2, "unlabelled_frame"),
    # image groups of five images
    "empty_image_group.empty_image_group_labels": converted(5, 0, "unlabelled_row"),
    "image_group.image_group_labels": converted(5, 4),
    "image_group_with_reviews.labels": converted(5, 4, "unlabelled_frame"),
    # videos name labelled frames only; a global classification is on no frame
    "empty_video.labels": UNLABELLED,
    "global_classification_labels.GLOBAL_CLASSIFICATION_LABELS": Fate(),
    "video_with_classifications.labels": converted(2, 0),
    "video_with_classifications.labels_without_answer_meta": converted(2, 0),
    "video_with_dynamic_classifications.labels": converted(2, 4),
    "video_with_dynamic_classifications_ui_constructed.labels": converted(2, 4),
    # rows of 2022: a video with 24 labelled frames, an image, a group of four unlabelled images
    "label_rows_metadata_blurb.LABEL_ROW_BLURB_0": converted(24, 6, "unlabelled_frame"),
    "label_rows_metadata_blurb.LABEL_ROW_BLURB_1": converted(1, 2),
    "label_rows_metadata_blurb.LABEL_ROW_BLURB_2": converted(4, 0, "unlabelled_row"),
    # images; the second has three classifications without answers, the third an answer without object
    "native_image_data.labels": converted(1, 3),
    "native_image_data_classification_with_no_answer.labels": converted(1, 0, "no_answer"),
    "skeleton_coordinates.labels": converted(1, 1, "orphan_answer"),
    # texts
    "html_text_labels.EMPTY_HTML_TEXT_LABELS": UNLABELLED,
    "html_text_labels.HTML_TEXT_LABELS": not_converted(1),
    "plain_text.EMPTY_PLAIN_TEXT_LABELS": UNLABELLED,
    "plain_text.PLAIN_TEXT_LABELS": not_converted(1),
}


@pytest.mark.parametrize("name", FATES)
def test_a_real_row_becomes_what_it_should(name: str) -> None:
    """Each row is published as one row, with as many images and objects as one counts by eye."""
    desk, fate = Desk(), FATES[name]

    outcome = desk.bring("row.json", real_export(f"fixture_rows/{name}.rows.json")).outcomes[0]

    assert (outcome.status, outcome.rows, outcome.rows_quarantined, outcome.error) == ("published", 1, 0, None)
    assert (outcome.images, outcome.objects_in, outcome.objects_published, outcome.objects_quarantined) == (
        fate.images,
        fate.objects,
        fate.published,
        0,
    )
    assert outcome.objects_excluded == fate.excluded
    assert outcome.rules.keys() - {"ontology_missing"} == fate.rules
    document = coco_of(desk)
    assert (len(document["images"]), len(document["annotations"])) == (fate.images, fate.published)
    assert verify(desk.lake, "street").problems == []


def test_every_real_row_is_in_the_table() -> None:
    """No fixture row is left out above."""
    real_export("fixture_rows/data_1.labels.rows.json")

    names = {path.name.removesuffix(".rows.json") for path in (REAL_EXPORTS / "fixture_rows").glob("*.rows.json")}

    assert names == FATES.keys()


GROUPS = [name for name, fate in FATES.items() if fate.published and name.startswith("data_group")]


@pytest.mark.parametrize("name", [name for name, fate in FATES.items() if fate.published and name not in GROUPS])
def test_boxes_scale_by_their_own_side(name: str) -> None:
    """Pixels are x and w by the width, y and h by the height: most of these images are not square."""
    desk = Desk()
    file = f"fixture_rows/{name}.rows.json"
    desk.bring("row.json", real_export(file))

    ours = {
        (one["encord"]["data_hash"], one["encord"]["frame"], one["encord"]["object_hash"]): one
        for one in coco_of(desk)["annotations"]
    }

    items = [item for row in rows_of(file) for item in objects_of(row)]
    assert ours.keys() == {item.key for item in items}
    for item in items:
        if item.entry["shape"] == "bounding_box":
            box = item.entry["boundingBox"]
            expected = [box["x"] * item.width, box["y"] * item.height, box["w"] * item.width, box["h"] * item.height]
            assert ours[item.key]["bbox"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", GROUPS)
def test_boxes_of_a_group_scale_by_the_size_of_their_space(name: str) -> None:
    """One of them is 200 x 100 and one 100 x 200; the slices of a stack have sizes of their own."""
    desk = Desk()
    file = f"fixture_rows/{name}.rows.json"
    desk.bring("row.json", real_export(file))

    document = coco_of(desk)

    found = {
        (one["encord"]["space"], one["encord"]["frame"], one["encord"]["object_hash"]): one["bbox"]
        for one in document["annotations"]
        if one["bbox"][2]
    }
    assert found == _boxes_in_spaces(name)
    places = {(image["encord"]["space"], image["encord"]["frame"]) for image in document["images"]}
    assert len(places) == len({image["id"] for image in document["images"]}) == len(document["images"])
    assert len({image["file_name"] for image in document["images"]}) == len(document["images"])


def test_real_rows_of_all_kinds_go_together() -> None:
    """All rows in one batch, as many exports: the version has each of them, and all their objects."""
    desk = Desk()
    exports = [desk.deliver(f"{name}.json", real_export(f"fixture_rows/{name}.rows.json")) for name in FATES]

    batch = desk.ingest(*exports)

    assert batch.published is not None
    assert {outcome.status for outcome in batch.outcomes} <= {"published", "observed"}
    identities = {(row["label_hash"], row.get("branch_name") or "main") for name in FATES for row in _rows(name)}
    assert batch.published.rows == len(identities)
    assert verify(desk.lake, "street").problems == []


def _rows(name: str) -> list[dict[str, str]]:
    return rows_of(f"fixture_rows/{name}.rows.json")


def _boxes_in_spaces(name: str) -> dict[tuple[str, int, str], object]:
    """Space, frame and object hash -> box in pixels, of all members of the groups that have a size."""
    found: dict[tuple[str, int, str], object] = {}
    for row in rows_of(f"fixture_rows/{name}.rows.json"):
        for key, space in row["spaces"].items():
            for number, labels in space["labels"].items():
                size = space["frames"][int(number)] if "frames" in space else space
                for entry in labels["objects"] if "width" in size else ():
                    if entry["shape"] == "bounding_box":
                        box, width, height = entry["boundingBox"], size["width"], size["height"]
                        pixels = [box["x"] * width, box["y"] * height, box["w"] * width, box["h"] * height]
                        found[key, int(number), entry["objectHash"]] = pytest.approx(pixels, rel=1e-6)
    return found
