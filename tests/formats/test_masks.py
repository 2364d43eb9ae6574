"""Mask pictures, read back with Pillow and compared with frames painted by another hand."""

import io
import struct
import tracemalloc
import zlib
from itertools import groupby

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from numpy.typing import NDArray
from PIL import Image

from encord_dagster.encord.model import Frame, ObjectInstance
from encord_dagster.errors import RowError, UsageError
from encord_dagster.formats import masks, png
from encord_dagster.formats.masks import compose, mask_pngs, overlay
from encord_dagster.formats.palette import colour, palette
from encord_dagster.formats.raster import ellipse_ring
from encord_dagster.geometry import (
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
)

IDS = {"car": 1, "road": 2, "tree": 7, "late": 255, "later": 300}
DONUT = Polygon((((10, 10, 50, 10, 50, 50, 10, 50), (20, 20, 40, 20, 40, 40, 20, 40)),))
TWO_PARTS = Polygon((((5, 5, 30, 5, 30, 30, 5, 30),), ((20, 20, 45, 20, 45, 45, 20, 45),)))
BOW_TIE = Polygon((((0, 0, 40, 40, 40, 0, 0, 40),),))

Pixels = NDArray[np.int64]


def frame_of(*objects: tuple[str, Geometry], width: int | None = 64, height: int | None = 60) -> Frame:
    """A frame with objects of the given classes."""
    made = [
        ObjectInstance(object_hash=f"o{place}", feature_hash=name, name=name, shape="-", geometry=geometry)
        for place, (name, geometry) in enumerate(objects)
    ]
    return Frame(
        data_hash="d",
        number=3,
        identity="3",
        mime_type="image/png",
        width=width,
        height=height,
        objects=tuple(made),
    )


def opened(data: bytes) -> Pixels:
    """Pixels of a PNG as Pillow reads them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image).astype(np.int64)


def filled(ring: Ring, width: int, height: int) -> NDArray[np.bool_]:
    """Pixels of one ring, from pycocotools alone."""
    code = coco_mask.frPyObjects([[round(number, 6) for number in ring]], height, width)
    return np.asarray(coco_mask.decode(code)[:, :, 0], dtype=np.bool_)


def area_of(geometry: Geometry, width: int, height: int) -> NDArray[np.bool_]:
    """Pixels of a shape, put together densely."""
    mask = np.zeros((height, width), dtype=np.bool_)
    match geometry:
        case Box(x, y, w, h):
            mask = filled((x, y, x + w, y, x + w, y + h, x, y + h), width, height)
        case RotatedBox(x, y, w, h, theta):
            turn, centre = np.exp(1j * np.radians(theta)), complex(x + w / 2, y + h / 2)
            points = [centre + turn * complex(dx * w, dy * h) / 2 for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            mask = filled(tuple(float(part) for point in points for part in (point.real, point.imag)), width, height)
        case Ellipse():
            mask = filled(ellipse_ring(geometry), width, height)
        case Polygon(polygons):
            for rings in polygons:
                mask = mask | np.logical_xor.reduce([filled(ring, width, height) for ring in rings])
        case Bitmask(runs):
            mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
        case Polyline() | Point() | Skeleton():
            pass
    return mask


def painted(frame: Frame, values: list[int]) -> Pixels:
    """The frame with the pixels of each object set to its value, later objects on top."""
    assert frame.width
    assert frame.height
    canvas = np.zeros((frame.height, frame.width), dtype=np.int64)
    for item, value in zip(frame.objects, values, strict=True):
        canvas[area_of(item.geometry, frame.width, frame.height)] = value
    return canvas


def bitmask(mask: NDArray[np.bool_]) -> Bitmask:
    """Row-major runs of a mask."""
    runs = [len(list(run)) for _, run in groupby(mask.ravel().tolist())]
    return Bitmask((0, *runs) if mask.flat[0] else tuple(runs))


def every_shape(width: int, height: int) -> Frame:
    """All shapes, overlapping, some across the border, on a frame of any size."""
    random = np.random.default_rng(width * height)
    rings = [tuple((random.random(16) * ([width, height] * 8)).tolist()) for _ in range(5)]
    y, x = np.mgrid[:height, :width]
    disc = (x - width / 3) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    return frame_of(
        ("car", Box(width * 0.1, height * 0.2, width * 0.5, height * 0.333)),
        ("road", RotatedBox(width * 0.3, height * 0.3, width * 0.4, height * 0.2, 33.3)),
        ("road", Polyline((0, 0, width, height, 0, height))),
        ("tree", bitmask(disc)),
        ("car", Polygon(((rings[0], rings[1]), (rings[2],)))),
        ("car", Point(width / 2, height / 2)),
        ("late", Box(-5, -5, width * 0.2 + 5, height * 0.3 + 5)),
        ("tree", Skeleton((Joint("j", "nose", 1.0, 1.0), Joint("k", "tail", 9.0, 5.0, "occluded")))),
        ("tree", Polygon(((rings[3],), (rings[4],)))),
        ("road", Ellipse(width * 0.7, height * 0.6, width * 0.2, height * 0.1, 33.3)),
        width=width,
        height=height,
    )


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (61, 97), (97, 61), (1, 1), (33, 1), (1, 33)])
def test_both_pictures_equal_an_independent_painting(width: int, height: int) -> None:
    """All shapes; category ids in one picture, numbers in document order in the other."""
    frame = every_shape(width, height)

    made = mask_pngs(frame, IDS)

    assert made is not None
    assert np.array_equal(opened(made.semantic), painted(frame, [IDS[item.feature_hash] for item in frame.objects]))
    assert np.array_equal(opened(made.instance), painted(frame, list(range(1, len(frame.objects) + 1))))


def test_the_same_frame_gives_the_same_bytes() -> None:
    """Nothing of the run is in a picture."""
    assert mask_pngs(every_shape(97, 61), IDS) == mask_pngs(every_shape(97, 61), dict(reversed(IDS.items())))
    assert overlay(every_shape(97, 61), IDS) == overlay(every_shape(97, 61), IDS)


def test_a_donut_keeps_its_hole_and_shows_what_lies_below() -> None:
    """The hole is not painted: the object under it can be seen through it."""
    made = mask_pngs(frame_of(("road", Box(0, 0, 60, 60)), ("car", DONUT)), IDS)

    assert made is not None
    semantic = opened(made.semantic)
    assert (semantic == 1).sum() == 1200
    assert semantic[30, 30] == 2
    assert opened(made.instance)[30, 30] == 1


def test_two_polygons_of_one_object_are_united() -> None:
    """Where they overlap the object is still there, not cancelled."""
    made = mask_pngs(frame_of(("car", TWO_PARTS)), IDS)

    assert made is not None
    assert (opened(made.instance) == 1).sum() == 2 * 25 * 25 - 10 * 10
    assert opened(made.instance)[25, 25] == 1


def test_a_bow_tie_keeps_both_triangles() -> None:
    """Its shoelace area is 0, its pixels are not."""
    made = mask_pngs(frame_of(("car", BOW_TIE)), IDS)

    assert made is not None
    assert opened(made.semantic)[20, [2, 37]].tolist() == [1, 1]
    assert opened(made.semantic)[[2, 37], 20].tolist() == [0, 0]


def test_the_later_object_lies_on_top() -> None:
    """Turning the order round turns the overlap round."""
    low, high = ("car", Box(0, 0, 30, 30)), ("tree", Box(20, 20, 30, 30))

    one, other = mask_pngs(frame_of(low, high), IDS), mask_pngs(frame_of(high, low), IDS)

    assert one is not None
    assert other is not None
    assert opened(one.semantic)[25, 25] == 7
    assert opened(one.instance)[25, 25] == 2
    assert opened(other.semantic)[25, 25] == 1
    assert opened(other.instance)[25, 25] == 2


def test_objects_without_area_keep_their_number() -> None:
    """The second box is the third object, so its value is 3."""
    made = mask_pngs(frame_of(("car", Box(0, 0, 5, 5)), ("car", Point(1, 1)), ("car", Box(10, 10, 5, 5))), IDS)

    assert made is not None
    assert np.unique(opened(made.instance)).tolist() == [0, 1, 3]


def test_a_frame_without_objects_gives_two_pictures_of_zeros() -> None:
    """Nothing labelled is a statement, not a missing file."""
    made = mask_pngs(frame_of(), {})

    assert made is not None
    for picture in (made.semantic, made.instance):
        assert opened(picture).shape == (60, 64)
        assert not opened(picture).any()


@pytest.mark.parametrize(("width", "height"), [(None, None), (None, 60), (64, None), (0, 0)])
def test_a_frame_without_size_gives_none(width: int | None, height: int | None) -> None:
    """Audio, text and PDF have no pixels."""
    frame = frame_of(("car", Box(0, 0, 5, 5)), width=width, height=height)

    assert mask_pngs(frame, IDS) is None
    with pytest.raises(UsageError, match="frame 3 of data unit d has no size"):
        overlay(frame, IDS)


@pytest.mark.parametrize(("width", "height"), [(10**6, 10**6), (2**14, 2**14 + 1)])
def test_a_frame_too_large_to_paint_gives_none(width: int, height: int) -> None:
    """Nothing is allocated for it: a picture of 10^6 x 10^6 pixels would be two terabytes."""
    frame = frame_of(("car", Box(0, 0, 5, 5)), width=width, height=height)
    empty = frame_of(width=width, height=height)

    tracemalloc.start()
    made = [mask_pngs(frame, IDS), mask_pngs(empty, IDS)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert made == [None, None]
    assert peak < 10**6


def test_an_overlay_of_a_giant_frame_costs_what_its_picture_costs() -> None:
    """Shapes are drawn at the picture's size, never at the frame's."""
    side = 10**6
    line = ("road", Polyline((0, side, side, 0)))
    shapes: list[tuple[str, Geometry]] = [("car", Box(0, 0, side / 2, side / 2)), ("tree", Point(9, 9)), line]
    shapes += [("late", Ellipse(side * 0.75, side * 0.75, side / 5, side / 9, 30))]

    tracemalloc.start()
    seen = opened(overlay(frame_of(*shapes, width=side, height=side), IDS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    middle = seen.shape[1] * 3 // 4
    assert seen[middle, middle].tolist() == [(g + ink) // 2 for g, ink in zip((70, 73, 78), colour(255), strict=True)]
    assert peak < 200 * 10**6


def test_the_semantic_picture_has_a_palette_while_ids_fit() -> None:
    """8-bit palette with the colour of each id up to 255; 16-bit grey beyond; instances always 16-bit grey."""
    small = mask_pngs(frame_of(("late", Box(0, 0, 5, 5))), IDS)
    large = mask_pngs(frame_of(("late", Box(0, 0, 5, 5)), ("later", Point(50, 50)), ("later", Box(9, 9, 5, 5))), IDS)

    assert small is not None
    assert large is not None
    with Image.open(io.BytesIO(small.semantic)) as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((2, 2)) == colour(255)
    with Image.open(io.BytesIO(large.semantic)) as image:
        assert image.mode == "I;16"
    with Image.open(io.BytesIO(small.instance)) as image:
        assert image.mode == "I;16"
    assert np.unique(opened(large.semantic)).tolist() == [0, 255, 300]


def test_more_than_255_objects_are_told_apart() -> None:
    """Instance values do not wrap at a byte."""
    boxes = [("car", Box(place % 64, place // 64, 1, 1)) for place in range(700)]
    frame = frame_of(*boxes)

    made = mask_pngs(frame, IDS)

    assert made is not None
    assert np.array_equal(opened(made.instance), painted(frame, list(range(1, 701))))
    assert opened(made.instance).max() == 700


def test_more_objects_than_16_bits_can_number_are_refused() -> None:
    """65,535 is the limit; the message says which frame."""
    frame = frame_of(*[("car", Point(1, 1))] * 65536)

    with pytest.raises(RowError, match="frame 3 of data unit d holds 65536 objects") as error:
        mask_pngs(frame, IDS)

    assert error.value.reason == "too_many_objects"


@pytest.mark.parametrize(("ids", "what"), [({}, "no category id"), ({"car": 0}, "id 0"), ({"car": 65536}, "id 65536")])
def test_a_class_without_a_usable_id_is_refused(ids: dict[str, int], what: str) -> None:
    """0 is the background; a missing class must not become it."""
    with pytest.raises(UsageError, match=f"class car has.*{what}"):
        mask_pngs(frame_of(("car", Point(1, 1))), ids)


def test_composed_pictures_equal_one_picture_of_all_objects() -> None:
    """Two label rows of one image: the upper row's numbers go on where the lower row's end."""
    frame = every_shape(97, 61)
    parts = [
        frame_of(*[(item.feature_hash, item.geometry) for item in part], width=97, height=61)
        for part in (frame.objects[:4], frame.objects[4:])
    ]
    whole, lower, upper = (mask_pngs(part, IDS) for part in (frame, *parts))
    assert whole is not None
    assert lower is not None
    assert upper is not None

    instance = compose(lower.instance, upper.instance, offset=4)
    semantic = compose(lower.semantic, upper.semantic, offset=0)

    assert instance == whole.instance
    assert semantic == whole.semantic


def test_composing_8_and_16_bits_gives_16() -> None:
    """A palette picture over a grey one, and the other way round, keep all values."""
    low, high = mask_pngs(frame_of(("car", Box(0, 0, 9, 9))), IDS), mask_pngs(frame_of(("later", Box(5, 5, 9, 9))), IDS)
    assert low is not None
    assert high is not None

    one, other = compose(low.semantic, high.semantic, offset=0), compose(high.semantic, low.semantic, offset=0)

    assert opened(one)[[1, 7, 12], [1, 7, 12]].tolist() == [1, 300, 300]
    assert opened(other)[[1, 7, 12], [1, 7, 12]].tolist() == [1, 1, 300]


def test_an_empty_picture_above_changes_nothing_whatever_the_offset() -> None:
    """The offset moves what is set, never the background."""
    low, empty = mask_pngs(frame_of(("car", DONUT)), IDS), mask_pngs(frame_of(), IDS)
    assert low is not None
    assert empty is not None

    assert compose(low.instance, empty.instance, offset=65535) == low.instance
    assert opened(compose(empty.instance, low.instance, offset=9)).max() == 10


def test_pictures_that_do_not_fit_together_are_refused() -> None:
    """Other sizes, and values that leave 16 bits."""
    one, other = mask_pngs(frame_of(("car", DONUT)), IDS), mask_pngs(frame_of(width=60, height=64), IDS)
    assert one is not None
    assert other is not None

    with pytest.raises(UsageError, match="64x60 and 60x64"):
        compose(one.instance, other.instance, offset=0)
    with pytest.raises(UsageError, match="up to 65536"):
        compose(one.instance, one.instance, offset=65535)
    with pytest.raises(UsageError, match="offset -1"):
        compose(one.instance, one.instance, offset=-1)


def test_damaged_and_foreign_pictures_are_refused() -> None:
    """A flipped bit, a cut file, another program's filters, a picture that unpacks to more than it says."""
    made = mask_pngs(frame_of(("car", DONUT)), IDS)
    assert made is not None
    flipped = bytearray(made.instance)
    flipped[60] ^= 1
    foreign = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(foreign, "PNG")
    bomb = zlib.compress(bytes(10**6))
    header = png.SIGNATURE + png._chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 0, 0, 0, 0))

    for data, reason in (
        (bytes(flipped), "damaged"),
        (made.instance[:-20], "damaged|not a whole PNG"),
        (b"", "not a whole PNG"),
        (foreign.getvalue(), "not a mask PNG"),
        (overlay(frame_of(), IDS), "colour type 2"),
        (header + png._chunk(b"IDAT", bomb) + png._chunk(b"IEND", b""), "cut or filtered"),
    ):
        with pytest.raises(ValueError, match=reason):
            compose(made.instance, data, offset=0)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1280, 720, (640, 377)), (720, 1280, (350, 640)), (40, 30, (40, 30)), (9000, 3, (640, 18))],
)
def test_an_overlay_is_at_most_640_pixels_long_with_its_legend(width: int, height: int, size: tuple[int, int]) -> None:
    """Large frames shrink, small ones stay; very small ones go without a legend."""
    frame = frame_of(("car", Box(0, 0, width / 2, height / 2)), width=width, height=height)

    with Image.open(io.BytesIO(overlay(frame, IDS))) as image:
        assert image.mode == "RGB"
        assert image.size == size


def test_an_overlay_shows_areas_outlines_holes_lines_and_points() -> None:
    """Half of the colour inside, all of it along the edge, none in a hole, discs at points and joints."""
    joints = (Joint("j", "nose", 70.0, 90.0), Joint("k", "tail", 90.0, 90.0, "invisible"))
    frame = frame_of(
        ("car", DONUT),
        ("road", Polyline((0, 110, 120, 110))),
        ("tree", Point(80, 20)),
        ("tree", Skeleton(joints)),
        ("late", bitmask(np.pad(np.ones((10, 10), dtype=np.bool_), ((50, 60), (80, 30))))),
        width=120,
        height=120,
    )
    ground = opened(overlay(frame_of(width=120, height=120), IDS))[0, 0]

    seen = opened(overlay(frame, IDS))

    assert seen[15, 15].tolist() == [(below + ink) // 2 for below, ink in zip(ground, colour(1), strict=True)]
    assert seen[10, 30].tolist() == list(colour(1))
    assert seen[30, 30].tolist() == ground.tolist()
    assert seen[110, 60].tolist() == list(colour(2))
    assert seen[20, 80].tolist() == list(colour(7))
    assert seen[90, 70].tolist() == list(colour(7))
    assert seen[90, 90].tolist() == ground.tolist()
    assert seen[55, 85].tolist() == [(below + ink) // 2 for below, ink in zip(ground, colour(255), strict=True)]


def test_an_overlay_draws_shapes_that_leave_the_frame() -> None:
    """Points, lines and boxes outside are cut, not errors, and nothing wraps round to the other side."""
    frame = frame_of(
        ("car", Point(-50, 20)),
        ("car", Point(0, 0)),
        ("car", Polyline((-30, -30, -9, 90))),
        ("car", Box(40, 40, 90, 90)),
    )

    seen = opened(overlay(frame, IDS))

    assert seen[0, 0].tolist() == list(colour(1))
    assert (seen[:, 20:38] == seen[30, 30]).all()


def test_an_overlay_of_many_and_foreign_class_names_has_a_legend() -> None:
    """Names beyond the letters at hand and classes beyond the rows at hand do not break it."""
    names = ["信号", "Tumour région", "x" * 90, *(f"class {place}" for place in range(20))]
    frame = frame_of(*[(name, Box(0, 0, 9, 9)) for name in names], width=640, height=480)

    seen = opened(overlay(frame, {name: place for place, name in enumerate(names, 1)}))

    assert seen.shape == (480 + 6 * 17, 640, 3)  # eleven classes and a line that counts the rest, in two columns
    assert [tuple(seen[480 + 8, 6].tolist()), tuple(seen[480 + 8, 326].tolist())] == [colour(1), colour(2)]
    assert (seen[480:, 20:300] > 200).all(axis=2).any()


def test_an_overlay_needs_an_id_for_each_class() -> None:
    """A class without an id has no colour."""
    with pytest.raises(UsageError, match="classes bike, train have no category id"):
        overlay(frame_of(("train", DONUT), ("bike", DONUT), ("car", DONUT)), IDS)


def test_colours_are_stable_and_distinct() -> None:
    """Published pictures carry them: the first ones are pinned, and no two of 65,536 ids share one."""
    assert [colour(place) for place in range(4)] == [(0, 0, 0), (230, 57, 70), (67, 170, 255), (255, 190, 11)]
    assert colour(100) == (251, 135, 193)
    assert len({colour(place) for place in range(masks.HIGHEST + 1)}) == masks.HIGHEST + 1
    assert palette(2) == bytes((0, 0, 0, 230, 57, 70, 67, 170, 255))
