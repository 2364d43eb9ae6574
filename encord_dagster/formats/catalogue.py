"""The one list of formats: what `--formats` can name."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from encord_dagster.errors import UsageError
from encord_dagster.formats.coco_instances import CocoInstances
from encord_dagster.formats.coco_keypoints import CocoKeypoints
from encord_dagster.formats.coco_panoptic import CocoPanoptic
from encord_dagster.formats.dicom_seg import DicomSeg
from encord_dagster.formats.encord_coco import EncordCoco
from encord_dagster.formats.mot import Mot
from encord_dagster.formats.nifti import Nifti
from encord_dagster.formats.painted_masks import PaintedMasks
from encord_dagster.formats.tao import Tao
from encord_dagster.formats.voc_masks import VocMasks
from encord_dagster.formats.writing import Chosen, Format
from encord_dagster.formats.yolo import Yolo
from encord_dagster.formats.youtube_vis import YoutubeVis

PUBLISHED = ("coco", "masks", "tables")  # a version holds these; they are copied where nothing else is chosen

WRITTEN: Mapping[str, Callable[[Chosen], Format]] = {
    "coco": CocoInstances,
    "masks": PaintedMasks,
    "coco_panoptic": CocoPanoptic,
    "coco_keypoints": CocoKeypoints,
    "yolo_detect": partial(Yolo, "yolo_detect"),
    "yolo_segment": partial(Yolo, "yolo_segment"),
    "yolo_pose": partial(Yolo, "yolo_pose"),
    "yolo_obb": partial(Yolo, "yolo_obb"),
    "voc_masks": VocMasks,
    "mot": Mot,
    "youtube_vis": YoutubeVis,
    "tao": Tao,
    "encord_coco": EncordCoco,
    "nifti": Nifti,
    "dicom_seg": DicomSeg,
}

# These count over all images, or need what records do not hold: a lake, though in memory. Others can be written by
# several processes, as nothing of them goes on from image to image but what `Chosen.hold` gives.
NEED_A_LAKE = frozenset({"tables", "tao", "encord_coco", "nifti", "dicom_seg"})

FORMATS = (*PUBLISHED, *(name for name in WRITTEN if name not in PUBLISHED))


def checked(formats: Sequence[str]) -> None:
    """Refuse what is no format."""
    if unknown := set(formats) - set(FORMATS):
        raise UsageError(f"no format {', '.join(sorted(unknown))}; there are {', '.join(FORMATS)}")
