"""Random geometry as exports write it: fractions of the frame, in every spelling that both readers know."""

import math
import random
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Points = list[tuple[float, float]]


def geometry(rng: random.Random, shape: str, size: tuple[int, int], joints: list[Json]) -> Json:
    """The geometry keys of an object of a shape on a frame of `size` (width, height)."""
    match shape:
        case "bounding_box":
            return {"boundingBox": _box(rng, outside=0.03)}
        case "rotatable_bounding_box":
            theta = rng.choice([0, 90, 180.0, 270, 360, -45, 405.5, rng.uniform(0, 360)])
            return {"rotatableBoundingBox": _box(rng, outside=0.0) | {"theta": theta}}
        case "polygon":
            return _polygon(rng)
        case "polyline":
            return {"polyline": _spelled(rng, [_point(rng) for _ in range(rng.randint(2, 7))])}
        case "point":
            x, y = _point(rng, outside=0.03)
            return {"point": {"0": {"x": x, "y": y}}}
        case "skeleton":
            return {"skeleton": {str(index): _joint(rng, joint) for index, joint in enumerate(joints)}}
        case "bitmask":
            return {"bitmask": _bitmask(rng, size)}
        case "circle":
            return {"circle": _circle(rng, size)}
        case "ellipse":
            turn = rng.choice([{}, {"theta": rng.uniform(-30, 400)}])
            return {"ellipse": {"x": 0.5, "y": 0.5, "rx": rng.uniform(0.01, 0.2), "ry": rng.uniform(0.01, 0.2)} | turn}
        case _:
            raise ValueError(shape)


def _fraction(rng: random.Random) -> float:
    value = rng.random()
    return rng.choice(
        [value, value, round(value, 4), round(value, 4), 0.0, 1.0, 0, 1] if rng.random() < 0.2 else [value]
    )


def _point(rng: random.Random, outside: float = 0.0) -> tuple[float, float]:
    if rng.random() < outside:
        return rng.choice([(-rng.uniform(0, 0.05), 0.5), (0.25, 1 + rng.uniform(0, 0.05)), (1 + 1e-9, 0.5)])
    return _fraction(rng), _fraction(rng)


def _box(rng: random.Random, outside: float) -> Json:
    w, h = rng.uniform(0.001, 1), rng.uniform(0.001, 1)
    x, y = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
    if rng.random() < 0.5:
        x, y, w, h = (math.floor(value * 10_000) / 10_000 for value in (x, y, w, h))
        w, h = max(w, 0.0001), max(h, 0.0001)
    if rng.random() < outside:
        x = -rng.uniform(0, min(0.05, w / 2))
    return {"h": h, "w": w, "x": x, "y": y}


def _spelled(rng: random.Random, points: Points) -> Any:
    """Points by index, out of order, with gaps between the indices, or as a list."""
    entries = [{"x": x, "y": y} for x, y in points]
    kind = rng.random()
    if kind < 0.1:
        return entries
    step = 2 if kind > 0.99 else 1
    keyed = [(str(index * step), one) for index, one in enumerate(entries)]
    if kind < 0.2:
        rng.shuffle(keyed)
    return dict(keyed)


def _star(rng: random.Random, centre: tuple[float, float], radius: float) -> Points:
    """A ring around a centre, which never crosses itself."""
    count = rng.randint(4, 12)  # of 3, a gap can be more than half a turn, which leaves the centre outside
    turns = [(index + rng.uniform(0.1, 0.9)) / count * math.tau for index in range(count)]
    reach = [radius * rng.uniform(0.6, 1) for _ in turns]
    return [
        (centre[0] + r * math.cos(turn), centre[1] + r * math.sin(turn)) for turn, r in zip(turns, reach, strict=True)
    ]


def _polygon(rng: random.Random) -> Json:
    kind = rng.random()
    if kind < 0.35:
        return {"polygon": _spelled(rng, _star(rng, (rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)), 0.3))}
    if kind < 0.45:
        return {"polygon": _spelled(rng, [(rng.random(), rng.random()) for _ in range(rng.randint(3, 8))])}
    polygons = [[_star(rng, (0.5, 0.5), rng.uniform(0.1, 0.5))]] if kind < 0.6 else _parts(rng)
    outline = polygons[0][0]
    stated = [(round(x, 4), round(y, 4)) for x, y in outline] if rng.random() < 0.5 else outline
    if rng.random() < 0.03:
        stated = [(0.9 * x, 0.9 * y) for x, y in outline]
    nested = [[[value for point in ring for value in point] for ring in rings] for rings in polygons]
    return {"polygon": _spelled(rng, stated), "polygons": nested}


def _parts(rng: random.Random) -> list[list[Points]]:
    """Polygons in cells of their own: some with a hole, some with an island in the hole."""
    parts: list[list[Points]] = []
    cells = 3
    for cell in rng.sample(range(cells * cells), rng.randint(1, 4)):
        centre = ((cell % cells + 0.5) / cells, (cell // cells + 0.5) / cells)
        outline = _star(rng, centre, 0.45 / cells)
        rings = [outline]
        kind = rng.random()
        if kind < 0.6:
            rings.append(_shrunk(outline, centre, 0.6))
        parts.append(rings)
        if kind < 0.2:
            parts.append([_shrunk(outline, centre, 0.3)])
    return parts


def _shrunk(points: Points, centre: tuple[float, float], factor: float) -> Points:
    return [(centre[0] + (x - centre[0]) * factor, centre[1] + (y - centre[1]) * factor) for x, y in points]


def _joint(rng: random.Random, joint: Json) -> Json:
    x, y = _point(rng)
    flags: Json = rng.choice(
        [
            {},
            {},
            {"visible": True},
            {"invisible": True},
            {"occluded": True},
            {"selfOccluded": True},
            {"occluded": False},
        ]
    )
    if rng.random() < 0.1:  # as the SDK writes it
        flags = {"visibility": rng.choice(["visible", "invisible", "occluded", "selfOccluded"])}
    return {"x": x, "y": y, "color": "#000000", "value": joint["name"].replace(" ", "_"), **joint, **flags}


def _circle(rng: random.Random, size: tuple[int, int]) -> Json:
    """A circle inside the frame, most of the time; its radius is a fraction of the width."""
    reach = 0.4 * min(1.0, size[1] / size[0])
    more = rng.choice([{}, {"stretch": rng.uniform(0.5, 1), "theta": rng.uniform(0, 360)}])
    return {"x": 0.5, "y": 0.5, "r": reach * rng.uniform(0.1, 1)} | more


def _bitmask(rng: random.Random, size: tuple[int, int]) -> Json:
    """A mask over the whole frame, seldom over a part of it that `top` and `left` place."""
    width, height = size
    left = top = 0
    if width > 2 and height > 2 and rng.random() < 0.03:
        left, top = rng.randint(1, width // 2), rng.randint(1, height // 2)
        width, height = rng.randint(1, width - left), rng.randint(1, height - top)
    code = encode(_mask(rng, width, height))
    return {"rleString": code, "top": top, "left": left, "width": width, "height": height}


def _mask(rng: random.Random, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), dtype=np.bool_)
    if width * height <= 10_000 and rng.random() < 0.3:
        noise = np.random.default_rng(rng.getrandbits(32)).random((height, width))
        return np.asarray(noise < rng.choice([0.0, 0.1, 0.5, 1.0]))
    for _ in range(rng.randint(1, 4)):
        left, top = rng.randrange(width), rng.randrange(height)
        mask[top : top + rng.randint(1, height), left : left + rng.randint(1, width)] = rng.random() < 0.8
    return mask


def encode(mask: NDArray[np.bool_]) -> str:
    """Encord's run-length code: row by row, zeros first, each run from the fourth on less the run two before."""
    pixels = np.concatenate([[False], mask.ravel()])
    starts = np.flatnonzero(pixels[1:] != pixels[:-1]).tolist()
    runs = [stop - start for start, stop in pairwise([0, *starts, mask.size])]
    numbers = [run - runs[index - 2] if index > 2 else run for index, run in enumerate(runs)]
    return "".join(_written(number) for number in numbers)


def _written(number: int) -> str:
    """Groups of five bits, the least first; the sixth bit says that more follow, the fifth of the last is the sign."""
    text = ""
    while True:
        group = number & 31
        number >>= 5
        last = number == (-1 if group & 16 else 0)
        text += chr(48 + (group if last else group | 32))
        if last:
            return text
