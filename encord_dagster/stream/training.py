"""Formats for training out of the spools of a conversion: rows in order of identity, a range of them in each process.

What grows from image to image is held by each process, and put together in the order of the ranges: the files are the
same for any number of processes.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, pairwise
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Raw

from encord_dagster import process
from encord_dagster.errors import UsageError
from encord_dagster.formats import coco
from encord_dagster.formats.catalogue import WRITTEN
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import KINDS, Labelled
from encord_dagster.formats.selection import Became, Selection
from encord_dagster.formats.selection_report import FILE, report
from encord_dagster.formats.split_lists import SplitLists
from encord_dagster.formats.writing import Chosen, Format, Given
from encord_dagster.label_set.staging import NewFiles, twice
from encord_dagster.stream import assemble, worker
from encord_dagster.stream.chosen import Choice, chosen, listed, with_splits

MOST_PROCESSES = 4
LEAST_TO_SHARE = 4 * 2**20  # bytes of records for each process
FAILED = 3  # exit code
AT_ONCE = 2**18  # bytes of records that are decoded together
_STEP = 2**20  # bytes read at a time
_IMAGES = msgspec.json.Decoder(list[coco.Image])

Progress = Callable[[float], None]  # the share that is done


class _Attributes(coco.AnnotationAttributes, frozen=True, omit_defaults=True, gc=False):
    classifications: Raw  # type: ignore[assignment]  # which no format that is made here reads


class _Annotation(coco.Annotation, frozen=True, omit_defaults=True, gc=False):
    attributes: _Attributes
    encord: Raw  # type: ignore[assignment]  # likewise


_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows to write in formats. `folder` takes what is held, `order` names the file that says which rows."""

    spools: tuple[str, ...]  # folders of the ranges of the export
    order: str
    start: int  # of the rows in `order`
    stop: int
    renamed: tuple[dict[int, int], ...]
    categories: tuple[Category, ...]
    formats: tuple[str, ...]
    output: str
    folder: str
    choice: Choice | None = None  # None: all


class Written(msgspec.Struct, frozen=True):
    """What the formats could not hold, by code; and what became of the rows where some are chosen."""

    lost: dict[str, int]
    became: Became | None = None


class Writers:
    """The formats of one process, and what they hold."""

    def __init__(self, job: Writing, stack: ExitStack) -> None:
        self.job, self.files = job, NewFiles(Path(job.output))
        self.selecting = job.choice.selecting(job.categories) if job.choice else None
        self.chosen = Chosen(
            categories=self.selecting.map.categories if self.selecting else job.categories,
            selection=job.choice.selection if job.choice else Selection(),
            lost=Counter(),
            stack=stack,
            given=Given(kept=job.choice.kept if job.choice else {}),
        )
        self._formats: list[Format] = [WRITTEN[name](self.chosen) for name in job.formats]
        if self.chosen.selection.splits:
            self._formats.append(SplitLists(self.chosen))

    def write(self, progress: Progress) -> None:
        """Write the files of each image, and hold the rest. UsageError where two have one name."""
        job = self.job
        folders = [Path(folder) for folder in job.spools]
        rows = assemble.some_of(folders, Path(job.order), job.start, job.stop)
        some = (
            chosen(folders, rows, job.renamed, job.choice.abouts, self.selecting)
            if job.choice and self.selecting
            else _images(folders, rows, job.renamed)
        )
        for done, images in some:
            self._write(chain.from_iterable(one.write(images) for one in self._formats))
            progress(done / (job.stop - job.start))

    def end(self) -> None:
        """Write the files that need all images."""
        self._write(chain.from_iterable(one.end() for one in self._formats))
        if self.selecting:
            self._write(iter([(FILE, report(self.selecting).encoded())]))

    def hand_over(self) -> Written:
        """Put what is held where the process that asked finds it."""
        for number, held in enumerate(self.chosen.held):
            with _held(self.job, number).open("wb") as file:
                file.writelines(held.pieces())
        return Written(dict(self.chosen.lost), self.selecting.became if self.selecting else None)

    def take_over(self, other: Writing, written: Written) -> None:
        """Go on from where the process behind this one has come to."""
        for number, held in enumerate(self.chosen.held):
            with _held(other, number).open("rb") as file:
                held.add_pieces(iter(lambda: file.read(_STEP), b""))
        self.chosen.lost.update(written.lost)
        if self.selecting and written.became:
            self.selecting.add(written.became)

    def _write(self, files: Iterator[tuple[str, bytes | Iterator[bytes]]]) -> None:
        for name, data in files:
            try:
                self.files.write(name, data)
            except FileExistsError as error:
                raise twice(name) from error


def _held(job: Writing, number: int) -> Path:
    return Path(job.folder, f"held-{number}")


def _images(
    folders: Sequence[Path], rows: assemble.Rows, renamed: Sequence[Mapping[int, int]]
) -> Iterator[tuple[int, list[Labelled]]]:
    """The images of some rows at a time, and how many rows are done with them."""
    some: list[assemble.Records] = []
    size = 0
    for number, row in assemble.records(folders, rows, renamed):
        if some and size + len(row.annotations) > AT_ONCE:
            yield number, _labelled(some)
            some, size = [], 0
        some.append(row)
        size += len(row.annotations)
    if some:
        yield len(rows.order), _labelled(some)


def _labelled(rows: Sequence[assemble.Records]) -> list[Labelled]:
    annotations: dict[int, list[coco.Annotation]] = {}
    for one in _ANNOTATIONS.decode(listed(b"".join([row.annotations for row in rows]))):
        annotations.setdefault(one.image_id, []).append(one)
    return [
        Labelled(image=image, annotations=tuple(annotations.get(image.id, ())), data_type=KINDS[row.kind])
        for row in rows
        for image in _IMAGES.decode(listed(row.images))
    ]


def write(
    formats: Sequence[str],
    rows: assemble.Rows,
    *,
    spools: Sequence[Path],
    renamed: Sequence[Mapping[int, int]],
    categories: Sequence[Category],
    output: Path,
    processes: int,
    progress: Progress,
    choice: Choice | None = None,
) -> Mapping[str, int]:
    """Write formats into a folder, and what was chosen; what they could not hold, by code. Spools are left as they are.

    Raises:
        UsageError: two images would have one file.
        RuntimeError: a process died.
    """
    above = spools[0].parent
    if choice:
        choice = with_splits(choice, spools, rows, renamed, tuple(categories))
        processes = 1 if choice.selection.file_name else processes  # which sees where two images are called alike
    whole = Writing(
        spools=tuple(map(str, spools)),
        order=str(above / "order"),
        start=0,
        stop=len(rows.order),
        renamed=tuple(dict(one) for one in renamed),
        categories=tuple(categories),
        formats=tuple(formats),
        output=str(output),
        folder="",
        choice=choice,
    )
    assemble.save_order(rows, above / "order")
    own, *others = _shared(whole, rows, processes, above)
    running: list[subprocess.Popen[bytes]] = []
    try:
        for job in others:
            Path(job.folder).mkdir()
            running.append(worker.start(job, __name__))
        with ExitStack() as stack:
            writers = Writers(own, stack)
            writers.write(progress)
            for job, one in zip(others, running, strict=True):
                writers.take_over(job, _result(job, one.wait()))
            writers.end()
            return {code: count for code, count in writers.chosen.lost.items() if count}
    finally:
        for one in running:
            one.kill()
            one.wait()


def _shared(whole: Writing, rows: assemble.Rows, processes: int, above: Path) -> list[Writing]:
    """Rows in as many ranges of like size as there are processes, 0: as are of use."""
    import numpy as np

    ends = assemble.size_of(rows).cumsum()
    size = int(ends[-1]) if len(ends) else 0
    count = processes or max(1, min(os.cpu_count() or 1, MOST_PROCESSES, size // LEAST_TO_SHARE))
    cuts = [0, *np.searchsorted(ends, [size * part // count for part in range(1, count)]).tolist(), len(ends)]
    return [
        msgspec.structs.replace(whole, start=start, stop=stop, folder=str(above / f"writing-{number}"))
        for number, (start, stop) in enumerate(pairwise(cuts))
    ]


def _result(job: Writing, code: int) -> Written:
    """What another process has done."""
    if code == FAILED:
        raise UsageError(Path(job.folder, "failed").read_text("utf-8"))
    if code:
        raise RuntimeError(f"a process that writes formats ended with code {code}: run again with one process")
    return msgspec.json.decode(Path(job.folder, "done").read_bytes(), type=Written)


def main(path: Path) -> int:
    """Do a job."""
    job = msgspec.json.decode(path.read_bytes(), type=Writing)
    try:
        with ExitStack() as stack:
            writers = Writers(job, stack)
            writers.write(lambda _: None)
            written = writers.hand_over()
    except UsageError as error:
        Path(job.folder, "failed").write_text(str(error), "utf-8")
        return FAILED
    Path(job.folder, "done").write_bytes(msgspec.json.encode(written))
    return 0


def run() -> NoReturn:
    """Do the job that the command line names."""
    process.end(main(Path(sys.argv[1])))
