"""`python -m benchmarks.large --times 100`: an export of gigabytes to COCO, by one process and by two.

The export is the boxes of size L, many times over, each time with label and data hashes of its own. The default is
0.5 GB; 100 times are 10 GB, and need 25 GB of disk.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import measure
from benchmarks.runners import CLI, ROOT
from benchmarks.suite import DATA

_HASH = re.compile(
    rb'("(?:label_hash|data_hash)":"|"data_units":\{")([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-)[0-9a-f]{4}'
)


def multiply(source: Path, target: Path, times: int) -> None:
    """The rows of an export, `times` over."""
    rows = source.read_bytes().strip()[1:-1].strip()
    with target.open("wb") as file:
        file.write(b"[")
        for number in range(times):
            tag = b"%04x" % number
            file.write(b",\n" if number else b"")
            file.write(_HASH.sub(lambda found, tag=tag: found[1] + found[2] + tag, rows))  # type: ignore[misc]
        file.write(b"]")


def main() -> None:
    """Make the export, convert it, print what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    given = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    source, target, output = DATA / "boxes-L-large.json", DATA / "large.json", DATA / "large"
    subprocess.run((sys.executable, "-m", "benchmarks.generate", "boxes", "L", str(source)), check=True, cwd=ROOT)
    multiply(source, target, given.times)
    print(f"{target.stat().st_size / 1e9:.2f} GB")
    for processes in given.processes:
        shutil.rmtree(output, ignore_errors=True)
        os.sync()  # what was written before is not to be written now
        command = (*CLI, "convert", str(target), "-o", str(output), "--formats", "coco", "--quiet")
        found = measure((*command, "--processes", str(processes)), cwd=ROOT)
        print(f"{processes} processes: {found.wall:.1f} s, {found.cpu:.1f} s CPU, {found.peak:.0f} MB in all processes")
    shutil.rmtree(output, ignore_errors=True)
    target.unlink()


if __name__ == "__main__":
    main()
