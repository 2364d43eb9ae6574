"""Training sets in the YAML of a label set: fields, what they mean, and limits for `dg check yaml`.

Every Dagster project that has the package installed imports this, so defaults and choices are written out; tests hold
them beside `formats.selection` and `formats.catalogue`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import dagster as dg
import msgspec

from encord_dagster.config import NAME
from encord_dagster.errors import UsageError
from encord_dagster.orchestration.fields import count, field, listed, nested, number, place, share, switch

if TYPE_CHECKING:
    from encord_dagster.label_set.training_set import TrainingSet

FORMATS = (
    *("coco", "masks", "tables", "coco_panoptic", "coco_keypoints", "yolo_detect", "yolo_segment", "yolo_pose"),
    *("yolo_obb", "voc_masks", "mot", "youtube_vis", "tao", "encord_coco", "nifti", "dicom_seg"),
)
_SplitBy = Literal["data_hash", "label_hash", "dataset_hash", "title"]
_TEMPLATE_FIELDS = "fields as {data_hash}, {frame:06}, {ext}: docs/formats.md"
_MAPPING = r"^\{.*\}$"


class SelectionOptions(dg.Model, dg.Resolvable):
    """What a training set holds of its version: the fields of `--select`."""

    classes: Annotated[
        dict[str, tuple[str, ...]],
        field(
            "New name: names of classes, feature hashes, or name[attribute=option]. The order is theirs.", text=_MAPPING
        ),
    ] = {}
    drop_classes: Annotated[tuple[str, ...], listed("Classes to leave out, written as those of `classes`.")] = ()
    other_classes: Annotated[
        Literal["keep", "drop"], field("Classes that neither of these names.", choices=("keep", "drop"))
    ] = "keep"
    label_statuses: Annotated[tuple[str, ...], listed("Only rows of these label statuses; empty: all.")] = ()
    workflow_nodes: Annotated[tuple[str, ...], listed("Only rows in these workflow stages; empty: all.")] = ()
    frame_step: Annotated[int, count("Every so manieth frame of videos, series and stacks.", minimum=1)] = 1
    min_confidence: Annotated[float, share("Objects of less confidence are left out, 0 to 1.")] = 0.0
    manual_only: Annotated[bool, switch("Objects that a model made are left out.")] = False
    min_side: Annotated[
        float, number("Objects whose box is narrower or lower, in pixels, are left out.", minimum=0)
    ] = 0.0
    negatives: Annotated[Literal["keep", "drop"], field("Images without any object.", choices=("keep", "drop"))] = (
        "keep"
    )
    file_name: Annotated[str, field(f"Template of the images' names; {_TEMPLATE_FIELDS}.")] = ""
    coco_url: Annotated[str, field(f"Template of the images' addresses; {_TEMPLATE_FIELDS}.")] = ""
    splits: Annotated[dict[str, float], field("Share by name: {train: 0.8, val: 0.1, test: 0.1}.", text=_MAPPING)] = {}
    split_by: Annotated[
        _SplitBy, field("What stays together, besides the frames of a video.", choices=get_args(_SplitBy))
    ] = "data_hash"
    split_seed: Annotated[str, field("Another text gives another division.")] = ""
    stratify: Annotated[
        bool, switch("Each class has its share in each split; what an earlier version has in a split stays there.")
    ] = False
    coco_per_split: Annotated[bool, switch("A COCO file for each split.")] = False
    frame_rate: Annotated[float, number("Frames a second of videos, in seqinfo.ini.", minimum=0.001)] = 30.0


class TrainingSetOptions(dg.Model, dg.Resolvable):
    """A training set: the asset NAME/training/<name>."""

    name: Annotated[
        str, field("Name: letters, digits, _ and -, at most 63; the last part of its asset.", text=f"^{NAME.pattern}$")
    ]
    url: Annotated[str, place("Where it is written: s3://bucket/prefix or a folder, of its own.")]
    formats: Annotated[tuple[str, ...], listed("Its formats, see docs/formats.md.", choices=FORMATS)]
    selection: Annotated[
        SelectionOptions | None, nested("What it holds of the version; without it all.", SelectionOptions)
    ] = None
    version: Annotated[int | str, field("latest, which follows new versions, or a number, a tag, an export hash.")] = (
        "latest"
    )

    dicom_headers: Annotated[
        str, place("Folder of DICOM files that nifti and dicom_seg take the geometry of series from.")
    ] = ""

    def refuse_unusable(self, before: "Sequence[TrainingSetOptions]", *, landing: str) -> None:
        """UsageError for what cannot be chosen, by itself or behind those before it."""
        from encord_dagster.label_set.training_set import checked

        checked([one.chosen() for one in (*before, self)], landing=landing)

    def chosen(self) -> "TrainingSet":
        """The training set. UsageError for what cannot be chosen."""
        from encord_dagster.label_set.training_set import TrainingSet

        given: dict[str, Any] = self.model_dump(exclude_none=True)
        try:
            return msgspec.convert(given, type=TrainingSet)
        except msgspec.ValidationError as error:
            raise UsageError(f"training set {self.name}: {error}") from error
