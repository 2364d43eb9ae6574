"""The definitions as a whole: graph, names, what loading them costs, what they refuse."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster.errors import UsageError
from encord_dagster.orchestration import names
from encord_dagster.orchestration.definitions import build_label_set_definitions, configuration
from encord_dagster.orchestration.stores import NO_VALUES
from tests.orchestration.world import FakeIngest, World

ROOT = Path(__file__).parents[2]

GRAPH = {
    "raw_export": [],
    "label_rows": ["raw_export"],
    "quarantine": ["raw_export"],
    "coco": ["label_rows"],
    "masks": ["label_rows"],
    "tables": ["label_rows"],
    "label_set": ["coco", "masks", "tables"],
    "label_set_latest": ["label_set"],
}


def _graph(defs: dg.Definitions) -> dict[str, list[str]]:
    return {
        spec.key.path[-1]: sorted(dep.asset_key.path[-1] for dep in spec.deps)
        for spec in defs.resolve_all_asset_specs()
    }


def test_the_asset_graph_is_this(world: World) -> None:
    """Written by hand: a change of the graph is a change of the product."""
    assert _graph(world.defs) == GRAPH


def test_without_masks_there_is_no_asset_for_them(instance: dg.DagsterInstance) -> None:
    """An asset that never appears would stay missing for ever."""
    graph = _graph(World(instance, masks=False).defs)

    assert "masks" not in graph
    assert graph["label_set"] == ["coco", "tables"]


def test_every_partitioned_asset_shares_one_partition_set(world: World) -> None:
    """A key added by the sensor is a partition of all of them, and `label_set_latest` has none."""
    names = {
        spec.key.path[-1]: getattr(spec.partitions_def, "name", None) for spec in world.defs.resolve_all_asset_specs()
    }

    assert names == dict.fromkeys(GRAPH, "encord__street__exports") | {"label_set_latest": None}


def test_definitions_of_two_label_sets_merge() -> None:
    """One code location may hold several sets, with hyphens in their names."""
    sets = [build_label_set_definitions(landing="l", lake="w", name=name) for name in ("street", "car-park")]

    merged = dg.Definitions.merge(*sets)

    dg.Definitions.validate_loadable(merged)
    assert len(list(merged.resolve_all_asset_specs())) == 16


def test_definitions_merge_with_a_project_of_its_own() -> None:
    """A project keeps its own IO manager and executor."""
    mine = dg.Definitions(
        resources={"io_manager": dg.FilesystemIOManager(base_dir="values")}, executor=dg.multiprocess_executor
    )

    merged = dg.Definitions.merge(build_label_set_definitions(landing="l", lake="w", name="street"), mine)

    dg.Definitions.validate_loadable(merged)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "ä", "x" * 64])
def test_a_name_that_could_not_be_a_folder_is_refused(name: str) -> None:
    """It becomes part of keys in the lake."""
    with pytest.raises(UsageError, match="label set name"):
        build_label_set_definitions(landing="l", lake="w", name=name)


def test_a_severity_for_no_rule_is_refused() -> None:
    """It would be without effect, and nobody would notice."""
    with pytest.raises(UsageError, match="duplicate_boxxes: there is no such rule"):
        build_label_set_definitions(landing="l", lake="w", name="street", severities={"duplicate_boxxes": "error"})


def test_an_ontology_that_is_not_there_is_named() -> None:
    """The path is the one that was given."""
    with pytest.raises(UsageError, match=r"there\.json.*No such file"):
        build_label_set_definitions(landing="l", lake="w", name="street", ontology="there.json")


def test_a_name_may_begin_with_a_digit() -> None:
    """The lake takes it, so Dagster has to: resources need Python's names."""
    defs = build_label_set_definitions(landing="l", lake="w", name="2024")

    dg.Definitions.validate_loadable(defs)


def test_exports_can_be_said_to_be_complete() -> None:
    """Rows that the last ones leave out are then a finding."""
    config = configuration(name="street", ontology=None, exports="complete")

    assert config.landing == "complete"


@pytest.mark.parametrize("variables", [{}, {"ENCORD_LANDING": "s3://b/in", "ENCORD_LAKE": "s3://b/lake"}])
def test_loading_definitions_imports_nothing_heavy(variables: dict[str, str]) -> None:
    """Every run worker pays for what definitions import, and a broken S3 must not stop them from loading."""
    heavy = ("boto3", "botocore", "numpy", "pandas", "pyarrow", "PIL", "pycocotools", "dagster_aws")
    code = (
        "import sys, definitions\n"
        "definitions.defs.get_repository_def()\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_nothing_is_pickled_in_a_run(world: World, ingest: FakeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by an IO manager and not behind its back."""
    keys = world.delivered("a.json", "b.json")

    def refuse(*args: object, **kwargs: object) -> bytes:
        raise AssertionError("pickled")

    monkeypatch.setattr("pickle.dump", refuse)
    monkeypatch.setattr("pickle.dumps", refuse)
    monkeypatch.setattr(type(NO_VALUES), "handle_output", refuse)

    result = world.run(keys=keys)

    assert result.success


def test_the_io_manager_refuses_a_value(world: World) -> None:
    """A user's asset that returns labels is told so, instead of filling a disk with pickles."""
    resources = dict(world.defs.resources or {})

    @dg.asset
    def labels() -> list[int]:
        return [1]

    with pytest.raises(UsageError, match="return no values"):
        dg.materialize([labels], resources={"io_manager": resources[names.NO_VALUES]})


def test_the_job_runs_in_process(world: World) -> None:
    """A process for each step would cost twenty times the work of a small export."""
    job = world.defs.resolve_job_def("street_ingest")

    assert job.executor_def.name == "in_process"


@pytest.mark.parametrize("file", ["definitions.py", "examples/python/definitions.py"])
def test_dagster_loads_the_file_as_a_code_location(file: str, tmp_path: Path) -> None:
    """Dagster itself finds the definitions in what we ship, as `dagster dev -f` would."""
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-f", str(ROOT / file)]
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}

    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr
