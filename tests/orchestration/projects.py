"""Throwaway Dagster projects of YAML files, and `dg` as a person calls it."""

import itertools
from pathlib import Path

import dagster as dg
import msgspec
import pytest
from click.testing import CliRunner
from dagster_dg_cli.cli import cli

COMPONENT = "encord_dagster.EncordLabelSetComponent"
FIVE_LINES = """\
type: encord_dagster.EncordLabelSetComponent
attributes:
  landing: landing
  lake: lake
  name: street
"""
_numbers = itertools.count()  # a module is imported once: each project has a name of its own


class Answer(msgspec.Struct):
    """What a command printed, and its exit code."""

    code: int
    text: str


class Project:
    """A project folder, as `create-dagster project` lays one out."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, *, module: str = "") -> None:
        self.root = root
        self.module = module or f"labels_{next(_numbers)}"
        self.defs = root / self.module / "defs"
        self.quiet = root / "home"
        self._patch = monkeypatch
        monkeypatch.syspath_prepend(str(root))

    def lay_out(self) -> "Project":
        """Write what the project has before any label set."""
        self.defs.mkdir(parents=True)
        for folder in (self.defs, self.defs.parent):
            (folder / "__init__.py").touch()
        (self.root / "pyproject.toml").write_text(
            f'[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "{self.module}"\n'
        )
        (self.defs.parent / "definitions.py").write_text(
            "from pathlib import Path\n\nimport dagster as dg\n\n"
            "defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
        )
        return self

    def write(self, folder: str, text: str) -> Path:
        """Write the YAML file of a label set."""
        path = self.defs / folder / "defs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self) -> dg.Definitions:
        """Everything in `defs/`, as a run worker loads it."""
        return dg.load_from_defs_folder(path_within_project=self.root)

    def call(self, *arguments: str) -> Answer:
        """`dg` in the project's folder."""
        self.quiet.mkdir(exist_ok=True)
        (self.quiet / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        self._patch.setenv("DAGSTER_HOME", str(self.quiet))
        self._patch.chdir(self.root)
        done = CliRunner().invoke(cli, arguments)
        return Answer(done.exit_code, done.output)


def whole_error(error: BaseException | None) -> str:
    """What an error says, and those that it comes from."""
    told = ""
    while error:
        told, error = f"{told}\n{error}", error.__cause__ or error.__context__
    return told
