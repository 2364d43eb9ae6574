"""What the reader takes out of texts, and that nothing personal leaves it."""

import pytest

from encord_dagster.encord.privacy import redact
from encord_dagster.validation import validate
from tests import factories as make


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a car", "a car"),
        ("größe – ñandú 車", "größe – ñandú 車"),
        ("jane.doe+x@mail.example.com drew it", "[e-mail removed] drew it"),
        ("<jane@example.org>, bob@example.org", "<[e-mail removed]>, [e-mail removed]"),
        ("jürgen@bücher.example", "[e-mail removed]"),
        ("see https://example.com/a?X-Amz-Signature=12&b=c now", "see https://example.com/a now"),
        ("s3://bucket/key#fragment", "s3://bucket/key"),
        ("https://user:secret@example.com/a", "https://example.com/a"),
        ("https://user:p@ss@example.com/?q=1", "https://example.com/"),
        ("cord-images/x?X-Goog-Signature=12ab&X-Goog-Date=3", "cord-images/x"),
        ("is it red?", "is it red?"),
        ("key AKIAIOSFODNN7EXAMPLE here", "key [key removed] here"),
        ("ASIAIOSFODNN7EXAMPLE", "[key removed]"),
        ("line\none\ttwo\x00\x1b[31m", "line one two[31m"),
        ("abc\u202egnp.exe\u2066\u200b", "abcgnp.exe"),
        ("5 @ 3", "5 @ 3"),
        ("", ""),
    ],
)
def test_a_text_loses_what_is_personal_and_nothing_else(text: str, clean: str) -> None:
    """Texts of any language stay as they are."""
    assert redact(text) == clean
    assert redact(clean) == clean


def test_a_text_is_cut_at_ten_thousand_characters() -> None:
    """Also where it is made to be slow."""
    assert redact("a" * 20_000) == "a" * 10_000
    for hostile in ("a" * 10**6 + "@", "@" * 10**6, "a://" * 10**6, "x?" * 10**6, "\u202e" * 10**6, "a.@a." * 10**5):
        assert len(redact(hostile)) <= 10_000


def test_nothing_personal_leaves_the_reader() -> None:
    """An address, a signed link and a key in every text that people type, and in the fields that are never read."""
    bad = "AKIAIOSFODNN7EXAMPLE jane@example.com https://u:p@host.example/a?sig=1"
    option = make.option("x", "Option01") | {"name": bad, "value": bad}
    row = make.image_row(
        make.box(name=bad),
        make.skeleton([make.joint(0.5, 0.5, bad)]),
        make.entry(bad, {}, "object09"),
        make.box(object_hash=bad),
        make.box(confidence=bad, object_hash="object10"),
        classifications=[make.classification(name=bad), make.classification(bad)],
        object_answers={
            "object01": {"classifications": [make.answer(bad, bad), make.answer([option], bad, "Attribu2")]}
        },
        object_actions={"object01": {"actions": [make.action(bad, [[0, 0]], bad, "Attribu3")]}},
        classification_answers={bad: {"classifications": []}},
        branch_name=bad,
        label_status=bad,
        annotation_task_status=bad,
        workflow_graph_node={"title": bad},
        data_title=bad,
        dataset_title=bad,
        dataset_hash=bad,
        video_link=bad,
        export_hash=bad,
        exported_at=bad,
        export_history=[{"export_hash": "old", "exported_at": bad, "user_email": bad}],
        is_valid=bad,
    )
    row = make.changed(row, bad, "data_units", "data-0", "data_type")
    row = make.changed(row, bad, "data_units", "data-0", "width")

    reading = make.read(row)

    text = repr((reading, validate(reading.row))).lower()
    assert len(reading.findings) > 8
    for secret in ("jane", "akia", "u:p", "sig=1"):
        assert secret not in text


def test_a_text_that_was_changed_is_told_once() -> None:
    """The same name on a thousand frames is one finding; the message does not repeat it."""
    row = make.video_row({number: [make.box(name="jane@example.com")] for number in range(5)})

    reading = make.read(row)

    assert make.rules(reading) == ["personal_data_removed"]
    assert {frame.objects[0].name for frame in reading.row.frames} == {"[e-mail removed]"}
    assert "jane" not in str(reading.findings[0])


@pytest.mark.parametrize("value", ["jane@example.com", "https://example.com/?a=b", "a\u202eb", "x" * 65, ""])
def test_a_hash_that_is_no_hash_never_becomes_one(value: str) -> None:
    """Hashes go into file names and tables unredacted, so only their own characters pass."""
    reading = make.read(make.image_row(make.box(object_hash=value), make.box(featureHash=value)))

    assert make.rules(reading) == ["bad_hash", "bad_hash"]
    assert not value or value not in repr(reading)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ask jane%40hospital.example.org today", "ask [e-mail removed] today"),
        ('ask "jane doe"@hospital.example.org today', "ask [e-mail removed] today"),
        ("key xAKIAIOSFODNN7EXAMPLE here", "key x[key removed] here"),
    ],
)
def test_disguised_secrets_are_found(text: str, left: str) -> None:
    """Escaped at signs, quoted names and keys glued to a word are personal data all the same."""
    assert redact(text) == left
