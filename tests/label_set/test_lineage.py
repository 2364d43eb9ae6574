"""Where a row comes from and what made a version: every export that carried it, every version that changed it."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import UsageError
from encord_dagster.label_set import shards
from encord_dagster.label_set.lineage import history, why
from encord_dagster.label_set.manifest import BucketRow, ObjectRef
from encord_dagster.label_set.read import open_label_set
from encord_dagster.samples import next_export
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests import factories as make
from tests.label_set.test_diff import CountingStore
from tests.lakes import DAY, Desk, exported_again, images_export, project_export

WITHOUT_MASKS = LabelSetConfig(name="street", masks=False, hold_back=())  # versions here lose much on purpose
HASH = "a97f86f8-3af8-478c-9280-7b80afbf5ffc"


def row_of_day(day: int, x: float, **changes: Any) -> bytes:
    """One row exported on a day of March, its box at x."""
    stamp = {"exported_at": f"Fri, {day:02} Mar 2024 09:00:00 UTC", "export_hash": f"export-{day}"}
    return make.encode([make.image_row(make.box(x=x), **(stamp | changes))])


def test_a_history_holds_every_event_of_a_row() -> None:
    """Five exports, two of them without news and one late: all events, which one stands, where content changed."""
    desk = Desk(config=WITHOUT_MASKS)
    for day, x in ((1, 0.1), (2, 0.1), (4, 0.2), (5, 0.2), (3, 0.3)):
        desk.bring(f"{day}.json", row_of_day(day, x))

    found = history(desk.label_set(), HASH)

    assert [event.export_hash for event in found.events] == [f"export-{day}" for day in range(1, 6)]
    assert [event.export_hash for event in found.events if event.stands] == ["export-5"]
    assert found.changed_in == (1, 2)
    assert (found.held, found.gone, found.version) == (True, False, 2)
    event = found.events[0]
    assert [source.key for source in event.sources] == ["1.json"]
    raw = desk.landing.get("1.json") or b""
    assert json.loads(raw[event.offset : event.offset + event.length])["export_hash"] == "export-1"
    assert [entry.export_hash for entry in event.history] == [
        "625aea31-6d63-4623-b9aa-ed8d89f1db14",
        "export-1",
    ]
    assert all(entry.user is None for entry in event.history)


def test_an_earlier_version_stands_for_what_it_knew() -> None:
    """Of version 1 the event that stands is the newest that was accounted for while it was the newest version."""
    desk = Desk(config=WITHOUT_MASKS)
    for day, x in ((1, 0.1), (2, 0.1), (3, 0.2)):
        desk.bring(f"{day}.json", row_of_day(day, x))

    found = history(desk.label_set(), HASH, version=1)

    assert [event.export_hash for event in found.events if event.stands] == ["export-2"]
    assert found.changed_in == (1,)
    assert len(found.events) == 3


def test_every_place_of_an_export_is_told() -> None:
    """The same bytes under a second name, which holds an address: both sources, without the address."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("one.json", row_of_day(1, 0.1))
    desk.bring("jane@example.com/one.json", row_of_day(1, 0.1))

    (event,) = history(desk.label_set(), HASH).events

    assert len(event.sources) == 2
    assert {source.etag for source in event.sources} == {source.etag for source in event.sources[:1]}
    assert "jane@example.com" not in repr(event)


def test_quarantined_and_deleted_events_are_told() -> None:
    """A row that could not be used once, and whose data was deleted later."""
    desk = Desk(config=WITHOUT_MASKS)
    data = images_export(3)
    label_hash = json.loads(data)[0]["label_hash"]
    desk.bring("1.json", data)
    spoilt = json.loads(exported_again(data))
    spoilt[0]["data_units"] = 7
    desk.bring("2.json", make.encode(spoilt))
    rows = json.loads(data)
    gone = next_export(make.encode(rows[:1]), seed=1, exported_at=DAY + timedelta(days=2), changed=0, deleted=1)
    desk.bring("3.json", gone)

    found = history(desk.label_set(), label_hash)

    assert [event.status for event in found.events] == ["accepted", "quarantined", "accepted"]
    assert found.events[1].findings
    assert [event.stands for event in found.events] == [False, False, True]
    assert found.gone
    assert found.changed_in == (1, 2)


def test_content_that_came_back_changed_twice() -> None:
    """A row moved there and back differs in both versions from the one before."""
    desk = Desk(config=WITHOUT_MASKS)
    other = images_export(3)
    desk.bring("other.json", other)
    for day, x in ((1, 0.1), (2, 0.2), (3, 0.1)):
        desk.bring(f"{day}.json", row_of_day(day, x))
        other = exported_again(other, changed=1, days=day)
        desk.bring(f"other-{day}.json", other)

    found = history(desk.label_set(), HASH)

    assert desk.label_set().version().number == 7
    assert found.changed_in == (2, 4, 6)


def test_rows_of_older_releases_have_the_same_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that do not say their version are looked up version by version, with the same result."""
    write = shards.write_bucket

    def without_versions(lake: ObjectStore, name: str, epoch: int, rows: Sequence[BucketRow], *made: Any) -> ObjectRef:
        return write(lake, name, epoch, [msgspec.structs.replace(row, version=0) for row in rows], *made)

    monkeypatch.setattr(shards, "write_bucket", without_versions)
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("other.json", images_export(2))
    for day, x in ((1, 0.1), (2, 0.2), (3, 0.2), (4, 0.1)):
        desk.bring(f"{day}.json", row_of_day(day, x))

    assert {row.version for row in desk.label_set().version().label_rows()} == {0}
    assert history(desk.label_set(), HASH).changed_in == (2, 3, 4)


def test_a_row_that_nobody_delivered_is_refused() -> None:
    """The message names the row and says where the known ones stand."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("1.json", images_export(1))

    with pytest.raises(UsageError, match="row_events"):
        history(desk.label_set(), "nobody@example.com")


def test_a_version_tells_which_export_decided_which_rows() -> None:
    """Two exports in one batch, a change by each: counts and label hashes by export, nothing undecided."""
    desk = Desk(config=WITHOUT_MASKS)
    first, second = images_export(8, seed=3), images_export(8, seed=4)
    desk.ingest(desk.deliver("a.json", first), desk.deliver("b.json", second))
    desk.ingest(
        desk.deliver("c.json", exported_again(first, changed=2)),
        desk.deliver("d.json", exported_again(second, changed=3, added=1)),
    )

    found = why(desk.label_set(), 2)

    assert (found.version, found.previous_version, found.undecided, found.removed) == (2, 1, 0, 0)
    assert sorted((deed.rows, deed.added, deed.changed) for deed in found.exports) == [(8, 0, 2), (9, 1, 3)]
    assert found.previous_content_digest == desk.label_set().version(1).root.content_digest
    assert not found.configuration_changed
    before, after = (
        {row.label_hash: row.fingerprint for row in desk.label_set().version(number).label_rows()} for number in (1, 2)
    )
    named = {label_hash for deed in found.exports for label_hash in deed.label_hashes}
    assert named == {key for key in after if before.get(key) != after[key]}
    first_version = why(desk.label_set(), 1)
    assert (first_version.previous_version, [deed.added for deed in first_version.exports]) == (0, [8, 8])


def test_an_export_that_brought_no_news_decided_nothing() -> None:
    """Observes come behind the record that made the version, and do not count as what made it."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("1.json", row_of_day(1, 0.1))
    desk.bring("2.json", row_of_day(2, 0.1))

    found = why(desk.label_set())

    assert found.record.seq == 1
    assert [deed.export_hashes for deed in found.exports] == [("export-1",)]


def test_a_version_made_by_another_configuration_says_so() -> None:
    """Its rows come from exports that earlier records account for."""
    desk = Desk(config=WITHOUT_MASKS)
    desk.bring("1.json", images_export(4))
    desk.config = LabelSetConfig(name="street")
    desk.ingest()

    found = why(desk.label_set(), "latest")

    assert found.configuration_changed
    assert found.exports == ()
    assert found.undecided == 4
    assert {row.version for row in desk.label_set().version().label_rows()} == {2}


def test_why_reads_no_more_than_it_needs() -> None:
    """One version of a few: its record and the one before, its exports' events, two roots, buckets that differ."""
    counting = CountingStore(MemoryStore())
    desk = Desk(lake=counting, config=WITHOUT_MASKS)
    data = images_export(260)
    desk.bring("one.json", data)
    for day in range(1, 7):
        desk.bring(f"{day}.json", row_of_day(day, day / 10))
    desk.bring("two.json", exported_again(data, changed=2))
    label_set = open_label_set(counting, "street")
    counting.read.clear()

    found = why(label_set, 8)

    touched = found.record.buckets
    events = [key for key in counting.read if "/events-" in key]
    assert events == [entry.events.key for entry in found.record.exports]
    assert len([key for key in counting.read if "/objects/" in key]) == 2 + 2 * touched
    assert len([key for key in counting.read if "/log/" in key]) <= 6


def test_each_row_says_in_which_version_it_changed() -> None:
    """Rows of any project, over three exports: the version of a row is the first that has its content."""
    desk = Desk(config=WITHOUT_MASKS)
    data = project_export(12)
    for day in range(1, 4):
        desk.bring(f"{day}.json", data)
        data = exported_again(data, changed=3, added=1, days=day)

    versions = [
        {row.row: row.fingerprint for row in desk.label_set().version(number).label_rows()} for number in (1, 2, 3)
    ]

    for row in desk.label_set().version().label_rows():
        first = 3
        while first > 1 and versions[first - 2].get(row.row) == row.fingerprint:
            first -= 1
        assert row.version == first
