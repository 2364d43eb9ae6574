"""Who drew an object or gave a classification, and when: unread unless it is to be published, people as pseudonyms."""

import functools
from typing import TypedDict

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, present
from encord_dagster.encord.times import parse_time
from encord_dagster.findings import Location


class Signed(msgspec.Struct, rename="camel"):
    """What an entry of an export says of its authors and times, unread."""

    created_by: Raw = ABSENT
    last_edited_by: Raw = ABSENT
    created_at: Raw = ABSENT
    last_edited_at: Raw = ABSENT


class Authors(TypedDict):
    """The same as it is published; None where it is not."""

    created_by: str | None
    last_edited_by: str | None
    created_at: str | None
    last_edited_at: str | None


_UNSAID = Authors(created_by=None, last_edited_by=None, created_at=None, last_edited_at=None)
_SCALAR = msgspec.json.Decoder(Scalar)
_parse = functools.lru_cache(maxsize=4096)(parse_time)


def read_authors(entry: Signed, notes: Notes) -> Authors:
    """Authors and times of an entry, as far as they are to be published."""
    if not (notes.disclosure.key or notes.disclosure.times):
        return _UNSAID
    return Authors(
        created_by=read_person(entry.created_by, notes),
        last_edited_by=read_person(entry.last_edited_by, notes),
        created_at=_time(entry.created_at, notes),
        last_edited_at=_time(entry.last_edited_at, notes),
    )


def read_person(raw: Raw, notes: Notes) -> str | None:
    """A person's pseudonym, None where people are not to be published."""
    return notes.disclosure.person(scalar(raw)) if notes.disclosure.key else None


def read_title(raw: Raw, where: Location, notes: Notes) -> str | None:
    """A title without addresses, links and keys, None where titles are not to be published."""
    return notes.clean(scalar(raw), "a title", where) or None if notes.disclosure.titles else None


def read_link(raw: Raw, notes: Notes) -> str | None:
    """Scheme, host and path of a link, None where links are not to be published."""
    value = present(scalar(raw)) if notes.disclosure.links else None
    if not isinstance(value, str):
        return None
    link = notes.disclosure.link(value)
    if link is None:
        notes.add_once(codes.LINK_LEFT_OUT, "a link of the row is none that can be published; it was left out")
    return link


def _time(raw: Raw, notes: Notes) -> str | None:
    value = present(scalar(raw)) if notes.disclosure.times else None
    time = _parse(value) if isinstance(value, str) else None
    if value is not None and time is None:
        notes.add_once(codes.BAD_TIME, "a time of an object or classification is in no known format; left out")
    return time


def scalar(raw: Raw) -> Scalar:
    """The value, None where it is no scalar."""
    try:
        value: Scalar = _SCALAR.decode(raw)
    except UNREADABLE:
        return None
    return value
