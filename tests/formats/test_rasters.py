"""Polygons of several rings rasterised together are what they are alone."""

import math
import random

import pytest

from encord_dagster.formats.raster import rasterise
from encord_dagster.formats.rasters import rasterise_all
from encord_dagster.geometry import Polygon, Ring
from tests.effort import examples


def _ring(rng: random.Random, width: int, height: int) -> Ring:
    """A whole frame, a scribble from edge to edge, or something round; in the frame."""
    kind = rng.random()
    if kind < 0.1:
        return (0, 0, width, 0, width, height, 0, height)
    if kind < 0.2:
        return tuple(rng.choice((0, side / 2, side)) for side in (width, height) * 4)
    x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.2, width / 2)
    turns = [2 * math.pi * turn / 12 for turn in range(12)]
    points = [(x + radius * math.cos(turn), y + radius * rng.uniform(0.3, 1) * math.sin(turn)) for turn in turns]
    return tuple(v for x, y in points for v in (min(width, max(0, x)), min(height, max(0, y))))


@pytest.mark.parametrize(("width", "height"), [(40, 30), (7, 5), (1, 1), (100, 80), (640, 480)])
def test_polygons_together_are_as_alone(width: int, height: int) -> None:
    """Whatever the number of their parts and holes: runs, area and box, also where no pixel is set."""
    rng = random.Random(width)
    for _ in range(examples(12)):
        polygons = [
            Polygon(
                tuple(
                    tuple(_ring(rng, width, height) for _ in range(rng.randrange(1, 4)))
                    for _ in range(rng.randrange(1, 4))
                )
            )
            for _ in range(rng.randrange(1, 9))
        ]
        found = rasterise_all(polygons, width=width, height=height)
        assert found == [rasterise(polygon, width=width, height=height) for polygon in polygons]
        assert all(type(number) is int for one in found for number in (*one.bbox, one.area))


def test_no_polygons_are_no_rasters() -> None:
    """There may be none of several rings."""
    assert rasterise_all([], width=10, height=10) == []


def test_many_rings_and_rings_that_reach_outside() -> None:
    """Are what they are alone too."""
    rng = random.Random(5)
    many = Polygon(tuple((_ring(rng, 60, 50),) for _ in range(20)))
    outside = Polygon((((-5.0, -5.0, 70.0, 3.0, 30.0, 80.0), (10.0, 10.0, 20.0, 10.0, 15.0, 30.0)),))
    for polygons in ([many], [outside], [outside, many]):
        found = rasterise_all(polygons, width=60, height=50)
        assert found == [rasterise(polygon, width=60, height=50) for polygon in polygons]
