"""The fast reader reads what the tolerant one reads, value for value, or leaves the row to it."""

import copy
import json
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encord_dagster.encord import (
    frames,
    head,
    history,
    instances,
    masks,
    object_answers,
    pixels,
    plain,
    plain_keys,
    units,
)
from encord_dagster.encord.container import RowSlice, iter_rows
from encord_dagster.encord.label_rows import RowReading, UnusableRow, read_row
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.privacy import Disclosure
from encord_dagster.encord.units import IMAGE_TYPES
from encord_dagster.errors import ExportError
from encord_dagster.samples import bad_row, first_export, large_project, next_export
from tests import factories as make
from tests.effort import examples
from tests.encord.rows import label_rows
from tests.encord.spellings import FREE, of_objects, places, ranged
from tests.factories import REAL_EXPORTS, Json, real_export

_SETTINGS = settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
DAY = datetime(2024, 3, 1, tzinfo=UTC)
NAMES = (
    *("unknown", "0", "x", "isDeleted", "polygon", "circle", "bounding_box", "manual_annotation", "theta", "range"),
    *("spaces", "workflow_graph_node", "client_metadata", "is_shadow_data", "metadata", "labels", "featureHash"),
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    "null",
    "None",
    "x",
    -1,
    0,
    0.5,
    2,
    True,
    False,
    [],
    {},
    [1],
    {"0": {}},
    "a b",
    1e400,
    "NaN",
)
PLAIN = [
    make.image_row(make.box(), make.polygon(), make.bitmask("09", make.WIDTH, make.HEIGHT, object_hash="object09")),
    make.image_row(make.box(), make.polyline(), make.point(), make.skeleton(), make.rotated_box()),
    make.image_row(make.box(lastEditedBy="a@example.com", lastEditedAt=None, reviews=[], isDeleted=False)),
    make.group_row([make.box()], [make.box(x=0.1)], []),
    make.video_row({3: [make.box()], 1: [make.box(), make.point()], 10: []}),
    make.dicom_row({0: make.dicom_slice(make.box()), 1: make.dicom_slice(uid="1.2.3.4.6", width=300, height=400)}),
    make.nifti_row({127: [make.box()]}),
    make.image_row(
        make.box(),
        classifications=[make.classification()],
        classification_answers={
            "classif1": {"classificationHash": "classif1", "classifications": [make.answer("sun")]}
        },
        object_answers={
            "object01": {"objectHash": "object01", "classifications": [make.answer([make.option("a", "Option01")])]}
        },
    ),
    make.video_row(
        {number: [make.box()] for number in range(6)},
        object_actions={
            "object01": {
                "objectHash": "object01",
                "actions": [make.action("left", [[0, 1], [4, 4]]), make.action("right", [[2, 3]])],
            }
        },
    ),
    make.image_row(make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6], [0.2, 0.2, 0.3, 0.2, 0.3, 0.3]]], "object09")),
    make.image_row(make.box(x=0.96, w=0.1), make.box(x=2, object_hash="object02"), make.polygon([(0.1, 0.1)] * 4)),
]


def reader() -> PlainReader:
    """A fast reader that publishes nothing beyond labels."""
    return PlainReader(relations=frozenset(), disclosure=Disclosure(), keep_going=True)


def slice_of(raw: bytes) -> RowSlice:
    """A row alone in its export."""
    return RowSlice(0, 0, len(raw), raw)


def written(reading: RowReading) -> bytes:
    """All of a reading; runs are the same in a tuple and in an array."""
    return msgspec.json.encode(reading, enc_hook=list)


def is_read_alike(piece: RowSlice, fast: PlainReader) -> bool:
    """Whether the fast reader read the row. It fails where the tolerant reader reads it otherwise."""
    (found,) = fast.read([piece])
    if found is None:
        return False
    assert written(found) == written(read_row(piece))
    return True


def compact(document: object) -> bytes:
    """A row as the platform writes it."""
    return json.dumps(document, separators=(",", ":")).encode()


@pytest.mark.parametrize("document", PLAIN)
def test_plain_rows_of_all_kinds_take_the_fast_way(document: Json) -> None:
    """None of these is left to the tolerant reader, also not where one of its objects is bad."""
    assert is_read_alike(slice_of(compact(document)), reader())
    assert is_read_alike(slice_of(json.dumps(document).encode()), reader())


@pytest.mark.parametrize("free", FREE)
def test_rows_of_all_years_take_the_fast_way(free: str) -> None:
    """Keys that are there or not, written so or so, of which nothing is to be said."""
    for document in PLAIN:
        assert is_read_alike(slice_of(compact(FREE[free](document))), reader())


@_SETTINGS
@given(st.sampled_from(PLAIN), st.lists(st.sampled_from(sorted(FREE)), min_size=2, max_size=4), st.booleans())
def test_rows_with_several_of_these_are_read_alike(document: Json, free: list[str], indented: bool) -> None:
    """Whatever goes together, and however it is set."""
    for one in free:
        document = FREE[one](document)
    raw = json.dumps(document, indent=2).encode() if indented else compact(document)
    _read_alike_or_left(raw)


@pytest.mark.parametrize("document", PLAIN)
def test_indented_rows_take_the_fast_way(document: Json) -> None:
    """White space is no key."""
    for indent in (0, 2, "\t"):
        assert is_read_alike(slice_of(json.dumps(document, indent=indent).encode()), reader())


@pytest.mark.parametrize(
    "row",
    [
        make.image_row(make.box()),
        make.group_row([make.box()], [], [make.box(x=0.1)]),
        make.video_row({3: [make.box()], 1: [make.point()], 10: []}),
        make.video_row({}),
        make.dicom_row({0: make.dicom_slice(make.box()), 1: make.dicom_slice(uid="1.2.3.4.6", width=300, height=400)}),
        make.nifti_row({127: [make.box()]}),
    ],
)
def test_ranged_classifications_are_read_alike(row: Json) -> None:
    """At frames that are named or not, within the data or not, also of classifications that frames list."""
    taken = []
    for ranges in ([[0, 0]], [[0, 2]], [[1, 1], [0, 12]], [[2, 4], [3, 3]], [[0, 250]], [[0, 251]], [[0, 10**9]], []):
        for listed in (False, True):
            document = row | {"classification_answers": ranged(*ranges)}
            if listed:
                document = copy.deepcopy(document)
                for holder, key in list(places(document)):
                    if key == "classifications" and "objects" in holder:
                        holder[key] = [make.classification()]
            piece = slice_of(compact(document))
            _read_alike_or_left(compact(document))
            taken.append(reader().read([piece]) != [None])
    assert taken[0]
    assert any(taken[2:])


def test_what_the_tolerant_reader_knows_is_known() -> None:
    """A key that only one of them knows would be read by one of them."""
    known = [
        (head.Head, plain.FilmRow, set()),
        (units._Unit, plain.Film, set()),
        (frames.Labels, plain.Frame, set()),
        (frames._Slice, plain.Slice, set()),
        (instances.Entry, plain.Object, {*plain_keys.OLD_SHAPES, plain_keys.OLD_FLAG}),
        (pixels._Box, plain.Box, {"theta"}),  # which is looked for too
        (masks._Mask, plain.Bitmask, set()),
        (object_answers._Static, plain.Answers, set()),
        (object_answers._Dynamic, plain.Actions, set()),
        (history._Entry, plain.Exported, set()),
    ]
    for tolerant, ours, without in known:
        assert {*tolerant.__struct_encode_fields__} - without <= {*ours.__struct_encode_fields__}


@pytest.mark.parametrize("name", ["1", "0", "00", "007", "x"])
def test_frames_beside_the_labels_of_an_image(name: str) -> None:
    """The tolerant reader takes them for the image itself, so that a row with one is its."""
    for held in ({}, make.labels(), make.labels(make.box(object_hash="object77"))):
        row = make.changed(make.image_row(make.box()), held, "data_units", "data-0", "labels", name)
        assert is_read_alike(slice_of(compact(row)), reader()) == (name == "x")


@pytest.mark.parametrize(
    "changes",
    [
        {"boundingBox": ..., "bounding_box": {"x": 0.1, "y": 0.1, "w": 0.1, "h": 0.1}},
        {"boundingBox": ..., "rot_bounding_box": {"x": 0.1, "y": 0.1, "w": 0.1, "h": 0.1, "theta": 3}},
        {"boundingBox": ..., "circle": {"x": 0.1, "y": 0.1, "r": 0.1}},
        {"boundingBox": {}, "circle": {"x": 0.1, "y": 0.1, "r": 0.1}},
        {"boundingBox": {"x": 0.98, "y": 0.1, "w": 0.1, "h": 0.1}, "something_new": 1},
        {"manual_annotation": []},
        {"manual_annotation": False},
        {"boundingBox": ..., "bounding_box": True},
        {"bounding_box": {"x": 0.1, "y": 0.1, "w": 0.1, "h": 0.1}},
        {"boundingBox": {"x": 0.1, "y": 0.1, "w": 0.1, "h": 0.1, "theta": {}}},
        {"boundingBox": {"x": 0.1, "y": 0.1, "w": 0.1, "h": 0.1, "theta": 5.0}},
        {"boundingBox": {"x": 0.1, "y": 0.1, "w": 0.1, "h": 0.1, "rho": {}}},
        {"shape": "point", "point": {"0": {"x": 0, "y": 0}}, "confidence": 2},
        {"shape": "circle", "circle": {"x": 0.1, "y": 0.1, "r": 0.1}},
        {"shape": "ellipse", "ellipse": {"x": 0.1, "y": 0.1, "rx": 0.1, "ry": 0.2, "theta": 9}},
        {"shape": "cuboid_2d", "cuboid_2d": {"front": [0.1]}, "boundingBox": ...},
    ],
)
def test_shapes_under_other_names(changes: Json) -> None:
    """Are those that the tolerant reader finds."""
    _read_alike_or_left(compact(of_objects(**changes)(make.image_row(make.box()))))


@pytest.mark.parametrize(
    "odd",
    [
        {"workflow_graph_node": {"title": "for somebody@example.com"}},
        {"spaces": {"root": {"space_type": "image", "labels": {"0": make.labels(make.box())}}}},
        {"spaces": []},
        {"client_metadata": {"a": 1, "b": [None]}, "is_shadow_data": {}},
        {"is_image_sequence": "maybe"},
    ],
)
def test_values_of_which_something_may_be_said(odd: Json) -> None:
    """They are read alike, or left."""
    for document in PLAIN:
        _read_alike_or_left(compact(document | odd))


@pytest.mark.parametrize("other", ["video", "image", "dicom"])
def test_another_type_before_that_of_the_row(other: str) -> None:
    """A row is of the type that it states itself, wherever that stands."""
    rows = [*PLAIN, make.video_row({}), make.image_row(make.box())]
    for row in [*rows, *(make.changed(one, {}, "data_units", "data-0", "labels") for one in (rows[0], rows[-1]))]:
        document = {"client_metadata": {"data_type": other}} | row
        _read_alike_or_left(compact(document))
        flat = [make.labels(), make.labels(make.box()), {}]
        for unit in row["data_units"]:  # type: ignore[attr-defined]  # free JSON
            for labels in flat:
                _read_alike_or_left(compact(make.changed(document, labels, "data_units", unit, "labels")))


def test_real_rows_take_the_fast_way() -> None:
    """All with frames of pixels, as they are, but those of which something is to be said and groups."""
    real_export("platform_rows.json")
    left = []
    for path in [REAL_EXPORTS / "platform_rows.json", *sorted((REAL_EXPORTS / "fixture_rows").glob("*.rows.json"))]:
        for piece in iter_rows(path.read_bytes()):
            if not is_read_alike(piece, reader()):
                reading = read_row(piece)
                left += [] if reading.findings or reading.row.data_type not in IMAGE_TYPES else [path.name]
    assert left == []


def test_exports_of_samples_are_read_alike() -> None:
    """Every row of every kind of export, and most of them the fast way."""
    first = first_export(large_project(40, seed=3), exported_at=DAY)
    exports = [first, next_export(first, seed=4, exported_at=DAY, changed=4), bad_row(seed=5)]
    taken = [is_read_alike(piece, reader()) for data in exports for piece in _rows(data)]
    assert len(taken) > 80
    assert sum(taken) > len(taken) / 2


def test_rows_of_the_platform_take_the_fast_way() -> None:
    """Rows that the vendor's platform wrote, but for one of a layout that it wrote once."""
    documents = json.loads(real_export("platform_rows.json"))
    taken = [is_read_alike(slice_of(compact(document)), reader()) for document in documents]
    assert sum(taken) >= len(documents) - 1


@_SETTINGS
@given(st.lists(label_rows(), min_size=1, max_size=3))
def test_rows_of_any_shape_are_read_alike(documents: list[Json]) -> None:
    """Whether they are read alone or several at once."""
    pieces = [slice_of(compact(document)) for document in documents]
    together = reader().read(pieces)
    for piece, found in zip(pieces, together, strict=True):
        assert found is None or written(found) == written(read_row(piece))
        (alone,) = reader().read([piece])
        assert (alone is None) == (found is None)


@_SETTINGS
@given(st.sampled_from(PLAIN), st.sampled_from(sorted(FREE)), st.integers(0, 10**9))
def test_a_row_with_an_odd_value_is_read_alike_or_left_alone(document: Json, free: str, seed: int) -> None:
    """A value replaced, a key removed, added or renamed, anywhere in a plain row."""
    rng = random.Random(seed)
    changed = copy.deepcopy(FREE[free](document))
    holder, key = rng.choice(list(places(changed)))
    match rng.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(NAMES)] = rng.choice(ODD_VALUES)
        case 2 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case _:
            holder[key] = rng.choice(ODD_VALUES)
    _read_alike_or_left(compact(changed).replace(b"Infinity", b"1e400"))


@_SETTINGS
@given(st.sampled_from(PLAIN), st.sampled_from(sorted(FREE)), st.integers(0, 10**9))
def test_a_row_with_a_key_twice_is_left_alone(document: Json, free: str, seed: int) -> None:
    """Which of two values is meant, nobody knows; also where the key is not quite at its colon."""
    rng = random.Random(seed)
    document = FREE[free](document)
    holder, key = rng.choice([place for place in places(document) if isinstance(place[0], dict)])
    text = compact(document).decode()
    pair = f"{json.dumps(key)}:{compact(holder[key]).decode()}"
    assert pair in text
    space = rng.choice(("", " ", "\t", "\n"))
    twice = f"{json.dumps(key)}{space}:{compact(rng.choice(ODD_VALUES[:6])).decode()},{pair}"
    (found,) = reader().read([slice_of(text.replace(pair, twice, 1).encode())])
    assert found is None


@_SETTINGS
@given(st.sampled_from(PLAIN), st.sampled_from(sorted(FREE)), st.integers(0, 10**9))
def test_damaged_bytes_are_read_alike_or_left_alone(document: Json, free: str, seed: int) -> None:
    """A byte changed, lost or repeated."""
    rng = random.Random(seed)
    raw = bytearray(compact(FREE[free](document)))
    at = rng.randrange(len(raw))
    raw[at : at + rng.randrange(2)] = rng.choice(
        (b"", b'"', b"\\", b"0", b"-", b".", b"e9", b"\xff", b" ", b":", b"\n")
    )
    _read_alike_or_left(bytes(raw))


def test_texts_that_look_like_keys_do_not_hide_one() -> None:
    """A quote and a colon in a text, a key that ends in a backslash: such rows are left to the tolerant reader."""
    for text in ('she said "x": y', 'a":', "back\\"):
        document = make.image_row(make.box(name=text))
        _read_alike_or_left(compact(document))
    raw = compact(make.image_row(make.box())).replace(b'"dataset_title"', b'"odd\\\\":1,"odd\\\\":2,"dataset_title"')
    assert reader().read([slice_of(raw)]) == [None]


def _read_alike_or_left(raw: bytes) -> None:
    try:
        pieces = list(iter_rows(b"[" + raw + b"]"))
    except ExportError:
        return
    fast = reader()
    for piece in pieces:
        (found,) = fast.read([piece])
        if found is None:
            continue
        try:
            expected = read_row(piece)
        except UnusableRow as error:
            pytest.fail(f"the tolerant reader refuses the row: {error}")
        assert written(found) == written(expected)


def _rows(data: bytes) -> list[RowSlice]:
    try:
        return list(iter_rows(data))
    except ExportError:
        return []


def test_frames_that_are_spelt_twice_are_left_alone() -> None:
    """1 and 01 are one frame: the tolerant reader says so, and no other row is stopped."""
    text = compact(make.video_row({1: [make.box()], 2: [make.box(x=0.5)]}))

    _read_alike_or_left(text.replace(b'"2":{"objects"', b'"01":{"objects"'))
