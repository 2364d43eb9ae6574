"""Object entries of a frame become object instances: counted, deduplicated, scaled, answered."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.authors import Signed, read_authors
from encord_dagster.encord.ellipses import read_circle, read_ellipse
from encord_dagster.encord.masks import read_bitmask
from encord_dagster.encord.model import Attribute, ObjectInstance
from encord_dagster.encord.notes import BadObject, Notes, problem, quote, shown
from encord_dagster.encord.object_answers import ObjectAnswers
from encord_dagster.encord.pixels import (
    Scale,
    read_box,
    read_point,
    read_polygon,
    read_polyline,
    read_rotated_box,
)
from encord_dagster.encord.scalars import (
    ABSENT,
    UNREADABLE,
    Raw,
    Scalar,
    flag,
    is_hash,
    number,
    present,
    readable_hash,
    text,
)
from encord_dagster.encord.skeletons import read_skeleton
from encord_dagster.findings import Location
from encord_dagster.geometry import Geometry

UNSUPPORTED_SHAPES = frozenset({"audio", "cuboid", "cuboid_2d", "segmentation", "text", "time_range"})
_WIRE_NAMES = {
    "object_hash": "objectHash",
    "feature_hash": "featureHash",
    "manual": "manualAnnotation",
    "manual_2020": "manual_annotation",
    "deleted": "isDeleted",
    "box": "boundingBox",
    "box_2020": "bounding_box",
    "rotated_box": "rotatableBoundingBox",
    "rotated_box_2020": "rotatable_bounding_box",
    "rotated_box_short": "rot_bounding_box",
}


class Entry(Signed, rename=_WIRE_NAMES):
    """One object on one frame as exports write it; its geometry is not read yet."""

    object_hash: Scalar = None
    feature_hash: Scalar = None
    name: Scalar = None
    value: Scalar = None
    shape: Scalar = None
    confidence: Scalar = None
    manual: Scalar = None
    manual_2020: Scalar = None
    deleted: Scalar = None
    box: Raw = ABSENT
    box_2020: Raw = ABSENT
    rotated_box: Raw = ABSENT
    rotated_box_2020: Raw = ABSENT
    rotated_box_short: Raw = ABSENT
    polygon: Raw = ABSENT
    polygons: Raw = ABSENT
    polyline: Raw = ABSENT
    point: Raw = ABSENT
    skeleton: Raw = ABSENT
    bitmask: Raw = ABSENT
    circle: Raw = ABSENT
    ellipse: Raw = ABSENT


class Answered(Protocol):
    """The attributes of objects."""

    def at(self, object_hash: str, frame: int) -> tuple[Attribute, ...]:
        """Those of an object at a frame."""


class Place(msgspec.Struct, frozen=True):
    """The frame that objects lie on; sizes in pixels."""

    unit: str
    frame: int
    width: int | None
    height: int | None


_ENTRY = msgspec.json.Decoder(Entry)
_EMPTY = frozenset({b"null", b"[]", b"{}"})
_FIELDS: dict[str, tuple[str, ...]] = {
    "bounding_box": ("box", "box_2020"),
    "rotatable_bounding_box": ("rotated_box", "rotated_box_2020", "rotated_box_short"),
    "polygon": ("polygons", "polygon"),
    "polyline": ("polyline",),
    "point": ("point",),
    "skeleton": ("skeleton",),
    "bitmask": ("bitmask",),
    "circle": ("circle",),
    "ellipse": ("ellipse",),
}
_READERS: dict[str, Callable[[Raw, Scale], Geometry]] = {
    "bounding_box": read_box,
    "rotatable_bounding_box": read_rotated_box,
    "polyline": read_polyline,
    "point": read_point,
    "bitmask": read_bitmask,
    "circle": read_circle,
    "ellipse": read_ellipse,
}


def read_objects(
    children: list[Raw], place: Place, answers: ObjectAnswers, notes: Notes, seen: set[str]
) -> tuple[ObjectInstance, ...]:
    """The objects of one frame; those that cannot be converted go to `notes`, all hashes to `seen`."""
    notes.objects_in += len(children)
    frame = notes.at(place.unit, place.frame)
    found = [entry for entry in (_entry(child, frame, notes, seen) for child in children) if entry is not None]
    last = {entry.object_hash: index for index, entry in enumerate(found)}
    instances = []
    for index, entry in enumerate(found):
        where = notes.at(place.unit, place.frame, readable_hash(entry.object_hash))
        if is_hash(entry.object_hash) and last[entry.object_hash] != index:
            notes.add(codes.DUPLICATE_OBJECT, "the object is twice on this frame; the last one was kept", where)
            _exclude("duplicate", entry, where, notes)
            continue
        instance = _instance(entry, place, where, answers, notes)
        if instance is not None:
            instances.append(instance)
    return tuple(instances)


def read_again(raw: Raw, place: Place, answers: Answered, notes: Notes) -> ObjectInstance | None:
    """One object of a frame, which is there once and not deleted, but else may be anything."""
    entry = _entry(raw, notes.at(place.unit, place.frame), notes, set())
    if entry is None:
        return None
    return _instance(entry, place, notes.at(place.unit, place.frame, readable_hash(entry.object_hash)), answers, notes)


def exclude_objects(children: list[Raw], reason: str, where: Location, notes: Notes, seen: set[str]) -> None:
    """Count objects that are left out as a whole, as of a deleted asset or a modality without pixels."""
    notes.objects_in += len(children)
    for entry in filter(None, (_entry(child, where, notes, seen) for child in children)):
        _exclude(reason, entry, notes.at(where.unit, where.frame, readable_hash(entry.object_hash)), notes)


def _entry(raw: Raw, where: Location, notes: Notes, seen: set[str]) -> Entry | None:
    """The entry, None where it is unreadable or deleted."""
    try:
        entry = _ENTRY.decode(raw)
    except UNREADABLE as error:
        message = f"the object entry cannot be read ({problem(error)}); draw the object again in Encord"
        notes.quarantine(BadObject(codes.OBJECT_UNREADABLE, message), where)
        return None
    if isinstance(entry.object_hash, str):
        seen.add(entry.object_hash)
    if not flag(entry.deleted):
        return entry
    _exclude("deleted", entry, notes.at(where.unit, where.frame, readable_hash(entry.object_hash)), notes)
    return None


def _instance(entry: Entry, place: Place, where: Location, answers: Answered, notes: Notes) -> ObjectInstance | None:
    """The instance, None where it was excluded or quarantined."""
    stated = (text(entry.shape) or "").strip().lower()
    shape = _shape(entry, stated)
    if shape is None and (stated in UNSUPPORTED_SHAPES or (stated and stated not in _FIELDS)):
        _exclude("unsupported_shape", entry, where, notes)
        return None
    try:
        return _convert(entry, shape, place, where, answers, notes)
    except BadObject as bad:
        notes.quarantine(bad, where)
    except UNREADABLE as error:
        message = f"the geometry cannot be read ({problem(error)}); draw the object again in Encord"
        notes.quarantine(BadObject(codes.BAD_GEOMETRY, message), where)
    return None


def _convert(
    entry: Entry, shape: str | None, place: Place, where: Location, answers: Answered, notes: Notes
) -> ObjectInstance:
    for name, value in (("objectHash", entry.object_hash), ("featureHash", entry.feature_hash)):
        if not is_hash(value):
            raise BadObject(codes.BAD_HASH, f"the object's {name} {shown(value)} is no hash; draw it again in Encord")
    if shape is None:
        raise BadObject(codes.NO_GEOMETRY, "the object has no geometry that can be read; draw it again in Encord")
    if place.width is None or place.height is None:
        message = "width or height of the image is not in the export, so fractions cannot become pixels; export it anew"
        raise BadObject(codes.NO_FRAME_SIZE, message)
    if shape != text(entry.shape):
        notes.add(codes.SHAPE_GUESSED, f"the shape is stated as {quote(entry.shape)}; taken as {shape}", where)
    object_hash = str(entry.object_hash)
    return ObjectInstance(
        object_hash=object_hash,
        feature_hash=str(entry.feature_hash),
        name=notes.clean(entry.name or entry.value, "the class name", where),
        shape=shape,
        geometry=_geometry(entry, shape, Scale(place.width, place.height), where, notes),
        confidence=read_confidence(entry.confidence, where, notes),
        manual=_manual(entry),
        attributes=answers.at(object_hash, place.frame),
        **read_authors(entry, notes),
    )


def _shape(entry: Entry, stated: str) -> str | None:
    """The shape whose geometry the entry holds: the stated one, else the only one; None where none is certain."""
    if stated in _FIELDS and _raw(entry, stated) is not None:
        return stated
    if stated in UNSUPPORTED_SHAPES:
        return None
    held = [shape for shape in _FIELDS if _raw(entry, shape) is not None]
    return held[0] if len(held) == 1 else None


def _raw(entry: Entry, shape: str) -> Raw | None:
    """The geometry of a shape under any of its names, None where it is absent or empty."""
    for field in _FIELDS[shape]:
        raw: Raw = getattr(entry, field)
        if raw is not ABSENT and bytes(memoryview(raw)[:4]) not in _EMPTY:
            return raw
    return None


def _geometry(entry: Entry, shape: str, scale: Scale, where: Location, notes: Notes) -> Geometry:
    if shape == "polygon":
        geometry: Geometry = read_polygon(entry.polygon, entry.polygons, scale)
    elif shape == "skeleton":
        geometry = read_skeleton(entry.skeleton, scale, lambda name: notes.clean(name, "a joint's name", where))
    else:
        geometry = _READERS[shape](_raw(entry, shape) or ABSENT, scale)
    if scale.clipped:
        message = f"the object reached {scale.clipped:.4f} of the image beyond its edge and was clipped"
        notes.add(codes.COORDINATE_CLIPPED, message, where)
    if scale.differs:
        notes.add(codes.POLYGON_DIFFERS, "`polygon` is not the first outline of `polygons`, which was taken", where)
    if scale.pasted:
        notes.add(codes.MASK_PASTED, "the bitmask covers a part of the image and was pasted at its offsets", where)
    return geometry


def _manual(entry: Entry) -> bool:
    stated = flag(entry.manual) if present(entry.manual) is not None else flag(entry.manual_2020)
    return True if stated is None else stated


def read_confidence(value: Scalar, where: Location, notes: Notes) -> float:
    """A confidence from 0 to 1; absent means 1."""
    if present(value) is None:
        return 1.0
    confidence = number(value)
    if confidence is None or not 0.0 <= confidence <= 1.0:
        notes.add(codes.BAD_CONFIDENCE, f"the confidence {shown(value)} is no number from 0 to 1; 1 was taken", where)
        return 1.0
    return confidence


def _exclude(reason: str, entry: Entry, where: Location, notes: Notes) -> None:
    shape = notes.clean(text(entry.shape), "a shape", where) or None
    notes.exclude(reason, where, feature_hash=readable_hash(entry.feature_hash), shape=shape)
