"""Tables under a selection: the same images, objects and classes as the COCO file of the same checkout."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests import factories
from tests.lakes import Desk, project_export
from tests.published import Json
from tests.test_checkout import TABLES
from tests.written import checked_out, desk_of, document, picture


def table(folder: Path, name: str) -> list[Json]:
    """The records of a table."""
    found: list[Json] = pq.read_table(folder / "tables" / f"{name}.parquet").to_pylist()
    return found


@pytest.fixture(scope="module")
def desk() -> Desk:
    """All data types and shapes, and an image that two rows describe."""
    made = Desk()
    made.bring("one.json", project_export(10))
    two = [
        factories.image_row(
            *(factories.box(0.1 * n, 0.2, 0.05, 0.1, f"object-{n}") for n in range(4)),
            classifications=[factories.classification()],
            label_hash=f"row-{name}",
            label_status=name,
        )
        for name in ("LABELLED", "REVIEWED")
    ]
    made.bring("two.json", factories.encode(two))
    return made


@pytest.mark.parametrize(
    "chosen",
    [
        {"min_side": 40.0},
        {"drop_classes": ["Car", "Pedestrian"], "negatives": "drop"},
        {"classes": {"vehicle": ["Truck", "Car"]}, "other_classes": "drop"},
        {"frame_step": 2, "file_name": "{data_hash}/{frame:03}", "coco_url": "https://media/{file_name}"},
        {"label_statuses": ("REVIEWED",)},
    ],
)
def test_tables_hold_what_coco_holds(chosen: Json, desk: Desk, tmp_path: Path) -> None:
    """Records one for one, with category, class, value in the mask, name, address and number of objects."""
    folder = checked_out(tmp_path, desk, "coco", "masks", "tables", **chosen)
    coco = document(folder)
    names = {one["id"]: one["name"] for one in coco["categories"]}
    images = {one["id"]: one for one in coco["images"]}

    annotations = {one["annotation_id"]: one for one in table(folder, "annotations")}

    assert annotations.keys() == {one["id"] for one in coco["annotations"]}
    for one in coco["annotations"]:
        record = annotations[one["id"]]
        assert (record["image_id"], record["category_id"]) == (one["image_id"], one["category_id"])
        assert record["class_name"] == names[one["category_id"]]
        assert record["label_hash"] == one["encord"]["label_hash"]
    described = table(folder, "images")
    assert {one["image_id"] for one in described} == images.keys()
    assert sum(one["objects"] for one in described) == len(annotations)
    for record in described:
        assert record["file_name"] == images[record["image_id"]]["file_name"]
        assert record["link"] == images[record["image_id"]].get("coco_url")
    for name in ("attributes", "classifications"):
        for record in table(folder, name):
            assert record["image_id"] is None or record["image_id"] in images
            assert record.get("annotation_id") is None or record["annotation_id"] in annotations
    if "label_statuses" in chosen:
        assert {one["label_status"] for one in described} <= {"REVIEWED"}
        assert "row-LABELLED" not in {one["label_hash"] for one in table(folder, "classifications")}
    assert not (folder / "croissant.json").exists()


def test_mask_values_are_those_of_the_masks(tmp_path: Path) -> None:
    """Of what is chosen, not of what is published."""
    objects = [factories.box(0.2 * n, 0.1, 0.1, 0.1, f"object-{n}", confidence=0.1 * n) for n in range(4)]

    folder = checked_out(tmp_path, desk_of(factories.image_row(*objects)), "masks", "tables", min_confidence=0.15)

    first, second = table(folder, "annotations")
    pixels = picture(folder / "masks" / "instance" / "images" / "data-0.png")
    for one in (first, second):
        assert pixels[int(one["y"]) + 5, int(one["x"]) + 5] == one["mask_value"]
    assert [first["mask_value"], second["mask_value"]] == [1, 2]


def test_splits_alone_leave_the_published_tables(desk: Desk, tmp_path: Path) -> None:
    """And the description of the version beside them."""
    folder = checked_out(tmp_path, desk, "tables", splits={"train": 1.0})

    version = desk.label_set().version()
    assert {path.stem for path in (folder / "tables").iterdir()} == TABLES
    assert pq.read_table(folder / "tables" / "annotations.parquet").equals(version.table("annotations"))
    assert (folder / "croissant.json").exists()
