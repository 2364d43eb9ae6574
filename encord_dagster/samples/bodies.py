"""What the data types of a row are made from and into."""

from collections.abc import Sequence
from datetime import datetime
from random import Random

import msgspec

from encord_dagster.samples.document import DataUnit, Labels
from encord_dagster.samples.labels import RowLabels


class Draft(msgspec.Struct, frozen=True):
    """What a row's own part is made from: chance, the start of labelling, the row's data hash."""

    random: Random
    start: datetime
    data_hash: str
    size: tuple[int, int]


class Body(msgspec.Struct, frozen=True):
    """What differs from data type to data type."""

    data_type: str
    title: str
    units: Sequence[DataUnit]
    labels: RowLabels
    is_image_sequence: bool | None = None
    video_link: str | None = None


def raw(value: Labels | dict[int, Labels]) -> msgspec.Raw:
    """Labels as bytes, the form data units hold them in."""
    return msgspec.Raw(msgspec.json.encode(value))
