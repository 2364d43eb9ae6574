"""Real rows: all are read, and their geometry is what the vendor's own exporter makes of it."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_masks

from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import RowReading, read_row
from encord_dagster.encord.model import Frame, ObjectInstance
from encord_dagster.geometry import Bitmask, Box, Ellipse, Point, Polygon, Polyline, RotatedBox, Skeleton
from encord_dagster.validation import conservation, validate
from tests.factories import REAL_EXPORTS, real_export

FIXTURES = sorted(path.name for path in (REAL_EXPORTS / "fixture_rows").glob("*.rows.json")) or ["absent.rows.json"]
CONVERTED = {"image", "group", "img_group", "video", "dicom", "nifti"}


def readings(data: bytes) -> list[RowReading]:
    """All rows of an export."""
    return [read_row(piece) for piece in iter_rows(data)]


@pytest.mark.parametrize("name", ["platform_rows.json", *(f"fixture_rows/{name}" for name in FIXTURES)])
def test_a_real_export_is_read_and_every_object_accounted_for(name: str) -> None:
    """Real rows of every kind bring neither an exception, nor an error, nor a lost object."""
    data = real_export(name)

    found = readings(data)

    assert found
    for reading in found:
        assert conservation(reading.row) is None
        assert [finding for finding in reading.findings if finding.severity == "error"] == []
        assert all(finding.severity != "error" for finding in validate(reading.row))
        assert bool(reading.row.frames) <= (reading.row.data_type in CONVERTED)


@pytest.mark.parametrize("name", ["platform_rows.json", *(f"fixture_rows/{name}" for name in FIXTURES)])
def test_the_number_of_objects_is_that_of_the_export(name: str) -> None:
    """Counted independently: every entry of an `objects` list, and every ranged object without one."""
    data = real_export(name)

    counted = [reading.row.objects_in for reading in readings(data)]

    rows = json.loads(data)
    assert counted == [count_objects(row) for row in (rows if isinstance(rows, list) else [rows])]


@pytest.mark.parametrize("name", ["platform_rows.json", *(f"fixture_rows/{name}" for name in FIXTURES)])
def test_no_title_link_or_address_of_a_real_export_leaves_the_reader(name: str) -> None:
    """Personal data ends in the reader, whatever the row."""
    data = real_export(name)

    text = repr([(reading, validate(reading.row)) for reading in readings(data)])

    assert "@" not in text.replace(" @ ", "")
    assert "://" not in text
    for secret in titles_and_links(json.loads(data)):
        assert secret not in text


def test_the_geometry_is_that_of_the_vendors_exporter() -> None:
    """Boxes, points, polygons and lines to 1e-6, masks pixel by pixel, in the order of the export."""
    coco = json.loads(real_export("platform_rows.encord_coco.json"))
    frames = [frame for reading in readings(real_export("platform_rows.json")) for frame in reading.row.frames]

    ours = [(index, frame, instance) for index, frame in enumerate(frames) for instance in frame.objects]

    assert len(frames) == len(coco["images"]) == 10
    assert len(ours) == len(coco["annotations"]) == 64
    theirs: dict[tuple[int, str, int], Any] = {}
    for annotation in coco["annotations"]:
        key = (annotation["image_id"], annotation["attributes"]["encord_track_uuid"], annotation["category_id"])
        assert key not in theirs
        theirs[key] = annotation
    categories = {category["name"]: category["id"] for category in coco["categories"]}
    for index, frame, instance in ours:
        annotation = theirs.pop((index, instance.object_hash, categories[instance.name]))
        assert (frame.width, frame.height) == tuple(coco["images"][index][side] for side in ("width", "height"))
        assert_same(instance, frame, annotation)
    assert theirs == {}


def assert_same(instance: ObjectInstance, frame: Frame, annotation: Any) -> None:
    """One annotation of the vendor against one object."""
    match instance.geometry:
        case Box(x, y, width, height) | RotatedBox(x, y, width, height):
            assert [x, y, width, height] == pytest.approx(annotation["bbox"], rel=1e-6)
        case Polygon(polygons):
            assert len(polygons) == 1
            assert list(polygons[0][0]) == pytest.approx(annotation["segmentation"][0], rel=1e-6)
        case Polyline(points):
            assert list(points) == pytest.approx(annotation["segmentation"][0][: len(points)], rel=1e-6)
        case Point(x, y):
            assert [x, y] == pytest.approx(annotation["keypoints"][:2], rel=1e-6)
        case Skeleton(joints):
            flat = [value for joint in joints for value in (joint.x, joint.y)]
            assert flat == pytest.approx([v for i, v in enumerate(annotation["keypoints"]) if i % 3 < 2], rel=1e-6)
        case Ellipse():
            pytest.fail("the vendor's exporter leaves circles and ellipses out")
        case Bitmask(runs):
            ours = pixels(runs, frame)
            theirs = coco_masks.decode(annotation["segmentation"])
            assert ours.any()
            assert np.array_equal(ours, theirs)
    if isinstance(instance.geometry, RotatedBox):
        assert instance.geometry.theta == annotation["attributes"]["rotation"]


def pixels(runs: Sequence[int], frame: Frame) -> npt.NDArray[np.uint8]:
    """Our runs as an array of rows of pixels."""
    assert frame.width and frame.height
    flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return flat.reshape(frame.height, frame.width)


def count_objects(row: Any) -> int:
    """The objects of a row, counted without the reader."""
    hashes: set[str] = set()
    total = 0
    stack = [row["data_units"], row.get("spaces") or {}]
    while stack:
        value = stack.pop()
        if isinstance(value, dict) and isinstance(value.get("objects"), list):
            total += len(value["objects"])
            hashes.update(entry["objectHash"] for entry in value["objects"])
        elif isinstance(value, dict):
            stack.extend(value.values())
    ranged = (key for key, value in row.get("object_answers", {}).items() if "shape" in value)
    return total + sum(key not in hashes for key in ranged)


def titles_and_links(value: Any) -> set[str]:
    """The texts of an export that must not leave the reader; short ones also occur elsewhere."""
    private = {"data_title", "dataset_title", "data_link", "video_link", "file_uri", "file_name", "patient_id"}
    found: set[str] = set()
    if isinstance(value, list):
        return found.union(*(titles_and_links(child) for child in value))
    if isinstance(value, dict):
        found |= {str(child) for key, child in value.items() if key in private and len(str(child)) > 8}
        found = found.union(*(titles_and_links(child) for child in value.values()))
    return found
