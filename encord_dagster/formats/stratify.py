"""Splits in which every class has its share: only groups that have no split yet get one, so no old image moves.

Iterative stratification for several labels: Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label
Data", ECML PKDD 2011, LNCS 6913, pp. 145-158, algorithm 1. Other than there, a group counts with all of its objects,
groups that have a split are counted in it beforehand, and ties are decided by all classes of the group, then by images,
and at last by the seeded hash instead of chance.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from encord_dagster.formats import coco
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.splits import SplitBy, group_of, place_of, split_of


class Group(msgspec.Struct):
    """What is divided as one: images, and their objects by category."""

    images: int = 0
    objects: dict[int, int] = {}


def groups_in(images: Iterable[Labelled], by: SplitBy) -> dict[str, Group]:
    """The groups of some images. All of them are in memory: a few hundred bytes each."""
    groups: dict[str, Group] = {}
    for one in images:
        group = groups.setdefault(group_of(one, by), Group())
        group.images += 1
        for annotation in one.annotations:
            _count(group.objects, annotation)
    return groups


def stratified(
    groups: Mapping[str, Group], shares: Mapping[str, float], *, seed: str = "", kept: Mapping[str, str]
) -> dict[str, str]:
    """The split of each group that is not in `kept`: the one whose objects of a class are furthest below its share.

    The class with the fewest undivided groups comes first, and of its groups those with most of its objects. Groups
    without objects go where images are missing.
    """
    missing = _Missing(groups, shares, kept)
    made: dict[str, str] = {}
    waiting = sorted((group for group in groups if group not in kept), key=lambda group: place_of(group, seed))
    having: dict[int, list[str]] = {}
    for group in waiting:
        for category in groups[group].objects:
            having.setdefault(category, []).append(group)
    left = {category: len(members) for category, members in having.items()}

    def give(group: str, category: int | None) -> None:
        chosen = missing.most(category, groups[group], split_of(group, shares, seed))
        made[group] = chosen
        missing.fill(chosen, groups[group])
        for other in groups[group].objects:
            left[other] -= 1

    while rest := [(count, category) for category, count in left.items() if count]:
        _, category = min(rest)
        # sorting is stable: the seeded hash decides between those with as many
        for group in sorted(having[category], key=lambda one: -groups[one].objects[category]):
            if group not in made:
                give(group, category)
    for group in waiting:
        if group not in made:
            give(group, None)
    return made


class _Missing:
    """How much each split holds, of images and of each class, beside its share of all."""

    def __init__(self, groups: Mapping[str, Group], shares: Mapping[str, float], kept: Mapping[str, str]) -> None:
        self._shares = shares
        self._images = sum(group.images for group in groups.values())
        self._objects: Counter[int] = Counter()
        self._held_images = dict.fromkeys(shares, 0)
        self._held: dict[str, Counter[int]] = {split: Counter() for split in shares}
        for name, group in groups.items():
            self._objects.update(group.objects)
            if name in kept:
                self.fill(kept[name], group)

    def fill(self, split: str, group: Group) -> None:
        """Count a group into a split."""
        self._held_images[split] += group.images
        self._held[split].update(group.objects)

    def most(self, category: int | None, group: Group, else_split: str) -> str:
        """The split that lacks most of a class; of several that of all classes of the group, of images, or by hash."""

        def objects(split: str, one: int) -> float:
            return self._shares[split] * self._objects[one] - self._held[split][one]

        def lacking(split: str) -> tuple[float, float, float, bool]:
            first = 0.0 if category is None else round(objects(split, category), 6)
            together = round(sum(objects(split, one) for one in group.objects), 6)
            images = round(self._shares[split] * self._images - self._held_images[split], 6)
            return first, together, images, split == else_split

        return max(self._shares, key=lacking)


def _count(objects: dict[int, int], annotation: coco.Annotation) -> None:
    objects[annotation.category_id] = objects.get(annotation.category_id, 0) + 1
