"""Rows that Encord's platform wrote, through the whole pipeline; the judge is the vendor's exporter, or slow code."""

import cmath
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle

from encord_dagster.outcomes import Batch
from tests.factories import real_export
from tests.lakes import Desk
from tests.published import Json, coco_of, leaks, opened, pixels, texts
from tests.real_exports.rows import Answer, Labelled, answers_at, classification_answers, frames_of, objects_of, rows_of

ROWS, THEIRS = "platform_rows.json", "platform_rows.encord_coco.json"
Key = tuple[str, int, str]


@pytest.fixture(scope="module")
def published() -> tuple[Desk, Batch]:
    """The six rows in a lake, and what became of them."""
    desk = Desk()
    return desk, desk.bring("platform.json", real_export(ROWS))


@pytest.fixture(scope="module")
def ours(published: tuple[Desk, Batch]) -> dict[Key, Json]:
    """Our annotations by data hash, frame and object hash."""
    found = {_our_key(annotation): annotation for annotation in coco_of(published[0])["annotations"]}
    assert len(found) == 64
    return found


@pytest.fixture(scope="module")
def theirs() -> dict[Key, Json]:
    """The vendor's annotations by the same keys, their class name with them."""
    return _their_annotations()


@pytest.fixture(scope="module")
def exported() -> dict[Key, Labelled]:
    """The objects of the export itself by the same keys."""
    return {item.key: item for row in rows_of(ROWS) for item in objects_of(row)}


def test_all_objects_are_published(published: tuple[Desk, Batch], exported: dict[Key, Labelled]) -> None:
    """Six rows, ten images, 64 objects: all in; one image of a group has no labels."""
    desk, batch = published
    outcome = batch.outcomes[0]

    counts = (outcome.status, outcome.rows, outcome.images, outcome.objects_in, outcome.objects_published)

    assert counts == ("published", 6, 10, len(exported), 64)
    assert (outcome.objects_quarantined, outcome.objects_excluded) == (0, {})
    assert outcome.rules == {"unlabelled_frame": 1, "ontology_missing": 1}
    document = coco_of(desk)
    assert (len(document["images"]), len(document["annotations"])) == (10, 64)


def test_the_same_objects_are_in_both_files(
    ours: dict[Key, Json], theirs: dict[Key, Json], exported: dict[Key, Labelled]
) -> None:
    """Every annotation of the vendor is found in ours by data, frame and object, under the same class."""
    assert ours.keys() == theirs.keys() == exported.keys()
    assert all(exported[key].entry["name"] == theirs[key]["class_name"] for key in theirs)


def test_images_have_the_vendors_sizes(published: tuple[Desk, Batch]) -> None:
    """Width and height of each of the ten images."""
    document = json.loads(real_export(THEIRS))

    sizes = {
        (image["encord"]["data_hash"], image["encord"]["frame"]): (image["width"], image["height"])
        for image in coco_of(published[0])["images"]
    }

    assert sizes == {_place(image): (image["width"], image["height"]) for image in document["images"]}


@pytest.mark.parametrize("shape", ["bounding_box", "polygon", "polyline"])
def test_boxes_polygons_and_lines_are_the_vendors(shape: str, ours: dict[Key, Json], theirs: dict[Key, Json]) -> None:
    """`bbox`, `segmentation` and `area` to 1e-6, relative."""
    keys = [key for key, annotation in theirs.items() if annotation["shape"] == shape]

    for key in keys:
        assert ours[key]["bbox"] == pytest.approx(theirs[key]["bbox"], rel=1e-6)
        assert len(ours[key]["segmentation"]) == len(theirs[key]["segmentation"]) == 1
        assert ours[key]["segmentation"][0] == pytest.approx(theirs[key]["segmentation"][0], rel=1e-6)
        assert ours[key]["area"] == pytest.approx(theirs[key]["area"], rel=1e-6)
    assert len(keys) >= 9


def test_points_and_skeletons_are_the_vendors(ours: dict[Key, Json], theirs: dict[Key, Json]) -> None:
    """`bbox` and all visible keypoints to 1e-6; theirs counts joints that are not to be seen, ours does not."""
    keys = [key for key, annotation in theirs.items() if annotation["shape"] in ("point", "skeleton")]

    for key in keys:
        mine, given = (np.array(one[key]["keypoints"]).reshape(-1, 3) for one in (ours, theirs))
        assert ours[key]["bbox"] == pytest.approx(theirs[key]["bbox"], rel=1e-6)
        assert mine[:, 2].tolist() == given[:, 2].tolist()
        seen = given[:, 2] > 0
        assert mine[seen].ravel() == pytest.approx(given[seen].ravel(), rel=1e-6)
        assert not mine[~seen].any()
        assert ours[key]["num_keypoints"] == seen.sum()
    assert len(keys) >= 18


def test_bitmasks_have_the_vendors_pixels(
    published: tuple[Desk, Batch], ours: dict[Key, Json], theirs: dict[Key, Json]
) -> None:
    """Every pixel, box and area of each bitmask; where theirs says crowd, ours says one object."""
    coco = opened(coco_of(published[0]))
    keys = [key for key, annotation in theirs.items() if annotation["shape"] == "bitmask"]

    for key in keys:
        mine, given = pixels(coco, ours[key]), rle.decode(theirs[key]["segmentation"]).astype(bool)
        assert given.any()
        assert np.array_equal(mine, given)
        assert ours[key]["bbox"] == theirs[key]["bbox"]
        assert ours[key]["area"] == theirs[key]["area"] == given.sum()
        assert (ours[key]["iscrowd"], theirs[key]["iscrowd"]) == (0, 1)
    assert len(keys) >= 9


def test_rotated_boxes_are_turned(ours: dict[Key, Json], exported: dict[Key, Labelled]) -> None:
    """Corners by turning complex numbers about the centre, in pixels: the vendor's exporter leaves them upright."""
    keys = [key for key, item in exported.items() if item.entry["shape"] == "rotatable_bounding_box"]

    for key in keys:
        item, annotation = exported[key], ours[key]
        box = item.entry["rotatableBoundingBox"]
        width, height = box["w"] * item.width, box["h"] * item.height
        centre = complex((box["x"] + box["w"] / 2) * item.width, (box["y"] + box["h"] / 2) * item.height)
        turn = cmath.exp(1j * math.radians(box["theta"]))
        halves = [complex(sx * width / 2, sy * height / 2) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        corners = [centre + half * turn for half in halves]
        left, top = min(corner.real for corner in corners), min(corner.imag for corner in corners)
        right, bottom = max(corner.real for corner in corners), max(corner.imag for corner in corners)
        flat = [value for corner in corners for value in (corner.real, corner.imag)]
        assert annotation["segmentation"][0] == pytest.approx(flat, abs=1e-5)
        assert annotation["bbox"] == pytest.approx([left, top, right - left, bottom - top], abs=1e-5)
        assert annotation["area"] == pytest.approx(width * height, rel=1e-6)
        assert annotation["attributes"]["rotation"] == pytest.approx(box["theta"])
    assert len(keys) >= 9
    assert any(
        ours[key]["bbox"][2] > 1.05 * exported[key].entry["rotatableBoundingBox"]["w"] * exported[key].width
        for key in keys
    )


def test_attributes_hold_at_their_frames(published: tuple[Desk, Batch], exported: dict[Key, Labelled]) -> None:
    """Static and dynamic answers of each object on each frame, by feature hash, against a slow second reading."""
    attributes = published[0].label_set().version().table("attributes").to_pylist()
    annotations = published[0].label_set().version().table("annotations").to_pylist()
    hashes = {record["image_id"]: record["data_hash"] for record in _images(published[0])}
    keys = {
        record["annotation_id"]: (hashes[record["image_id"]], record["frame"], record["object_hash"])
        for record in annotations
    }

    found: dict[Key, dict[str, Answer]] = {key: {} for key in exported}
    for record in attributes:
        if record["of"] == "object":
            found[keys[record["annotation_id"]]][record["feature_hash"]] = _answer(record)

    assert found == {key: answers_at(item) for key, item in exported.items()}
    dynamic = sum(1 for record in attributes if record["dynamic"])
    assert dynamic > 30
    assert sum(map(len, found.values())) > dynamic


def test_coco_names_every_attribute(ours: dict[Key, Json], exported: dict[Key, Labelled]) -> None:
    """The attributes of a COCO annotation are those of its object at its frame, one by one."""
    for key, item in exported.items():
        classifications = ours[key]["attributes"]["classifications"]

        expected = answers_at(item)

        assert len(classifications) == len(expected)
        texts_given = [given for given in expected.values() if isinstance(given, str)]
        assert all(text in classifications.values() for text in texts_given)


def test_an_answer_that_ends_is_not_seen_on_the_next_frame(
    ours: dict[Key, Json], exported: dict[Key, Labelled]
) -> None:
    """The export has answers for frame 0 or 1 only, of objects that are on both: each is where it belongs."""
    twice = {key[2] for key in exported if key[1] == 0} & {key[2] for key in exported if key[1] == 1}
    changing = 0

    for object_hash in twice:
        first, second = (
            next(item for key, item in exported.items() if (key[1], key[2]) == (frame, object_hash)) for frame in (0, 1)
        )
        if answers_at(first) != answers_at(second):
            changing += 1
            mine = [ours[item.key]["attributes"]["classifications"] for item in (first, second)]
            assert mine[0] != mine[1]

    assert changing >= 1


def test_frame_classifications_are_on_their_images(published: tuple[Desk, Batch]) -> None:
    """Each image record has the classifications that its frame lists, with their answers."""
    version = published[0].label_set().version()
    held = {
        (record["label_hash"], record["frame"], record["classification_hash"])
        for record in version.table("classifications").to_pylist()
    }
    attributes = [record for record in version.table("attributes").to_pylist() if record["of"] == "classification"]

    listed = {
        (row["label_hash"], frame, entry["classificationHash"]): classification_answers(
            row, entry["classificationHash"]
        )
        for row in rows_of(ROWS)
        for _, frame, labels, _ in frames_of(row)
        for entry in labels.get("classifications", [])
    }

    assert held == listed.keys()
    answered: dict[tuple[str, int, str], dict[str, Answer]] = {}
    for record in attributes:
        place = (record["label_hash"], record["frame"], record["of_hash"])
        answered.setdefault(place, {})[record["feature_hash"]] = _answer(record)
    assert answered == listed
    in_coco = sum(len(image["classifications"]) for image in coco_of(published[0])["images"])
    assert in_coco == len(listed) >= 20


def test_no_address_title_or_link_of_the_rows_is_published(published: tuple[Desk, Batch]) -> None:
    """Nothing outside raw/ holds an e-mail address, a title, a link, a patient or an instance uid of those rows."""
    secrets = _secrets(rows_of(ROWS))
    written = texts(published[0].lake)

    assert len(secrets) >= 20
    assert leaks(written, secrets) == []
    addresses = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
    assert [place for place, text in written.items() if addresses.search(text)] == []
    assert any("events" in place for place in written)


def test_every_row_event_is_in_the_lineage(published: tuple[Desk, Batch]) -> None:
    """The export hash of each row, and every hash its history names."""
    events = {
        event["label_hash"]: event for event in published[0].label_set().version().table("row_events").to_pylist()
    }

    for row in rows_of(ROWS):
        event = events[row["label_hash"]]
        assert event["export_hash"] == row["export_hash"]
        expected = {row["export_hash"], *(entry["export_hash"] for entry in row["export_history"])}
        assert {entry["export_hash"] for entry in event["history"]} == expected
    assert len(events) == 6


def _images(desk: Desk) -> list[Json]:
    return desk.label_set().version().table("images").to_pylist()


def _answer(record: Json) -> Answer:
    for column in ("text", "number"):
        if record[column] is not None:
            given: Answer = record[column]
            return given
    return sorted(record["option_hashes"])


def _our_key(annotation: Json) -> Key:
    origin = annotation["encord"]
    return origin["data_hash"], origin["frame"], origin["object_hash"]


def _their_annotations() -> dict[Key, Json]:
    document = json.loads(real_export(THEIRS))
    places = {image["id"]: _place(image) for image in document["images"]}
    categories = {category["id"]: category for category in document["categories"]}
    found: dict[Key, Json] = {}
    for annotation in document["annotations"]:
        category = categories[annotation["category_id"]]
        key = (*places[annotation["image_id"]], annotation["attributes"]["encord_track_uuid"])
        assert key not in found
        found[key] = annotation | {"shape": category["supercategory"], "class_name": category["name"]}
    return found


def _place(image: Json) -> tuple[str, int]:
    """Data hash and frame number of a vendor's image, which says them in its file name only."""
    kind, data_hash, *rest = image["file_name"].split("/")
    if kind == "images":
        data_hash = data_hash.partition(".")[0]
        return next((found, frame) for found, frame in _frames() if found == data_hash)
    if kind == "dicom":
        slices = _slices()
        return data_hash, slices[rest[0]] if rest[0] in slices else int(rest[0])
    return data_hash, int(rest[0].partition(".")[0])


def _frames() -> list[tuple[str, int]]:
    return [(data_hash, frame) for row in rows_of(ROWS) for data_hash, frame, _, _ in frames_of(row)]


def _slices() -> dict[str, int]:
    return {
        labels["metadata"]["dicom_instance_uid"]: frame
        for row in rows_of(ROWS)
        if row["data_type"] == "dicom"
        for _, frame, labels, _ in frames_of(row)
        if "metadata" in labels
    }


def _secrets(value: Any) -> set[str]:
    private = {
        "data_title", "dataset_title", "data_link", "video_link", "file_uri", "patient_id", "study_uid", "series_uid",
        "dicom_instance_uid", "user_email", "createdBy", "lastEditedBy",
    }  # fmt: skip
    found: set[str] = set()
    if isinstance(value, list):
        return found.union(*(_secrets(child) for child in value))
    if not isinstance(value, dict):
        return found
    found |= {child for key, child in value.items() if key in private and isinstance(child, str) and len(child) > 8}
    found |= {link for link in value.get("data_links", []) if isinstance(link, str)}
    return found.union(*(_secrets(child) for child in value.values()))
