"""YOLO labels read back by a reader of ten lines: boxes, outlines to the pixel, joints, corners, names."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.formats.yolo import image_path, is_rectangle, labels_path, yaml_text
from encord_dagster.formats.yolo_outlines import fractions_text
from tests import factories
from tests.effort import examples
from tests.factories import HEIGHT, WIDTH
from tests.lakes import Desk, project_export
from tests.published import Json
from tests.test_checkout import every_shape
from tests.written import checked_out, desk_of, document, drawn, losses, masks_of, overlap

KINDS = ("yolo_detect", "yolo_segment", "yolo_pose", "yolo_obb")
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}


def lines(folder: Path, kind: str, file_name: str = "images/data-0.jpg") -> list[tuple[int, list[float]]]:
    """Class index and numbers of each label of an image."""
    text = (folder / kind / labels_path(image_path(file_name))).read_text()
    return [(int(line.split()[0]), [float(number) for number in line.split()[1:]]) for line in text.splitlines()]


def in_pixels(numbers: list[float], image: Json) -> list[float]:
    """Fractions by turns of width and height."""
    return [number * image["height" if place % 2 else "width"] for place, number in enumerate(numbers)]


def test_boxes_come_back(tmp_path: Path) -> None:
    """Of every image of all data types: the boxes of the COCO file cut off at the frame, within half a thousandth."""
    desk = Desk()
    desk.bring("one.json", project_export(10))
    folder = checked_out(tmp_path, desk, "coco", "yolo_detect")
    coco = document(folder)
    index = {one["id"]: place for place, one in enumerate(coco["categories"])}
    held = 0

    for image in coco["images"]:
        expected = []
        for one in (one for one in coco["annotations"] if one["image_id"] == image["id"]):
            x, y, width, height = one["bbox"]
            if "polyline" not in one and width > 0 and height > 0:
                left, top = max(x, 0), max(y, 0)
                right, bottom = min(x + width, image["width"]), min(y + height, image["height"])
                expected.append((index[one["category_id"]], [left, top, right, bottom]))
        found = []
        for number, fractions in lines(folder, "yolo_detect", image["file_name"]):
            x, y, width, height = in_pixels(fractions, image)
            found.append((number, [x - width / 2, y - height / 2, x + width / 2, y + height / 2]))
        assert [number for number, _ in found] == [number for number, _ in expected]
        for (_, one), (_, other) in zip(found, expected, strict=True):
            assert one == pytest.approx(other, abs=5e-3)
        held += len(found)

    assert held + losses(folder)["yolo_detect:no_box"] == len(coco["annotations"])
    assert held > 150


def test_outlines_are_the_masks(tmp_path: Path) -> None:
    """Drawn again by pycocotools: masks, and polygons in parts or with holes, to the pixel; others within 0.5 %."""
    desk = Desk()
    desk.bring("one.json", project_export(10))
    desk.bring("shapes.json", factories.encode([factories.image_row(*every_shape())]))
    folder = checked_out(tmp_path, desk, "coco", "yolo_segment")
    coco = document(folder)
    masks = masks_of(coco)
    held = exact = 0

    for image in coco["images"]:
        with_area = [
            one
            for one in coco["annotations"]
            if one["image_id"] == image["id"] and "polyline" not in one and "keypoints" not in one
        ]
        found = lines(folder, "yolo_segment", image["file_name"])
        assert len(found) == len(with_area)
        for one, (_, numbers) in zip(with_area, found, strict=True):
            assert all(0 <= number <= 1 for number in numbers)
            again = drawn(in_pixels(numbers, image), width=image["width"], height=image["height"])
            if isinstance(one["segmentation"], dict) or len(one["segmentation"]) > 1:
                assert np.array_equal(again, masks[one["id"]])
                exact += 1
            else:
                assert overlap(again, masks[one["id"]]) > 0.995
        held += len(found)

    assert exact == losses(folder)["yolo_segment:outline_of_pixels"] > 20
    assert held + losses(folder)["yolo_segment:no_area"] == len(coco["annotations"])


def test_a_box_that_leaves_the_image_is_cut_off(tmp_path: Path) -> None:
    """The reader refuses a whole image for one number outside."""
    row = factories.image_row(factories.rotated_box(45.0), factories.box(-0.02, 0.5, 0.1, 0.1))
    turned = factories.changed(row, 0.96, *_geometry(0), "x")

    folder = checked_out(tmp_path, desk_of(turned), *KINDS)

    for kind in KINDS:
        assert all(0 <= number <= 1 for _, numbers in lines(folder, kind) for number in numbers)
    assert losses(folder)["yolo_obb:corners_cut"] == 1
    assert len(lines(folder, "yolo_obb")) == len(lines(folder, "yolo_segment")) == 2


def _geometry(place: int) -> tuple[str | int, ...]:
    return "data_units", "data-0", "labels", "objects", place, "rotatableBoundingBox"


def test_corners_of_turned_boxes_come_back(tmp_path: Path) -> None:
    """Length, width and angle; shapes that are no boxes have the upright box, which is counted."""
    row = factories.image_row(factories.rotated_box(30.0), factories.box(), factories.polygon())

    folder = checked_out(tmp_path, desk_of(row), "yolo_obb")

    turned, box, polygon = (in_pixels(numbers, {"width": WIDTH, "height": HEIGHT}) for _, numbers in
                            lines(folder, "yolo_obb"))  # fmt: skip
    x0, y0, x1, y1, x2, y2, *_ = turned
    assert math.degrees(math.atan2(y1 - y0, x1 - x0)) == pytest.approx(30, abs=0.01)
    assert math.hypot(x1 - x0, y1 - y0) == pytest.approx(0.125 * WIDTH, abs=0.01)
    assert math.hypot(x2 - x1, y2 - y1) == pytest.approx(0.25 * HEIGHT, abs=0.01)
    assert box == pytest.approx([320, 360, 480, 360, 480, 540, 320, 540], abs=5e-3)
    assert polygon == pytest.approx([128, 72, 512, 72, 512, 432, 128, 432], abs=5e-3)
    assert losses(folder)["yolo_obb:upright_box"] == 1


def test_joints_come_back(tmp_path: Path) -> None:
    """Behind the box: x, y and visibility of each joint, filled up to the class with the most of them."""
    five = factories.skeleton(
        [factories.joint(0.1 * n, 0.1 + 0.1 * n, f"joint {n}", f"JointCl{n}") for n in range(3, 8)],
        "object11",
        featureHash="Skeleto5",
        name="five joints",
    )
    row = factories.image_row(factories.skeleton(), five, factories.box())

    folder = checked_out(tmp_path, desk_of(row), "yolo_pose")

    two, other = (numbers for _, numbers in lines(folder, "yolo_pose"))
    assert two == [0.5, 0.375, 0.5, 0.25, 0.25, 0.5, 2, 0.75, 0.25, 1, *[0] * 9]
    assert len(other) == 4 + 3 * 5
    about = yaml.safe_load((folder / "yolo_pose" / "data.yaml").read_text())
    assert about["kpt_shape"] == [5, 3]
    assert losses(folder)["yolo_pose:no_joints"] == 1


def test_indices_follow_category_ids(tmp_path: Path) -> None:
    """From 0, in all four kinds alike; names that YAML would read as something else are quoted."""
    boxes = [
        factories.box(object_hash=f"object-{n}", featureHash=f"class-{n}", name=name)
        for n, name in enumerate(("yes", 'a "b": c', "1", "Größe 😀"))
    ]
    desk = desk_of(factories.image_row(*boxes))

    folder = checked_out(tmp_path, desk, *KINDS, splits=SPLITS)

    for kind in KINDS:
        about = yaml.safe_load((folder / kind / "data.yaml").read_text("utf-8"))
        assert about["names"] == dict(enumerate(one.name for one in desk.label_set().version().categories))
        assert [about[name] for name in ("train", "val", "test")] == ["train.txt", "val.txt", "test.txt"]
    assert [number for number, _ in lines(folder, "yolo_detect")] == [0, 1, 2, 3]


@settings(max_examples=examples(150), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_any_name_of_a_class_survives_yaml(name: str) -> None:
    """Line breaks of all kinds, quotes, and characters that YAML refuses as they are."""
    assert yaml.safe_load(f"names:\n  0: {yaml_text(name)}\n")["names"] == {0: name}


def test_without_splits_training_and_validation_are_the_same(tmp_path: Path) -> None:
    """Ultralytics demands both, and the file says it."""
    folder = checked_out(tmp_path, desk_of(factories.image_row()), "yolo_detect")

    text = (folder / "yolo_detect" / "data.yaml").read_text()

    assert {key: yaml.safe_load(text)[key] for key in ("train", "val")} == {"train": "images.txt", "val": "images.txt"}
    assert "nothing was split" in text
    assert (folder / "yolo_detect" / "images.txt").read_text() == "./images/data-0.jpg\n"
    assert lines(folder, "yolo_detect") == []


@pytest.mark.parametrize(
    ("file_name", "image", "labels"),
    [
        ("images/a.jpg", "images/a.jpg", "labels/a.txt"),
        ("videos/h/7.jpg", "images/videos/h/7.jpg", "labels/videos/h/7.txt"),
        ("dicom/h/7", "images/dicom/h/7.png", "labels/dicom/h/7.txt"),
        ("images/a.v2", "images/a.v2.png", "labels/a.v2.txt"),
        ("groups/g/images/7.jpg", "images/groups/g/images/7.jpg", "images/groups/g/labels/7.txt"),
        ("images/images/a.JPG", "images/images/a.JPG", "images/labels/a.txt"),
    ],
)
def test_labels_lie_where_ultralytics_looks_for_them(file_name: str, image: str, labels: str) -> None:
    """By its own rule, which is written out here."""
    assert image_path(file_name) == image
    assert labels_path(image) == labels
    theirs = "/data/" + image
    assert "/labels/".join(theirs.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt" == "/data/" + labels


@pytest.mark.parametrize(
    ("ring", "expected"),
    [
        ((0.0, 0.0, 2.0, 0.0, 2.0, 1.0, 0.0, 1.0), True),
        ((0.0, 0.0, 2.0, 0.0, 2.5, 1.0, 0.5, 1.0), False),
        ((0.0, 0.0, 2.0, 0.0, 1.0, 1.0, 0.0, 1.0), False),
        ((0.0, 0.0, 2.0, 0.0, 1.0, 1.0), False),
    ],
)
def test_a_rectangle_is_told_from_other_rings(ring: tuple[float, ...], expected: bool) -> None:
    """A parallelogram and a trapezium are none."""
    assert is_rectangle(ring) is expected


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1) | st.integers(0, 10**6).map(lambda place: place / 10**6)] * 2), min_size=1))
def test_fractions_are_decimals_of_six_digits(points: list[tuple[float, float]]) -> None:
    """The shortest ones, and without an exponent."""
    texts = fractions_text(np.array(points * 2), np.array([len(points), len(points)]))

    assert len(set(texts)) == 1
    for text, number in zip(texts[0].decode().split(" "), np.array(points).reshape(-1), strict=True):
        shortest = f"{np.round(number, 6):.6f}".rstrip("0")
        assert text == (shortest + "0" if shortest.endswith(".") else shortest)
