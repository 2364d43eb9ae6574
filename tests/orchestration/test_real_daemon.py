"""The real daemon, killed at every stage of a tick and at any other time: each object is processed once."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from encord_dagster import open_label_set
from encord_dagster.label_set.sources import record_source, refused_of_day
from encord_dagster.landing import day_of, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.alerts import Alert
from encord_dagster.storage.open import open_store
from tests.lakes import images_export
from tests.orchestration.daemons import WAIT_SECONDS, Site, site
from tests.orchestration.test_catching_up import ASSETS

STAGES = (
    "TICK_CREATED",
    "TICK_HELD",
    "PARTITIONS_ADDED",
    "RUN_IDS_RESERVED",
    "RUN_CREATED",
    "RUN_LAUNCHED",
)
FIRST = images_export(1, seed=1)
NEVER = "0 0 29 2 *"

pytestmark = pytest.mark.slow


def ends(place: Site) -> Counter[str]:
    """How often each object that lies in the landing folder was published, observed or quarantined, by key."""
    lake = open_store(str(place.lake))
    found = Counter(entry.id for record in open_label_set(lake, "street").log() for entry in record.exports)
    exports = list(exports_in(open_store(str(place.landing))))
    for day in {day_of(export.id) for export in exports}:
        found.update(set(refused_of_day(lake, "street", day)))
    same = {info.key.split("/")[3] for info in lake.list("label_sets/street/exports/") if "/same-as-" in info.key}
    found.update(same)
    return Counter({export.key: found[export.id] for export in exports})


def at_rest(place: Site) -> bool:
    """Whether every object has come to an end and no run is on its way."""
    return all(ends(place).values()) and all(run.is_finished for run in place.runs())


def runs_by_export(place: Site) -> Counter[str]:
    """How many runs there were for each export."""
    with dg.DagsterInstance.get() as instance:
        partitions = list(instance.get_dynamic_partitions(names.exports_partitions("street")))
    found: Counter[str] = Counter()
    for run in place.runs():
        one = run.tags.get(names.PARTITION_TAG, "")
        first, last = (run.tags.get(tag, one) for tag in (names.RANGE_START_TAG, names.RANGE_END_TAG))
        found.update(partitions[partitions.index(first) : partitions.index(last) + 1])
    return found


def test_a_daemon_that_is_killed_at_any_stage_of_a_tick_loses_nothing_and_asks_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a new export, a bad one and a copy of the first, and the sensor alone: one run each, none for copies."""
    with site(tmp_path, cron=NEVER) as place:
        monkeypatch.setenv("DAGSTER_HOME", str(place.home))
        for number, stage in enumerate(STAGES):
            good = images_export(1, seed=100 + number) if number else FIRST
            place.deliver(**{f"good-{number}": good, f"bad-{number}": b"no JSON %d" % number})
            if number:
                place.deliver(**{f"copy-{number}": FIRST})
            assert place.daemon(kill_at=stage).wait(WAIT_SECONDS) == -9, stage
            daemon = place.daemon()
            place.wait(f"all is done after {stage}", lambda: at_rest(place))
            place.kill(daemon)

        assert set(ends(place).values()) == {1}
        assert len(ends(place)) == 3 * len(STAGES) - 1
        single = runs_by_export(place)
        assert set(single.values()) == {1}
        assert {export.key for export in exports_in(open_store(str(place.landing))) if export.id not in single} == {
            f"copy-{number}.json" for number in range(1, len(STAGES))
        }


def test_daemons_that_are_killed_at_random_in_a_burst_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that are left half started are failed by run monitoring and asked for again by the reconcile schedule."""
    chance = random.Random(7)
    with site(tmp_path, cron="* * * * *") as place:
        monkeypatch.setenv("DAGSTER_HOME", str(place.home))
        for number in range(6):
            for part in range(4):
                place.deliver(**{f"burst-{number}-{part}": images_export(1, seed=1000 + 10 * number + part)})
            daemon = place.daemon()
            time.sleep(chance.uniform(3, 9))
            place.kill(daemon)
        place.daemon()
        place.wait("all is done after the burst", lambda: at_rest(place))

        assert len(ends(place)) == 24
        assert set(ends(place).values()) == {1}


BACKFILL = """\
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


def test_a_backfill_from_the_page_publishes_the_good_and_names_the_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the button sends it: one run, red, with each export's own events; the sensor is off."""
    with site(tmp_path, running=False) as place:
        monkeypatch.setenv("DAGSTER_HOME", str(place.home))
        place.deliver(bad=b"no JSON", **{f"good-{number}": images_export(1, seed=number) for number in range(9)})
        exports = {export.id: export.key for export in exports_in(open_store(str(place.landing)))}
        for export in exports_in(open_store(str(place.landing))):
            record_source(open_store(str(place.lake)), "street", export)
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions(names.exports_partitions("street"), list(exports))
        assets = [{"path": ["street", asset]} for asset in ASSETS]
        params = json.dumps({"params": {"assetSelection": assets, "partitionNames": list(exports)}})

        told = place.call("dagster-graphql", "-w", "workspace.yaml", "-t", BACKFILL, "-v", params)
        assert "LaunchBackfillSuccess" in told
        place.daemon()
        place.wait("the backfill's run is done", lambda: any(run.is_finished for run in place.runs()))

        with dg.DagsterInstance.get() as instance:
            shown = instance.get_materialized_partitions(dg.AssetKey(["street", "label_set"]))
        assert [run.status for run in place.runs()] == [dg.DagsterRunStatus.FAILURE]
        assert {exports[key] for key in shown} == set(exports.values()) - {"bad.json"}
        assert set(ends(place).values()) == {1}


TRAINING = """training_sets=[
        __import__("encord_dagster.label_set.training_set", fromlist=["TrainingSet"]).TrainingSet(
            name="detector", url={url!r}, formats=("coco",)
        )
    ],"""


def test_the_daemon_makes_a_training_set_of_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a first export, of none that changes nothing, and of another one; nobody switches anything on."""
    sets = tmp_path / "sets"
    with site(tmp_path / "site", cron=NEVER, more=TRAINING.format(url=str(sets))) as place:
        monkeypatch.setenv("DAGSTER_HOME", str(place.home))
        place.daemon()
        for number, data in enumerate((FIRST, FIRST + b"\n", images_export(2, seed=2)), start=1):
            place.deliver(**{f"export-{number}": data})
            place.wait(f"export {number} is done", lambda: at_rest(place))
            version = open_label_set(str(place.lake), "street").version().number
            place.wait("its training set", lambda wanted=version: len(list(sets.glob("0*"))) == wanted)  # type: ignore[misc]  # bound now

        place.wait("all runs are done", lambda: at_rest(place))
        trained = [run for run in place.runs() if run.asset_selection == {names.training_key("street", "detector")}]
        assert [path.name[:6] for path in sorted(sets.glob("0*"))] == ["000001", "000002"]
        assert [run.status for run in trained] == [dg.DagsterRunStatus.SUCCESS] * 2
        assert all(run.tags[names.LABEL_SET_TAG] == "street" for run in trained)


TOLD = """\
from pathlib import Path

import msgspec


def notify(alert):
    with Path(__file__).with_name("told.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(alert) + b"\\n")
"""
FRESH = """\
query Fresh($asset: AssetKeyInput!) {
  assetNodes(assetKeys: [$asset]) { freshnessStatusInfo { freshnessStatus } }
}
"""
FRESH_SECONDS = 72


def freshness(place: Site) -> str:
    """What the page says of the newest version's age."""
    asset = json.dumps({"asset": {"path": ["street", names.LATEST]}})
    answer = json.loads(place.call("dagster-graphql", "-w", "workspace.yaml", "-t", FRESH, "-v", asset))
    (node,) = answer["data"]["assetNodes"]
    return str((node["freshnessStatusInfo"] or {}).get("freshnessStatus"))


def test_the_daemon_tells_of_a_red_run_once_and_of_a_label_set_that_gets_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alert sensor and the freshness policy as a deployment runs them, with nobody switching anything on."""
    (tmp_path / "told.py").write_text(TOLD)
    monkeypatch.setenv("FRESHNESS_DAEMON_INTERVAL_SECONDS", "2")
    more = f'alerts="told.notify", fresh_within_hours={FRESH_SECONDS / 3600},'
    with site(tmp_path, cron=NEVER, more=more) as place:
        monkeypatch.setenv("DAGSTER_HOME", str(place.home))
        place.daemon()
        place.deliver(good=images_export(1, seed=1))
        place.wait("the good one is published", lambda: at_rest(place))
        place.wait("it is fresh", lambda: freshness(place) == "HEALTHY")
        place.deliver(bad=b"no JSON")
        place.wait("the bad one is done", lambda: at_rest(place))
        told = tmp_path / "told.jsonl"
        place.wait("somebody is told", told.exists)
        place.wait("the label set is old", lambda: freshness(place) == "DEGRADED")  # more ticks of the sensor, too

        (alert,) = [msgspec.json.decode(line, type=Alert) for line in told.read_bytes().splitlines()]
        (bad,) = [export.id for export in exports_in(open_store(str(place.landing))) if export.key == "bad.json"]
        assert (alert.what, alert.label_set, alert.exports) == ("run_failed", "street", (bad,))
        assert alert.rules == {"not_json": 1}
        assert [run.run_id for run in place.runs() if run.status is dg.DagsterRunStatus.FAILURE] == [alert.run_id]
