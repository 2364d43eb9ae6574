"""Circles and ellipses on a frame that is not square: each length scales by the side that it is a fraction of."""

import math

import pytest

from encord_dagster.geometry import Ellipse
from tests import factories as make
from tests.encord.test_geometry import flat, geometry_of, why_quarantined
from tests.factories import Json


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (make.circle(), Ellipse(640, 360, 128, 128, 0)),  # r is a fraction of the width, also along y
        (make.circle(r="1.25e-1", x="0.25", y=" 0.5 "), Ellipse(320, 360, 160, 160, 0)),
        (make.circle(stretch=0.5), Ellipse(640, 360, 128, 64, 0)),
        (make.circle(stretch="2", theta="30"), Ellipse(640, 360, 128, 256, 30)),
        (make.circle(stretch=None, theta=None), Ellipse(640, 360, 128, 128, 0)),
        (make.circle(stretch="", theta="None"), Ellipse(640, 360, 128, 128, 0)),
        (make.ellipse(), Ellipse(640, 360, 256, 72, 0)),
        (make.ellipse(rx="0.1", ry="0.2", theta="-30"), Ellipse(640, 360, 128, 144, 330)),
        (make.ellipse(theta=750), Ellipse(640, 360, 256, 72, 30)),
        (make.ellipse(theta=-1e-20), Ellipse(640, 360, 256, 72, 0)),
        (make.ellipse(x=-0.02, y=1.03, theta=45), Ellipse(-25.6, 741.6, 256, 72, 45)),
        (make.circle(x=0, y=0, r=1.1), Ellipse(0, 0, 1408, 1408, 0)),  # its edge passes near the far corner
    ],
)
def test_a_circle_or_ellipse_in_pixels(entry: Json, expected: Ellipse) -> None:
    """The first semi-axis lies along x before theta turns it; the edge may lie outside, and nothing is clipped."""
    reading = make.read(make.image_row(entry))

    (instance,) = reading.row.frames[0].objects
    assert isinstance(instance.geometry, Ellipse)
    assert flat(instance.geometry) == pytest.approx(flat(expected), rel=1e-12)
    assert instance.shape == entry["shape"]
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (make.circle(r=0), "empty_box"),
        (make.circle(r=-0.1), "empty_box"),
        (make.circle(stretch=0), "empty_box"),
        (make.circle(stretch=-1), "empty_box"),
        (make.ellipse(rx=0), "empty_box"),
        (make.ellipse(ry="-0.5"), "empty_box"),
        (make.circle(r=None), "bad_geometry"),
        (make.circle(r="wide"), "bad_geometry"),
        (make.circle(r=[0.1]), "bad_geometry"),
        (make.circle(r=True), "bad_geometry"),
        (make.circle(r="NaN"), "bad_geometry"),
        (make.circle(stretch="round"), "bad_geometry"),
        (make.circle(x=None), "bad_geometry"),
        (make.circle(theta="east"), "bad_geometry"),
        (make.circle(theta=float("inf")), "bad_geometry"),
        (make.ellipse(ry=None), "bad_geometry"),
        (make.ellipse(y={}), "bad_geometry"),
        (make.entry("ellipse", {"ellipse": {"x": 0.5, "y": 0.5, "r": 0.1}}), "bad_geometry"),
        (make.circle(x=1.06), "outside_image"),
        (make.circle(y=6204), "outside_image"),
        (make.ellipse(x=-0.06), "outside_image"),
        (make.circle(r=12), "outside_image"),
        (make.circle(stretch=1e308), "outside_image"),
        (make.ellipse(ry=2.3), "outside_image"),
        (make.entry("circle", {}), "no_geometry"),
        (make.entry("circle", {"circle": {}}), "no_geometry"),
        (make.entry("circle", {"circle": 5}), "bad_geometry"),
    ],
)
def test_a_circle_or_ellipse_that_is_none_is_quarantined(entry: Json, rule: str) -> None:
    """No radius, no number, or a slipped decimal point."""
    assert why_quarantined(entry) == rule


def test_a_quarter_of_a_circle_is_taken() -> None:
    """About a corner of the image, as far as the opposite corner: the longest radius that can be drawn."""
    diagonal = math.hypot(1280, 720)

    geometry = geometry_of(make.circle(x=0, y=0, r=diagonal / 1280))

    assert flat(geometry) == pytest.approx((0, 0, diagonal, diagonal, 0))


def test_an_ellipse_stated_as_a_circle_is_taken_and_told() -> None:
    """The only geometry stands in for the stated one, as with any other two shapes."""
    reading = make.read(make.image_row(make.ellipse() | {"shape": "circle"}))

    (instance,) = reading.row.frames[0].objects
    assert instance.shape == "ellipse"
    assert flat(instance.geometry) == pytest.approx((640, 360, 256, 72, 0))
    assert make.rules(reading) == ["shape_guessed"]
