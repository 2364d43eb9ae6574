"""Personal data of an export ends in the reader: nothing outside raw/ and nothing that is printed holds any.

Landing keys (file names) are part of the records of sources: they are not labels, and a person chose them.
"""

import contextlib
import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from encord_dagster.cli import main
from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set import quarantine
from encord_dagster.pipeline import ingest
from encord_dagster.samples import bad_row, canaries
from tests import factories
from tests.factories import action, answer, option
from tests.lakes import DAY, Desk, exported_again, project_export
from tests.published import leaks, text_of, texts

Path_ = tuple[str | int, ...]

SECRET = "CanarySecret"
ADDRESS = f"jane.{SECRET}@hospital.example.org"
LINK = f"https://storage.example.com/scan.png?X-Amz-Credential={SECRET}&X-Amz-Signature=0a{SECRET}"
LOGIN = f"https://jane:{SECRET}@storage.example.com/scan.png"
KEY = "AKIACANARYSECRET1234"
FREE_TEXT = f"see {ADDRESS}, {LINK} or {LOGIN} with {KEY}"
SECRETS = (SECRET, KEY, "X-Amz-")
DROPPED = "Canary Jane Doe 1971"  # plain words: they must not be published where a key is dropped as a whole
UID = "1.2.840.99999.4711"


def test_the_canaries_of_the_samples_are_nowhere() -> None:
    """Authors, titles, patients, drivers, buckets and signatures of the samples, good, bad and exported again."""
    desk, data = Desk(), project_export(10)
    bad = bad_row(seed=3, exported_at=DAY)

    batches = [desk.bring(f"{name}.json", content) for name, content in _deliveries(data, bad).items()]

    assert [secret for secret in canaries() if secret not in data.decode()] == []
    assert leaks(_everything(desk), canaries()) == []
    assert leaks({"outcomes": msgspec.json.encode(batches).decode()}, canaries()) == []
    kinds = {key.split("/")[2] for key in desk.written("label_sets/")}
    assert {"objects", "log", "exports", "quarantine", "categories"} <= kinds


def test_free_texts_are_published_without_secrets() -> None:
    """Addresses, signed links, logins and access keys in names, answers and options are taken out, the rest stays."""
    desk = Desk()
    data = factories.encode([talkative_row()])

    batch, said = _ingest(desk, data)

    assert data.decode().count(SECRET) > 50
    everything = _everything(desk) | {"said": said, "outcome": msgspec.json.encode(batch).decode()}
    assert leaks(everything, SECRETS) == []
    coco = desk.label_set().version().coco().decode()
    assert coco.count("see [e-mail removed]") >= 5
    assert batch.outcomes[0].objects_published == 4
    assert "personal_data_removed" in batch.outcomes[0].rules


def test_quarantine_points_at_what_it_holds_and_repeats_none_of_it() -> None:
    """A record says which object of which row, why, and where its bytes lie in the raw copy: no name, no geometry."""
    desk = Desk()
    data = factories.encode([talkative_row()])

    desk.bring("one.json", data)

    (record,) = quarantine.read(desk.lake, "street")
    (item,) = record.items
    assert (item.reason, item.object_hash) == ("outside_image", "badobj01")
    assert [finding.rule for finding in item.findings] == ["outside_image"]
    raw = desk.lake.get(f"raw/{record.raw[:2]}/{record.raw}") or b""
    assert item.offset is not None
    assert item.length is not None
    assert json.loads(raw[item.offset : item.offset + item.length])["label_hash"] == item.label_hash
    (key,) = [key for key in desk.written() if "/quarantine/" in key]
    assert leaks({key: text_of(desk.lake.get(key) or b"")}, (*SECRETS, "boundingBox", "see [")) == []


def test_what_nobody_needs_is_dropped_whole() -> None:
    """Titles, links, authors, users, patients and DICOM uids are not published in any form, not even plain words."""
    desk = Desk()
    rows = [_marked(talkative_row(), factories.dicom_row({0: factories.dicom_slice(factories.box(), uid=UID)}))]
    data = factories.encode(rows[0])

    batch, said = _ingest(desk, data)

    assert data.decode().count(DROPPED) > 20
    assert UID in data.decode()
    everything = _everything(desk) | {"said": said, "outcome": msgspec.json.encode(batch).decode()}
    assert leaks(everything, (DROPPED, UID)) == []
    assert batch.outcomes[0].objects_published == 5


def _texts_in(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Paths to every text of a document."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _texts_in(child, (*at, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts_in(child, (*at, index))
    elif isinstance(value, str):
        yield at


def _keys_in(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Paths to every key of a document."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
        yield from ((*at, key) for key in value)
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield from _keys_in(child, (*at, key))


def plain_rows() -> list[factories.Json]:
    """Rows of all layouts, short: every text and every key of them is spoilt in turn."""
    objects = [factories.box(), factories.polygon(), factories.skeleton(), factories.cuboid()]
    ranged = factories.audio_row(factories.entry("audio", {}, "sound001"))
    return [
        _with_answers(factories.image_row(*objects, classifications=[factories.classification()])),
        factories.video_row({0: [factories.box()], 3: [factories.rotated_box()]}),
        factories.dicom_row({0: factories.dicom_slice(factories.bitmask("9", 3, 3), width=3, height=3)}),
        ranged,
    ]


@pytest.mark.parametrize("number", range(4))
def test_no_text_of_a_row_can_carry_an_address_out(number: int) -> None:
    """Each text of a row, whatever its key, is made a secret, one at a time: it is never published or printed."""
    row = plain_rows()[number]
    paths = list(_texts_in(row))

    spoilt = [factories.changed(row, FREE_TEXT, *path) for path in paths]

    assert _leaks_of(spoilt) == []
    assert len(paths) > 25


@pytest.mark.parametrize("number", range(4))
def test_no_key_of_a_row_can_carry_an_address_out(number: int) -> None:
    """Each key of a row is renamed to a secret, one at a time: messages about odd keys do not quote them."""
    row = plain_rows()[number]
    paths = list(_keys_in(row))

    spoilt = [_renamed(row, path) for path in paths]

    assert _leaks_of(spoilt) == []
    assert len(paths) > 30


@pytest.mark.parametrize("number", range(4))
def test_no_value_of_the_wrong_type_carries_an_address_out(number: int) -> None:
    """Each value of a row becomes a list or object with a secret, one at a time: error messages do not quote it."""
    row = plain_rows()[number]
    paths = list(_keys_in(row))

    spoilt = [factories.changed(row, wrong, *path) for path in paths for wrong in ([FREE_TEXT], {FREE_TEXT: FREE_TEXT})]

    assert _leaks_of(spoilt) == []
    assert len(paths) > 30


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f'[{{"label_hash": "{FREE_TEXT}" "data_units": {{}}}}]'.encode(), id="broken JSON"),
        pytest.param(f'[{{"label_hash": "{FREE_TEXT}'.encode(), id="cut off"),
        pytest.param(f"<html><body>Welcome back, {FREE_TEXT}</body></html>".encode(), id="sign-in page"),
        pytest.param(f"{FREE_TEXT}".encode(), id="plain text"),
        pytest.param(json.dumps({FREE_TEXT: FREE_TEXT}).encode(), id="other JSON"),
        pytest.param(json.dumps([FREE_TEXT, {FREE_TEXT: 1}]).encode(), id="list of texts"),
        pytest.param(
            json.dumps({"images": [{"file_name": FREE_TEXT}], "annotations": [], "categories": []}).encode(), id="COCO"
        ),
        pytest.param(f'{{"label_hash": "a", "data_units": {{}}}}\n{{"{FREE_TEXT}'.encode(), id="broken line"),
        pytest.param(b'[{"label_hash": "' + FREE_TEXT.encode() + b"\xff" + b'"}]', id="not UTF-8"),
    ],
)
def test_no_file_that_is_no_export_carries_an_address_out(data: bytes) -> None:
    """What an unusable file holds is not quoted in the reason why."""
    desk = Desk()

    batch, said = _ingest(desk, data)

    assert batch.outcomes[0].status == "quarantined"
    everything = _everything(desk) | {"said": said, "outcome": msgspec.json.encode(batch).decode()}
    assert leaks(everything, SECRETS) == []


@pytest.mark.parametrize("policy", ["quarantine_row", "fail_export"])
def test_strict_policies_say_no_more(policy: str) -> None:
    """A row or an export that is refused for one object names that object, and nothing personal."""
    config = msgspec.convert({"name": "street", "on_bad_object": policy}, LabelSetConfig)
    desk = Desk(config=config)
    bad = factories.box(y=6204, name=FREE_TEXT, createdBy=ADDRESS, confidence=FREE_TEXT)

    batch, said = _ingest(desk, factories.encode([factories.image_row(bad, data_title=FREE_TEXT)]))

    assert batch.outcomes[0].status == "quarantined"
    everything = _everything(desk) | {"said": said, "outcome": msgspec.json.encode(batch).decode()}
    assert leaks(everything, SECRETS) == []


def test_the_command_line_prints_no_secret(tmp_path: Path) -> None:
    """Every command that prints, as text and as JSON, over samples, a talkative row and a bad file."""
    landing, lake = tmp_path / "landing", str(tmp_path / "lake")
    landing.mkdir()
    (landing / "samples.json").write_bytes(project_export(8))
    (landing / "talk.json").write_bytes(factories.encode(_marked(talkative_row())))
    (landing / "bad.json").write_bytes(f"<p>{FREE_TEXT}</p>".encode())
    street = ["--lake", lake, "--name", "street"]
    commands = [
        ["validate", str(landing)],
        ["convert", str(landing), "-o", str(tmp_path / "converted")],
        ["ingest", str(landing), *street],
        ["log", *street],
        ["show", *street],
        ["verify", *street],
        ["checkout", *street, "-o", str(tmp_path / "checkout")],
    ]

    printed = {" ".join(command): _printed(command) for command in commands}
    for command in (commands[0], *commands[3:6]):
        printed[" ".join(command) + " --json"] = _printed([*command, "--json"])

    secrets = (*SECRETS, *canaries(), DROPPED)
    assert all(printed.values())
    assert leaks(printed, secrets) == []
    files = [path for folder in ("converted", "checkout") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(files) > 40
    assert leaks({str(path): text_of(path.read_bytes()) for path in files}, secrets) == []


def test_without_raw_copies_the_lake_holds_no_secret_at_all() -> None:
    """With `keep_raw: false` not even raw/ has one: it keeps a pointer."""
    desk = Desk(config=LabelSetConfig(name="street", keep_raw=False))

    desk.bring("samples.json", project_export(8))
    desk.bring("talk.json", factories.encode([talkative_row()]))

    written = {info.key: text_of(desk.lake.get(info.key) or b"") for info in desk.lake.list()}
    assert leaks(written, (*canaries(), *SECRETS)) == []


def test_the_search_itself_finds_what_is_there() -> None:
    """A secret in a compressed Parquet column and one in a raw copy: the first is found, the second is allowed."""
    import pyarrow as pa

    from encord_dagster.formats.tables import to_parquet

    desk = Desk()
    table = pa.table({"message": ["nothing here"] * 500 + [FREE_TEXT], "nested": [[{"a": ADDRESS}]] * 501})
    desk.lake.create("label_sets/street/some.parquet", to_parquet(table))
    desk.lake.create("raw/aa/aabb", FREE_TEXT.encode())

    assert {place for place, _ in leaks(texts(desk.lake), SECRETS)} == {"label_sets/street/some.parquet"}


def talkative_row() -> factories.Json:
    """An image row with a secret in every text that people write and that is published."""
    named: dict[str, Any] = {
        "name": FREE_TEXT,
        "value": FREE_TEXT,
        "color": ADDRESS,
        "createdBy": ADDRESS,
        "lastEditedBy": ADDRESS,
    }
    objects = [
        factories.box(**named, reviews=[{"rejectionComment": FREE_TEXT, "createdBy": ADDRESS}]),
        factories.polygon(**named),
        factories.skeleton([factories.joint(0.2, 0.2, FREE_TEXT, "JointClA", value=FREE_TEXT)], **named),
        factories.point(**named),
        factories.entry(FREE_TEXT, {"cuboid_2d": {"front": [0.5, 0.5]}}, "object08"),
        factories.box(y=6204, object_hash="badobj01", **named),
    ]
    row = factories.image_row(*objects, classifications=[factories.classification(name=FREE_TEXT, createdBy=ADDRESS)])
    row |= {
        "data_title": FREE_TEXT,
        "dataset_title": FREE_TEXT,
        "video_link": LINK,
        "branch_name": "main",
        "label_status": FREE_TEXT,
        "annotation_task_status": FREE_TEXT,
        "workflow_graph_node": {"uuid": "a", "title": FREE_TEXT},
        "assigned_user_email": ADDRESS,
        "client_metadata": {"patient": FREE_TEXT, FREE_TEXT: 1},
        "created_at": FREE_TEXT,
        "last_edited_at": FREE_TEXT,
        "export_history": [{"export_hash": "hash-1", "exported_at": FREE_TEXT, "user_email": ADDRESS}],
        FREE_TEXT: FREE_TEXT,
    }
    return _with_answers(row, FREE_TEXT)


def _with_answers(row: factories.Json, text: str = "text") -> factories.Json:
    given = [
        answer(text, text, "AttrText"),
        answer([option(text, "OptionA1")], text, "AttrRadi"),
        answer([option(text, "OptionB1"), option(text, "OptionB2")], text, "AttrList"),
    ]
    dynamic = [action(text, [[0, 0]], text, "AttrDyna"), action([option(text, "OptionC1")], [[0, 9]], text, "AttrDyn2")]
    return row | {
        "object_answers": {"object01": {"objectHash": "object01", "classifications": given}},
        "object_actions": {"object01": {"objectHash": "object01", "actions": dynamic}},
        "classification_answers": {"classif1": {"classificationHash": "classif1", "classifications": given}},
    }


def _marked(*rows: factories.Json) -> list[factories.Json]:
    """The rows with plain words in all keys that are dropped as a whole."""
    dropped = {
        "data_title", "dataset_title", "data_link", "video_link", "createdBy", "lastEditedBy", "user_email",
        "assigned_user_email", "color", "patient_id", "study_uid", "series_uid", "file_uri", "patient",
    }  # fmt: skip

    def mark(value: Any) -> Any:
        if isinstance(value, list):
            return [mark(child) for child in value]
        if not isinstance(value, dict):
            return value
        marked = {key: DROPPED if key in dropped else mark(child) for key, child in value.items()}
        return marked | ({"data_links": [f"bucket/{DROPPED}"]} if "data_links" in value else {})

    return [mark(row) for row in rows]


def _renamed(row: factories.Json, path: Path_) -> factories.Json:
    copied = copy.deepcopy(row)
    place: Any = copied
    for step in path[:-1]:
        place = place[step]
    renamed = {FREE_TEXT if key == path[-1] else key: child for key, child in place.items()}
    place.clear()
    place.update(renamed)
    return copied


def _leaks_of(spoilt: list[factories.Json]) -> list[tuple[str, str]]:
    """What is published or printed of secrets when rows are ingested; each gets a row hash of its own if it has one."""
    rows = [row | {"label_hash": f"row-{n}"} if _has_hash(row) else row for n, row in enumerate(spoilt)]
    desk = Desk(config=LabelSetConfig(name="street", masks=False))
    batch, said = _ingest(desk, factories.encode(rows))
    assert batch.outcomes[0].rows == len(rows)
    everything = _everything(desk) | {"said": said, "outcome": msgspec.json.encode(batch).decode()}
    return leaks(everything, SECRETS)


def _has_hash(row: factories.Json) -> bool:
    value = row.get("label_hash")
    return isinstance(value, str) and SECRET not in value


def _ingest(desk: Desk, data: bytes) -> tuple[Any, str]:
    """Deliver and ingest; the batch and all progress lines."""
    said: list[str] = []
    export = desk.deliver("one.json", data)
    batch = ingest([export], landing=desk.landing, lake=desk.lake, config=desk.config, progress=said.append)
    return batch, "\n".join(said)


def _everything(desk: Desk) -> dict[str, str]:
    """Every text outside raw/, and what the reader gives of the newest version."""
    found = texts(desk.lake)
    label_set = desk.label_set()
    if label_set.head.record and label_set.head.record.root:
        version = label_set.version()
        found["findings"] = repr(version.findings())
        found["row events"] = json.dumps(version.table("row_events").to_pylist())
        found["coco"] = version.coco().decode()
    return found


def _deliveries(data: bytes, bad: bytes) -> dict[str, bytes]:
    return {
        "one": data,
        "bad": bad,
        "two": exported_again(data, changed=3, added=2, deleted=1),
        "cut": data[: len(data) // 2],
        "page": b"<html>jana.canary@example.com</html>",
    }


def _printed(arguments: list[str]) -> str:
    """What a command prints to both streams."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main(arguments)
    return out.getvalue() + err.getvalue()
