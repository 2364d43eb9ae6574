"""A selection on the command line and in a file: the options decide, and a slip is told before anything is written."""

import argparse
import json
from pathlib import Path

import msgspec
import pytest

from encord_dagster import cli, selected
from encord_dagster.formats.catalogue import FORMATS
from encord_dagster.formats.selection import Selection
from tests.written import document, report


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the samples of one day, and the exports themselves."""
    folder = tmp_path_factory.mktemp("selecting")
    assert cli.main(["sample", str(folder / "exports"), "--days", "1", "--no-bad", "--rows", "8"]) == 0
    exports = str(folder / "exports" / "day1")
    assert cli.main(["ingest", exports, "--lake", str(folder / "lake"), "--name", "street", "-q", "--no-masks"]) == 0
    return folder


def checkout(lake: Path, folder: Path, *options: str) -> int:
    """The exit code of a checkout."""
    place = ["--lake", str(lake / "lake"), "--name", "street", "-o", str(folder)]
    return cli.main(["checkout", "latest", *place, *options])


OPTIONS = (
    *("--formats", "coco,yolo_detect", "--class", "vehicle=Car,Truck", "--class", "person=Pedestrian"),
    *("--other-classes", "drop", "--splits", "train=0.8,val=0.2", "--min-side", "3", "--negatives", "drop"),
)


def test_options_and_a_file_choose_the_same(lake: Path, tmp_path: Path) -> None:
    """YAML, and JSON too; both folders hold the same bytes."""
    (tmp_path / "chosen.yaml").write_text(
        "classes:\n  vehicle: [Car, Truck]\n  person: [Pedestrian]\nother_classes: drop\n"
        "splits: {train: 0.8, val: 0.2}\nmin_side: 3\nnegatives: drop\n"
    )
    fields = {"classes": {"vehicle": ["Car", "Truck"], "person": ["Pedestrian"]}, "other_classes": "drop"}
    more = {"splits": {"train": 0.8, "val": 0.2}, "min_side": 3, "negatives": "drop"}
    (tmp_path / "chosen.json").write_text(json.dumps(fields | more))

    codes = [checkout(lake, tmp_path / "options", *OPTIONS)]
    for name in ("yaml", "json"):
        chosen = ("--select", str(tmp_path / f"chosen.{name}"))
        codes.append(checkout(lake, tmp_path / name, "--formats", "coco,yolo_detect", *chosen))

    assert codes == [0, 0, 0]
    held = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("options", "yaml", "json")
    ]
    assert held[0] == held[1] == held[2]
    assert [one["name"] for one in document(tmp_path / "options")["categories"]] == ["vehicle", "person"]
    assert report(tmp_path / "options")["removed"]["classes"]["annotations"] > 0


def test_options_decide_over_the_file(lake: Path, tmp_path: Path) -> None:
    """Field by field."""
    (tmp_path / "chosen.yaml").write_text("min_side: 3\nnegatives: drop\n")

    checkout(lake, tmp_path / "out", "--formats", "coco", "--select", str(tmp_path / "chosen.yaml"), "--min-side", "9")

    assert report(tmp_path / "out")["selection"] == {"min_side": 9.0, "negatives": "drop"}


def test_convert_takes_the_same_options(lake: Path, tmp_path: Path) -> None:
    """Through a lake in memory; the labels are those of a checkout."""
    exports = str(lake / "exports" / "day1")
    assert checkout(lake, tmp_path / "one", *OPTIONS) == 0

    assert cli.main(["convert", exports, "-o", str(tmp_path / "two"), "-q", *OPTIONS]) == 0

    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name / "yolo_detect").rglob("*.txt")
        }
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) > 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--splits", "train=0.8"), "add up to 0.8"),
        (("--splits", "train"), "name each once with its share"),
        (("--class", "vehicle"), "give a new name and old ones"),
        (("--class", "vehicle=Lorry"), "no class 'Lorry' in this version"),
        (("--split-by", "patient"), "Invalid enum value 'patient'"),
        (("--select", "nothing.yaml"), "nothing.yaml"),
        (("--formats", "yolo"), "no format yolo; there are coco, masks, tables, coco_panoptic"),
    ],
)
def test_a_slip_is_told_and_nothing_is_written(
    options: tuple[str, ...], text: str, lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2."""
    code = checkout(lake, tmp_path / "out", *options)

    assert code == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["- a list", "{", "unknown_field: 1", "min_side: wide"])
def test_a_file_that_is_no_selection_is_refused(
    text: str, lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the file or the field."""
    (tmp_path / "chosen.yaml").write_text(text)

    code = checkout(lake, tmp_path / "out", "--select", str(tmp_path / "chosen.yaml"))

    assert code == 2
    assert "selection" in capsys.readouterr().err


def test_every_format_and_field_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists the formats, and each field of a selection has its option."""
    parser = argparse.ArgumentParser()
    selected.add_arguments(parser)

    with pytest.raises(SystemExit):
        cli.main(["checkout", "--help"])

    text = "".join(capsys.readouterr().out.split())
    assert all(name in text for name in FORMATS)
    fields = {name.removeprefix("selected_") for name in vars(parser.parse_args([])) if name.startswith("selected_")}
    assert fields == {field.name for field in msgspec.structs.fields(Selection)}
