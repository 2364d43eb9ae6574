"""Exports through Dagster's own daemon and code server, over SQLite: from a run's creation to what is published."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from benchmarks.figures import Figure, show
from encord_dagster import open_label_set
from encord_dagster.storage.open import open_store
from tests.lakes import images_export
from tests.orchestration.daemons import Site, site

BURST = 100
SINGLE = 3
NEVER = "0 0 29 2 *"


def main() -> None:
    """A few exports one after the other, and then a burst."""
    with tempfile.TemporaryDirectory() as folder, site(Path(folder), cron=NEVER) as place:
        os.environ["DAGSTER_HOME"] = str(place.home)
        place.daemon()
        single = [_seconds(place, _brought(place, 1, seed=number)) for number in range(SINGLE)]
        before = place.cpu_seconds()
        seconds = _seconds(place, _brought(place, BURST, seed=1000))
        work = place.cpu_seconds() - before
    show(
        [
            Figure("a single export, from its run's creation to its end", min(single), "s", "daemon, SQLite"),
            Figure(f"an export of a burst of {BURST}, likewise", seconds / BURST, "s", "daemon, SQLite"),
            Figure(f"an export of a burst of {BURST}", work / BURST, "s CPU", "daemon, code server and run"),
        ]
    )


def _brought(place: Site, count: int, *, seed: int) -> Sequence[dg.RunRecord]:
    """Deliver exports of one row; the runs that published them."""
    with dg.DagsterInstance.get() as instance:
        before = {record.dagster_run.run_id for record in instance.get_run_records()}
        wanted = len(_published(place)) + count
        place.deliver(**{f"{seed}-{number}": images_export(1, seed=seed + number) for number in range(count)})
        place.wait("all is published", lambda: len(_published(place)) == wanted)
        place.wait("all runs are done", lambda: all(run.is_finished for run in instance.get_runs()))
        return [record for record in instance.get_run_records() if record.dagster_run.run_id not in before]


def _published(place: Site) -> set[str]:
    log = open_label_set(open_store(str(place.lake)), "street").log()
    return {entry.id for record in log for entry in record.exports}


def _seconds(place: Site, records: Sequence[dg.RunRecord]) -> float:
    """From the first run's creation to the last one's end."""
    if not records or not all(record.end_time for record in records):
        raise SystemExit(f"runs did not end: see {place.folder}/log")
    return max(record.end_time or 0 for record in records) - min(
        record.create_timestamp.timestamp() for record in records
    )


if __name__ == "__main__":
    main()
