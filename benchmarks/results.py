"""What was measured, as a table for people, as CSV, and as a chart."""

import csv
import io
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks import chart
from benchmarks import runners as r
from benchmarks.figures import Figure
from benchmarks.generate import changed_rows
from benchmarks.profiles import GROWTH, SIZES
from benchmarks.suite import CHANGED, Input, Run

LIBRARIES = ("encord-dagster", "dagster", "msgspec", "numpy", "pyarrow", "pycocotools")
BARS = (r.SDK, r.SDK_ROWS, r.OURS, r.JSON, r.TYPED)


class Results(msgspec.Struct, frozen=True):
    """All of one go."""

    inputs: Sequence[Input]
    runs: Sequence[Run]
    figures: Sequence[Figure]

    def median(self, one: Input, runner: str, what: Callable[[Run], float]) -> float | None:
        """The median of a runner's runs on an input; None where it did not run."""
        place = (one.profile, one.size, runner)
        found = [what(run) for run in self.runs if (run.profile, run.size, run.runner) == place]
        return statistics.median(found) if found else None

    def cpu(self, one: Input, runner: str) -> float | None:
        """CPU seconds."""
        return self.median(one, runner, lambda run: run.cpu)

    def wall(self, one: Input, runner: str) -> float | None:
        """Wall seconds."""
        return self.median(one, runner, lambda run: run.wall)

    def memory(self, one: Input, runner: str) -> float | None:
        """MB at the peak."""
        return self.median(one, runner, lambda run: run.memory)


def write(folder: Path, size: str, results: Results) -> None:
    """`<size>.md`, `<size>.csv` and `<size>.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(filter(None, _sections(size, results))) + "\n"
    (folder / f"{size}.md").write_text(text, "utf-8")
    (folder / f"{size}.csv").write_text(_csv(results), "utf-8")
    profiles, growing = _split(results)
    groups = [(one.profile, [(name, results.cpu(one, name)) for name in BARS]) for one in profiles]
    lines = [(name, [(one.images, results.cpu(one, name)) for one in growing]) for name in (r.SDK, r.SDK_ROWS, r.OURS)]
    title = f"Export to COCO, size {size}: CPU seconds, lower is better"
    (folder / f"{size}.svg").write_text(chart.svg(title, groups, lines if growing else []), "utf-8")


def _split(results: Results) -> tuple[list[Input], list[Input]]:
    growing = [one for one in results.inputs if one.size in GROWTH]
    return [one for one in results.inputs if one.size not in GROWTH], growing


def _sections(size: str, results: Results) -> Iterator[str]:
    profiles, growing = _split(results)
    yield f"# Benchmarks, size {size}"
    yield _machine(size, results)
    yield "## One export to COCO"
    yield table(("profile", "MB", "images", "annotations", *_CONVERT), [_converted(results, one) for one in profiles])
    yield f"![CPU seconds by profile]({size}.svg)"
    if any(results.cpu(one, r.OURS_TWO) for one in profiles):
        yield "## Two processes"
        names = ["profile", "wall s, one", "wall s, two", "speed-up", "CPU, two / one", "MB, two"]
        yield table(names, [_two(results, one) for one in profiles])
    yield "## Into a lake: the first export, and the next ones"
    yield table(("profile", *_NEXT), [_next(results, one) for one in profiles])
    masked = [one for one in profiles if results.cpu(one, r.MASKS)]
    if masked:
        yield "## With mask PNGs"
        names = ["profile", "CPU s, coco and masks", "CPU s, coco", "ms/image for masks", "peak MB"]
        yield table(names, [_masked(results, one) for one in masked])
    if growing:
        yield "## Growth: boxes, rows x1, x4, x16"
        names = ["images", "SDK s", "SDK by row s", "ours s", "SDK / ours", "peak MB, SDK", "peak MB, ours"]
        yield table(names, [_growth(results, one) for one in growing])
    if results.figures:
        yield "## Small figures"
        rows = [[one.name, f"{one.value:,.4g}", one.unit, one.note] for one in results.figures]
        yield table(("what", "", "unit", ""), rows)


def _machine(size: str, results: Results) -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    most = 1 + max((run.number for run in results.runs), default=0)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {model}, load {load} at the end, "
        f"Python {platform.python_version()}, {libraries}; encord {r.SDK_VERSION} in an environment of its own.\n\n"
        f"Made by `make bench SIZE={size}`. CPU is user + system of a fresh process and its children, median of {most} "
        "run(s), in turn with each other; the SDK runs once on large inputs. Memory is the peak of the process tree. "
        "json.loads and typed floor are without interpreter and imports. All converters agreed on images, annotations, "
        "classes and areas. Compare the ratios, not the seconds; wall times depend on what else the machine does."
    )


_CONVERT = (
    *("SDK s", "SDK by row s", "ours s", "SDK / ours", "by row / ours", "ours / json.loads", "ours / typed floor"),
    *("MB, SDK", "MB, ours"),
)
_NEXT = ("first s", "unchanged s", "changed s", "unchanged / first", "changed / first", "rows changed", "MB, first")


def _converted(results: Results, one: Input) -> list[str]:
    whole, rows, ours = (results.cpu(one, name) for name in (r.SDK, r.SDK_ROWS, r.OURS))
    return [
        one.profile,
        f"{one.megabytes:.1f}",
        f"{one.images:,}",
        f"{one.annotations:,}",
        *map(_number, (whole, rows, ours)),
        _ratio(whole, ours),
        _ratio(rows, ours),
        _ratio(ours, results.cpu(one, r.JSON)),
        _ratio(ours, results.cpu(one, r.TYPED)),
        *(_number(results.memory(one, name)) for name in (r.SDK, r.OURS)),
    ]


def _two(results: Results, one: Input) -> list[str]:
    walls = [results.wall(one, name) for name in (r.OURS, r.OURS_TWO)]
    more = _ratio(results.cpu(one, r.OURS_TWO), results.cpu(one, r.OURS))
    return [one.profile, *map(_number, walls), _ratio(*walls), more, _number(results.memory(one, r.OURS_TWO))]


def _next(results: Results, one: Input) -> list[str]:
    first, unchanged, changed = (results.cpu(one, name) for name in (r.FIRST, r.UNCHANGED, r.CHANGED))
    shares = [f"{part / first:.0%}" if part and first else "" for part in (unchanged, changed)]
    rows = sum(part.rows for part in SIZES[one.size][one.profile])
    share = f"{changed_rows(CHANGED, rows):,} of {rows:,}"  # never none, so of few rows it is more than it should be
    times = map(_number, (first, unchanged, changed))
    return [one.profile, *times, *shares, share, _number(results.memory(one, r.FIRST))]


def _masked(results: Results, one: Input) -> list[str]:
    masks, plain = results.cpu(one, r.MASKS), results.cpu(one, r.OURS)
    each = (masks - plain) / one.images * 1000 if masks and plain else None
    return [one.profile, *map(_number, (masks, plain, each, results.memory(one, r.MASKS)))]


def _growth(results: Results, one: Input) -> list[str]:
    whole, rows, ours = (results.cpu(one, name) for name in (r.SDK, r.SDK_ROWS, r.OURS))
    memory = [_number(results.memory(one, name)) for name in (r.SDK, r.OURS)]
    return [f"{one.images:,}", *map(_number, (whole, rows, ours)), _ratio(whole, ours), *memory]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _ratio(one: float | None, other: float | None) -> str:
    return f"{one / other:.2f}" if one and other else ""


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, numbers to the right."""
    lines = [names, ["---", *["--:"] * (len(names) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _csv(results: Results) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("profile", "size", "runner", "run", "cpu_s", "wall_s", "peak_mb"))
    for run in results.runs:
        numbers = (f"{run.cpu:.3f}", f"{run.wall:.3f}", f"{run.memory:.1f}")
        table.writerow((run.profile, run.size, run.runner, run.number, *numbers))
    for one in results.figures:
        table.writerow((one.name, one.unit, one.note, "", f"{one.value:.6g}", "", ""))
    return text.getvalue()
