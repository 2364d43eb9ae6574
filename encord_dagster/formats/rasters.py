"""The pixels of many polygons of several rings by pycocotools alone: each as `raster.rasterise` makes it alone."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from encord_dagster import rle
from encord_dagster.formats.raster import Raster, rasterise
from encord_dagster.formats.rounded import flattened, rounded
from encord_dagster.geometry import Polygon

_MOST = 8  # rings of a polygon: pycocotools unites masks one after the other, in the square of their number
Code = dict[str, Any]  # a mask as pycocotools has it, which has no types: size, and compressed column-major runs


def rasterise_all(polygons: Sequence[Polygon], *, width: int, height: int) -> list[Raster]:
    """Pixels of polygons that lie in a frame, and whose rings have three points or more."""
    import pycocotools.mask

    if not polygons:
        return []
    filled = _filled(polygons, width, height)
    if filled is None:
        return [made for one in polygons if (made := rasterise(one, width=width, height=height))]
    codes = [_united([_even_odd(list(islice(filled, len(rings)))) for rings in one.polygons]) for one in polygons]
    areas, boxes = pycocotools.mask.area(codes).tolist(), pycocotools.mask.toBbox(codes).astype(int).tolist()
    return [
        Raster(code["counts"].decode("ascii"), (height, width), area, (box[0], box[1], box[2], box[3]))
        for code, area, box in zip(codes, areas, boxes, strict=True)
    ]


def _filled(polygons: Sequence[Polygon], width: int, height: int) -> Iterator[Code] | None:
    """The masks of all rings; None where some polygon is of too many, or reaches outside."""
    import pycocotools.mask

    if max(sum(map(len, one.polygons)) for one in polygons) > _MOST:
        return None
    flat, counts = flattened([tuple(ring) for one in polygons for rings in one.polygons for ring in rings])
    found = rounded(flat).reshape(-1, 2)
    if (found < 0).any() or (found > (width, height)).any():
        return None
    values, ends = found.ravel().tolist(), (2 * counts.cumsum()).tolist()
    drawn = [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    codes: list[Code] = pycocotools.mask.frPyObjects(drawn, height, width)
    return iter(codes)


def _even_odd(codes: Sequence[Code]) -> Code:
    """What lies in an odd number of masks: in one of two, and not in both."""
    from pycocotools.mask import merge

    found, *others = codes
    for other in others:
        both: Code = merge([found, other], intersect=True)
        found = merge([merge([found, other]), both | {"counts": _inverse(both["counts"])}], intersect=True)
    return found


def _united(codes: Sequence[Code]) -> Code:
    import pycocotools.mask

    found: Code = codes[0] if len(codes) == 1 else pycocotools.mask.merge(codes)
    return found


def _inverse(counts: bytes) -> bytes:
    """Runs with zeros and ones in each other's place. Few numbers differ: most are differences to two before."""
    text = counts.decode("ascii")
    opening = "".join(found[0] for found in islice(rle.NUMBER.finditer(text), 4))
    runs = rle.decode(opening)
    return (rle.encode(runs[1:] if not runs[0] else [0, *runs]) + text[len(opening) :]).encode("ascii")
