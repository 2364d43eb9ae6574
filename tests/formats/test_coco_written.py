"""COCO panoptic and keypoints: judged by what pycocotools makes of them, and by a check like panopticapi's own."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from encord_dagster.formats.coco_panoptic import IDS, segment_ids
from tests import factories
from tests.lakes import Desk, exported_again, project_export
from tests.published import Json
from tests.test_checkout import every_shape
from tests.written import checked_out, desk_of, document, losses, picture


def assert_panoptic_is_sound(folder: Path) -> int:
    """What panopticapi's evaluation demands, and agreement with our own masks; returns the number of segments.

    Ids in a picture are those listed, each once; area and box are those of its pixels; categories are known.
    """
    panoptic, masks = document(folder, "panoptic"), folder / "masks"
    categories = {one["id"] for one in panoptic["categories"]}
    by_image = {one["image_id"]: one for one in panoptic["annotations"]}
    assert len(by_image) == len(panoptic["annotations"]) == len(panoptic["images"])
    segments = 0
    for image in panoptic["images"]:
        given = by_image[image["id"]]
        colours = picture(masks / "panoptic" / given["file_name"]).astype(np.uint32)
        assert colours.shape == (image["height"], image["width"], 3)
        ids = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
        found = {int(one): int(count) for one, count in zip(*np.unique(ids, return_counts=True), strict=True)}
        found.pop(0, None)
        listed = {one["id"]: one for one in given["segments_info"]}
        assert len(listed) == len(given["segments_info"])
        assert found == {number: one["area"] for number, one in listed.items()}
        semantic = np.zeros(ids.shape, dtype=np.int64)
        for number, one in listed.items():
            assert one["category_id"] in categories
            assert one["iscrowd"] == 0
            ys, xs = np.nonzero(ids == number)
            assert one["bbox"] == [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
            semantic[ids == number] = one["category_id"]
        name = given["file_name"]
        assert np.array_equal(semantic, picture(masks / "semantic" / name))
        instance = picture(masks / "instance" / name)
        assert len(np.unique(np.stack((ids, instance), axis=-1).reshape(-1, 2), axis=0)) == len(np.unique(instance))
        segments += len(listed)
    return segments


def test_panoptic_agrees_with_the_masks_pixel_by_pixel(tmp_path: Path) -> None:
    """Of all data types, after a second export, where two rows describe one image, and of every shape."""
    desk = Desk()
    data = project_export(8)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=3))
    shapes = [
        factories.image_row(*every_shape()[:4], label_hash="row-one"),
        factories.image_row(*every_shape()[2:], label_hash="row-two"),
    ]
    desk.bring("shapes.json", factories.encode(shapes))

    checked_out(tmp_path, desk, "masks", "coco_panoptic")

    assert assert_panoptic_is_sound(tmp_path) > 120


@pytest.mark.parametrize("objects", [54, 300])
def test_panoptic_of_crowded_frames_agrees_too(objects: int, tmp_path: Path) -> None:
    """More objects than are painted by their spans alone."""
    boxes = [
        factories.box(n / 400, n / 500, 0.05, 0.06, f"object-{n}", featureHash=f"class-{n}", name=f"class {n}")
        for n in range(objects)
    ]

    checked_out(tmp_path, desk_of(factories.image_row(*boxes)), "masks", "coco_panoptic")

    assert assert_panoptic_is_sound(tmp_path) > 50


def test_an_object_that_is_covered_is_no_segment_and_is_counted(tmp_path: Path) -> None:
    """So are points and lines."""
    row = factories.image_row(
        factories.box(0.3, 0.3, 0.1, 0.1), factories.point(), factories.box(0.2, 0.2, 0.5, 0.5, "object09")
    )

    checked_out(tmp_path, desk_of(row), "masks", "coco_panoptic")

    assert assert_panoptic_is_sound(tmp_path) == 1
    assert losses(tmp_path)["coco_panoptic:covered"] == 1
    assert losses(tmp_path)["coco_panoptic:no_area"] == 1


def test_an_object_keeps_its_id_over_frames_and_versions(tmp_path: Path) -> None:
    """It is that of its track."""
    desk = desk_of(factories.video_row({0: [factories.box()], 5: [factories.box(0.4)]}))
    one = document(checked_out(tmp_path / "one", desk, "coco_panoptic"), "panoptic")
    desk.bring("more.json", factories.encode([factories.image_row(factories.box(), label_hash="another")]))

    two = document(checked_out(tmp_path / "two", desk, "coco_panoptic"), "panoptic")

    assert len({segment["id"] for given in one["annotations"] for segment in given["segments_info"]}) == 1
    assert all(given in two["annotations"] for given in one["annotations"])


def test_segment_ids_that_clash_are_told_apart() -> None:
    """They stay within 24 bits, and are never 0."""
    assert segment_ids([5, 5 + IDS - 1, IDS - 2, 2 * IDS - 3]) == [6, 7, IDS - 1, 1]


def evaluated(truth: Json, found: list[Json], joints: int, category: int) -> float:
    """Average precision of keypoints by COCOeval."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        judge: Any = COCOeval(coco, coco.loadRes(found), "keypoints")
        judge.params.kpt_oks_sigmas = np.full(joints, 0.05)
        judge.params.catIds = [category]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0])


def test_keypoints_are_scored_by_pycocotools(tmp_path: Path) -> None:
    """Perfect detections score 1, the same ones moved by a fifth of the image score 0; categories name their joints."""
    desk = Desk()
    desk.bring("one.json", project_export(12))

    truth = document(checked_out(tmp_path, desk, "coco_keypoints"), "keypoints")

    (skeleton,) = (one for one in truth["categories"] if len(one["keypoints"]) > 1)
    assert all({"keypoints", "skeleton"} <= one.keys() for one in truth["categories"])
    right = [
        {**{key: one[key] for key in ("image_id", "category_id", "keypoints")}, "score": 1.0}
        for one in truth["annotations"]
    ]
    wrong = [{**one, "keypoints": [value + 200 for value in one["keypoints"]]} for one in right]
    joints = len(skeleton["keypoints"])
    of_skeleton = [one for one in truth["annotations"] if one["category_id"] == skeleton["id"]]
    assert len(of_skeleton) > 10
    assert all(one["num_keypoints"] == sum(v > 0 for v in one["keypoints"][2::3]) for one in truth["annotations"])
    assert all(len(one["keypoints"]) == 3 * joints for one in of_skeleton)
    assert evaluated(truth, [one for one in right if one["category_id"] == skeleton["id"]], joints, skeleton["id"]) == 1
    assert evaluated(truth, [one for one in wrong if one["category_id"] == skeleton["id"]], joints, skeleton["id"]) == 0


def test_keypoints_hold_what_has_joints_and_count_the_rest(tmp_path: Path) -> None:
    """The area is that of the box; records are those of the COCO file else."""
    row = factories.image_row(factories.box(), factories.point(), factories.skeleton(), factories.polyline())

    checked_out(tmp_path, desk_of(row), "coco", "coco_keypoints")

    point, skeleton = document(tmp_path, "keypoints")["annotations"]
    same = {one["id"]: one for one in document(tmp_path)["annotations"]}
    assert skeleton | {"area": 0} == same[skeleton["id"]]
    assert skeleton["area"] == pytest.approx(0.5 * factories.WIDTH * 0.25 * factories.HEIGHT)
    assert point == same[point["id"]]
    assert losses(tmp_path)["coco_keypoints:no_joints"] == 2
