"""The inside of a label row: its frames with objects and classifications, and whatever is not converted, counted."""

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.classifications import ClassificationAnswers
from encord_dagster.encord.frames import Sheet, empty_sheet, objects_in, sheets_of
from encord_dagster.encord.head import Head
from encord_dagster.encord.instances import UNSUPPORTED_SHAPES, exclude_objects, read_objects
from encord_dagster.encord.model import Classification, Frame
from encord_dagster.encord.notes import Notes, problem, row_error
from encord_dagster.encord.object_answers import ObjectAnswers, read_members
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, readable_hash, text
from encord_dagster.encord.units import IMAGE_TYPES, Unit

MOST_RANGED = 1_000_000  # frames that the ranges of a row's classifications may name together


class Contents(msgspec.Struct, frozen=True):
    """Frames in order of unit and number, and the classifications of the whole asset."""

    frames: tuple[Frame, ...]
    classifications: tuple[Classification, ...]


class _Space(msgspec.Struct):
    labels: Raw = ABSENT


_SPACE = msgspec.json.Decoder(_Space)


def read_contents(head: Head, units: tuple[Unit, ...], data_type: str, notes: Notes) -> Contents:
    """The contents of a row; what is not converted goes to `notes`. RowError where a part cannot be opened."""
    answers = ObjectAnswers(head.object_answers, head.object_actions, notes)
    classifications = ClassificationAnswers(head.classification_answers, notes)
    seen: set[str] = set()
    frames: tuple[Frame, ...] = ()
    reason = "deleted" if data_type == "deleted" else "unsupported_modality"
    if data_type in IMAGE_TYPES:
        frames = _frames(units, data_type, answers, classifications, notes, seen)
    else:
        for unit in units:
            _exclude(unit.labels, reason, unit.data_hash, notes, seen)
    for space in read_members(head.spaces, "spaces").values():
        _exclude(_space_labels(space), reason, units[0].data_hash if units else None, notes, seen)
    _exclude_ranged(answers, reason, data_type, notes, seen)
    if data_type == "deleted":
        return Contents(frames, ())
    return Contents(frames, classifications.of_the_whole(on_frames=data_type in IMAGE_TYPES))


def _frames(
    units: tuple[Unit, ...],
    data_type: str,
    answers: ObjectAnswers,
    classifications: ClassificationAnswers,
    notes: Notes,
    seen: set[str],
) -> tuple[Frame, ...]:
    sheets = [sheet for unit in units for sheet in sheets_of(unit, data_type, notes)]
    listed = [classifications.on_frame(sheet.classifications, sheet.place) for sheet in sheets]
    ranged = _by_frame(classifications, units, sheets, notes, open_ended=data_type not in ("image", "img_group"))
    frames = []
    for sheet, found in _with_ranged(sheets, listed, ranged, units):
        frames.append(
            Frame(
                data_hash=sheet.unit.data_hash,
                number=sheet.number,
                identity=sheet.identity,
                mime_type=sheet.unit.mime_type,
                width=sheet.width,
                height=sheet.height,
                objects=read_objects(sheet.objects, sheet.place, answers, notes, seen),
                classifications=found,
            )
        )
    return tuple(frames)


def _by_frame(
    classifications: ClassificationAnswers,
    units: tuple[Unit, ...],
    sheets: list[Sheet],
    notes: Notes,
    *,
    open_ended: bool,
) -> dict[int, list[Classification]]:
    """The classifications that ranges place, by frame number. An image group has only the frames of its images."""
    named = {sheet.number for sheet in sheets}
    last_frame = units[0].last_frame if open_ended else max(named)
    ranged: dict[int, list[Classification]] = {}
    total = 0
    for classification, ranges in classifications.ranged():
        for first, last in ranges:
            if last_frame is not None and last > last_frame:
                where = notes.at(object=classification.classification_hash)
                message = f"a range of the classification ends at {last}, the data at frame {last_frame}"
                notes.add(codes.RANGE_OUTSIDE, message, where)
                last = last_frame
            total += max(0, last - first + 1)
            if total > MOST_RANGED:
                message = f"the ranges of the row's classifications name more than {MOST_RANGED} frames"
                raise row_error(codes.TOO_MANY_FRAMES, message)
            for number in range(first, last + 1):
                if open_ended or number in named:
                    ranged.setdefault(number, []).append(classification)
    return ranged


def _with_ranged(
    sheets: list[Sheet],
    listed: list[tuple[Classification, ...]],
    ranged: dict[int, list[Classification]],
    units: tuple[Unit, ...],
) -> list[tuple[Sheet, tuple[Classification, ...]]]:
    """Each frame with the classifications it lists and those whose range holds it; the latter can add frames."""
    frames = []
    for sheet, own in zip(sheets, listed, strict=True):
        hashes = {classification.classification_hash for classification in own}
        more = {one.classification_hash: one for one in ranged.get(sheet.number, ())}
        frames.append((sheet, own + tuple(one for key, one in more.items() if key not in hashes)))
    named = {sheet.number for sheet in sheets}
    for number in sorted(ranged.keys() - named):
        unique = {one.classification_hash: one for one in ranged[number]}
        frames.append((empty_sheet(units[0], number), tuple(unique.values())))
    order = {unit.data_hash: index for index, unit in enumerate(units)}
    return sorted(frames, key=lambda frame: (order[frame[0].unit.data_hash], frame[0].number))


def _exclude(labels: Raw, reason: str, unit: str | None, notes: Notes, seen: set[str]) -> None:
    for number, children in objects_in(labels):
        exclude_objects(children, reason, notes.at(unit, number), notes, seen)


def _space_labels(raw: Raw) -> Raw:
    try:
        return _SPACE.decode(raw).labels
    except UNREADABLE as error:
        message = f"an entry of `spaces` cannot be read ({problem(error)}); export the row again"
        raise row_error(codes.ROW_UNREADABLE, message) from error


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
        notes.add(codes.ORPHAN_ANSWER, f"{orphans} entries of object_answers belong to no object of the row")
