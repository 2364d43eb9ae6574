"""How many keys decoded rows have: those that were decoded, and those of the parts that stayed unread."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import msgspec
from msgspec import UNSET, UnsetType

from encord_dagster.encord.plain import Film, FilmRow, Frame, Image, ImageRow, Slice
from encord_dagster.encord.plain_keys import keys_of_part

_ROW, _UNIT = len(ImageRow.__struct_fields__), len(Image.__struct_fields__)
_rare_of_row = attrgetter(*(field.name for field in msgspec.structs.fields(ImageRow) if not field.required))
_rare_of_unit = attrgetter(*(field.name for field in msgspec.structs.fields(Image) if not field.required))
_unread = attrgetter("workflow_graph_node", "client_metadata")


def keys_of(rows: Sequence[ImageRow | FilmRow]) -> int:
    """How many keys the decoded rows have, without those of their objects and of what stayed unread."""
    absent = list(map(type, chain.from_iterable(map(_rare_of_row, rows)))).count(UnsetType)
    answers = sum([len(row.object_answers) + len(row.object_actions) for row in rows])
    told = [len(row.export_history) for row in rows if row.export_history is not UNSET]
    count = _ROW * len(rows) - absent + 3 * answers + 3 * sum(told)
    unread = Counter(bytes(raw) for raw in chain.from_iterable(map(_unread, rows)) if raw is not UNSET)
    count += sum(times * keys_of_part(text) for text, times in unread.items())
    units: list[Image | Film] = []
    for row in rows:
        units += row.data_units.values()
    absent = list(map(type, chain.from_iterable(map(_rare_of_unit, units)))).count(UnsetType)
    series = [len(unit.metadata) for unit in units if isinstance(unit.metadata, dict)]
    count += (_UNIT + 1) * len(units) - absent + sum(series)
    frames: list[Frame] = []
    for unit in units:
        if isinstance(unit, Image):
            frames.append(unit.labels)
        else:
            frames += unit.labels.values()
            count += len(unit.labels)
    about = [frame.metadata for frame in frames if frame.metadata is not UNSET]
    return count + 2 * len(frames) + sum(map(_keys_of_slice, about))


def _keys_of_slice(given: Slice | None) -> int:
    return 1 if given is None else 4 + (given.width is not UNSET) + (given.height is not UNSET)
