"""Shapes to pixels, judged by masks put together densely from single pycocotools calls."""

import math

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from numpy.typing import NDArray

from encord_dagster import rle
from encord_dagster.formats import raster
from encord_dagster.formats.raster import corners, is_simple, needs_rle, rasterise, ring_area
from encord_dagster.geometry import (
    Bitmask,
    Box,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
)

SIZES = [(1280, 720), (97, 61), (61, 97), (1, 1), (640, 1), (1, 480)]
SQUARE: Ring = (10.0, 10.0, 50.0, 10.0, 50.0, 50.0, 10.0, 50.0)
HOLE: Ring = (20.0, 20.0, 40.0, 20.0, 40.0, 40.0, 20.0, 40.0)
AWAY: Ring = (60.0, 5.0, 90.0, 5.0, 75.0, 40.0)
BOW_TIE: Ring = (0.0, 0.0, 40.0, 40.0, 40.0, 0.0, 0.0, 40.0)
STAR: Ring = (30.0, 0.0, 45.0, 50.0, 2.0, 18.0, 58.0, 18.0, 15.0, 50.0)


def filled(ring: Ring, width: int, height: int) -> NDArray[np.bool_]:
    """Pixels of one ring, from pycocotools alone."""
    code = coco_mask.frPyObjects([[round(number, 6) for number in ring]], height, width)
    return np.asarray(coco_mask.decode(code)[:, :, 0], dtype=np.bool_)


def pixels(geometry: Geometry, *, width: int, height: int) -> NDArray[np.bool_]:
    """What `rasterise` made, decoded by pycocotools; its area and box are checked on the way."""
    made = rasterise(geometry, width=width, height=height)
    assert made is not None
    code = {"size": list(made.size), "counts": made.counts.encode()}
    mask = np.asarray(coco_mask.decode(code), dtype=np.bool_)
    again = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert made.counts == again["counts"].decode()
    assert made.size == (height, width)
    assert made.area == mask.sum()
    assert list(made.bbox) == coco_mask.toBbox(again).tolist()
    assert mask.shape == (height, width)
    return mask


def wheel(*, seed: int, width: int, height: int, points: int = 24) -> Ring:
    """A ragged ring somewhere in, or partly out of, the frame."""
    random = np.random.default_rng(seed)
    x, y, size = random.random() * width, random.random() * height, random.random() * (width + height) / 3
    ring: list[float] = []
    for turn in np.sort(random.random(points)) * 2 * math.pi:
        radius = size * (0.3 + 0.7 * random.random())
        ring += [float(x + radius * math.cos(turn)), float(y + radius * math.sin(turn))]
    return tuple(ring)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("seed", range(6))
def test_a_polygon_with_one_ring_has_the_pixels_that_pycocotools_gives_it(seed: int, width: int, height: int) -> None:
    """Ragged rings, in the frame and across its border."""
    ring = wheel(seed=seed, width=width, height=height)

    mask = pixels(Polygon(((ring,),)), width=width, height=height)

    assert np.array_equal(mask, filled(ring, width, height))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("seed", range(6))
def test_rings_are_even_odd_and_polygons_are_united(seed: int, width: int, height: int) -> None:
    """Holes, holes that leave their outline, islands and overlapping polygons."""
    rings = [wheel(seed=100 * seed + place, width=width, height=height) for place in range(5)]

    mask = pixels(Polygon(((rings[0], rings[1], rings[2]), (rings[3], rings[4]))), width=width, height=height)

    dense = [filled(ring, width, height) for ring in rings]
    assert np.array_equal(mask, (dense[0] ^ dense[1] ^ dense[2]) | (dense[3] ^ dense[4]))


def test_a_donut_keeps_its_hole() -> None:
    """Exact areas: 40 x 40 less 20 x 20."""
    mask = pixels(Polygon(((SQUARE, HOLE),)), width=100, height=70)

    assert mask.sum() == 1200
    assert not mask[30, 30]
    assert mask[15, 15]


def test_a_hole_equal_to_its_outline_leaves_nothing() -> None:
    """An empty mask is a mask: a code for the whole frame, no area, no box."""
    made = rasterise(Polygon(((SQUARE, SQUARE),)), width=100, height=70)

    assert made == raster.Raster(rle.encode([7000]), (70, 100), 0, (0, 0, 0, 0))


@pytest.mark.parametrize("polygons", [(), ((),), (((1.0, 1.0, 9.0, 9.0),),), (((),),)])
def test_rings_of_fewer_than_three_points_fill_nothing(polygons: tuple[tuple[Ring, ...], ...]) -> None:
    """Four numbers are no polygon to pycocotools; here they are a line without area."""
    assert not pixels(Polygon(polygons), width=20, height=10).any()


def test_a_ring_that_crosses_itself_is_filled_even_odd() -> None:
    """A bow-tie keeps both its triangles; the heart of a five-pointed star is empty."""
    tie = pixels(Polygon(((BOW_TIE,),)), width=60, height=60)
    star = pixels(Polygon(((STAR,),)), width=60, height=60)

    assert tie.sum() == pytest.approx(800, abs=40)
    assert tie[20, 2]
    assert tie[20, 37]
    assert not tie[2, 20]
    assert not star[25, 30]
    assert star[5, 30]


@pytest.mark.parametrize(
    "box", [Box(3, 4, 20, 10), Box(3.4, 4.6, 20.2, 10.9), Box(-5, -5, 20, 10), Box(80, 50, 40, 40), Box(0, 0, 97, 61)]
)
def test_a_box_has_the_pixels_of_pycocotools_own_box(box: Box) -> None:
    """The polygon of four corners and pycocotools' box fill the same pixels, cut at the frame."""
    own = coco_mask.frPyObjects(np.array([[box.x, box.y, box.width, box.height]], dtype=np.float64), 61, 97)

    mask = pixels(box, width=97, height=61)

    assert np.array_equal(mask, coco_mask.decode(own)[:, :, 0].astype(np.bool_))


def test_a_rotated_box_turns_clockwise_on_screen_about_its_centre() -> None:
    """45 degrees bring the top-left corner to the top; the formula of the format, worked by hand."""
    ring = corners(RotatedBox(40, 20, 20, 20, 45))

    half = math.sqrt(200)
    assert ring == pytest.approx((50, 30 - half, 50 + half, 30, 50, 30 + half, 50 - half, 30))


@pytest.mark.parametrize("theta", [0, 90, 180, 270, 360, -90, 450])
def test_quarter_turns_are_exact(theta: float) -> None:
    """No noise in the last digit: corners are those of a box, 30 x 10 or 10 x 30."""
    ring = corners(RotatedBox(10, 20, 30, 10, theta))

    across, down = (15, 5) if theta % 180 == 0 else (5, 15)
    assert set(ring[0::2]) == {25 - across, 25 + across}
    assert set(ring[1::2]) == {25 - down, 25 + down}
    assert ring_area(ring) == 300


@pytest.mark.parametrize("theta", [0, 17, 90, 133.3, 725, -30])
def test_a_rotated_box_has_the_pixels_of_its_corners(theta: float) -> None:
    """On a frame that is not square; the corners are worked out with complex numbers."""
    turn = complex(math.cos(math.radians(theta)), math.sin(math.radians(theta)))
    ring = [60 + 35j + turn * corner for corner in (-30 - 10j, 30 - 10j, 30 + 10j, -30 + 10j)]

    mask = pixels(RotatedBox(30, 25, 60, 20, theta), width=120, height=70)

    assert np.array_equal(mask, filled(tuple(part for point in ring for part in (point.real, point.imag)), 120, 70))
    assert mask.sum() == pytest.approx(1200, rel=0.03)


def test_a_bitmask_keeps_its_pixels() -> None:
    """Row-major runs over a frame that is not square."""
    made = rasterise(Bitmask((0, 1, 5, 3, 6)), width=5, height=3)

    assert made == raster.Raster("0130O0002", (3, 5), 4, (0, 0, 4, 2))


def test_a_bitmask_of_another_frame_is_refused() -> None:
    """A mask that does not cover the frame is never stretched or padded."""
    with pytest.raises(rle.RleError, match="add up to 15 pixels, the frame has 18"):
        rasterise(Bitmask((0, 1, 5, 3, 6)), width=6, height=3)


@pytest.mark.parametrize(
    "geometry", [Polyline((0, 0, 9, 9, 0, 9)), Point(3, 3), Skeleton((Joint("f", "nose", 1.0, 2.0),))]
)
def test_lines_points_and_skeletons_have_no_pixels(geometry: Geometry) -> None:
    """They have no area, not even where they close."""
    assert rasterise(geometry, width=10, height=10) is None


def test_the_last_bit_of_a_coordinate_does_not_move_a_pixel() -> None:
    """5 x 100.1 is a tie for the rasteriser: a fraction times a width must land where the rounded number lands."""
    noisy = 0.1001 * 1000 - 2e-14
    ring = (noisy, 0.0, 300.0, 0.0, 300.0, 50.0, noisy, 50.0)
    clean = (100.1, *ring[1:6], 100.1, 50.0)

    made = rasterise(Polygon(((ring,),)), width=1000, height=60)

    assert noisy != 100.1
    assert made == rasterise(Polygon(((clean,),)), width=1000, height=60)


def test_only_holes_need_run_lengths() -> None:
    """COCO unites its rings, so it can say several polygons and a bow-tie, but no hole."""
    assert needs_rle(Polygon(((SQUARE, HOLE),)))
    assert needs_rle(Polygon(((AWAY,), (SQUARE, HOLE))))
    assert not needs_rle(Polygon(((SQUARE,), (AWAY,))))
    assert not needs_rle(Polygon(((BOW_TIE,),)))


@pytest.mark.parametrize(
    ("ring", "area"),
    [(SQUARE, 1600.0), (SQUARE[::-1], 1600.0), (AWAY, 525.0), (BOW_TIE, 0.0), ((1.0, 1.0, 2.0, 2.0), 0.0), ((), 0.0)],
)
def test_the_area_of_a_ring_does_not_depend_on_its_direction(ring: Ring, area: float) -> None:
    """Shoelace; two points and a bow-tie have none."""
    assert ring_area(ring) == area


def test_the_area_of_a_small_ring_far_out_keeps_its_digits() -> None:
    """Differences from the first point, not products of large coordinates."""
    assert ring_area((1e8, 1e8, 1e8 + 0.5, 1e8, 1e8 + 0.5, 1e8 + 0.5, 1e8, 1e8 + 0.5)) == 0.25


@pytest.mark.parametrize(
    ("ring", "simple"),
    [
        (SQUARE, True),
        (AWAY, True),
        ((*SQUARE, *SQUARE[:2]), True),  # closed by repeating its first point
        ((*SQUARE[:2], *SQUARE), True),  # a point twice in a row
        (BOW_TIE, False),
        (STAR, False),
        ((0.0, 0.0, 10.0, 0.0, 10.0, 10.0, 10.0, 0.0), False),  # a spike
        ((0.0, 0.0, 5.0, 0.0, 10.0, 0.0), False),  # flat
        ((0.0, 0.0, 20.0, 0.0, 20.0, 10.0, 10.0, 0.0, 0.0, 10.0), False),  # touches itself
        ((0.0, 0.0, 9.0, 9.0), False),
        ((), False),
    ],
)
def test_a_simple_ring_is_told_from_one_that_meets_itself(ring: Ring, simple: bool) -> None:
    """Crossing, touching, retracing and degenerate rings are not simple."""
    assert is_simple(ring) is simple
    assert is_simple(ring[2:] + ring[:2]) is simple


@pytest.mark.parametrize("seed", range(40))
def test_crossings_are_found_wherever_a_brute_force_search_finds_one(seed: int) -> None:
    """Random rings, every pair of edges solved as two linear equations."""
    random = np.random.default_rng(seed)
    ring = random.random(2 * int(random.integers(4, 9)))
    points = ring.reshape(-1, 2)
    edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
    crossing = False
    for one in range(len(edges)):
        for two in range(one + 2, len(edges) - (one == 0)):
            (a, b), (c, d) = edges[one], edges[two]
            along = np.linalg.solve(np.stack([b - a, c - d], axis=1), c - a)
            crossing |= bool(((along > 0) & (along < 1)).all())

    assert is_simple(tuple(ring.tolist())) is not crossing


def test_a_long_plain_outline_is_looked_at_and_a_dense_zigzag_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts pairs of edges that may meet, not points."""
    turns = [2 * math.pi * step / 3000 for step in range(3000)]
    circle = tuple(part for turn in turns for part in (500 + 400 * math.cos(turn), 500 + 400 * math.sin(turn)))
    teeth = tuple(float(part) for step in range(600) for part in ((step % 2) * 500, step))
    zigzag = (*teeth, 600.0, 300.0, 600.0, -5.0)

    assert is_simple(circle)
    assert not is_simple(zigzag)
    monkeypatch.setattr(raster, "MAX_EDGE_PAIRS", 10**6)
    assert is_simple(zigzag)
