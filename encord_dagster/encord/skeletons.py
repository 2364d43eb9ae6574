"""Skeletons: named joints in the order of their index, each with its visibility."""

from collections.abc import Callable

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.children import entries
from encord_dagster.encord.notes import BadObject
from encord_dagster.encord.pixels import Scale, to_pixels
from encord_dagster.encord.scalars import Raw, Scalar, flag, is_hash, text
from encord_dagster.geometry import Joint, Skeleton, Visibility


class _Joint(msgspec.Struct, rename="camel"):
    x: Scalar = None
    y: Scalar = None
    name: Scalar = None
    feature_hash: Scalar = None
    invisible: Scalar = None
    occluded: Scalar = None
    self_occluded: Scalar = None
    visibility: Scalar = None


_WORDS: dict[str | None, Visibility] = {
    "invisible": "invisible",
    "occluded": "occluded",
    "selfOccluded": "self_occluded",
}
_JOINT = msgspec.json.Decoder(_Joint)


def read_skeleton(raw: Raw, scale: Scale, clean: Callable[[Scalar], str]) -> Skeleton:
    """The joints in pixels; `clean` makes a joint's name fit to leave the reader."""
    joints = tuple(_joint(child, scale, clean) for child in entries(raw))
    if not joints:
        raise BadObject(codes.NO_GEOMETRY, "the skeleton has no joints; draw it again in Encord")
    return Skeleton(joints)


def _joint(raw: Raw, scale: Scale, clean: Callable[[Scalar], str]) -> Joint:
    joint = _JOINT.decode(raw)
    if not isinstance(joint.feature_hash, str) or not is_hash(joint.feature_hash):
        raise BadObject(codes.BAD_HASH, "a joint of the skeleton has no readable featureHash")
    x, y = to_pixels(joint.x, joint.y, scale, "a joint of the skeleton")
    return Joint(joint.feature_hash, clean(joint.name), x, y, _visibility(joint))


def _visibility(joint: _Joint) -> Visibility:
    """What a flag says, else the word that the SDK writes."""
    if flag(joint.invisible):
        return "invisible"
    if flag(joint.occluded):
        return "occluded"
    return "self_occluded" if flag(joint.self_occluded) else _WORDS.get(text(joint.visibility), "visible")
