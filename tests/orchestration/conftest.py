"""A world for each test: fresh stores, a fresh Dagster instance, a pipeline that does as it is told."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster.label_set.manifest import ExportEntry, LogRecord, ObjectRef
from encord_dagster.orchestration import latest
from tests.orchestration.world import FakeIngest, World


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def ticking(tmp_path: Path) -> Iterator[World]:
    """The same over an instance on disk: sensors and schedules open theirs by reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield World(instance)


@pytest.fixture
def world(instance: dg.DagsterInstance) -> World:
    """Definitions of a label set `street` over stores in memory."""
    return World(instance)


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch) -> FakeIngest:
    """The fake pipeline, and a newest version for it to have made."""
    fake = FakeIngest()
    monkeypatch.setattr("encord_dagster.pipeline.ingest", fake)
    monkeypatch.setattr(latest, "newest", lambda lake, name: newest())
    monkeypatch.setattr(latest, "findings_by_rule", lambda lake, name: {})
    monkeypatch.setattr(latest, "fired_before", lambda lake, name: ())
    return fake


def newest() -> latest.Newest:
    """A label set with two records."""
    ref = ObjectRef("objects/0/aa", "a" * 64, 10)
    entry = ExportEntry(
        id="e1", sha256="f" * 64, events=ref, rows=1, latest="", export_hashes=("hash-1",), export_hash_count=1
    )
    first = LogRecord(
        format_version=1,
        seq=1,
        version=1,
        op="publish",
        previous=None,
        epoch=0,
        root=ref,
        content_digest="1" * 64,
        config_digest="2" * 64,
        converter_version=1,
        exports=(entry,),
        fragments=1,
        buckets=1,
    )
    second = LogRecord(
        format_version=1,
        seq=2,
        version=1,
        op="observe",
        previous="3" * 64,
        epoch=0,
        root=ref,
        content_digest="1" * 64,
        config_digest="2" * 64,
        converter_version=1,
        exports=(entry,),
        fragments=0,
        buckets=0,
    )
    return latest.Newest(records=[first, second], rows=1, images=1, annotations=1, classes={"car": 1})
