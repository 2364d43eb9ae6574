"""Encord's COCO export as label rows: one row for each data asset that its images name.

COCO says less than label rows do. It has no label hash, branch, export hash, export time or history, so a row is its
asset and counts as without a history. It has no classifications of frames or assets, no answers nested below options,
no word on which answers are dynamic, no hashes of classes, joints, attributes and options, no deleted objects, no
confidence, and no frames of a video without labels. An image of a group is an asset of its own, since its group is
not named. Self-occluded joints are occluded ones, polygons with holes or of several outlines are masks, one pixel
larger to the right and below, and shapes such as ellipses are missing.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.authors import read_link, read_title
from encord_dagster.encord.coco_export.answers import Remarks
from encord_dagster.encord.coco_export.assets import Asset, Sorted, sort_out
from encord_dagster.encord.coco_export.classes import read_classes
from encord_dagster.encord.coco_export.content import fingerprint_of
from encord_dagster.encord.coco_export.objects import Classes, quarantine_doubtful, read_annotations
from encord_dagster.encord.codes import Code
from encord_dagster.encord.label_rows import RowReading, UnusableRow
from encord_dagster.encord.model import Frame, LabelRow, RowEvent
from encord_dagster.encord.notes import Notes, problem
from encord_dagster.encord.ontology import Ontology
from encord_dagster.encord.privacy import Disclosure
from encord_dagster.encord.scalars import UNREADABLE, Raw
from encord_dagster.errors import ExportError, RowError
from encord_dagster.storage.mapped import Data

OnBadObject = Literal["quarantine_object", "quarantine_row"]
_BOM = b"\xef\xbb\xbf"


class _Document(msgspec.Struct):
    images: list[Raw]
    annotations: list[Raw]
    categories: list[Raw]


_DOCUMENT = msgspec.json.Decoder(_Document)


def read_coco(
    data: Data,
    *,
    ontology: Ontology | None,
    on_bad_object: OnBadObject = "quarantine_object",
    disclosure: Disclosure = Disclosure(),  # noqa: B008 - frozen
) -> Iterator[RowReading | UnusableRow]:
    """The label rows of a COCO export in the order of its images, then what belongs to none.

    Raises ExportError, before the first row, where the bytes are no COCO export of Encord's.
    """
    document = _document(data)
    found = sort_out(document.images, document.annotations)
    if document.images and not found.assets:
        message = "no image of the COCO export is named as in images/<data hash>.jpg: deliver Encord's own export"
        raise ExportError(codes.COCO_FOREIGN.name, message)
    classes = read_classes(document.categories, ontology)
    keep_going = on_bad_object == "quarantine_object"

    def notes_of(row: str) -> Notes:
        return Notes(row, keep_going=keep_going, disclosure=disclosure)

    return _rows(found, classes, len(data), notes_of)


def _document(data: Data) -> _Document:
    try:
        return _DOCUMENT.decode(memoryview(data)[len(_BOM) if data.startswith(_BOM) else 0 :])
    except UNREADABLE as error:
        code = codes.COCO_UNREADABLE if isinstance(error, msgspec.ValidationError) else codes.NOT_JSON
        message = f"the COCO export cannot be read ({problem(error)}); export again"
        raise ExportError(code.name, message) from error


def _rows(
    found: Sorted, classes: Classes, length: int, notes_of: Callable[[str], Notes]
) -> Iterator[RowReading | UnusableRow]:
    for asset in found.assets:
        yield _row(asset, classes, length, notes_of(asset.data_hash))
    if found.unnamed:
        first = found.unnamed[0]
        message = (
            f"{len(found.unnamed)} images of the COCO export, the first at position {first}, are not named as Encord "
            f"names images, so their {found.on_unnamed} annotations belong to no asset; export again"
        )
        yield _lost(codes.COCO_UNKNOWN_IMAGE, message)
    if found.orphans:
        message = (
            f"{len(found.orphans)} annotations of the COCO export, the first at position {found.orphans[0]}, "
            "lie on no image of it; export again"
        )
        yield _lost(codes.COCO_ORPHAN_ANNOTATION, message)


def _lost(code: Code, message: str) -> UnusableRow:
    return UnusableRow(code.name, message)


def _row(asset: Asset, classes: Classes, length: int, notes: Notes) -> RowReading | UnusableRow:
    event = RowEvent(
        label_hash=asset.data_hash,
        branch_name="main",
        fingerprint=fingerprint_of(asset, classes),
        export_hash=None,
        exported_at=None,
        last_edited_at=None,
        history=(),
        offset=0,
        length=length,
    )
    notes.add(codes.COCO_ROW, "read from COCO: the row is its data hash, and has no export history")
    try:
        row = _labels(asset, classes, notes)
    except RowError as error:
        return UnusableRow(error.reason, error.message, event)
    return RowReading(event, row, tuple(notes.findings))


def _labels(asset: Asset, classes: Classes, notes: Notes) -> LabelRow:
    remarks = Remarks(notes)
    if asset.numbered:
        remarks.once(codes.COCO_SLICE_NUMBERED, "COCO has no frame numbers of these slices; they count from 0 in order")
    frames = []
    for sheet, image in asset.sheets(notes):
        place = sheet.place
        frames.append(
            Frame(
                data_hash=asset.data_hash,
                number=place.frame,
                identity=sheet.identity,
                mime_type=image.mime_type,
                width=place.width,
                height=place.height,
                objects=read_annotations(sheet, classes, remarks),
                title=read_title(image.title, notes.at(place.unit, place.frame), notes),
                link=read_link(image.link, notes),
            )
        )
    quarantine_doubtful(asset.doubtful, asset.data_hash, notes)
    return LabelRow(
        label_hash=asset.data_hash,
        branch_name="main",
        data_hash=asset.data_hash,
        dataset_hash=None,
        data_type=asset.data_type,
        is_image_sequence=None,
        label_status=None,
        annotation_task_status=None,
        workflow_node=None,
        frames=tuple(frames),
        classifications=(),
        objects_in=notes.objects_in,
        excluded=tuple(notes.excluded),
        quarantined=tuple(notes.quarantined),
        source="coco",
    )
