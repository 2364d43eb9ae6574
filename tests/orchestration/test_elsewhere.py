"""An engine that runs Pipes processes: the lake is the same, byte for byte, as with the run's own process."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.label_set import sources
from encord_dagster.landing import Export
from encord_dagster.orchestration import names
from encord_dagster.orchestration.definitions import build_label_set_definitions
from encord_dagster.orchestration.elsewhere import Elsewhere, engine
from encord_dagster.samples import Project, ontology
from encord_dagster.storage.local import LocalStore
from encord_dagster.workers import nobody
from tests.lakes import project_export
from tests.test_workers import brought, in_lake

COMMANDS: list[Sequence[str]] = []
DATA = project_export(24)


def launch(context: dg.AssetExecutionContext, command: Sequence[str]) -> None:
    """Run a command of the engine on this machine, by Pipes."""
    COMMANDS.append(command)
    dg.PipesSubprocessClient().run(context=context, command=[sys.executable, *command[1:]])


HERE = Elsewhere(launch, workers=2, from_bytes=1000)


def test_two_pipes_processes_come_to_the_same(tmp_path: Path) -> None:
    """Each reads half of the rows, within a run of the label set's own job; Dagster has what they logged."""
    COMMANDS.clear()
    document = tmp_path / "ontology.json"
    document.write_bytes(ontology(Project(3, 24)))
    defs = build_label_set_definitions(
        landing=str(tmp_path / "landing"),
        lake=str(tmp_path / "lake"),
        name="street",
        ontology=document,
        hold_back=(),
        elsewhere=f"{__name__}.HERE",
    )
    config = LabelSetConfig(name="street", hold_back=(), ontology=document.read_text("utf-8"))
    alone = brought([DATA], nobody, config=config)
    lake, landing = LocalStore(tmp_path / "lake"), LocalStore(tmp_path / "landing")
    landing.create("0.json", DATA)
    at = alone.landing.head("0.json")
    found = landing.head("0.json")
    assert at
    assert found
    (export_id,) = {info.key.split("/")[3] for info in alone.lake.list("label_sets/street/exports/")}
    export = Export(
        id=export_id, key="0.json", size=len(DATA), etag=found.etag, last_modified=datetime.now(UTC).isoformat()
    )
    sources.record_source(lake, "street", export)

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(names.exports_partitions("street"), [export_id])
        result = defs.resolve_job_def(names.ingest_job("street")).execute_in_process(
            instance=instance, partition_key=export_id
        )
        logged = [entry.user_message for entry in instance.all_logs(result.run_id)]

    assert result.success
    assert len(COMMANDS) == 2
    assert sum("rows" in line and ".task" in line for line in logged) == 2
    same = {key: data for key, data in in_lake(alone).items() if "/objects/" in key}
    assert same.items() <= {key: lake.get(key) for key in same}.items()
    assert same


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("engine", "no Python path"),
        ("nowhere.engine", "cannot be imported"),
        (f"{__name__}.launch", "is a function, not an Elsewhere"),
    ],
)
def test_what_is_no_engine_is_refused(given: str, why: str) -> None:
    """When definitions load, not in the first run."""
    with pytest.raises(UsageError, match=why):
        engine(given)
