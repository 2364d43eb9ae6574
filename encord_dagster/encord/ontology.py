"""The ontology document, Encord's second file: classes, classifications and the trees of attributes below them."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from encord_dagster.encord.model import Kind


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
