"""The rules that fired on a version, and where to look first."""

from collections import Counter
from itertools import chain, islice

import msgspec

from encord_dagster.findings import Finding, Location
from encord_dagster.label_set import events
from encord_dagster.label_set.read import Version

LOOKED_INTO = 20  # of the newest exports, for a finding of each rule


class Fired(msgspec.Struct, frozen=True):
    """How often one rule fired."""

    count: int
    first: Finding
    events: str = ""  # key of the row events that hold the first one, "" where it is of the version as such


def fired(version: Version, *, look_into: int = LOOKED_INTO) -> dict[str, Fired]:
    """How often each rule fired on a version, its rows, and the exports that it came with.

    A first finding is looked for in these and the newest exports, `look_into` of them in all. Versions of older
    releases do not count their rules: all row events are read then.
    """
    root, record = version.root, version.record
    if root.rules is None:
        return _counted(version)
    found: dict[str, Fired] = {}
    counts = Counter(root.rules)
    own = {entry.id for entry in record.exports}
    for finding in record.doubts:
        counts[finding.rule] += 1
        found.setdefault(finding.rule, Fired(0, finding))
    others = (entry for entry in version.newest_first() if entry.id not in own)
    for entry in chain(record.exports, islice(others, max(0, look_into - len(own)))):
        if entry.id not in own and counts.keys() <= found.keys():
            break
        for row, finding in events.findings_of(events.read_events(version.lake, entry.events)):
            if row is None and entry.id in own:
                counts[finding.rule] += 1
            if finding.rule in counts:
                found.setdefault(finding.rule, Fired(0, finding, entry.events.key))
    unknown = "no finding of it is in the row events of the newest exports; the table of findings has all of them"
    return {
        rule: msgspec.structs.replace(
            found.get(rule) or Fired(0, Finding(rule, "info", Location(), unknown)), count=count
        )
        for rule, count in counts.items()
    }


def _counted(version: Version) -> dict[str, Fired]:
    found: dict[str, Fired] = {}
    for key, finding in version.found():
        known = found.get(finding.rule) or Fired(0, finding, key)
        found[finding.rule] = msgspec.structs.replace(known, count=known.count + 1)
    return found
