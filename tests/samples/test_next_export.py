"""The next export of a project changes what it is asked to change, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.samples import Project, first_export, next_export
from encord_dagster.samples.bodies import raw
from encord_dagster.samples.edits import edit, frames_of
from encord_dagster.samples.exports import first_rows
from tests.samples.json_rows import label_content, objects, rows

AT = datetime(2023, 10, 2, 14, 35, 30, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@pytest.fixture(scope="module")
def first() -> bytes:
    """The first export of a project of 24 rows."""
    return first_export(Project(seed=7), exported_at=AT)


@pytest.mark.parametrize(("changed", "added", "deleted"), [(0, 0, 0), (4, 2, 1), (10, 0, 3), (1, 9, 0)])
@pytest.mark.parametrize("seed", range(4))
def test_changes_exactly_what_it_says(first: bytes, seed: int, changed: int, added: int, deleted: int) -> None:
    """As many rows as asked for have other labels, are new, or lost their data."""
    before = rows(first)

    after = rows(next_export(first, seed=seed, exported_at=LATER, changed=changed, added=added, deleted=deleted))

    gone = [row for row in after if row["data_type"] == "deleted"]
    kept = [(old, new) for old, new in zip(before, after, strict=False) if new["data_type"] != "deleted"]
    assert [row["label_hash"] for row in after[: len(before)]] == [row["label_hash"] for row in before]
    assert len(after) - len(before) == added
    assert len(gone) == deleted
    assert sum(label_content(old) != label_content(new) for old, new in kept) == changed
    assert sum(old["last_edited_at"] != new["last_edited_at"] for old, new in kept) == changed


def test_added_rows_are_new_rows_of_the_same_dataset(first: bytes) -> None:
    """They have no past, and no identity of another row."""
    after = rows(next_export(first, seed=1, exported_at=LATER, changed=0, added=3))

    assert len({row["label_hash"] for row in after}) == len(after)
    assert len({row["dataset_hash"] for row in after}) == 1
    assert not any(row["export_history"] for row in after[-3:])


def test_every_row_is_a_new_event_with_the_old_one_in_its_history(first: bytes) -> None:
    """A new hash, a time one second after the row before, the old event newest in the history, by someone."""
    after = rows(next_export(first, seed=1, exported_at=LATER, changed=2))

    for old, new in zip(rows(first), after, strict=True):
        assert new["export_hash"] != old["export_hash"]
        past, *rest = new["export_history"]
        assert (past["export_hash"], past["exported_at"]) == (old["export_hash"], old["exported_at"])
        assert past["user_email"].endswith("@example.com")
        assert rest == old["export_history"]
    assert [row["exported_at"] for row in after[:2]] == [
        "Tue, 03 Oct 2023 14:35:30 UTC",
        "Tue, 03 Oct 2023 14:35:31 UTC",
    ]


def test_a_history_that_holds_the_current_export_goes_on_doing_so() -> None:
    """The new event is put first, the old ones stay as they are."""
    first = first_export(Project(seed=1, rows=3, history_holds_current=True), exported_at=AT)

    after = rows(next_export(first, seed=1, exported_at=LATER, changed=0))

    for old, new in zip(rows(first), after, strict=True):
        assert [event["export_hash"] for event in new["export_history"]] == [new["export_hash"], old["export_hash"]]


def test_links_are_signed_anew(first: bytes) -> None:
    """Path the same, signature another."""
    after = rows(next_export(first, seed=1, exported_at=LATER, changed=0))

    for old, new in zip(rows(first), after, strict=True):
        for name, unit in new["data_units"].items():
            if "X-Goog-Signature" in (link := unit.get("data_link", "")):
                assert link != old["data_units"][name]["data_link"]
                assert link.split("?")[0] == old["data_units"][name]["data_link"].split("?")[0]
    assert any("X-Goog-Signature" in unit["data_link"] for unit in after[0]["data_units"].values())


def test_a_deleted_group_is_a_tombstone_of_one_unit() -> None:
    """Labels and identity stay; type, link, size and all but one image are gone."""
    first = first_export(Project(seed=2, rows=1, kinds=("img_group",)), exported_at=AT)

    [row] = rows(next_export(first, seed=1, exported_at=LATER, changed=0, deleted=1))

    [unit] = row["data_units"].values()
    assert row["data_type"] == "deleted"
    assert set(unit) == {"data_hash", "data_title", "data_sequence", "labels"}
    assert objects(row)


def test_a_tombstone_stays_one(first: bytes) -> None:
    """The export after the next still holds the deleted rows."""
    second = next_export(first, seed=1, exported_at=LATER, changed=3, deleted=2)

    third = next_export(second, seed=2, exported_at=LATER + timedelta(days=1), changed=3, deleted=1)

    deleted = [{r["label_hash"] for r in rows(export) if r["data_type"] == "deleted"} for export in (second, third)]
    assert [len(hashes) for hashes in deleted] == [2, 3]
    assert deleted[0] < deleted[1]


def test_same_seed_gives_same_bytes(first: bytes) -> None:
    """The next export is a function of the previous bytes and its arguments."""
    made = [next_export(first, seed=s, exported_at=LATER, changed=4, added=1, deleted=1) for s in (5, 5, 6)]

    assert made[0] == made[1] != made[2]


def test_each_kind_of_edit_happens() -> None:
    """Over some seeds boxes move, classes, answers and masks change."""
    first = first_export(Project(seed=4, rows=1), exported_at=AT)
    before = rows(first)[0]
    kinds = set()

    for seed in range(40):
        after = rows(next_export(first, seed=seed, exported_at=LATER, changed=1))[0]
        pairs = list(zip(objects(before), objects(after), strict=True))
        kinds |= {key for key in ("boundingBox", "name", "bitmask") if any(o.get(key) != n.get(key) for o, n in pairs)}
        if all(o["name"] == n["name"] for o, n in pairs) and before["object_answers"] != after["object_answers"]:
            kinds.add("answer")

    assert kinds == {"boundingBox", "name", "bitmask", "answer"}


def test_the_same_row_can_be_edited_again_and_again() -> None:
    """Each edit changes the labels of the row it is given, whatever its data type."""
    from random import Random

    for row in first_rows(Project(seed=9, rows=7), exported_at=AT):
        for turn in range(10):
            before = {unit: bytes(data.labels) for unit, data in row.data_units.items()}
            answers = str(row.object_answers)

            edit(row, random=Random(turn), at=LATER)

            assert before != {unit: bytes(data.labels) for unit, data in row.data_units.items()} or (
                answers != str(row.object_answers)
            )
        assert all(bytes(raw(frames_of(row, unit))) for unit in row.data_units)


@pytest.mark.parametrize("previous", [b"", b"[]", b'{"a": 1}', b"[{}]"])
def test_foreign_bytes_are_refused(previous: bytes) -> None:
    """What is no sample export is named as such."""
    with pytest.raises(UsageError, match="previous export"):
        next_export(previous, seed=1, exported_at=LATER, changed=0)


def test_too_many_changes_are_refused(first: bytes) -> None:
    """Only labelled rows can change."""
    with pytest.raises(UsageError, match="ask for fewer"):
        next_export(first, seed=1, exported_at=LATER, changed=24)
