"""Totals that a root carries from version to version: what was held, without rows before, with rows after a change."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from encord_dagster.formats.fragment import Category, ClassCount
from encord_dagster.label_set.manifest import BucketRow


def classes(
    held: Iterable[ClassCount], before: Iterable[BucketRow], after: Iterable[BucketRow]
) -> tuple[ClassCount, ...]:
    """Objects by class and name: what was held, without the rows before, with the rows after the change."""
    counts: dict[tuple[str, str], ClassCount] = {}

    def add(count: ClassCount, sign: int) -> None:
        key = (count.feature_hash, count.name)
        objects = (counts[key].objects if key in counts else 0) + sign * count.objects
        counts[key] = msgspec.structs.replace(count, objects=objects)

    for count in held:
        add(count, 1)
    for rows, sign in ((before, -1), (after, 1)):
        for row in rows:
            for count in row.classes:
                add(count, sign)
    return tuple(counts[key] for key in sorted(counts) if counts[key].objects)


def losses(held: Mapping[str, int], before: Iterable[BucketRow], after: Iterable[BucketRow]) -> dict[str, int]:
    """Losses by code: what was held, without the rows before, with the rows after the change."""
    return _counts(held, (row.losses for row in before), (row.losses for row in after))


def rules(
    held: Mapping[str, int] | None, before: Iterable[BucketRow], after: Iterable[BucketRow]
) -> dict[str, int] | None:
    """How often each rule fired, likewise; None where that is not known of some rows."""
    return None if held is None else _counts(held, (row.rules for row in before), (row.rules for row in after))


def _counts(
    held: Mapping[str, int], before: Iterable[Mapping[str, int]], after: Iterable[Mapping[str, int]]
) -> dict[str, int]:
    counts = Counter(held)
    for one in before:
        counts.subtract(one)
    for one in after:
        counts.update(one)
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def categories(
    counted: Sequence[ClassCount], claimed: Mapping[str, Category], defined: Mapping[str, Category]
) -> tuple[Category, ...]:
    """The categories of a version, by id: as an ontology describes them, else named as most of their objects are."""
    names: dict[str, tuple[int, str]] = {}
    for count in counted:
        rank = (-count.objects, count.name)
        names[count.feature_hash] = min(names.get(count.feature_hash, rank), rank)
    used = {key: msgspec.structs.replace(claimed[key], name=names[key][1]) for key in names}
    return tuple(sorted((used | dict(defined)).values(), key=lambda category: category.id))
