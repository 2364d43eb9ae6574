"""A DICOM SEG file: segments of bits on the slices of a series.

Patient, study and frame of reference are copied from the header of the first slice, as the standard wants it: the file
names the patient as the user's headers do. Nothing in it is made of a clock or at random: equal labels and headers give
equal files; the day of its content is that of the study. Classes have codes of their own, under the designator
99ENCORD: no export says which of SNOMED's they are.
Source: DICOM PS3.3 A.51 (segmentation IOD), C.8.20 (its modules), C.7.6.16 (multi-frame functional groups).
"""

import hashlib
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from encord_dagster import __version__
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.stacks import Stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

NEEDED = ("StudyInstanceUID", "FrameOfReferenceUID")
COPIED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    "PositionReferenceIndicator",
    *NEEDED,
)
SCHEME = "99ENCORD"  # designators of private codes begin with 99
NO_DAY = "19000101"  # where the headers do not say when the study was: an element that must not be empty
MOST = 2**16 - 1  # segments, which are numbered in 16 bits
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\0\0"  # the last element of the file: tag, kind, and before its length two bytes
_LABEL, _CODE = 64, 16  # characters of a label, of a plain code


class Segment(msgspec.Struct, kw_only=True):
    """An object of one class. `runs` are its column-major pixels by place in the stack; `uid` names it for good."""

    category: Category
    object_hash: str
    uid: str
    manual: bool = True
    runs: dict[int, Sequence[int]] = {}


def uid_of(*parts: str) -> str:
    """A uid in the form of those of UUIDs, made of a name."""
    return f"2.25.{int(hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32], 16)}"


def document(first: Mapping[str, Any], stack: Stack, segments: Sequence[Segment]) -> Iterator[bytes]:
    """The file, in pieces. `first` holds what is copied of a slice's header, by keyword; each segment has pixels."""
    from pydicom.config import disable_value_validation

    frames = [(number, place) for number, one in enumerate(segments, 1) for place in sorted(one.runs)]
    slices = [(one.uid, one.position, one.orientation, one.spacing) for one in stack.slices]
    copied = [str(first.get(name, "")) for name in COPIED]
    made_of = hashlib.sha256(msgspec.json.encode((slices, copied, segments))).hexdigest()
    with disable_value_validation():  # it tells the log what it finds odd, and that may be of a patient
        head = _head(first, stack, segments, frames, made_of)
    yield head
    columns, rows, _ = stack.shape
    size = -(-len(frames) * rows * columns // 8)
    yield _PIXEL_DATA + struct.pack("<I", size + size % 2)
    yield from _packed(segments, stack)
    yield bytes(size % 2)


def _head(
    first: Mapping[str, Any], stack: Stack, segments: Sequence[Segment], frames: Sequence[tuple[int, int]], made_of: str
) -> bytes:
    """All but the pixels; `frames` are segment number and place of each."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = SegmentationStorage, uid_of("instance", made_of)
    one.SpecificCharacterSet = "ISO_IR 192"
    for name in COPIED:
        setattr(one, name, first.get(name, ""))
    one.Modality, one.SeriesInstanceUID, one.SeriesNumber = "SEG", uid_of("series", made_of), 1
    one.InstanceNumber, one.ImageType = 1, ["DERIVED", "PRIMARY"]
    one.ContentDate, one.ContentTime = first.get("StudyDate") or NO_DAY, first.get("StudyTime") or "000000"
    one.Manufacturer = one.ManufacturerModelName = "encord_dagster"
    one.DeviceSerialNumber, one.SoftwareVersions = "0", __version__
    one.ContentLabel, one.ContentDescription, one.ContentCreatorName = "LABELS", "Encord labels", ""
    one.SegmentationType, one.LossyImageCompression = "BINARY", "00"
    one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 0
    one.BitsAllocated, one.BitsStored, one.HighBit = 1, 1, 0
    one.Columns, one.Rows, _ = stack.shape
    one.NumberOfFrames = len(frames)
    one.SegmentSequence = [_described(number, segment) for number, segment in enumerate(segments, 1)]
    _add_groups(one, stack, frames)
    references = [_instance(stack, place) for place in range(len(stack.slices))]
    one.ReferencedSeriesSequence = [
        _item(SeriesInstanceUID=stack.slices[0].series, ReferencedInstanceSequence=references)
    ]
    file = io.BytesIO()
    one.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _item(**elements: object) -> "Dataset":
    from pydicom.dataset import Dataset

    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def _code(value: str, scheme: str, meaning: str) -> "Dataset":
    kind = "CodeValue" if len(value) <= _CODE else "LongCodeValue"
    return _item(**{kind: value}, CodingSchemeDesignator=scheme, CodeMeaning=meaning[:_LABEL])


def _described(number: int, segment: Segment) -> "Dataset":
    """A segment of the list; who drew it when a model did is not in an export."""
    name = " ".join(segment.category.name.replace("\\", "/").split()) or "-"
    made = _item(
        SegmentNumber=number,
        SegmentLabel=name[:_LABEL],
        SegmentedPropertyCategoryCodeSequence=[_code("object", SCHEME, "Object of an Encord ontology")],
        SegmentedPropertyTypeCodeSequence=[_code(segment.category.feature_hash, SCHEME, name)],
        SegmentAlgorithmType="MANUAL" if segment.manual else "AUTOMATIC",
        TrackingID=segment.object_hash,
        TrackingUID=segment.uid,
    )
    if not segment.manual:
        made.SegmentAlgorithmName = "unknown"
    return made


def _instance(stack: Stack, place: int) -> "Dataset":
    header = stack.slices[place]
    return _item(ReferencedSOPClassUID=header.sop_class, ReferencedSOPInstanceUID=header.uid)


def _add_groups(one: "Dataset", stack: Stack, frames: Sequence[tuple[int, int]]) -> None:
    """What all frames share, and the segment and slice of each."""
    organization = uid_of("dimensions", one.SOPInstanceUID)
    one.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organization)]
    pointers = ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113))  # segment; position of the slice
    one.DimensionIndexSequence = [
        _item(DimensionOrganizationUID=organization, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
        for pointer, group in pointers
    ]
    first = stack.slices[0]
    measures = _item(PixelSpacing=_decimals(first.spacing), SpacingBetweenSlices=_decimal(stack.distance))
    measures.SliceThickness = _decimal(stack.distance)  # the voxels of a stack have no gaps between them
    one.SharedFunctionalGroupsSequence = [
        _item(
            PixelMeasuresSequence=[measures],
            PlaneOrientationSequence=[_item(ImageOrientationPatient=_decimals(first.orientation))],
        )
    ]
    one.PerFrameFunctionalGroupsSequence = [
        _item(
            FrameContentSequence=[_item(DimensionIndexValues=[number, place + 1])],
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=number)],
            PlanePositionSequence=[_item(ImagePositionPatient=_decimals(stack.slices[place].position))],
            DerivationImageSequence=[_derived(stack, place)],
        )
        for number, place in frames
    ]


def _derived(stack: Stack, place: int) -> "Dataset":
    source = _instance(stack, place)
    purpose = _code("121322", "DCM", "Source image for image processing operation")
    source.PurposeOfReferenceCodeSequence, source.SpatialLocationsPreserved = [purpose], "YES"
    return _item(SourceImageSequence=[source], DerivationCodeSequence=[_code("113076", "DCM", "Segmentation")])


def _decimal(value: float) -> str:
    """A number in the 16 characters of a decimal string."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value))


def _decimals(values: Sequence[float]) -> list[str]:
    return [_decimal(value) for value in values]


def _packed(segments: Sequence[Segment], stack: Stack) -> Iterator[bytes]:
    """The bits of all frames, one behind the other without gaps, lowest first."""
    import numpy as np

    rest = np.empty(0, dtype=np.bool_)
    for pixels in _frames(segments, stack):
        bits = np.concatenate((rest, pixels))
        whole = len(bits) // 8 * 8
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
        rest = bits[whole:]
    yield np.packbits(rest, bitorder="little").tobytes()


def _frames(segments: Sequence[Segment], stack: Stack) -> "Iterator[NDArray[np.bool_]]":
    """The pixels of each frame, row by row."""
    import numpy as np

    columns, rows, _ = stack.shape
    for segment in segments:
        for _, runs in sorted(segment.runs.items()):
            flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
            yield flat.reshape(columns, rows).T.reshape(-1)
