"""One range of an export: its rows read, judged and converted; records on a spool, and an index of what lies where."""

import struct
from array import array
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import accumulate, islice
from operator import itemgetter
from typing import BinaryIO

import msgspec

from encord_dagster import identity
from encord_dagster.accounting import Read, Reading, RowReader, excluded, judged
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.label_rows import RowReading, UnusableRow
from encord_dagster.encord.model import Frame, LabelRow
from encord_dagster.encord.ontology import read_ontology
from encord_dagster.encord.resolve import Index
from encord_dagster.errors import RowError
from encord_dagster.findings import Finding, Location
from encord_dagster.formats import coco
from encord_dagster.formats.forms import Form, forms_of
from encord_dagster.formats.fragment import classes_of, fitted
from encord_dagster.formats.labelled import About, kind_of
from encord_dagster.geometry import Skeleton
from encord_dagster.rules.rows import unlabelled
from encord_dagster.stream.answered import Answered
from encord_dagster.stream.counts import Counts, add
from encord_dagster.stream.job import Job
from encord_dagster.stream.judge import Look, names_of
from encord_dagster.stream.pictures import Pictures, picture_name
from encord_dagster.validation import apply_severities, finding, validate

ENTRY = struct.Struct("<32sqqqqBB")  # row identity; start and length of images, then of annotations; flag; kind
ABOUT = struct.Struct("<i")  # which of the range's `abouts` a row has, in the order of the index
CONVERTED, HELD, NEW_CLASS = 0, 1, 2  # flags: an event that cannot be used; a row with a class not known before


class Spools(msgspec.Struct, frozen=True):
    """The files of a range: records, each with what separates them behind it; ids; and where the rows' are."""

    images: BinaryIO
    annotations: BinaryIO
    image_ids: BinaryIO
    annotation_ids: BinaryIO
    index: BinaryIO
    about: BinaryIO


class _Row(msgspec.Struct):
    """A row on its way: as it was read, and as it is converted, if it is; `is_judged`: whether its findings are all."""

    reading: Reading
    look: Look | None
    is_judged: bool


class Work:
    """The rows of one range, some at a time."""

    def __init__(self, job: Job, spools: Spools | None) -> None:
        self.job, self.config = job, job.config
        self.spools = spools or Spools(*(BytesIO() for _ in Spools.__struct_fields__))
        self.ontology = Index(read_ontology(job.ontology.encode())) if job.ontology else None
        self.reader = RowReader(job.config, self.ontology, fingerprints=False)
        self.answered = Answered(self.ontology) if self.ontology else None
        self.has_lane = job.config.free_text and not (job.masks or job.about or job.config.min_area_pixels)
        self.judges_late = self.ontology is None and not job.config.min_area_pixels
        self.counts = Counts()
        self.categories = {category.feature_hash: category for category in job.categories}
        self.category_ids = {category.feature_hash: category.id for category in job.categories}
        self.known_before = frozenset(self.categories)
        self.abouts: dict[About, int] = {}  # with their places
        self.answers = coco.written_answers()
        self.pictures = Pictures(job.masks or "")
        self.at = [0, 0]  # bytes of images and of annotations
        self.found: list[tuple[int, Sequence[Finding]]] = []  # of rows by their offsets, not yet counted

    def convert(self, reads: Sequence[Read]) -> None:
        """Convert some rows that were read together."""
        offered = [self.offered(*read) for read in reads]
        try:
            forms = iter(forms_of([one.look.row for one in offered if one.look], self.categories))
        except RowError:  # one of them holds what no format can hold
            for one in offered:
                self._alone(one)
            return
        for one in offered:
            sized = (frame for frame in one.look.row.frames if frame.width and frame.height) if one.look else ()
            self._settle(one, list(islice(forms, sum(len(frame.objects) for frame in sized))))

    def offered(self, offset: int, length: int, read: RowReading | UnusableRow) -> _Row:
        """A row as it was read, and as it is to be converted, if it is."""
        reading = judged(offset, length, read, self.ontology, self.config, rules=not self.judges_late)
        row, is_judged = reading.row, not self.judges_late
        if row is None or isinstance(read, UnusableRow):
            return _Row(reading, None, is_judged)
        if not is_judged and (row.frames is not read.row.frames or reading.status != "accepted"):
            reading, is_judged = self._judged(reading, read.row), True
        if reading.status != "accepted":
            return _Row(reading, None, is_judged)
        try:
            return _Row(reading, self.claimed(row), is_judged)
        except RowError as error:
            return _Row(_refused(reading, error, self.config), None, is_judged)

    def claimed(self, row: LabelRow) -> Look:
        """The row without what its categories cannot hold, once all of them are known."""
        look = Look(row)
        if not self.categories.keys() >= {key for key, _ in look.pairs}:
            for key, wanted in classes_of(row, self.ontology.ontology if self.ontology else None).items():
                if key not in self.categories:
                    self.category_ids[key] = number = len(self.categories) + 1
                    self.categories[key] = msgspec.structs.replace(wanted, id=number)
        return Look(fitted(row, self.categories)) if Skeleton in look.kinds else look

    def _judged(self, reading: Reading, row: LabelRow) -> Reading:
        """The reading with what the rules find in the row as it was read."""
        found = apply_severities(validate(row), self.config.severities)
        return msgspec.structs.replace(reading, findings=(*reading.findings, *found))

    def _alone(self, one: _Row) -> None:
        try:
            self._settle(one, forms_of([one.look.row] if one.look else [], self.categories))
        except RowError as error:
            self._settle(_Row(_refused(one.reading, error, self.config), None, is_judged=True), [])

    def _settle(self, one: _Row, forms: list[Form]) -> None:
        """Count a row, and write its records where it has some."""
        if one.look is not None:
            one.look.forms = forms
            self._finish(one.reading, one.look, is_judged=one.is_judged)
        elif one.reading.row is not None:
            self._count(one.reading, one.reading.row)
        else:
            self._hold_back(one.reading)

    def _finish(self, reading: Reading, look: Look, *, is_judged: bool) -> None:
        row = look.row
        pictures = self._pictures(row) if self.job.masks else {}  # first: it can refuse the row
        if not is_judged and not (row is reading.row and look.is_fine):
            reading = self._judged(reading, reading.row or row)
        unfit = [found for held in row.quarantined for found in held.findings if found.rule == "skeleton_joint_unknown"]
        if unfit:
            found = apply_severities(unfit, self.config.severities)
            reading = msgspec.structs.replace(reading, findings=(*reading.findings, *found))
        self._write(row, iter(look.forms), is_new=not self.known_before.issuperset(key for key, _ in look.pairs))
        for name, data in pictures.items():
            self.pictures.write(name, data)
            self.counts.mask_bytes += len(data)
        self._count(reading, row)
        self.counts.add_classes(look.class_counts())
        add(self.counts.names, names_of(look.pairs))
        add(self.counts.losses, look.losses(masks=self.config.masks))

    def _write(self, row: LabelRow, forms: Iterator[Form], *, is_new: bool) -> None:
        sizes = self.write_records(row, forms, coco.RowAnnotations(row, self.category_ids, self.answers))
        images = sum(1 for frame in row.frames if frame.width and frame.height) if not row.deleted else 0
        flag = NEW_CLASS if is_new else CONVERTED
        self.note([row.label_hash], [row.branch_name], [sizes[0]], [sizes[1]], [flag], [row.data_type])
        self._note_about(About(row.data_type, row.dataset_hash, row.label_status, row.workflow_node))
        self.counts.converted += not row.deleted
        self.counts.images += images
        self.counts.coco_bytes += sum(sizes)

    def write_records(self, row: LabelRow, forms: Iterator[Form], writer: coco.RowAnnotations) -> tuple[int, int]:
        """Append the images and annotations of a row, or of a part of it; how many bytes they take."""
        images: list[coco.Image] = []
        made: list[coco.Annotation] = []
        for frame in () if row.deleted else row.frames:
            image = coco.image(frame, row)
            if image is not None:
                images.append(image)
                made += writer.on_image(frame.objects, forms, image)
        records = [coco.lines(some).replace(b"\n", coco.BETWEEN) for some in (images, made)]
        self.spools.images.write(records[0])
        self.spools.annotations.write(records[1])
        self.spools.image_ids.write(array("q", [image.id for image in images]))
        self.spools.annotation_ids.write(array("q", [one.id for one in made]))
        self.counts.coco_bytes -= len(coco.BETWEEN) * (len(images) + len(made))
        return len(records[0]), len(records[1])

    def note(
        self,
        label_hashes: Sequence[str],
        branch_names: Sequence[str],
        images: Sequence[int],
        annotations: Sequence[int],
        flags: Sequence[int],
        data_types: Sequence[str],
    ) -> None:
        """Add to the index where the records of rows are, which take so many bytes."""
        rows = identity.row_identities(label_hashes, branch_names)
        starts = accumulate(images, initial=self.at[0]), accumulate(annotations, initial=self.at[1])
        more = (flags, map(kind_of, data_types))
        self.spools.index.write(b"".join(map(ENTRY.pack, rows, starts[0], images, starts[1], annotations, *more)))
        self.at = [self.at[0] + sum(images), self.at[1] + sum(annotations)]

    def _note_about(self, about: About) -> None:
        """Add what is to be known of the row that was noted last; others than that do not come here."""
        if self.job.about:
            self.spools.about.write(ABOUT.pack(self.abouts.setdefault(about, len(self.abouts))))

    def count_findings(self) -> None:
        """Count what was found in some rows, in their order: they are not converted in it."""
        for _, findings in sorted(self.found, key=itemgetter(0)):
            self.counts.add_findings(findings)
        self.found.clear()

    def find_unlabelled(self, label_hash: str, offset: int, empty: Sequence[Frame], frames: int) -> None:
        """Note frames of a row of several that have no labels."""
        if empty:
            where, message = unlabelled(label_hash, empty[0], len(empty), frames)
            found = apply_severities([finding("unlabelled_frame", where, message)], self.config.severities)
            self.found.append((offset, found))

    def marks(self) -> tuple[int, ...]:
        """How far the spools have come."""
        spools = (getattr(self.spools, name).tell() for name in Spools.__struct_fields__)
        return (*spools, len(self.categories), self.counts.coco_bytes)

    def rewind(self, marks: tuple[int, ...]) -> None:
        """Take back what was written since."""
        for name, mark in zip(Spools.__struct_fields__, marks, strict=False):
            file: BinaryIO = getattr(self.spools, name)
            file.seek(mark)
            file.truncate()
        *_, classes, self.counts.coco_bytes = marks
        for key in list(self.categories)[classes:]:
            del self.categories[key], self.category_ids[key]

    def _pictures(self, row: LabelRow) -> dict[str, bytes]:
        """The mask pictures of a row by their names."""
        from encord_dagster.formats.masks import mask_pngs

        made: dict[str, bytes] = {}
        for frame in () if row.deleted else row.frames:
            if painted := mask_pngs(frame, self.category_ids):
                name = picture_name(coco.file_name(frame, row.data_type))
                made[f"semantic/{name}"], made[f"instance/{name}"] = painted.semantic, painted.instance
        return made

    def _hold_back(self, reading: Reading) -> None:
        """Count a row that cannot be used; where it has a name, another event of it would be told."""
        if reading.event:
            self.counts.add_event(reading.event)
            self.note([reading.event.label_hash], [reading.event.branch_name], [0], [0], [HELD], [""])
            self._note_about(About())
        self.counts.rows += 1
        self.counts.rows_quarantined += 1
        self.found.append((reading.offset, reading.findings))

    def _count(self, reading: Reading, row: LabelRow) -> None:
        """Count a row, as `Tally.add` does; its images are counted as they are written."""
        if reading.event:
            self.counts.add_event(reading.event)
        self.counts.rows += 1
        left_out, objects = excluded(row) if row.excluded else {}, sum(len(frame.objects) for frame in row.frames)
        if reading.status == "other_branch":
            left_out = {**left_out, reading.status: objects}
        else:
            self.counts.published += objects
        self.counts.objects_in += row.objects_in
        self.counts.quarantined += len(row.quarantined)
        add(self.counts.excluded, left_out)
        self.found.append((reading.offset, reading.findings))


def _refused(reading: Reading, error: RowError, config: LabelSetConfig) -> Reading:
    """A row that reads, and that no format can hold."""
    place = Location(row=reading.event.label_hash if reading.event else None)
    more = apply_severities([Finding(error.reason, "error", place, str(error))], config.severities)
    return msgspec.structs.replace(reading, status="quarantined", row=None, findings=(*more, *reading.findings))
