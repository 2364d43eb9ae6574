"""What one run makes of exports that fail half way, come again, or meet another configuration."""

import json
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.accounting import Delivery, Reading, read_new_rows, read_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.model import LabelRow
from encord_dagster.errors import HistoryDamaged, RowError
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import Category, Fragment
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import Export
from encord_dagster.outcomes import Batch
from encord_dagster.pipeline import ingest
from encord_dagster.samples import bad_row
from encord_dagster.storage.memory import MemoryStore
from tests.lakes import DAY, Desk, exported_again, images_export

CONFIG = LabelSetConfig(name="street", masks=False, hold_back=())
FAILING = msgspec.structs.replace(CONFIG, on_bad_object="fail_export")
FIRST = images_export(4)
SECOND = exported_again(FIRST, changed=2)
BAD = bad_row(seed=4, exported_at=DAY)

Json = dict[str, object]


def documents(data: bytes) -> list[Json]:
    """The rows of an export."""
    return msgspec.json.decode(data, type=list[Json])


def joined(*exports: bytes) -> bytes:
    """The rows of several exports in one."""
    return msgspec.json.encode([row for data in exports for row in documents(data)])


def on_branches(data: bytes, *branches: str) -> bytes:
    """The export with its rows on these branches in turn."""
    rows = documents(data)
    return msgspec.json.encode(
        [row | {"branch_name": branches[number % len(branches)]} for number, row in enumerate(rows)]
    )


def content(desk: Desk) -> dict[str, str]:
    """Fingerprint by row of the newest version, which must be sound."""
    assert verify(desk.lake, "street").problems == []
    return {row.row: row.fingerprint for row in desk.label_set().version().label_rows()}


def digest(desk: Desk) -> str:
    """The content digest of the newest version."""
    return desk.label_set().version().root.content_digest


def with_config(desk: Desk, config: LabelSetConfig) -> Desk:
    """The same lake and landing prefix under another configuration."""
    desk.config = config
    return desk


def sound(*exports: bytes, config: LabelSetConfig = CONFIG) -> Desk:
    """A desk that got these exports one by one."""
    desk = Desk(config=config)
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk


def statuses(batch: Batch) -> dict[str, str]:
    """What became of each export, by key."""
    return {outcome.export.key: outcome.status for outcome in batch.outcomes}


def test_an_export_refused_at_its_last_row_publishes_none_of_its_rows() -> None:
    """Good rows before the bad one are not in the version, and do not beat those of other exports."""
    desk = Desk(config=FAILING)
    refused = joined(SECOND, BAD)

    batch = desk.ingest(desk.deliver("good.json", FIRST), desk.deliver("refused.json", refused))

    assert statuses(batch) == {"good.json": "published", "refused.json": "quarantined"}
    assert content(desk) == content(sound(FIRST))


@pytest.mark.parametrize("together", [True, False])
def test_a_row_that_no_format_can_hold_leaves_the_older_one(together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that cannot be converted goes to quarantine; what an older export brought of it stays."""
    expected, seen = content(sound(FIRST)), set[str]()

    def once(row: LabelRow, categories: dict[str, Category], *, masks: bool, ids: dict[str, int]) -> Fragment:
        if row.label_hash in seen:
            raise RowError("too_many_objects", "more than any format can hold")
        seen.add(row.label_hash)
        return convert(row, categories, masks=masks, ids=ids)

    monkeypatch.setattr("encord_dagster.offers.convert", once)
    desk = Desk(config=CONFIG)
    days = (DAY + timedelta(days=number) for number in range(9))
    desk.landing = MemoryStore(now=lambda: next(days))
    exports = [desk.deliver("first.json", FIRST), desk.deliver("second.json", SECOND)]

    batches = [desk.ingest(*exports)] if together else [desk.ingest(export) for export in exports]

    assert content(desk) == expected
    second = batches[-1].outcomes[-1]
    assert second.rows_quarantined == second.rules["newer_event_quarantined"] == 2


class Broken:
    """A reader that cannot use the rows whose fingerprints it is given."""

    def __init__(self, *fingerprints: str) -> None:
        self.fingerprints = set(fingerprints)

    def __call__(
        self, delivery: Delivery, config: LabelSetConfig, _known: object, **_more: object
    ) -> Iterator[Reading]:
        for reading in read_rows(delivery, config):
            if reading.event and reading.event.fingerprint in self.fingerprints:
                finding = Finding("row_unreadable", "error", Location(row=reading.event.label_hash), "broken reader")
                yield msgspec.structs.replace(reading, status="quarantined", row=None, findings=(finding,))
            else:
                yield reading


def test_an_older_event_in_quarantine_is_not_called_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late export that cannot be used changes nothing, so nothing was kept in its place."""
    desk = sound(SECOND)
    monkeypatch.setattr("encord_dagster.intake.read_new_rows", Broken(*list(content(sound(FIRST)).values())[:1]))

    late = desk.bring("late.json", FIRST)

    assert late.outcomes[0].rows_quarantined == 1
    assert "newer_event_quarantined" not in late.outcomes[0].rules


def test_a_partition_run_again_with_a_mended_reader_takes_its_place_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were in quarantine join as what they are, and a late export does not beat them afterwards."""
    held = set(content(sound(FIRST)).values())
    third = exported_again(SECOND, days=3)
    newer = set(content(sound(third)).values()) - held
    desk = Desk(config=CONFIG)
    desk.bring("first.json", FIRST)
    export = desk.deliver("third.json", third)
    monkeypatch.setattr("encord_dagster.intake.read_new_rows", Broken(*newer))
    desk.ingest(export)
    monkeypatch.setattr("encord_dagster.intake.read_new_rows", read_new_rows)

    desk.ingest(export)
    mended = digest(desk)
    desk.bring("late.json", exported_again(FIRST, changed=3, days=2))
    records = desk.label_set().log()
    desk.ingest(export)

    assert mended == digest(desk) == digest(sound(FIRST, third))
    assert desk.label_set().log() == records
    assert set(desk.label_set().version().winning()) == set(content(desk))


def test_an_export_quarantined_whole_is_published_when_it_runs_again_with_a_mended_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Quarantine is no grave: the same partition run again becomes a version."""
    desk = Desk(config=CONFIG)
    export = desk.deliver("first.json", FIRST)
    monkeypatch.setattr("encord_dagster.intake.read_new_rows", Broken(*content(sound(FIRST)).values()))
    refused = desk.ingest(export)
    monkeypatch.setattr("encord_dagster.intake.read_new_rows", read_new_rows)

    again = desk.ingest(export)

    assert (statuses(refused), statuses(again)) == ({"first.json": "quarantined"}, {"first.json": "published"})
    assert digest(desk) == digest(sound(FIRST))


def test_a_branch_corrected_before_the_first_version_brings_back_all_exports() -> None:
    """Exports that were observed while the configuration named a wrong branch are read again."""
    desk = Desk(config=msgspec.structs.replace(CONFIG, branch="mian"))
    first = desk.bring("first.json", FIRST)
    with_config(desk, CONFIG)

    desk.bring("foreign.json", images_export(2, seed=8))

    assert first.published is not None
    assert first.published.version == 0
    assert digest(desk) == digest(sound(FIRST, images_export(2, seed=8)))


def test_another_branch_leaves_nothing_of_the_one_before() -> None:
    """Rows that the new configuration does not take are no longer in the version."""
    mixed = on_branches(FIRST, "main", "review")
    review = msgspec.structs.replace(CONFIG, branch="review")
    desk = sound(mixed)

    with_config(desk, review).bring("more.json", on_branches(images_export(1, seed=8), "review"))

    version = desk.label_set().version()
    assert {row.branch_name for row in version.label_rows()} == {"review"}
    assert (version.rows, len(content(desk))) == (3, 3)
    assert digest(desk) == digest(sound(mixed, on_branches(images_export(1, seed=8), "review"), config=review))


def test_a_branch_that_no_row_is_on_empties_the_version() -> None:
    """The version follows the configuration also where nothing is left of it."""
    desk = sound(FIRST)

    with_config(desk, msgspec.structs.replace(CONFIG, branch="review"))
    batch = desk.ingest()

    assert batch.published is not None
    assert (batch.published.version, batch.published.rows, batch.published.annotations) == (2, 0, 0)
    assert content(desk) == {}


def test_after_another_configuration_late_exports_are_judged_by_it() -> None:
    """The events of earlier exports count as the new configuration reads them."""
    old, new = on_branches(FIRST, "review"), on_branches(SECOND, "review")
    review = msgspec.structs.replace(CONFIG, branch="review")
    desk = sound(new)

    with_config(desk, review).ingest()
    published = digest(desk)
    desk.bring("late.json", old)

    assert published == digest(desk) == digest(sound(old, new, config=review))


def test_an_earlier_export_that_a_new_configuration_refuses_stops_only_itself() -> None:
    """Stricter settings take its rows out of the version, with a quarantine record, and the others stay."""
    desk = sound(FIRST, BAD)

    with_config(desk, FAILING).ingest()
    again = desk.ingest()

    assert content(desk) == content(sound(FIRST))
    assert any("/export-" in key for key in desk.written("label_sets/street/quarantine/"))
    assert again.published is not None
    assert [record.version for record in desk.label_set().log()] == [1, 2, 3]


def test_an_export_that_a_looser_configuration_can_use_comes_back() -> None:
    """What was quarantined whole is tried again when the configuration changes, and takes part if it reads now."""
    desk = Desk(config=FAILING)
    desk.ingest(desk.deliver("bad.json", joined(SECOND, BAD)), desk.deliver("cut.json", FIRST[:-9]))
    desk.bring("first.json", FIRST)

    batch = with_config(desk, CONFIG).ingest()

    assert batch.published is not None
    assert digest(desk) == digest(sound(FIRST, joined(SECOND, BAD)))
    assert len(desk.label_set().version().exports()) == 2


def test_raw_bytes_that_were_altered_are_not_converted_again() -> None:
    """A new configuration needs the raw copies; one that is not what its name says stops the run."""
    desk = sound(FIRST)
    (entry,) = desk.label_set().version().exports().values()
    desk.lake.delete(layout.raw(entry.sha256))
    desk.lake.create(layout.raw(entry.sha256), SECOND)

    with pytest.raises(HistoryDamaged, match="restore it"):
        with_config(desk, LabelSetConfig(name="street")).ingest()


def convert_only(desk: Desk, *exports: Export) -> Batch:
    """Convert exports without publishing."""
    return ingest(exports, landing=desk.landing, lake=desk.lake, config=CONFIG, publish=False)


def test_converting_alone_gives_all_rows_of_each_export() -> None:
    """The files of an export hold its own rows, also where they are published, lost the join, or are known bytes."""
    desk = Desk(config=CONFIG)
    deliveries = {"first.json": FIRST, "second.json": SECOND, "copy.json": FIRST}
    exports = [desk.deliver(key, data) for key, data in deliveries.items()]
    expected = {
        key: sound(data).label_set().version().annotations()["annotation_id"].tolist()
        for key, data in deliveries.items()
    }

    before = convert_only(desk, *exports)
    log = desk.label_set().log()
    desk.ingest(*exports)
    after = convert_only(desk, *exports)

    assert log == []
    for batch in (before, after):
        for outcome in batch.outcomes:
            assert outcome.status == "converted"
            found = json.loads(file_of(desk, outcome.uris["coco"]))["annotations"]
            assert sorted(one["id"] for one in found) == sorted(expected[outcome.export.key])


def file_of(desk: Desk, uri: str) -> bytes:
    """The bytes behind a uri of the lake."""
    return desk.lake.get(uri.removeprefix(f"{desk.lake.url}/")) or b""


def test_two_projects_in_one_batch_are_told() -> None:
    """A dataset that no earlier export had is a finding, also in the batch that makes the first version."""
    desk = Desk(config=CONFIG)

    batch = desk.ingest(desk.deliver("a.json", FIRST), desk.deliver("b.json", images_export(2, seed=8)))

    assert sorted(outcome.rules.get("new_dataset", 0) for outcome in batch.outcomes) == [0, 1]


def test_severities_hold_for_findings_of_the_join() -> None:
    """The configuration decides how bad a finding is, wherever it was made."""
    desk = Desk(config=msgspec.structs.replace(CONFIG, severities={"new_dataset": "error"}))
    desk.bring("a.json", FIRST)

    batch = desk.bring("b.json", images_export(1, seed=8))

    assert [finding.severity for finding in batch.outcomes[0].findings if finding.rule == "new_dataset"] == ["error"]


def test_an_outcome_counts_what_was_converted() -> None:
    """Bytes are those of the fragments, and export hashes are counted also beyond those that are listed."""
    desk = Desk(config=LabelSetConfig(name="street"))

    first = desk.bring("one.json", images_export(101)).outcomes[0]
    again = desk.bring("two.json", exported_again(images_export(101))).outcomes[0]

    bucket = next(iter(desk.label_set().version().buckets()))
    assert (len(first.export_hashes), first.export_hash_count) == (100, 101)
    assert 0 < first.coco_bytes < bucket.shards["coco"].size
    assert 0 < first.mask_bytes < bucket.shards["masks"].size
    assert (again.coco_bytes, again.mask_bytes) == (0, 0)


def test_the_last_records_are_read_alone() -> None:
    """The tail of the log is what the whole log ends in."""
    desk, data = Desk(), images_export(1)
    for day in range(1, 4):
        desk.bring(f"{day}.json", exported_again(data, days=day))

    label_set = desk.label_set()

    assert label_set.log(last=2) == label_set.log()[-2:]
    assert label_set.log(last=9) == label_set.log()
