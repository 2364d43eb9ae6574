"""The benchmark of the formats runs on exports of a few rows, and sees a script that comes to other labels."""

from pathlib import Path

import pytest

from benchmarks import formats, usual


def test_formats_are_measured_and_compared(tmp_path: Path) -> None:
    """Of rows of all kinds: also that the usual script comes to the same boxes and pixels."""
    costs = list(formats.measured("mixed", "XS", ["yolo_detect", "voc_masks"], tmp_path))
    assert [cost.name for cost in costs] == ["coco", "coco,masks", "yolo_detect", "voc_masks"]
    assert all(cost.alone > 0 and cost.files > 1 for cost in costs)
    text = formats.report(costs, tmp_path)
    assert "| format | mixed |" in text
    assert text.count("| voc_masks |") == 6


def test_other_labels_are_seen(tmp_path: Path) -> None:
    """A box that is moved by a pixel, and a file too few."""
    for folder, text in (("ours/yolo_detect", "0 0.5 0.5 0.1 0.1\n"), ("script", "0 0.501 0.5 0.1 0.1\n")):
        (tmp_path / folder / "labels").mkdir(parents=True)
        (tmp_path / folder / "labels" / "a.txt").write_text(text)
    assert "yolo_detect" in usual.FORMATS
    with pytest.raises(formats.Disagreement, match="a.txt"):
        formats.agree("yolo_detect", tmp_path / "ours", tmp_path / "script")
    (tmp_path / "script" / "labels" / "b.txt").touch()
    with pytest.raises(formats.Disagreement, match="some of them are not here"):
        formats.agree("yolo_detect", tmp_path / "ours", tmp_path / "script")
