"""The inside of a label row: its frames with objects and classifications, and whatever is not converted, counted."""

from collections.abc import Iterable, Iterator

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.answers import Range
from encord_dagster.encord.classifications import ClassificationAnswers
from encord_dagster.encord.frames import Sheet, empty_sheet, objects_in, sheets_of
from encord_dagster.encord.head import Head
from encord_dagster.encord.instances import UNSUPPORTED_SHAPES, exclude_objects, read_objects
from encord_dagster.encord.model import Classification, Frame
from encord_dagster.encord.notes import Notes, row_error
from encord_dagster.encord.object_answers import ObjectAnswers
from encord_dagster.encord.scalars import Raw, readable_hash, text
from encord_dagster.encord.spaces import read_spaces, space_unit
from encord_dagster.encord.units import IMAGE_TYPES, Unit
from encord_dagster.errors import RowError

# Publishing a row that reaches both of these takes 0.9 GiB.
MOST_RANGED = 400_000  # frames that the ranges of a row's classifications may name together
MOST_MADE = 120_000  # of these, frames that no labels name


class Contents(msgspec.Struct, frozen=True):
    """Frames in order of unit and number, and the classifications of the whole asset."""

    frames: tuple[Frame, ...]
    classifications: tuple[Classification, ...]


class _Part(msgspec.Struct, frozen=True):
    """Frames that share one count: all of a row, or those of one space of a group, `space` as the export names it.

    Where it is open, ranges of classifications can name frames that the labels do not.
    """

    units: tuple[Unit, ...]
    space: str | None
    open_ended: bool
    sheets: list[Sheet]
    listed: list[tuple[Classification, ...]]


def read_contents(head: Head, units: tuple[Unit, ...], data_type: str, notes: Notes) -> Contents:
    """The contents of a row; what is not converted goes to `notes`. RowError where a part cannot be opened."""
    answers = ObjectAnswers(head.object_answers, head.object_actions, notes)
    classifications = ClassificationAnswers(head.classification_answers, notes)
    spaces = read_spaces(head.spaces)
    seen: set[str] = set()
    reason = "deleted" if data_type == "deleted" else "unsupported_modality"
    group = units[0].data_hash if units else None
    parts: list[_Part] = []
    if data_type in IMAGE_TYPES:
        parts.append(_part(units, data_type, classifications, notes))
    else:
        for unit in units:
            _exclude(unit.labels, reason, unit.data_hash, notes, seen)
    for space in spaces:
        notes.space = space.name
        if data_type == "group" and group is not None and space.has_pixels:
            unit = space_unit(space, group, notes)
            parts.append(_part((unit,), space.kind, classifications, notes, space=space.key))
        else:
            _exclude(space.labels, reason, group, notes, seen)
    notes.space = None
    frames = _frames(parts, answers, classifications, notes, seen)
    _exclude_ranged(answers, reason, data_type, notes, seen)
    if data_type == "deleted":
        return Contents(frames, ())
    whole = data_type in IMAGE_TYPES or (data_type == "group" and len(parts) == len(spaces))
    return Contents(frames, classifications.of_the_whole(on_frames=whole))


def _part(
    units: tuple[Unit, ...],
    kind: str,
    classifications: ClassificationAnswers,
    notes: Notes,
    *,
    space: str | None = None,
) -> _Part:
    sheets = [sheet for unit in units for sheet in sheets_of(unit, kind, notes)]
    listed = [classifications.on_frame(sheet.classifications, sheet.place) for sheet in sheets]
    return _Part(units, space, kind not in ("image", "img_group"), sheets, listed)


def _frames(
    parts: list[_Part],
    answers: ObjectAnswers,
    classifications: ClassificationAnswers,
    notes: Notes,
    seen: set[str],
) -> tuple[Frame, ...]:
    frames = []
    for part, ranged in _placed(parts, classifications, notes):
        held = answers if part.space is None else answers.within(part.space)
        for sheet, found in _with_ranged(part, ranged, classifications):
            frames.append(
                Frame(
                    data_hash=sheet.unit.data_hash,
                    number=sheet.number,
                    identity=sheet.identity,
                    mime_type=sheet.unit.mime_type,
                    width=sheet.width,
                    height=sheet.height,
                    objects=read_objects(sheet.objects, sheet.place, held, notes, seen),
                    classifications=found,
                    space=sheet.unit.space,
                    title=sheet.unit.title,
                    link=sheet.link,
                )
            )
    notes.space = None
    return tuple(frames)


def _placed(
    parts: list[_Part], classifications: ClassificationAnswers, notes: Notes
) -> Iterator[tuple[_Part, dict[int, list[Classification]]]]:
    """Each part with the classifications that ranges place in it, by frame number.

    An image group has only the frames of its images.
    """
    room, frames = MOST_RANGED, MOST_MADE
    for part in parts:
        notes.space = part.units[0].space  # also of what is found in its frames
        named = {sheet.number for sheet in part.sheets}
        ranged: dict[int, list[Classification]] = {}
        for classification, ranges in classifications.ranged(part.space):
            for first, last in _inside(classification, ranges, part, notes):
                room -= last - first + 1
                if room < 0:
                    raise _too_many(f"{MOST_RANGED} frames")
                for number in range(first, last + 1):
                    if part.open_ended or number in named:
                        ranged.setdefault(number, []).append(classification)
        frames -= len(ranged.keys() - named)
        if frames < 0:
            raise _too_many(f"{MOST_MADE} frames that have no labels")
        yield part, ranged


def _too_many(frames: str) -> RowError:
    message = f"the ranges of the row's classifications name more than {frames}; correct them in Encord"
    return row_error(codes.TOO_MANY_FRAMES, message)


def _inside(classification: Classification, ranges: tuple[Range, ...], part: _Part, notes: Notes) -> Iterator[Range]:
    """The ranges of a classification as far as they lie within the frames of a part."""
    last_frame = part.units[0].last_frame if part.open_ended else max(sheet.number for sheet in part.sheets)
    for first, last in ranges:
        if last_frame is not None and last > last_frame:
            where = notes.at(object=classification.classification_hash)
            message = f"a range of the classification ends at {last}, the data at frame {last_frame}"
            notes.add(codes.RANGE_OUTSIDE, message, where)
        yield first, max(first - 1, last if last_frame is None else min(last, last_frame))


def _with_ranged(
    part: _Part, ranged: dict[int, list[Classification]], classifications: ClassificationAnswers
) -> list[tuple[Sheet, tuple[Classification, ...]]]:
    """Each frame with the classifications it lists and those that hold there; ranges can add frames."""
    frames = list(zip(part.sheets, part.listed, strict=True))
    named = {sheet.number for sheet in part.sheets}
    frames += [(empty_sheet(part.units[0], number), ()) for number in ranged.keys() - named]
    order = {unit.data_hash: index for index, unit in enumerate(part.units)}
    frames.sort(key=lambda frame: (order[frame[0].unit.data_hash], frame[0].number))
    everywhere = classifications.of_space(part.space) if part.space is not None and frames else ()
    return [(sheet, united(own, (*ranged.get(sheet.number, ()), *everywhere))) for sheet, own in frames]


def united(own: tuple[Classification, ...], more: Iterable[Classification]) -> tuple[Classification, ...]:
    """The classifications that a frame lists, and others that hold there."""
    hashes = {classification.classification_hash for classification in own}
    unique = {one.classification_hash: one for one in more}
    return own + tuple(one for key, one in unique.items() if key not in hashes)


def _exclude(labels: Raw, reason: str, unit: str | None, notes: Notes, seen: set[str]) -> None:
    for number, children in objects_in(labels):
        exclude_objects(children, reason, notes.at(unit, number), notes, seen)


def _exclude_ranged(answers: ObjectAnswers, reason: str, data_type: str, notes: Notes, seen: set[str]) -> None:
    """Count the objects that lie in `object_answers` alone, and tell of answers that have no object at all."""
    orphans = 0
    for key, entry in answers.elsewhere(seen):
        shape = text(entry.shape)
        if shape is None or (data_type in IMAGE_TYPES and shape not in UNSUPPORTED_SHAPES):
            orphans += 1
            continue
        notes.objects_in += 1
        where = notes.at(object=readable_hash(key))
        shape = notes.clean(shape, "a shape", where)
        notes.exclude(reason, where, feature_hash=readable_hash(entry.feature_hash), shape=shape)
    if orphans:
        those = "1 entry of object_answers belongs" if orphans == 1 else f"{orphans} entries of object_answers belong"
        notes.add(codes.ORPHAN_ANSWER, f"{those} to no object of the row")
