"""A row that is too large to be held as objects: converted a few frames at a time, if nothing is to be said of it."""

from collections import Counter

from encord_dagster.encord import plain
from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.model import Frame
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.plain_many import Left
from encord_dagster.encord.plain_parts import Parts
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.errors import RowError
from encord_dagster.formats import coco
from encord_dagster.formats.forms import forms_of
from encord_dagster.stream.batch import Batch, are_fit
from encord_dagster.stream.counts import add
from encord_dagster.stream.work import CONVERTED, NEW_CLASS, Work
from encord_dagster.validation import is_wanted

LARGE = 2**19  # bytes of a video or series; other rows cannot be read in parts
LARGEST = 4 * 2**20  # bytes of a row that is read beside others
_FILMS = tuple(name.encode() for name in plain.FILMS)


def is_large(piece: RowSlice) -> bool:
    """Whether a row is to be converted in parts, or else alone."""
    return may_be_large(piece.raw)


def may_be_large(text: bytes) -> bool:
    """The same of a text of rows that are of one kind."""
    film = len(text) > LARGE and plain.type_in(text).lstrip(b'"').startswith(_FILMS)
    return film or len(text) > LARGEST


def convert_in_parts(work: Work, piece: RowSlice) -> bool:
    """Convert a row; False, with nothing of it written, where it has to be read whole: it takes memory then."""
    if not work.has_lane:
        return False
    marks = work.marks()
    try:
        _convert(work, piece)
    except (Odd, RowError, *UNREADABLE):
        work.rewind(marks)
        return False
    return True


def _convert(work: Work, piece: RowSlice) -> None:
    parts = work.reader.in_parts(piece)
    film = _Film(work, parts)
    for part in parts:
        film.take(part)
    classes = {key for key, _ in film.pairs}
    lacks = work.answered is not None and not work.answered.required <= classes
    if not film.objects or lacks or len(classes) < len(film.pairs):
        raise Odd
    is_new = not work.known_before.issuperset(classes)
    work.find_unlabelled(parts.event.label_hash, piece.offset, film.empty, film.images)
    images, annotations = film.sizes
    flag = NEW_CLASS if is_new else CONVERTED
    work.note([parts.event.label_hash], [parts.event.branch_name], [images], [annotations], [flag], [parts.data_type])
    work.counts.add_event(parts.event)
    work.counts.rows += 1
    work.counts.converted += 1
    work.counts.coco_bytes += sum(film.sizes)
    work.counts.add_objects(film.pairs, film.losses, images=film.images, objects=film.objects)


class _Film:
    """A row whose parts are written one after the other, and what is counted of them."""

    def __init__(self, work: Work, parts: Parts) -> None:
        self.work, self.parts = work, parts
        self.writer: coco.RowAnnotations | None = None
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.losses: dict[str, int] = {}
        self.sizes, self.images, self.objects = [0, 0], 0, 0
        self.empty: list[Frame] = []

    def take(self, part: plain.FilmRow) -> None:
        """Write a part: its objects side by side if that can be, or one by one."""
        try:
            self._together(part)
        except Left:
            self._one_by_one(part)

    def _together(self, part: plain.FilmRow) -> None:
        try:
            rows = self.parts.columns(part)
        except Odd as odd:
            raise Left(()) from odd
        if not are_fit(rows, self.work):
            raise Left(())
        batch = Batch(rows, self.work)
        self.parts.note(rows.frames.identity, batch.columns.object_hashes, batch.keys)
        (images,), (annotations,) = batch.write_records()
        self._count(len(rows.sheets), len(batch.columns.object_hashes), (images, annotations))
        self._add(batch.pairs, batch.shapes.losses)
        self.empty += rows.unlabelled().get(0, ())

    def _one_by_one(self, part: plain.FilmRow) -> None:
        work = self.work
        if work.ontology:
            raise Odd
        row = self.parts.read(part)
        look = work.claimed(row)
        look.forms = forms_of([row], work.categories)
        wanted = row.branch_name == work.config.branch and is_wanted(row, work.config)
        if look.row is not row or not wanted or not look.has_fine_objects:
            raise Odd
        self.writer = self.writer or coco.RowAnnotations(row, work.category_ids, work.answers)
        sizes = work.write_records(row, iter(look.forms), self.writer)
        self._count(len(row.frames), row.objects_in, sizes)
        self._add(look.pairs, look.losses(masks=work.config.masks))
        self.empty += [frame for frame in row.frames if not frame.objects]

    def _count(self, images: int, objects: int, sizes: tuple[int, int]) -> None:
        self.sizes = [size + more for size, more in zip(self.sizes, sizes, strict=True)]
        self.images += images
        self.objects += objects

    def _add(self, pairs: Counter[tuple[str, str]], losses: dict[str, int]) -> None:
        self.pairs.update(pairs)
        add(self.losses, losses)
