"""Damaged objects of a label set put back as they were: the same bytes at the same key, and no other record.

What was published stays as it is named, so every version that names the object is healed. It is maintenance, like gc:
an object that holds wrong bytes is deleted first. Readers refuse it before, and find it whole after.
"""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import history
from encord_dagster.label_set.manifest import ExportEntry, ObjectRef, sha256
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import export_of
from encord_dagster.pipeline import ingest
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore

LEVELS = 3  # a root hides its buckets, and these their shards, until they can be read

Find = Callable[[ObjectRef], bytes | None]


class RepairReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back, and what is still wrong."""

    repaired: tuple[str, ...]
    problems: tuple[str, ...]


def repair(lake: ObjectStore, name: str, config: LabelSetConfig) -> RepairReport:
    """Put back every damaged object whose bytes lie elsewhere in the lake or can be made again from raw copies.

    They can be made again by the converter and the configuration that made them, where the copies are there. Versions
    that an operator made (rollback, retire) are not made again, nor are the log, category claims and raw copies.
    """
    repaired: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        remade = _Remade(lake, config, LocalStore(Path(folder)))
        for find in (_copies(lake, name), remade.find):
            for _ in range(LEVELS):
                put_back = [ref.key for ref in verify(lake, name).damaged if _put_back(lake, ref, find(ref))]
                repaired += put_back
                if not put_back:
                    break
    return RepairReport(repaired=tuple(repaired), problems=tuple(verify(lake, name).problems))


def _put_back(lake: ObjectStore, ref: ObjectRef, data: bytes | None) -> bool:
    if data is None or sha256(data) != ref.sha256:
        return False
    there = lake.get(ref.key)
    if there is not None and there != data:
        lake.delete(ref.key)
    lake.create(ref.key, data)
    return True


def _copies(lake: ObjectStore, name: str) -> Find:
    """Objects that hold the same bytes: of another epoch, or stored beside damaged ones."""
    by_digest: dict[str, list[str]] = {}
    for info in lake.list(layout.contents(name)):
        by_digest.setdefault(_digest_in(info.key), []).append(info.key)

    def find(ref: ObjectRef) -> bytes | None:
        copies = (lake.get(key) for key in by_digest.get(ref.sha256, ()) if key != ref.key)
        return next((data for data in copies if data is not None and sha256(data) == ref.sha256), None)

    return find


def _digest_in(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


class _Remade:
    """A second lake, in which the label set is made anew when something is first looked for in it."""

    def __init__(self, lake: ObjectStore, config: LabelSetConfig, scratch: ObjectStore) -> None:
        self.lake, self.config, self.scratch = lake, config, scratch
        self._keys: dict[str, str] | None = None

    def find(self, ref: ObjectRef) -> bytes | None:
        """The bytes of an object as they were made again, None where none came out like it."""
        if self._keys is None:
            self._make()
            self._keys = {
                _digest_in(info.key): info.key for info in self.scratch.list(layout.contents(self.config.name))
            }
        return self.scratch.get(self._keys.get(ref.sha256, ref.key))  # events have the key that they had

    def _make(self) -> None:
        """Bring exports record by record, as the log has them, so that each version is built on the same one."""
        name = self.config.name
        for info in self.lake.list(layout.categories(name)):
            self.scratch.create(info.key, self.lake.get(info.key) or b"")
        head = history.head(self.lake, name)
        for record in history.records(self.lake, name, head):
            if record.op == "gc":
                self._begin_epoch()
            elif record.exports and not self._bring(record.exports):
                return

    def _begin_epoch(self) -> None:
        """As a gc does: the keys in manifests name the epoch."""
        name = self.config.name
        head = history.head(self.scratch, name)
        if head.record:
            record = msgspec.structs.replace(
                head.record, seq=head.seq + 1, op="gc", previous=head.digest, epoch=head.record.epoch + 1, exports=()
            )
            history.commit(self.scratch, name, record)

    def _bring(self, entries: Iterable[ExportEntry]) -> bool:
        """Ingest exports out of their raw copies; whether all of them are there."""
        landing, exports = MemoryStore(), []
        for entry in entries:
            key = f"{entry.id}/export.json"
            for digest, place in ((entry.sha256, key), (entry.ontology, f"{entry.id}/ontology.json")):
                data = self.lake.get(layout.raw(digest)) if digest else b""
                if data is None or (digest and sha256(data) != digest):
                    return False
                if digest:
                    landing.create(place, data)
            info = landing.head(key)
            if info:
                exports.append(msgspec.structs.replace(export_of(info), id=entry.id))
        ingest(exports, landing=landing, lake=self.scratch, config=self.config)
        return True
