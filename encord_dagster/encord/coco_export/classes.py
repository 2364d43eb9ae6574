"""Classes of a COCO export: COCO knows them by name, the ontology or else the name itself gives them a hash."""

import msgspec

from encord_dagster.encord.ontology import Ontology, OntologyClass
from encord_dagster.encord.privacy import redact
from encord_dagster.encord.scalars import UNREADABLE, Raw, Scalar, integer, text
from encord_dagster.identity import digest

_STAND_IN = 16  # hex digits: 64 bits, so that two names do not meet


class CocoClass(msgspec.Struct, frozen=True, kw_only=True):
    """One category. `known` is its class in the ontology, None where that is missing or not certain.

    `inferred`: the feature hash was made from the name. So is that of a skeleton whose joints the ontology does not
    name: its own class would for good be given joints that no label row has.
    """

    feature_hash: str
    name: str  # as the file has it: not yet fit to leave the reader
    shape: str
    known: OntologyClass | None = None
    inferred: bool = False
    ambiguous: bool = False

    @property
    def meaning(self) -> str:
        """Changes where the ontology comes to read this class, its attributes or its joints in another way."""
        attributes, joints = (self.known.attributes, self.known.joints) if self.known else ((), ())
        return digest(self.feature_hash, self.name, self.shape, msgspec.json.encode([attributes, joints]).decode())


class _Category(msgspec.Struct):
    id: Scalar = None
    name: Scalar = None
    supercategory: Scalar = None


_CATEGORY = msgspec.json.Decoder(_Category)


def stand_in(*parts: str) -> str:
    """A hash for what COCO names without one: the same name gives the same hash in every export."""
    return digest("coco", *parts)[:_STAND_IN]


def read_classes(children: list[Raw], ontology: Ontology | None) -> dict[int, CocoClass | None]:
    """Classes by category id; None where two categories have one id. Those that cannot be read are not among them."""
    known: dict[tuple[str, str], list[OntologyClass]] = {}
    for one in ontology.classes.values() if ontology else ():
        known.setdefault((redact(one.name), one.shape), []).append(one)
    classes: dict[int, CocoClass | None] = {}
    for raw in children:
        key, found = _class(raw, known)
        if key is not None and found is not None:
            classes[key] = None if key in classes and classes[key] != found else found
    return classes


def _class(raw: Raw, known: dict[tuple[str, str], list[OntologyClass]]) -> tuple[int | None, CocoClass | None]:
    try:
        entry = _CATEGORY.decode(raw)
    except UNREADABLE:
        return None, None
    name, shape = entry.name, (text(entry.supercategory) or "").strip().lower()
    if not isinstance(name, str) or not name or not shape:
        return None, None
    candidates = known.get((redact(name), shape), [])
    one = candidates[0] if len(candidates) == 1 else None
    inferred = one is None or (shape == "skeleton" and not one.joints)
    return integer(entry.id), CocoClass(
        feature_hash=stand_in(shape, name) if one is None or inferred else one.feature_hash,
        name=name,
        shape=shape,
        known=one,
        inferred=inferred,
        ambiguous=len(candidates) > 1,
    )
