"""G: shapes that are incomplete, damaged, far away, or larger than anybody would draw."""

import math

from tests import factories as make
from tests.factories import Json
from tests.hostile.case import (
    Case,
    Delivery,
    accepted,
    beside,
    edited,
    object_quarantined,
    objects,
    one,
    row_quarantined,
)

BOX: Json = {"h": 0.25, "w": 0.125, "x": 0.25, "y": 0.5}


def bad(code: str, *shapes: Json, findings: tuple[str, ...] = ()) -> list[Delivery]:
    """Objects that must all be quarantined for one reason."""
    named = numbered(*shapes)
    return one(objects(*named), object_quarantined(*[code] * len(named), findings=findings))


def good(*shapes: Json, findings: tuple[str, ...] = ()) -> list[Delivery]:
    """Objects that must all be published."""
    return one(objects(*numbered(*shapes)), accepted(len(shapes) + 2, *findings))


def numbered(*shapes: Json) -> list[Json]:
    """The objects, each with a hash of its own."""
    return [shape | {"objectHash": f"shape{number:03}"} for number, shape in enumerate(shapes)]


def line(*points: tuple[float, float]) -> Json:
    """A polygon of these points."""
    return make.polygon(list(points))


def shape(kind: str, geometry: object) -> Json:
    """An object of a shape whose geometry is anything."""
    keys = {"bounding_box": "boundingBox", "rotatable_bounding_box": "rotatableBoundingBox"}
    return make.entry(kind, {keys.get(kind, kind): geometry})


def numbers_as_text() -> list[Delivery]:
    """Numeric texts are numbers; words are none."""
    words = [
        make.box(x="left"),
        make.box(w="1e999"),
        make.box(h="NaN"),
        make.box(y="0x1"),
        shape("polygon", [{"x": "a", "y": 0.1}] * 3),
    ]
    texts = [
        make.box("0.25", "5e-1", " 0.125 ", "+.25"),
        shape("polygon", [{"x": "0.1", "y": "0.1"}, {"x": "0.4", "y": "0.1"}, {"x": "0.4", "y": "0.6"}]),
    ]
    return [*bad("bad_geometry", *words), *good(*texts)]


def outside() -> list[Delivery]:
    """Far outside is a slipped decimal point; slightly outside is clipped."""
    far = [
        make.box(y=6204),
        make.box(x=-0.5),
        make.box(x=0.99, w=0.9),
        make.box(x=1e300),
        make.point(2, 2),
        make.polyline([(0.1, 0.1), (0.5, -3.0)]),
        line((0.1, 0.1), (0.4, 0.1), (40, 0.6)),
        shape("rotatable_bounding_box", BOX | {"x": 9, "theta": 10}),
    ]
    near = [make.box(x=-0.01), make.point(1.04, 0.5), line((0.9, 0.1), (1.02, 0.1), (1.02, 0.6))]
    return [*bad("outside_image", *far), *good(*near, findings=("coordinate_clipped",))]


def million_points() -> list[Delivery]:
    """A circle of a million points; and a line of a million, too long to be drawn in bounded memory."""
    round_ = [_on_circle(2 * math.pi * n / 1_000_000) for n in range(1_000_000)]
    zigzag = [(n / 1_000_000, 0.2 + n % 2 / 2) for n in range(1_000_000)]
    return [
        *good(shape("polygon", [{"x": x, "y": y} for x, y in round_])),
        *bad("too_large_to_mask", make.polyline(zigzag)),
    ]


def unordered_keys() -> list[Delivery]:
    """Keys of points in text order, backwards, and with gaps: they are sorted as numbers."""
    points = [_on_circle(2 * math.pi * n / 12) for n in range(12)]
    by_text = {str(n): {"x": x, "y": y} for n, (x, y) in sorted(enumerate(points), key=lambda item: str(item[0]))}
    backwards = dict(reversed(by_text.items()))
    gaps = {str(3 * n): value for n, value in enumerate(by_text.values())}
    return [
        *good(*[shape("polygon", keys) for keys in (by_text, backwards, gaps)]),
        *bad("bad_geometry", shape("polygon", {"-1": points[0], **by_text}), shape("polygon", {"a": {}})),
    ]


def no_angle() -> list[Delivery]:
    """Missing, null, a word, infinite, a list; any finite one is good."""
    wrong: list[Json] = [{}, {"theta": None}, {"theta": "steep"}, {"theta": "1e999"}, {"theta": [30]}]
    legal: list[Json] = [{"theta": -720.5}, {"theta": 1e300}, {"theta": "45"}, {"theta": -1e-300}]
    turned = [shape("rotatable_bounding_box", BOX | theta) for theta in wrong]
    return [
        *bad("bad_geometry", *turned),
        *good(*[shape("rotatable_bounding_box", BOX | theta) for theta in legal]),
    ]


def keypoint_outside() -> list[Delivery]:
    """One joint of a skeleton, and a lone keypoint, where there is no image."""
    return bad(
        "outside_image",
        make.skeleton([make.joint(0.5, 0.5), make.joint(3.0, 0.5, "tail", "JointCl2")]),
        make.skeleton([make.joint(0.5, -1e9), make.joint(0.5, 0.5, "tail", "JointCl2")]),
        make.point(0.5, 1.2),
    )


def frame_key(*keys: str) -> list[Delivery]:
    """Videos with labels under a frame key that is none."""
    return [
        delivery
        for number, key in enumerate(keys)
        for delivery in one(beside(_video(key, number)), row_quarantined("bad_frame_number"), batch=0)
    ]


def huge_frames() -> list[Delivery]:
    """A frame beyond the video is told of; one beyond any video is no frame number."""
    data = [beside(_video(key, number)) for number, key in enumerate(("999999999", "9" * 10, "9" * 5000))]
    wanted = [
        accepted(2, "frame_beyond_video"),
        row_quarantined("bad_frame_number"),
        row_quarantined("bad_frame_number"),
    ]
    ranged = edited(
        make.video_row({0: [make.box()]}, label_hash="ranged-video"),
        classification_answers={
            f"classif{n}": {"classifications": [make.answer("sunny")], "range": [[0, 10**9]]} for n in range(3)
        },
    )
    unbounded = edited(ranged, label_hash="unbounded-video")
    units: Json = {"video-0": make.unit("video-0", "video/mp4", {"0": make.labels(make.box())})}
    unbounded["data_units"] = units
    return [
        *[Delivery(data=one_, expected=expected) for one_, expected in zip(data, wanted, strict=True)],
        Delivery(data=beside(ranged), expected=accepted(2, "range_outside")),
        Delivery(data=beside(unbounded), expected=row_quarantined("too_many_frames")),
    ]


def other_key() -> list[Delivery]:
    """The geometry of one shape under the name of another: its own shape is taken where there is one only."""
    box = {"h": 0.25, "w": 0.125, "x": 0.25, "y": 0.5}
    alone = make.entry("polygon", {"boundingBox": box})
    two = make.entry("polygon", {"boundingBox": box, "point": {"0": {"x": 0.5, "y": 0.5}}})
    inside = [shape("polygon", box), shape("bounding_box", {"0": {"x": 0.1, "y": 0.1}, "1": {"x": 0.4, "y": 0.1}})]
    return [
        *good(alone, findings=("shape_guessed",)),
        *bad("no_geometry", two),
        *bad("bad_geometry", *inside),
    ]


def _on_circle(angle: float) -> tuple[float, float]:
    return round(0.5 + 0.4 * math.cos(angle), 7), round(0.5 + 0.4 * math.sin(angle), 7)


def _video(key: str, number: int) -> Json:
    labels = {key: make.labels(make.box())}
    unit = make.unit(f"video-{number}", "video/mp4", labels, data_fps=25.0, data_duration=10.0)
    return make.row("video", [unit], label_hash=f"video-row-{number}")


CASES = (
    Case(id="G01", name="numbers as text, and words as numbers", make=numbers_as_text),
    Case(
        id="G02",
        name="negative size",
        make=lambda: bad(
            "empty_box",
            make.box(w=-0.1),
            make.box(h=-1e-9),
            shape("rotatable_bounding_box", BOX | {"w": -1, "theta": 3}),
        ),
    ),
    Case(
        id="G03",
        name="no size",
        make=lambda: bad("empty_box", make.box(w=0), make.box(h=0.0), make.box(w="0"), make.box(h=-0.0)),
    ),
    Case(
        id="G04",
        name="too few points",
        make=lambda: bad(
            "too_few_points",
            line((0.1, 0.1), (0.4, 0.1)),
            line((0.1, 0.1)),
            line(*[(0.1, 0.1)] * 50),
            line((0.1, 0.1), (0.4, 0.1), (0.1, 0.1)),
            make.polyline([(0.1, 0.1)]),
            make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6], [0.2, 0.2]]]),
        ),
    ),
    Case(id="G05", name="coordinates outside the image", make=outside),
    Case(
        id="G06",
        name="polygons that cross themselves",
        make=lambda: good(
            line((0.1, 0.1), (0.6, 0.6), (0.6, 0.1), (0.1, 0.6)),
            line(*[_on_circle(2 * math.pi * 2 * n / 5) for n in range(5)]),
            line((0.1, 0.1), (0.5, 0.1), (0.3, 0.1), (0.3, 0.4)),
            make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6], [0.3, 0.05, 0.9, 0.2, 0.3, 0.3]]]),
        ),
    ),
    Case(id="G07", name="a million points", make=million_points, heavy=True, slow=True),
    Case(
        id="G08",
        name="empty shapes",
        make=lambda: bad(
            "no_geometry",
            shape("polygon", {}),
            shape("polygon", []),
            shape("bounding_box", None),
            shape("skeleton", {}),
            shape("point", {}),
            make.entry("polygon", {}),
            make.entry("polygon", {"polygons": []}),
        ),
    ),
    Case(
        id="G09",
        name="missing y",
        make=lambda: bad(
            "bad_geometry",
            shape("bounding_box", {"h": 0.25, "w": 0.125, "x": 0.25}),
            shape("polygon", [{"x": 0.1}, {"x": 0.4}, {"x": 0.4}]),
            shape("point", {"0": {"x": 0.1}}),
            shape("point", {"x": 0.1}),
            shape("skeleton", {"0": {"x": 0.1, "featureHash": "JointCl1"}}),
            make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6]]]) | {"polygons": [[[0.1, 0.1, 0.4]]]},
        ),
    ),
    Case(id="G10", name="point keys out of order", make=unordered_keys),
    Case(id="G11", name="rotated box without an angle", make=no_angle),
    Case(id="G12", name="keypoint outside the frame", make=keypoint_outside),
    Case(id="G13", name="negative frame number", make=lambda: frame_key("-1", "-0")),
    Case(id="G14", name="huge frame number", make=huge_frames),
    Case(id="G15", name="frame number that is no number", make=lambda: frame_key("first", "1.5", "", "٣", " 7", "1e2")),
    Case(id="G16", name="a shape under another shape's key", make=other_key),
)
