"""Label rows as the platform writes them, decoded in one go. What is written otherwise does not decode here.

All keys are required but those that say UNSET, and each is counted: a row that has more keys than were decoded holds an
unknown or a repeated one. Each key that the tolerant reader knows is known here too, or is one that
`plain_keys.have_keys_once` looks for, so that any other means nothing to either.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from encord_dagster.encord.scalars import UNREADABLE, Raw

Ignored = str | int | float | bool | UnsetType | None  # what stands where nobody looks


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


class Object(msgspec.Struct, gc=False, rename="camel", kw_only=True):
    """One object on one frame. Rare shapes stay unread. In the order of the platform fields are found sooner."""

    feature_hash: str
    object_hash: str
    name: str
    value: str
    color: str
    shape: str
    confidence: float
    created_by: str | UnsetType | None = UNSET
    created_at: str
    last_edited_by: str | UnsetType | None = UNSET
    last_edited_at: str | UnsetType | None = UNSET
    manual_annotation: bool
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
    circle: Raw | UnsetType = UNSET
    ellipse: Raw | UnsetType = UNSET


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
    data_sequence: int | str
    width: int
    height: int
    data_link: str | UnsetType | None = UNSET
    data_links: list[str] | UnsetType = UNSET
    data_fps: float | UnsetType | None = UNSET
    data_duration: float | UnsetType | None = UNSET
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


class Nothing(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An object that has to be empty."""


class Head(msgspec.Struct, gc=False, kw_only=True):
    """A label row, but for its labels and answers. In the order of the platform fields are found sooner."""

    label_hash: str
    branch_name: str | UnsetType | None = UNSET
    created_at: str
    last_edited_at: str
    data_hash: str
    dataset_hash: str
    dataset_title: str
    data_title: str
    data_type: Literal["image", "img_group", "video", "dicom", "nifti"]
    is_image_sequence: str | bool | UnsetType | None = UNSET
    video_link: str | bool | UnsetType | None = UNSET
    label_status: str
    annotation_task_status: str | UnsetType | None = UNSET
    is_shadow_data: Ignored = UNSET
    is_valid: bool | UnsetType = UNSET
    export_hash: str | UnsetType = UNSET
    exported_at: str | UnsetType = UNSET
    export_history: list[Exported] | UnsetType = UNSET
    spaces: Nothing | UnsetType | None = UNSET
    workflow_graph_node: Raw | UnsetType = UNSET
    client_metadata: Raw | UnsetType = UNSET
    task_uuid: Ignored = UNSET
    priority: Ignored = UNSET
    backing_item_uuid: Ignored = UNSET
    group_hash: Ignored = UNSET
    assigned_user_email: Ignored = UNSET


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
_MANY_FILMS = msgspec.json.Decoder(list[FilmRow])
_KEY = b'"data_type":'
FILMS = ("video", "dicom", "nifti")  # what the types of such rows, and of their units, start with
_FILMS_QUOTED = tuple(f'"{name}'.encode() for name in FILMS)


def decode(raw: bytes) -> ImageRow | FilmRow:
    """The row. Raises what msgspec raises where it is not written as the platform writes rows."""
    film = is_film(raw)
    row: ImageRow | FilmRow = _FILMS.decode(raw) if film else _IMAGES.decode(raw)
    if (row.data_type in FILMS) != film:
        raise msgspec.ValidationError("another key of the name comes before the type of the row")
    return row


def is_film(raw: bytes) -> bool:
    """Whether a row, or several, seem to be of a video or a series."""
    return type_in(raw).startswith(_FILMS_QUOTED)


def type_in(raw: bytes) -> bytes:
    """How the type of the data begins, if it stands where the platform writes it."""
    at = raw.find(_KEY) + len(_KEY)
    return raw[at : at + 10].lstrip()


def decode_many(text: bytes) -> Sequence[ImageRow | FilmRow] | None:
    """Rows with commas between them, all of images or all of films; None where they are not, or are not as usual."""
    films = is_film(text)
    try:
        rows: Sequence[ImageRow | FilmRow] = (_MANY_FILMS if films else _MANY_IMAGES).decode(b"[" + text + b"]")
    except UNREADABLE:
        return None
    types: set[str] = {row.data_type for row in rows}
    if films:
        return rows if types <= {*FILMS} else None
    types |= {unit.data_type for row in rows for unit in row.data_units.values()}
    return None if any(stated.startswith(FILMS) for stated in types) else rows
