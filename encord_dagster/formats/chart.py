"""A bar chart of objects by class, small enough to lie in a database: letters of dots, no imaging library."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.formats import glyphs, png
from encord_dagster.formats.palette import Colour, colour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LETTERS = 15  # of a class's name
COUNT = 13  # letters of a count
DOT = 2  # pixels a dot of a letter
ROW = 12  # dots a class is high
BAR = 80  # dots the longest bar is long
PAPER: Colour = (28, 29, 32)
WHITE: Colour = (235, 236, 240)
BEFORE: Colour = (120, 124, 132)


class ClassBar(msgspec.Struct, frozen=True):
    """One class: objects now, and in the version before."""

    category_id: int
    name: str
    now: int
    before: int = 0


def chart(bars: Sequence[ClassBar]) -> bytes:
    """Palette PNG: a line for each class, its bar in the colour of its category, under it a grey one for before."""
    import numpy as np

    longest = max((max(bar.now, bar.before) for bar in bars), default=0) or 1
    left = LETTERS * glyphs.PITCH + 4
    canvas = np.zeros((ROW * len(bars) + 2, left + BAR + COUNT * glyphs.PITCH), dtype=np.uint8)
    for place, bar in enumerate(bars):
        top = place * ROW + 2
        name = glyphs.printable(bar.name, instead=f"category {bar.category_id}")
        _write(canvas, name if len(name) <= LETTERS else name[: LETTERS - 2] + "..", top, 2)
        now, before = (-(-count * BAR // longest) for count in (bar.now, bar.before))
        canvas[top : top + 6, left : left + now] = 3 + place
        canvas[top + 7 : top + 9, left : left + before] = 2
        _write(canvas, _count(bar), top, left + max(now, before) + 3)
    colours = (PAPER, WHITE, BEFORE, *(colour(bar.category_id) for bar in bars))
    large = np.kron(canvas, np.ones((DOT, DOT), dtype=np.uint8))
    return png.write_small(large, bytes(channel for one in colours for channel in one))


def _count(bar: ClassBar) -> str:
    """`195 (+12)`."""
    step = bar.now - bar.before
    return f"{bar.now:,}" + (f" ({step:+,})" if bar.before and step else "")


def _write(canvas: "NDArray[np.uint8]", text: str, top: int, left: int) -> None:
    """Letters in white; what has no room is cut."""
    letters = glyphs.dots(text) if text else None
    if letters is not None:
        space = canvas[top : top + len(letters), left : left + letters.shape[1]]
        space[letters[: space.shape[0], : space.shape[1]]] = 1
