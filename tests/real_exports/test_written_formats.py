"""Real label rows in the formats for training: every object comes back, or is counted as lost."""

import json
from pathlib import Path

import numpy as np
import pytest

from encord_dagster.formats.catalogue import FORMATS
from encord_dagster.formats.yolo import image_path, labels_path
from tests.dicom_files import write_series
from tests.factories import REAL_EXPORTS, real_export
from tests.formats.test_coco_written import assert_panoptic_is_sound
from tests.formats.test_selection import assert_all_is_counted
from tests.lakes import Desk
from tests.published import Json
from tests.written import checked_out, document, drawn, losses, masks_of, overlap, report

PLATFORM = "platform_rows.json"
FIXTURES = sorted(path.name for path in (REAL_EXPORTS / "fixture_rows").glob("*.rows.json"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The platform's six rows in every format."""
    desk = Desk()
    desk.bring("platform.json", real_export(PLATFORM))
    folder = tmp_path_factory.mktemp("real")
    write_series(folder / "headers")
    splits = {"train": 0.5, "val": 0.5}
    return checked_out(folder / "out", desk, *FORMATS, splits=splits, dicom_headers=folder / "headers")


def test_panoptic_agrees_with_the_masks(folder: Path) -> None:
    """Pixel by pixel, on all ten images."""
    assert assert_panoptic_is_sound(folder) > 20
    assert len(document(folder, "panoptic")["images"]) == 10


def test_outlines_are_the_masks_again(folder: Path) -> None:
    """To the pixel where they were pixels; the others by an overlap of 0.99, as their numbers have six decimals."""
    coco, held = document(folder), 0
    masks = masks_of(coco)
    for image in coco["images"]:
        ones = [
            one
            for one in coco["annotations"]
            if one["image_id"] == image["id"] and "polyline" not in one and "keypoints" not in one
        ]
        labels = folder / "yolo_segment" / labels_path(image_path(image["file_name"]))
        lines = [np.array(line.split()[1:], dtype=float) for line in labels.read_text().splitlines()]
        assert len(lines) == len(ones)
        for one, numbers in zip(ones, lines, strict=True):
            pixels = numbers.reshape(-1, 2) * (image["width"], image["height"])
            again = drawn(pixels.reshape(-1).tolist(), width=image["width"], height=image["height"])
            is_pixels = isinstance(one["segmentation"], dict) or len(one["segmentation"]) > 1
            assert overlap(again, masks[one["id"]]) >= (1.0 if is_pixels else 0.99)
        held += len(lines)
    assert held + losses(folder)["yolo_segment:no_area"] == len(coco["annotations"]) == 64


def test_what_a_format_does_not_hold_is_counted(folder: Path) -> None:
    """Labels of YOLO, boxes of MOT and TAO, tracks of YouTube-VIS, keypoints: with losses, each all 64 objects."""
    lost = losses(folder)

    def lines(pattern: str) -> int:
        return sum(len(path.read_text().splitlines()) for path in folder.glob(pattern))

    vis = document(folder, "youtube_vis")["annotations"]
    held = {
        "yolo_detect": lines("yolo_detect/labels/**/*.txt") + lost["yolo_detect:no_box"],
        "yolo_obb": lines("yolo_obb/labels/**/*.txt") + lost["yolo_obb:no_box"],
        "yolo_pose": lines("yolo_pose/labels/**/*.txt") + lost["yolo_pose:no_joints"] + lost["yolo_pose:no_box"],
        "mot": lines("mot/*/*/gt/gt.txt") + lost["mot:no_box"] + lost["mot:no_sequence"],
        "keypoints": len(document(folder, "keypoints")["annotations"]) + lost["coco_keypoints:no_joints"],
        "youtube_vis": sum(box is not None for one in vis for box in one["bboxes"])
        + sum(lost.get(f"youtube_vis:{name}", 0) for name in ("no_area", "no_sequence", "frame_sizes")),
        "tao": len(document(folder, "tao")["annotations"]) + lost["tao:no_box"] + lost["tao:no_sequence"],
    }

    assert held == dict.fromkeys(held, 64)


@pytest.mark.parametrize("name", FIXTURES)
def test_rows_of_every_kind_are_written(name: str, tmp_path: Path) -> None:
    """None stops a format, and all that is read is written or removed by a filter."""
    desk = Desk()
    desk.bring("row.json", real_export(f"fixture_rows/{name}"))
    head = desk.label_set().head.record
    if head is None or head.root is None:
        pytest.skip("a row that cannot be published has no version to check out")

    write_series(tmp_path / "headers")
    chosen: Json = {"min_side": 3.0, "manual_only": True, "splits": {"train": 1.0}}
    folder = checked_out(tmp_path / "out", desk, *FORMATS, dicom_headers=tmp_path / "headers", **chosen)

    assert_all_is_counted(report(folder))
    assert len(document(folder)["annotations"]) == report(folder)["written"]["annotations"]
    images = len(document(folder)["images"])
    assert len(list((folder / "yolo_detect").glob("labels/**/*.txt"))) == images
    assert json.loads((folder / "annotations" / "panoptic.json").read_bytes())["images"] == document(folder)["images"]
