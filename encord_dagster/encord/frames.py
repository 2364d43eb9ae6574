"""Frames of a data unit: its images, video frames or slices, with their labels still unread."""

import re
from collections.abc import Iterator

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.authors import read_link
from encord_dagster.encord.children import entries, members
from encord_dagster.encord.instances import Place
from encord_dagster.encord.notes import Notes, problem, row_error
from encord_dagster.encord.scalars import ABSENT, FRAME_NUMBER, UNREADABLE, Raw, Scalar, integer, present
from encord_dagster.encord.units import Unit, read_size

UID = re.compile(r"[0-9A-Za-z.+/=_-]{1,128}")


class Sheet(msgspec.Struct, kw_only=True):
    """One frame with its labels unread; `identity` tells it from the other frames of its unit."""

    unit: Unit
    number: int
    identity: str
    width: int | None
    height: int | None
    objects: list[Raw]
    classifications: list[Raw]
    link: str | None

    @property
    def place(self) -> Place:
        """Where its objects lie."""
        return Place(self.unit.data_hash, self.number, self.width, self.height)


class Labels(msgspec.Struct):
    """The labels of one frame."""

    objects: Raw = ABSENT
    classifications: Raw = ABSENT
    metadata: Raw = ABSENT


class _Slice(msgspec.Struct):
    uid: Scalar = msgspec.field(name="dicom_instance_uid", default=None)
    multiframe: Scalar = msgspec.field(name="multiframe_frame_number", default=None)
    width: Scalar = None
    height: Scalar = None
    file_uri: Raw = ABSENT


_LABELS = msgspec.json.Decoder(Labels)
_SLICE = msgspec.json.Decoder(_Slice | None)


def sheets_of(unit: Unit, data_type: str, notes: Notes) -> list[Sheet]:
    """The frames of a unit that the export names, by number. An image is one frame, also without labels."""
    single = data_type in ("image", "img_group")
    sheets: dict[int, Sheet] = {}
    for key, raw in labels_by_key(unit.labels):
        number = _frame_number(key, unit, notes, single=single)
        if single and number in sheets:
            added = _sheet(unit, number, raw, data_type, notes)
            sheets[number].objects += added.objects
            sheets[number].classifications += added.classifications
        elif number in sheets:
            raise row_error(codes.BAD_FRAME_NUMBER, f"frame {number} is there twice; export the row again")
        else:
            sheets[number] = _sheet(unit, number, raw, data_type, notes)
    if single and not sheets:
        sheets[unit.sequence] = empty_sheet(unit, unit.sequence)
    ordered = [sheets[number] for number in sorted(sheets)]
    _tell_apart(ordered, notes)
    return ordered


def empty_sheet(unit: Unit, number: int) -> Sheet:
    """A frame that the export does not name."""
    width, height = unit.size_of(number)
    return Sheet(
        unit=unit,
        number=number,
        identity=_identity(unit, number),
        width=width,
        height=height,
        objects=[],
        classifications=[],
        link=unit.link,
    )


def labels_by_key(raw: Raw) -> list[tuple[str | None, Raw]]:
    """The labels of a unit or space by frame key; the key is None where they are not keyed by frame."""
    try:
        keyed = members(raw)
    except UNREADABLE as error:
        raise row_error(codes.UNIT_UNREADABLE, f"`labels` is no JSON object ({problem(error)})") from error
    if "objects" in keyed or "classifications" in keyed:
        return [(None, raw), *((key, child) for key, child in keyed.items() if FRAME_NUMBER.fullmatch(key))]
    return list(keyed.items())


def read_labels(raw: Raw) -> tuple[list[Raw], list[Raw], Raw]:
    """Objects, classifications and metadata of one frame; RowError where the lists cannot be opened."""
    try:
        labels = _LABELS.decode(raw) if bytes(memoryview(raw)[:4]) != b"null" else Labels()
        return entries(labels.objects), entries(labels.classifications), labels.metadata
    except UNREADABLE as error:
        message = f"the labels of a frame cannot be read ({problem(error)}); export the row again"
        raise row_error(codes.UNIT_UNREADABLE, message) from error


def _frame_number(key: str | None, unit: Unit, notes: Notes, *, single: bool) -> int:
    if key is None:
        return unit.sequence
    if not FRAME_NUMBER.fullmatch(key):
        raise row_error(codes.BAD_FRAME_NUMBER, "a key of `labels` is no frame number; export the row again")
    number = int(key)
    if single:
        if number not in (0, unit.sequence):
            message = f"the image has labels under frame {number}; they were taken for the image itself"
            notes.add(codes.UNEXPECTED_FRAME, message, notes.at(unit.data_hash, unit.sequence))
        return unit.sequence
    if unit.last_frame is not None and number > unit.last_frame:
        message = f"the video ends by frame {unit.last_frame}; check its frame rate and duration"
        if unit.space is not None:
            message = f"the member of the data group ends at frame {unit.last_frame}; check it in Encord"
        notes.add(codes.FRAME_BEYOND_VIDEO, message, notes.at(unit.data_hash, number))
    return number


def _sheet(unit: Unit, number: int, raw: Raw, data_type: str, notes: Notes) -> Sheet:
    objects, classifications, metadata = read_labels(raw)
    sheet = empty_sheet(unit, number)
    sheet.objects, sheet.classifications = objects, classifications
    if data_type in ("dicom", "medical_file", "medical_stack"):
        _read_slice(metadata, sheet, notes)
    return sheet


def _read_slice(raw: Raw, sheet: Sheet, notes: Notes) -> None:
    """Take the identity and size of a DICOM slice from its own metadata, where there are any."""
    unit, where = sheet.unit.data_hash, notes.at(sheet.unit.data_hash, sheet.number)
    try:
        metadata = _SLICE.decode(raw)
    except UNREADABLE as error:
        notes.add(codes.BAD_SLICE, f"the slice's metadata cannot be read ({problem(error)})", where)
        return
    if metadata is None:
        return
    sheet.width = read_size(metadata.width, "width", notes, unit, sheet.number) or sheet.width
    sheet.height = read_size(metadata.height, "height", notes, unit, sheet.number) or sheet.height
    sheet.link = read_link(metadata.file_uri, notes) or sheet.link
    uid, multiframe = present(metadata.uid), present(metadata.multiframe)
    if uid is None or sheet.unit.space is not None:  # one series may be in several spaces
        return
    number = integer(multiframe)
    if not isinstance(uid, str) or not UID.fullmatch(uid) or (multiframe is not None and number is None):
        notes.add(codes.BAD_SLICE, "the slice's SOP instance uid or multiframe number is none", where)
        return
    sheet.identity = f"sop:{uid}#{'-' if number is None else number}"


def _identity(unit: Unit, number: int) -> str:
    return str(number) if unit.space is None else f"space:{unit.space}#{number}"


def _tell_apart(sheets: list[Sheet], notes: Notes) -> None:
    """Two slices that claim one identity are told apart by their numbers."""
    taken: set[str] = set()
    for sheet in sheets:
        if sheet.identity in taken:
            where = notes.at(sheet.unit.data_hash, sheet.number)
            notes.add(codes.BAD_SLICE, "another slice has the same SOP instance uid and multiframe number", where)
            sheet.identity = _identity(sheet.unit, sheet.number)
        taken.add(sheet.identity)


def objects_in(raw: Raw) -> Iterator[tuple[int | None, list[Raw]]]:
    """Frame number, where it is one, and object entries of labels in any layout: to be counted, not converted."""
    for key, child in labels_by_key(raw):
        number = int(key) if key is not None and FRAME_NUMBER.fullmatch(key) else None
        yield number, read_labels(child)[0]
