"""What starting costs: CPU of importing this package and Dagster, of the command line, of loading definitions."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, show
from benchmarks.measure import measure
from benchmarks.runners import CLI, ROOT

TIMES = 5
DEFINITIONS = "import encord_dagster; encord_dagster.build_label_set_definitions"
COMMANDS = (
    ("python, nothing imported", (sys.executable, "-c", "pass")),
    ("import encord_dagster", (sys.executable, "-c", "import encord_dagster")),
    ("encord-dagster --help", (*CLI, "--help")),
    ("import dagster", (sys.executable, "-c", "import dagster")),
    ("definitions imported, with dagster", (sys.executable, "-c", DEFINITIONS)),
)
YAML = """\
type: encord_dagster.EncordLabelSetComponent
attributes:
  landing: landing
  lake: lake
  name: street
"""
PROJECT = '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "labels"\n'
LOAD = """\
import sys, time
from pathlib import Path
if sys.argv[1:]:
    sys.modules["dagster_aws.components"] = sys  # as where dagster-aws is not installed
import dagster as dg
started = time.process_time()
dg.load_from_defs_folder(path_within_project=Path.cwd()).get_repository_def()
print(time.process_time() - started)
"""


def main() -> None:
    """Measure each some times in turn: medians."""
    runs = [[measure(command, cwd=ROOT).cpu * 1000 for _, command in COMMANDS] for _ in range(TIMES)]
    medians = [statistics.median(values) for values in zip(*runs, strict=True)]
    figures = [Figure(name, cpu, "ms CPU") for (name, _), cpu in zip(COMMANDS, medians, strict=True)]
    over = medians[4] - medians[3]
    figures.append(Figure("our definitions over import dagster", over, "ms CPU", f"{over / medians[3]:.0%} of it"))
    show([*figures, *_projects()])


def _projects() -> list[Figure]:
    """What a run worker pays for loading a project of YAML, beside importing Dagster."""
    with tempfile.TemporaryDirectory() as name:
        defs = Path(name) / "labels" / "defs"
        (defs / "street").mkdir(parents=True)
        for folder in (defs, defs.parent):
            (folder / "__init__.py").touch()
        (defs / "street" / "defs.yaml").write_text(YAML)
        (Path(name) / "pyproject.toml").write_text(PROJECT)
        (Path(name) / "load.py").write_text(LOAD)
        bare, aws = _load(Path(name), "bare"), _load(Path(name))
    return [
        Figure("definitions of a project of YAML", bare, "ms CPU", "dagster-aws not installed"),
        Figure("the same where dagster-aws is installed", aws, "ms CPU", "its entry point is loaded"),
    ]


def _load(folder: Path, *words: str) -> float:
    command = [sys.executable, "load.py", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    told = [subprocess.check_output(command, cwd=folder, env=environment, text=True) for _ in range(TIMES)]
    return statistics.median(float(text.split()[-1]) * 1000 for text in told)


if __name__ == "__main__":
    main()
