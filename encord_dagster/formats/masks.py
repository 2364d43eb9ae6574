"""Mask pictures of a frame: which class, and which object, each pixel shows. Later objects lie on top."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from encord_dagster import rle
from encord_dagster.encord.model import Frame
from encord_dagster.errors import RowError, UsageError
from encord_dagster.formats import png
from encord_dagster.formats.overlay import overlay
from encord_dagster.formats.painting import spans_shown
from encord_dagster.formats.palette import palette
from encord_dagster.formats.raster import Raster, rasterise
from encord_dagster.geometry import LARGEST_MASK, Bitmask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MaskPngs", "compose", "mask_pngs", "overlay"]

HIGHEST = 65535  # of 16 bits
HIGHEST_IN_PALETTE = 255


class MaskPngs(msgspec.Struct, frozen=True):
    """Two PNGs of one frame. 0 is background in both.

    semantic: the category id; 8-bit palette where every id of the frame fits, else 16-bit grey.
    instance: k for the k-th object of the frame in document order, from 1, with or without area; 16-bit grey.
    """

    semantic: bytes
    instance: bytes


def mask_pngs(frame: Frame, category_ids: Mapping[str, int]) -> MaskPngs | None:
    """Mask pictures of a frame, None if its size is unknown or over 2**28 pixels; `category_ids` is by feature hash.

    The pixels of an object are those of its COCO segmentation. Points, lines and skeletons have none.

    Raises:
        RowError: the frame holds more objects than 16 bits can number.
        UsageError: a class has no category id, or one outside 1 to 65535.
        RleError: a bitmask does not cover exactly the frame.
    """
    if not frame.width or not frame.height or frame.width * frame.height > LARGEST_MASK:
        return None
    if len(frame.objects) > HIGHEST:
        what = f"frame {frame.number} of data unit {frame.data_hash} holds {len(frame.objects)} objects"
        raise RowError("too_many_objects", f"{what}; an instance mask can number {HIGHEST}: turn masks off")
    if not frame.objects:
        return _blank(frame.width, frame.height)
    ids = [0] + [_category_id(item.feature_hash, category_ids) for item in frame.objects]
    shown = spans_shown(frame.objects, frame.width, frame.height)
    instance = _paint(frame, frame.width, frame.height) if shown is None else shown
    return MaskPngs(_semantic(instance, ids), png.write_grey16(instance))


def compose(lower: bytes, upper: bytes, *, offset: int) -> bytes:
    """One mask PNG laid over another of the same size: what `upper` sets wins, with `offset` added to its values.

    For instance masks `offset` is the number of objects of `lower`, for semantic masks 0.

    Raises:
        UsageError: the sizes differ, the offset is negative, or a value leaves 16 bits.
        ValueError: one of them is damaged or not a mask PNG of this package.
    """
    import numpy as np

    below, above = png.read(lower), png.read(upper)
    if below.pixels.shape != above.pixels.shape:
        sizes = " and ".join(f"{width}x{height}" for height, width in (below.pixels.shape, above.pixels.shape))
        raise UsageError(f"masks of {sizes} pixels cannot be laid over each other: they are not of one image")
    raised = int(above.pixels.max())
    highest = max(int(below.pixels.max()), raised + offset if raised else 0)
    if offset < 0 or highest > HIGHEST:
        raise UsageError(f"offset {offset} gives mask values up to {highest}; they must be 0 to {HIGHEST}")
    top = above.pixels.astype(np.uint32) + offset
    pixels = np.where(above.pixels > 0, top, below.pixels).astype(np.uint16)
    if below.palette is None or above.palette is None or highest > HIGHEST_IN_PALETTE:
        return png.write_grey16(pixels)
    highest = max(highest, len(below.palette) // 3 - 1, len(above.palette) // 3 - 1)
    return png.write_palette(pixels.astype(np.uint8), palette(highest))


def _category_id(feature_hash: str, category_ids: Mapping[str, int]) -> int:
    category_id = category_ids.get(feature_hash, 0)
    if not 1 <= category_id <= HIGHEST:
        known = f"has category id {category_id}" if feature_hash in category_ids else "has no category id"
        raise UsageError(f"class {feature_hash} {known}: give every class of the frame one from 1 to {HIGHEST}")
    return category_id


def _paint(frame: Frame, width: int, height: int) -> "NDArray[np.uint8] | NDArray[np.uint16]":
    """The instance mask, indexed [y, x]; in 8 bits where they suffice, which is faster."""
    import numpy as np

    small = len(frame.objects) <= HIGHEST_IN_PALETTE
    flat: NDArray[np.uint8] | NDArray[np.uint16]
    flat = np.zeros(width * height, dtype=np.uint8) if small else np.zeros(width * height, dtype=np.uint16)
    canvas: NDArray[np.uint8] | NDArray[np.uint16] = flat.reshape(height, width)
    for number, item in enumerate(frame.objects, start=1):
        if isinstance(item.geometry, Bitmask):
            rle.paint(flat, item.geometry.runs, number)  # row by row already, as the canvas is
            continue
        raster = rasterise(item.geometry, width=width, height=height)
        if raster is not None and raster.area:
            x, y, across, down = raster.bbox
            pixels = _columns(raster, x, across)[:, y : y + down].T
            canvas[y : y + down, x : x + across][pixels] = number
    return canvas


def _columns(raster: Raster, first: int, count: int) -> "NDArray[np.bool_]":
    """Some columns of a raster that hold all of its pixels, indexed [x, y]."""
    import numpy as np

    height = raster.size[0]
    ends = np.cumsum(rle.decode(raster.counts)) - first * height
    stops = ends[1::2]
    flat = np.zeros(count * height, dtype=np.bool_)
    for start, stop in zip(ends[0::2].tolist(), stops.tolist(), strict=False):
        flat[start:stop] = True
    return flat.reshape(count, height)


def _semantic(instance: "png.Shown", ids: list[int]) -> bytes:
    """PNG of the category ids; `ids` is by instance value, its first is the background."""
    if max(ids) > HIGHEST_IN_PALETTE:
        return png.write_grey16(instance, ids)
    return png.write_palette(instance, palette(max(ids)), ids)


@lru_cache(maxsize=8)
def _blank(width: int, height: int) -> MaskPngs:
    """Most frames of a video hold nothing: their pictures are made once."""
    import numpy as np

    nothing = np.zeros((height, width), dtype=np.uint8)
    return MaskPngs(_semantic(nothing, [0]), png.write_grey16(nothing))
