"""Work between two exports: a box moved, an object relabelled, an answer changed, a mask redrawn; data deleted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import msgspec
from msgspec import UNSET

from encord_dagster.samples import stamps
from encord_dagster.samples.bodies import raw
from encord_dagster.samples.catalogue import CLASSES, Attribute, slug
from encord_dagster.samples.document import LabelObject, Labels, Mask, ObjectAnswer, Row
from encord_dagster.samples.labels import answered, choice, options
from encord_dagster.samples.scenes import VARIANTS, mask_of

_SWAPS = {"Car": "Truck", "Truck": "Car", "Tree": "Building", "Kidney": "Lesion", "Lesion": "Kidney"}
_PLAIN_RADIOS: dict[str, Attribute] = {
    attribute.feature_node_hash: attribute
    for kind in CLASSES.values()
    for attribute in kind.attributes
    if attribute.type == "radio" and all(option.options is UNSET for option in options(attribute))
}


def edit(row: Row, *, random: Random, at: datetime) -> None:
    """Changes one thing about the row's labels, in place; the row holds an object."""
    opened = {unit: frames_of(row, unit) for unit in row.data_units}
    objects = [entry for frames in opened.values() for labels in frames.values() for entry in labels.objects]
    touched: list[LabelObject] = []
    for change in random.sample(_EDITS, k=len(_EDITS)):
        touched = change(row, objects, random)
        if touched:
            break
    for entry in touched:
        entry.last_edited_by, entry.last_edited_at = stamps.ANNOTATORS[0], stamps.object_time(at)
    row.last_edited_at = stamps.row_time(at + timedelta(seconds=20))
    for name, frames in opened.items():
        row.data_units[name].labels = raw(frames[0] if is_flat(row) else frames)


def delete_data(row: Row) -> None:
    """Makes the row the tombstone that the platform exports once the data behind it is gone, in place."""
    row.data_type, row.is_image_sequence, row.video_link = "deleted", None, None
    name, unit = next(iter(row.data_units.items()))
    row.data_units = {name: unit}
    unit.data_type = unit.data_link = unit.data_links = unit.width = unit.height = UNSET


def frames_of(row: Row, unit: str) -> dict[int, Labels]:
    """The labels of a data unit by frame; a flat unit is frame 0."""
    labels = row.data_units[unit].labels
    if is_flat(row):
        return {0: msgspec.json.decode(labels, type=Labels)}
    return msgspec.json.decode(labels, type=dict[int, Labels], strict=False)


def is_flat(row: Row) -> bool:
    """Whether the row's data units hold labels without frame numbers."""
    return row.data_type in ("image", "img_group")


def _move_box(row: Row, objects: list[LabelObject], random: Random) -> list[LabelObject]:
    boxed = [entry for entry in objects if entry.bounding_box is not UNSET]
    if not boxed:
        return []
    entry = random.choice(boxed)
    box, step = entry.bounding_box, random.uniform(0.01, 0.03)
    assert not isinstance(box, msgspec.UnsetType)  # chosen so above
    x = box.x + step if box.x + box.w + step <= 1 else box.x - step
    entry.bounding_box = msgspec.structs.replace(box, x=round(x, 4))
    return [entry]


def _relabel(row: Row, objects: list[LabelObject], random: Random) -> list[LabelObject]:
    candidates = sorted({entry.object_hash for entry in objects if entry.name in _SWAPS})
    if not candidates:
        return []
    chosen = random.choice(candidates)
    entries = [entry for entry in objects if entry.object_hash == chosen]
    kind = CLASSES[_SWAPS[entries[0].name]]
    for entry in entries:
        entry.feature_hash, entry.name, entry.value, entry.color = (
            kind.feature_node_hash,
            kind.name,
            slug(kind.name),
            kind.color,
        )
    statics = [attribute for attribute in kind.attributes if not attribute.dynamic]
    answers = [answer for attribute in statics for answer in answered(attribute, random=random)]
    row.object_answers[chosen] = ObjectAnswer(chosen, answers)
    row.object_actions.pop(chosen, None)
    return entries


def _change_answer(row: Row, objects: list[LabelObject], random: Random) -> list[LabelObject]:
    radios = [
        (hash_, answer)
        for hash_, given in row.object_answers.items()
        for answer in given.classifications
        if answer.feature_hash in _PLAIN_RADIOS
    ]
    if not radios:
        return []
    object_hash, answer = random.choice(radios)
    others = [choice(option) for option in options(_PLAIN_RADIOS[answer.feature_hash])]
    answer.answers = [random.choice([other for other in others if [other] != answer.answers])]
    return [entry for entry in objects if entry.object_hash == object_hash]


def _redraw_mask(row: Row, objects: list[LabelObject], random: Random) -> list[LabelObject]:
    masked = [(entry, entry.bitmask) for entry in objects if isinstance(entry.bitmask, Mask)]
    if not masked:
        return []
    entry, old = random.choice(masked)
    drawn = [mask_of(entry.name, variant, old.width, old.height) for variant in range(VARIANTS)]
    entry.bitmask = random.choice([new for new in drawn if new != old])
    return [entry]


_EDITS: tuple[Callable[[Row, list[LabelObject], Random], list[LabelObject]], ...] = (
    _move_box,
    _relabel,
    _change_answer,
    _redraw_mask,
)
