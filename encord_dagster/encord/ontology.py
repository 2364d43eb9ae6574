"""The ontology document: which classes exist and how skeletons are built. Attributes are not read yet."""

import msgspec

from encord_dagster.encord.children import entries, members
from encord_dagster.encord.notes import problem
from encord_dagster.encord.privacy import redact
from encord_dagster.encord.scalars import ABSENT, FRAME_NUMBER, UNREADABLE, Raw, Scalar, is_hash, readable_hash, text
from encord_dagster.errors import UsageError


class OntologyClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class of objects as the ontology defines it; `shape` is kept as written."""

    feature_hash: str
    name: str
    color: str | None
    shape: str


class SkeletonTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """How the skeletons of a class are built: names of joints in order, edges as pairs of positions of joints."""

    feature_hash: str | None
    name: str
    joints: tuple[str, ...]
    joint_hashes: tuple[str | None, ...]
    edges: tuple[tuple[int, int], ...]


class Ontology(msgspec.Struct, frozen=True):
    """What is used of an ontology, in its order."""

    classes: tuple[OntologyClass, ...]
    skeletons: tuple[SkeletonTemplate, ...]


class _Document(msgspec.Struct):
    objects: Raw = ABSENT
    skeleton_templates: Raw = ABSENT


class _Class(msgspec.Struct, rename="camel"):
    feature_node_hash: Scalar = None
    name: Scalar = None
    color: Scalar = None
    shape: Scalar = None


class _Wrapper(msgspec.Struct):
    template: Raw = ABSENT


class _Template(msgspec.Struct):
    name: Scalar = None
    feature_node_hash: Scalar = None
    skeleton: Raw = ABSENT
    edges: Raw = msgspec.field(name="skeletonEdges", default=ABSENT)


class _Joint(msgspec.Struct, rename="camel"):
    name: Scalar = None
    feature_hash: Scalar = None


_DOCUMENT = msgspec.json.Decoder(_Document)
_CLASS = msgspec.json.Decoder(_Class)
_WRAPPER = msgspec.json.Decoder(_Wrapper)
_TEMPLATE = msgspec.json.Decoder(_Template)
_JOINT = msgspec.json.Decoder(_Joint)


def read_ontology(data: bytes) -> Ontology:
    """The classes and skeletons of an ontology document; UsageError where it is none."""
    try:
        document = _DOCUMENT.decode(data)
        if document.objects is ABSENT:
            raise UsageError("the ontology has no `objects`: download the ontology's JSON from Encord again")
        classes = tuple(_class(child) for child in entries(document.objects))
        skeletons = tuple(_template(child) for child in entries(document.skeleton_templates))
    except UNREADABLE as error:
        message = f"the ontology cannot be read ({problem(error)}): download its JSON from Encord again"
        raise UsageError(message) from error
    return Ontology(classes, skeletons)


def _class(raw: Raw) -> OntologyClass:
    entry = _CLASS.decode(raw)
    if not isinstance(entry.feature_node_hash, str) or not is_hash(entry.feature_node_hash):
        raise UsageError(
            "a class of the ontology has no featureNodeHash: download the ontology's JSON from Encord again"
        )
    return OntologyClass(
        feature_hash=entry.feature_node_hash,
        name=redact(text(entry.name) or ""),
        color=redact(text(entry.color) or "") or None,
        shape=redact(text(entry.shape) or ""),
    )


def _template(raw: Raw) -> SkeletonTemplate:
    template = _TEMPLATE.decode(_WRAPPER.decode(raw).template)
    joints = members(template.skeleton)
    positions = {key: index for index, key in enumerate(sorted(joints, key=_index))}
    found = [_JOINT.decode(joints[key]) for key in positions]
    edges = [
        (positions[start], positions[end])
        for start, ends in members(template.edges).items()
        for end in members(ends)
        if start in positions and end in positions
    ]
    return SkeletonTemplate(
        feature_hash=readable_hash(template.feature_node_hash),
        name=redact(text(template.name) or ""),
        joints=tuple(redact(text(joint.name) or "") for joint in found),
        joint_hashes=tuple(readable_hash(joint.feature_hash) for joint in found),
        edges=tuple(edges),
    )


def _index(key: str) -> tuple[int, str]:
    return (int(key), "") if FRAME_NUMBER.fullmatch(key) else (10**9, key)
