"""Rows read, judged and converted by other processes, ahead of the one that brings them into a label set.

What a task comes to depends on nothing but its bytes, so whoever does it, and however often, the lake is the same. What
a task cannot settle (a class that nobody has claimed yet) is left to the process that asked.

`python -m encord_dagster.preparing URL LABEL_SET KEY...` does tasks that lie in a lake.
"""

import functools
import hashlib
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import IO

import msgspec

from encord_dagster import layout
from encord_dagster.accounting import Found, Read, Reading, RowReader, index_of, judged
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.model import RowEvent
from encord_dagster.encord.ontology import Ontology
from encord_dagster.encord.resolve import Index
from encord_dagster.errors import RowError, UsageError
from encord_dagster.formats.fragment import Category, classes_of, fragment_name
from encord_dagster.offers import Facts, Made, RowOffer, facts_of
from encord_dagster.storage.protocol import ObjectStore

_LENGTH = struct.Struct("<q")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Rows to prepare, in bytes or as a range of an object of the lake, and what that depends on."""

    config: LabelSetConfig
    document: bytes  # of the ontology, b"" without one
    categories: tuple[Category, ...]  # that are claimed
    rows: tuple[RowSlice, ...]  # without their bytes where they are in an object
    source: str = ""  # key of that object


class Prepared(Found, frozen=True, kw_only=True):
    """What one row came to. The fields are those of `Reading`, then what a `RowOffer` would say."""

    status: str
    offset: int
    length: int
    event: RowEvent | None
    facts: Facts | None = None
    classes: tuple[str, ...] = ()
    losses: dict[str, int] = {}
    fragment: str | None = None  # its name
    made: Made | None = None
    refused: tuple[str, str] = ("", "")  # reason and text, where no format can hold it

    @property
    def reading(self) -> Reading:
        """The row as it was read, without its labels."""
        return Reading(
            status=self.status,
            offset=self.offset,
            length=self.length,
            event=self.event,
            row=None,
            findings=self.findings,
            digest=self.digest,
        )


_RESULT = msgspec.msgpack.Decoder(list[Prepared | None])


class PreparedOffer:
    """A row that another process read and converted, as an `Offer`."""

    def __init__(self, prepared: Prepared, facts: Facts, claimed: Mapping[str, Category], config_digest: str) -> None:
        self._prepared, self._facts, self._claimed, self._config_digest = prepared, facts, claimed, config_digest

    def facts(self) -> Facts:
        """The row as it was read."""
        return self._facts

    def classes(self, _ontology: Ontology | None) -> dict[str, Category]:
        """The classes that its objects need: all of them were claimed before."""
        return {key: self._claimed[key] for key in self._prepared.classes}

    def fit(self, _categories: Mapping[str, Category]) -> Facts:
        """There is nothing to leave out, else it would not have been prepared; a category keeps its joints."""
        return self._facts

    def own_ids(self, ids: Mapping[str, int]) -> dict[str, int]:
        """None: where there are overrides, no rows are prepared."""
        if ids:
            raise ValueError("rows were prepared although there are ids that differ from the plain ones")
        return {}

    def losses(self) -> dict[str, int]:
        """What the formats cannot hold of it, by code."""
        return self._prepared.losses

    def make(self, categories: Mapping[str, Category], ids: Mapping[str, int]) -> Made:
        """Its fragment. RowError where no format can hold it."""
        row, reason = self._prepared, self._prepared.refused[0]
        if reason:
            raise RowError(*row.refused)
        fingerprint = row.event.fingerprint if row.event else ""
        name = fragment_name(fingerprint, categories, config_digest=self._config_digest, ids=ids)
        if row.made is None or row.fragment != name:
            raise ValueError(f"row {self._facts.label_hash} was prepared with other categories than it has")
        return row.made


def encoded(task: Task) -> bytes:
    """A task as it travels."""
    return msgspec.msgpack.encode(task)


def decoded(data: bytes) -> list[Prepared | None]:
    """The result of a task: one for each row, None where it is left to who asked."""
    return _RESULT.decode(data)


def prepare(data: bytes, lake: ObjectStore | None = None) -> bytes:
    """Do a task. ValueError where its rows are in an object and no lake is given, or it is not there."""
    task = msgspec.msgpack.decode(data, type=Task)
    pieces = _fetched(task, lake) if task.source else task.rows
    index = index_of(task.document) if task.document else None
    reader = _reader(msgspec.json.encode(task.config), task.document)
    known = {one.feature_hash: one for one in task.categories}
    made = [_prepared(read, index, task.config, known) for read in reader.read(pieces)]
    return msgspec.msgpack.encode(made)


@functools.lru_cache(maxsize=4)
def _reader(config: bytes, document: bytes) -> RowReader:
    """One for all tasks of an export: it remembers answers that it has read."""
    return RowReader(msgspec.json.decode(config, type=LabelSetConfig), index_of(document) if document else None)


def _fetched(task: Task, lake: ObjectStore | None) -> list[RowSlice]:
    start, end = task.rows[0].offset, task.rows[-1].offset + task.rows[-1].length
    data = lake.get(task.source, start=start, end=end) if lake else None
    if data is None:
        raise ValueError(f"{task.source} is not there")
    return [
        msgspec.structs.replace(row, raw=data[row.offset - start : row.offset - start + row.length])
        for row in task.rows
    ]


def _prepared(
    read: Read, index: Index | None, config: LabelSetConfig, claimed: Mapping[str, Category]
) -> Prepared | None:
    """What one row came to, None where a class of it is not claimed yet, or lacks joints that the row has."""
    reading = judged(*read, index, config)
    event, row = reading.event, reading.row
    told = Prepared(
        status=reading.status, offset=reading.offset, length=reading.length, event=event, findings=reading.findings
    )
    if row is None or event is None:
        return told
    if reading.status != "accepted":
        return msgspec.structs.replace(told, facts=facts_of(row))
    wanted = classes_of(row, index.ontology if index else None)
    if not wanted.keys() <= claimed.keys():
        return None
    categories = {key: claimed[key] for key in wanted}
    offer = RowOffer(row, masks=config.masks)
    facts = offer.fit(categories)
    if offer.row is not row:
        return None
    told = msgspec.structs.replace(told, facts=facts, classes=tuple(categories), losses=offer.losses())
    if row.deleted:
        return told
    name = fragment_name(event.fingerprint, categories, config_digest=config.digest(), ids={})
    try:
        return msgspec.structs.replace(told, fragment=name, made=offer.make(categories, {}))
    except RowError as error:
        return msgspec.structs.replace(told, refused=(error.reason, str(error)))


def write_frame(file: IO[bytes], data: bytes) -> None:
    """Send one task or result."""
    file.write(_LENGTH.pack(len(data)))
    file.write(data)
    file.flush()


def read_frame(file: IO[bytes]) -> bytes | None:
    """Receive one task or result, None where the other side has ended."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = file.read(length)
    return data if len(data) == length else None


def prepare_in_lake(url: str, name: str, key: str) -> int:
    """Do a task that lies in the lake, leave its result there, and return how many rows it was for."""
    from encord_dagster.storage.open import open_store

    lake = open_store(url)
    task = lake.get(key)
    if task is None:
        raise UsageError(f"{url}: there is no task {key}; it may have been removed, run the export again")
    result = prepare(task, lake)
    lake.create(result_key(name, task), result)
    return len(decoded(result))


def digest_of(task: bytes) -> str:
    """What a task and its result are named by."""
    return hashlib.sha256(task).hexdigest()


def result_key(name: str, task: bytes) -> str:
    """Where the result of a task lies in a lake."""
    return layout.work(name, digest_of(task), "done")


def serve() -> None:
    """Do tasks from standard input until it ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing but results
    while (task := read_frame(source)) is not None:
        write_frame(sink, prepare(task))


def main(arguments: Sequence[str]) -> None:
    """Do the tasks whose keys are given."""
    url, name, *keys = arguments
    for key in keys:
        prepare_in_lake(url, name, key)


if __name__ == "__main__":
    main(sys.argv[1:])
