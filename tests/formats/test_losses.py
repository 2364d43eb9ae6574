"""The loss report: each loss is counted where it occurs, and nothing else is."""

import json
from pathlib import Path

import msgspec
import pytest

from encord_dagster.encord.disclosed import without_free_text
from encord_dagster.encord.model import Attribute, LabelRow, Option
from encord_dagster.formats.losses import LOSSES, losses, report, reported, total
from encord_dagster.geometry import LARGEST_MASK, Bitmask, Ellipse, Geometry
from tests import factories as make
from tests.factories import Json

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"
HOLES = [[[0, 0, 0.5, 0, 0.5, 0.5], [0.1, 0.1, 0.2, 0.1, 0.2, 0.2]], [[0.6, 0.6, 0.7, 0.6, 0.7, 0.7]]]
TWO_PARTS = [[[0, 0, 0.5, 0, 0.5, 0.5]], [[0.6, 0.6, 0.7, 0.6, 0.7, 0.7]]]
GIVEN = (Attribute("Attribu1", "state", (Option("OptionR1", "Red", "red"),)),)
WHOLE = {"classif1": {"classificationHash": "classif1", "classifications": [], "range": []}}


def read(document: Json) -> LabelRow:
    """The row of a document."""
    return make.read(document).row


def with_object(geometry: Geometry, **changes: object) -> LabelRow:
    """A row of one object, a box until it is changed."""
    row = read(make.image_row(make.box()))
    (frame,) = row.frames
    made = msgspec.structs.replace(frame.objects[0], geometry=geometry, **changes)
    return msgspec.structs.replace(row, frames=(msgspec.structs.replace(frame, objects=(made,)),))


def from_coco(row: LabelRow) -> LabelRow:
    """The row as if it had been read from a COCO export."""
    return msgspec.structs.replace(row, source="coco")


def unsized() -> Json:
    """A row of one image whose size is not in the export, with two classifications."""
    given = [make.classification(), make.classification("classif2")]
    return make.changed(make.image_row(classifications=given), ..., "data_units", "data-0", "width")


def large() -> LabelRow:
    """A row of two images, one of them larger than any mask."""
    row = read(make.group_row([], []))
    return msgspec.structs.replace(
        row, frames=(row.frames[0], msgspec.structs.replace(row.frames[1], width=LARGEST_MASK // 2**10, height=1025))
    )


def with_texts() -> Json:
    """A row of two frames with an object that has a text answer and an option."""
    given = [make.answer("a long story"), make.answer([make.option("Red", "OptionR1")], "colour", "Attribu2")]
    answers = {"object01": {"objectHash": "object01", "classifications": given}}
    return make.video_row({0: [make.box()], 1: [make.box()]}, object_answers=answers)


def pdf(*objects: Json) -> Json:
    """A row of one page."""
    return make.row("pdf", [make.unit("pdf-0", "application/pdf", {"0": make.labels(*objects)}, width=0, height=0)])


EXAMPLES: dict[str, tuple[LabelRow, dict[str, int]]] = {
    "masks:polyline": (read(make.image_row(make.polyline())), {"masks:polyline": 1, "tables:outline": 1}),
    "masks:point": (read(make.video_row({0: [make.point()], 1: [make.point()]})), {"masks:point": 2}),
    "masks:skeleton": (read(make.image_row(make.skeleton())), {"masks:skeleton": 1, "tables:outline": 1}),
    "masks:frame_too_large": (large(), {"masks:frame_too_large": 1}),
    "coco:cuboid": (
        read(make.image_row(make.entry("cuboid_2d", {}), make.entry("cuboid", {}, "object02"))),
        {"coco:cuboid": 2},
    ),
    "coco:point_cloud": (read(make.image_row(make.entry("segmentation", {}))), {"coco:point_cloud": 1}),
    "coco:text_range": (read(make.audio_row(make.entry("text", {}), data_type="plain_text")), {"coco:text_range": 1}),
    "coco:audio_range": (
        read(make.audio_row(make.entry("audio", {}), make.entry("time_range", {}, "object02"))),
        {"coco:audio_range": 2},
    ),
    "coco:unknown_shape": (read(make.image_row(make.entry("hologram", {}))), {"coco:unknown_shape": 1}),
    "coco:unsupported_modality": (read(pdf(make.box(), make.polyline())), {"coco:unsupported_modality": 2}),
    "coco:no_frame_size_classification": (read(unsized()), {"coco:no_frame_size_classification": 2}),
    "coco:classification_not_placed": (
        read(make.audio_row(classification_answers=WHOLE)),
        {"coco:classification_not_placed": 1},
    ),
    "coco:circle_as_polygon": (
        with_object(Ellipse(100, 100, 20, 10)),
        {"coco:circle_as_polygon": 1, "tables:outline": 1},
    ),
    "coco:polygon_with_holes_as_rle": (
        read(make.image_row(make.polygons(HOLES), make.polygons(TWO_PARTS, "object09"))),
        {"coco:polygon_with_holes_as_rle": 1, "tables:outline": 2},
    ),
    "coco:keypoint_invisible_position": (
        read(
            make.image_row(make.skeleton([make.joint(0.1, 0.1, invisible=True), make.joint(0.2, 0.2, "b", "Joint2")]))
        ),
        {"coco:keypoint_invisible_position": 1, "masks:skeleton": 1, "tables:outline": 1},
    ),
    "coco:keypoint_self_occluded": (
        read(make.image_row(make.skeleton([make.joint(0.1, 0.1, selfOccluded=True)]))),
        {"coco:keypoint_self_occluded": 1, "masks:skeleton": 1, "tables:outline": 1},
    ),
    "coco:keypoint_repeated": (
        read(make.image_row(make.skeleton([make.joint(0.1, 0.1), make.joint(0.2, 0.2)]))),
        {"coco:keypoint_repeated": 1, "masks:skeleton": 1, "tables:outline": 1},
    ),
    "coco:free_text": (without_free_text(read(with_texts())), {"coco:free_text": 2}),
    "tables:outline": (
        read(make.image_row(make.box(), make.rotated_box(), make.polygon(), make.bitmask("01", 1, 1, top=1))),
        {"tables:outline": 3},
    ),
    "source_coco:lineage": (
        from_coco(msgspec.structs.replace(read(make.image_row()), frames=())),
        {"source_coco:lineage": 1},
    ),
    "source_coco:classifications": (
        from_coco(read(make.group_row([], [make.box()]))),
        {"source_coco:lineage": 1, "source_coco:classifications": 2},
    ),
    "source_coco:outline_as_mask": (
        from_coco(with_object(Bitmask((0, 1)), shape="polygon")),
        {"source_coco:lineage": 1, "source_coco:classifications": 1, "source_coco:outline_as_mask": 1}
        | {"tables:outline": 1},
    ),
    "source_coco:answers_by_name": (
        from_coco(with_object(Ellipse(100, 100, 20, 10), attributes=GIVEN)),
        {"source_coco:lineage": 1, "source_coco:classifications": 1, "source_coco:answers_by_name": 1}
        | {"tables:outline": 1, "coco:circle_as_polygon": 1},
    ),
}


def test_each_loss_has_an_example() -> None:
    """A loss without one may never be counted, and nobody would know."""
    assert set(EXAMPLES) == {loss.code for loss in LOSSES}
    assert len(EXAMPLES) == len(LOSSES)


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_loss_is_counted_and_no_other(code: str) -> None:
    """The counts of the whole example, each loss among them."""
    row, expected = EXAMPLES[code]

    counted = losses(row)

    assert counted == expected
    assert code in counted


@pytest.mark.parametrize(
    "document",
    [
        make.image_row(make.box(), make.box(0.1, object_hash="object09", isDeleted=True), make.box()),
        make.image_row(make.box(w=0)),
        make.image_row(make.box(), classifications=[make.classification()], classification_answers=WHOLE),
        make.image_row(make.polyline(), data_type="deleted"),
        make.audio_row(),
    ],
)
def test_what_is_held_or_left_out_on_purpose_is_no_loss(document: Json) -> None:
    """Deleted and repeated objects, quarantine, tombstones, classifications of images that have a size."""
    assert losses(read(document)) == {}


def test_without_masks_there_is_nothing_for_them_to_lose() -> None:
    """The other formats still lose what they cannot hold."""
    row = read(make.image_row(make.polyline(), make.point()))

    assert losses(row) == {"masks:polyline": 1, "masks:point": 1, "tables:outline": 1}
    assert losses(row, masks=False) == {"tables:outline": 1}


def test_the_report_says_what_is_lost_and_where_it_still_is() -> None:
    """Sorted by code; a code of another release is kept; without losses the list is empty."""
    data = json.loads(report({"tables:outline": 3, "coco:cuboid": 1, "later:thing": 2}))

    assert [(line["code"], line["count"]) for line in data["losses"]] == [
        ("coco:cuboid", 1),
        ("later:thing", 2),
        ("tables:outline", 3),
    ]
    assert "raw export" in data["losses"][0]["description"]
    assert json.loads(report({})) == {"losses": []}


def test_losses_of_several_rows_add_up() -> None:
    """Code by code."""
    assert total([{"b": 1}, {}, {"a": 2, "b": 3}]) == {"a": 2, "b": 4}


def test_codes_are_stable_words_with_a_description_that_says_where_it_still_is() -> None:
    """Reports and dashboards match on them."""
    for line in reported({loss.code: 1 for loss in LOSSES}):
        assert line.description.endswith(".")
        assert any(place in line.description for place in ("raw export", "tables", "COCO file", "as JSON"))


def test_the_documentation_lists_every_loss() -> None:
    """The table of losses says what the code says, word for word."""
    text = DOCS.read_text("utf-8")

    for loss in LOSSES:
        assert f"| `{loss.code}` | {loss.description} |" in text
