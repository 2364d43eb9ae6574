"""`python -m benchmarks.scale`: what a large label set with a long history costs, in requests, bytes and memory.

A set of `--rows` label rows is published, then given `--versions` versions that change a row each. Measured then, each
in a process of its own: `log`, `show`, `diff`, a publish of 10 changed rows, and a full export of all rows of which 10
changed. Lake and landing prefix are local folders; every call of the lake is counted. The plain COCO file that small
sets also have is left out: a publish writes all of it again.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.counted import Counted
from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import history
from encord_dagster.label_set.diff import diff
from encord_dagster.label_set.read import LabelSet, open_label_set
from encord_dagster.landing import exports_in
from encord_dagster.outcomes import Batch
from encord_dagster.pipeline import ingest
from encord_dagster.reports import log_entries, version_summary
from encord_dagster.storage.local import LocalStore

CONFIG = LabelSetConfig(name="large", masks=False, keep_raw=False, inline_coco_bytes=0)
CHANGED = 10


def row(number: int, *, edit: int, day: int) -> bytes:
    """A label row of one image and one box; `edit` moves the box, `day` is when it was exported."""
    label, data = f"{number:08x}-0000-4000-8000-000000000001", f"{number:08x}-0000-4000-8000-00000000000d"
    item = f"o{number:07x}"
    x = 0.1 + (edit % 5000) / 10000
    event = f"{number:08x}-{day:04x}-4000-9000-000000000000"
    text = (
        f'{{"label_hash":"{label}","branch_name":"main","data_hash":"{data}",'
        '"dataset_hash":"d0000000-0000-4000-8000-000000000000","dataset_title":"large","data_title":"image.jpg",'
        '"data_type":"image","video_link":null,'
        f'"label_status":"LABELLED","export_hash":"{event}","exported_at":"{exported_at(day)}","export_history":[],'
        '"created_at":"2024-01-01 00:00:00","last_edited_at":"2024-01-01 00:00:00",'
        f'"object_answers":{{"{item}":{{"objectHash":"{item}","classifications":[]}}}},'
        f'"object_actions":{{}},"classification_answers":{{}},"data_units":{{"{data}":{{"data_hash":"{data}",'
        '"data_title":"image.jpg","data_type":"image/jpeg","data_sequence":0,"width":1280,"height":720,'
        f'"labels":{{"objects":[{{"objectHash":"{item}","featureHash":"Vehicle1","name":"Car","value":"car",'
        '"color":"#D33115","shape":"bounding_box","confidence":1,"manualAnnotation":true,'
        '"createdBy":"a@example.com","createdAt":"Fri, 01 Dec 2023 10:30:02 GMT",'
        f'"boundingBox":{{"x":{x:.4f},"y":0.2,"w":0.1,"h":0.2}}}}],"classifications":[]}}}}}}}}'
    )
    return text.encode()


def exported_at(day: int) -> str:
    """The time of an export, in Encord's form; a day is a minute here, so that there are enough."""
    return time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(1_704_067_200 + day * 60))


class Place:
    """The folders of the benchmark."""

    def __init__(self, folder: Path) -> None:
        self.landing, self.lake = LocalStore(folder / "landing"), Counted(LocalStore(folder / "lake"))
        self._journal = folder / "edits.csv"
        self.edits: dict[int, int] = {}  # what the last export of each row said, where that was not the first
        if self._journal.exists():
            lines = self._journal.read_text("ascii").splitlines()
            self.edits = {int(number): int(edit) for number, edit in (line.split(",") for line in lines)}

    def edit(self, numbers: list[int], edit: int) -> None:
        """From now on these rows are other than they were."""
        self.edits |= dict.fromkeys(numbers, edit)
        with self._journal.open("a", encoding="ascii") as file:
            file.writelines(f"{number},{edit}\n" for number in numbers)

    def deliver(self, numbers: range | list[int], *, day: int) -> Batch:
        """Export rows on a day, as they are now, and ingest them."""
        rows = (row(number, edit=self.edits.get(number, 0), day=day) for number in numbers)
        key = f"{day:06d}.json"
        self.landing.create(key, b"[" + b",\n".join(rows) + b"]")
        exports = [export for export in exports_in(self.landing) if export.key == key]
        batch = ingest(exports, landing=self.landing, lake=self.lake, config=CONFIG)
        self.landing.delete(key)
        return batch

    def label_set(self) -> LabelSet:
        """The label set, opened anew."""
        return open_label_set(self.lake, CONFIG.name)


def build(place: Place, rows: int) -> None:
    """All rows in one export, as they were at first."""
    if history.head(place.lake, CONFIG.name).seq == 0:
        place.deliver(range(rows), day=0)
        print(f"  {rows:,} rows", file=sys.stderr, flush=True)


def lengthen(place: Place, rows: int, versions: int) -> None:
    """Versions that change one row each, spread over the set."""
    while (head := history.head(place.lake, CONFIG.name)).record is None or head.record.version < versions:
        number = head.seq * 7919 % rows
        place.edit([number], head.seq + 1)
        place.deliver([number], day=5000 + head.seq)
        if head.seq % 500 == 0:
            print(f"  {head.seq:,} versions", file=sys.stderr, flush=True)


def measure(place: Place, what: str, rows: int) -> object:
    """Do one thing that users do; what of its answer can be told."""
    label_set = place.label_set()
    newest = label_set.head.seq
    some = [(newest * 104_729 + step * (rows // CHANGED)) % rows for step in range(CHANGED)]
    match what:
        case "log":
            return len(log_entries(label_set))
        case "log --last 100":
            return len(log_entries(label_set, last=100))
        case "show latest":
            return version_summary(label_set.version())["rows"]
        case "show 2":
            return version_summary(label_set.version(2))["rows"]
        case "diff of the last two":
            return diff(label_set, label_set.version().number - 1, label_set.version().number).rows
        case "publish 10 of 10 rows":
            place.edit(some, newest)
            batch = place.deliver(some, day=5000 + newest)
        case "publish 10 of all rows":
            place.edit(some, newest)
            batch = place.deliver(range(rows), day=5000 + newest)
        case _:
            raise ValueError(what)
    assert batch.published  # noqa: S101 - a benchmark that measures nothing must fail
    outcome = batch.outcomes[0]
    return {"rows": outcome.rows, "fragments": outcome.fragments_converted, "version": batch.published.version}


STEPS = (
    "log",
    "log --last 100",
    "show latest",
    "show 2",
    "diff of the last two",
    "publish 10 of 10 rows",
    "publish 10 of all rows",
)


def one(folder: Path, what: str, rows: int) -> None:
    """Measure in this process, and print it as JSON."""
    place = Place(folder)
    started = time.process_time()
    answer = measure(place, what, rows)
    counted = {
        "what": what,
        "cpu_s": round(time.process_time() - started, 2),
        "peak_mb": peak_mb(),
        "requests": place.lake.calls.total(),
        "read_kb": place.lake.read // 1024,
        "written_kb": place.lake.written // 1024,
        "calls": dict(place.lake.calls),
        "answer": answer,
    }
    print(msgspec.json.encode(counted).decode())


def peak_mb() -> int:
    """The most memory that this program had; `getrusage` would tell that of its parent too."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


def table(folder: Path, rows: int) -> list[dict[str, object]]:
    """Every step, each in a fresh process."""
    found: list[dict[str, object]] = []
    for what in STEPS:
        command = [
            sys.executable,
            "-m",
            "benchmarks.scale",
            "--folder",
            str(folder),
            "--rows",
            str(rows),
            "--one",
            what,
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(done.stdout))
    return found


def report(found: list[dict[str, object]], title: str) -> str:
    """The table as markdown."""
    lines = [
        f"## {title}\n",
        "| what | requests | read KB | written KB | CPU s | peak MB | answer |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for entry in found:
        names = ("requests", "read_kb", "written_kb")
        numbers = " | ".join(f"{entry[name]:,}" for name in names)
        lines.append(f"| {entry['what']} | {numbers} | {entry['cpu_s']} | {entry['peak_mb']} | {entry['answer']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Build, lengthen, measure; the table goes to `--output` too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/data/scale"), help="kept, and gone on from")
    parser.add_argument("--fresh", action="store_true", help="begin with an empty folder")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", choices=STEPS, help="measure one thing in the folder as it is, and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.folder, arguments.one, arguments.rows)
        return
    if arguments.fresh:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    place = Place(arguments.folder)
    build(place, arguments.rows)
    lengthen(place, arguments.rows, arguments.versions)
    head = history.head(place.lake, CONFIG.name)
    title = f"{arguments.rows:,} label rows, {head.record.version if head.record else 0:,} versions"
    text = report(table(arguments.folder, arguments.rows), title)
    print(text)
    if arguments.output:
        begin = "" if arguments.output.exists() else f"# Large label sets\n\nPython {platform.python_version()}\n\n"
        with arguments.output.open("a", encoding="utf-8") as file:
            file.write(begin + text + "\n")


if __name__ == "__main__":
    main()
