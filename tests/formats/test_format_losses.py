"""What formats lose as they are written: each loss occurs in an example, and the documentation says each."""

from pathlib import Path

import pytest

from encord_dagster.formats.catalogue import FORMATS, WRITTEN
from encord_dagster.formats.format_losses import LOSSES
from tests import dicom_files as dicom
from tests import factories as make
from tests.formats.test_losses import DOCS
from tests.published import Json
from tests.written import checked_out, desk_of, losses

HOLES = [[[0, 0, 0.5, 0, 0.5, 0.5], [0.2, 0.1, 0.3, 0.1, 0.3, 0.2]], [[0.6, 0.6, 0.7, 0.6, 0.7, 0.7]]]
MANY = [
    make.box(n / 400, n / 500, 0.05, 0.06, f"object-{n}", featureHash=f"class-{n}", name=f"class {n}")
    for n in range(256)
]
LARGE = make.row(
    "image", [make.unit("data-0", "image/jpeg", make.labels(make.box()), width=2**15, height=2**14)], label_hash="row"
)
SIZES = make.dicom_row(
    {0: make.dicom_slice(make.box(), uid="1.2", width=100, height=80)}
    | {1: make.dicom_slice(make.box(), uid="1.3", width=50, height=80)}
)
LINE, POINT = make.image_row(make.polyline()), make.image_row(make.point())
FRAME = make.video_row({0: [make.polyline(), make.point(object_hash="object11")]})
COVERED = make.image_row(make.box(0.3, 0.3, 0.1, 0.1), make.box(0.2, 0.2, 0.5, 0.5, "object09"))
TURNED = make.changed(
    make.image_row(make.rotated_box(45.0)),
    0.96,
    *("data_units", "data-0", "labels", "objects", 0, "rotatableBoundingBox", "x"),
)
TICKED = make.image_row(
    make.box(),
    object_answers={
        "object01": {
            "objectHash": "object01",
            "classifications": [make.answer([make.option("wet", "Option01"), make.option("dark", "Option02")])],
        }
    },
)
UNEVEN, FRAMES, NO_STUDY = "1.2.6", "1.2.7", "1.2.8"  # series
BOX = dicom.pixel_box(2, 2, 8, 8)
OTHER = dicom.pixel_box(4, 4, 8, 8, "object11", featureHash="Other001", name="other")
CROWD = [dicom.pixel_box(n, n, 2, 2, f"object-{n}") for n in range(5)]

EXAMPLES: dict[str, tuple[Json, int]] = {
    "coco_keypoints:no_joints": (LINE, 1),
    "coco_panoptic:no_area": (LINE, 1),
    "coco_panoptic:covered": (COVERED, 1),
    "coco_panoptic:frame_too_large": (LARGE, 1),
    "dicom_seg:geometry": (make.dicom_row({0: dicom.slice_labels(0, BOX, series=UNEVEN)}), 1),
    "dicom_seg:multiframe": (make.dicom_row({0: dicom.slice_labels(0, BOX, series=FRAMES, multiframe=2)}), 1),
    "dicom_seg:no_area": (make.dicom_row({0: dicom.slice_labels(0, BOX, make.point())}), 1),
    "dicom_seg:no_header": (make.dicom_row({0: dicom.slice_labels(0, BOX, series="1.2.9")}), 1),
    "dicom_seg:no_series": (LINE, 1),
    "dicom_seg:no_study": (make.dicom_row({0: dicom.slice_labels(0, BOX, series=NO_STUDY)}), 1),
    "dicom_seg:object_above_65535": (make.dicom_row({0: dicom.slice_labels(0, *CROWD)}), 2),
    "dicom_seg:too_large": (make.dicom_row({n: dicom.slice_labels(n, *CROWD[:3]) for n in range(2)}), 6),
    "encord_coco:classifications": (make.image_row(make.box(), classifications=[make.classification()]), 1),
    "encord_coco:confidence": (make.image_row(make.box(confidence=0.5), make.point()), 1),
    "encord_coco:not_ticked": (TICKED, 1),
    "mot:frame_sizes": (SIZES, 1),
    "mot:no_box": (FRAME, 2),
    "mot:no_sequence": (LINE, 1),
    "mot:outline": (make.video_row({0: [make.polygon()], 1: [make.polygon(), make.box()]}), 2),
    "nifti:covered": (make.dicom_row({0: dicom.slice_labels(0, BOX, OTHER)}), 1),
    "nifti:geometry": (make.dicom_row({0: dicom.slice_labels(0, BOX, series=UNEVEN)}), 1),
    "nifti:multiframe": (make.dicom_row({0: dicom.slice_labels(0, BOX, series=FRAMES, multiframe=2)}), 1),
    "nifti:no_area": (make.dicom_row({0: dicom.slice_labels(0, BOX, make.point())}), 1),
    "nifti:no_header": (make.dicom_row({0: dicom.slice_labels(0, BOX, series="1.2.9")}), 1),
    "nifti:no_series": (LINE, 1),
    "tao:joints": (make.video_row({0: [make.skeleton(), make.box()]}), 1),
    "tao:no_box": (FRAME, 2),
    "tao:no_sequence": (LINE, 1),
    "voc_masks:no_area": (POINT, 1),
    "voc_masks:class_above_254": (make.image_row(*MANY), 2),
    "voc_masks:object_above_254": (make.image_row(*MANY), 2),
    "voc_masks:frame_too_large": (LARGE, 1),
    "yolo_detect:no_box": (LINE, 1),
    "yolo_detect:outline": (make.image_row(make.polygon(), make.box()), 1),
    "yolo_segment:no_area": (POINT, 1),
    "yolo_segment:outline_of_pixels": (make.image_row(make.polygons(HOLES)), 1),
    "yolo_segment:rings_joined": (make.image_row(make.polygons(HOLES)), 1),
    "yolo_pose:no_joints": (LINE, 1),
    "yolo_pose:no_box": (POINT, 1),
    "yolo_obb:no_box": (LINE, 1),
    "yolo_obb:upright_box": (make.image_row(make.polygon()), 1),
    "yolo_obb:corners_cut": (TURNED, 1),
    "youtube_vis:frame_sizes": (SIZES, 1),
    "youtube_vis:no_area": (FRAME, 2),
    "youtube_vis:outline_as_mask": (make.video_row({0: [make.box()], 1: [make.polygon()]}), 2),
    "youtube_vis:no_sequence": (LINE, 1),
}


def test_each_loss_has_an_example() -> None:
    """A loss without one may never be counted, and nobody would know."""
    assert EXAMPLES.keys() == LOSSES.keys()


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Series: an even one, an uneven one, one in files of several frames, one without a frame of reference."""
    folder = tmp_path_factory.mktemp("headers")
    dicom.write_series(folder)
    dicom.write_series(folder / "uneven", series=UNEVEN, heights=(0, 1, 2, 4, 5))
    dicom.write_series(folder / "frames", series=FRAMES, changes={0: {"NumberOfFrames": 3}})
    without = dict.fromkeys(range(5), {"FrameOfReferenceUID": None})
    dicom.write_series(folder / "no study", series=NO_STUDY, changes=without)
    return folder


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_loss_is_counted(code: str, tmp_path: Path, headers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the format that has it, and only where that is written."""
    row, count = EXAMPLES[code]
    name = code.partition(":")[0]
    monkeypatch.setattr("encord_dagster.formats.dicom_seg.MOST", 3)  # so that no row needs 65,536 objects
    monkeypatch.setattr("encord_dagster.formats.dicom_seg.LARGEST", 200)  # nor 4 GB of pixels

    found = losses(checked_out(tmp_path, desk_of(row), name, dicom_headers=headers))

    assert found[code] == count
    assert {other.partition(":")[0] for other in found} <= {name, "coco", "masks", "tables"}


def test_what_a_format_holds_is_no_loss(tmp_path: Path) -> None:
    """A box on a frame of a video, in all that can hold it."""
    desk = desk_of(make.video_row({0: [make.box()]}))

    found = losses(checked_out(tmp_path, desk, *(name for name in FORMATS if name not in _OF_OTHERS)))

    assert found == {}


_OF_OTHERS = ("coco_keypoints", "yolo_pose", "youtube_vis", "nifti", "dicom_seg")  # of joints, masks and volumes


def test_codes_name_formats_and_say_where_it_still_is() -> None:
    """Reports and dashboards match on them."""
    for code, description in LOSSES.items():
        assert code.partition(":")[0] in WRITTEN
        assert "COCO file" in description
        assert description.endswith(".")


def test_the_documentation_lists_every_loss_and_format() -> None:
    """Word for word."""
    text = DOCS.read_text("utf-8")

    for code, description in LOSSES.items():
        assert f"| `{code}` | {description} |" in text
    for name in FORMATS:
        assert f"| `{name}` |" in text
