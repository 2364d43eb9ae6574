"""Label sets that publish more than labels: configuration, versions, old tables, command line, definitions."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from encord_dagster.cli import main
from encord_dagster.config import LabelSetConfig, Publish
from encord_dagster.errors import UsageError
from encord_dagster.formats import tables
from encord_dagster.orchestration.definitions import build_label_set_definitions
from tests import factories as make
from tests.lakes import Desk
from tests.published import coco_of

VARIABLE = "TEST_PSEUDONYM_KEY"
LATER = "Mon, 22 Jul 2024 09:20:25 UTC"


def config(*publish: Publish, **options: object) -> LabelSetConfig:
    """A configuration that publishes something."""
    named = {"pseudonym_key_variable": VARIABLE} if "people" in publish else {}
    return LabelSetConfig(name="street", publish=publish, masks=False, **named, **options)  # type: ignore[arg-type]


def test_people_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variable is named, set, and long enough; each error says what to do."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError, match="pseudonym_key_variable"):
        LabelSetConfig(name="street", publish=("people",))
    with pytest.raises(UsageError, match=f"{VARIABLE}.*is not set: put a random text"):
        config("people").digest()
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(UsageError, match="fewer than 16 characters"):
        Desk(config=config("people")).bring("one.json", make.encode([make.image_row(make.box())]))


def test_what_is_not_known_cannot_be_published() -> None:
    """A slip must not pass as a choice."""
    with pytest.raises(UsageError, match="'title': there are titles, links, people, times"):
        config("title")  # type: ignore[arg-type]  # what a user may write


def test_every_choice_is_another_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of choices and the name of the variable are none; the key is one, and cannot be read from it."""
    monkeypatch.setenv(VARIABLE, "the first of two keys")
    first = config("people").digest()
    monkeypatch.setenv(VARIABLE, "the second of two keys")

    digests = [config(one).digest() for one in ("titles", "links", "times", "people")]
    digests += [config().digest(), config(free_text=False).digest(), first]

    assert len(set(digests)) == len(digests)
    assert config("titles", "links").digest() == config("links", "titles", "links").digest()
    assert config(pseudonym_key_variable="UNUSED").digest() == config().digest()
    assert config("people").digest(with_key=False) not in digests


def test_another_key_converts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody gets another pseudonym, in a version of its own."""
    desk = Desk(config=config("people"))
    monkeypatch.setenv(VARIABLE, "the first of two keys")
    desk.bring("one.json", make.encode([make.image_row(make.box())]))
    monkeypatch.setenv(VARIABLE, "the second of two keys")

    desk.ingest()

    authors = {coco_of(desk, number)["annotations"][0]["attributes"]["created_by"] for number in (1, 2)}
    assert len(authors) == 2
    assert all(author.startswith("p-") for author in authors)


def test_the_order_in_which_exports_come_does_not_matter() -> None:
    """Two exports that differ in a link alone: the later one decides, also where it came first."""
    moved = make.image_row(make.box(), exported_at=LATER)
    moved = make.changed(moved, "other-bucket/x.png", "data_units", "data-0", "data_link")
    exports = [make.encode([make.image_row(make.box())]), make.encode([moved])]
    desks = [Desk(config=config("links")) for _ in range(2)]

    for desk, order in zip(desks, (exports, exports[::-1]), strict=True):
        for number, data in enumerate(order):
            desk.bring(f"{number}.json", data)

    assert coco_of(desks[0])["images"][0]["coco_url"] == "other-bucket/x.png"
    assert coco_of(desks[0]) == coco_of(desks[1])
    records = [desk.label_set().version().record for desk in desks]
    assert records[0].content_digest == records[1].content_digest
    assert [record.version for record in records] == [2, 1]


def test_a_link_that_moved_is_nothing_new_where_links_are_not_published() -> None:
    """The version stays, as it always did."""
    desk = Desk(config=config("titles"))
    moved = make.changed(make.image_row(make.box(), exported_at=LATER), "b/x.png", "data_units", "data-0", "data_link")

    desk.bring("one.json", make.encode([make.image_row(make.box())]))
    desk.bring("two.json", make.encode([moved]))

    assert desk.label_set().version().number == 1


def test_tables_of_before_have_empty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label set whose shards lack the columns goes on: old records have nothing there, new ones what they say."""
    desk = Desk(config=config("titles"))
    new = {"title", "link", "created_by", "last_edited_by", "created_at", "last_edited_at"}
    old = {name: pa.schema([f for f in schema if f.name not in new]) for name, schema in tables.SCHEMAS.items()}
    weather = {"classif1": {"classificationHash": "classif1", "classifications": []}}
    row = make.image_row(make.box(), classifications=[make.classification()], classification_answers=weather)
    with monkeypatch.context() as before:
        before.setattr(tables, "SCHEMAS", old)
        desk.bring("one.json", make.encode([row]))
    assert set(desk.label_set().version().table("images").column("title").to_pylist()) == {None}

    desk.bring("two.json", make.encode([row | {"label_hash": "another"}]))

    version = desk.label_set().version()
    for name, schema in tables.SCHEMAS.items():
        assert version.table(name).schema.equals(schema)
    titles = {record["label_hash"]: record["title"] for record in version.table("images").to_pylist()}
    assert titles == {str(row["label_hash"]): None, "another": "holiday of Jane Doe.jpg"}


def test_nothing_more_leaves_coco_as_it_was() -> None:
    """Keys that are not published are not written, not even as null."""
    desk = Desk(config=config())

    desk.bring("one.json", make.encode([make.image_row(make.box())]))

    text = json.dumps(coco_of(desk))
    assert not [key for key in ("image_title", "coco_url", "created_", "last_edited") if key in text]


@pytest.mark.parametrize("command", ["ingest", "convert"])
def test_the_command_line_has_the_switches(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given to both commands that publish."""
    monkeypatch.setenv(VARIABLE, "a key of many characters")
    answers = {"object01": {"classifications": [make.answer("told by Jane")]}}
    (tmp_path / "one.json").write_bytes(make.encode([make.image_row(make.box(), object_answers=answers)]))
    switches = ["--publish", "titles,people", "--pseudonym-key-variable", VARIABLE, "--no-free-text", "-q"]
    lake = ["--lake", str(tmp_path / "lake"), "--name", "street"]
    out = tmp_path / "out"

    if command == "ingest":
        main(["ingest", str(tmp_path / "one.json"), *lake, *switches])
        main(["checkout", *lake, "-o", str(out)])
    else:
        main(["convert", str(tmp_path / "one.json"), "-o", str(out), *switches])

    coco = json.loads((out / "annotations" / "instances.json").read_bytes())
    assert coco["images"][0]["image_title"] == "holiday of Jane Doe.jpg"
    assert "coco_url" not in coco["images"][0]
    assert coco["annotations"][0]["attributes"]["created_by"].startswith("p-")
    assert coco["annotations"][0]["attributes"]["classifications"] == {}
    report = json.loads((out / "loss_report.json").read_bytes())
    assert [loss["code"] for loss in report["losses"]] == ["coco:free_text"]


def test_a_missing_key_is_a_slip_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a sentence that says what to do, before anything is written."""
    (tmp_path / "one.json").write_bytes(make.encode([make.image_row()]))
    lake = ["--lake", str(tmp_path / "lake"), "--name", "street"]

    codes = [
        main(["ingest", str(tmp_path / "one.json"), *lake, "--publish", publish]) for publish in ("people", "faces")
    ]

    assert codes == [2, 2]
    assert "name the environment variable" in capsys.readouterr().err


def test_definitions_load_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only runs have it: what merely shows assets needs no secret."""
    monkeypatch.delenv(VARIABLE, raising=False)

    defs = build_label_set_definitions(
        landing="memory://landing",
        lake="memory://lake",
        name="street",
        publish=("people", "titles"),
        pseudonym_key_variable=VARIABLE,
        free_text=False,
    )

    assert defs.resolve_job_def("street_ingest")
