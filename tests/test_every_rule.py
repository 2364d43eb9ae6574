"""The smallest example of each rule: whatever is in the list can be broken, and says so when it is."""

import gzip
from collections.abc import Callable
from types import ModuleType
from unittest.mock import patch

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord import container, head, outline, packed
from encord_dagster.encord.coco_export.read import read_coco
from encord_dagster.encord.head import read_head
from encord_dagster.encord.label_rows import RowReading, UnusableRow, read_row
from encord_dagster.encord.ontology import Ontology, OntologyClass
from encord_dagster.encord.resolve import Index, resolve
from encord_dagster.errors import ExportError, RowError
from encord_dagster.formats import masks, row_tables
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import classes_of
from encord_dagster.label_set.operations import rollback
from encord_dagster.label_set.retire import retire
from encord_dagster.rules.against import Against
from encord_dagster.validation import RULES, conservation, ontology_missing, validate
from tests import coco_files, ontologies
from tests import factories as make
from tests.factories import Json
from tests.lakes import Desk

UNIT = ("data_units", "data-0")
TRIANGLE = [[[0, 0, 0.5, 0, 0.5, 0.5]]]
TWICE = {"0": make.labels(), "00": make.labels()}
STATE = ontologies.radio(
    "state", ontologies.option("red", "OptionR1"), ontologies.option("blue", "OptionB1"), feature_hash="Attribu1"
)
TWINS = ontologies.ontology(
    ontologies.of_boxes(), msgspec.structs.replace(ontologies.of_boxes(), feature_hash="BoxClas2")
)
LATER = "Mon, 22 Jul 2024 09:20:25 UTC"  # later than the exports of the factories
Example = Callable[[], set[str]]


def file(data: bytes) -> Example:
    """The reason for which bytes are refused."""

    def fired() -> set[str]:
        with pytest.raises(ExportError) as caught:
            list(container.iter_rows(data))
        return {caught.value.reason}

    return fired


def row(document: Json) -> Example:
    """What is found in one row, or why it is refused."""

    def fired() -> set[str]:
        (piece,) = container.iter_rows(make.encode([document]))
        try:
            reading = read_row(piece)
        except RowError as error:
            return {error.reason}
        found = validate(reading.row, Against(min_area_pixels=5))
        return {finding.rule for finding in (*reading.findings, *found)}

    return fired


def unit(*changes: object) -> Example:
    """A row of one image whose data unit has another value at a path: the value, then the path."""
    value, *path = changes
    return row(make.changed(make.image_row(), value, *UNIT, *map(str, path)))


def frames(found: object) -> Example:
    """A row of a video with these labels."""
    return row(make.changed(make.video_row({}), found, "data_units", "video-0", "labels"))


def answers(*given: Json) -> Example:
    """A row of one box with these answers."""
    entry = {"objectHash": "object01", "classifications": list(given)}
    return row(make.image_row(make.box(), object_answers={"object01": entry}))


def classified(*listed: object, **given: object) -> Example:
    """A row of one image with these classifications, and the answers to the first of them."""
    entry = {"classificationHash": "classif1", "classifications": [make.answer("sunny")], **given}
    document = make.image_row(classification_answers={"classif1": entry})
    return row(make.changed(document, list(listed), *UNIT, "labels", "classifications"))


def against(document: Json, ontology: Ontology) -> Example:
    """What is found in one row that is held against an ontology."""
    return lambda: {finding.rule for finding in validate(make.read(document).row, Against(ontology=ontology))}


def exports(*rows: list[Json], **config: object) -> Example:
    """What is found where exports come one after the other into a label set."""

    def fired() -> set[str]:
        desk = Desk(config=LabelSetConfig(name="street", masks=False, **config))  # type: ignore[arg-type]  # free
        found: set[str] = set()
        for number, export in enumerate(rows):
            batch = desk.bring(f"{number}.json", make.encode(export))
            found |= {rule for outcome in batch.outcomes for rule in outcome.rules}
            made = batch.published
            found |= {finding.rule for finding in ((*made.held_findings, *made.findings) if made else ())}
        return found

    return fired


def retired() -> set[str]:
    """What is found where a row comes again that was retired."""
    desk = Desk()
    desk.bring("0.json", make.encode([make.image_row(make.box())]))
    retire(desk.lake, "street", "consent withdrawn", label_hashes=[str(make.image_row()["label_hash"])])
    return set(desk.bring("1.json", make.encode([later(make.box())])).outcomes[0].rules)


def blocked() -> set[str]:
    """What is found where an export comes again that was rolled back."""
    desk = Desk()
    desk.bring("0.json", make.encode([make.image_row(make.box())]))
    wrong = desk.deliver("1.json", make.encode([later(make.box(), make.box(0.1, 0.1))]))
    desk.ingest(wrong)
    rollback(desk.lake, "street", 1, "a wrong export")
    return set(desk.ingest(wrong).outcomes[0].rules)


def limited(module: ModuleType, limit: str, example: Example) -> Example:
    """An example under a limit of one."""

    def fired() -> set[str]:
        with patch.object(module, limit, 1):
            return example()

    return fired


def resolved(document: Json, *known: OntologyClass) -> Example:
    """What an ontology brings to light in a row."""

    def fired() -> set[str]:
        index = Index(ontologies.ontology(*known))
        (piece,) = container.iter_rows(make.encode([document]))
        reading = read_row(piece, relations=index.relations)
        return {finding.rule for finding in (*reading.findings, *resolve(reading.row, index)[1])}

    return fired


def coco(annotation: object, *images: Json, ontology: Ontology | None = None, **changes: object) -> Example:
    """What is found in a COCO export with one annotation, or why it is refused."""

    def fired() -> set[str]:
        data = make.encode(coco_files.document([annotation], list(images) or None, **changes))
        try:
            found = list(read_coco(data, ontology=ontology))
        except ExportError as error:
            return {error.reason}
        refused = {one.reason for one in found if isinstance(one, UnusableRow)}
        return refused | {f.rule for one in found if isinstance(one, RowReading) for f in one.findings}

    return fired


def bad_ontology() -> set[str]:
    """A page in place of the document beside an export."""
    desk = Desk(config=LabelSetConfig(name="street", masks=False))
    desk.landing.create("one.ontology.json", b"<html>")
    return set(desk.ingest(desk.deliver("one.json", make.encode([make.image_row()]))).outcomes[0].rules)


def too_many_objects() -> set[str]:
    """A limit of one object a frame."""
    with patch.object(masks, "HIGHEST", 1), pytest.raises(RowError) as caught:
        masks.mask_pngs(make.read(make.image_row(make.box(), make.point())).row.frames[0], {})
    return {caught.value.reason}


def too_many_answers() -> set[str]:
    """A limit of no answers at all."""
    answers = {"object01": {"objectHash": "object01", "classifications": [make.answer("red")]}}
    row = make.read(make.image_row(make.box(), object_answers=answers)).row
    with (
        patch.object(row_tables, "MOST_ANSWERS", 0),
        patch.object(row_tables, "ANSWERS_OF_AN_OBJECT", 0),
        pytest.raises(RowError) as caught,
    ):
        convert(row, {key: msgspec.structs.replace(one, id=1) for key, one in classes_of(row).items()})
    return {caught.value.reason}


def too_deep() -> set[str]:
    """More brackets than any label row has; an export as a whole is mostly refused before."""
    with pytest.raises(RowError) as caught:
        read_head(b'{"labels": ' + b"[" * 5000 + b"]" * 5000 + b"}")
    return {caught.value.reason}


def unaccounted() -> set[str]:
    """An object that fell under the table."""
    lost = msgspec.structs.replace(make.read(make.image_row(make.box())).row, objects_in=2)
    finding = conservation(lost)
    return {finding.rule} if finding else set()


def without_ontology() -> set[str]:
    """An export without an ontology document."""
    return {ontology_missing().rule}


def both_formats() -> set[str]:
    """One image, once in Encord's JSON and once in its COCO export."""
    desk = Desk(config=LabelSetConfig(name="street", masks=False))
    desk.bring("labels.json", make.encode([make.image_row(make.box())]))
    batch = desk.bring("coco.json", make.encode(coco_files.document([coco_files.annotation()])))
    return set(batch.outcomes[0].rules)


def twice() -> set[str]:
    """One key with two values."""
    (piece,) = container.iter_rows(make.encode([make.image_row()]).replace(b'"width"', b'"width": 1, "width"'))
    with pytest.raises(RowError) as caught:
        read_row(piece)
    return {caught.value.reason}


def boxes(count: int) -> list[Json]:
    """Boxes of one class, each somewhere else."""
    return [make.box(x=0.5 * number / count, object_hash=f"box{number:05}") for number in range(count)]


def answered(answers: object) -> Json:
    """A row of one box, whose state is answered so."""
    answer = {"objectHash": "object01", "classifications": [make.answer(answers)]}
    return make.image_row(make.box(), object_answers={"object01": answer})


def zigzag() -> Json:
    """A row of one polygon that goes to and fro over its image."""
    return make.image_row(make.polygon([(index % 2, index / 40) for index in range(41)]))


def points(count: int) -> list[Json]:
    """Points of one class, each somewhere else."""
    return [make.point(x=0.5 * number / count, object_hash=f"pnt{number:05}") for number in range(count)]


def later(*objects: Json) -> Json:
    """The same row in a later export."""
    return make.image_row(*objects, export_hash="later", exported_at=LATER)


EXAMPLES: dict[str, Example] = {
    # an export that cannot be used
    "empty_file": file(b""),
    "not_json": file(b"a,b\n1,2"),
    "truncated_json": file(b'[{"label_hash": "x"'),
    "html_not_json": file(b"<!doctype html><html></html>"),
    "coco_not_labels": file(b'{"images": [], "annotations": [], "categories": []}'),
    "compressed_file": file(b"(\xb5/\xfd packed by zstd"),
    "damaged_archive": file(gzip.compress(b"[]", mtime=0)[:-3]),
    "archive_bomb": file(gzip.compress(b"[" + b" " * 2**22, mtime=0)),
    "too_large": limited(packed, "LARGEST_EXPORT", file(b"[ ]")),
    "too_many_rows": limited(outline, "MOST_ROWS", file(make.encode([make.image_row(), make.image_row()]))),
    "not_label_rows": file(b"[1, 2]"),
    # a row that cannot be used
    "row_too_large": limited(head, "LARGEST_ROW", row(make.image_row())),
    "duplicate_key": twice,
    "row_unreadable": row(make.image_row(label_hash=["x"])),
    "no_identity": row(make.image_row(label_hash=None, data_hash=None)),
    "bad_hash": row(make.image_row(label_hash="a b")),
    "no_data_units": row(make.row("image", [])),
    "unit_unreadable": unit(5, "labels"),
    "bad_sequence": row(make.changed(make.group_row([], []), 1, "data_units", "data-0", "data_sequence")),
    "bad_frame_number": frames(TWICE),
    "too_many_frames": row(
        make.nifti_row({}, classification_answers={"classif1": {"classifications": [], "range": [[0, 10**9]]}})
    ),
    "too_deep": too_deep,
    # an object that cannot be converted
    "object_unreadable": row(make.image_row(make.box(confidence={}))),
    "no_geometry": row(make.image_row(make.entry("polygon", {}))),
    "bad_geometry": row(make.image_row(make.box(x="left"))),
    "empty_box": row(make.image_row(make.box(w=0))),
    "too_few_points": row(make.image_row(make.polyline([(0.1, 0.1)]))),
    "outside_image": row(make.image_row(make.box(y=6204))),
    "no_frame_size": row(make.changed(make.image_row(make.box()), ..., *UNIT, "width")),
    "bad_bitmask": row(make.image_row(make.bitmask("1"))),
    "too_large_to_mask": row(make.changed(zigzag(), 10**6, *UNIT, "width")),
    # something odd, normalised
    "coordinate_clipped": row(make.image_row(make.point(1.04))),
    "mask_pasted": row(make.image_row(make.bitmask("01", 1, 1, top=1, left=1))),
    "shape_guessed": row(make.image_row(make.point() | {"shape": "bounding_box"})),
    "polygon_differs": row(make.image_row(make.polygons(TRIANGLE) | {"polygon": {"0": {"x": 1, "y": 1}}})),
    "duplicate_object": row(make.image_row(make.box(), make.box())),
    "bad_confidence": row(make.image_row(make.box(confidence=7))),
    "bad_answer": answers(make.answer(True)),
    "bad_range": classified(make.classification(), range=[[2, 1]]),
    "overlapping_answers": answers(make.answer("a"), make.answer("b")),
    "bad_classification": classified(5),
    "duplicate_classification": classified(make.classification(), make.classification()),
    "no_answer": row(make.image_row(classifications=[make.classification()])),
    "orphan_answer": classified(),
    "range_outside": classified(range=[[0, 9]]),
    "not_placed": row(make.audio_row(classification_answers={"classif1": {"spaces": {"audio-1": {}}}})),
    "bad_time": row(make.image_row(exported_at="soon")),
    "bad_history": row(make.image_row(export_history="long")),
    "label_hash_missing": row(make.image_row(label_hash=None)),
    "data_hash_missing": row(make.changed(make.group_row([], []), ..., "data_hash")),
    "data_hash_differs": unit("another", "data_hash"),
    "unknown_data_type": row(make.image_row(data_type="hologram")),
    "unknown_status": row(make.image_row(label_status="POLISHED")),
    "row_invalid": row(make.image_row(is_valid=False)),
    "unexpected_frame": unit({"7": make.labels()}, "labels"),
    "frame_beyond_video": row(make.video_row({999: []})),
    "odd_frame_rate": row(make.changed(make.video_row({}), 5000, "data_units", "video-0", "data_fps")),
    "bad_frame_size": unit("wide", "width"),
    "bad_slice": row(make.dicom_row({0: make.dicom_slice(uid=17)})),
    "bad_series": row(
        make.changed(make.dicom_row({0: make.labels()}), {"series_uid": "a/b.dcm"}, "data_units", "dicom-0", "metadata")
    ),
    "personal_data_removed": row(make.image_row(make.box(name="car of jane@example.com"))),
    # COCO exports
    "coco_unreadable": coco(coco_files.annotation(), categories="none"),
    "coco_foreign": coco(coco_files.annotation(), coco_files.image("street.jpg")),
    "coco_unknown_image": coco(coco_files.annotation(), coco_files.image(), coco_files.image("street.jpg")),
    "coco_orphan_annotation": coco(coco_files.annotation(image_id=7)),
    "coco_unknown_category": coco(coco_files.annotation(category_id=77)),
    "coco_duplicate_id": coco(coco_files.annotation(), coco_files.image(id=0), coco_files.image("images/d1.jpg", id=0)),
    "coco_row": coco(coco_files.annotation()),
    "coco_image_twice": coco(coco_files.annotation(), coco_files.image(), coco_files.image()),
    "coco_slice_numbered": coco(coco_files.annotation(), coco_files.image("dicom/d0/1.2.3")),
    "coco_object_unnamed": coco(coco_files.annotation(attributes={"encord_track_uuid": None})),
    "coco_class_inferred": coco(coco_files.annotation()),
    "coco_class_ambiguous": coco(coco_files.annotation(), ontology=TWINS),
    "coco_answer_inferred": coco(coco_files.annotation(attributes={"classifications": {"colour": "red"}})),
    "coco_dynamic_answer": coco(
        coco_files.annotation(attributes={"classifications": {"state": "red"}}),
        ontology=ontologies.ontology(ontologies.of_boxes(ontologies.text("state", dynamic=True))),
    ),
    # what an ontology brings to light
    "relation_kept_raw": resolved(answered({"id": 7}), ontologies.of_boxes(ontologies.text("state", kind="relation"))),
    "class_renamed": resolved(make.image_row(make.box(name="another")), ontologies.of_boxes()),
    "radio_answer_text": resolved(answered("red"), ontologies.of_boxes(STATE)),
    "radio_answer_unknown": resolved(answered("pink"), ontologies.of_boxes(STATE)),
    "several_radio_options": resolved(
        answered([make.option("red", "OptionR1"), make.option("blue", "OptionB1")]), ontologies.of_boxes(STATE)
    ),
    "link_left_out": exports(
        [make.changed(make.image_row(), "ftp://jane@host/a", *UNIT, "data_link")], publish=("links",)
    ),
    # of whole rows
    "objects_unaccounted": unaccounted,
    "class_name_differs": row(make.image_row(make.box(), make.box(0.1, object_hash="object09", name="another"))),
    "object_outside_frame": row(
        make.image_row(
            make.entry(
                "rotatable_bounding_box",
                {"rotatableBoundingBox": {"x": 0.9, "y": 0.4, "w": 0.1, "h": 0.2, "theta": 45}},
            )
        )
    ),
    "duplicate_boxes": row(make.image_row(make.box(), make.box(object_hash="object09"))),
    "zero_area_polygon": row(make.image_row(make.polygon([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)]))),
    "empty_mask": row(make.image_row(make.bitmask("PPTl0"))),
    "small_object": row(make.image_row(make.box(w=1 / 1280, h=1 / 720))),
    "unknown_shape": row(make.image_row(make.entry("hologram", {}))),
    "unlabelled_row": row(make.image_row()),
    "unlabelled_frame": row(make.group_row([make.box()], [])),
    # against the ontology
    "ontology_missing": without_ontology,
    "class_not_in_ontology": against(make.image_row(make.box()), ontologies.ontology()),
    "attribute_not_in_ontology": against(
        make.image_row(
            make.box(),
            object_answers={"object01": {"objectHash": "object01", "classifications": [make.answer("red")]}},
        ),
        ontologies.ontology(ontologies.of_boxes()),
    ),
    "required_answer_missing": against(
        make.image_row(make.box()),
        ontologies.ontology(ontologies.of_boxes(ontologies.text("state"))),
    ),
    "required_class_missing": against(
        make.image_row(make.point()), ontologies.ontology(ontologies.of_boxes(required=True))
    ),
    # where rows meet a label set
    "bad_ontology": bad_ontology,
    "labels_in_both_formats": both_formats,
    "no_rows": exports([]),
    "no_usable_row": exports([make.row("image", [])]),
    "bad_object": exports([make.image_row(make.box(w=0))], on_bad_object="fail_export"),
    "new_dataset": exports([make.image_row()], [make.image_row(label_hash="row-2", dataset_hash="another")]),
    "history_disagrees": exports(
        [later(make.box())],
        [make.image_row(export_history=[{"export_hash": "later", "exported_at": LATER}])],
    ),
    "history_shrank": exports(
        [
            make.image_row(
                export_history=[{"export_hash": f"earlier{n}", "exported_at": "2023-01-01"} for n in range(3)]
            )
        ],
        [later(make.box())],
    ),
    "export_hash_conflict": exports([make.image_row(make.box())], [make.image_row(make.point())]),
    "newer_event_quarantined": exports([make.image_row()], [later() | {"data_units": {}}]),
    "row_retired": retired,
    "row_absent": exports(
        [make.image_row(), make.image_row(label_hash="row-2")], [later()], landing="complete", absent_after=1
    ),
    "export_blocked": blocked,
    "skeleton_joint_unknown": exports(
        [make.image_row(make.skeleton())],
        [make.image_row(make.skeleton([make.joint(0.1, 0.1, "ear", "JointCl9")]), label_hash="row-2")],
    ),
    "too_many_answers": too_many_answers,
    "too_many_objects": too_many_objects,
    # where a version is compared with the one before
    "class_vanished": exports([make.image_row(make.box(), make.point())], [later(make.box())]),
    "annotations_dropped": exports([make.image_row(*boxes(4))], [later(*boxes(3))]),
    "class_share_shifted": exports([make.image_row(*boxes(50), *points(10))], [later(*boxes(50), *points(40))]),
}


def test_each_rule_has_an_example() -> None:
    """A rule without one may never fire, and nobody would know."""
    assert set(EXAMPLES) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_rule_fires(rule: str) -> None:
    """At its smallest example."""
    assert rule in EXAMPLES[rule]()
