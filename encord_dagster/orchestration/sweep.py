"""Which exports of the landing prefix are new, and which runs to ask for. No Dagster, no clock, no timestamps."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Literal

import msgspec

from encord_dagster.landing import Export

RUN_EACH_UP_TO = 3
HASHES_TAGGED = 3


class Cursor(msgspec.Struct, frozen=True):
    """Where the next tick goes on. `after` is the last key looked at; `sweep` counts passes over the listing.

    `known` is how many partitions there were when the tick was done: of those behind, no finished tick knows.
    """

    v: Literal[1] = 1
    after: str = ""
    sweep: int = 0
    known: int | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one tick does: it must end well before Dagster's timeout of 60 s.

    100,000 exports are listed in two ticks: a new one is seen within two intervals, wherever its key sorts.
    """

    exports: int = 100
    listed: int = 60_000
    seconds: float = 20.0


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """An unseen export, and what a look at its bytes told.

    accounted: the label set accounts for it, Dagster has forgotten it; known_as: the accounted export that brought the
    same bytes; changed: the object is no longer what was listed.
    """

    export: Export
    hashes: tuple[str, ...] = ()
    sha256: str | None = None
    accounted: bool = False
    known_as: str | None = None
    changed: bool = False


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick saw."""

    listed: int
    sightings: tuple[Sighting, ...]
    cursor: Cursor
    complete: bool  # it reached the end of the listing

    @property
    def new(self) -> tuple[Sighting, ...]:
        """Exports that need a run."""
        return tuple(
            item for item in self.sightings if not (item.changed or item.accounted or item.known_as is not None)
        )

    @property
    def accounted(self) -> tuple[Sighting, ...]:
        """Exports that the label set accounts for and Dagster does not know."""
        return tuple(item for item in self.sightings if item.accounted)

    @property
    def duplicates(self) -> tuple[Sighting, ...]:
        """Exports whose bytes the label set accounts for already."""
        return tuple(item for item in self.sightings if item.known_as is not None)


class Request(msgspec.Struct, frozen=True):
    """One run: the exports it is for, next to each other among the partitions, and export hashes to tag it with."""

    keys: tuple[str, ...]
    hashes: tuple[str, ...] = ()


def read_cursor(text: str | None) -> tuple[Cursor, str | None]:
    """The cursor, and a complaint where the text is none of ours: the sweep starts again, which costs only time."""
    if not text:
        return Cursor(), None
    try:
        return msgspec.json.decode(text, type=Cursor), None
    except msgspec.DecodeError as error:  # ValidationError is one
        return Cursor(), f"unreadable cursor {text[:100]!r} ({error}): the sweep starts again at the first key"


def write_cursor(cursor: Cursor) -> str:
    """The cursor as Dagster stores it."""
    return msgspec.json.encode(cursor).decode()


def sweep(
    exports: Iterable[Export],
    *,
    known: Container[str],
    cursor: Cursor,
    look: Callable[[Export], Sighting],
    limits: Limits,
    expired: Callable[[], bool],
) -> Sweep:
    """Walk the exports listed behind the cursor; look at the unseen ones. Each tick gets at least one further."""
    sightings: list[Sighting] = []
    listed = 0
    for export in exports:
        listed += 1
        if export.id not in known:
            sightings.append(look(export))
        if len(sightings) >= limits.exports or listed >= limits.listed or expired():
            here = msgspec.structs.replace(cursor, after=export.key)
            return Sweep(listed=listed, sightings=tuple(sightings), cursor=here, complete=False)
    start = msgspec.structs.replace(cursor, after="", sweep=cursor.sweep + 1)
    return Sweep(listed=listed, sightings=tuple(sightings), cursor=start, complete=True)


def left_behind(partitions: Sequence[str], cursor: Cursor) -> Sequence[str]:
    """Partitions that were added since the last tick was done: by others, or by a tick that did not get to its end."""
    return [] if cursor.known is None else partitions[cursor.known :]


def requests(new: Sequence[Sighting]) -> list[Request]:
    """A run for each of a few exports, else one run for all."""
    if len(new) <= RUN_EACH_UP_TO:
        return [Request((item.export.id,), item.hashes[:HASHES_TAGGED]) for item in new]
    hashes = tuple(dict.fromkeys(found for item in new for found in item.hashes))
    return [Request(tuple(item.export.id for item in new), hashes[:HASHES_TAGGED])]


def blocks(partitions: Sequence[str], wanted: Container[str], *, size: int) -> Iterator[Request]:
    """The wanted keys as groups of neighbours among the partitions, at most `size` long: a run takes a range."""
    for is_wanted, group in groupby(partitions, key=lambda key: key in wanted):
        while is_wanted and (keys := tuple(islice(group, size))):
            yield Request(keys)


def summary(seen: Sweep) -> str:
    """What the tick saw, in a sentence or two."""
    end = "the whole listing" if seen.complete else f"up to {seen.cursor.after}, to be continued"
    parts = [f"{seen.listed} exports listed, {end}; {len(seen.new)} new"]
    if seen.accounted:
        parts.append(f"{len(seen.accounted)} are accounted for by the label set: partitions again, without a run")
    if seen.duplicates:
        pairs = ", ".join(f"{item.export.id} = {item.known_as}" for item in seen.duplicates[:5])
        parts.append(f"{len(seen.duplicates)} hold bytes that are already accounted for ({pairs})")
    changed = sum(item.changed for item in seen.sightings)
    if changed:
        parts.append(f"{changed} changed while being read and will be seen under a new id")
    return "; ".join(parts)
