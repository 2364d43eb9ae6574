"""One label row of each data type the platform has, as its first export carries it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Literal, get_args

import msgspec
from msgspec import UNSET

from encord_dagster.samples import images, stamps, volumes
from encord_dagster.samples.bodies import Body, Draft
from encord_dagster.samples.document import ExportEvent, Row, WorkflowNode

Kind = Literal["image", "video", "img_group", "dicom", "image_sequence", "nifti", "image_by_range", "unlabelled_image"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Dataset(msgspec.Struct, frozen=True):
    """The dataset rows belong to."""

    hash: str
    title: str


def row(kind: Kind, *, dataset: Dataset, random: Random, start: datetime, exported_at: datetime) -> Row:
    """A row of that kind, labelled from `start` on (UTC) and exported for the first time at `exported_at`."""
    draft = Draft(random, start, stamps.uuid4(random), random.choice(images.SIZES))
    body = _BODIES[kind](draft)
    made = Row(
        label_hash=stamps.uuid4(random),
        created_at=stamps.row_time(start),
        last_edited_at=stamps.row_time(start + timedelta(hours=1)),
        dataset_hash=dataset.hash,
        dataset_title=dataset.title,
        data_title=body.title,
        data_hash=draft.data_hash,
        data_type=body.data_type,
        is_image_sequence=body.is_image_sequence,
        video_link=body.video_link,
        data_units={unit.data_hash: unit for unit in body.units},
        object_answers=body.labels.object_answers,
        classification_answers=body.labels.classification_answers,
        object_actions=body.labels.object_actions,
        label_status="LABELLED" if body.labels.object_answers else "NOT_LABELLED",
        export_hash=stamps.uuid4(random),
        exported_at=stamps.export_time(exported_at),
    )
    _own_keys(made, kind, random, exported_at)
    sign_links(made, random=random, at=exported_at)
    return made


def sign_links(made: Row, *, random: Random, at: datetime) -> None:
    """Signs the links of images and videos anew; medical files keep their storage paths."""
    if made.data_type not in ("image", "img_group", "video"):
        return
    if made.video_link is not None:
        made.video_link = stamps.signed(made.video_link, random=random, at=at)
    for unit in made.data_units.values():
        if unit.data_link is not UNSET:
            unit.data_link = stamps.signed(unit.data_link, random=random, at=at)


def _own_keys(made: Row, kind: Kind, random: Random, exported_at: datetime) -> None:
    """Keys that not every row has, and for volumes an export of the day before that nobody kept."""
    if kind == "nifti":
        day_before = stamps.export_time(exported_at - timedelta(days=1))
        made.export_history = [ExportEvent(stamps.uuid4(random), day_before, stamps.EXPORTER)]
        made.branch_name, made.is_valid = None, True
    if kind in ("video", "image_by_range"):
        made.branch_name = "main"
        made.workflow_graph_node = WorkflowNode(stamps.uuid4(random), "Annotate")
        made.assigned_user_email = random.choice(stamps.ANNOTATORS)


_BODIES: dict[Kind, Callable[[Draft], Body]] = {
    "image": images.image,
    "video": images.video,
    "img_group": images.image_group,
    "dicom": volumes.dicom,
    "image_sequence": images.image_sequence,
    "nifti": volumes.nifti,
    "image_by_range": images.image_by_range,
    "unlabelled_image": images.unlabelled_image,
}
