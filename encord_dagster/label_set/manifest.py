"""What a version is made of: root manifest -> nodes -> row buckets -> shards, and the log record that commits it.

All of it is content: no clock, no run id, no key or time of an export. `format_version` 1 had no nodes, and
checkpoints that list every export.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from encord_dagster.findings import Finding
from encord_dagster.formats.fragment import Category, ClassCount

FORMAT_VERSION = 2
ROWS_PER_BUCKET = 256  # a set splits its buckets when they hold more on average
ANNOTATIONS_PER_BUCKET = 2**15  # likewise, as long as there are rows to split


_SEAL = re.compile(rb',"digest":"([0-9a-f]{64})"\}\n\Z')


class ObjectRef(msgspec.Struct, frozen=True):
    """A content-addressed object: where it lies and what it must be."""

    key: str
    sha256: str
    size: int


class BucketRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One label row of a version. `fragment` is None for a tombstone (the data behind the row is gone)."""

    row: str  # row identity
    label_hash: str
    branch_name: str
    fingerprint: str
    fragment: str | None
    objects_in: int = 0
    objects_quarantined: int = 0
    objects_excluded: dict[str, int] = {}
    images: int = 0
    annotations: int = 0
    classes: tuple[ClassCount, ...] = ()
    losses: dict[str, int] = {}  # what the formats cannot hold of it, by code
    source: Literal["labels", "coco"] = "labels"  # which of Encord's formats it came in
    version: int = 0  # that its content came with, so no part of any digest; 0 where an older release wrote it
    export_hash: str = ""  # that its content came with, no part of any digest either; "" where there was none
    exports: int = 0  # in the history that its content came with, no part of any digest either
    rules: dict[str, int] = {}  # how often each rule fired on the event that its content came with


class Patch(msgspec.Struct, frozen=True):
    """Rows of a bucket that came after its shards were written, in an object of their own: what shards have is old."""

    ref: ObjectRef
    rows: tuple[str, ...]  # by identity


class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rows whose identity begins with one prefix, and their shards: coco, masks, and one per table."""

    format_version: int
    rows: tuple[BucketRow, ...]  # by identity
    shards: dict[str, ObjectRef]
    patch: Patch | None = None

    @property
    def refs(self) -> list[ObjectRef]:
        """Every object that the bucket names."""
        return [*self.shards.values(), *([self.patch.ref] if self.patch else [])]


class BucketRef(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket as a root or node names it; `digest` is the tree digest of its rows."""

    ref: ObjectRef
    rows: int
    digest: str
    coco_size: int  # bytes, or more: rows that a patch replaces count too


class NodeRef(msgspec.Struct, frozen=True, kw_only=True):
    """A node as a root or another node names it, and the sums over the buckets below it."""

    ref: ObjectRef
    rows: int
    digest: str
    coco_size: int
    buckets: int


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Names what lies below one prefix, by prefixes that are one hex digit longer: other nodes, or buckets."""

    format_version: int
    nodes: dict[str, NodeRef] = {}
    buckets: dict[str, BucketRef] = {}


Children = Mapping[str, BucketRef] | Mapping[str, NodeRef]


class Root(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version. What was added later is left out where it is empty, so that older roots keep their form."""

    format_version: int
    content_digest: str
    config_digest: str
    prefix_length: int  # hex digits of the row identity that name a bucket
    buckets: dict[str, BucketRef]  # none where there are so many that nodes name them
    categories: tuple[Category, ...]
    classes: tuple[ClassCount, ...]  # objects by class and by the name they carry
    datasets: tuple[str, ...]
    id_overrides: dict[str, int]  # identity of a record -> id, where the plain id was taken; append-only
    files: dict[str, ObjectRef]  # plain files of the version
    rows: int
    tombstones: int
    images: int
    annotations: int
    losses: dict[str, int] = {}  # those of its rows, by code
    coco_rows: int = 0  # rows that came as COCO
    defined: tuple[str, ...] = ()  # feature hashes of the categories that an ontology names, also without objects
    nodes: dict[str, NodeRef] = {}
    rules: dict[str, int] | None = None  # those of its rows; None where an older release wrote some of these


class ExportEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An export that a log record accounts for."""

    id: str
    sha256: str  # of its bytes
    events: ObjectRef
    rows: int
    latest: str  # greatest time of its row events, "" where they carry none
    export_hashes: tuple[str, ...]  # the first 100, sorted; all of them are in the events
    export_hash_count: int
    ontology: str = ""  # sha256 of the ontology that lay beside it, "" where there was none
    named: dict[str, str] = {}  # what the configured pattern found in its name
    quarantine: str = ""  # key of what it left in quarantine, "" where that is nothing


class RetiredRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A label row that was removed on purpose, and stays out however often it is exported."""

    label_hash: str
    branch_name: str
    data_hash: str = ""  # by which it was named, "" where that was its label hash


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """All retired rows of a label set, by label hash and branch."""

    format_version: int = FORMAT_VERSION
    rows: tuple[RetiredRow, ...]


Op = Literal["publish", "observe", "rollback", "unblock", "retire", "restore", "release", "gc"]


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One commit. `version` rises with every change of content that readers see.

    What was added later is left out where it is empty, so that older records keep their form.
    """

    format_version: int
    seq: int
    version: int
    op: Op
    previous: str | None  # sha256 of the previous record's bytes
    epoch: int
    root: ObjectRef | None  # None until a first version exists
    content_digest: str
    config_digest: str
    converter_version: int
    exports: tuple[ExportEntry, ...]
    fragments: int  # label rows converted for this version
    buckets: int  # buckets written for this version
    findings: tuple[Finding, ...] = ()  # of the version beside the one before it; an observe repeats them
    content: Literal["join", "export"] = "join"  # what a version holds, as configured
    held: ObjectRef | None = None  # root of a version that is held back; the next one is built on it
    held_findings: tuple[Finding, ...] = ()  # why it is held back
    blocked: tuple[str, ...] = ()  # exports whose events take no part in the join, sorted
    again: tuple[str, ...] = ()  # exports that the next run reads again, out of their raw copies, sorted
    retired: ObjectRef | None = None  # the rows removed on purpose
    went_back_to: int = 0  # the version that a rollback names
    condemned: ObjectRef | None = None  # of a gc: the list of what it removes
    reason: str = ""  # of an operation, as its operator gave it

    @property
    def doubts(self) -> tuple[Finding, ...]:
        """What is odd about a version that is held back, then about the one that readers see."""
        return (*self.held_findings, *self.findings)


def encode(value: msgspec.Struct) -> bytes:
    """The one JSON form of a manifest object."""
    return msgspec.json.encode(value, order="deterministic") + b"\n"


def sha256(data: bytes) -> str:
    """sha256 hex."""
    return hashlib.sha256(data).hexdigest()


def sealed(data: bytes) -> bytes:
    """A manifest object whose last key is the sha256 of all the rest: for what nothing else vouches for."""
    return data[:-2] + b',"digest":"%s"}\n' % sha256(data).encode()


def seal_holds(data: bytes) -> bool | None:
    """Whether a sealed object says what it said when it was written; None where it has no seal."""
    seal = _SEAL.search(data)
    return sha256(data[: seal.start()] + b"}\n") == seal[1].decode() if seal else None


def record_holds(data: bytes, record: LogRecord) -> bool:
    """Whether the bytes of a record are those that were written; `format_version` 1 wrote some without a seal."""
    holds = seal_holds(data)
    return record.format_version < 2 if holds is None else holds


def entry_digest(row: BucketRow) -> str:
    """The digest of one row's content: identity, fingerprint, tombstone."""
    return sha256("\0".join((row.row, row.fingerprint, "gone" if row.fragment is None else "")).encode())


def tree_digest(rows: Sequence[BucketRow], depth: int = 0) -> str:
    """The digest of rows sorted by identity, as a hex trie: the same however they are cut into buckets."""
    if not rows:
        return ""
    if len(rows) == 1:
        return entry_digest(rows[0])
    children: dict[str, list[BucketRow]] = {}
    for row in rows:
        children.setdefault(row.row[depth], []).append(row)
    return join_digests({digit: (len(part), tree_digest(part, depth + 1)) for digit, part in children.items()})


def join_digests(children: Mapping[str, tuple[int, str]]) -> str:
    """The digest of a trie node out of (rows, digest) by next hex digit; a single row passes through."""
    held = {digit: child for digit, child in children.items() if child[0]}
    if sum(count for count, _ in held.values()) <= 1:
        return next((digest for _, digest in held.values()), "")
    return sha256("".join(f"{digit}{held[digit][1]}" for digit in sorted(held)).encode())


def content_digest(children: Children, config_digest: str) -> str:
    """What "the same version" means: row identities, fingerprints, tombstones and configuration."""
    tree = nodes(children, 0).get("", (0, ""))[1]
    return sha256(f"{config_digest}\0{tree}".encode())


def nodes(children: Children, depth: int) -> dict[str, tuple[int, str]]:
    """(rows, digest) of the trie's nodes whose prefixes have `depth` hex digits; the children have as many or more."""
    level = {prefix: (ref.rows, ref.digest) for prefix, ref in children.items()}
    for length in range(max((len(prefix) for prefix in level), default=0), depth, -1):
        parents: dict[str, dict[str, tuple[int, str]]] = {}
        for prefix, child in level.items():
            parents.setdefault(prefix[: length - 1], {})[prefix[length - 1]] = child
        level = {p: (sum(n for n, _ in c.values()), join_digests(c)) for p, c in parents.items()}
    return level


def prefix_length(rows: int, annotations: int, *, at_least: int = 0) -> int:
    """How many hex digits name a bucket of a set of that many rows and annotations; never fewer than it had.

    A bucket is in memory as a whole while it is written, and one row of a long video has thousands of annotations.
    """
    length = at_least
    while rows > ROWS_PER_BUCKET * 16**length or (
        annotations > ANNOTATIONS_PER_BUCKET * 16**length and rows > 16**length
    ):
        length += 1
    return length
