"""The shapes of many objects in columns, and whether no rule can find anything in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, UnsetType

from encord_dagster import codes_at_once, masks_at_once
from encord_dagster.encord import plain, plain_shapes
from encord_dagster.encord.plain_many import Columns as Told
from encord_dagster.encord.plain_many import Left
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.formats import forms, rounded
from encord_dagster.formats.columns import Columns, box_columns, ring_columns
from encord_dagster.formats.raster import needs_rle
from encord_dagster.geometry import Polygon, Ring
from encord_dagster.rules.rows import is_flat
from encord_dagster.stream.judge import FLAT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encord_dagster.formats.rounded import Floats, Ints


_WEIGHTS = (0.7390851332151607, 0.5671432904097838, 0.9159655941772190, 0.2614972128476428)  # no ratio of each other


class Shapes(msgspec.Struct, frozen=True):
    """What COCO says of each object, what formats cannot hold of all, and how many keys they have."""

    hulls: Sequence[tuple[float, float, float, float]]
    areas: Sequence[float]
    segmentations: Sequence[tuple[Ring, ...] | forms.Rle]
    losses: dict[str, int]
    keys: int


def shapes_of(
    objects: Sequence[plain.Object], told: Told, frames: Sequence[tuple[int, int]], counts: Sequence[int]
) -> Shapes:
    """The shapes of objects with such fields on frames of such sizes, `counts` on each. Left where some are odd."""
    import numpy as np

    on = np.repeat(np.arange(len(frames)), counts)
    sizes = np.array(frames)[on]
    boxes, rings, nested, masks = _by_kind(objects, told)
    polygons, keys = _polygons(objects, nested, sizes)
    several = {place: one for place, one in polygons.items() if len(one.polygons) > 1 or len(one.polygons[0]) > 1}
    parts: list[tuple[Sequence[int], Columns]] = []
    if boxes:
        made, sides = _boxes(told.boxes, boxes, sizes)
        if _may_be_twins(on[boxes], sides):
            classes = [told.feature_hashes[place] for place in boxes]
            _refuse_twins(boxes, zip(on[boxes].tolist(), classes, made.hulls, strict=True))
        parts.append((boxes, made))
        keys += 4 * len(boxes)
    if rings:
        drawn, points = _outlines(objects, rings, sizes)
        parts.append((rings, _rings(rings, drawn, points, sizes)))
        keys += 3 * int(points.sum())
    if alone := [place for place in polygons if place not in several]:
        drawn, points = rounded.flattened([polygons[place].polygons[0][0] for place in alone])
        parts.append((alone, _rings(alone, drawn, points, sizes)))
    if several:
        parts.append(_several(several, sizes))
    if masks:
        parts += _masks(objects, masks, sizes)
        keys += 5 * len(masks)
    holed = sum(map(needs_rle, several.values()))
    outlines = len(rings) + len(nested) + len(masks)
    losses = {"coco:polygon_with_holes_as_rle": holed, "tables:outline": outlines}
    return Shapes(*_merged(parts)[:3], losses, keys)


def _by_kind(objects: Sequence[plain.Object], told: Told) -> tuple[list[int], list[int], list[int], list[int]]:
    """The places of boxes, of polygons of one ring, of other polygons, and of masks."""
    if set(told.shapes) == {"bounding_box"} and UnsetType not in set(map(type, told.boxes)):
        return list(range(len(objects))), [], [], []
    boxes: list[int] = []
    rings: list[int] = []
    others: list[int] = []
    masks: list[int] = []
    left: list[int] = []
    for place, one in enumerate(objects):
        if one.shape == "bounding_box" and one.bounding_box is not UNSET:
            boxes.append(place)
        elif one.shape == "polygon" and one.polygon is not UNSET:
            (rings if one.polygons is UNSET else others).append(place)
        elif one.shape == "bitmask" and one.bitmask is not UNSET:
            masks.append(place)
        else:
            left.append(place)
    if left:
        raise Left(left)
    return boxes, rings, others, masks


def _boxes(boxes: Sequence[plain.Box | UnsetType], places: list[int], sizes: "Ints") -> tuple[Columns, "Floats"]:
    given = boxes if len(places) == len(boxes) else [boxes[place] for place in places]
    sides, odd = plain_shapes.boxes([one for one in given if one is not UNSET], sizes[places])
    _refuse(places, odd)
    return box_columns(sides), sides


def _refuse(places: Sequence[int], odd: "NDArray[np.bool_]") -> None:
    if odd.any():
        raise Left(place for place, is_odd in zip(places, odd.tolist(), strict=True) if is_odd)


def _may_be_twins(on: "Ints", sides: "Floats") -> bool:
    """Whether two boxes on one frame may be the same, of whatever class."""
    import numpy as np

    mixed = on * np.e
    for weight, column in zip(_WEIGHTS, sides.T, strict=True):
        mixed += weight * column
    mixed.sort()
    return bool((mixed[1:] == mixed[:-1]).any())


def _refuse_twins(places: Sequence[int], keys: Iterable[tuple[object, ...]]) -> None:
    """Refuse boxes of one class that may be the same on one frame."""
    last = dict(zip(keys, places, strict=True))
    if len(last) < len(places):
        raise Left(set(places) - set(last.values()))


def _outlines(objects: Sequence[plain.Object], places: Sequence[int], sizes: "Ints") -> tuple["Floats", "Ints"]:
    given = [one for place in places if isinstance(one := objects[place].polygon, Raw)]
    drawn, counts, odd = plain_shapes.outlines(given, sizes[places])
    _refuse(places, odd)
    return drawn, counts


def _rings(places: Sequence[int], drawn: "Floats", counts: "Ints", sizes: "Ints") -> Columns:
    """The forms of polygons of one ring."""
    found = ring_columns(drawn, counts, sizes[places].tolist())
    fine = (simple and area > FLAT for simple, area in zip(found.simple, found.areas, strict=True))
    if doubtful := [at for at, is_fine in enumerate(fine) if not is_fine]:
        ends = 2 * counts.cumsum()
        rings = (tuple(drawn[ends[at] - 2 * counts[at] : ends[at]].tolist()) for at in doubtful)
        flat = [at for at, ring in zip(doubtful, rings, strict=True) if is_flat(Polygon(((ring,),)))]
        if flat:
            raise Left(places[at] for at in flat)
    return found


def _polygons(objects: Sequence[plain.Object], places: Sequence[int], sizes: "Ints") -> tuple[dict[int, Polygon], int]:
    """Polygons of any kind by their places, and how many keys they have."""
    found: dict[int, Polygon] = {}
    left: list[int] = []
    keys = 0
    for place, (width, height) in zip(places, sizes[places].tolist(), strict=True):
        try:
            made = plain_shapes.polygon(objects[place], width, height)
        except UNREADABLE:
            made = None
        if made is None or is_flat(made[0]):
            left.append(place)
        else:
            found[place] = made[0]
            keys += made[1] + 1
    if left:
        raise Left(left)
    return found, keys


def _several(polygons: Mapping[int, Polygon], sizes: "Ints") -> tuple[Sequence[int], Columns]:
    """The places and forms of polygons of several rings."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for place in polygons:
        width, height = sizes[place].tolist()
        by_size.setdefault((width, height), []).append(place)
    found: list[forms.Form] = []
    for (width, height), places in by_size.items():
        found += forms.forms_of_polygons([polygons[place] for place in places], width=width, height=height)
    columns = zip(*((one.bbox, one.area, one.segmentation, one.simple) for one in found), strict=True)
    return [place for places in by_size.values() for place in places], Columns(*columns)


def _masks(
    objects: Sequence[plain.Object], places: Sequence[int], sizes: "Ints"
) -> Iterator[tuple[Sequence[int], Columns]]:
    """The places and forms of masks that cover their frames."""
    by_size: dict[tuple[int, int], list[tuple[int, str]]] = {}
    left: list[int] = []
    for place, size in zip(places, map(tuple, sizes[places].tolist()), strict=True):
        mask = objects[place].bitmask
        if isinstance(mask, plain.Bitmask) and (mask.width, mask.height) == size and not mask.top | mask.left:
            by_size.setdefault(size, []).append((place, mask.code))
        else:
            left.append(place)
    if left:
        raise Left(left)
    for (width, height), given in by_size.items():
        of_size, codes = zip(*given, strict=True)
        found = masks_at_once.turn_codes(codes, width, height)
        if found is None:
            runs = codes_at_once.decode_all(codes, [width * height] * len(codes))
            raise Left(place for place, one in zip(of_size, runs, strict=True) if one is None)
        if empty := [place for place, one in zip(of_size, found, strict=True) if not one.area]:
            raise Left(empty)
        segmentations = [forms.Rle((height, width), one.counts) for one in found]
        yield (
            list(of_size),
            Columns([one.bbox for one in found], [one.area for one in found], segmentations, [False] * len(found)),
        )


def _merged(parts: Sequence[tuple[Sequence[int], Columns]]) -> Columns:
    """The forms in the order of their objects."""
    if len(parts) == 1 and isinstance(parts[0][0], list) and parts[0][0] == sorted(parts[0][0]):
        return parts[0][1]
    places = [place for places, _ in parts for place in places]
    order = sorted(range(len(places)), key=places.__getitem__)
    joined = ([value for part in column for value in part] for column in zip(*(made for _, made in parts), strict=True))
    return Columns(*([values[at] for at in order] for values in joined))
