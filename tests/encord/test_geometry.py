"""Every shape on a frame that is not square, and what cannot be a shape."""

from typing import cast

import pytest

from encord_dagster.geometry import (
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    RotatedBox,
    Skeleton,
)
from tests import factories as make
from tests.factories import HEIGHT, WIDTH, Json


def geometry_of(entry: Json) -> Geometry:
    """The geometry of the only object of an image."""
    reading = make.read(make.image_row(entry))
    (instance,) = reading.row.frames[0].objects
    return instance.geometry


def why_quarantined(entry: Json) -> str:
    """The code that quarantined the only object of an image."""
    reading = make.read(make.image_row(entry))
    (quarantined,) = reading.row.quarantined
    assert reading.row.frames[0].objects == ()
    assert reading.row.objects_in == 1
    assert quarantined.findings[0] in reading.findings
    return quarantined.findings[0].rule


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (make.box(), Box(320, 360, 160, 180)),
        (make.box("0.25", "0.5", "1.25e-1", "0.25"), Box(320, 360, 160, 180)),
        (
            make.entry("bounding_box", {"boundingBox": {"0": {"x": 0.25, "y": 0.5, "w": 0.125, "h": 0.25}}}),
            Box(320, 360, 160, 180),
        ),
        (
            make.entry("bounding_box", {"bounding_box": {"x": 0.25, "y": 0.5, "w": 0.125, "h": 0.25}}),
            Box(320, 360, 160, 180),
        ),
        (make.rotated_box(30), RotatedBox(320, 360, 160, 180, 30)),
        (make.rotated_box(-30), RotatedBox(320, 360, 160, 180, 330)),
        (make.rotated_box("750"), RotatedBox(320, 360, 160, 180, 30)),
        (make.polygon([(0.1, 0.1), (0.4, 0.1), (0.4, 0.6)]), Polygon((((128, 72, 512, 72, 512, 432),),))),
        (make.polyline([(0.1, 0.2), (0.9, 0.8)]), Polyline((128, 144, 1152, 576))),
        (make.point(0.25, 0.5), Point(320, 360)),
        (make.entry("point", {"point": {"x": 0.25, "y": 0.5}}), Point(320, 360)),
        (make.entry("point", {"point": [{"x": 0.25, "y": 0.5}]}), Point(320, 360)),
        (
            make.skeleton([make.joint(0.25, 0.5, occluded=True)]),
            Skeleton((Joint("JointCl1", "nose", 320, 360, "occluded"),)),
        ),
    ],
)
def test_a_shape_scales_x_by_width_and_y_by_height(entry: Json, expected: Geometry) -> None:
    """Width and height are 1280 and 720: a reader that swaps them fails here."""
    geometry = geometry_of(entry)

    assert type(geometry) is type(expected)
    assert flat(geometry) == pytest.approx(flat(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rotatableBoundingBox", RotatedBox(320, 360, 160, 180, 30)),
        ("rotatable_bounding_box", RotatedBox(320, 360, 160, 180, 30)),
        ("rot_bounding_box", RotatedBox(320, 360, 160, 180, 30)),
    ],
)
def test_a_turned_box_is_found_under_each_of_its_names(name: str, expected: Geometry) -> None:
    """The camel case of today, the snake case of 2020 and its short form; wrapped in "0" or not."""
    box = {"x": 0.25, "y": 0.5, "w": 0.125, "h": 0.25, "theta": 30}

    plain, wrapped = (geometry_of(make.entry("rotatable_bounding_box", {name: one})) for one in (box, {"0": box}))

    assert plain == wrapped == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (make.point(z=3.5), Point(320, 360)),
        (make.entry("point", {"point": {"x": 0.25, "y": 0.5, "z": "deep"}}), Point(320, 360)),
        (
            make.entry(
                "polyline", {"polyline": {"0": {"x": 0.1, "y": 0.2, "z": 7}, "1": {"x": 0.9, "y": 0.8, "z": None}}}
            ),
            Polyline((128, 144, 1152, 576)),
        ),
        (make.skeleton([make.joint(0.25, 0.5, z=0.1)]), Skeleton((Joint("JointCl1", "nose", 320, 360),))),
    ],
)
def test_a_third_coordinate_is_ignored(entry: Json, expected: Geometry) -> None:
    """Whatever it holds: a frame has two dimensions."""
    assert flat(geometry_of(entry)) == pytest.approx(flat(expected))


@pytest.mark.parametrize(
    "rings",
    [
        [[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6]]],
        [[["0.1", 0.1, 0.4, "0.1", 0.4, 0.6]]],
        [[[{"x": 0.1, "y": 0.1}, {"x": 0.4, "y": 0.1}, {"x": 0.4, "y": 0.6}]]],
        {"0": {"0": [0.1, 0.1, 0.4, 0.1, 0.4, 0.6]}},
        [[], [[0.1, 0.1, 0.4, 0.1, 0.4, 0.6]]],
        None,
        [],
        [[]],
    ],
)
def test_polygons_in_any_spelling_are_one_polygon(rings: object) -> None:
    """Flat, as points or by index; empty ones leave the word to `polygon`."""
    entry = make.polygon([(0.1, 0.1), (0.4, 0.1), (0.4, 0.6)]) | {"polygons": rings}

    reading = make.read(make.image_row(entry))

    assert flat(reading.row.frames[0].objects[0].geometry) == pytest.approx((128, 72, 512, 72, 512, 432))
    assert reading.findings == ()


def test_a_polygon_may_be_a_list_of_points() -> None:
    """The other spelling of the same ring."""
    points = [{"x": 0.1, "y": 0.1}, {"x": 0.4, "y": 0.1}, {"x": 0.4, "y": 0.6}]

    geometry = geometry_of(make.entry("polygon", {"polygon": points}))

    assert flat(geometry) == pytest.approx((128, 72, 512, 72, 512, 432))


def test_a_bitmask_lies_along_the_rows_of_its_frame() -> None:
    """The vector 5 wide and 3 high, whose transpose is another mask."""
    entry = make.bitmask("01521", 5, 3)
    row = make.changed(
        make.changed(make.image_row(entry), 5, "data_units", "data-0", "width"), 3, "data_units", "data-0", "height"
    )

    reading = make.read(row)

    assert reading.row.frames[0].objects[0].geometry == Bitmask((0, 1, 5, 3, 6))
    assert reading.findings == ()


def test_a_bitmask_with_offsets_is_pasted_and_told() -> None:
    """A full mask of 3 x 3 at 1, 2 in a frame of 5 x 6."""
    entry = make.bitmask("09", 3, 3, left=1, top="2")
    row = make.image_row(entry)
    row = make.changed(make.changed(row, 5, "data_units", "data-0", "width"), 6, "data_units", "data-0", "height")

    reading = make.read(row)

    assert reading.row.frames[0].objects[0].geometry == Bitmask((11, 3, 2, 3, 2, 3, 6))
    assert make.rules(reading) == ["mask_pasted"]


@pytest.mark.parametrize(
    "entry",
    [
        make.bitmask("9", 3, 3),  # smaller than the frame and no offsets
        make.bitmask("9", 3, 3, left=WIDTH - 2, top=1),
        make.bitmask("9", 3, 3, left=-1, top=1),
        make.bitmask("", WIDTH, HEIGHT),
        make.bitmask("1N9", WIDTH, HEIGHT),
        make.bitmask(None),
        make.bitmask(5),
        make.bitmask("9", None, HEIGHT),
        make.bitmask("9", HEIGHT, WIDTH),
    ],
)
def test_a_bitmask_that_could_mean_several_pixels_is_quarantined(entry: Json) -> None:
    """A mask is taken exactly or not at all."""
    rule = why_quarantined(entry)

    assert rule == "bad_bitmask"


def test_polygons_with_holes_win_over_polygon() -> None:
    """Ring 0 is the outline, the others are holes; two polygons stay two."""
    outline, hole, other = (
        [0.1, 0.1, 0.4, 0.1, 0.4, 0.6],
        [0.3, 0.2, 0.35, 0.2, 0.35, 0.3],
        [0.8, 0.8, 0.9, 0.8, 0.9, 0.9],
    )
    entry = make.polygons([[outline, hole], [other]])

    reading = make.read(make.image_row(entry))

    geometry = cast(Polygon, reading.row.frames[0].objects[0].geometry)
    assert [len(rings) for rings in geometry.polygons] == [2, 1]
    assert geometry.polygons[0][1] == pytest.approx((384, 144, 448, 144, 448, 216))
    assert reading.findings == ()


def test_polygon_and_polygons_that_differ_are_told() -> None:
    """More than the rounding of 2023 exports between them is a finding."""
    entry = make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6]]]) | {"polygon": {"0": {"x": 0.9, "y": 0.9}}}

    reading = make.read(make.image_row(entry))

    assert make.rules(reading) == ["polygon_differs"]
    assert flat(reading.row.frames[0].objects[0].geometry) == pytest.approx((128, 72, 512, 72, 512, 432))


def test_points_are_sorted_by_index_and_not_by_text() -> None:
    """Keys "2" and "10", with gaps, as real exports have them."""
    points = {"10": {"x": 0.4, "y": 0.6}, "2": {"x": 0.4, "y": 0.1}, "0": {"x": 0.1, "y": 0.1}}

    geometry = geometry_of(make.entry("polygon", {"polygon": points}))

    assert flat(geometry) == pytest.approx((128, 72, 512, 72, 512, 432))


@pytest.mark.parametrize(
    ("joint", "visibility"),
    [
        ({}, "visible"),
        ({"visible": True}, "visible"),
        ({"occluded": True}, "occluded"),
        ({"selfOccluded": True}, "self_occluded"),
        ({"occluded": True, "selfOccluded": True}, "occluded"),
        ({"invisible": "true", "occluded": True}, "invisible"),
    ],
)
def test_a_joint_keeps_its_visibility(joint: Json, visibility: str) -> None:
    """The strongest flag decides; without any, the joint is visible."""
    geometry = cast(Skeleton, geometry_of(make.skeleton([make.joint(0.5, 0.5) | joint])))

    assert geometry.joints[0].visibility == visibility


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (make.box(0.25, 6204), "outside_image"),
        (make.box(-0.06), "outside_image"),
        (make.box(w=0.9), "outside_image"),
        (make.box(w=0), "empty_box"),
        (make.box(h=-0.1), "empty_box"),
        (make.box(x=1.03, w=0.01), "empty_box"),
        (make.box(x=None), "bad_geometry"),
        (make.box(x="left"), "bad_geometry"),
        (make.box(x=float("nan")), "bad_geometry"),
        (make.box(x=float("-inf")), "bad_geometry"),
        (make.box(x="1e999"), "bad_geometry"),
        (make.box(x=True), "bad_geometry"),
        (make.box(x=[1]), "bad_geometry"),
        (make.entry("bounding_box", {}), "no_geometry"),
        (make.entry("bounding_box", {"boundingBox": None}), "no_geometry"),
        (make.entry("bounding_box", {"boundingBox": 5}), "bad_geometry"),
        (make.rotated_box(None), "bad_geometry"),
        (
            make.entry(
                "rotatable_bounding_box", {"rotatableBoundingBox": {"x": 1.2, "y": 0.5, "w": 0.1, "h": 0.1, "theta": 1}}
            ),
            "outside_image",
        ),
        (
            make.entry(
                "rotatable_bounding_box", {"rotatableBoundingBox": {"x": -40, "y": 0.5, "w": 81, "h": 0.1, "theta": 1}}
            ),
            "outside_image",
        ),
        (make.polygon([(0.1, 0.1), (0.4, 0.1)]), "too_few_points"),
        (make.polygon([(0.1, 0.1), (0.4, 0.1), (0.1, 0.1)]), "too_few_points"),
        (make.polygon([(0.1, 0.1), (0.4, 0.1), (0.4, 12.0)]), "outside_image"),
        (make.entry("polygon", {"polygon": {"a": {"x": 0.1, "y": 0.1}}}), "bad_geometry"),
        (make.entry("polygon", {"polygons": [[[0.1, 0.1, 0.4, 0.1, 0.4]]]}), "bad_geometry"),
        (make.entry("polygon", {"polygons": [[[0.1, 0.1, 0.4, 0.1, 0.4, "x"]]]}), "bad_geometry"),
        (make.polyline([(0.1, 0.1)]), "too_few_points"),
        (make.entry("point", {"point": {"0": {"x": 0.1, "y": 0.1}, "1": {"x": 0.1, "y": 0.1}}}), "bad_geometry"),
        (make.entry("point", {"point": {"0": {"x": 0.1}}}), "bad_geometry"),
        (make.entry("skeleton", {"skeleton": {}}), "no_geometry"),
        (make.skeleton([make.joint(0.5, 7)]), "outside_image"),
        (make.skeleton([make.joint(0.5, 0.5, feature_hash="no hash")]), "bad_hash"),
        (make.box(object_hash="a b"), "bad_hash"),
        (make.box(object_hash="x" * 65), "bad_hash"),
        (make.box(featureHash=None), "bad_hash"),
        (make.box(confidence={"high": 1}), "object_unreadable"),
    ],
)
def test_an_object_that_cannot_be_converted_is_quarantined_for_its_reason(entry: Json, rule: str) -> None:
    """Nothing is guessed: no decimal point, no angle, no missing corner."""
    assert why_quarantined(entry) == rule


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (make.box(-0.05, 0.5, 0.125, 0.25), (0, 360, 96, 180)),
        (make.box(0.95, 0.9, 0.1, 0.15), (1216, 648, 64, 72)),
        (make.polyline([(-0.01, 0.2), (1.05, 1.02)]), (0, 144, 1280, 720)),
        (make.point(1.04, -0.04), (1280, 0)),
    ],
)
def test_a_coordinate_slightly_outside_is_clipped_and_told(entry: Json, expected: tuple[float, ...]) -> None:
    """Up to 5 % of the image a hand may slip; the pixels end at the edge."""
    reading = make.read(make.image_row(entry))

    assert make.rules(reading) == ["coordinate_clipped"]
    assert flat(reading.row.frames[0].objects[0].geometry) == pytest.approx(expected)


def test_floating_point_noise_at_the_edge_is_no_finding() -> None:
    """0.9396 + 0.0604 is a little more than 1."""
    reading = make.read(make.image_row(make.box(0.9396, 0.5, 0.0604, 0.5), make.point(1.0000009, 0.0, "object05")))

    assert reading.findings == ()
    assert flat(reading.row.frames[0].objects[0].geometry) == pytest.approx((1202.688, 360, 77.312, 360))


def test_a_turned_box_may_reach_beyond_the_edge() -> None:
    """Cutting it would make it another shape; its unturned box may even lie outside."""
    entry = make.entry(
        "rotatable_bounding_box", {"rotatableBoundingBox": {"x": -0.1, "y": 0.45, "w": 0.3, "h": 0.1, "theta": 90}}
    )

    geometry = geometry_of(entry)

    assert flat(geometry) == pytest.approx((-128, 324, 384, 72, 90))


def test_the_only_geometry_stands_in_for_a_missing_one() -> None:
    """The stated shape is wrong, the geometry is not."""
    entry = make.point() | {"shape": "bounding_box"}

    reading = make.read(make.image_row(entry))

    (instance,) = reading.row.frames[0].objects
    assert (instance.shape, instance.geometry) == ("point", Point(320, 360))
    assert make.rules(reading) == ["shape_guessed"]


@pytest.mark.parametrize("stated", [None, "", "None", "point", " POINT ", "a thing", 5])
def test_a_shape_that_is_not_stated_is_that_of_the_only_geometry(stated: object) -> None:
    """Absent, misspelt or unknown: one geometry leaves no doubt."""
    reading = make.read(make.image_row(make.point() | {"shape": stated}))

    (instance,) = reading.row.frames[0].objects
    assert (instance.shape, instance.geometry) == ("point", Point(320, 360))
    assert set(make.rules(reading)) <= {"shape_guessed"}


def test_two_geometries_are_told_apart_by_the_stated_shape() -> None:
    """With a shape its own geometry is taken; without one nothing is guessed."""
    both = make.box() | make.point() | {"objectHash": "object99"}

    box, neither = both | {"shape": "bounding_box"}, both | {"shape": "polyline"}

    assert geometry_of(box) == Box(320, 360, 160, 180)
    assert why_quarantined(neither) == "no_geometry"


def test_no_shape_and_no_geometry_is_quarantined() -> None:
    """There is nothing to convert and nothing to exclude it by."""
    assert why_quarantined(make.entry("point", {}) | {"shape": None}) == "no_geometry"


def test_the_geometry_of_an_unsupported_shape_is_not_looked_for() -> None:
    """A cuboid that also holds a box is a cuboid: it is left out by its name."""
    reading = make.read(make.image_row(make.box() | {"shape": "cuboid_2d"}))

    assert [one.reason for one in reading.row.excluded] == ["unsupported_shape"]
    assert reading.row.frames[0].objects == ()


def flat(geometry: Geometry) -> tuple[float, ...]:
    """All numbers of a geometry."""
    match geometry:
        case Box(x, y, width, height):
            return (x, y, width, height)
        case RotatedBox(x, y, width, height, theta):
            return (x, y, width, height, theta)
        case Ellipse(x, y, rx, ry, theta):
            return (x, y, rx, ry, theta)
        case Polygon(polygons):
            return tuple(value for rings in polygons for ring in rings for value in ring)
        case Polyline(points):
            return points
        case Point(x, y):
            return (x, y)
        case Skeleton(joints):
            return tuple(value for joint in joints for value in (joint.x, joint.y))
        case Bitmask(runs):
            return tuple(runs)


@pytest.mark.parametrize(
    ("words", "visibility"),
    [
        ({"visibility": "visible"}, "visible"),
        ({"visibility": "occluded"}, "occluded"),
        ({"visibility": "invisible"}, "invisible"),
        ({"visibility": "selfOccluded"}, "self_occluded"),
        ({"visibility": "translucent"}, "visible"),
        ({"visibility": "visible", "occluded": True}, "occluded"),
    ],
)
def test_a_joint_may_say_its_visibility_in_a_word(words: Json, visibility: str) -> None:
    """As the SDK writes it; flags of the platform come first."""
    row = make.read(make.image_row(make.skeleton([make.joint(0.5, 0.5) | words]))).row

    skeleton = row.frames[0].objects[0].geometry
    assert isinstance(skeleton, Skeleton)
    assert skeleton.joints[0].visibility == visibility
