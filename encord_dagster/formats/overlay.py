"""A picture of a frame's labels for people to look at. The image itself is not at hand, so the ground is grey."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from encord_dagster import rle
from encord_dagster.encord.model import Frame
from encord_dagster.errors import UsageError
from encord_dagster.formats import glyphs, png
from encord_dagster.formats.palette import Colour, colour
from encord_dagster.formats.raster import outline, rasterise
from encord_dagster.geometry import (
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONG_SIDE = 640  # pixels at most
FINE = 2  # drawn this many times larger, then averaged, so that edges are smooth
GROUND: Colour = (70, 73, 78)
LEGEND_GROUND: Colour = (28, 29, 32)
WHITE: Colour = (255, 255, 255)
OUTLINE, LINE, DOT, RIM = 3, 2.5, 8.0, 2.5  # pixels of the fine canvas
LEGEND_LINES, LEGEND_LETTERS = 12, 24
LETTER_DOT = 3  # fine pixels a dot of a letter
ROW = 11 * LETTER_DOT + 1  # fine pixels, even
SMALLEST_WITH_LEGEND = 160  # pixels of width


class _Canvas(msgspec.Struct, frozen=True):
    """The fine picture [y, x, channel], drawn on in place, and fine pixels per pixel of the frame."""

    pixels: "NDArray[np.uint8]"
    across: float
    down: float


def overlay(frame: Frame, category_ids: Mapping[str, int]) -> bytes:
    """RGB PNG of a frame's labels over a legend, at most 640 pixels on its long side; ids are by feature hash.

    Raises:
        UsageError: the size of the frame is unknown, or a class has no category id.
        RleError: a bitmask does not cover exactly the frame.
    """
    import numpy as np

    if not frame.width or not frame.height:
        raise UsageError(f"frame {frame.number} of data unit {frame.data_hash} has no size: nothing can be drawn")
    if unknown := {item.feature_hash for item in frame.objects} - category_ids.keys():
        raise UsageError(f"classes {', '.join(sorted(unknown))} have no category id: give each one")
    lines = _legend(frame, category_ids)
    columns, rows = _legend_grid(frame.width, frame.height, lines)
    canvas = _canvas(frame.width, frame.height, below=rows * ROW // FINE)
    for item in frame.objects:
        _draw(canvas, item.geometry, colour(category_ids[item.feature_hash]), frame.width, frame.height)
    legend = np.full((rows * ROW, canvas.pixels.shape[1], 3), LEGEND_GROUND, dtype=np.uint8)
    _draw_legend(legend, lines, columns)
    fine = np.vstack((canvas.pixels, legend))
    cells = fine.reshape(len(fine) // FINE, FINE, -1, FINE, 3)
    return png.write_rgb(cells.mean(axis=(1, 3)).round().astype(np.uint8))


def _legend_grid(width: int, height: int, lines: list[tuple[str, Colour]]) -> tuple[int, int]:
    """Columns and rows of the legend; none where the picture is too small for one."""
    across = width * min(1.0, LONG_SIDE / max(width, height))
    if not lines or across < SMALLEST_WITH_LEGEND:
        return 0, 0
    cell = LETTER_DOT * (glyphs.PITCH * max(len(text) for text, _ in lines) + 14) / FINE
    columns = max(1, int(across / cell))
    return columns, math.ceil(len(lines) / columns)


def _canvas(width: int, height: int, *, below: int) -> _Canvas:
    """An empty picture that leaves `below` pixels free under it."""
    import numpy as np

    scale = min(1.0, LONG_SIDE / width, (LONG_SIDE - below) / height)
    across, down = (FINE * max(1, round(side * scale)) for side in (width, height))
    return _Canvas(np.full((down, across, 3), GROUND, dtype=np.uint8), across / width, down / height)


def _draw(canvas: _Canvas, geometry: Geometry, ink: Colour, width: int, height: int) -> None:
    match geometry:
        case Box() | RotatedBox() | Ellipse():
            _draw_rings(canvas, ((outline(geometry),),), ink)
        case Polygon():
            _draw_rings(canvas, geometry.polygons, ink)
        case Bitmask():
            _draw_mask(canvas, _sampled(canvas, rle.to_dense(rle.to_column_major(geometry.runs, width, height))), ink)
        case Polyline():
            line = _scaled(canvas, geometry.points)
            for at in range(0, len(line) - 3, 2):
                _draw_stroke(canvas, line[at : at + 4], LINE, ink)
        case Point():
            _draw_dot(canvas, geometry, ink)
        case Skeleton():
            for joint in geometry.joints:
                _draw_dot(canvas, joint, ink)


def _draw_rings(canvas: _Canvas, polygons: tuple[tuple[Ring, ...], ...], ink: Colour) -> None:
    height, width, _ = canvas.pixels.shape
    scaled = tuple(tuple(_scaled(canvas, ring) for ring in rings) for rings in polygons)
    raster = rasterise(Polygon(scaled), width=width, height=height)
    if raster is not None:
        mask = rle.ColumnRuns(tuple(rle.decode(raster.counts)), width, height, raster.area, raster.bbox)
        _draw_mask(canvas, rle.to_dense(mask), ink)


def _draw_mask(canvas: _Canvas, mask: "NDArray[np.bool_]", ink: Colour) -> None:
    """Half see-through inside, opaque along the edge."""
    import numpy as np

    inner = np.pad(mask, OUTLINE)
    for axis in (0, 1):
        for step in (-OUTLINE, OUTLINE):
            inner &= np.roll(inner, step, axis=axis)
    edge = mask & ~inner[OUTLINE:-OUTLINE, OUTLINE:-OUTLINE]
    canvas.pixels[mask] = (canvas.pixels[mask].astype(np.uint16) + np.array(ink, dtype=np.uint16)) // 2
    canvas.pixels[edge] = ink


def _sampled(canvas: _Canvas, mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """A mask of the frame at the fine canvas' size."""
    import numpy as np

    height, width, _ = canvas.pixels.shape
    rows = ((np.arange(height) + 0.5) / canvas.down).astype(np.int64)
    columns = ((np.arange(width) + 0.5) / canvas.across).astype(np.int64)
    sampled: NDArray[np.bool_] = mask[rows[:, None], columns[None, :]]
    return sampled


def _draw_dot(canvas: _Canvas, point: Point | Joint, ink: Colour) -> None:
    """A disc with a white rim; joints that cannot be seen are dark inside."""
    hidden = isinstance(point, Joint) and point.visibility != "visible"
    x, y = _scaled(canvas, (point.x, point.y))
    for radius, layer in ((DOT, ink if hidden else WHITE), (DOT - RIM, GROUND if hidden else ink)):
        _draw_stroke(canvas, (x, y, x, y), radius, layer)


def _draw_stroke(canvas: _Canvas, segment: Ring, radius: float, ink: Colour) -> None:
    """All pixels whose centre is at most `radius` from a segment."""
    import numpy as np

    x0, y0, x1, y1 = segment
    height, width, _ = canvas.pixels.shape
    left, right = max(0, math.floor(min(x0, x1) - radius)), min(width, math.ceil(max(x0, x1) + radius))
    top, bottom = max(0, math.floor(min(y0, y1) - radius)), min(height, math.ceil(max(y0, y1) + radius))
    if left >= right or top >= bottom:
        return
    x, y = np.arange(left, right)[None, :] + 0.5 - x0, np.arange(top, bottom)[:, None] + 0.5 - y0
    dx, dy = x1 - x0, y1 - y0
    along = ((x * dx + y * dy) / (dx * dx + dy * dy or 1.0)).clip(0.0, 1.0)
    near = (x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius * radius
    canvas.pixels[top:bottom, left:right][near] = ink


def _scaled(canvas: _Canvas, ring: Ring) -> Ring:
    """Points of the frame on the fine canvas."""
    return tuple(number * (canvas.down if place % 2 else canvas.across) for place, number in enumerate(ring))


def _legend(frame: Frame, category_ids: Mapping[str, int]) -> list[tuple[str, Colour]]:
    """One line per class, in the order of category ids; what does not fit is counted in the last line."""
    names = {category_ids[item.feature_hash]: item.name for item in frame.objects}
    seen = Counter(category_ids[item.feature_hash] for item in frame.objects)
    lines = []
    for category_id in sorted(names):
        name = glyphs.printable(names[category_id], instead=f"category {category_id}")
        short = name if len(name) <= LEGEND_LETTERS else name[: LEGEND_LETTERS - 2] + ".."
        lines.append((f"{short} x{seen[category_id]}", colour(category_id)))
    if len(lines) > LEGEND_LINES:
        lines[LEGEND_LINES - 1 :] = [(f"{len(lines) - LEGEND_LINES + 1} more classes", LEGEND_GROUND)]
    return lines


def _draw_legend(legend: "NDArray[np.uint8]", lines: list[tuple[str, Colour]], columns: int) -> None:
    """Swatch and text of each line; a text too long for its column is cut."""
    import numpy as np

    if not columns:
        return
    wide = legend.shape[1] // columns
    for place, (text, ink) in enumerate(lines):
        row, column = divmod(place, columns)
        cell = legend[row * ROW : row * ROW + ROW, column * wide : column * wide + wide]
        top, left = 2 * LETTER_DOT, 2 * LETTER_DOT
        cell[top : top + 7 * LETTER_DOT, left : left + 7 * LETTER_DOT] = ink
        letters = np.kron(glyphs.dots(text), np.ones((LETTER_DOT, LETTER_DOT), dtype=np.bool_))
        space = cell[top : top + len(letters), left + 10 * LETTER_DOT :][:, : letters.shape[1]]
        space[letters[:, : space.shape[1]]] = WHITE
