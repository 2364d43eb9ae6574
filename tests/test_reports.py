"""What people and scripts are told of losses and of suspicious versions, on the command line and in Dagster."""

import json
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster import cli
from encord_dagster.config import LabelSetConfig
from encord_dagster.orchestration import latest, metadata, readable
from encord_dagster.reports import batch_text
from tests import factories as make
from tests.lakes import Desk

BOTH = make.encode([make.image_row(make.box(), make.point())])
ONE = make.encode([make.image_row(make.box(), export_hash="later", exported_at="Mon, 22 Jul 2024 09:20:25 UTC")])
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def street(tmp_path: Path) -> list[str]:
    """The options of a label set on disk, beside two exports, of which the second lacks a class."""
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "one.json").write_bytes(BOTH)
    (tmp_path / "two.json").write_bytes(ONE)
    return ["--lake", str(tmp_path / "lake"), "--name", "street"]


def told(capsys: Capture, *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    assert cli.main([*arguments]) == code
    return capsys.readouterr().out


def test_a_suspicious_version_is_told_wherever_one_looks(street: list[str], tmp_path: Path, capsys: Capture) -> None:
    """By the ingest that makes it, which exits with 1, in the log, and by show; not by the ingest after it."""
    first = told(capsys, "ingest", str(tmp_path / "landing"), "-q", *street)
    second = told(capsys, "ingest", str(tmp_path / "two.json"), "-q", *street, code=1)
    third = told(capsys, "ingest", str(tmp_path / "two.json"), "-q", *street)

    sentence = "class 'a point' (PointCl1) had 1 object in the version before and has none now"
    assert [sentence in text for text in (first, second, third)] == [False, True, False]
    assert sentence in told(capsys, "show", *street)
    log = told(capsys, "log", *street).splitlines()
    assert [line.split()[5] for line in log[1:]] == ["0", "2"]
    records = json.loads(told(capsys, "log", "--json", *street))
    assert [len(record["findings"]) for record in records] == [0, 2]
    assert json.loads(told(capsys, "show", "--json", *street))["findings"][0]["rule"] == "class_vanished"


def test_show_lists_losses(street: list[str], tmp_path: Path, capsys: Capture) -> None:
    """With count, code and description; `none` where nothing is lost."""
    told(capsys, "ingest", str(tmp_path / "two.json"), "-q", *street)
    told(capsys, "convert", str(tmp_path / "landing"), "-q", "-o", str(tmp_path / "out"))

    nothing = told(capsys, "show", *street)
    file = json.loads((tmp_path / "out" / "loss_report.json").read_bytes())

    assert "losses\n  none\n" in nothing
    assert json.loads(told(capsys, "show", "--json", *street))["losses"] == {}
    assert [(line["code"], line["count"]) for line in file["losses"]] == [("masks:point", 1)]


def test_show_says_what_a_loss_means(street: list[str], tmp_path: Path, capsys: Capture) -> None:
    """And where the lost thing still is."""
    told(capsys, "ingest", str(tmp_path / "landing"), "-q", *street)

    text = told(capsys, "show", *street)

    assert "          1  masks:point  Points have no area, so nothing is painted. `keypoints` in the COCO file" in text
    assert json.loads(told(capsys, "show", "--json", *street))["losses"] == {"masks:point": 1}


def rules_in(value: dg.MetadataValue) -> list[str]:
    """The rules of a table of findings."""
    assert isinstance(value, dg.MarkdownMetadataValue)
    return [line.split("|")[2].strip() for line in str(value.value).splitlines()[2:]]


def test_dagster_shows_losses_and_suspicions_of_a_version() -> None:
    """At `label_set`, and at `label_set_latest` with a verdict for each rule."""
    desk = Desk(config=LabelSetConfig(name="street", hold_back=()))
    desk.bring("one.json", make.encode([make.image_row(make.box(), make.point(), make.polyline())]))
    batch = desk.bring("two.json", ONE)
    assert batch.published is not None
    state = latest.newest(desk.lake, "street")
    assert state is not None
    fired = latest.findings_by_rule(desk.lake, "street")

    shown = [metadata.version(batch.published), latest.state_metadata(state, fired=fired)]

    rules = ["class_vanished", "class_vanished", "annotations_dropped"]
    for values in shown:
        assert "encord/losses" not in values
        assert rules_in(values["encord/version_findings"]) == rules
    verdicts = {one.check_name: one for one in latest.evaluations(fired, config=desk.config)}
    assert not verdicts["class_vanished"].passed
    assert verdicts["class_vanished"].severity is dg.AssetCheckSeverity.ERROR
    assert verdicts["class_vanished"].metadata["encord/findings"].value == 2
    assert verdicts["class_share_shifted"].passed


def test_dagster_shows_why_a_version_is_held_back() -> None:
    """The checks of the newest version fail, though readers do not see the one that they speak of."""
    desk = Desk()
    desk.bring("one.json", BOTH)
    batch = desk.bring("two.json", ONE)
    assert batch.published is not None

    shown = rules_in(metadata.version(batch.published)["encord/version_findings"])
    fired = latest.findings_by_rule(desk.lake, "street")

    assert batch.published.held
    assert shown == ["class_vanished", "annotations_dropped"]
    verdicts = {one.check_name: one for one in latest.evaluations(fired, config=desk.config)}
    assert not verdicts["class_vanished"].passed
    assert "held back" in batch_text(batch)


def test_dagster_shows_what_a_loss_means() -> None:
    """A table with count and description."""
    text = str(readable.fitted([readable.losses({"masks:point": 3})], 1000)["encord/losses"].value)

    assert "| `masks:point` | 3 | `Points have no area" in text
