"""The rows of a giant export, read and converted by an engine that the deployment has, through Dagster Pipes.

`python -m encord_dagster.orchestration.elsewhere URL NAME KEY...` is what the engine runs.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from encord_dagster.workers import Find

LaunchIn = Callable[[dg.AssetExecutionContext, Sequence[str]], object]
"""Runs a command where there is room, such as by a Pipes client, and waits for its end; raises where it failed."""


class Elsewhere(NamedTuple):
    """An engine for exports of `from_bytes` or more: `launch` runs a command with it, up to `workers` at a time.

    Rows, tasks and results lie in the lake, so its url has to mean the same there, with credentials for it.
    """

    launch: LaunchIn
    workers: int
    from_bytes: int = 500_000_000


@contextlib.contextmanager
def readers(
    context: dg.AssetExecutionContext, lake: ObjectStore, name: str, *, lake_url: str, engine: Elsewhere | None
) -> "Iterator[Find]":
    """Who reads the rows of an export, by its size: the engine, or processes of this machine."""
    from encord_dagster.workers import RemoteWorkers, local  # brings numpy: not when definitions load

    with local() as find:
        if engine is None:
            yield find
            return
        launch, least = engine.launch, engine.from_bytes
        workers = RemoteWorkers(
            lake,
            name,
            lake_url=lake_url,
            launch=lambda command: launch(context, command),
            workers=engine.workers,
            module=__name__,
        )
        with contextlib.closing(workers):
            yield lambda size: workers if size >= least else find(size)


def main(arguments: Sequence[str]) -> None:
    """Do the tasks whose keys are given, and tell Dagster of each."""
    from dagster_pipes import open_dagster_pipes

    from encord_dagster.preparing import prepare_in_lake

    url, name, *keys = arguments
    with open_dagster_pipes() as pipes:
        for key in keys:
            pipes.log.info(f"{key}: {prepare_in_lake(url, name, key):,} rows")


if __name__ == "__main__":
    main(sys.argv[1:])
