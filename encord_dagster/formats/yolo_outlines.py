"""Outlines as YOLO's segments have them, for all objects of an image at once."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.codes_at_once import decode_all
from encord_dagster.formats.coco import Annotation, Image
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.outlines import rings_of
from encord_dagster.formats.raster import FEWEST
from encord_dagster.formats.repaint import counts_of
from encord_dagster.geometry import LARGEST_FRAME, Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.formats.outlines import Points

DECIMALS = 6
AT_ONCE = 64  # images whose numbers are held
LONGEST = 2**15  # pixels of a side whose fractions are held as texts


def rings_on(one: Labelled) -> "dict[int, list[Points]]":
    """The outlines of annotations that are no single ring, all at once; none of masks of other sizes than the image."""
    width, height = one.image.width, one.image.height
    if width * height > LARGEST_FRAME:
        return {}
    found = {
        item.id: counts_of(item, width=width, height=height)
        for item in one.annotations
        if isinstance(item.segmentation, Rle) or len(item.segmentation) > 1
    }
    if not found:
        return {}
    runs = [one or () for one in decode_all(list(found.values()), [width * height] * len(found))]
    return dict(zip(found, rings_of(runs, width=width, height=height), strict=True))


def fractions_within(images: Sequence[Labelled]) -> Iterator[dict[int, list[float]]]:
    """For each image the numbers of its single rings, by annotation; of those alone that do not leave the image."""
    for first in range(0, len(images), AT_ONCE):
        yield from _fractions_within(images[first : first + AT_ONCE])


def _fractions_within(images: Sequence[Labelled]) -> Iterator[dict[int, list[float]]]:
    import numpy as np

    rings = [{item.id: ring for item in one.annotations if (ring := _ring(item))} for one in images]
    flat = list(chain.from_iterable(held.values() for held in rings))
    sizes = [len(ring) for ring in flat]
    ends = list(accumulate(sizes, initial=0))
    points = np.fromiter(chain.from_iterable(flat), np.float64, count=ends[-1]).reshape(-1, 2)
    sides = np.array([(one.image.width, one.image.height) for one in images])
    of_points = np.repeat(np.repeat(sides, [len(held) for held in rings], axis=0), np.array(sizes, int) // 2, axis=0)
    outside = ((points < 0) | (points > of_points)).any(axis=1)
    numbers = np.round(points / of_points, DECIMALS).reshape(-1).tolist()
    leaves = set(np.searchsorted(np.array(ends) // 2, np.flatnonzero(outside), side="right").tolist())
    place = 0
    for held in rings:
        found: dict[int, list[float]] = {}
        for key in held:
            place += 1
            if place not in leaves:
                found[key] = numbers[ends[place - 1] : ends[place]]
        yield found


def _ring(item: Annotation) -> Ring | None:
    shape = item.segmentation
    if item.polyline is not None or item.keypoints is not None or not isinstance(shape, tuple) or len(shape) != 1:
        return None
    return shape[0] if len(shape[0]) >= FEWEST else None


def text_of(numbers: Sequence[float]) -> bytes:
    """Numbers as a line of YOLO has them."""
    return msgspec.json.encode(numbers)[1:-1].replace(b",", b" ")


def corners_text(points: "Points", image: Image) -> bytes:
    """The same of outlines of pixels: their corners lie at few places, whose texts are looked up."""
    import numpy as np

    places = points.astype(np.int64)
    x, y = (_texts(side)[places[:, axis]] for axis, side in enumerate((image.width, image.height)))
    return np.stack((x, y), axis=1).tobytes().translate(None, b"\0")[:-1]


@lru_cache(maxsize=16)
def _texts(side: int) -> "NDArray[np.bytes_]":
    """The text of each place from 0 to a side as a fraction of it, a blank behind it."""
    import numpy as np

    numbers = np.round(np.arange(side + 1) / side, DECIMALS).tolist()
    return np.array([b"%b " % text for text in text_of(numbers).split(b" ")])
