"""Tables that people read on Dagster's page, within the bytes that its database can keep of each event for ever.

The page shows Markdown of less than 1,000 letters at once and the rest behind a click, and cuts what is wide: numbers
come first, names are short.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dagster import MetadataValue

from encord_dagster.findings import RANKS, Finding
from encord_dagster.formats.losses import reported
from encord_dagster.label_set.manifest import LogRecord
from encord_dagster.orchestration import markdown

if TYPE_CHECKING:
    from encord_dagster.formats.chart import ClassBar
    from encord_dagster.label_set.beside import Beside
    from encord_dagster.label_set.fired import Fired

Metadata = dict[str, MetadataValue]

ENTRY = 120  # bytes of Dagster's about each entry
NAME = 36  # letters of a class
HASHES = 2  # export hashes of one record that are named
MESSAGE = 300  # letters of a finding's message
PLACE = 120
INLINE = 940  # bytes that the page shows without a click


class Section(NamedTuple):
    """One entry: some words, and a table of as many rows as there is room for."""

    key: str
    columns: tuple[str, ...]
    rows: Iterable[Sequence[str | int]]
    most: int  # bytes
    rest: str = "more"  # said where there are more rows
    words: str = ""


def fitted(sections: Iterable[Section], room: int) -> Metadata:
    """The sections in order, as much of each as the room that is left allows."""
    shown: Metadata = {}
    for section in sections:
        rows = list(section.rows)
        left = min(section.most, room - ENTRY) - markdown.size(section.words)
        if (not rows and not section.words) or left < ENTRY:
            continue
        table = markdown.table(section.columns, rows, most_bytes=left, rest=section.rest) if rows else ""
        text = "\n\n".join(part for part in (section.words, table) if part)
        room -= markdown.size(text) + ENTRY
        shown[section.key] = MetadataValue.md(text)
    return shown


def changes(found: "Beside") -> Section:
    """Label rows added, changed, removed, and the classes whose objects are more or fewer than before."""
    moved = [one for one in found.classes if one.now != one.before] if found.before else []
    moved.sort(key=lambda one: -abs(one.now - one.before))
    rows = [_moved(one) for one in moved]
    return Section("encord/changes", ("before", "now", "change", "class"), rows, 700, "more classes", _since(found))


def classes(counts: Mapping[str, int]) -> Section:
    """Objects by class, most first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = ((count, markdown.code(name, most=NAME)) for name, count in ranked)
    return Section("encord/classes", ("objects", "class"), rows, 650, "more classes: `encord-dagster show` lists all")


def lineage(records: Sequence[LogRecord]) -> Section:
    """The last records of the log, newest first: which exports and export hashes each version came with."""
    columns = ("version", "by", "label rows", "export hashes", "export")
    rows = map(_record, reversed(records))
    return Section("encord/lineage", columns, rows, INLINE, "`encord-dagster log` lists all")


def fired(found: "Mapping[str, Fired]") -> Section:
    """Each rule that fired, worst first: how often, and the export whose row events in the lake tell it first."""
    ranked = sorted(found.items(), key=lambda item: (-RANKS[item[1].first.severity], -item[1].count, item[0]))
    rows = ((one.count, one.first.severity, rule, _look_in(one)) for rule, one in ranked)
    columns = ("count", "severity", "rule", "look in export")
    return Section("encord/findings", columns, rows, 800, "more rules: see the asset's checks")


def partitions(found: Mapping[str, str]) -> Section:
    """Partitions to look at, each with the reason."""
    rows = ((markdown.code(key), markdown.code(why, most=MESSAGE)) for key, why in found.items())
    return Section("encord/partitions", ("partition", "why"), rows, INLINE, "more: the run's error has all that failed")


def findings(found: Iterable[Finding]) -> Section:
    """The first findings of an export, worst first."""
    rows = ((one.severity, one.rule, _message(one), markdown.code(str(one.location), most=PLACE)) for one in found)
    return Section(
        "encord/findings", ("severity", "rule", "message", "where"), rows, 1100, "more: the row events have all"
    )


def version_findings(found: Iterable[Finding]) -> Section:
    """What is odd about a version as a whole; its findings lie in no row."""
    rows = ((one.severity, one.rule, _message(one)) for one in found)
    return Section("encord/version_findings", ("severity", "rule", "message"), rows, INLINE)


def losses(counts: Mapping[str, int]) -> Section:
    """What the formats cannot hold, and where it is still to be found."""
    found = [line for line in reported(counts) if line.count]
    rows = ((markdown.code(line.code), line.count, markdown.code(line.description, most=160)) for line in found)
    return Section("encord/losses", ("loss", "count", "meaning"), rows, 700, "more: see loss_report.json")


def _since(found: "Beside") -> str:
    if not found.before:
        return f"{found.rows['added']:,} label rows; no version before is kept."
    parts = [f"{found.rows[fate]:,} {fate}" for fate in ("added", "changed", "removed")]
    if found.rows["converted"]:
        parts.append(f"{found.rows['converted']:,} converted anew")
    lines = [f"Label rows since version {found.before}:", ", ".join(parts)]
    if not found.whole:
        lines.append("of the part that was compared: `encord-dagster diff` compares all")
    return "\n\n".join(lines)


def _moved(one: "ClassBar") -> tuple[str | int, ...]:
    return one.before, one.now, f"{one.now - one.before:+,}", markdown.code(one.name, most=NAME)


def _record(record: LogRecord) -> tuple[str | int, ...]:
    """One record; ids and hashes are code, since a hash may be any text."""
    hashes = [found for entry in record.exports for found in entry.export_hashes][:HASHES]
    more = sum(entry.export_hash_count for entry in record.exports) - len(hashes)
    first = record.exports[0].id if record.exports else ""
    return (
        record.version,
        record.op,
        record.fragments,
        " ".join(markdown.code(one, most=40) for one in hashes) + _and(more),
        (markdown.code(first) if first else "") + _and(len(record.exports) - 1),
    )


def _and(more: int) -> str:
    return f" and {more:,} more" if more > 0 else ""


def _look_in(one: "Fired") -> str:
    export = one.events.rpartition("/exports/")[2].partition("/")[0]
    return markdown.code(export) if export else "the version itself"


def _message(one: Finding) -> str:
    return markdown.code(one.message, most=MESSAGE)
