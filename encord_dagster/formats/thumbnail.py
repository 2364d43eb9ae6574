"""A small picture of one image's labels out of its COCO records: few colours, few bytes. The image is not at hand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from encord_dagster import rle
from encord_dagster.formats import png
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.palette import Colour, colour
from encord_dagster.formats.raster import rasterise
from encord_dagster.geometry import Polygon, Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUND: Colour = (70, 73, 78)
PAPER: Colour = (28, 29, 32)
GAP = 4  # pixels between pictures
LONGEST = 400  # points drawn of one piece of a line
CLASSES = 100  # that have colours of their own; the others share one


class Shape(msgspec.Struct, frozen=True, gc=False):
    """What of a COCO annotation can be drawn."""

    category_id: int
    segmentation: tuple[Ring, ...] | Rle
    keypoints: Ring | None = None
    polyline: Ring | None = None


class Scene(msgspec.Struct, frozen=True):
    """The labels of one image, in the order in which they lie on each other."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


def strip(scenes: Sequence[Scene], *, high: int, wide: int) -> bytes:
    """Palette PNG of scenes side by side, each at most so high and wide, in the colours of their category ids."""
    import numpy as np

    ids = sorted({shape.category_id for scene in scenes for shape in scene.shapes})[:CLASSES]
    places = {category_id: 2 + 2 * place for place, category_id in enumerate(ids)}
    drawn = [_drawn(scene, places, high=high, wide=wide) for scene in scenes]
    tall = max(len(one) for one in drawn)
    gap = np.zeros((tall, GAP), dtype=np.uint8)
    parts = [part for one in drawn for part in (gap, np.pad(one, ((0, tall - len(one)), (0, 0))))][1:]
    colours = [
        PAPER,
        GROUND,
        *(one for category_id in ids for one in (_faint(colour(category_id)), colour(category_id))),
    ]
    return png.write_small(np.hstack(parts), bytes(channel for one in colours for channel in one))


def _faint(ink: Colour) -> Colour:
    red, green, blue = ((one + other) // 2 for one, other in zip(ink, GROUND, strict=True))
    return red, green, blue


def _drawn(scene: Scene, places: dict[int, int], *, high: int, wide: int) -> "NDArray[np.uint8]":
    """Values of the palette: inside a shape the place of its class, on its edge the one behind that."""
    import numpy as np

    scale = min(high / scene.height, wide / scene.width, 1.0)
    down, across = max(1, round(scene.height * scale)), max(1, round(scene.width * scale))
    canvas = np.ones((down, across), dtype=np.uint8)
    for shape in scene.shapes:
        value = places.get(shape.category_id, 2)
        if shape.keypoints or shape.polyline:
            for x, y in _points(shape, across / scene.width, down / scene.height):
                _dot(canvas, x, y, value + 1)
            continue
        mask = _mask(shape.segmentation, scene, across, down)
        canvas[mask] = value
        canvas[mask & ~_inner(mask)] = value + 1
    return canvas


def _points(shape: Shape, across: float, down: float) -> list[tuple[float, float]]:
    """The joints of a skeleton that are there, or every pixel of a line, on the canvas."""
    if shape.keypoints:
        triples = zip(shape.keypoints[::3], shape.keypoints[1::3], shape.keypoints[2::3], strict=True)
        return [(x * across, y * down) for x, y, there in triples if there]
    line = shape.polyline or ()
    ends = [(x * across, y * down) for x, y in zip(line[::2], line[1::2], strict=True)]
    return [point for start, end in zip(ends, ends[1:], strict=False) for point in _between(start, end)]


def _between(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    steps = min(LONGEST, int(max(abs(dx), abs(dy))) + 1)
    return [(start[0] + dx * step / steps, start[1] + dy * step / steps) for step in range(steps + 1)]


def _dot(canvas: "NDArray[np.uint8]", x: float, y: float, value: int) -> None:
    down, across = canvas.shape
    left, top = min(max(int(x), 0), across - 1), min(max(int(y), 0), down - 1)
    canvas[top : top + 2, left : left + 2] = value


def _mask(segmentation: tuple[Ring, ...] | Rle, scene: Scene, across: int, down: int) -> "NDArray[np.bool_]":
    """The pixels of a small picture that a shape covers."""
    import numpy as np

    if isinstance(segmentation, Rle):
        return _sampled(rle.decode(segmentation.counts), scene, across, down)
    by = (across / scene.width, down / scene.height)
    rings = tuple((tuple(value * by[place % 2] for place, value in enumerate(ring)),) for ring in segmentation)
    raster = rasterise(Polygon(rings), width=across, height=down) if rings else None
    if raster is None:
        return np.zeros((down, across), dtype=np.bool_)
    return rle.to_dense(rle.ColumnRuns(tuple(rle.decode(raster.counts)), across, down, raster.area, raster.bbox))


def _sampled(runs: Sequence[int], scene: Scene, across: int, down: int) -> "NDArray[np.bool_]":
    """One pixel of the mask for each of the small picture; a mask as large as its image is never made."""
    import numpy as np

    x = ((np.arange(across) + 0.5) * scene.width / across).astype(np.int64)
    y = ((np.arange(down) + 0.5) * scene.height / down).astype(np.int64)
    ends = np.cumsum(np.asarray(runs, dtype=np.int64))
    inside: NDArray[np.bool_] = np.searchsorted(ends, x[None, :] * scene.height + y[:, None], side="right") % 2 == 1
    return inside


def _inner(mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """A mask without its outermost pixels."""
    import numpy as np

    wide = np.pad(mask, 1)
    return wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
