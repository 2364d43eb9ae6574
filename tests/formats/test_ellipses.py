"""Circles and ellipses as rings and pixels, judged by their equation at the centre of each pixel."""

import math
from typing import Any

import msgspec
import numpy as np
import pycocotools.mask as coco_mask
import pytest
from numpy.typing import NDArray

from encord_dagster.encord.model import Frame, LabelRow
from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.raster import ellipse_hull, ellipse_ring, is_simple, rasterise
from encord_dagster.geometry import Ellipse
from tests import factories as make
from tests.factories import HEIGHT, WIDTH

ELLIPSES = [
    Ellipse(640, 360, 20.5, 20.5),
    Ellipse(300.3, 200.7, 128, 128),
    Ellipse(640, 360, 25, 21, 17),
    Ellipse(640, 360, 300, 40, 30),
    Ellipse(640, 360, 40, 300, 90),
    Ellipse(500.25, 300.5, 200, 120, 133.3),
    Ellipse(10, 700, 90, 60, 300),  # over the edge
]


def points_of(ring: tuple[float, ...]) -> NDArray[np.float64]:
    """A ring as rows of x and y."""
    return np.array(ring, dtype=np.float64).reshape(-1, 2)


def in_circle(ellipse: Ellipse, points: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Points where the ellipse becomes a circle of radius 1 about 0: turned back by theta, then shrunk."""
    turned = (points[..., 0] - ellipse.x + 1j * (points[..., 1] - ellipse.y)) * np.exp(-1j * np.radians(ellipse.theta))
    shrunk: NDArray[np.complex128] = turned.real / ellipse.rx + 1j * turned.imag / ellipse.ry
    return shrunk


def dense(ellipse: Ellipse, width: int, height: int) -> NDArray[np.bool_]:
    """The pixels whose centre lies in an ellipse."""
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    inside: NDArray[np.bool_] = np.abs(in_circle(ellipse, centres)) <= 1
    return inside


def pixels(ellipse: Ellipse, width: int, height: int) -> NDArray[np.bool_]:
    """What `rasterise` made, decoded by pycocotools."""
    made = rasterise(ellipse, width=width, height=height)
    assert made is not None
    mask = coco_mask.decode({"size": list(made.size), "counts": made.counts.encode()})
    assert made.area == mask.sum()
    return np.asarray(mask, dtype=np.bool_)


def record(entry: make.Json) -> tuple[Any, Frame]:
    """The COCO annotation of the only object of an image, as a file holds it, and its frame."""
    row: LabelRow = make.read(make.image_row(entry)).row
    (frame,) = row.frames
    (item,) = frame.objects
    image = coco.image(frame, row)
    assert image is not None
    category = Category(id=1, feature_hash=item.feature_hash, name=item.name, shape=item.shape)
    made = coco.annotation(item, category, image=image, row=row)
    return msgspec.json.decode(msgspec.json.encode(made)), frame


@pytest.mark.parametrize("ellipse", ELLIPSES)
def test_the_pixels_of_an_ellipse_are_those_whose_centres_lie_in_it(ellipse: Ellipse) -> None:
    """Intersection over union of at least 0.98 with the equation; the rest is the rasteriser's own edge."""
    ours, theirs = pixels(ellipse, WIDTH, HEIGHT), dense(ellipse, WIDTH, HEIGHT)

    assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.98


@pytest.mark.parametrize(
    "ellipse", [*ELLIPSES, Ellipse(9, 9, 3, 2, 20), Ellipse(0, 0, 5e5, 9, 1), Ellipse(0, 0, 1e6, 1e6)]
)
def test_a_ring_is_nowhere_a_tenth_of_a_pixel_off_its_ellipse(ellipse: Ellipse) -> None:
    """Each vertex lies on the ellipse; each chord stays within the sagitta, even along the longer semi-axis."""
    points = points_of(ellipse_ring(ellipse))

    at_vertices = np.abs(in_circle(ellipse, points))
    at_chords = np.abs(in_circle(ellipse, (points + np.roll(points, -1, axis=0)) / 2))

    assert np.abs(at_vertices - 1).max() < 1e-6
    assert (1 - at_chords).max() * max(ellipse.rx, ellipse.ry) <= 0.1
    assert len(points) >= 16
    assert len(points) % 4 == 0
    assert len(points) < 20_000


@pytest.mark.parametrize("radius", [20.001, 21, 33.3, 50, 128, 777, 5000])
@pytest.mark.parametrize("flat", [1, 0.7, 0.1])
def test_the_area_of_a_ring_is_that_of_its_ellipse(radius: float, flat: float) -> None:
    """To half a percent where the longer radius is above 20 pixels."""
    ellipse = Ellipse(0, 0, radius, radius * flat, 12)

    points = points_of(ellipse_ring(ellipse))

    x, y = points.T
    area = abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2
    assert area == pytest.approx(math.pi * ellipse.rx * ellipse.ry, rel=0.005)


@pytest.mark.parametrize("theta", [0, 90, 180, 270, 360, -90])
def test_a_quarter_turn_has_the_ends_of_its_axes_as_vertices(theta: float) -> None:
    """Exact to the last digit that is published, so the ring reaches the hull."""
    points = points_of(ellipse_ring(Ellipse(100, 50, 30, 10, theta))).round(6)

    across, down = (30, 10) if theta % 180 == 0 else (10, 30)
    found = {(float(x), float(y)) for x, y in points}
    assert {(100 + across, 50.0), (100 - across, 50.0), (100.0, 50 + down), (100.0, 50 - down)} <= found


@pytest.mark.parametrize("ellipse", ELLIPSES)
def test_the_hull_of_an_ellipse_is_that_of_its_curve(ellipse: Ellipse) -> None:
    """Against a million points on it: the hull is not that of a coarser ring."""
    turns = np.linspace(0, 2 * np.pi, 1_000_001)
    curve = (ellipse.rx * np.cos(turns) + 1j * ellipse.ry * np.sin(turns)) * np.exp(1j * np.radians(ellipse.theta))

    left, top, across, down = ellipse_hull(ellipse)

    assert left == pytest.approx(ellipse.x + curve.real.min(), abs=1e-6)
    assert top == pytest.approx(ellipse.y + curve.imag.min(), abs=1e-6)
    assert left + across == pytest.approx(ellipse.x + curve.real.max(), abs=1e-6)
    assert top + down == pytest.approx(ellipse.y + curve.imag.max(), abs=1e-6)


def test_an_ellipse_turns_clockwise_on_screen() -> None:
    """By 30 degrees the right end of a wide ellipse goes down, in a frame whose y grows downwards."""
    first = ellipse_ring(Ellipse(100, 100, 50, 10, 30))[:2]

    assert first == pytest.approx((100 + 50 * math.sqrt(3) / 2, 125))


def test_a_circle_in_coco_is_its_ring_with_the_hull_of_the_circle() -> None:
    """`area` is that of the segmentation that is written; a circle that is not turned has no rotation."""
    made, frame = record(make.circle())

    (ring,) = made["segmentation"]
    points = points_of(tuple(ring))
    x, y = points.T
    assert made["bbox"] == [512, 232, 256, 256]
    assert made["area"] == pytest.approx(abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2, abs=1e-5)
    assert made["area"] == pytest.approx(math.pi * 128**2, rel=0.005)
    assert (made["iscrowd"], "rotation" in made["attributes"]) == (0, False)
    assert np.hypot(x - 640, y - 360) == pytest.approx(128, abs=1e-5)
    assert is_simple(tuple(ring))
    assert coco_mask.frPyObjects([ring], frame.height, frame.width)


def test_a_turned_ellipse_in_coco_keeps_its_angle() -> None:
    """`attributes.rotation` is theta, reduced to one turn; the mask is that of the turned ellipse."""
    made, frame = record(make.ellipse(theta=-315))
    assert frame.width
    assert frame.height

    mask = coco_mask.decode(coco_mask.frPyObjects(made["segmentation"], frame.height, frame.width))[:, :, 0] > 0

    expected = dense(Ellipse(640, 360, 256, 72, 45), frame.width, frame.height)
    assert made["attributes"]["rotation"] == 45
    assert (mask & expected).sum() / (mask | expected).sum() >= 0.98


def test_the_same_ellipse_gives_the_same_bytes() -> None:
    """Nothing of the run is in a ring."""
    assert record(make.ellipse(theta=33.3))[0] == record(make.ellipse(theta="33.3"))[0]


def test_a_speck_is_a_ring_too() -> None:
    """A circle smaller than a pixel has its sixteen points and loses no annotation."""
    made, _ = record(make.circle(r=1e-5))

    assert len(made["segmentation"][0]) == 32
    assert made["area"] == pytest.approx(math.pi * 0.0128**2, rel=0.03)
