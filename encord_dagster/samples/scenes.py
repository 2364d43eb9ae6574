"""What is to be seen: a street in perspective and a body slice, as named objects with geometry.

A scene is drawn for a frame of any size at any time, so that a video is the same scene a little later each frame.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from random import Random

import msgspec

from encord_dagster.samples import bitmask, shapes
from encord_dagster.samples.document import Geometry, Mask

HORIZON = 0.42  # as a fraction of the frame's height
VARIANTS = 6  # of each mask, so that a large project draws few of them


class Drawn(msgspec.Struct, frozen=True):
    """An object of a scene; the same `track` at two times is the same object."""

    class_name: str
    track: str
    geometry: Geometry


class Mover(msgspec.Struct, frozen=True):
    """Something on the road: where across it (0 left, 1 right), how near (0 horizon, 1 camera), nearer per frame."""

    across: float
    near: float
    speed: float


class Street(msgspec.Struct, frozen=True):
    """A street, before it is drawn."""

    variant: int
    cars: tuple[Mover, ...]
    trucks: tuple[Mover, ...]
    walkers: tuple[Mover, ...]
    tree: tuple[float, float]
    facade: float
    parked: float


class Ward(msgspec.Struct, frozen=True):
    """A slice through a body, before it is drawn."""

    variant: int
    lesion: tuple[float, float]
    turn: float


def street(random: Random) -> Street:
    """A street as chance has it."""
    return Street(
        variant=random.randrange(VARIANTS),
        cars=tuple(
            Mover(0.18 + 0.3 * i + random.uniform(0, 0.1), random.uniform(0.25, 0.6), random.choice((-1, 1)) * 0.004)
            for i in range(random.randint(1, 3))
        ),
        trucks=(Mover(0.62, random.uniform(0.15, 0.3), 0.003),) if random.random() < 0.7 else (),
        walkers=tuple(Mover(side, random.uniform(0.4, 0.6), 0.002) for side in (-0.16, 1.12)),
        tree=(random.uniform(0.08, 0.2), random.uniform(0.2, 0.28)),
        facade=random.uniform(0.7, 0.78),
        parked=random.uniform(12, 24),
    )


def ward(random: Random) -> Ward:
    """A body slice as chance has it."""
    lesion = (random.uniform(0.32, 0.42), random.uniform(0.3, 0.42))
    return Ward(random.randrange(VARIANTS), lesion, random.uniform(0, 6))


def draw_street(scene: Street, *, width: int, height: int, time: int = 0) -> Iterator[Drawn]:
    """The street's objects in a frame of `width` x `height` pixels, `time` in frames."""
    yield Drawn("Road surface", "road", {"bitmask": mask_of("Road surface", scene.variant, width, height)})
    for number, across in enumerate((0.02, 0.5, 0.98)):
        line = [(_x(scene.variant, across, t), _y(t)) for t in (0.1, 0.25, 0.45, 0.65, 0.85, 0.99)]
        yield Drawn("Lane marking", f"lane {number}", shapes.polyline(line))
    aspect = width / height
    tree_x, tree_y = scene.tree
    crown = _round_blob(tree_x, tree_y, 0.15, aspect, turn=tree_x * 30, wobble=0.12)
    yield Drawn("Tree", "tree", shapes.polygon(crown))
    yield Drawn("Building", "building", _building(scene.facade))
    yield Drawn("Traffic light", "light", shapes.point(0.3 + 0.2 * tree_x, 0.24))
    yield from _traffic(scene, aspect=aspect, time=time)


def draw_ward(scene: Ward, *, width: int, height: int, time: int = 0) -> Iterator[Drawn]:
    """The slice's organs in a frame of `width` x `height` pixels; `time` in slices, organs shrink along it."""
    aspect = width / height
    size = 1 - 0.08 * time
    variant = (scene.variant + time) % VARIANTS
    yield Drawn("Liver", "liver", {"bitmask": mask_of("Liver", variant, width, height)})
    for side, x in (("left", 0.68), ("right", 0.4)):
        ring = _round_blob(x, 0.72, 0.08 * size, aspect, turn=scene.turn + x)
        yield Drawn("Kidney", f"{side} kidney", shapes.polygon(ring))
    x, y = scene.lesion
    outline = _round_blob(x, y, 0.07 * size, aspect, turn=scene.turn)
    core = _round_blob(x, y, 0.03 * size, aspect, turn=scene.turn + 1)
    yield Drawn("Lesion", "lesion", shapes.polygon_with_holes(outline, core))
    reach = 0.07 * size / max(aspect, 1)
    across = [(x - reach, y + 0.02), (x, y), (x + reach, y - 0.02)]
    yield Drawn("Diameter", "diameter", shapes.polyline(across))
    yield Drawn("Landmark", "vertebra", shapes.point(0.54, 0.78))


@lru_cache(maxsize=512)
def mask_of(class_name: str, variant: int, width: int, height: int) -> Mask:
    """The mask of a class in one of its variants for a frame of `width` x `height` pixels."""
    spans = _road(variant, width, height) if class_name == "Road surface" else _liver(variant, width, height)
    return bitmask.mask(spans, width=width, height=height)


def _road(variant: int, width: int, height: int) -> Iterator[bitmask.Span]:
    for row in range(math.ceil(HORIZON * height), height):
        near = ((row + 0.5) / height - HORIZON) / (1 - HORIZON)
        left = max(0, round(_x(variant, 0, near) * width))
        right = min(width, round(_x(variant, 1, near) * width))
        if left < right:
            yield row, left, right


def _liver(variant: int, width: int, height: int) -> Iterator[bitmask.Span]:
    ring = _round_blob(0.38, 0.36, 0.26, width / height, turn=float(variant), wobble=0.1)
    return bitmask.filled([(x * width, y * height) for x, y in ring], width=width, height=height)


def _traffic(scene: Street, *, aspect: float, time: int) -> Iterator[Drawn]:
    shape = shapes.rotated_box(0.84, 0.62, 0.12, 0.07 * aspect, theta=scene.parked)
    yield Drawn("Parked vehicle", "parked", shape)
    for kind, movers, wide, tall in (("Car", scene.cars, 0.32, 0.7), ("Truck", scene.trucks, 0.36, 1.1)):
        for number, mover in enumerate(movers):
            near = min(0.9, max(0.1, mover.near + mover.speed * time))
            w = wide * near
            h = tall * w * aspect
            shape = shapes.box(_x(scene.variant, mover.across, near) - w / 2, _y(near) - h, w, h)
            yield Drawn(kind, f"{kind} {number}", shape)
    for number, mover in enumerate(scene.walkers):
        near = mover.near + mover.speed * time
        tall = 0.75 * near
        x = min(0.94, max(0.06, _x(scene.variant, mover.across, near)))
        hidden = (3, 6) if number else ()
        figure = shapes.pedestrian(
            x, _y(near), tall=tall, wide=0.45 * tall / aspect, step=0.1 + time / 20 + number / 3, hidden=hidden
        )
        yield Drawn("Pedestrian", f"walker {number}", figure)


def _building(left: float) -> Geometry:
    outline = [(left, 0.12), (0.99, 0.02), (0.99, 0.5), (left, 0.43)]
    x0, x1 = left + 0.06, left + 0.14
    return shapes.polygon_with_holes(outline, [(x0, 0.2), (x1, 0.18), (x1, 0.29), (x0, 0.29)])


def _round_blob(
    x: float, y: float, radius: float, aspect: float, *, turn: float, wobble: float = 0.05
) -> shapes.Points:
    """A blob that looks round on screen; the radius is a part of the shorter side."""
    wide = radius / max(aspect, 1)
    return shapes.blob(x, y, rx=wide, ry=radius * min(aspect, 1), wobble=wobble, turn=turn)


def _x(variant: int, across: float, near: float) -> float:
    """Where a place on the road is from left to right; each variant bends the road in its own way."""
    vanishing = 0.44 + 0.025 * variant
    bend = 0.05 * math.sin(math.pi * near) * (1 if variant % 2 else -1)
    return vanishing - 0.02 + bend + (-0.4 + 0.86 * across) * near + 0.04 * across * (1 - near)


def _y(near: float) -> float:
    return HORIZON + (1 - HORIZON) * near
