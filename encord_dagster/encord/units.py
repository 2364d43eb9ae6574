"""Data units of a row: the files behind it, each with its size and its labels still unread."""

import re

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.authors import read_link, read_title
from encord_dagster.encord.children import members
from encord_dagster.encord.notes import Notes, problem, row_error, shown
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, integer, is_hash, number, present, text
from encord_dagster.findings import Location

IMAGE_TYPES = frozenset({"image", "img_group", "video", "dicom", "nifti"})  # data types with frames of pixels
LARGEST_SIDE = 1_000_000  # pixels
_ODD_RATE = 1000  # frames a second
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")  # of DICOM, of at most 64 characters
MIME = re.compile(r"[A-Za-z0-9.+-]{1,64}/[A-Za-z0-9.+-]{1,64}")


Size = tuple[int | None, int | None]  # width and height in pixels, None where the export has none


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One data unit, or one space of a data group; `last_frame` of a video whose length is known.

    `sizes` are those of slices that differ in size, by their numbers.
    """

    data_hash: str
    mime_type: str
    sequence: int
    width: int | None
    height: int | None
    last_frame: int | None
    labels: Raw
    space: str | None = None
    sizes: tuple[Size, ...] | None = None
    title: str | None = None
    link: str | None = None

    def size_of(self, number: int) -> Size:
        """Width and height of one of its frames."""
        if self.sizes is None:
            return self.width, self.height
        return self.sizes[number] if number < len(self.sizes) else (None, None)


class _Unit(msgspec.Struct):
    data_hash: Scalar = None
    data_type: Scalar = None
    data_sequence: Scalar = None
    width: Scalar = None
    height: Scalar = None
    data_fps: Scalar = None
    data_duration: Scalar = None
    labels: Raw = ABSENT
    data_title: Raw = ABSENT
    data_link: Raw = ABSENT
    metadata: Raw = ABSENT


class _Series(msgspec.Struct):
    study_uid: Scalar = None
    series_uid: Scalar = None


_UNIT = msgspec.json.Decoder(_Unit)
_SERIES = msgspec.json.Decoder(_Series | None)


def read_units(raw: Raw, data_type: str, notes: Notes) -> tuple[Unit, ...]:
    """The data units of a row by `data_sequence`; RowError where one cannot be read."""
    try:
        children = members(raw)
    except UNREADABLE as error:
        raise row_error(codes.NO_DATA_UNITS, f"`data_units` is no JSON object ({problem(error)})") from error
    if not children and data_type != "deleted":
        raise row_error(codes.NO_DATA_UNITS, "the row has no data units; export it again")
    units = [_read(key, child, data_type, notes, alone=len(children) == 1) for key, child in children.items()]
    if data_type == "img_group" and len({unit.sequence for unit in units}) < len(units):
        raise row_error(codes.BAD_SEQUENCE, "two images of the group have one data_sequence; export the row again")
    if data_type in IMAGE_TYPES and len({unit.data_hash for unit in units}) < len(units):
        raise row_error(codes.BAD_HASH, "two data units of the row have one data hash; export the row again")
    return tuple(sorted(units, key=lambda unit: (unit.sequence, unit.data_hash)))


def read_size(value: Scalar, what: str, notes: Notes, unit: str, frame: int | None = None) -> int | None:
    """A width or height in pixels, None where the export has none; a wrong one is a finding."""
    if present(value) is None:
        return None
    size = integer(value)
    if size is not None and 0 < size <= LARGEST_SIDE:
        return size
    where = notes.at(unit, frame)
    notes.add(codes.BAD_FRAME_SIZE, f"the {what} {shown(value)} is no whole number of pixels; it was left out", where)
    return None


def _read(key: str, raw: Raw, data_type: str, notes: Notes, *, alone: bool) -> Unit:
    try:
        unit = _UNIT.decode(raw)
    except UNREADABLE as error:
        message = f"the data unit {shown(key)} cannot be read ({problem(error)}); export the row again"
        raise row_error(codes.UNIT_UNREADABLE, message) from error
    data_hash = text(unit.data_hash) or ("" if key.isdigit() else key)  # a digit is a place in a list
    if not is_hash(data_hash):
        raise row_error(codes.BAD_HASH, f"the data hash {shown(data_hash)} of a data unit is no hash")
    if data_hash != key and not key.isdigit():
        message = f"the data unit is filed under {shown(key)}; its own data hash was taken"
        notes.add(codes.DATA_HASH_DIFFERS, message, notes.at(data_hash))
    if data_type == "dicom":
        _check_series(unit.metadata, notes.at(data_hash), notes)
    pixels = data_type in IMAGE_TYPES
    mime = text(unit.data_type) or ""
    return Unit(
        data_hash=data_hash,
        mime_type=mime.lower() if MIME.fullmatch(mime) else "",
        sequence=_sequence(unit.data_sequence, alone=alone) if pixels else 0,
        width=read_size(unit.width, "width", notes, data_hash) if pixels else None,
        height=read_size(unit.height, "height", notes, data_hash) if pixels else None,
        last_frame=_last_frame(unit, notes.at(data_hash), notes) if data_type == "video" else None,
        labels=unit.labels,
        title=read_title(unit.data_title, notes.at(data_hash), notes),
        link=read_link(unit.data_link, notes),
    )


def _check_series(raw: Raw, where: Location, notes: Notes) -> None:
    """Tell of a study or series uid that is none; neither is published, and nothing is named after them."""
    try:
        series = _SERIES.decode(raw) or _Series()
    except UNREADABLE as error:
        notes.add(codes.BAD_SERIES, f"the metadata of the series cannot be read ({problem(error)})", where)
        return
    for name, value in (("study", present(series.study_uid)), ("series", present(series.series_uid))):
        if value is not None and not is_uid(value):
            message = f"the {name} uid {shown(value)} is no DICOM uid; check how the series came into Encord"
            notes.add(codes.BAD_SERIES, message, where)


def is_uid(value: object) -> bool:
    """Whether a value is a DICOM uid."""
    return isinstance(value, str) and len(value) <= 64 and _UID.fullmatch(value) is not None


def _sequence(value: Scalar, *, alone: bool) -> int:
    sequence = integer(value)
    if sequence is not None and 0 <= sequence < 10**9:
        return sequence
    if alone and present(value) is None:
        return 0
    raise row_error(codes.BAD_SEQUENCE, f"the data_sequence {shown(value)} is no frame number; export the row again")


def _last_frame(unit: _Unit, where: Location, notes: Notes) -> int | None:
    """The last frame that a video of this rate and duration can have, None where one of them is unknown."""
    rate, duration = number(unit.data_fps), number(unit.data_duration)
    if rate is not None and rate > _ODD_RATE:
        notes.add(codes.ODD_FRAME_RATE, f"the video claims {rate:g} frames a second; check the file", where)
    return last_frame_at(rate, duration)


def last_frame_at(rate: float | None, duration: float | None) -> int | None:
    """The last frame at so many frames a second, over so many seconds."""
    if rate is None or duration is None or rate <= 0 or duration < 0 or rate * duration > 10**9:
        return None
    return round(rate * duration)
