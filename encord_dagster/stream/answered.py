"""What an ontology makes of the answers of objects: of equal ones of one class the same, so it is found out once."""

from collections.abc import Sequence

import msgspec

from encord_dagster.encord.model import Attribute
from encord_dagster.encord.resolve import Index, resolved_answers
from encord_dagster.rules.ontology import is_answered

_MOST_KNOWN = 20_000
Given = tuple[Attribute, ...]


class Answered:
    """Answers as the ontology has them; `required` are the classes of which each row has to have an object."""

    def __init__(self, index: Index) -> None:
        self._index = index
        classes = index.ontology.classes.values()
        self.required = {one.feature_hash for one in classes if one.required and not one.archived}
        self._known: dict[tuple[str, int], tuple[Given, Given | None]] = {}  # what is kept stays where it is
        self._equal: dict[tuple[str, bytes], Given | None] = {}

    def is_named(self, feature_hash: str, name: str) -> bool:
        """Whether objects of this name are of a class of the ontology."""
        tree = self._index.classes.get(feature_hash)
        return tree is not None and tree.name in ("", name)

    def of(self, feature_hash: str, given: Given) -> Given | None:
        """Answers of an object of a class of the ontology; None where something is to be said about them."""
        key = (feature_hash, id(given))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
                self._equal.clear()
            value = (feature_hash, msgspec.json.encode(given))  # tells 1 from 1.0
            if value not in self._equal:
                self._equal[value] = self._resolved(feature_hash, given)
            found = self._known[key] = (given, self._equal[value])
        return found[1]

    def of_many(self, feature_hashes: Sequence[str], given: Sequence[Given]) -> list[Given | None]:
        """`of` for several objects."""
        distinct = dict(zip(zip(feature_hashes, map(id, given), strict=True), given, strict=True))
        found = {key: self.of(key[0], answers) for key, answers in distinct.items()}
        return [found[key] for key in zip(feature_hashes, map(id, given), strict=True)]

    def _resolved(self, feature_hash: str, given: Given) -> Given | None:
        answers = {attribute.feature_hash: attribute.answer for attribute in given}
        if not is_answered(self._index.ontology.classes[feature_hash].attributes, answers):
            return None
        return resolved_answers(given, feature_hash, self._index)
