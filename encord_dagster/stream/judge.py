"""Rows that are clearly fine, told without asking each rule: most rows are, and rules look at every object anew."""

from collections import Counter
from collections.abc import Mapping, Sequence

from encord_dagster.encord.model import LabelRow
from encord_dagster.formats.forms import Form
from encord_dagster.formats.losses import losses
from encord_dagster.formats.raster import needs_rle
from encord_dagster.geometry import LARGEST_MASK, Bitmask, Box, Point, Polygon, Polyline, Skeleton
from encord_dagster.rules.rows import is_flat

_PLAIN = frozenset({Box, Polygon, Bitmask})  # whose losses are few
_FINE = frozenset({*_PLAIN, Polyline, Point, Skeleton})
FLAT = 1e-3  # square pixels: a polygon of more is not flat by any rounding


class Look:
    """A row at a glance. `forms` are those of its objects: to be given before more is asked than what it holds."""

    def __init__(self, row: LabelRow) -> None:
        self.row = row
        self.forms: Sequence[Form] = ()
        self.items = items = [item for frame in row.frames for item in frame.objects]
        self.pairs = Counter([(item.feature_hash, item.name) for item in items])
        self.shapes = [type(item.geometry) for item in items]
        self.kinds = set(self.shapes)
        self.sized = all(frame.width and frame.height for frame in row.frames)

    @property
    def is_fine(self) -> bool:
        """Whether no rule of `validate` can find anything. Many rows that are fine are not known to be."""
        row = self.row
        labelled = row.objects_in and (row.data_type == "image" or all(frame.objects for frame in row.frames))
        return bool(labelled) and self.has_fine_objects

    @property
    def has_fine_objects(self) -> bool:
        """Whether no rule can find anything in the objects of the row, if it has some."""
        row = self.row
        if row.excluded or row.quarantined or not self.sized or not self.kinds <= _FINE:
            return False
        if len({key for key, _ in self.pairs}) < len(self.pairs):
            return False
        if any(is_flat(shape) for shape in self._involved()):
            return False
        if Bitmask in self.kinds and not all(
            form.area for form, shape in zip(self.forms, self.shapes, strict=True) if shape is Bitmask
        ):
            return False
        return Box not in self.kinds or self._boxes_differ()

    def _involved(self) -> list[Polygon]:
        """The polygons that are not known to be one simple outline with an area."""
        if Polygon not in self.kinds:
            return []
        pairs = zip(self.items, self.forms, strict=True)
        simple = [item for item, form in pairs if not (form.simple and form.area > FLAT)]
        return [item.geometry for item in simple if isinstance(item.geometry, Polygon)]

    def _boxes_differ(self) -> bool:
        for frame in self.row.frames:
            boxes = [(item.feature_hash, item.geometry) for item in frame.objects if type(item.geometry) is Box]
            if len(boxes) > 1 and len(set(boxes)) < len(boxes):
                return False
        return True

    def losses(self, *, masks: bool) -> dict[str, int]:
        """What the formats cannot hold of the row."""
        row = self.row
        plain = self.kinds <= _PLAIN and self.sized and bool(row.frames) and row.source == "labels"
        plain = plain and not row.excluded and not row.texts_left_out
        if not plain or any((frame.width or 0) * (frame.height or 0) > LARGEST_MASK for frame in row.frames):
            return losses(row, masks=masks)
        outlines = len(self.shapes) - self.shapes.count(Box)
        holed = sum(map(needs_rle, self._involved()))
        counted = {"coco:polygon_with_holes_as_rle": holed, "tables:outline": outlines}
        return {code: count for code, count in counted.items() if count}

    def class_counts(self) -> dict[tuple[str, str], int]:
        """Objects by class, each under the name that the last of the row has."""
        last = dict(self.pairs.keys()) if len({key for key, _ in self.pairs}) == len(self.pairs) else None
        if last is not None:
            return self.pairs
        names = {item.feature_hash: item.name for frame in self.row.frames for item in frame.objects}
        found: Counter[tuple[str, str]] = Counter()
        for (key, _), objects in self.pairs.items():
            found[key, names[key]] += objects
        return found


def names_of(pairs: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Objects by the name of their class."""
    found: Counter[str] = Counter()
    for (_, name), objects in pairs.items():
        found[name] += objects
    return found
