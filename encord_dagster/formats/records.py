"""The records of the tables: one class for each, with the columns of its schema in their order."""

import msgspec


class ImageRecord(msgspec.Struct, array_like=True, gc=False):
    """The columns of IMAGES, in their order."""

    row: str
    label_hash: str
    branch_name: str
    image_id: int
    data_hash: str
    dataset_hash: str | None
    frame: int
    width: int
    height: int
    file_name: str
    data_type: str
    label_status: str | None
    annotation_task_status: str | None
    workflow_node: str | None
    objects: int
    space: str | None
    title: str | None
    link: str | None


class AnnotationRecord(msgspec.Struct, array_like=True, gc=False):
    """The columns of ANNOTATIONS, in their order."""

    row: str
    label_hash: str
    branch_name: str
    annotation_id: int
    image_id: int
    category_id: int
    frame: int
    object_hash: str
    feature_hash: str
    class_name: str
    shape: str
    x: float
    y: float
    width: float
    height: float
    area: float
    rotation: float | None
    track_id: int | None
    confidence: float
    manual: bool
    mask_value: int
    created_by: str | None
    last_edited_by: str | None
    created_at: str | None
    last_edited_at: str | None


class ClassificationRecord(msgspec.Struct, array_like=True, gc=False):
    """The columns of CLASSIFICATIONS, in their order."""

    row: str
    label_hash: str
    branch_name: str
    image_id: int | None
    frame: int | None
    classification_hash: str
    feature_hash: str | None
    name: str
    confidence: float
    manual: bool
    created_by: str | None
    last_edited_by: str | None
    created_at: str | None
    last_edited_at: str | None


class AttributeRecord(msgspec.Struct, array_like=True, gc=False):
    """The columns of ATTRIBUTES, in their order."""

    row: str
    label_hash: str
    branch_name: str
    of: str
    of_hash: str
    annotation_id: int | None
    image_id: int | None
    frame: int | None
    feature_hash: str
    name: str
    dynamic: bool
    text: str | None
    number: float | None
    options: list[str] | None
    option_hashes: list[str] | None
    kind: str | None
    parent_option: str | None


class Records(msgspec.Struct, array_like=True):
    """The records of one label row; `packed` has earlier ones of a table as Parquet, where they are very many."""

    images: list[ImageRecord] = []
    annotations: list[AnnotationRecord] = []
    classifications: list[ClassificationRecord] = []
    attributes: list[AttributeRecord] = []
    packed: dict[str, list[bytes]] = {}
