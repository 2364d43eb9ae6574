"""What the commands of an operator print for people: quarantine, what made a version, where a row comes from."""

from collections import Counter
from collections.abc import Iterator, Sequence

from encord_dagster.encord.privacy import redact
from encord_dagster.label_set.lineage import Deed, KnownEvent, RowHistory, Why
from encord_dagster.label_set.quarantine import Item, Record
from encord_dagster.label_set.tags import Tag


def quarantine_text(records: Sequence[Record]) -> str:
    """A line for each export that has something in quarantine, and how to see more."""
    if not records:
        return "nothing is in quarantine\n"
    return "".join(map(_record_line, records)) + "quarantine EXPORT shows one of them; replay reads them again\n"


def _record_line(record: Record) -> str:
    reasons = Counter(item.reason for item in record.items)
    counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    what = "whole" if record.whole else "parts"
    return f"{record.export.id}  {what}  {redact(record.export.key)}: {counts}\n"


def record_text(record: Record) -> str:
    """Everything that one export left in quarantine: what it is, and what to do about it."""
    return _record_line(record) + "".join(map(_item_lines, record.items))


def _item_lines(item: Item) -> str:
    place = "" if item.offset is None else f", bytes {item.offset:,} to {item.offset + (item.length or 0):,}"
    named = f"row {item.label_hash}" if item.label_hash else "the export"
    what = f"object {item.object_hash} of {named}" if item.object_hash else named
    found = "".join(f"    {finding}\n" for finding in item.findings)
    return f"  {item.reason}: {what}{place}\n{found}"


def why_text(why: Why) -> str:
    """What made a version: its record, its exports and what each decided."""
    changes = [
        *(["another configuration"] if why.configuration_changed else []),
        *(["another converter"] if why.converter_changed else []),
        *([f"{why.removed:,} label rows taken out"] if why.removed else []),
        *([f"{why.undecided:,} label rows that no export here decided"] if why.undecided else []),
        *([f"reason: {why.record.reason}"] if why.record.reason else []),
    ]
    before = f"version {why.previous_version}" if why.previous_version else "nothing"
    lines = [f"version {why.version}, made of {before} by record {why.record.seq} ({why.record.op})"]
    lines += [f"  {change}" for change in changes]
    lines += [line for deed in why.exports for line in _deed_lines(deed)]
    lines += [f"  {finding}" for finding in why.findings]
    return "\n".join(lines) + "\n"


def _deed_lines(deed: Deed) -> Iterator[str]:
    counts = f"{deed.added:,} added, {deed.changed:,} changed, {deed.converted:,} converted anew"
    yield f"  export {deed.export_id}, {deed.rows:,} label rows: {counts}"
    hashes = ", ".join(deed.export_hashes[:3])
    more = f" and {deed.export_hash_count - 3:,} more" if deed.export_hash_count > 3 else ""
    yield f"    export hashes {hashes}{more}" if hashes else "    no export hashes"


def history_text(found: RowHistory) -> str:
    """Every event of a row, oldest first; the one that counts is marked."""
    state = "a tombstone" if found.gone else "there" if found.held else "not there"
    versions = ", ".join(map(str, found.changed_in)) or "none"
    head = f"label row {found.label_hash}, branch {found.branch_name}: {state} in version {found.version}\n"
    return head + f"  its content changed in versions {versions}\n" + "".join(map(_event_lines, found.events))


def _event_lines(event: KnownEvent) -> str:
    mark = "*" if event.stands else " "
    export_hash = event.export_hash or "no export hash"
    left = (
        f"{event.objects_in:,} objects, {event.objects_quarantined:,} quarantined, {event.objects_excluded:,} excluded"
    )
    places = "".join(f"      {source.key}\n" for source in event.sources)
    return f"{mark} {event.exported_at or 'no time':24} {export_hash}  {event.status}, {left}\n{places}"


def tags_text(tags: Sequence[Tag]) -> str:
    """A line for each tag."""
    return "".join(f"{tag.name}  version {tag.version}  {tag.content_digest[:12]}\n" for tag in tags) or "no tags\n"
