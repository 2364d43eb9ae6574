"""Outlines as YOLO's segments have them, for all objects of some images at once."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from encord_dagster.formats import outlines
from encord_dagster.formats.coco import Annotation, Image
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.outlines import joined, rings_of
from encord_dagster.formats.raster import FEWEST
from encord_dagster.formats.repaint import codes_of
from encord_dagster.geometry import LARGEST_FRAME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.formats.outlines import Ints

    Floats = NDArray[np.float64]
    Words = NDArray[np.uint64]

DECIMALS = 6
AT_ONCE = 64  # images whose outlines are held
LONGEST = 2**15  # pixels of a side whose fractions are held as texts


class Segment(NamedTuple):
    """The text of an outline, and how many rings it has in a mask; 0 where it is the ring that was drawn."""

    text: bytes
    rings: int


def segments_of(images: Sequence[Labelled]) -> dict[int, Segment]:
    """The outlines of objects that have some, by annotation; none of single rings that leave their image."""
    rings: list[tuple[Annotation, Image]] = []
    masks: dict[tuple[int, int], list[Annotation]] = {}
    for one in images:
        size = one.image.width, one.image.height
        for item in one.annotations:
            if item.polyline is not None or item.keypoints is not None:
                continue
            if isinstance(item.segmentation, tuple) and len(item.segmentation) == 1:
                if len(item.segmentation[0]) >= FEWEST:
                    rings.append((item, one.image))
            elif size[0] * size[1] <= LARGEST_FRAME:
                masks.setdefault(size, []).append(item)
    found = dict(_of_rings(rings)) if rings else {}
    for (width, height), items in masks.items():
        for first in range(0, len(items), outlines.AT_ONCE):
            found.update(_of_masks(items[first : first + outlines.AT_ONCE], width, height))
    return found


def _of_rings(rings: Sequence[tuple[Annotation, Image]]) -> Iterator[tuple[int, Segment]]:
    import numpy as np

    drawn = [item.segmentation[0] for item, _ in rings if isinstance(item.segmentation, tuple)]
    counts = np.array(list(map(len, drawn))) // 2
    points = np.fromiter(chain.from_iterable(drawn), np.float64, count=2 * int(counts.sum())).reshape(-1, 2)
    sides = np.repeat([(image.width, image.height) for _, image in rings], counts, axis=0)
    leaves = np.logical_or.reduceat(((points < 0) | (points > sides)).any(axis=1), counts.cumsum() - counts)
    lines = fractions_text(np.clip(points / sides, 0, 1), counts)
    for (item, _), text, is_out in zip(rings, lines, leaves.tolist(), strict=True):
        if not is_out:
            yield item.id, Segment(text, 0)


def _of_masks(items: Sequence[Annotation], width: int, height: int) -> Iterator[tuple[int, Segment]]:
    """Masks, and shapes of several rings, which are masks first."""
    import numpy as np

    found = rings_of(codes_of(items, width=width, height=height), width=width, height=height)
    outlined = [(item.id, rings) for item, rings in zip(items, found, strict=True) if rings]
    if not outlined:
        return
    whole: list[Ints] = [joined(rings) if len(rings) > 1 else rings[0] for _, rings in outlined]
    points, counts = np.concatenate(whole), np.array(list(map(len, whole)))
    if max(width, height) > LONGEST:
        texts = fractions_text(points / (width, height), counts)
    else:  # corners of pixels lie at few places, whose texts are looked up
        texts = _lines((_of_places(width)[points[:, 0]], _of_places(height)[points[:, 1]]), counts)
    for (number, rings), text in zip(outlined, texts, strict=True):
        yield number, Segment(text, len(rings))


def fractions_text(points: "Floats", counts: "Ints") -> list[bytes]:
    """Points from 0 to 1 as lines of YOLO have them, without what ends a line; `counts` points each."""
    return _lines((_words(points[:, 0]), _words(points[:, 1])), counts)


def _lines(columns: "tuple[Words, Words]", counts: "Ints") -> list[bytes]:
    import numpy as np

    x, y = columns
    cells = np.empty((len(x), 2), dtype=[("text", "<u8"), ("behind", "u1")])
    cells["text"][:, 0], cells["text"][:, 1] = x, y
    cells["behind"] = ord(" ")
    cells["behind"][counts.cumsum() - 1, 1] = ord("\n")
    return cells.tobytes().replace(b"\0", b"").split(b"\n")[:-1]


@lru_cache(maxsize=16)
def _of_places(side: int) -> "Words":
    """The text of each place from 0 to a side as a fraction of it."""
    import numpy as np

    return _words(np.arange(side + 1) / side)


def _words(fractions: "Floats") -> "Words":
    """Numbers from 0 to 1 as texts of eight bytes at most, unused ones 0: 0.25, 0.333333, 1.0."""
    import numpy as np

    thousandths, rest = np.divmod(np.rint(fractions * 10**DECIMALS).astype(np.int64), 1000)
    opening, closing = _digits()
    words: Words = opening[thousandths + 1001 * (rest == 0)] | closing[rest]
    return words


@lru_cache(maxsize=1)
def _digits() -> "tuple[Words, Words]":
    """0.000 to 1.000, as they stand before other digits and then alone; and the three digits behind those."""
    import numpy as np

    before = [f"{number / 1000:.3f}" for number in range(1001)]
    alone = [str(number / 1000) for number in range(1001)]
    behind = [("\0" * 5 + f"{number:03}".rstrip("0")) for number in range(1000)]
    return tuple(  # type: ignore[return-value]  # of two
        np.array([text.encode() for text in texts], dtype="S8").view("<u8") for texts in (before + alone, behind)
    )
