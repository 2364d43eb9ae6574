"""Bad deliveries are bad in the way they say; sample files are laid out by day and the same each time."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.samples import (
    BAD_OBJECTS,
    Project,
    bad_exports,
    bad_row,
    first_export,
    large_project,
    write_samples,
)
from tests.samples.json_rows import objects, rows

AT = datetime(2023, 10, 2, 14, 35, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", sorted(bad_exports()))
def test_bad_export_is_no_json(name: str) -> None:
    """Cut off, a page and an empty file are named as exports and cannot be parsed."""
    assert name.endswith(".json")
    with pytest.raises(ValueError, match="line 1|line \\d+"):
        json.loads(bad_exports()[name])


def test_cut_off_export_begins_like_a_good_one() -> None:
    """What is there of it is a prefix of JSON, so only its end betrays it."""
    assert bad_exports()["cut_off.json"].startswith(b'[\n {\n  "label_hash"')


def test_bad_row_has_three_bad_objects_beside_good_ones() -> None:
    """One row holds them all; y = 6204 and two points are literally there."""
    made = rows(bad_row())

    bad_rows = [row for row in made if {e["objectHash"] for e in objects(row)} & set(BAD_OBJECTS.values())]
    by_hash = {entry["objectHash"]: entry for row in bad_rows for entry in objects(row)}
    assert (len(made), len(bad_rows)) == (4, 1)
    assert len(by_hash) > len(BAD_OBJECTS) + 5
    assert by_hash[BAD_OBJECTS["out_of_frame"]]["boundingBox"]["y"] == 6204
    assert len(by_hash[BAD_OBJECTS["two_points"]]["polygon"]) == 2


def test_bad_row_is_of_the_same_dataset_but_no_row_of_it() -> None:
    """Landed beside a project's export it adds rows, and is no second project."""
    project = rows(first_export(Project(seed=7), exported_at=AT))
    made = rows(bad_row(seed=7))

    assert {row["dataset_hash"] for row in made} == {row["dataset_hash"] for row in project}
    assert not {row["label_hash"] for row in made} & {row["label_hash"] for row in project}


def test_files_of_a_seed_are_the_same_each_time(tmp_path: Path) -> None:
    """Names and bytes, in the order of the list."""
    first, second = (write_samples(tmp_path / name, seed=7, rows=9) for name in ("a", "b"))

    assert [p.relative_to(tmp_path / "a") for p in first] == [p.relative_to(tmp_path / "b") for p in second]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {*first, *second}


def test_files_lie_in_a_folder_a_day(tmp_path: Path) -> None:
    """One export on the first day; the next one, an export with a bad row and three bad files on the second."""
    written = write_samples(tmp_path, rows=12)

    day = {name: [path for path in written if path.parent == tmp_path / name] for name in ("day1", "day2")}
    [ontology] = [path for path in written if path.parent == tmp_path]
    [first] = day["day1"]
    assert ontology.name == "ontology.json"
    assert len(day["day2"]) == 5
    second = rows(day["day2"][0].read_bytes())
    assert len(second) == 13
    assert [row["data_type"] for row in second].count("deleted") == 1
    assert [row["label_hash"] for row in rows(first.read_bytes())] == [row["label_hash"] for row in second[:12]]


@pytest.mark.parametrize(("days", "with_bad", "count"), [(1, False, 2), (1, True, 6), (4, False, 5), (4, True, 9)])
def test_any_number_of_days_can_be_written(tmp_path: Path, days: int, with_bad: bool, count: int) -> None:
    """The ontology, an export a day, and four bad ones once."""
    assert len(write_samples(tmp_path, days=days, rows=2, with_bad=with_bad)) == count


def test_a_project_of_one_row_can_be_written(tmp_path: Path) -> None:
    """The smallest project still changes on the second day."""
    assert len(write_samples(tmp_path, rows=1, with_bad=False)) == 3


def test_no_days_are_refused(tmp_path: Path) -> None:
    """Nothing is written for an empty request."""
    with pytest.raises(UsageError, match="at least one"):
        write_samples(tmp_path, days=0)


def test_a_thousand_image_rows_are_made_fast() -> None:
    """Under three seconds of processor time, so that tests of large exports stay quick."""
    start = time.process_time()

    export = first_export(large_project(1000, seed=3), exported_at=AT)

    assert time.process_time() - start < 3
    assert len(rows(export)) == 1000


def test_samples_import_no_heavy_library() -> None:
    """Neither array, image nor cloud libraries are loaded to make samples."""
    code = (
        "import sys, encord_dagster.samples as s, datetime as d;"
        "s.first_export(s.Project(1, 8), exported_at=d.datetime(2023, 1, 1, tzinfo=d.UTC));"
        "print({'numpy', 'PIL', 'boto3', 'pyarrow', 'pandas', 'pycocotools', 'dagster'} & set(sys.modules))"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "set()"
