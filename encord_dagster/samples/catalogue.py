"""What the sample projects label: the classes, attributes and options, as the platform's ontology document has them."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Kind = Literal["radio", "checklist", "text", "numeric"]


class Option(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An option of a radio or checklist; `options` are the attributes that open under it."""

    id: str
    label: str
    value: str
    options: tuple["Attribute", ...] | UnsetType = UNSET
    feature_node_hash: str


class Attribute(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A question; `dynamic` ones are answered per frame."""

    id: str
    name: str
    type: Kind
    dynamic: bool = False
    options: tuple[Option, ...] | UnsetType = UNSET
    required: bool = False
    feature_node_hash: str


class ObjectClass(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A class of objects of one shape."""

    id: str
    name: str
    color: str
    shape: str
    required: bool = False
    attributes: tuple[Attribute, ...] = ()
    feature_node_hash: str


class ClassificationClass(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A question about a frame, or with `level` "global" about the whole asset."""

    id: str
    level: str | UnsetType = UNSET
    attributes: tuple[Attribute, ...]
    feature_node_hash: str


class TemplateJoint(msgspec.Struct, frozen=True, rename="camel"):
    """A joint of a skeleton template, in fractions of the template's box."""

    x: float
    y: float
    name: str
    color: str
    value: str
    feature_hash: str


class Edge(msgspec.Struct, frozen=True):
    """A line between two joints."""

    color: str


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A skeleton: joints and the lines between them, by index. The platform mixes its key styles here."""

    name: str
    shape: str = "skeleton"
    width: float
    height: float
    skeleton: dict[str, TemplateJoint]
    skeleton_edges: dict[str, dict[str, Edge]] = msgspec.field(name="skeletonEdges")
    feature_node_hash: str


class TemplateEntry(msgspec.Struct, frozen=True):
    """The document's wrapper of a template."""

    template: Template


class Ontology(msgspec.Struct, frozen=True):
    """The ontology document."""

    objects: tuple[ObjectClass, ...]
    classifications: tuple[ClassificationClass, ...]
    skeleton_templates: tuple[TemplateEntry, ...]


def feature_hash(path: str) -> str:
    """Eight characters of base64, as the platform's; the same for a path always."""
    return base64.b64encode(hashlib.sha256(path.encode()).digest())[:8].decode()


def slug(name: str) -> str:
    """The `value` that belongs to a `name`."""
    return name.lower().replace(" ", "_")


class _Question(msgspec.Struct, frozen=True):
    """An attribute before it has its place in the document: options by label, with what opens under each."""

    name: str
    kind: Kind
    options: tuple[tuple[str, tuple["_Question", ...]], ...] = ()
    dynamic: bool = False


def _radio(name: str, *labels: str, dynamic: bool = False) -> _Question:
    return _Question(name, "radio", tuple((label, ()) for label in labels), dynamic)


def _checklist(name: str, *labels: str, dynamic: bool = False) -> _Question:
    return _Question(name, "checklist", tuple((label, ()) for label in labels), dynamic)


def _attributes(questions: Sequence[_Question], *, place: str, path: str) -> tuple[Attribute, ...]:
    return tuple(_attribute(q, place=f"{place}.{i}", path=f"{path}/{q.name}") for i, q in enumerate(questions, 1))


def _attribute(question: _Question, *, place: str, path: str) -> Attribute:
    options: tuple[Option, ...] | UnsetType = UNSET
    if question.kind in ("radio", "checklist"):
        options = tuple(
            Option(
                id=f"{place}.{i}",
                label=label,
                value=slug(label),
                options=_attributes(nested, place=f"{place}.{i}", path=f"{path}/{label}") if nested else UNSET,
                feature_node_hash=feature_hash(f"{path}/{label}"),
            )
            for i, (label, nested) in enumerate(question.options, 1)
        )
    return Attribute(
        id=place,
        name=question.name,
        type=question.kind,
        dynamic=question.dynamic,
        options=options,
        feature_node_hash=feature_hash(path),
    )


_OCCLUSION = _radio("Occlusion", "None", "Partial", "Heavy")
_USAGE = _Question("Usage", "radio", (("House", ()), ("Shop", (_Question("Shop sign", "text"),))))
_OBJECTS: tuple[tuple[str, str, str, tuple[_Question, ...]], ...] = (
    ("Car", "#D33115", "bounding_box", (_OCCLUSION, _radio("Brake light", "Off", "On", dynamic=True))),
    ("Truck", "#E27300", "bounding_box", (_Question("Load", "text"), _Question("Axles", "numeric"))),
    ("Cyclist", "#FCC400", "bounding_box", (_OCCLUSION,)),
    ("Parked vehicle", "#68BC00", "rotatable_bounding_box", (_radio("Parking", "Kerb", "Pavement", "Double"),)),
    (
        "Pedestrian",
        "#A4DD00",
        "skeleton",
        (_checklist("Behaviour", "Walking", "On the phone", "Crossing", dynamic=True), _OCCLUSION),
    ),
    ("Tree", "#194D33", "polygon", (_checklist("State", "In leaf", "Damaged"),)),
    ("Building", "#16406C", "polygon", (_USAGE,)),
    ("Lane marking", "#FE9200", "polyline", (_radio("Marking", "Solid", "Dashed"),)),
    ("Traffic light", "#DBDF00", "point", (_radio("Signal", "Red", "Amber", "Green", dynamic=True),)),
    ("Road surface", "#808080", "bitmask", (_checklist("Condition", "Wet", "Cracked", "Snow"),)),
    ("Liver", "#9F0500", "bitmask", (_Question("Note", "text"),)),
    ("Kidney", "#653294", "polygon", (_radio("Side", "Left", "Right"),)),
    ("Lesion", "#FCDC00", "polygon", (_radio("Grade", "Benign", "Unclear", "Malignant"),)),
    ("Diameter", "#0062B1", "polyline", ()),
    ("Landmark", "#73D8FF", "point", (_Question("Level", "text", dynamic=True),)),
)
_RAIN = _checklist("Rain details", "Puddles", "Spray")
_CLASSIFICATIONS: tuple[tuple[_Question, bool], ...] = (
    (_Question("Weather", "radio", (("Dry", ()), ("Rain", (_RAIN,)), ("Fog", ()))), False),
    (_checklist("Hazards", "Roadworks", "School", "Tram"), False),
    (_Question("Remark", "text"), False),
    (_radio("Image quality", "Good", "Usable", "Poor"), True),
)

JOINTS = (
    ("head", 0.5, 0.06),
    ("neck", 0.5, 0.18),
    ("left_hand", 0.15, 0.48),
    ("right_hand", 0.85, 0.48),
    ("hip", 0.5, 0.52),
    ("left_knee", 0.36, 0.76),
    ("right_knee", 0.64, 0.76),
    ("left_foot", 0.3, 1.0),
    ("right_foot", 0.72, 1.0),
)
BONES = ((0, 1), (1, 2), (1, 3), (1, 4), (4, 5), (4, 6), (5, 7), (6, 8))

CLASSES: dict[str, ObjectClass] = {
    name: ObjectClass(
        id=str(i),
        name=name,
        color=color,
        shape=shape,
        attributes=_attributes(questions, place=str(i), path=name),
        feature_node_hash=feature_hash(name),
    )
    for i, (name, color, shape, questions) in enumerate(_OBJECTS, 1)
}
CLASSIFICATIONS: dict[str, ClassificationClass] = {
    question.name: ClassificationClass(
        id=str(i),
        level="global" if whole_asset else UNSET,
        attributes=_attributes([question], place=str(i), path="classification"),
        feature_node_hash=feature_hash(f"classification of {question.name}"),
    )
    for i, (question, whole_asset) in enumerate(_CLASSIFICATIONS, 1)
}


def document() -> Ontology:
    """The ontology document of the sample projects."""
    edges: dict[str, dict[str, Edge]] = {}
    for start, end in BONES:
        edges.setdefault(str(start), {})[str(end)] = Edge("#000000")
    joints = {
        str(i): TemplateJoint(x, y, name, "#000000", name, joint_hash(name)) for i, (name, x, y) in enumerate(JOINTS)
    }
    pedestrian = CLASSES["Pedestrian"]
    template = Template(
        name="Pedestrian",
        width=0.1,
        height=0.4,
        skeleton=joints,
        skeleton_edges=edges,
        feature_node_hash=pedestrian.feature_node_hash,
    )
    return Ontology(tuple(CLASSES.values()), tuple(CLASSIFICATIONS.values()), (TemplateEntry(template),))


def joint_hash(name: str) -> str:
    """The feature hash of a joint of the pedestrian."""
    return feature_hash(f"Pedestrian/joint/{name}")
