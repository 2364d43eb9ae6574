"""`python -m benchmarks.generate PROFILE SIZE FILE`: a realistic export, written row by row; same numbers, same bytes.

The next export of the same project (`--number 2`) has new export hashes, times, one more history entry and links with
other signatures in every row; `--changed 0.01` also draws the labels of that share of rows anew.
"""

import argparse
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.profiles import SIZES, Kind
from benchmarks.rows import Source, row, uuid4

Json = dict[str, Any]
DAY = datetime(2024, 3, 1, 9, tzinfo=UTC)
EXPORTER = "exporter@example.com"


def write(path: Path, profile: str, size: str, *, seed: int = 1, number: int = 1, changed: float = 0.0) -> None:
    """Write the export of that number; `path` appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        between = b"["
        for one in export_rows(profile, size, seed=seed, number=number, changed=changed):
            file.write(between + msgspec.json.encode(one))
            between = b","
        file.write(b"]")
    unfinished.replace(path)


def export_rows(profile: str, size: str, *, seed: int = 1, number: int = 1, changed: float = 0.0) -> Iterator[Json]:
    """The rows of an export, one at a time; at least one is drawn anew where a share of them is."""
    lengths = _lengths(profile, size)
    chosen: set[int] = set()
    if changed:
        count = changed_rows(changed, len(lengths))
        chosen = set(random.Random(f"{seed} changed {number}").sample(range(len(lengths)), count))
    for index, (kind, frames) in enumerate(lengths):
        name = f"{profile} {index}"
        source = Source(seed, name, number if index in chosen else 0)
        made = row(kind, frames, source, _Signed(random.Random(f"{seed} {name} links {number}")))
        yield made | _exported(seed, name, index, number)


def changed_rows(share: float, rows: int) -> int:
    """How many of so many rows are drawn anew: one at least."""
    return max(1, round(share * rows))


class _Signed:
    """Links as a bucket signs them: the path stays, the query is another in each export."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __call__(self, path: str) -> str:
        query = f"X-Goog-Expires=604800&X-Goog-Signature={self.rng.getrandbits(256):064x}"
        return f"https://storage.example.com/benchmark/{path}?{query}"


def _lengths(profile: str, size: str) -> list[tuple[Kind, int]]:
    return [(part.kind, part.frames) for part in SIZES[size][profile] for _ in range(part.rows)]


def _exported(seed: int, name: str, index: int, number: int) -> Json:
    """The export fields of a row: its history holds this export and those before it, newest first."""
    history = [
        {
            "export_hash": uuid4(random.Random(f"{seed} {name} export {past}")),
            "exported_at": f"{DAY + timedelta(days=past, seconds=index):%a, %d %b %Y %H:%M:%S} UTC",
            "user_email": EXPORTER,
        }
        for past in range(number, 0, -1)
    ]
    newest = history[0]
    return {
        "export_hash": newest["export_hash"],
        "exported_at": newest["exported_at"],
        "export_history": history,
    }


def main() -> None:
    """Write one export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile")
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=1, help="the how manieth export of the project, from 1")
    parser.add_argument("--changed", type=float, default=0.0, help="share of rows whose labels are drawn anew")
    given = parser.parse_args()
    write(given.file, given.profile, given.size, seed=given.seed, number=given.number, changed=given.changed)


if __name__ == "__main__":
    main()
