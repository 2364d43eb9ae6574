"""What a tick of the sensor begins with: what is known, what nobody finished, what the listing and the queue show."""

import time
from collections.abc import Callable, Iterable, Sequence

import dagster as dg
import msgspec

from encord_dagster.errors import StorageError
from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.feed import Feed
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import Cursor, Limits, Sighting, Sweep, left_behind, read_cursor, sweep

Look = Callable[[Export], Sighting]


class Tick:
    """One tick: what Dagster holds when it begins, and the stores."""

    def __init__(
        self, context: dg.SensorEvaluationContext, stores: LabelSetStores, *, name: str, limits: Limits
    ) -> None:
        self.context, self.name, self.limits = context, name, limits
        self.instance, self.log = context.instance, context.log
        self.landing, self.lake = stores.landing(), stores.lake()
        self.cursor, complaint = read_cursor(context.cursor)
        if complaint:
            self.log.warning(complaint)
        self.partitions = list(self.instance.get_dynamic_partitions(names.exports_partitions(name)))
        self.known = set(self.partitions)
        self._queue = stores.queue()
        self._deadline = time.monotonic() + limits.seconds

    def left_behind(self) -> Sequence[str]:
        """Exports that became partitions since the last tick was done; no tick has asked for them."""
        return left_behind(self.partitions, self.cursor)[: self.limits.exports]

    def cursor_after(self, cursor: Cursor, *, left: Sequence[str], added: int) -> Cursor:
        """The cursor when this tick is done: what it was left, and what it adds, are then known."""
        seen = len(self.partitions) if self.cursor.known is None else self.cursor.known + len(left)
        # What lies behind was not looked at yet: new partitions come after it, and are looked at once more.
        known = seen + added if seen == len(self.partitions) else seen
        return msgspec.structs.replace(cursor, known=known)

    def swept(self, look: Look) -> Sweep:
        """The exports that the queue names, then those of the listing behind the cursor."""
        named = self._named(look)
        first = {item.export.id for item in named}
        left = msgspec.structs.replace(self.limits, exports=self.limits.exports - len(named))
        if left.exports <= 0:
            return Sweep(listed=0, sightings=named, cursor=self.cursor, complete=False)
        found = self._sweep(exports_in(self.landing, start_after=self.cursor.after), look, left, first)
        return msgspec.structs.replace(found, sightings=(*named, *found.sightings))

    def _named(self, look: Look) -> tuple[Sighting, ...]:
        if self._queue is None:
            return ()
        feed = Feed(self._queue, self.landing)
        try:
            seen = self._sweep(feed.exports(), look, self.limits, set())
            self.log.info(f"{feed.settle(self.known)} messages of the queue are done")
        except StorageError as error:
            self.log.warning(f"{error}; exports are found by the sweep alone")
            return ()
        return seen.sightings

    def _sweep(self, exports: Iterable[Export], look: Look, limits: Limits, first: set[str]) -> Sweep:
        return sweep(
            exports,
            known=self.known | first if first else self.known,
            cursor=self.cursor,
            look=look,
            limits=limits,
            expired=lambda: time.monotonic() > self._deadline,
        )
