"""Coverage-guided fuzzing of the reader and the run-length decoder: `make fuzz`, or `make fuzz SECONDS=60`.

Each target runs in a process of its own for a third of the time, and goes on after what it finds. Inputs that reach
new code are kept in .make/fuzz/corpus, those that break a promise in .make/fuzz/broken.
"""

# ruff: noqa: T201 - it reports on the terminal

import argparse
import functools
import hashlib
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(".make/fuzz")
TARGETS = ("bytes", "tree", "runs")
_COVERAGE = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+)")


def main(arguments: list[str]) -> int:
    """Run all targets, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=1800, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS, help="run only this one, for all of the time")
    parser.add_argument("--input", type=Path, help="run one target on one file, without fuzzing")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        fuzz(options.target, seconds=options.seconds, file=options.input)
        return 0
    chosen = (options.target,) if options.target else TARGETS
    share = max(1, options.seconds // len(chosen))
    return int(any([report(target, seconds=share, file=options.input) for target in chosen]))  # noqa: C419 - all of them run


def report(target: str, *, seconds: int, file: Path | None) -> bool:
    """Run a target in its own process, print executions and coverage; whether it found something."""
    command = [sys.executable, "-m", "tests.hostile.fuzz", "--here", "--target", target, "--seconds", str(seconds)]
    before = set(_broken(target))
    process = subprocess.Popen(
        [*command, *(["--input", str(file)] if file else [])], stderr=subprocess.PIPE, text=True, errors="replace"
    )
    first: tuple[str, str] | None = None
    last, runs, tail = ("0", "0"), "0", list[str]()
    for line in process.stderr or ():
        tail = [*tail[-30:], line]
        if line.startswith("broken: ") or file:
            print(line, end="")
        if seen := _COVERAGE.match(line):
            runs, last = seen[1], (seen[3], seen[4])
            first = first or (last if seen[2] == "INITED" else None)
    died = process.wait() != 0
    new = sorted(set(_broken(target)) - before)
    start = first or ("0", "0")
    print(
        f"{target}: {int(runs):,} executions in {seconds} s, coverage {start[0]} -> {last[0]} edges, "
        f"{start[1]} -> {last[1]} features, {len(new)} new findings",
        *(f"  {path}" for path in new),
        sep="\n",
    )
    if died:
        print(f"{target}: the process ended with exit code {process.returncode}:", *tail, sep="\n")
    return died or bool(new)


def fuzz(target: str, *, seconds: int, file: Path | None) -> None:
    """Fuzz one target; does not come back."""
    import atheris  # type: ignore[import-untyped]  # untyped, and not in the environment

    with atheris.instrument_imports(include=["encord_dagster"]):
        from tests.hostile import targets
    calls: dict[str, Callable[[bytes], None]] = {
        "bytes": targets.read_export,
        "tree": lambda data: targets.read_tree(atheris.FuzzedDataProvider(data)),
        "runs": lambda data: targets.read_runs(atheris.FuzzedDataProvider(data)),
    }
    if file:
        calls[target](file.read_bytes())
        return
    corpus, words = FOLDER / "corpus" / target, FOLDER / "words.dict"
    for folder in (corpus, FOLDER / "broken" / target):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in targets.seeds(target):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in targets.dictionary()), encoding="ascii")
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={FOLDER}/broken/{target}/",
        "-max_len=60000" if target == "bytes" else "-max_len=2000",
        "-timeout=60",
        "-rss_limit_mb=3000",
        *([f"-dict={words}"] if target == "bytes" else []),
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], functools.partial(_survive, calls[target], target))
    atheris.Fuzz()


def _survive(call: Callable[[bytes], None], target: str, data: bytes) -> None:
    """Call, and keep the first input of each kind of failure, so that the search goes on."""
    try:
        call(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        path = FOLDER / "broken" / target / f"{type(error).__name__}-{place.replace(':', '-')}"
        if not path.exists():
            path.write_bytes(data)
            print(f"broken: {type(error).__name__} at {place}: {str(error)[:200]!r}, see {path}", file=sys.stderr)


def _broken(target: str) -> list[Path]:
    return sorted((FOLDER / "broken" / target).glob("*"))


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
