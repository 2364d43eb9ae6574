"""What the log accounts for, out of checkpoints of any age: as the records say it, and at a cost that hardly grows."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from encord_dagster import layout
from encord_dagster.label_set import accounted, history
from encord_dagster.label_set.accounted import Accounted, Entries, rank
from encord_dagster.label_set.chain import Chain
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.manifest import ExportEntry, LogRecord, ObjectRef, encode
from encord_dagster.storage.memory import MemoryStore
from tests.effort import examples
from tests.faults.stage import Act, Watched

NAME = "street"
REF = ObjectRef("k", "0" * 64, 1)


@pytest.fixture(autouse=True)
def _short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounted, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(accounted, "SPAN", 4)


def entry(number: int, *, time: int | None = None, rows: int = 1) -> ExportEntry:
    """An export whose id and time rise with its number."""
    latest = f"2024-01-01T{number if time is None else time:06d}"
    return ExportEntry(
        id=f"2024T{number:06d}Z-0",
        sha256="0",
        events=REF,
        rows=rows,
        latest=latest,
        export_hashes=(),
        export_hash_count=0,
    )


def commit(lake: MemoryStore, head: Head, *entries: ExportEntry) -> Head:
    """A record on top of a head that accounts for these exports."""
    record = LogRecord(
        format_version=1,
        seq=head.seq + 1,
        version=0,
        op="observe",
        previous=head.digest,
        epoch=0,
        root=None,
        content_digest="",
        config_digest="",
        converter_version=1,
        exports=entries,
        fragments=0,
        buckets=0,
    )
    new = accounted.commit(lake, NAME, record)
    assert new
    return new


def log_of(*records: tuple[ExportEntry, ...]) -> tuple[MemoryStore, Head]:
    """A log of records that account for these exports."""
    lake, head = MemoryStore(), Head(0, None, None)
    for entries in records:
        head = commit(lake, head, *entries)
    return lake, head


def told(records: tuple[tuple[ExportEntry, ...], ...]) -> Entries:
    """What records say, the last one of each export."""
    return {one.id: one for entries in records for one in entries}


def exports() -> st.SearchStrategy[tuple[tuple[ExportEntry, ...], ...]]:
    """Logs in which exports come in and out of order, some of them again with other events."""
    one = st.builds(entry, st.integers(0, 60), time=st.none() | st.integers(0, 60), rows=st.integers(0, 3))
    unique = st.lists(one, max_size=3, unique_by=lambda one: one.id).map(tuple)
    return st.lists(unique, max_size=45).map(tuple)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    records=((),) * 3 + ((entry(1, time=None),),) + ((),) * 11 + ((entry(1, time=0),),) + ((),) * 2,
    lost=set(),
    spoilt=set(),
)
@given(records=exports(), lost=st.sets(st.integers(1, 45), max_size=6), spoilt=st.sets(st.integers(1, 45), max_size=4))
def test_checkpoints_say_what_the_records_say(
    records: tuple[tuple[ExportEntry, ...], ...], lost: set[int], spoilt: set[int]
) -> None:
    """In any order and number, with spans of spans, and where checkpoints are lost or damaged."""
    lake, head = log_of(*records)
    problems: list[str] = []
    list(Chain(lake, NAME, problems.append).records())
    assert problems == []
    for seq in lost:
        lake.delete(layout.checkpoint(NAME, seq))
    for seq in spoilt & {int(info.key[-17:-5]) for info in lake.list(layout.checkpoints(NAME))}:
        data = lake.get(layout.checkpoint(NAME, seq)) or b""
        lake.put_hint(layout.checkpoint(NAME, seq), data.replace(b'"latest":"2024', b'"latest":"2025'))

    expected = told(records)
    found = Accounted(lake, NAME, head)

    assert found.all() == expected
    assert list(Accounted(lake, NAME, head).descending()) == sorted(expected.values(), key=rank, reverse=True)
    fresh = Accounted(lake, NAME, head)
    for number in range(62):
        assert fresh.get(entry(number).id) == expected.get(entry(number).id)


def requests_of(lake: MemoryStore, ask: str) -> Iterator[tuple[int, Counter[str]]]:
    """A log that grows; after each hundred records the calls and bytes of one question and of one commit."""
    head, counts = Head(0, None, None), Counter[str]()

    def count(call: str, key: str, act: Act) -> object:
        found = act()
        counts["calls"] += 1
        counts["bytes"] += len(found) if isinstance(found, bytes) else 0
        return found

    watched = Watched(lake, count)
    for number in range(1, 1001):
        head = commit(lake, head, entry(number))
        if number % 250 == 7:
            counts.clear()
            known = Accounted(watched, NAME, head)
            if ask == "new export":
                assert entry(number + 1).id not in known
                assert next(known.descending()) == entry(number)
            else:
                assert entry(5).id in known
            yield number, Counter(counts)


@pytest.mark.parametrize("ask", ["new export", "first export"])
def test_what_a_question_costs_does_not_grow_with_the_log(ask: str) -> None:
    """A new export reads one checkpoint and the few records behind it; an old one a checkpoint more for each level."""
    costs = [cost for _, cost in requests_of(MemoryStore(), ask)]

    levels = 1 if ask == "new export" else 6
    assert max(cost["calls"] for cost in costs) <= 2 + accounted.CHECKPOINT_EVERY + levels
    assert max(cost["bytes"] for cost in costs) <= 12_000 * levels


def test_a_checkpoint_of_the_first_form_is_read_and_gone_on_from() -> None:
    """It lists every export and has neither spans nor a digest."""
    records = tuple((entry(number),) for number in range(1, 5))
    lake, head = log_of(*records)
    for info in list(lake.list(layout.checkpoints(NAME))):
        lake.delete(info.key)
    exports = b",".join(encode(one).strip() for one in told(records).values())
    early = b'{"seq":4,"record":"%s","exports":[%s]}' % ((head.digest or "").encode(), exports)
    lake.create(layout.checkpoint(NAME, 4), early)

    for number in range(5, 30):
        head = commit(lake, head, entry(number))

    problems: list[str] = []
    list(Chain(lake, NAME, problems.append).records())
    assert problems == []
    assert list(Accounted(lake, NAME, head).all()) == [entry(number).id for number in range(1, 30)]
    assert history.head(lake, NAME) == head
