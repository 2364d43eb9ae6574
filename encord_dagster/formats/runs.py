"""Masks as runs that are not compressed, in JSON: as text at once, since lists of numbers cost many times as much."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from encord_dagster import rle
from encord_dagster.codes_at_once import decode_together
from encord_dagster.formats.coco import Annotation
from encord_dagster.formats.painting import is_box, pixels_of_boxes
from encord_dagster.formats.repaint import codes_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.codes_at_once import Ints

_AT_ONCE = 256  # masks
_UNIT = 10_000  # numbers below it have a text of their own, others one of two


def runs_of(items: Sequence[Annotation], *, width: int, height: int) -> Iterator[msgspec.Raw]:
    """The column-major runs of annotations on frames of one size, which are their pixels: size and counts as JSON."""
    opening = b'{"size":[%d,%d],"counts":[' % (height, width)
    for first in range(0, len(items), _AT_ONCE):
        some = items[first : first + _AT_ONCE]
        shapes = [one.segmentation for one in some]
        boxes = {
            number: shape[0]
            for number, shape in enumerate(shapes)
            if isinstance(shape, tuple) and len(shape) == 1 and is_box(shape[0])
        }
        others = [one for number, one in enumerate(some) if number not in boxes]
        of_boxes = _of_boxes(pixels_of_boxes(list(boxes.values()), width, height), width, height) if boxes else iter(())
        of_others = iter(_of_codes(codes_of(others, width=width, height=height), width * height) if others else ())
        for number in range(len(some)):
            yield msgspec.Raw(b"%b%b]}" % (opening, next(of_boxes if number in boxes else of_others)))


def _of_boxes(boxes: "Ints", width: int, height: int) -> Iterator[bytes]:
    """Of pixels in columns that are all alike: what is in and what is out take turns."""
    for left, top, right, bottom in boxes.tolist():
        filled, behind = bottom - top, (width - right) * height + height - bottom
        if right <= left or filled <= 0:
            yield b"%d" % (width * height)
            continue
        if filled == height:  # columns go on in each other
            filled, right = filled * (right - left), left + 1
        between = b"%d,%d," % (filled, height - filled)
        yield b"%d,%b%d%b" % (
            left * height + top,
            between * (right - left - 1),
            filled,
            b",%d" % behind if behind else b"",
        )


def _of_codes(codes: Sequence[str], pixels: int) -> list[bytes]:
    """Of compressed runs. One that is of another size is written as it is."""
    import numpy as np

    held = decode_together(codes, [pixels] * len(codes))
    if held is None or not held.covers.all() or pixels >= _UNIT**2:
        return [msgspec.json.encode(rle.decode(code))[1:-1] for code in codes]
    odd = held.counts & 1
    runs = np.delete(held.runs, (held.firsts + held.counts)[odd == 1])
    plain, padded = _digits()
    wide = np.flatnonzero(runs >= _UNIT)
    texts = plain.take(runs, mode="clip")
    texts[wide] = padded[runs[wide] % _UNIT]
    texts = np.insert(texts, wide, plain[runs[wide] // _UNIT])
    cells = np.empty(len(texts), dtype=[("text", "<u4"), ("behind", "u1")])
    cells["text"], cells["behind"] = texts, ord(",")
    cells["behind"][wide + np.arange(len(wide))] = 0
    stops = held.counts.cumsum()
    cells["behind"][stops + wide.searchsorted(stops) - 1] = ord("\n")
    return cells.tobytes().translate(None, b"\0").split(b"\n")[:-1]


@lru_cache(maxsize=1)
def _digits() -> "tuple[NDArray[np.uint32], NDArray[np.uint32]]":
    """The texts of small numbers as words, unused bytes 0: as they are, and with zeros before them."""
    import numpy as np

    padded = np.array([b"%04d" % number for number in range(_UNIT)])
    plain = np.array([b"%d" % number for number in range(_UNIT)])
    return plain.view("<u4"), padded.view("<u4")
