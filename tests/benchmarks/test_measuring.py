"""What is measured is what was done, and what is written is what was measured."""

import csv
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart, results
from benchmarks import runners as r
from benchmarks.figures import Figure
from benchmarks.floors import main as floor
from benchmarks.generate import export_rows, write
from benchmarks.measure import CommandFailed, measure
from benchmarks.suite import Input, Run, WrongAnswer, measure_profile

BUSY = "import time\nwhile time.process_time() < 0.4: pass\n"
LARGE = "import time; data = bytearray(b'x') * 80_000_000; time.sleep(0.5)"
CHILD = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BUSY!r}])
subprocess.run([sys.executable, "-c", {LARGE!r}])
"""


def test_cpu_and_memory_of_children_count() -> None:
    """Seconds of work and megabytes that only a grandchild of ours has."""
    found = measure([sys.executable, "-c", CHILD])

    assert 0.4 <= found.cpu < found.wall + 5
    assert found.wall >= 0.5
    assert 80 <= found.peak < 160
    assert found.largest >= 80  # this parent is large, and Linux counts it in at the fork


def test_what_a_command_prints_is_kept_and_a_failing_one_is_named() -> None:
    """The message says which command, its code, and what it said."""
    assert measure([sys.executable, "-c", "print('hello')"]).output == "hello\n"
    with pytest.raises(CommandFailed, match=r"(?s)code 3.*so it is"):
        measure([sys.executable, "-c", "import sys; sys.stderr.write('so it is'); sys.exit(3)"])


def test_the_typed_floor_keeps_every_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be fast, but not by leaving out."""
    write(tmp_path / "in.json", "mixed", "XS")

    floor("typed", str(tmp_path / "in.json"), str(tmp_path / "out"))

    assert json.loads(capsys.readouterr().out)["cpu"] > 0
    text = (tmp_path / "out").read_text("utf-8")
    rows = json.dumps(list(export_rows("mixed", "XS")))
    for key in ('"boundingBox":', '"polygon":', '"polygons":', '"rleString":', '"dynamic":'):
        assert text.count(key) == rows.count(key) > 0


def test_a_run_without_a_coco_file_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Floors alone compare nothing."""
    monkeypatch.setattr("benchmarks.suite.DATA", tmp_path)
    with pytest.raises(WrongAnswer, match="no runner wrote"):
        measure_profile("boxes", "XS", runs=1, two_processes=False, only=[r.READ], say=lambda _: None)


def measured() -> results.Results:
    """Two profiles, two runs each, with round numbers."""
    inputs = [Input("boxes", "S", 12.5, 2000, 16000), Input("video", "S", 6.0, 1758, 14000)]
    seconds = {r.SDK: 40.0, r.SDK_ROWS: 20.0, r.OURS: 4.0, r.JSON: 0.2, r.TYPED: 0.1, r.FIRST: 5.0, r.CHANGED: 0.5}
    runs = [
        Run(one.profile, "S", name, number, cpu * (1 + 0.5 * number), cpu, 100.0)
        for one in inputs
        for name, cpu in seconds.items()
        for number in (0, 1)
    ]
    return results.Results(inputs, runs, [Figure("ticks", 12.0, "ms CPU", "none new")])


def test_the_table_shows_medians_and_their_ratios(tmp_path: Path) -> None:
    """40 s and 60 s are 50 s in the middle, and ten times 5 s."""
    results.write(tmp_path, "S", measured())

    text = (tmp_path / "S.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| boxes | 12.5"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:11] == ["2,000", "16,000", "50.0", "25.0", "5.00", "10.00", "5.00", "20.00", "40.00"]
    assert "10%" in next(line for line in text.splitlines() if line.startswith("| boxes | 6.25"))
    assert "| ticks | 12 | ms CPU | none new |" in text
    with (tmp_path / "S.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * 7 * 2 + 1
    assert table[0]["cpu_s"] == "40.000"


def test_the_chart_is_xml_with_a_bar_for_each_value() -> None:
    """Twice the seconds are a higher bar, by the same step as four times over twice."""
    groups: chart.Groups = [("boxes", [("SDK", 8.0), ("ours", 4.0)]), ("a & b", [("SDK", 16.0), ("ours", None)])]

    text = chart.svg("Seconds", groups, [("SDK", [(500, 1.0), (2000, 4.0)])])

    root = ElementTree.fromstring(text)  # noqa: S314 - our own text
    bars = [one for one in root.iter() if one.tag.endswith("rect") and len(one)]
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert [bar[0].text for bar in bars] == ["boxes, SDK: 8.00 s", "boxes, ours: 4.00 s", "a & b, SDK: 16.00 s"]
    assert heights[2] - heights[0] == pytest.approx(heights[0] - heights[1], abs=0.2) != 0


def test_two_processes_run_where_the_command_knows_them(tmp_path: Path) -> None:
    """Then one process is asked for by name too, so that a default of two does not pass for one."""
    inputs = r.Inputs(*(tmp_path / name for name in ("1", "2", "3", "o")))

    plain, both = ({one.name: one for one in r.runners(inputs, tmp_path, two_processes=two)} for two in (False, True))

    assert both.keys() - plain.keys() == {r.OURS_TWO}
    assert "--processes" not in plain[r.OURS].command
    assert both[r.OURS].command[-2:] == ("--processes", "1")
    assert both[r.OURS_TWO].command[-2:] == ("--processes", "2")
    assert len({one.coco for one in both.values() if one.coco}) == 5
