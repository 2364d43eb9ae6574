"""What a version holds, as plain values; `Version.summary()` gives them."""

from typing import TYPE_CHECKING

import msgspec

from encord_dagster.label_set.spread import Spread

if TYPE_CHECKING:
    import pandas as pd


class ClassSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of one class. Small, medium and large are those of COCO: below 32² and 96² pixels of area."""

    category_id: int
    feature_hash: str
    name: str
    objects: int
    share: float  # of all objects of the version
    images: int  # that show one or more; of an image that two label rows describe, each counts
    shapes: dict[str, int]
    small: int
    medium: int
    large: int
    without_area: int  # points, lines, skeletons
    width: Spread
    height: Spread
    area: Spread


class AttributeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to one attribute. Texts are people's own words: they are counted, and none is kept."""

    of: str  # object or classification
    owner: str  # name of the class or classification
    name: str
    feature_hash: str
    options: dict[str, int]  # most frequent first
    texts: int
    numbers: Spread

    @property
    def answers(self) -> int:
        """All of them; where several options are ticked, each counts."""
        return sum(self.options.values()) + self.texts + self.numbers.count


class ClassificationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How often one classification was given."""

    feature_hash: str
    name: str
    given: int


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """Images of one size."""

    width: int
    height: int
    images: int


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The images. Statuses and workflow stages count images, and label rows that have images."""

    images: int
    without_objects: int
    sizes: tuple[Sized, ...]  # most frequent first
    other_sizes: int  # images of sizes that are not listed
    objects: Spread  # on an image
    data_types: dict[str, int]
    label_statuses: dict[str, tuple[int, int]]
    task_statuses: dict[str, tuple[int, int]]
    workflow_nodes: dict[str, tuple[int, int]]


class RuleSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How often one rule fired, and where first."""

    rule: str
    severity: str
    count: int
    place: str
    message: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One version in numbers; `frame` gives those of its classes to pandas."""

    name: str
    version: int
    content_digest: str
    rows: int
    tombstones: int
    images: ImageSummary
    annotations: int
    classes: tuple[ClassSummary, ...]  # most objects first; those without any are classes of the ontology
    attributes: tuple[AttributeSummary, ...]
    classifications: tuple[ClassificationSummary, ...]
    rules: tuple[RuleSummary, ...]  # worst first
    losses: dict[str, int]

    def frame(self) -> "pd.DataFrame":
        """A line for each class; lengths in pixels."""
        import pandas as pd

        return pd.DataFrame.from_records([_line(one) for one in self.classes])


def _line(one: ClassSummary) -> dict[str, object]:
    """One class as a record of plain values."""
    plain = ("category_id", "feature_hash", "name", "objects", "share", "images")
    areas = ("small", "medium", "large", "without_area")
    spreads = {
        f"{side}_{what}": getattr(getattr(one, side), what)
        for side in ("width", "height", "area")
        for what in ("least", "mean", "most")
    }
    shape = ", ".join(one.shapes)
    return (
        {name: getattr(one, name) for name in plain}
        | {"shapes": shape}
        | {name: getattr(one, name) for name in areas}
        | spreads
    )
