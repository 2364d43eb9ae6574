"""One export file becomes plain files: by ranges, all but the first in processes of their own.

The result is the same, byte for byte, as through a lake in memory, and for any number of processes.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.ontology import Ontology, read_ontology
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import UsageError
from encord_dagster.formats import coco, losses
from encord_dagster.formats.fragment import Category, described, ontology_categories
from encord_dagster.formats.selection import Selection
from encord_dagster.label_set import totals
from encord_dagster.landing import Export
from encord_dagster.outcomes import Batch
from encord_dagster.stream import assemble, worker
from encord_dagster.stream.chosen import Choice, asks_about
from encord_dagster.stream.counts import Counts, class_counts, outcome_of, together
from encord_dagster.stream.cut import Unusual, cuts
from encord_dagster.stream.job import Done, Job
from encord_dagster.stream.ranges import convert_range
from encord_dagster.validation import apply_severities, ontology_missing

LEAST_TO_SHARE = 32 * 2**20  # bytes for each process
MOST_PROCESSES = 4
_PATIENCE = 2.0  # seconds between two lines of progress
_PAUSE = 0.01  # seconds between two looks at whether others are done

MADE_HERE = ("coco", "masks")  # where nothing is left out or called otherwise
Say = Callable[[str], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be converted. `processes` 0: as many as are of use."""

    path: Path
    export: Export
    config: LabelSetConfig
    ontology: str | None
    formats: Sequence[str]
    processes: int = 0
    selection: Selection = Selection()
    kept: Mapping[str, str] = {}  # group -> split, of an earlier checkout

    @property
    def made_here(self) -> tuple[str, ...]:
        """The formats that are not made of the records of the whole export."""
        return () if self.selection.changes_files else tuple(name for name in MADE_HERE if name in self.formats)

    def processes_for(self, size: int) -> int:
        """How many processes read an export of so many bytes."""
        return self.processes or max(1, min(os.cpu_count() or 1, MOST_PROCESSES, size // LEAST_TO_SHARE))


def convert(asked: Asked, staging: Path, say: Say) -> Batch:
    """Write the files into a folder. Unusual where the export needs another way."""
    size = asked.path.stat().st_size
    ontology = _ontology(asked)
    known = _numbered(ontology)
    with tempfile.TemporaryDirectory(prefix=".spool-", dir=staging) as spool:
        jobs = _jobs(asked, asked.processes_for(size), known, Path(spool), staging)
        progress = _Progress(redact(asked.export.key), size, say)
        parts = _all_done(jobs, progress)
        categories = assemble.united(known, parts)
        renamed = [_renamed(part, categories) for part in parts]
        if any(renamed) and "masks" in asked.made_here:  # numbers are in pictures already: once more, by the right ones
            shutil.rmtree(staging / "masks", ignore_errors=True)
            jobs = [msgspec.structs.replace(job, categories=tuple(categories.values())) for job in jobs]
            parts, renamed = _all_done(jobs, progress), []
        counts = together(part.counts for part in parts)
        if counts.rows == counts.rows_quarantined:
            raise Unusual("none of its rows can be used")
        if ontology is None:
            counts.add_findings(apply_severities([ontology_missing()], asked.config.severities))
        listed = _listed(counts, categories, ontology)
        lost = _written(asked, staging, jobs, parts, listed, renamed, progress)
    (staging / losses.FILE).write_bytes(losses.report(losses.total([counts.losses, lost])))
    return Batch(outcomes=(outcome_of(asked.export, counts),), published=None)


def _written(
    asked: Asked,
    staging: Path,
    jobs: Sequence[Job],
    parts: Sequence[Done],
    categories: Sequence[Category],
    renamed: list[dict[int, int]],
    progress: "_Progress",
) -> Mapping[str, int]:
    """Write COCO, and the formats for training; returns what those cannot hold."""
    folders = [Path(job.folder) for job in jobs]
    rows = assemble.index_of(folders)  # says where rows or images are there twice
    if "coco" in asked.made_here:
        path = staging / coco.FILE
        path.parent.mkdir(parents=True)
        assemble.write_coco(path, folders, rows, categories, renamed)
    others = [name for name in dict.fromkeys(asked.formats) if name not in asked.made_here]
    is_chosen = asked.selection != Selection()
    if not others and not is_chosen:
        return {}
    from encord_dagster.stream import training  # and with it all formats

    abouts = tuple(part.abouts for part in parts) if asks_about(asked.selection) else ()
    return training.write(
        others,
        rows,
        spools=folders,
        renamed=renamed,
        categories=categories,
        output=staging,
        processes=asked.processes,
        progress=partial(progress.tell_share, ", ".join(others), time.monotonic()),
        choice=Choice(selection=asked.selection, kept=dict(asked.kept), abouts=abouts) if is_chosen else None,
    )


def _listed(counts: Counts, categories: dict[str, Category], ontology: Ontology | None) -> tuple[Category, ...]:
    """The categories that the COCO file lists: those that have objects, or that an ontology describes."""
    wanted = ontology_categories(ontology) if ontology else {}
    defined = {key: described(categories[key], ontology) for key in wanted} if ontology else {}
    return totals.categories(class_counts(counts, categories), categories, defined)


def _ontology(asked: Asked) -> Ontology | None:
    try:
        return read_ontology(asked.ontology.encode()) if asked.ontology else None
    except UsageError as error:
        if asked.config.ontology:
            raise
        raise Unusual("the ontology beside it cannot be read") from error


def _numbered(ontology: Ontology | None) -> tuple[Category, ...]:
    wanted = ontology_categories(ontology).values() if ontology else ()
    return tuple(msgspec.structs.replace(one, id=number) for number, one in enumerate(wanted, start=1))


def _renamed(part: Done, categories: dict[str, Category]) -> dict[int, int]:
    """The numbers of a range's categories that are others in the whole export."""
    numbers = {one.id: categories[one.feature_hash].id for one in part.categories}
    return {old: new for old, new in numbers.items() if old != new}


def _jobs(asked: Asked, processes: int, known: tuple[Category, ...], spool: Path, staging: Path) -> list[Job]:
    found = cuts(asked.path, processes)
    # painting can refuse a row, so it is done also where masks of what is chosen are painted later
    above = staging if "masks" in asked.made_here else spool
    masks = str(above / "masks") if "masks" in asked.formats else None
    jobs = [
        Job(
            path=str(asked.path),
            start=start,
            end=end,
            last=number == len(found.ranges),
            opening=found.opening.decode(),
            config=asked.config,
            ontology=asked.ontology,
            categories=known,
            folder=str(spool / str(number)),
            masks=masks,
            about=asks_about(asked.selection),
        )
        for number, (start, end) in enumerate(found.ranges, start=1)
    ]
    if len(jobs) == 1:
        return jobs
    seed = worker.first_categories(jobs[0])
    return [msgspec.structs.replace(job, categories=seed) for job in jobs]


def _all_done(jobs: Sequence[Job], progress: "_Progress") -> list[Done]:
    """The first range is converted here, each other one in a process of its own."""
    own, *others = jobs
    running: list[subprocess.Popen[bytes]] = []

    def told(counts: Counts, done: int) -> None:
        progress.own = (counts.rows, counts.objects_in, done)
        progress.tell(others)
        for job, one in zip(others, running, strict=True):
            if one.poll():  # what another range cannot, the export cannot
                worker.result(job, one.returncode)

    try:
        for job in others:
            Path(job.folder).mkdir(exist_ok=True)
            running.append(worker.start(job))
        first = convert_range(own, told)
        while any(one.poll() is None for one in running):
            time.sleep(_PAUSE)
            progress.tell(others)
        return [first, *(worker.result(job, one.returncode) for job, one in zip(others, running, strict=True))]
    finally:
        for one in running:
            one.kill()
            one.wait()


class _Progress:
    """A line every few seconds: rows, objects, bytes, and the time that is left. `own`: those of this process."""

    def __init__(self, name: str, size: int, say: Say) -> None:
        self.name, self.size, self.say = name, size, say
        self.own = (0, 0, 0)
        self.started = self.last = time.monotonic()

    def tell_share(self, what: str, started: float, share: float) -> None:
        """Tell how much of what comes behind the conversion is done."""
        now = time.monotonic()
        if share and now - self.last >= _PATIENCE:
            self.last = now
            left = (now - started) * (1 - share) / share
            self.say(f"{self.name}: {what}, {share:.0%}, about {left:,.0f} s left")

    def tell(self, others: Sequence[Job]) -> None:
        """Tell of this range, and of those that others convert."""
        now = time.monotonic()
        if now - self.last < _PATIENCE:
            return
        self.last = now
        found = [self.own, *map(worker.read_progress, others)]
        rows, objects, done = (sum(one[place] for one in found) for place in range(3))
        left = (now - self.started) * (self.size - done) / done if done else 0.0
        self.say(
            f"{self.name}: {rows:,} rows, {objects:,} objects, {done / 1e6:,.0f} of {self.size / 1e6:,.0f} MB, "
            f"about {left:,.0f} s left"
        )
