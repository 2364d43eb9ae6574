"""instances.json before foreign judges: pycocotools opens it, scores it and decodes every mask in it."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from pycocotools.cocoeval import COCOeval

from encord_dagster.config import LabelSetConfig
from encord_dagster.samples import Project, first_export
from tests import factories
from tests.lakes import DAY, Desk, exported_again, project_export
from tests.published import Json, coco_of, opened, pixels

ROOT = Path(__file__).parents[1]
PRINT_OBJECTS = """
import hashlib, sys
from encord_dagster.samples import bad_row
from tests.lakes import DAY, Desk, exported_again, project_export
desk, data = Desk(), project_export(8)
desk.bring("one.json", data)
desk.bring("bad.json", bad_row(seed=3, exported_at=DAY))
desk.bring("two.json", exported_again(data, changed=2, added=1, deleted=1))
for key in sorted(desk.written("label_sets/street/objects/") | desk.written("label_sets/street/categories/")):
    print(key, hashlib.sha256(desk.lake.get(key)).hexdigest())
print(*(record.content_digest for record in desk.label_set().log()))
"""


@pytest.fixture(scope="module")
def document() -> Json:
    """The COCO file of a project with every data type and shape."""
    desk = Desk()
    desk.bring("one.json", project_export(10))
    return coco_of(desk)


@pytest.fixture(scope="module")
def coco(document: Json) -> Any:
    """The same, opened by pycocotools."""
    return opened(document)


def test_pycocotools_opens_the_file(document: Json, coco: Any) -> None:
    """Every image, annotation and category is in its index, under an id of its own."""
    assert len(coco.imgs) == len(document["images"]) > 20
    assert len(coco.anns) == len(document["annotations"]) > 100
    assert len(coco.cats) == len(document["categories"]) >= 10
    assert {one["image_id"] for one in document["annotations"]} <= coco.imgs.keys()
    assert {one["category_id"] for one in document["annotations"]} <= coco.cats.keys()
    shapes = {category["supercategory"] for category in document["categories"]}
    assert shapes == set(factories.FEATURES)


def test_ids_suit_evaluation(document: Json) -> None:
    """Ids are neither 0, which COCOeval reads as no match, nor beyond what float64 holds; nothing is a crowd."""
    ids = [one["id"] for kind in ("images", "annotations", "categories") for one in document[kind]]

    assert all(isinstance(one, int) and 0 < one < 2**53 for one in ids)
    assert all(0 < one["attributes"]["track_id"] < 2**53 for one in document["annotations"])
    assert {one["iscrowd"] for one in document["annotations"]} == {0}
    assert [category["id"] for category in document["categories"]] == sorted(
        category["id"] for category in document["categories"]
    )


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_a_perfect_prediction_scores_one(document: Json, coco: Any, kind: str) -> None:
    """Our own annotations, handed in as predictions, have an average precision and recall of 1."""
    with_area = [one for one in document["annotations"] if one["area"] > 0]
    truth = opened(document | {"annotations": with_area})
    predictions = [{key: one[key] for key in ("image_id", "category_id", "bbox", "score")} for one in with_area]
    if kind == "segm":
        for prediction, one in zip(predictions, with_area, strict=True):
            del prediction["bbox"]
            prediction["segmentation"] = coco.annToRLE(one)

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(predictions), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()

    assert evaluation.stats[0] == pytest.approx(1.0, abs=1e-9)
    assert evaluation.stats[8] == pytest.approx(1.0, abs=1e-9)
    matched = sum(int((image["dtMatches"][0] > 0).sum()) for image in evaluation.evalImgs if image)
    assert matched >= len(with_area)


def test_keypoints_are_scored_too(document: Json) -> None:
    """Skeletons handed in as predictions match themselves in COCO's keypoint evaluation."""
    (category,) = [one for one in document["categories"] if one["supercategory"] == "skeleton"]
    people = [one | {"area": one["bbox"][2] * one["bbox"][3]} for one in document["annotations"]]
    people = [one for one in people if one["category_id"] == category["id"]]
    truth = opened(document | {"annotations": people, "categories": [category]})
    predictions = [{key: one[key] for key in ("image_id", "category_id", "keypoints", "score")} for one in people]

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(predictions), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.full(len(category["keypoints"]), 0.05)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()

    assert len(people) >= 10
    assert evaluation.stats[0] == pytest.approx(1.0, abs=1e-9)


def test_every_annotation_has_a_mask_that_decodes(document: Json, coco: Any) -> None:
    """Asking annToMask for each annotation gives a mask of the image's size; what has no area has no pixels."""
    for annotation in document["annotations"]:
        image = coco.imgs[annotation["image_id"]]

        mask = pixels(coco, annotation)

        assert mask.shape == (image["height"], image["width"])
        if annotation["area"] > 4:
            assert mask.any()
        if annotation["area"] == 0:
            assert not mask.any()


def test_run_lengths_are_pycocotools_own(document: Json, coco: Any) -> None:
    """Counts are byte for byte what pycocotools encodes of the decoded mask; area and box are the mask's."""
    coded = [one for one in document["annotations"] if isinstance(one["segmentation"], dict)]

    for annotation in coded:
        code = annotation["segmentation"]
        mask = rle.decode(code)
        again = rle.encode(np.asfortranarray(mask))
        assert again["counts"].decode() == code["counts"]
        assert again["size"] == code["size"]
        if annotation["area"]:
            assert annotation["area"] == mask.sum()
            assert annotation["bbox"] == rle.toBbox(again).tolist()
        else:
            assert not mask.any()
    with_pixels = {coco.cats[one["category_id"]]["supercategory"] for one in coded if one["area"]}
    assert with_pixels == {"bitmask", "polygon"}


def test_areas_are_near_the_pixels(document: Json, coco: Any) -> None:
    """`area` of boxes and polygons is that of the outline; rasterising it gives the same but for its edge."""
    compared = 0

    for annotation in document["annotations"]:
        outline = annotation["segmentation"]
        if isinstance(outline, list) and annotation["area"] > 0:
            points = np.array(outline[0]).reshape(-1, 2)
            edge = np.hypot(*(points - np.roll(points, 1, axis=0)).T).sum()
            mask = pixels(coco, annotation)
            inside = _cut_to(annotation["bbox"], *mask.shape)
            if inside:
                assert abs(mask.sum() - annotation["area"]) <= edge
                compared += 1

    assert compared > 50


def test_keypoints_are_named_by_their_category(document: Json) -> None:
    """Three numbers for each name; a joint that is not seen is 0, 0, 0; num_keypoints counts the others."""
    categories = {category["id"]: category for category in document["categories"]}
    shapes: set[str] = set()

    for annotation in document["annotations"]:
        category = categories[annotation["category_id"]]
        assert ("keypoints" in annotation) == ("keypoints" in category)
        if "keypoints" not in annotation:
            continue
        shapes.add(category["supercategory"])
        joints = np.array(annotation["keypoints"]).reshape(-1, 3)
        assert len(joints) == len(category["keypoints"])
        assert set(joints[:, 2]) <= {0, 1, 2}
        assert annotation["num_keypoints"] == (joints[:, 2] > 0).sum()
        assert not joints[joints[:, 2] == 0].any()

    assert shapes == {"point", "skeleton"}
    (skeleton,) = [one for one in document["categories"] if one["supercategory"] == "skeleton"]
    assert skeleton["keypoints"][:3] == ["head", "neck", "left_hand"]


def test_images_without_objects_are_kept(document: Json, coco: Any) -> None:
    """An unlabelled image, an empty frame and the third image of a group are there, without annotations."""
    empty = [image for image in document["images"] if not coco.imgToAnns[image["id"]]]

    kinds = {image["file_name"].split("/")[0] for image in empty}

    assert kinds >= {"images", "videos"}
    assert len(empty) >= 3


def test_file_names_are_relative_unique_and_plain(document: Json) -> None:
    """No two images have one name, and a name is safe below any folder and on any file system."""
    names = [image["file_name"] for image in document["images"]]

    assert len(set(names)) == len(names)
    for name in names:
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert not set(name) & set('\\:*?"<>|')


def test_ids_do_not_depend_on_what_came_before() -> None:
    """The same rows, alone, behind others and in another lake: the same image and annotation ids."""
    alone, behind = Desk(), Desk()
    alone.bring("some.json", first_export(Project(3, 3, first_row=2), exported_at=DAY))
    behind.bring("all.json", first_export(Project(3, 5), exported_at=DAY))

    some, every = coco_of(alone), coco_of(behind)

    for kind in ("images", "annotations"):
        by_origin = {_origin(one): one["id"] for one in every[kind]}
        assert {_origin(one): one["id"] for one in some[kind]}.items() <= by_origin.items()
        assert len(some[kind]) < len(every[kind])


def test_ids_and_categories_stay_when_exports_arrive_later() -> None:
    """Rows in front, changed rows and new classes: what was published keeps its ids, and its category."""
    desk = Desk()
    later = first_export(Project(3, 8), exported_at=DAY)
    desk.bring("some.json", first_export(Project(3, 2, first_row=4), exported_at=DAY))
    desk.bring("all.json", later)
    desk.bring("again.json", exported_again(later, changed=3, added=1))

    first, second, third = (coco_of(desk, number) for number in (1, 2, 3))

    for before, after in ((first, second), (second, third)):
        for kind in ("images", "annotations"):
            ids = {_origin(one): one["id"] for one in after[kind]}
            assert {_origin(one): one["id"] for one in before[kind]}.items() <= ids.items()
        categories = {one["encord"]["feature_hash"]: (one["id"], one["name"]) for one in after["categories"]}
        assert {
            one["encord"]["feature_hash"]: (one["id"], one["name"]) for one in before["categories"]
        }.items() <= categories.items()
    assert len(first["categories"]) < len(second["categories"])


def test_an_image_of_two_label_rows_is_one_record(tmp_path: Path) -> None:
    """Annotations and classifications of both rows are on it, and its masks show both."""
    left = factories.box(0.1, 0.1, 0.4, 0.4, "leftbox1")
    right = factories.box(0.3, 0.3, 0.4, 0.4, "rightbox", featureHash="OtherBox", name="other")
    rows = [
        factories.image_row(left, classifications=[factories.classification("classifA")]),
        factories.image_row(
            right,
            classifications=[factories.classification("classifB", "ClassCl2", name="light")],
            label_hash="b97f86f8-3af8-478c-9280-7b80afbf5ffc",
        ),
    ]
    desk = Desk()

    desk.bring("two.json", factories.encode(rows))

    document = coco_of(desk)
    (image,) = document["images"]
    assert {one["encord"]["object_hash"] for one in document["annotations"]} == {"leftbox1", "rightbox"}
    assert {one["image_id"] for one in document["annotations"]} == {image["id"]}
    assert {one["classification_hash"] for one in image["classifications"]} == {"classifA", "classifB"}
    assert len({one["label_hash"] for one in image["classifications"]}) == 2
    assert desk.label_set().version().rows == 2

    desk.label_set().version().checkout(tmp_path)

    instance = np.array(Image.open(tmp_path / "masks" / "instance" / "images" / "data-0.png"))
    semantic = np.array(Image.open(tmp_path / "masks" / "semantic" / "images" / "data-0.png"))
    values = {one["encord"]["object_hash"]: place for place, one in enumerate(document["annotations"], start=1)}
    categories = [0] + [one["category_id"] for one in document["annotations"]]
    in_left, in_both, in_right, in_none = ((int(part * 720), int(part * 1280)) for part in (0.2, 0.4, 0.6, 0.9))
    assert [int(instance[spot]) for spot in (in_left, in_right)] == [values["leftbox1"], values["rightbox"]]
    assert (instance[in_both], instance[in_none]) == (2, 0)
    assert np.array_equal(semantic, np.array(categories)[instance])


def test_two_rows_keep_their_annotations_apart_when_one_changes() -> None:
    """One of two rows of an image loses its object: the other's stays, and so does the image."""
    one = factories.image_row(factories.box(object_hash="object-1"))
    other = factories.image_row(factories.box(0.5, object_hash="object-2"), label_hash="other-row")
    emptied = factories.changed(other, {"objects": [], "classifications": []}, "data_units", "data-0", "labels")
    emptied = factories.changed(emptied, "Sat, 20 Jul 2024 09:20:25 UTC", "exported_at")
    desk = Desk(config=LabelSetConfig(name="street", hold_back=()))
    desk.bring("both.json", factories.encode([one, other]))

    desk.bring("less.json", factories.encode([one, emptied]))

    document = coco_of(desk)
    assert [annotation["encord"]["object_hash"] for annotation in document["annotations"]] == ["object-1"]
    assert len(document["images"]) == 1


def test_the_same_object_on_the_same_frame_of_two_branches_is_published_once() -> None:
    """Only the configured branch is in COCO; the other branch is counted as excluded."""
    main = factories.image_row(factories.box(object_hash="object-1"))
    branch = factories.changed(main, "model-1", "branch_name")
    desk = Desk()

    outcome = desk.bring("both.json", factories.encode([main, branch])).outcomes[0]

    assert (outcome.objects_in, outcome.objects_published, outcome.objects_excluded) == (2, 1, {"other_branch": 1})
    assert len(coco_of(desk)["annotations"]) == 1


def test_bytes_are_the_same_in_another_process() -> None:
    """Two processes with other hash seeds write the same objects and digests, byte for byte."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_OBJECTS],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "4242")
    ]

    one, two = (run.communicate(timeout=60)[0] for run in runs)

    assert [run.returncode for run in runs] == [0, 0]
    assert one == two
    assert len(one.splitlines()) > 20


def test_a_file_of_many_rows_is_valid_json() -> None:
    """The pieces copied out of sixteen buckets fit together, whatever letters the class names have."""
    rows = [
        factories.image_row(factories.box(name='größe "\\ 中'), label_hash=f"label-{n}", data_hash=f"data-{n}")
        for n in range(300)
    ]
    for number, row in enumerate(rows):
        (unit,) = row["data_units"].values()  # type: ignore[attr-defined]  # free JSON
        row["data_units"] = {f"data-{number}": unit | {"data_hash": f"data-{number}"}}
    desk = Desk(config=LabelSetConfig(name="street", masks=False))
    desk.bring("many.json", factories.encode(rows))

    document = json.loads(desk.label_set().version().coco())

    assert len(desk.label_set().version().root.buckets) == 16
    assert (len(document["images"]), len(document["annotations"])) == (300, 300)
    assert {category["name"] for category in document["categories"]} == {'größe "\\ 中'}
    assert len(opened(document).anns) == 300


def _origin(record: Json) -> tuple[str, ...]:
    return tuple(str(record["encord"].get(key)) for key in ("label_hash", "data_hash", "frame", "object_hash"))


def _cut_to(bbox: list[float], height: int, width: int) -> bool:
    x, y, across, down = bbox
    return x >= 0 and y >= 0 and x + across <= width and y + down <= height
