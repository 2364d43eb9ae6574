"""The shapes of many objects in columns, and whether no rule can find anything in them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from encord_dagster.encord import plain, plain_shapes
from encord_dagster.encord.model import Frame
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.formats import forms
from encord_dagster.formats.raster import needs_rle
from encord_dagster.geometry import Polygon
from encord_dagster.rules.rows import is_flat
from encord_dagster.stream.judge import FLAT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sizes = NDArray[np.int64]


class Left(Exception):
    """Objects, by their places, whose rows have to go another way."""

    def __init__(self, places: Iterable[int]) -> None:
        super().__init__()
        self.places = list(places)


class Shapes(msgspec.Struct, frozen=True):
    """What COCO says of each object, what formats cannot hold of all, and how many keys they have."""

    hulls: Sequence[tuple[float, float, float, float]]
    areas: Sequence[float]
    segmentations: Sequence[tuple[forms.Ring, ...] | forms.Rle]
    losses: dict[str, int]
    keys: int


def shapes_of(
    objects: Sequence[plain.Object], classes: Sequence[str], frames: Sequence[Frame], counts: Sequence[int]
) -> Shapes:
    """The shapes of objects of such classes on such frames, `counts` on each. Left where more is to be said of some."""
    import numpy as np

    boxes, rings, others = _by_kind(objects)
    sizes = np.array([(frame.width, frame.height) for frame in frames])
    sizes = np.repeat(sizes, counts, axis=0)
    parts: list[tuple[list[int], forms.Columns]] = []
    keys = 4 * len(boxes)
    if boxes:
        parts.append((boxes, _boxes(objects, boxes, sizes)))
        on = np.repeat(np.arange(len(frames)), counts)[boxes].tolist()
        _refuse_twins(boxes, zip(on, map(classes.__getitem__, boxes), parts[0][1].hulls, strict=True))
    if rings:
        found, points = _rings(objects, rings, sizes)
        parts.append((rings, found))
        keys += 3 * points
    holed = 0
    if others:
        given = _polygons(objects, others, sizes)
        keys += sum(count + 1 for _, count in given)
        holed = sum(needs_rle(polygon) for polygon, _ in given)
        parts.append((others, _forms_of([polygon for polygon, _ in given], sizes[others].tolist())))
    hulls, areas, segmentations, _ = parts[0][1] if len(parts) == 1 else _merged(parts, len(objects))
    losses = {"coco:polygon_with_holes_as_rle": holed, "tables:outline": len(rings) + len(others)}
    return Shapes(hulls, areas, segmentations, losses, keys)


def _by_kind(objects: Sequence[plain.Object]) -> tuple[list[int], list[int], list[int]]:
    """The places of boxes, of polygons of one ring, and of other polygons."""
    boxes: list[int] = []
    rings: list[int] = []
    others: list[int] = []
    left: list[int] = []
    for place, one in enumerate(objects):
        if one.shape == "bounding_box" and one.bounding_box is not UNSET:
            boxes.append(place)
        elif one.shape == "polygon" and one.polygon is not UNSET:
            (rings if one.polygons is UNSET else others).append(place)
        else:
            left.append(place)
    if left:
        raise Left(left)
    return boxes, rings, others


def _boxes(objects: Sequence[plain.Object], places: list[int], sizes: "Sizes") -> forms.Columns:
    given = [objects[place].bounding_box for place in places]
    sides, odd = plain_shapes.boxes(given, sizes[places])
    _refuse(places, odd)
    return forms.box_columns(sides)


def _refuse(places: Sequence[int], odd: "NDArray[np.bool_]") -> None:
    if odd.any():
        raise Left(place for place, is_odd in zip(places, odd.tolist(), strict=True) if is_odd)


def _refuse_twins(places: Sequence[int], keys: Iterable[tuple[object, ...]]) -> None:
    """Refuse boxes of one class that may be the same on one frame."""
    last = dict(zip(keys, places, strict=True))
    if len(last) < len(places):
        raise Left(set(places) - set(last.values()))


def _rings(objects: Sequence[plain.Object], places: list[int], sizes: "Sizes") -> tuple[forms.Columns, int]:
    """The forms, and how many points there are in all."""
    given = [objects[place].polygon for place in places]
    drawn, counts, odd = plain_shapes.outlines(given, sizes[places])
    _refuse(places, odd)
    found = forms.ring_columns(drawn, counts, sizes[places].tolist())
    doubtful = [
        at
        for at, (area, simple) in enumerate(zip(found.areas, found.simple, strict=True))
        if not simple or area <= FLAT
    ]
    ends = (2 * counts.cumsum()).tolist() if doubtful else []
    flat = [
        at for at in doubtful if is_flat(Polygon(((tuple(drawn[ends[at] - 2 * counts[at] : ends[at]].tolist()),),)))
    ]
    if flat:
        raise Left(places[at] for at in flat)
    return found, int(counts.sum())


def _polygons(objects: Sequence[plain.Object], places: list[int], sizes: "Sizes") -> list[tuple[Polygon, int]]:
    """Polygons of any kind, and how many keys the points of each have."""
    found: list[tuple[Polygon, int]] = []
    left: list[int] = []
    for place in places:
        width, height = sizes[place].tolist()
        try:
            made = plain_shapes.polygon(objects[place], width, height)
        except UNREADABLE:
            made = None
        if made is None or is_flat(made[0]):
            left.append(place)
        else:
            found.append(made)
    if left:
        raise Left(left)
    return found


def _forms_of(polygons: Sequence[Polygon], sizes: Sequence[Sequence[int]]) -> forms.Columns:
    found = [
        forms.polygon_form(one, width=width, height=height)
        for one, (width, height) in zip(polygons, sizes, strict=True)
    ]
    return forms.Columns(
        [form.bbox for form in found],
        [form.area for form in found],
        [form.segmentation for form in found],
        [form.simple for form in found],
    )


def _merged(parts: Sequence[tuple[Sequence[int], forms.Columns]], total: int) -> forms.Columns:
    """The forms in the order of their objects."""
    made: tuple[list[object], ...] = ([], [], [], [])
    order = sorted(range(total), key=[place for places, _ in parts for place in places].__getitem__)
    for column, of_parts in zip(made, zip(*(found for _, found in parts), strict=True), strict=True):
        joined = [value for part in of_parts for value in part]
        column.extend(map(joined.__getitem__, order))
    return forms.Columns(*made)
