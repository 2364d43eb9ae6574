"""Classes as a user wants them: renamed, merged, dropped, in an order of their own, or made of answers."""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats.coco import Annotation, Answer
from encord_dagster.formats.fragment import Category

# "Car[state=damaged]": objects of a class with one answer
_WITH_ANSWER = re.compile(r"(?P<name>.+)\[(?P<attribute>[^\[\]=]+)=(?P<option>[^\[\]]*)\]")


class _Rule(msgspec.Struct, frozen=True):
    attribute: str
    option: str
    category: int | None


class ClassMap:
    """Which category an annotation gets. Where classes are listed, ids count from 1 in their order, else they stay."""

    def __init__(
        self,
        known: Sequence[Category],
        classes: Mapping[str, Sequence[str]],
        *,
        drop: Sequence[str] = (),
        keep_others: bool = True,
    ) -> None:
        self.known = known
        self._whole: dict[int, int | None] = {}  # old id -> new one, None: dropped
        self._rules: dict[int, list[_Rule]] = {}
        self._listed(drop, None)
        for number, (name, sources) in enumerate(classes.items(), start=1):
            if not name or not sources:
                raise UsageError(f"class {name!r}: give it a name and the classes that it is made of")
            self._listed(sources, number)
        numbers = {name: number for number, name in enumerate(classes, start=1)}
        for one in known:
            if one.id in self._whole:
                continue
            if classes and keep_others:
                self._whole[one.id] = numbers.setdefault(one.name, len(numbers) + 1)
            else:
                self._whole[one.id] = one.id if keep_others else None
        self.sources: dict[int, list[str]] = {}
        self.categories = self._made(numbers if classes else {})

    def of(self, annotation: Annotation) -> int | None:
        """The category of an annotation; None where it is dropped."""
        for rule in self._rules.get(annotation.category_id, ()):
            if _is_answer(annotation.attributes.classifications.get(rule.attribute), rule.option):
                return rule.category
        return self._whole[annotation.category_id]

    def _listed(self, sources: Sequence[str], number: int | None) -> None:
        for source in sources:
            parts = _WITH_ANSWER.fullmatch(source)
            for one in self._called(parts["name"] if parts else source):
                if parts:
                    self._rules.setdefault(one.id, []).append(_Rule(parts["attribute"], parts["option"], number))
                elif one.id in self._whole:
                    raise UsageError(f"class {source!r} is named twice: it can become one class only")
                else:
                    self._whole[one.id] = number

    def _called(self, name: str) -> list[Category]:
        found = [one for one in self.known if name in (one.name, one.feature_hash)]
        if not found:
            there = ", ".join(sorted({one.name for one in self.known})) or "none"
            raise UsageError(f"no class {name!r} in this version; there are {there}")
        return found

    def _made(self, numbers: Mapping[str, int]) -> tuple[Category, ...]:
        names = {number: name for name, number in numbers.items()}
        old: dict[int, list[Category]] = {number: [] for number in names}
        for one in self.known:
            for number in self._targets(one):
                old.setdefault(number, []).append(one)
        for number, members in old.items():
            name = names.get(number)
            self.sources[number] = [one.name for one in members]
            if len({one.joints for one in members}) > 1 and any(one.joints for one in members):
                raise UsageError(
                    f"class {name!r}: {', '.join(self.sources[number])} have other joints; keep them apart"
                )
        return tuple(
            msgspec.structs.replace(members[0], id=number, name=names.get(number, members[0].name))
            for number, members in sorted(old.items())
        )

    def _targets(self, one: Category) -> Iterable[int]:
        found = [rule.category for rule in self._rules.get(one.id, ())]
        return dict.fromkeys(number for number in (*found, self._whole[one.id]) if number is not None)


def _is_answer(answer: Answer, option: str) -> bool:
    if isinstance(answer, list):
        return option in answer
    return answer == option if isinstance(answer, str) else answer is not None and f"{answer:g}" == option
