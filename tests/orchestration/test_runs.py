"""Runs: what is recorded for each export, and what makes a run red."""

import re

import dagster as dg
import pytest

from encord_dagster.label_set.fired import Fired
from encord_dagster.orchestration import latest, reporting
from encord_dagster.orchestration.specs import ROLL_UP
from tests.orchestration.world import FakeIngest, World, finding

ASSETS = ("raw_export", "label_rows", "quarantine", "coco", "masks", "tables", "label_set")


def test_a_run_of_one_export_materializes_every_asset_with_its_data_version(world: World, ingest: FakeIngest) -> None:
    """Data versions say what is equal: bytes, content, and the version of the label set."""
    (key,) = world.delivered("a.json")

    result = world.run(keys=[key])

    assert result.success
    assert {asset: set(world.materialized(asset)) for asset in ASSETS} == {asset: {key} for asset in ASSETS}
    assert (world.materialized("raw_export")[key].tags or {})["dagster/data_version"] == key.rpartition("-")[2] * 4
    assert (world.materialized("label_set")[key].tags or {})["dagster/data_version"] == "c" * 64
    assert all(world.checks(asset)[ROLL_UP, None].passed for asset in ASSETS)


def test_one_bad_export_in_a_range_leaves_the_others_published_and_the_run_red(
    world: World, ingest: FakeIngest
) -> None:
    """Materializations and data versions are those of each export, in one call of the pipeline; checks name the bad."""
    keys = world.delivered("a.json", "b-bad.json", "c.json", "d-failed.json")
    good, bad, other, failed = keys

    result = world.run(keys=keys)

    assert not result.success
    assert [call.ids for call in ingest.calls] == [keys]
    assert set(world.materialized("label_set")) == set(world.materialized("coco")) == {good, other}
    assert set(world.materialized("quarantine")) == set(world.materialized("raw_export")) == {good, bad, other}
    versions = {(event.tags or {})["dagster/data_version"] for event in world.materialized("raw_export").values()}
    assert len(versions) == 3
    (verdict,) = world.checks("label_set").values()
    assert (verdict.passed, verdict.severity, verdict.partition) == (False, dg.AssetCheckSeverity.ERROR, None)
    assert verdict.description == "2 of 4 partitions could not be used."
    assert verdict.metadata["encord/rules"].value == {"not_json": 1}
    assert str(verdict.metadata["encord/partitions"].value).splitlines()[2:] == [
        f"| `{bad}` | `the bytes are no JSON` |",
        f"| `{failed}` | `the store did not answer` |",
    ]


def test_each_asset_is_judged_once_however_many_exports_a_run_takes(world: World, ingest: FakeIngest) -> None:
    """What a range run writes into the database is not to grow by checks of good exports."""
    keys = world.delivered(*(f"{number}.json" for number in range(9)), "partly.json")

    result = world.run(keys=keys)

    told = [event for event in result.all_events if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    assert len(told) == len(ASSETS)
    assert {asset: verdict.passed for asset in ASSETS for verdict in world.checks(asset).values()} == {
        asset: asset not in ("label_rows", "quarantine") for asset in ASSETS
    }


def test_an_export_that_is_in_quarantine_says_why_in_its_own_partition(world: World, ingest: FakeIngest) -> None:
    """Checks speak of the last run; a later good one must not take the reason away."""
    bad, good = world.delivered("a-bad.json", "b.json")
    world.run(keys=[bad])
    world.run(keys=[good])

    shown = world.materialized("quarantine")[bad].metadata

    assert world.checks("label_set")[ROLL_UP, None].passed
    assert shown["encord/rules"].value == {"not_json": 1}
    assert "the bytes are no JSON" in str(shown["encord/findings"].value)
    assert shown["encord/error"].value == "the bytes are no JSON"


def test_a_version_is_shown_once_however_many_exports_it_is_made_of(world: World, ingest: FakeIngest) -> None:
    """By the last export that changed it; the others name it."""
    keys = world.delivered("a.json", "b.json", "c-bad.json")

    world.run(keys=keys)

    first, last = (world.materialized("label_set")[key].metadata for key in keys[:2])
    assert first["encord/version"].value == last["encord/version"].value == 5
    assert ("encord/annotations" in first, last["encord/annotations"].value) == (False, 6)


def test_the_error_of_a_red_run_names_the_bad_exports_and_no_other(world: World, ingest: FakeIngest) -> None:
    """Whoever opens the run sees which exports to look at."""
    keys = world.delivered("a.json", "b-bad.json")

    result = world.run(keys=keys)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = str(failure.step_failure_data.error)
    assert keys[1] in message
    assert keys[0] not in message


def test_quarantined_objects_warn_and_do_not_fail(world: World, ingest: FakeIngest) -> None:
    """The rest of the export is good to use; the rules that fired are in the check."""
    (key,) = world.delivered("partly.json")

    result = world.run(keys=[key])

    verdict = world.checks("label_rows")[ROLL_UP, None]
    assert result.success
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert verdict.description == "`0 rows and 1 objects are in quarantine.`"
    assert verdict.metadata["encord/rules"].value == {"object_no_shape": 1}
    assert "the object has no shape" in str(verdict.metadata["encord/findings"].value)
    assert world.checks("label_set")[ROLL_UP, None].passed
    assert world.materialized("label_rows")[key].metadata["encord/objects_quarantined"].value == 1


def test_a_run_of_coco_alone_converts_and_does_not_publish(world: World, ingest: FakeIngest) -> None:
    """Looking at one format must never make a version."""
    (key,) = world.delivered("a.json")

    result = world.run(keys=[key], assets=["coco"])

    assert result.success
    assert [call.publish for call in ingest.calls] == [False]
    assert {asset for asset in (*ASSETS, "label_set_latest") if world.materialized(asset)} == {"coco"}


def test_a_partition_without_a_source_record_fails_alone(world: World, ingest: FakeIngest) -> None:
    """A key typed by hand has no object behind it; its check says what to do."""
    (key,) = world.delivered("a.json")
    made_up = "20260101T000000Z-0123456789ab"
    world.instance.add_dynamic_partitions("encord__street__exports", [made_up])

    result = world.run(keys=[key, made_up])

    assert not result.success
    assert set(world.materialized("label_set")) == {key}
    verdict = world.checks("raw_export")[ROLL_UP, None]
    assert f"| `{made_up}` | `The lake has no source record" in str(verdict.metadata["encord/partitions"].value)


def test_class_names_are_never_markup(world: World, ingest: FakeIngest) -> None:
    """They are other people's words: code in Markdown, and as they are in Dagster's own tables."""
    (key,) = world.delivered("partly.json")

    world.run(keys=[key])

    values = [value for asset in ASSETS for value in world.materialized(asset)[key].metadata.values()]
    assert len(values) > 30
    shown = [str(value.value) for value in values if isinstance(value, dg.MarkdownMetadataValue)]
    assert len(shown) == 3
    assert not [text for text in shown if "<script" in re.sub("`[^`]*`", "", text)]
    table = str(world.materialized("coco")[key].metadata["encord/classes"].value)
    assert table.splitlines()[2:] == ["| 2 | `car` |", "| 1 | `<script>alert(1)</script>` |"]


def test_a_run_that_publishes_brings_the_newest_version_up_to_date(
    world: World, ingest: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chain, classes and a verdict for each rule that fires, or did before, appear in the same run, red or not."""
    from encord_dagster.validation import RULES

    mended, rule, *_ = (rule for rule in RULES if rule.severity == "error")
    monkeypatch.setattr(latest, "fired_before", lambda lake, name: (mended.name, rule.name))
    fired = {rule.name: Fired(3, finding(rule.name), "exports/e1/events-0.parquet")}
    monkeypatch.setattr(latest, "findings_by_rule", lambda lake, name: fired)
    keys = world.delivered("a.json", "b-bad.json")

    world.run(keys=keys)

    event = world.materialized("label_set_latest")[None]
    chain = str(event.metadata["encord/lineage"].value).splitlines()[2:]
    assert chain == [
        "| 1 | observe | 0 | `hash-1` | `e1` |",
        "| 1 | publish | 1 | `hash-1` | `e1` |",
    ]
    assert f"| 3 | error | {rule.name} |" in str(event.metadata["encord/findings"].value)
    checks = world.checks("label_set_latest")
    assert {check.check_name for check in checks.values()} == {rule.name, mended.name}
    (failed,) = [verdict for verdict in checks.values() if not verdict.passed]
    assert failed.check_name == rule.name
    assert failed.metadata["encord/first_at"].value == "row row-1 object object-1"
    assert failed.metadata["encord/look_in"].value == "exports/e1/events-0.parquet"


def test_the_newest_version_can_be_brought_up_to_date_alone(world: World, ingest: FakeIngest) -> None:
    """Its own step gives the same as the run that published, for instance after a rollback."""
    from encord_dagster.validation import RULES

    job = world.defs.resolve_implicit_global_asset_job_def()

    result = job.execute_in_process(
        instance=world.instance, asset_selection=[dg.AssetKey(["street", "label_set_latest"])]
    )

    assert result.success
    assert world.materialized("label_set_latest")[None].metadata["encord/version"].value == 1
    assert len(world.checks("label_set_latest")) == len(RULES)


def test_a_run_of_many_exports_logs_few_lines() -> None:
    """Each is an event that is kept for ever; what is left out is said, and the first lines are always there."""
    now, heard = 0.0, list[str]()
    say = reporting.progress(heard.append, now=lambda: now)

    for number in range(1000):
        say(f"line {number}")
        now += 1 / 64

    assert heard[:20] == [f"line {number}" for number in range(20)]
    assert len(heard) == 23
    assert heard[20] == "line 339 (319 lines before it are left out)"


def test_the_newest_version_does_not_look_out_of_date_because_of_a_bad_export(world: World, ingest: FakeIngest) -> None:
    """Its event names the last `label_set` event that it has taken into account."""
    keys = world.delivered("a.json", "b-bad.json")

    world.run(keys=keys)

    (record,) = world.instance.fetch_materializations(dg.AssetKey(["street", "label_set"]), limit=10).records
    tags = world.materialized("label_set_latest")[None].tags or {}
    assert tags["dagster/input_event_pointer/street/label_set"] == str(record.storage_id)
