"""The structs of `plain` with what counts in the fingerprint of a row. What is missing here is volatile.

Fields stand in the order of their keys, in which they are written; one that is as by default is left out. What `plain`
leaves unread may have keys that nobody knows, so it is strict here, or unread too.
"""

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

T = TypeVar("T")
Number = Annotated[float, Meta(gt=-1e16, lt=1e16)]  # larger ones are left: json writes them with an exponent


class _Kept(msgspec.Struct, gc=False, omit_defaults=True):
    """What counts of an object. Nulls and `isDeleted: false` do not."""


class Point(_Kept, forbid_unknown_fields=True, kw_only=True):
    """One point of an outline, which `plain` leaves unread: it may have more keys."""

    x: Number
    y: Number


class TurnedBox(_Kept, forbid_unknown_fields=True, kw_only=True):
    """Fractions of the image, which `plain` leaves unread too."""

    h: Number
    theta: Number
    w: Number
    x: Number
    y: Number


class Box(_Kept, kw_only=True):
    """Fractions of the image."""

    h: Number
    w: Number
    x: Number
    y: Number


class Bitmask(_Kept, kw_only=True, rename={"code": "rleString"}):
    """A mask."""

    height: Number
    left: Number
    code: str
    top: Number
    width: Number


class Object(_Kept, kw_only=True, rename="camel"):
    """One object on one frame."""

    bitmask: Bitmask | None = None
    bounding_box: Box | None = None
    circle: Raw | UnsetType = UNSET
    color: str
    confidence: Number
    ellipse: Raw | UnsetType = UNSET
    feature_hash: str
    is_deleted: bool = False
    manual_annotation: bool
    name: str
    object_hash: str
    point: dict[str, Point] | None = None
    polygon: dict[str, Point] | None = None
    polygons: list[list[list[Number]]] | None = None
    polyline: dict[str, Point] | None = None
    rotatable_bounding_box: TurnedBox | None = None
    shape: str
    skeleton: Raw | UnsetType = UNSET
    value: str


class Slice(_Kept, kw_only=True):
    """What a frame of a DICOM series says of itself."""

    dicom_instance_uid: str
    height: Number | None = None
    multiframe_frame_number: Number | None = None
    width: Number | None = None


class Frame(_Kept, kw_only=True):
    """The labels of one frame."""

    classifications: Raw
    metadata: Slice | None = None
    objects: list[Object]


class Unit(_Kept, Generic[T], kw_only=True):
    """One data unit; `T`: its labels."""

    data_duration: Number | None = None
    data_fps: Number | None = None
    data_hash: str
    data_sequence: Number | str
    data_title: str
    data_type: str
    height: Number
    labels: T
    metadata: Raw | UnsetType = UNSET
    width: Number


class Answers(_Kept, kw_only=True):
    """The static answers of one object."""

    classifications: Raw
    objectHash: str  # noqa: N815 - the export's name


class Actions(_Kept, kw_only=True):
    """The dynamic answers of one object."""

    actions: Raw
    objectHash: str  # noqa: N815 - the export's name


class Row(_Kept, Generic[T], kw_only=True):
    """A label row; `T`: its data units."""

    annotation_task_status: str | None = None
    backing_item_uuid: str | Number | bool | None = None
    branch_name: str | None = None
    classification_answers: Raw
    client_metadata: Raw | UnsetType = UNSET
    data_hash: str
    data_title: str
    data_type: str
    data_units: dict[str, T]
    dataset_hash: str
    dataset_title: str
    group_hash: str | Number | bool | None = None
    is_image_sequence: str | bool | None = None
    is_shadow_data: str | Number | bool | None = None
    is_valid: bool | None = None
    label_hash: str
    label_status: str
    object_actions: dict[str, Actions]
    object_answers: dict[str, Answers]
    priority: str | Number | bool | None = None
    spaces: Raw | UnsetType = UNSET
    task_uuid: str | Number | bool | None = None
    workflow_graph_node: Raw | UnsetType = UNSET
