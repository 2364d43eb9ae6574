"""The buckets that a publish touches, written: new, patched, or made anew out of what they held."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache

import msgspec
import pyarrow as pa

from encord_dagster.formats.fragment import Fragment
from encord_dagster.label_set import ids, manifest, objects, shards
from encord_dagster.label_set.join import State
from encord_dagster.label_set.manifest import BucketRef, BucketRow, ObjectRef
from encord_dagster.storage.at_once import at_once

LoadFragment = Callable[[str], Fragment]
Written = tuple[str, BucketRef, Mapping[str, pa.Table]]  # the prefix of a bucket; the tables of `ids.KINDS` in it
_Touched = tuple[str, dict[str, BucketRow]]  # a prefix, and its rows that are not as the store has them


class _Made(msgspec.Struct, frozen=True):
    """A bucket that is made, and not stored."""

    prefix: str
    rows: Sequence[BucketRow]
    shards: Mapping[str, bytes]
    tables: Mapping[str, pa.Table]


class Buckets:
    """What becomes of the buckets of a state where `rows` change and others are `removed`."""

    def __init__(
        self,
        state: State,
        *,
        name: str,
        epoch: int,
        length: int,
        rows: Mapping[str, BucketRow],
        removed: Collection[str],
        load: LoadFragment,
    ) -> None:
        self._state, self._lake, self._name, self._epoch = state, state.lake, name, epoch
        self._old = state.root if state.root and state.root.rows else None
        self._length, self._rows, self._removed, self._load = length, rows, removed, load
        self._split = self._old is not None and self._old.prefix_length != length  # whether the set has grown past it
        self._empty = cache(self._store_empty)

    def write(self) -> Iterator[Written]:
        """Write those that rows of change, or all of them where the set has grown past its prefix length."""
        if self._old:
            yield from filter(None, at_once(self._lake, self._change, self._touched()))
        else:  # made by this thread: several that compute would wait for each other more than for the store
            yield from at_once(self._lake, self._store, map(self._make, self._touched()))

    def _touched(self) -> list[_Touched]:
        by_prefix: dict[str, dict[str, BucketRow]] = defaultdict(dict)
        for bucket in self._state.buckets() if self._split else ():
            for row in bucket.rows:
                by_prefix[row.row[: self._length]][row.row] = row
        version = 1 + (self._state.head.record.version if self._state.head.record else 0)
        for key, changed in self._rows.items():
            by_prefix[key[: self._length]][key] = msgspec.structs.replace(changed, version=version)
        for key in self._removed if self._old else ():
            by_prefix[key[: self._length]].pop(key, None)
        return sorted(by_prefix.items())

    def _change(self, touched: _Touched) -> Written | None:
        """Write a bucket of which the store may have some rows; None where nothing is left of it."""
        prefix, changed = touched
        held = self._state.bucket(prefix[: self._old.prefix_length]) if self._old else None
        found = {row.row: row for row in (held.rows if held else ()) if row.row.startswith(prefix)} | changed
        rows = [found[key] for key in sorted(found) if key not in self._removed]
        if not rows:
            return None
        fresh = self._fresh(rows)
        if held is None or self._split or not shards.patchable(rows, held, fresh):
            old = [shards.OpenBucket(self._lake, held).parts()] if held else []
            return self._store(_made(prefix, rows, shards.merged(rows, fresh, old)))
        ref, size = shards.write_patched(self._lake, self._name, self._epoch, rows, held, fresh)
        return self._written(prefix, rows, ref, size, {kind: shards.table_of(kind, fresh) for kind in ids.KINDS})

    def _make(self, touched: _Touched) -> _Made:
        """A bucket of which the store has nothing."""
        prefix, changed = touched
        rows = [changed[key] for key in sorted(changed)]
        return _made(prefix, rows, shards.merged(rows, self._fresh(rows), []))

    def _fresh(self, rows: Sequence[BucketRow]) -> dict[str, Fragment]:
        return {row.row: self._load(row.fragment) for row in rows if row.fragment and row.row in self._rows}

    def _store(self, made: _Made) -> Written:
        ref = shards.write_bucket(self._lake, self._name, self._epoch, made.rows, made.shards, self._empty)
        return self._written(made.prefix, made.rows, ref, len(made.shards["coco"]), made.tables)

    def _store_empty(self, kind: str) -> ObjectRef:
        return objects.write(self._lake, self._name, self._epoch, shards.empty_shard(kind))

    def _written(
        self, prefix: str, rows: Sequence[BucketRow], ref: ObjectRef, size: int, tables: Mapping[str, pa.Table]
    ) -> Written:
        digest = manifest.tree_digest(rows, self._length)
        return prefix, BucketRef(ref=ref, rows=len(rows), digest=digest, coco_size=size), tables


def _made(prefix: str, rows: Sequence[BucketRow], parts: shards.Parts) -> _Made:
    return _Made(prefix, rows, shards.packed(rows, parts), {kind: parts.tables[kind] for kind in ids.KINDS})
