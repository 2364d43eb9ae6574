"""Hypothesis strategies for label rows that are as an export should be: any shape, any number of frames."""

from hypothesis import strategies as st

from encord_dagster import rle
from tests import factories as make
from tests.factories import Json

SIZES = ((1, 1), (1, 7), (3, 5), (37, 211), (640, 480), (1920, 1080), (8000, 5))
_HASH = st.text("ABCabc019/+", min_size=8, max_size=8)
_FRACTION = st.floats(0, 1, allow_nan=False)
_NAME = st.sampled_from(["car", "a car", "Straße", "cars, parked", "'quoted'", "车"])


@st.composite
def boxes(draw: st.DrawFn) -> Json:
    """A box inside its frame, in fractions."""
    x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    return {"x": x, "y": y, "w": draw(st.floats(0.01, 1 - x)), "h": draw(st.floats(0.01, 1 - y))}


@st.composite
def rings(draw: st.DrawFn) -> list[float]:
    """A flat ring of fractions, crossing itself as it likes."""
    points = draw(st.lists(st.tuples(_FRACTION, _FRACTION), min_size=3, max_size=8, unique=True))
    return [value for point in points for value in point]


@st.composite
def masks(draw: st.DrawFn, width: int, height: int) -> Json:
    """Few runs, whatever the size of the frame."""
    area = width * height
    cuts = sorted(draw(st.sets(st.integers(0, area), max_size=9)))
    edges = [0, *cuts, area]
    runs = [last - first for first, last in zip(edges, edges[1:], strict=False)]
    canonical = [run for index, run in enumerate(runs) if run or index == 0] or [area]
    return {"rleString": rle.encode(canonical), "width": width, "height": height, "top": 0, "left": 0}


@st.composite
def objects(draw: st.DrawFn, size: tuple[int, int], object_hash: str) -> Json:
    """One entry of a frame of `size`, width and height in pixels."""
    shape = draw(st.sampled_from(sorted(make.FEATURES)))
    geometry: Json
    if shape == "bounding_box":
        geometry = {"boundingBox": draw(boxes())}
    elif shape == "rotatable_bounding_box":
        geometry = {"rotatableBoundingBox": {**draw(boxes()), "theta": draw(st.floats(0, 359))}}
    elif shape == "polygon":
        geometry = {"polygons": draw(st.lists(st.lists(rings(), min_size=1, max_size=3), min_size=1, max_size=3))}
    elif shape in ("polyline", "point"):
        least, most = (2, 5) if shape == "polyline" else (1, 1)
        points = draw(st.lists(st.tuples(_FRACTION, _FRACTION), min_size=least, max_size=most))
        geometry = {shape: {str(i): {"x": x, "y": y} for i, (x, y) in enumerate(points)}}
    elif shape == "skeleton":
        flags = st.sampled_from([{}, {"occluded": True}, {"invisible": True}, {"selfOccluded": True}])
        joints = [make.joint(draw(_FRACTION), draw(_FRACTION), f"joint {i}", f"Joint00{i}") for i in range(3)]
        geometry = {"skeleton": {str(i): joint | draw(flags) for i, joint in enumerate(joints)}}
    else:
        geometry = {"bitmask": draw(masks(*size))}
    changes = {"confidence": draw(_FRACTION), "manualAnnotation": draw(st.booleans()), "name": draw(_NAME)}
    return make.entry(shape, geometry, object_hash, **changes)


@st.composite
def answers(draw: st.DrawFn, prefix: str) -> list[Json]:
    """Answers of every type, none of them twice."""
    options = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3, unique=True)
    chosen = draw(options)
    given: list[Json] = [
        make.answer([make.option(name, f"Option{name}") for name in chosen], "colours", f"{prefix}Check1"),
        make.answer(draw(st.text("abc de", max_size=9)).strip() or "x", "note", f"{prefix}Text01"),
        make.answer(draw(st.floats(-1e6, 1e6)), "length", f"{prefix}Number"),
    ]
    return draw(st.lists(st.sampled_from(given), max_size=3, unique_by=lambda one: str(one["featureHash"])))


@st.composite
def label_rows(draw: st.DrawFn) -> Json:
    """A row of images, of a video or of slices, with static and dynamic answers and classifications."""
    kind = draw(st.sampled_from(["image", "img_group", "video", "dicom", "nifti"]))
    size = draw(st.sampled_from(SIZES))
    hashes = draw(st.lists(_HASH, min_size=1, max_size=4, unique=True))
    count = 1 if kind == "image" else draw(st.integers(1, 3))
    frames: list[list[Json]] = []
    for _ in range(count):
        here = draw(st.lists(st.sampled_from(hashes), unique=True))
        frames.append([draw(objects(size, object_hash)) for object_hash in here])
    if kind == "image":
        document = make.image_row(*frames[0])
    elif kind == "img_group":
        document = make.group_row(*frames)
    elif kind == "video":
        document = make.video_row({index * 7: found for index, found in enumerate(frames)})
    elif kind == "nifti":
        document = make.nifti_row(dict(enumerate(frames)))
    else:
        slices = {i: make.dicom_slice(*found, uid=f"1.2.{i}") for i, found in enumerate(frames)}
        document = make.dicom_row(slices)
    units = document["data_units"]
    assert isinstance(units, dict)
    for unit in units.values():
        unit |= {"width": size[0], "height": size[1]}
    last = 7 * count
    document["object_answers"] = {key: {"objectHash": key, "classifications": draw(answers("S"))} for key in hashes}
    document["object_actions"] = {
        key: {
            "objectHash": key,
            "actions": [
                one | {"dynamic": True, "range": [[0, draw(st.integers(0, last))]]} for one in draw(answers("D"))
            ],
        }
        for key in hashes
    }
    document["classification_answers"] = {
        "whole001": {
            "classificationHash": "whole001",
            "featureHash": "ClassCl2",
            "range": [],
            "classifications": draw(answers("W")),
        }
    }
    return document
