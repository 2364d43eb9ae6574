"""Answers to attributes as COCO has them: by name alone, each option of a checklist as a name with true or false.

Encord's exporter looks dynamic answers up under the image's id in place of its frame number, and only those of the
file's first row: what it writes may be the answer at another frame, so it is not taken where an ontology shows it.
"""

from collections.abc import Sequence

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.coco_export.classes import CocoClass, stand_in
from encord_dagster.encord.codes import Code
from encord_dagster.encord.model import Attribute, Option
from encord_dagster.encord.notes import Notes, problem, quote
from encord_dagster.encord.ontology import OntologyAttribute
from encord_dagster.encord.privacy import redact
from encord_dagster.encord.scalars import UNREADABLE, Raw, number, present
from encord_dagster.findings import Location

_NAMED = msgspec.json.Decoder(dict[str, Raw] | None)
_GIVEN = msgspec.json.Decoder(str | int | float | bool | list[str] | None)
_Given = str | float | list[str]
_PLAIN: dict[str | None, tuple[type, ...]] = {"text": (str,), "numeric": (float,)}
_INFERRED = (
    codes.COCO_ANSWER_INFERRED,
    "answers are known by name alone, and whether they are dynamic is not known; hashes were made from their names",
)


class Remarks:
    """The notes of a row, and what was already said in it: an oddity of a whole file is one finding of a row."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._said: set[str] = set()

    def once(self, code: Code, message: str) -> None:
        """Write a finding down, unless one of its code was."""
        if code.name not in self._said:
            self._said.add(code.name)
            self.notes.add(code, message)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whose answers are read."""

    one: CocoClass
    where: Location


def read_answers(raw: Raw, asked: Asked, remarks: Remarks) -> tuple[Attribute, ...]:
    """The answers of one object; what is not answered (null, or not ticked) is left out."""
    try:
        named = _NAMED.decode(raw) or {}
    except UNREADABLE as error:
        message = f"the answers cannot be read ({problem(error)}); they were left out"
        remarks.notes.add(codes.BAD_ANSWER, message, asked.where)
        return ()
    found: dict[str, Attribute] = {}
    for name, child in named.items():
        attribute = _attribute(name, child, asked, remarks)
        if attribute is None:
            continue
        before = found.get(attribute.feature_hash)
        if before and isinstance(before.answer, tuple) and isinstance(attribute.answer, tuple):
            attribute = msgspec.structs.replace(before, answer=before.answer + attribute.answer)
        found[attribute.feature_hash] = attribute
    return tuple(found.values())


def attribute_of(name: str, one: CocoClass, *, ticked: bool) -> OntologyAttribute | None:
    """The attribute that an answer is to, None where none is certain; the name of a ticked one is an option's."""
    attributes = one.known.attributes if one.known else ()
    if ticked:
        lists = [attribute for attribute in attributes if attribute.kind == "checklist"]
        held = [each for each in lists for option in each.options if redact(option.label) == redact(name)]
    else:
        held = [each for each in attributes if redact(each.name) == redact(name)]
    return held[0] if len(held) == 1 else None


def _attribute(name: str, raw: Raw, asked: Asked, remarks: Remarks) -> Attribute | None:
    """One answer, None where there is none."""
    try:
        given = _GIVEN.decode(raw)
    except UNREADABLE as error:
        message = f"the answer to {quote(name)} cannot be read ({problem(error)}); it was left out"
        remarks.notes.add(codes.BAD_ANSWER, message, asked.where)
        return None
    if given is False or given is None or (isinstance(given, str) and present(given) is None):
        return None
    known = attribute_of(name, asked.one, ticked=given is True)
    if given is True:
        return _known(known, [name], asked, remarks) if known else _ticked(name, asked, remarks)
    answer = number(given) if isinstance(given, int | float) else given
    if answer is None:
        remarks.notes.add(codes.BAD_ANSWER, f"the answer to {quote(name)} is too large; it was left out", asked.where)
        return None
    if known:
        return _known(known, answer, asked, remarks)
    remarks.once(*_INFERRED)
    shown = remarks.notes.clean(name, "an attribute's name", asked.where)
    feature_hash = stand_in("attribute", asked.one.feature_hash, name)
    if isinstance(answer, list):
        return Attribute(feature_hash, shown, tuple(_made(one, feature_hash, asked, remarks) for one in answer))
    return Attribute(feature_hash, shown, _plain(answer, asked, remarks))


def _ticked(name: str, asked: Asked, remarks: Remarks) -> Attribute:
    """An option of which no checklist is certain, as a checklist of this option alone."""
    remarks.once(*_INFERRED)
    feature_hash = stand_in("attribute", asked.one.feature_hash, name)
    option = _made(name, feature_hash, asked, remarks)
    return Attribute(feature_hash, option.name, (option,))


def _known(attribute: OntologyAttribute, given: _Given, asked: Asked, remarks: Remarks) -> Attribute | None:
    """An answer to an attribute of the ontology; None where it does not fit, or may be that of another frame."""
    if attribute.dynamic:
        remarks.once(
            codes.COCO_DYNAMIC_ANSWER,
            "Encord's COCO may give dynamic answers of other frames; they were left out: use its JSON export for them",
        )
        return None
    answer: str | float | tuple[Option, ...] | None = None
    if attribute.kind in ("radio", "checklist"):
        names: Sequence[str] = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        if len(names) == 1 or attribute.kind == "checklist":
            answer = tuple(_option(name, attribute, asked, remarks) for name in names) or None
    elif not isinstance(given, list) and isinstance(given, _PLAIN.get(attribute.kind, (str, float))):
        answer = _plain(given, asked, remarks)
    if answer is None:
        message = f"the answer to {quote(attribute.name)} is none of a {attribute.kind} attribute; it was left out"
        remarks.notes.add(codes.BAD_ANSWER, message, asked.where)
        return None
    return Attribute(attribute.feature_hash, attribute.name, answer, kind=attribute.kind)


def _option(name: str, attribute: OntologyAttribute, asked: Asked, remarks: Remarks) -> Option:
    """The option of this name; Encord writes the name at the time of labelling, which may since have changed."""
    held = [option for option in attribute.options if redact(name) == redact(option.label)]
    if len(held) == 1:
        return Option(held[0].feature_hash, held[0].label, held[0].value)
    remarks.once(*_INFERRED)
    return _made(name, attribute.feature_hash, asked, remarks)


def _made(name: str, attribute_hash: str, asked: Asked, remarks: Remarks) -> Option:
    """An option that is known by its name alone."""
    shown = remarks.notes.clean(name, "an option's name", asked.where)
    return Option(stand_in("option", attribute_hash, name), shown, shown)


def _plain(given: str | float, asked: Asked, remarks: Remarks) -> str | float:
    return remarks.notes.clean(given, "a text answer", asked.where) if isinstance(given, str) else given
