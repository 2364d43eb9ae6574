"""A conversion with a selection, straight from the disk, makes the same files as one through a lake in memory."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from encord_dagster import commands
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.formats.catalogue import FORMATS, NEED_A_LAKE
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.selection_report import FILE
from tests import factories as make
from tests.factories import Json
from tests.stream_exports import compact, export, files_below, named, silent

DESCRIPTIONS = {"croissant.json", "prov.jsonld"}  # of versions, which a conversion without a lake has none of
ALL = tuple(name for name in FORMATS if name not in NEED_A_LAKE)
SPLITS = {"train": 0.6, "val": 0.2, "test": 0.2}


def rows(count: int) -> list[Json]:
    """Rows of all kinds, of several datasets, statuses and stages, and scans."""
    made = export(count)
    made.append(named(make.dicom_row({n: make.dicom_slice(make.box(), uid=f"1.{n}") for n in range(4)}), 900))
    made.append(named(make.nifti_row({n: [make.box()] for n in range(4)}), 901))
    odd = [
        make.box(object_hash="unsure01", confidence=0.3),
        make.box(x=0.5, object_hash="machine1", manualAnnotation=False),
    ]
    state = {"objectHash": "unsure01", "classifications": [make.answer([make.option("broken", "Option01")])]}
    made.append(named(make.image_row(*odd, object_answers={"unsure01": state}), 902))
    for number, row in enumerate(made):
        row["dataset_hash"] = f"dataset-{number % 3}"
        row["label_status"] = ("LABELLED", "REVIEWED", "NOT_LABELLED")[number % 5 % 3]
        row["workflow_graph_node"] = {"uuid": f"node-{number % 2}", "title": ("Review", "Complete")[number % 2]}
    return made


def converted(
    source: Path, output: Path, selection: Selection, formats: Sequence[str] = ALL, *, processes: int = 1, **more: Any
) -> dict[str, bytes]:
    """The files of a conversion from the disk; it says so where it takes another way."""
    told: list[str] = []
    config = LabelSetConfig(name="converted", masks="masks" in formats)
    batches, paths = commands.convert_urls(
        [str(source)],
        output=output,
        formats=formats,
        config=config,
        progress=told.append,
        selection=selection,
        processes=processes,
        **more,
    )
    assert [line for line in told if not line.endswith(" s left")] == []
    assert batches[0].outcomes[0].status == "converted"
    found = files_below(output)
    assert {path.relative_to(output).as_posix() for path in paths} == found.keys()
    return found


def in_memory(
    source: Path, output: Path, selection: Selection, formats: Sequence[str] = ALL, **more: Any
) -> dict[str, bytes]:
    """The same through a lake in memory, without what names its version."""
    config = LabelSetConfig(name="converted", masks="masks" in formats)
    commands.in_memory([str(source)], output, formats, config, silent, selection=selection, **more)
    found = {name: data for name, data in files_below(output).items() if name not in DESCRIPTIONS}
    if FILE in found:
        report = json.loads(found[FILE])
        assert report.pop("version") == 1
        assert report.pop("content_digest")
        found[FILE] = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export."""
    path = tmp_path_factory.mktemp("landing") / "export.json"
    path.write_bytes(compact(rows(24)))
    return path


SELECTIONS: dict[str, dict[str, Any]] = {
    "classes": {
        "classes": {"thing": ("a bounding_box", "a polygon"), "line": ("a polyline",)},
        "other_classes": "drop",
    },
    "drop_classes": {"drop_classes": ("a bitmask",)},
    "answers": {"classes": {"odd": ("a bounding_box[state=broken]",)}},
    "label_statuses": {"label_statuses": ("REVIEWED",)},
    "workflow_nodes": {"workflow_nodes": ("Complete",)},
    "frame_step": {"frame_step": 3},
    "min_confidence": {"min_confidence": 0.7},
    "manual_only": {"manual_only": True},
    "min_side": {"min_side": 200},
    "negatives": {"negatives": "drop", "drop_classes": ("a bounding_box",)},
    "file_name": {"file_name": "{data_type}/{dataset_hash}/{data_hash}_{frame}{ext}"},
    "coco_url": {"coco_url": "s3://media/{dataset_hash}/{file_name}"},
    "splits": {"splits": SPLITS},
    "split_by": {"splits": SPLITS, "split_by": "dataset_hash"},
    "split_seed": {"splits": SPLITS, "split_by": "label_hash", "split_seed": "other"},
    "stratify": {"splits": SPLITS, "stratify": True},
    "coco_per_split": {"splits": SPLITS, "coco_per_split": True},
    "frame_rate": {"frame_rate": 25.0},
    "several": {
        "splits": SPLITS,
        "stratify": True,
        "split_by": "dataset_hash",
        "label_statuses": ("REVIEWED", "LABELLED"),
        "negatives": "drop",
        "frame_step": 2,
        "classes": {"thing": ("a bounding_box", "a bitmask")},
    },
}
FILTERS = {"label_statuses", "workflow_nodes", "frame_step", "min_confidence", "manual_only", "min_side", "negatives"}


def test_each_option_is_among_those_here() -> None:
    """So that none comes that takes another way."""
    assert {name for one in SELECTIONS.values() for name in one} == set(Selection.__struct_fields__)


@pytest.mark.parametrize("name", SELECTIONS)
def test_files_are_those_of_a_lake(name: str, source: Path, tmp_path: Path) -> None:
    """Of all formats that need none; by two processes."""
    selection = Selection(**SELECTIONS[name])

    expected = in_memory(source, tmp_path / "memory", selection)

    report = json.loads(expected[FILE])
    filters = report["selection"].keys() & FILTERS
    assert filters <= report["removed"].keys()
    if name == "answers":
        assert [one["annotations"] for one in report["classes"] if one["name"] == "odd"] == [1]
    found = converted(source, tmp_path / "out", selection, processes=2)
    assert found.keys() == expected.keys()
    assert found == expected


@pytest.mark.parametrize("processes", [1, 2])
def test_splits_of_an_earlier_conversion_are_kept(processes: int, source: Path, tmp_path: Path) -> None:
    """Of one that needed no lake, by one that needs none; groups that are gone stay in the list."""
    selection = Selection(splits=SPLITS, stratify=True)
    (tmp_path / "earlier.json").write_bytes(compact(rows(16)[4:]))
    converted(tmp_path / "earlier.json", tmp_path / "earlier", selection, ("coco",))
    (tmp_path / "later.json").write_bytes(compact(rows(24)[8:]))
    formats, more = ("coco", "yolo_detect"), {"splits_from": tmp_path / "earlier"}

    expected = in_memory(tmp_path / "later.json", tmp_path / "memory", selection, formats, **more)

    found = converted(tmp_path / "later.json", tmp_path / "out", selection, formats, processes=processes, **more)
    assert found == expected
    assert sum(one["kept"] for one in json.loads(found[FILE])["splits"].values()) > 0


@pytest.mark.parametrize("formats", [("coco",), ("masks",), ("yolo_detect",)])
def test_any_formats_come_with_what_was_chosen(formats: tuple[str, ...], source: Path, tmp_path: Path) -> None:
    """Also where all of them are those that are made while rows are read."""
    selection = Selection(splits=SPLITS)
    found = converted(source, tmp_path / "out", selection, formats)
    assert found == in_memory(source, tmp_path / "memory", selection, formats)


def test_what_cannot_be_chosen_leaves_no_folder(source: Path, tmp_path: Path) -> None:
    """A class that there is not, splits that there are not, and names that two images would have."""
    for selection, more, says in (
        (Selection(drop_classes=("Unicorn",)), {}, "no class 'Unicorn' in this version"),
        (Selection(), {"splits_from": tmp_path}, "there are no splits now"),
        (Selection(file_name="same.jpg"), {}, "two images would be called same.jpg"),
    ):
        with pytest.raises(UsageError, match=says):
            converted(source, tmp_path / "out", selection, ("coco",), processes=2, **more)
        assert list(tmp_path.iterdir()) == []
