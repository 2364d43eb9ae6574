"""The ontology document, Encord's second file: classes, classifications and the trees of attributes below them.

Names of the document are redacted as those of label rows are, so that the two can be compared.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar, get_args

import msgspec
from msgspec.structs import replace

from encord_dagster.encord.children import entries, members
from encord_dagster.encord.model import Kind
from encord_dagster.encord.notes import problem, quote
from encord_dagster.encord.privacy import redact
from encord_dagster.encord.scalars import ABSENT, FRAME_NUMBER, UNREADABLE, Raw, Scalar, flag, is_hash, text
from encord_dagster.errors import UsageError

MOST_BYTES = 64 * 2**20
DEEPEST = 32  # attributes below attributes; Encord's editor makes at most seven levels


class OntologyOption(msgspec.Struct, frozen=True, kw_only=True):
    """An option of a radio or checklist attribute, and the attributes that it opens when chosen."""

    feature_hash: str
    label: str
    value: str
    attributes: tuple["OntologyAttribute", ...] = ()


class OntologyAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute of a class or classification, or one nested below an option. `kind` None: not known to us."""

    feature_hash: str
    name: str
    kind: Kind | None
    required: bool = False
    dynamic: bool = False
    archived: bool = False
    options: tuple[OntologyOption, ...] = ()


class OntologyJoint(msgspec.Struct, frozen=True):
    """One joint of a skeleton's template."""

    feature_hash: str
    name: str


class OntologyClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class of objects. `edges` are pairs of positions in `joints`, from 0; both are empty but for skeletons."""

    feature_hash: str
    name: str
    shape: str
    color: str | None = None  # "#RRGGBB"
    required: bool = False
    archived: bool = False
    attributes: tuple[OntologyAttribute, ...] = ()
    joints: tuple[OntologyJoint, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()


class OntologyClassification(msgspec.Struct, frozen=True, kw_only=True):
    """A classification of frames or of the whole asset; its outermost attribute gives it its name."""

    feature_hash: str
    name: str
    level: Literal["frame", "global"] = "frame"
    archived: bool = False
    attributes: tuple[OntologyAttribute, ...] = ()


class Ontology(msgspec.Struct, frozen=True):
    """Classes and classifications by feature hash, in the order of the document."""

    classes: Mapping[str, OntologyClass]
    classifications: Mapping[str, OntologyClassification]


class _Document(msgspec.Struct):
    objects: Raw = ABSENT
    classifications: Raw = ABSENT
    skeleton_templates: Raw = ABSENT


class _Node(msgspec.Struct, rename="camel"):
    """A class, classification, attribute or option: each uses some of these fields."""

    feature_node_hash: Scalar = None
    name: Scalar = None
    label: Scalar = None
    value: Scalar = None
    color: Scalar = None
    shape: Scalar = None
    level: Scalar = None
    type: Scalar = None
    required: Scalar = None
    dynamic: Scalar = None
    archived: Scalar = None
    attributes: Raw = ABSENT
    options: Raw = ABSENT


class _Wrapper(msgspec.Struct):
    template: Raw = ABSENT


class _Template(msgspec.Struct):
    name: Scalar = None
    feature_hash: Scalar = msgspec.field(name="feature_node_hash", default=None)
    skeleton: Raw = ABSENT
    edges: Raw = msgspec.field(name="skeletonEdges", default=ABSENT)


class _Joint(msgspec.Struct, rename="camel"):
    name: Scalar = None
    feature_hash: Scalar = None


class _Skeleton(msgspec.Struct, frozen=True):
    """A skeleton's template; without joints where one of them has no feature hash, as in old documents."""

    feature_hash: str | None
    name: str
    joints: tuple[OntologyJoint, ...]
    edges: tuple[tuple[int, int], ...]


_DOCUMENT = msgspec.json.Decoder(_Document)
_NODE = msgspec.json.Decoder(_Node)
_WRAPPER = msgspec.json.Decoder(_Wrapper)
_TEMPLATE = msgspec.json.Decoder(_Template | None)
_JOINT = msgspec.json.Decoder(_Joint)
_KINDS: Mapping[str, Kind] = {kind: kind for kind in get_args(Kind)}
_COLOR = re.compile(r"#?(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})")
_AGAIN = "download the ontology's JSON from Encord again"
_Member = TypeVar("_Member", OntologyClass, OntologyClassification)


def read_ontology(data: bytes) -> Ontology:
    """The ontology of a document; UsageError, with the place in the document, where it cannot be relied on.

    One feature hash may stand in the trees of several classes (real documents do that), but only once in one tree.
    """
    if len(data) > MOST_BYTES:
        raise UsageError(f"the ontology has {len(data)} bytes, more than {MOST_BYTES}: is it the right file?")
    try:
        document = _DOCUMENT.decode(data)
    except UNREADABLE as error:
        raise _unreadable("the document", error) from error
    if {bytes(document.objects), bytes(document.classifications)} == {b"null"}:
        raise UsageError(f"the ontology has neither `objects` nor `classifications`: {_AGAIN}")
    places = enumerate(_children(document.objects, "objects"))
    classes = _by_hash((_class(raw, f"objects[{n}]") for n, raw in places), "objects")
    places = enumerate(_children(document.classifications, "classifications"))
    classifications = _by_hash((_classification(raw, f"classifications[{n}]") for n, raw in places), "classifications")
    templates = enumerate(_children(document.skeleton_templates, "skeleton_templates"))
    skeletons = [_skeleton(raw, f"skeleton_templates[{n}]") for n, raw in templates]
    return Ontology({key: _with_joints(one, skeletons, classes) for key, one in classes.items()}, classifications)


def _class(raw: Raw, place: str) -> OntologyClass:
    node, feature_hash = _node(raw, place)
    return OntologyClass(
        feature_hash=feature_hash,
        name=_plain(node.name),
        shape=_plain(node.shape).strip().lower(),
        color=_color(node.color),
        required=flag(node.required) is True,
        archived=flag(node.archived) is True,
        attributes=_attributes(node.attributes, f"{place}.attributes", set(), depth=1),
    )


def _classification(raw: Raw, place: str) -> OntologyClassification:
    node, feature_hash = _node(raw, place)
    attributes = _attributes(node.attributes, f"{place}.attributes", set(), depth=1)
    return OntologyClassification(
        feature_hash=feature_hash,
        name=attributes[0].name if attributes else "",
        level="global" if _plain(node.level).strip().lower() == "global" else "frame",
        archived=flag(node.archived) is True,
        attributes=attributes,
    )


def _attributes(raw: Raw, place: str, seen: set[str], *, depth: int) -> tuple[OntologyAttribute, ...]:
    """Attributes with all that hangs below them; `seen` collects the feature hashes of one tree."""
    children = _children(raw, place)
    if children and depth > DEEPEST:
        raise UsageError(f"the ontology nests attributes deeper than {DEEPEST} levels: {_AGAIN}")
    return tuple(_attribute(child, f"{place}[{n}]", seen, depth) for n, child in enumerate(children))


def _attribute(raw: Raw, place: str, seen: set[str], depth: int) -> OntologyAttribute:
    node, feature_hash = _node(raw, place, seen)
    options = _children(node.options, f"{place}.options")
    return OntologyAttribute(
        feature_hash=feature_hash,
        name=_plain(node.name),
        kind=_KINDS.get(_plain(node.type).strip().lower()),
        required=flag(node.required) is True,
        dynamic=flag(node.dynamic) is True,
        archived=flag(node.archived) is True,
        options=tuple(_option(child, f"{place}.options[{n}]", seen, depth) for n, child in enumerate(options)),
    )


def _option(raw: Raw, place: str, seen: set[str], depth: int) -> OntologyOption:
    node, feature_hash = _node(raw, place, seen)
    return OntologyOption(
        feature_hash=feature_hash,
        label=_plain(node.label),
        value=_plain(node.value),
        attributes=_attributes(node.options, f"{place}.options", seen, depth=depth + 1),
    )


def _node(raw: Raw, place: str, seen: set[str] | None = None) -> tuple[_Node, str]:
    """A node and its feature hash, which must be there, and in `seen` no more than once."""
    try:
        node = _NODE.decode(raw)
    except UNREADABLE as error:
        raise _unreadable(place, error) from error
    feature_hash = node.feature_node_hash
    if not isinstance(feature_hash, str) or not is_hash(feature_hash):
        raise UsageError(f"{place} of the ontology has no readable featureNodeHash: {_AGAIN}")
    if seen is not None:
        if feature_hash in seen:
            raise _twice(feature_hash, place)
        seen.add(feature_hash)
    return node, feature_hash


def _children(raw: Raw, place: str) -> list[Raw]:
    try:
        return entries(raw)
    except UNREADABLE as error:
        raise _unreadable(place, error) from error


def _by_hash(found: Iterable[_Member], place: str) -> dict[str, _Member]:
    held: dict[str, _Member] = {}
    for number, one in enumerate(found):
        if one.feature_hash in held:
            raise _twice(one.feature_hash, f"{place}[{number}]")
        held[one.feature_hash] = one
    return held


def _skeleton(raw: Raw, place: str) -> _Skeleton:
    try:
        template = _TEMPLATE.decode(_WRAPPER.decode(raw).template) or _Template()
        held = members(template.skeleton)
        positions = {key: index for index, key in enumerate(sorted(held, key=_index))}
        found = [_JOINT.decode(held[key]) for key in positions]
        edges = [
            (positions[start], positions[end])
            for start, ends in members(template.edges).items()
            for end in members(ends)
            if start in positions and end in positions
        ]
    except UNREADABLE as error:
        raise _unreadable(place, error) from error
    joints: dict[str, str] = {}
    for joint in found:
        if isinstance(joint.feature_hash, str) and is_hash(joint.feature_hash):
            if joint.feature_hash in joints:
                raise _twice(joint.feature_hash, f"{place}.template.skeleton")
            joints[joint.feature_hash] = _plain(joint.name)
    usable = len(joints) == len(found)  # labels name joints by feature hash: one without it cannot be found in them
    return _Skeleton(
        feature_hash=text(template.feature_hash),
        name=_plain(template.name),
        joints=tuple(OntologyJoint(key, name) for key, name in joints.items()) if usable else (),
        edges=tuple(dict.fromkeys(edges)) if usable else (),
    )


def _with_joints(one: OntologyClass, skeletons: list[_Skeleton], classes: Mapping[str, OntologyClass]) -> OntologyClass:
    """The class with the skeleton that bears its feature hash, else with the only one of its name that is free."""
    if one.shape != "skeleton":
        return one
    found = [skeleton for skeleton in skeletons if skeleton.feature_hash == one.feature_hash] or [
        skeleton for skeleton in skeletons if skeleton.name == one.name and skeleton.feature_hash not in classes
    ]
    return replace(one, joints=found[0].joints, edges=found[0].edges) if len(found) == 1 else one


def _index(key: str) -> tuple[int, str]:
    return (int(key), "") if FRAME_NUMBER.fullmatch(key) else (10**9, key)


def _plain(value: Scalar) -> str:
    """A text of the document; also "None" and "null" are names that people give to options."""
    return redact(value) if isinstance(value, str) else ""


def _color(value: Scalar) -> str | None:
    """`#RRGGBB`, None where the document has no colour that can be read."""
    if not isinstance(value, str) or not _COLOR.fullmatch(value.strip()):
        return None
    digits = value.strip().removeprefix("#").upper()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))


def _unreadable(place: str, error: Exception) -> UsageError:
    return UsageError(f"{place} of the ontology cannot be read ({problem(error)}): {_AGAIN}")


def _twice(feature_hash: str, place: str) -> UsageError:
    return UsageError(f"the featureNodeHash {quote(feature_hash)} at {place} is in the ontology before: {_AGAIN}")
