"""DICOM series of any orientation, written by pydicom, and label rows on their slices."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests import factories
from tests.published import Json

COLUMNS, ROWS, SLICES = 24, 16, 5
SPACING = (0.5, 0.75)  # between rows, between columns
STEP = 2.5  # between slices
HEIGHTS = tuple(STEP * number for number in range(SLICES))
ORIGIN = (-120.25, 43.5, -7.75)
SERIES = "1.2.826.0.1.3680043.8.498.77"
Pixels = npt.NDArray[np.uint8]

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # the normal points to the feet


def oblique() -> tuple[float, ...]:
    """An orientation along no axis, with the digits of a header."""
    turned, _ = np.linalg.qr(np.array([[0.9, 0.3, -0.2], [-0.25, 0.85, 0.4], [0.1, -0.3, 0.95]]))
    return tuple(round(float(number), 10) for number in (*turned[:, 0], *turned[:, 1]))


ORIENTATIONS = {
    "axial": AXIAL,
    "sagittal": SAGITTAL,
    "coronal": CORONAL,
    "feet first": FEET_FIRST,
    "oblique": oblique(),
}


def uid(number: int, series: str = SERIES) -> str:
    """The SOP instance uid of a slice."""
    return f"{series}.{number + 1}"


def placed(orientation: Sequence[float], heights: Sequence[float]) -> list[tuple[float, ...]]:
    """Positions of slices at some distances along the normal of their planes."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [tuple(float(one) for one in np.array(ORIGIN) + height * normal) for height in heights]


def write_series(
    folder: Path,
    orientation: Sequence[float] = AXIAL,
    *,
    heights: Sequence[float] = HEIGHTS,
    pixels: Sequence[Pixels] = (),
    series: str = SERIES,
    changes: Mapping[int, Mapping[str, Any]] | None = None,
) -> None:
    """A file for each slice; without pixels they are headers only. A change to None removes an element."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, position in enumerate(placed(orientation, heights)):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, uid(number, series)
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = f"{SERIES}.9", series, f"{SERIES}.8"
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Doe^Jane", "4711", "", "O"
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20240301", "090000", "1", ""
        one.ReferringPhysicianName, one.PositionReferenceIndicator = "", ""
        one.Modality, one.SeriesNumber, one.InstanceNumber = "CT", 1, number + 1
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.Rows, one.Columns, one.PixelSpacing = ROWS, COLUMNS, list(SPACING)
        one.ImagePositionPatient, one.ImageOrientationPatient = list(position), list(orientation)
        if pixels:
            one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 0
            one.BitsAllocated = one.BitsStored = 8
            one.HighBit = 7
            one.PixelData = pixels[number].tobytes()
        for name, value in (changes or {}).get(number, {}).items():
            if value is None:
                delattr(one, name)
            else:
                setattr(one, name, value)
        one.save_as(folder / f"slice-{number * 389 % 1009:04}.dcm", enforce_file_format=True)  # in no order by name


def slice_labels(number: int, *objects: Json, series: str = SERIES, **more: Any) -> Json:
    """The labels of a slice, with its uid and size."""
    return factories.dicom_slice(*objects, uid=uid(number, series), **({"width": COLUMNS, "height": ROWS} | more))


def pixel_box(x: int, y: int, width: int, height: int, object_hash: str = "object01", **changes: object) -> Json:
    """A box of whole pixels."""
    return factories.box(x / COLUMNS, y / ROWS, width / COLUMNS, height / ROWS, object_hash, **changes)


def marked(numbers: Sequence[int], series: str = SERIES) -> tuple[dict[int, Json], list[Pixels]]:
    """Labels of slices, each with a box that tells it from all others by place and size, and the same as pixels.

    The keys are the slices' numbers in the export, in the order given.
    """
    labels: dict[int, Json] = {}
    pixels = [np.zeros((ROWS, COLUMNS), dtype=np.uint8) for _ in range(SLICES)]
    for place, number in enumerate(numbers):
        x, y, width, height = 2 + number, 1 + 2 * number, 3 + 2 * number, 2 + number % 3
        labels[place] = slice_labels(number, pixel_box(x, y, width, height), series=series)
        pixels[number][y : y + height, x : x + width] = 1
    return labels, pixels


def points(orientation: Sequence[float], heights: Sequence[float], pixels: Sequence[Pixels]) -> npt.NDArray[np.float64]:
    """Where the pixels that are set lie, in mm (LPS), by DICOM's equation; in order."""
    found = []
    for position, mask in zip(placed(orientation, heights), pixels, strict=True):
        along, down = np.array(orientation[:3]), np.array(orientation[3:])
        for row, column in np.argwhere(mask):
            found.append(np.array(position) + along * SPACING[1] * column + down * SPACING[0] * row)
    return ordered(np.array(found))


def ordered(found: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Points in one order, whatever way they were found."""
    given = np.asarray(found, dtype=np.float64).reshape(-1, 3)
    made: npt.NDArray[np.float64] = given[np.lexsort(np.round(given, 2).T)]
    return made
