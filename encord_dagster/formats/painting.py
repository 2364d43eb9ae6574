"""Which object each pixel of a frame shows, out of the run ends of all objects, without the pixels."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from encord_dagster import codes_at_once, masks_at_once
from encord_dagster.encord.model import ObjectInstance
from encord_dagster.formats.raster import FEWEST, filled, outline
from encord_dagster.formats.rounded import rounded
from encord_dagster.formats.spans import Spans, most_spans, spans_between
from encord_dagster.geometry import Bitmask, Box, Ellipse, Polygon, Ring, RotatedBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.formats.forms import Rle

    Ints = NDArray[np.signedinteger[Any]]

MOST_OBJECTS = 53  # one bit each in a float, whose exponent then tells the topmost
_OWNER = 6  # bits for the number of an object


def spans_shown(objects: Sequence[ObjectInstance], width: int, height: int) -> Spans | None:
    """The instance mask; later objects lie on top. None where pixels are cheaper, or where a mask is damaged."""
    return _topmost(_run_ends(objects, width, height), width, height) if len(objects) <= MOST_OBJECTS else None


def spans_of_outlines(shapes: Sequence["tuple[Ring, ...] | Rle"], width: int, height: int) -> Spans | None:
    """The same of shapes as COCO has them: lists of rings, and column-major runs."""
    if len(shapes) > MOST_OBJECTS:
        return None
    rings: list[tuple[int, Ring]] = []
    codes: list[tuple[int, bytes]] = []
    for number, shape in enumerate(shapes):
        if not isinstance(shape, tuple):
            codes.append((number, shape.counts.encode("ascii")))
        elif len(shape) == 1:
            rings.append((number, shape[0]))
        elif counts := filled(Polygon(tuple((ring,) for ring in shape)), width=width, height=height):
            codes.append((number, counts))
    return _topmost(_of_rings_and_shapes(rings, codes, width, height), width, height)


def _topmost(ends: "Ints | None", width: int, height: int) -> Spans | None:
    """Which object lies on top, out of all run ends; None where there are too many of them."""
    import numpy as np

    if ends is None or len(ends) >= most_spans(width * height):
        return None
    if width * height << _OWNER < 2**31:
        ends = ends.astype(np.int32)  # half the size is sorted in half the time
    ends.sort()
    place = ends >> _OWNER
    covering = np.bitwise_xor.accumulate(np.int64(1) << (ends & (1 << _OWNER) - 1).astype(np.int64))
    settled = np.flatnonzero(np.diff(place, append=width * height))  # the last of the ends at one place
    place, top = place[settled], np.frexp(covering[settled].astype(np.float64))[1]
    changed = np.flatnonzero(np.diff(top, prepend=0))
    return spans_between(place[changed].astype(np.int64), top[changed].astype(np.int64), width, height)


def _run_ends(objects: Sequence[ObjectInstance], width: int, height: int) -> "Ints | None":
    """Where runs end, counted row by row, each with the number of its object in the lowest bits."""
    import numpy as np

    masks: list[tuple[int, Sequence[int]]] = []
    rings: list[tuple[int, Ring]] = []
    shapes: list[tuple[int, bytes]] = []
    for number, item in enumerate(objects):
        match item.geometry:
            case Bitmask(runs):
                masks.append((number, runs))
            case Box() | RotatedBox() | Ellipse() as shape:
                rings.append((number, outline(shape)))
            case Polygon(((ring,),)):
                rings.append((number, ring))
            case shape:
                if counts := filled(shape, width=width, height=height):
                    shapes.append((number, counts))
    some = _of_masks(masks, width * height)
    more = _of_rings_and_shapes(rings, shapes, width, height)
    if some is None or more is None:
        return None
    ends: Ints = np.concatenate((some, more))
    return ends


def _of_masks(masks: Sequence[tuple[int, Sequence[int]]], pixels: int) -> "Ints | None":
    import numpy as np

    if not masks:
        return np.empty(0, dtype=np.int64)
    packed = [runs if isinstance(runs, array) else array("q", runs) for _, runs in masks]
    counts = np.array([len(runs) for runs in packed])
    runs = np.frombuffer(b"".join(packed), dtype=np.int64)
    if not counts.all() or runs.min() < 0:
        return None
    ends = runs.cumsum()
    stops = counts.cumsum() - 1
    whole = np.arange(len(masks)) * pixels
    if (ends[stops] - whole != pixels).any():
        return None
    ends = (ends - np.repeat(whole, counts) << _OWNER) + np.repeat([number for number, _ in masks], counts)
    return np.delete(ends, stops)  # where the frame ends, nothing begins


def _of_rings_and_shapes(
    rings: Sequence[tuple[int, Ring]], codes: Sequence[tuple[int, bytes]], width: int, height: int
) -> "Ints | None":
    import numpy as np

    upright = [(number, ring) for number, ring in rings if is_box(ring)]
    others = [(number, ring) for number, ring in rings if len(ring) >= FEWEST and not is_box(ring)]
    ends = _of_shapes([*filled_rings(others, width, height), *codes], width, height)
    if ends is None or not upright:
        return ends
    both: Ints = np.concatenate((_of_boxes(upright, width, height), ends))
    return both


def is_box(ring: Ring) -> bool:
    """Whether a ring is what `outline` makes of a box, or a part of the frame."""
    if len(ring) != 8:
        return False
    left, top, right, above, east, bottom, west, below = ring
    return left == west < right == east and top == above < bottom == below


def _of_boxes(rings: Sequence[tuple[int, Ring]], width: int, height: int) -> "Ints":
    """Run ends of upright boxes, without going round each of them."""
    import numpy as np

    left, top, right, bottom = pixels_of_boxes([ring for _, ring in rings], width, height).T
    rows = np.where(right > left, bottom - top, 0)
    until = rows.cumsum()
    row = np.repeat(top - until + rows, rows) + np.arange(until[-1])
    number = np.repeat([number for number, _ in rings], rows)
    edges = [(row * width + np.repeat(edge, rows) << _OWNER) + number for edge in (left, right)]
    ends: Ints = np.concatenate(edges)
    return ends


def pixels_of_boxes(rings: Sequence[Ring], width: int, height: int) -> "Ints":
    """The pixels of upright boxes, as pycocotools fills them: first column and row, and those behind the last; [n, 4].

    It counts in fifths of a pixel, and a pixel is in where the fifth at its middle is, 5 k + 2: so the first column or
    row that is not before an edge at u fifths is ceil((u - 2) / 5).
    """
    import numpy as np

    corners = rounded(np.array(rings))[:, (0, 1, 4, 5)]
    fifths = np.trunc(5 * corners + 0.5)  # as C makes integers
    found: Ints = np.clip(np.ceil((fifths - 2) / 5), 0, (width, height, width, height)).astype(np.int64)
    return found


def filled_rings(rings: Sequence[tuple[int, Ring]], width: int, height: int) -> Iterator[tuple[int, bytes]]:
    """The compressed column-major runs of many rings, as `filled` gives them of one."""
    import numpy as np
    import pycocotools.mask

    if not rings:
        return
    ends = np.cumsum([len(ring) for _, ring in rings])
    flat = rounded(np.fromiter(chain.from_iterable(ring for _, ring in rings), dtype=np.float64, count=int(ends[-1])))
    made = pycocotools.mask.frPyObjects(np.split(flat, ends[:-1]), height, width)
    for (number, _), one in zip(rings, made, strict=True):
        yield number, one["counts"]


def _of_shapes(shapes: Sequence[tuple[int, bytes]], width: int, height: int) -> "Ints | None":
    import numpy as np

    if not shapes:
        return np.empty(0, dtype=np.int64)
    runs = codes_at_once.decode_all([code.decode("ascii") for _, code in shapes], [width * height] * len(shapes))
    if None in runs:
        return None
    turned = masks_at_once.turned_ends([one for one in runs if one is not None], height, width)
    if turned is None:
        return None
    owner, at = turned
    ends: Ints = (at.astype(np.int64) << _OWNER) + np.array([number for number, _ in shapes])[owner]
    return ends
