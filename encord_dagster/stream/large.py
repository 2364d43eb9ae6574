"""A row that is too large to be held as objects: converted a few frames at a time, if nothing is to be said of it."""

from collections import Counter

from encord_dagster.encord.container import RowSlice
from encord_dagster.encord.plain_keys import Odd
from encord_dagster.encord.scalars import UNREADABLE
from encord_dagster.errors import RowError
from encord_dagster.formats import coco
from encord_dagster.formats.forms import forms_of
from encord_dagster.stream.counts import add
from encord_dagster.stream.judge import names_of
from encord_dagster.stream.work import Work
from encord_dagster.validation import is_wanted

LARGE = 4 * 2**20  # bytes of a row


def convert_in_parts(work: Work, piece: RowSlice) -> bool:
    """Convert a row; False, with nothing of it written, where it has to be read whole: it takes memory then."""
    if work.job.masks or not work.judges_late or not work.config.free_text:
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
    writer: coco.RowAnnotations | None = None
    pairs: Counter[tuple[str, str]] = Counter()
    lost: dict[str, int] = {}
    sizes, images, objects = [0, 0], 0, 0
    for part in parts:
        look = work.claimed(part)
        look.forms = forms_of([part], work.categories)
        wanted = part.branch_name == work.config.branch and is_wanted(part, work.config)
        if look.row is not part or not wanted or not look.is_fine:
            raise Odd
        writer = writer or coco.RowAnnotations(part, work.category_ids, work.answers)
        written = work.write_records(part, iter(look.forms), writer)
        sizes = [size + more for size, more in zip(sizes, written, strict=True)]
        images += len(part.frames)
        objects += part.objects_in
        pairs.update(look.pairs)
        add(lost, look.losses(masks=work.config.masks))
    if writer is None or len({key for key, _ in pairs}) < len(pairs):
        raise Odd
    work.note(
        parts.event.label_hash,
        parts.event.branch_name,
        *sizes,
        is_new=not work.known_before.issuperset(key for key, _ in pairs),
    )
    counts = work.counts
    counts.add_event(parts.event)
    counts.add_classes(pairs)
    add(counts.names, names_of(pairs))
    add(counts.losses, lost)
    counts.rows += 1
    counts.converted += 1
    counts.images += images
    counts.objects_in += objects
    counts.published += objects
    counts.coco_bytes += sum(sizes)
