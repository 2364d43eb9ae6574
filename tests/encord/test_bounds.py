"""Shapes made to exhaust memory or crash a rasteriser: refused before anything of their size is allocated."""

import math
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from encord_dagster.encord.bitmask import RunsError, decode_runs
from encord_dagster.encord.label_rows import RowReading
from encord_dagster.encord.pixels import Scale, read_polygon, read_polyline
from encord_dagster.encord.scalars import ABSENT, Raw
from encord_dagster.errors import RowError
from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.raster import area_in_pixels, rasterise
from encord_dagster.geometry import LARGEST_FRAME, LONGEST_OUTLINE, Polygon
from tests import factories as make
from tests.factories import Json

MEGABYTE = 10**6
SIDE = 10**6  # the largest side of a frame that the reader takes


@contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """Fail where more memory than that is taken on top of what is there."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"


def read_in(entry: Json, width: object, height: object) -> RowReading:
    """The reading of one object on an image of any size."""
    row = make.changed(make.image_row(entry), width, "data_units", "data-0", "width")
    return make.read(make.changed(row, height, "data_units", "data-0", "height"))


def annotation(reading: RowReading) -> coco.Annotation:
    """The COCO annotation of the only object of an image."""
    (frame,) = reading.row.frames
    (item,) = frame.objects
    image = coco.image(frame, reading.row)
    assert image is not None
    category = Category(id=1, feature_hash=item.feature_hash, name=item.name, shape=item.shape)
    return coco.annotation(item, category, image=image, row=reading.row)


def wheel(points: int, *, radius: float = 0.4) -> list[float]:
    """A flat ring of many points about the middle of an image."""
    turns = [2 * math.pi * place / points for place in range(points)]
    return [part for turn in turns for part in (0.5 + radius * math.cos(turn), 0.5 + radius * math.sin(turn))]


def zigzag(points: int) -> list[float]:
    """A flat ring that runs from edge to edge with every point."""
    return [part for place in range(points) for part in (float(place % 2), place / points)]


def raw(value: object) -> Raw:
    """A geometry as the readers get it."""
    return Raw(msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("code", "width", "height"),
    [
        ("9", 2**16, 2**16),
        ("0" * 10**6, 2**16, 2**16),
        ("PPPPPP4", 2**16, 2**16),
        ("9", 10**5, 10**5),
        ("9", 10**6, 10**6),
        ("9", 2**14, 2**14 + 1),
        ("0", 0, 0),
        ("9", -3, -3),
        ("9", -(2**16), 2**16),
        ("9", 10**400, 1),
        ("o" * 10**6, 10, 10),
        ("o" * 10**6, 10**4, 10**4),
        ("P" * 10**6 + "0", 10**4, 10**4),
        ("0" * 10**6, 10, 10),
        ("01" * (5 * 10**5), 10, 10),
        ("1O" * (5 * 10**5), 10, 10),
        ("0" * 10**6, 500, 499),
        ("iiiiiiiiiiii", 3, 3),
    ],
)
def test_a_mask_bomb_is_refused_before_its_pixels_are_allocated(code: str, width: int, height: int) -> None:
    """Giant, empty and negative sizes, endless numbers, a million runs on a hundred pixels."""
    started = time.process_time()

    with at_most(20), pytest.raises(RunsError):
        decode_runs(code, width, height)

    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("code", "width", "height"),
    [
        ("9", 2**16, 2**16),
        ("9", 10**5, 10**5),
        ("9", 10**6, 10**6),
        ("o" * 10**5, 100, 100),
        ("0" * 10**6, 10, 10),
        ("0", 0, 0),
        ("9", -3, -3),
    ],
)
def test_a_mask_bomb_is_quarantined_and_its_image_stays(code: str, width: int, height: int) -> None:
    """Also where the image claims the same giant size."""
    with at_most(20):
        reading = read_in(make.bitmask(code, width, height), width, height)

    (quarantined,) = reading.row.quarantined
    sizes_fit = width > 0
    assert [finding.rule for finding in quarantined.findings] == ["bad_bitmask" if sizes_fit else "no_frame_size"]
    assert len(reading.row.frames) == 1


@pytest.mark.parametrize(("width", "height"), [(0, 0), (-3, -3), (10**400, 1), (None, 5), (2.5, 4)])
def test_a_mask_of_no_size_is_quarantined_on_a_sound_image(width: object, height: object) -> None:
    """At the origin and with offsets."""
    for left in (0, 5):
        reading = make.read(make.image_row(make.bitmask("9", width, height, left=left)))

        assert make.rules(reading) == ["bad_bitmask"]


@pytest.mark.parametrize(("width", "height"), [(SIDE, SIDE), (2**16, 2**15), (46341, 46341)])
def test_shapes_on_a_giant_frame_are_taken_without_its_pixels(width: int, height: int) -> None:
    """Boxes, outlines, ellipses, lines and points need no mask, so their frame may be larger than any."""
    outline = [(0.1, 0.1), (0.4, 0.1), (0.4, 0.6)]
    exact = width * height * 0.3 * 0.5 / 2

    with at_most(20):
        made = [annotation(read_in(entry, width, height)) for entry in (make.polygon(outline), make.ellipse())]
        for entry in (make.box(), make.rotated_box(), make.polyline(), make.point(), make.skeleton()):
            annotation(read_in(entry, width, height))

    assert made[0].area == pytest.approx(exact, rel=1e-9)
    assert made[1].area == pytest.approx(math.pi * 0.2 * 0.1 * width * height, rel=0.005)


@pytest.mark.parametrize(("width", "height"), [(SIDE, SIDE), (2**16, 2**15), (2 * SIDE // 3, 5000)])
def test_the_area_of_outlines_that_meet_is_measured_in_coarser_cells(width: int, height: int) -> None:
    """A bow-tie, and two squares that overlap, on frames that pycocotools cannot count."""
    tie = [[[0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9]]]
    squares = [[[0.1, 0.1, 0.5, 0.1, 0.5, 0.5, 0.1, 0.5]], [[0.4, 0.4, 0.8, 0.4, 0.8, 0.8, 0.4, 0.8]]]

    with at_most(50):
        made = [annotation(read_in(make.polygons(rings), width, height)) for rings in (tie, squares)]

    assert [one.area / width / height for one in made] == pytest.approx([0.32, 0.31], rel=1e-3)
    assert [len(one.segmentation) for one in made if isinstance(one.segmentation, tuple)] == [1, 2]


def test_a_hole_on_a_frame_too_large_for_masks_is_quarantined() -> None:
    """Only a mask can say a hole; one of more than 2^31 pixels would be wrong without a word."""
    rings = [[wheel(30), wheel(30, radius=0.2)]]

    fitting, beyond = (read_in(make.polygons(rings), 46340 + more, 46341) for more in (0, 1))

    assert 46340 * 46341 <= LARGEST_FRAME < 46341 * 46341
    assert annotation(fitting).area == pytest.approx(math.pi * 0.12 * 46340 * 46341, rel=0.02)
    assert make.rules(beyond) == ["too_large_to_mask"]


def test_no_shape_is_rasterised_on_a_frame_too_large_for_masks() -> None:
    """Whoever asks for its pixels gets an error and not a wrong mask."""
    with at_most(1), pytest.raises(RowError, match="too large for masks"):
        rasterise(Polygon(((tuple(wheel(9)),),)), width=SIDE, height=SIDE)


@pytest.mark.parametrize(
    "entry",
    [
        make.polygons([[zigzag(6000)]]),
        make.polygons([[wheel(30)], [zigzag(6000)]]),
        make.polygons([[wheel(30), zigzag(6000)]]),
        make.polyline([(place % 2, place / 3000) for place in range(3000)]),
    ],
)
def test_an_outline_that_no_rasteriser_can_follow_is_quarantined(entry: Json) -> None:
    """Pycocotools takes memory for each pixel of an outline, and crashes the process where there is none."""
    with at_most(20):
        reading = make.read(make.image_row(entry))

    assert make.rules(reading) == ["too_large_to_mask"]


def test_the_longest_outline_is_the_border_of_the_largest_frame() -> None:
    """Nothing that a hand can draw is refused."""
    border = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]

    reading = read_in(make.polygon(border), SIDE, SIDE)

    assert LONGEST_OUTLINE >= 4 * SIDE
    assert reading.findings == ()
    assert annotation(reading).area == SIDE * SIDE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda found: read_polygon(ABSENT, found, Scale(1280, 720)), [[wheel(10**6)]]),
        (
            lambda found: read_polygon(found, ABSENT, Scale(1280, 720)),
            {str(place): {"x": 0.5 + 0.4 * math.cos(place), "y": 0.5} for place in range(2000)}
            | {str(place): {"x": 0.5, "y": place / 10**6} for place in range(2000, 10**6)},
        ),
        (
            lambda found: read_polyline(found, Scale(1280, 720)),
            [{"x": place / 10**6, "y": place / 10**6} for place in range(10**6)],
        ),
    ],
)
def test_a_million_points_are_read_in_seconds(read: Callable[[Raw], object], value: object) -> None:
    """Time grows with the points, not with their square."""
    given = raw(value)
    started = time.process_time()

    read(given)

    assert time.process_time() - started < 20


@pytest.mark.slow
def test_a_million_points_become_an_annotation_in_seconds() -> None:
    """The search for crossings gives up where it would take long; the area is then that of the pixels."""
    entry = make.entry("polygon", {"polygons": [[wheel(10**6)]]})
    reading = make.read(make.image_row(entry))
    started = time.process_time()

    made = annotation(reading)

    assert time.process_time() - started < 20
    assert made.area == pytest.approx(math.pi * 0.16 * 1280 * 720, rel=0.005)


@pytest.mark.parametrize(
    ("count", "rings_of_one"), [(10**4, 1), (10**4, 2), pytest.param(10**5, 1, marks=pytest.mark.slow)]
)
def test_many_polygons_are_united_in_seconds(count: int, rings_of_one: int) -> None:
    """One sweep over all runs: time grows with the rings, not with their square; a hundred thousand are no harm."""
    spots = [((place % 300) / 300 * 1280, (place // 300) / 340 * 720) for place in range(count)]
    ring = (0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0)
    parts = tuple(
        (tuple(value + spot[place % 2] for place, value in enumerate(ring)),) * rings_of_one for spot in spots
    )
    started = time.process_time()

    area = area_in_pixels(Polygon(parts), width=1280, height=720)

    assert time.process_time() - started < 20
    assert area == (0 if rings_of_one == 2 else pytest.approx(count * 4, rel=0.2))
