"""The export document as the platform writes it: key names, key order, value types. Nothing here reads exports.

Kept apart from `encord_dagster.encord` on purpose, so that a sample can prove the reader wrong.
"""

from typing import TypedDict

import msgspec
from msgspec import UNSET, UnsetType


class XY(msgspec.Struct, frozen=True):
    """A point in fractions of the frame."""

    x: float
    y: float


class Joint(msgspec.Struct, frozen=True, rename="camel"):
    """A named skeleton point in fractions of the frame; the flags are absent for plainly visible points."""

    x: float
    y: float
    name: str
    color: str
    value: str
    feature_hash: str
    invisible: bool | UnsetType = UNSET
    visible: bool | UnsetType = UNSET
    occluded: bool | UnsetType = UNSET


class BoxFractions(msgspec.Struct, frozen=True):
    """A box in fractions of the frame; `theta` in degrees for rotatable boxes only."""

    x: float
    y: float
    w: float
    h: float
    theta: float | UnsetType = UNSET


class Mask(msgspec.Struct, frozen=True, rename="camel"):
    """A run-length coded mask, row by row over the whole frame; sizes in pixels."""

    rle_string: str
    top: int
    left: int
    width: int
    height: int


class Geometry(TypedDict, total=False):
    """The one geometry key of an object; `polygons` comes with `polygon`."""

    bounding_box: BoxFractions
    rotatable_bounding_box: BoxFractions
    polygon: dict[str, XY]
    polygons: list[list[list[float]]]
    polyline: dict[str, XY]
    point: dict[str, XY]
    skeleton: dict[str, Joint]
    bitmask: Mask


class LabelObject(msgspec.Struct, kw_only=True, rename="camel"):
    """One object on one frame."""

    feature_hash: str
    object_hash: str
    name: str
    value: str
    color: str
    shape: str
    confidence: int | float = 1
    created_by: str
    created_at: str
    last_edited_by: str | UnsetType = UNSET
    last_edited_at: str | UnsetType = UNSET
    manual_annotation: bool = True
    bounding_box: BoxFractions | UnsetType = UNSET
    rotatable_bounding_box: BoxFractions | UnsetType = UNSET
    polygon: dict[str, XY] | UnsetType = UNSET
    polygons: list[list[list[float]]] | UnsetType = UNSET
    polyline: dict[str, XY] | UnsetType = UNSET
    point: dict[str, XY] | UnsetType = UNSET
    skeleton: dict[str, Joint] | UnsetType = UNSET
    bitmask: Mask | UnsetType = UNSET


class FrameClassification(msgspec.Struct, kw_only=True, rename="camel"):
    """One classification on one frame; its answers are in `classification_answers`."""

    feature_hash: str
    classification_hash: str
    name: str
    value: str
    confidence: int = 1
    created_by: str
    created_at: str
    last_edited_at: str
    manual_annotation: bool = True


class SliceMetadata(msgspec.Struct):
    """DICOM header facts of one slice; sizes in pixels."""

    dicom_instance_uid: str
    multiframe_frame_number: int | None
    file_uri: str
    width: int
    height: int


class Labels(msgspec.Struct):
    """Labels of one image, or of one frame of a frame-keyed unit."""

    objects: list[LabelObject] = []
    classifications: list[FrameClassification] = []
    metadata: SliceMetadata | UnsetType = UNSET


class SeriesMetadata(msgspec.Struct):
    """DICOM header facts of a series."""

    patient_id: str | None
    study_uid: str
    series_uid: str


class DataUnit(msgspec.Struct, kw_only=True):
    """One file of a row. `labels` is kept as bytes: a `Labels`, or for videos and volumes a dict of them by frame."""

    data_hash: str
    data_title: str
    data_type: str | UnsetType = UNSET
    data_sequence: int
    labels: msgspec.Raw
    metadata: SeriesMetadata | UnsetType = UNSET
    data_fps: float | UnsetType = UNSET
    data_duration: float | UnsetType = UNSET
    data_link: str | UnsetType = UNSET
    data_links: list[str] | UnsetType = UNSET
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET


class Choice(msgspec.Struct, frozen=True, rename="camel"):
    """A chosen option of a radio or checklist."""

    name: str
    value: str
    feature_hash: str


Answered = str | int | float | list[Choice]


class Answer(msgspec.Struct, rename="camel"):
    """An answered attribute."""

    name: str
    value: str
    answers: Answered
    feature_hash: str
    manual_annotation: bool = True


class Action(msgspec.Struct, rename="camel"):
    """An answered dynamic attribute over inclusive ranges of frames."""

    name: str
    range: list[tuple[int, int]]
    value: str
    answers: Answered
    dynamic: bool
    track_hash: str
    feature_hash: str
    should_propagate: bool
    manual_annotation: bool = True


class ObjectAnswer(msgspec.Struct, rename="camel"):
    """Static answers of one object."""

    object_hash: str
    classifications: list[Answer]


class ObjectAction(msgspec.Struct, rename="camel"):
    """Dynamic answers of one object."""

    object_hash: str
    actions: list[Action]


class ClassificationAnswer(msgspec.Struct, kw_only=True, rename="camel"):
    """Answers of one classification; the fields after `classifications` belong to the newer encoding only."""

    classification_hash: str
    classifications: list[Answer]
    feature_hash: str | UnsetType = UNSET
    spaces: dict[str, str] | UnsetType = UNSET
    range: list[tuple[int, int]] | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    last_edited_by: str | UnsetType = UNSET
    last_edited_at: str | UnsetType = UNSET
    manual_annotation: bool | UnsetType = UNSET


class ExportEvent(msgspec.Struct, frozen=True):
    """One earlier export of a row."""

    export_hash: str
    exported_at: str
    user_email: str


class WorkflowNode(msgspec.Struct, frozen=True):
    """The workflow stage a row is in."""

    uuid: str
    title: str


class Row(msgspec.Struct, kw_only=True):
    """One label row as one export carries it."""

    label_hash: str
    branch_name: str | None | UnsetType = UNSET
    created_at: str
    last_edited_at: str
    dataset_hash: str
    dataset_title: str
    data_title: str
    data_hash: str
    data_type: str
    is_image_sequence: bool | None = None
    video_link: str | None = None
    data_units: dict[str, DataUnit]
    object_answers: dict[str, ObjectAnswer] = {}
    classification_answers: dict[str, ClassificationAnswer] = {}
    object_actions: dict[str, ObjectAction] = {}
    label_status: str
    is_valid: bool | UnsetType = UNSET
    workflow_graph_node: WorkflowNode | UnsetType = UNSET
    assigned_user_email: str | UnsetType = UNSET
    export_history: list[ExportEvent] = []
    export_hash: str
    exported_at: str
