"""What of a version is written at checkout, and how it is called there. Defaults leave all as it is published."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats import coco, naming
from encord_dagster.formats import splits as division
from encord_dagster.formats.class_map import ClassMap
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import Labelled, Row

STILL = ("image", "img_group")  # data types whose images are no frames that one could leave some out of
WITHOUT_SIZE = frozenset({"point", "polyline"})


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to write. Rows, frames and objects that a filter removes are counted under its name."""

    classes: dict[str, tuple[str, ...]] = {}  # new name -> names, feature hashes or `name[attribute=option]`; an order
    drop_classes: tuple[str, ...] = ()  # likewise
    other_classes: Literal["keep", "drop"] = "keep"  # classes that neither of these names
    label_statuses: tuple[str, ...] = ()  # rows of another status are left out, with their images; empty: all
    workflow_nodes: tuple[str, ...] = ()  # likewise by workflow stage
    frame_step: int = 1  # of videos, series and stacks every so manieth frame, by frame number
    min_confidence: float = 0.0
    manual_only: bool = False  # leave out objects that a model made
    min_side: float = 0.0  # pixels: boxes of objects that are narrower or lower; points and lines have no size
    negatives: Literal["keep", "drop"] = "keep"  # images without any object
    file_name: str = ""  # template: fields are those of `naming.FIELDS`
    coco_url: str = ""  # likewise
    splits: dict[str, float] = {}  # name -> share
    split_by: division.SplitBy = "data_hash"
    split_seed: str = ""  # another one gives another division
    stratify: bool = False  # each class has its share in each split, as far as groups that have a split allow
    coco_per_split: bool = False  # one COCO file for each split instead of one for all
    frame_rate: float = 30.0  # of videos in seqinfo.ini: label sets do not hold it

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        division.checked(self.splits)
        naming.checked("file_name", self.file_name)
        naming.checked("coco_url", self.coco_url)
        if self.frame_step < 1:
            raise UsageError(f"frame_step: {self.frame_step} is no step; use 1 or more")
        if not 0 <= self.min_confidence <= 1:
            raise UsageError(f"min_confidence: {self.min_confidence} is no confidence; use 0 to 1")
        if self.min_side < 0 or self.frame_rate <= 0:
            raise UsageError("min_side and frame_rate: use positive numbers")
        for name in ("coco_per_split", "stratify"):
            if getattr(self, name) and not self.splits:
                raise UsageError(f"{name}: there are no splits; choose some, as in train=0.8,val=0.1,test=0.1")

    @property
    def changes_files(self) -> bool:
        """Whether plain files of the version would be others: all but the splits beside them."""
        beside = ("splits", "split_by", "split_seed", "stratify", "frame_rate")
        return self != Selection(**{name: getattr(self, name) for name in beside})

    @property
    def undivided(self) -> "Selection":
        """The same without splits."""
        return msgspec.structs.replace(self, splits={}, stratify=False, coco_per_split=False)


class Counted(msgspec.Struct):
    """How many of each; `images` counts an image once for each row that describes it."""

    rows: int = 0
    images: int = 0
    annotations: int = 0

    def add(self, row: Row) -> None:
        """Count a whole row."""
        self.rows += 1
        self.images += len(row.images)
        self.annotations += len(row.annotations)


class InSplit(msgspec.Struct):
    """What a split holds."""

    images: int = 0
    annotations: int = 0
    kept: int = 0  # images that an earlier checkout had there, or others of their group

    def add(self, one: Labelled, *, kept: bool) -> None:
        """Count an image."""
        self.images += 1
        self.annotations += len(one.annotations)
        self.kept += kept


class Became(msgspec.Struct, frozen=True, kw_only=True):
    """What became of everything that was read."""

    read: Counted
    removed: dict[str, Counted]  # by filter
    written: Counted
    classes: dict[str, dict[int, int]]  # objects by split, "" where there are none, and by category
    splits: dict[str, InSplit]


class Selecting:
    """Applies a selection, row by row and then image by image, and counts what each filter removed."""

    def __init__(
        self,
        selection: Selection,
        categories: tuple[Category, ...],
        *,
        kept: Mapping[str, str] | None = None,
        stratified: Mapping[str, str] | None = None,
    ) -> None:
        """`kept` are splits by group of an earlier checkout, `stratified` those of new groups; else hashes decide."""
        self.selection = selection
        self._kept, self._stratified = kept or {}, stratified or {}
        self.map = ClassMap(
            categories, selection.classes, drop=selection.drop_classes, keep_others=selection.other_classes == "keep"
        )
        self.sized = {one.id for one in categories if one.shape not in WITHOUT_SIZE}
        self._names: set[str] = set()  # given by a template
        self.rows_left_out: set[str] = set()  # by identity
        self.read = Counted()
        self.removed: dict[str, Counted] = {}
        self.written = Counted()
        self.classes: dict[str, Counter[int]] = {name: Counter() for name in selection.splits or ("",)}  # by category
        self.in_splits = {name: InSplit() for name in selection.splits}

    @property
    def became(self) -> Became:
        """What became of the rows so far."""
        classes = {split: dict(counts) for split, counts in self.classes.items()}
        return Became(
            read=self.read, removed=self.removed, written=self.written, classes=classes, splits=self.in_splits
        )

    def add(self, other: Became) -> None:
        """Count what became of other rows, which another process has chosen from."""
        _add(self.read, other.read)
        _add(self.written, other.written)
        for name, removed in other.removed.items():
            _add(self._removed(name), removed)
        for split, counts in other.classes.items():
            self.classes[split].update(counts)
        for split, held in other.splits.items():
            _add(self.in_splits[split], held)

    def row(self, row: Row) -> Row | None:
        """What is chosen of a row; None where that is nothing at all."""
        chosen = self.selection
        self.read.add(row)
        for filter_name, wanted, given in (
            ("label_statuses", chosen.label_statuses, row.label_status),
            ("workflow_nodes", chosen.workflow_nodes, row.workflow_node),
        ):
            if wanted and given not in wanted:
                self._removed(filter_name).add(row)
                self.rows_left_out.add(row.row)
                return None
        self.written.rows += 1
        row = self._stepped(row)
        annotations = tuple(made for one in row.annotations if (made := self._annotation(one)) is not None)
        images = tuple(
            naming.named(image, row, file_name=chosen.file_name, coco_url=chosen.coco_url) for image in row.images
        )
        return msgspec.structs.replace(row, images=images, annotations=annotations)

    def image(self, one: Labelled, descriptions: int = 1) -> Labelled | None:
        """The image with its split; None where it is a negative that is not wanted."""
        chosen = self.selection
        if chosen.negatives == "drop" and not one.annotations:
            self._removed("negatives").images += descriptions
            return None
        self._refuse_twice(one.image.file_name)
        split = ""
        if chosen.splits:
            group = division.group_of(one, chosen.split_by)
            earlier = self._kept.get(group) or self._stratified.get(group)
            split = earlier or division.split_of(group, chosen.splits, chosen.split_seed)
            self.in_splits[split].add(one, kept=group in self._kept)
        self.written.images += descriptions
        self.written.annotations += len(one.annotations)
        self.classes[split].update(annotation.category_id for annotation in one.annotations)
        return msgspec.structs.replace(one, split=split) if split else one

    def _refuse_twice(self, file_name: str) -> None:
        if self.selection.file_name:
            if file_name in self._names:
                raise UsageError(f"two images would be called {file_name}; choose a file_name that tells them apart")
            self._names.add(file_name)

    def _removed(self, filter_name: str) -> Counted:
        return self.removed.setdefault(filter_name, Counted())

    def _stepped(self, row: Row) -> Row:
        step = self.selection.frame_step
        if step == 1 or row.data_type in STILL:
            return row
        images = tuple(image for image in row.images if not image.encord.frame % step)
        kept = {image.id for image in images}
        annotations = tuple(one for one in row.annotations if one.image_id in kept)
        removed = self._removed("frame_step")
        removed.images += len(row.images) - len(images)
        removed.annotations += len(row.annotations) - len(annotations)
        return msgspec.structs.replace(row, images=images, annotations=annotations)

    def _annotation(self, one: coco.Annotation) -> coco.Annotation | None:
        chosen = self.selection
        category = self.map.of(one)
        if category is None:
            reason = "classes"
        elif one.score < chosen.min_confidence:
            reason = "min_confidence"
        elif chosen.manual_only and not one.attributes.manual_annotation:
            reason = "manual_only"
        elif chosen.min_side and one.category_id in self.sized and min(one.bbox[2:]) < chosen.min_side:
            reason = "min_side"
        else:
            same = category == one.category_id
            return one if same else msgspec.structs.replace(one, category_id=category)
        self._removed(reason).annotations += 1
        return None


def _add(counts: Counted | InSplit, more: Counted | InSplit) -> None:
    for name in counts.__struct_fields__:
        setattr(counts, name, getattr(counts, name) + getattr(more, name))
