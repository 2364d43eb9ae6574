"""N: names that would be paths, commands, markup or other names elsewhere.

Each is planted as title, class name, answer, and as every hash. Titles are dropped and hashes must be hashes; class
names and answers are published as the text they are, without unseen characters; none becomes part of a key.
"""

import json
import unicodedata
from collections.abc import Sequence

from encord_dagster.outcomes import ExportOutcome
from tests import factories as make
from tests.factories import Json
from tests.hostile.case import Case, Delivery, Expected, accepted, beside, edited, image, object_quarantined
from tests.lakes import Desk
from tests.published import coco_of

TITLE = "Canary title"


def named(name: str, *, is_hash: bool = False, becomes: str = "") -> list[Delivery]:
    """The name wherever people write names, and wherever hashes stand; `becomes` where it is published otherwise."""
    findings = ("personal_data_removed",) if becomes else ()
    text = make.answer(becomes or name, name, "AttrText")  # an answer keeps its line breaks; names have none
    chosen = make.answer([make.option(name, "OptionA1")], name, "AttrRadi")
    answers: Json = {"object01": {"objectHash": "object01", "classifications": [text, chosen]}}
    shown = image(make.box(name=name, value=name), data_title=TITLE + name, dataset_title=TITLE + name)
    shown |= {"object_answers": answers, "workflow_graph_node": {"title": name}, "label_status": name}
    found = [
        Delivery(data=beside(shown), expected=accepted(3, "unknown_status", *findings), seen=(seen(becomes or name),))
    ]
    return found + (_legal_hashes(name) if is_hash else _no_hashes(name))


def _legal_hashes(name: str) -> list[Delivery]:
    """Encord's hashes hold / and +: such a name is one."""
    unit = make.unit(name, "image/png", make.labels(make.box(object_hash=name, featureHash=name)))
    row = make.row("image", [unit], label_hash=name, export_hash=name, dataset_hash=name)
    return [Delivery(data=beside(row), expected=accepted(2))]


def _no_hashes(name: str) -> list[Delivery]:
    """What is no hash costs the object, or the row, that it names."""
    unit = make.unit("data-0", "image/jpeg", make.labels(make.box())) | {"data_hash": name}
    rows: Sequence[tuple[Json, Expected]] = (
        (image(make.box(object_hash=name)), object_quarantined("bad_hash")),
        (image(make.box(featureHash=name)), object_quarantined("bad_hash")),
        (make.image_row(make.box(), label_hash=name), Expected(rows=("bad_hash",), published=1)),
        (edited(make.image_row(make.box()), data_units={name: unit}), Expected(rows=("bad_hash",), published=1)),
        (make.image_row(make.box(), dataset_hash=name), accepted(2, "bad_hash")),
        (make.image_row(make.box(), export_hash=name), accepted(2, "bad_history")),
    )
    return [Delivery(data=beside(row), expected=expected) for row, expected in rows]


def twins(one: str, other: str) -> list[Delivery]:
    """Two classes whose names look alike stay two classes with the names they have."""
    objects = [
        make.box(name=one, featureHash="TwinsCl1"),
        make.box(0.1, name=other, featureHash="TwinsCl2", object_hash="object02"),
    ]
    return [Delivery(data=beside(make.image_row(*objects)), expected=accepted(3), seen=(one, other))]


def two_classes(desk: Desk, outcomes: Sequence[ExportOutcome]) -> list[str]:
    """A complaint where twins were taken for one class or renamed."""
    held = [one["name"] for one in coco_of(desk)["categories"]]
    wanted = {str(name) for outcome in outcomes for name in outcome.classes}
    found = [] if wanted <= set(held) else [f"categories are {held}, the classes {sorted(wanted)}"]
    if len(wanted) != 3:
        found.append(f"the export's classes are {sorted(wanted)}, not three")
    return found


def seen(name: str) -> str:
    """A text as JSON writes it."""
    return json.dumps(name, ensure_ascii=False)[1:-1]


LONG = "long" + "e" * 296
COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "Größe"), unicodedata.normalize("NFD", "Größe")
IMAGE = "<img src=x onerror=alert(1)>"
LINK = "![](http://tracker.example.com/pixel.png)"

CASES = (
    Case(id="N01", name="../../x", make=lambda: named("../../x"), absent=(TITLE,)),
    Case(id="N02", name="/etc/passwd", make=lambda: named("/etc/passwd", is_hash=True), absent=(TITLE,)),
    Case(id="N03", name="a/b, a legal hash", make=lambda: named("a/b", is_hash=True), absent=(TITLE,)),
    Case(id="N04", name="C:\\x", make=lambda: named("C:\\x"), absent=(TITLE,)),
    Case(id="N05", name="CON", make=lambda: named("CON", is_hash=True), absent=(TITLE,)),
    Case(id="N06", name="300 characters", make=lambda: named(LONG), absent=(TITLE,)),
    Case(
        id="N07",
        name="newline",
        make=lambda: named("first\nsecond\r\n\tthird", becomes="first second   third"),
        absent=(TITLE, "first\nsecond", "first\\nsecond"),
    ),
    Case(
        id="N08",
        name="nul",
        make=lambda: named("before\0after", becomes="beforeafter"),
        absent=(TITLE, "before\0", "before\\u0000", "before\\x00"),
    ),
    Case(
        id="N09",
        name="right-to-left override",
        make=lambda: named("gpj.\u202eexe", becomes="gpj.exe"),
        absent=(TITLE, "gpj.\u202e", "gpj.\\u202e"),
    ),
    Case(
        id="N10",
        name="homoglyph twins",
        make=lambda: twins("paypal", "p\u0430ypal"),
        then=two_classes,
    ),
    Case(
        id="N11",
        name="composed and decomposed twins",
        make=lambda: twins(COMPOSED, DECOMPOSED),
        then=two_classes,
    ),
    Case(id="N12", name="leading dot", make=lambda: named(".hidden"), absent=(TITLE,)),
    Case(id="N13", name="=cmd()", make=lambda: named("=cmd|'/c calc'!A0"), absent=(TITLE,)),
    Case(id="N14", name=IMAGE, make=lambda: named(IMAGE), absent=(TITLE,)),
    Case(id="N15", name=LINK, make=lambda: named(LINK), absent=(TITLE,)),
)
