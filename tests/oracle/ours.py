"""What this project makes of an export: its label rows as values, and their COCO records by place."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import RowReading, read_row
from encord_dagster.encord.model import Attribute, Frame, ObjectInstance
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import classes_of

Json = dict[str, Any]
Answer = str | float | list[str]
Place = tuple[str, int]  # data hash, frame number


class Ours(msgspec.Struct):
    """One row as we read and convert it."""

    reading: RowReading
    images: dict[Place, Json]
    annotations: dict[tuple[int, str], Json]  # by frame number and object hash

    @property
    def objects(self) -> dict[tuple[int, str], tuple[Frame, ObjectInstance]]:
        """The objects by frame number and object hash."""
        frames = self.reading.row.frames
        return {(frame.number, item.object_hash): (frame, item) for frame in frames for item in frame.objects}


def read_export(data: bytes) -> Iterator[Ours]:
    """Every row of an export; raises where one cannot be read, which no row here gives a reason for."""
    for piece in iter_rows(data):
        reading = read_row(piece)
        claims = classes_of(reading.row)
        categories = {
            key: msgspec.structs.replace(claim, id=number + 1) for number, (key, claim) in enumerate(claims.items())
        }
        fragment = convert(reading.row, categories, masks=False)
        images = [json.loads(record) for record in fragment.images]
        annotations = [json.loads(record) for record in fragment.annotations]
        yield Ours(
            reading,
            {(one["encord"]["data_hash"], one["encord"]["frame"]): one for one in images},
            {(one["encord"]["frame"], one["encord"]["object_hash"]): one for one in annotations},
        )


def answers(attributes: tuple[Attribute, ...]) -> dict[str, Answer]:
    """Attribute hash -> text, number, or the sorted hashes of options; without those that say nothing."""
    found: dict[str, Answer] = {}
    for attribute in attributes:
        answer = attribute.answer
        if isinstance(answer, tuple):
            found[attribute.feature_hash] = sorted(option.feature_hash for option in answer)
        elif answer is not None:
            found[attribute.feature_hash] = answer
    return {key: answer for key, answer in found.items() if answer not in ("", [])}
