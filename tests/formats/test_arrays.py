"""Columns that are built without pandas are those of pyarrow's own."""

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encord_dagster.formats import arrays

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES: dict["pa.DataType", st.SearchStrategy[Any]] = {
    pa.string(): TEXTS,
    pa.bool_(): st.booleans(),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    pa.binary(16): st.binary(min_size=16, max_size=16),
    pa.list_(pa.string()): st.lists(st.none() | TEXTS, max_size=4),
    pa.list_(pa.list_(pa.float64())): st.lists(
        st.none() | st.lists(st.floats(allow_nan=False), max_size=4), max_size=4
    ),
}


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that did not import it, and built few columns so far."""
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr(arrays, "_left", [10**9])


@pytest.mark.parametrize("kind", VALUES, ids=str)
def test_a_column_is_that_of_pyarrow(kind: "pa.DataType", monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without nulls, of any length; pyarrow's own function builds none of them."""
    own = pa.array
    own([])  # which takes its time, the first time

    @given(st.lists(VALUES[kind], max_size=20) | st.lists(st.none() | VALUES[kind], max_size=20))
    def check(values: list[Any]) -> None:
        expected = own(values, kind)
        with monkeypatch.context() as patched:
            patched.setattr(pa, "array", None)
            patched.delitem(sys.modules, "pandas", raising=False)
            made = arrays.array(values, kind)
        made.validate(full=True)
        assert made.type == kind
        assert made.null_count == expected.null_count
        assert made.equals(expected)

    check()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, pa.string()),
        (b"text", pa.string()),
        (1.5, pa.int64()),
        ("1", pa.int64()),
        (2**63, pa.int64()),
        (2**31, pa.int32()),
        ("1.5", pa.float64()),
        (1, pa.bool_()),
        (b"short", pa.binary(16)),
        ([1], pa.list_(pa.string())),
        ("\ud800", pa.string()),
    ],
)
def test_what_does_not_fit_is_refused(value: object, kind: "pa.DataType") -> None:
    """Nothing is rounded, cut or turned into a text; pyarrow rounds 1.5 and takes bytes as text."""
    with pytest.raises((TypeError, ValueError, OverflowError)):
        arrays.array([value], kind)


def test_many_values_and_other_types_are_left_to_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what they give is the same."""
    asked: list[object] = []
    own = pa.array

    def counted(values: list[int | None], kind: "pa.DataType") -> object:
        asked.append(values)
        return own(values, kind)

    monkeypatch.setattr(arrays, "_left", [3])
    monkeypatch.setattr(pa, "array", counted)

    assert arrays.array([1, None], pa.int64()).equals(own([1, None], pa.int64()))
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    assert arrays.array([3, None], pa.int64()).equals(own([3, None], pa.int64()))
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr(arrays, "_left", [3])
    assert arrays.array([5, None], pa.uint8()).equals(own([5, None], pa.uint8()))
    assert asked == [[3, None], [5, None]]


INGEST = """\
import sys
from pathlib import Path
from encord_dagster.config import LabelSetConfig
from encord_dagster.landing import exports_in
from encord_dagster.orchestration import latest
from encord_dagster.pipeline import ingest
from encord_dagster.samples import Project, first_export, next_export
from encord_dagster.storage.open import open_store
from datetime import UTC, datetime

landing, lake = open_store("memory://landing"), open_store("memory://lake")
export = first_export(Project(seed=3, rows=12), exported_at=datetime(2023, 10, 2, tzinfo=UTC))
for week in range(2):
    landing.create(f"{week}.json", export)
    found = [one for one in exports_in(landing) if one.key == f"{week}.json"]
    (outcome,) = ingest(found, landing=landing, lake=lake, config=LabelSetConfig(name="street")).outcomes
    assert latest.newest(lake, "street")
    latest.findings_by_rule(lake, "street"), latest.fired_before(lake, "street")
    export = next_export(export, seed=4, exported_at=datetime(2023, 10, 9, tzinfo=UTC), changed=6)
    print(outcome.status, "pandas" in sys.modules)
"""


def test_a_run_of_a_small_export_imports_no_pandas() -> None:
    """From its bytes to what Dagster shows; the import takes a tenth of the time of such a run."""
    done = subprocess.run([sys.executable, "-c", INGEST], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == ["published False"] * 2, done.stderr
