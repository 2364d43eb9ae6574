"""The rules that fired on a version, and where to look first."""

import msgspec

from encord_dagster.findings import Finding
from encord_dagster.label_set.read import Version


class Fired(msgspec.Struct, frozen=True):
    """How often one rule fired."""

    count: int
    first: Finding
    events: str = ""  # key of the row events that hold the first one, "" where it is of the version as such


def fired(version: Version) -> dict[str, Fired]:
    """Findings of a version and of its rows, by rule. Reads all of its row events."""
    found: dict[str, Fired] = {}
    for key, finding in version.found():
        known = found.get(finding.rule) or Fired(0, finding, key)
        found[finding.rule] = msgspec.structs.replace(known, count=known.count + 1)
    return found
