"""What Dagster shows of an export's outcome and of the version that accounts for it.

Names of classes, and all other text of an export, are other people's words: text, tables and JSON, and in Markdown only
as code. A database keeps what is here for ever, so everything has a limit: 6 KiB an event, which SQLite keeps twice.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dagster import MetadataValue

from encord_dagster.encord.privacy import redact
from encord_dagster.orchestration import readable
from encord_dagster.orchestration.readable import Metadata
from encord_dagster.outcomes import ExportOutcome, Published

Builder = Callable[[ExportOutcome, Published | None], Metadata]

MOST_JSON_BYTES = 400
FINDINGS_ROOM = 1220  # of the tables of one event
VERSION_ROOM = 1000
CLASSES_ROOM = 800
PARTITIONS_ROOM = 1100
MORE = "…"
HASHES_SHOWN = 6
TEXT_SHOWN = 300
NAMED_SHOWN = 60  # of a part of an export's name


def raw_export(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the export lies, how large it is, and which export events it carries."""
    export = outcome.export
    return {
        **_uri(outcome, "raw"),
        "encord/landing_key": _text(redact(export.key)),
        "encord/etag": _text(export.etag),
        "encord/last_modified": _text(export.last_modified),
        "encord/bytes": MetadataValue.int(export.size),
        **_optional("encord/sha256", outcome.sha256),
        **{f"encord/name_{part}": _text(text[:NAMED_SHOWN]) for part, text in outcome.named.items()},
        **lineage(outcome),
    }


def label_rows(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Rows and objects, counted in and out, and the findings."""
    return {
        **_uri(outcome, "events"),
        "dagster/partition_row_count": MetadataValue.int(outcome.rows),
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_in": MetadataValue.int(outcome.objects_in),
        "encord/objects_published": MetadataValue.int(outcome.objects_published),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        **counts("encord/objects_excluded", outcome.objects_excluded),
        **_rules_and_findings([outcome]),
        **_optional("encord/quarantine_uri", outcome.uris.get("quarantine")),
    }


def quarantine(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """What was set aside, and why; the findings are with the rows, where there are any."""
    return {
        **_uri(outcome, "quarantine"),
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        **(_rules_and_findings([outcome]) if outcome.status == "quarantined" else {}),
        **_optional("encord/error", outcome.error),
    }


def coco(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Images and annotations of the export, by class, and how many fragments they took."""
    return {
        **_uri(outcome, "coco"),
        **_log_record(published),
        "encord/images": MetadataValue.int(outcome.images),
        "encord/annotations": MetadataValue.int(outcome.objects_published),
        "encord/bytes": MetadataValue.int(outcome.coco_bytes),
        "encord/fragments_converted": MetadataValue.int(outcome.fragments_converted),
        "encord/fragments_reused": MetadataValue.int(outcome.fragments_reused),
        **readable.fitted([readable.classes(outcome.classes)], CLASSES_ROOM),
    }


def masks(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the masks lie."""
    return {
        **_uri(outcome, "masks"),
        **_log_record(published),
        "encord/bytes": MetadataValue.int(outcome.mask_bytes),
    }


def tables(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the tables lie."""
    return {**_uri(outcome, "tables"), **_log_record(published)}


def label_set(outcome: ExportOutcome, published: Published | None) -> Metadata:
    """What became of the export, and the number of the version that accounts for it."""
    state: Metadata = {"encord/status": _text(outcome.status), **_hashes(outcome)}
    if published:
        state |= {"dagster/uri": _text(published.uri), "encord/version": MetadataValue.int(published.version)}
    return state


def version(published: Published) -> Metadata:
    """The log record and the version it stands for; its content digest is the data version."""
    return {
        "encord/record": _text(f"{published.seq} {published.op}"),
        "encord/rows": MetadataValue.int(published.rows),
        "encord/images": MetadataValue.int(published.images),
        "encord/annotations": MetadataValue.int(published.annotations),
        **readable.fitted(
            [
                readable.version_findings((*published.held_findings, *published.findings)),
                readable.classes(published.classes),
                readable.losses(published.losses),
            ],
            VERSION_ROOM,
        ),
        **_optional("encord/coco_uri", published.coco_uri),
    }


def check(outcomes: Sequence[ExportOutcome], look_at: Mapping[str, str], *, total: int) -> Metadata:
    """How many partitions were judged, those to look at with the reason, and the rules and findings of these."""
    return {
        "encord/judged": MetadataValue.int(total),
        **readable.fitted([readable.partitions(look_at)], PARTITIONS_ROOM),
        **_rules_and_findings([outcome for outcome in outcomes if outcome.export.id in look_at]),
    }


BUILDERS: Mapping[str, Builder] = {
    "raw_export": raw_export,
    "label_rows": label_rows,
    "quarantine": quarantine,
    "coco": coco,
    "masks": masks,
    "tables": tables,
    "label_set": label_set,
}


def lineage(outcome: ExportOutcome) -> Metadata:
    """Which export events of Encord the export carries, and their span in time."""
    return {
        **_hashes(outcome),
        **_optional("encord/exported_from", outcome.exported_from),
        **_optional("encord/exported_to", outcome.exported_to),
    }


def counts(label: str, found: Mapping[str, int]) -> Metadata:
    """Counts by name, most first; those that there is no room for are added up. No entry where there are none."""
    if not found:
        return {}
    shown: dict[str, int] = {}
    room, more = MOST_JSON_BYTES, 0
    for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        room -= len(name) + len(str(count)) + 8
        if room > 0:
            shown[name] = count
        else:
            more += count
    return {label: MetadataValue.json(shown | ({MORE: more} if more else {}))}


def _hashes(outcome: ExportOutcome) -> Metadata:
    return {
        "encord/export_hashes": MetadataValue.json(list(outcome.export_hashes[:HASHES_SHOWN])),
        "encord/export_hash_count": MetadataValue.int(outcome.export_hash_count),
    }


def _rules_and_findings(outcomes: Sequence[ExportOutcome]) -> Metadata:
    """How often each rule fired, and the first findings."""
    fired = sum((Counter(outcome.rules) for outcome in outcomes), Counter[str]())
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    return {
        **counts("encord/rules", fired),
        **readable.fitted([readable.findings(findings)], FINDINGS_ROOM),
    }


def _log_record(published: Published | None) -> Metadata:
    """Published fragments lie in the version's shards, which the log record leads to."""
    return _optional("encord/log_record", published.uri if published else None)


def _uri(outcome: ExportOutcome, kind: str) -> Metadata:
    return _optional("dagster/uri", outcome.uris.get(kind))


def _optional(name: str, value: str | None) -> Metadata:
    return {} if value is None else {name: _text(value)}


def _text(value: str) -> MetadataValue:
    return MetadataValue.text(value[:TEXT_SHOWN])
