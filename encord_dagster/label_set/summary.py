"""What a version holds, in numbers: added up bucket by bucket, so that memory does not grow with the version."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from encord_dagster.label_set import fired as rules_fired
from encord_dagster.label_set.counting import Counted, count_buckets
from encord_dagster.label_set.numbers import (
    AttributeSummary,
    ClassificationSummary,
    ClassSummary,
    ImageSummary,
    RuleSummary,
    Sized,
    Summary,
)

if TYPE_CHECKING:
    from encord_dagster.label_set.read import Version


_Key = TypeVar("_Key", bound=Any)  # can be put in order


def summarise(version: "Version") -> Summary:
    """Read images, annotations, classifications and attributes of each bucket once, only the columns that count."""
    counted = count_buckets(version)
    root = version.root
    return Summary(
        name=version.label_set.name,
        version=version.number,
        content_digest=root.content_digest,
        rows=root.rows,
        tombstones=root.tombstones,
        images=_images(counted),
        annotations=root.annotations,
        classes=_classes(version, counted),
        attributes=_attributes(counted, _owners(version, counted)),
        classifications=_classifications(counted),
        rules=_rules(version),
        losses=version.losses,
    )


def _classes(version: "Version", counted: Counted) -> tuple[ClassSummary, ...]:
    known = {one.id: one for one in version.root.categories}
    total = sum(counted.objects.values())
    shapes: dict[int, Counter[str]] = {}
    for (category_id, shape), count in counted.shapes.items():
        shapes.setdefault(category_id, Counter())[shape] = count
    found = []
    for category_id in sorted(known, key=lambda one: (-counted.objects[one], one)):
        objects = counted.objects[category_id]
        small, medium, large, without = counted.by_area(category_id)
        found.append(
            ClassSummary(
                category_id=category_id,
                feature_hash=known[category_id].feature_hash,
                name=known[category_id].name,
                objects=objects,
                share=objects / total if total else 0.0,
                images=counted.shown[category_id],
                shapes=dict(_ordered(shapes.get(category_id, Counter()))),
                small=small,
                medium=medium,
                large=large,
                without_area=without,
                width=counted.widths.spread(category_id),
                height=counted.heights.spread(category_id),
                area=counted.areas.spread(category_id),
            )
        )
    return tuple(found)


def _images(counted: Counted) -> ImageSummary:
    sizes = [Sized(width=w, height=h, images=n) for (w, h), n in _ordered(counted.sizes) if w >= 0]
    return ImageSummary(
        images=counted.images,
        without_objects=counted.without_objects,
        sizes=tuple(sizes),
        other_sizes=counted.images - sum(one.images for one in sizes),
        objects=counted.on_images.spread(None),
        data_types=dict(_ordered(counted.data_types)),
        label_statuses=_both(counted.statuses["label_status"]),
        task_statuses=_both(counted.statuses["annotation_task_status"]),
        workflow_nodes=_both(counted.statuses["workflow_node"]),
    )


def _classifications(counted: Counted) -> tuple[ClassificationSummary, ...]:
    """One for each feature hash, by the name that it has most often: COCO exports and old ones may lack it."""
    names: dict[str, str] = {}
    given: Counter[str] = Counter()
    for (feature_hash, name), count in _ordered(counted.classifications):
        names[feature_hash] = names.get(feature_hash) or name
        given[feature_hash] += count
    return tuple(
        ClassificationSummary(feature_hash=key, name=names[key], given=count) for key, count in _ordered(given)
    )


def _owners(version: "Version", counted: Counted) -> dict[tuple[str, str], str]:
    """The names of what has attributes."""
    of_objects = {("object", str(one.id)): one.name for one in version.root.categories}
    return of_objects | {("classification", one.feature_hash): one.name for one in _classifications(counted)}


def _attributes(counted: Counted, owners: Mapping[tuple[str, str], str]) -> tuple[AttributeSummary, ...]:
    options: dict[tuple[str, str, str, str], Counter[str]] = {}
    for (*key, option), count in counted.options.items():
        options.setdefault((key[0], key[1], key[2], key[3]), Counter())[option] = count
    keys = sorted({*options, *counted.texts, *counted.numbers.keys()})
    found = [
        AttributeSummary(
            of=of,
            owner=owners.get((of, owner), ""),
            name=name,
            feature_hash=feature_hash,
            options=dict(_ordered(options.get(key, Counter()))),
            texts=counted.texts[key],
            numbers=counted.numbers.spread(key),
        )
        for key in keys
        for of, owner, name, feature_hash in [key]
    ]
    return tuple(sorted(found, key=lambda one: (one.of != "object", one.owner, one.name, one.feature_hash)))


def _rules(version: "Version") -> tuple[RuleSummary, ...]:
    found = [
        RuleSummary(
            rule=rule,
            severity=one.first.severity,
            count=one.count,
            place=str(one.first.location),
            message=one.first.message,
        )
        for rule, one in rules_fired.fired(version).items()
    ]
    worst = ("error", "warning", "info")
    return tuple(sorted(found, key=lambda one: (worst.index(one.severity), -one.count, one.rule)))


def _ordered(counts: "Counter[_Key]") -> "list[tuple[_Key, int]]":
    """Most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _both(counts: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, int]]:
    return {key: (counts[key][0], counts[key][1]) for key in sorted(counts, key=lambda key: (-counts[key][0], key))}
