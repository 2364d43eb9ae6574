"""Training sets in Dagster: assets by YAML and by Python, what they write and show, and when they follow a version."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import msgspec
import pytest

from encord_dagster import EncordLabelSetComponent, build_label_set_definitions, open_label_set
from encord_dagster.errors import UsageError
from encord_dagster.formats.catalogue import FORMATS
from encord_dagster.formats.selection import InSplit, Selection
from encord_dagster.formats.selection_report import ClassLine
from encord_dagster.label_set.tags import tag
from encord_dagster.label_set.training_set import Made, TrainingSet, record_key
from encord_dagster.label_set.training_sets import publish
from encord_dagster.orchestration import names, training_choices
from encord_dagster.orchestration.training import training_metadata
from encord_dagster.orchestration.training_choices import SelectionOptions, TrainingSetOptions
from encord_dagster.samples import next_export
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.open import open_store
from tests import factories
from tests.formats.test_stratify import rarely
from tests.orchestration.hostile_names import NAMES
from tests.orchestration.projects import FIVE_LINES, Project, whole_error
from tests.orchestration.test_component import EXPORT, run, specs, train
from tests.orchestration.test_component_commands import errors
from tests.orchestration.test_growth import MOST, stored
from tests.orchestration.world import World
from tests.written import desk_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DETECTOR = "street/training/detector"
YAML = """\
  training_sets:
    - name: detector
      url: sets/detector
      formats: [yolo_detect, coco]
      selection:
        splits: {train: 0.5, val: 0.5}
        stratify: true
"""
WANTED = TrainingSet(name="detector", url="memory://training", formats=("coco",))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without label sets."""
    return Project(tmp_path / "project", monkeypatch).lay_out()


def shown(instance: dg.DagsterInstance, key: str = DETECTOR) -> dict[str, Any]:
    """The metadata of the last materialization."""
    event = instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_options_are_the_fields_of_a_selection_and_of_a_training_set() -> None:
    """With the same defaults; whatever the command line chooses can be written in YAML."""
    fields = {field.name for field in msgspec.structs.fields(Selection)}
    wanted = {field.name for field in msgspec.structs.fields(TrainingSet)}

    assert set(SelectionOptions.model_fields) == fields
    assert set(TrainingSetOptions.model_fields) == wanted
    assert msgspec.convert(SelectionOptions().model_dump(), Selection) == Selection()
    assert set(training_choices.FORMATS) == set(FORMATS)


@pytest.mark.parametrize("options", [SelectionOptions, TrainingSetOptions])
def test_every_field_is_described_in_the_json_schema(options: type[dg.Resolvable]) -> None:
    """Editors show the descriptions while a person writes."""
    properties = options.model().model_json_schema()["properties"]

    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_every_field_of_a_selection_reaches_it(project: Project) -> None:
    """As the types that formats know, whatever YAML made of them; templates of names are no templates of Dagster."""
    chosen = """
landing: in
lake: lake
name: street
training_sets:
  - name: all
    url: s3://training/all
    formats: [coco, mot]
    version: 7
    selection:
      classes: {vehicle: [Car, "Truck[state=damaged]"]}
      drop_classes: [Tree]
      other_classes: drop
      label_statuses: [REVIEWED]
      workflow_nodes: [Complete]
      frame_step: 5
      min_confidence: 0.5
      manual_only: true
      min_side: 4
      negatives: drop
      file_name: "{data_hash}{ext}"
      coco_url: "s3://media/{stem}_{frame:06}{ext}"
      splits: {train: 0.75, val: 0.25}
      split_by: label_hash
      split_seed: b
      stratify: true
      coco_per_split: true
      frame_rate: 25
"""

    (made,) = EncordLabelSetComponent.resolve_from_yaml(chosen).training_sets

    assert made.chosen() == TrainingSet(
        name="all",
        url="s3://training/all",
        formats=("coco", "mot"),
        version=7,
        selection=Selection(
            classes={"vehicle": ("Car", "Truck[state=damaged]")},
            drop_classes=("Tree",),
            other_classes="drop",
            label_statuses=("REVIEWED",),
            workflow_nodes=("Complete",),
            frame_step=5,
            min_confidence=0.5,
            manual_only=True,
            min_side=4,
            negatives="drop",
            file_name="{data_hash}{ext}",
            coco_url="s3://media/{stem}_{frame:06}{ext}",
            splits={"train": 0.75, "val": 0.25},
            split_by="label_hash",
            split_seed="b",
            stratify=True,
            coco_per_split=True,
            frame_rate=25,
        ),
    )
    defaults = [
        name for name, field in SelectionOptions.model_fields.items() if getattr(made.selection, name) == field.default
    ]
    assert defaults == []


def test_the_asset_is_filed_like_the_others(project: Project) -> None:
    """Group, owners, tags, kinds, where it comes from, and what it stands behind."""
    path = project.write("street", f"{FIVE_LINES}  owners: ['team:a']\n  tags: {{tier: gold}}\n{YAML}")

    spec = specs(project.load())[DETECTOR]

    assert [dep.asset_key.to_user_string() for dep in spec.deps] == ["street/label_set_latest"]
    assert (spec.group_name, list(spec.owners), spec.kinds) == ("street", ["team:a"], {"encord", "yolo", "coco"})
    assert (spec.tags["tier"], spec.tags[names.LABEL_SET_TAG]) == ("gold", "street")
    assert spec.description == "Version latest to train on, as yolo_detect, coco."
    (place,) = spec.metadata["dagster/code_references"].code_references
    assert (place.file_path, place.line_number) == (str(path), 1)


def test_python_gives_the_same_asset(project: Project) -> None:
    """Key, code version, sensor."""
    folder = project.write("street", FIVE_LINES + YAML).parent
    chosen = Selection(splits={"train": 0.5, "val": 0.5}, stratify=True)
    wanted = TrainingSet(name="detector", url=str(folder / "sets"), formats=("yolo_detect", "coco"), selection=chosen)

    python = build_label_set_definitions(landing="in", lake="lake", name="street", training_sets=[wanted])

    yaml = project.load()
    assert specs(yaml).keys() == specs(python).keys()
    assert specs(yaml)[DETECTOR].code_version == specs(python)[DETECTOR].code_version
    found = [{sensor.name for sensor in defs.get_repository_def().sensor_defs} for defs in (yaml, python)]
    assert found == [{"street_exports", "street_training"}] * 2


def test_a_run_through_the_yaml_writes_the_set_and_shows_it(project: Project, instance: dg.DagsterInstance) -> None:
    """In the folder beside the YAML; a second run writes nothing and says so."""
    folder = project.write("street", FIVE_LINES + YAML).parent
    defs = project.load()
    assert run(defs, instance, landing=folder / "landing", lake=folder / "lake")

    succeeded = train(defs, instance, "street", "detector")

    (made,) = (folder / "sets" / "detector").glob("000001-*")
    first = shown(instance)
    version = open_label_set(str(folder / "lake"), "street").version()
    assert succeeded
    assert (made / "yolo_detect" / "data.yaml").is_file()
    assert first["dagster/uri"] == made.as_uri()
    assert (first["encord/version"], first["encord/content_digest"]) == (1, version.root.content_digest)
    assert (first["encord/images"], first["encord/annotations"]) == (version.images, version.root.annotations)
    assert first["encord/files"] == len([path for path in made.rglob("*") if path.is_file()]) - 1
    assert "`train`" in first["encord/splits"]
    assert all(f"`{name}`" in first["encord/classes"] for name in version.classes)
    assert "`yolo_detect:outline`" in first["encord/losses"]
    assert "`masks:" not in first["encord/losses"]
    assert first["encord/written"] is True
    assert train(defs, instance, "street", "detector")
    assert shown(instance) == first | {"encord/written": False}
    assert len(list((folder / "sets" / "detector").glob("0*"))) == 1


def test_new_images_move_no_old_one(project: Project, instance: dg.DagsterInstance) -> None:
    """Through two runs; the second keeps the splits of the first and says so."""
    folder = project.write("street", FIVE_LINES + YAML).parent
    defs = project.load()
    landing, lake, sets = folder / "landing", folder / "lake", folder / "sets" / "detector"
    assert run(defs, instance, landing=landing, lake=lake)
    assert train(defs, instance, "street", "detector")
    (landing / "week-1.json").unlink()
    later = datetime(2023, 10, 9, tzinfo=UTC)
    more = next_export(EXPORT, seed=9, exported_at=later, changed=0, added=6)
    assert run(defs, instance, landing=landing, lake=lake, data=more)

    assert train(defs, instance, "street", "detector")

    one, two = sorted(sets.glob("0*"))
    lists = [
        {path.name: set(path.read_text().split()) for path in (made / "splits").glob("*.txt")} for made in (one, two)
    ]
    assert sum(map(len, lists[1].values())) > sum(map(len, lists[0].values()))
    assert all(lists[0][name] <= lists[1][name] for name in lists[0])
    assert shown(instance)["encord/splits_from"] == one.name
    assert json.loads((sets / "latest.json").read_text())["folder"] == two.name


def test_the_set_goes_into_a_bucket_with_the_clients_of_the_label_set(
    instance: dg.DagsterInstance, s3_client: "S3Client", tmp_path: Path
) -> None:
    """Against a real S3 server: every file, the manifest, one record; a second run writes nothing."""
    s3_client.create_bucket(Bucket="training")

    class Clients(dg.ConfigurableResource[object]):
        def get_client(self) -> "S3Client":
            return s3_client

    url = "s3://training/street"
    defs = build_label_set_definitions(
        landing=str(tmp_path / "in"),
        lake=str(tmp_path / "lake"),
        name="street",
        s3=Clients(),  # type: ignore[arg-type]  # a test's own, by protocol
        training_sets=[msgspec.structs.replace(WANTED, url=url, formats=("coco", "masks", "tables"))],
    )
    assert run(defs, instance, landing=tmp_path / "in", lake=tmp_path / "lake")

    assert train(defs, instance, "street", "detector")

    store = open_store(url, client=s3_client)
    listed = {info.key for info in store.list()}
    folder = str(shown(instance)["dagster/uri"]).rpartition("/")[2]
    version = open_label_set(str(tmp_path / "lake"), "street").version()
    files = {path.relative_to(tmp_path / "out").as_posix() for path in version.checkout(tmp_path / "out")}
    inside = {key.removeprefix(f"{folder}/") for key in listed if key.startswith(folder)}
    assert inside == files - {"croissant.json"} | {"training_set.json"} | ({"croissant.json"} & files)
    assert record_key(1) in listed
    assert store.get(f"{folder}/annotations/instances.json") == version.coco()
    assert train(defs, instance, "street", "detector")
    assert {key for key in listed if not key.startswith("probes/")} == {
        info.key for info in store.list() if not info.key.startswith("probes/")
    }


def asked_for(defs: dg.Definitions, instance: dg.DagsterInstance) -> list[str | None]:
    """The keys of the runs that the sensor asks for."""
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
    found = defs.get_repository_def().get_sensor_def("street_training").evaluate_tick(context)
    return [request.run_key for request in found.run_requests or ()]


def test_the_sensor_follows_new_versions_only(ticking: World) -> None:
    """Not exports that changed no label, nor, before there is a version, anything."""
    defs = build_label_set_definitions(
        landing=ticking.landing.url, lake=ticking.lake.url, name="street", training_sets=[WANTED]
    )
    first = factories.encode(rarely(6))
    files = {"1.json": first, "2.json": first + b"\n", "3.json": factories.encode(rarely(3, first=6))}

    asked = [len(asked_for(defs, ticking.instance))]
    for key, data in files.items():
        ticking.deliver(key, data=data)
        for request in ticking.tick().requests:
            assert ticking.run(keys=[str(request.partition_key)]).success
        asked.append(len(asked_for(defs, ticking.instance)))
        if asked[-1]:
            assert train(defs, ticking.instance, "street", "detector")

    versions = [record.version for record in open_label_set(ticking.lake, "street").log()]
    assert versions == [1, 1, 2]
    assert asked == [0, 1, 0, 1]


def test_a_set_that_is_added_later_is_made_at_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Once; one that is there already is left alone by a daemon that looks for the first time."""
    landing, lake = tmp_path / "in", tmp_path / "lake"
    wanted = [msgspec.structs.replace(WANTED, url=str(tmp_path / "sets"))]
    defs = build_label_set_definitions(landing=str(landing), lake=str(lake), name="street", training_sets=wanted)
    assert run(defs, instance, landing=landing, lake=lake)

    first, again = asked_for(defs, instance), asked_for(defs, instance)
    assert train(defs, instance, "street", "detector")

    assert (first, again) == (["street/training/detector of version 1"],) * 2  # Dagster takes one run of a key
    assert asked_for(defs, instance) == []


def test_a_version_that_comes_while_a_set_is_made_is_not_missed(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """The set that is done first is of the version before: it is no reason to be at rest."""
    landing, lake = tmp_path / "in", tmp_path / "lake"
    wanted = [msgspec.structs.replace(WANTED, url=str(tmp_path / "sets"))]
    defs = build_label_set_definitions(landing=str(landing), lake=str(lake), name="street", training_sets=wanted)
    assert run(defs, instance, landing=landing, lake=lake)
    assert train(defs, instance, "street", "detector")
    made = instance.get_latest_materialization_event(dg.AssetKey.from_user_string(DETECTOR))
    (landing / "week-1.json").unlink()
    more = next_export(EXPORT, seed=9, exported_at=datetime(2023, 10, 9, tzinfo=UTC), changed=0, added=2)
    assert run(defs, instance, landing=landing, lake=lake, data=more)
    assert made and made.asset_materialization
    instance.report_runless_asset_event(made.asset_materialization)  # it was logged last

    assert asked_for(defs, instance) == ["street/training/detector of version 2"]


def test_a_set_of_a_tag_follows_nothing(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A tag never moves; a person materializes it, and a newer version does not matter."""
    landing, lake = tmp_path / "in", tmp_path / "lake"
    fixed = msgspec.structs.replace(WANTED, version="release", url=str(tmp_path / "sets"))
    defs = build_label_set_definitions(landing=str(landing), lake=str(lake), name="street", training_sets=[fixed])
    assert run(defs, instance, landing=landing, lake=lake)
    tag(open_store(str(lake)), "street", "release", 1)
    (landing / "week-1.json").unlink()
    more = next_export(EXPORT, seed=9, exported_at=datetime(2023, 10, 9, tzinfo=UTC), changed=0, added=2)
    assert run(defs, instance, landing=landing, lake=lake, data=more)

    assert train(defs, instance, "street", "detector")

    assert shown(instance)["encord/version"] == 1
    assert "street_training" not in {sensor.name for sensor in defs.get_repository_def().sensor_defs}


def test_before_there_is_a_version_the_run_says_so(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """And nothing is written."""
    defs = build_label_set_definitions(
        landing="in",
        lake=str(tmp_path / "lake"),
        name="street",
        training_sets=[msgspec.structs.replace(WANTED, url=str(tmp_path / "sets"))],
    )
    job = defs.resolve_implicit_global_asset_job_def()

    with pytest.raises(UsageError, match="holds no label set 'street'; publish an export to it first"):
        job.execute_in_process(instance=instance, asset_selection=[names.training_key("street", "detector")])

    assert not (tmp_path / "sets").exists()


BAD = {
    "no name": ("name: detector", "name: a/b", 7, "'a/b' does not match"),
    "no format": ("[yolo_detect, coco]", "[yolo]", 9, "'yolo' is not one of"),
    "an unknown key": ("url: sets/detector", "url: sets/detector\n      link: true", 9, "'link' was unexpected"),
    "an unknown field": ("stratify: true", "stratified: true", 12, "'stratified' was unexpected"),
    "no switch": ("stratify: true", "stratify: perhaps", 12, "'perhaps' does not match"),
    "no choice": ("stratify: true", "split_by: patient", 12, "'patient' does not match"),
    "no number": ("stratify: true", "min_side: wide", 12, "'wide' does not match"),
}


@pytest.mark.parametrize(("part", "other", "line", "says"), BAD.values(), ids=BAD)
def test_dg_check_yaml_names_file_and_line(project: Project, part: str, other: str, line: int, says: str) -> None:
    """A person learns what is wrong before anything is loaded."""
    path = project.write("street", FIVE_LINES + YAML.replace(part, other))

    checked = project.call("check", "yaml")

    assert checked.code == 1
    assert [told for told in errors(checked.text, path) if told.startswith(f"{line} ") and says in told], checked.text


def test_dg_check_yaml_lets_good_ones_and_templates_pass(project: Project) -> None:
    """Everything may come from the environment."""
    templates = re.sub(r": (sets/detector|\[.*\]|\{.*\}|true)$", ': "{{ env.VALUE }}"', YAML, flags=re.MULTILINE)
    project.write("street", FIVE_LINES + YAML)
    project.write("parking", FIVE_LINES + templates)

    assert templates.count("env.VALUE") == 4
    assert [project.call("check", "yaml", str(project.defs / name)).code for name in ("street", "parking")] == [0, 0]


@pytest.mark.parametrize(
    ("part", "other", "line", "says"),
    [
        ("train: 0.5", "train: 0.2", 7, "the shares add up to 0.7"),
        ("splits: {train: 0.5, val: 0.5}", "min_side: 3", 7, "stratify: there are no splits"),
        ("true", "true\n        file_name: '{hash}'", 7, "there is no field {hash}"),
        ("[yolo_detect, coco]", "[]", 7, "it has no formats"),
        ("sets/detector", "landing/x", 7, "is where exports arrive"),
        (YAML, YAML + YAML.partition("\n")[2], 13, "another one is called so"),
    ],
)
def test_what_only_loading_can_know_is_refused_with_file_and_line(
    project: Project, part: str, other: str, line: int, says: str
) -> None:
    """The line is that of the training set."""
    path = project.write("street", FIVE_LINES + YAML.replace(part, other))

    with pytest.raises(Exception, match="street") as caught:
        project.load()

    told = whole_error(caught.value)
    assert f"{path}:{line}" in told
    assert says in told


def worst() -> Made:
    """Hundreds of classes with hostile and long names in eight splits."""
    store = MemoryStore()
    shares = {f"split-{number}": 0.125 for number in range(8)}
    wanted = msgspec.structs.replace(WANTED, selection=Selection(splits=shares))
    made = publish(desk_of(*rarely(8)).label_set().version(), wanted, store, progress=lambda line: None)
    classes = [
        ClassLine(number, name * 9, [name], 10**9, dict.fromkeys(shares, 10**8), dict.fromkeys(shares, -0.125))
        for number, name in enumerate(NAMES * 30)
    ]
    held = {name: InSplit(10**8, 10**9, 10**8) for name in shares}
    report = msgspec.structs.replace(made.manifest.report, classes=classes, splits=held)
    losses = {f"yolo_pose:{name}": 10**9 for name in NAMES}
    manifest = msgspec.structs.replace(made.manifest, report=report, losses=losses, formats=FORMATS)
    return msgspec.structs.replace(made, manifest=manifest)


def test_the_worst_set_stays_within_its_bytes(tmp_path: Path) -> None:
    """In SQLite's copies together; names of classes stay text."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        metadata = training_metadata(worst())
        instance.report_runless_asset_event(dg.AssetMaterialization(DETECTOR.split("/"), metadata=metadata))

    (size,) = [size for size, _ in stored(tmp_path).values()]
    assert size <= MOST
    assert "…" in str(metadata["encord/classes"].value)
    for line in str(metadata["encord/classes"].value).splitlines()[2:-2]:
        assert line.replace("\\|", "").count("|") == 11
        assert line.count("`") == 2
