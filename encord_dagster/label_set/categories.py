"""Category ids: small, from 1, claimed once by feature hash, never renumbered and never reused.

Claims are sealed, as nothing else vouches for one before a version does.
"""

from collections.abc import Iterable, Mapping

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged
from encord_dagster.formats.fragment import Category
from encord_dagster.label_set.manifest import encode, seal_holds, sealed
from encord_dagster.storage.protocol import Create, ObjectStore


class _WithoutDigest(Category, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim of an older release: a digest whose name or form was damaged makes none of a newer one."""


class Categories:
    """The claims of one label set as far as this process has read them.

    Raises HistoryDamaged where a claim was altered, or is missing though one behind it or a version (`of`) has it.
    """

    def __init__(self, lake: ObjectStore, name: str, *, of: Iterable[Category] = ()) -> None:
        self.lake, self.name = lake, name
        self.claimed: dict[str, Category] = {}
        for number in range(1, 1 + sum(1 for _ in lake.list(layout.categories(name)))):
            self._read(number)
        for held in of:
            claim = self.claimed.get(held.feature_hash)
            if claim is None or claim.id != held.id:
                key = layout.category(name, held.id)
                raise HistoryDamaged(f"{lake.url}: {key} does not claim what the newest version has it for; restore it")

    def claim(self, wanted: Mapping[str, Category]) -> dict[str, Category]:
        """The category of each wanted class; a new class takes the next free number."""
        return {key: self.claimed.get(key) or self._claim(wanted[key]) for key in wanted}

    def _claim(self, wanted: Category) -> Category:
        while wanted.feature_hash not in self.claimed:
            number = len(self.claimed) + 1
            mine = msgspec.structs.replace(wanted, id=number)
            if self.lake.create(layout.category(self.name, number), claim_bytes(mine)) is Create.DIFFERENT:
                self._read(number)
            else:
                self.claimed[mine.feature_hash] = mine
        return self.claimed[wanted.feature_hash]

    def _read(self, number: int) -> None:
        category = read_claim(self.lake, self.name, number)
        self.claimed[category.feature_hash] = category


def claim_bytes(category: Category) -> bytes:
    """A claim as it is stored."""
    return sealed(encode(category))


def read_claim(lake: ObjectStore, name: str, number: int) -> Category:
    """A claim. HistoryDamaged where it is missing or altered; older releases wrote claims without a digest."""
    key = layout.category(name, number)
    data = lake.get(key)
    if data is None:
        raise HistoryDamaged(f"{lake.url}: {key} is missing; restore it")
    try:
        category = _checked(data)
    except msgspec.DecodeError as error:
        raise HistoryDamaged(f"{lake.url}: {key} cannot be read as a category claim: {error}; restore it") from error
    if category is None or category.id != number:
        what = "was altered" if category is None else f"holds the claim of {category.id}"
        raise HistoryDamaged(f"{lake.url}: {key} {what}; restore it")
    return category


def _checked(data: bytes) -> Category | None:
    """A claim that its digest holds for, None where it does not."""
    category = msgspec.json.decode(data, type=Category)
    holds = seal_holds(data)
    if holds is None:
        msgspec.json.decode(data, type=_WithoutDigest)
    return None if holds is False else category
