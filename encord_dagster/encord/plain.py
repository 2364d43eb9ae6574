"""Label rows exactly as the platform writes them, decoded in one go. What is written otherwise does not decode here.

All keys are required but those that say UNSET, and each is counted: a row that has more keys than were decoded holds an
unknown or a repeated one, and is left to the tolerant reader, which tells them apart.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from encord_dagster.encord.scalars import UNREADABLE, Raw


class Box(msgspec.Struct, gc=False):
    """Fractions of the image."""

    x: float
    y: float
    w: float
    h: float


class Bitmask(msgspec.Struct, gc=False, rename={"code": "rleString"}):
    """A mask, not yet decoded."""

    code: str
    top: int
    left: int
    width: int
    height: int


class Object(msgspec.Struct, gc=False, rename="camel"):
    """One object on one frame. The shapes that are rare stay unread."""

    feature_hash: str
    object_hash: str
    name: str
    value: str
    color: str
    shape: str
    confidence: float
    created_by: str | None
    created_at: str
    manual_annotation: bool
    last_edited_by: str | UnsetType | None = UNSET
    last_edited_at: str | UnsetType | None = UNSET
    bounding_box: Box | UnsetType = UNSET
    polygon: Raw | UnsetType = UNSET
    polygons: Raw | UnsetType = UNSET
    bitmask: Bitmask | UnsetType = UNSET
    rotatable_bounding_box: Raw | UnsetType = UNSET
    polyline: Raw | UnsetType = UNSET
    point: Raw | UnsetType = UNSET
    skeleton: Raw | UnsetType = UNSET
    is_deleted: bool | UnsetType = UNSET
    reviews: list[Raw] | UnsetType = UNSET


class Slice(msgspec.Struct, gc=False):
    """What a frame of a DICOM series says of itself."""

    dicom_instance_uid: str
    multiframe_frame_number: int | None
    file_uri: str
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET


class Frame(msgspec.Struct, gc=False):
    """The labels of one frame."""

    objects: list[Object]
    classifications: list[Raw]
    metadata: Slice | UnsetType | None = UNSET


class Unit(msgspec.Struct, gc=False):
    """One data unit."""

    data_hash: str
    data_title: str
    data_type: str
    data_sequence: int
    width: int
    height: int
    data_link: str | UnsetType | None = UNSET
    data_links: list[str] | UnsetType = UNSET
    data_fps: float | UnsetType = UNSET
    data_duration: float | UnsetType = UNSET
    metadata: dict[str, str | None] | UnsetType | None = UNSET


class Image(Unit, gc=False, kw_only=True):
    """An image, or one of a group."""

    labels: Frame


class Film(Unit, gc=False, kw_only=True):
    """A video or a series: frames by their number."""

    labels: dict[str, Frame]


class Answers(msgspec.Struct, gc=False):
    """The static answers of one object."""

    objectHash: str  # noqa: N815 - the export's name
    classifications: Raw


class Actions(msgspec.Struct, gc=False):
    """The dynamic answers of one object."""

    objectHash: str  # noqa: N815 - the export's name
    actions: Raw


class Exported(msgspec.Struct, gc=False):
    """One entry of `export_history`."""

    export_hash: str
    exported_at: str
    user_email: str | None


class Head(msgspec.Struct, gc=False):
    """A label row, but for its labels and answers."""

    label_hash: str
    created_at: str
    last_edited_at: str
    data_hash: str
    dataset_hash: str
    dataset_title: str
    data_title: str
    data_type: Literal["image", "img_group", "video", "dicom", "nifti"]
    video_link: str | bool | None
    label_status: str
    branch_name: str | UnsetType | None = UNSET
    annotation_task_status: str | UnsetType | None = UNSET
    is_image_sequence: bool | UnsetType | None = UNSET
    is_valid: bool | UnsetType = UNSET
    export_hash: str | UnsetType = UNSET
    exported_at: str | UnsetType = UNSET
    export_history: list[Exported] | UnsetType = UNSET


class Row(Head, gc=False, kw_only=True):
    """A label row, but for its data units."""

    object_answers: dict[str, Answers]
    classification_answers: Raw
    object_actions: dict[str, Actions]


class ImageRow(Row, gc=False, kw_only=True):
    """A row of images."""

    data_units: dict[str, Image]


class FilmRow(Row, gc=False, kw_only=True):
    """A row of a video or a series."""

    data_units: dict[str, Film]


_IMAGES = msgspec.json.Decoder(ImageRow)
_FILMS = msgspec.json.Decoder(FilmRow)
_MANY_IMAGES = msgspec.json.Decoder(list[ImageRow])
_KEY = b'"data_type":'
FILMS = ("video", "dicom", "nifti")  # what the types of such rows, and of their units, start with


def decode(raw: bytes) -> ImageRow | FilmRow:
    """The row. Raises what msgspec raises where it is not written as the platform writes rows."""
    film = type_in(raw).startswith((b'"video', b'"dicom', b'"nifti'))
    return _FILMS.decode(raw) if film else _IMAGES.decode(raw)


def type_in(raw: bytes) -> bytes:
    """How the type of the data begins, if it stands where the platform writes it."""
    at = raw.find(_KEY) + len(_KEY)
    return raw[at : at + 10].lstrip()


def decode_images(text: bytes) -> list[ImageRow] | None:
    """Rows with commas between them, if all are of images; None where one is not, or is not written as usual."""
    try:
        rows = _MANY_IMAGES.decode(b"[" + text + b"]")
    except UNREADABLE:
        return None
    units = (unit for row in rows for unit in row.data_units.values())
    films = any(row.data_type.startswith(FILMS) for row in rows) or any(
        unit.data_type.startswith(FILMS) for unit in units
    )
    return None if films else rows


def keys_of(row: ImageRow | FilmRow) -> int:
    """How many keys the decoded row has, without those of its objects and of what stayed unread."""
    optional = [row.branch_name, row.annotation_task_status, row.is_valid, row.export_hash, row.exported_at]
    optional.append(row.is_image_sequence)
    count = 14 + 3 * (len(row.object_answers) + len(row.object_actions)) + 6 - optional.count(UNSET)
    if row.export_history is not UNSET:
        count += 1 + 3 * len(row.export_history)
    for unit in row.data_units.values():
        given = (unit.data_link, unit.data_links, unit.data_fps, unit.data_duration, unit.metadata)
        count += 1 + 7 + 5 - given.count(UNSET) + (len(unit.metadata) if isinstance(unit.metadata, dict) else 0)
        if isinstance(unit, Image):
            count += _keys_of_frame(unit.labels)
        else:
            count += len(unit.labels) + sum(map(_keys_of_frame, unit.labels.values()))
    return count


def _keys_of_frame(frame: Frame) -> int:
    if frame.metadata is UNSET:
        return 2
    if frame.metadata is None:
        return 3
    return 6 + (frame.metadata.width is not UNSET) + (frame.metadata.height is not UNSET)
