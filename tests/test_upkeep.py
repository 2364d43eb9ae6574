"""The commands of operators, as they use them one after the other on one label set."""

import json
from pathlib import Path
from typing import Any

import pytest

from encord_dagster.cli import main
from tests.lakes import exported_again, images_export

FIRST = images_export(4)


@pytest.fixture
def street(tmp_path: Path) -> list[str]:
    """The options that name a label set of two versions."""
    options = ["--lake", str(tmp_path / "lake"), "--name", "street"]
    for name, data in (("one", FIRST), ("two", exported_again(FIRST, changed=1, added=1))):
        path = tmp_path / "landing" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        assert main(["ingest", "-q", str(path), *options]) == 0
    return options


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """What a command prints, as JSON."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_changed_and_why_and_since_when(street: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Differences of two versions, what made the second, and where one of its changed rows comes from."""
    found = answer(capsys, "diff", "1", "2", *street)
    why = answer(capsys, "why", "2", *street)
    changed = next(row["label_hash"] for row in found["listed"] if row["fate"] == "changed")
    history = answer(capsys, "history", changed, *street)

    assert found["rows"]["changed"] == found["rows"]["added"] == 1
    assert json.dumps(why).count("export_hash")
    assert len(history["events"]) == 2
    assert main(["diff", "1", *street]) == 0
    assert "1 added, 0 removed, 1 changed" in capsys.readouterr().out


def test_going_back_and_forth(street: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A tag, a rollback, the blocked export let in again, a row retired and brought back: each with its reason."""
    tagged = answer(capsys, "tag", "gold", "1", *street)
    back = answer(capsys, "rollback", "1", "--reason", "wrong masks", *street)
    opened = answer(capsys, "unblock", *back["blocked"], "--reason", "they were right", *street)
    listed = answer(capsys, "diff", "1", "2", *street)["listed"]
    row = next(one["label_hash"] for one in listed if one["fate"] == "changed")
    retired = answer(capsys, "retire", "--label-hash", row, "--reason", "consent withdrawn", *street)
    restored = answer(capsys, "restore", row, "--reason", "a mistake", *street)

    assert [one["name"] for one in answer(capsys, "tags", *street)] == [tagged["name"]] == ["gold"]
    assert (back["op"], back["content_digest"]) == ("rollback", tagged["content_digest"])
    assert "blocked" not in opened
    assert retired["op"] == "retire"
    assert restored["reason"] == "a mistake"
    assert main(["verify", "--quick", *street]) == 0


def test_cleaning_up_says_first_what_would_go(street: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And leaves the newest version whole."""
    would = answer(capsys, "gc", "--keep", "1", "--dry-run", *street)
    did = answer(capsys, "gc", "--keep", "1", *street)

    assert would["removed"] == did["removed"] > 0
    assert did["dropped"] == [1]
    assert main(["verify", *street]) == 0
    assert main(["show", "1", *street]) == 2


def test_quarantine_is_listed_and_replayed(
    street: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is still unusable stays where it is."""
    (tmp_path / "landing" / "bad.json").write_bytes(b"<html>")
    assert main(["ingest", "-q", str(tmp_path / "landing" / "bad.json"), *street]) == 1

    (held,) = answer(capsys, "quarantine", *street)
    batch = answer(capsys, "replay", held["export"]["id"], *street, code=1)

    assert held["items"][0]["reason"] == "html_not_json"
    assert [outcome["status"] for outcome in batch["outcomes"]] == ["quarantined"]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints for people."""
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_people_are_told_in_lines(street: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lineage, tags and quarantine: what, where, and what to do next."""
    (tmp_path / "landing" / "ann@example.com.json").write_bytes(b"<html>")
    assert main(["ingest", "-q", str(tmp_path / "landing" / "ann@example.com.json"), *street]) == 1
    answer(capsys, "tag", "gold", "1", *street)
    listed = answer(capsys, "diff", "1", "2", *street)["listed"]
    row = next(one["label_hash"] for one in listed if one["fate"] == "changed")
    (held,) = answer(capsys, "quarantine", *street)

    assert "made of version 1 by record 2 (publish)" in told(capsys, "why", "2", *street)
    history = told(capsys, "history", row, *street)
    assert "changed in versions 1, 2" in history
    assert [line[0] for line in history.splitlines() if "accepted" in line] == [" ", "*"]
    assert told(capsys, "tags", *street).startswith("gold  version 1  ")
    quarantine = told(capsys, "quarantine", *street)
    assert "1 html_not_json" in quarantine
    assert "ann@example" not in quarantine
    assert "download it again" in told(capsys, "quarantine", held["export"]["id"], *street)
    assert main(["quarantine", "20240101T000000Z-000000000000", *street]) == 2


def test_an_operation_without_a_reason_is_refused(street: list[str]) -> None:
    """The reason is for whoever reads the log next year."""
    assert main(["release", "--reason", " ", *street]) == 2
