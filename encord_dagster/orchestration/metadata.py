"""What Dagster shows of an export's outcome and of the version that accounts for it.

Names of classes, and all other text of an export, are other people's words: text, tables and JSON, and in Markdown only
as code. A database keeps what is here for ever, so everything has a limit: 6 KiB an event, which SQLite keeps twice.
"""

from collections.abc import Callable, Iterable, Mapping

import dagster as dg
import msgspec
from dagster import MetadataValue

from encord_dagster.encord.privacy import redact
from encord_dagster.orchestration import readable
from encord_dagster.orchestration.readable import Metadata
from encord_dagster.outcomes import ExportOutcome, Published

Builder = Callable[[ExportOutcome, Published | None], Metadata]

MOST_ROWS_BYTES = 1500  # of the rows of one table
MOST_JSON_BYTES = 400
FINDINGS_ROOM = 1220  # of the tables of one event
VERSION_ROOM = 1000
ROW_BYTES = 60  # of Dagster's, about each row
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
        "encord/objects_excluded": counts(outcome.objects_excluded),
        **_findings(outcome),
        **lineage(outcome),
    }


def quarantine(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """What was set aside, and why."""
    return {
        **_uri(outcome, "quarantine"),
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        "encord/rules": counts(outcome.rules),
        **_optional("encord/error", outcome.error),
    }


def coco(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Images and annotations of the export, by class."""
    return {
        **_uri(outcome, "coco"),
        **_converted(outcome, published),
        "encord/bytes": MetadataValue.int(outcome.coco_bytes),
        "encord/annotations": MetadataValue.int(outcome.objects_published),
        "encord/classes": classes_table(outcome.classes),
    }


def masks(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the masks lie."""
    return {
        **_uri(outcome, "masks"),
        **_converted(outcome, published),
        "encord/bytes": MetadataValue.int(outcome.mask_bytes),
    }


def tables(outcome: ExportOutcome, published: Published | None = None) -> Metadata:
    """Where the tables lie."""
    return {**_uri(outcome, "tables"), **_converted(outcome, published)}


def label_set(outcome: ExportOutcome, published: Published | None) -> Metadata:
    """What became of the export, and the version that accounts for it."""
    state: Metadata = {"encord/status": _text(outcome.status), **_hashes(outcome)}
    return state | (version(published) if published else {})


def version(published: Published) -> Metadata:
    """The log record and the version it stands for."""
    return {
        "dagster/uri": _text(published.uri),
        "encord/version": MetadataValue.int(published.version),
        "encord/record": _text(f"{published.seq} {published.op}"),
        "encord/content_digest": _text(published.content_digest),
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


def check(outcome: ExportOutcome, *, passed: bool) -> Metadata:
    """The rules that fired; where the check fails also their findings, so that nobody has to look elsewhere."""
    if passed:
        return {"encord/rules": counts(outcome.rules)}
    return {
        "encord/rows_quarantined": MetadataValue.int(outcome.rows_quarantined),
        "encord/objects_quarantined": MetadataValue.int(outcome.objects_quarantined),
        **_findings(outcome),
        **_optional("encord/findings_uri", outcome.uris.get("events")),
        **_optional("encord/error", outcome.error),
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


def classes_table(classes: Mapping[str, int]) -> MetadataValue:
    """Objects by class, most first; a table of Dagster's, since names are in it as they are."""
    ranked = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
    return table(
        {"class": "string", "objects": "int"}, ({"class": name[:TEXT_SHOWN], "objects": n} for name, n in ranked)
    )


def counts(found: Mapping[str, int]) -> MetadataValue:
    """Counts by name, most first; those that there is no room for are added up."""
    shown: dict[str, int] = {}
    room, more = MOST_JSON_BYTES, 0
    for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        room -= len(name) + len(str(count)) + 8
        if room > 0:
            shown[name] = count
        else:
            more += count
    return MetadataValue.json(shown | ({MORE: more} if more else {}))


def table(columns: Mapping[str, str], records: Iterable[Mapping[str, str | int]]) -> MetadataValue:
    """A table with a schema, so that an empty one shows its columns too; of the rows as many as there is room for."""
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
    rows: list[dict[str, str | int]] = []
    room, more = MOST_ROWS_BYTES, 0
    for record in records:
        room -= len(msgspec.json.encode(record)) + ROW_BYTES
        if room > 0:
            rows.append(dict(record))
        else:
            more += 1
    if more:
        last: dict[str, str | int] = dict.fromkeys(columns, "")
        rows.append(last | {next(iter(columns)): f"{MORE} {more:,} more"})
    return MetadataValue.table([dg.TableRecord(row) for row in rows], schema=schema)


def _hashes(outcome: ExportOutcome) -> Metadata:
    return {
        "encord/export_hashes": MetadataValue.json(list(outcome.export_hashes[:HASHES_SHOWN])),
        "encord/export_hash_count": MetadataValue.int(outcome.export_hash_count),
    }


def _findings(outcome: ExportOutcome) -> Metadata:
    """How often each rule fired, the first findings, and where what they set aside is listed."""
    return {
        "encord/rules": counts(outcome.rules),
        **readable.fitted([readable.findings(outcome.findings)], FINDINGS_ROOM),
        **_optional("encord/quarantine_uri", outcome.uris.get("quarantine")),
    }


def _converted(outcome: ExportOutcome, published: Published | None) -> Metadata:
    return {
        # Published fragments lie in the version's shards, which the log record leads to.
        **_optional("encord/log_record", published.uri if published else None),
        "encord/images": MetadataValue.int(outcome.images),
        "encord/fragments_converted": MetadataValue.int(outcome.fragments_converted),
        "encord/fragments_reused": MetadataValue.int(outcome.fragments_reused),
    }


def _uri(outcome: ExportOutcome, kind: str) -> Metadata:
    return _optional("dagster/uri", outcome.uris.get(kind))


def _optional(name: str, value: str | None) -> Metadata:
    return {} if value is None else {name: _text(value)}


def _text(value: str) -> MetadataValue:
    return MetadataValue.text(value[:TEXT_SHOWN])
