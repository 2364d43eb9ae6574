"""One export read whole: what became of each of its rows and objects. Pure: bytes in, values out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.container import RowSlice, iter_rows
from encord_dagster.encord.label_rows import UnusableRow, read_row
from encord_dagster.encord.model import LabelRow, RowEvent
from encord_dagster.errors import ExportError
from encord_dagster.findings import Finding, Location
from encord_dagster.rules.against import Against
from encord_dagster.validation import apply_severities, conservation, validate


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an export. `status`: accepted, other_branch or quarantined; a quarantined row has no `row`."""

    status: str
    offset: int
    length: int
    event: RowEvent | None
    row: LabelRow | None
    findings: tuple[Finding, ...]


def read_rows(data: bytes, config: LabelSetConfig) -> Iterator[Reading]:
    """Every row of an export, validated. Raises ExportError where the whole of it is unusable."""
    for piece in iter_rows(data):
        reading = _read(piece, config)
        if reading.status == "quarantined" and config.on_bad_object == "fail_export":
            raise ExportError(
                "bad_object", f"the configuration fails an export at its first bad row: {reading.findings[0]}"
            )
        yield reading


def _read(piece: RowSlice, config: LabelSetConfig) -> Reading:
    mode: Literal["quarantine_object", "quarantine_row"] = "quarantine_row"
    if config.on_bad_object == "quarantine_object":
        mode = "quarantine_object"
    try:
        read = read_row(piece, on_bad_object=mode)
    except UnusableRow as error:
        finding = Finding(error.reason, "error", Location(row=error.label_hash), str(error))
        return _refused(piece, finding, event=error.event)
    unaccounted = conservation(read.row)
    if unaccounted:
        return _refused(piece, unaccounted, event=read.event)
    found = validate(read.row, Against(min_area_pixels=config.min_area_pixels))
    findings = apply_severities((*read.findings, *found), config.severities)
    status = "accepted" if read.row.branch_name == config.branch else "other_branch"
    return Reading(
        status=status, offset=piece.offset, length=piece.length, event=read.event, row=read.row, findings=findings
    )


def _refused(piece: RowSlice, *findings: Finding, event: RowEvent | None = None) -> Reading:
    return Reading(
        status="quarantined", offset=piece.offset, length=piece.length, event=event, row=None, findings=findings
    )


def excluded(row: LabelRow) -> dict[str, int]:
    """Objects left out on purpose, by named reason."""
    return dict(Counter(item.reason for item in row.excluded))


def rule_counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How often each rule fired, most often first."""
    return dict(Counter(finding.rule for finding in findings).most_common())
