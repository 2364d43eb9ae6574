"""How the assets are filed: descriptions, kinds, groups, owners, tags, columns, code, freshness; runs to search by."""

import inspect
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster.errors import UsageError
from encord_dagster.formats import tables
from encord_dagster.label_set import events
from encord_dagster.orchestration import columns
from encord_dagster.orchestration.definitions import build_label_set_definitions
from tests.orchestration.projects import FIVE_LINES, Project
from tests.orchestration.test_definitions import GRAPH
from tests.orchestration.world import FakeIngest, World


def specs(**options: object) -> dict[str, dg.AssetSpec]:
    """The assets of a label set `street`."""
    defs = build_label_set_definitions(landing="l", lake="w", name="street", **options)  # type: ignore[arg-type]  # any
    return {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}


def test_every_asset_can_be_found() -> None:
    """By what it is, whose it is, and which label set it belongs to."""
    found = specs(owners=["team:perception"], tags={"domain": "driving"}, group="labels")

    assert set(found) == set(GRAPH)
    for spec in found.values():
        assert len(spec.description or "") > 20
        assert spec.kinds
        assert spec.group_name == "labels"
        assert list(spec.owners) == ["team:perception"]
        assert {"encord/label_set": "street", "domain": "driving"}.items() <= spec.tags.items()


def test_a_group_is_the_label_set_unless_another_is_named() -> None:
    """A hyphen is no part of a group's name."""
    defs = build_label_set_definitions(landing="l", lake="w", name="car-park")

    assert {spec.group_name for spec in defs.resolve_all_asset_specs()} == {"car_park"}


def test_columns_are_those_of_the_tables() -> None:
    """Written out for definitions, which load without pyarrow; each with a description."""
    written = {asset: [(name, kind) for name, kind, _ in given] for asset, given in columns.COLUMNS.items()}
    public = [(name, str(events.SCHEMA.field(name).type)) for name in events.PUBLIC]

    assert written["tables"] == [(field.name, str(field.type)) for field in tables.ANNOTATIONS]
    assert [name for name, _ in written["label_rows"]] == [name for name, _ in public]
    assert [kind for _, kind in written["label_rows"] if "<" not in kind] == [k for _, k in public if "<" not in k]
    assert all(text for given in columns.COLUMNS.values() for _, _, text in given)


def test_columns_are_part_of_the_definition_and_not_of_every_event(world: World, ingest: FakeIngest) -> None:
    """They are the same each time, and took half of what an event cost."""
    (key,) = world.delivered("a.json")
    world.run(keys=[key])

    schema = specs()["tables"].metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert len(schema.columns) == len(columns.ANNOTATIONS)
    assert "dagster/column_schema" not in world.materialized("tables")[key].metadata


def test_code_references_lead_to_the_call() -> None:
    """That is where somebody changes something."""
    here = inspect.currentframe()
    assert here is not None
    line = here.f_lineno + 1
    defs = build_label_set_definitions(landing="l", lake="w", name="street")

    for spec in defs.resolve_all_asset_specs():
        (place,) = spec.metadata["dagster/code_references"].code_references
        assert (place.file_path, place.line_number) == (__file__, line)


def test_assets_of_yaml_lead_to_the_yaml_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster adds that itself."""
    project = Project(tmp_path / "project", monkeypatch).lay_out()
    path = project.write("street", f"{FIVE_LINES}  fresh_within_hours: 36\n")

    for spec in project.load().resolve_all_asset_specs():
        (place,) = spec.metadata["dagster/code_references"].code_references
        assert place.file_path == str(path)
        if spec.key.path[-1] == "label_set_latest":
            assert spec.freshness_policy == dg.FreshnessPolicy.time_window(timedelta(hours=36))


def test_only_the_newest_version_can_be_stale() -> None:
    """An export is as old as it is."""
    fresh = specs(fresh_within_hours=24)

    assert fresh["label_set_latest"].freshness_policy == dg.FreshnessPolicy.time_window(timedelta(hours=24))
    assert {name for name, spec in fresh.items() if spec.freshness_policy} == {"label_set_latest"}
    assert not any(spec.freshness_policy for spec in specs().values())


@pytest.mark.parametrize("hours", [0, -1, 0.001])
def test_a_window_that_nothing_could_keep_is_refused(hours: float) -> None:
    """With the name of the option."""
    with pytest.raises(UsageError, match="fresh_within_hours"):
        specs(fresh_within_hours=hours)


def test_runs_can_be_searched_by_version(world: World, ingest: FakeIngest) -> None:
    """Also where somebody launched one by hand, without our job."""
    (key,) = world.delivered("a.json")
    job = world.defs.resolve_implicit_global_asset_job_def()

    result = job.execute_in_process(
        instance=world.instance, partition_key=key, asset_selection=[dg.AssetKey(["street", "label_set"])]
    )

    wanted = dg.RunsFilter(tags={"encord/label_set": "street", "encord/version": "1"})
    assert [run.run_id for run in world.instance.get_runs(wanted)] == [result.run_id]


def test_a_rules_check_carries_its_description_and_severity() -> None:
    """As this label set has it."""
    defs = build_label_set_definitions(landing="l", lake="w", name="street", severities={"duplicate_boxes": "error"})
    checks = {spec.name: spec for checks in defs.assets or () for spec in getattr(checks, "check_specs", ())}

    assert checks["duplicate_boxes"].description == "Two boxes of one class on a frame are the same. (error)"
