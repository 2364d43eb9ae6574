"""Forms of many shapes at once are, to the last bit, those of one shape after the other."""

import math
import random

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encord_dagster.formats.forms import form_of, forms_of
from encord_dagster.formats.fragment import Category, classes_of
from encord_dagster.formats.raster import DECIMALS, is_simple, ring_area
from encord_dagster.formats.rounded import Rings, flattened, rounded
from encord_dagster.geometry import Ring
from tests import factories as make
from tests.effort import examples
from tests.encord.rows import label_rows
from tests.factories import Json

_SETTINGS = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)


@_SETTINGS
@given(st.lists(label_rows(), min_size=1, max_size=3))
def test_forms_of_rows_are_those_of_each_shape(documents: list[Json]) -> None:
    """Of all shapes, in document order; only `simple` is more than one shape alone is told."""
    rows = [make.read(document).row for document in documents]
    categories: dict[str, Category] = {}
    for row in rows:
        categories |= classes_of(row)
    expected = [
        form_of(item.geometry, categories[item.feature_hash], width=frame.width, height=frame.height)
        for row in rows
        for frame in row.frames
        if frame.width and frame.height
        for item in frame.objects
    ]
    found = [msgspec.structs.replace(form, simple=False) for form in forms_of(rows, categories)]
    assert msgspec.json.encode(found) == msgspec.json.encode(expected)


@_SETTINGS
@given(st.lists(st.floats(-1e12, 1e12) | st.integers(-(10**8), 10**8).map(lambda whole: (whole + 0.5) / 10**6)))
def test_rounding_is_that_of_python(values: list[float]) -> None:
    """Also half-way between two numbers, and where 64 bits hold no six decimals."""
    found = rounded(np.array(values, dtype=np.float64)).tolist()
    expected = [round(value, DECIMALS) for value in values]
    assert [math.copysign(1, value) for value in found] == [math.copysign(1, value) for value in expected]
    assert found == expected


def test_rings_together_are_measured_as_alone() -> None:
    """Areas, and which of them are stars: a star is simple."""
    rng = random.Random(5)
    rings = [_ring(rng) for _ in range(400)]
    together = Rings(*flattened(rings))
    points, areas, stars = together.rounded(), together.areas(), together.stars()
    assert points == [tuple(round(value, DECIMALS) for value in ring) for ring in rings]
    assert areas == [round(ring_area(ring), DECIMALS) for ring in points]
    assert stars == [Rings(*flattened([ring])).stars()[0] for ring in rings]
    assert all(is_simple(ring) for ring, star in zip(points, stars, strict=True) if star)
    assert 20 < sum(stars) < 380


def test_a_star_that_turns_twice_is_none() -> None:
    """A pentagram turns one way all along, and crosses itself."""
    corners = [(math.cos(turn * 0.8 * math.pi), math.sin(turn * 0.8 * math.pi)) for turn in range(5)]
    ring = tuple(50 + 40 * value for corner in corners for value in corner)
    assert Rings(*flattened([ring])).stars() == [False]
    assert not is_simple(ring)


def _ring(rng: random.Random) -> Ring:
    """A ring round a centre, or a scribble."""
    count = rng.randrange(3, 40)
    if rng.random() < 0.3:
        return tuple(rng.random() * 500 for _ in range(2 * count))
    x, y, radius = rng.random() * 500, rng.random() * 500, rng.random() * 100
    angles = sorted(rng.random() * 2 * math.pi for _ in range(count))
    reach = [radius * (0.6 + 0.4 * rng.random()) for _ in angles]
    flat = [(x + r * math.cos(a), y + r * math.sin(a)) for a, r in zip(angles, reach, strict=True)]
    return tuple(value for point in flat for value in point)
