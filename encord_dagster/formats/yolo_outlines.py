"""Outlines as YOLO's segments have them, for all objects of an image at once."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.codes_at_once import decode_all
from encord_dagster.formats.coco import Image
from encord_dagster.formats.forms import Rle
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.outlines import rings_of
from encord_dagster.formats.raster import FEWEST
from encord_dagster.formats.repaint import counts_of
from encord_dagster.geometry import LARGEST_FRAME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.formats.outlines import Points

DECIMALS = 6
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


def fractions_within(one: Labelled) -> dict[int, list[float]]:
    """The numbers of single rings, all at once; of none where one of them leaves the image."""
    import numpy as np

    rings = {
        item.id: shape[0]
        for item in one.annotations
        if isinstance(shape := item.segmentation, tuple)
        and len(shape) == 1
        and len(shape[0]) >= FEWEST
        and item.polyline is None
        and item.keypoints is None
    }
    ends = list(accumulate(map(len, rings.values()), initial=0))
    points = np.fromiter(chain.from_iterable(rings.values()), np.float64, count=ends[-1]).reshape(-1, 2)
    sides = (one.image.width, one.image.height)
    if not rings or points.min() < 0 or (points > sides).any():
        return {}
    numbers: list[float] = np.round(points / sides, DECIMALS).reshape(-1).tolist()
    return {key: numbers[start:end] for key, (start, end) in zip(rings, pairwise(ends), strict=True)}


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
