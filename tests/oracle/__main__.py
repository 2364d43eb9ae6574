"""`python -m tests.oracle`: random and real label rows read by us and by the vendor's SDK, and what differs.

The SDK runs in environments of its own (`make oracle` makes them). Exit code 1 where a difference is not explained.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.oracle import real
from tests.oracle.compare_coco import compare_coco
from tests.oracle.compare_labels import compare_labels
from tests.oracle.generate import rows
from tests.oracle.judge import Judge
from tests.oracle.ontologies import random_ontology
from tests.oracle.ours import read_export

Json = dict[str, Any]
OLD, NEW = "0.1.190", "0.1.211"  # the last that reads classifications of frames; the newest
PER_FILE = 100
READER = Path(__file__).with_name("sdk_reader.py")


def main() -> int:
    """Generate, let both read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--environments", type=Path, default=Path(".make"), help="where the folders oracle-VERSION lie")
    parser.add_argument("--keep", type=Path, help="an empty folder for the rows and what the SDK made of them")
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        judge = _compared(folder, given.rows, given.seed, given.environments)
    print(judge.report())
    found = sum(judge.unexplained.values())
    print(f"\n{found:,} unexplained differences; seed {given.seed}, {time.monotonic() - started:.0f} s")
    return 1 if found else 0


def _compared(folder: Path, number: int, seed: int, environments: Path) -> Judge:
    for version, era in ((OLD, "frames"), (NEW, "ranges")):
        ontology = random_ontology(seed, new_shapes=version == NEW)
        made = list(rows(seed, number, ontology, "frames" if era == "frames" else "ranges"))
        write_folder(folder / "in" / version / era, ontology, made)
    ontology_path = folder / "in" / NEW / "ranges" / "ontology.json"
    into = folder / "in" / NEW / "made by the SDK"
    _sdk(environments, NEW, "make", ontology_path, into, number // 10, seed).wait_or_fail()
    for name, ontology, found in real.exports():
        write_folder(folder / "in" / OLD / name, ontology, found)
        write_folder(folder / "in" / NEW / name, ontology, [real.lifted(row) for row in found])
    running = [_sdk(environments, one, "read", folder / "in" / one, folder / "out" / one) for one in (OLD, NEW)]
    for one in running:
        one.wait_or_fail()
    judge = Judge()
    for version in (OLD, NEW):
        for path in sorted((folder / "in" / version).glob("*/rows-*.json")):
            _compare_file(judge, version, path, folder / "out" / version / path.parent.name / path.name)
    return judge


def write_folder(folder: Path, ontology: Json, made: list[Json]) -> None:
    """An ontology and rows as `sdk_reader.py` reads them."""
    folder.mkdir(parents=True)
    (folder / "ontology.json").write_text(json.dumps(ontology), "utf-8")
    for start in range(0, len(made), PER_FILE):
        path = folder / f"rows-{start // PER_FILE:03}.json"
        path.write_text(json.dumps(made[start : start + PER_FILE]), "utf-8")


def _compare_file(judge: Judge, version: str, path: Path, answer: Path) -> None:
    data = path.read_bytes()
    ontology = json.loads((path.parent / "ontology.json").read_text("utf-8"))
    told = json.loads(answer.read_text("utf-8"))
    for row, ours, sdk in zip(json.loads(data), read_export(data), told, strict=True):
        sdk["version"] = version
        judge.counts[f"rows, {version}, {path.parent.name}"] += 1
        judge.same("SDK reads the row", (path.parent.name, row["label_hash"]), None, sdk["error"])
        if sdk["error"] is None:
            compare_labels(judge, row, ontology, ours, sdk)
        compare_coco(judge, row, ontology, ours, sdk)


class _Running:
    """The SDK at work in its own environment."""

    def __init__(self, command: list[str]) -> None:
        # nothing of this environment's settings: the SDK needs none, and a key among them is none of its business
        self._process = subprocess.Popen(command, env={"PATH": os.environ.get("PATH", "")})

    def wait_or_fail(self) -> None:
        """Wait for its end; SystemExit where it failed."""
        if self._process.wait():
            raise SystemExit("the SDK's environment failed, see above; `rm -rf .make/oracle-*` makes it anew")


def _sdk(environments: Path, version: str, *arguments: object) -> _Running:
    python = environments / f"oracle-{version}" / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: run `make oracle`, which makes it")
    return _Running([str(python), "-I", str(READER), *map(str, arguments)])


if __name__ == "__main__":
    sys.exit(main())
