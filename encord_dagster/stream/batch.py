"""Rows of the fast lane converted together: their objects stand in columns, from what was read to what is written."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import TypeVar

from encord_dagster import identity
from encord_dagster.encord.model import Frame
from encord_dagster.encord.plain_answers import Given
from encord_dagster.encord.plain_many import BareRow, Left, columns
from encord_dagster.formats import coco
from encord_dagster.geometry import LARGEST_MASK
from encord_dagster.stream.shapes import shapes_of
from encord_dagster.stream.work import Work
from encord_dagster.validation import is_wanted

_T = TypeVar("_T")
_TYPES = frozenset({"image", "img_group", "video", "dicom"})


def is_fit(row: BareRow, work: Work) -> bool:
    """Whether a row, or a part of one, may be converted so: it has objects, and its frames are of known sizes."""
    made, config = row.row, work.config
    if made.data_type not in _TYPES or not made.objects_in:
        return False
    if work.ontology and (made.classifications or any(frame.classifications for frame in made.frames)):
        return False
    fit = all(0 < (frame.width or 0) * (frame.height or 0) <= LARGEST_MASK for frame in made.frames)
    return fit and made.branch_name == config.branch and is_wanted(made, config)


def unlabelled_in(row: BareRow) -> list[Frame]:
    """The frames that have no labels."""
    pairs = zip(row.row.frames, row.sheets, strict=True)
    return [frame for frame, sheet in pairs if not sheet and not frame.classifications]


class Batch:
    """Rows that are converted together. Left or Odd, with nothing written, where some of them cannot be."""

    def __init__(self, rows: Sequence[BareRow], work: Work) -> None:
        self.rows, self.work = rows, work
        sheets = [sheet for row in rows for sheet in row.sheets]
        objects = [one for sheet in sheets for one in sheet]
        self.sizes = [len(sheet) for sheet in sheets]
        self.ends = list(accumulate(row.row.objects_in for row in rows))  # of rows among objects
        self.columns = columns(objects)
        self.pairs = self._pairs()
        self.answers = self._answers()
        frames = [frame for row in rows for frame in row.row.frames]
        self.shapes = shapes_of(objects, self.columns.feature_hashes, frames, self.sizes)
        self.keys = self.columns.keys + self.shapes.keys + sum(row.keys for row in rows)

    def _pairs(self) -> Counter[tuple[str, str]]:
        """Objects by class and name. Each class has to be known, and to have one name in a row."""
        features, names = self.columns.feature_hashes, self.columns.names
        found = Counter(zip(features, names, strict=True))
        named = Counter(key for key, _ in found)
        answered = self.work.answered
        if odd := {key for key, _ in found if key not in self.work.categories}:
            raise Left(place for place, key in enumerate(features) if key in odd)
        if answered and not all(answered.is_named(*pair) for pair in found):
            pairs = enumerate(zip(features, names, strict=True))
            raise Left(place for place, pair in pairs if not answered.is_named(*pair))
        if len(named) < len(found):
            spans = [set(zip(features[start:end], names[start:end], strict=True)) for start, end in self._spans()]
            differing = (len(dict(pairs)) < len(pairs) for pairs in spans)
            if left := [end - 1 for end, differs in zip(self.ends, differing, strict=True) if differs]:
                raise Left(left)
        return found

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Where the objects of each row are."""
        return pairwise((0, *self.ends))

    def refuse_lacking(self) -> None:
        """Left where a row has no object of a class that an ontology requires."""
        required = self.work.answered.required if self.work.answered else ()
        if required:
            features = self.columns.feature_hashes
            lacking = [end - 1 for start, end in self._spans() if not required <= set(features[start:end])]
            if lacking:
                raise Left(lacking)

    def _of_frames(self, values: Iterable[_T]) -> Iterator[_T]:
        """A value of each frame, for each of its objects."""
        return chain.from_iterable(map(repeat, values, self.sizes))

    def write(self, offset_of: Callable[[int], int]) -> None:
        """Write the records of all rows, and count them; `offset_of` tells where a row lies, by its number."""
        work, counts = self.work, self.work.counts
        written = zip(self.rows, self._spans(), self.write_records(), strict=True)
        for number, (row, (start, end), sizes) in enumerate(written):
            is_new = not work.known_before.issuperset(self.columns.feature_hashes[start:end])
            work.note(row.row.label_hash, row.row.branch_name, *sizes, is_new=is_new)
            counts.add_export(row.exported_at, row.export_hash)
            if not all(row.sheets) and row.row.data_type != "image":
                work.find_unlabelled(row.row.label_hash, offset_of(number), unlabelled_in(row), len(row.sheets))
            counts.coco_bytes += sum(sizes)
        counts.rows += len(self.rows)
        counts.converted += len(self.rows)
        counts.add_objects(self.pairs, self.shapes.losses, images=len(self.sizes), objects=self.ends[-1])

    def write_records(self) -> list[tuple[int, int]]:
        """Append the images and annotations of all rows; how many bytes they take, row by row."""
        spools = self.work.spools
        images = [image for row in self.rows for frame in row.row.frames if (image := coco.image(frame, row.row))]
        ids, annotations = self._annotations(images)
        lines = coco.lines(images)
        ends = accumulate((len(line) + len(coco.BETWEEN) for line in lines.splitlines()), initial=0)
        parts = [coco.lines(annotations[start:end]) for start, end in self._spans()]
        spools.images.write(lines.replace(b"\n", coco.BETWEEN))
        spools.annotations.write(b"".join(parts).replace(b"\n", coco.BETWEEN))
        spools.image_ids.write(array("q", [image.id for image in images]))
        spools.annotation_ids.write(array("q", ids))
        self.work.counts.coco_bytes -= len(coco.BETWEEN) * (len(images) + len(ids))
        longer = len(coco.BETWEEN) - 1  # than a line feed
        rows = accumulate((len(row.sheets) for row in self.rows), initial=0)
        of_images = pairwise(map(list(ends).__getitem__, rows))
        return [
            (stop - first, len(text) + longer * (end - start))
            for (first, stop), text, (start, end) in zip(of_images, parts, self._spans(), strict=True)
        ]

    def _annotations(self, images: Sequence[coco.Image]) -> tuple[list[int], list[coco.Annotation]]:
        """Ids and annotations of all objects."""
        held, shapes, of_frames = self.columns, self.shapes, self._of_frames
        ids, tracks = self._ids(images)
        origins = [image.encord for image in images]
        numbers = map(self.work.category_ids.__getitem__, held.feature_hashes)
        distinct = dict(zip(map(id, self.answers), self.answers, strict=True))
        written = {key: self.work.answers(answers) for key, answers in distinct.items()}
        texts = map(written.__getitem__, map(id, self.answers))
        # their JSON stands for the answers, as in `coco.RowAnnotations`
        attributes = map(coco.AnnotationAttributes, tracks, held.confidences, held.manual, texts)  # type: ignore[arg-type]
        lineage = map(
            coco.Origin,
            of_frames([origin.label_hash for origin in origins]),
            of_frames([origin.data_hash for origin in origins]),
            of_frames([origin.frame for origin in origins]),
            held.object_hashes,
            held.feature_hashes,
            of_frames([origin.branch_name for origin in origins]),
        )
        on = of_frames([image.id for image in images])
        made = map(
            coco.Annotation,
            *(ids, on, numbers, shapes.hulls, shapes.areas, shapes.segmentations, repeat(0), attributes, lineage),
        )
        return ids, list(made)

    def _ids(self, images: Sequence[coco.Image]) -> tuple[list[int], list[int]]:
        """The ids of annotations, and those of their tracks."""
        hashes, ends = self.columns.object_hashes, accumulate(self.sizes)
        heads = [f"\0{image.encord.label_hash}\0{image.encord.branch_name}\0" for image in images]
        of_frames = [hashes[start:end] for start, end in pairwise((0, *ends))]
        on_images = zip(heads, of_frames, [f"\0{image.id}" for image in images], strict=True)
        ids = identity.numbers(
            ("annotation" + head, [one + behind for one in given]) for head, given, behind in on_images
        )
        firsts = accumulate((len(row.sheets) for row in self.rows[:-1]), initial=0)  # of frames
        of_rows = [
            (f"track{heads[first]}", hashes[start:end])
            for first, (start, end) in zip(firsts, self._spans(), strict=True)
        ]
        if len(images) == len(self.rows):  # nothing is there twice
            return ids, identity.numbers(of_rows)
        own = [(head, list(dict.fromkeys(given))) for head, given in of_rows]
        numbers = iter(identity.numbers(own))
        known = [dict(zip(given, numbers, strict=False)) for _, given in own]
        return ids, [numbered[one] for (_, given), numbered in zip(of_rows, known, strict=True) for one in given]

    def _answers(self) -> list[Given]:
        """The answers of each object."""
        hashes, rows = self.columns.object_hashes, zip(self.rows, self._spans(), strict=True)
        frames = list(self._of_frames([frame.number for row in self.rows for frame in row.row.frames]))
        given = [
            answers
            for row, (start, end) in rows
            for answers in row.answers.of_many(hashes[start:end], frames[start:end])
        ]
        if self.work.answered is None:
            return given
        resolved = self.work.answered.of_many(self.columns.feature_hashes, given)
        if None in resolved:
            raise Left(place for place, one in enumerate(resolved) if one is None)
        return [one for one in resolved if one is not None]
