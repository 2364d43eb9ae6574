"""The records of one label row."""

from collections.abc import Sequence

from encord_dagster import identity
from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow
from encord_dagster.errors import RowError
from encord_dagster.formats import coco
from encord_dagster.formats.records import AnnotationRecord, AttributeRecord, ClassificationRecord, ImageRecord, Records
from encord_dagster.formats.tables import SCHEMAS, table_of, to_parquet

PACKED_AT = 20_000  # records of a table: they take some hundred bytes each, packed 50
# A row may have a million answers on its frames, and more where it has many objects: answers of a track or of a range
# stand in the export once and in the table at every frame.
MOST_ANSWERS = 1_000_000
ANSWERS_OF_AN_OBJECT = 10


class RowTables:
    """Collects the records of one label row, frame by frame.

    Adding raises RowError where the answers of a few objects and ranges would fill the memory.
    """

    def __init__(self, row: LabelRow) -> None:
        self.row = row
        self.keys = (identity.row_identity(row.label_hash, row.branch_name), row.label_hash, row.branch_name)
        self.records = Records()
        self._room = MOST_ANSWERS
        self._add_classifications(row.classifications, None, None)

    def add_frame(self, frame: Frame, image: coco.Image, annotations: Sequence[coco.Annotation]) -> None:
        """Add one frame and the annotations on it, which stand in the order of its objects."""
        row, keys, number = self.row, self.keys, frame.number
        self.records.images.append(
            ImageRecord(
                *keys,
                image.id,
                frame.data_hash,
                row.dataset_hash,
                number,
                image.width,
                image.height,
                image.file_name,
                row.data_type,
                row.label_status,
                row.annotation_task_status,
                row.workflow_node,
                len(annotations),
                frame.space,
                frame.title,
                frame.link,
            )
        )
        self._add_classifications(frame.classifications, image.id, number)
        self._room += ANSWERS_OF_AN_OBJECT * len(annotations)
        for place, (item, made) in enumerate(zip(frame.objects, annotations, strict=True), start=1):
            self.records.annotations.append(
                AnnotationRecord(
                    *keys,
                    made.id,
                    image.id,
                    made.category_id,
                    number,
                    item.object_hash,
                    item.feature_hash,
                    item.name,
                    item.shape,
                    *made.bbox,
                    made.area,
                    made.attributes.rotation,
                    made.attributes.track_id,
                    item.confidence,
                    item.manual,
                    place,
                    item.created_by,
                    item.last_edited_by,
                    item.created_at,
                    item.last_edited_at,
                )
            )
            if item.attributes:
                self._add_answers(item.attributes, "object", item.object_hash, made.id, image.id, number)
        self._pack()

    def add_without_image(self, frame: Frame) -> None:
        """Add the classifications of a frame whose size the export does not say, so that it is no COCO image."""
        self._add_classifications(frame.classifications, None, frame.number)
        self._pack()

    def _pack(self) -> None:
        for name in SCHEMAS:
            records = getattr(self.records, name)
            if len(records) >= PACKED_AT:
                self.records.packed.setdefault(name, []).append(to_parquet(table_of(name, records)))
                records.clear()

    def _add_classifications(self, given: Sequence[Classification], image_id: int | None, frame: int | None) -> None:
        for item in given:
            self.records.classifications.append(
                ClassificationRecord(
                    *self.keys,
                    image_id,
                    frame,
                    item.classification_hash,
                    item.feature_hash,
                    item.name,
                    item.confidence,
                    item.manual,
                    item.created_by,
                    item.last_edited_by,
                    item.created_at,
                    item.last_edited_at,
                )
            )
            self._add_answers(item.attributes, "classification", item.classification_hash, None, image_id, frame)

    def _add_answers(
        self,
        attributes: Sequence[Attribute],
        of: str,
        of_hash: str,
        annotation_id: int | None,
        image_id: int | None,
        frame: int | None,
    ) -> None:
        self._room -= len(attributes)
        if self._room < 0:
            text = f"it has more than {MOST_ANSWERS} answers on its frames; split the video, or leave attributes out"
            raise RowError("too_many_answers", text)
        for attribute in attributes:
            answer = attribute.answer
            self.records.attributes.append(
                AttributeRecord(
                    *self.keys,
                    of,
                    of_hash,
                    annotation_id,
                    image_id,
                    frame,
                    attribute.feature_hash,
                    attribute.name,
                    attribute.dynamic,
                    answer if isinstance(answer, str) else None,
                    answer if isinstance(answer, float) else None,
                    [option.name for option in answer] if isinstance(answer, tuple) else None,
                    [option.feature_hash for option in answer] if isinstance(answer, tuple) else None,
                    attribute.kind,
                    attribute.parent,
                )
            )
