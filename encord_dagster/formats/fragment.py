"""A fragment: the converted piece of one label row, and the categories it was converted with."""

import hashlib
from collections.abc import Mapping

import msgspec

from encord_dagster import identity
from encord_dagster.encord.model import Frame, LabelRow, ObjectInstance, Quarantined
from encord_dagster.encord.ontology import Ontology, OntologyClass
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.records import Records
from encord_dagster.geometry import Skeleton

SHAPES = frozenset(  # that become annotations, as ontologies call them
    {
        "bounding_box",
        "rotatable_bounding_box",
        "ellipse",
        "circle",
        "polygon",
        "polyline",
        "point",
        "skeleton",
        "bitmask",
    }
)


class JointName(msgspec.Struct, frozen=True):
    """One joint of a skeleton class."""

    feature_hash: str
    name: str


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A class and the id that it keeps for good. `skeleton` holds joint pairs, counted from 1 as in COCO.

    `color` is `#RRGGBB`, and not written where it is unset: only an ontology tells it.
    """

    id: int
    feature_hash: str
    name: str
    shape: str
    joints: tuple[JointName, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    color: str | msgspec.UnsetType = msgspec.UNSET


class ClassCount(msgspec.Struct, frozen=True, gc=False):
    """How many objects of one class a label row holds."""

    feature_hash: str
    category_id: int
    name: str
    shape: str
    objects: int


class MaskImage(msgspec.Struct, frozen=True):
    """One mask picture of one image; `kind` is `semantic` or `instance`."""

    image_id: int
    kind: str
    png: bytes


class Fragment(msgspec.Struct, frozen=True, kw_only=True):
    """What conversion makes of one label row. `images` and `annotations` are JSON, one value each."""

    image_ids: tuple[int, ...]
    images: tuple[bytes, ...]
    annotations: tuple[bytes, ...]
    classes: tuple[ClassCount, ...]
    masks: tuple[MaskImage, ...]
    tables: Records


class _Packed(msgspec.Struct, frozen=True):
    """A fragment in bytes: frames that show nothing share their pictures, of which a video has few."""

    fragment: Fragment  # without its masks
    pictures: tuple[bytes, ...]
    masks: tuple[tuple[int, str, int], ...]  # image id, kind, place of the picture


def pack(fragment: Fragment) -> bytes:
    """A fragment as msgpack. Published patches hold it, so fields are only added, at the end and with defaults."""
    pictures: dict[bytes, int] = {}
    masks = [(one.image_id, one.kind, pictures.setdefault(one.png, len(pictures))) for one in fragment.masks]
    bare = msgspec.structs.replace(fragment, masks=())
    return msgspec.msgpack.encode(_Packed(bare, tuple(pictures), tuple(masks)))


def unpack(data: bytes) -> Fragment:
    """A fragment that was packed."""
    held = msgspec.msgpack.decode(data, type=_Packed)
    masks = tuple(MaskImage(image_id, kind, held.pictures[place]) for image_id, kind, place in held.masks)
    return msgspec.structs.replace(held.fragment, masks=masks)


def classes_of(row: LabelRow, ontology: Ontology | None = None) -> dict[str, Category]:
    """The classes that a row's objects need, as claims not yet numbered (id 0), in document order.

    Classes are as the ontology has them, where it has them, so that all rows make one claim.
    """
    found: dict[str, Category] = {}
    for frame in row.frames:
        for item in frame.objects:
            if item.feature_hash not in found:
                known = ontology.classes.get(item.feature_hash) if ontology else None
                found[item.feature_hash] = _of_class(known, _of_object(item)) if known else _of_object(item)
    return found


def ontology_categories(ontology: Ontology) -> dict[str, Category]:
    """The classes that labels can have, as claims not yet numbered (id 0), in the order of the ontology.

    A skeleton class without joints is left out: it is claimed with the joints of its first skeleton.
    """
    return {
        key: _of_class(one, Category(id=0, feature_hash=key, name=one.name, shape=one.shape))
        for key, one in ontology.classes.items()
        if not one.archived and one.shape in SHAPES and (one.joints or one.shape != "skeleton")
    }


def described(category: Category, ontology: Ontology) -> Category:
    """A category with name, colour and edges as the ontology has them now; its id, shape and joints stay as claimed."""
    known = ontology.classes.get(category.feature_hash)
    return _described(category, known) if known else category


def _of_class(known: OntologyClass, seen: Category) -> Category:
    joints = tuple(JointName(joint.feature_hash, joint.name) for joint in known.joints)
    shape = known.shape if known.shape in SHAPES else seen.shape
    return _described(msgspec.structs.replace(seen, shape=shape, joints=joints or seen.joints), known)


def _described(category: Category, known: OntologyClass) -> Category:
    places = {joint.feature_hash: place for place, joint in enumerate(category.joints, start=1)}
    pairs = [(known.joints[start].feature_hash, known.joints[end].feature_hash) for start, end in known.edges]
    edges = tuple((places[start], places[end]) for start, end in pairs if start in places and end in places)
    return msgspec.structs.replace(
        category,
        name=known.name or category.name,
        color=known.color or category.color,
        skeleton=edges or category.skeleton,
    )


def _of_object(item: ObjectInstance) -> Category:
    joints = item.geometry.joints if isinstance(item.geometry, Skeleton) else ()
    return Category(
        id=0,
        feature_hash=item.feature_hash,
        name=item.name,
        shape=item.shape,
        joints=tuple(JointName(joint.feature_hash, joint.name) for joint in joints),
    )


def _unknown_joints(item: ObjectInstance, categories: Mapping[str, Category]) -> list[str]:
    if not isinstance(item.geometry, Skeleton):
        return []
    known = {joint.feature_hash for joint in categories[item.feature_hash].joints}
    return [joint.name for joint in item.geometry.joints if joint.feature_hash not in known]


def fitted(row: LabelRow, categories: Mapping[str, Category]) -> LabelRow:
    """The row with skeletons quarantined that hold a joint their category lacks: a category keeps its joints."""
    frames: list[Frame] = []
    unfit: list[Quarantined] = []
    for frame in row.frames:
        kept: list[ObjectInstance] = []
        for item in frame.objects:
            unknown = _unknown_joints(item, categories)
            if not unknown:
                kept.append(item)
                continue
            place = Location(row.label_hash, frame.data_hash, frame.number, item.object_hash, frame.space)
            text = f"skeleton has joints that its class did not have when it was first seen: {', '.join(unknown)}"
            unfit.append(Quarantined(place, (Finding("skeleton_joint_unknown", "error", place, text),)))
        frames.append(msgspec.structs.replace(frame, objects=tuple(kept)))
    if not unfit:
        return row
    return msgspec.structs.replace(row, frames=tuple(frames), quarantined=(*row.quarantined, *unfit))


def own_ids(row: LabelRow, ids: Mapping[str, int]) -> dict[str, int]:
    """What of `ids` (by image or annotation key) records of this row have in place of their plain ids."""
    if not ids:
        return {}
    found: dict[str, int] = {}
    for frame in row.frames:
        key = identity.image_key(frame.data_hash, frame.number, frame.space)
        image = ids.get(key) or identity.image_id(frame.data_hash, frame.identity)
        hashes = [item.object_hash for item in frame.objects]
        keys = [key, *(identity.annotation_key(row.label_hash, row.branch_name, held, image) for held in hashes)]
        found |= {key: ids[key] for key in keys if key in ids}
    return found


def fragment_name(
    fingerprint: str, categories: Mapping[str, Category], *, config_digest: str, ids: Mapping[str, int]
) -> str:
    """sha256 hex of all that a fragment was made from: row, mapping, converter, configuration and ids of its own."""
    mapping = [(key, categories[key].id, categories[key].joints) for key in sorted(categories)]
    made_from = msgspec.json.encode([fingerprint, mapping, config_digest, *([sorted(ids.items())] if ids else [])])
    return hashlib.sha256(made_from).hexdigest()
