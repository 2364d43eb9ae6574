"""Converted files of one export that is not published."""

from collections.abc import Callable, Mapping, Sequence

from encord_dagster import layout
from encord_dagster.formats import coco, losses, tables
from encord_dagster.formats.fragment import Category, Fragment
from encord_dagster.label_set import shards
from encord_dagster.label_set.manifest import BucketRow, sha256
from encord_dagster.storage.protocol import ObjectStore


def assembled(
    rows: Sequence[BucketRow], load: Callable[[str], Fragment], categories: Mapping[str, Category]
) -> tuple[shards.Parts, bytes]:
    """The parts of some rows, and their COCO file."""
    ordered = sorted((row for row in rows if row.fragment), key=lambda row: row.row)
    fresh = {row.row: load(row.fragment) for row in ordered if row.fragment}
    images: dict[int, bytes] = {}
    for fragment in fresh.values():
        for image_id, image in zip(fragment.image_ids, fragment.images, strict=True):
            images[image_id] = coco.merged_image(images[image_id], image) if image_id in images else image
    used = {count.feature_hash for fragment in fresh.values() for count in fragment.classes}
    named = sorted((categories[key] for key in used), key=lambda category: category.id)
    annotations = [annotation for fragment in fresh.values() for annotation in fragment.annotations]
    return shards.merged(ordered, fresh, []), b"".join(coco.document(named, images, coco.joined(annotations)))


def write_converted(
    lake: ObjectStore,
    name: str,
    export_id: str,
    rows: Sequence[BucketRow],
    load: Callable[[str], Fragment],
    categories: Mapping[str, Category],
) -> dict[str, str]:
    """Store the converted files of one export's rows; where each lies."""
    parts, document = assembled(rows, load, categories)
    pictures, index = shards.mask_tar(parts.masks, sorted(parts.masks))
    lost = losses.total(row.losses for row in rows)
    files = {
        "coco.json": document,
        "masks.tar": pictures,
        "masks_index.parquet": index,
        losses.FILE: losses.report(lost),
    }
    files |= {f"{table}.parquet": tables.to_parquet(parts.tables[table]) for table in tables.SCHEMAS}
    keys = {file: layout.converted(name, export_id, file, sha256(data)) for file, data in files.items()}
    for file, data in files.items():
        lake.create(keys[file], data)
    places = {"coco": "coco.json", "masks": "masks.tar", "tables": "annotations.parquet", "losses": losses.FILE}
    return {kind: f"{lake.url}/{keys[file]}" for kind, file in places.items()}
