"""Rows of the fast lane converted together: their objects stand in columns, from what was read to what is written."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise, repeat
from operator import mul
from typing import BinaryIO, TypeVar

from encord_dagster import identity
from encord_dagster.encord.plain_answers import Given
from encord_dagster.encord.plain_columns import RowColumns
from encord_dagster.encord.plain_many import BareRow, Left, columns
from encord_dagster.formats import coco, coco_columns
from encord_dagster.geometry import LARGEST_MASK
from encord_dagster.stream.shapes import shapes_of
from encord_dagster.stream.work import CONVERTED, NEW_CLASS, Work
from encord_dagster.validation import is_wanted

_T = TypeVar("_T")
_TYPES = frozenset({"image", "img_group", "video", "dicom"})


def is_fit(row: BareRow, work: Work) -> bool:
    """Whether a row may be converted so: it has objects, and its frames are of known sizes."""
    made, config = row.row, work.config
    if made.data_type not in _TYPES or not made.objects_in:
        return False
    if work.ontology and (made.classifications or any(frame.classifications for frame in made.frames)):
        return False
    fit = all(0 < (frame.width or 0) * (frame.height or 0) <= LARGEST_MASK for frame in made.frames)
    return fit and made.branch_name == config.branch and is_wanted(made, config)


def are_fit(rows: RowColumns, work: Work) -> bool:
    """The same of rows, or a part of one, that were read together and have no classifications; some have objects."""
    config, frames = work.config, rows.frames
    return (
        set(rows.data_types) <= _TYPES
        and any(rows.sheets)
        and max(map(mul, frames.width, frames.height)) <= LARGEST_MASK
        and set(rows.branch_names) == {config.branch}
        and (not config.label_statuses or set(rows.label_statuses) <= set(config.label_statuses))
        and not config.workflow_nodes  # which are not told here
    )


class Batch:
    """Rows that are converted together. Left or Odd, with nothing written, where some of them cannot be."""

    def __init__(self, rows: RowColumns, work: Work) -> None:
        self.rows, self.work = rows, work
        objects = list(chain.from_iterable(rows.sheets))
        self.sizes = list(map(len, rows.sheets))
        self.ends = rows.ends  # of rows among objects
        self.columns = columns(objects)
        self.pairs = self._pairs()
        self.answers = self._answers()
        sides = zip(rows.frames.width, rows.frames.height, strict=True)
        self.shapes = shapes_of(objects, self.columns, list(sides), self.sizes)
        self.keys = self.columns.keys + self.shapes.keys + rows.keys

    def _pairs(self) -> Counter[tuple[str, str]]:
        """Objects by class and name. Each class has to be known, and to have one name in a row."""
        features, names = self.columns.feature_hashes, self.columns.names
        last = dict(zip(features, names, strict=True))
        if list(map(last.__getitem__, features)) == list(names):  # one name each: counted in half the time
            found = Counter({(key, last[key]): objects for key, objects in Counter(features).items()})
        else:
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

    def _of_rows(self, values: Iterable[_T]) -> Iterator[_T]:
        """A value of each row, likewise."""
        return chain.from_iterable(map(repeat, values, [end - start for start, end in self._spans()]))

    def write(self, offset_of: Callable[[int], int]) -> None:
        """Write the records of all rows, and count them; `offset_of` tells where a row lies, by its number."""
        rows, work, counts = self.rows, self.work, self.work.counts
        sizes = self.write_records()
        work.note(rows.label_hashes, rows.branch_names, *sizes, self._flags(), rows.data_types)
        for number, empty in rows.unlabelled().items():
            work.find_unlabelled(rows.label_hashes[number], offset_of(number), empty, rows.frame_counts[number])
        counts.add_exports(rows.exported_at, rows.export_hashes)
        counts.rows += len(rows.label_hashes)
        counts.converted += len(rows.label_hashes)
        counts.coco_bytes += sum(map(sum, sizes))
        counts.add_objects(self.pairs, self.shapes.losses, images=len(self.sizes), objects=self.ends[-1])

    def _flags(self) -> Sequence[int]:
        """Of each row, which tell of classes that were not known before."""
        known, features = self.work.known_before, self.columns.feature_hashes
        if known.issuperset(key for key, _ in self.pairs):
            return [CONVERTED] * len(self.ends)
        return [CONVERTED if known.issuperset(features[start:end]) else NEW_CLASS for start, end in self._spans()]

    def write_records(self) -> tuple[list[int], list[int]]:
        """Append the images and annotations of all rows; how many bytes they take, row by row."""
        spools = self.work.spools
        images = coco_columns.images(self.rows)
        ids, annotations = self._annotations(images)
        spools.image_ids.write(array("q", [image.id for image in images]))
        spools.annotation_ids.write(array("q", ids))
        self.work.counts.coco_bytes -= len(coco.BETWEEN) * (len(images) + len(ids))
        of_images = _written(images, self.rows.starts[1:], spools.images)
        return of_images, _written(annotations, self.ends, spools.annotations)

    def _annotations(self, images: Sequence[coco.Image]) -> tuple[list[int], list[coco.Annotation]]:
        """Ids and annotations of all objects."""
        held, shapes, rows = self.columns, self.shapes, self.rows
        image_ids = [image.id for image in images]
        ids, tracks = self._ids(image_ids)
        numbers = map(self.work.category_ids.__getitem__, held.feature_hashes)
        distinct = dict(zip(map(id, self.answers), self.answers, strict=True))
        written = {key: self.work.answers(answers) for key, answers in distinct.items()}
        texts = map(written.__getitem__, map(id, self.answers))
        # their JSON stands for the answers, as in `coco.RowAnnotations`
        attributes = map(coco.AnnotationAttributes, tracks, held.manual, texts)  # type: ignore[arg-type]
        lineage = map(
            coco.Origin,
            self._of_rows(rows.label_hashes),
            self._of_frames(rows.frames.data_hash),
            self._of_frames(rows.frames.number),
            held.object_hashes,
            held.feature_hashes,
            self._of_rows(rows.branch_names),
        )
        on = self._of_frames(image_ids)
        made = map(
            coco.Annotation,
            *(ids, on, numbers, shapes.hulls, shapes.areas, shapes.segmentations, repeat(0)),
            *(held.confidences, attributes, lineage),
        )
        return ids, list(made)

    def _ids(self, images: Sequence[int]) -> tuple[list[int], list[int]]:
        """The ids of annotations on images of such ids, and those of their tracks."""
        rows, hashes, ends = self.rows, self.columns.object_hashes, accumulate(self.sizes, initial=0)
        heads = [f"\0{row}\0{branch}\0" for row, branch in zip(rows.label_hashes, rows.branch_names, strict=True)]
        of_frames = [hashes[start:end] for start, end in pairwise(ends)]
        starts = chain.from_iterable(map(repeat, heads, rows.frame_counts))
        on_images = zip(starts, of_frames, [f"\0{image}" for image in images], strict=True)
        ids = identity.numbers(
            ("annotation" + head, [one + behind for one in given]) for head, given, behind in on_images
        )
        of_rows = [(f"track{head}", hashes[start:end]) for head, (start, end) in zip(heads, self._spans(), strict=True)]
        if len(images) == len(heads):  # nothing is there twice
            return ids, identity.numbers(of_rows)
        own = [(head, list(dict.fromkeys(given))) for head, given in of_rows]
        numbers = iter(identity.numbers(own))
        known = [dict(zip(given, numbers, strict=False)) for _, given in own]
        return ids, [numbered[one] for (_, given), numbered in zip(of_rows, known, strict=True) for one in given]

    def _answers(self) -> list[Given]:
        """The answers of each object."""
        hashes, frames = self.columns.object_hashes, list(self._of_frames(self.rows.frames.number))
        ends = list(accumulate(self.sizes, initial=0))  # of frames among objects
        stops = list(accumulate((count for _, count in self.rows.answers), initial=0))
        given: list[Given] = []
        for (answers, _), (first, stop) in zip(self.rows.answers, pairwise(stops), strict=True):
            given += answers.of_many(hashes[ends[first] : ends[stop]], frames[ends[first] : ends[stop]])
        if self.work.answered is None:
            return given
        resolved = self.work.answered.of_many(self.columns.feature_hashes, given)
        if None in resolved:
            raise Left(place for place, one in enumerate(resolved) if one is None)
        return [one for one in resolved if one is not None]


def _written(records: Sequence[coco.Image] | Sequence[coco.Annotation], ends: Sequence[int], to: BinaryIO) -> list[int]:
    """Append the records of rows, which end at such places; how many bytes each row takes."""
    import numpy as np

    data = coco.lines(records)
    feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    to.write(data.replace(b"\n", coco.BETWEEN))
    longer = len(coco.BETWEEN) - 1  # than a line feed
    stops = np.append(0, feeds + 1 + longer * np.arange(1, len(feeds) + 1))[[0, *ends]]
    sizes: list[int] = np.diff(stops).tolist()
    return sizes
