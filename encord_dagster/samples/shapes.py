"""Shapes in fractions of a frame, rounded to 4 decimals as the platform did in 2023."""

import math
from collections.abc import Iterable, Sequence

from encord_dagster.samples.catalogue import JOINTS, joint_hash
from encord_dagster.samples.document import XY, BoxFractions, Geometry, Joint

Points = list[tuple[float, float]]


def box(x: float, y: float, w: float, h: float) -> Geometry:
    """An upright box, cut at the frame's border."""
    return {"bounding_box": _box(x, y, w, h)}


def rotated_box(x: float, y: float, w: float, h: float, *, theta: float) -> Geometry:
    """A box turned by `theta` degrees clockwise on screen."""
    return {"rotatable_bounding_box": BoxFractions(_cut(x), _cut(y), round(w, 4), round(h, 4), round(theta, 4))}


def polygon(ring: Sequence[tuple[float, float]]) -> Geometry:
    """A plain polygon in the older form."""
    return {"polygon": _by_index(ring)}


def polygon_with_holes(outline: Points, *holes: Points) -> Geometry:
    """A polygon in the newer form, which repeats the outline in the older one."""
    return {"polygon": _by_index(outline), "polygons": [[_flat(ring) for ring in (outline, *holes)]]}


def polyline(points: Sequence[tuple[float, float]]) -> Geometry:
    """An open line."""
    return {"polyline": _by_index(points)}


def point(x: float, y: float) -> Geometry:
    """A single point."""
    return {"point": _by_index([(x, y)])}


def pedestrian(x: float, y: float, *, tall: float, wide: float, step: float, hidden: Iterable[int] = ()) -> Geometry:
    """A walking figure with its feet at `y`; `step` in turns of the gait, `hidden` joints are occluded or unseen."""
    swing = math.sin(2 * math.pi * step)
    joints = {}
    for i, (name, jx, jy) in enumerate(JOINTS):
        reach = 0.0 if jy < 0.2 or name == "hip" else (jx - 0.5) * (0.75 + 0.25 * swing * (1 if jy > 0.6 else -1))
        joints[str(i)] = Joint(
            _cut(x + wide * (reach if reach else jx - 0.5)),
            _cut(y - tall * (1 - jy)),
            name,
            "#000000",
            name,
            joint_hash(name),
        )
    for order, i in enumerate(hidden):
        flags = {"occluded": True} if order % 2 == 0 else {"invisible": True, "visible": False, "occluded": False}
        joint = joints[str(i)]
        joints[str(i)] = Joint(joint.x, joint.y, joint.name, joint.color, joint.value, joint.feature_hash, **flags)
    return {"skeleton": joints}


def blob(x: float, y: float, *, rx: float, ry: float, wobble: float, turn: float, points: int = 28) -> Points:
    """A closed ring like an ellipse with soft bumps; `wobble` as part of the radius, `turn` in radians."""
    ring = []
    for i in range(points):
        angle = 2 * math.pi * i / points
        radius = 1 + wobble * (0.6 * math.sin(3 * angle + turn) + 0.4 * math.sin(5 * angle - 2 * turn))
        ring.append((x + rx * radius * math.cos(angle), y + ry * radius * math.sin(angle)))
    return ring


def _box(x: float, y: float, w: float, h: float) -> BoxFractions:
    left, top = _cut(x), _cut(y)
    return BoxFractions(left, top, round(_cut(x + w) - left, 4), round(_cut(y + h) - top, 4))


def _by_index(points: Sequence[tuple[float, float]]) -> dict[str, XY]:
    return {str(i): XY(_cut(x), _cut(y)) for i, (x, y) in enumerate(points)}


def _flat(ring: Points) -> list[float]:
    return [_cut(value) for xy in ring for value in xy]


def _cut(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4)
