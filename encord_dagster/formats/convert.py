"""One label row becomes its fragment: every format in one pass over the frames."""

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from encord_dagster import identity
from encord_dagster.encord.model import Frame, LabelRow
from encord_dagster.formats import coco
from encord_dagster.formats.forms import forms_of
from encord_dagster.formats.fragment import Category, ClassCount, Fragment, MaskImage
from encord_dagster.formats.masks import mask_pngs
from encord_dagster.formats.row_tables import RowTables


def convert(
    row: LabelRow, categories: Mapping[str, Category], *, masks: bool = True, ids: Mapping[str, int] | None = None
) -> Fragment:
    """Convert one label row. `categories` maps the feature hash of each of its classes.

    `ids` gives images and annotations whose plain ids are taken others, by their keys.
    """
    tables = RowTables(row)
    forms = iter(forms_of([row], categories))
    annotations_of = coco.RowAnnotations(row, {key: one.id for key, one in categories.items()}, coco.written_answers())
    images: list[coco.Image] = []
    annotations: list[coco.Annotation] = []
    pictures: list[MaskImage] = []
    for frame in row.frames:
        image = image_of(frame, row, ids or {})
        if image is None:
            tables.add_without_image(frame)
            continue
        made = annotations_of.on_image(frame.objects, forms, image)
        if ids:
            made = [_renumbered(one, row, ids) for one in made]
        images.append(image)
        annotations += made
        tables.add_frame(frame, image, made)
        painted = mask_pngs(frame, {key: category.id for key, category in categories.items()}) if masks else None
        if painted:
            pictures += [MaskImage(image.id, "semantic", painted.semantic)]
            pictures += [MaskImage(image.id, "instance", painted.instance)]
    return Fragment(
        image_ids=tuple(image.id for image in images),
        images=tuple(coco.lines(images).split(b"\n")[:-1]),
        annotations=tuple(coco.lines(annotations).split(b"\n")[:-1]),
        classes=_counted(row, categories),
        masks=tuple(pictures),
        tables=tables.records,
    )


def image_of(frame: Frame, row: LabelRow, ids: Mapping[str, int]) -> coco.Image | None:
    """The COCO image of a frame, with its own id where that is given another."""
    image = coco.image(frame, row)
    if image is None or not ids:
        return image
    return replace(image, id=ids.get(identity.image_key(frame.data_hash, frame.number, frame.space), image.id))


def _renumbered(made: coco.Annotation, row: LabelRow, ids: Mapping[str, int]) -> coco.Annotation:
    key = identity.annotation_key(row.label_hash, row.branch_name, str(made.encord.object_hash), made.image_id)
    return replace(made, id=ids.get(key, made.id))


def _counted(row: LabelRow, categories: Mapping[str, Category]) -> tuple[ClassCount, ...]:
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for frame in row.frames:
        for item in frame.objects:
            names[item.feature_hash] = item.name
            seen[item.feature_hash] += 1
    return tuple(
        ClassCount(key, categories[key].id, names[key], categories[key].shape, seen[key]) for key in sorted(seen)
    )
