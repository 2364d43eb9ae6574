"""What formats cannot hold of a label row, counted, and where it is still to be found.

What formats that are written at checkout cannot hold besides is in `format_losses`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from encord_dagster.encord.model import LabelRow, ObjectInstance
from encord_dagster.formats import format_losses
from encord_dagster.formats.raster import needs_rle
from encord_dagster.geometry import (
    LARGEST_MASK,
    Bitmask,
    Box,
    Ellipse,
    Point,
    Polygon,
    Polyline,
    Skeleton,
)

Shape = TypeVar("Shape")
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


class _Seen:
    """A row, and the shapes of its objects, kind by kind: most rows hold one kind, of which most losses are none."""

    def __init__(self, row: LabelRow) -> None:
        self.row = row
        self.shapes: dict[type, list[Any]] = {}
        for item in _instances(row):
            self.shapes.setdefault(type(item.geometry), []).append(item.geometry)

    def of(self, kind: type[Shape]) -> list[Shape]:
        """The shapes of one kind."""
        return self.shapes.get(kind, [])


class Loss(msgspec.Struct, frozen=True):
    """One loss: the format that has it, a code that is stable within it, and how often it befalls a row."""

    format: Format  # source_coco: what is lost before it gets here, where the export itself is COCO
    name: str
    description: str
    count: Callable[[_Seen], int]

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
    seen = _Seen(row)
    counted = ((loss, loss.count(seen)) for loss in LOSSES if masks or loss.format != "masks")
    return {loss.code: count for loss, count in counted if count}


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


def _joints(visibility: str) -> Callable[[_Seen], int]:
    """Counts joints of skeletons by what is seen of them."""
    return lambda seen: sum(joint.visibility == visibility for one in seen.of(Skeleton) for joint in one.joints)


def _repeated(shape: Skeleton) -> bool:
    return len({joint.feature_hash for joint in shape.joints}) < len(shape.joints)


def _left_out(name: str) -> Callable[[_Seen], int]:
    """Counts objects that no format here can hold. What was deleted, repeated or filtered out is no loss."""

    def name_of(reason: str, shape: str | None) -> str | None:
        if reason not in ("unsupported_shape", "unsupported_modality"):
            return None
        other = "unknown_shape" if reason == "unsupported_shape" else "unsupported_modality"
        return _RANGES.get(shape or "", other)

    return lambda seen: sum(name_of(item.reason, item.shape) == name for item in seen.row.excluded)


def _classifications_of_unsized(seen: _Seen) -> int:
    return sum(len(frame.classifications) for frame in seen.row.frames if not (frame.width and frame.height))


def _classifications_of_no_image(seen: _Seen) -> int:
    sized = any(frame.width and frame.height for frame in seen.row.frames)
    return 0 if sized else len(seen.row.classifications)


def _too_large(seen: _Seen) -> int:
    return sum((frame.width or 0) * (frame.height or 0) > LARGEST_MASK for frame in seen.row.frames)


def _from_coco(count: Callable[[LabelRow], int]) -> Callable[[_Seen], int]:
    """Counts only in rows that were read from a COCO export."""
    return lambda seen: count(seen.row) if seen.row.source == "coco" else 0


LOSSES: tuple[Loss, ...] = (
    Loss(
        "masks",
        "polyline",
        "Polylines have no area, so nothing is painted. `polyline` in the COCO file holds them.",
        lambda seen: len(seen.of(Polyline)),
    ),
    Loss(
        "masks",
        "point",
        "Points have no area, so nothing is painted. `keypoints` in the COCO file holds them.",
        lambda seen: len(seen.of(Point)),
    ),
    Loss(
        "masks",
        "skeleton",
        "Skeletons have no area, so nothing is painted. `keypoints` in the COCO file holds their joints.",
        lambda seen: len(seen.of(Skeleton)),
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
        lambda seen: len(seen.of(Ellipse)),
    ),
    Loss(
        "coco",
        "polygon_with_holes_as_rle",
        "Polygons with holes become pixels; only the raw export holds their points.",
        lambda seen: sum(map(needs_rle, seen.of(Polygon))),
    ),
    Loss(
        "coco",
        "keypoint_invisible_position",
        "Joints marked invisible get v = 0 and with it x = y = 0; only the raw export holds their places.",
        _joints("invisible"),
    ),
    Loss(
        "coco",
        "keypoint_self_occluded",
        "Joints hidden by their own object get v = 1, as all hidden ones; only the raw export tells them apart.",
        _joints("self_occluded"),
    ),
    Loss(
        "coco",
        "keypoint_repeated",
        "Skeletons that have a joint twice keep the last of the two; only the raw export holds both.",
        lambda seen: sum(map(_repeated, seen.of(Skeleton))),
    ),
    Loss(
        "coco",
        "free_text",
        "Text answers are left out, as configured; only the raw export holds them.",
        lambda seen: seen.row.texts_left_out,
    ),
    Loss(
        "tables",
        "outline",
        "The tables hold the box round a shape, not its outline, line or joints; the COCO file holds those.",
        lambda seen: sum(len(some) for kind, some in seen.shapes.items() if kind not in (Box, Point)),
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
