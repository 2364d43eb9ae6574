"""Lakes of every kind, runs that fail at a chosen storage call, and what a reader may see afterwards."""

from collections.abc import Callable, Iterator

import msgspec

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import StorageError
from encord_dagster.label_set import history
from encord_dagster.label_set.verify import verify
from encord_dagster.outcomes import Batch
from encord_dagster.pipeline import ingest
from encord_dagster.storage.protocol import Create, ObjectInfo, ObjectStore
from tests.lakes import Desk, exported_again, images_export

NAME = "street"
CONFIG = LabelSetConfig(name=NAME, masks=False)
FIRST = images_export(2)
SECOND = exported_again(FIRST, changed=1)
FOREIGN = images_export(1, seed=8)

Act = Callable[[], object]
Around = Callable[[str, str, Act], object]
BASES: dict[str, tuple[bytes, ...]] = {"first publish": (), "publish on top": (FIRST,)}


class Backend(msgspec.Struct, frozen=True):
    """A kind of store; each `new` is empty."""

    name: str
    new: Callable[[], ObjectStore]

    def copy(self, store: ObjectStore) -> ObjectStore:
        """Another store with the same objects."""
        copied = self.new()
        for info in store.list():
            copied.put_hint(info.key, store.get(info.key) or b"")
        return copied


class Crash(BaseException):
    """The process is gone: nothing may catch it."""


class Watched:
    """A store whose every call goes through `around`, which may raise before or after it."""

    def __init__(self, store: ObjectStore, around: Around) -> None:
        self.store, self.around, self.url = store, around, store.url

    def create(self, key: str, data: bytes) -> Create:
        found = self.around("create", key, lambda: self.store.create(key, data))
        assert isinstance(found, Create)
        return found

    def put_hint(self, key: str, data: bytes) -> None:
        self.around("put_hint", key, lambda: self.store.put_hint(key, data))

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        found = self.around("get", key, lambda: self.store.get(key, etag=etag, start=start, end=end))
        assert found is None or isinstance(found, bytes)
        return found

    def head(self, key: str) -> ObjectInfo | None:
        found = self.around("head", key, lambda: self.store.head(key))
        assert found is None or isinstance(found, ObjectInfo)
        return found

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        found = self.around("list", prefix, lambda: list(self.store.list(prefix, start_after=start_after)))
        assert isinstance(found, list)
        return iter(found)

    def delete(self, key: str) -> None:
        self.around("delete", key, lambda: self.store.delete(key))


class Counting:
    """Counts calls; around the one at `at` the process dies, or `error` is raised."""

    def __init__(self, at: int = 0, *, after: bool = False, error: Callable[[], BaseException] = Crash) -> None:
        self.at, self.after, self.error, self.calls = at, after, error, 0

    def __call__(self, call: str, key: str, act: Act) -> object:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise self.error()
        found = act()
        if self.calls == self.at:
            raise self.error()
        return found


class LosesAnswers:
    """The first `times` creates of keys with a part of this name raise: after they landed, or instead."""

    def __init__(self, part: str, *, times: int = 1, lands: bool = True, error: type[StorageError] = StorageError):
        self.part, self.times, self.lands, self.error = part, times, lands, error
        self.lost: list[str] = []

    def __call__(self, call: str, key: str, act: Act) -> object:
        if call != "create" or f"/{self.part}/" not in f"/{key}" or len(self.lost) >= self.times:
            return act()
        self.lost.append(key)
        if self.lands:
            act()
        raise self.error(f"{key}: no answer")


def sound_lake(*exports: bytes, lake: ObjectStore | None = None) -> Desk:
    """A desk whose lake holds these exports, brought one by one."""
    desk = Desk(lake, CONFIG)
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk


def published(lake: ObjectStore) -> list[tuple[int, str]]:
    """Versions with their content digests, once each."""
    records = history.records(lake, NAME, history.head(lake, NAME))
    return list(dict.fromkeys((record.version, record.content_digest) for record in records))


def content(lake: ObjectStore) -> str:
    """The content digest of the newest version."""
    return published(lake)[-1][1]


def seen(lake: ObjectStore) -> tuple[str, bytes] | None:
    """What a reader gets, None where there is no version; everything that it names must be whole."""
    label_set = Desk(lake, CONFIG).label_set()
    assert verify(lake, NAME).problems == []
    if label_set.head.record is None:
        return None
    version = label_set.version()
    assert version.table("annotations").num_rows == version.root.annotations
    return version.root.content_digest, version.coco()


class Sweep:
    """One export on top of a base, and everything a reader may see of it."""

    def __init__(self, backend: Backend, base: tuple[bytes, ...], data: bytes) -> None:
        self.backend = backend
        self.desk = sound_lake(*base, lake=backend.new())
        self.base = self.desk.lake
        self.export = self.desk.deliver("swept.json", data)
        self.old = seen(self.base)
        done = self.lake()
        counting = Counting()
        self.run(done, counting)
        self.calls, self.new, self.versions = counting.calls, seen(done), published(done)

    def lake(self) -> ObjectStore:
        """A fresh copy of the base."""
        return self.backend.copy(self.base)

    def run(self, lake: ObjectStore, around: Around) -> Batch:
        """Ingest the export, every call of landing prefix and lake through `around`."""
        landing = Watched(self.desk.landing, around)
        return ingest([self.export], landing=landing, lake=Watched(lake, around), config=CONFIG)

    def crash(self, lake: ObjectStore, at: int, *, after: bool) -> None:
        """A run that dies around its n-th call, if it makes so many; a reader then finds one version whole."""
        try:
            self.run(lake, Counting(at, after=after))
        except Crash:
            assert seen(lake) in (self.old, self.new)

    def recovers(self, lake: ObjectStore) -> None:
        """A clean run leaves what a run without a fault leaves."""
        self.run(lake, Counting())

        assert published(lake) == self.versions
        assert seen(lake) == self.new
        assert self.export.id in Desk(lake, CONFIG).label_set().accounted()
        assert not [info.key for info in lake.list(layout.quarantine(NAME))]


def sweep_of(backend: Backend, base: str) -> Sweep:
    """The publish of a first export, or of a newer one on top of it."""
    return Sweep(backend, BASES[base], SECOND if BASES[base] else FIRST)


def flipped(data: bytes, at: int) -> bytes:
    """The bytes with one bit changed: a digit stays a digit, a letter a letter."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
