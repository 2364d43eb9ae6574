"""The fingerprint of a row: deaf to what each export changes, awake to every label."""

import json

import pytest

from encord_dagster.encord.fingerprint import fingerprint
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


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 5000, b'{"a": ' + b"9" * 5000 + b"}", b'"\\ud800"'])
def test_bytes_that_are_no_row_have_a_fingerprint_too(raw: bytes) -> None:
    """Quarantined rows are told apart as well."""
    assert len(fingerprint(raw)) == 64
    assert fingerprint(raw) != fingerprint(raw + b"1")
