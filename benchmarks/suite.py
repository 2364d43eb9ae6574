"""Everything measured on one profile: inputs made or reused, runners interleaved, answers compared."""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.counts import Counts
from benchmarks.measure import measure
from benchmarks.profiles import SIZES, write_ontology
from benchmarks.runners import OURS, OURS_TWO, ROOT, Inputs, Runner, ops_in, runners

DATA = ROOT / "benchmarks" / "data"
SMALL = ("XS", "S", "x1", "x4")  # sizes on which the SDK, too, runs as often as the others
CHANGED = 0.01  # of the rows, by the third export
OPS = ["publish", "observe", "publish"]  # what three exports come to of which the second changes nothing


class Run(msgspec.Struct, frozen=True):
    """One measured run: seconds, and MB of memory at the peak of the process tree."""

    profile: str
    size: str
    runner: str
    number: int
    cpu: float
    wall: float
    memory: float


class Input(msgspec.Struct, frozen=True):
    """What an input holds, as the converters agree on."""

    profile: str
    size: str
    megabytes: float
    images: int
    annotations: int


class WrongAnswer(Exception):
    """Two converters disagree about one export, or an ingest did not do what it should: its time says nothing."""


def make_inputs(profile: str, size: str) -> Inputs:
    """The exports of a project, made where they are not there yet."""
    ontology = DATA / "ontology" / "ontology.json"  # not beside the exports: our reader would find it there
    write_ontology(ontology)
    paths = [make_input(profile, size, number, changed) for number, changed in ((1, 0.0), (2, 0.0), (3, CHANGED))]
    return Inputs(first=paths[0], unchanged=paths[1], changed=paths[2], ontology=ontology)


def make_input(profile: str, size: str, number: int = 1, changed: float = 0.0) -> Path:
    """One export of a project, made where it is not there yet."""
    DATA.mkdir(exist_ok=True)
    path = DATA / f"{profile}-{size}-{_version()}-{number}.json"
    if not path.exists():
        command = (sys.executable, "-m", "benchmarks.generate", profile, size, str(path))
        subprocess.run((*command, "--number", str(number), "--changed", str(changed)), check=True, cwd=ROOT)
    return path


def measure_profile(
    profile: str, size: str, *, runs: int, two_processes: bool, only: Sequence[str], say: Callable[[str], None]
) -> tuple[Input, list[Run]]:
    """All runners, or `only` those named, `runs` times in turn; WrongAnswer where they disagree."""
    if profile not in SIZES[size]:
        raise ValueError(f"there is no profile {profile} of size {size}")
    inputs = make_inputs(profile, size)
    done: list[Run] = []
    answer: Counts | None = None
    for number in range(runs):
        with tempfile.TemporaryDirectory(dir=DATA) as folder:
            scratch = Path(folder)
            chosen = runners(inputs, scratch, two_processes=two_processes)
            for runner in chosen:
                if _wanted(runner, profile, size, number, only):
                    done.append(_run(runner, profile, size, number))
                    say(f"{profile:12} {size:4} {runner.name:22} {done[-1].cpu:8.2f} s CPU {done[-1].memory:7.0f} MB")
            answer = answer or _agreed(chosen)
            _check_ingest(scratch / "lake")
            _check_bytes(chosen)
    assert answer is not None  # noqa: S101 - there is at least one run
    megabytes = inputs.first.stat().st_size / 1e6
    return Input(profile, size, megabytes, answer.images, answer.annotations), done


def _wanted(runner: Runner, profile: str, size: str, number: int, only: Sequence[str]) -> bool:
    """Whether a runner runs in the run of that number."""
    once = runner.slow and size not in SMALL
    return (
        not (only and runner.name not in only) and not (once and number) and profile in (runner.profiles or (profile,))
    )


def _run(runner: Runner, profile: str, size: str, number: int) -> Run:
    found = measure(runner.command, env=runner.env, cwd=ROOT)
    cpu = msgspec.json.decode(found.output)["cpu"] if runner.prints_cpu else found.cpu
    return Run(profile, size, runner.name, number, cpu, found.wall, max(found.peak, found.largest))


def _agreed(chosen: Sequence[Runner]) -> Counts:
    """The counts that all COCO files share."""
    first: tuple[str, Counts] | None = None
    for runner in chosen:
        if runner.coco is None or not runner.coco.exists():
            continue
        command = (sys.executable, "-m", "benchmarks.counts", str(runner.coco))
        told = subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout
        answer = msgspec.json.decode(told, type=Counts)
        if first is None:
            first = runner.name, answer
        elif wrong := differ(first[1], answer):
            raise WrongAnswer(f"{first[0]} and {runner.name} disagree: {wrong}")
    if first is None:
        raise WrongAnswer("no runner wrote a COCO file")
    return first[1]


def differ(one: Counts, other: Counts) -> str:
    """What differs, in words; empty where nothing does. Areas may differ by 2 %: outlines are filled differently."""
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in Counts.__struct_fields__[:-1]]
    found = [f"{name} {a} and {b}" for name, a, b in pairs if a != b]
    if abs(one.area - other.area) > 0.02 * max(one.area, other.area):
        found.append(f"area {one.area:.0f} and {other.area:.0f}")
    return "; ".join(found)


def _check_ingest(lake: Path) -> None:
    if lake.exists() and (ops := ops_in(lake)) != OPS:
        raise WrongAnswer(f"three exports came to {ops}, not {OPS}")


def _check_bytes(chosen: Sequence[Runner]) -> None:
    """One process and two write the same bytes."""
    paths = {runner.name: runner.coco for runner in chosen if runner.name in (OURS, OURS_TWO)}
    found = {name: _digest(path) for name, path in paths.items() if path is not None and path.exists()}
    if len(set(found.values())) > 1:
        raise WrongAnswer(f"the number of processes changes the bytes: {found}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version() -> str:
    """Part of the inputs' names: other generators make other inputs."""
    sources = [Path(__file__).with_name(f"{name}.py") for name in ("generate", "rows", "geometry", "profiles")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]
