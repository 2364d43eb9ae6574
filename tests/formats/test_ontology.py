"""What formats take from an ontology: categories with joints, edges and colours, answers by kind, nested attributes."""

import json
from typing import Any, get_args

import msgspec
import pyarrow as pa
import pytest

from encord_dagster.encord.model import Attribute, Kind, LabelRow, Option
from encord_dagster.encord.ontology import Ontology, read_ontology
from encord_dagster.encord.resolve import Index, resolve
from encord_dagster.formats import coco, tables
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import (
    SHAPES,
    Category,
    JointName,
    classes_of,
    described,
    fitted,
    ontology_categories,
)
from encord_dagster.geometry import Geometry
from tests import factories as make
from tests.factories import Json
from tests.published import opened

JOINTS = [
    make.joint(0, 0, "tail", "JointCl2"),
    make.joint(1, 1, "ear", "JointCl3"),
    make.joint(0, 1, "nose", "JointCl1"),
]
TEMPLATE = make.skeleton_template("x", "Skeleto1", JOINTS, [(0, 1), (1, 2)])
NAMES = (JointName("JointCl2", "tail"), JointName("JointCl3", "ear"), JointName("JointCl1", "nose"))


def ontology(*objects: Json, **more: object) -> Ontology:
    """The ontology of these classes."""
    return read_ontology(make.encode(make.ontology(*objects, **more)))  # type: ignore[arg-type]  # free JSON


SKELETONS = ontology(make.ontology_class(shape="skeleton", name="dog"), skeleton_templates=[TEMPLATE])


def row_of(*objects: Json, **changes: Any) -> LabelRow:
    """An image with these objects."""
    return make.read(make.image_row(*objects, **changes)).row


def test_a_skeleton_class_has_the_joints_and_edges_of_its_template() -> None:
    """In the order of the template, with edges from 1; every skeleton of the row fits."""
    row = row_of(make.skeleton(), make.skeleton(JOINTS[1:], object_hash="object02"))

    found = classes_of(row, SKELETONS)

    assert found == {
        "Skeleto1": Category(
            id=0,
            feature_hash="Skeleto1",
            name="dog",
            shape="skeleton",
            joints=NAMES,
            skeleton=((1, 2), (2, 3)),
            color="#D33115",
        )
    }
    assert fitted(row, found) is row
    assert fitted(row, classes_of(row)).quarantined != ()  # joints of the first skeleton seen


def test_pycocotools_opens_categories_with_edges() -> None:
    """Keypoints by the order of the template; a joint that is not there is 0, 0, 0."""
    row, _ = resolve(row_of(make.skeleton()), Index(SKELETONS))
    categories = {key: msgspec.structs.replace(one, id=7) for key, one in classes_of(row, SKELETONS).items()}
    made = convert(row, categories)

    images, annotations = dict(zip(made.image_ids, made.images, strict=True)), coco.joined(made.annotations)
    pieces = coco.document(list(categories.values()), images, annotations)
    found = opened(json.loads(b"".join(pieces)))

    assert found.cats[7]["keypoints"] == ["tail", "ear", "nose"]
    assert found.cats[7]["skeleton"] == [[1, 2], [2, 3]]
    assert found.cats[7]["encord"] == {"feature_hash": "Skeleto1", "color": "#D33115"}
    (annotation,) = found.anns.values()
    assert annotation["keypoints"] == [960, 180, 1, 0, 0, 0, 320, 360, 2]


def test_without_its_class_in_the_ontology_a_category_is_what_the_row_shows() -> None:
    """The same as without an ontology."""
    row = row_of(make.box(), make.skeleton(), make.polygon())

    assert classes_of(row, ontology()) == classes_of(row)
    assert classes_of(row, ontology(make.ontology_class(shape="point"))) == classes_of(row)


@pytest.mark.parametrize(
    ("known", "joints"),
    [
        (make.ontology_class(shape="skeleton"), ("JointCl1", "JointCl2")),
        (make.ontology_class(shape="skeleton") | {"shape": "new_shape"}, ("JointCl1", "JointCl2")),
    ],
)
def test_a_skeleton_class_without_a_template_has_the_joints_of_its_first_skeleton(
    known: Json, joints: tuple[str, ...]
) -> None:
    """And the shape of the row where that of the ontology becomes no annotation."""
    (found,) = classes_of(row_of(make.skeleton()), ontology(known)).values()

    assert tuple(joint.feature_hash for joint in found.joints) == joints
    assert found.shape == "skeleton"
    assert found.skeleton == ()


def test_the_categories_of_an_ontology_stand_in_its_order() -> None:
    """Without archived classes, shapes that become no annotation, and skeletons whose joints are not known."""
    known = ontology(
        make.ontology_class(shape="polygon", name="b"),
        make.ontology_class(name="archived", archived=True),
        make.ontology_class(shape="point") | {"shape": "audio"},
        make.ontology_class(shape="bitmask", name="a", color="no colour"),
        make.ontology_class(shape="skeleton", feature_hash="Skeleto2"),
        make.ontology_class(shape="skeleton", name="c"),
        skeleton_templates=[TEMPLATE],
    )

    found = ontology_categories(known)

    assert [(key, one.id, one.name, one.shape) for key, one in found.items()] == [
        ("Polygon1", 0, "b", "polygon"),
        ("Bitmask1", 0, "a", "bitmask"),
        ("Skeleto1", 0, "c", "skeleton"),
    ]
    assert found["Skeleto1"] == classes_of(row_of(make.skeleton()), known)["Skeleto1"]


def test_every_shape_in_pixels_is_one_of_the_ontology() -> None:
    """The list of shapes leaves none out."""
    assert {kind.__struct_config__.tag for kind in get_args(Geometry)} | {"circle"} == SHAPES


def test_a_claimed_category_can_be_described_anew() -> None:
    """Name, colour and edges are those of now; id, shape and the order of joints stay."""
    claimed = Category(
        id=4, feature_hash="Skeleto1", name="old", shape="skeleton", joints=(NAMES[2], NAMES[0], NAMES[1])
    )

    found = described(claimed, SKELETONS)

    assert found == msgspec.structs.replace(claimed, name="dog", color="#D33115", skeleton=((2, 3), (3, 1)))
    assert described(found, ontology()) == found
    assert described(found, ontology(make.ontology_class(shape="skeleton", name="", color=None))) == found
    fewer = msgspec.structs.replace(claimed, joints=(NAMES[0], NAMES[1]))
    assert described(fewer, SKELETONS).skeleton == ((1, 2),)


def test_categories_of_lakes_without_an_ontology_keep_their_bytes() -> None:
    """What is stored is read, and written again it is the same."""
    stored = b'{"id":3,"feature_hash":"BoxClas1","name":"car","shape":"bounding_box","joints":[],"skeleton":[]}'

    category = msgspec.json.decode(stored, type=Category)

    assert category == Category(id=3, feature_hash="BoxClas1", name="car", shape="bounding_box")
    assert msgspec.json.encode(category) == stored
    assert coco.category_record(category)["encord"] == {"feature_hash": "BoxClas1"}


RED, BLUE = Option("OptRed01", "Red", "red"), Option("OptBlue1", "Blue", "blue")


@pytest.mark.parametrize(
    ("kind", "answer", "written"),
    [
        ("radio", (RED,), "Red"),
        ("radio", (RED, BLUE), ["Red", "Blue"]),
        ("radio", (), None),
        ("radio", None, None),
        ("radio", "unknown", "unknown"),
        ("checklist", (RED,), ["Red"]),
        ("checklist", (RED, BLUE), ["Red", "Blue"]),
        ("checklist", (), []),
        ("checklist", None, []),
        ("checklist", "unknown", ["unknown"]),
        ("text", "x", "x"),
        ("text", None, None),
        ("numeric", 0.0, 0.0),
        ("relation", '["a"]', '["a"]'),
        (None, (RED,), "Red"),
        (None, (RED, BLUE), ["Red", "Blue"]),
        (None, (), []),
        (None, "x", "x"),
        (None, 1.5, 1.5),
    ],
)
def test_answers_have_the_type_of_their_attribute(
    kind: Kind | None, answer: str | float | tuple[Option, ...] | None, written: object
) -> None:
    """Where an ontology tells it; else they are written as they come."""
    assert coco.answers([Attribute("Attribu1", "state", answer, kind=kind)]) == {"state": written}


def test_attributes_of_one_name_are_told_apart_also_where_not_answered() -> None:
    """None takes the place of another."""
    given = [Attribute("A", "state", None), Attribute("B", "state", "x"), Attribute("C", "state", None)]

    assert coco.answers(given) == {"state": None, "state [B]": "x", "state [C]": None}


def test_the_attributes_table_tells_kind_and_parent() -> None:
    """An attribute that is not answered has a record without an answer; without an ontology it has none."""
    inner = make.ontology_attribute("text", name="why", feature_hash="Attribu2")
    option = make.ontology_option("Red", "OptRed01", inner)
    known = ontology(make.ontology_class(make.ontology_attribute("radio", option, name="colour")))
    answers = {
        "object01": {
            "objectHash": "object01",
            "classifications": [make.answer([make.option("Red", "OptRed01")], "colour")],
        }
    }
    row = row_of(make.box(), object_answers=answers)

    records = [_attributes(one) for one in (row, resolve(row, Index(known))[0])]

    keys = ("name", "kind", "parent_option", "options", "text", "number")
    assert [[tuple(record[key] for key in keys) for record in one] for one in records] == [
        [("colour", None, None, ["Red"], None, None)],
        [("colour", "radio", None, ["Red"], None, None), ("why", "text", "OptRed01", None, None, None)],
    ]


def test_tables_without_the_newer_columns_are_brought_up_to_date() -> None:
    """A lake's older records stay, and have no kind."""
    row, _ = resolve(row_of(make.box()), Index(ontology(make.ontology_class(make.ontology_attribute("text")))))
    new = _attributes(row)
    whole = pa.Table.from_pylist([record | {"row": "0"} for record in new], schema=tables.ATTRIBUTES)

    old = whole.drop_columns(["kind", "parent_option"])
    added = pa.Table.from_pylist(new, schema=tables.ATTRIBUTES)

    found = tables.updated(old, gone=(), new=added, schema=tables.ATTRIBUTES)

    assert found.schema == tables.ATTRIBUTES
    assert found["kind"].to_pylist() == [None, "text"]


def _attributes(row: LabelRow) -> list[tables.Record]:
    categories = {key: msgspec.structs.replace(one, id=1) for key, one in classes_of(row).items()}
    return [msgspec.structs.asdict(one) for one in convert(row, categories).tables.attributes]
