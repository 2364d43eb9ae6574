"""`python -m benchmarks`: what a first ingest, an unchanged export and a small change cost, beside the parsing floor.

CPU seconds of this process over a project of image rows, in one run; compare the ratios, not the seconds.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from encord_dagster.config import LabelSetConfig
from encord_dagster.landing import exports_in
from encord_dagster.pipeline import ingest
from encord_dagster.samples import first_export, large_project, next_export
from encord_dagster.storage.memory import MemoryStore

DAY = datetime(2024, 3, 1, tzinfo=UTC)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    rows = parser.parse_args().rows
    first = first_export(large_project(rows, seed=1), exported_at=DAY)
    same = next_export(first, seed=2, exported_at=DAY + timedelta(days=1), changed=0)
    little = next_export(same, seed=3, exported_at=DAY + timedelta(days=2), changed=max(1, rows // 100))
    print(f"{rows:,} image rows, {len(first) / 1e6:.1f} MB; Python {platform.python_version()}, {platform.machine()}\n")
    floor = _cpu(lambda: json.loads(first))
    table = [("json.loads of the export (floor)", floor)]
    for masks in (False, True):
        landing, lake = MemoryStore(), MemoryStore()
        config = LabelSetConfig(name="bench", masks=masks)
        for name, data in (
            ("first ingest", first),
            ("exported again, unchanged", same),
            ("1 % of rows changed", little),
        ):
            landing.create(f"{name}.json", data)
            exports = [export for export in exports_in(landing) if export.key == f"{name}.json"]
            cpu = _cpu(lambda: ingest(exports, landing=landing, lake=lake, config=config))  # noqa: B023 - called at once
            table.append((f"{name}, {'with' if masks else 'without'} masks", cpu))
    for name, cpu in table:
        print(f"{name:45} {cpu:8.2f} s CPU   {cpu / floor:7.1f} x floor   {cpu / rows * 1000:7.2f} ms/row")


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
