"""Shapes in pixels: origin at the top-left corner of the top-left pixel, x right, y down.

Fractions of the export become pixels in `encord/`; nothing after it knows fractions.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

Ring = tuple[float, ...]  # flat x0, y0, x1, y1, ...; not closed
LARGEST_MASK = 2**28  # pixels of a mask that is read, or painted as a picture: a byte or two each in memory
LARGEST_FRAME = 2**31 - 1  # pixels of a frame that can hold masks: pycocotools counts in 32 bits, and errs beyond
LONGEST_OUTLINE = 2**22  # pixels round one object: pycocotools needs 60 bytes for each of them, and crashes without
Visibility = Literal["visible", "occluded", "self_occluded", "invisible"]


class Box(msgspec.Struct, frozen=True, gc=False, tag="bounding_box"):
    """Axis-parallel box; x, y is its top-left corner."""

    x: float
    y: float
    width: float
    height: float


class RotatedBox(msgspec.Struct, frozen=True, tag="rotatable_bounding_box"):
    """Box turned about its centre by `theta` degrees, clockwise on screen, in pixel space."""

    x: float
    y: float
    width: float
    height: float
    theta: float


class Ellipse(msgspec.Struct, frozen=True, tag="ellipse"):
    """Ellipse or circle; x, y is its centre, `theta` turns it about that by degrees, clockwise on screen."""

    x: float
    y: float
    rx: float
    ry: float
    theta: float = 0.0


class Polygon(msgspec.Struct, frozen=True, tag="polygon"):
    """One or more polygons, each an outline ring followed by its holes."""

    polygons: tuple[tuple[Ring, ...], ...]


class Polyline(msgspec.Struct, frozen=True, tag="polyline"):
    """An open line of at least two points, flat."""

    points: Ring


class Point(msgspec.Struct, frozen=True, tag="point"):
    """One point (a "Keypoint" in Encord's ontology)."""

    x: float
    y: float


class Joint(msgspec.Struct, frozen=True):
    """One named point of a skeleton."""

    feature_hash: str
    name: str
    x: float
    y: float
    visibility: Visibility = "visible"


class Skeleton(msgspec.Struct, frozen=True, tag="skeleton"):
    """Joints in the order of the export."""

    joints: tuple[Joint, ...]


class Bitmask(msgspec.Struct, frozen=True, tag="bitmask"):
    """Row-major runs over the whole frame, zeros first; their sum is width x height of the frame.

    Masks that were decoded many at once have them in an array of 64-bit integers.
    """

    runs: Sequence[int]


Geometry = Box | RotatedBox | Ellipse | Polygon | Polyline | Point | Skeleton | Bitmask
