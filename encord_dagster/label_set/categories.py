"""Category ids: small, from 1, claimed once by feature hash, never renumbered and never reused."""

from collections.abc import Mapping

import msgspec

from encord_dagster import layout
from encord_dagster.formats.fragment import Category
from encord_dagster.label_set.manifest import encode
from encord_dagster.storage.protocol import Create, ObjectStore


class Categories:
    """The claims of one label set as far as this process has read them."""

    def __init__(self, lake: ObjectStore, name: str) -> None:
        self.lake, self.name = lake, name
        self.claimed: dict[str, Category] = {}
        for number in range(1, 1 + sum(1 for _ in lake.list(layout.categories(name)))):
            self._read(number)

    def claim(self, wanted: Mapping[str, Category]) -> dict[str, Category]:
        """The category of each wanted class; a new class takes the next free number."""
        return {key: self.claimed.get(key) or self._claim(wanted[key]) for key in wanted}

    def _claim(self, wanted: Category) -> Category:
        while wanted.feature_hash not in self.claimed:
            number = len(self.claimed) + 1
            mine = msgspec.structs.replace(wanted, id=number)
            if self.lake.create(layout.category(self.name, number), encode(mine)) is Create.DIFFERENT:
                self._read(number)
            else:
                self.claimed[mine.feature_hash] = mine
        return self.claimed[wanted.feature_hash]

    def _read(self, number: int) -> None:
        data = self.lake.get(layout.category(self.name, number))
        if data:
            category = msgspec.json.decode(data, type=Category)
            self.claimed[category.feature_hash] = category
