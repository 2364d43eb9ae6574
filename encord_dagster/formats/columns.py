"""What COCO says of many boxes, or of many polygons of one ring, in columns: each as `forms.form_of` has it alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from encord_dagster.formats import rounded
from encord_dagster.formats.raster import DECIMALS, area_in_pixels, is_simple
from encord_dagster.geometry import Polygon, Ring

if TYPE_CHECKING:
    from encord_dagster.formats.forms import Rle
    from encord_dagster.formats.rounded import Floats, Ints


class Columns(NamedTuple):
    """What COCO says of many shapes, field by field of `Form`."""

    hulls: Sequence[tuple[float, float, float, float]]
    areas: Sequence[float]
    segmentations: Sequence["tuple[Ring, ...] | Rle"]
    simple: Sequence[bool]


def box_columns(sides: "Floats") -> Columns:
    """The forms of boxes; x, y, width and height of each are a row."""
    import numpy as np

    ends = sides[:, :2] + sides[:, 2:]
    numbers = np.concatenate((sides, ends, (sides[:, 2] * sides[:, 3])[:, None]), axis=1)
    found = rounded.rounded(numbers)
    x, y, width, height, right, bottom, areas = found.T.tolist()
    hulls = list(zip(x, y, width, height, strict=True))
    rings = zip(zip(x, y, right, y, right, bottom, x, bottom, strict=True), strict=True)
    return Columns(hulls, areas, list(rings), [False] * len(hulls))


def ring_columns(drawn: "Floats", sizes: "Ints", frames: Sequence[tuple[int, int]]) -> Columns:
    """The forms of polygons of one ring. `drawn` is all points, `sizes` how many each has, `frames` their frames."""
    rings = rounded.Rings(drawn, sizes)
    areas, simple, points = rings.areas(), rings.stars(), rings.rounded()
    for place in [place for place, is_star in enumerate(simple) if not is_star]:
        simple[place] = is_simple(points[place])
        if not simple[place]:
            width, height = frames[place]
            polygon = Polygon(((rings.of(drawn, place),),))
            areas[place] = round(area_in_pixels(polygon, width=width, height=height), DECIMALS)
    return Columns(rings.hulls(), areas, list(zip(points, strict=True)), simple)
