"""A label set by YAML: what it gives, what it refuses and where, what a subclass may change, and a run."""

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster import EncordLabelSetComponent, build_label_set_definitions, open_label_set
from encord_dagster.config import LabelSetConfig, Thresholds
from encord_dagster.errors import UsageError
from encord_dagster.label_set.sources import record_source
from encord_dagster.landing import exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.choices import LabelSetOptions, S3Options, ThresholdOptions
from encord_dagster.orchestration.definitions import Options
from encord_dagster.samples import Project as SampleProject
from encord_dagster.samples import first_export, ontology
from encord_dagster.storage.open import open_store
from tests.orchestration.projects import COMPONENT, FIVE_LINES, Project, whole_error

EXPORT = first_export(SampleProject(seed=3, rows=4, kinds=("image",)), exported_at=datetime(2023, 10, 2, tzinfo=UTC))
LABEL_SET = "street/label_set"
HEAVY = ("boto3", "botocore", "numpy", "pandas", "pyarrow", "PIL", "pycocotools", "dagster_aws.s3")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without label sets."""
    return Project(tmp_path / "project", monkeypatch).lay_out()


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """The asset specs by key."""
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def run(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    *,
    landing: Path,
    lake: Path,
    name: str = "street",
    data: bytes = EXPORT,
) -> bool:
    """Deliver a sample export to a folder and run the job for it, as the sensor would ask. Whether it succeeded."""
    landing.mkdir(parents=True, exist_ok=True)
    (landing / "week-1.json").write_bytes(data)
    (export,) = exports_in(open_store(str(landing)))
    record_source(open_store(str(lake)), name, export)
    instance.add_dynamic_partitions(names.exports_partitions(name), [export.id])
    job = defs.resolve_job_def(names.ingest_job(name))
    return job.execute_in_process(instance=instance, partition_key=export.id, raise_on_error=False).success


def train(defs: dg.Definitions, instance: dg.DagsterInstance, name: str, training_set: str) -> bool:
    """Materialize a training set, as the sensor or a person would ask. Whether it succeeded."""
    job = defs.resolve_implicit_global_asset_job_def()
    key = names.training_key(name, training_set)
    return job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False).success


def test_its_fields_are_the_arguments_of_the_python_builder() -> None:
    """Whatever can be chosen in Python can be written in YAML, and the other way round."""
    arguments = inspect.signature(build_label_set_definitions).parameters

    assert set(LabelSetOptions.model_fields) == set(arguments) - {"options"} | set(Options.__annotations__)


def test_its_defaults_are_those_of_python() -> None:
    """Five lines of YAML and three arguments in Python make one configuration."""
    component = EncordLabelSetComponent(landing="in", lake="lake", name="street")
    arguments = inspect.signature(build_label_set_definitions).parameters
    given = ("sensor_interval_seconds", "reconcile_cron", "running", "backfill", "group", "owners")

    assert component.configuration() == LabelSetConfig(name="street")
    assert {name: getattr(component, name) for name in given} == {name: arguments[name].default for name in given}


def test_choices_reach_the_configuration() -> None:
    """As the types that the pipeline knows, whatever YAML made of them."""
    chosen = """
landing: s3://exports/street
lake: s3://labels/lake
name: street
exports: complete
content: export
masks: false
label_statuses: [REVIEWED]
severities: {duplicate_boxes: error}
thresholds: {annotations_dropped: 0.5, class_vanished: 3}
hold_back: []
publish: [titles, times]
min_area_pixels: 4
"""

    config = EncordLabelSetComponent.resolve_from_yaml(chosen).configuration()

    assert config == LabelSetConfig(
        name="street",
        landing="complete",
        content="export",
        masks=False,
        label_statuses=("REVIEWED",),
        severities={"duplicate_boxes": "error"},
        thresholds=Thresholds(annotations_dropped=0.5, class_vanished=3),
        hold_back=(),
        publish=("titles", "times"),
        min_area_pixels=4,
    )


@pytest.mark.parametrize("options", [LabelSetOptions, S3Options, ThresholdOptions])
def test_every_field_is_described_in_the_json_schema(options: type[dg.Resolvable]) -> None:
    """Editors show the descriptions while a person writes."""
    properties = options.model().model_json_schema()["properties"]

    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_five_lines_give_the_whole_label_set(project: Project) -> None:
    """Assets, checks, jobs, sensor and schedule are those of the Python builder."""
    project.write("street", FIVE_LINES)
    python = build_label_set_definitions(landing="in", lake="lake", name="street").get_repository_def()

    yaml = project.load().get_repository_def()

    assert set(specs(project.load())) == {key.to_user_string() for key in python.asset_graph.get_all_asset_keys()}
    assert yaml.job_names == python.job_names
    assert [item.name for item in yaml.sensor_defs] == [item.name for item in python.sensor_defs]
    assert [item.name for item in yaml.schedule_defs] == [item.name for item in python.schedule_defs]
    assert set(yaml.asset_graph.asset_check_keys) == set(python.asset_graph.asset_check_keys)


def test_assets_lead_to_the_line_of_yaml_that_made_them(project: Project) -> None:
    """Dagster's page of an asset shows where it comes from."""
    path = project.write("sets", f"{FIVE_LINES}---\n{FIVE_LINES.replace('street', 'parking')}")

    found = specs(project.load())
    references = [found[key].metadata["dagster/code_references"].code_references for key in (LABEL_SET, "parking/coco")]

    assert [[(item.file_path, item.line_number) for item in items] for items in references] == [
        [(str(path), 1)],
        [(str(path), 7)],
    ]


def test_two_label_sets_live_in_one_project(project: Project) -> None:
    """Each has its own resources, jobs and sensor; one is a document in the file of the other, one a folder."""
    project.write("street", f"{FIVE_LINES}---\n{FIVE_LINES.replace('street', 'car-park')}")
    project.write("parking", FIVE_LINES.replace("street", "parking"))

    defs = project.load()
    dg.Definitions.validate_loadable(defs)

    assert len(specs(defs)) == 3 * 8
    assert {"street_stores", "car_park_stores", "parking_stores"} < set(defs.resources or {})


def test_paths_start_at_the_folder_of_the_file(project: Project) -> None:
    """The daemon, the run worker and a person's shell stand in different folders."""
    folder = project.write("street", f"{FIVE_LINES}  ontology: street.json\n").parent
    (folder / "street.json").write_bytes(ontology(SampleProject(seed=1)))

    stores = (project.load().resources or {})["street_stores"]

    assert (stores.landing_url, stores.lake_url) == (str(folder / "landing"), str(folder / "lake"))


def test_templates_take_values_from_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts, numbers, switches and lists; a name of digits stays a name."""
    monkeypatch.setenv("LAKE", "s3://labels/lake")
    monkeypatch.setenv("NAME", "2024")
    monkeypatch.setenv("EVERY", "120")
    monkeypatch.setenv("RUNNING", "true")
    monkeypatch.setenv("OWNERS", "team:a,team:b")
    project.write(
        "street",
        f"""\
type: {COMPONENT}
attributes:
  landing: "{{{{ context.project_root }}}}/landing"
  lake: "{{{{ env.LAKE }}}}"
  name: "{{{{ env.NAME }}}}"
  sensor_interval_seconds: "{{{{ env.EVERY }}}}"
  running: "{{{{ env.RUNNING }}}}"
  owners: "{{{{ env.OWNERS.split(',') }}}}"
  branch: "{{{{ env('BRANCH', 'main') }}}}"
""",
    )

    defs = project.load()
    sensor = defs.resolve_sensor_def("2024_exports")
    stores = (defs.resources or {})["_2024_stores"]

    assert (stores.landing_url, stores.lake_url) == (str(project.root / "landing"), "s3://labels/lake")
    assert (sensor.minimum_interval_seconds, sensor.default_status) == (120, dg.DefaultSensorStatus.RUNNING)
    assert list(specs(defs)["2024/coco"].owners) == ["team:a", "team:b"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('name_pattern: "(x"', "no regular expression"),
        ("publish: [people]", "name the environment variable that holds the key"),
        ("ontology: there.json", "No such file"),
        ("severities: {duplicate_boxxes: error}", "no such rule"),
        ('branch: "{{ env.BRANCH_THAT_IS_NOT_SET }}"', "is the environment variable set"),
        ("absent_after: \"{{ env('ABSENT', '0') }}\"", "is no number of exports"),
        ("masks: \"{{ env('MASKS', 'perhaps') }}\"", "valid boolean"),
        ("thresholds: {annotations_dropped: 20}", "is no share"),
        ("masked: false", "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_file_and_line(project: Project, line: str, says: str) -> None:
    """Also what only loading can know: values of templates, other files, one field beside another."""
    path = project.write("street", f"{FIVE_LINES}  {line}\n")

    with pytest.raises(Exception, match="street") as caught:
        project.load()

    told = whole_error(caught.value)
    assert f"{path}:6" in told
    assert says in told


class Louder(EncordLabelSetComponent):
    """A subclass as a project would write it."""

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(group_name="mine").merge_attributes(tags={"tier": "1"}, metadata={"team": "x"})

    def execute(
        self, context: dg.AssetExecutionContext, config: LabelSetConfig
    ) -> Iterator[dg.MaterializeResult[object]]:
        context.instance.add_dynamic_partitions("before", [config.name])
        yield from super().execute(context, config)
        context.instance.add_dynamic_partitions("after", list(context.partition_keys))


def test_a_subclass_changes_specs_and_surrounds_the_step(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Every asset passes through `get_asset_spec`, and the run through `execute`, and the export is published."""
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    defs = dg.build_defs_for_component(Louder(landing=str(landing), lake=str(lake), name="street"))

    succeeded = run(defs, instance, landing=landing, lake=lake)

    found = specs(defs).values()
    assert {(spec.group_name, spec.tags["tier"], spec.metadata["team"]) for spec in found} == {("mine", "1", "x")}
    assert succeeded
    assert list(instance.get_dynamic_partitions("before")) == ["street"]
    assert instance.get_dynamic_partitions("after") == instance.get_dynamic_partitions("encord__street__exports")
    assert open_label_set(str(lake), "street").version().number == 1


class Renaming(EncordLabelSetComponent):
    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(key=["other", spec.key.path[-1]])


class Unpartitioned(EncordLabelSetComponent):
    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(partitions_def=None)


class Forgetful(EncordLabelSetComponent):
    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        spec.replace_attributes(group_name="lost")
        return None  # type: ignore[return-value]  # what forgetting to return does


@pytest.mark.parametrize(
    ("kind", "says"),
    [(Renaming, "changed key"), (Unpartitioned, "changed partitions_def"), (Forgetful, "gave a NoneType")],
)
def test_a_subclass_may_not_change_what_runs_go_by(kind: type[EncordLabelSetComponent], says: str) -> None:
    """Events would be recorded under an asset that is not there."""
    component = kind(landing="in", lake="lake", name="street")

    with pytest.raises(UsageError, match=says):
        dg.build_defs_for_component(component)


def test_a_run_through_the_yaml_publishes_an_export(project: Project, instance: dg.DagsterInstance) -> None:
    """Local folders beside the file, the real pipeline, one version, one materialization of every asset."""
    folder = project.write("street", f"{FIVE_LINES}  masks: false\n  owners: ['team:a']\n").parent
    defs = project.load()

    succeeded = run(defs, instance, landing=folder / "landing", lake=folder / "lake")

    label_set = open_label_set(str(folder / "lake"), "street")
    made = {key: instance.get_latest_materialization_event(spec.key) for key, spec in specs(defs).items()}
    assert succeeded
    assert label_set.version().number == 1
    assert label_set.version().classes
    assert [key for key, event in made.items() if event is None] == []
    assert "street/masks" not in made


def test_post_processing_in_the_yaml_reaches_the_assets(project: Project) -> None:
    """Dagster's own way to change groups and tags works as with any component."""
    processing = "post_processing:\n  assets:\n    - target: '*'\n      attributes: {tags: {tier: gold}}\n"
    project.write("street", f"{FIVE_LINES}{processing}")

    assert {spec.tags.get("tier") for spec in specs(project.load()).values()} == {"gold"}


def test_loading_a_project_imports_nothing_heavy(project: Project) -> None:
    """Every run worker loads the project; a bucket library that is broken must not stop it."""
    project.write("street", FIVE_LINES)
    code = (
        f"import sys; sys.modules['dagster_aws.components'] = sys\n"  # others' entry point is theirs to mend
        f"import {project.module}.definitions as d; d.defs.get_repository_def()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": f"{project.root}{os.pathsep}{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip().splitlines()[-1] == "[]"
