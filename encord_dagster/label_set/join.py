"""The join: which event of each label row a label set stands for. Associative, commutative, idempotent."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from encord_dagster import identity
from encord_dagster.config import CONVERTER_VERSION
from encord_dagster.encord.model import RowEvent
from encord_dagster.errors import UsageError
from encord_dagster.label_set import objects, shards, tree
from encord_dagster.label_set.accounts import Again
from encord_dagster.label_set.events import OF_ORDER, Order, event_time, orders, read_events
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import FORMAT_VERSION, Bucket, BucketRow, ExportEntry, ObjectRef, Root
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import ObjectStore

OPEN_ROWS = 2**14  # of buckets in memory; the rows of a large export come in any order of them
_PAIR = 64  # bytes of a row identity and a fingerprint, both sha256


class State:
    """The label set as a head has it; buckets are read when one of their rows is asked for."""

    def __init__(self, lake: ObjectStore, head: Head) -> None:
        self.lake, self.head = lake, head
        record = head.record
        if record and record.format_version > FORMAT_VERSION:
            raise UsageError(
                f"{lake.url}: written by a newer release (format {record.format_version}); upgrade to read it"
            )
        self.published = self.root_of(record.root) if record else None  # what readers see
        self.build_on(self.root_of(record.held) if record and record.held else self.published)

    def root_of(self, ref: ObjectRef | None) -> Root | None:
        """A root that a record names."""
        return msgspec.json.decode(objects.read(self.lake, ref), type=Root) if ref else None

    def build_on(self, root: Root | None) -> None:
        """Build the next version on a root."""
        self.root = root
        self.tree = Tree(self.lake, root) if root else None
        open_buckets = OPEN_ROWS * tree.count(root) // max(root.rows, 1) if root else 0
        self._bucket = lru_cache(open_buckets)(self._read_bucket)
        self._fingerprints: dict[str, bytes] = {}

    def start_over(self) -> None:
        """Build the next version out of nothing but what is append-only: every row is about to be converted anew."""
        if root := self.root:
            root = msgspec.structs.replace(
                root,
                buckets={},
                nodes={},
                classes=(),
                rows=0,
                coco_rows=0,
                tombstones=0,
                images=0,
                annotations=0,
                losses={},
                rules={},
            )
        self.build_on(root)

    def bucket(self, prefix: str) -> Bucket | None:
        """The bucket of a prefix of the root's prefix length."""
        return self._bucket(prefix)

    def _read_bucket(self, prefix: str) -> Bucket | None:
        named = self.tree.bucket(prefix) if self.tree else None
        return msgspec.json.decode(objects.read(self.lake, named.ref), type=Bucket) if named else None

    def row(self, key: str) -> BucketRow | None:
        """One label row of the version, by identity."""
        bucket = self.bucket(key[: self.root.prefix_length]) if self.root else None
        rows = bucket.rows if bucket else ()
        place = bisect_left(rows, key, key=_identity)
        return rows[place] if place < len(rows) and rows[place].row == key else None

    def fingerprint(self, key: str) -> str | None:
        """The fingerprint of one label row of the version; of what was asked for, 64 bytes a row are remembered."""
        prefix = key[: self.root.prefix_length] if self.root else ""
        if prefix not in self._fingerprints:
            bucket = self.bucket(prefix)
            pairs = (bytes.fromhex(row.row + row.fingerprint) for row in (bucket.rows if bucket else ()))
            self._fingerprints[prefix] = b"".join(pairs)
        held, wanted = self._fingerprints[prefix], bytes.fromhex(key)
        place = held.find(wanted)
        while place > 0 and place % _PAIR:  # a match across the edge of two rows
            place = held.find(wanted, place + 1)
        return held[place + len(wanted) : place + _PAIR].hex() if place >= 0 else None

    def rows(self) -> Iterator[BucketRow]:
        """Every label row: reads every bucket."""
        for bucket in self.buckets():
            yield from bucket.rows

    def buckets(self) -> Iterator[Bucket]:
        """Every bucket in order of its rows: reads them all."""
        prefixes = (prefix for prefix, _ in self.tree.buckets()) if self.tree else ()
        yield from filter(None, at_once(self.lake, self.bucket, prefixes))

    def sources_by_data(self) -> dict[str, dict[str, str]]:
        """For each data hash the rows that describe it, and the format each came in: reads every bucket."""
        found: dict[str, dict[str, str]] = {}
        for bucket in self.buckets():
            source = {row.row: row.source for row in bucket.rows}
            for record in shards.OpenBucket(self.lake, bucket).table("images", ["row", "data_hash"]).to_pylist():
                found.setdefault(record["data_hash"], {})[record["row"]] = source[record["row"]]
        return found

    def is_stale(self, config_digest: str) -> bool:
        """Whether the version was made by an older converter or with another configuration."""
        self.refuse_newer()
        record = self.head.record
        return record is not None and record.config_digest != config_digest

    def refuse_newer(self) -> None:
        """UsageError where a newer converter made the newest record: this one would not do it justice."""
        record = self.head.record
        if record and record.converter_version > CONVERTER_VERSION:
            raise UsageError(
                f"{self.lake.url}: the newest version was made by converter {record.converter_version}, this release "
                f"has {CONVERTER_VERSION}; upgrade encord_dagster before publishing to this label set"
            )


def _identity(row: BucketRow) -> str:
    return row.row


class Join:
    """Which event decides each label row, whatever the order in which events come."""

    def __init__(self, state: State, joined: Iterator[ExportEntry]) -> None:
        self.state = state
        self.best: dict[str, Order] = {}  # of this run, by row identity
        self._accounted: dict[str, Order] = {}  # of exports that the log accounts for, as far as they were read
        self._unread = joined  # the latest first
        self._next = next(joined, None)

    def rival(self, event: RowEvent) -> Order | None:
        """That of the greatest known event of the same row, None where none is known that could beat this one."""
        self._read_not_older_than(event_time(event))
        key = identity.row_identity(event.label_hash, event.branch_name)
        known = [other for other in (self._accounted.get(key), self.best.get(key)) if other]
        return max(known, default=None)

    def is_new(self, event: RowEvent) -> bool:
        """Whether the event carries other content than the version has for its row."""
        return self.state.fingerprint(identity.row_identity(event.label_hash, event.branch_name)) != event.fingerprint

    def has_rivals(self, rows: Again) -> bool:
        """Whether a known event of one of the rows could beat that which comes now, or two of these are of one row."""
        self._read_not_older_than(min(rows.times()))
        keys = set(rows.keys)
        return len(keys) < len(rows.keys) or not (keys.isdisjoint(self._accounted) and keys.isdisjoint(self.best))

    def _read_not_older_than(self, time: str) -> None:
        """Learn accounted events that an event of `time` might lose to; in the usual case there are none."""
        while self._next and self._next.latest >= time:
            for key, found in orders(read_events(self.state.lake, self._next.events, OF_ORDER)):
                if key not in self._accounted or found > self._accounted[key]:
                    self._accounted[key] = found
            self._next = next(self._unread, None)
