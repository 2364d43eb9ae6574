"""X: further bad inputs that were found by looking for them. They are counted apart from the list."""

import math

from tests import factories as make
from tests.hostile import lineage
from tests.hostile.case import Case, Delivery, Expected, accepted, beside, one


def star(points: int) -> list[Delivery]:
    """A polygon whose every edge crosses the image: the rasteriser takes memory for each pixel of each edge."""
    ring = [(0.5 + 0.4 * math.cos(2.4 * n), 0.5 + 0.4 * math.sin(2.4 * n)) for n in range(points)]
    return one(beside(make.image_row(make.polygon(ring))), Expected(objects=("too_large_to_mask",), published=1))


def large_picture(side: int) -> list[Delivery]:
    """A box on an image that is as large as a mask may be."""
    unit = make.unit("large-0", "image/png", make.labels(make.box()), width=side, height=side)
    return one(beside(make.row("image", [unit])), accepted(2))


def late_conflict() -> list[Delivery]:
    """An export hash that comes again later, with other labels and a later time of its own."""
    first = make.encode([lineage.row("hash-1", lineage.EARLY, lineage.ONE)])
    other = make.encode([lineage.row("hash-1", lineage.LATE, lineage.ONE, lineage.TWO)])
    return [*one(first, accepted(1)), *one(other, accepted(2, "export_hash_conflict"), batch=1)]


CASES = (
    Case(
        id="X01",
        name="polygon of 100,000 edges that all cross the image",
        make=lambda: star(100_000),
        heavy=True,
        slow=True,
    ),
    Case(
        id="X02",
        name="image of 16,384 x 16,384 pixels",
        make=lambda: large_picture(16_384),
        heavy=True,
        slow=True,
    ),
    Case(
        id="X03",
        name="one export hash with two contents and two times",
        make=late_conflict,
        together=True,
    ),
)
