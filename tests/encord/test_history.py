"""Times in five formats, and the export history of a row."""

import pytest

from encord_dagster.encord.times import parse_time
from tests import factories as make


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2023-03-23 11:42:14", "2023-03-23T11:42:14Z"),
        ("Mon, 02 Oct 2023 14:35:30 UTC", "2023-10-02T14:35:30Z"),
        ("Thu, 07 Sep 2023 09:47:35 GMT", "2023-09-07T09:47:35Z"),
        ("Mon, 02 Dec 2024 10:49:07 ", "2024-12-02T10:49:07Z"),
        ("Mon, 2 Dec 2024 10:49:07 +0100", "2024-12-02T09:49:07Z"),
        ("2024-03-05T11:03:21.123456+00:00", "2024-03-05T11:03:21.123456Z"),
        ("2024-03-05T00:03:21.5+01:30", "2024-03-04T22:33:21.500000Z"),
        ("2024-03-05T11:03:21-0500", "2024-03-05T16:03:21Z"),
        ("2024-03-05T11:03:21Z", "2024-03-05T11:03:21Z"),
    ],
)
def test_a_known_format_becomes_iso_8601_in_utc(text: str, time: str) -> None:
    """No zone means UTC."""
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "02/10/2023",
        "2023-13-01 00:00:00",
        "2023-02-30 00:00:00",
        "Mon, 02 Okt 2023 14:35:30 UTC",
        "0001-01-01T00:00:00+14:00",
        "1697000000",
        "2023-03-23 11:42:14 and more",
        "２０２３-03-23 11:42:14",
    ],
)
def test_an_unknown_format_is_no_time(text: str) -> None:
    """Nothing is guessed."""
    assert parse_time(text) is None


def test_the_history_is_the_current_export_and_the_others_newest_first() -> None:
    """The current one may be missing in the list, and the list may be in any order and hold doubles."""
    entries = [
        {"export_hash": "old", "exported_at": "Mon, 02 Oct 2023 14:35:30 UTC", "user_email": "a@example.com"},
        {"export_hash": "new", "exported_at": "Tue, 03 Oct 2023 14:35:30 UTC", "user_email": "a@example.com"},
        {"export_hash": "old", "exported_at": "Mon, 02 Oct 2023 14:35:30 UTC", "user_email": "b@example.com"},
        {"export_hash": "undated"},
    ]

    reading = make.read(make.image_row(export_history=entries))

    assert [entry.export_hash for entry in reading.event.history] == [
        "23f99935-cca7-4c7d-8987-44e46a00b392",
        "new",
        "old",
        "undated",
    ]
    assert reading.event.history[1].exported_at == "2023-10-03T14:35:30Z"
    assert reading.findings == ()


def test_the_history_may_be_an_object_by_index() -> None:
    """The documentation of 2023 shows it so."""
    entry = {"export_hash": "old", "exported_at": "Mon, 02 Oct 2023 14:35:30 UTC"}

    listed = make.read(make.image_row(export_history=[entry])).event
    keyed = make.read(make.image_row(export_history={"0": entry})).event

    assert keyed.history == listed.history
    assert len(keyed.history) == 2


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"export_history": "long"}, ["bad_history"]),
        ({"export_history": [5]}, ["bad_history"]),
        ({"export_history": [{"export_hash": "a b"}]}, ["bad_history"]),
        ({"export_hash": "a b", "export_history": []}, ["bad_history"]),
        ({"exported_at": "soon"}, ["bad_time"]),
        ({"last_edited_at": 1697000000}, ["bad_time"]),
        ({"export_history": [{"export_hash": "old", "exported_at": "soon"}]}, ["bad_time"]),
    ],
)
def test_what_cannot_be_read_of_a_history_is_left_out_with_a_finding(changes: make.Json, rules: list[str]) -> None:
    """The labels are used all the same."""
    reading = make.read(make.image_row(make.box()) | changes)

    assert make.rules(reading) == rules
    assert len(reading.row.frames[0].objects) == 1


def test_an_event_says_where_the_row_lies() -> None:
    """Offset and length in the bytes of the export."""
    event = make.read(make.image_row()).event

    assert (event.offset, event.length) == (1, len(make.encode(make.image_row())))
    assert event.last_edited_at == "2023-12-01T10:45:17Z"
