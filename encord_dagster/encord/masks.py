"""Bitmasks: a run-length code over the whole image, or over a part of it that is pasted at its offsets."""

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.bitmask import RunsError, decode_runs, paste_runs
from encord_dagster.encord.notes import BadObject
from encord_dagster.encord.pixels import Scale
from encord_dagster.encord.scalars import Raw, Scalar, integer, present
from encord_dagster.geometry import LARGEST_MASK, Bitmask

_FIX = "draw the mask again in Encord"


class _Mask(msgspec.Struct):
    code: Scalar = msgspec.field(name="rleString", default=None)
    top: Scalar = None
    left: Scalar = None
    width: Scalar = None
    height: Scalar = None


_MASK = msgspec.json.Decoder(_Mask)


def read_bitmask(raw: Raw, scale: Scale) -> Bitmask:
    """The runs of a mask over the whole image; `scale.pasted` tells whether offsets moved it."""
    mask = _MASK.decode(raw)
    width, height = integer(mask.width), integer(mask.height)
    left, top = _offset(mask.left), _offset(mask.top)
    if not isinstance(mask.code, str) or width is None or height is None or left is None or top is None:
        raise BadObject(codes.BAD_BITMASK, f"the bitmask has no code, size or offsets that can be read; {_FIX}")
    size, frame = (width, height), (scale.width, scale.height)
    whole = size == frame and (left, top) == (0, 0)
    inside = 0 <= left <= scale.width - width and 0 <= top <= scale.height - height
    if not whole and ((left, top) == (0, 0) or not inside):
        place = f"{width}x{height} at {left},{top} for an image of {scale.width}x{scale.height}"
        raise BadObject(codes.BAD_BITMASK, f"the bitmask is {place}: which pixels it means is not certain; {_FIX}")
    try:
        runs = decode_runs(mask.code, width, height)
        if scale.width * scale.height > LARGEST_MASK:
            raise RunsError(f"a mask of {scale.width}x{scale.height} is larger than {LARGEST_MASK} pixels")
    except RunsError as error:
        raise BadObject(codes.BAD_BITMASK, f"{error}; {_FIX}") from error
    if whole:
        return Bitmask(runs)
    scale.pasted = True
    return Bitmask(paste_runs(runs, width=width, at=(left, top), frame=frame))


def _offset(value: Scalar) -> int | None:
    return 0 if present(value) is None else integer(value)
