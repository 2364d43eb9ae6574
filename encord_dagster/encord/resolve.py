"""A label row seen through its ontology: names, kinds and nesting by feature hash, and what is not answered.

Nothing is guessed: what the ontology does not hold stays as the export has it.
"""

import hashlib
from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.encord.model import Attribute, Classification, Frame, Kind, LabelRow, ObjectInstance, Option
from encord_dagster.encord.notes import quote
from encord_dagster.encord.ontology import Ontology, OntologyAttribute, OntologyClass, OntologyClassification
from encord_dagster.findings import Finding, Location


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute at its place in a tree; archived also where it hangs below an archived one."""

    feature_hash: str
    name: str
    kind: Kind | None
    parent: str | None
    archived: bool
    options: dict[str, Option]  # in the order of the ontology
    unanswered: Attribute


class _Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A class or classification; its attributes with parents before children."""

    name: str
    places: tuple[_Place, ...]
    unanswered: tuple[Attribute, ...]  # what an instance without answers has
    digest: str


class Index:
    """An ontology laid out for look-up by feature hash: made once, used for every row."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self.classes = {key: _tree(one) for key, one in ontology.classes.items()}
        self.classifications = {key: _tree(one) for key, one in ontology.classifications.items()}
        trees = (*self.classes.values(), *self.classifications.values())
        places = [place for tree in trees for place in tree.places]
        self.relations = frozenset(place.feature_hash for place in places if place.kind == "relation")


def resolve(row: LabelRow, index: Index, *, free_text: bool = True) -> tuple[LabelRow, tuple[Finding, ...]]:
    """The row with names and order of the ontology, kinds and parents of attributes, and those not answered.

    Rules that compare names of an export with each other must see the row before. Findings quote answers where
    `free_text` may be published.
    """
    work = _Resolution(row.label_hash, index, free_text=free_text)
    frames = tuple(work.frame(frame) for frame in row.frames)
    classifications = work.classifications(row.classifications)
    return replace(row, frames=frames, classifications=classifications), tuple(work.findings)


def resolved_answers(given: tuple[Attribute, ...], feature_hash: str, index: Index) -> tuple[Attribute, ...] | None:
    """The attributes of an object of a class that the ontology has; None where something is to be said about them."""
    work = _Resolution("", index, free_text=False)
    found = work.attributes(given, index.classes[feature_hash], "")
    return None if work.findings else found


def part_digest(row: LabelRow, index: Index) -> str:
    """sha256 hex of those parts of the ontology that the conversion of this row depends on, "" where there are none.

    It stays the same whatever else is added, changed or moved in the ontology, and whatever only rules look at.
    """
    given = [*row.classifications, *(one for frame in row.frames for one in frame.classifications)]
    hashes = {one.feature_hash for one in given if one.feature_hash}
    parts = [
        ("classification", key, index.classifications[key].digest) for key in hashes & index.classifications.keys()
    ]
    hashes = {item.feature_hash for frame in row.frames for item in frame.objects}
    parts += [("class", key, index.classes[key].digest) for key in hashes & index.classes.keys()]
    return _sha256(sorted(parts)) if parts else ""


def ontology_digest(ontology: Ontology) -> str:
    """sha256 hex of all that is used of an ontology, and its order."""
    return _sha256([list(ontology.classes.values()), list(ontology.classifications.values())])


class _Resolution:
    """The resolving of one row: what was resolved before is not resolved again, what was said is not said again."""

    def __init__(self, label_hash: str, index: Index, *, free_text: bool) -> None:
        self._free_text = free_text
        self.findings: list[Finding] = []
        self._label_hash = label_hash
        self._index = index
        self._done: dict[tuple[int | str, ...], tuple[Attribute, ...]] = {}
        self._equal: dict[tuple[tuple[str, int], tuple[Attribute, ...]], tuple[Attribute, ...]] = {}
        self._placed: dict[int, Classification] = {}  # a range puts one classification on many frames: it stays one
        self._said: set[tuple[str, ...]] = set()
        self._relations_told = False

    def frame(self, frame: Frame) -> Frame:
        """The frame with its objects and classifications resolved."""
        objects = tuple([self._object(item) for item in frame.objects])
        return replace(frame, objects=objects, classifications=self.classifications(frame.classifications))

    def classifications(self, given: tuple[Classification, ...]) -> tuple[Classification, ...]:
        """Classifications resolved."""
        for item in given:
            if id(item) not in self._placed:
                self._placed[id(item)] = self._classification(item)
        return tuple([self._placed[id(item)] for item in given])

    def _object(self, item: ObjectInstance) -> ObjectInstance:
        tree = self._index.classes.get(item.feature_hash)
        if tree is None:
            return item
        name = self._name(item.name, tree, item.feature_hash, "class")
        attributes = self.attributes(item.attributes, tree, item.object_hash)
        if name == item.name and attributes is item.attributes:
            return item
        return replace(item, name=name, attributes=attributes)

    def _classification(self, item: Classification) -> Classification:
        tree = self._index.classifications.get(item.feature_hash or "")
        if tree is None:
            return item
        name = self._name(item.name, tree, str(item.feature_hash), "classification")
        return replace(item, name=name, attributes=self.attributes(item.attributes, tree, item.classification_hash))

    def _name(self, name: str, tree: _Tree, feature_hash: str, what: str) -> str:
        if name and tree.name and name != tree.name:
            message = f"the {what} {quote(name)} has the name {quote(tree.name)} in the ontology, which was taken"
            self._say(codes.CLASS_RENAMED, message, key=(what, feature_hash))
        return tree.name or name

    def attributes(self, given: tuple[Attribute, ...], tree: _Tree, owner: str) -> tuple[Attribute, ...]:
        """Attributes of an object or classification resolved."""
        if not given:
            return tree.unanswered
        # Frames share most attributes, so these are known by identity; the row keeps them alive meanwhile.
        place = (owner, id(tree))
        key: tuple[int | str, ...] = (*place, *map(id, given))
        done = self._done.get(key)
        if done is None:  # united options are made anew for each frame, so those are known by value
            done = self._equal.get((place, given)) or tuple(self._resolved(given, tree, owner))
            self._done[key] = self._equal[place, given] = done
        return done

    def _resolved(self, given: tuple[Attribute, ...], tree: _Tree, owner: str) -> Iterator[Attribute]:
        """Attributes in the order of the ontology, then those that it does not hold."""
        held = {attribute.feature_hash: attribute for attribute in given}
        chosen: set[str] = set()
        placed: set[int] = set()
        for place in tree.places:
            attribute = held.get(place.feature_hash)
            if attribute is not None:
                placed.add(id(attribute))
                resolved = self._answered(attribute, place, owner)
                if isinstance(resolved.answer, tuple):
                    chosen.update(option.feature_hash for option in resolved.answer)
                yield resolved
            elif not place.archived and (place.parent is None or place.parent in chosen):
                yield place.unanswered
        yield from (attribute for attribute in given if id(attribute) not in placed)

    def _answered(self, attribute: Attribute, place: _Place, owner: str) -> Attribute:
        answer, kind = attribute.answer, place.kind or attribute.kind
        if isinstance(answer, str) and kind in ("radio", "checklist"):
            answer = self._chosen(answer, place, owner)
        if isinstance(answer, tuple):
            answer = _in_order(answer, place)
            if kind == "radio" and len(answer) > 1:
                message = f"{quote(place.name)} has {len(answer)} options, a radio takes one; correct it in Encord"
                self._say(codes.SEVERAL_RADIO_OPTIONS, message, key=(owner, place.feature_hash), owner=owner)
        if attribute.kind == "relation":
            self._relations_told = True  # by the reader
        elif kind == "relation" and answer is not None and not self._relations_told:
            message = "relations are kept as the export has them; their form is not known"
            self._say(codes.RELATION_KEPT_RAW, message, key=())
        name = place.name or attribute.name
        return Attribute(attribute.feature_hash, name, answer, attribute.dynamic, kind, place.parent)

    def _chosen(self, text: str, place: _Place, owner: str) -> str | tuple[Option, ...]:
        """The option that a bare text names, the text itself where it names none or several."""
        option = _named(text, place)
        key, name = (owner, place.feature_hash), quote(place.name)
        answer = f"the answer {quote(text)}" if self._free_text else "an answer"
        if option is None:
            message = f"{answer} to {name} is the text of no one option; correct it in Encord"
            self._say(codes.RADIO_ANSWER_UNKNOWN, message, key=key, owner=owner)
            return text
        message = f"{answer} to {name} is a text; the option of that name was taken"
        self._say(codes.RADIO_ANSWER_TEXT, message, key=key, owner=owner)
        return (option,)

    def _say(self, code: Code, message: str, *, key: tuple[str, ...], owner: str | None = None) -> None:
        if (code.name, *key) not in self._said:
            self._said.add((code.name, *key))
            self.findings.append(codes.finding(code, Location(row=self._label_hash, object=owner), message))


def _in_order(answer: tuple[Option, ...], place: _Place) -> tuple[Option, ...]:
    """Options as the ontology names and orders them, then those that it does not hold."""
    if len(answer) == 1:
        return (place.options.get(answer[0].feature_hash, answer[0]),)
    hashes = {option.feature_hash for option in answer}
    known = [option for key, option in place.options.items() if key in hashes]
    return (*known, *(option for option in answer if option.feature_hash not in place.options))


def _named(text: str, place: _Place) -> Option | None:
    """The only option with this label or value, in other case if need be."""
    options = place.options.values()
    found = [option for option in options if text in (option.name, option.value)]
    if not found:
        folded = text.casefold()
        found = [option for option in options if folded in (option.name.casefold(), option.value.casefold())]
    return found[0] if len(found) == 1 else None


def _tree(one: OntologyClass | OntologyClassification) -> _Tree:
    places = tuple(_places(one.attributes))
    joints = [(joint.feature_hash, joint.name) for joint in one.joints] if isinstance(one, OntologyClass) else []
    return _Tree(
        name=one.name,
        places=places,
        unanswered=tuple(place.unanswered for place in places if place.parent is None and not place.archived),
        digest=_sha256([one.name, joints, _content(one.attributes)]),
    )


def _places(
    attributes: Sequence[OntologyAttribute], parent: str | None = None, *, dynamic: bool = False, archived: bool = False
) -> Iterator[_Place]:
    """Attributes and all below them. The outermost one says whether a branch is dynamic, as its answers do."""
    for one in attributes:
        changing, gone = dynamic or one.dynamic, archived or one.archived
        yield _Place(
            feature_hash=one.feature_hash,
            name=one.name,
            kind=one.kind,
            parent=parent,
            archived=gone,
            options={held.feature_hash: Option(held.feature_hash, held.label, held.value) for held in one.options},
            unanswered=Attribute(one.feature_hash, one.name, None, changing, one.kind, parent),
        )
        for option in one.options:
            yield from _places(option.attributes, option.feature_hash, dynamic=changing, archived=gone)


def _content(attributes: Sequence[OntologyAttribute]) -> list[object]:
    """What conversion takes from attributes. Published versions compare digests of it: add to it, never change it."""
    return [
        [
            *(one.feature_hash, one.name, one.kind, one.dynamic, one.archived),
            [[held.feature_hash, held.label, held.value, _content(held.attributes)] for held in one.options],
        ]
        for one in attributes
    ]


def _sha256(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
