"""Plain rows have, by the fast way, the digest that `fingerprint` gives them, whatever stands in them."""

import copy
import json
import math
import random
import struct
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.generate import export_rows
from encord_dagster.encord import plain, plain_fingerprint, plain_kept
from encord_dagster.encord.container import RowSlice, iter_rows
from encord_dagster.encord.fingerprint import VOLATILE, fingerprint
from encord_dagster.errors import ExportError
from encord_dagster.samples import first_export, large_project, next_export
from tests import factories as make
from tests.effort import examples
from tests.encord.rows import label_rows
from tests.encord.spellings import FREE, of_objects, of_row, of_units, places
from tests.encord.test_plain_rows import DAY, PLAIN, compact, reader, slice_of
from tests.factories import REAL_EXPORTS, Json, real_export

_SETTINGS = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
NINES = "9" * 400
AS_JSON = [
    *("0", "-0.0", "-1.5", "1e0", "1e1", "1E15", "4e15", "7.0E+2", "100.00", "0.0001", "-0.0001", "0.00010"),
    *("0.1234567890123456789", "0.30000000000000004", "123456789.125", "9007199254740993", "9999999999999998"),
]
EXPONENTS = [
    *("1e-5", "1E-05", "0.00001", "0.000099999999", "10000e-9", "-3e-7", "5e-324", "2.2250738585072014e-308"),
    *("1e16", "10000000000000000", "-1E+16", "18446744073709551615", "18446744073709551616", "1.5e300", "9e22"),
]
OTHER = [
    *("-0", "-0 ", "-0\n", "1e-7\r\n\t", "-0e0", "-0E5", "-0.0e3", "-7", "1e-0", "1e-400", "1e400", "-1e999"),
    *(NINES, f"-{NINES}", "9999999999999999"),
]
TEXTS = [
    *('"é"', '"\\u00E9"', '"\\u007f"', '"\x7f"', '"\\b\\f\\n\\r\\t"', '"\\u0000\\u001f"', '"\\/ /"', '"a\\"b\\\\"'),
    *('"\\ud83d\\ude00 \U0001f600"', '"\\ud83d"', '"\u8f66"', '"\u2028\ufeff\uffff"', '""', '"-0]"', '"0.0000"'),
]
VALUES = [
    *("null", "true", "false", "[]", "{}", "[null]", "[{}]", "NaN", '"-Infinity"', '{"reviews":1}', '{"a":null}'),
    *('{"0":1}', '{"1":1,"0":2}', '{"0":1,"2":2}', '{"0":{"x":1,"y":0.5},"1":{"y":0,"x":1}}', '{"isDeleted":false}'),
    *('{"isDeleted":true}', '{"a":{"b":[1,{"c":null}]}}', '{"\U0001f600":1,"\uffff":2,"z":3,"\u00e9":4,"":5}'),
]
KEYS = [
    *(["0"], ["1"], ["1", "0"], ["0", "2"], ["0", "01"], ["\u00e9", "z", "\U0001f600", "\uffff"], ["\x7f"]),
    *(["reviews"], ["isDeleted", "0"], ["data_link", "1", "0"], [*map(str, range(12))], sorted(map(str, range(12)))),
]
RARE = make.image_row(
    *(make.rotated_box(), make.circle(), make.ellipse(), make.polyline(), make.point(), make.skeleton()),
    make.bitmask("09", top=3, isDeleted=False),
    make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6], [0.2, 0.2, 0.3, 0.2, 0.3, 0.3]]], "object11"),
    spaces={},
    is_valid=True,
    is_shadow_data=0,
    priority=1,
    client_metadata={"a": [{}, None], "0": None},
    workflow_graph_node={"uuid": "0c7f0f0d-2c5a", "title": "Review"},
)
DOCUMENTS = [*PLAIN, RARE]


def keyed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with keys of which some mean something."""
    keys = st.sampled_from(["0", "1", "2", "isDeleted", *sorted(VOLATILE)]) | st.text(max_size=3)
    return st.dictionaries(keys, values, max_size=4)


def same(raw: bytes) -> bool:
    """Whether both ways lead to one digest."""
    return plain_fingerprint.plain_fingerprint(raw) == fingerprint(raw)


def same_as_read(*raws: bytes) -> list[bool]:
    """Which rows the fast reader reads, all together; those have the digest of `fingerprint`."""
    found = reader().read([slice_of(raw) for raw in raws])
    assert all(one is None or one.event.fingerprint == fingerprint(raw) for one, raw in zip(found, raws, strict=True))
    return [one is not None for one in found]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The rows that the fast way leaves to `fingerprint`, as they come."""
    found: list[bytes] = []

    def noted(raw: bytes) -> str:
        found.append(raw)
        return fingerprint(raw)

    monkeypatch.setattr(plain_fingerprint, "fingerprint", noted)
    monkeypatch.setattr("encord_dagster.encord.plain_rows.fingerprint", noted)
    return found


def spelled(document: Json, values: list[str]) -> Iterator[bytes]:
    """The row with each value, as it is spelled, in each place in turn."""
    changed = copy.deepcopy(document)
    for holder, key in list(places(changed)):
        before, holder[key] = holder[key], "here"
        text = compact(changed).decode()
        holder[key] = before
        yield from (text.replace('"here"', value).encode() for value in values)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_rows_of_all_kinds_take_the_fast_way(document: Json, left: list[bytes]) -> None:
    """However they are set."""
    for raw in (compact(document), json.dumps(document).encode(), json.dumps(document, indent=1).encode()):
        assert same(raw)
        assert same_as_read(raw) == [True]
    assert left == []
    assert same(compact(json.loads(compact(document), object_pairs_hook=lambda pairs: dict(pairs[::-1]))))


@pytest.mark.parametrize("document", [PLAIN[5], PLAIN[7], PLAIN[8], RARE])
@pytest.mark.parametrize("values", [AS_JSON, EXPONENTS, OTHER, TEXTS, VALUES])
def test_any_value_in_any_place(document: Json, values: list[str]) -> None:
    """Whether it may stand there or not, and whether the readers take it."""
    assert all(map(same, spelled(document, values)))


def numbered(value: str) -> list[bytes]:
    """Rows with a number in every place for one that is not judged."""
    box = f'{{"x":{value},"y":{value},"w":{value},"h":{value}}}'
    texts = [compact(of_objects(boundingBox="box")(PLAIN[0])).decode().replace('"box"', box)]
    texts += [compact(of(PLAIN[4])).decode().replace('"here"', value) for of in (of_row(priority="here"),)]
    return [text.encode() for text in texts]


@pytest.mark.parametrize("value", AS_JSON)
def test_usual_numbers_take_the_fast_way(value: str, left: list[bytes]) -> None:
    """However many digits they have, and with exponents that json does not write."""
    for raw in numbered(value):
        assert same(raw)
    assert left == []


@pytest.mark.parametrize("value", [*EXPONENTS, "-0"])
def test_numbers_that_json_writes_otherwise_are_left(value: str, left: list[bytes]) -> None:
    """With an exponent, or with a sign."""
    for raw in numbered(value):
        assert same(raw)
    assert left == numbered(value)


def test_numbers_between_are_written_as_json_writes_them() -> None:
    """All from 1e-4 to 1e16, to the last digit."""
    rng = random.Random(7)
    read, write = msgspec.json.Decoder(plain_kept.Number).decode, plain_fingerprint._ENCODER.encode
    given = [0.0, -0.0, 1e-4, math.nextafter(1e16, 0), 2.0**53, 2.0**53 - 1, 0.1 + 0.2]
    for _ in range(examples(20_000)):
        given += [round(rng.random(), rng.randrange(4, 18)), rng.random() * 10 ** rng.randrange(-3, 16)]
        given += struct.unpack("d", struct.pack("Q", rng.getrandbits(64)))
    usual = [number for number in given if number == 0 or 1e-4 <= abs(number) < 1e16]
    assert len(usual) > examples(40_000) / 2
    for number in usual:
        text = repr(number).encode()
        assert write(number) == write(read(text)) == text


def test_every_character_is_escaped_as_json_escapes_it(left: list[bytes]) -> None:
    """In names, and as keys; also where it is written as an escape."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    row = make.image_row(make.box(name="".join(characters), value="a".join(characters[::97])))
    row["client_metadata"] = {one: {one: 1} for one in characters[::101]}
    raws = [compact(row), json.dumps(row, ensure_ascii=False).encode()]
    assert raws[0].isascii()
    assert not raws[1].isascii()
    assert all(map(same, raws))
    assert left == []


@pytest.mark.parametrize("keys", KEYS)
def test_objects_with_odd_keys(keys: list[str]) -> None:
    """Lists where they count up from 0, in the order of code points otherwise, and without volatile ones."""
    image: Any = PLAIN[0]
    (unit,) = image["data_units"].values()
    film: Any = PLAIN[8]
    (video,) = film["data_units"].values()
    points = {key: {"x": number / 16, "y": 0.5} for number, key in enumerate(keys)}
    answers = {key: {"objectHash": key, "classifications": [make.answer("a", key)]} for key in keys}
    actions = {key: {"objectHash": key, "actions": [make.action("a", [[0, 1]])]} for key in keys}
    documents = [
        image | {"data_units": {key: unit | {"data_hash": key} for key in keys}},
        image | {"object_answers": answers},
        image | {"object_actions": actions},
        image | {"classification_answers": answers, "client_metadata": points, "workflow_graph_node": points},
        film | {"data_units": {key: video | {"metadata": dict.fromkeys(keys, "a")} for key in keys}},
        film | {"data_units": {"film": video | {"labels": dict.fromkeys(keys, make.labels(make.box()))}}},
        *(of_objects(**{shape: points})(image) for shape in ("polygon", "polyline", "point", "skeleton")),
    ]
    for document in documents:
        assert same(compact(document))
        assert same(json.dumps(document, ensure_ascii=False, indent=0).encode())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_keys_that_nobody_knows(document: Json) -> None:
    """In any object, alone and beside a row without; also one that is there twice."""
    other, changed, read = compact(make.image_row(make.box())), copy.deepcopy(document), 0
    holders = {id(holder): holder for holder, _ in places(changed) if isinstance(holder, dict)}
    for holder in holders.values():
        for value in ("1", "null", '{"a":[{}]}'):
            holder["z"] = json.loads(value)
            read += same_as_read(compact(changed), json.dumps(changed, indent=0).encode(), other).count(True)
        del holder["z"]
        pair = f"{json.dumps(min(holder))}:{compact(holder[min(holder)]).decode()}".encode()
        assert same_as_read(other, compact(document).replace(pair, pair + b"," + pair, 1)) == [True, False]
    assert read > 6 * len(holders)


def test_depth_of_a_point(left: list[bytes]) -> None:
    """A key that only the tolerant reader looks at counts."""
    points = [make.point(), make.point(z=0.5), make.point(z=0.25)]
    found = [compact(make.image_row(one)) for one in points]
    assert same_as_read(*found) == [True, True, True]
    assert len({*map(plain_fingerprint.plain_fingerprint, found)}) == 3
    assert left


@pytest.mark.parametrize("depth", [1, 100, 100_000])
def test_rows_nested_deep(depth: int) -> None:
    """Have the same digest, or none."""
    raw = compact(RARE | {"client_metadata": "deep"}).replace(b'"deep"', depth * b"[" + depth * b"]")
    if depth > sys.getrecursionlimit():
        with pytest.raises(RecursionError):
            same(raw)
    else:
        assert same(raw)


@pytest.mark.parametrize("free", FREE)
def test_rows_of_all_years(free: str, left: list[bytes]) -> None:
    """With other keys, which send a row the long way if nobody knows them, or if a text looks like one."""
    for document in DOCUMENTS:
        raw = compact(FREE[free](document))
        same_as_read(raw, compact(document))
        if not free.startswith("any key"):
            assert same(raw)
    if not free.startswith(("any key", "a text that looks")):
        assert left == []


@_SETTINGS
@given(st.lists(label_rows(), min_size=1, max_size=3), st.booleans())
def test_rows_of_any_shape(documents: list[Json], ascii_only: bool) -> None:
    """Several together, with names of all kinds."""
    raws = [json.dumps(document, ensure_ascii=ascii_only).encode() for document in documents]
    same_as_read(*raws)
    assert all(map(same, raws))


@_SETTINGS
@given(
    st.sampled_from(DOCUMENTS),
    st.text(max_size=30),
    st.one_of(st.floats(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False).map(float)),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda one: st.lists(one) | keyed(one)),
)
def test_texts_numbers_and_metadata_of_all_kinds(document: Json, text: str, number: float, more: object) -> None:
    """Wherever they may stand."""
    document = of_objects(name=text, confidence=number)(document)
    document = of_units(data_title=text, data_fps=number)(document)
    document = of_row(client_metadata=more, priority=number, dataset_title=text)(document)
    for ascii_only in (True, False):
        raw = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        assert same(raw)


@_SETTINGS
@given(st.sampled_from(DOCUMENTS), st.sampled_from(sorted(FREE)), st.integers(0, 10**9))
def test_both_ways_are_awake_to_the_same_bytes(document: Json, free: str, seed: int) -> None:
    """A byte changed, lost or repeated changes both digests or none."""
    rng = random.Random(seed)
    before = compact(FREE[free](document))
    raws: list[bytes] = []
    for _ in range(20):
        damaged = bytearray(before)
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.randrange(2)] = rng.choice(
            (b"", b'"', b"0", b"-", b".", b"e", b"E1", b" ", b"\xc3\xa9", b"n")
        )
        try:
            raws += [piece.raw for piece in iter_rows(b"[" + damaged + b"]")]
        except ExportError:
            continue
    for raw in raws:
        same_as_read(raw, before)
    same_as_read(before, *raws)


def test_exports_of_samples_and_benchmarks(left: list[bytes]) -> None:
    """Rows as the platform writes them take the fast way, nearly all."""
    first = first_export(large_project(40, seed=3), exported_at=DAY)
    exports = [first, next_export(first, seed=4, exported_at=DAY, changed=4)]
    raws = [piece.raw for data in exports for piece in iter_rows(data)]
    raws += [msgspec.json.encode(row) for row in export_rows("mixed", "XS")]
    read = same_as_read(*raws)
    assert sum(read) > 0.8 * len(raws) > 70
    assert len(left) <= 0.1 * len(raws)


def test_real_rows_take_the_fast_way(left: list[bytes]) -> None:
    """All that are read at once, each alone and together."""
    real_export("platform_rows.json")
    paths = [REAL_EXPORTS / "platform_rows.json", *sorted((REAL_EXPORTS / "fixture_rows").glob("*.rows.json"))]
    pieces: list[RowSlice] = [piece for path in paths for piece in iter_rows(path.read_bytes())]
    raws = [piece.raw for piece in pieces]
    read = same_as_read(*raws)
    assert read == [same_as_read(raw) == [True] for raw in raws]
    assert sum(read) > 10
    assert left == []


def test_what_counts_is_kept_and_the_rest_is_volatile() -> None:
    """A field that is new in one of the structs is in the other too, or is volatile."""
    pairs: dict[type[msgspec.Struct], Any] = {
        plain.Box: plain_kept.Box,
        plain.Bitmask: plain_kept.Bitmask,
        plain.Object: plain_kept.Object,
        plain.Slice: plain_kept.Slice,
        plain.Frame: plain_kept.Frame,
        plain.Image: plain_kept.Unit,
        plain.Film: plain_kept.Unit,
        plain.Answers: plain_kept.Answers,
        plain.Actions: plain_kept.Actions,
        plain.ImageRow: plain_kept.Row,
        plain.FilmRow: plain_kept.Row,
    }
    parts = {plain.Unit, plain.Head, plain.Row, plain.Nothing}  # bases, and what has no field
    of_volatile = {plain.Exported}
    assert {*pairs} | parts | of_volatile == set(_structs(plain))
    for read, kept in pairs.items():
        assert {*kept.__struct_encode_fields__} == {*read.__struct_encode_fields__} - VOLATILE


def test_fields_are_written_in_order() -> None:
    """The encoder sorts the keys of objects, but takes fields as they stand; none of them is volatile."""
    for kept in _structs(plain_kept):
        fields = list(kept.__struct_encode_fields__)
        assert fields == sorted(fields)
        assert VOLATILE.isdisjoint(fields)


def test_what_is_unread_is_unread_or_strict() -> None:
    """Keys of what `plain` leaves unread are counted whether they are known or not."""
    unread = {name for name, kind in plain.Object.__annotations__.items() if "Raw" in str(kind)} - {"reviews"}
    kinds = plain_kept.Object.__annotations__
    strict = {name for name in unread if "Raw" not in str(kinds[name])}
    assert strict == {"polygon", "polygons", "polyline", "point", "rotatable_bounding_box"}
    assert plain_kept.Point.__struct_config__.forbid_unknown_fields
    assert plain_kept.TurnedBox.__struct_config__.forbid_unknown_fields


def _structs(module: Any) -> Iterator[type[msgspec.Struct]]:
    for held in vars(module).values():
        if isinstance(held, type) and issubclass(held, msgspec.Struct) and held.__module__ == module.__name__:
            yield held


def test_a_msgspec_that_writes_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows would seem to have changed. That of today is used."""
    assert plain_fingerprint._writes_alike()

    class Other:
        def encode(self, value: object) -> bytes:
            return msgspec.json.encode(value, order="deterministic").replace(b"0.1,", b"1e-1,")

    monkeypatch.setattr(plain_fingerprint, "_ENCODER", Other())
    plain_fingerprint._writes_alike.cache_clear()
    try:
        assert not plain_fingerprint._writes_alike()
        raw = b'{"label_hash":"00000","x":1}'
        assert plain_fingerprint.plain_fingerprint(raw) == fingerprint(raw)
    finally:
        plain_fingerprint._writes_alike.cache_clear()
