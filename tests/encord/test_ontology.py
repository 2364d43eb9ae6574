"""The ontology document: what is taken from it, what is forgiven, and what is refused."""

import json

import pytest

from encord_dagster.encord import ontology as module
from encord_dagster.encord.ontology import (
    DEEPEST,
    Ontology,
    OntologyAttribute,
    OntologyClass,
    OntologyJoint,
    OntologyOption,
    read_ontology,
)
from encord_dagster.errors import UsageError
from tests import factories as make
from tests.factories import Json

REAL = [
    "platform_rows.ontology.json",
    *(
        f"fixture_rows/{name}.ontology.json"
        for name in (
            "all_ontology_types.all_ontology_types",
            "all_types_ontology_structure.all_types_structure",
            "data_1.ontology",
            "data_editor_blob.EDITOR_BLOB",
            "dynamic_classifications_ontology.dynamic_classifications_ontology",
            "empty_image_group.empty_image_group_ontology",
            "image_group.image_group_ontology",
            "ontology_with_many_dynamic_classifications.ontology",
            "skeleton_coordinates.ontology",
        )
    ),
]


def read(*objects: Json, **more: object) -> Ontology:
    """The ontology of a document with these classes."""
    return read_ontology(make.encode(make.ontology(*objects, **more)))  # type: ignore[arg-type]  # free JSON


def nested(levels: int) -> Json:
    """A radio whose option opens a radio, and so on."""
    below: list[Json] = []
    for level in range(levels, 0, -1):
        option = make.ontology_option("on", f"Option{level}", *below)
        below = [make.ontology_attribute("radio", option, name=f"level {level}", feature_hash=f"Level{level}")]
    return below[0]


def test_a_class_is_read_with_attributes_and_options() -> None:
    """Every field that later floors use, one by one."""
    inner = make.ontology_attribute("text", name="why", feature_hash="InnerAt1", required=True)
    options = make.ontology_option("Red", "OptRed01", inner), make.ontology_option("None", "OptNone1")
    colour = make.ontology_attribute("radio", *options, name="colour", feature_hash="Colour01", dynamic=True)

    found = read(make.ontology_class(colour, name="car", required=True, archived=True)).classes

    why = OntologyAttribute(feature_hash="InnerAt1", name="why", kind="text", required=True)
    red = OntologyOption(feature_hash="OptRed01", label="Red", value="red", attributes=(why,))
    none = OntologyOption(feature_hash="OptNone1", label="None", value="none")  # a name, not the word for absent
    attribute = OntologyAttribute(
        feature_hash="Colour01", name="colour", kind="radio", dynamic=True, options=(red, none)
    )
    assert found == {
        "BoxClas1": OntologyClass(
            feature_hash="BoxClas1",
            name="car",
            shape="bounding_box",
            color="#D33115",
            required=True,
            archived=True,
            attributes=(attribute,),
        )
    }


def test_a_classification_is_named_after_its_outermost_attribute() -> None:
    """It has no name of its own; its level is `frame` unless it says `global`."""
    attribute = make.ontology_attribute("text", name="weather")
    given = [
        make.ontology_classification(attribute),
        make.ontology_classification(attribute, feature_hash="ClassCl2", level="global", archived=True),
        make.ontology_classification(feature_hash="ClassCl3"),
    ]

    found = read(classifications=given).classifications

    assert [(one.name, one.level, one.archived) for one in found.values()] == [
        ("weather", "frame", False),
        ("weather", "global", True),
        ("", "frame", False),
    ]


@pytest.mark.parametrize(
    ("given", "color"),
    [
        ("#d33115", "#D33115"),
        ("D33115", "#D33115"),
        ("#abc", "#AABBCC"),
        ("#00000", None),
        ("red", None),
        ("", None),
        (None, None),
        (7, None),
        ("#D33115; x", None),
    ],
)
def test_colours_have_one_form(given: object, color: str | None) -> None:
    """Or none: a colour is never a reason to refuse an ontology."""
    assert read(make.ontology_class(color=given)).classes["BoxClas1"].color == color


@pytest.mark.parametrize(
    "given", [None, "null", "Radio", " radio ", "relation", "slider", 7, "text\u202e"], ids=lambda given: repr(given)
)
def test_an_attribute_of_an_unknown_type_is_kept(given: object) -> None:
    """Its kind is None, so nothing is made of its answers."""
    kinds = {"Radio": "radio", " radio ": "radio", "relation": "relation", "text\u202e": "text"}

    (attribute,) = read(make.ontology_class(make.ontology_attribute("x", type=given))).classes["BoxClas1"].attributes

    assert attribute.kind == (kinds.get(given) if isinstance(given, str) else None)


def test_what_is_missing_or_null_is_forgiven() -> None:
    """A class needs its feature hash, and nothing else."""
    document = {"objects": [{"featureNodeHash": "BoxClas1"}, {"featureNodeHash": "BoxClas2", "attributes": None}]}

    found = read_ontology(make.encode(document | {"classifications": None, "skeleton_templates": None}))

    assert list(found.classes.values()) == [
        OntologyClass(feature_hash="BoxClas1", name="", shape=""),
        OntologyClass(feature_hash="BoxClas2", name="", shape=""),
    ]
    assert found.classifications == {}


def test_an_unknown_shape_is_kept_as_it_is_written() -> None:
    """Shapes are added by the vendor, and labels of them are counted all the same."""
    assert read(make.ontology_class(shape="point") | {"shape": "Star_Shape"}).classes["PointCl1"].shape == "star_shape"


JOINTS = [
    make.joint(0, 0, "nose", "JointCl1"),
    make.joint(1, 1, "neck", "JointCl2"),
    make.joint(0, 1, "tail", "Joint3"),
]
READ_JOINTS = (OntologyJoint("JointCl1", "nose"), OntologyJoint("JointCl2", "neck"), OntologyJoint("Joint3", "tail"))


@pytest.mark.parametrize(
    ("template", "joints"),
    [
        (make.skeleton_template("other name", "Skeleto1", JOINTS, [(0, 1), (1, 2)]), READ_JOINTS),
        (make.skeleton_template("a skeleton", None, JOINTS, [(0, 1), (1, 2)]), READ_JOINTS),
        (make.skeleton_template("a skeleton", "NoClass1", JOINTS, [(0, 1), (1, 2)]), READ_JOINTS),
        (make.skeleton_template("a skeleton", "BoxClas1", JOINTS, [(0, 1), (1, 2)]), ()),
        (make.skeleton_template("other name", "NoClass1", JOINTS, [(0, 1), (1, 2)]), ()),
        ({"template": None}, ()),
        (make.skeleton_template("a skeleton", "Skeleto1", [*JOINTS, {"name": "old"}], [(0, 1)]), ()),
    ],
)
def test_a_template_is_that_of_the_class_with_its_hash_or_its_name(
    template: Json, joints: tuple[OntologyJoint, ...]
) -> None:
    """By name only where its hash is that of no class; and only where labels can name its joints."""
    classes = make.ontology_class(shape="skeleton"), make.ontology_class()

    found = read(*classes, skeleton_templates=[template]).classes["Skeleto1"]

    assert found.joints == joints
    assert found.edges == (((0, 1), (1, 2)) if joints else ())


def test_edges_count_joints_in_the_order_of_their_keys() -> None:
    """Keys are numbers, and may have gaps; an edge to a joint that is not there is none."""
    template = make.skeleton_template("x", "Skeleto1", [], [(10, 2), (2, 4), (2, 77)])
    template = make.changed(template, {"10": JOINTS[0], "2": JOINTS[1], "4": JOINTS[2]}, "template", "skeleton")

    found = read(make.ontology_class(shape="skeleton"), skeleton_templates=[template]).classes["Skeleto1"]

    assert [joint.name for joint in found.joints] == ["neck", "tail", "nose"]
    assert set(found.edges) == {(2, 0), (0, 1)}


TWICE = make.ontology_attribute("text"), make.ontology_attribute("text")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (make.ontology(make.ontology_class(), make.ontology_class(name="other")), "objects[1]"),
        (make.ontology(classifications=2 * [make.ontology_classification()]), "classifications[1]"),
        (make.ontology(make.ontology_class(*TWICE)), "objects[0].attributes[1]"),
        (
            make.ontology(
                make.ontology_class(
                    make.ontology_attribute(
                        "radio", make.ontology_option("a", "Option01", make.ontology_attribute("text"))
                    )
                )
            ),
            "objects[0].attributes[0].options[0].options[0]",
        ),
        (
            make.ontology(skeleton_templates=[make.skeleton_template("x", None, [JOINTS[0], JOINTS[0]], [])]),
            "skeleton_templates[0]",
        ),
    ],
)
def test_a_feature_hash_that_is_there_twice_is_refused(document: Json, place: str) -> None:
    """Labels could not be told apart; the error names the second place."""
    with pytest.raises(UsageError) as error:
        read_ontology(make.encode(document))

    assert place in str(error.value)
    assert "again" in str(error.value)


def test_classes_may_share_attributes() -> None:
    """They are looked up below their own class; documents of the vendor do it."""
    shared = make.ontology_attribute("text")

    found = read(make.ontology_class(shared), make.ontology_class(shared, shape="polygon"))

    assert [one.attributes[0].feature_hash for one in found.classes.values()] == ["Attribu1", "Attribu1"]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "neither"),
        ({"objects": None, "classifications": None}, "neither"),
        ({"structure": make.ontology()}, "neither"),
        ([], "the document"),
        ({"objects": 5}, "objects of"),
        ({"objects": [5]}, "objects[0]"),
        ({"objects": [{"name": "x"}]}, "objects[0]"),
        ({"objects": [{"featureNodeHash": "no hash!"}]}, "objects[0]"),
        ({"objects": [{"featureNodeHash": 5}]}, "objects[0]"),
        ({"objects": [{"featureNodeHash": "a", "name": {}}]}, "objects[0]"),
        ({"objects": [{"featureNodeHash": "a", "attributes": 5}]}, "objects[0].attributes"),
        ({"objects": [{"featureNodeHash": "a", "attributes": [{}]}]}, "objects[0].attributes[0]"),
        ({"classifications": [{"featureNodeHash": "a"}, {}]}, "classifications[1]"),
        (
            make.ontology(make.ontology_class(make.ontology_attribute("radio", make.ontology_option("a", "")))),
            "objects[0].attributes[0].options[0]",
        ),
        ({"objects": [], "skeleton_templates": [{"template": {"skeleton": 5}}]}, "skeleton_templates[0]"),
    ],
)
def test_what_cannot_be_relied_on_is_refused_with_its_place(document: object, place: str) -> None:
    """And with what to do next."""
    with pytest.raises(UsageError) as error:
        read_ontology(make.encode(document))

    assert place in str(error.value)
    assert "download the ontology's JSON" in str(error.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"<html>", b'{"objects":' + 100_000 * b"[", b'{"objects":[]} x'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Never with another error."""
    with pytest.raises(UsageError, match="the document of the ontology"):
        read_ontology(data)


def test_a_document_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is decoded."""
    monkeypatch.setattr(module, "MOST_BYTES", 10)

    with pytest.raises(UsageError, match="more than 10"):
        read(make.ontology_class())


def test_nesting_has_an_end() -> None:
    """The deepest tree is read whole, one level more is refused."""
    found = read(make.ontology_class(nested(DEEPEST))).classes["BoxClas1"]

    depth, attributes = 0, found.attributes
    while attributes:
        depth, attributes = depth + 1, attributes[0].options[0].attributes
    assert depth == DEEPEST
    with pytest.raises(UsageError, match="deeper than 32"):
        read(make.ontology_class(nested(DEEPEST + 1)))


def test_no_secret_of_the_document_gets_out() -> None:
    """Neither into names nor into errors."""
    mail, link = "jane.doe@example.com", "https://bucket/x?X-Goog-Signature=0123456789"
    option = make.ontology_option(mail, "Option01", value=link)
    attribute = make.ontology_attribute("radio", option, name=f"ask {mail}")
    template = make.skeleton_template(mail, "BoxClas1", [make.joint(0, 0, mail)], [])

    found = read(make.ontology_class(attribute, name=link), skeleton_templates=[template])
    with pytest.raises(UsageError) as error:
        read({"featureNodeHash": mail, "name": mail})

    for text in (repr(found), str(error.value)):
        assert "example.com" not in text
        assert "0123456789" not in text


@pytest.mark.parametrize("name", REAL)
def test_real_ontologies_are_read_whole(name: str) -> None:
    """Every class, classification, attribute and option of the document is in what is read, by feature hash."""
    data = make.real_export(name)

    found = read_ontology(data)

    assert sorted(_hashes(found)) == sorted(_named(json.loads(data)))
    assert all(one.shape and one.color for one in found.classes.values())
    assert None not in [one.kind for attributes in _outermost(found) for one in attributes]


def test_a_real_skeleton_has_joints_and_edges() -> None:
    """Four joints in a ring; its rows name them by the same hashes."""
    found = read_ontology(make.real_export("fixture_rows/skeleton_coordinates.ontology.ontology.json"))

    (square,) = found.classes.values()
    assert [joint.name for joint in square.joints] == ["point_0", "point_1", "point_2", "point_3"]
    assert square.edges == ((0, 1), (1, 2), (2, 3), (3, 0))


def _named(value: object) -> list[str]:
    """All values of `featureNodeHash` in a document."""
    if isinstance(value, list):
        return [one for child in value for one in _named(child)]
    if not isinstance(value, dict):
        return []
    own = [value["featureNodeHash"]] if "featureNodeHash" in value else []
    return own + [one for child in value.values() for one in _named(child)]


def _outermost(ontology: Ontology) -> list[tuple[OntologyAttribute, ...]]:
    """The attributes of each class and classification."""
    return [
        *(one.attributes for one in ontology.classes.values()),
        *(one.attributes for one in ontology.classifications.values()),
    ]


def _hashes(ontology: Ontology) -> list[str]:
    """All feature hashes of an ontology but those of joints."""
    found = [*ontology.classes, *ontology.classifications]
    waiting = [one for attributes in _outermost(ontology) for one in attributes]
    while waiting:
        one = waiting.pop()
        found += [one.feature_hash, *(option.feature_hash for option in one.options)]
        waiting += [below for option in one.options for below in option.attributes]
    return found
