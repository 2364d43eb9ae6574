"""The fingerprint of a row: deaf to what each export changes, awake to every label."""

import json

import pytest

from encord_dagster.encord import head
from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.fingerprint import DuplicateKey, fingerprint
from encord_dagster.encord.label_rows import UnusableRow, read_row
from tests import factories as make
from tests.factories import Json

ROW = make.image_row(
    make.box(lastEditedBy="a@example.com", lastEditedAt="Fri, 01 Dec 2023 10:30:02 GMT", isDeleted=False, reviews=[]),
    make.polygon(),
    classifications=[make.classification()],
    object_answers={"object01": {"objectHash": "object01", "classifications": [make.answer("left")]}},
    assigned_user_email="a@example.com",
    video_link="cord/video?X-Goog-Signature=1",
    image_sequence_link="cord/sequence",
)
FIRST = ("data_units", "data-0", "labels", "objects", 0)


def of(row: object, **options: object) -> str:
    """The fingerprint of a row."""
    return fingerprint(json.dumps(row, **options).encode())  # type: ignore[arg-type]  # options of json.dumps


@pytest.mark.parametrize(
    "path",
    [
        ("export_hash",),
        ("exported_at",),
        ("export_history",),
        ("created_at",),
        ("last_edited_at",),
        ("assigned_user_email",),
        ("video_link",),
        ("image_sequence_link",),
        ("data_units", "data-0", "data_link"),
        (*FIRST, "createdAt"),
        (*FIRST, "createdBy"),
        (*FIRST, "lastEditedAt"),
        (*FIRST, "lastEditedBy"),
        (*FIRST, "reviews"),
    ],
)
def test_a_volatile_key_does_not_count(path: tuple[str | int, ...]) -> None:
    """Neither its value nor its presence."""
    other, absent = make.changed(ROW, "another", *path), make.changed(ROW, ..., *path)

    assert of(other) == of(absent) == of(ROW)


def test_links_of_slices_do_not_count() -> None:
    """`file_uri` and `data_links` of DICOM rows."""
    row = make.dicom_row({0: make.dicom_slice(make.box())})
    moved = make.changed(row, "elsewhere", "data_units", "dicom-0", "labels", "0", "metadata", "file_uri")
    moved = make.changed(moved, ["elsewhere"], "data_units", "dicom-0", "data_links")

    assert of(moved) == of(row)


def test_the_spelling_of_a_row_does_not_count() -> None:
    """Key order, white space, escapes, nulls, `isDeleted: false`, and 1.0 for 1."""
    reordered = json.loads(json.dumps(ROW, sort_keys=True))
    respelled = json.dumps(ROW, indent=1).replace('"confidence": 1', '"confidence": 1.0').replace("/", "\\/")

    assert of(reordered) == of(ROW)
    assert fingerprint(respelled.encode()) == of(ROW)
    assert of(make.changed(ROW, ..., *FIRST, "isDeleted")) == of(ROW)
    assert of(make.changed(ROW, None, *FIRST, "isDeleted")) == of(ROW)
    assert of(ROW | {"priority": None}) == of(ROW)


def test_a_list_and_an_object_by_index_are_the_same() -> None:
    """Also when both are empty."""
    objects = ROW["data_units"]["data-0"]["labels"]["objects"]  # type: ignore[index]  # JSON
    keyed = make.changed(ROW, {"1": objects[1], "0": objects[0]}, *FIRST[:-1])

    assert of(keyed) == of(ROW)
    assert of(make.changed(ROW, [], "object_actions")) == of(ROW)


@pytest.mark.parametrize(
    "changed",
    [
        make.changed(ROW, 0.2500001, *FIRST, "boundingBox", "x"),
        make.changed(ROW, "right", "object_answers", "object01", "classifications", 0, "answers"),
        make.changed(ROW, "COMPLETED", "annotation_task_status"),
        make.changed(ROW, "LABELLED ", "label_status"),
        make.changed(ROW, True, *FIRST, "isDeleted"),
        make.changed(ROW, 0.5, *FIRST, "confidence"),
        make.changed(ROW, True, *FIRST, "confidence"),
        make.changed(ROW, "1", *FIRST, "confidence"),
        make.changed(ROW, ..., *FIRST),
        make.changed(ROW, 721, "data_units", "data-0", "height"),
        make.changed(ROW, "other", "label_hash"),
    ],
)
def test_a_label_or_a_status_counts(changed: Json) -> None:
    """Everything that people change in Encord."""
    assert of(changed) != of(ROW)


def test_the_order_of_a_list_counts() -> None:
    """The order of objects, of polygon points and of slices has meaning."""
    objects = ROW["data_units"]["data-0"]["labels"]["objects"]  # type: ignore[index]  # JSON

    assert of(make.changed(ROW, objects[::-1], *FIRST[:-1])) != of(ROW)


def test_a_fingerprint_stays_for_ever() -> None:
    """Published versions compare these: whoever changes one makes every row look relabelled."""
    row = b'{"b": [1.0, 2.5, "\\u00e4", {"0": true}], "a": {"x": null}, "export_hash": "h", "c": 1e300}'

    assert fingerprint(row) == fingerprint('{"a":[],"b":[1,2.5,"ä",[true]],"c":1E+300}'.encode())
    assert fingerprint(row) == "f9e815647206ef52bf648e691dc4ffb3e474e56931357d6476069adf4a9d6bff"


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a": ' + b"9" * 5000 + b"}", b'"\\ud800"'])
def test_bytes_that_are_no_row_have_a_fingerprint_too(raw: bytes) -> None:
    """Quarantined rows are told apart as well."""
    assert len(fingerprint(raw)) == 64
    assert fingerprint(raw) != fingerprint(raw + b"1")


NINES = b"9" * 5000


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            b'{"label_hash": "a", "data_units": {"d": {"labels": {"objects": [{"objectHash": "o", "boundingBox": '
            b'{"x": 0.1, "y": 1e-7, "w": 1, "h": 1.0}, "lastEditedBy": "x", "isDeleted": false}], '
            b'"classifications": []}}}, "export_hash": "e"}',
            "6976adaa2990942b04d7a1f13f4e55a1ea6ec7af949eb8b8c74e5e8fa271654a",
        ),
        (
            b'{"labels": {"0": {"objects": []}, "1": {"objects": [1, 2.50, -0.0, 9007199254740993]}}, '
            b'"polygon": {"1": {"x": 2}, "0": {"x": 1}}}',
            "00e52f75b32e8eec210c708b78000ff916133f13f431d2e1885d50f313bbbe2c",
        ),
        (b'{"0": 1, "2": 3}', "9aae85978a252fa18b87d962e4985403f43540cc0c7fa72d191e8e05863178a0"),
        (
            b'{"a": {"b": {"c": null}}, "isDeleted": true, "reviews": [1]}',
            "b91c659377bfd1d8d5db5a4a4472ae70593c57dbda0f76d7f19a57fd0b2171c0",
        ),
        (
            b'{"name": "\xc3\xa4\\u00e4\\ud83d\\ude00 \\ud83d /\\/", "bad": "\xff\xc0\xaf"}',
            "3632d034f629043ae222983610cae2d884ac1bddb667d5148ea6fdf57f9f2d24",
        ),
        (
            b'{"big": ' + NINES + b', "exp": 1e999, "nan": "N", "small": 1E-400}',
            "51602cd8f7415814c4ffd452e3f8e53c071de087736956741f144ef38bb26ec1",
        ),
        (
            b'{"a": NaN, "b": [Infinity, -Infinity]}',
            "8da7262f54fc0be847cc4ef845c349ccefc822768b0bd3f3d95f9e49c3fb6639",
        ),
        (
            b'{"": 0, "A": [], "B": {}, "C": [[], {}, [null, {"x": null}]]}',
            "5fd7584716408dbae9ff8c3636f377d4307ae6aad1a1b912619b214d96af8484",
        ),
        (b'[{"a": 1}, {"export_hash": 2}]', "16361ab1ff8d561dc32886d1a0399afd18a090de186872a8fd6166d64e5deee6"),
        (b"5", "a19a1584344c1f3783bff51524a5a4b86f2cc09356c9dbfb6af9cd236e314362"),
        (b'"\\ud800"', "8c0c59dd0d275aadcd462a5fe12eb352cbdfeaf961eae4f85a4660521df7d2f5"),
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b'{"a": 1,}', "67babd398b32a13312acd4549cc50211f8b3976a567cb64d7b599d149ea9dadd"),
        (b'{"a": ' + NINES + b"}", "02c7562cb7c8ca861c2534a206877f2e085e3ff3ce60362735791b0c1b4582b4"),
    ],
)
def test_fingerprints_of_published_versions_come_out_again(row: bytes, expected: str) -> None:
    """Taken before keys were checked for being there twice."""
    assert fingerprint(row) == expected


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (b'{"a": 1, "a": 1}', "a"),
        (b'{"a": {"b": [{"c": 1, "d": 2, "c": 3}]}}', "c"),
        (b'{"a": 1, "\\u0061": 2}', "a"),
        (b'{"export_history": [{"x": 1, "x": 1}]}', "x"),
        (b'{"a": {"": 1, "b": 2, "": 1}}', ""),
    ],
)
def test_a_key_that_is_there_twice_is_found_anywhere(row: bytes, key: str) -> None:
    """Also where it does not count, and however it is written."""
    with pytest.raises(DuplicateKey) as caught:
        fingerprint(row)

    assert caught.value.key == key


def refused(data: bytes) -> UnusableRow:
    """Why the only row of an export cannot be used."""
    (piece,) = iter_rows(data)
    with pytest.raises(UnusableRow) as caught:
        read_row(piece)
    return caught.value


def test_a_row_with_a_key_twice_in_its_labels_is_quarantined_by_name() -> None:
    """One of two objects would be lost, and nobody could say which."""
    data = make.encode([ROW]).replace(b'"boundingBox"', b'"objectHash": "other", "boundingBox"')

    error = refused(data)

    assert error.reason == "duplicate_key"
    assert "'objectHash' twice" in str(error)
    assert error.event is not None
    assert (error.event.label_hash, error.event.export_hash) == (ROW["label_hash"], ROW["export_hash"])
    assert len(error.event.fingerprint) == 64


@pytest.mark.parametrize("key", ["label_hash", "exported_at", "extra"])
def test_a_row_with_a_key_of_its_own_twice_is_quarantined_without_a_name(key: str) -> None:
    """What it is called may be what is doubtful."""
    data = make.encode([ROW | {"extra": 1}]).replace(b'{"label_hash"', b'{"%s":"other","label_hash"' % key.encode(), 1)

    error = refused(data)

    assert (error.reason, error.event) == ("duplicate_key", None)


def test_a_key_of_the_export_in_a_message_is_redacted() -> None:
    """Keys can hold what people wrote."""
    error = refused(b'{"label_hash": "x", "data_units": {"a": {"me@example.com": 1, "me@example.com": 2}}}')

    assert error.reason == "duplicate_key"
    assert "example.com" not in str(error)


def test_a_row_nested_too_deep_has_no_fingerprint() -> None:
    """How deep that is depends on the caller: a digest of its bytes would make the row look relabelled."""
    with pytest.raises(RecursionError):
        fingerprint(b"[" * 5000)


def test_a_row_without_a_fingerprint_is_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outside of a row can be read a little deeper than the whole of it."""

    def too_deep(raw: bytes) -> str:
        raise RecursionError(len(raw))

    monkeypatch.setattr(head, "fingerprint", too_deep)

    assert refused(make.encode([ROW])).reason == "too_deep"
