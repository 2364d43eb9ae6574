"""DICOM SEG as pydicom reads it; highdicom and dcmqi read it in `test_readers.py`."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.config import disable_value_validation
from pydicom.uid import SegmentationStorage

from encord_dagster.formats import seg_document
from tests import dicom_files as dicom
from tests import factories
from tests.published import Json
from tests.written import checked_out, desk_of, losses


def written(tmp_path: Path, slices: dict[int, Json], **row: Any) -> Path:
    """A checkout of a series out of the headers in tmp_path/headers."""
    desk = desk_of(factories.dicom_row(slices, **row))
    return checked_out(tmp_path / "out", desk, "dicom_seg", dicom_headers=tmp_path / "headers")


def read(folder: Path) -> pydicom.Dataset:
    """The file of the one series."""
    return pydicom.dcmread(folder / "dicom_seg" / "dicom-0.dcm")


def frames_of(one: pydicom.Dataset) -> dict[tuple[int, str], Any]:
    """The pixels of each frame by segment number and SOP instance uid of its source."""
    bits = np.unpackbits(np.frombuffer(one.PixelData, dtype=np.uint8), bitorder="little")
    size = one.Rows * one.Columns
    found = {}
    for number, group in enumerate(one.PerFrameFunctionalGroupsSequence):
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        found[segment, source] = bits[number * size : (number + 1) * size].reshape(one.Rows, one.Columns)
    assert len(found) == one.NumberOfFrames
    assert not bits[one.NumberOfFrames * size :].any()
    return found


def test_each_object_has_its_pixels_on_its_slices(tmp_path: Path) -> None:
    """Also below another one; only slices where it is have a frame."""
    one, two = dicom.pixel_box(2, 2, 10, 8), dicom.pixel_box(6, 4, 10, 8, "object02", featureHash="Other001", name="b")
    dicom.write_series(tmp_path / "headers", dicom.SAGITTAL)

    folder = written(tmp_path, {0: dicom.slice_labels(0, one, two), 3: dicom.slice_labels(3, one)})

    seg = read(folder)
    below, above = np.zeros((2, dicom.ROWS, dicom.COLUMNS), dtype=np.uint8)
    below[2:10, 2:12], above[4:12, 6:16] = 1, 1
    found = frames_of(seg)
    assert found.keys() == {(1, dicom.uid(0)), (1, dicom.uid(3)), (2, dicom.uid(0))}
    assert np.array_equal(found[1, dicom.uid(0)], below)
    assert np.array_equal(found[1, dicom.uid(3)], below)
    assert np.array_equal(found[2, dicom.uid(0)], above)
    named = [(s.SegmentNumber, s.SegmentLabel, s.TrackingID, s.SegmentAlgorithmType) for s in seg.SegmentSequence]
    assert named == [(1, "a bounding_box", "object01", "MANUAL"), (2, "b", "object02", "MANUAL")]
    codes = [one.SegmentedPropertyTypeCodeSequence[0] for one in seg.SegmentSequence]
    assert [(c.CodeValue, c.CodingSchemeDesignator) for c in codes] == [
        ("BoxClas1", "99ENCORD"),
        ("Other001", "99ENCORD"),
    ]
    assert losses(folder) == {}


def test_patient_study_and_place_are_those_of_the_headers(tmp_path: Path) -> None:
    """So that the file lies beside its series in an archive; series and instance are its own."""
    dicom.write_series(tmp_path / "headers", dicom.oblique())
    source = pydicom.dcmread(tmp_path / "headers" / "slice-0000.dcm")

    seg = read(written(tmp_path, dicom.marked(range(5))[0]))

    for name in seg_document.COPIED:
        assert seg[name].value == source[name].value
    assert seg.SOPClassUID == SegmentationStorage
    assert seg.SeriesInstanceUID not in (source.SeriesInstanceUID, seg.SOPInstanceUID)
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence} == set(
        map(dicom.uid, range(5))
    )
    (shared,) = seg.SharedFunctionalGroupsSequence
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == source.ImageOrientationPatient
    measures = shared.PixelMeasuresSequence[0]
    assert list(measures.PixelSpacing) == list(dicom.SPACING)
    assert float(measures.SpacingBetweenSlices) == pytest.approx(dicom.STEP, abs=1e-6)
    assert seg.ContentDate == "20240301"


def test_equal_labels_and_headers_give_equal_files(tmp_path: Path) -> None:
    """And others other uids: an archive takes equal uids for one file."""
    dicom.write_series(tmp_path / "headers")
    dicom.write_series(tmp_path / "elsewhere" / "copies")
    labels, _ = dicom.marked(range(5))
    desk = desk_of(factories.dicom_row(labels))
    folders = [
        checked_out(tmp_path / name, desk, "dicom_seg", dicom_headers=tmp_path / headers)
        for name, headers in (("a", "headers"), ("b", "elsewhere"))
    ]
    files = [folder / "dicom_seg" / "dicom-0.dcm" for folder in folders]
    assert files[0].read_bytes() == files[1].read_bytes()

    labels[2] = dicom.slice_labels(2, dicom.pixel_box(0, 0, 1, 1))
    other, first = read(written(tmp_path, labels)), pydicom.dcmread(files[0])
    assert other.SOPInstanceUID != first.SOPInstanceUID
    assert other.SegmentSequence[0].TrackingUID == first.SegmentSequence[0].TrackingUID
    dicom.write_series(tmp_path / "named otherwise", changes=dict.fromkeys(range(5), {"PatientID": "0815"}))
    folder = checked_out(tmp_path / "c", desk, "dicom_seg", dicom_headers=tmp_path / "named otherwise")
    assert read(folder).SOPInstanceUID != first.SOPInstanceUID


def test_frames_of_odd_sizes_follow_each_other_without_gaps(tmp_path: Path) -> None:
    """Bits of a frame need not end with a byte."""
    size = {"Rows": 5, "Columns": 7}
    dicom.write_series(tmp_path / "headers", changes=dict.fromkeys(range(5), size))
    boxes = {n: dicom.slice_labels(n, factories.box(n / 7, 0, 2 / 7, (n + 1) / 5), width=7, height=5) for n in range(5)}

    seg = read(written(tmp_path, boxes))

    assert len(seg.PixelData) == 22  # 175 bits
    for (_, source), pixels in frames_of(seg).items():
        number = int(source.rpartition(".")[2]) - 1
        expected = np.zeros((5, 7), dtype=np.uint8)
        expected[: number + 1, number : number + 2] = 1
        assert np.array_equal(pixels, expected)


def test_what_a_model_drew_says_so(tmp_path: Path) -> None:
    """Its name is not in an export; long hashes and odd names of classes fit, too."""
    box = dicom.pixel_box(1, 1, 4, 4, manualAnnotation=False, featureHash="A" * 30, name="left\\right " * 9)
    dicom.write_series(tmp_path / "headers")

    (segment,) = read(written(tmp_path, {0: dicom.slice_labels(0, box)})).SegmentSequence

    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", "unknown")
    assert segment.SegmentLabel == ("left/right " * 9)[:64].strip()
    assert segment.SegmentedPropertyTypeCodeSequence[0].LongCodeValue == "A" * 30


def test_a_series_without_objects_has_no_file(tmp_path: Path) -> None:
    """A SEG without segments is not allowed; the list says that there was nothing."""
    dicom.write_series(tmp_path / "headers")
    folder = written(tmp_path, {0: dicom.slice_labels(0)})

    assert not list((folder / "dicom_seg").glob("*.dcm"))
    (series,) = json.loads((folder / "dicom_seg" / "series.json").read_bytes())
    assert series["slices"] == 5
    assert losses(folder) == {}


def test_headers_without_a_study_are_refused(tmp_path: Path) -> None:
    """As de-identified ones may be: a SEG must name what it belongs to."""
    dicom.write_series(tmp_path / "headers", changes=dict.fromkeys(range(5), {"FrameOfReferenceUID": None}))
    folder = written(tmp_path, dicom.marked(range(5))[0])
    assert losses(folder) == {"dicom_seg:no_study": 5}


def test_objects_beyond_the_last_number_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are numbered in 16 bits; here in two."""
    monkeypatch.setattr("encord_dagster.formats.dicom_seg.MOST", 3)
    boxes = [dicom.pixel_box(n, n, 3, 3, f"object-{n}") for n in range(5)]
    dicom.write_series(tmp_path / "headers")

    folder = written(tmp_path, {0: dicom.slice_labels(0, *boxes), 1: dicom.slice_labels(1, *boxes)})

    assert len(read(folder).SegmentSequence) == 3
    assert losses(folder) == {"dicom_seg:object_above_65535": 4}


def test_more_pixels_than_a_file_can_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their length is told in 32 bits; here 200 bytes are too many. What has no area is lost once."""
    monkeypatch.setattr("encord_dagster.formats.dicom_seg.LARGEST", 200)
    boxes = [dicom.pixel_box(n, n, 3, 3, f"object-{n}") for n in range(5)]
    dicom.write_series(tmp_path / "headers")

    folder = written(tmp_path, {0: dicom.slice_labels(0, *boxes, factories.point(0.5, 0.5))})

    assert losses(folder) == {"dicom_seg:too_large": 5, "dicom_seg:no_area": 1, "masks:point": 1}
    assert [path.name for path in (folder / "dicom_seg").iterdir()] == ["series.json"]
    (series,) = json.loads((folder / "dicom_seg" / "series.json").read_bytes())
    assert (series["objects"], "4 GB" in series["refused"]) == (5, True)


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    """The validator of dicom3tools knows the modules and elements that the standard wants of a segmentation."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not installed; apt: dicom3tools")
    one, two = dicom.pixel_box(2, 2, 10, 8), dicom.pixel_box(6, 4, 10, 8, "object02", manualAnnotation=False)
    dicom.write_series(tmp_path / "headers", dicom.oblique())
    folder = written(tmp_path, {0: dicom.slice_labels(0, one, two), 3: dicom.slice_labels(3, one)})

    command = ["dciodvfy", str(folder / "dicom_seg" / "dicom-0.dcm")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    told = done.stderr.splitlines()
    assert "Segmentation" in told
    assert [line for line in told if line != "Segmentation" and "<99ENCORD>" not in line] == []


def test_what_is_odd_of_a_patient_is_not_told(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Pydicom tells values that are not as DICOM wants them, in warnings and in its log."""
    odd = {0: {"PatientBirthDate": "in Musterstadt", "StudyDate": "some day"}}
    with disable_value_validation():
        dicom.write_series(tmp_path / "headers", changes=odd)

    folder = written(tmp_path, {0: dicom.slice_labels(0, dicom.pixel_box(2, 2, 10, 8))})

    assert (folder / "dicom_seg" / "dicom-0.dcm").exists()
    assert [str(one.message) for one in recwarn if "day" in str(one.message) or "Muster" in str(one.message)] == []
    assert "Muster" not in caplog.text
