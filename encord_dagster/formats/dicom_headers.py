"""The headers of a folder of DICOM files: where each slice lies in space. Pixels are never read.

Reading needs pydicom, which is the extra `volumes`.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from encord_dagster.errors import UsageError

_DAMAGE = (AttributeError, EOFError, KeyError, NotImplementedError, TypeError, ValueError)  # as pydicom tells it
_NAMES = (
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

    def __init__(self, found: Sequence[Header], unreadable: int = 0) -> None:
        self.unreadable = unreadable  # files that begin as DICOM does, and are damaged behind that
        self.by_uid: dict[str, Header] = {}
        self.doubled: set[str] = set()  # uids of files that say different things of one instance
        self.by_series: dict[str, list[Header]] = {}
        for header in found:
            known = self.by_uid.setdefault(header.uid, header)
            if known is header:
                self.by_series.setdefault(header.series, []).append(header)
            elif msgspec.structs.replace(header, path=known.path) != known:
                self.doubled.add(header.uid)
        # one of each series, another of each, and so on: whoever tries them meets every series early. By hash, as the
        # slices that an export labels lie side by side
        shuffled = (
            sorted(members, key=lambda one: sha256(one.uid.encode()).digest()) for members in self.by_series.values()
        )
        self.spread = [one for some in zip_longest(*shuffled) for one in some if one is not None]


def read_headers(folder: Path) -> Headers:
    """The headers of all DICOM files below a folder; other files are passed over.

    Raises:
        UsageError: there is no such folder, no DICOM file in it, or no pydicom.
    """
    if not folder.is_dir():
        raise UsageError(f"DICOM headers: {folder} is no folder; name the one that holds your DICOM files")
    found: list[Header] = []
    unreadable = 0
    for path in sorted(folder.rglob("*")):
        try:
            header = _read(path) if path.is_file() else None
        except (TypeError, ValueError, OverflowError):  # of an element, or of a value that is no number
            unreadable += 1
            continue
        if header is not None:
            found.append(header)
    if not found:
        raise UsageError(f"DICOM headers: {folder} holds no DICOM file; name the folder of your series")
    return Headers(found, unreadable)


def elements(path: Path | str, names: Sequence[str]) -> dict[str, Any] | None:
    """The values of some elements of a DICOM file, by keyword, of those that it has; None where it is no DICOM file.

    Raises:
        ValueError: the file is damaged.
        UsageError: pydicom is not installed.
    """
    try:
        from pydicom import dcmread
        from pydicom.config import disable_value_validation
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ImportError as error:
        text = "DICOM headers are read by pydicom, which is not installed: pip install 'encord-dagster[volumes]'"
        raise UsageError(text) from error
    try:
        with disable_value_validation():  # it tells the log what it finds odd, and that may be of a patient
            one = dcmread(path, stop_before_pixels=True, specific_tags=list(names))
            return {name: one[name].value for name in names if name in one}
    except InvalidDicomError:
        return None
    except (BytesLengthException, struct.error, *_DAMAGE) as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> Header | None:
    """The header of a file; None where it is no DICOM file, or one without an instance, as DICOMDIR.

    Raises:
        TypeError, ValueError, OverflowError: the file is damaged.
    """
    given = elements(path, _NAMES)
    if not given or not given.get("SOPInstanceUID"):
        return None
    return Header(
        path=str(path),
        uid=str(given["SOPInstanceUID"]),
        sop_class=str(given.get("SOPClassUID", "")),
        series=str(given.get("SeriesInstanceUID", "")),
        frames=int(given.get("NumberOfFrames") or 1),
        rows=int(given.get("Rows") or 0),
        columns=int(given.get("Columns") or 0),
        position=_numbers(given.get("ImagePositionPatient"), 3),
        orientation=_numbers(given.get("ImageOrientationPatient"), 6),
        spacing=_numbers(given.get("PixelSpacing"), 2),
    )


def _numbers(given: object, count: int) -> tuple[float, ...]:
    """The numbers of an element, () where there are not as many."""
    return tuple(map(float, given)) if isinstance(given, Sequence) and len(given) == count else ()
