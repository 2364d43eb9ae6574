"""The README does not promise what is not there: its commands and its code run, its names exist."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from encord_dagster import cli
from encord_dagster.label_set.read import open_label_set
from encord_dagster.validation import RULES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_its_commands_run_in_the_order_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of the command section does what it says; validate and ingest report the sample's bad files."""
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^encord-dagster (.*?)(?: {2,}#.*)?$", README, re.MULTILINE)

    codes = {line: cli.main([*shlex.split(line)]) for line in lines}

    commands = [line.split()[0] for line in codes]
    written = ["checkout", "report", "checkout"]
    assert commands == ["sample", "validate", "convert", "ingest", "log", "show", "verify", *written]
    assert {line.split()[0]: code for line, code in codes.items() if code} == {"ingest": 1}
    assert open_label_set("lake", "street").version().number == 2
    assert (tmp_path / "street.html").exists()
    assert (tmp_path / "street" / "annotations" / "instances.json").exists()
    names = yaml.safe_load((tmp_path / "training" / "yolo_detect" / "data.yaml").read_text())["names"]
    assert names == {0: "vehicle", 1: "person"}


def test_its_reader_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python block reads a label set that the commands made."""
    monkeypatch.chdir(tmp_path)
    cli.main(["sample", "exports", "--days", "1", "--no-bad"])
    cli.main(["ingest", "exports/day1", "--lake", "lake", "--name", "street", "-q"])
    block = next(text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "open_label_set" in text)
    names: dict[str, object] = {}

    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - our own README

    assert len(names["frame"]) > 0  # type: ignore[arg-type]  # a pandas frame
    chosen = next(text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Selection" in text)
    exec(compile(chosen, "README.md", "exec"), names)  # noqa: S102 - our own README
    assert (tmp_path / "training-2" / "yolo_segment" / "val.txt").exists()


def test_its_make_targets_exist() -> None:
    """Every `make` command that it names is in the Makefile."""
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    named = set(re.findall(r"^make ([a-z0-9-]+)$|`make ([a-z0-9-]+)`", README, re.MULTILINE))

    assert {one or other for one, other in named} <= targets


def test_the_names_in_its_outcome_table_exist() -> None:
    """Rules and reasons for exclusion are those of the code."""
    table = README.partition("## What bad input costs")[2].partition("## ")[0]
    named = {name for row in table.splitlines() if row.startswith("| ") for name in re.findall(r"`(\w+)`", row)}
    reasons = {"deleted", "duplicate", "unsupported_shape", "unsupported_modality", "other_branch", "failed"}

    unknown = named - {rule.name for rule in RULES} - reasons - {"label_hash", "data_hash"}

    assert unknown == set()
