"""The pixels of many polygons of several rings, in a few passes of numpy: each as `raster.rasterise` makes it alone."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from encord_dagster import codes_at_once
from encord_dagster.formats.raster import Raster, rasterise
from encord_dagster.formats.rounded import flattened, rounded
from encord_dagster.geometry import Polygon

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


def rasterise_all(polygons: Sequence[Polygon], *, width: int, height: int) -> list[Raster]:
    """Pixels of polygons in one frame size, whose rings have three points or more."""
    import numpy as np

    if not polygons:
        return []
    size, pixels = (height, width), width * height
    runs = _filled([ring for polygon in polygons for rings in polygon.polygons for ring in rings], size)
    if runs is None:
        return [made for one in polygons if (made := rasterise(one, width=width, height=height))]
    part_of = [part for part, rings in enumerate(chain.from_iterable(one.polygons for one in polygons)) for _ in rings]
    polygon_of = np.repeat(np.arange(len(polygons)), [len(one.polygons) for one in polygons])
    owner, at = _united(*_even_odd(runs, np.array(part_of), pixels), polygon_of, pixels)
    counts = np.bincount(owner, minlength=len(polygons))
    if not counts.all():  # one without pixels
        return [made for one in polygons if (made := rasterise(one, width=width, height=height))]
    firsts = (counts.cumsum() - counts) // 2
    starts, stops = at[::2], at[1::2]
    areas = np.add.reduceat(stops - starts, firsts).tolist()
    hulls = _hulls(starts, stops, firsts, height)
    codes = _codes(owner, at, len(polygons), pixels)
    return [Raster(*one) for one in zip(codes, [size] * len(areas), areas, hulls, strict=True)]


def _filled(rings: Sequence[Sequence[float]], size: tuple[int, int]) -> "list[Ints] | None":
    """The column-major runs of each ring."""
    import numpy as np
    import pycocotools.mask

    flat, counts = flattened([tuple(ring) for ring in rings])
    values, ends = rounded(flat).tolist(), (2 * counts.cumsum()).tolist()
    drawn = [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    codes = [made["counts"].decode("ascii") for made in pycocotools.mask.frPyObjects(drawn, *size)]
    found = codes_at_once.decode_all(codes, [size[0] * size[1]] * len(codes))
    return None if None in found else [np.array(runs, dtype=np.int64) for runs in found]


def _even_odd(runs: "Sequence[Ints]", part_of: "Ints", pixels: int) -> "tuple[Ints, Ints]":
    """Part and place of each change of a pixel's value, an even number for each part: inside an odd number of rings."""
    import numpy as np

    counts = np.array(list(map(len, runs)))
    ends = np.concatenate(runs).cumsum() - np.repeat(np.arange(len(runs)) * pixels, counts)
    keys = (np.repeat(part_of, counts) * (pixels + 1) + ends)[ends < pixels]
    keys, times = np.unique(keys, return_counts=True)
    keys = keys[times % 2 == 1]
    open_parts = np.flatnonzero(np.bincount(keys // (pixels + 1)) % 2)  # their last pixel is set
    keys = np.sort(np.concatenate((keys, open_parts * (pixels + 1) + pixels)))
    part, at = np.divmod(keys, pixels + 1)
    return part, at


def _united(part: "Ints", at: "Ints", polygon_of: "Ints", pixels: int) -> "tuple[Ints, Ints]":
    """The same for polygons, out of that for their parts: inside one or more of them."""
    import numpy as np

    is_stop = np.arange(len(at)) % 2
    keys = np.sort((polygon_of[part] * (pixels + 1) + at) * 2 + is_stop)  # where one starts as another stops: starts
    step = 1 - 2 * (keys & 1)
    depth = step.cumsum()
    owner, place = np.divmod(keys[(depth == 0) | ((depth == 1) & (step == 1))] >> 1, pixels + 1)
    return owner, place


def _hulls(starts: "Ints", stops: "Ints", firsts: "Ints", height: int) -> list[tuple[int, int, int, int]]:
    """x, y, width and height of the boxes round runs by column."""
    import numpy as np

    (left, top), (right, bottom) = np.divmod(starts, height), np.divmod(stops - 1, height)
    several = left < right  # columns
    top, bottom = np.where(several, 0, top), np.where(several, height - 1, bottom)
    x, y = np.minimum.reduceat(left, firsts), np.minimum.reduceat(top, firsts)
    width, tall = np.maximum.reduceat(right, firsts) - x + 1, np.maximum.reduceat(bottom, firsts) - y + 1
    return list(zip(x.tolist(), y.tolist(), width.tolist(), tall.tolist(), strict=True))


def _codes(owner: "Ints", at: "Ints", polygons: int, pixels: int) -> list[str]:
    """The compressed strings of runs that end at these places."""
    import numpy as np

    inner = at < pixels
    last = np.arange(polygons) * (pixels + 1) + pixels
    keys = np.sort(np.concatenate((owner[inner] * (pixels + 1) + at[inner], last)))
    owner, at = np.divmod(keys, pixels + 1)
    runs = np.diff(at, prepend=0)
    firsts = np.searchsorted(owner, np.arange(polygons))
    runs[firsts] = at[firsts]
    return codes_at_once.encode_all(runs, np.bincount(owner, minlength=polygons))
