"""Titles, links, people and times leave the reader where they are to be published, and only so."""

from typing import Any

import pytest

from encord_dagster.encord.coco_export.read import read_coco
from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.disclosed import disclosed_digest, without_free_text
from encord_dagster.encord.label_rows import RowReading, read_row
from encord_dagster.encord.model import Classification, LabelRow, ObjectInstance
from encord_dagster.encord.ontology import read_ontology
from encord_dagster.encord.privacy import Disclosure, bare_link
from encord_dagster.encord.resolve import Index, resolve
from tests import factories as make
from tests.coco_files import annotation, document, image

ALL = Disclosure(titles=True, links=True, times=True, key=b"a key that nobody guesses")
JANE = ALL.person("jane@example.org")


def read(row: make.Json, disclosure: Disclosure) -> LabelRow:
    """The row as it is read with this disclosure."""
    (piece,) = iter_rows(make.encode([row]))
    return read_row(piece, disclosure=disclosure).row


@pytest.mark.parametrize(
    ("link", "bare"),
    [
        ("https://jane:secret@host.org/a/b.png?X-Amz-Signature=1#x", "https://host.org/a/b.png"),
        ("http://host.org:8080/a", "http://host.org:8080/a"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("gs://bucket/größe 1.png", "gs://bucket/größe 1.png"),
        ("cord-images/abc/x.png?X-Goog-Signature=12", "cord-images/abc/x.png"),
        ("https://account.blob.core.windows.net/box/a?sv=1&sig=2", "https://account.blob.core.windows.net/box/a"),
        ("https://host.org/a%3FX-Amz-Signature=1", None),
        ("https://host.org/jane@example.org/a", None),
        ("bucket/jane%40example.org/a", None),
        ("https://jane:se/cret@host.org/a", None),
        ("bucket/AKIAIOSFODNN7EXAMPLE/a", None),
        ("bucket/a\u202eb", None),
        ("file:///home/jane/a.png", None),
        ("/home/jane/a.png", None),
        ("C:/jane/a.png", None),
        ("data:image/png;base64,aa/bb", None),
        ("scan of jane.png", None),
        ("s3://bucket/" + "a" * 10_000, None),
    ],
)
def test_a_link_keeps_scheme_host_and_path(link: str, bare: str | None) -> None:
    """What could still hold a login or an address is no link."""
    assert bare_link(link) == bare


def test_a_person_is_one_pseudonym_under_one_key() -> None:
    """However the address is written; another key gives another pseudonym, no key none."""
    assert JANE
    assert len(JANE) == 18
    assert JANE.startswith("p-")
    assert ALL.person(" Jane@Example.ORG ") == JANE
    assert ALL.person("john@example.org") != JANE
    assert Disclosure(key=b"another").person("jane@example.org") != JANE
    assert Disclosure().person("jane@example.org") is None
    assert ALL.person(None) is None
    assert ALL.person("null") is None


def test_the_key_is_not_shown() -> None:
    """By repr, str or rich."""
    assert "nobody" not in f"{ALL!r} {ALL} {ALL.__rich_repr__()}"
    assert repr(ALL) == "Disclosure(titles, links, times, free_text, people)"


def items(row: LabelRow) -> list[ObjectInstance | Classification]:
    """All that has authors."""
    on_frames = [item for frame in row.frames for item in (*frame.objects, *frame.classifications)]
    return [*on_frames, *row.classifications]  # type: ignore[list-item]  # mypy joins the two to their base


def row() -> make.Json:
    """A row with an author, an editor and times in every entry that can have them."""
    signed = {
        "createdBy": "jane@example.org",
        "lastEditedBy": "JANE@example.org",
        "lastEditedAt": "2024-05-06 07:08:09",
    }
    given = make.classification(**signed)
    return make.dicom_row(
        {0: make.dicom_slice(make.box(**signed)) | {"classifications": [given]}},
        classification_answers={"whole001": given | {"classificationHash": "whole001", "range": []}},
        export_history=[{"export_hash": "old", "user_email": "jane@example.org"}],
    )


def test_everything_is_read_where_everything_is_published() -> None:
    """A slice has the link of its own file."""
    found = read(row(), ALL)

    (frame,) = found.frames
    assert frame.title == "holiday of Jane Doe.jpg"
    assert frame.link == "cord-dicoms/one"
    for item in items(found):
        assert (item.created_by, item.last_edited_by) == (JANE, JANE)
        assert (item.created_at[:4] if item.created_at else None, item.last_edited_at) == (
            "2023",
            "2024-05-06T07:08:09Z",
        )


def test_nothing_is_read_where_nothing_is_published() -> None:
    """Not even as an empty text."""
    found = read(row(), Disclosure())

    (frame,) = found.frames
    assert (frame.title, frame.link) == (None, None)
    for item in items(found):
        assert (item.created_by, item.last_edited_by, item.created_at, item.last_edited_at) == (None,) * 4
    assert disclosed_digest(found) == ""


def test_authors_of_a_wrong_type_are_nobody() -> None:
    """They do not cost the object."""
    odd: dict[str, Any] = {
        "createdBy": {"name": "jane"},
        "lastEditedBy": None,
        "createdAt": 5,
        "lastEditedAt": "yesterday",
    }

    (piece,) = iter_rows(make.encode([make.image_row(make.box(**odd), make.box(0.1, object_hash="object02", **odd))]))
    reading = read_row(piece, disclosure=ALL)

    assert [item.created_by for item in reading.row.frames[0].objects] == [None, None]
    assert make.rules(reading).count("bad_time") == 1


def test_users_of_the_history_are_pseudonyms() -> None:
    """Also of the current export, where its history holds it."""
    history = [{"export_hash": "new", "user_email": "jane@example.org"}, {"export_hash": "old", "user_email": 5}]
    (piece,) = iter_rows(make.encode([make.image_row(export_hash="new", export_history=history)]))

    reading = read_row(piece, disclosure=ALL)

    assert {entry.export_hash: entry.user for entry in reading.event.history} == {"new": JANE, "old": None}


def test_the_digest_tells_what_is_disclosed_apart() -> None:
    """A row with another author, or the same one under another key, is another one."""
    other = make.changed(row(), "john@example.org", "data_units", "dicom-0", "labels", "0", "objects", 0, "createdBy")
    rekeyed = Disclosure(titles=True, links=True, times=True, key=b"another")

    digests = {
        disclosed_digest(read(row(), ALL)),
        disclosed_digest(read(other, ALL)),
        disclosed_digest(read(row(), rekeyed)),
    }

    assert len(digests) == 3


def test_coco_has_titles_and_links_too() -> None:
    """Of images and of videos."""
    images = [
        image(),
        image("videos/data-1/5.jpg", image_title=..., video_title="a film", coco_url="gs://b/film.mp4?x=1"),
    ]
    images[1].pop("image_title")
    coco = document([annotation()], images)

    found = list(read_coco(make.encode(coco), ontology=None, disclosure=ALL))
    silent = list(read_coco(make.encode(coco), ontology=None))

    frames = [frame for one in found if isinstance(one, RowReading) for frame in one.row.frames]
    assert [(frame.title, frame.link) for frame in frames] == [
        ("Jane Doe.jpg", "cord/x"),
        ("a film", "gs://b/film.mp4"),
    ]
    assert not any(disclosed_digest(one.row) for one in silent if isinstance(one, RowReading))


def test_text_answers_are_left_out_and_counted() -> None:
    """Options and numbers stay; a bare text that names an option has become one by then."""
    given = [
        make.answer("told by Jane"),
        make.answer(5.0, "size", "AttrNumb"),
        make.answer("Red", "colour", "AttrRadi"),
    ]
    row = make.image_row(make.box(), object_answers={"object01": {"classifications": given}})
    known = make.ontology(
        make.ontology_class(
            make.ontology_attribute("radio", make.ontology_option("Red", "OptionRe"), feature_hash="AttrRadi")
        )
    )

    left = without_free_text(read(row, Disclosure()))
    resolved, _ = resolve(read(row, Disclosure()), Index(read_ontology(make.encode(known))))

    assert [attribute.name for attribute in left.frames[0].objects[0].attributes] == ["size"]
    assert left.texts_left_out == 2
    assert without_free_text(resolved).texts_left_out == 1


def test_findings_quote_no_answer_where_texts_are_not_published() -> None:
    """The answer to a radio that names no option may be anything."""
    given = [make.answer("told by Jane", "colour", "AttrRadi")]
    row = make.image_row(make.box(), object_answers={"object01": {"classifications": given}})
    known = make.ontology(
        make.ontology_class(
            make.ontology_attribute("radio", make.ontology_option("Red", "OptionRe"), feature_hash="AttrRadi")
        )
    )
    index = Index(read_ontology(make.encode(known)))

    _, loud = resolve(read(row, Disclosure()), index)
    _, silent = resolve(read(row, Disclosure()), index, free_text=False)

    assert "Jane" in repr(loud)
    assert [finding.rule for finding in silent] == ["radio_answer_unknown"]
    assert "Jane" not in repr(silent)
