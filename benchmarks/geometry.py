"""Shapes as annotators draw them, from seeded random numbers: boxes, outlines with holes or parts, blobs as masks.

Fractions of the frame have four decimals, as the platform writes them.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.profiles import HEIGHT, WIDTH

Json = dict[str, Any]
VERTICES = 35  # of a polygon, on average
MULTI_RING = 0.04  # share of polygons with a hole or a second part
HOLE = 0.15  # share of masks with a hole
_GROUP = 0x1F  # bits of a number in one character of a run-length string


def box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """x, y, width, height as fractions: log-normal sizes, wholly inside the frame."""
    width, height = np.clip(np.exp(rng.normal(-2.5, 0.5, 2)), 0.01, 0.6).tolist()
    x, y = rng.random(2).tolist()
    return x * (1 - width), y * (1 - height), width, height


def bounding_box(x: float, y: float, width: float, height: float) -> Json:
    """The geometry of a bounding box, cut to the frame."""
    left, top = round(min(max(x, 0.0), 0.98), 4), round(min(max(y, 0.0), 0.98), 4)
    return {
        "boundingBox": {
            "h": round(min(height, 1 - top), 4),
            "w": round(min(width, 1 - left), 4),
            "x": left,
            "y": top,
        }
    }


def polygon(rng: np.random.Generator) -> Json:
    """The geometry of a polygon: a dict of points, and `polygons` where it has a hole or a second part."""
    centre, radius = _place(rng, 0.03, 0.12)
    outline = _ring(rng, centre, radius, max(5, int(rng.normal(VERTICES, 9))))
    geometry: Json = {
        "polygon": {str(number): {"x": x, "y": y} for number, (x, y) in enumerate(outline.tolist())},
    }
    if rng.random() < MULTI_RING:
        if rng.random() < 0.5:
            inner = _ring(rng, centre, radius * 0.35, 12)
            geometry["polygons"] = [[outline.ravel().tolist(), inner.ravel().tolist()]]
        else:
            other = _ring(rng, _place(rng, 0.02, 0.02)[0], 0.02, 10)
            geometry["polygons"] = [[outline.ravel().tolist()], [other.ravel().tolist()]]
    return geometry


def track(rng: np.random.Generator, shape: str, moved: Sequence[tuple[float, float]]) -> Iterator[Json]:
    """The geometry of one object on each frame of a track: what it is on the first, moved right and down since."""
    if shape == "bounding_box":
        x, y, width, height = box(rng)
        yield from (bounding_box(x + right, y + down, width, height) for right, down in moved)
        return
    centre, radius = _place(rng, 0.03, 0.12)
    outline = _ring(rng, centre, radius, max(5, int(rng.normal(VERTICES, 9))))
    for at in np.round((outline + np.array(moved)[:, None]).clip(0, 1), 4).tolist():
        yield {"polygon": {str(number): {"x": x, "y": y} for number, (x, y) in enumerate(at)}}


def bitmask(rng: np.random.Generator, *, rows: float) -> Json:
    """The geometry of a mask over the whole frame: a blob of about `rows` pixel rows, some with a hole."""
    height = int(np.clip(rng.normal(rows, rows / 4), 8, HEIGHT - 2))
    return {
        "bitmask": {
            "top": 0,
            "left": 0,
            "width": WIDTH,
            "height": HEIGHT,
            "rleString": run_lengths(_blob(rng, height, with_hole=rng.random() < HOLE)),
        }
    }


def run_lengths(runs: NDArray[np.int64]) -> str:
    """Runs, zeros first, in the alphabet that Encord and COCO share: from the fourth on less the run two before."""
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    characters = []
    rest = numbers
    unfinished = np.ones(len(numbers), dtype=bool)
    while unfinished.any():
        group = rest & _GROUP
        rest = rest >> 5
        # finished once what is left is only the sign that the last group already shows
        more = ~(((rest == 0) & (group & 16 == 0)) | ((rest == -1) & (group & 16 != 0)))
        characters.append(np.where(unfinished, group + 48 + 32 * more, 0))
        unfinished &= more
    table = np.stack(characters, axis=1).astype(np.uint8)
    text: bytes = table[table != 0].tobytes()
    return text.decode("ascii")


def _place(rng: np.random.Generator, smallest: float, largest: float) -> tuple[NDArray[np.float64], float]:
    """Centre and radius of something that stays inside the frame; the radius is a fraction of the frame's width."""
    radius = smallest + (largest - smallest) * float(rng.random())
    margin = np.array([radius * 1.5, radius * 1.5 * WIDTH / HEIGHT])
    return margin + rng.random(2) * (1 - 2 * margin), radius


def _ring(rng: np.random.Generator, centre: NDArray[np.float64], radius: float, points: int) -> NDArray[np.float64]:
    """A simple closed outline around a centre, [point, x or y] in fractions."""
    angles = (np.arange(points) + 0.7 * rng.random(points)) * (2 * math.pi / points)
    wave = np.sin(np.outer(np.arange(2, 5), angles) + rng.random((3, 1)) * 2 * math.pi)
    radii = radius * (1 + 0.12 * wave.sum(axis=0) + 0.03 * rng.normal(size=points).clip(-2, 2))
    ring = centre + np.stack([np.cos(angles), np.sin(angles) * WIDTH / HEIGHT], axis=1) * radii[:, None]
    return np.asarray(np.round(ring.clip(0, 1), 4))


def _blob(rng: np.random.Generator, height: int, *, with_hole: bool) -> NDArray[np.int64]:
    """Row-major runs of a blob: one stretch of pixels in each of its rows, two where its hole is."""
    wide = min(height * (0.6 + 0.8 * float(rng.random())), WIDTH * 0.6)
    arc = np.sqrt(1 - np.linspace(-0.98, 0.98, height) ** 2) * wide / 2
    edges = arc * (1 + 0.15 * _wander(rng, height)), arc * (1 + 0.15 * _wander(rng, height))
    top = int(rng.integers(1, HEIGHT - height))
    middle = wide * 0.8 + 2 + float(rng.random()) * (WIDTH - 1.6 * wide - 4)
    left = np.clip(middle - edges[0], 1, WIDTH - 3).astype(np.int64)
    right = np.clip(middle + edges[1], left + 1, WIDTH - 1).astype(np.int64)
    row = (np.arange(top, top + height) * WIDTH)[:, None]
    ends = row + np.stack([left, right], axis=1)
    if with_hole and height > 20:
        a, b = height // 3, height // 2
        inner = np.stack([left[a:b] + (right - left)[a:b] // 3, left[a:b] + (right - left)[a:b] // 2 + 1], axis=1)
        pieces = np.concatenate([ends[a:b, :1], row[a:b] + inner, ends[a:b, 1:]], axis=1)
        flat = np.concatenate([ends[:a].ravel(), pieces.ravel(), ends[b:].ravel()])
    else:
        flat = ends.ravel()
    return np.diff(flat, prepend=0, append=WIDTH * HEIGHT)


def _wander(rng: np.random.Generator, length: int) -> NDArray[np.float64]:
    """A smooth edge with a little of a shaky hand, about -1 to 1."""
    at = np.linspace(0, 1, length)
    waves = sum(np.sin(2 * math.pi * (number * at + float(rng.random()))) / number for number in (1, 2, 3, 5))
    return np.asarray(waves / 1.6 + 0.08 * rng.normal(size=length))
