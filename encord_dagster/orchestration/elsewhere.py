"""The rows of a giant export, read and converted by an engine that the deployment has, through Dagster Pipes.

`python -m encord_dagster.orchestration.elsewhere URL NAME KEY...` is what the engine runs.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import dagster as dg

from encord_dagster.errors import UsageError
from encord_dagster.orchestration import names
from encord_dagster.orchestration.paths import at_path
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


class _OfRows:
    """A step's context for Pipes, which would else insist that assets are yielded: workers bring rows, the run logs."""

    has_assets_def = False

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class Readers(NamedTuple):
    """Who reads the rows of an export: an engine, if there is one, or so many processes; 0: as many as are of use."""

    elsewhere: Elsewhere | None = None
    processes: int = 0


def engine(given: Elsewhere | str | None) -> Elsewhere | None:
    """The engine itself, or the one at a Python path as `my_project.pods.engine`. UsageError where it is none."""
    found = at_path(given, what="elsewhere") if isinstance(given, str) else given
    if found is not None and not isinstance(found, Elsewhere):
        raise UsageError(f"elsewhere {given!r} is a {type(found).__name__}, not an Elsewhere")
    return found


@contextlib.contextmanager
def readers(context: dg.AssetExecutionContext, lake: ObjectStore, name: str, *, lake_url: str) -> "Iterator[Find]":
    """Who reads the rows of an export, by its size, as the resource of the label set says."""
    from encord_dagster.workers import RemoteWorkers, local  # brings numpy: not when definitions load

    chosen: Readers = getattr(context.resources, names.readers_resource(name))
    engine = chosen.elsewhere
    with local(chosen.processes) as find:
        if engine is None:
            yield find
            return
        launch, least = engine.launch, engine.from_bytes
        of_rows = cast("dg.AssetExecutionContext", _OfRows(context))
        workers = RemoteWorkers(
            lake,
            name,
            lake_url=lake_url,
            launch=lambda command: launch(of_rows, command),
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
