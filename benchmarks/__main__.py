"""`python -m benchmarks`: this project beside the vendor's exporter and the floors, in one go.

Writes a table, a CSV file and a chart.
Without names of profiles it runs all of the size, growth and the small figures, and the results are kept in
benchmarks/results; with names only these, and the results lie in benchmarks/data. CPU seconds are of fresh processes
and of their children; compare the ratios, not the seconds.
"""

import argparse
import sys

from benchmarks import figures, results
from benchmarks.profiles import GROWTH, PROFILES, SIZES
from benchmarks.runners import OURS, ROOT, SDK, SDK_PYTHON, SDK_ROWS, TYPED, knows_processes
from benchmarks.suite import DATA, Input, Run, measure_profile

GROWING = (SDK, SDK_ROWS, OURS, TYPED)


def main() -> None:
    """Measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", help=f"of {', '.join(PROFILES)}; none: all")
    parser.add_argument("--size", choices=SIZES, default="S")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    if not SDK_PYTHON.exists():
        raise SystemExit(f"{SDK_PYTHON} is not there: run `make bench`, which makes it")
    chosen = [profile for profile in given.profiles or PROFILES if profile in SIZES[given.size]]
    if missing := set(given.profiles) - set(chosen):
        parser.error(f"no profile {', '.join(sorted(missing))} of size {given.size}")
    DATA.mkdir(exist_ok=True)
    two = knows_processes()
    cases: list[tuple[str, str, tuple[str, ...]]] = [(profile, given.size, ()) for profile in chosen]
    if not given.profiles:
        cases += [("boxes", size, GROWING) for size in GROWTH]
    folder = DATA if given.profiles else ROOT / "benchmarks" / "results"
    inputs: list[Input] = []
    runs: list[Run] = []
    for profile, size, only in cases:
        found, done = measure_profile(profile, size, runs=given.runs, two_processes=two, only=only, say=_say)
        inputs.append(found)
        runs += done
        results.write(folder, given.size, results.Results(inputs, runs, []))  # a long go that is cut short is not lost
    if not given.profiles:
        measured = [one for name in figures.MODULES for one in figures.measured_in(name)]
        results.write(folder, given.size, results.Results(inputs, runs, measured))
    print((folder / f"{given.size}.md").read_text("utf-8"))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
