"""A partition for each day of arrival: what the sensor asks for, and what a run takes and tells."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from encord_dagster import open_label_set
from encord_dagster.label_set.sources import find_export
from encord_dagster.landing import day_of, exports_in
from encord_dagster.orchestration import days, latest, names
from encord_dagster.orchestration.specs import ROLL_UP
from encord_dagster.storage.memory import MemoryStore
from tests.lakes import images_export
from tests.orchestration.test_reconcile import evaluate
from tests.orchestration.world import NAME, PARTITIONS, World

MONDAY = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
DAYS = names.days_partitions(NAME)
ASSETS = ("raw_export", "label_rows", "quarantine", "coco", "masks", "tables", "label_set")


class DailyWorld(World):
    """A world whose clock is ours."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        super().__init__(instance, partition_by="day")
        self.now = MONDAY
        assert isinstance(self.landing, MemoryStore)
        self.landing._now = lambda: self.now

    def asked(self, request: dg.RunRequest, status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED) -> dg.DagsterRun:
        """The run of a request, as Dagster keeps it."""
        tags = dict(request.tags) | ({names.PARTITION_TAG: request.partition_key} if request.partition_key else {})
        return self.instance.create_run_for_job(self.defs.resolve_job_def("street_ingest"), tags=tags, status=status)

    def label_set_run(self, *keys: str) -> dg.ExecuteInProcessResult:
        """A run that publishes, and tells of nothing else."""
        return self.run(keys=keys, assets=["label_set"])


@pytest.fixture
def daily(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DailyWorld]:
    """A label set by day, over an instance on disk. Verdicts of the rules, most of what a run costs, are left out."""
    monkeypatch.setattr(latest, "evaluations", lambda fired, *, config, only: ())
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield DailyWorld(instance)


def one_row(number: int) -> bytes:
    """An export of one label row, as of one task."""
    return images_export(1, seed=number)


def test_the_exports_of_a_day_are_one_partition_and_one_run(daily: DailyWorld) -> None:
    """Every source is written down all the same, and no asset has a partition for each."""
    daily.deliver("a.json", "b.json", "c.json", "d.json", "e.json")

    tick = daily.tick()

    (request,) = tick.requests
    assert request.partition_key == "2026-03-02"
    assert list(daily.instance.get_dynamic_partitions(DAYS)) == ["2026-03-02"]
    assert all(find_export(daily.lake, NAME, export.id) == export for export in exports_in(daily.landing))
    assets = daily.defs.resolve_all_asset_specs()
    assert {getattr(spec.partitions_def, "name", None) for spec in assets} == {DAYS, None}


def test_days_begin_at_midnight_utc_and_neighbours_share_a_run(daily: DailyWorld) -> None:
    """What arrives a minute later is of the next day."""
    daily.deliver("a.json")
    daily.now += timedelta(minutes=1)
    daily.deliver("b.json")

    (request,) = daily.tick().requests

    ends = (request.tags[names.RANGE_START_TAG], request.tags[names.RANGE_END_TAG])
    assert ends == ("2026-03-02", "2026-03-03")


def test_a_later_export_of_a_day_asks_for_the_day_again_under_another_run_key(daily: DailyWorld) -> None:
    """Run keys count the attempts, as Dagster drops what it has seen."""
    daily.deliver("a.json")
    first = daily.tick()
    daily.asked(first.requests[0], dg.DagsterRunStatus.SUCCESS)
    daily.deliver("b.json")

    second = daily.tick(first.cursor)

    assert [request.partition_key for request in second.requests] == ["2026-03-02"]
    assert second.requests[0].run_key != first.requests[0].run_key
    assert second.requests[0].tags[names.ATTEMPT_TAG] == "2"
    assert list(daily.instance.get_dynamic_partitions(DAYS)) == ["2026-03-02"]


@pytest.mark.parametrize(
    ("status", "asked"), [(dg.DagsterRunStatus.STARTING, 0), (dg.DagsterRunStatus.STARTED, 1)], ids=["waits", "runs"]
)
def test_a_day_whose_run_waits_is_not_asked_for_again(
    daily: DailyWorld, status: dg.DagsterRunStatus, asked: int
) -> None:
    """It will find what was written down before it began; one that runs may have passed the place."""
    daily.deliver("a.json")
    first = daily.tick()
    daily.asked(first.requests[0], status)
    daily.deliver("b.json")

    second = daily.tick(first.cursor)

    assert len(second.requests) == asked
    assert {day_of(key) for key in daily.instance.get_dynamic_partitions(PARTITIONS)} == {"2026-03-02"}
    assert len(daily.instance.get_dynamic_partitions(PARTITIONS)) == 2


def test_a_tick_that_is_cut_off_is_made_up_for_by_the_next(daily: DailyWorld) -> None:
    """It has written down what it saw, and nobody has asked for the day."""
    before = daily.tick()
    daily.deliver("a.json")
    daily.tick(before.cursor)  # what it answers is lost

    after = daily.tick(before.cursor)

    assert [request.partition_key for request in after.requests] == ["2026-03-02"]


def test_a_run_takes_the_whole_day_in_pieces_and_the_next_only_what_came_since(
    daily: DailyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece is a record of the log; nothing is taken twice."""
    monkeypatch.setattr(days, "EXPORTS_PER_PIECE", 2)
    for number in range(5):
        daily.deliver(f"{number}.json", data=one_row(number))
    first = daily.tick()

    assert daily.label_set_run("2026-03-02").success
    daily.deliver("5.json", data=one_row(5))
    daily.tick(first.cursor)
    assert daily.label_set_run("2026-03-02").success
    assert daily.label_set_run("2026-03-02").success  # nothing is left

    log = open_label_set(daily.lake, NAME).log()
    assert [len(record.exports) for record in log] == [2, 2, 1, 1]
    assert {entry.id for record in log for entry in record.exports} == {item.id for item in exports_in(daily.landing)}


def test_a_days_partition_tells_of_all_its_exports(daily: DailyWorld) -> None:
    """Rows and data version are those of the day, in however many runs it was taken; objects those of the run."""
    for number in range(3):
        daily.deliver(f"{number}.json", data=one_row(number))
    daily.tick()
    daily.run(keys=["2026-03-02"])
    once = {asset: daily.materialized(asset)["2026-03-02"] for asset in ASSETS}
    again = daily.run(keys=["2026-03-02"])

    now = {asset: daily.materialized(asset)["2026-03-02"] for asset in ASSETS}
    rows = now["label_rows"].metadata
    version = open_label_set(daily.lake, NAME).version()
    assert again.success
    assert {asset: (event.tags or {})["dagster/data_version"] for asset, event in now.items()} == {
        asset: (event.tags or {})["dagster/data_version"] for asset, event in once.items()
    }
    assert (now["label_set"].tags or {})["dagster/data_version"] == version.record.content_digest
    assert (rows["encord/exports"].value, rows["dagster/partition_row_count"].value) == (3, 3)
    assert (once["label_rows"].metadata["encord/exports_taken"].value, rows["encord/exports_taken"].value) == (3, 0)
    assert all(daily.checks(asset)[ROLL_UP, None].passed for asset in ASSETS)


def test_a_bad_export_turns_its_day_red_and_the_others_are_published(daily: DailyWorld) -> None:
    """The check names it, also when a later run of the day takes only good ones."""
    daily.deliver("bad.json", data=b"not JSON")
    daily.deliver("good.json", data=one_row(1))
    first = daily.tick()
    bad = next(export.id for export in exports_in(daily.landing) if export.key == "bad.json")

    shown = ["quarantine", "label_set"]
    assert not daily.run(keys=["2026-03-02"], assets=shown).success
    daily.deliver("later.json", data=one_row(2))
    daily.tick(first.cursor)
    later = daily.run(keys=["2026-03-02"], assets=shown)

    verdict = daily.checks("label_set")[ROLL_UP, None]
    assert not later.success
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert verdict.description == f"`1 of 3 exports of 2026-03-02 could not be used: {bad}.`"
    assert daily.checks("quarantine")[ROLL_UP, None].passed
    assert open_label_set(daily.lake, NAME).version().rows == 2
    assert daily.materialized("label_set")["2026-03-02"].metadata["encord/exports"].value == 2


def test_the_same_bytes_twice_on_a_day_are_one_export(daily: DailyWorld) -> None:
    """The run tells them apart: no tick reads them."""
    daily.deliver("a.json", "b.json", data=one_row(1))
    daily.tick()

    assert daily.run(keys=["2026-03-02"]).success

    label_set = open_label_set(daily.lake, NAME)
    assert len(label_set.log()) == 1
    assert {export.id for export in exports_in(daily.landing)} <= label_set.accounted()
    assert evaluate(daily) == []


def test_reconcile_asks_for_the_days_of_what_is_missing(daily: DailyWorld) -> None:
    """Alone it is the plain scheduled ingestion; a day that is busy is left alone."""
    daily.deliver("a.json", data=one_row(1))

    (request,) = evaluate(daily)
    busy = daily.asked(request, dg.DagsterRunStatus.STARTED)

    assert request.partition_key == "2026-03-02"
    assert evaluate(daily) == []
    daily.instance.delete_run(busy.run_id)
    assert daily.label_set_run("2026-03-02").success
    assert evaluate(daily) == []
    assert not daily.tick().requests


def test_a_lost_database_gives_the_days_back_without_a_run(daily: DailyWorld, tmp_path: Path) -> None:
    """The lake accounts for all of it."""
    daily.deliver("a.json", data=one_row(1))
    daily.now += timedelta(days=1)
    daily.deliver("b.json", data=one_row(2))
    daily.tick()
    assert daily.label_set_run("2026-03-02", "2026-03-03").success
    (tmp_path / "new").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "new")) as instance:
        daily.instance = instance

        tick = daily.tick()

        assert (tick.requests, tick.added) == ([], ["2026-03-02", "2026-03-03"])
        assert evaluate(daily) == []


def test_a_day_on_which_nothing_arrived_says_so(daily: DailyWorld) -> None:
    """A key typed by hand."""
    daily.instance.add_dynamic_partitions(DAYS, ["2026-01-01"])

    assert not daily.run(keys=["2026-01-01"]).success

    assert not daily.checks("label_set")[ROLL_UP, None].passed
    assert daily.materialized("label_set") == {}


def test_a_run_of_coco_alone_converts_the_day_and_does_not_publish(daily: DailyWorld) -> None:
    """Looking at one format must never make a version."""
    daily.deliver("a.json", data=one_row(1))
    daily.tick()

    assert daily.run(keys=["2026-03-02"], assets=["coco"]).success

    assert open_label_set(daily.lake, NAME).log() == []
    assert set(daily.materialized("coco")) == {"2026-03-02"}
