"""The bytes of an export: every way in which they hold rows, and every way in which they do not."""

import gzip
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable

import pytest

from encord_dagster.encord import container, head, outline, packed
from encord_dagster.encord.container import iter_rows, open_export
from encord_dagster.encord.label_rows import UnusableRow, read_row
from encord_dagster.errors import ExportError
from tests import factories as make

ROWS = [make.image_row(make.box(name='ä, [\\"]}')), make.video_row({3: [make.point()]}), {"label_hash": "x"}]


def reason(data: bytes) -> str:
    """Why an export is refused: at once, not at its first row."""
    with pytest.raises(ExportError) as caught:
        iter_rows(data)
    assert len(str(caught.value)) > 20
    return caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(ROWS).encode(),
        json.dumps(ROWS, ensure_ascii=False, indent=3).encode(),
        b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
        b" \r\n\t" + json.dumps(ROWS, separators=(" , ", " : ")).encode() + b"\n\n",
        json.dumps({"ontology": {"objects": []}, "labels": ROWS, "count": 3}).encode(),
        b"\xef\xbb\xbf" + json.dumps({"labels": ROWS}, indent=1).encode(),
        b"\n".join(json.dumps(row).encode() for row in ROWS),
        b"\xef\xbb\xbf\n" + b"\r\n\r\n".join(json.dumps(row).encode() for row in ROWS) + b"\r\n",
    ],
    ids=["array", "indented", "bom", "spaced", "wrapper", "wrapper with bom", "lines", "lines with gaps"],
)
def test_rows_are_cut_at_their_bytes(data: bytes) -> None:
    """Each slice is the row itself, at its place in the export."""
    pieces = list(iter_rows(data))

    assert [json.loads(piece.raw) for piece in pieces] == ROWS
    assert [data[piece.offset : piece.offset + piece.length] for piece in pieces] == [piece.raw for piece in pieces]
    assert [piece.index for piece in pieces] == [0, 1, 2]


@pytest.mark.parametrize("spacing", [None, 2])
def test_one_row_is_an_export_too(spacing: int | None) -> None:
    """As the newer exports write one file for each row."""
    data = b"\n" + json.dumps(ROWS[0], indent=spacing).encode() + b"\n "

    (piece,) = iter_rows(data)

    assert json.loads(piece.raw) == ROWS[0]
    assert data[piece.offset : piece.offset + piece.length] == piece.raw


@pytest.mark.parametrize("data", [b"[]", b" [ ] ", b'{"labels": []}'])
def test_an_export_of_nothing_holds_no_rows(data: bytes) -> None:
    """An empty project is no error."""
    assert list(iter_rows(data)) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf \n", "empty_file"),
        (b"label_hash,data_hash\n1,2", "not_json"),
        (json.dumps(ROWS).encode("utf-16"), "not_json"),
        (b'[{"label_hash": "x",}]', "not_json"),
        (b'{"label_hash": "x"} {"label_hash": "y"', "not_json"),
        (b'{"label_hash": "x"}\n{"label_hash" "y"}', "not_json"),
        (b'{"labels": [], "\xff": 1}', "not_json"),
        (b'{"labels": [{"label_hash": "x"}], "labels": []}', "duplicate_key"),
        (b'{"labels": [], "ontology": {}, "count": 1, "l\\u0061bels": []}', "duplicate_key"),
        (b'{"images": [], "annotations": [], "categories": [], "images": []}', "duplicate_key"),
        (b"{" + b",".join(b'"%d": 1' % key for key in range(1001)) + b', "labels": []}', "not_label_rows"),
        (b'{"rows": [{"label_hash": "x"}]}', "not_label_rows"),
        (b'[{"label_hash": "x"} {"label_hash": "y"}]', "not_json"),
        (b'[{"label_hash": "x"},]', "not_json"),
        (b'[,{"label_hash": "x"}]', "not_json"),
        (b'[{"label_hash": "x"}, ', "truncated_json"),
        (b'[{"label_hash": "x"} ', "truncated_json"),
        (b'[{"label_hash": "x"}] null', "not_json"),
        (b'[{"label_hash": "x"}]\0', "not_json"),
        (b'[{"label_hash": "x\0"}]', "not_json"),
        (b"[1, 2] trailing", "not_json"),
        (b"[" * 100_000, "too_deep"),
        (b'[{"label_hash": "x", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "too_deep"),
        (json.dumps(ROWS).encode()[:-1], "truncated_json"),
        (json.dumps(ROWS).encode()[:500], "truncated_json"),
        (json.dumps(ROWS[0]).encode()[:-9], "truncated_json"),
        (b'{"label_hash": "x"}\n{"label_hash": "y"', "truncated_json"),
        (b"<!DOCTYPE html><html></html>", "html_not_json"),
        (b"\n <?xml version='1.0'?><Error/>", "html_not_json"),
        (b'{"images": [], "annotations": [], "categories": [], "info": {}}', "coco_not_labels"),
        (b'[{"images": [], "annotations": [], "categories": []}]', "coco_not_labels"),
        (b"{}", "not_label_rows"),
        (b'{"objects": [], "classifications": []}', "not_label_rows"),
        (b"[1, null, []]", "not_label_rows"),
        (b'[{"id": 1}, {"id": 2}]', "not_label_rows"),
        (b'{"labels": [{"id": 1}]}', "not_label_rows"),
    ],
)
def test_bytes_without_rows_are_refused_for_a_named_reason(data: bytes, expected: str) -> None:
    """Everything unusable is an ExportError and nothing else."""
    assert reason(data) == expected


def test_the_place_of_a_mistake_is_told_by_line_and_column() -> None:
    """Columns count characters, not bytes."""
    data = '[\n  {"label_hash": "ä", oops}\n]'.encode()

    with pytest.raises(ExportError, match=r"line 2, column 23"):
        iter_rows(data)


def test_the_place_of_a_mistake_behind_infinities_is_that_of_the_export() -> None:
    """The second attempt keeps every offset."""
    data = b'[{"label_hash": NaN},\n {"label_hash": -Infinity}, oops]'

    with pytest.raises(ExportError, match=r"line 2, column 29"):
        iter_rows(data)


def test_an_export_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit protects the memory of the process."""
    monkeypatch.setattr(packed, "LARGEST_EXPORT", 10)

    assert reason(b'[{"label_hash": "x"}]') == "too_large"


def test_one_thing_that_is_no_row_is_left_to_the_row_reader() -> None:
    """A bad row stops only itself."""
    pieces = list(iter_rows(b'[null, {"label_hash": "x"}, 5]'))

    assert [piece.raw for piece in pieces] == [b"null", b'{"label_hash": "x"}', b"5"]


def test_infinities_stay_where_they_are_and_become_text() -> None:
    """Python writes them although JSON has none; texts that spell them are untouched."""
    data = b'[{"label_hash": "NaN \\" Infinity", "a": NaN, "b": [Infinity,-Infinity]}]'

    (piece,) = iter_rows(data)

    assert json.loads(piece.raw) == {"label_hash": 'NaN " Infinity', "a": "N", "b": ["Infini", "-Infini"]}
    assert (piece.offset, piece.length) == (1, len(data) - 2)


def zipped(*files: tuple[str, bytes]) -> bytes:
    """The files in a zip archive, in this order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return file.getvalue()


def test_an_export_in_gzip_is_cut_at_its_unpacked_bytes() -> None:
    """Offsets count in the bytes that `unpack` gives again for a replay."""
    packed_export = gzip.compress(json.dumps(ROWS).encode())

    opened = open_export(packed_export)

    pieces = list(opened.rows)
    assert [json.loads(piece.raw) for piece in pieces] == ROWS
    assert opened.data == packed.unpack(packed_export) == json.dumps(ROWS).encode()
    assert [opened.data[piece.offset : piece.offset + piece.length] for piece in pieces] == [p.raw for p in pieces]


def test_a_zip_holds_one_export_in_files_of_every_layout() -> None:
    """Label Sets write one file per row; each file may be an array, a row, a wrapper or one row per line."""
    rows = [{"label_hash": f"row-{number}", "text": 'ä"]}'} for number in range(8)]
    data = zipped(
        ("d/4.jsonl", b"\n".join(json.dumps(row).encode() for row in rows[6:])),
        ("c.json", json.dumps({"labels": rows[3:6], "ontology": {"objects": [1]}}, indent=1).encode()),
        ("b.json", json.dumps(rows[2], indent=2).encode() + b"\n"),
        ("a.json", b"\xef\xbb\xbf" + json.dumps(rows[:2], ensure_ascii=False).encode()),
        ("b2.json", b"[]"),
    )

    opened = open_export(data)

    pieces = list(opened.rows)
    assert [json.loads(piece.raw) for piece in pieces] == rows
    assert [piece.index for piece in pieces] == list(range(8))
    assert [opened.data[piece.offset : piece.offset + piece.length] for piece in pieces] == [p.raw for p in pieces]
    assert opened.ontology is not None
    assert json.loads(opened.ontology) == {"objects": [1]}


@pytest.mark.parametrize(
    "bad",
    [b"", b"[{", b"<html>", b'[{"label_hash": "x"}', b'{"label_hash": "x"}{"label_hash": "y"}', b'{"objects": []}']
    + [b'{"images": [], "annotations": [], "categories": []}', b'{"labels": [], "labels": []}', b"[" * 5000],
)
def test_a_bad_file_in_a_zip_stops_no_other(bad: bytes) -> None:
    """It comes as one row with its place, which the row reader refuses; infinities elsewhere are still read."""
    good = [b'{"label_hash": "x", "a": NaN}', b'[{"label_hash": "y"}, {"label_hash": "z", "b": -Infinity}]']

    opened = open_export(zipped(("1.json", good[0]), ("2.json", bad), ("3.json", good[1])))

    first, refused, *others = opened.rows
    assert [json.loads(piece.raw)["label_hash"] for piece in (first, *others)] == ["x", "y", "z"]
    assert opened.data[refused.offset : refused.offset + refused.length] == refused.raw == bad
    with pytest.raises(UnusableRow) as caught:
        read_row(refused)
    assert caught.value.reason in ("row_unreadable", "no_identity", "too_deep")
    assert caught.value.event is None


def test_a_zip_of_bad_files_only_is_refused_by_the_first_of_them() -> None:
    """It is named by its position: its name may be that of a person."""
    data = zipped(("b.json", b"{"), ("a/me@example.com.json", b'[{"label_hash": "x",}]'))

    with pytest.raises(ExportError, match=r"file 1 of 2 in the zip: .*line 1, column 21") as caught:
        open_export(data)

    assert caught.value.reason == "not_json"
    assert "example.com" not in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: zipped(("coco.json", data))])
def test_a_coco_file_is_known_and_left_to_its_own_reader(pack: Callable[[bytes], bytes]) -> None:
    """It has no rows, and is handed on unpacked."""
    data = b' {"images": [], "annotations": [], "categories": [], "info": {}}'

    opened = open_export(pack(data))

    assert (opened.kind, opened.data, list(opened.rows), opened.ontology) == ("coco", data, [], None)


@pytest.mark.parametrize(
    ("ontology", "expected"),
    [(b'{"objects": []}', b'{"objects": []}'), (b"null", None), (b'["x"]', None), (b"{ }", b"{ }")],
)
def test_the_ontology_of_the_wrapper_is_handed_on(ontology: bytes, expected: bytes | None) -> None:
    """Byte by byte, where it is an object."""
    data = b'{"title": "labels", "ontology" : ' + ontology + b' ,"labels":[ {"label_hash": "x"} ]}'

    opened = open_export(data)

    assert opened.ontology == expected
    assert [piece.raw for piece in opened.rows] == [b'{"label_hash": "x"}']


def test_rows_equal_to_another_value_of_the_wrapper_have_their_own_place() -> None:
    """A search for their bytes would find the other value first."""
    data = b'{"earlier": [{"label_hash": "x"}], "labels": [{"label_hash": "x"}]}'

    (piece,) = iter_rows(data)

    assert piece.offset == data.rindex(b'{"label_hash')


def test_different_ontologies_in_one_zip_are_not_chosen_between() -> None:
    """The same one twice is no doubt."""
    first, other = b'{"labels": [], "ontology": {"a": 1}}', b'{"labels": [], "ontology": {"a": 2}}'

    assert open_export(zipped(("1.json", first), ("2.json", first))).ontology == b'{"a": 1}'
    assert open_export(zipped(("1.json", first), ("2.json", other))).ontology is None


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"1," * 30 + b'{"label_hash": "x"}]',
        b'{"labels": [' + b"1," * 30 + b'{"label_hash": "x"}]}',
        b'{"label_hash": "x"}\n' * 21,
        zipped(*((f"{name}.json", b'[{"label_hash": "x"}' + b",1" * 10 + b"]") for name in "ab")),
    ],
    ids=["array", "wrapper", "lines", "zip"],
)
def test_more_rows_than_can_be_are_refused(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the layout."""
    monkeypatch.setattr(outline, "MOST_ROWS", 20)

    assert reason(data) == "too_many_rows"


def test_an_array_of_a_hundred_million_nothings_takes_no_memory_for_them() -> None:
    """A list of its elements would have 8 GB; the count stops first."""
    code = """
import resource
from encord_dagster.encord import container, outline
from encord_dagster.errors import ExportError
outline.MOST_ROWS = 1000
data = b'[' + b'1,' * 100_000_000 + b'1]'
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    container.open_export(data)
except ExportError as error:
    print(error.reason, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    refused, kilobytes = found.stdout.split()
    assert refused == "too_many_rows"
    assert int(kilobytes) < 20_000


def test_a_row_that_is_too_large_is_quarantined_without_being_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other rows go on, and its place is told."""
    monkeypatch.setattr(container, "LARGEST_ROW", 100)
    monkeypatch.setattr(head, "LARGEST_ROW", 100)
    large = b'{"label_hash": "x", "a": "' + b"x" * 200 + b'"}'

    first, second = iter_rows(b"[" + large + b', {"label_hash": "y"}]')

    assert (first.offset, first.length, len(first.raw)) == (1, len(large), 101)
    assert second.raw == b'{"label_hash": "y"}'
    with pytest.raises(UnusableRow, match="more than 100 bytes") as caught:
        read_row(first)
    assert caught.value.reason == "row_too_large"


@pytest.mark.parametrize("half", [b"\\ud83d", b"\\uDE00", b"\\ud83d\\u0041", b"\\\\\\ud83d"])
def test_half_a_surrogate_pair_stops_only_its_row(half: bytes) -> None:
    """A title cut in the middle of an emoji. The row is handed on as it is, and refused; whole pairs are untouched."""
    bad = b'{"label_hash": "x", "data_title": "' + half + b'", "a": NaN}'
    good = b'{"label_hash": "y", "data_title": "\\ud83d\\ude00 \\\\ud83d"}'

    first, second = iter_rows(b"[" + bad + b",\n " + good + b"]")

    assert (first.raw, first.length) == (bad.replace(b"NaN", b'"N"'), len(bad))
    assert (second.raw, second.offset) == (good, len(bad) + 4)
    with pytest.raises(UnusableRow) as caught:
        read_row(first)
    assert caught.value.reason == "row_unreadable"


@pytest.mark.parametrize(
    "value",
    [
        b"9" * 5000,
        b"-" + b"9" * 5000,
        b"1e99999",
        b'"\\u0000"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        b"1" + b"0" * 4999 + b".5",
    ],
)
@pytest.mark.parametrize("place", [b'"extra": %s', b'"data_title": %s', b'"label_hash": %s', b'"export_history": [%s]'])
def test_odd_values_stop_at_most_their_row(place: bytes, value: bytes) -> None:
    """Numbers of 5,000 digits, NUL and overlong or forbidden UTF-8: no other row suffers."""
    row = b'{"data_hash": "d", ' + place.replace(b"%s", value) + b"}"

    first, second = iter_rows(b"[" + row + b', {"label_hash": "y"}]')

    assert (first.raw, second.raw) == (row, b'{"label_hash": "y"}')
    with pytest.raises(UnusableRow) as caught:
        read_row(first)
    assert re.fullmatch("no_data_units|row_unreadable|bad_hash", caught.value.reason)
