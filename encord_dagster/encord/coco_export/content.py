"""One digest for the labels of an asset: it stays while they stay, though every id of the file moves."""

import msgspec

from encord_dagster.encord.coco_export.answers import attribute_of
from encord_dagster.encord.coco_export.assets import Asset
from encord_dagster.encord.coco_export.classes import CocoClass
from encord_dagster.encord.coco_export.objects import Classes, Piece
from encord_dagster.encord.fingerprint import fingerprint
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, integer

_COUNTERS = frozenset({"id", "image_id", "category_id", "attributes"})  # places in one file; attributes are apart
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_SCALAR = msgspec.json.Decoder(Scalar)


def fingerprint_of(asset: Asset, classes: Classes) -> str:
    """sha256 hex of all that a row is made from: frames, annotations and the classes that they turned out to be."""
    meanings = {key: one.meaning for key, one in classes.items() if one}
    frames = []
    for number, image in asset.by_number():
        pieces = [_annotation(piece, classes, meanings) for piece in asset.pieces[image.identity]]
        frames.append([image.identity, number, image.width, image.height, image.mime_type, pieces])
    again = [[key, *((image.width, image.height) for image in images)] for key, images in asset.again.items()]
    doubtful = [_annotation(piece, classes, meanings) for piece in asset.doubtful]
    content = [asset.data_hash, asset.data_type, frames, sorted(again, key=lambda each: str(each[0])), doubtful]
    return fingerprint(msgspec.json.encode(content))


def _annotation(piece: Piece, classes: Classes, meanings: dict[int, str]) -> object:
    """An annotation without what counts within its file, and with the meaning of its category."""
    try:
        members = _OBJECT.decode(piece.raw)
        category = integer(_SCALAR.decode(members.get("category_id", ABSENT)))
    except UNREADABLE:
        return piece.raw
    own = {key: child for key, child in members.items() if key not in _COUNTERS}
    one = classes.get(category) if category is not None else None
    meaning = meanings.get(category) if category is not None else None
    return [meaning, own, _attributes(members.get("attributes", ABSENT), one), piece.doubt]


def _attributes(raw: Raw, one: CocoClass | None) -> object:
    """Attributes without the track's number; answers as pairs, since their names can be any words."""
    try:
        members = _OBJECT.decode(raw)
        answers = _OBJECT.decode(members.pop("classifications", Raw(b"{}")))
    except UNREADABLE:
        return raw
    given = [[name, child] for name, child in answers.items() if _counts(name, child, one)]
    return [{key: child for key, child in members.items() if key != "track_id"}, given]


def _counts(name: str, raw: Raw, one: CocoClass | None) -> bool:
    """Whether an answer is one: not null or false, and not dynamic, since the image's id decides on those."""
    given = bytes(memoryview(raw)[:6])
    if given in (b"null", b"false"):
        return False
    known = attribute_of(name, one, ticked=given == b"true") if one else None
    return known is None or not known.dynamic
