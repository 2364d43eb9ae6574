"""The bytes of an export: every way in which they hold rows, and every way in which they do not."""

import gzip
import io
import json
import zipfile

import pytest

from encord_dagster.encord import container
from encord_dagster.encord.container import iter_rows
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


def zipped(data: bytes) -> bytes:
    """The bytes in a zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("export.json", data)
    return file.getvalue()


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
        (b'{"\xff": 1, "label_hash": "x"}', "not_json"),
        (b"[1, 2] trailing", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'[{"label_hash": "x", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "not_json"),
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
        (gzip.compress(b"[]", mtime=0), "compressed_file"),
        (zipped(b"[]"), "compressed_file"),
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
    monkeypatch.setattr(container, "LARGEST_EXPORT", 10)

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
