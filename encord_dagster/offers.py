"""A label row as it is offered to a label set: what the draft has to know of it, and its fragment, made when asked for.

Rows that other processes read and converted are offered in the same way.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from encord_dagster.encord.model import LabelRow, Quarantined
from encord_dagster.encord.ontology import Ontology
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import Category, ClassCount, Fragment, classes_of, fitted, own_ids, pack
from encord_dagster.formats.losses import losses


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a label set has to know of a row beside its event and its fragment."""

    label_hash: str
    branch_name: str
    dataset_hash: str | None
    source: Literal["labels", "coco"]
    deleted: bool
    data_hashes: tuple[str, ...]
    objects_in: int
    quarantined: tuple[Quarantined, ...]
    excluded: dict[str, int]  # objects left out on purpose, by named reason
    images: int  # frames of known size
    classes: dict[str, int]  # objects on frames by the name of their class


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A fragment, packed, and what of it is counted."""

    data: bytes
    images: int
    annotations: int
    classes: tuple[ClassCount, ...]
    coco_bytes: int
    mask_bytes: int


class Offer(Protocol):
    """One row. `fit` comes first, then the others see the row without what its categories cannot hold."""

    def facts(self) -> Facts:
        """The row as it was read."""

    def classes(self, ontology: Ontology | None) -> dict[str, Category]:
        """The classes that its objects need, as claims."""

    def fit(self, categories: Mapping[str, Category]) -> Facts:
        """Leave out what the categories cannot hold."""

    def own_ids(self, ids: Mapping[str, int]) -> dict[str, int]:
        """What of the id overrides is of its records."""

    def losses(self) -> dict[str, int]:
        """What the formats cannot hold of it, by code."""

    def make(self, categories: Mapping[str, Category], ids: Mapping[str, int]) -> Made:
        """Its fragment. RowError where no format can hold it."""


class RowOffer:
    """A row that this process read."""

    def __init__(self, row: LabelRow, *, masks: bool) -> None:
        self.row, self._masks = row, masks

    def facts(self) -> Facts:
        """The row as it was read."""
        return facts_of(self.row)

    def classes(self, ontology: Ontology | None) -> dict[str, Category]:
        """The classes that its objects need, as claims."""
        return classes_of(self.row, ontology)

    def fit(self, categories: Mapping[str, Category]) -> Facts:
        """Leave out skeletons with joints that their category lacks."""
        self.row = fitted(self.row, categories)
        return facts_of(self.row)

    def own_ids(self, ids: Mapping[str, int]) -> dict[str, int]:
        """What of the id overrides is of its records."""
        return own_ids(self.row, ids)

    def losses(self) -> dict[str, int]:
        """What the formats cannot hold of it, by code."""
        return losses(self.row, masks=self._masks)

    def make(self, categories: Mapping[str, Category], ids: Mapping[str, int]) -> Made:
        """Its fragment. RowError where no format can hold it."""
        return made_of(convert(self.row, categories, masks=self._masks, ids=ids))


def facts_of(row: LabelRow) -> Facts:
    """What a label set has to know of a row."""
    return Facts(
        label_hash=row.label_hash,
        branch_name=row.branch_name,
        dataset_hash=row.dataset_hash,
        source=row.source,
        deleted=row.deleted,
        data_hashes=tuple(dict.fromkeys(frame.data_hash for frame in row.frames)),
        objects_in=row.objects_in,
        quarantined=row.quarantined,
        excluded=dict(Counter(item.reason for item in row.excluded)),
        images=sum(1 for frame in row.frames if frame.width and frame.height),
        classes=dict(Counter(item.name for frame in row.frames for item in frame.objects)),
    )


def made_of(fragment: Fragment) -> Made:
    """A fragment, packed and counted."""
    return Made(
        data=pack(fragment),
        images=len(fragment.images),
        annotations=len(fragment.annotations),
        classes=fragment.classes,
        coco_bytes=sum(map(len, (*fragment.images, *fragment.annotations))),
        mask_bytes=sum(len(mask.png) for mask in fragment.masks),
    )
