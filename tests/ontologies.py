"""Ontologies in few words: classes, attributes and options as the reader of ontology documents gives them."""

from encord_dagster.encord.model import Kind
from encord_dagster.encord.ontology import (
    Ontology,
    OntologyAttribute,
    OntologyClass,
    OntologyClassification,
    OntologyOption,
)
from tests.factories import FEATURES


def ontology(*known: OntologyClass | OntologyClassification) -> Ontology:
    """An ontology of these classes and classifications."""
    return Ontology(
        classes={one.feature_hash: one for one in known if isinstance(one, OntologyClass)},
        classifications={one.feature_hash: one for one in known if isinstance(one, OntologyClassification)},
    )


def of_boxes(*attributes: OntologyAttribute, required: bool = False, archived: bool = False) -> OntologyClass:
    """The class of the boxes of the factories."""
    return OntologyClass(
        feature_hash=FEATURES["bounding_box"],
        name="a bounding_box",
        shape="bounding_box",
        required=required,
        archived=archived,
        attributes=attributes,
    )


def of_weather(*attributes: OntologyAttribute) -> OntologyClassification:
    """The classification of the factories."""
    return OntologyClassification(feature_hash="ClassCl1", name="weather", attributes=attributes)


def text(
    name: str,
    feature_hash: str = "Attribu1",
    *,
    kind: Kind | None = "text",
    required: bool = True,
    dynamic: bool = False,
    archived: bool = False,
) -> OntologyAttribute:
    """An attribute without options."""
    return OntologyAttribute(
        feature_hash=feature_hash, name=name, kind=kind, required=required, dynamic=dynamic, archived=archived
    )


def radio(
    name: str, *options: OntologyOption, feature_hash: str = "Attribu2", required: bool = False
) -> OntologyAttribute:
    """A radio attribute."""
    return OntologyAttribute(feature_hash=feature_hash, name=name, kind="radio", required=required, options=options)


def option(label: str, feature_hash: str, *attributes: OntologyAttribute) -> OntologyOption:
    """An option and the attributes that it opens."""
    return OntologyOption(feature_hash=feature_hash, label=label, value=label.lower(), attributes=attributes)
