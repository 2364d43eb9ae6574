"""Where two versions differ: the buckets that are not the same, and the rows in them that are not."""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from encord_dagster.label_set import manifest, objects
from encord_dagster.label_set.manifest import Bucket, BucketRef, BucketRow, Root
from encord_dagster.label_set.tree import UPPER, Tree, by_prefix, upper
from encord_dagster.storage.protocol import ObjectStore

Buckets = Mapping[str, BucketRef]
Rows = dict[str, BucketRow]
Fate = Literal["added", "removed", "changed", "converted"]  # converted: the same labels, made into other files


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """One place where two versions differ: the buckets there that were read, and the rows that are not the same."""

    buckets_before: tuple[Bucket, ...]
    buckets_after: tuple[Bucket, ...]
    before: Rows  # by identity; a row that was added is not there, one that was removed not in `after`
    after: Rows

    @property
    def keys(self) -> list[str]:
        """The identities of the rows that differ, in order."""
        return sorted({*self.before, *self.after})


def touched(lake: ObjectStore, before: Root | None, after: Root) -> Iterator[Touched]:
    """Go through the places that differ, one at a time. Buckets of equal digest are not read.

    Digests speak of labels, so under another configuration only buckets that are one object are the same.
    """
    exact = before is None or before.config_digest == after.config_digest
    depth = min(UPPER, after.prefix_length, before.prefix_length if before else UPPER)
    was, now = manifest.nodes(upper(before) if before else {}, depth), manifest.nodes(upper(after), depth)
    old, new = Tree(lake, before) if before else None, Tree(lake, after)
    for prefix in sorted({*was, *now}):
        if not exact or was.get(prefix) != now.get(prefix):
            parts = dict(old.below(prefix) if old else ()), dict(new.below(prefix))
            yield from _within(lake, *parts, exact=exact)


def _within(lake: ObjectStore, old: Buckets, new: Buckets, *, exact: bool) -> Iterator[Touched]:
    """The places that differ below one prefix."""
    depth = min(len(prefix) for prefix in (*old, *new))
    was, now = manifest.nodes(old, depth), manifest.nodes(new, depth)
    parts_before, parts_after = by_prefix(old, depth), by_prefix(new, depth)
    for prefix in sorted({*was, *now}):
        if exact and was.get(prefix) == now.get(prefix):
            continue
        one, other = parts_before.get(prefix, {}), parts_after.get(prefix, {})
        if _keys(one) == _keys(other):
            continue
        found = _compared(lake, one, other, exact=exact)
        if found.before or found.after:
            yield found


def _keys(buckets: Buckets) -> set[str]:
    return {ref.ref.sha256 for ref in buckets.values()}


def _compared(lake: ObjectStore, one: Buckets, other: Buckets, *, exact: bool) -> Touched:
    """Compare two sides of one place; the side with longer prefixes is read only where it differs from the other."""
    if max(map(len, one), default=0) <= max(map(len, other), default=0):
        before = {prefix: _read(lake, ref) for prefix, ref in one.items()}
        after = {prefix: _read(lake, ref) for prefix, ref in _unlike(other, _rows(before), exact=exact).items()}
    else:
        after = {prefix: _read(lake, ref) for prefix, ref in other.items()}
        before = {prefix: _read(lake, ref) for prefix, ref in _unlike(one, _rows(after), exact=exact).items()}
    was, now = _rows(before), _rows(after)
    unread = tuple({*one, *other} - {*before, *after})
    changed = {
        key
        for key in {*was, *now}
        if not key.startswith(unread) and content_of(was.get(key)) != content_of(now.get(key))
    }
    return Touched(
        buckets_before=tuple(before.values()),
        buckets_after=tuple(after.values()),
        before={key: row for key, row in was.items() if key in changed},
        after={key: row for key, row in now.items() if key in changed},
    )


def _unlike(buckets: Buckets, rows: Rows, *, exact: bool) -> dict[str, BucketRef]:
    """The buckets that do not hold just what `rows` have below their prefix."""
    ordered = [rows[key] for key in sorted(rows)]
    return {
        prefix: ref
        for prefix, ref in buckets.items()
        if not exact
        or ref.digest != manifest.tree_digest([row for row in ordered if row.row.startswith(prefix)], len(prefix))
    }


def _rows(buckets: Mapping[str, Bucket]) -> Rows:
    return {row.row: row for bucket in buckets.values() for row in bucket.rows}


def content_of(row: BucketRow | None) -> tuple[str | None, ...]:
    """What makes a row the same in two versions: its labels, and what was made of them."""
    return (row.fingerprint, row.fragment) if row else ()


def fate_of(before: BucketRow | None, after: BucketRow | None) -> Fate:
    """What became of a row that is not the same in two versions."""
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "converted" if before.fingerprint == after.fingerprint else "changed"


def _read(lake: ObjectStore, ref: BucketRef) -> Bucket:
    return msgspec.json.decode(objects.read(lake, ref.ref), type=Bucket)
