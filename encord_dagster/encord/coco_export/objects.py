"""Annotations of a COCO image become object instances: counted, deduplicated, named, checked."""

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.coco_export.answers import Asked, Remarks, read_answers
from encord_dagster.encord.coco_export.classes import CocoClass, stand_in
from encord_dagster.encord.coco_export.shapes import SHAPES, Drawn, read_geometry
from encord_dagster.encord.fingerprint import fingerprint
from encord_dagster.encord.instances import Place, read_confidence
from encord_dagster.encord.model import ObjectInstance
from encord_dagster.encord.notes import BadObject, Notes, problem, shown
from encord_dagster.encord.pixels import Scale
from encord_dagster.encord.scalars import (
    ABSENT,
    UNREADABLE,
    Raw,
    Scalar,
    flag,
    integer,
    is_hash,
    present,
    readable_hash,
)
from encord_dagster.findings import Location
from encord_dagster.geometry import Geometry

Classes = dict[int, CocoClass | None]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One annotation, unread. `doubt` says why its image or its identity is not certain."""

    position: int  # in the file
    raw: Raw
    doubt: str | None = None


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One frame with its annotations unread."""

    place: Place
    identity: str
    pieces: list[Piece]


class _Annotation(msgspec.Struct):
    category_id: Scalar = None
    bbox: Raw = ABSENT
    segmentation: Raw = ABSENT
    keypoints: Raw = ABSENT
    attributes: Raw = ABSENT


class _Attributes(msgspec.Struct):
    object_hash: Scalar = msgspec.field(name="encord_track_uuid", default=None)
    rotation: Scalar = None
    confidence: Scalar = None
    manual: Scalar = msgspec.field(name="manual_annotation", default=None)
    classifications: Raw = ABSENT


class _Entry(msgspec.Struct, frozen=True):
    """A readable annotation; `object_hash` is that of the file, or made from its content."""

    piece: Piece
    drawn: Drawn
    attributes: _Attributes
    one: CocoClass | None
    object_hash: Scalar


_ANNOTATION = msgspec.json.Decoder(_Annotation)
_ATTRIBUTES = msgspec.json.Decoder(_Attributes | None)


def read_annotations(sheet: Sheet, classes: Classes, remarks: Remarks) -> tuple[ObjectInstance, ...]:
    """The objects of one frame; those that cannot be converted go to the notes."""
    remarks.notes.objects_in += len(sheet.pieces)
    found = [entry for piece in sheet.pieces if (entry := _entry(piece, sheet, classes, remarks)) is not None]
    last = {entry.object_hash: index for index, entry in enumerate(found)}
    instances = []
    for index, entry in enumerate(found):
        where = _where(entry, sheet, remarks.notes)
        if is_hash(entry.object_hash) and last[entry.object_hash] != index:
            message = "the object is twice on this frame; the last one was kept"
            remarks.notes.add(codes.DUPLICATE_OBJECT, message, where)
            _exclude("duplicate", entry.one, where, remarks.notes)
            continue
        instance = _instance(entry, sheet, where, remarks)
        if instance is not None:
            instances.append(instance)
    return tuple(instances)


def quarantine_doubtful(pieces: list[Piece], data_hash: str, notes: Notes) -> None:
    """Count annotations that may lie on this asset or on another one."""
    notes.objects_in += len(pieces)
    for piece in pieces:
        message = f"annotation {piece.position} of the file: {piece.doubt}; export again"
        notes.quarantine(BadObject(codes.COCO_DUPLICATE_ID, message), notes.at(data_hash))


def _entry(piece: Piece, sheet: Sheet, classes: Classes, remarks: Remarks) -> _Entry | None:
    """The annotation opened; None where that is not possible, or where it is not certain to be one of its own."""
    try:
        annotation = _ANNOTATION.decode(piece.raw)
        attributes = _ATTRIBUTES.decode(annotation.attributes) or _Attributes()
        return _opened(piece, annotation, attributes, sheet, classes, remarks)
    except UNREADABLE as error:
        message = f"annotation {piece.position} of the file cannot be read ({problem(error)}); export again"
        bad = BadObject(codes.OBJECT_UNREADABLE, message)
    except BadObject as raised:
        bad = raised
    remarks.notes.quarantine(bad, remarks.notes.at(sheet.place.unit, sheet.place.frame))
    return None


def _opened(
    piece: Piece,
    annotation: _Annotation,
    attributes: _Attributes,
    sheet: Sheet,
    classes: Classes,
    remarks: Remarks,
) -> _Entry:
    if piece.doubt is not None:
        message = f"annotation {piece.position} of the file: {piece.doubt}; export again"
        raise BadObject(codes.COCO_DUPLICATE_ID, message)
    key = integer(annotation.category_id)
    one = classes.get(key) if key is not None else None
    object_hash = present(attributes.object_hash)
    if object_hash is None:
        remarks.once(codes.COCO_OBJECT_UNNAMED, "objects have no encord_track_uuid; they were named by their content")
        object_hash = _made_hash(annotation, one, sheet)
    drawn = Drawn(
        bbox=annotation.bbox,
        segmentation=annotation.segmentation,
        keypoints=annotation.keypoints,
        rotation=attributes.rotation,
    )
    return _Entry(piece, drawn, attributes, one, object_hash)


def _made_hash(annotation: _Annotation, one: CocoClass | None, sheet: Sheet) -> str:
    """The same object of the same image has the same name in every export, whatever its ids."""
    shape = fingerprint(msgspec.json.encode([annotation.bbox, annotation.segmentation, annotation.keypoints]))
    named = (one.shape, one.name) if one else ("", "")
    return stand_in("object", sheet.place.unit, sheet.identity, *named, shape)


def _instance(entry: _Entry, sheet: Sheet, where: Location, remarks: Remarks) -> ObjectInstance | None:
    """The instance, None where it was excluded or quarantined."""
    notes = remarks.notes
    if entry.one and entry.one.shape not in SHAPES:
        _exclude("unsupported_shape", entry.one, where, notes)
        return None
    try:
        return _convert(entry, sheet, where, remarks)
    except BadObject as bad:
        notes.quarantine(bad, where)
    except UNREADABLE as error:
        message = f"the geometry cannot be read ({problem(error)}); draw the object again in Encord"
        notes.quarantine(BadObject(codes.BAD_GEOMETRY, message), where)
    return None


def _convert(entry: _Entry, sheet: Sheet, where: Location, remarks: Remarks) -> ObjectInstance:
    one, place, notes = entry.one, sheet.place, remarks.notes
    if not isinstance(entry.object_hash, str) or not is_hash(entry.object_hash):
        message = f"encord_track_uuid {shown(entry.object_hash)} is no hash; draw the object again in Encord"
        raise BadObject(codes.BAD_HASH, message)
    if one is None:
        message = f"annotation {entry.piece.position} of the file has a category that is not one of the file's"
        raise BadObject(codes.COCO_UNKNOWN_CATEGORY, f"{message}; export again")
    if place.width is None or place.height is None:
        message = "width or height of the image is not in the export, so its objects cannot be checked; export it anew"
        raise BadObject(codes.NO_FRAME_SIZE, message)
    geometry = _geometry(entry, one, Scale(place.width, place.height), where, notes)
    _remark_class(one, remarks)
    asked = Asked(one=one, where=where)
    manual = flag(entry.attributes.manual)
    return ObjectInstance(
        object_hash=entry.object_hash,
        feature_hash=one.feature_hash,
        name=notes.clean(one.name, "the class name", where),
        shape=one.shape,
        geometry=geometry,
        confidence=read_confidence(entry.attributes.confidence, where, notes),
        manual=True if manual is None else manual,
        attributes=read_answers(entry.attributes.classifications, asked, remarks),
    )


def _geometry(entry: _Entry, one: CocoClass, scale: Scale, where: Location, notes: Notes) -> Geometry:
    geometry = read_geometry(entry.drawn, one, scale)
    if scale.clipped:
        message = f"the object reached {scale.clipped:.4f} of the image beyond its edge and was clipped"
        notes.add(codes.COORDINATE_CLIPPED, message, where)
    return geometry


def _remark_class(one: CocoClass, remarks: Remarks) -> None:
    if one.ambiguous:
        message = "the ontology has two classes of one name and shape; rename one of them in Encord"
        remarks.once(codes.COCO_CLASS_AMBIGUOUS, message)
    elif one.inferred:
        message = "classes have no feature hash in COCO; they were told apart by shape and name: give their ontology"
        remarks.once(codes.COCO_CLASS_INFERRED, message)


def _where(entry: _Entry, sheet: Sheet, notes: Notes) -> Location:
    return notes.at(sheet.place.unit, sheet.place.frame, readable_hash(entry.object_hash))


def _exclude(reason: str, one: CocoClass | None, where: Location, notes: Notes) -> None:
    shape = notes.clean(one.shape, "a shape", where) if one else None
    notes.exclude(reason, where, feature_hash=one.feature_hash if one else None, shape=shape)
