"""Exports that are too large for memory: read through a mapped file, they come to the same lake, byte for byte."""

import functools
import gc
import gzip
import io
import itertools
import json
import mmap
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord import container, packed
from encord_dagster.errors import ExportError
from encord_dagster.label_set import quarantine
from encord_dagster.landing import exports_in
from encord_dagster.pipeline import ingest, replay
from encord_dagster.storage import fetch, mapped, whole
from encord_dagster.storage.mapped import Mapped
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests import coco_files
from tests import factories as make
from tests.encord.test_container import zipped
from tests.hostile.case import Case
from tests.hostile.registry import CASES, FOUND, VALID
from tests.lakes import DAY, exported_again, images_export, project_export
from tests.test_cli import files_below

ROOT = Path(__file__).parents[1]
CONFIG = LabelSetConfig(name="street", masks=False)
HOSTILE = [case for case in (*CASES, *VALID, *FOUND) if not case.heavy]
IN_EACH_RUN = 6  # one of so many hostile cases; the others are slow tests
PROJECT = project_export(12)
ROWS = json.loads(PROJECT)
COCO = coco_files.document([coco_files.annotation(shape, shape) for shape in coco_files.SHAPES])
ODD = [*ROWS, make.image_row(label_hash="nan", extra=float("nan")), make.image_row(label_hash="half", extra="\ud83d")]
LAYOUTS = {
    "array": PROJECT,
    "indented, with a byte order mark": b"\xef\xbb\xbf" + json.dumps(ROWS, indent=2, ensure_ascii=False).encode(),
    "wrapper": json.dumps({"ontology": make.ontology(make.ontology_class()), "labels": ROWS}).encode(),
    "lines": b"\n\n".join(json.dumps(row).encode() for row in ROWS) + b"\n",
    "wrapper, spaced": b' {"labels" :\n[ ] , "a":{"labels":[1]}}\n',
    "wrapper with a key twice": b'{"labels": [], "labels": []}',
    "wrapper and more": b'{"labels": [{"label_hash": "x"}]} {}',
    "wrapper of no array": b'{"labels": {}, "label_hash": []}',
    "wrapper without a colon": b'{"labels" [{"label_hash": "x"}]}',
    "wrapper cut off": b'{"labels": [{"label_hash": "x"}]',
    "one row": json.dumps(ROWS[0]).encode(),
    "gzip": gzip.compress(PROJECT, mtime=0),
    "zip": zipped(("a.json", PROJECT), ("b.json", b"[oops"), ("c.json", images_export(2, seed=9))),
    "coco": json.dumps(COCO).encode(),
    "infinities and half a pair": json.dumps(ODD).encode(),
}
Work = Callable[[ObjectStore, ObjectStore], object]
"""Brings the exports of a landing prefix into a lake; returns what is to be the same, too."""


class Watched(Mapped):
    """Knows what is mapped now, and how often anything was."""

    now = weakref.WeakSet["Watched"]()
    made = 0

    def __new__(cls, file: io.BufferedRandom) -> "Watched":
        self = super().__new__(cls, file)
        cls.now.add(self)
        Watched.made += 1
        return self


@contextmanager
def everything_is_large() -> Iterator[None]:
    """Each export is in a file that is mapped. Ranges and steps are small, so that there are several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "LARGEST_IN_MEMORY", 0)
        patch.setattr(mapped, "STEP", mmap.PAGESIZE)
        for module in (fetch, whole):
            patch.setattr(module, "STEP", 1000)
        patch.setattr(mapped, "Mapped", Watched)
        gc.collect()
        gc.disable()
        try:
            yield
        finally:
            gc.enable()


def outcome(exports: Sequence[bytes], work: Work) -> tuple[dict[str, bytes | None], object]:
    """Every object of the lake into which the exports were brought, and what was said. No time is that of the test."""
    clock = (DAY + timedelta(minutes=minute) for minute in itertools.count())
    landing, lake = MemoryStore("landing", now=lambda: next(clock)), MemoryStore("lake", now=lambda: DAY)
    for number, data in enumerate(exports):
        landing.create(f"{number:03}.json", data)
    said = work(landing, lake)
    return {info.key: lake.get(info.key) for info in lake.list() if "probes/" not in info.key}, said


def same_when_large(exports: Sequence[bytes], work: Work, *, times: int = 1) -> None:
    """The lake is the same, each export was mapped, and no file waits for the garbage collector."""
    small = outcome(exports, work)
    Watched.made = 0

    with everything_is_large():
        large = outcome(exports, work)
        left = len(Watched.now)

    assert large == small
    assert Watched.made >= times * (len(exports) - exports.count(b""))
    assert left == 0


def ingested(config: LabelSetConfig) -> Work:
    """All of them as one batch."""
    return lambda landing, lake: ingest(list(exports_in(landing)), landing=landing, lake=lake, config=config)


good = functools.cache(functools.partial(images_export, 2))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.title, marks=[pytest.mark.slow] if number % IN_EACH_RUN else [])
        for number, case in enumerate(HOSTILE)
    ],
)
def test_hostile_exports_come_to_the_same_lake(case: Case) -> None:
    """The same is refused, for the same reasons in the same words, and good exports beside it are published."""
    same_when_large([good(), *(one.data for one in case.make() if not one.sparse)], ingested(case.config))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_comes_to_the_same_lake(layout: str) -> None:
    """Also where the text is spelled anew for cutting."""
    same_when_large([LAYOUTS[layout], exported_again(PROJECT, changed=2)], ingested(CONFIG))


def test_exports_that_are_read_again_come_to_the_same_lake() -> None:
    """Another configuration reads all raw copies anew, a replay what is in quarantine; and so are its bytes shown."""
    bad = [PROJECT[:-9], make.encode([*ROWS[:2], {"label_hash": "c", "data_units": {}}])]

    def again(landing: ObjectStore, lake: ObjectStore) -> object:
        said = [ingested(CONFIG)(landing, lake)]
        said.append(replay(lake=lake, config=CONFIG, landing=landing))
        (late,) = [export for export in exports_in(landing) if export.key == "003.json"]
        other = LabelSetConfig(name="street", masks=False, min_area_pixels=3)
        said.append(ingest([late], landing=landing, lake=lake, config=other))
        held = quarantine.held_in_quarantine(lake, "street")
        return said, [quarantine.held_bytes(lake, record, item) for record in held for item in record.items]

    same_when_large([PROJECT, *bad, exported_again(PROJECT, changed=2)], again, times=2)


@pytest.mark.parametrize("layout", ["gzip", "zip", "coco"])
def test_what_has_to_be_in_memory_is_refused_sooner(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is packed, and COCO; plain label rows of that size are read."""
    for module in (packed, container):
        monkeypatch.setattr(module, "LARGEST_HELD", len(LAYOUTS[layout]) - 1)

    with pytest.raises(ExportError, match="export in parts") as caught:
        container.open_export(LAYOUTS[layout])

    assert caught.value.reason == "too_large"
    assert container.open_export(LAYOUTS["array"] + b" " * 10**5).count == len(ROWS)


INGEST = """
import re, sys
from pathlib import Path
from encord_dagster.cli import main
from encord_dagster.storage import fetch, whole

whole.LARGEST_IN_MEMORY = int(sys.argv[1])
fetch.STEP = 2**20  # of these some are in memory at a time
main(["ingest", "-q", sys.argv[2], "--lake", sys.argv[3], "--name", "a", "--processes", "1"])
print(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak(in_memory: int, export: Path, lake: Path) -> int:
    """Bytes of memory that an ingest took at most, as Linux kept it of the process alone."""
    command = [sys.executable, "-c", INGEST, str(in_memory), str(export), str(lake)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux keeps of a process")
@pytest.mark.parametrize(
    ("opens", "between", "closes"),
    [
        pytest.param("[", ",\n", "]", id="array"),
        pytest.param("", "\n", "", id="lines", marks=pytest.mark.slow),
        pytest.param('{"labels": [', ", ", "]}", id="wrapper", marks=pytest.mark.slow),
    ],
)
def test_a_large_export_takes_no_memory_by_its_size(opens: str, between: str, closes: str, tmp_path: Path) -> None:
    """160 MB of few labels."""
    row, export, size = json.dumps(make.image_row(make.box(), note="x" * 2**18)), tmp_path / "large.json", 0
    label_hash = str(make.image_row()["label_hash"])
    with export.open("w") as file:
        for number in range(600):
            size += file.write((between if number else opens) + row.replace(label_hash, f"row-{number}"))
        file.write(closes)

    held, not_held = peak(2**30, export, tmp_path / "one"), peak(2**20, export, tmp_path / "two")

    assert held - not_held > 0.6 * size
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")
