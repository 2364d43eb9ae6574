"""NIfTI label maps as nibabel reads them: labels on their slices, slices in their place, what is no volume refused."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from encord_dagster import identity
from encord_dagster.errors import UsageError
from encord_dagster.formats.coco import Image, Origin
from encord_dagster.formats.dicom_headers import Header, Headers
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.nifti import quaternion
from encord_dagster.formats.series import Refused, match
from encord_dagster.formats.stacks import Stack
from tests import dicom_files as dicom
from tests import factories
from tests.published import Json
from tests.written import checked_out, desk_of, losses, picture


def map_of(folder: Path, name: str = "dicom-0") -> Any:
    """A label map of a checkout."""
    return nibabel.load(folder / "nifti" / "labelsTr" / f"{name}.nii.gz")


def listed(folder: Path, name: str = "series") -> Any:
    """A list beside the maps."""
    return json.loads((folder / "nifti" / f"{name}.json").read_bytes())


def made(tmp_path: Path, slices: dict[int, Json], **more: Any) -> Path:
    """A checkout of a series out of the headers in tmp_path/headers."""
    return checked_out(
        tmp_path / "out", desk_of(factories.dicom_row(slices)), "nifti", dicom_headers=tmp_path / "headers", **more
    )


@pytest.mark.parametrize("name", dicom.ORIENTATIONS)
@pytest.mark.parametrize("heights", [range(5), range(4, -1, -1), (3, 0, 4, 1, 2)], ids=["up", "down", "mixed"])
def test_labels_lie_where_their_pixels_do(name: str, heights: Any, tmp_path: Path) -> None:
    """In each orientation, however files and frames are ordered: each marked voxel is where DICOM's equation has it."""
    orientation = dicom.ORIENTATIONS[name]
    labels, pixels = dicom.marked([2, 0, 4, 1, 3])
    at = [dicom.STEP * height for height in heights]
    dicom.write_series(tmp_path / "headers", orientation, heights=at)

    image = map_of(made(tmp_path, labels))

    values = np.asarray(image.dataobj)
    assert values.dtype == np.uint8
    assert values.shape == (dicom.COLUMNS, dicom.ROWS, dicom.SLICES)
    lps = (np.argwhere(values == 1) @ image.affine[:3, :3].T + image.affine[:3, 3]) * (-1, -1, 1)
    expected = dicom.points(orientation, at, pixels)
    assert len(lps) == len(expected) == int(values.sum()) > 50
    assert dicom.ordered(lps) == pytest.approx(expected, abs=1e-4)
    assert image.get_qform() == pytest.approx(image.get_sform(), abs=1e-4)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    assert image.header.get_zooms() == pytest.approx((dicom.SPACING[1], dicom.SPACING[0], dicom.STEP))
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header.get_intent()[0] == "label"


def test_quaternions_are_those_of_nibabel() -> None:
    """Also of turns by half a circle, where one of the four is 0."""
    rng = np.random.default_rng(5)
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(200)]
    turns += [np.diag(one) for one in ([1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1])]
    for turn in turns:
        turn = turn * np.sign(np.linalg.det(turn))
        b, c, d = quaternion(turn)
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        again = nibabel.quaternions.quat2mat([a, b, c, d])  # type: ignore[no-untyped-call]
        assert again == pytest.approx(turn, abs=1e-7)


def test_slices_without_labels_are_empty(tmp_path: Path) -> None:
    """Encord need not export them, but the volume has them."""
    labels, pixels = dicom.marked([3])
    dicom.write_series(tmp_path / "headers")

    folder = made(tmp_path, labels)

    assert np.array_equal(np.asarray(map_of(folder).dataobj)[:, :, 3].T, pixels[3])
    assert int(np.asarray(map_of(folder).dataobj).sum()) == int(pixels[3].sum())
    (series,) = listed(folder)
    assert (series["slices"], series["slices_in_export"]) == (5, 1)
    assert losses(folder) == {}


def test_values_are_classes_from_1_on(tmp_path: Path) -> None:
    """In order of ids, the later object on top, as in our masks; the table says which is which."""
    boxes = [
        dicom.pixel_box(2, 2, 10, 8),
        dicom.pixel_box(6, 4, 10, 8, "object02", featureHash="Other001", name="other"),
        dicom.pixel_box(20, 10, 2, 2, "object03", featureHash="Other001", name="other"),
    ]
    dicom.write_series(tmp_path / "headers")
    folder = checked_out(
        tmp_path / "out",
        desk_of(factories.dicom_row({0: dicom.slice_labels(0, *boxes)})),
        *("nifti", "voc_masks"),
        dicom_headers=tmp_path / "headers",
    )

    classes = picture(folder / "voc_masks" / "SegmentationClass" / "dicom" / "dicom-0" / "0.png")
    assert np.array_equal(np.asarray(map_of(folder).dataobj)[:, :, 0].T, classes)
    assert listed(folder, "dataset") == {
        "labels": {"background": 0, "a bounding_box": 1, "other": 2},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    assert [(one["value"], one["name"]) for one in listed(folder, "labels")] == [(1, "a bounding_box"), (2, "other")]
    assert losses(folder)["nifti:covered"] == 1


def test_a_class_called_background_is_not_taken_for_it(tmp_path: Path) -> None:
    """Value 0 has that name, and nnU-Net refuses labels without it."""
    dicom.write_series(tmp_path / "headers")

    folder = made(tmp_path, {0: dicom.slice_labels(0, dicom.pixel_box(2, 2, 10, 8, name="background"))})

    assert listed(folder, "dataset")["labels"] == {"background": 0, "background [1]": 1}
    assert [(one["value"], one["name"]) for one in listed(folder, "labels")] == [(1, "background [1]")]


def test_many_classes_have_two_bytes(tmp_path: Path) -> None:
    """More than 255 of them, two of one name."""
    boxes = [
        dicom.pixel_box(n % 24, n // 24, 1, 1, f"object-{n}", featureHash=f"class-{n}", name=f"class {max(n, 1)}")
        for n in range(300)
    ]
    dicom.write_series(tmp_path / "headers")

    folder = made(tmp_path, {0: dicom.slice_labels(0, *boxes)})

    values = np.asarray(map_of(folder).dataobj)
    assert values.dtype == np.uint16
    assert sorted(values[values > 0].tolist()) == list(range(1, 301))
    assert len(listed(folder, "dataset")["labels"]) == 301


def test_equal_checkouts_have_equal_bytes(tmp_path: Path) -> None:
    """No clock and no name of a file gets into them."""
    labels, _ = dicom.marked(range(5))
    dicom.write_series(tmp_path / "headers")
    folders = []
    for name in ("a", "b"):
        desk = desk_of(factories.dicom_row(labels))
        folders.append(checked_out(tmp_path / name, desk, "nifti", dicom_headers=tmp_path / "headers"))

    first, second = (folder / "nifti" / "labelsTr" / "dicom-0.nii.gz" for folder in folders)
    assert first.read_bytes() == second.read_bytes()


TILTED = {
    n: {"ImagePositionPatient": [dicom.ORIGIN[0], dicom.ORIGIN[1] + n, dicom.ORIGIN[2] + 2.5 * n]} for n in range(5)
}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no position": ({"changes": {2: {"ImagePositionPatient": None}}}, "geometry", "no ImagePositionPatient"),
    "no orientation": ({"changes": {2: {"ImageOrientationPatient": None}}}, "geometry", "ImageOrientationPatient"),
    "no spacing": ({"changes": {0: {"PixelSpacing": None}}}, "geometry", "PixelSpacing"),
    "spacing 0": ({"changes": {n: {"PixelSpacing": [0, 1]} for n in range(5)}}, "geometry", "not above 0"),
    "other spacing": ({"changes": {1: {"PixelSpacing": [0.5, 0.8]}}}, "geometry", "differ in PixelSpacing"),
    "other size": ({"changes": {1: {"Rows": 20}}}, "geometry", "differ in size"),
    "not parallel": ({"changes": {1: {"ImageOrientationPatient": [1, 0, 0, 0, 0.8, 0.6]}}}, "geometry", "parallel"),
    "no unit vectors": ({"orientation": (1, 0, 0, 0.5, 0.8, 0)}, "geometry", "right angles"),
    "doubled": ({"heights": (0, 2.5, 2.5, 5, 7.5)}, "geometry", "one place"),
    "gap": ({"heights": (0, 2.5, 5, 10, 12.5)}, "geometry", "evenly"),
    "tilted": ({"changes": TILTED}, "geometry", "gantry"),
    "several frames": ({"changes": {0: {"NumberOfFrames": 3}}}, "multiframe", "several frames"),
    "other uid": ({"changes": {0: {"SOPInstanceUID": "1.2.3"}}}, "no_header", "1 of 5 slices"),
    "two series": ({"changes": {0: {"SeriesInstanceUID": "1.2.3"}}}, "geometry", "several series"),
    "no series": ({"changes": {n: {"SeriesInstanceUID": None} for n in range(5)}}, "geometry", "name none"),
    "one slice": ({"changes": {n: {"SeriesInstanceUID": f"1.2.{n}"} for n in range(5)}}, "geometry", "distance"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_even_stack_is_refused(case: str, tmp_path: Path) -> None:
    """The objects are counted, the list says why, and there is no file."""
    given, name, reason = REFUSED[case]
    labels, _ = dicom.marked([0] if case in ("one slice", "other size") else range(5))
    dicom.write_series(tmp_path / "headers", **given)

    folder = made(tmp_path, labels)

    (series,) = listed(folder)
    assert reason in series["refused"]
    assert losses(folder) == {f"nifti:{name}": len(labels)}
    assert not (folder / "nifti" / "labelsTr").exists()
    assert listed(folder, "dataset")["numTraining"] == 0


def test_sizes_of_export_and_header_must_agree(tmp_path: Path) -> None:
    """A slice that Encord scaled is not where its header says."""
    dicom.write_series(tmp_path / "headers")
    folder = made(tmp_path, {0: dicom.slice_labels(0, factories.box(), width=48, height=32)})
    assert losses(folder) == {"nifti:geometry": 1}
    assert "another size" in listed(folder)[0]["refused"]


def test_slices_without_uid_are_never_guessed(tmp_path: Path) -> None:
    """Their numbers in an export are no places in space."""
    dicom.write_series(tmp_path / "headers")
    slices = {n: factories.labels(dicom.pixel_box(2, 2, 4, 4)) for n in range(5)}
    row = factories.changed(factories.dicom_row(slices), dicom.COLUMNS, "data_units", "dicom-0", "width")
    row = factories.changed(row, dicom.ROWS, "data_units", "dicom-0", "height")

    folder = checked_out(tmp_path / "out", desk_of(row), "nifti", dicom_headers=tmp_path / "headers")

    assert losses(folder) == {"nifti:no_header": 5}


def test_files_of_one_frame_may_be_numbered(tmp_path: Path) -> None:
    """0 or 1: it is the only one they have."""
    dicom.write_series(tmp_path / "headers")
    boxes = {n: dicom.slice_labels(n, dicom.pixel_box(2, 2, 4, 4), multiframe=n % 2) for n in range(5)}

    assert int(np.asarray(map_of(made(tmp_path, boxes)).dataobj).sum()) == 5 * 16


def test_copies_of_a_file_are_one_but_may_not_contradict(tmp_path: Path) -> None:
    """A folder may hold a series twice."""
    labels, _ = dicom.marked(range(5))
    dicom.write_series(tmp_path / "headers")
    dicom.write_series(tmp_path / "headers" / "again")
    assert losses(made(tmp_path, labels)) == {}

    dicom.write_series(tmp_path / "headers" / "again", heights=range(5))
    one = {0: labels[0]}  # whose own header, the first, is the same in both
    folder = checked_out(
        tmp_path / "other", desk_of(factories.dicom_row(one)), "nifti", dicom_headers=tmp_path / "headers"
    )
    assert losses(folder) == {"nifti:geometry": 1}
    assert "different things" in listed(folder)[0]["refused"]


def test_other_files_and_other_series_in_the_folder_do_no_harm(tmp_path: Path) -> None:
    """Two series are two volumes; texts are passed over."""
    dicom.write_series(tmp_path / "headers")
    dicom.write_series(tmp_path / "headers" / "b", dicom.SAGITTAL, series="1.2.77")
    (tmp_path / "headers" / "notes.txt").write_text("no DICOM")
    two = {n: dicom.slice_labels(n, dicom.pixel_box(1, 1, 2, 2), series="1.2.77") for n in range(2)}
    other = factories.changed(factories.dicom_row(two, label_hash="row-two"), "dicom-1", *_DATA_HASH)
    desk = desk_of(factories.dicom_row(dicom.marked(range(5))[0]), other)

    folder = checked_out(tmp_path / "out", desk, "nifti", dicom_headers=tmp_path / "headers", splits={"train": 1.0})

    assert int(np.asarray(map_of(folder, "dicom-1").dataobj).sum()) == 8
    assert {(one["data_hash"], one["split"]) for one in listed(folder)} == {("dicom-0", "train"), ("dicom-1", "train")}
    assert losses(folder) == {}


_DATA_HASH = ("data_units", "dicom-0", "data_hash")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """Without headers, with a wrong folder, with a step over frames."""
    desk = desk_of(factories.dicom_row(dicom.marked(range(5))[0]))
    with pytest.raises(UsageError, match="--dicom-headers"):
        checked_out(tmp_path / "out", desk, "nifti")
    with pytest.raises(UsageError, match="is no folder"):
        checked_out(tmp_path / "out", desk, "nifti", dicom_headers=tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no DICOM file"):
        checked_out(tmp_path / "out", desk, "nifti", dicom_headers=tmp_path / "empty")
    dicom.write_series(tmp_path / "headers")
    with pytest.raises(UsageError, match="frame_step"):
        checked_out(tmp_path / "out", desk, "nifti", dicom_headers=tmp_path / "headers", frame_step=2)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation without it."""
    dicom.write_series(tmp_path / "headers")
    desk = desk_of(factories.dicom_row(dicom.marked(range(5))[0]))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UsageError, match=r"encord-dagster\[volumes\]"):
        checked_out(tmp_path / "out", desk, "nifti", dicom_headers=tmp_path / "headers")


@pytest.mark.parametrize("damage", ["cut", "no number"])
def test_a_damaged_file_costs_its_series_and_no_other(damage: str, tmp_path: Path) -> None:
    """It is no header, and the reason tells of it."""
    dicom.write_series(tmp_path / "headers")
    dicom.write_series(tmp_path / "headers" / "b", series="1.2.77")
    path = next((tmp_path / "headers").glob("*.dcm"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else whole.replace(b"-120.25", b"-12O.25"))
    two = {n: dicom.slice_labels(n, dicom.pixel_box(1, 1, 2, 2), series="1.2.77") for n in range(2)}
    other = factories.changed(factories.dicom_row(two, label_hash="row-two"), "dicom-1", *_DATA_HASH)
    desk = desk_of(factories.dicom_row(dicom.marked(range(5))[0]), other)

    folder = checked_out(tmp_path / "out", desk, "nifti", dicom_headers=tmp_path / "headers")

    assert losses(folder) == {"nifti:no_header": 5}
    (refused,) = (one["refused"] for one in listed(folder) if "refused" in one)
    assert refused == "1 of 5 slices have no header in the folder" + ", where 1 files are damaged" * (damage != "cut")
    assert int(np.asarray(map_of(folder, "dicom-1").dataobj).sum()) == 8


def test_each_series_is_found_without_trying_all_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an export holds one slice of each. To try all slices for each series would take 144,000 ids."""
    count, slices, made = 40, 30, 0
    headers = Headers([_header(f"1.{n}", place) for n in range(count) for place in range(slices)])
    numbering = identity.numbering

    def counted(*parts: str) -> Callable[[Sequence[str]], list[int]]:
        def numbered(rests: Sequence[str]) -> list[int]:
            nonlocal made
            made += len(rests)
            return numbering(*parts)(rests)

        return numbered

    monkeypatch.setattr(identity, "numbering", counted)
    for some in (range(slices), (17,)):
        made = 0
        for n in range(count):
            placed, whole = matched(f"data-{n}", f"1.{n}", some, headers)
            assert sorted(placed) == list(some)
            assert {header.series for header in whole.slices} == {f"1.{n}"}
        assert made < (10_000 if len(some) > 1 else 100_000)  # half of the series, and half of the slices besides
    refused = match([_slice("data-0", "1.0", 0), _slice("data-0", "1.99", 1)], headers)
    assert isinstance(refused, Refused)
    assert refused.reason == "1 of 2 slices have no header in the folder"


def matched(data_hash: str, series: str, places: Iterable[int], headers: Headers) -> tuple[dict[int, Labelled], Stack]:
    """The volume of some slices."""
    found = match([_slice(data_hash, series, place) for place in places], headers)
    assert not isinstance(found, Refused)
    return found


def _slice(data_hash: str, series: str, place: int) -> Labelled:
    number = identity.image_id(data_hash, f"sop:{series}.{place}#-")
    image = Image(number, 8, 8, f"dicom/{data_hash}/{place}", (), Origin("label", data_hash, place))
    return Labelled(image=image, annotations=(), data_type="dicom")


def _header(series: str, place: int) -> Header:
    return Header(
        path="",
        uid=f"{series}.{place}",
        sop_class="",
        series=series,
        frames=1,
        rows=8,
        columns=8,
        position=(0.0, 0.0, float(place)),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        spacing=(1.0, 1.0),
    )
