"""`python -m benchmarks.formats`: what formats for training cost beside COCO, on the same export.

CPU of fresh processes and their children: `convert` to COCO alone, to each format alone and with COCO, `checkout` of
each format out of a lake, the same bytes written to as many files (the floor), and the script that one usually writes.
Files go to `--scratch`: a disk can take ten times the CPU for a new file that memory takes, and more in one minute than
in the next.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks import usual
from benchmarks.measure import measure
from benchmarks.results import table
from benchmarks.runners import CLI, ROOT
from benchmarks.suite import DATA, make_input
from encord_dagster.formats.catalogue import FORMATS, NEED_A_LAKE, PUBLISHED

SCRIPTED = 200  # images that the usual script makes: it takes a minute for two thousand
BELOW = {"yolo_detect": "yolo_detect", "voc_masks": "voc_masks", "coco_panoptic": "masks/panoptic"}
PROFILES = ("boxes", "polygons", "bitmasks", "video", "dicom", "mixed")
TRAINING = tuple(name for name in FORMATS if name not in PUBLISHED and name not in NEED_A_LAKE)
BASE = ("coco", "coco,masks")
PICTURES = ("coco_panoptic", "voc_masks")  # also beside our masks, which are pictures too
LIBRARIES = ("encord-dagster", "msgspec", "numpy", "pycocotools", "pillow")


class Cost(msgspec.Struct):
    """What one format costs on one export, in CPU seconds; None where it was not measured."""

    profile: str
    size: str
    name: str
    alone: float
    files: int = 0
    megabytes: float = 0.0
    floor: float | None = None
    beside: float | None = None  # with COCO
    checkout: float | None = None
    script: float | None = None  # the usual script, from our COCO file on, for as many images as there are


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profiles", nargs="*", help=f"of {', '.join(PROFILES)}; none: all")
    parser.add_argument("--size", nargs="*", choices=("XS", "S", "L"), default=["S", "L"])
    parser.add_argument("--formats", type=lambda text: text.split(","), default=list(TRAINING))
    parser.add_argument("--scratch", type=Path, default=DATA, help="for instance /dev/shm")
    parser.add_argument("--write", type=Path, default=ROOT / "benchmarks" / "results" / "formats.md")
    given = parser.parse_args()
    costs: list[Cost] = []
    scratch = given.scratch / f"formats-{os.getpid()}"
    scratch.mkdir(parents=True)
    try:
        for size in given.size:
            for profile in given.profiles or PROFILES:
                for cost in measured(profile, size, given.formats, scratch):
                    costs.append(cost)
                    sys.stderr.write(f"{profile} {size} {cost.name}: {cost.alone:.2f} s CPU\n")
                    given.write.write_text(report(costs, scratch), "utf-8")  # a go that is cut short is not lost
    finally:
        shutil.rmtree(scratch)


def measured(profile: str, size: str, formats: Sequence[str], scratch: Path) -> Iterator[Cost]:
    """What COCO costs, COCO with masks, and each format."""
    export = make_input(profile, size)
    lake = scratch / "lake"
    told = ("--lake", str(lake), "--name", "formats")
    if size != "L":
        subprocess.run((*CLI, "ingest", str(export), *told, "--no-masks", "--quiet"), check=True, cwd=ROOT)
    coco = scratch / "coco"
    for names in BASE:
        out = coco if names == "coco" else scratch / "base"
        yield _with_files(Cost(profile, size, names, _convert(export, out, names)), out)
    for name in formats:
        out = scratch / "alone"
        cost = _with_files(Cost(profile, size, name, _convert(export, out, name)), out)
        if size != "L":
            cost.beside = _convert(export, scratch / "beside", f"coco,{name}")
            command = (*CLI, "checkout", *told, "-o", str(scratch / "checkout"), "--formats", name)
            cost.checkout = measure(command, cwd=ROOT).cpu
        if size != "L" and name in usual.FORMATS:
            cost.script = _script(name, coco / "annotations" / "instances.json", scratch / "script")
            agree(name, out, scratch / "script")
        for folder in ("alone", "beside", "checkout", "script"):
            shutil.rmtree(scratch / folder, ignore_errors=True)
        yield cost
    for folder in ("lake", "coco", "base"):
        shutil.rmtree(scratch / folder, ignore_errors=True)


def _script(name: str, source: Path, out: Path) -> float:
    """What the usual script takes for all images, by what it takes for the first ones beyond its start."""
    images = len(json.loads(source.read_text("utf-8"))["images"])
    few = min(images, SCRIPTED)
    start, some = (
        measure((sys.executable, "-m", "benchmarks.usual", name, str(source), str(out), str(many)), cwd=ROOT).cpu
        for many in (0, few)
    )
    return start + (some - start) * images / few


def _convert(export: Path, out: Path, names: str) -> float:
    command = (*CLI, "convert", str(export), "-o", str(out), "--formats", names, "--processes", "1", "--quiet")
    return measure(command, cwd=ROOT).cpu


def _with_files(cost: Cost, out: Path) -> Cost:
    """How many files there are, and what writing them alone takes: paths are strings, and bytes at hand."""
    held = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    cost.files, cost.megabytes = len(held), sum(map(len, held.values())) / 1e6
    target = out.with_name("floor")
    for folder in {str(Path(name).parent) for name in held}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    for name, data in held.items():
        file = os.open(f"{target}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.write(file, data)
        os.close(file)
    cost.floor = time.process_time() - started
    shutil.rmtree(target)
    return cost


class Disagreement(Exception):
    """The usual script and this project came to different labels: their times say nothing."""


def agree(name: str, ours: Path, script: Path) -> None:
    """The files of the script are here too; in some of them are the same lines, or pixels."""
    made = sorted(path.relative_to(script) for path in script.rglob("*.*"))
    if not made or not all((ours / BELOW[name] / path).exists() for path in made):
        raise Disagreement(f"{name}: the script makes {len(made)} files, some of them are not here")
    pairs = [(ours / BELOW[name] / path, script / path) for path in made]
    for one, other in pairs[:: max(1, len(pairs) // 50)]:
        if not _same(name, one, other):
            raise Disagreement(f"{name}: {one.name}")


def _same(name: str, one: Path, other: Path) -> bool:
    import numpy as np
    from PIL import Image

    if name == "yolo_detect":
        rows = [[list(map(float, line.split())) for line in path.read_text().splitlines()] for path in (one, other)]
        return np.allclose(rows[0], rows[1], atol=2e-6) if rows[0] and rows[1] else rows[0] == rows[1]
    first, second = (np.asarray(Image.open(path)) for path in (one, other))
    if name == "coco_panoptic":  # whose ids are other numbers
        return np.array_equal(first.any(axis=2), second.any(axis=2))
    return np.array_equal(first, second)


def report(costs: Sequence[Cost], scratch: Path) -> str:
    """The tables as Markdown."""
    sections = ["# Formats for training", _about(scratch)]
    for size in dict.fromkeys(cost.size for cost in costs):
        sections += _of_size(size, [cost for cost in costs if cost.size == size])
    return "\n\n".join(sections) + "\n"


def _of_size(size: str, costs: Sequence[Cost]) -> Iterator[str]:
    coco, masks = ({cost.profile: cost.alone for cost in costs if cost.name == name} for name in BASE)
    training = [cost for cost in costs if cost.name not in BASE]
    pictures = [cost for cost in training if cost.name in PICTURES]
    yield f"## Size {size}: the format alone / COCO alone"
    yield _grid([cost for cost in costs if cost.name != "coco"], lambda cost: _ratio(cost.alone, coco[cost.profile]))
    yield "COCO alone took " + ", ".join(f"{seconds:.2f} s ({profile})" for profile, seconds in coco.items()) + "."
    yield f"## Size {size}: pictures alone / COCO and masks"
    yield _grid(pictures, lambda cost: _ratio(cost.alone, masks[cost.profile]))
    if size != "L":
        yield f"## Size {size}: COCO and the format / COCO alone"
        yield _grid(training, lambda cost: _ratio(cost.beside, coco[cost.profile]))
        yield f"## Size {size}: checkout of the format out of a lake / COCO alone"
        yield _grid(training, lambda cost: _ratio(cost.checkout, coco[cost.profile]))
        yield f"## Size {size}: COCO alone and then the usual script / the format alone"
        scripted = [cost for cost in training if cost.script is not None]
        yield _grid(scripted, lambda cost: _ratio(coco[cost.profile] + (cost.script or 0.0), cost.alone))
    yield f"## Size {size}: files, MB, and the share of its time that writing them alone takes"
    yield _grid(costs, lambda cost: f"{cost.files:,}, {cost.megabytes:.1f}, {(cost.floor or 0) / cost.alone:.0%}")


def _grid(costs: Sequence[Cost], cell: Callable[[Cost], str]) -> str:
    """A row for each format, a column for each profile."""
    profiles = list(dict.fromkeys(cost.profile for cost in costs))
    rows = {name: dict.fromkeys(profiles, "") for name in dict.fromkeys(cost.name for cost in costs)}
    for cost in costs:
        rows[cost.name][cost.profile] = cell(cost)
    return table(("format", *profiles), [[name, *row.values()] for name, row in rows.items()])


def _ratio(seconds: float | None, other: float) -> str:
    return "" if seconds is None else f"{seconds / other:.2f}"


def _about(scratch: Path) -> str:
    kind = subprocess.run(("stat", "-f", "-c", "%T", str(scratch)), capture_output=True, text=True, check=True).stdout
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of a shared machine, Python "
        f"{platform.python_version()}, {libraries}. Made by `python -m benchmarks.formats`: CPU of a fresh process and "
        f"its children, one run, one process (`--processes 1`), files on {kind.strip()}. Compare the ratios, not the "
        "seconds. Where the usual script (`benchmarks/usual.py`) makes a format too, labels of both were compared; "
        f"it was given {SCRIPTED} images, and its time is what as many as there are would take."
    )


if __name__ == "__main__":
    main()
