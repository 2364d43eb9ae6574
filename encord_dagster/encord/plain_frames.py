"""The frames of plain rows in order, and the masks on them, many decoded at once."""

from collections.abc import Sequence
from operator import itemgetter

from msgspec import UNSET

from encord_dagster import codes_at_once, masks_at_once
from encord_dagster.encord import plain
from encord_dagster.encord.frames import UID
from encord_dagster.encord.instances import Place
from encord_dagster.encord.plain_heads import PlainUnit
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.scalars import FRAME_NUMBER
from encord_dagster.encord.units import LARGEST_SIDE
from encord_dagster.geometry import LARGEST_MASK, Bitmask

Row = plain.ImageRow | plain.FilmRow
Sheet = tuple[plain.Frame, PlainUnit, Place, str]  # the labels of a frame, its unit, place and identity


def masks_of(rows: Sequence[Row | None]) -> dict[int, Bitmask]:
    """The masks of all objects in all rows that cover their whole frames, by the id of their object."""
    found: dict[int, Bitmask] = {}
    waiting: list[plain.Object] = []
    for row in rows:
        for unit in row.data_units.values() if row else ():
            frames = (unit.labels,) if isinstance(unit, plain.Image) else unit.labels.values()
            for frame in frames:
                waiting += [one for one in frame.objects if one.bitmask is not UNSET]
                if len(waiting) >= masks_at_once.AT_ONCE:
                    found |= _decoded(waiting)
                    waiting = []
    return found | _decoded(waiting)


def _decoded(objects: Sequence[plain.Object]) -> dict[int, Bitmask]:
    given = [(one, one.bitmask) for one in objects if isinstance(one.bitmask, plain.Bitmask)]
    fit = [(one, mask) for one, mask in given if 0 < mask.width * mask.height <= LARGEST_MASK and mask.width > 0]
    if not fit:
        return {}
    runs = codes_at_once.decode_all([mask.code for _, mask in fit], [mask.width * mask.height for _, mask in fit])
    return {id(one): Bitmask(held) for (one, _), held in zip(fit, runs, strict=True) if held is not None}


def frames_of(one: PlainUnit, data_type: str) -> tuple[list[plain.Frame], list[int], list[int], list[int], list[str]]:
    """The frames of a video or series by number: labels, numbers, widths, heights and identities."""
    unit, last = one.unit, one.last_frame
    if not isinstance(unit, plain.Film) or not all(map(FRAME_NUMBER.fullmatch, unit.labels)):
        raise Odd
    frames = sorted(zip(map(int, unit.labels), unit.labels.values(), strict=True), key=itemgetter(0))
    numbers, labels = [number for number, _ in frames], [frame for _, frame in frames]
    if len(set(numbers)) < len(numbers) or (last is not None and numbers and numbers[-1] > last):
        raise Odd
    widths, heights, identities = [unit.width] * len(frames), [unit.height] * len(frames), list(map(str, numbers))
    if data_type == "dicom":
        for place, frame in enumerate(labels):
            if isinstance(frame.metadata, plain.Slice):
                widths[place], heights[place], identities[place] = _slice(frame.metadata, unit)
        if len(set(identities)) < len(identities):
            raise Odd
    return labels, numbers, widths, heights, identities


def sheets_of(one: PlainUnit, data_type: str) -> list[Sheet]:
    """The frames of a unit; an image is one."""
    unit = one.unit
    if isinstance(unit, plain.Image):
        return [(unit.labels, one, Place(unit.data_hash, one.number, unit.width, unit.height), str(one.number))]
    return [
        (labels, one, Place(unit.data_hash, number, width, height), identity)
        for labels, number, width, height, identity in zip(*frames_of(one, data_type), strict=True)
    ]


def empty_sheet(one: PlainUnit, number: int) -> Sheet:
    """A frame that has no labels of its own."""
    place = Place(one.unit.data_hash, number, one.unit.width, one.unit.height)
    return plain.Frame([], []), one, place, str(number)


def _slice(given: plain.Slice, of: plain.Film) -> tuple[int, int, str]:
    """Width, height and identity of a slice."""
    number, uid = given.multiframe_frame_number, given.dicom_instance_uid
    width = of.width if given.width is UNSET else given.width
    height = of.height if given.height is UNSET else given.height
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE) or len(uid) < 5 or not UID.fullmatch(uid):
        raise Odd
    if number is not None and abs(number) > 2**53:
        raise Odd
    return width, height, f"sop:{uid}#{'-' if number is None else number}"
