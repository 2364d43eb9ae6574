"""The join as laws: whatever comes, in whatever order and batches, ends in the state of the exports in time order."""

import functools
from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set.manifest import BucketRow, Root
from encord_dagster.label_set.read import Version
from encord_dagster.label_set.verify import verify
from encord_dagster.samples import bad_row
from tests.effort import examples
from tests.lakes import DAY, Desk, exported_again, images_export

CONFIG = LabelSetConfig(name="street", masks=False, hold_back=())  # what is held back depends on what came before

_FIRST = images_export(4)
_SECOND = exported_again(_FIRST, changed=1, added=1, days=1)
_THIRD = exported_again(_SECOND, changed=1, deleted=1, days=2)
_FOURTH = exported_again(_THIRD, changed=1, days=3)
EXPORTS = {  # in time order
    "first": _FIRST,
    "bad": bad_row(seed=4, exported_at=DAY),  # another dataset; some of its objects go to quarantine
    "foreign": images_export(2, seed=8),
    "second": _SECOND,
    "third": _THIRD,
    "fourth": _FOURTH,
}


def rows(version: Version) -> dict[str, tuple[str, bool]]:
    """Fingerprint of every row, and whether it is a tombstone."""
    return {row.row: (row.fingerprint, row.fragment is None) for row in version.label_rows()}


def recomputed(version: Version) -> dict[str, object]:
    """The totals of a root, counted from its buckets and their tables."""
    held = list(version.label_rows())
    objects: Counter[tuple[str, str]] = Counter()
    for row in held:
        objects.update({(count.feature_hash, count.name): count.objects for count in row.classes})
    frame = version.annotations()
    assert dict(Counter(zip(frame["feature_hash"], frame["class_name"], strict=True))) == dict(objects)
    return {
        "rows": len(held),
        "tombstones": sum(row.fragment is None for row in held),
        "images": version.table("images").num_rows,
        "annotations": version.table("annotations").num_rows,
        "classes": dict(objects),
    }


def stated(root: Root) -> dict[str, object]:
    """The totals that a root carries from version to version."""
    return {
        "rows": root.rows,
        "tombstones": root.tombstones,
        "images": root.images,
        "annotations": root.annotations,
        "classes": {(count.feature_hash, count.name): count.objects for count in root.classes},
    }


def unaccounted(row: BucketRow) -> int:
    """Objects of a row that came in and are nowhere."""
    return row.objects_in - row.annotations - row.objects_quarantined - sum(row.objects_excluded.values())


@functools.cache
def in_time_order(chosen: frozenset[str]) -> tuple[str, dict[str, tuple[str, bool]]]:
    """Content digest and rows where each export comes once, one by one, the oldest first."""
    desk = Desk(config=CONFIG)
    for name, data in EXPORTS.items():
        if name in chosen:
            desk.bring(f"{name}.json", data)
    version = desk.label_set().version()
    return version.root.content_digest, rows(version)


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[str]]:
    """Two to four exports and copies of some, in any order, cut into batches."""
    chosen = draw(st.lists(st.sampled_from(sorted(EXPORTS)), min_size=2, max_size=4, unique=True))
    again = draw(st.lists(st.sampled_from(chosen), max_size=2))
    order = draw(st.permutations(chosen + again))
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1))))
    return [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@settings(max_examples=examples(40), deadline=None)
@given(arrivals())
def test_any_order_and_batching_of_exports_ends_in_the_state_of_time_order(batches: list[list[str]]) -> None:
    """Content digest, label rows, accounted exports and totals do not depend on how exports arrive."""
    desk, delivered = Desk(config=CONFIG), set[str]()

    for number, batch in enumerate(batches):
        exports = [desk.deliver(f"{number}-{place}-{name}.json", EXPORTS[name]) for place, name in enumerate(batch)]
        desk.ingest(*exports)
        delivered |= {export.id for export in exports}

    digest, expected = in_time_order(frozenset(name for batch in batches for name in batch))
    version = desk.label_set().version()
    assert rows(version) == expected
    assert version.root.content_digest == digest
    assert desk.label_set().accounted() == delivered
    assert [row for row in version.label_rows() if unaccounted(row)] == []
    assert stated(version.root) == recomputed(version)
    assert {category.feature_hash for category in version.root.categories} == {
        count.feature_hash for count in version.root.classes
    }
    assert verify(desk.lake, "street").problems == []


@settings(max_examples=examples(15), deadline=None)
@given(arrivals(), st.integers(0, 5))
def test_running_any_partition_again_changes_nothing(batches: list[list[str]], which: int) -> None:
    """An export that is accounted for is a no-op, whatever came after it."""
    desk, exports = Desk(config=CONFIG), []
    for number, batch in enumerate(batches):
        made = [desk.deliver(f"{number}-{place}-{name}.json", EXPORTS[name]) for place, name in enumerate(batch)]
        desk.ingest(*made)
        exports += made
    before = desk.label_set().log()

    desk.ingest(exports[which % len(exports)])

    assert desk.label_set().log() == before


@settings(max_examples=examples(15), deadline=None)
@given(arrivals())
def test_every_row_names_the_greatest_event_that_brought_its_content(batches: list[list[str]]) -> None:
    """Lineage finds the newest event of each row among all exports, however they came."""
    desk, order = Desk(config=CONFIG), [name for batch in batches for name in batch]
    for number, name in enumerate(order):
        desk.bring(f"{number}-{name}.json", EXPORTS[name])
    sound = Desk(config=CONFIG)
    for name in (name for name in EXPORTS if name in order):
        sound.bring(f"{name}.json", EXPORTS[name])

    found = {row: event for row, (_, event) in desk.label_set().version().winning().items()}

    assert found == {row: event for row, (_, event) in sound.label_set().version().winning().items()}
    assert found.keys() == rows(desk.label_set().version()).keys()


def test_rows_of_one_export_hash_with_other_labels_are_told_and_joined_by_digest() -> None:
    """Where nothing but the labels differs no one is newer: the same one wins in either order, with a finding."""
    document = msgspec.json.decode(images_export(1), type=list[dict[str, object]])
    document[0]["label_status"] = "REVIEWED"
    one, other = images_export(1), msgspec.json.encode(document)
    forth, back = Desk(config=CONFIG), Desk(config=CONFIG)

    forth.bring("a.json", one)
    second = forth.bring("b.json", other)
    back.bring("b.json", other)
    back.bring("a.json", one)

    digests = {desk.label_set().version().root.content_digest for desk in (forth, back)}
    assert len(digests) == 1
    assert second.outcomes[0].rules["export_hash_conflict"] == 1


def test_a_newer_row_under_an_export_hash_that_the_version_holds_is_told() -> None:
    """The newer one wins, and nobody is left to think that an export hash stands for one content; in silence else."""
    first = msgspec.json.decode(images_export(1), type=list[dict[str, object]])
    later = [row | {"label_status": "REVIEWED", "exported_at": "Fri, 01 Mar 2030 09:00:00 UTC"} for row in first]
    renamed = [row | {"export_hash": "another"} for row in later]
    forth, apart = Desk(config=CONFIG), Desk(config=CONFIG)

    told = []
    for desk, newer in ((forth, later), (apart, renamed)):
        desk.bring("a.json", msgspec.json.encode(first))
        (outcome,) = desk.bring("b.json", msgspec.json.encode(newer)).outcomes
        told.append(outcome.rules.get("export_hash_conflict", 0))

    assert told == [1, 0]
    assert [desk.label_set().version().number for desk in (forth, apart)] == [2, 2]


def test_a_deleted_row_that_comes_back_is_live_again() -> None:
    """A newer event with labels takes the place of a tombstone; the totals follow."""
    desk = Desk(config=CONFIG)
    gone = exported_again(_FIRST, deleted=1)
    back = exported_again(exported_again(_FIRST), days=2)

    desk.bring("first.json", _FIRST)
    desk.bring("gone.json", gone)
    tombstones = desk.label_set().version().root.tombstones
    desk.bring("back.json", back)

    version = desk.label_set().version()
    assert (tombstones, version.root.tombstones) == (1, 0)
    assert rows(version) == rows(desk.label_set().version(1))
    assert stated(version.root) == recomputed(version)
