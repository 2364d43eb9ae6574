"""An engine that runs Pipes processes: the lake is the same, byte for byte, as with the run's own process."""

import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from encord_dagster.config import LabelSetConfig
from encord_dagster.orchestration.elsewhere import Elsewhere, readers
from encord_dagster.samples import Project, ontology
from encord_dagster.storage.local import LocalStore
from encord_dagster.workers import nobody
from tests.lakes import Desk, exported_again, project_export
from tests.test_workers import brought, in_lake

CONFIG = LabelSetConfig(name="street", hold_back=(), ontology=ontology(Project(3, 24)).decode())
DELIVERIES = [project_export(24), exported_again(project_export(24), changed=3, added=2)]


def test_two_pipes_processes_come_to_the_same(tmp_path: Path) -> None:
    """Each does half of the rows; Dagster has what they logged."""
    commands: list[Sequence[str]] = []
    pipes = dg.PipesSubprocessClient()
    url = str(tmp_path / "lake")
    held: list[Desk] = []

    def launch(context: dg.AssetExecutionContext, command: Sequence[str]) -> None:
        commands.append(command)
        pipes.run(context=context, command=[sys.executable, *command[1:]])

    @dg.asset
    def label_set(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        lake = LocalStore(Path(url))
        engine = Elsewhere(launch, workers=2, from_bytes=1000)
        with readers(context, lake, "street", lake_url=url, engine=engine) as find:
            held.append(brought(DELIVERIES, find, config=CONFIG, lake=lake))
        return dg.MaterializeResult()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([label_set], instance=instance)
        logged = [entry.user_message for entry in instance.all_logs(result.run_id)]

    assert result.success
    assert len(commands) == 4  # two for each export
    assert sum("rows" in line and ".task" in line for line in logged) == len(commands)
    assert in_lake(held[0]) == in_lake(brought(DELIVERIES, nobody, config=CONFIG))
