"""`dg` and the component: what it lists, writes and refuses. The example project runs here too."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster import open_label_set
from tests.orchestration.projects import COMPONENT, FIVE_LINES, Project
from tests.orchestration.test_component import run, specs, train

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
EXAMPLE = Path(__file__).parents[2] / "examples" / "component"
PLAIN = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without label sets."""
    return Project(tmp_path / "project", monkeypatch).lay_out()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The example project, as it lies in the repository."""
    example = Project(EXAMPLE, monkeypatch, module="labels")
    example.quiet = tmp_path / "home"
    return example


def test_dg_lists_the_component(project: Project) -> None:
    """Installing the package is all that it takes, and a process of its own finds the entry point."""
    done = subprocess.run(
        [sys.executable, "-m", "dagster_dg_cli.cli", "list", "components", "--json"],
        cwd=project.root,
        env=os.environ | {"DAGSTER_HOME": "", "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    listed = {item["key"]: item["summary"] for item in json.loads(done.stdout.strip().splitlines()[-1])["items"]}

    assert listed[COMPONENT] == "Encord label exports in a bucket become a published, versioned label set."


def test_what_dg_scaffolds_is_valid_and_loads(project: Project) -> None:
    """The folder's name is the label set's; two bucket urls are left to fill in."""
    made = project.call("scaffold", "defs", COMPONENT, "street")
    checked = project.call("check", "yaml")
    listed = project.call("list", "defs", "--json")

    text = (project.defs / "street" / "defs.yaml").read_text()
    assert (made.code, checked.code, listed.code) == (0, 0, 0), made.text + checked.text + listed.text
    assert "name: street" in text
    assert text.count("s3://CHANGE-ME/") == 2
    assert "street/label_set_latest" in listed.text


def test_dg_scaffolds_with_what_is_given(project: Project) -> None:
    """Urls and name on the command line."""
    project.call("scaffold", "defs", COMPONENT, "sets", "--landing", "in", "--lake", "lake", "--name", "car-park")

    assert sorted({key.partition("/")[0] for key in specs(project.load())}) == ["car-park"]


def test_a_folder_whose_name_cannot_be_a_label_sets_is_scaffolded_with_another(project: Project) -> None:
    """The file has to load before anybody touches it."""
    project.call("scaffold", "defs", COMPONENT, "car park")

    assert project.call("check", "yaml").code == 0
    assert "name: car_park" in (project.defs / "car park" / "defs.yaml").read_text()


BAD = {
    "an unknown key": ("masked: false", 6, "'masked' was unexpected"),
    "a number of a wrong type": ("sensor_interval_seconds: often", 6, "'often' does not match"),
    "a list of a wrong type": ("owners: team:a", 6, "'team:a' does not match"),
    "a text of a wrong type": ("branch: 3", 6, "3 is not of type 'string'"),
    "a switch of a wrong type": ("masks: perhaps", 6, "'perhaps' does not match"),
    "no owner": ("owners: [perception]", 6, "'perception' does not match"),
    "no group": ("group: a-b", 6, "'a-b' does not match"),
    "no schedule": ("reconcile_cron: daily", 6, "'daily' does not match"),
    "no choice": ("on_bad_object: fail", 6, "'fail' does not match"),
    "no severity": ("severities:\n    duplicate_boxes: fatal", 7, "'fatal' is not one of"),
    "no rule that holds back": ("hold_back: [class_vanishd]", 6, "'class_vanishd' is not one of"),
    "nothing to publish": ("publish: [titel]", 6, "'titel' is not one of"),
    "no share": ("thresholds:\n    annotations_dropped: 20", 7, "20 is greater than the maximum of 1"),
    "an unknown threshold": ("thresholds:\n    dropped: 0.2", 7, "'dropped' was unexpected"),
    "an unknown S3 option": ("s3:\n    region: eu-west-1", 7, "'region' was unexpected"),
}


@pytest.mark.parametrize(("line", "number", "says"), BAD.values(), ids=BAD)
def test_dg_check_yaml_names_file_and_line(project: Project, line: str, number: int, says: str) -> None:
    """A person learns what is wrong before anything is loaded."""
    path = project.write("street", f"{FIVE_LINES}  {line}\n")

    checked = project.call("check", "yaml")

    assert checked.code == 1
    assert [told for told in errors(checked.text, path) if told.startswith(f"{number} ") and says in told]


def test_dg_check_yaml_names_a_name_that_cannot_be_one(project: Project) -> None:
    """It would become a folder and an asset key."""
    path = project.write("street", FIVE_LINES.replace("street", "a/b"))

    checked = project.call("check", "yaml")

    assert checked.code == 1
    assert "5 - " in errors(checked.text, path)[0]
    assert "'a/b' does not match" in errors(checked.text, path)[0]


def test_dg_check_yaml_names_a_missing_key(project: Project) -> None:
    """The line is that of `attributes`, where it has to be added."""
    path = project.write("street", FIVE_LINES.replace("  lake: lake\n", ""))

    checked = project.call("check", "yaml")

    assert checked.code == 1
    assert [told for told in errors(checked.text, path) if told.startswith("2 ") and "'lake' is a required" in told]


def test_dg_check_yaml_lets_templates_pass(project: Project) -> None:
    """What a template gives is known when the project is loaded."""
    fields = ("name", "sensor_interval_seconds", "masks", "owners", "on_bad_object", "severities", "thresholds", "s3")
    lines = "".join(f'  {field}: "{{{{ env.VALUE }}}}"\n' for field in fields)
    project.write("street", FIVE_LINES.replace("  name: street\n", lines))

    assert project.call("check", "yaml").code == 0


def test_dg_check_yaml_looks_at_one_file_of_each_type(project: Project) -> None:
    """So it is in Dagster 1.13.27: the README says to name the folders. When this fails, say so no more."""
    bad = FIVE_LINES + "  masked: false\n"
    paths = [project.write(folder, bad) for folder in ("street", "parking")]

    together = project.call("check", "yaml").text
    one_by_one = [project.call("check", "yaml", str(path.parent)).text for path in paths]

    assert sum(bool(errors(together, path)) for path in paths) == 1
    assert [bool(errors(text, path)) for text, path in zip(one_by_one, paths, strict=True)] == [True, True]


def errors(text: str, path: Path) -> list[str]:
    """What `dg check yaml` says of a file, each beginning with the line number."""
    return [line.partition(f"{path}:")[2] for line in PLAIN.sub("", text).splitlines() if line.startswith(f"{path}:")]


def test_the_commands_of_the_readme_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word by word, in a project that has no label set yet; what is written is the YAML that the README shows."""
    project = Project(tmp_path / "project", monkeypatch, module="my_project").lay_out()
    section = README.partition("## In an existing Dagster project")[2].partition("\n## ")[0]
    (yaml,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    lines = re.findall(r"^dg (.*?)(?: {2,}#.*)?$", section, re.MULTILINE)

    answers = {line: project.call(*shlex.split(line)) for line in lines}

    assert [answer.code for answer in answers.values()] == [0, 0, 0, 0], answers
    assert (project.defs / "street" / "defs.yaml").read_text().replace("\n\n", "\n") == yaml
    assert len(yaml.splitlines()) == 5
    assert "Where exports arrive" in answers[lines[-1]].text


def test_the_example_project_is_what_its_files_say(example: Project) -> None:
    """Its YAML is valid, its own component is listed, and both label sets are there."""
    checked = [example.call("check", "yaml", str(example.defs / name)) for name in ("street", "parking")]
    components = example.call("list", "components", "--json")
    defs = example.call("list", "defs", "--json")

    assert [answer.code for answer in (*checked, components, defs)] == [0] * 4, checked
    assert "labels.components.TimedLabelSet" in components.text
    keys = ("street/label_set_latest", "street/training/detector", "parking/label_set_latest", "parking_ingest")
    assert all(key in defs.text for key in keys)


def test_the_example_project_publishes(
    example: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    """Both label sets by their own YAML, in folders that the environment names; one through the subclass."""
    monkeypatch.setenv("STREET_LANDING", str(tmp_path / "street"))
    monkeypatch.setenv("PARKING_LANDING", str(tmp_path / "parking"))
    monkeypatch.setenv("LABEL_SET_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("STREET_DETECTOR", str(tmp_path / "detector"))
    defs = example.load()

    done = [
        run(defs, instance, landing=tmp_path / name, lake=tmp_path / "lake", name=name)
        for name in ("street", "parking")
    ]

    numbers = [open_label_set(str(tmp_path / "lake"), name).version().number for name in ("street", "parking")]
    assert (done, numbers) == ([True, True], [1, 1])
    assert train(defs, instance, "street", "detector")
    assert len(list((tmp_path / "detector").glob("*/yolo_detect/data.yaml"))) == 1
    published = {key for key, spec in specs(defs).items() if spec.tags.get("published")}
    assert published == {"parking/label_set", "parking/label_set_latest"}
