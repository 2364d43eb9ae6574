"""Dagster shows of an export what the lake shows, and nothing else: its databases are read by many."""

import contextlib
import sqlite3
from pathlib import Path

import dagster as dg

from tests.canaries import Planter, deliveries
from tests.orchestration.world import RANGE, World
from tests.published import text_of
from tests.test_canaries import PUBLISHED


def test_a_run_of_dagster_shows_no_more(ticking: World, tmp_path: Path) -> None:
    """Events, metadata, messages, tags, cursors and logs, as they lie in the instance's databases and files."""
    planter = Planter()
    for folder, files in deliveries(planter).items():
        for name, data in files.items():
            ticking.deliver(f"{folder}/{name}", data=data)

    requests = ticking.tick().requests
    for request in requests:
        ticking.run(keys=[request.partition_key] if request.partition_key else _ends(request))

    assert len(ticking.materialized("label_set")) == 3
    shown = _stored(tmp_path)
    assert "encord/landing_key" in shown
    assert planter.found(shown) <= PUBLISHED
    assert ("word", "objects.name") in planter.found(shown)


def _ends(request: dg.RunRequest) -> list[str]:
    return [request.tags[tag] for tag in RANGE]


def _stored(folder: Path) -> str:
    """Every value in the databases of a Dagster instance, and every file beside them."""
    shown: list[str] = []
    for path in folder.rglob("*"):
        if path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(path)) as database:
                names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
                shown += [repr(row) for name in names for row in database.execute(f'select * from "{name}"')]  # noqa: S608
        elif path.is_file():
            shown.append(text_of(path.read_bytes()))
    return "\n".join(shown)
