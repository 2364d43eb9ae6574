"""What each rule of whole rows counts, where it points, and what it lets pass."""

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.model import LabelRow
from encord_dagster.encord.ontology import Ontology, OntologyAttribute, OntologyClass
from encord_dagster.findings import Finding
from encord_dagster.geometry import Ellipse, Geometry
from encord_dagster.rules.against import Against
from encord_dagster.validation import is_wanted, ontology_missing, validate
from tests import factories as make
from tests import ontologies
from tests.factories import Json

RED, BLUE = make.option("Red", "OptionR1"), make.option("Blue", "OptionB1")
COLOUR = ontologies.radio(
    "colour", ontologies.option("Red", "OptionR1", ontologies.text("shade")), ontologies.option("Blue", "OptionB1")
)


def found(document: Json, ontology: Ontology | None = None, *, smallest: float = 0) -> list[Finding]:
    """What is found in a row, but for the rules that have to do with being labelled at all."""
    findings = validate(make.read(document).row, Against(ontology=ontology, min_area_pixels=smallest))
    return [finding for finding in findings if not finding.rule.startswith("unlabelled")]


def answered(*given: Json) -> Json:
    """A row of one box with these answers."""
    entry = {"objectHash": "object01", "classifications": list(given)}
    return make.image_row(make.box(), object_answers={"object01": entry})


def with_geometry(geometry: Geometry) -> LabelRow:
    """A row of one object of this geometry."""
    row = make.read(make.image_row(make.box())).row
    (frame,) = row.frames
    shaped = msgspec.structs.replace(frame.objects[0], geometry=geometry)
    return msgspec.structs.replace(row, frames=(msgspec.structs.replace(frame, objects=(shaped,)),))


def test_a_class_that_the_ontology_lacks_is_told_once_with_its_count() -> None:
    """At its first object; a class that is known is not."""
    row = make.video_row({4: [make.box(), make.point()], 5: [make.box(), make.box(0.1, object_hash="object09")]})
    points = msgspec.structs.replace(ontologies.of_boxes(), feature_hash=make.FEATURES["point"])

    (finding,) = found(row, ontologies.ontology(points))

    assert finding.rule == "class_not_in_ontology"
    assert (finding.location.unit, finding.location.frame, finding.location.object) == ("video-0", 4, "object01")
    assert "'a bounding_box' (BoxClas1), 3 times" in finding.message


def test_a_classification_is_looked_up_among_classifications() -> None:
    """Hashes of objects and of classifications are unrelated."""
    entry = {"classificationHash": "classif1", "classifications": []}
    row = make.image_row(classifications=[make.classification()], classification_answers={"classif1": entry})
    confused = msgspec.structs.replace(ontologies.of_boxes(), feature_hash="ClassCl1")

    (finding,) = found(row, ontologies.ontology(confused))

    assert (finding.rule, finding.location.object) == ("class_not_in_ontology", "classif1")
    assert found(row, ontologies.ontology(ontologies.of_weather())) == []


def test_an_attribute_of_another_class_is_told_and_a_nested_one_is_not() -> None:
    """Attributes are searched at every level; each is told once."""
    row = answered(
        make.answer([RED], "colour", "Attribu2"), make.answer("dark", "shade"), make.answer("x", "y", "Other1")
    )

    (finding,) = found(row, ontologies.ontology(ontologies.of_boxes(COLOUR)))

    assert (finding.rule, finding.location.object) == ("attribute_not_in_ontology", "object01")
    assert "'y' (Other1)" in finding.message


def test_a_missing_answer_is_one_finding_for_an_object_with_its_frames() -> None:
    """A dynamic attribute is answered on one of three frames, a static one on none."""
    actions = {"object01": {"objectHash": "object01", "actions": [make.action("left", [[1, 1]], "side", "Attribu3")]}}
    row = make.video_row({number: [make.box()] for number in range(3)}, object_actions=actions)
    asked = ontologies.of_boxes(ontologies.text("state"), ontologies.text("side", "Attribu3", dynamic=True))

    (finding,) = found(row, ontologies.ontology(asked))

    assert (finding.rule, finding.location.frame, finding.location.object) == ("required_answer_missing", 0, "object01")
    assert "'state' on 3 of 3 frames, 'side' on 2 of 3 frames; answer them" in finding.message


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], False),
        ([make.answer([BLUE], "colour", "Attribu2")], False),
        ([make.answer([RED], "colour", "Attribu2")], True),
        ([make.answer([RED], "colour", "Attribu2"), make.answer("dark", "shade")], False),
    ],
)
def test_a_nested_answer_is_required_where_the_option_above_it_is_chosen(given: list[Json], missing: bool) -> None:
    """The shade is asked for of what is red."""
    rules = [finding.rule for finding in found(answered(*given), ontologies.ontology(ontologies.of_boxes(COLOUR)))]

    assert rules == ["required_answer_missing"] * missing


@pytest.mark.parametrize(
    ("asked", "given", "missing"),
    [
        (ontologies.text("state"), None, True),
        (ontologies.text("state"), "", True),
        (ontologies.text("state"), "new", False),
        (ontologies.text("state", kind="checklist"), [], True),
        (ontologies.text("state", kind="checklist"), [RED], False),
        (ontologies.text("state", kind="numeric"), 0, False),
        (ontologies.text("state", required=False), None, False),
        (ontologies.text("state", archived=True), None, False),
        (ontologies.text("state", kind="relation"), None, False),
        (ontologies.text("state", kind=None), None, False),
    ],
)
def test_what_counts_as_an_answer(asked: OntologyAttribute, given: object, missing: bool) -> None:
    """Zero is one, an empty checklist is none; of a relation nobody knows."""
    rules = [
        finding.rule for finding in found(answered(make.answer(given)), ontologies.ontology(ontologies.of_boxes(asked)))
    ]

    assert rules == ["required_answer_missing"] * missing


def test_a_missing_answer_of_a_classification_is_told() -> None:
    """Of one on a frame, and of one of the whole video, which has no frame."""
    answers = {
        "classif1": {"classificationHash": "classif1", "classifications": []},
        "classif2": {"classificationHash": "classif2", "featureHash": "ClassCl1", "classifications": [], "range": []},
    }
    row = make.changed(
        make.video_row({}, classification_answers=answers),
        {"7": make.labels(classifications=[make.classification()])},
        "data_units",
        "video-0",
        "labels",
    )

    findings = found(row, ontologies.ontology(ontologies.of_weather(ontologies.text("state"))))

    assert [(one.rule, one.location.object, one.location.frame) for one in findings] == [
        ("required_answer_missing", "classif1", 7),
        ("required_answer_missing", "classif2", None),
    ]
    assert "'state' on 1 of 1 frames" in findings[0].message
    assert "answers: 'state'; answer" in findings[1].message


@pytest.mark.parametrize(
    ("document", "known", "missing"),
    [
        (make.image_row(make.point()), ontologies.of_boxes(required=True), True),
        (make.image_row(make.point()), ontologies.of_boxes(), False),
        (make.image_row(make.point()), ontologies.of_boxes(required=True, archived=True), False),
        (make.image_row(make.box()), ontologies.of_boxes(required=True), False),
        (make.image_row(make.box(isDeleted=True), make.point()), ontologies.of_boxes(required=True), False),
        (make.image_row(make.box(w=0), make.point()), ontologies.of_boxes(required=True), False),
        (make.image_row(), ontologies.of_boxes(required=True), False),
        (make.image_row(make.point(), data_type="deleted"), ontologies.of_boxes(required=True), False),
    ],
)
def test_a_required_class_is_missed_where_it_is_surely_missing(
    document: Json, known: OntologyClass, missing: bool
) -> None:
    """Not in a row without labels, nor where a quarantined object may be of that class."""
    findings = found(document, ontologies.ontology(known))

    assert [one.severity for one in findings if one.rule == "required_class_missing"] == ["info"] * missing


def test_without_an_ontology_nothing_is_held_against_it_and_that_is_said_once() -> None:
    """Once of an export."""
    finding = ontology_missing()

    assert found(make.image_row(make.box())) == []
    assert (finding.rule, finding.severity) == ("ontology_missing", "info")


@pytest.mark.parametrize(
    ("entry", "area"),
    [
        (make.box(w=0.125, h=0.25), 160 * 180),
        (make.rotated_box(), 160 * 180),
        (make.polygon([(0, 0), (0.5, 0), (0.5, 0.5)]), 640 * 360 / 2),
        (make.polygons([[[0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5], [0.1, 0.1, 0.2, 0.1, 0.2, 0.2]]]), 640 * 360 - 128 * 72 / 2),
        (make.bitmask("01", 1, 1, top=1, left=1), 1),
    ],
)
def test_a_small_object_is_told_below_the_threshold_alone(entry: Json, area: float) -> None:
    """Its area in square pixels, holes taken off; at the threshold it is large enough."""
    row = make.image_row(entry)

    (finding,) = found(row, smallest=area + 0.5)

    assert finding.rule == "small_object"
    assert f"covers {area:.1f} square pixels of at least" in finding.message
    assert found(row, smallest=area) == found(row) == []


def test_what_has_no_area_is_not_small() -> None:
    """Points, lines and skeletons never; flat polygons and empty masks have rules of their own."""
    flat = make.polygon([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)])
    row = make.image_row(make.point(), make.polyline(), make.skeleton(), flat, make.bitmask("PPTl0"))

    assert [finding.rule for finding in found(row, smallest=1000)] == ["zero_area_polygon", "empty_mask"]


def test_a_small_track_is_one_finding() -> None:
    """At the first frame where it is too small, with their number."""
    row = make.video_row({0: [make.box(w=0.5)], 3: [make.box(w=0.01)], 4: [make.box(w=0.02)]})

    (finding,) = found(row, smallest=10_000)

    assert finding.location.frame == 3
    assert "on 2 frames in all" in finding.message


@pytest.mark.parametrize(
    ("ellipse", "beyond"),
    [
        (Ellipse(100, 300, 99, 200), None),
        (Ellipse(100, 300, 110, 200), "10.0"),
        (Ellipse(100, 300, 200, 90, 90), None),  # turned, it is the shorter axis that points at the edge
        (Ellipse(200, 110, 200, 90, 90), "90.0"),
    ],
)
def test_an_ellipse_may_reach_beyond_its_image(ellipse: Ellipse, beyond: str | None) -> None:
    """Its own hull counts, as it is turned."""
    findings = validate(with_geometry(ellipse))

    assert [finding.rule for finding in findings] == ["object_outside_frame"] * (beyond is not None)
    assert all(f"the ellipse reaches {beyond} pixels" in finding.message for finding in findings)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (make.group_row([make.box()], [], []), [("unlabelled_frame", "data-1", "2 of 3 listed frames")]),
        (make.video_row({5: [make.box()], 6: []}), [("unlabelled_frame", "video-0", "1 of 2 listed frames")]),
        (make.group_row([make.box()], [make.box(w=0)], [make.box(isDeleted=True)]), []),
        (make.group_row([], []), [("unlabelled_row", None, "no objects")]),
        (make.image_row(classification_answers={"c1": {"classifications": [], "range": []}}), []),
        (make.image_row(make.box()), []),
    ],
)
def test_unlabelled_frames_are_one_finding_of_a_row(document: Json, expected: list[tuple[str, str, str]]) -> None:
    """Frames with quarantined or excluded objects were labelled, and a row without any label has another finding."""
    findings = validate(make.read(document).row)

    assert [(one.rule, one.location.unit) for one in findings] == [(rule, unit) for rule, unit, _ in expected]
    assert all(text in one.message for one, (_, _, text) in zip(findings, expected, strict=True))


@pytest.mark.parametrize(
    ("choices", "wanted"),
    [
        ({}, True),
        ({"label_statuses": ("LABELLED",)}, True),
        ({"label_statuses": ("REVIEWED", "LABELLED")}, True),
        ({"label_statuses": ("REVIEWED",)}, False),
        ({"workflow_nodes": ("Review 1",)}, True),
        ({"workflow_nodes": ("Complete",)}, False),
        ({"label_statuses": ("LABELLED",), "workflow_nodes": ("Complete",)}, False),
    ],
)
def test_rows_are_wanted_by_status_and_stage(choices: dict[str, tuple[str, ...]], wanted: bool) -> None:
    """Both have to be among the configured ones; a tombstone takes labels away and is always let through."""
    config = msgspec.convert({"name": "street", **choices}, LabelSetConfig)
    row = make.read(make.image_row(make.box(), workflow_graph_node={"uuid": "1", "title": "Review 1"})).row

    assert is_wanted(row, config) is wanted
    assert is_wanted(msgspec.structs.replace(row, data_type="deleted"), config)


def test_what_is_wanted_decides_content_and_thresholds_do_not() -> None:
    """The digest of the configuration changes with the filter, whatever its order, and with nothing else here."""
    plain = LabelSetConfig(name="street")
    filtered = LabelSetConfig(name="street", label_statuses=("REVIEWED", "LABELLED"))
    turned = LabelSetConfig(name="street", label_statuses=("LABELLED", "REVIEWED"))

    assert plain.digest() != filtered.digest() == turned.digest()
    assert LabelSetConfig(name="street", min_area_pixels=9).digest() == plain.digest()
    assert LabelSetConfig(name="street", workflow_nodes=("Complete",)).digest() not in (
        plain.digest(),
        filtered.digest(),
    )
