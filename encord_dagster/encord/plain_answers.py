"""Answers of plain rows: equal ones are read once for all rows, by the tolerant reader; a finding makes them odd."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from msgspec import Raw

from encord_dagster.encord.answers import Action, merge, read_actions, read_answers
from encord_dagster.encord.model import Attribute
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain import Actions, Answers
from encord_dagster.encord.plain_keys import Odd, keys_of_part

_MOST_KNOWN = 20_000
_MOST_SPANS = 500  # of one object: more are left to the tolerant reader, which has another way

Given = tuple[Attribute, ...]


class Known:
    """Answers by their bytes, with the number of their keys."""

    def __init__(self, relations: frozenset[str]) -> None:
        self._relations = relations
        self.seen: dict[bytes, tuple[Given, int]] = {}

    def static(self, raw: Raw) -> tuple[Given, int]:
        """The answers that hold at all frames; Odd where something is to be said about them."""
        text = bytes(raw)
        found = self.seen.get(text)
        if found is None:
            notes = Notes(None, relations=self._relations)
            found = read_answers(raw, notes.at(), notes), keys_of_part(text)
            if notes.findings:
                raise Odd
            if len(self.seen) >= _MOST_KNOWN:
                self.seen.clear()
            self.seen[text] = found
        return found

    def dynamic(self, raw: Raw) -> tuple[tuple[Action, ...], int]:
        """The answers that hold at ranges of frames."""
        notes = Notes(None, relations=self._relations)
        actions = read_actions(raw, notes.at(), notes)
        if notes.findings or sum(len(action.ranges) for action in actions) > _MOST_SPANS:
            raise Odd
        return actions, keys_of_part(bytes(raw))


class PlainAnswers:
    """The attributes of each object of a row at each frame; `keys` is the number of keys in all answers."""

    def __init__(self, answers: Mapping[str, Answers], actions: Mapping[str, Actions], known: Known) -> None:
        texts = [bytes(given.classifications) for given in answers.values()]
        found = [one for one in map(known.seen.get, texts) if one]
        if len(found) < len(texts):
            found = [known.static(given.classifications) for given in answers.values()]
        self.static = {key: one[0] for key, one in zip(answers, found, strict=True)}
        self.keys = sum([one[1] for one in found])
        self._spans: dict[str, _Spans] = {}
        for key, changing in actions.items():
            held, keys = known.dynamic(changing.actions)
            self._spans[key] = _Spans(self.static.get(key, ()), held)
            self.keys += keys

    def at(self, object_hash: str, frame: int) -> Given:
        """The attributes of an object at a frame, as `ObjectAnswers.at` has them."""
        if self._spans and (spans := self._spans.get(object_hash)):
            return spans.at(frame)
        return self.static.get(object_hash, ())

    def of_many(self, object_hashes: Sequence[str], frames: Sequence[int]) -> Iterable[Given]:
        """`at` for several."""
        if self._spans:
            return self._changing(object_hashes, frames)
        return map(self.static.get, object_hashes, repeat(()))

    def _changing(self, object_hashes: Sequence[str], frames: Sequence[int]) -> Iterator[Given]:
        held, static = self._spans.get, self.static.get
        for object_hash, frame in zip(object_hashes, frames, strict=True):
            spans = held(object_hash)
            if spans is None:
                yield static(object_hash, ())
                continue
            found = spans.found.get(bisect_right(spans.changes, frame))
            yield spans.at(frame) if found is None else found


class _Spans:
    """The attributes of one object between the frames at which they change."""

    def __init__(self, static: Given, actions: tuple[Action, ...]) -> None:
        self._static, self._actions = static, actions
        changes = {change for action in actions for first, last in action.ranges for change in (first, last + 1)}
        self.changes = sorted(changes)
        self.found: dict[int, Given] = {}

    def at(self, frame: int) -> Given:
        place = bisect_right(self.changes, frame)
        found = self.found.get(place)
        if found is None:
            found = self.found[place] = self._between(frame)
        return found

    def _between(self, frame: int) -> Given:
        holding = (action for action in self._actions if any(first <= frame <= last for first, last in action.ranges))
        given = [action.attribute for action in holding]
        if not given:
            return self._static
        dynamic, overlapping = merge(given)
        if overlapping:
            raise Odd
        hashes = {attribute.feature_hash for attribute in dynamic}
        return (*(attribute for attribute in self._static if attribute.feature_hash not in hashes), *dynamic)
