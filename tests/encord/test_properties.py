"""Laws of reading and converting, held for label rows of any shape, size and number of frames."""

import copy
import math
from collections.abc import Callable, Iterator
from random import Random

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encord_dagster.encord.label_rows import RowReading
from encord_dagster.encord.model import LabelRow
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import Category, Fragment, classes_of
from encord_dagster.geometry import Box, Geometry, RotatedBox
from encord_dagster.validation import conservation
from tests import factories as make
from tests.effort import examples
from tests.encord.rows import label_rows
from tests.encord.writer import write
from tests.factories import Json

Change = Callable[[float, bool], float]  # of a fraction; True for one along the height

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
_SETTINGS = settings(max_examples=examples(60), deadline=None, suppress_health_check=_SLOW)


def equal(one: object, other: object) -> bool:
    """Whether two values are the same but for the last digits of numbers."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def converted(row: LabelRow) -> Fragment:
    """The row without masks; every class has a number."""
    wanted = classes_of(row).values()
    numbered = enumerate(sorted(wanted, key=lambda category: category.feature_hash), start=1)
    categories: dict[str, Category] = {
        category.feature_hash: msgspec.structs.replace(category, id=number) for number, category in numbered
    }
    return convert(row, categories, masks=False)


def records(fragment: Fragment) -> list[Json]:
    """The annotations of a fragment."""
    return [msgspec.json.decode(data, type=dict) for data in fragment.annotations]


def frames_of(document: Json) -> Iterator[list[Json]]:
    """The lists of objects of a row, to be changed in place."""
    for unit in document["data_units"].values():  # type: ignore[attr-defined]  # free JSON
        labels = unit["labels"]
        yield from [labels["objects"]] if "objects" in labels else [one["objects"] for one in labels.values()]


@_SETTINGS
@given(label_rows())
def test_a_row_that_is_read_written_and_read_again_is_the_same(document: Json) -> None:
    """Nothing that the reader keeps is lost or bent on the way."""
    first = make.read(document)
    second = make.read(write(first))
    assert equal(msgspec.to_builtins(second.row), msgspec.to_builtins(first.row))
    events = [msgspec.structs.replace(one.event, fingerprint="", offset=0, length=0) for one in (first, second)]
    assert events[0] == events[1]


@_SETTINGS
@given(label_rows())
def test_every_object_of_a_valid_row_stands_on_a_frame(document: Json) -> None:
    """None is lost, excluded or quarantined, but a polygon whose points lie on one another."""
    reading = make.read(document)
    entries = sum(len(objects) for objects in frames_of(document))
    assert conservation(reading.row) is None
    assert reading.row.objects_in == entries
    assert not reading.row.excluded
    placed = sum(len(frame.objects) for frame in reading.row.frames)
    assert placed + len(reading.row.quarantined) == entries
    assert {held.findings[0].rule for held in reading.row.quarantined} <= {"too_few_points"}


@_SETTINGS
@given(label_rows(), st.randoms(use_true_random=False))
def test_ids_stay_when_objects_are_added_and_moved(document: Json, random: Random) -> None:
    """An object keeps its annotation, image and track number whatever stands around it."""
    changed = copy.deepcopy(document)
    for number, objects in enumerate(frames_of(changed)):
        objects.append(make.box(object_hash=f"added{number:03}"))
        random.shuffle(objects)
    before, after = (_ids(make.read(one)) for one in (document, changed))
    assert before.items() <= after.items()


def _ids(reading: RowReading) -> dict[object, object]:
    found: dict[object, object] = {}
    for record in records(converted(reading.row)):
        origin, attributes = record["encord"], record["attributes"]
        assert isinstance(origin, dict)
        assert isinstance(attributes, dict)
        key = origin["data_hash"], origin["frame"], origin["object_hash"]
        found[key] = record["id"], record["image_id"], attributes["track_id"]
    return found


@_SETTINGS
@given(label_rows(), st.integers(2, 5), st.integers(2, 5))
def test_shapes_grow_with_their_frame(document: Json, across: int, down: int) -> None:
    """Fractions are of the frame: pixels of a frame k times as large are k times as large, each axis for itself."""
    larger = copy.deepcopy(document)
    for one in (document, larger):
        for objects in frames_of(one):
            objects[:] = [item for item in objects if "bitmask" not in item and "rotatableBoundingBox" not in item]
    for unit in larger["data_units"].values():  # type: ignore[attr-defined]  # free JSON
        unit |= {"width": unit["width"] * across, "height": unit["height"] * down}
    small, large = (make.read(one).row for one in (document, larger))
    for frame, grown in zip(small.frames, large.frames, strict=True):
        assert equal(
            [_numbers(item.geometry, across, down) for item in frame.objects],
            [_numbers(item.geometry, 1, 1) for item in grown.objects],
        )


def _numbers(geometry: Geometry, across: int, down: int) -> list[float]:
    """All lengths and places of a shape, multiplied along their axis: x and y take turns in all of them."""
    return [value * (down if index % 2 else across) for index, value in enumerate(_flat(msgspec.to_builtins(geometry)))]


def _flat(value: object) -> list[float]:
    if isinstance(value, float | int):
        return [float(value)]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [number for child in children for number in _flat(child)]


@_SETTINGS
@given(label_rows(), st.floats(0, 0.25), st.floats(0, 0.25))
def test_shapes_move_with_their_fractions(document: Json, right: float, down: float) -> None:
    """Adding to every fraction moves the pixels by as much of the frame, and changes no length."""
    shrunk = _mapped(document, lambda value, axis: value * 0.5)
    moved = _mapped(shrunk, lambda value, axis: value + (down if axis else right))
    for frame, shifted in zip(make.read(shrunk).row.frames, make.read(moved).row.frames, strict=True):
        distance = right * (frame.width or 0), down * (frame.height or 0)
        assert [item.object_hash for item in frame.objects] == [item.object_hash for item in shifted.objects]
        for item, other in zip(frame.objects, shifted.objects, strict=True):
            before, after = _bbox(item.geometry), _bbox(other.geometry)
            expected = [before[0] + distance[0], before[1] + distance[1], before[2], before[3]]
            assert all(math.isclose(a, b, abs_tol=1e-6, rel_tol=1e-9) for a, b in zip(after, expected, strict=True))


def _mapped(document: Json, change: Change) -> Json:
    """The row with every place of a point or box changed; sizes are scaled only, bitmasks are left out."""
    changed = copy.deepcopy(document)
    for objects in frames_of(changed):
        objects[:] = [item for item in objects if "bitmask" not in item]
        for item in objects:
            for key in ("boundingBox", "rotatableBoundingBox", "polygons", "polyline", "point", "skeleton"):
                if key in item:
                    item[key] = _moved(item[key], change)
    return changed


def _moved(value: object, change: Change) -> object:
    if isinstance(value, list):
        if value and isinstance(value[0], float | int):
            return [change(one, index % 2 == 1) for index, one in enumerate(value)]
        return [_moved(child, change) for child in value]
    assert isinstance(value, dict)
    moved: Json = {}
    for key, child in value.items():
        if key in ("x", "y"):
            moved[key] = change(child, key == "y")
        elif key in ("w", "h"):
            moved[key] = child * (change(1.0, False) - change(0.0, False))
        else:
            moved[key] = _moved(child, change) if isinstance(child, dict) else child
    return moved


def _bbox(geometry: Geometry) -> list[float]:
    """Left, top, width and height around the places of a shape."""
    if isinstance(geometry, Box | RotatedBox):
        return [geometry.x, geometry.y, geometry.width, geometry.height]
    places = _flat(msgspec.to_builtins(geometry))
    xs, ys = places[::2], places[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
