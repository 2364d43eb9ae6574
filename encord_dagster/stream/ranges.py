"""One range of an export from its bytes to its spools."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from encord_dagster.accounting import some_at_once
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.errors import RowError
from encord_dagster.formats.fragment import Category
from encord_dagster.stream.counts import Counts
from encord_dagster.stream.cut import chunks
from encord_dagster.stream.job import Done, Job
from encord_dagster.stream.lane import Lane
from encord_dagster.stream.large import convert_in_parts, is_large
from encord_dagster.stream.work import Spools, Work

_BUFFER = 2**20  # bytes of each spool that are written together
_ROOM, _BLOCK = 2**24, 2**16  # bytes: for a chunk and all that is made of it
_KEPT: list[bytes] = []
Progress = Callable[[Counts, int], None]  # what was counted, and how many bytes of the range are done


def convert_range(job: Job, progress: Progress) -> Done:
    """Convert a range. Unusual where its bytes are no rows."""
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    _make_room()
    files = [(folder / name).open("wb", buffering=_BUFFER) for name in Spools.__struct_fields__]
    try:
        work = Work(job, Spools(*files))
        lane = Lane(work)
        for chunk in chunks(Path(job.path), job.start, job.end, job.opening.encode(), last=job.last):
            _convert(work, lane.take(chunk))
            work.count_findings()
            progress(work.counts, chunk.end - job.start)
            del chunk  # before the next is read: one row can be most of an export
    finally:
        for file in files:
            file.close()
    return Done(counts=work.counts, categories=tuple(work.categories.values()), abouts=tuple(work.abouts))


def _convert(work: Work, pieces: Sequence[RowSlice]) -> None:
    """Convert rows that the fast lane has left."""
    for some in _portions(pieces):
        if not is_large(some[0]) or not convert_in_parts(work, some[0]):
            work.convert(list(work.reader.read(some)))


def _make_room() -> None:
    """Let the process keep the memory that chunks of rows take in turn, whatever it gives back in between.

    The C library returns the free end of its memory to the system at once, and gets it again for the next chunk, page
    by page: a tenth of all time. Behind something that stays it is no end.
    """
    room = [bytes(_BLOCK) for _ in range(_ROOM // _BLOCK)]
    _KEPT.append(bytes(_BLOCK))
    room.clear()


def claims(job: Job, pieces: Sequence[RowSlice]) -> tuple[Category, ...]:
    """The categories that are known after some rows; nothing is written."""
    work = Work(job, None)
    for some in _portions(pieces):
        if not is_large(some[0]) or not _claimed_by_part(work, some[0]):
            for read in work.reader.read(some):
                work.offered(*read)
    return tuple(work.categories.values())


def _claimed_by_part(work: Work, piece: RowSlice) -> bool:
    """Whether the first frames of a long row have told its classes, which cost little to read."""
    try:
        parts = work.reader.in_parts(piece)
        for part in () if work.ontology else parts:
            work.claimed(parts.read(part))
            return True
    except (Odd, RowError, *UNREADABLE):
        return False
    return False


def _portions(pieces: Sequence[RowSlice]) -> Iterator[list[RowSlice]]:
    """Rows that are read together; a large one is alone."""
    for alone, some in groupby(pieces, key=is_large):
        if alone:
            yield from ([piece] for piece in some)
        else:
            yield from some_at_once(some)
