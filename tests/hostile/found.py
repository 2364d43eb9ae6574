"""X: further bad inputs that were found by looking for them. They are counted apart from the list."""

import math

from tests import factories as make
from tests.factories import Json
from tests.hostile import lineage
from tests.hostile.case import Case, Delivery, Expected, accepted, beside, edited, one, row_quarantined


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


def many_frames() -> list[Delivery]:
    """A few bytes that name as many frames and classifications of frames as a row may have."""
    row = edited(make.video_row({}), classification_answers=_ranged(3, frames=120_000))
    unit = make.unit("video-0", "video/mp4", {}, data_fps=25, data_duration=4800)
    return one(beside(row | {"data_units": {"video-0": unit}}), accepted(1))


def many_answers() -> list[Delivery]:
    """A thousand answers: of a track of 20,000 frames, and of a range over as many."""
    answers = [make.answer("sunny", feature_hash=f"attr{n:04}") for n in range(1000)]
    boxes = {number: [make.box()] for number in range(20_000)}
    tracked = edited(
        make.video_row(boxes), object_answers={"object01": {"objectHash": "object01", "classifications": answers}}
    )
    ranged = edited(make.video_row({}), classification_answers=_ranged(1, frames=20_000, answers=answers))
    units: Json = {"video-0": make.unit("video-0", "video/mp4", {})}
    bad = row_quarantined("too_many_answers")
    return [*one(beside(tracked), bad), *one(beside(ranged | {"data_units": units}), bad)]


def _ranged(count: int, *, frames: int, answers: list[Json] | None = None) -> Json:
    held = {"classifications": answers or [make.answer("sunny")], "range": [[0, frames - 1]], "featureHash": "Fc0000"}
    return {f"classif{n}": held | {"classificationHash": f"classif{n}"} for n in range(count)}


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
    Case(
        id="X04",
        name="120,000 frames that are named by ranges alone",
        make=many_frames,
        heavy=True,
        slow=True,
    ),
    Case(
        id="X05",
        name="a thousand answers on each of 20,000 frames",
        make=many_answers,
        heavy=True,
        slow=True,
    ),
)
