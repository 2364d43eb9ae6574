"""Rows seen through their ontology: names, kinds, nesting and order of attributes, and what is not answered."""

import itertools
import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import read_row
from encord_dagster.encord.model import Attribute, LabelRow, Option
from encord_dagster.encord.ontology import Ontology, read_ontology
from encord_dagster.encord.resolve import Index, ontology_digest, part_digest, resolve
from encord_dagster.findings import Finding
from tests import factories as make
from tests.factories import Json

RED, BLUE = make.ontology_option("Red", "OptRed01"), make.ontology_option("Dark blue", "OptBlue1")
RED_OPTION, BLUE_OPTION = Option("OptRed01", "Red", "red"), Option("OptBlue1", "Dark blue", "dark_blue")


def ontology(*attributes: Json, **more: object) -> Ontology:
    """An ontology of one class, boxes, with these attributes."""
    return read_ontology(make.encode(make.ontology(make.ontology_class(*attributes), **more)))  # type: ignore[arg-type]


def answered(*answers: Json) -> Json:
    """An image with one box that has these answers."""
    given = {"object01": {"objectHash": "object01", "classifications": list(answers)}}
    return make.image_row(make.box(), object_answers=given)


def resolved(row: Json, known: Ontology) -> tuple[LabelRow, list[Finding]]:
    """The row as the ontology shows it, with what resolving it brought up."""
    found, findings = resolve(make.read(row).row, Index(known))
    return found, list(findings)


def attributes(row: LabelRow, frame: int = 0) -> tuple[Attribute, ...]:
    """The attributes of the only object of a frame."""
    return row.frames[frame].objects[0].attributes


def test_names_are_those_of_the_ontology() -> None:
    """Of classes, attributes and options, found by feature hash however the export calls them."""
    known = ontology(make.ontology_attribute("radio", RED, BLUE, name="colour"))
    row = answered(make.answer([make.option("Rouge", "OptRed01")], "couleur"))

    found, findings = resolved(row, known)

    assert attributes(found) == (Attribute("Attribu1", "colour", (RED_OPTION,), kind="radio"),)
    assert findings == []


def test_a_name_that_the_ontology_lacks_stays() -> None:
    """Ontologies hold empty names too."""
    document = make.ontology(make.ontology_class(make.ontology_attribute("text", name=""), name=""))

    found, findings = resolved(answered(make.answer("x", "note")), read_ontology(make.encode(document)))

    assert found.frames[0].objects[0].name == "a bounding_box"
    assert attributes(found)[0].name == "note"
    assert findings == []


def test_a_renamed_class_is_one_finding_per_row() -> None:
    """However many objects it has; a class of its name and one without a name are none."""
    boxes = [make.box(object_hash=f"object{n}", name="old") for n in range(3)]
    shapes = [make.polygon(), make.point(name="", value="")]
    document = make.ontology(
        make.ontology_class(name="new"),
        *(make.ontology_class(shape=shape) for shape in ("polygon", "point")),
        classifications=[make.ontology_classification(make.ontology_attribute("text", name="light"))],
    )
    row = make.image_row(*boxes, *shapes, classifications=[make.classification(), make.classification("classif2")])

    found, findings = resolved(row, read_ontology(make.encode(document)))

    names = [item.name for item in found.frames[0].objects]
    assert names == ["new", "new", "new", "a polygon", "a point"]
    assert [one.name for one in found.frames[0].classifications] == ["light", "light"]
    assert [(one.rule, one.severity, str(one.location)) for one in findings] == [
        ("class_renamed", "info", f"row {row['label_hash']}"),
        ("class_renamed", "info", f"row {row['label_hash']}"),
    ]
    assert "'old'" in findings[0].message
    assert "'new'" in findings[0].message
    assert "'light'" in findings[1].message


def test_attributes_stand_in_the_order_of_the_ontology_with_their_parents() -> None:
    """Exports write children before parents; siblings may share names, and only hashes tell them apart."""
    inner = [make.ontology_attribute("text", name="why", feature_hash=f"Inner{n}") for n in (1, 2)]
    options = [make.ontology_option("same", f"Option{n}", inner[n - 1]) for n in (1, 2)]
    outer = make.ontology_attribute("radio", *options, name="outer", feature_hash="Outer1")
    first = make.ontology_attribute("numeric", name="first", feature_hash="First1")
    row = answered(
        make.answer("because", "why", "Inner2"),
        make.answer([make.option("same", "Option2")], "outer", "Outer1"),
        make.answer(7, "first", "First1"),
    )

    found, _ = resolved(row, ontology(first, outer))

    assert attributes(found) == (
        Attribute("First1", "first", 7.0, kind="numeric"),
        Attribute("Outer1", "outer", (Option("Option2", "same", "same"),), kind="radio"),
        Attribute("Inner2", "why", "because", kind="text", parent="Option2"),
    )


def test_what_is_not_answered_is_there_without_an_answer() -> None:
    """But not what hangs below an option that is not chosen, nor what is archived or hangs below that."""
    inner = [make.ontology_attribute("text", name=f"inner {n}", feature_hash=f"Inner{n}") for n in (1, 2)]
    options = [make.ontology_option(f"option {n}", f"Option{n}", inner[n - 1]) for n in (1, 2)]
    below = make.ontology_option("x", "Option3", make.ontology_attribute("text", feature_hash="Inner3"))
    known = ontology(
        make.ontology_attribute("radio", *options, name="outer", feature_hash="Outer1", dynamic=True),
        make.ontology_attribute("checklist", RED, name="ticks", feature_hash="Ticks1"),
        make.ontology_attribute("text", name="gone", feature_hash="Gone1", archived=True),
        make.ontology_attribute("radio", below, name="old", feature_hash="Old1", archived=True),
    )
    chosen = make.answer([make.option("option 1", "Option1")], "outer", "Outer1")
    old = make.answer([make.option("x", "Option3")], "old", "Old1")

    none, _ = resolved(make.image_row(make.box()), known)
    some, _ = resolved(answered(chosen, make.answer([], "ticks", "Ticks1"), old), known)

    assert attributes(none) == (
        Attribute("Outer1", "outer", None, dynamic=True, kind="radio"),
        Attribute("Ticks1", "ticks", None, kind="checklist"),
    )
    assert attributes(some) == (
        Attribute("Outer1", "outer", (Option("Option1", "option 1", "option_1"),), kind="radio"),
        Attribute("Inner1", "inner 1", None, dynamic=True, kind="text", parent="Option1"),
        Attribute("Ticks1", "ticks", (), kind="checklist"),
        Attribute("Old1", "old", (Option("Option3", "x", "x"),), kind="radio"),
    )


def test_dynamic_attributes_are_resolved_at_every_frame() -> None:
    """What is answered at one frame is not answered at another, and frames with the same answers share them."""
    row = make.video_row(
        {number: [make.box()] for number in range(4)},
        object_actions={
            "object01": {
                "objectHash": "object01",
                "actions": [make.action([make.option("rouge", "OptRed01")], [[1, 2]], "couleur")],
            }
        },
    )

    found, _ = resolved(row, ontology(make.ontology_attribute("radio", RED, BLUE, name="colour", dynamic=True)))

    unanswered = (Attribute("Attribu1", "colour", None, dynamic=True, kind="radio"),)
    red = (Attribute("Attribu1", "colour", (RED_OPTION,), dynamic=True, kind="radio"),)
    assert [attributes(found, frame) for frame in range(4)] == [unanswered, red, red, unanswered]
    assert attributes(found, 1) is attributes(found, 2)


def test_frames_with_the_same_ticks_share_their_attributes() -> None:
    """Also where each tick is an action of its own, so that the reader unites them anew for each frame."""
    ticks = [make.action([make.option("x", key)], [[0, 1]]) for key in ("OptBlue1", "OptRed01")]
    row = make.video_row(
        {number: [make.box()] for number in range(2)},
        object_actions={"object01": {"objectHash": "object01", "actions": ticks}},
    )

    found, _ = resolved(row, ontology(make.ontology_attribute("checklist", RED, BLUE, dynamic=True)))

    assert attributes(found, 0)[0].answer == (RED_OPTION, BLUE_OPTION)
    assert attributes(found, 0) is attributes(found, 1)


@pytest.mark.parametrize("kind", ["radio", "checklist"])
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Red", (RED_OPTION,)),
        ("red", (RED_OPTION,)),
        ("Dark blue", (BLUE_OPTION,)),
        ("dark_blue", (BLUE_OPTION,)),
        ("DARK BLUE", (BLUE_OPTION,)),
        ("green", "green"),
        ("Red ", "Red "),
    ],
)
def test_an_option_given_as_a_text_is_found_by_label_or_value(
    kind: str, text: str, answer: str | tuple[Option, ...]
) -> None:
    """With a finding either way; a text that names no option is kept."""
    known = ontology(make.ontology_attribute(kind, RED, BLUE, name="colour"))

    found, findings = resolved(answered(make.answer(text)), known)

    assert attributes(found)[0].answer == answer
    assert [(one.rule, one.severity, one.location.object) for one in findings] == [
        ("radio_answer_unknown" if answer == text else "radio_answer_text", "warning", "object01")
    ]


@pytest.mark.parametrize(("text", "answer"), [("On", "OptionA"), ("ON", "OptionB"), ("on", None), ("off", None)])
def test_a_text_that_names_several_options_names_none(text: str, answer: str | None) -> None:
    """Upper and lower case tell options apart where they can; the label of one may be the value of another."""
    options = [
        make.ontology_option("On", "OptionA", value="1"),
        make.ontology_option("ON", "OptionB", value="2"),
        make.ontology_option("off", "OptionC", value="3"),
        make.ontology_option("4", "OptionD", value="off"),
    ]

    found, _ = resolved(answered(make.answer(text)), ontology(make.ontology_attribute("radio", *options)))

    given = attributes(found)[0].answer
    assert (given[0].feature_hash if isinstance(given, tuple) else None) == answer


def test_an_option_given_as_a_text_opens_what_hangs_below_it() -> None:
    """As one given by its hash does."""
    inner = make.ontology_attribute("text", name="why", feature_hash="Inner1")
    known = ontology(make.ontology_attribute("radio", make.ontology_option("Red", "OptRed01", inner)))

    found, _ = resolved(answered(make.answer("Red")), known)

    assert attributes(found)[1] == Attribute("Inner1", "why", None, kind="text", parent="OptRed01")


def test_a_radio_with_two_options_keeps_both() -> None:
    """In the order of the ontology, with one finding for all frames."""
    known = ontology(make.ontology_attribute("radio", RED, BLUE))
    both = make.answer([make.option("x", "OptBlue1"), make.option("x", "OptRed01")])
    row = make.video_row(
        {number: [make.box()] for number in range(3)},
        object_answers={"object01": {"objectHash": "object01", "classifications": [both]}},
        object_actions={
            "object01": {"objectHash": "object01", "actions": [make.action("x", [[1, 1]], "other", "NoAttr01")]}
        },
    )

    found, findings = resolved(row, known)

    assert [attributes(found, frame)[0].answer for frame in range(3)] == 3 * [(RED_OPTION, BLUE_OPTION)]
    assert [one.rule for one in findings] == ["several_radio_options"]


def test_what_the_ontology_does_not_hold_stays_as_it_is() -> None:
    """Classes, classifications, attributes and options: nothing is lost, nothing is guessed."""
    known = ontology(make.ontology_attribute("checklist", RED, BLUE))
    other = make.option("Gone", "OptGone1")
    row = answered(
        make.answer("x", "unknown", "NoAttr01"),
        make.answer([other, make.option("x", "OptBlue1"), make.option("x", "OptRed01")]),
    )
    strange = make.image_row(make.polygon(), classifications=[make.classification()])

    found, findings = resolved(row, known)
    kept, more = resolved(strange, known)

    assert [(one.name, one.kind, one.parent) for one in attributes(found)] == [
        ("state", "checklist", None),
        ("unknown", None, None),
    ]
    assert attributes(found)[0].answer == (RED_OPTION, BLUE_OPTION, Option("OptGone1", "Gone", "gone"))
    assert kept == make.read(strange).row
    assert findings == more == []


def test_an_answer_of_another_kind_stays_as_it_is() -> None:
    """Rules may object to it; resolving it would be a guess."""
    known = ontology(
        make.ontology_attribute("text", feature_hash="Text1"),
        make.ontology_attribute("numeric", feature_hash="Number1"),
        make.ontology_attribute("radio", RED, feature_hash="Radio1"),
        make.ontology_attribute("slider", feature_hash="Slider1"),
    )
    row = answered(
        make.answer([make.option("Red", "OptRed01")], "a", "Text1"),
        make.answer("42", "b", "Number1"),
        make.answer(5, "c", "Radio1"),
        make.answer("x", "d", "Slider1"),
    )

    found, findings = resolved(row, known)

    assert [(one.kind, one.answer) for one in attributes(found)] == [
        ("text", (RED_OPTION,)),
        ("numeric", "42"),
        ("radio", 5.0),
        (None, "x"),
    ]
    assert findings == []


def test_classifications_are_resolved_too() -> None:
    """On frames and of the whole asset; a range puts one classification on many frames, and it stays one."""
    known = read_ontology(
        make.encode(
            make.ontology(
                classifications=[
                    make.ontology_classification(make.ontology_attribute("radio", RED, name="colour")),
                    make.ontology_classification(
                        make.ontology_attribute("text", feature_hash="Attribu2"), feature_hash="ClassCl2"
                    ),
                ]
            )
        )
    )
    answers = {
        key: {"classificationHash": key, "featureHash": feature_hash, "classifications": given, "range": ranges}
        for key, feature_hash, given, ranges in (
            ("classif1", "ClassCl1", [make.answer([make.option("rouge", "OptRed01")], "colour")], [[0, 2]]),
            ("classif2", "ClassCl2", [], []),
        )
    }
    row = make.video_row({0: [], 1: [], 2: []}, classification_answers=answers)

    found, findings = resolved(row, known)

    (first,), (second,), (third,) = (frame.classifications for frame in found.frames)
    assert first is second is third
    assert (first.name, first.attributes) == ("colour", (Attribute("Attribu1", "colour", (RED_OPTION,), kind="radio"),))
    assert [one.attributes for one in found.classifications] == [(Attribute("Attribu2", "state", None, kind="text"),)]
    assert findings == []


RAW = [{"objectHash": "object02", "by": "jane.doe@example.com"}, "None", 5]


def test_a_relation_is_kept_as_the_text_of_its_json() -> None:
    """Where the ontology calls the attribute so, whatever form the answer has; without secrets, one finding per row."""
    relation = make.ontology_attribute("relation", feature_hash="Relatio1", name="holds")
    index = Index(ontology(relation, make.ontology_attribute("text")))
    options = make.answer([make.option("Red", "OptRed01")], "holds", "Relatio1")
    row = make.image_row(
        make.box(),
        make.box(object_hash="object02"),
        object_answers={
            "object01": {"objectHash": "object01", "classifications": [make.answer(RAW, "holds", "Relatio1")]},
            "object02": {"objectHash": "object02", "classifications": [options]},
        },
    )
    (piece,) = iter_rows(make.encode([row]))

    reading = read_row(piece, relations=index.relations)
    found, findings = resolve(reading.row, index)

    first, second = (item.attributes[0] for item in found.frames[0].objects)
    assert (first.name, first.kind) == (second.name, second.kind) == ("holds", "relation")
    assert msgspec.json.decode(str(first.answer)) == [{"by": "[e-mail removed]", "objectHash": "object02"}, "None", 5]
    assert msgspec.json.decode(str(second.answer)) == [make.option("Red", "OptRed01")]
    assert [one.rule for one in (*reading.findings, *findings)].count("relation_kept_raw") == 1


def test_a_relation_that_reads_like_a_text_is_told_once_too() -> None:
    """Where the reader did not know of the relation."""
    known = ontology(*(make.ontology_attribute("relation", feature_hash=f"Relatio{n}") for n in (1, 2)))
    row = answered(make.answer("object02", "holds", "Relatio1"), make.answer("object03", "holds", "Relatio2"))

    found, findings = resolved(row, known)

    assert [(one.kind, one.answer) for one in attributes(found)] == [("relation", "object02"), ("relation", "object03")]
    assert [(one.rule, one.severity) for one in findings] == [("relation_kept_raw", "info")]


def test_resolving_twice_changes_nothing() -> None:
    """A resolved row is its own resolution."""
    known = ontology(
        make.ontology_attribute("radio", RED, BLUE, name="colour"), make.ontology_attribute("text", feature_hash="T1")
    )
    index = Index(known)

    once, _ = resolve(make.read(answered(make.answer("Red"), make.answer("x", "y", "NoAttr01"))).row, index)
    twice, findings = resolve(once, index)

    assert twice == once
    assert findings == ()


BASE = make.ontology(
    make.ontology_class(make.ontology_attribute("radio", RED, BLUE, name="colour")),
    make.ontology_class(make.ontology_attribute("text", feature_hash="Attribu2"), shape="polygon"),
    make.ontology_class(shape="skeleton"),
    classifications=[
        make.ontology_classification(make.ontology_attribute("text", feature_hash="Attribu3")),
        make.ontology_classification(make.ontology_attribute("text", feature_hash="Attribu4"), feature_hash="ClassCl2"),
    ],
    skeleton_templates=[make.skeleton_template("x", "Skeleto1", [make.joint(0, 0)], [])],
)
NOSE = ("skeleton_templates", 0, "template", "skeleton", "0", "name")


def digest(document: Json) -> str:
    """The digest of what a row with a box, a skeleton and a classification takes from an ontology."""
    row = make.image_row(make.box(), make.skeleton(), classifications=[make.classification()])
    return part_digest(make.read(row).row, Index(read_ontology(make.encode(document))))


@pytest.mark.parametrize(
    "document",
    [
        BASE | {"objects": list(reversed(BASE["objects"]))},  # type: ignore[call-overload]  # free JSON
        BASE | {"objects": [*BASE["objects"], make.ontology_class(shape="point")]},  # type: ignore[misc]
        make.changed(BASE, "other", "objects", 1, "attributes", 0, "name"),
        make.changed(BASE, "other", "classifications", 1, "attributes", 0, "name"),
        make.changed(BASE, "#000000", "objects", 0, "color"),
        make.changed(BASE, True, "objects", 0, "required"),
        make.changed(BASE, True, "objects", 0, "attributes", 0, "required"),
    ],
)
def test_a_row_does_not_depend_on_the_rest_of_its_ontology(document: Json) -> None:
    """Other classes, their order, colours and what only rules look at."""
    assert digest(document) == digest(BASE)
    assert ontology_digest(read_ontology(make.encode(document))) != ontology_digest(read_ontology(make.encode(BASE)))


@pytest.mark.parametrize(
    "path",
    [
        ("objects", 0, "name"),
        ("objects", 0, "attributes", 0, "name"),
        ("objects", 0, "attributes", 0, "type"),
        ("objects", 0, "attributes", 0, "featureNodeHash"),
        ("objects", 0, "attributes", 0, "options", 1, "label"),
        ("objects", 0, "attributes", 0, "options", 1, "value"),
        ("objects", 0, "attributes", 0, "options", 1, "featureNodeHash"),
        ("classifications", 0, "attributes", 0, "name"),
        NOSE,
    ],
)
def test_a_row_depends_on_its_classes_and_classifications(path: tuple[str | int, ...]) -> None:
    """And on all that its conversion takes from them."""
    assert digest(make.changed(BASE, "other", *path)) != digest(BASE)


@pytest.mark.parametrize("key", ["dynamic", "archived"])
def test_a_row_depends_on_flags_of_attributes(key: str) -> None:
    """They say how attributes that are not answered are shown."""
    assert digest(make.changed(BASE, True, "objects", 0, "attributes", 0, key)) != digest(BASE)


def test_resolving_gives_what_the_digest_covers() -> None:
    """Two ontologies with one digest for a row give one resolved row."""
    row = make.read(make.image_row(make.box(), make.skeleton(), classifications=[make.classification()])).row
    other = make.changed(BASE, "other", "objects", 1, "attributes", 0, "name")

    one, two = (resolve(row, Index(read_ontology(make.encode(document)))) for document in (BASE, other))

    assert one == two


def test_real_rows_are_resolved_whole() -> None:
    """Every answer of the platform's rows has a kind, every nested one a parent; no text, number or option is lost."""
    index = Index(read_ontology(make.real_export("platform_rows.ontology.json")))
    nested = 0

    for piece in iter_rows(make.real_export("platform_rows.json")):
        row = read_row(piece).row
        found, findings = resolve(row, index)

        assert findings == ()
        for before, after in zip(_all(row), _all(found), strict=True):
            given = {one.feature_hash: _said(one) for one in before}
            assert {one.feature_hash: _said(one) for one in after if one.answer is not None} == given
            assert None not in [one.kind for one in after]
            hashes = [""] + [option.feature_hash for one in after for option in _options(one)]
            assert all(one.parent is None or one.parent in hashes for one in after)
            nested += sum(one.parent is not None for one in after)

    assert nested >= 3


class World(msgspec.Struct):
    """An ontology's class, and what one object of it has at each frame: as an export, and as it must come out."""

    attributes: list[Json]
    static: list[Json]
    actions: list[Json]
    expected: list[list[Attribute]]


FRAMES = 3


class Builder:
    """Draws a tree of attributes and answers to it; hashes are unique, names are not."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.numbers = itertools.count()

    def attribute(self, depth: int) -> Json:
        """An attribute with all that hangs below it."""
        kind = self.draw(st.sampled_from(["radio", "checklist", "text", "numeric", "slider"]))
        options = []
        for _ in range(self.draw(st.integers(1, 3)) if kind in ("radio", "checklist") else 0):
            below = [self.attribute(depth + 1) for _ in range(self.draw(st.integers(0, 2)) if depth < 3 else 0)]
            options.append(make.ontology_option(self.name(), f"opt{next(self.numbers)}", *below))
        flags = {"archived": self.draw(st.booleans()), "dynamic": depth == 1 and self.draw(st.booleans())}
        return make.ontology_attribute(
            kind, *options, name=self.name(), feature_hash=f"attr{next(self.numbers)}", **flags
        )

    def name(self) -> str:
        """One of few names."""
        return self.draw(st.sampled_from(["state", "colour", "None", "größe"]))

    def answer(
        self, attribute: Json, *, parent: str | None = None, changing: bool, gone: bool = False
    ) -> tuple[list[Json], list[Attribute]]:
        """Answers to an attribute and what its answer opens: entries of an export, and attributes in order."""
        hash_, name = str(attribute["featureNodeHash"]), str(attribute["name"])
        kind = None if attribute["type"] == "slider" else attribute["type"]
        gone = gone or bool(attribute["archived"])
        options: list[Json] = attribute.get("options", [])  # type: ignore[assignment]  # free JSON
        chosen: list[Json] = []
        given: object = self.draw(st.sampled_from(["", "text one", "text two"]))
        if kind == "radio":
            chosen = [self.draw(st.sampled_from(options))] if given else []
            given = [make.option("old name", str(one["featureNodeHash"])) for one in chosen] or None
        elif kind == "checklist":
            chosen = [one for one in options if self.draw(st.booleans())]
            ticked = [make.option("old name", str(one["featureNodeHash"])) for one in chosen]
            given = self.draw(st.permutations(ticked)) if given else None
            chosen = chosen if given is not None else []
        elif kind == "numeric":
            given = self.draw(st.none() | st.floats(-1e6, 1e6))
        if given is None or given == "":
            return [], [] if gone else [Attribute(hash_, name, None, changing, kind, parent)]  # type: ignore[arg-type]
        answer = given
        if isinstance(given, list):
            answer = tuple(Option(str(o["featureNodeHash"]), str(o["label"]), str(o["value"])) for o in chosen)
        entries = [make.answer(given, self.name(), hash_)]
        expected = [Attribute(hash_, name, answer, changing, kind, parent)]  # type: ignore[arg-type]  # free JSON
        for option in chosen:
            below: list[Json] = option.get("options", [])  # type: ignore[assignment]  # free JSON
            for one in below:
                more = self.answer(one, parent=str(option["featureNodeHash"]), changing=changing, gone=gone)
                entries += more[0]
                expected += more[1]
        return entries, expected


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A class whose outermost attributes are dynamic or not, answered at random, with entries in any order."""
    builder = Builder(draw)
    world = World([builder.attribute(1) for _ in range(draw(st.integers(0, 3)))], [], [], [[] for _ in range(FRAMES)])
    for attribute in world.attributes:
        if attribute["dynamic"]:
            for frame, expected in enumerate(world.expected):
                entries, found = builder.answer(attribute, changing=True)
                world.actions += [one | {"dynamic": True, "range": [[frame, frame]]} for one in entries]
                expected += found
        else:
            entries, found = builder.answer(attribute, changing=False)
            world.static += entries
            for expected in world.expected:
                expected += found
    random.Random(draw(st.integers(0, 99))).shuffle(world.static)
    return msgspec.structs.replace(world, actions=draw(st.permutations(world.actions)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds())
def test_answers_come_out_as_they_were_given(world: World) -> None:
    """Whatever the ontology and the answers: each with its parent, in order, at its frames, and none lost."""
    row = make.video_row(
        {number: [make.box()] for number in range(FRAMES)},
        object_answers={"object01": {"objectHash": "object01", "classifications": world.static}},
        object_actions={"object01": {"objectHash": "object01", "actions": world.actions}},
    )

    found, findings = resolved(row, ontology(*world.attributes))

    assert [list(attributes(found, frame)) for frame in range(FRAMES)] == world.expected
    assert findings == []


def _all(row: LabelRow) -> list[tuple[Attribute, ...]]:
    """The attributes of every object and classification of a row."""
    given = [*row.classifications, *(one for frame in row.frames for one in frame.classifications)]
    return [item.attributes for frame in row.frames for item in frame.objects] + [one.attributes for one in given]


def _said(attribute: Attribute) -> object:
    """An answer without the names of its options."""
    if isinstance(attribute.answer, tuple):
        return {option.feature_hash for option in attribute.answer}
    return attribute.answer


def _options(attribute: Attribute) -> tuple[Option, ...]:
    return attribute.answer if isinstance(attribute.answer, tuple) else ()
