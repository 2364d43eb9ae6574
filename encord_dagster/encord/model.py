"""Label rows as values: what the reader makes of an export, and all that later floors see of it.

Personal data ends in the reader: people are pseudonyms here, and they, titles, links and the times of objects are None
unless the configuration publishes them.
"""

from typing import Literal

import msgspec

from encord_dagster.findings import Finding, Location
from encord_dagster.geometry import Geometry

Kind = Literal["radio", "checklist", "text", "numeric", "relation"]


class Option(msgspec.Struct, frozen=True, gc=False):
    """A chosen option of a radio or checklist attribute."""

    feature_hash: str
    name: str
    value: str


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """An attribute at one frame (or for a whole asset); options are a tuple, text a str, numeric a float.

    Only an ontology tells `kind`, `parent` (feature hash of the option that the attribute hangs below) and which
    attributes are not answered (answer None).
    """

    feature_hash: str
    name: str
    answer: str | float | tuple[Option, ...] | None
    dynamic: bool = False
    kind: Kind | None = None
    parent: str | None = None


class ObjectInstance(msgspec.Struct, frozen=True, gc=False):
    """One object on one frame. The same `object_hash` on several frames of a row is one track."""

    object_hash: str
    feature_hash: str
    name: str
    shape: str
    geometry: Geometry
    confidence: float = 1.0
    manual: bool = True
    attributes: tuple[Attribute, ...] = ()
    created_by: str | None = None  # this and the next three: only where they are published, people as pseudonyms
    last_edited_by: str | None = None
    created_at: str | None = None  # ISO 8601, UTC
    last_edited_at: str | None = None


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """One classification instance, on a frame or on the whole data unit."""

    classification_hash: str
    feature_hash: str | None
    name: str
    confidence: float = 1.0
    manual: bool = True
    attributes: tuple[Attribute, ...] = ()
    created_by: str | None = None  # this and the next three: only where they are published, people as pseudonyms
    last_edited_by: str | None = None
    created_at: str | None = None  # ISO 8601, UTC
    last_edited_at: str | None = None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One image, image of a group, video frame or slice, with its labels in document order.

    `number` is the frame number of the row (`data_sequence` in an image group). `width` and `height` are pixels of
    this frame, None where the export has none. `identity` tells images apart inside one data unit: the frame number,
    or for DICOM the SOP instance uid and multiframe number; it goes into hashes and is never published itself.
    """

    data_hash: str
    number: int
    identity: str
    mime_type: str
    width: int | None
    height: int | None
    objects: tuple[ObjectInstance, ...] = ()
    classifications: tuple[Classification, ...] = ()
    space: str | None = None  # of a data group: which of its members; the frame number counts within it
    title: str | None = None  # this and the next: only where they are published
    link: str | None = None  # without query and login


class Excluded(msgspec.Struct, frozen=True):
    """An object left out on purpose: deleted, duplicate, filtered, unsupported_shape or unsupported_modality."""

    reason: str
    location: Location
    feature_hash: str | None
    shape: str | None


class Quarantined(msgspec.Struct, frozen=True):
    """An object that cannot be converted, and why."""

    location: Location
    findings: tuple[Finding, ...]


class HistoryEntry(msgspec.Struct, frozen=True):
    """One entry of `export_history`; the user is a pseudonym, None unless people are published."""

    export_hash: str
    exported_at: str | None  # ISO 8601, UTC
    user: str | None = None


class RowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One label row as one export carried it. Times are ISO 8601 in UTC."""

    label_hash: str
    branch_name: str
    fingerprint: str  # sha256 hex of the canonical row without volatile keys
    export_hash: str | None
    exported_at: str | None
    last_edited_at: str | None
    history: tuple[HistoryEntry, ...]
    offset: int  # of the row's bytes in the export's decompressed bytes
    length: int


class LabelRow(msgspec.Struct, frozen=True, kw_only=True):
    """All labels of one data unit on one branch.

    `objects_in` counts the object entries that the export holds for this row; it equals
    objects on frames + len(excluded) + len(quarantined), which `validation.conservation` checks.
    """

    label_hash: str
    branch_name: str
    data_hash: str
    dataset_hash: str | None
    data_type: str  # lower case: image, img_group, video, dicom, nifti, deleted, audio, ...
    is_image_sequence: bool | None
    label_status: str | None
    annotation_task_status: str | None
    workflow_node: str | None
    frames: tuple[Frame, ...]
    classifications: tuple[Classification, ...]  # of the whole data unit
    objects_in: int
    excluded: tuple[Excluded, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    source: Literal["labels", "coco"] = "labels"  # Encord's own JSON, or its COCO export
    texts_left_out: int = 0  # text answers, where the configuration leaves them out

    @property
    def deleted(self) -> bool:
        """Whether the data behind this row is gone (a tombstone)."""
        return self.data_type == "deleted"
