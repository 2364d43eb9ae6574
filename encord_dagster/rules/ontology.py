"""The rules that hold a row against the ontology document: its classes, their attributes, their required answers."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow, Option
from encord_dagster.encord.notes import quote
from encord_dagster.encord.ontology import Ontology, OntologyAttribute
from encord_dagster.findings import Location
from encord_dagster.rules.against import Against, Check, Found
from encord_dagster.rules.rows import is_labelled

Answer = str | float | tuple[Option, ...] | None


class _Label(msgspec.Struct, frozen=True):
    """An object or classification at one place; `tree` is what the ontology asks of it, None where it lacks it."""

    what: str
    key: str  # object hash or classification hash
    name: str
    feature_hash: str
    attributes: tuple[Attribute, ...]
    tree: tuple[OntologyAttribute, ...] | None
    frame: Frame | None  # None: of the whole data unit

    def where(self, row: LabelRow) -> Location:
        """Its place, made only where something is found."""
        if self.frame is None:
            return Location(row=row.label_hash, object=self.key)
        return Location(row.label_hash, self.frame.data_hash, self.frame.number, self.key, self.frame.space)


def _where_there_is_one(check: Callable[[LabelRow, Ontology], Iterator[Found]]) -> Check:
    """A check that finds nothing where there is no ontology."""

    def checked(row: LabelRow, against: Against) -> Iterator[Found]:
        return check(row, against.ontology) if against.ontology else iter(())

    return checked


@_where_there_is_one
def class_not_in_ontology(row: LabelRow, ontology: Ontology) -> Iterator[Found]:
    """One finding for a class, at its first object."""
    first: dict[tuple[str, str], _Label] = {}
    times: Counter[tuple[str, str]] = Counter()
    for label in _labels(row, ontology):
        if label.tree is None:
            first.setdefault((label.what, label.feature_hash), label)
            times[label.what, label.feature_hash] += 1
    for key, label in first.items():
        of = "class of objects" if label.what == "object" else "classification"
        text = (
            f"{of} {quote(label.name)} ({label.feature_hash}), {times[key]} times in this row, is not in the ontology; "
            "use the ontology document of this project, as it was when the row was exported"
        )
        yield label.where(row), text


@_where_there_is_one
def attribute_not_in_ontology(row: LabelRow, ontology: Ontology) -> Iterator[Found]:
    """One finding for an attribute of a class. A class that is not in the ontology itself has its own finding."""
    known: dict[tuple[str, str], set[str]] = {}
    for label in _labels(row, ontology):
        if label.tree is None:
            continue
        key = (label.what, label.feature_hash)
        if key not in known:
            known[key] = set(_hashes(label.tree))
        for attribute in label.attributes:
            if attribute.feature_hash not in known[key]:
                known[key].add(attribute.feature_hash)  # told once
                text = (
                    f"the attribute {quote(attribute.name)} ({attribute.feature_hash}) of {quote(label.name)} is not "
                    "in the ontology; use the ontology document as it was when the row was exported"
                )
                yield label.where(row), text


@_where_there_is_one
def required_answer_missing(row: LabelRow, ontology: Ontology) -> Iterator[Found]:
    """One finding for an object or classification, at the first frame where an answer is missing."""
    first: dict[tuple[str, str], _Label] = {}
    missing: dict[tuple[str, str], Counter[str]] = {}
    frames: Counter[tuple[str, str]] = Counter()
    for label in _labels(row, ontology):
        if not label.tree:
            continue
        key = (label.what, label.key)
        frames[key] += 1
        given = {attribute.feature_hash: attribute.answer for attribute in label.attributes}
        for attribute in _unanswered(label.tree, given):
            first.setdefault(key, label)
            missing.setdefault(key, Counter())[attribute.name] += 1
    for key, label in first.items():
        of = "" if label.frame is None else f" of {frames[key]} frames"
        names = ", ".join(quote(name) + (f" on {count}{of}" if of else "") for name, count in missing[key].items())
        text = f"the {label.what} ({quote(label.name)}) lacks required answers: {names}; answer them in Encord"
        yield label.where(row), text


@_where_there_is_one
def required_class_missing(row: LabelRow, ontology: Ontology) -> Iterator[Found]:
    """One finding for a class. Where objects are in quarantine nobody knows of what class they are."""
    if row.deleted or row.quarantined or not is_labelled(row):
        return
    held = {item.feature_hash for frame in row.frames for item in frame.objects}
    held |= {item.feature_hash for item in row.excluded if item.feature_hash}
    for wanted in ontology.classes.values():
        if wanted.required and not wanted.archived and wanted.feature_hash not in held:
            text = f"the row has no object of the required class {quote(wanted.name)}; draw it in Encord"
            yield Location(row=row.label_hash), text


def is_answered(tree: Sequence[OntologyAttribute], given: Mapping[str, Answer]) -> bool:
    """Whether answers are to attributes of a class, and to all of them that it requires."""
    return given.keys() <= set(_hashes(tree)) and not any(_unanswered(tree, given))


def _labels(row: LabelRow, ontology: Ontology) -> Iterator[_Label]:
    """All objects on frames and all classifications; those without a feature hash cannot be looked up."""
    for frame in row.frames:
        for item in frame.objects:
            known = ontology.classes.get(item.feature_hash)
            tree = known.attributes if known else None
            yield _Label("object", item.object_hash, item.name, item.feature_hash, item.attributes, tree, frame)
    whole: list[tuple[Frame | None, Classification]] = [(None, one) for one in row.classifications]
    for place, one in [*((frame, one) for frame in row.frames for one in frame.classifications), *whole]:
        if one.feature_hash:
            asked = ontology.classifications.get(one.feature_hash)
            tree = asked.attributes if asked else None
            key = one.classification_hash
            yield _Label("classification", key, one.name, one.feature_hash, one.attributes, tree, place)


def _hashes(tree: Sequence[OntologyAttribute]) -> Iterator[str]:
    """Feature hashes of attributes and of all that are nested below them."""
    for attribute in tree:
        yield attribute.feature_hash
        for option in attribute.options:
            yield from _hashes(option.attributes)


def _unanswered(tree: Sequence[OntologyAttribute], given: Mapping[str, Answer]) -> Iterator[OntologyAttribute]:
    """Required attributes without an answer; nested ones count where the option above them is chosen."""
    for attribute in tree:
        answer = given.get(attribute.feature_hash)
        # how a relation is answered is not known, so its answer cannot be missed either
        readable = attribute.kind not in (None, "relation") and not attribute.archived
        if attribute.required and readable and answer in (None, "", ()):
            yield attribute
        chosen = {option.feature_hash for option in answer} if isinstance(answer, tuple) else set()
        for option in attribute.options:
            if option.feature_hash in chosen:
                yield from _unanswered(option.attributes, given)
