"""Encord's COCO export as input: the same labels as its label rows, and nothing lost where the file is damaged."""

import copy
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.encord.coco_export.read import read_coco
from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import RowReading, UnusableRow, read_row
from encord_dagster.encord.model import Attribute, Frame, ObjectInstance, Option
from encord_dagster.encord.ontology import (
    Ontology,
    OntologyAttribute,
    OntologyClass,
    OntologyJoint,
    OntologyOption,
)
from encord_dagster.errors import ExportError
from encord_dagster.geometry import (
    Bitmask,
    Box,
    Geometry,
    Joint,
    Point,
    Polygon,
    Polyline,
    RotatedBox,
    Skeleton,
    Visibility,
)
from encord_dagster.validation import RULES, conservation, validate
from tests.coco_files import HEIGHT, MASK, SHAPES, WIDTH, annotation, code_of, document, image
from tests.effort import examples
from tests.factories import encode, real_export

CODES = {rule.name for rule in RULES}


def read(coco: object, ontology: Ontology | None = None, **changes: Any) -> list[RowReading | UnusableRow]:
    """All that a COCO export gives."""
    return list(read_coco(encode(coco), ontology=ontology, **changes))


def rows(coco: object, ontology: Ontology | None = None) -> list[RowReading]:
    """The rows of a COCO export that has no others."""
    found = read(coco, ontology)
    assert not [one for one in found if isinstance(one, UnusableRow)]
    return [one for one in found if isinstance(one, RowReading)]


def only(coco: object, ontology: Ontology | None = None) -> tuple[RowReading, ObjectInstance]:
    """The only row and its only object."""
    (reading,) = rows(coco, ontology)
    (instance,) = [instance for frame in reading.row.frames for instance in frame.objects]
    return reading, instance


def refusal(coco: object) -> str:
    """Why the only annotation of an export was quarantined."""
    (reading,) = rows(coco)
    assert conservation(reading.row) is None
    assert [frame.objects for frame in reading.row.frames] == [()] * len(reading.row.frames)
    ((found,),) = [quarantined.findings for quarantined in reading.row.quarantined]
    return found.rule


def rules(reading: RowReading) -> set[str]:
    """The codes of a reading beside the one that every row of COCO has."""
    return {finding.rule for finding in reading.findings} - {"coco_row"}


def lost(found: list[RowReading | UnusableRow]) -> int:
    """The annotations that belong to no row, as the messages count them."""
    counts = [re.search(r"(\d+) annotations", str(one)) for one in found if isinstance(one, UnusableRow)]
    return sum(int(count.group(1)) for count in counts if count)


def counted(found: list[RowReading | UnusableRow]) -> int:
    """The annotations of rows, all accounted for, and those of none."""
    held = [one.row for one in found if isinstance(one, RowReading)]
    assert all(conservation(row) is None for row in held)
    return sum(row.objects_in for row in held) + lost(found)


def ontology_of(text: bytes) -> Ontology:
    """The classes of an ontology document."""
    classes = {}
    for one in json.loads(text)["objects"]:
        attributes = tuple(
            OntologyAttribute(
                feature_hash=attribute["featureNodeHash"],
                name=attribute["name"],
                kind=attribute["type"],
                dynamic=attribute["dynamic"],
                options=tuple(
                    OntologyOption(feature_hash=each["featureNodeHash"], label=each["label"], value=each["value"])
                    for each in attribute.get("options", [])
                ),
            )
            for attribute in one["attributes"]
        )
        key = one["featureNodeHash"]
        classes[key] = OntologyClass(feature_hash=key, name=one["name"], shape=one["shape"], attributes=attributes)
    return Ontology(classes, {})


def small_ontology(*attributes: OntologyAttribute, shape: str = "bounding_box", joints: int = 0) -> Ontology:
    """An ontology of one class."""
    template = tuple(OntologyJoint(f"JointCl{index}", f"joint of ours {index}") for index in range(joints))
    one = OntologyClass(feature_hash="BoxClas1", name=f"a {shape}", shape=shape, attributes=attributes, joints=template)
    return Ontology({one.feature_hash: one}, {})


COLOUR = OntologyAttribute(
    feature_hash="Colour01",
    name="colour",
    kind="radio",
    options=(OntologyOption(feature_hash="Red00001", label="red", value="red_"),),
)
DAMAGE = OntologyAttribute(
    feature_hash="Damage01",
    name="damage",
    kind="checklist",
    options=(
        OntologyOption(feature_hash="Bent0001", label="bent", value="bent_"),
        OntologyOption(feature_hash="Torn0001", label="torn", value="torn_"),
    ),
)
NOTE = OntologyAttribute(feature_hash="Note0001", name="note", kind="text")
LENGTH = OntologyAttribute(feature_hash="Length01", name="length", kind="numeric")


# ---------------------------------------------------------------------- the real pair


def both_views() -> list[tuple[Frame, ObjectInstance, Frame, ObjectInstance]]:
    """Each object of the real export as its label rows and as its COCO give it."""
    json_rows = [read_row(piece).row for piece in iter_rows(real_export("platform_rows.json"))]
    coco_rows = [one.row for one in rows(json.loads(real_export("platform_rows.encord_coco.json")))]
    ours: dict[Any, tuple[Frame, ObjectInstance]] = {}
    for row in coco_rows:
        for frame in row.frames:
            for instance in frame.objects:
                number = 0 if row.data_type == "image" else frame.number
                ours[frame.data_hash, number, instance.object_hash, instance.name] = frame, instance
    pairs = []
    for row in json_rows:
        for frame in row.frames:
            for instance in frame.objects:
                number = 0 if row.data_type == "img_group" else frame.number
                key = (frame.data_hash, number, instance.object_hash, instance.name)
                pairs.append((frame, instance, *ours.pop(key)))
    assert ours == {}
    return pairs


def numbers(geometry: Geometry) -> list[float]:
    """All coordinates of a geometry in order."""
    match geometry:
        case Box(x, y, width, height):
            return [x, y, width, height]
        case RotatedBox(x, y, width, height, theta):
            return [x, y, width, height, theta]
        case Polygon(polygons):
            return [value for rings in polygons for ring in rings for value in (len(ring), *ring)]
        case Polyline(points):
            return list(points)
        case Point(x, y):
            return [x, y]
        case Skeleton(joints):
            return [value for joint in joints for value in (joint.x, joint.y)]
        case Bitmask(runs):
            return list(runs)
        case _:
            raise AssertionError(geometry)


def test_the_real_export_has_the_same_objects_in_both_formats() -> None:
    """Geometry to the last bit but for rounding, masks run by run, classes by name: all 64 objects."""
    pairs = both_views()

    assert len(pairs) == 64
    for theirs, expected, frame, instance in pairs:
        assert type(instance.geometry) is type(expected.geometry)
        assert numbers(instance.geometry) == pytest.approx(numbers(expected.geometry), rel=1e-12, abs=1e-9)
        assert (instance.shape, instance.name, instance.manual) == (expected.shape, expected.name, expected.manual)
        assert (frame.width, frame.height) == (theirs.width, theirs.height)
        if isinstance(instance.geometry, Skeleton) and isinstance(expected.geometry, Skeleton):
            seen = [joint.visibility for joint in expected.geometry.joints]
            assert [joint.visibility for joint in instance.geometry.joints] == [
                "occluded" if one == "self_occluded" else one for one in seen
            ]


def test_images_of_both_formats_have_the_same_identity() -> None:
    """COCO ids come from it. Later images of a group are the exception: COCO does not tell the group's order."""
    pairs = both_views()

    later = {"839d6a14-a063-494a-96e5-3cb46124158e", "2962623e-f58b-421c-ab8f-e3d577effe86"}
    for theirs, _, frame, _ in pairs:
        expected = "0" if theirs.data_hash in later else theirs.identity
        assert (frame.identity, frame.number) == (expected, 0 if theirs.data_hash in later else theirs.number)


def test_every_asset_of_the_real_export_is_a_row() -> None:
    """Rows are assets, images of groups included; frames without labels stay, and nothing is refused."""
    found = rows(json.loads(real_export("platform_rows.encord_coco.json")))

    kinds = [reading.row.data_type for reading in found]
    assert kinds == ["dicom", "image", "image", "video", "image", "image", "image", "nifti"]
    assert sum(len(reading.row.frames) for reading in found) == 10
    assert all(not reading.row.quarantined and not reading.row.excluded for reading in found)
    for reading in found:
        assert reading.row.label_hash == reading.row.data_hash == reading.event.label_hash
        assert (reading.row.source, reading.event.export_hash, reading.event.history) == ("coco", None, ())
        assert all(finding.severity != "error" for finding in (*reading.findings, *validate(reading.row)))
        assert [finding.rule for finding in reading.findings].count("coco_row") == 1


def test_the_ontology_gives_the_real_classes_their_hashes() -> None:
    """Class, attribute and option hashes are those of the label rows; skeletons lack a template in this ontology."""
    ontology = ontology_of(real_export("platform_rows.ontology.json"))
    expected = {(f.data_hash, i.object_hash, i.name): i for f, i, _, _ in both_views()}

    found = rows(json.loads(real_export("platform_rows.encord_coco.json")), ontology)

    static = {one.feature_hash for each in ontology.classes.values() for one in each.attributes if not one.dynamic}
    answers = 0
    for reading in found:
        for frame in reading.row.frames:
            for instance in frame.objects:
                theirs = expected[frame.data_hash, instance.object_hash, instance.name]
                assert (instance.feature_hash == theirs.feature_hash) == (instance.shape != "skeleton")
                kept = {one.feature_hash: one.answer for one in theirs.attributes if one.feature_hash in static}
                assert {one.feature_hash: one.answer for one in instance.attributes} == kept
                answers += len(kept)
    assert answers > 10
    assert {"coco_dynamic_answer", "coco_class_inferred"} <= rules(found[0])


def test_moved_ids_and_links_leave_the_fingerprint_alone() -> None:
    """The same labels in another file, numbered anew and in another order of assets, are the same rows."""
    coco = json.loads(real_export("platform_rows.encord_coco.json"))
    moved = copy.deepcopy(coco)
    moved["images"].reverse()
    for place, key, step in (("images", "id", 7), ("annotations", "image_id", 7), ("annotations", "category_id", 3)):
        for one in moved[place]:
            one[key] += step
    for one in moved["categories"]:
        one["id"] += 3
    for one in moved["annotations"]:
        one["id"] += 100
        one["attributes"]["track_id"] += 5
    for one in moved["images"]:
        one["coco_url"] = "s3://elsewhere"
    sop = [one for one in moved["images"] if one["file_name"].startswith("dicom")]
    assert len(sop) == 2

    before = {reading.row.data_hash: reading for reading in rows(coco)}
    after = {reading.row.data_hash: reading for reading in rows(moved)}

    assert {key: one.event.fingerprint for key, one in before.items()} == {
        key: one.event.fingerprint for key, one in after.items()
    }
    assert {key: one.row for key, one in before.items()} == {key: one.row for key, one in after.items()}


def test_nothing_private_of_the_real_export_leaves_the_reader() -> None:
    """Titles and links end in the reader."""
    coco = json.loads(real_export("platform_rows.encord_coco.json"))

    text = repr(rows(coco))

    private = {one[key] for one in coco["images"] for key in ("coco_url", "image_title", "video_title") if key in one}
    assert not [secret for secret in private - {""} if secret in text]


# ---------------------------------------------------------------------- identity


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("annotations", 0, "bbox"), [4.0, 5.0, 10.0, 3.5]),
        (("annotations", 0, "attributes", "encord_track_uuid"), "object99"),
        (("annotations", 0, "attributes", "classifications"), {"reviews": "no"}),
        (("annotations", 0, "attributes", "classifications"), {"weather": "yes"}),
        (("images", 0, "width"), WIDTH + 1),
        (("images", 0, "file_name"), "images/data-0.png"),
        (("categories", 0, "name"), "another"),
        (("annotations",), []),
    ],
)
def test_a_change_of_the_labels_changes_the_fingerprint(path: tuple[Any, ...], value: object) -> None:
    """Geometry, object, answer, size, class, and whether there is an object at all."""
    coco = document([annotation(attributes={"classifications": {"reviews": "yes"}})])
    changed = copy.deepcopy(coco)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    before, after = rows(coco)[0], rows(changed)[0]

    assert before.event.fingerprint != after.event.fingerprint


def test_what_the_ontology_makes_of_a_class_is_in_the_fingerprint() -> None:
    """Rows of one fingerprint are converted alike, and feature hashes come from the ontology."""
    coco = document([annotation()])

    found = {rows(coco, one)[0].event.fingerprint for one in (None, small_ontology(), small_ontology(NOTE))}

    assert len(found) == 3


def test_dynamic_and_missing_answers_are_not_in_the_fingerprint() -> None:
    """Encord's exporter looks dynamic answers up by image id, so that they change with the order of the file."""
    dynamic = OntologyAttribute(feature_hash="Dynamic1", name="state", kind="text", dynamic=True)
    given = [{"state": "left"}, {"state": None}, {"state": None, "bent": False}]

    found = [
        rows(document([annotation(attributes={"classifications": one})]), small_ontology(dynamic)) for one in given
    ]

    assert len({one[0].event.fingerprint for one in found}) == 1
    assert rules(found[0][0]) == {"coco_dynamic_answer"}
    assert [one[0].row.frames[0].objects[0].attributes for one in found] == [(), (), ()]


def test_slices_are_named_by_their_sop_uid_and_numbered_around_the_known() -> None:
    """Identities are those of the label-row reader; numbers of slices with a uid are the lowest free ones."""
    names = ["dicom/series/1.2.3", "dicom/series/0", "dicom/series/1.2.3/7", "dicom/series/1.2.4"]

    (reading,) = rows(document([annotation(image_id=3)], [image(name) for name in names]))

    assert [(frame.number, frame.identity, len(frame.objects)) for frame in reading.row.frames] == [
        (0, "0", 0),
        (1, "sop:1.2.3#-", 0),
        (2, "sop:1.2.3#7", 0),
        (3, "sop:1.2.4#-", 1),
    ]
    assert "coco_slice_numbered" in rules(reading)


@pytest.mark.parametrize(
    ("name", "data_type", "number", "mime"),
    [
        ("images/data-0.png", "image", 0, "image/png"),
        ("images/data-0.IMG_001", "image", 0, ""),
        ("images/data-0.a/b c", "image", 0, ""),
        ("images/data-0", "image", 0, ""),
        ("videos/data-0/00012.jpg", "video", 12, ""),
        ("nifti/data-0/127", "nifti", 127, ""),
        ("dicom/data-0/5", "dicom", 5, "application/dicom"),
    ],
)
def test_a_file_name_tells_asset_kind_and_frame(name: str, data_type: str, number: int, mime: str) -> None:
    """Titles may have any ending; the hash before them cannot."""
    (reading,) = rows(document([], [image(name)]))

    (frame,) = reading.row.frames
    assert (reading.row.data_hash, reading.row.data_type) == ("data-0", data_type)
    assert (frame.number, frame.identity, frame.mime_type) == (number, str(number), mime)


def test_objects_without_a_hash_are_named_by_their_content() -> None:
    """The name survives new ids and a new ontology, and tells objects and images apart; it is said once per row."""
    nameless = {"encord_track_uuid": None}
    drawn = [
        annotation(attributes=nameless),
        annotation(attributes=nameless, bbox=[1, 1, 2, 2]),
        annotation("point", attributes=nameless),
        annotation(attributes=nameless, image_id=1),
    ]
    images = [image("videos/film/3.jpg"), image("videos/film/4.jpg")]

    (one,) = rows(document(drawn, images))
    (other,) = rows(document(drawn[::-1], images), small_ontology())

    names = [instance.object_hash for frame in one.row.frames for instance in frame.objects]
    assert len(set(names)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
    assert set(names) == {instance.object_hash for frame in other.row.frames for instance in frame.objects}
    assert [finding.rule for finding in one.findings].count("coco_object_unnamed") == 1


# ---------------------------------------------------------------------- classes and answers


def test_classes_without_an_ontology_are_told_apart_by_shape_and_name() -> None:
    """The same name gives the same hash whatever the category id; it is said once per row."""
    coco = document([annotation(), annotation("polygon", "object02"), annotation("point", "object03")])
    renumbered = document([annotation(category_id=77)])
    renumbered["categories"][0]["id"] = 77

    (reading,) = rows(coco)
    _, other = only(renumbered)

    hashes = [instance.feature_hash for instance in reading.row.frames[0].objects]
    assert len(set(hashes)) == 3
    assert other.feature_hash == hashes[0]
    assert [finding.rule for finding in reading.findings] == ["coco_row", "coco_class_inferred"]


def test_two_classes_of_one_name_and_shape_are_not_guessed_between() -> None:
    """A stand-in hash and a finding, as long as the ontology is not clear."""
    twins = small_ontology()
    twin = OntologyClass(feature_hash="BoxClas2", name="a bounding_box", shape="bounding_box")

    reading, instance = only(document([annotation()]), Ontology({**twins.classes, "BoxClas2": twin}, {}))

    assert instance.feature_hash == only(document([annotation()]))[1].feature_hash
    assert rules(reading) == {"coco_class_ambiguous"}


def test_a_shape_that_is_not_known_is_left_out_and_counted() -> None:
    """Unknown shapes are excluded with their shape, as in label rows."""
    coco = document([annotation("cuboid_2d")])
    coco["categories"].append({"id": 99, "supercategory": "cuboid_2d", "name": "car"})

    (reading,) = rows(coco)

    assert [(one.reason, one.shape) for one in reading.row.excluded] == [("unsupported_shape", "cuboid_2d")]
    assert conservation(reading.row) is None


def test_answers_find_their_attributes_in_the_ontology() -> None:
    """Radio by attribute, checklist by its ticked options, text and number as they are."""
    given = {"colour": "red", "bent": True, "torn": True, "note": "see a@example.com", "length": 3}

    reading, instance = only(
        document([annotation(attributes={"classifications": given})]), small_ontology(COLOUR, DAMAGE, NOTE, LENGTH)
    )

    assert instance.attributes == (
        Attribute("Colour01", "colour", (Option("Red00001", "red", "red_"),), kind="radio"),
        Attribute(
            "Damage01",
            "damage",
            (Option("Bent0001", "bent", "bent_"), Option("Torn0001", "torn", "torn_")),
            kind="checklist",
        ),
        Attribute("Note0001", "note", "see [e-mail removed]", kind="text"),
        Attribute("Length01", "length", 3.0, kind="numeric"),
    )
    assert rules(reading) == {"personal_data_removed"}


def test_answers_without_an_ontology_keep_their_names() -> None:
    """Texts and numbers as they are, a ticked option as its own checklist; not ticked means not answered."""
    given = {"colour": "red", "bent": True, "torn": False, "length": 2.5, "nothing": None}

    reading, instance = only(document([annotation(attributes={"classifications": given})]))

    assert [(one.name, one.kind) for one in instance.attributes] == [("colour", None), ("bent", None), ("length", None)]
    colour, bent, length = (one.answer for one in instance.attributes)
    assert (colour, length) == ("red", 2.5)
    assert isinstance(bent, tuple)
    assert [option.name for option in bent] == ["bent"]
    assert "coco_answer_inferred" in rules(reading)


@pytest.mark.parametrize("given", [{"colour": 3}, {"note": 3}, {"length": "long"}, {"note": {}}, {"note": 10**400}, 5])
def test_an_answer_that_does_not_fit_is_left_out_with_a_finding(given: object) -> None:
    """The object stays."""
    reading, instance = only(
        document([annotation(attributes={"classifications": given})]), small_ontology(COLOUR, NOTE, LENGTH)
    )

    assert instance.attributes == ()
    assert rules(reading) == {"bad_answer"}


def test_a_renamed_option_keeps_the_name_it_was_given() -> None:
    """Exports write the name at the time of labelling: the attribute is certain, the option is not."""
    reading, instance = only(
        document([annotation(attributes={"classifications": {"colour": "crimson"}})]), small_ontology(COLOUR)
    )

    (attribute,) = instance.attributes
    assert attribute.feature_hash == "Colour01"
    assert isinstance(attribute.answer, tuple)
    assert [option.name for option in attribute.answer] == ["crimson"]
    assert rules(reading) == {"coco_answer_inferred"}


# ---------------------------------------------------------------------- shapes


def test_joints_are_those_of_the_template_in_their_order() -> None:
    """COCO has no names of joints; 2, 1 and 0 are visible, occluded and invisible."""
    ontology = small_ontology(shape="skeleton", joints=3)

    _, instance = only(document([annotation("skeleton")]), ontology)

    assert instance.feature_hash == "BoxClas1"
    assert instance.geometry == Skeleton(
        (
            Joint("JointCl0", "joint of ours 0", 1.0, 2.0, "visible"),
            Joint("JointCl1", "joint of ours 1", 3.0, 4.0, "occluded"),
            Joint("JointCl2", "joint of ours 2", 5.0, 6.0, "invisible"),
        )
    )


def test_a_skeleton_whose_joints_have_no_names_gets_no_class_of_the_ontology() -> None:
    """Joints made up here must not become those of a class that label rows know by other joints."""
    reading, instance = only(document([annotation("skeleton")]), small_ontology(shape="skeleton"))

    assert instance.feature_hash == only(document([annotation("skeleton")]))[1].feature_hash != "BoxClas1"
    assert rules(reading) == {"coco_class_inferred"}


def test_a_skeleton_of_another_count_of_joints_is_quarantined() -> None:
    """Which joint is missing cannot be told."""
    (reading,) = rows(document([annotation("skeleton")]), small_ontology(shape="skeleton", joints=4))

    assert [one.findings[0].rule for one in reading.row.quarantined] == ["bad_geometry"]


@pytest.mark.parametrize("shape", ["bitmask", "polygon"])
@pytest.mark.parametrize("compressed", [True, False])
def test_run_lengths_by_columns_become_runs_by_rows(shape: str, compressed: bool) -> None:
    """Compressed or not, of bitmasks and of polygons with holes: pixel by pixel what pycocotools encoded."""
    flat = MASK.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    plain = {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges.tolist(), flat.size]).tolist()}

    _, instance = only(document([annotation(shape, segmentation=code_of(MASK) if compressed else plain)]))

    assert isinstance(instance.geometry, Bitmask)
    assert instance.shape == shape
    runs = instance.geometry.runs
    assert np.array_equal(np.repeat(np.arange(len(runs)) % 2, runs).reshape(HEIGHT, WIDTH), MASK)


def test_several_rings_are_several_polygons() -> None:
    """COCO unites them; they are no holes."""
    rings = [[1.0, 1.0, 9.0, 1.0, 9.0, 9.0], [11.0, 1.0, 19.0, 1.0, 19.0, 9.0]]

    _, instance = only(document([annotation("polygon", segmentation=rings)]))

    assert instance.geometry == Polygon(tuple((tuple(ring),) for ring in rings))


def test_what_lies_slightly_outside_is_clipped() -> None:
    """By the reader's slack for label rows, with the same finding."""
    reading, instance = only(document([annotation(bbox=[-1.0, 5.0, 10.0, 25.5])]))

    assert instance.geometry == Box(0.0, 5.0, 9.0, 25.0)
    assert "coordinate_clipped" in rules(reading)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("bounding_box", {"bbox": [1, 1, 0, 5]}, "empty_box"),
    ("bounding_box", {"bbox": [1, 1, 5]}, "bad_geometry"),
    ("bounding_box", {"bbox": None}, "bad_geometry"),
    ("bounding_box", {"bbox": "1, 1, 5, 5"}, "bad_geometry"),
    ("bounding_box", {"bbox": [1, 1, 620, 5]}, "outside_image"),
    ("bounding_box", {"bbox": {"x": 1}}, "bad_geometry"),
    ("rotatable_bounding_box", {"attributes": {"rotation": None}}, "bad_geometry"),
    ("rotatable_bounding_box", {"segmentation": [[5.0, 4.0, 15.0, 6.0, 14.0, 9.0, 4.0, 7.0]]}, "bad_geometry"),
    ("rotatable_bounding_box", {"segmentation": []}, "no_geometry"),
    (
        "rotatable_bounding_box",
        {"bbox": [0.0, 0.0, 90.0, 1.0], "segmentation": [[0.0, 0.0, 90.0, 0.0, 90.0, 1.0, 0.0, 1.0]]},
        "outside_image",
    ),
    ("polygon", {"segmentation": [[1, 1, 2, 2, 1, 1]]}, "too_few_points"),
    ("polygon", {"segmentation": [[1, 1, 2, 2, 3]]}, "bad_geometry"),
    ("polygon", {"segmentation": []}, "no_geometry"),
    ("polygon", {"segmentation": [[1, 1, 9, 1, 9, 6204]]}, "outside_image"),
    ("polyline", {"segmentation": [[1, 1, 9, 1, 9, 9, 1, 1]]}, "bad_geometry"),
    ("polyline", {"segmentation": [[1, 1, 9, 1, 1, 1]]}, "bad_geometry"),
    ("polyline", {"segmentation": [[1, 1, 1, 1]]}, "too_few_points"),
    ("point", {"segmentation": [], "keypoints": None}, "no_geometry"),
    ("point", {"keypoints": [1, 2, 2, 3, 4, 2]}, "bad_geometry"),
    ("skeleton", {"keypoints": None}, "no_geometry"),
    ("skeleton", {"keypoints": [1, 2]}, "no_geometry"),
    ("skeleton", {"keypoints": [1, 2, 3]}, "bad_geometry"),
    ("bitmask", {"segmentation": [[1, 1, 2, 2, 3, 1]]}, "bad_bitmask"),
    ("bitmask", {"segmentation": {"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT - 5, 5]}}, "bad_bitmask"),
    ("bitmask", {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "09"}}, "bad_bitmask"),
    ("bitmask", {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [WIDTH * HEIGHT - 1]}}, "bad_bitmask"),
    ("bitmask", {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [WIDTH * HEIGHT + 5, -5]}}, "bad_bitmask"),
    ("bitmask", {"segmentation": {"size": [HEIGHT, WIDTH]}}, "bad_geometry"),
    ("bounding_box", {"category_id": 55}, "coco_unknown_category"),
    ("bounding_box", {"category_id": None}, "coco_unknown_category"),
    ("bounding_box", {"attributes": {"encord_track_uuid": "../../x"}}, "bad_hash"),
    ("bounding_box", {"attributes": {"encord_track_uuid": 5}}, "bad_hash"),
    ("bounding_box", {"category_id": []}, "object_unreadable"),
]


@pytest.mark.parametrize(("shape", "changes", "rule"), BAD)
def test_a_bad_annotation_is_quarantined_alone(shape: str, changes: dict[str, Any], rule: str) -> None:
    """With its reason; nothing of its geometry is guessed."""
    assert refusal(document([annotation(shape, **changes)])) == rule


def test_a_bad_annotation_can_stop_its_row_and_no_other() -> None:
    """As configured: the row is named, and the next one is read."""
    coco = document([annotation(bbox=None), annotation(image_id=1)], [image(), image("images/data-1.jpg")])

    bad, good = read(coco, on_bad_object="quarantine_row")

    assert isinstance(bad, UnusableRow)
    assert (bad.reason, bad.label_hash) == ("bad_geometry", "data-0")
    assert isinstance(good, RowReading)
    assert good.row.objects_in == 1


# ---------------------------------------------------------------------- damaged files


def test_two_categories_of_one_id_make_it_uncertain() -> None:
    """Unless they are the same."""
    coco = document([annotation()])
    coco["categories"] += [coco["categories"][0]]
    assert only(coco)[1].name == "a bounding_box"

    coco["categories"] += [{"id": 1, "supercategory": "polygon", "name": "other"}]

    assert refusal(coco) == "coco_unknown_category"


def test_two_annotations_of_one_id_are_not_both_taken() -> None:
    """The first is; the other is quarantined with its place in the file."""
    coco = document([annotation(id=5), annotation(name="object02", id=5)])

    (reading,) = rows(coco)

    assert [one.object_hash for one in reading.row.frames[0].objects] == ["object01"]
    ((found,),) = [one.findings for one in reading.row.quarantined]
    assert (found.rule, found.location.unit) == ("coco_duplicate_id", "data-0")
    assert "annotation 1 of the file" in found.message


def test_an_image_id_of_two_images_makes_their_annotations_uncertain() -> None:
    """Encord's exporter gives an id twice where an asset is in two label rows."""
    images = [image(id=0), image("images/data-1.jpg", id=0), image("images/data-2.jpg", id=1)]

    found = rows(document([annotation(), annotation(image_id=1)], images))

    assert [len(one.row.quarantined) for one in found] == [1, 0, 0]
    assert [len(one.row.frames[0].objects) for one in found] == [0, 0, 1]
    assert counted([*found]) == 2


def test_an_image_that_is_there_twice_is_one_frame() -> None:
    """With the annotations of both, and a finding."""
    coco = document([annotation(), annotation(name="object02", image_id=1)], [image(), image()])

    (reading,) = rows(coco)

    assert [one.object_hash for one in reading.row.frames[0].objects] == ["object01", "object02"]
    assert "coco_image_twice" in rules(reading)


def test_an_image_of_two_sizes_has_none() -> None:
    """Which pixels its annotations mean is not certain."""
    coco = document([annotation()], [image(), image(width=WIDTH * 2)])

    assert refusal(coco) == "no_frame_size"


@pytest.mark.parametrize("width", [0, -5, 2.5, "wide", None, 10**9])
def test_an_image_without_a_size_cannot_check_its_annotations(width: object) -> None:
    """They are quarantined; the image stays."""
    assert refusal(document([annotation()], [image(width=width)])) == "no_frame_size"


def test_an_object_twice_on_a_frame_is_kept_once() -> None:
    """The last one, as in label rows."""
    reading, instance = only(document([annotation(), annotation(bbox=[1, 1, 2, 2])]))

    assert instance.geometry == Box(1.0, 1.0, 2.0, 2.0)
    assert [one.reason for one in reading.row.excluded] == ["duplicate"]
    assert conservation(reading.row) is None


def test_images_and_annotations_that_belong_nowhere_are_told_and_counted() -> None:
    """Foreign names, ids that cannot be read, an asset of two kinds, annotations of no image: none vanishes."""
    images = [
        image(),
        image("Jane Doe.jpg"),
        image("images/../../x.jpg"),
        image("videos/data-0/0.jpg"),
        image("images/data-9.jpg", id="x"),
        "no image",
    ]
    drawn = [annotation(image_id=key) for key in (0, 1, 1, 2, 3, 4, 17, None, "x")]

    found = read(document([*drawn, "no annotation", []], images))

    (reading, unnamed, orphans) = found
    assert isinstance(reading, RowReading)
    assert isinstance(unnamed, UnusableRow)
    assert isinstance(orphans, UnusableRow)
    assert (unnamed.reason, orphans.reason) == ("coco_unknown_image", "coco_orphan_annotation")
    assert str(unnamed).startswith("5 images of the COCO export, the first at position 1, ")
    assert (reading.row.objects_in, lost([unnamed]), lost([orphans])) == (1, 4, 6)
    assert "Jane" not in str(unnamed)


def test_a_foreign_coco_file_is_refused_as_a_whole() -> None:
    """Not a single image is named as Encord names them."""
    with pytest.raises(ExportError) as caught:
        read_coco(encode(document([annotation()], [image("train2017/0001.jpg")])), ontology=None)

    assert caught.value.reason == "coco_foreign"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"images": {}, "annotations": [], "categories": []}', "coco_unreadable"),
        (b'{"images": [], "annotations": null, "categories": []}', "coco_unreadable"),
        (b'{"images": [], "annotations": []}', "coco_unreadable"),
        (b'{"images": [], "annotations": [}', "not_json"),
        (b'{"images": [], "annotations": [' + b"[" * 100_000, "not_json"),
        (b'{"images": [NaN], "annotations": [], "categories": []}', "not_json"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_at_once(data: bytes, reason: str) -> None:
    """Before the first row is asked for."""
    with pytest.raises(ExportError) as caught:
        read_coco(data, ontology=None)

    assert caught.value.reason == reason


def test_white_space_changes_nothing() -> None:
    """An export that was indented has the same rows and fingerprints."""
    coco = document(
        [
            annotation("bitmask"),
            annotation(name="object02", attributes={"classifications": {"bent": True, "torn": False}}),
        ]
    )
    spaced = json.dumps(coco, indent=2).replace(": ", " :\t ").encode()

    (one,) = rows(coco)
    (other,) = read_coco(spaced, ontology=None)

    assert isinstance(other, RowReading)
    assert (one.row, one.findings, one.event.fingerprint) == (other.row, other.findings, other.event.fingerprint)


def test_a_byte_order_mark_is_skipped() -> None:
    """And rows lie in the whole file."""
    data = b"\xef\xbb\xbf" + encode(document([annotation()]))

    (reading,) = read_coco(data, ontology=None)

    assert isinstance(reading, RowReading)
    assert (reading.event.offset, reading.event.length) == (0, len(data))


# ---------------------------------------------------------------------- searches

PIXEL_X, PIXEL_Y = st.floats(0, WIDTH), st.floats(0, HEIGHT)
POINT = st.tuples(PIXEL_X, PIXEL_Y)


def flat(points: list[tuple[float, float]]) -> tuple[float, ...]:
    """x0, y0, x1, y1, ..."""
    return tuple(value + 0.0 for point in points for value in point)


def box_of(values: tuple[float, float, float, float]) -> Box:
    """A box inside the image out of its corner and two shares of what is left."""
    x, y, across, down = values
    return Box(x, y, (WIDTH - x) * across, (HEIGHT - y) * down)


BOX = st.tuples(st.floats(0, WIDTH - 1), st.floats(0, HEIGHT - 1), st.floats(0.1, 0.9), st.floats(0.1, 0.9)).map(box_of)
VISIBILITIES: st.SearchStrategy[Visibility] = st.sampled_from(["visible", "occluded", "invisible"])
JOINTS = st.tuples(POINT, VISIBILITIES)
PIXELS = st.binary(min_size=WIDTH * HEIGHT // 8, max_size=WIDTH * HEIGHT // 8)


def runs_of(bits: bytes) -> tuple[int, ...]:
    """The runs by rows of random pixels, counted one by one."""
    runs, value = [0], 0
    for pixel in np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return tuple(runs)


GEOMETRIES: st.SearchStrategy[Geometry] = st.one_of(
    BOX,
    st.builds(
        lambda box, theta: RotatedBox(box.x, box.y, box.width, box.height, theta),
        BOX,
        st.floats(0, 360, exclude_max=True),
    ),
    st.lists(POINT, min_size=3, max_size=6, unique=True).map(lambda points: Polygon(((flat(points),),))),
    st.lists(POINT, min_size=2, max_size=6).map(lambda points: Polyline(flat(points))),
    POINT.map(lambda point: Point(point[0] + 0.0, point[1] + 0.0)),
    st.lists(JOINTS, min_size=3, max_size=3).map(
        lambda joints: Skeleton(
            tuple(
                Joint(f"JointCl{index}", f"joint of ours {index}", point[0] + 0.0, point[1] + 0.0, seen)
                for index, (point, seen) in enumerate(joints)
            )
        )
    ),
    PIXELS.map(lambda bits: Bitmask(runs_of(bits))),
)


def written(geometry: Geometry) -> tuple[str, dict[str, Any]]:
    """Shape and fields as Encord's exporter writes a geometry."""
    match geometry:
        case Box(x, y, w, h) | RotatedBox(x, y, w, h):
            fields = {"bbox": [x, y, w, h], "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]}
            if isinstance(geometry, Box):
                return "bounding_box", fields
            return "rotatable_bounding_box", fields | {"attributes": {"rotation": geometry.theta}}
        case Polygon(polygons):
            return "polygon", {"segmentation": [list(polygons[0][0])]}
        case Polyline(points):
            pairs = list(zip(points[::2], points[1::2], strict=True))
            return "polyline", {"segmentation": [list(flat(pairs + pairs[::-1]))]}
        case Point(x, y):
            return "point", {"segmentation": [[x, y]], "keypoints": [x, y, 2.0]}
        case Skeleton(joints):
            seen = {"visible": 2.0, "occluded": 1.0, "invisible": 0.0}
            triples = [value for joint in joints for value in (joint.x, joint.y, seen[joint.visibility])]
            return "skeleton", {"segmentation": [], "keypoints": triples}
        case Bitmask(runs):
            pixels = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8).reshape(HEIGHT, WIDTH)
            return "bitmask", {"segmentation": code_of(pixels)}
        case _:
            raise AssertionError(geometry)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(GEOMETRIES, st.integers(0, 2)), max_size=8))
def test_what_encord_would_write_is_read_as_it_was(drawn: list[tuple[Geometry, int]]) -> None:
    """Random objects on three frames of a video: written to Encord's rules, read back, the same to the last bit."""
    made = []
    for index, (geometry, frame) in enumerate(drawn):
        shape, fields = written(geometry)
        made.append(annotation(shape, f"object{index}", image_id=frame, **fields))
    images = [image(f"videos/film/{number}.jpg") for number in (3, 17, 4)]
    skeletons = small_ontology(shape="skeleton", joints=3)

    (reading,) = rows(document(made, images), skeletons)

    frames = {0: 3, 1: 17, 2: 4}
    expected = {(f"object{i}", frames[frame]): geometry for i, (geometry, frame) in enumerate(drawn)}
    assert {(i.object_hash, f.number): i.geometry for f in reading.row.frames for i in f.objects} == expected
    assert [frame.number for frame in reading.row.frames] == [3, 4, 17]
    assert reading.row.quarantined == ()
    assert rules(reading) <= {"coco_class_inferred"}


ODD = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1,
        0.5,
        1e308,
        2**63,
        10**30,
        10**400,
        "",
        "null",
        "x",
        "0",
        "\ud800",
        "é\u202e@",
        "a" * 70,
    ]
    + [[], {}, [[]], {"0": {}}, [0.1, 0.2], [[0, 0, 1, 1, 1, 0]], "images/data-0.jpg", "videos/data-0/1.jpg"]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


WHOLE = document(
    [
        *(annotation(shape, f"object0{index}", image_id=index % 3) for index, shape in enumerate(SHAPES)),
        annotation(attributes={"classifications": {"colour": "red", "bent": True, "note": None, "length": 3}}),
    ],
    [image(), image("videos/film/1.jpg"), image("dicom/series/1.2.3/4"), image("nifti/scan/7"), image()],
)
PLACES = [path for path in places(WHOLE) if len(path) > 1]


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=4), st.booleans())
def test_no_damage_loses_an_annotation_or_breaks_the_reader(damage: list[tuple[Any, Any]], informed: bool) -> None:
    """Whatever is put in whatever place: each annotation is on a frame, excluded, quarantined, or counted as lost."""
    coco = copy.deepcopy(WHOLE)
    for path, value in damage:
        place: Any = coco
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = copy.deepcopy(value)  # the next damage may be within it
        except (KeyError, IndexError, TypeError):
            continue  # an earlier damage took this place away
    ontology = small_ontology(COLOUR, DAMAGE, NOTE, LENGTH) if informed else None

    try:
        found = read(coco, ontology)
    except ExportError as error:
        assert error.reason in CODES
        return

    assert counted(found) == len(coco["annotations"])
    held = [one for one in found if isinstance(one, RowReading)]
    assert {finding.rule for one in held for finding in (*one.findings, *validate(one.row))} <= CODES
    assert {one.reason for one in found if isinstance(one, UnusableRow)} <= CODES
    assert all(math.isfinite(v) for one in held for f in one.row.frames for i in f.objects for v in numbers(i.geometry))
