"""The headers of a folder of DICOM files: where each slice lies in space. Pixels are never read.

Reading needs pydicom, which is the extra `volumes`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.errors import UsageError

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "NumberOfFrames", "Rows", "Columns"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """One DICOM file. Lengths in mm, in the patient's coordinates of DICOM: towards left, back and head (LPS)."""

    path: str
    uid: str  # SOP instance
    sop_class: str
    series: str
    frames: int
    rows: int
    columns: int
    position: tuple[float, ...]  # of the centre of the first pixel: x, y, z; () where the header does not say
    orientation: tuple[float, ...]  # of a row, towards growing columns, and of a column: two unit vectors; or ()
    spacing: tuple[float, ...]  # between rows, between columns; or ()


class Headers:
    """The DICOM files of a folder, by SOP instance uid and by series."""

    def __init__(self, found: Sequence[Header]) -> None:
        self.by_uid: dict[str, Header] = {}
        self.doubled: set[str] = set()  # uids of files that say different things of one instance
        self.by_series: dict[str, list[Header]] = {}
        for header in found:
            known = self.by_uid.setdefault(header.uid, header)
            if known is header:
                self.by_series.setdefault(header.series, []).append(header)
            elif msgspec.structs.replace(header, path=known.path) != known:
                self.doubled.add(header.uid)


def read_headers(folder: Path) -> Headers:
    """The headers of all DICOM files below a folder; other files are passed over.

    Raises:
        UsageError: there is no such folder, no DICOM file in it, or no pydicom.
    """
    if not folder.is_dir():
        raise UsageError(f"DICOM headers: {folder} is no folder; name the one that holds your DICOM files")
    found = [header for path in sorted(folder.rglob("*")) if path.is_file() and (header := _read(path)) is not None]
    if not found:
        raise UsageError(f"DICOM headers: {folder} holds no DICOM file; name the folder of your series")
    return Headers(found)


def dataset(path: Path | str, tags: Sequence[str] = ()) -> "Dataset | None":
    """A DICOM file without its pixels, or some elements of it; None where the file is none of DICOM.

    Raises:
        UsageError: pydicom is not installed.
    """
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        text = "DICOM headers are read by pydicom, which is not installed: pip install 'encord-dagster[volumes]'"
        raise UsageError(text) from error
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=list(tags) or None)
    except InvalidDicomError:
        return None


def _read(path: Path) -> Header | None:
    """The header of a file; None where it is no DICOM file, or one without an instance, as DICOMDIR."""
    one = dataset(path, _TAGS)
    uid = str(one.get("SOPInstanceUID", "")) if one is not None else ""
    if one is None or not uid:
        return None
    return Header(
        path=str(path),
        uid=uid,
        sop_class=str(one.get("SOPClassUID", "")),
        series=str(one.get("SeriesInstanceUID", "")),
        frames=int(one.get("NumberOfFrames") or 1),
        rows=int(one.get("Rows") or 0),
        columns=int(one.get("Columns") or 0),
        position=_numbers(one, "ImagePositionPatient", 3),
        orientation=_numbers(one, "ImageOrientationPatient", 6),
        spacing=_numbers(one, "PixelSpacing", 2),
    )


def _numbers(one: "Dataset", name: str, count: int) -> tuple[float, ...]:
    """The numbers of an element, () where there are not as many."""
    given = one.get(name)
    values = tuple(map(float, given)) if isinstance(given, Sequence) else ()
    return values if len(values) == count else ()
