"""Whatever an export holds, the reader answers with a reading or with its own errors."""

import copy
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import UnusableRow, read_row
from encord_dagster.encord.model import LabelRow
from encord_dagster.errors import ExportError
from encord_dagster.validation import RULES, conservation, validate
from tests import factories as make
from tests.effort import examples
from tests.factories import HEIGHT, WIDTH, Json, real_export

CODES = {rule.name for rule in RULES}
ANSWERS: Json = {
    "object_answers": {
        "object01": {"objectHash": "object01", "classifications": [make.answer([make.option("a", "Option01")])]}
    },
    "object_actions": {"object01": {"objectHash": "object01", "actions": [make.action("left", [[0, 3]])]}},
    "classification_answers": {"classif1": {"classifications": [make.answer("sunny")], "range": [[0, 2]]}},
}
SHAPES = [
    make.box(),
    make.rotated_box(),
    make.polygon(),
    make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6], [0.2, 0.2, 0.3, 0.2, 0.3, 0.3]]], "object09"),
    make.polyline(),
    make.point(),
    make.skeleton(),
    make.bitmask("09", 3, 3, left=5, top=7),
    make.circle(),
    make.ellipse(object_hash="object11", theta=30),
    make.cuboid(),
]
ROWS = [
    make.image_row(*SHAPES, classifications=[make.classification()], **ANSWERS),
    make.group_row(SHAPES[:2], SHAPES[2:], **ANSWERS),
    make.video_row({0: SHAPES, 7: SHAPES[:1]}, **ANSWERS),
    make.dicom_row({0: make.dicom_slice(*SHAPES), 1: make.dicom_slice(uid="1.2", multiframe=3)}, **ANSWERS),
    make.nifti_row({127: SHAPES}, **ANSWERS),
    make.audio_row(make.entry("audio", {})),
    make.image_row(*SHAPES, data_type="deleted"),
    make.image_row(*SHAPES, spaces={"root": {"labels": {"0": make.labels(make.box())}}}),
]
ODD = st.sampled_from(
    [None, True, False, 0, -1, 1, 0.5, 1e308, -1e-308, 2**63, 10**30, float("nan"), float("inf"), float("-inf")]
    + ["", "null", "x", "0", "-5", "1e400", "NaN", "\ud800", "é\u202e@", "a" * 70, "9" * 5000]
    + [[], {}, [[]], {"0": {}}, {"x": 0.5}, {"x": 0.5, "y": 0.5}, [0.1, 0.2], [{"featureHash": "x"}], {"0": None}]
)
WHOLE = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def outcome(data: bytes) -> list[LabelRow | str]:
    """The rows of an export, or the reasons why they cannot be used; anything else fails the test."""
    try:
        pieces = list(iter_rows(data))
    except ExportError as error:
        assert error.reason in CODES
        return [error.reason]
    found: list[LabelRow | str] = []
    for piece in pieces:
        try:
            reading = read_row(piece)
        except UnusableRow as error:
            assert error.reason in CODES
            found.append(error.reason)
            continue
        assert conservation(reading.row) is None
        assert {finding.rule for finding in (*reading.findings, *validate(reading.row))} <= CODES
        found.append(reading.row)
    return found


def places(value: object) -> list[tuple[Json | list[object], str | int]]:
    """Every place in a document that can hold another value."""
    found: list[tuple[Json | list[object], str | int]] = []
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            found += [(here, key) for key in here]
            stack += here.values()
        elif isinstance(here, list):
            found += [(here, index) for index in range(len(here))]
            stack += here
    return found


@settings(max_examples=examples(400), deadline=None)
@given(
    st.sampled_from(ROWS),
    st.integers(0, 2**32),
    st.lists(WHOLE, min_size=1, max_size=3),
    st.sampled_from(["set", "delete", "wrap", "move"]),
)
def test_a_row_with_odd_values_anywhere_is_read_or_refused(row: Json, seed: int, odd: list[object], how: str) -> None:
    """One to three places hold a value of another kind, are missing, wrapped, or swapped with another place."""
    chance = random.Random(seed)
    mutated = copy.deepcopy(row)
    for value in odd:
        holder, key = chance.choice(places(mutated) or [(mutated, "label_hash")])
        mutate(holder, key, value, how, chance, mutated)

    found = outcome(make.encode([mutated]))

    assert len(found) == 1


def mutate(
    holder: Json | list[object], key: str | int, value: object, how: str, chance: random.Random, whole: Json
) -> None:
    """Change one place of a document."""
    match how:
        case "delete":
            del holder[key]  # type: ignore[arg-type]  # the key is of its holder
        case "wrap":
            holder[key] = chance.choice([[holder[key]], {"0": holder[key]}])  # type: ignore[index]  # as above
        case "move":
            other, at = chance.choice(places(whole))
            holder[key] = copy.deepcopy(other[at])  # type: ignore[index]  # as above
        case _:
            holder[key] = copy.deepcopy(value)  # type: ignore[index]  # as above


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(ROWS), st.integers(0, 2**32), st.integers(1, 4))
def test_an_export_with_damaged_bytes_is_read_or_refused(row: Json, seed: int, count: int) -> None:
    """Bytes flipped, dropped and repeated, as bad disks and bad uploads do it."""
    chance = random.Random(seed)
    data = bytearray(make.encode([row, row]))
    for _ in range(count):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 50)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 50)]
            case _:
                data[at:at] = chance.choice([b'"', b"{", b"]", b",", b"NaN", b"\xff", b"\\"])

    found = outcome(bytes(data))

    assert found


@settings(max_examples=examples(200), deadline=None)
@given(WHOLE | st.binary(max_size=40))
def test_anything_at_all_is_read_or_refused(value: object) -> None:
    """Documents that never were an export."""
    data = value if isinstance(value, bytes) else make.encode(value)

    assert all(isinstance(one, str) for one in outcome(data))


@pytest.mark.parametrize("seed", range(8))
def test_real_rows_with_odd_values_are_read_or_refused(seed: int) -> None:
    """The rows of the platform, each mutated 40 times."""
    chance = random.Random(seed)
    rows = json.loads(real_export("platform_rows.json"))

    for _ in range(40):
        mutated = copy.deepcopy(chance.choice(rows))
        holder, key = chance.choice(places(mutated))
        mutate(
            holder,
            key,
            chance.choice([None, "", -1, 1e9, [], {}, "x y", [5]]),
            chance.choice(["set", "delete", "wrap", "move"]),
            chance,
            mutated,
        )

        assert len(outcome(make.encode([mutated]))) == 1


def test_the_rows_of_these_tests_are_good() -> None:
    """A fuzz test that starts from refused rows proves nothing."""
    found = outcome(make.encode(ROWS))

    assert all(isinstance(one, LabelRow) and not one.quarantined for one in found)
    assert sum(one.objects_in for one in found if isinstance(one, LabelRow)) == 80
    assert (WIDTH, HEIGHT) == (1280, 720)
