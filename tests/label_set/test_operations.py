"""What an operator does to a label set: roll back, unblock, retire, restore, release, tag, replay."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig, Thresholds
from encord_dagster.errors import AccessDenied, CommitStateUnknown, HistoryDamaged, StorageError, UsageError
from encord_dagster.label_set import history, quarantine
from encord_dagster.label_set.events import read_events
from encord_dagster.label_set.manifest import LogRecord, encode, sealed
from encord_dagster.label_set.operations import release, rollback, unblock
from encord_dagster.label_set.retire import restore, retire
from encord_dagster.label_set.tags import tag, tags
from encord_dagster.label_set.verify import verify
from encord_dagster.pipeline import replay
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests import factories as make
from tests.label_set.test_faults import Counting, Crash, LosesAnswers, Watched, copy_of
from tests.lakes import DAY, Desk

NAME = "street"
CONFIG = LabelSetConfig(name=NAME, masks=False, hold_back=())
HOLDING = LabelSetConfig(name=NAME, masks=False)
WHY = "a wrong export"


def dated(day: int, *rows: make.Json) -> bytes:
    """An export of these rows on a day."""
    at = (DAY + timedelta(days=day)).strftime("%a, %d %b %Y %H:%M:%S UTC")
    return make.encode([row | {"export_hash": f"day-{day}", "exported_at": at} for row in rows])


def row(name: str, boxes: int = 1, points: int = 0) -> make.Json:
    """A row of one image with so many boxes and points."""
    drawn = [make.box(0.01 * n, object_hash=f"box{n:05}") for n in range(boxes)]
    drawn += [make.point(object_hash=f"point{n:03}") for n in range(points)]
    return make.row("image", [make.unit(f"data-{name}", "image/jpeg", make.labels(*drawn))], label_hash=name)


def street(*exports: bytes, config: LabelSetConfig = CONFIG, lake: ObjectStore | None = None) -> Desk:
    """A desk that was brought these exports one by one."""
    desk = Desk(lake, config)
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk


def objects(desk: Desk) -> dict[str, int]:
    """Annotations by label row in the newest version, which must be sound."""
    assert verify(desk.lake, NAME).problems == []
    rows = {held.label_hash: held.annotations for held in desk.label_set().version().label_rows()}
    assert sum(rows.values()) == desk.label_set().version().table("annotations").num_rows
    return rows


def digest(desk: Desk) -> str:
    """The content digest that readers see."""
    return desk.label_set().version().root.content_digest


def ops(desk: Desk) -> list[str]:
    """Operation and version of each record."""
    return [f"{record.op} {record.version}" for record in desk.label_set().log()]


def newest(desk: Desk) -> LogRecord:
    """The newest record."""
    return desk.label_set().log()[-1]


FIRST = dated(1, row("a"), row("b"))
SECOND = dated(2, row("a", 3), row("b"))
SAME = dated(3, row("a"), row("b"))
THIRD = dated(4, row("a", 5), row("c"))


# records


def test_records_of_earlier_releases_keep_their_bytes() -> None:
    """What operations added is left out of records where it is empty."""
    desk = street(FIRST)
    data = desk.lake.get(layout.log(NAME, 1)) or b""

    fields = msgspec.json.decode(data)

    added = {"held", "held_findings", "blocked", "again", "retired", "went_back_to", "reason", "content"}
    assert not added & set(fields)
    assert sealed(encode(msgspec.json.decode(data, type=LogRecord))) == data


# rolling back


def test_a_rollback_gives_readers_the_older_content_as_a_new_version() -> None:
    """The record names the older root, nothing but it and the hint is written, and pinned versions stay."""
    desk = street(FIRST, SECOND)
    before = desk.written("label_sets/street/objects/")

    record = rollback(desk.lake, NAME, 1, WHY)

    assert (record.op, record.version, record.went_back_to, record.reason) == ("rollback", 3, 1, WHY)
    assert desk.written("label_sets/street/objects/") == before
    assert objects(desk) == {"a": 1, "b": 1}
    assert digest(desk) == desk.label_set().version(1).root.content_digest
    assert desk.label_set().version(2).root.annotations == 4


def test_what_was_rolled_back_does_not_come_back() -> None:
    """Neither with the next export, nor where the same bytes or the same export come again."""
    desk = street(FIRST, SECOND)
    (blocked,) = rollback(desk.lake, NAME, 1, WHY).blocked

    again = desk.ingest(*(export for export in [desk.deliver("copy.json", SECOND)]))
    desk.bring("new.json", dated(5, row("c", 2)))

    assert again.outcomes[0].status == "observed"
    assert objects(desk) == {"a": 1, "b": 1, "c": 2}
    assert newest(desk).blocked == (blocked,)


def test_a_blocked_export_that_is_run_again_says_so() -> None:
    """A finding tells that nothing of it is used."""
    desk = Desk(config=CONFIG)
    desk.bring("first.json", FIRST)
    second = desk.deliver("second.json", SECOND)
    desk.ingest(second)
    rollback(desk.lake, NAME, 1, WHY)

    batch = desk.ingest(second)

    assert (batch.outcomes[0].status, list(batch.outcomes[0].rules)) == ("observed", ["export_blocked"])
    assert objects(desk) == {"a": 1, "b": 1}


def test_a_blocked_event_hides_no_other_one() -> None:
    """An export older than the blocked one, and newer than the version, decides its rows."""
    desk = street(FIRST, THIRD)
    rollback(desk.lake, NAME, 1, WHY)

    desk.bring("late.json", SECOND)

    assert objects(desk) == {"a": 3, "b": 1}


def test_exports_that_changed_nothing_are_not_blocked() -> None:
    """Their events go on to count: what is older than them has lost."""
    desk = street(FIRST, SAME, THIRD)

    record = rollback(desk.lake, NAME, 1, WHY)
    desk.bring("late.json", SECOND)

    assert len(record.blocked) == 1
    assert objects(desk) == {"a": 1, "b": 1}


def test_going_back_to_a_version_before_a_rollback_undoes_it() -> None:
    """What was blocked after that version is blocked no more."""
    desk = street(FIRST, SECOND)
    rollback(desk.lake, NAME, 1, WHY)

    record = rollback(desk.lake, NAME, 2, "it was right")

    assert (record.blocked, record.version) == ((), 4)
    assert objects(desk) == {"a": 3, "b": 1}
    desk.bring("new.json", dated(5, row("c")))
    assert objects(desk) == {"a": 3, "b": 1, "c": 1}


@pytest.mark.parametrize(("version", "says"), [(2, "nothing to go back to"), (7, "no version 7"), (0, "no version 0")])
def test_a_rollback_that_makes_no_sense_is_refused(version: int, says: str) -> None:
    """To the version that readers see, or to none."""
    desk = street(FIRST, SECOND)

    with pytest.raises(UsageError, match=says):
        rollback(desk.lake, NAME, version, WHY)

    assert ops(desk) == ["publish 1", "publish 2"]


def test_an_operation_on_no_label_set_is_refused() -> None:
    """A slip in the name makes no new label set."""
    lake = MemoryStore()

    with pytest.raises(UsageError, match="holds no label set"):
        rollback(lake, NAME, 1, WHY)

    assert list(lake.list()) == []


def test_a_version_that_is_not_whole_is_not_gone_back_to() -> None:
    """It would become what readers see."""
    desk = street(FIRST, SECOND)
    (bucket,) = desk.label_set().version(1).buckets()
    desk.lake.delete(bucket.shards["coco"].key)

    with pytest.raises(HistoryDamaged, match="of version 1 is missing"):
        rollback(desk.lake, NAME, 1, WHY)


def test_a_reason_is_redacted_and_cut() -> None:
    """People write addresses; an empty reason is none."""
    desk = street(FIRST, SECOND)

    record = rollback(desk.lake, NAME, 1, f"asked by jane@example.com {'x' * 900}")

    assert "jane" not in record.reason
    assert len(record.reason) == 500
    with pytest.raises(UsageError, match="say why"):
        rollback(desk.lake, NAME, 2, " \n ")


def test_unblocked_exports_are_read_again_by_the_next_run() -> None:
    """The content is that of a label set that never was rolled back."""
    desk = street(FIRST, SECOND)
    blocked = rollback(desk.lake, NAME, 1, WHY).blocked

    record = unblock(desk.lake, NAME, blocked, "it was right")
    seen = objects(desk)
    desk.ingest()

    assert (record.blocked, record.again, seen) == ((), blocked, {"a": 1, "b": 1})
    assert ops(desk)[-2:] == ["unblock 3", "publish 4"]
    assert digest(desk) == digest(street(FIRST, SECOND))
    assert newest(desk).again == ()


def test_unblocking_waits_for_the_next_run_also_behind_other_operations() -> None:
    """A rollback and a retirement in between do not lose it."""
    desk = street(FIRST, SECOND, dated(5, row("c")))
    blocked = rollback(desk.lake, NAME, 1, WHY).blocked
    unblock(desk.lake, NAME, blocked, "it was right")

    retire(desk.lake, NAME, "consent withdrawn", label_hashes=["b"])
    desk.bring("new.json", dated(6, row("d")))

    assert objects(desk) == {"a": 3, "c": 1, "d": 1}


def test_unblocking_an_unknown_export_is_refused_and_a_free_one_is_free() -> None:
    """Nothing is written for either."""
    desk = street(FIRST, SECOND)

    unblock(desk.lake, NAME, [newest(desk).exports[0].id], WHY)
    with pytest.raises(UsageError, match="accounts for no export"):
        unblock(desk.lake, NAME, ["20240101T000000Z-000000000000"], WHY)

    assert ops(desk) == ["publish 1", "publish 2"]


def test_without_a_raw_copy_nothing_is_unblocked() -> None:
    """The next run could not read it, and would fail for ever."""
    desk = street(FIRST, SECOND, config=msgspec.structs.replace(CONFIG, keep_raw=False))
    blocked = rollback(desk.lake, NAME, 1, WHY).blocked

    with pytest.raises(UsageError, match="no raw copy"):
        unblock(desk.lake, NAME, blocked, WHY)


def test_a_rollback_over_another_configuration_speaks_as_the_log_did_then() -> None:
    """With the old configuration back, late exports are judged by what it read; with the new one all is made anew."""
    review = msgspec.structs.replace(CONFIG, branch="review")
    desk = street(FIRST)
    desk.config = review
    desk.bring("review.json", dated(2, row("a", 7) | {"branch_name": "review"}))
    assert objects(desk) == {"a": 7}

    record = rollback(desk.lake, NAME, 1, WHY)
    assert record.config_digest == CONFIG.digest()
    desk.config = CONFIG
    desk.bring("late.json", dated(0, row("a", 9), row("c")))
    assert objects(desk) == {"a": 1, "b": 1, "c": 1}
    desk.config = review
    desk.ingest()

    assert objects(desk) == {}


# retiring


def test_a_retired_row_is_out_and_stays_out() -> None:
    """A later export that holds it is accounted for, its row as retired, its objects as excluded, with a finding."""
    desk = street(FIRST)

    record = retire(desk.lake, NAME, "consent withdrawn", label_hashes=["a"])
    batch = desk.bring("again.json", SECOND)

    assert (record.op, record.version, record.findings) == ("retire", 2, ())
    assert objects(desk) == {"b": 1}
    (outcome,) = batch.outcomes
    assert (outcome.status, outcome.rules["row_retired"]) == ("observed", 1)
    assert (outcome.objects_in, outcome.objects_published, outcome.objects_excluded) == (4, 1, {"retired": 3})
    statuses = read_events(desk.lake, newest(desk).exports[0].events)["status"].to_pylist()
    assert statuses[:2] == ["retired", "accepted"]
    assert desk.label_set().version(1).rows == 2


def test_rows_are_retired_by_the_data_that_they_describe() -> None:
    """All that describe it; asked twice it is done once."""
    desk = street(FIRST)

    retire(desk.lake, NAME, WHY, data_hashes=["data-a"])
    retire(desk.lake, NAME, "another reason", data_hashes=["data-a"])

    assert objects(desk) == {"b": 1}
    assert ops(desk) == ["publish 1", "retire 2"]


def test_an_unknown_row_is_not_retired() -> None:
    """One slip, and nothing is done."""
    desk = street(FIRST)

    with pytest.raises(UsageError, match="has no row of 'z'"):
        retire(desk.lake, NAME, WHY, label_hashes=["a", "z"])
    with pytest.raises(UsageError, match="name the rows"):
        retire(desk.lake, NAME, WHY)

    assert ops(desk) == ["publish 1"]


def test_the_last_rows_of_a_bucket_and_of_a_set_can_be_retired() -> None:
    """A bucket without rows is gone; content is that of a set that never held the row, whatever the buckets."""
    desk = street(dated(1, *(row(f"row-{n}") for n in range(260))))
    assert desk.label_set().version().root.prefix_length == 1

    retire(desk.lake, NAME, WHY, label_hashes=[f"row-{n}" for n in range(5, 260)])
    five = street(dated(1, *(row(f"row-{n}") for n in range(5))))

    assert objects(desk) == objects(five)
    assert digest(desk) == digest(five)
    retire(desk.lake, NAME, WHY + " too", label_hashes=[f"row-{n}" for n in range(5)])
    assert objects(desk) == {}


def test_a_rollback_does_not_bring_a_retired_row_back() -> None:
    """Readers get the older content without it."""
    desk = street(FIRST, SECOND)
    retire(desk.lake, NAME, WHY, label_hashes=["b"])

    rollback(desk.lake, NAME, 1, WHY)
    desk.bring("new.json", dated(6, row("b", 8), row("c")))

    assert objects(desk) == {"a": 1, "c": 1}


def test_another_configuration_does_not_bring_a_retired_row_back() -> None:
    """Nor what was blocked, where everything is converted again."""
    desk = street(FIRST, SECOND, THIRD)
    rollback(desk.lake, NAME, 2, WHY)
    retire(desk.lake, NAME, WHY, label_hashes=["b"])
    desk.config = msgspec.structs.replace(CONFIG, masks=True)

    desk.ingest()

    assert objects(desk) == {"a": 3}


def test_a_restored_row_comes_back_as_its_exports_have_it() -> None:
    """Also what came while it was retired."""
    desk = street(FIRST)
    retire(desk.lake, NAME, WHY, label_hashes=["a", "b"])
    desk.bring("second.json", SECOND)

    restore(desk.lake, NAME, ["a"], "consent given")
    desk.ingest()

    assert objects(desk) == {"a": 3}
    with pytest.raises(UsageError, match="has not retired 'a'"):
        restore(desk.lake, NAME, ["a"], WHY)


# held back

BOTH = dated(1, row("a", 1, 1))
WITHOUT_POINTS = dated(2, row("a", 1))


def test_a_version_in_which_a_class_vanished_is_held_back() -> None:
    """Readers keep the old one; the export is accounted for, and findings tell."""
    desk = street(BOTH, config=HOLDING)

    batch = desk.bring("less.json", WITHOUT_POINTS)

    record = newest(desk)
    assert (record.op, record.version, record.held is not None) == ("observe", 1, True)
    assert [finding.rule for finding in record.held_findings] == ["class_vanished", "annotations_dropped"]
    assert (batch.outcomes[0].status, objects(desk)) == ("held", {"a": 2})
    assert batch.published is not None
    assert (batch.published.held, batch.published.annotations) == (True, 2)
    assert batch.published.held_findings == record.held_findings
    assert len(desk.label_set().accounted()) == 2


def test_a_first_version_is_never_held_back_nor_one_that_only_warns() -> None:
    """Severities and thresholds of the configuration decide, and the list of rules that hold."""
    for changes in (
        {"hold_back": ()},
        {"severities": {"class_vanished": "warning", "annotations_dropped": "warning"}},
        {"hold_back": ("annotations_dropped",), "thresholds": Thresholds(annotations_dropped=0.5)},
    ):
        desk = street(BOTH, WITHOUT_POINTS, config=msgspec.structs.replace(HOLDING, **changes))

        assert ops(desk) == ["publish 1", "publish 2"]


def test_what_comes_behind_a_held_version_is_held_with_it() -> None:
    """It is compared with what readers see, and built on what is held."""
    desk = street(BOTH, WITHOUT_POINTS, config=HOLDING)

    batch = desk.bring("more.json", dated(3, row("b")))
    observed = desk.bring("same.json", dated(4, row("b")))

    assert (batch.outcomes[0].status, observed.outcomes[0].status) == ("held", "observed")
    assert (ops(desk)[1:], objects(desk)) == (["observe 1"] * 3, {"a": 2})
    assert newest(desk).held == desk.label_set().log()[-2].held
    record = release(desk.lake, NAME, "points are not labelled any more")
    assert (record.op, record.version, record.held, record.held_findings) == ("release", 2, None, ())
    assert objects(desk) == {"a": 1, "b": 1}
    assert digest(desk) == digest(street(BOTH, WITHOUT_POINTS, dated(3, row("b"))))
    desk.bring("next.json", dated(5, row("c")))
    assert objects(desk) == {"a": 1, "b": 1, "c": 1}


def test_a_better_export_heals_what_is_held() -> None:
    """Back to what readers see it is an observe; with more it is a version."""
    same = street(BOTH, WITHOUT_POINTS, dated(3, row("a", 1, 1)), config=HOLDING)
    more = street(BOTH, WITHOUT_POINTS, dated(3, row("a", 1, 2)), config=HOLDING)

    assert (ops(same)[-1], newest(same).held, newest(same).held_findings) == ("observe 1", None, ())
    assert (ops(more)[-1], newest(more).held, objects(more)) == ("publish 2", None, {"a": 3})


def test_what_is_held_can_be_dropped() -> None:
    """Going back to the version that readers see drops it, and blocks what brought it."""
    desk = street(BOTH, WITHOUT_POINTS, config=HOLDING)

    record = rollback(desk.lake, NAME, 1, WHY)
    desk.bring("more.json", dated(3, row("b")))

    assert (record.version, len(record.blocked), record.held) == (1, 1, None)
    assert (ops(desk)[-1], objects(desk)) == ("publish 2", {"a": 2, "b": 1})


def test_what_was_held_as_a_row_was_retired_can_be_dropped_too() -> None:
    """What brought it is older than the version, and not in it: it is blocked, rather than known and nowhere."""
    desk = street(dated(1, row("a", 1, 1), row("b")), dated(2, row("a", 1)), config=HOLDING)
    retire(desk.lake, NAME, "consent withdrawn", label_hashes=["b"])

    record = rollback(desk.lake, NAME, 2, WHY)
    desk.bring("more.json", dated(3, row("c")))

    assert (record.version, len(record.blocked), record.held) == (2, 1, None)
    assert (ops(desk)[-1], objects(desk)) == ("publish 3", {"a": 2, "c": 1})


def test_a_retired_row_is_taken_out_of_what_is_held_too() -> None:
    """Whatever is released later."""
    desk = street(dated(1, row("a", 1, 1), row("b")), dated(2, row("a", 1)), config=HOLDING)

    retire(desk.lake, NAME, "consent withdrawn", label_hashes=["b"])
    seen = objects(desk)
    release(desk.lake, NAME, WHY)

    assert (seen, objects(desk)) == ({"a": 2}, {"a": 1})


def test_nothing_held_cannot_be_released() -> None:
    """But asking again for what was just done is no error."""
    desk = street(BOTH, WITHOUT_POINTS, config=HOLDING)

    release(desk.lake, NAME, WHY)
    release(desk.lake, NAME, WHY)

    assert ops(desk)[-1] == "release 2"
    with pytest.raises(UsageError, match="holds no version back"):
        release(desk.lake, NAME, "another reason")


def test_another_configuration_is_held_back_as_well() -> None:
    """And released later without another conversion."""
    desk = street(BOTH, config=HOLDING)
    desk.config = msgspec.structs.replace(HOLDING, branch="review")

    desk.ingest()
    desk.ingest()

    assert (ops(desk), objects(desk)) == (["publish 1", "observe 1"], {"a": 2})
    release(desk.lake, NAME, WHY)
    desk.ingest()
    assert (ops(desk)[-1], objects(desk)) == ("release 2", {})


# complete exports, versions of one export


def absences(desk: Desk, *exports: bytes) -> list[int]:
    """How often `row_absent` fires for each export."""
    return [
        desk.bring(f"{number}.json", data).outcomes[0].rules.get("row_absent", 0) for number, data in enumerate(exports)
    ]


def test_rows_that_complete_exports_leave_out_are_told_and_stay() -> None:
    """From the third export without them on, one finding with the count; an export that holds them begins anew."""
    without = [dated(day, row("a", day)) for day in range(2, 6)]
    desk = Desk(config=msgspec.structs.replace(CONFIG, landing="complete"))

    assert absences(desk, dated(1, row("a"), row("b"), row("c")), *without) == [0, 0, 0, 1, 1]
    assert set(objects(desk)) == {"a", "b", "c"}
    finding, _ = [one for one in desk.label_set().version().findings() if one.rule == "row_absent"]
    assert finding.message.startswith("2 rows of the label set are in none of the last 3 complete exports: 'b', 'c';")
    assert absences(Desk(config=CONFIG), dated(1, row("a"), row("b")), *without) == [0] * 5


def test_a_late_complete_export_says_nothing_of_absence() -> None:
    """Newer ones do."""
    desk = Desk(config=msgspec.structs.replace(CONFIG, landing="complete", absent_after=1))

    assert absences(desk, dated(5, row("a"), row("b")), dated(1, row("a"))) == [0, 0]


ONE_EXPORT = msgspec.structs.replace(CONFIG, content="export")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_a_version_can_hold_just_the_rows_of_its_newest_export(order: tuple[int, ...]) -> None:
    """Whatever the order in which exports come, one by one or together."""
    exports = [dated(1, row("a"), row("b")), dated(2, row("a", 2), row("c")), dated(3, row("c"), row("d", 4))]
    desk, batch = Desk(config=ONE_EXPORT), Desk(config=ONE_EXPORT)

    statuses = [desk.bring(f"{number}.json", exports[number]).outcomes[0].status for number in order]
    batch.ingest(*(batch.deliver(f"{number}.json", exports[number]) for number in order))

    assert objects(desk) == objects(batch) == {"c": 1, "d": 4}
    assert digest(desk) == digest(batch) == digest(street(exports[2], config=ONE_EXPORT))
    assert statuses[order.index(2)] == "published"
    assert digest(desk) != digest(street(exports[2]))


def test_versions_of_one_export_can_be_rolled_back_and_unblocked() -> None:
    """An export that only leaves rows out changes the content as well."""
    desk = street(FIRST, dated(2, row("a")), config=ONE_EXPORT)
    assert objects(desk) == {"a": 1}

    blocked = rollback(desk.lake, NAME, 1, WHY).blocked
    desk.ingest()
    assert (len(blocked), objects(desk)) == (1, {"a": 1, "b": 1})
    unblock(desk.lake, NAME, blocked, WHY)
    desk.ingest()

    assert objects(desk) == {"a": 1}


def test_an_unusable_newest_export_leaves_the_version_of_the_one_before() -> None:
    """It is quarantined, and nothing of it is in the version."""
    desk = street(FIRST, dated(2, row("a") | {"data_units": {}}), config=ONE_EXPORT)

    assert objects(desk) == {"a": 1, "b": 1}


def test_another_configuration_makes_the_newest_export_anew() -> None:
    """And no other."""
    desk = street(FIRST, dated(2, row("c")), config=ONE_EXPORT)
    desk.config = msgspec.structs.replace(ONE_EXPORT, masks=True)

    desk.ingest()

    assert (ops(desk)[-1], objects(desk)) == ("publish 3", {"c": 1})


# tags


def test_a_tag_names_a_version_for_good() -> None:
    """The same again is fine, another version is not, nor a name that says something else."""
    desk = street(FIRST, SECOND)

    made = tag(desk.lake, NAME, "v1.0-golden", 1)
    desk.bring("same.json", dated(6, row("b")))

    assert tag(desk.lake, NAME, "v1.0-golden", 1) == made
    assert [(one.name, one.seq, one.version, one.content_digest) for one in tags(desk.lake, NAME)] == [
        ("v1.0-golden", 1, 1, desk.label_set().version(1).root.content_digest)
    ]
    with pytest.raises(UsageError, match="stands for version 1"):
        tag(desk.lake, NAME, "v1.0-golden", 2)
    with pytest.raises(UsageError, match="no version 9"):
        tag(desk.lake, NAME, "other", 9)
    for wrong in ("latest", "7", "../x", "a/b", "", ".hidden", "x" * 64, "a\nb"):
        with pytest.raises(UsageError, match="tag"):
            tag(desk.lake, NAME, wrong, 1)


# quarantine

BROKEN = dated(2, row("a", 2), row("c") | {"data_units": {}})


def test_what_is_in_quarantine_is_listed_with_its_bytes() -> None:
    """Rows of packed exports too, since places count in the unpacked bytes; a whole export is its raw bytes."""
    desk = street(FIRST)
    desk.bring("packed.json.gz", gzip.compress(BROKEN))
    desk.bring("cut.json", FIRST[:-9])

    parts, whole = sorted(quarantine.held_in_quarantine(desk.lake, NAME), key=lambda record: record.whole)

    assert (whole.export.key, quarantine.held_bytes(desk.lake, whole, whole.items[-1])) == ("cut.json", FIRST[:-9])
    (item,) = parts.items
    held = msgspec.json.decode(quarantine.held_bytes(desk.lake, parts, item))
    assert (item.reason, held["label_hash"], held["data_units"]) == ("no_data_units", "c", {})


def test_a_replay_publishes_what_can_be_used_now() -> None:
    """An export that an ontology beside it made unusable comes in once the ontology is mended; others stay."""
    desk = Desk(config=CONFIG)
    desk.bring("first.json", FIRST)
    desk.landing.create("second.ontology.json", b"{")
    desk.bring("second.json", SECOND)
    desk.bring("cut.json", FIRST[:-9])
    held = [record.export.key for record in quarantine.held_in_quarantine(desk.lake, NAME)]
    desk.landing.delete("second.ontology.json")
    desk.landing.create("second.ontology.json", make.encode(make.ontology()))

    batch = replay(lake=desk.lake, config=CONFIG, landing=desk.landing)

    assert sorted(held) == ["cut.json", "second.json"]
    assert {one.export.key: one.status for one in batch.outcomes} == {
        "second.json": "published",
        "cut.json": "quarantined",
    }
    assert objects(desk) == {"a": 3, "b": 1}
    assert [one.export.key for one in quarantine.held_in_quarantine(desk.lake, NAME)] == ["cut.json"]
    again = desk.written()
    replay(lake=desk.lake, config=CONFIG, landing=desk.landing)
    assert desk.written() == again


def test_a_replay_of_rows_brings_in_rows_that_can_be_read_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader refused a row once; mended, it reads the row out of the raw copy, and nothing is left of it."""
    from encord_dagster.encord.label_rows import RowReading, UnusableRow, read_row

    def refusing(*piece: Any, **options: Any) -> RowReading:
        read = read_row(*piece, **options)
        if read.row.label_hash == "c":
            raise UnusableRow("no_data_units", "a defect of the reader", read.event)
        return read

    with monkeypatch.context() as patch:
        patch.setattr("encord_dagster.accounting.read_row", refusing)
        desk = street(FIRST, dated(2, row("a", 2), row("c")))
    assert objects(desk) == {"a": 2, "b": 1}
    (held,) = quarantine.held_in_quarantine(desk.lake, NAME)

    batch = replay(lake=desk.lake, config=CONFIG, export_ids=[held.export.id])

    assert [outcome.status for outcome in batch.outcomes] == ["published"]
    assert objects(desk) == {"a": 2, "b": 1, "c": 1}
    assert quarantine.held_in_quarantine(desk.lake, NAME) == []


def test_a_replay_does_not_contradict_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mended reader gives a row another fingerprint under the export hash that the version holds it by."""
    from encord_dagster.encord.label_rows import RowReading, UnusableRow, read_row

    def other(*piece: Any, **options: Any) -> RowReading:
        read = read_row(*piece, **options)
        if read.row.label_hash == "c":
            raise UnusableRow("no_data_units", "a defect of the reader", read.event)
        event = msgspec.structs.replace(read.event, fingerprint="f" * 64)
        return msgspec.structs.replace(read, event=event)

    with monkeypatch.context() as patch:
        patch.setattr("encord_dagster.accounting.read_row", other)
        desk = street(dated(2, row("a", 2), row("c")))
    (held,) = quarantine.held_in_quarantine(desk.lake, NAME)

    (outcome,) = replay(lake=desk.lake, config=CONFIG, export_ids=[held.export.id]).outcomes

    assert {one.export_hash == "" for one in desk.label_set().version().label_rows()} == {False}
    assert outcome.rules.get("export_hash_conflict", 0) == 0
    assert objects(desk) == {"a": 2, "c": 1}


def test_a_replay_of_what_is_not_in_quarantine_is_refused() -> None:
    """A slip in an id is told."""
    desk = street(FIRST)

    with pytest.raises(UsageError, match="nothing of '20240101T000000Z-000000000000' in quarantine"):
        replay(lake=desk.lake, config=CONFIG, export_ids=["20240101T000000Z-000000000000"])


# faults

Act = Callable[[ObjectStore], object]


def prepared(case: str) -> tuple[Desk, Act]:
    """A label set and an operation on it."""
    if case == "release":
        return street(BOTH, WITHOUT_POINTS, config=HOLDING), lambda lake: release(lake, NAME, WHY)
    if case == "restore":
        desk = street(FIRST, SECOND)
        retire(desk.lake, NAME, WHY, label_hashes=["a"])
        return desk, lambda lake: restore(lake, NAME, ["a"], WHY)
    desk = street(FIRST, SECOND, THIRD)
    if case == "unblock":
        blocked = rollback(desk.lake, NAME, 1, WHY).blocked
        return desk, lambda lake: unblock(lake, NAME, blocked, WHY)
    acts: dict[str, Act] = {
        "rollback": lambda lake: rollback(lake, NAME, 1, WHY),
        "retire": lambda lake: retire(lake, NAME, WHY, data_hashes=["data-a"]),
        "tag": lambda lake: tag(lake, NAME, "golden", 2),
    }
    return desk, acts[case]


CASES = ["rollback", "unblock", "retire", "restore", "release", "tag"]


def state(lake: ObjectStore) -> tuple[bytes, ...]:
    """All records and tags."""
    keys = [info.key for prefix in (layout.log_prefix(NAME), layout.tags(NAME)) for info in lake.list(prefix)]
    return tuple(lake.get(key) or b"" for key in keys)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_storage_call_of_an_operation_leaves_a_whole_version(
    case: str, after: bool, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Readers see the old or the new state whole, and asking again ends as an operation without a crash does."""
    desk, act = prepared(case)
    assert isinstance(desk.lake, MemoryStore)
    done, counting = copy_of(desk.lake), Counting()
    act(Watched(done, counting))
    old, new = state(desk.lake), state(done)

    for at in range(1, counting.calls + 1):
        lake = copy_of(desk.lake)
        with pytest.raises(Crash):
            act(Watched(lake, Counting(at, after=after)))
        assert state(lake) in (old, new)
        assert verify(lake, NAME).problems == []

        act(lake)

        assert state(lake) == new
        assert history.head(lake, NAME).seq == history.head(done, NAME).seq

    record_testsuite_property("faults survived", counting.calls)
    assert counting.calls > 2


@pytest.mark.parametrize("case", ["rollback", "unblock", "retire", "restore", "release"])
def test_an_operation_that_loses_its_number_is_made_anew_on_top(case: str) -> None:
    """A publisher takes the slot at the last moment: both are whole, and neither is lost."""
    desk, act = prepared(case)
    assert isinstance(desk.lake, MemoryStore)
    raced: list[str] = []

    def around(call: str, key: str, call_it: Callable[[], object]) -> object:
        if call == "create" and "/log/" in key and not raced:
            raced.append(key)
            desk.bring("rival.json", dated(9, row("rival", 2)))
        return call_it()

    act(Watched(desk.lake, around))
    desk.ingest()

    assert len(raced) == 1
    assert case in [record.op for record in desk.label_set().log()]
    # a rollback goes back behind the rival, and blocks it; all others keep it
    assert ("rival" in objects(desk)) is (case != "rollback")


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "did not land"])
def test_a_lost_answer_to_the_record_of_an_operation_is_asked_after(lands: bool) -> None:
    """There is one record."""
    desk, act = prepared("rollback")
    assert isinstance(desk.lake, MemoryStore)

    act(Watched(desk.lake, LosesAnswers("log", lands=lands)))

    assert ops(desk)[-2:] == ["publish 3", "rollback 4"]


def test_a_record_that_landed_and_cannot_be_read_back_is_an_unknown_state() -> None:
    """Not a failure of the store like any other, and the next run finds it."""
    desk, act = prepared("rollback")
    assert isinstance(desk.lake, MemoryStore)
    landed: list[str] = []

    def around(call: str, key: str, call_it: Callable[[], object]) -> object:
        if landed:
            raise StorageError("the store is gone")
        found = call_it()
        if call == "create" and "/log/" in key:
            landed.append(key)
        return found

    with pytest.raises(CommitStateUnknown, match="cannot be read back"):
        act(Watched(desk.lake, around))

    act(desk.lake)
    assert ops(desk)[-1] == "rollback 4"


def test_credentials_that_expire_behind_a_lost_answer_leave_an_unknown_state() -> None:
    """What was sent before the refusal may have landed."""
    desk, act = prepared("rollback")
    assert isinstance(desk.lake, MemoryStore)
    sent: list[str] = []

    def around(call: str, key: str, call_it: Callable[[], object]) -> object:
        if call != "create" or "/log/" not in key:
            return call_it()
        sent.append(key)
        if len(sent) == 1:
            call_it()
            raise StorageError("no answer")
        raise AccessDenied("expired")

    with pytest.raises(CommitStateUnknown):
        act(Watched(desk.lake, around))

    act(desk.lake)
    assert ops(desk)[-1] == "rollback 4"


def test_a_hint_that_cannot_be_written_fails_no_commit() -> None:
    """It is only where readers begin to look."""
    desk, act = prepared("rollback")
    assert isinstance(desk.lake, MemoryStore)

    def around(call: str, key: str, call_it: Callable[[], object]) -> object:
        if call == "put_hint":
            raise AccessDenied("not this one")
        return call_it()

    act(Watched(desk.lake, around))

    assert ops(desk)[-1] == "rollback 4"
