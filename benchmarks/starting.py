"""What starting costs: CPU of importing this package and Dagster, and of `encord-dagster --help`."""

import statistics
import sys

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


def main() -> None:
    """Measure each some times in turn: medians."""
    runs = [[measure(command, cwd=ROOT).cpu * 1000 for _, command in COMMANDS] for _ in range(TIMES)]
    medians = [statistics.median(values) for values in zip(*runs, strict=True)]
    figures = [Figure(name, cpu, "ms CPU") for (name, _), cpu in zip(COMMANDS, medians, strict=True)]
    over = medians[4] - medians[3]
    show([*figures, Figure("our definitions over import dagster", over, "ms CPU", f"{over / medians[3]:.0%} of it")])


if __name__ == "__main__":
    main()
