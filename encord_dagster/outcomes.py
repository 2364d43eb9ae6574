"""What became of a batch of exports, for people, the command line and Dagster."""

from typing import Literal

import msgspec

from encord_dagster.findings import Finding
from encord_dagster.label_set.manifest import Op
from encord_dagster.landing import Export

MAX_FINDINGS = 200
MAX_HASHES = 100


class ExportOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one export.

    published: it brought a change into a version; observed: it is accounted for and changed nothing; held: it is
    accounted for, and the version that it changes is held back until somebody releases it or a newer export heals it;
    converted: not published, as asked; quarantined: nothing in it could be used; failed: the store or the
    converter failed, run it again.
    """

    export: Export
    status: Literal["published", "observed", "held", "converted", "quarantined", "failed"]
    sha256: str | None = None  # of the bytes as they lie in the landing prefix
    named: dict[str, str] = {}  # what the configured pattern found in its name
    rows: int = 0
    rows_quarantined: int = 0
    images: int = 0
    objects_in: int = 0
    objects_published: int = 0  # converted into this export's fragments (or already there, unchanged)
    objects_quarantined: int = 0
    objects_excluded: dict[str, int] = {}  # by named reason
    classes: dict[str, int] = {}  # class name -> objects
    rules: dict[str, int] = {}  # rule -> times fired
    findings: tuple[Finding, ...] = ()  # at most 200, worst first; all of them are in the lake
    export_hashes: tuple[str, ...] = ()  # at most 100, sorted
    export_hash_count: int = 0  # of all of them
    exported_from: str | None = None
    exported_to: str | None = None
    fragments_converted: int = 0
    fragments_reused: int = 0
    coco_bytes: int = 0  # of the converted fragments
    mask_bytes: int = 0
    uris: dict[str, str] = {}  # raw, events, findings, quarantine, coco, masks, tables -> where it lies
    error: str | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The log record that accounts for a batch, and the version it stands for."""

    seq: int
    version: int
    op: Op
    content_digest: str
    manifest_digest: str
    rows: int
    images: int
    annotations: int
    classes: dict[str, int]
    losses: dict[str, int] = {}  # what the formats cannot hold of it, by code
    findings: tuple[Finding, ...] = ()  # what is odd about the version beside the one before it
    held: bool = False  # whether a newer version is held back
    held_findings: tuple[Finding, ...] = ()  # why
    uri: str  # of the log record
    coco_uri: str | None  # of the plain annotations/instances.json, where there is one


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch of exports; `published` is None where none of them could be accounted for."""

    outcomes: tuple[ExportOutcome, ...]
    published: Published | None
