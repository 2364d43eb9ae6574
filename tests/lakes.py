"""Exports put into a landing store in memory, and brought from there into a lake."""

from datetime import UTC, datetime, timedelta

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set.read import LabelSet, open_label_set
from encord_dagster.landing import Export, exports_in
from encord_dagster.outcomes import Batch
from encord_dagster.pipeline import ingest
from encord_dagster.samples import Project, first_export, large_project, next_export
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore

DAY = datetime(2024, 3, 1, 9, tzinfo=UTC)


class Desk:
    """A landing prefix and a lake, and the few things that tests do with them."""

    def __init__(self, lake: ObjectStore | None = None, config: LabelSetConfig | None = None) -> None:
        self.landing: ObjectStore = MemoryStore()
        self.lake: ObjectStore = lake or MemoryStore()
        self.config = config or LabelSetConfig(name="street")

    def deliver(self, key: str, data: bytes) -> Export:
        """Put one export into the landing prefix."""
        self.landing.create(key, data)
        return next(export for export in exports_in(self.landing) if export.key == key)

    def ingest(self, *exports: Export) -> Batch:
        """Bring exports into the label set as one batch."""
        return ingest(exports, landing=self.landing, lake=self.lake, config=self.config)

    def bring(self, key: str, data: bytes) -> Batch:
        """Deliver one export and ingest it."""
        return self.ingest(self.deliver(key, data))

    def label_set(self) -> LabelSet:
        """The label set, opened anew."""
        return open_label_set(self.lake, self.config.name)

    def written(self, below: str = "") -> set[str]:
        """Keys in the lake."""
        return {info.key for info in self.lake.list(below)}


def project_export(rows: int = 10, *, seed: int = 3, first_row: int = 0) -> bytes:
    """An export of all data types and shapes."""
    return first_export(Project(seed, rows, first_row=first_row), exported_at=DAY)


def images_export(rows: int, *, seed: int = 3) -> bytes:
    """An export of many small image rows."""
    return first_export(large_project(rows, seed), exported_at=DAY)


def exported_again(previous: bytes, *, changed: int = 0, added: int = 0, deleted: int = 0, days: int = 1) -> bytes:
    """The same project exported some days later."""
    return next_export(
        previous, seed=days, exported_at=DAY + timedelta(days=days), changed=changed, added=added, deleted=deleted
    )
