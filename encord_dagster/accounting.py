"""One export read whole: what became of each of its rows and objects. Pure: bytes in, values out."""

import functools
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from encord_dagster import __version__
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.container import Opened, RowSlice, open_export
from encord_dagster.encord.disclosed import disclosed_digest, without_free_text
from encord_dagster.encord.label_rows import RowReading, UnusableRow, read_row
from encord_dagster.encord.model import Excluded, LabelRow, RowEvent
from encord_dagster.encord.ontology import read_ontology
from encord_dagster.encord.plain_parts import Parts
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.privacy import Disclosure
from encord_dagster.encord.resolve import Index, part_digest, resolve
from encord_dagster.encord.row_digest import Digested, digested
from encord_dagster.errors import ExportError, UsageError
from encord_dagster.findings import Finding, Location
from encord_dagster.rules.against import Against
from encord_dagster.storage.mapped import Data
from encord_dagster.validation import apply_severities, conservation, is_wanted, validate

ROWS_AT_ONCE = 64
BYTES_AT_ONCE = 2**20  # of rows that are read together
_LOOKED_UP = (2**22, 256)  # bytes and rows that are looked up together: most of them are known then


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of a row, whoever read it.

    `digest` is over what the reading depends on, None where it has to be read each time.
    """

    findings: tuple[Finding, ...]
    digest: bytes | None = None


class Reading(Found, frozen=True, kw_only=True):
    """One row of an export. `status`: accepted, other_branch or quarantined; a quarantined row has no `row`."""

    status: str
    offset: int
    length: int
    event: RowEvent | None
    row: LabelRow | None


Known = TypeVar("Known")
Prepared = TypeVar("Prepared", bound=Found)
Look = Callable[[Sequence[Digested | None]], Iterable[tuple[int, Known | None]]]
"""How many rows lie beside each other, and what is known of them together; None of those that have to be read."""
Ahead = Callable[[Sequence[RowSlice]], Callable[[], Sequence[Prepared | None]]]
"""Has rows prepared by others; what it returns waits for them, and says None of those that are still to be read."""
Read = tuple[int, int, RowReading | UnusableRow]  # where the bytes of a row lie, and what was read of them


class Delivery(msgspec.Struct, frozen=True):
    """An export opened, with the ontology that its rows are read by and what may leave them beyond labels.

    `context` is a digest of what reading a row depends on but for the row; `document` is the ontology's.
    """

    opened: Opened
    ontology: Index | None
    document: bytes
    disclosure: Disclosure
    context: bytes


def open_delivery(data: Data, config: LabelSetConfig, *, beside: bytes | None = None) -> Delivery:
    """Open an export; its ontology is the configured one, else the one in it, else the one that lay beside it.

    Raises ExportError where the export, or the ontology that came with it, is unusable; UsageError for the
    configured one, and where the key for pseudonyms is missing.
    """
    disclosure = disclosure_of(config)
    opened = open_export(data)
    document = config.ontology.encode() or opened.ontology or beside or b""
    depends_on = (__version__.encode(), config.digest().encode(), msgspec.json.encode(config), document)
    context = hashlib.sha256(b"\0".join(depends_on)).digest()  # short: it is hashed with each row
    try:
        return Delivery(opened, index_of(document) if document else None, document, disclosure, context)
    except UsageError as error:
        if config.ontology:
            raise
        raise ExportError("bad_ontology", f"the ontology that came with the export: {error}") from error


def disclosure_of(config: LabelSetConfig) -> Disclosure:
    """What the configuration publishes beyond labels. UsageError where the key for pseudonyms is missing."""
    return Disclosure(
        titles="titles" in config.publish,
        links="links" in config.publish,
        times="times" in config.publish,
        free_text=config.free_text,
        key=config.pseudonym_key(),
    )


@functools.lru_cache(maxsize=4)
def index_of(document: bytes) -> Index:
    """An ontology's document, read. UsageError where it is none."""
    return Index(read_ontology(document))


def read_rows(delivery: Delivery, config: LabelSetConfig) -> Iterator[Reading]:
    """Every row of an export, validated. Raises ExportError where the whole of it is unusable."""
    return read_new_rows(delivery, config, None)


def read_new_rows(
    delivery: Delivery,
    config: LabelSetConfig,
    known: Look[Known] | None,
    *,
    ahead: Ahead[Prepared] | None = None,
    task_size: int = 0,
    tasks: int = 0,
) -> Iterator[Reading | Known | Prepared]:
    """Every row of an export, in its order: what is known of it, what others prepared, else as it is read.

    `known` is asked for some rows at a time, and says None of those that have to be read. `ahead` is given those, some
    `tasks` of `task_size` bytes ahead of the row that is wanted. Raises as `read_rows`.
    """
    if delivery.opened.kind == "coco":
        yield from _judged(_coco(delivery, config), delivery, config)
        return
    reader = RowReader(config, delivery.ontology)
    waiting: deque[_Some[Known, Prepared]] = deque()
    size, rows = (task_size, 0) if ahead else _LOOKED_UP if known else (BYTES_AT_ONCE, ROWS_AT_ONCE)
    for pieces in some_at_once(delivery.opened.rows, size=size, rows=rows):
        waiting.append(_begun(pieces, delivery, known, ahead))
        if len(waiting) > tasks:
            yield from _read(waiting.popleft(), reader, delivery, config)
    while waiting:
        yield from _read(waiting.popleft(), reader, delivery, config)


class _Some(NamedTuple, Generic[Known, Prepared]):
    """Some rows on their way."""

    looked: list[Digested | None]  # of those that are unknown
    held: Iterable[tuple[int, Known | None]]
    unknown: list[RowSlice]
    prepared: Callable[[], Sequence[Prepared | None]] | None


def _begun(
    pieces: list[RowSlice], delivery: Delivery, known: Look[Known] | None, ahead: Ahead[Prepared] | None
) -> _Some[Known, Prepared]:
    looked = digested(pieces, delivery.context) if known else [None] * len(pieces)
    held = list(known(looked)) if known else [(len(pieces), None)]
    starts = accumulate((count for count, _ in held), initial=0)
    to_read = [(start, start + count) for start, (count, one) in zip(starts, held, strict=False) if one is None]
    unknown = [piece for start, end in to_read for piece in pieces[start:end]]
    of_unknown = [look for start, end in to_read for look in looked[start:end]]
    return _Some(of_unknown, held, unknown, ahead(unknown) if ahead and unknown else None)


def _read(
    some: _Some[Known, Prepared], reader: "RowReader", delivery: Delivery, config: LabelSetConfig
) -> Iterator[Reading | Known | Prepared]:
    made = some.prepared() if some.prepared else [None] * len(some.unknown)
    left = [piece for piece, one in zip(some.unknown, made, strict=True) if one is None]
    readings = _judged((read for few in some_at_once(left) for read in reader.read(few)), delivery, config)
    others = zip(some.looked, made, strict=True)
    for count, known in some.held:
        if known is not None:
            yield known
        else:
            for look, one in islice(others, count):
                found = next(readings) if one is None else one
                yield msgspec.structs.replace(found, digest=_digest(look, found))


def _digest(look: Digested | None, found: Found) -> bytes | None:
    """That of a row; None where what was found may be of its event, which the digest is not over."""
    if look is None or (found.findings and look.event("") is None):
        return None
    return look.digest


def _judged(reads: Iterable[Read], delivery: Delivery, config: LabelSetConfig) -> Iterator[Reading]:
    for offset, length, read in reads:
        reading = judged(offset, length, read, delivery.ontology, config)
        if reading.status == "quarantined" and config.on_bad_object == "fail_export":
            raise ExportError(
                "bad_object", f"the configuration fails an export at its first bad row: {reading.findings[0]}"
            )
        yield reading


class RowReader:
    """Reads rows of an export, by an ontology if there is one, without judging them."""

    def __init__(self, config: LabelSetConfig, ontology: Index | None, *, fingerprints: bool = True) -> None:
        self._mode = _mode(config)
        self._relations, self._disclosure = ontology.relations if ontology else frozenset(), disclosure_of(config)
        self._plain = PlainReader(
            relations=self._relations,
            disclosure=self._disclosure,
            keep_going=config.on_bad_object == "quarantine_object",
            fingerprints=fingerprints,
        )

    def read(self, pieces: Sequence[RowSlice]) -> Iterator[Read]:
        """Each row as it was read, and where its bytes lie."""
        for piece, reading in zip(pieces, self._plain.read(pieces), strict=True):
            yield piece.offset, piece.length, reading or self._tolerantly(piece)

    def in_parts(self, piece: RowSlice) -> Parts:
        """A row a few frames at a time. Odd where it has to be read whole."""
        return Parts(piece, self._plain)

    def _tolerantly(self, piece: RowSlice) -> RowReading | UnusableRow:
        relations, disclosure = self._relations, self._disclosure
        try:
            return read_row(piece, on_bad_object=self._mode, relations=relations, disclosure=disclosure)
        except UnusableRow as error:
            return error


def _coco(delivery: Delivery, config: LabelSetConfig) -> Iterator[Read]:
    """Each row of an export that is Encord's COCO file."""
    from encord_dagster.encord.coco_export.read import read_coco

    opened, index, disclosure = delivery.opened, delivery.ontology, delivery.disclosure
    ontology, mode = index.ontology if index else None, _mode(config)
    for row in read_coco(opened.data, ontology=ontology, on_bad_object=mode, disclosure=disclosure):
        yield 0, len(opened.data), row


def _mode(config: LabelSetConfig) -> Literal["quarantine_object", "quarantine_row"]:
    return "quarantine_object" if config.on_bad_object == "quarantine_object" else "quarantine_row"


def some_at_once(
    pieces: Iterable[RowSlice], *, size: int = BYTES_AT_ONCE, rows: int = ROWS_AT_ONCE
) -> Iterator[list[RowSlice]]:
    """Rows in portions that are read together: small ones share what each would cost alone. `rows` 0: however many."""
    some: list[RowSlice] = []
    held = 0
    for piece in pieces:
        some.append(piece)
        held += piece.length
        if len(some) == rows or held >= size:
            yield some
            some, held = [], 0
    if some:
        yield some


def judged(
    offset: int,
    length: int,
    read: RowReading | UnusableRow,
    index: Index | None,
    config: LabelSetConfig,
    *,
    rules: bool = True,
) -> Reading:
    """A row held against the rules, unless told otherwise, then resolved by its ontology and filtered."""
    if isinstance(read, UnusableRow):
        finding = Finding(read.reason, "error", Location(row=read.label_hash), str(read))
        return _refused(offset, length, finding, event=read.event)
    event, row = read.event, read.row
    if unaccounted := conservation(row):
        return _refused(offset, length, unaccounted, event=event)
    against = Against(ontology=index.ontology if index else None, min_area_pixels=config.min_area_pixels)
    findings = (*read.findings, *(validate(row, against) if rules else ()))
    if index:
        row, resolved = resolve(row, index, free_text=config.free_text)
        event = _with_part(event, part_digest(row, index))
        findings += resolved
    if config.publish:
        event = _with_part(event, disclosed_digest(row))
    if not config.free_text:
        row = without_free_text(row)
    status = "accepted" if row.branch_name == config.branch else "other_branch"
    if status == "accepted" and not is_wanted(row, config):
        row = filtered(row)
    return Reading(
        status=status,
        offset=offset,
        length=length,
        event=event,
        row=row,
        findings=apply_severities(findings, config.severities),
    )


def _with_part(event: RowEvent, part: str) -> RowEvent:
    """The event, its fingerprint also over what its labels alone do not tell; "" where there is nothing."""
    combined = hashlib.sha256(f"{event.fingerprint}\0{part}".encode()).hexdigest() if part else event.fingerprint
    return msgspec.structs.replace(event, fingerprint=combined)


def filtered(row: LabelRow) -> LabelRow:
    """The row without its labels: it is known, and none of it is wanted."""
    left_out = [
        Excluded(
            "filtered",
            Location(row.label_hash, frame.data_hash, frame.number, item.object_hash, frame.space),
            item.feature_hash,
            item.shape,
        )
        for frame in row.frames
        for item in frame.objects
    ]
    return msgspec.structs.replace(row, frames=(), classifications=(), excluded=(*row.excluded, *left_out))


def _refused(offset: int, length: int, *findings: Finding, event: RowEvent | None = None) -> Reading:
    return Reading(status="quarantined", offset=offset, length=length, event=event, row=None, findings=findings)


def excluded(row: LabelRow) -> dict[str, int]:
    """Objects left out on purpose, by named reason."""
    return dict(Counter(item.reason for item in row.excluded))


def rule_counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How often each rule fired, most often first."""
    return dict(Counter(finding.rule for finding in findings).most_common())
