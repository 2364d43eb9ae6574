"""Answers to attributes: for a whole object or classification, and dynamic ones by range of frames."""

from collections.abc import Iterable

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.children import entries
from encord_dagster.encord.model import Attribute, Option
from encord_dagster.encord.notes import Notes, problem, quote
from encord_dagster.encord.privacy import LONGEST
from encord_dagster.encord.scalars import UNREADABLE, Raw, Scalar, integer, is_hash, present
from encord_dagster.findings import Location

Range = tuple[int, int]  # first and last frame, both inclusive
LAST_FRAME = 10**9


class Action(msgspec.Struct, frozen=True):
    """A dynamic answer and the frames that it holds at."""

    attribute: Attribute
    ranges: tuple[Range, ...]


class _Answer(msgspec.Struct, rename="camel"):
    name: Scalar = None
    value: Scalar = None
    answers: Raw = Raw(b"null")
    feature_hash: Scalar = None
    range: Raw = Raw(b"null")
    type: Raw = Raw(b"null")


class _Option(msgspec.Struct, rename="camel"):
    name: Scalar = None
    value: Scalar = None
    feature_hash: Scalar = None


_ANSWER = msgspec.json.Decoder(_Answer)
_OPTION = msgspec.json.Decoder(_Option)
_GIVEN = msgspec.json.Decoder(Scalar | list[Raw] | dict[str, Raw])
_PAIR = msgspec.json.Decoder(list[Scalar])


def read_answers(raw: Raw, where: Location, notes: Notes) -> tuple[Attribute, ...]:
    """The answers of an object or classification for all its frames, each attribute once."""
    found = [_attribute(child, where, notes, dynamic=False) for child in _children(raw, where, notes)]
    merged, overlapping = merge(attribute for attribute, _ in filter(None, found))
    if overlapping:
        notes.add(codes.OVERLAPPING_ANSWERS, _overlap(overlapping, "is answered twice"), where)
    return merged


def read_actions(raw: Raw, where: Location, notes: Notes) -> tuple[Action, ...]:
    """The dynamic answers of an object in document order."""
    actions = []
    for child in _children(raw, where, notes):
        found = _attribute(child, where, notes, dynamic=True)
        if found is not None:
            actions.append(Action(found[0], read_ranges(found[1], where, notes)))
    return tuple(actions)


def merge(attributes: Iterable[Attribute]) -> tuple[tuple[Attribute, ...], str | None]:
    """Each attribute once, and the name of one whose last answer won over another.

    Options of one attribute are united: exports write each ticked option of a dynamic checklist as its own action.
    """
    merged: dict[str, Attribute] = {}
    overlapping = None
    for attribute in attributes:
        before = merged.get(attribute.feature_hash)
        if before is None:
            merged[attribute.feature_hash] = attribute
        elif isinstance(before.answer, tuple) and isinstance(attribute.answer, tuple):
            options = {option.feature_hash: option for option in (*before.answer, *attribute.answer)}
            united = msgspec.structs.replace(attribute, answer=tuple(options.values()))
            merged[attribute.feature_hash] = united
        else:
            merged[attribute.feature_hash] = attribute
            overlapping = attribute.name if before != attribute else overlapping
    return tuple(merged.values()), overlapping


def read_ranges(raw: Raw, where: Location, notes: Notes) -> tuple[Range, ...]:
    """Inclusive ranges of frames; one that cannot be read is left out with a finding."""
    try:
        children = entries(raw)
    except UNREADABLE:
        notes.add(codes.BAD_RANGE, "the ranges are no list; their answers are left out", where)
        return ()
    found = [_range(child) for child in children]
    if None in found:
        notes.add(codes.BAD_RANGE, "a range is no pair of first and last frame; it was left out", where)
    return tuple(one for one in found if one is not None)


def _children(raw: Raw, where: Location, notes: Notes) -> list[Raw]:
    try:
        return entries(raw)
    except UNREADABLE:
        notes.add(codes.BAD_ANSWER, "the answers are no list; they were left out", where)
        return []


def _attribute(raw: Raw, where: Location, notes: Notes, *, dynamic: bool) -> tuple[Attribute, Raw] | None:
    try:
        entry = _ANSWER.decode(raw)
        given = _GIVEN.decode(entry.answers)
    except UNREADABLE as error:
        notes.add(codes.BAD_ANSWER, f"an answer cannot be read ({problem(error)}); it was left out", where)
        return None
    if given is None or given in ("", "null"):
        return None  # not answered; "None" is a word that people answer with
    name = notes.clean(entry.name, "an attribute's name", where)
    if not isinstance(entry.feature_hash, str) or not is_hash(entry.feature_hash):
        notes.add(codes.BAD_ANSWER, f"the answer {quote(name)} has no readable featureHash; it was left out", where)
        return None
    relation = bytes(entry.type) == b'"relation"' or entry.feature_hash in notes.relations
    answer = _relation(entry.answers, where, notes) if relation else _answer(given, where, notes)
    if answer is None:
        notes.add(
            codes.BAD_ANSWER, f"the answer to {quote(name)} is no text, number or options; it was left out", where
        )
        return None
    return Attribute(entry.feature_hash, name, answer, dynamic, "relation" if relation else None), entry.range


def _answer(
    given: Scalar | list[Raw] | dict[str, Raw], where: Location, notes: Notes
) -> str | float | tuple[Option, ...] | None:
    """The answer, None where it cannot be read."""
    if isinstance(given, str):
        return notes.clean(given, "a text answer", where, lines=True)
    if isinstance(given, bool) or given is None:
        return None
    if isinstance(given, int | float):
        return float(given) if abs(given) <= 2**1000 else None
    if isinstance(given, dict) and "featureHash" in given:
        given = [msgspec.Raw(msgspec.json.encode(given))]  # one option without its list
    children = list(given.values()) if isinstance(given, dict) else given
    options = [_option(child, where, notes) for child in children]
    chosen = tuple(option for option in options if option is not None)
    return chosen if len(chosen) == len(options) else None


def _relation(raw: Raw, where: Location, notes: Notes) -> str | None:
    """The answer to a relation, whose form Encord does not document: its text, or its JSON without secrets."""
    try:
        given = _cleaned(msgspec.json.decode(raw), where, notes)
    except UNREADABLE:
        return None
    kept = given if isinstance(given, str) else msgspec.json.encode(given, order="sorted").decode()
    if len(kept) > LONGEST:
        return None
    notes.add_once(codes.RELATION_KEPT_RAW, "relations are kept as the text of their JSON; their form is not known")
    return kept


def _cleaned(value: object, where: Location, notes: Notes) -> object:
    match value:
        case str():
            return value if present(value) is None else notes.clean(value, "a relation", where)
        case list():
            return [_cleaned(child, where, notes) for child in value]
        case dict():
            return {_cleaned(key, where, notes): _cleaned(child, where, notes) for key, child in value.items()}
        case _:
            return value


def _option(raw: Raw, where: Location, notes: Notes) -> Option | None:
    try:
        entry = _OPTION.decode(raw)
    except UNREADABLE:
        return None
    if not isinstance(entry.feature_hash, str) or not is_hash(entry.feature_hash):
        return None
    name = notes.clean(entry.name, "an option's name", where)
    return Option(entry.feature_hash, name, notes.clean(entry.value, "an option's value", where))


def _range(raw: Raw) -> Range | None:
    try:
        pair = _PAIR.decode(raw)
    except UNREADABLE:
        return None
    if len(pair) != 2:
        return None
    first, last = integer(pair[0]), integer(pair[1])
    if first is None or last is None:
        return None
    return (first, last) if 0 <= first <= last <= LAST_FRAME else None


def _overlap(name: str, how: str) -> str:
    return f"the attribute {quote(name)} {how}; the last answer was taken, correct it in Encord"
