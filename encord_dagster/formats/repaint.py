"""Which annotation each pixel of an image shows, out of its COCO records: painted as masks are, later ones on top."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from encord_dagster import rle
from encord_dagster.formats import painting
from encord_dagster.formats.coco import Annotation
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.raster import FEWEST, filled
from encord_dagster.formats.rasters import rasterise_all
from encord_dagster.formats.spans import Spans, spans_between
from encord_dagster.geometry import LARGEST_MASK, Polygon, Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.formats.png import Shown

HIGHEST_IN_8_BITS = 255
NEAR = 1e-3  # pixels


class Visible(msgspec.Struct, frozen=True):
    """What of an annotation is to be seen: pixels, and x, y, width, height round them."""

    area: int
    bbox: tuple[int, ...]


def has_pixels(annotation: Annotation, *, width: int, height: int) -> bool:
    """Whether an annotation can be painted on an image: it has an area, and its mask is of the image's size."""
    shape = annotation.segmentation
    if annotation.polyline is not None or annotation.keypoints is not None or width * height > LARGEST_MASK:
        return False
    return not isinstance(shape, Rle) or shape.size == (height, width)


def is_upright(annotation: Annotation) -> bool:
    """Whether an annotation is no more than its box."""
    x, y, width, height = annotation.bbox
    right, bottom = x + width, y + height
    shape = annotation.segmentation
    if not isinstance(shape, tuple) or len(shape) != 1 or len(shape[0]) != 8 or annotation.polyline is not None:
        return False
    box = (x, y, right, y, right, bottom, x, bottom)
    return all(abs(one - other) < NEAR for one, other in zip(shape[0], box, strict=True))


def shown(annotations: Sequence[Annotation], *, width: int, height: int) -> "Shown":
    """The picture of k where the k-th annotation is on top, 0 where there is none; all of them must have pixels."""
    spans = painting.spans_of_outlines([one.segmentation for one in annotations], width, height)
    return _painted(annotations, width, height) if spans is None else spans


def picture_of(one: Labelled, lost: Counter[str], kind: str) -> "tuple[list[Annotation], Shown] | None":
    """The annotations of an image that have pixels, and their picture; None where the image is too large for one.

    What is left out is counted among the losses of the format.
    """
    width, height = one.image.width, one.image.height
    if width * height > LARGEST_MASK:
        lost[f"{kind}:frame_too_large"] += 1
        return None
    painted = [item for item in one.annotations if has_pixels(item, width=width, height=height)]
    lost[f"{kind}:no_area"] += len(one.annotations) - len(painted)
    return painted, shown(painted, width=width, height=height)


def visible(picture: "Shown") -> dict[int, Visible]:
    """Area and box of the pixels of each value but 0 that occurs."""
    import numpy as np

    spans = picture if isinstance(picture, Spans) else _spans(picture)
    if not len(spans.values):
        return {}
    order = np.argsort(spans.values, kind="stable")
    values, starts, stops = spans.values[order], spans.starts[order], spans.stops[order]
    top, bottom = starts // spans.width, (stops - 1) // spans.width
    one_row = top == bottom
    left = np.where(one_row, starts - top * spans.width, 0)
    right = np.where(one_row, stops - top * spans.width, spans.width)
    firsts = np.flatnonzero(np.diff(values, prepend=-1))
    area = np.add.reduceat(stops - starts, firsts)
    x, y = np.minimum.reduceat(left, firsts), np.minimum.reduceat(top, firsts)
    width, height = np.maximum.reduceat(right, firsts) - x, np.maximum.reduceat(bottom, firsts) + 1 - y
    found = zip(*(column.tolist() for column in (values[firsts], area, x, y, width, height)), strict=True)
    return {value: Visible(pixels, tuple(box)) for value, pixels, *box in found}


def _spans(pixels: "NDArray[np.uint8] | NDArray[np.uint16]") -> Spans:
    """The spans of a picture, however many they are."""
    import numpy as np

    height, width = pixels.shape
    flat = pixels.reshape(-1)
    places = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    return spans_between(places, flat[places].astype(np.int64), width, height)


def _painted(annotations: Sequence[Annotation], width: int, height: int) -> "NDArray[np.uint8] | NDArray[np.uint16]":
    import numpy as np

    small = len(annotations) <= HIGHEST_IN_8_BITS
    flat = np.zeros(width * height, dtype=np.uint8 if small else np.uint16)
    for number, one in enumerate(annotations, start=1):
        rle.paint(flat, rle.decode(counts_of(one, width=width, height=height)), number)
    return np.ascontiguousarray(flat.reshape(width, height).T)


def counts_of(annotation: Annotation, *, width: int, height: int) -> str:
    """The compressed column-major runs of an annotation."""
    shape = annotation.segmentation
    if isinstance(shape, Rle):
        return shape.counts
    counts = filled(Polygon(tuple((ring,) for ring in shape)), width=width, height=height)
    return counts.decode("ascii") if counts else rle.encode([width * height])


def codes_of(annotations: Sequence[Annotation], *, width: int, height: int) -> list[str]:
    """The same of many: single rings are filled together, and polygons of several."""
    found: dict[int, str] = {}
    single: list[tuple[int, Ring]] = []
    several: list[tuple[int, Polygon]] = []
    for number, one in enumerate(annotations):
        shape = one.segmentation
        if isinstance(shape, Rle) or not shape or min(map(len, shape)) < FEWEST:
            found[number] = counts_of(one, width=width, height=height)
        elif len(shape) == 1:
            single.append((number, shape[0]))
        else:
            several.append((number, Polygon(tuple((ring,) for ring in shape))))
    found.update((number, code.decode("ascii")) for number, code in painting.filled_rings(single, width, height))
    rasters = rasterise_all([polygon for _, polygon in several], width=width, height=height)
    found.update((number, raster.counts) for (number, _), raster in zip(several, rasters, strict=True))
    return [found[number] for number in range(len(annotations))]
