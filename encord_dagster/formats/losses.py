"""What formats cannot hold of a label row, counted, and where it is still to be found.

What formats that are written at checkout cannot hold besides is in `format_losses`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from encord_dagster.encord.model import LabelRow, ObjectInstance
from encord_dagster.formats import format_losses
from encord_dagster.formats.raster import needs_rle
from encord_dagster.geometry import (
    LARGEST_MASK,
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    Skeleton,
)

FILE = "loss_report.json"

Format = Literal["masks", "coco", "tables", "source_coco"]

_RANGES = {
    "cuboid": "cuboid",
    "cuboid_2d": "cuboid",
    "segmentation": "point_cloud",
    "text": "text_range",
    "audio": "audio_range",
    "time_range": "audio_range",
}


class Loss(msgspec.Struct, frozen=True):
    """One loss: the format that has it, a code that is stable within it, and how often it befalls a row."""

    format: Format  # source_coco: what is lost before it gets here, where the export itself is COCO
    name: str
    description: str
    count: Callable[[LabelRow], int]

    @property
    def code(self) -> str:
        """What reports match on; append-only."""
        return f"{self.format}:{self.name}"


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a loss report."""

    code: str
    count: int
    description: str


class _File(msgspec.Struct, frozen=True):
    losses: list[Reported]


def losses(row: LabelRow, *, masks: bool = True) -> dict[str, int]:
    """What the formats cannot hold of a row, by code; only what does occur. `masks`: whether there are any."""
    counted = {loss.code: loss.count(row) for loss in LOSSES if masks or loss.format != "masks"}
    return {code: count for code, count in counted.items() if count}


def reported(counts: Mapping[str, int]) -> list[Reported]:
    """The lines of a loss report, by code."""
    known = {loss.code: loss.description for loss in LOSSES} | format_losses.LOSSES
    return [
        Reported(code=code, count=counts[code], description=known.get(code, "Not known to this release."))
        for code in sorted(counts)
    ]


def report(counts: Mapping[str, int]) -> bytes:
    """The loss report as a file; without any loss it says so by an empty list."""
    return msgspec.json.format(msgspec.json.encode({"losses": reported(counts)})) + b"\n"


def counts(report: bytes) -> dict[str, int]:
    """The counts of a loss report by code."""
    return {line.code: line.count for line in msgspec.json.decode(report, type=_File).losses}


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Losses of several rows together, by code."""
    counts: dict[str, int] = {}
    for part in parts:
        for code, count in part.items():
            counts[code] = counts.get(code, 0) + count
    return dict(sorted(counts.items()))


def _instances(row: LabelRow) -> Iterator[ObjectInstance]:
    return (item for frame in row.frames for item in frame.objects)


def _objects(lost: Callable[[Geometry], bool]) -> Callable[[LabelRow], int]:
    """Counts objects by their geometry."""
    return lambda row: sum(lost(item.geometry) for item in _instances(row))


def _joints(lost: Callable[[Joint], bool]) -> Callable[[LabelRow], int]:
    """Counts joints of skeletons."""
    return lambda row: sum(
        lost(joint) for item in _instances(row) if isinstance(item.geometry, Skeleton) for joint in item.geometry.joints
    )


def _repeated(shape: Geometry) -> bool:
    return isinstance(shape, Skeleton) and len({joint.feature_hash for joint in shape.joints}) < len(shape.joints)


def _left_out(name: str) -> Callable[[LabelRow], int]:
    """Counts objects that no format here can hold. What was deleted, repeated or filtered out is no loss."""

    def name_of(reason: str, shape: str | None) -> str | None:
        if reason not in ("unsupported_shape", "unsupported_modality"):
            return None
        other = "unknown_shape" if reason == "unsupported_shape" else "unsupported_modality"
        return _RANGES.get(shape or "", other)

    return lambda row: sum(name_of(item.reason, item.shape) == name for item in row.excluded)


def _classifications_of_unsized(row: LabelRow) -> int:
    return sum(len(frame.classifications) for frame in row.frames if not (frame.width and frame.height))


def _classifications_of_no_image(row: LabelRow) -> int:
    sized = any(frame.width and frame.height for frame in row.frames)
    return 0 if sized else len(row.classifications)


def _too_large(row: LabelRow) -> int:
    return sum((frame.width or 0) * (frame.height or 0) > LARGEST_MASK for frame in row.frames)


def _from_coco(count: Callable[[LabelRow], int]) -> Callable[[LabelRow], int]:
    """Counts only in rows that were read from a COCO export."""
    return lambda row: count(row) if row.source == "coco" else 0


LOSSES: tuple[Loss, ...] = (
    Loss(
        "masks",
        "polyline",
        "Polylines have no area, so nothing is painted. `polyline` in the COCO file holds them.",
        _objects(lambda shape: isinstance(shape, Polyline)),
    ),
    Loss(
        "masks",
        "point",
        "Points have no area, so nothing is painted. `keypoints` in the COCO file holds them.",
        _objects(lambda shape: isinstance(shape, Point)),
    ),
    Loss(
        "masks",
        "skeleton",
        "Skeletons have no area, so nothing is painted. `keypoints` in the COCO file holds their joints.",
        _objects(lambda shape: isinstance(shape, Skeleton)),
    ),
    Loss(
        "masks",
        "frame_too_large",
        "Images of more than 2**28 pixels have no masks. The COCO file holds their objects.",
        _too_large,
    ),
    Loss("coco", "cuboid", "Cuboids are in no format; only the raw export holds them.", _left_out("cuboid")),
    Loss(
        "coco",
        "point_cloud",
        "Segmentations of point clouds are in no format; only the raw export holds them.",
        _left_out("point_cloud"),
    ),
    Loss(
        "coco",
        "text_range",
        "Ranges of text are in no format; only the raw export holds them.",
        _left_out("text_range"),
    ),
    Loss(
        "coco",
        "audio_range",
        "Ranges of time, as in audio, are in no format; only the raw export holds them.",
        _left_out("audio_range"),
    ),
    Loss(
        "coco",
        "unknown_shape",
        "Objects of shapes that are not known are in no format; only the raw export holds them.",
        _left_out("unknown_shape"),
    ),
    Loss(
        "coco",
        "unsupported_modality",
        "Objects on data without pixels, as on pages of a PDF, are in no format; only the raw export holds them.",
        _left_out("unsupported_modality"),
    ),
    Loss(
        "coco",
        "no_frame_size_classification",
        "Classifications of frames whose size is not in the export have no COCO image; the tables hold them.",
        _classifications_of_unsized,
    ),
    Loss(
        "coco",
        "classification_not_placed",
        "Classifications of whole assets that have no COCO image; the tables hold them.",
        _classifications_of_no_image,
    ),
    Loss(
        "coco",
        "circle_as_polygon",
        "Circles and ellipses become rings of points; only the raw export holds centre and radii.",
        _objects(lambda shape: isinstance(shape, Ellipse)),
    ),
    Loss(
        "coco",
        "polygon_with_holes_as_rle",
        "Polygons with holes become pixels; only the raw export holds their points.",
        _objects(lambda shape: isinstance(shape, Polygon) and needs_rle(shape)),
    ),
    Loss(
        "coco",
        "keypoint_invisible_position",
        "Joints marked invisible get v = 0 and with it x = y = 0; only the raw export holds their places.",
        _joints(lambda joint: joint.visibility == "invisible"),
    ),
    Loss(
        "coco",
        "keypoint_self_occluded",
        "Joints hidden by their own object get v = 1, as all hidden ones; only the raw export tells them apart.",
        _joints(lambda joint: joint.visibility == "self_occluded"),
    ),
    Loss(
        "coco",
        "keypoint_repeated",
        "Skeletons that have a joint twice keep the last of the two; only the raw export holds both.",
        _objects(_repeated),
    ),
    Loss(
        "coco",
        "free_text",
        "Text answers are left out, as configured; only the raw export holds them.",
        lambda row: row.texts_left_out,
    ),
    Loss(
        "tables",
        "outline",
        "The tables hold the box round a shape, not its outline, line or joints; the COCO file holds those.",
        _objects(lambda shape: not isinstance(shape, Box | Point)),
    ),
    Loss(
        "source_coco",
        "lineage",
        "Rows of a COCO export have no label hash, status, times or history; export label rows as JSON for these.",
        _from_coco(lambda row: 1),
    ),
    Loss(
        "source_coco",
        "classifications",
        "Frames of a COCO export have no classifications; export label rows as JSON for these.",
        _from_coco(lambda row: len(row.frames)),
    ),
    Loss(
        "source_coco",
        "outline_as_mask",
        "Polygons that a COCO export holds as pixels have lost their points; export label rows as JSON for these.",
        _from_coco(
            lambda row: sum(item.shape == "polygon" and isinstance(item.geometry, Bitmask) for item in _instances(row))
        ),
    ),
    Loss(
        "source_coco",
        "answers_by_name",
        "Objects whose answers a COCO export tells by name, without nested ones; export label rows as JSON for these.",
        _from_coco(lambda row: sum(bool(item.attributes) for item in _instances(row))),
    ),
)
