"""The outside of plain rows: identity, event, state and data units. Odd where something is to be said about them."""

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter

import msgspec
from msgspec import UNSET, UnsetType

from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.head import LABEL_STATUSES, TASK_STATUSES, read_node
from encord_dagster.encord.history import united
from encord_dagster.encord.model import HistoryEntry, RowEvent
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.plain import Exported, Film, FilmRow, Head, Image, ImageRow, Row
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.privacy import redact
from encord_dagster.encord.scalars import FRAME_NUMBER, HASH, Raw, flag, present
from encord_dagster.encord.times import parse_time
from encord_dagster.encord.units import LARGEST_SIDE, MIME, is_uid, last_frame_at

_SHORTEST = 5  # characters: shorter texts may be words for absent
_CLOCKS = re.compile(r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?: UTC| GMT)?\n)*")


class Told(msgspec.Struct, frozen=True, gc=False):
    """What a row says of itself and of its exports, as in `Head`."""

    label_hash: str
    branch_name: str | UnsetType | None
    dataset_hash: str
    export_hash: str | UnsetType
    exported_at: str | UnsetType
    last_edited_at: str
    export_history: list[Exported] | UnsetType


class PlainUnit(msgspec.Struct, frozen=True):
    """A data unit that is as it should be, in its place in the row."""

    unit: Image | Film
    number: int
    mime_type: str
    last_frame: int | None


def event_of(row: Head | Told, piece: RowSlice, fingerprint: str) -> RowEvent:
    """The row as this export carried it."""
    export_hash = _hash(row.export_hash) if row.export_hash is not UNSET else None
    exported_at = time(row.exported_at) if row.exported_at is not UNSET else None
    current = HistoryEntry(export_hash, exported_at) if export_hash else None
    return RowEvent(
        label_hash=_hash(row.label_hash),
        branch_name=branch_of(row),
        fingerprint=fingerprint,
        export_hash=export_hash,
        exported_at=exported_at,
        last_edited_at=time(row.last_edited_at),
        history=_history(row.export_history, current),
        offset=piece.offset,
        length=piece.length,
    )


def branch_of(row: Head | Told) -> str:
    """The branch of the row."""
    stated = None if row.branch_name is UNSET else row.branch_name
    return clean(stated) if stated is not None and present(stated) else "main"


def statuses(row: Row) -> tuple[str, str | None]:
    """Status of labels and of the task."""
    task = None if row.annotation_task_status is UNSET else row.annotation_task_status
    if (
        row.is_valid is False
        or row.label_status not in LABEL_STATUSES
        or (task is not None and task not in TASK_STATUSES)
    ):
        raise Odd
    return row.label_status, task


def is_sequence(row: Row) -> bool | None:
    """Whether the row is an image sequence, where that is known."""
    return None if row.is_image_sequence is UNSET else flag(row.is_image_sequence)


def node_of(given: Raw | UnsetType) -> str | None:
    """The stage of the workflow that the row is in."""
    return None if given is UNSET else _node(bytes(given))


@lru_cache(maxsize=512)
def _node(raw: bytes) -> str | None:
    notes = Notes(None)
    found = read_node(Raw(raw), notes)
    if notes.findings:
        raise Odd
    return found


def hashes(row: Row) -> tuple[str, str]:
    """Data hash and dataset hash."""
    return _hash(row.data_hash), _hash(row.dataset_hash)


def units_of(row: ImageRow | FilmRow) -> list[PlainUnit]:
    """The data units in order."""
    given: list[Image | Film] = [*row.data_units.values()]
    if not given or [_hash(key) for key in row.data_units] != [unit.data_hash for unit in given]:
        raise Odd
    units = sorted((_unit(unit, row.data_type) for unit in given), key=attrgetter("number"))
    if len({one.number for one in units}) < len(units):
        raise Odd
    return units


def _unit(unit: Image | Film, data_type: str) -> PlainUnit:
    number = number_of(unit)
    if not (0 <= number < 10**9 and 0 < unit.width <= LARGEST_SIDE and 0 < unit.height <= LARGEST_SIDE):
        raise Odd
    last = None
    if data_type == "video":
        rate, duration = (None if one is UNSET else one for one in (unit.data_fps, unit.data_duration))
        if rate is not None and rate > 1000:
            raise Odd
        last = last_frame_at(rate, duration)
    series = unit.metadata if isinstance(unit, Film) and isinstance(unit.metadata, dict) else {}
    if not all(is_uid(series[key]) for key in ("study_uid", "series_uid") if series.get(key) is not None):
        raise Odd
    return PlainUnit(unit, number, mime_of(unit.data_type), last)


def number_of(unit: Image | Film) -> int:
    """The place of a unit in its row, which some exports write as a text."""
    stated = unit.data_sequence
    if isinstance(stated, int):
        return stated
    if not FRAME_NUMBER.fullmatch(stated):
        raise Odd
    return int(stated)


@lru_cache(maxsize=4096)
def mime_of(stated: str) -> str:
    """The media type of a data unit."""
    if not MIME.fullmatch(stated):
        raise Odd
    return stated.lower()


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """A text that may leave the reader as it is."""
    if not text or redact(text) != text:
        raise Odd
    return text


def time(text: str) -> str:
    """A time in ISO 8601, UTC."""
    if len(text) == 29 and text[16] == " " and text[25:] in (" UTC", " GMT"):
        return _day(text[:17]) + _clock(text[17:25])
    if len(text) == 19 and text[10] in " T":
        return _date(text[:10]) + _clock(text[11:])
    return _whole_time(text)


def times(texts: Sequence[str]) -> list[str]:
    """`time` of many, most of which the platform writes in one of two ways: each day is read once."""
    sizes = set(map(len, texts))
    at, day_of, behind = (17, _day, {" "}) if sizes == {29} else (11, _date, {" ", "T"})
    days, clocks = [text[:at] for text in texts], "\n".join([*(text[at:] for text in texts), ""])
    distinct = set(days)
    fine = len(sizes) == 1 and {day[-1:] for day in distinct} <= behind and clocks.count("\n") == len(texts)
    if not (fine and _CLOCKS.fullmatch(clocks)):
        return list(map(time, texts))
    known = {day: day_of(day if at == 17 else day[:10]) for day in distinct}
    return [f"{known[day]}{text[at : at + 8]}Z" for day, text in zip(days, texts, strict=True)]


@lru_cache(maxsize=4096)
def _whole_time(text: str) -> str:
    found = parse_time(text) if present(text) is not None else None
    if found is None:
        raise Odd
    return found


@lru_cache(maxsize=4096)
def _day(text: str) -> str:
    return _whole_time(f"{text}00:00:00 UTC")[:11]


@lru_cache(maxsize=4096)
def _date(text: str) -> str:
    return _whole_time(f"{text} 00:00:00")[:11]


def _clock(text: str) -> str:
    hour, minute, second = text[:2], text[3:5], text[6:]
    digits = hour + minute + second
    sound = len(digits) == 6 and digits.isascii() and digits.isdigit() and text[2] == text[5] == ":"
    if not (sound and hour < "24" and minute < "60" and second < "60"):
        raise Odd
    return f"{text}Z"


def _history(given: list[Exported] | UnsetType, current: HistoryEntry | None) -> tuple[HistoryEntry, ...]:
    if given is UNSET:
        given = []
    if len(given) == 1 and current and given[0].export_hash == current.export_hash and current.exported_at:
        time(given[0].exported_at)
        return (current,)
    entries = [HistoryEntry(any_hash(one.export_hash), time(one.exported_at)) for one in given]
    return united(current, entries)


def _hash(value: str) -> str:
    """A hash that cannot be a word for absent."""
    if len(value) < _SHORTEST or not HASH.fullmatch(value):
        raise Odd
    return value


def any_hash(value: str) -> str:
    """A hash where a word for absent is none."""
    if not HASH.fullmatch(value):
        raise Odd
    return value
