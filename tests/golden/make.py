"""Writes a small lake with the code of today, to be read by every later release: `python -m tests.golden.make v2`.

It uses only what the first commit with a lake had too, so that it also runs in a worktree of an older one. With
`--tall` buckets are so small that nodes lie above them, and the log is long enough for spans. With `--patched` one row
changes on a last day.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set.read import open_label_set
from encord_dagster.label_set.sources import accounted
from encord_dagster.landing import exports_in
from encord_dagster.pipeline import ingest
from encord_dagster.samples import Project, bad_row, first_export, next_export, ontology
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore

HERE = Path(__file__).parent
NAME = "street"
TABLES = ("images", "annotations", "classifications", "attributes", "row_events", "findings")
DAY = datetime(2024, 3, 1, 9, tzinfo=UTC)
PROJECT = Project(3, 2, kinds=("image", "dicom"))
MORE = 9  # days of the tall lake
TALL = (("manifest", "ROWS_PER_BUCKET", 0.001), ("accounted", "CHECKPOINT_EVERY", 2), ("accounted", "SPAN", 4))


def deliveries() -> list[dict[str, bytes]]:
    """What arrives on each of four days: the project, nothing new, changes with bad objects, a broken file."""
    first = first_export(PROJECT, exported_at=DAY)
    again = next_export(first, seed=1, exported_at=DAY + timedelta(days=1), changed=0)
    third = next_export(again, seed=2, exported_at=DAY + timedelta(days=2), changed=1, added=1, deleted=1)
    bad = bad_row(seed=3, rows=1, exported_at=DAY + timedelta(days=2))
    return [
        {"one.json": first},
        {"two.json": again},
        {"three.json": third, "bad.json": bad},
        {"empty.json": b""},
    ]


def next_delivery() -> bytes:
    """The project after the lake was written: what a later release ingests on top of it."""
    before = deliveries()[2]["three.json"]
    return next_export(before, seed=3, exported_at=DAY + timedelta(days=20), changed=1)


def bring(lake: ObjectStore, files: dict[str, bytes], *, day: int) -> None:
    """Ingest the files of one day; the ontology lies in the landing prefix since the first."""
    today = DAY
    landing = MemoryStore("golden", now=lambda: today)
    landing.create("ontology.json", ontology(PROJECT))
    today += timedelta(days=day)
    for key, data in files.items():
        landing.create(key, data)
    known = accounted(lake, NAME)
    exports = [export for export in exports_in(landing) if export.id not in known]
    ingest(exports, landing=landing, lake=lake, config=LabelSetConfig(name=NAME))


def described(lake: ObjectStore) -> dict[str, object]:
    """What readers of any release must find in the versions of the lake."""
    label_set = open_label_set(lake, NAME)
    found: dict[str, object] = {}
    for number in sorted({record.version for record in label_set.log()}):
        version = label_set.version(number)
        found[str(number)] = {
            "content_digest": version.record.content_digest,
            "coco_sha256": hashlib.sha256(version.coco()).hexdigest(),
            "classes": version.classes,
            "rows_of_tables": {name: version.table(name).num_rows for name in TABLES},
        }
    return found


def pack(folder: Path, archive: Path) -> None:
    """A folder as .tar.gz, without times and owners: the same lake gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            data, name = path.read_bytes(), path.relative_to(folder).as_posix()
            if "/probes/" in name:  # of the store's self-test: random, and nothing of the lake
                continue
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def grow(lake: ObjectStore) -> None:
    """Some more days on which nothing changes, each a record of the log."""
    for day in range(4, 4 + MORE):
        again = next_export(deliveries()[2]["three.json"], seed=day, exported_at=DAY + timedelta(days=day), changed=0)
        bring(lake, {f"{day}.json": again}, day=day)


def main(name: str, *, tall: bool, patched: bool) -> None:
    """Write `<name>/lake.tar.gz` beside this file, and what it holds as `expected.json`."""
    if tall:
        for module, constant, value in TALL:
            setattr(import_module(f"encord_dagster.label_set.{module}"), constant, value)
    with tempfile.TemporaryDirectory() as scratch:
        lake = LocalStore(Path(scratch))
        for day, files in enumerate(deliveries()):
            bring(lake, files, day=day)
        if tall:
            grow(lake)
        if patched:
            bring(lake, {"next.json": next_delivery()}, day=20)
        pack(Path(scratch), HERE / name / "lake.tar.gz")
        (HERE / name / "expected.json").write_text(json.dumps(described(lake), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], tall="--tall" in sys.argv, patched="--patched" in sys.argv)
