"""Who is measured on an export: the vendor, the floors, and this project's commands. Each is a command line."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
SDK_VERSION = "0.1.211"
SDK_PYTHON = ROOT / ".make" / f"oracle-{SDK_VERSION}" / "bin" / "python"
CLI = (sys.executable, "-m", "encord_dagster.cli")
LABEL_SET = "bench"

SDK, SDK_ROWS = "SDK", "SDK row by row"
READ, JSON, TYPED = "read", "json.loads", "typed floor"
OURS, OURS_TWO, MASKS = "ours", "ours, 2 processes", "ours, coco and masks"
FIRST, UNCHANGED, CHANGED = "ingest first", "ingest unchanged", "ingest 1 % changed"


class Inputs(msgspec.Struct, frozen=True):
    """The three exports of one project, and the ontology. `changed` differs in the labels of 1 % of its rows."""

    first: Path
    unchanged: Path
    changed: Path
    ontology: Path


class Runner(msgspec.Struct, frozen=True):
    """A command to measure; `coco` is the COCO file it writes, None where it writes none."""

    name: str
    command: Sequence[str]
    coco: Path | None = None
    env: Mapping[str, str] | None = None
    prints_cpu: bool = False  # it measures itself, without interpreter and imports
    slow: bool = False  # measured once where the input is large
    profiles: Sequence[str] = ()  # that it runs on; none: all


def runners(inputs: Inputs, scratch: Path, *, two_processes: bool) -> list[Runner]:
    """All of them on one project's exports, in the order in which they are run. What they write goes to `scratch`."""
    lake = scratch / "lake"
    made = [
        _sdk(SDK, "whole", inputs, scratch / "whole.json"),
        _convert(OURS, inputs, scratch / "ours"),
        _sdk(SDK_ROWS, "rows", inputs, scratch / "rows.json"),
        msgspec.structs.replace(
            _convert(MASKS, inputs, scratch / "masks", formats="coco,masks"), profiles=("polygons", "bitmasks", "mixed")
        ),
        _ingest(FIRST, inputs.first, lake),
        _ingest(UNCHANGED, inputs.unchanged, lake),
        _ingest(CHANGED, inputs.changed, lake),
        *(
            _floor(name, how, inputs, scratch / "floor")
            for name, how in ((READ, "read"), (JSON, "json"), (TYPED, "typed"))
        ),
    ]
    if two_processes:
        more = ("--processes", "2")
        made.insert(2, _convert(OURS_TWO, inputs, scratch / "ours2", more=more))
        made[1] = _convert(OURS, inputs, scratch / "ours", more=("--processes", "1"))
    return made


def knows_processes() -> bool:
    """Whether `convert` has the option --processes."""
    told = subprocess.run((*CLI, "convert", "--help"), capture_output=True, text=True, check=True, cwd=ROOT)
    return "--processes" in told.stdout


def ops_in(lake: Path) -> list[str]:
    """What the records of the lake that was ingested into say was done, oldest first."""
    command = (*CLI, "log", "--lake", str(lake), "--name", LABEL_SET, "--json")
    told = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    return [entry["op"] for entry in sorted(msgspec.json.decode(told.stdout), key=lambda entry: entry["seq"])]


def _sdk(name: str, how: str, inputs: Inputs, out: Path) -> Runner:
    # nothing of this environment's settings: the SDK needs none, and a key among them is none of its business
    script = str(ROOT / "benchmarks" / "sdk.py")
    command = (str(SDK_PYTHON), "-I", script, how, str(inputs.first), str(inputs.ontology), str(out))
    return Runner(name, command, coco=out, env={"PATH": os.environ.get("PATH", "")}, slow=True)


def _convert(name: str, inputs: Inputs, out: Path, *, formats: str = "coco", more: Sequence[str] = ()) -> Runner:
    command = (*CLI, "convert", str(inputs.first), "-o", str(out), "--formats", formats, "--quiet", *more)
    return Runner(name, command, coco=out / "annotations" / "instances.json")


def _ingest(name: str, export: Path, lake: Path) -> Runner:
    command = (*CLI, "ingest", str(export), "--lake", str(lake), "--name", LABEL_SET, "--no-masks", "--quiet")
    return Runner(name, command)


def _floor(name: str, how: str, inputs: Inputs, out: Path) -> Runner:
    command = (sys.executable, "-m", "benchmarks.floors", how, str(inputs.first), str(out))
    return Runner(name, command, prints_cpu=True)
