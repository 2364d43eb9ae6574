"""The plain files of a version: masks repainted from instances.json by pycocotools are the same, pixel by pixel."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from tests import factories
from tests.factories import HEIGHT, WIDTH
from tests.lakes import Desk, exported_again, project_export
from tests.published import opened, pixels

TABLES = {"images", "annotations", "classifications", "attributes", "row_events", "findings"}


def assert_masks_are_those_of_coco(folder: Path) -> int:
    """Repaint every image of a checkout in annotation order, later on top; the number of pixels with an object."""
    coco = opened(json.loads((folder / "annotations" / "instances.json").read_bytes()))
    painted = 0
    for image in coco.imgs.values():
        semantic = np.zeros((image["height"], image["width"]), dtype=np.uint16)
        instance = np.zeros_like(semantic)
        for place, annotation in enumerate(coco.imgToAnns[image["id"]], start=1):
            mask = pixels(coco, annotation)
            semantic[mask] = annotation["category_id"]
            instance[mask] = place
        name = Path(image["file_name"])
        assert np.array_equal(_png(folder / "masks" / "semantic" / name), semantic)
        assert np.array_equal(_png(folder / "masks" / "instance" / name), instance)
        painted += int((instance > 0).sum())
    return painted


def test_masks_of_all_data_types_are_those_of_coco(tmp_path: Path) -> None:
    """Images, groups, sequences, videos, DICOM and NIfTI slices of the samples, also after a second export."""
    desk = Desk()
    data = project_export(8)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=3, deleted=1))

    paths = desk.label_set().version().checkout(tmp_path)

    assert assert_masks_are_those_of_coco(tmp_path) > 1_000_000
    pictures = [path for path in paths if path.suffix == ".png"]
    assert len(pictures) == 2 * desk.label_set().version().images


def test_masks_of_every_shape_on_one_frame_are_those_of_coco(tmp_path: Path) -> None:
    """Boxes, turned boxes, polygons with holes, in parts and crossing themselves, masks, lines, points, skeletons."""
    desk = Desk()
    desk.bring("shapes.json", factories.encode([factories.image_row(*every_shape())]))

    desk.label_set().version().checkout(tmp_path)

    assert assert_masks_are_those_of_coco(tmp_path) > 100_000
    instance = _png(tmp_path / "masks" / "instance" / "images" / "data-0.jpg")
    with_pixels = set(np.unique(instance).tolist())
    assert with_pixels == {0, *(place for place, entry in enumerate(every_shape(), 1) if _has_area(entry))}


@pytest.mark.parametrize("objects", [300, 70])
def test_masks_of_crowded_frames_are_those_of_coco(tmp_path: Path, objects: int) -> None:
    """More objects than 8 bits can number, of more classes than a palette holds."""
    boxes = [
        factories.box(n / 400, n / 500, 0.05, 0.06, f"object-{n}", featureHash=f"class-{n}", name=f"class {n}")
        for n in range(objects)
    ]
    desk = Desk()
    desk.bring("crowd.json", factories.encode([factories.image_row(*boxes)]))

    desk.label_set().version().checkout(tmp_path)

    assert assert_masks_are_those_of_coco(tmp_path) > 0
    assert int(_png(tmp_path / "masks" / "semantic" / "images" / "data-0.jpg").max()) == objects


def test_masks_of_three_rows_on_one_image_are_those_of_coco(tmp_path: Path) -> None:
    """Rows laid over each other, one of them without objects, in the order of the annotations."""
    rows = [
        factories.image_row(*every_shape()[:4], label_hash="row-one"),
        factories.image_row(label_hash="row-two"),
        factories.image_row(*every_shape()[2:], label_hash="row-three"),
    ]
    desk = Desk()
    desk.bring("rows.json", factories.encode(rows))

    desk.label_set().version().checkout(tmp_path)

    assert assert_masks_are_those_of_coco(tmp_path) > 100_000


def test_odd_sizes_are_those_of_coco(tmp_path: Path) -> None:
    """A frame of one pixel, one row, one column; boxes and polygons that touch every edge."""
    rows = []
    for number, (width, height) in enumerate(((1, 1), (1, 37), (53, 1), (7, 5))):
        unit = factories.unit(
            f"data-{number}",
            "image/png",
            factories.labels(
                factories.box(0, 0, 1, 1),
                factories.polygon([(0, 0), (1, 0), (1, 1), (0, 1)]),
                factories.polygon([(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)], "object09"),
                factories.rotated_box(45.0),
            ),
            width=width,
            height=height,
        )
        rows.append(factories.row("image", [unit], label_hash=f"row-{number}"))
    desk = Desk()
    desk.bring("odd.json", factories.encode(rows))

    desk.label_set().version().checkout(tmp_path)

    assert_masks_are_those_of_coco(tmp_path)
    assert _png(tmp_path / "masks" / "instance" / "images" / "data-0.png").shape == (1, 1)
    assert _png(tmp_path / "masks" / "instance" / "images" / "data-1.png").shape == (37, 1)


def test_a_checkout_holds_the_promised_files(tmp_path: Path) -> None:
    """COCO, six tables and two masks for each image: what is written is what is returned."""
    desk = Desk()
    desk.bring("one.json", project_export(3))
    version = desk.label_set().version()

    paths = version.checkout(tmp_path / "new" / "folder")

    names = {path.relative_to(tmp_path / "new" / "folder").as_posix() for path in paths}
    assert {f"tables/{name}.parquet" for name in TABLES} | {"annotations/instances.json"} <= names
    assert sum(name.startswith("masks/semantic/") for name in names) == version.images
    assert sum(name.startswith("masks/instance/") for name in names) == version.images
    assert {path for path in (tmp_path / "new").rglob("*") if path.is_file()} == set(paths)
    instances = tmp_path / "new" / "folder" / "annotations" / "instances.json"
    assert instances.read_bytes() == version.coco()
    assert len(COCO(str(instances)).anns) == version.root.annotations


def test_an_old_version_checks_out_as_it_was(tmp_path: Path) -> None:
    """Files of version 1 are the same before and after version 2; only lineage may have grown."""
    desk = Desk()
    data = project_export(4)
    desk.bring("one.json", data)
    desk.label_set().version(1).checkout(tmp_path / "before")
    desk.bring("two.json", exported_again(data, changed=2))

    desk.label_set().version(1).checkout(tmp_path / "after")

    before, after = (
        {
            path.relative_to(tmp_path / folder): path.read_bytes()
            for path in (tmp_path / folder).rglob("*")
            if path.is_file()
        }
        for folder in ("before", "after")
    )
    assert before == after
    assert desk.label_set().version(2).coco() != desk.label_set().version(1).coco()


def test_frames_that_show_nothing_share_one_picture_in_the_lake(tmp_path: Path) -> None:
    """A hundred of them take no more room than two, and a checkout has the files of each."""
    sizes = []
    for last in (1, 99):
        answers = {
            "classif1": {"classifications": [factories.answer("sunny")], "featureHash": "Fc0000", "range": [[0, last]]}
        }
        row = factories.video_row({0: [factories.box()]}, classification_answers=answers)
        row = factories.changed(row, 4, "data_units", "video-0", "data_duration")
        desk = Desk()
        desk.bring("a.json", factories.encode([row]))
        (bucket,) = desk.label_set().version().buckets()
        sizes.append(bucket.shards["masks"].size)

    paths = desk.label_set().version().checkout(tmp_path / "files", formats=("masks",))

    pictures = [path for path in paths if path.suffix == ".png"]
    blank = {path.read_bytes() for path in pictures if path.stem != "0"}
    assert sizes[0] == sizes[1]
    assert (len(pictures), len(blank)) == (200, 2)
    assert {int(_png(path).max()) for path in pictures if path.stem != "0"} == {0}
    assert {int(_png(path).max()) for path in pictures if path.stem == "0"} == {1}


def test_without_masks_there_are_none(tmp_path: Path) -> None:
    """A label set configured without masks checks out COCO and tables only."""
    desk = Desk(config=LabelSetConfig(name="street", masks=False))
    desk.bring("one.json", project_export(3))

    paths = desk.label_set().version().checkout(tmp_path)

    assert {path.suffix for path in paths} == {".json", ".jsonld", ".parquet"}


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Checking out over other files would mix two versions."""
    desk = Desk()
    desk.bring("one.json", project_export(1))
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match="is not empty"):
        desk.label_set().version().checkout(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def every_shape() -> list[factories.Json]:
    """Objects of all shapes, overlapping, in an order in which each with area stays visible somewhere."""
    bow_tie = [(0.55, 0.05), (0.75, 0.3), (0.75, 0.05), (0.55, 0.3)]
    outline, hole = [0.05, 0.45, 0.4, 0.45, 0.4, 0.95, 0.05, 0.95], [0.1, 0.5, 0.3, 0.5, 0.3, 0.8, 0.1, 0.8]
    island = [0.8, 0.1, 0.95, 0.1, 0.95, 0.3]
    return [
        factories.box(0.02, 0.03, 0.5, 0.6),
        factories.rotated_box(33.3),
        factories.polygon(bow_tie),
        factories.polygons([[outline, hole], [island]], "object10"),
        factories.bitmask(_disc(0.65, 0.7, 160)),
        factories.polyline([(0.1, 0.2), (0.9, 0.8), (0.3, 0.7)]),
        factories.point(),
        factories.skeleton(),
        factories.rotated_box(300.0, "object11"),
        factories.bitmask(_disc(0.02, 0.98, 60), object_hash="object12"),
    ]


def _has_area(entry: factories.Json) -> bool:
    return entry["shape"] not in ("polyline", "point", "skeleton")


def _disc(x: float, y: float, radius: int) -> str:
    """Row-major run lengths of a disc: pycocotools reads columns, so it is given the transposed mask."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    mask = (columns - x * WIDTH) ** 2 + (rows - y * HEIGHT) ** 2 <= radius**2
    code: bytes = rle.encode(np.asfortranarray(mask.T.astype(np.uint8)))["counts"]
    return code.decode()


def _png(path: Path) -> npt.NDArray[np.uint16]:
    """Values of a mask picture: palette indices or grey values."""
    with Image.open(path.with_suffix(".png")) as picture:
        assert picture.mode in ("P", "I;16")
        return np.array(picture).astype(np.uint16)


def test_rows_that_disagree_on_the_size_of_an_image_keep_a_mask_each(tmp_path: Path) -> None:
    """Neither mask can lie on the other, and neither is lost."""
    desk = Desk()
    one = factories.image_row(factories.box(), label_hash="row-one")
    two = factories.changed(
        factories.image_row(factories.box(), label_hash="row-two"), 640, "data_units", "data-0", "width"
    )
    desk.bring("sizes.json", factories.encode([one, two]))

    desk.label_set().version().checkout(tmp_path / "files")

    sizes = {Image.open(path).size for path in (tmp_path / "files" / "masks" / "instance").rglob("*.png")}
    assert sizes == {(WIDTH, HEIGHT), (640, HEIGHT)}
