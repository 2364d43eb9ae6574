"""The five ways in which exports write times; everything after the reader sees ISO 8601 in UTC."""

import re
from datetime import UTC, datetime, timedelta

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[ T]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?"
    r" ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?"
)
_HTTP = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>[0-9]{1,2}) (?P<month>" + "|".join(_MONTHS) + r") (?P<year>[0-9]{4}) "
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?P<fraction>)(?: (?P<zone>UTC|GMT|[+-][0-9]{4}))?"
)


def parse_time(text: str) -> str | None:
    """The time in ISO 8601 UTC (`2023-10-02T14:35:30Z`), None if it is in no known format. No zone means UTC.

    Whole seconds where the export has whole seconds, else six digits of a second.
    """
    text = text.strip()
    match = _ISO.fullmatch(text) or _HTTP.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict()
    month = _MONTHS.index(part["month"]) + 1 if part["month"] in _MONTHS else int(part["month"])
    micro = int((part["fraction"] or "0").ljust(6, "0")[:6])
    clock = (int(part["hour"]), int(part["minute"]), int(part["second"]))
    try:
        moment = datetime(int(part["year"]), month, int(part["day"]), *clock, micro, tzinfo=UTC)
        moment -= _offset(part["zone"])
    except (ValueError, OverflowError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone[0] not in "+-":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset
