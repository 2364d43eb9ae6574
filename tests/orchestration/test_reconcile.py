"""The reconcile schedule: what nothing accounts for is asked for again."""

import time
from datetime import UTC, datetime

import dagster as dg
import pytest

from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.sources import find_export
from encord_dagster.landing import exports_in
from encord_dagster.orchestration import names
from tests.orchestration.world import NAME, PARTITIONS, World


def evaluate(ticking: World) -> list[dg.RunRequest]:
    """The requests of one evaluation of the schedule."""
    schedule = ticking.defs.resolve_schedule_def("street_reconcile")
    with dg.build_schedule_context(
        instance=ticking.instance,
        scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC),
        resources=dict(ticking.defs.resources or {}),
        repository_def=ticking.defs.get_repository_def(),
    ) as context:
        return list(schedule.evaluate_tick(context).run_requests or [])


def _account(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    monkeypatch.setattr(Accounted, "all", lambda self: dict.fromkeys(ids))


def test_an_export_that_no_sensor_saw_becomes_a_partition_with_a_source_and_a_run(ticking: World) -> None:
    """The schedule alone is a complete, if slow, ingestion."""
    ticking.deliver("a.json")

    (request,) = evaluate(ticking)

    (export,) = exports_in(ticking.landing)
    assert request.partition_key == export.id
    assert list(ticking.instance.get_dynamic_partitions(PARTITIONS)) == [export.id]
    assert find_export(ticking.lake, NAME, export.id) == export


def test_accounted_exports_are_left_alone_and_the_others_are_asked_for_in_ranges(
    ticking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range never reaches over an export that is done."""
    ids = ticking.delivered("a.json", "b.json", "c.json", "d.json")
    _account(monkeypatch, ids[1])

    single, ranged = evaluate(ticking)

    assert single.partition_key == ids[0]
    assert (ranged.tags[names.RANGE_START_TAG], ranged.tags[names.RANGE_END_TAG]) == (ids[2], ids[3])


def test_nothing_is_asked_for_while_a_run_is_busy_with_it(ticking: World) -> None:
    """A queue that is slower than the schedule does not fill up with the same exports."""
    ticking.delivered("a.json", "b.json")
    (request,) = evaluate(ticking)
    ticking.instance.create_run_for_job(ticking.defs.resolve_job_def("street_ingest"), tags=dict(request.tags))

    again = evaluate(ticking)

    assert again == []


def test_a_second_attempt_has_another_run_key(ticking: World) -> None:
    """After a failed run the export is asked for again, and Dagster does not take it for the same request."""
    ticking.delivered("a.json")
    (first,) = evaluate(ticking)
    job = ticking.defs.resolve_job_def("street_ingest")
    ticking.instance.create_run_for_job(job, tags=dict(first.tags), status=dg.DagsterRunStatus.FAILURE)

    (second,) = evaluate(ticking)

    assert second.run_key != first.run_key
    assert second.tags[names.ATTEMPT_TAG] == "2"


STATES = dg.DagsterRunStatus


@pytest.mark.parametrize(
    ("status", "hours", "asked"),
    [
        (STATES.NOT_STARTED, 0.2, 0),
        (STATES.NOT_STARTED, 1, 1),
        (STATES.STARTING, 1, 1),
        (STATES.CANCELING, 1, 1),
        (STATES.STARTED, 20, 0),
        (STATES.STARTED, 30, 1),
    ],
)
def test_a_run_that_was_lost_is_not_waited_for_for_ever(
    ticking: World, monkeypatch: pytest.MonkeyPatch, status: dg.DagsterRunStatus, hours: float, asked: int
) -> None:
    """A daemon that is killed while it starts a run leaves it so; without run monitoring nobody fails it."""
    ticking.delivered("a.json")
    (request,) = evaluate(ticking)
    job = ticking.defs.resolve_job_def("street_ingest")
    ticking.instance.create_run_for_job(job, tags=dict(request.tags), status=status)
    now = time.time()
    monkeypatch.setattr("encord_dagster.orchestration.requests.time.time", lambda: now + hours * 3600)

    assert len(evaluate(ticking)) == asked
