"""The exports that a log accounts for, and the checkpoints that save reading it from its beginning.

A checkpoint holds the exports of the last records, and tells of earlier ones in spans: which ids and ranks lie in them,
so that a span is read only where the answer can be there. Spans of equal length are put together a hundred at a time.
So what a publish reads and writes of them does not grow with the log, but by a span or two each time that it grows
a hundredfold. All of it is derived from the log alone: a checkpoint that is missing or damaged is made up for.
"""

import contextlib
from collections.abc import Iterable, Iterator

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged, StorageError
from encord_dagster.label_set import history
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import ExportEntry, LogRecord, encode, seal_holds, sealed
from encord_dagster.storage.protocol import ObjectStore

CHECKPOINT_EVERY = 10  # records
SPAN = 100  # records whose exports one checkpoint holds, and spans that become one

Rank = tuple[str, str]
Entries = dict[str, ExportEntry]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The exports of a stretch of the log, so far as one must know to tell whether to read them."""

    upto: int  # its last record: the checkpoint of that one holds them
    records: int
    first: str  # the smallest id, "" where there is no export
    last: str  # the greatest id
    newest: Rank  # the greatest rank


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the records up to `seq` account for. An early one has no spans, and all exports since the first record."""

    seq: int
    record: str  # sha256 of record `seq`
    exports: tuple[ExportEntry, ...]  # of the records behind `since`
    since: int = 0
    earlier: tuple[Span, ...] = ()  # of the records up to `since`, oldest first


def rank(entry: ExportEntry) -> Rank:
    """What orders exports: the greatest time of their events, then their ids."""
    return (entry.latest, entry.id)


def span(entries: Iterable[ExportEntry], *, since: int, upto: int) -> Span:
    """The span of the records behind `since` up to `upto`, which account for these exports."""
    held = list(entries)
    ids = [entry.id for entry in held]
    return Span(
        upto=upto,
        records=upto - since,
        first=min(ids, default=""),
        last=max(ids, default=""),
        newest=max(map(rank, held), default=("", "")),
    )


def folded(spans: list[Span]) -> list[Span]:
    """The same spans, a hundred neighbours of one length put together."""
    while len(spans) >= SPAN and len({one.records for one in spans[-SPAN:]}) == 1:
        many = spans[-SPAN:]
        whole = Span(
            upto=many[-1].upto,
            records=sum(one.records for one in many),
            first=min((one.first for one in many if one.first), default=""),
            last=max(one.last for one in many),
            newest=max(one.newest for one in many),
        )
        spans = [*spans[:-SPAN], whole]
    return spans


class Accounted:
    """The exports that the records up to a head account for. Of the log no more is read than the questions need."""

    def __init__(self, lake: ObjectStore, name: str, upto: Head) -> None:
        self.lake, self.name, self.upto = lake, name, upto
        found = _newest_checkpoint(lake, name, upto.seq)
        self.since = found.since if found else 0
        self.earlier = list(found.earlier) if found else []
        self.recent: Entries = {entry.id: entry for entry in found.exports} if found else {}
        self._opened: dict[tuple[int, int], tuple[list[Span], Entries]] = {}  # by last record and length
        for record in history.records(lake, name, upto, after=found.seq if found else 0):
            self._add(record)

    def _add(self, record: LogRecord) -> None:
        before = record.seq - 1
        if before % SPAN == 0 and before > self.since:
            self._opened[before, before - self.since] = [], self.recent
            self.earlier = folded([*self.earlier, span(self.recent.values(), since=self.since, upto=before)])
            self.since, self.recent = before, {}
        self.recent |= {entry.id: entry for entry in record.exports}

    def checkpoint(self) -> bytes:
        """The checkpoint of the head."""
        checkpoint = Checkpoint(
            seq=self.upto.seq,
            record=self.upto.digest or "",
            exports=tuple(self.recent.values()),
            since=self.since,
            earlier=tuple(self.earlier),
        )
        return sealed(encode(checkpoint))

    def __contains__(self, export_id: str) -> bool:
        return self.get(export_id) is not None

    def get(self, export_id: str) -> ExportEntry | None:
        """How the log accounts for an export, as the last record says that does; None where it does not."""
        return self.recent.get(export_id) or self._find(self.earlier, export_id)

    def _find(self, spans: list[Span], export_id: str) -> ExportEntry | None:
        for one in reversed(spans):
            if one.first <= export_id <= one.last:
                within, entries = self._open(one)
                if found := entries.get(export_id) or self._find(within, export_id):
                    return found
        return None

    def descending(self) -> Iterator[ExportEntry]:
        """Every export, the greatest rank first; spans are read when their turn comes."""
        waiting: list[tuple[Rank, int, Span | ExportEntry]] = []

        def wait(spans: list[Span], entries: Entries) -> None:
            waiting.extend((one.newest, 1, one) for one in spans)  # read before an entry of that rank is told
            waiting.extend((rank(entry), 0, entry) for entry in entries.values())
            waiting.sort(key=_place)

        wait(self.earlier, self.recent)
        while waiting:
            _, _, one = waiting.pop()
            if isinstance(one, Span):
                wait(*self._open(one))
            elif self.get(one.id) is one:  # a later record may say otherwise of it
                yield one

    def all(self) -> Entries:
        """Every export by id, in the order in which records came to account for them."""
        found: Entries = {}
        self._gather(self.earlier, found)
        return found | self.recent

    def between(self, first: str, last: str) -> Iterator[ExportEntry]:
        """How the records came to account for exports whose ids lie in a range: of one export the last is told last.

        Spans are let go again when they were told.
        """
        yield from self._between(self.earlier, first, last)
        yield from (entry for entry in self.recent.values() if first <= entry.id <= last)

    def _between(self, spans: list[Span], first: str, last: str) -> Iterator[ExportEntry]:
        for one in spans:
            if one.first <= last and first <= one.last:
                held = (one.upto, one.records) in self._opened
                within, entries = self._open(one)
                yield from self._between(within, first, last)
                yield from (entry for entry in entries.values() if first <= entry.id <= last)
                if not held:
                    del self._opened[one.upto, one.records]

    def _gather(self, spans: list[Span], found: Entries) -> None:
        for one in spans:
            within, entries = self._open(one)
            self._gather(within, found)
            found |= entries

    def _open(self, one: Span) -> tuple[list[Span], Entries]:
        """What a span holds: shorter spans, and the exports of its last records."""
        key = one.upto, one.records
        if key not in self._opened:
            held = _read(self.lake, self.name, one.upto)
            start = one.upto - one.records
            if held is None or held.since < start:
                self._opened[key] = [], self._out_of_records(one)
            else:
                within = [part for part in held.earlier if part.upto > start]
                self._opened[key] = within, {entry.id: entry for entry in held.exports}
        return self._opened[key]

    def _out_of_records(self, one: Span) -> Entries:
        after = history.read_record(self.lake, self.name, one.upto + 1)
        if after is None:
            missing = layout.log(self.name, one.upto + 1)
            raise HistoryDamaged(f"{self.lake.url}: {missing} is missing; run `verify` and restore the log")
        upto = Head(one.upto, None, after[0].previous)
        found = history.records(self.lake, self.name, upto, after=one.upto - one.records)
        return {entry.id: entry for record in found for entry in record.exports}


def _place(waiting: tuple[Rank, int, Span | ExportEntry]) -> tuple[Rank, int]:
    return waiting[:2]


def _newest_checkpoint(lake: ObjectStore, name: str, upto: int) -> Checkpoint | None:
    """The newest checkpoint up to a record that speaks of the record in the log."""
    for seq in range(upto // CHECKPOINT_EVERY * CHECKPOINT_EVERY, 0, -CHECKPOINT_EVERY):
        checkpoint = _read(lake, name, seq)
        found = history.read_record(lake, name, seq) if checkpoint else None
        if checkpoint and found and found[1] == checkpoint.record:
            return checkpoint
    return None


def _read(lake: ObjectStore, name: str, seq: int) -> Checkpoint | None:
    """A checkpoint, None where there is none that can be believed."""
    data = lake.get(layout.checkpoint(name, seq))
    try:
        checkpoint = msgspec.json.decode(data, type=Checkpoint) if data else None
    except msgspec.DecodeError:
        return None
    return checkpoint if checkpoint and data and checkpoint.seq == seq and seal_holds(data) is not False else None


def commit(lake: ObjectStore, name: str, record: LogRecord) -> Head | None:
    """Create the next record, and a checkpoint where one is due; None where another record took its number first."""
    new = history.commit(lake, name, record)
    if new and new.seq % CHECKPOINT_EVERY == 0:
        with contextlib.suppress(StorageError):  # it is derived: readers go on from an older one
            lake.create(layout.checkpoint(name, new.seq), Accounted(lake, name, new).checkpoint())
    return new
