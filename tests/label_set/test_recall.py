"""Rows that come again unchanged are not read, and a lake cannot tell whether they were."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.accounting import RowReader
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.container import RowSlice, open_export
from encord_dagster.encord.plain_rows import PlainReader
from encord_dagster.encord.row_digest import Digested
from encord_dagster.encord.row_digest import digested as all_digested
from encord_dagster.formats.tables import from_parquet
from encord_dagster.label_set.recall import _COLUMNS, Recall
from encord_dagster.label_set.verify import verify
from encord_dagster.samples import bad_row
from encord_dagster.storage.memory import MemoryStore
from tests import factories as make
from tests.effort import EFFORT, examples
from tests.factories import Json
from tests.label_set.test_join_properties import EXPORTS
from tests.lakes import DAY, Desk, exported_again, images_export, project_export

CONFIG = LabelSetConfig(name="street", masks=False, hold_back=())
FIRST = project_export(30)
NEXT = exported_again(FIRST, changed=2, added=1, deleted=1, days=2)
CHANGES = {  # of an export, between two of its rows that are otherwise the same
    "other branch": {"branch_name": "review"},
    "another dataset": {"dataset_hash": "d1111111-0000-4000-8000-000000000000"},
    "a status": {"label_status": "APPROVED"},
}


class Rows:
    """Counts the rows that are read, whichever reader does it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = 0
        tolerantly, plainly = RowReader._tolerantly, PlainReader.read

        def counted(reader: PlainReader, pieces: Sequence[RowSlice]) -> Any:
            found = plainly(reader, pieces)
            self.read += sum(one is not None for one in found)
            return found

        def counted_too(reader: RowReader, piece: RowSlice) -> Any:
            self.read += 1
            return tolerantly(reader, piece)

        monkeypatch.setattr(PlainReader, "read", counted)
        monkeypatch.setattr(RowReader, "_tolerantly", counted_too)


def digested(piece: RowSlice, context: bytes) -> Digested | None:
    """The digest of one row."""
    return all_digested([piece], context)[0]


def forgetful(_recall: Recall, digests: Sequence[bytes | None]) -> list[int]:
    """A memory of nothing."""
    return [-1] * len(digests)


def day(number: int) -> datetime:
    """When a delivery comes in."""
    return DAY + timedelta(days=number)


def lake(config: LabelSetConfig, deliveries: Sequence[tuple[bytes, bool]], *, recalls: bool) -> dict[str, bytes | None]:
    """All that lies in a lake after some deliveries, with what an outcome says in addition."""
    with pytest.MonkeyPatch.context() as patch:
        if not recalls:
            patch.setattr(Recall, "find", forgetful)
        desk = Desk(MemoryStore("lake"), config)
        said = []
        for number, (data, beside) in enumerate(deliveries):
            desk.landing = MemoryStore(now=partial(day, number))
            if beside:
                desk.landing.create("ontology.json", make.encode(make.ontology()))
            batch = desk.bring("export.json", data)
            said += [repr(outcome).encode() for outcome in batch.outcomes]
    return {key: desk.lake.get(key) for key in desk.written() if "/probes/" not in key} | {"said": b"\n".join(said)}


@settings(max_examples=examples(15), deadline=None)
@given(
    order=st.lists(st.sampled_from([*EXPORTS, "again"]), min_size=2, max_size=6),
    ontology=st.booleans(),
    options=st.sampled_from(
        [
            {},
            {"severities": {"unlabelled_frame": "error", "small_object": "info"}, "min_area_pixels": 400.0},
            {"label_statuses": ("APPROVED",)},
            {"content": "export"},
            {"free_text": False, "publish": ("titles",)},
            {"publish": ("links",)},
            {"on_bad_object": "quarantine_row"},
        ]
    ),
)
def test_a_lake_is_the_same_whether_rows_are_read_again_or_not(
    order: list[str], ontology: bool, options: dict[str, Any]
) -> None:
    """Every object, to the byte: in any order of exports, with and without an ontology that came later."""
    config = LabelSetConfig(name="street", masks=False, hold_back=(), **options)
    exports = EXPORTS | {"again": exported_again(EXPORTS["fourth"], days=9)}
    deliveries = [(exports[name], False) for name in order]
    if ontology:
        deliveries.append((exported_again(exports["fourth"], days=10), True))

    recalling, reading = (lake(config, deliveries, recalls=recalls) for recalls in (True, False))

    assert {key for key in recalling if recalling[key] != reading.get(key)} == set()
    assert recalling.keys() == reading.keys()


@pytest.mark.parametrize("data", [FIRST, images_export(40)], ids=["all kinds", "images"])
def test_unchanged_rows_are_not_read(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an export that came before no row is read but those that have something in quarantine, or are odd."""
    desk = Desk(config=CONFIG)
    rows = Rows(monkeypatch)
    desk.bring("1.json", data)
    first, rows.read = rows.read, 0
    batch = desk.bring("2.json", exported_again(data, days=2))

    assert first == batch.outcomes[0].rows
    assert rows.read <= first // 10
    assert batch.outcomes[0].fragments_reused == first


def test_one_changed_row_is_read_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an export in between that held other rows."""
    desk = Desk(config=CONFIG)
    data = images_export(40)
    desk.bring("1.json", data)
    desk.bring("2.json", images_export(3, seed=9))
    rows = Rows(monkeypatch)
    batch = desk.bring("3.json", exported_again(data, changed=1, days=3))

    assert rows.read == 1
    assert batch.outcomes[0].fragments_converted == 1
    assert verify(desk.lake, "street").problems == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_of_which_anything_else_changed_is_read(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outside decides what becomes of it too."""
    desk = Desk(config=CONFIG)
    rows_of: list[dict[str, Any]] = json.loads(images_export(3))
    desk.bring("1.json", exported_again(make.encode(rows_of), days=1))
    rows = Rows(monkeypatch)
    rows_of[1] |= CHANGES[change]
    desk.bring("2.json", exported_again(make.encode(rows_of), days=2))

    assert rows.read == 1


def test_other_choices_make_all_rows_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A severity changes no content, so that no row is converted again; but what is found in it may be another."""
    data = images_export(5)
    desk = Desk(config=CONFIG)
    desk.bring("1.json", data)
    desk.config = LabelSetConfig(name="street", masks=False, hold_back=(), severities={"small_object": "error"})
    rows = Rows(monkeypatch)
    desk.bring("2.json", exported_again(data, days=2))

    assert rows.read == 5


def test_a_row_with_something_in_quarantine_is_read_each_time() -> None:
    """What is held back is told of each export."""
    desk = Desk(config=CONFIG)
    data = bad_row(seed=4, exported_at=DAY)
    first = desk.bring("1.json", data).outcomes[0]
    again = desk.bring("2.json", exported_again(data, days=2)).outcomes[0]

    assert first.objects_quarantined
    assert (again.objects_quarantined, again.rules) == (first.objects_quarantined, first.rules)


@pytest.mark.parametrize("key", ["exported_at", "last_edited_at", "export_hash"])
def test_what_was_odd_of_one_export_is_not_told_of_the_next(key: str) -> None:
    """A time or a hash that could not be read is the event's, not the row's: the next export brings another."""
    desk = Desk(config=CONFIG)
    data = exported_again(images_export(3), days=1)
    rows: list[dict[str, Any]] = json.loads(data)
    desk.bring("1.json", make.encode([rows[0] | {key: "no time, no hash"}, *rows[1:]]))
    batch = desk.bring("2.json", make.encode(json.loads(exported_again(data, days=2))))

    assert not {"bad_time", "bad_history"} & batch.outcomes[0].rules.keys()
    assert batch.outcomes[0].fragments_reused == 3


def test_what_a_small_export_recalls_does_not_grow_with_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of an export much larger than itself are not read for it; of older ones only what is found there."""
    desk = Desk(config=CONFIG)
    data = images_export(40)
    desk.bring("1.json", data)
    opened: list[Sequence[str]] = []

    def read(events: bytes, columns: Sequence[str]) -> Any:
        opened.append(columns)
        return from_parquet(events, columns)

    monkeypatch.setattr("encord_dagster.label_set.recall.from_parquet", read)

    desk.bring("2.json", exported_again(make.encode(json.loads(data)[:9]), days=2))

    assert opened == []
    desk.bring("3.json", exported_again(data, days=3))
    assert opened == [["digest"], ["digest"], _COLUMNS, _COLUMNS]
    opened.clear()
    desk.bring("4.json", exported_again(data, changed=1, days=4))
    assert opened == [["digest"], ["digest"], ["digest"], _COLUMNS]


def pieces(data: bytes) -> list[RowSlice]:
    """The rows of an export."""
    return list(open_export(data).rows)


def test_the_digest_is_over_everything_but_the_event() -> None:
    """The next export has other hashes, times, history and signatures, and the same digests where labels are."""
    before = [digested(piece, b"") for piece in pieces(FIRST)]
    after = [digested(piece, b"") for piece in pieces(exported_again(FIRST, days=5))]

    same = [one.digest == other.digest for one, other in zip(before, after, strict=True) if one and other]
    assert len(same) >= 0.9 * len(before)
    assert all(same)


NEWER: dict[str, Any] = {  # keys of newer exports
    "is_shadow_data": False,
    "spaces": {},
    "workflow_graph_node": {"uuid": "0c7f0f0d-2c5a", "title": "Review"},
    "client_metadata": {"site": ["a", {"b": None}]},
    "task_uuid": "0c7f0f0d",
    "priority": 0.5,
    "backing_item_uuid": "1c7f0f0d",
    "group_hash": None,
    "assigned_user_email": "a@example.com",
}


@pytest.mark.parametrize(("index", "more"), [(0, {}), (1, {}), (2, {}), (0, NEWER)])
def test_every_other_byte_counts(index: int, more: Json) -> None:
    """One character changed anywhere: no digest, another digest, or it is part of the event."""
    step = 1 if EFFORT > 1 else 5
    piece = [piece for piece in pieces(images_export(30, seed=5)) if digested(piece, b"")][index]
    row = json.loads(piece.raw) | more
    raw = json.dumps(row, separators=(",", ":")).encode() if more else piece.raw
    piece = RowSlice(0, 0, len(raw), raw)
    sound = digested(piece, b"")
    assert sound
    volatile = [row["export_hash"], row["exported_at"], row["last_edited_at"], *map(str, [row["video_link"]])]
    volatile += [value for entry in row["export_history"] for value in entry.values() if value]
    volatile += [unit["data_link"] for unit in row["data_units"].values() if unit.get("data_link")]
    spans = [
        (at, at + len(text))
        for text in (value.encode() for value in volatile)
        for at in range(len(piece.raw))
        if piece.raw.startswith(text, at)
    ]
    for at in range(index, len(piece.raw), step):
        other = piece.raw[:at] + bytes([piece.raw[at] ^ 1]) + piece.raw[at + 1 :]
        changed = digested(RowSlice(0, 0, len(other), other), b"")
        if changed and changed.digest == sound.digest:
            assert any(start <= at < end for start, end in spans), piece.raw[max(0, at - 40) : at + 40]


@pytest.mark.parametrize("key", [*NEWER, "data_sequence", "is_image_sequence", "unknown"])
def test_keys_of_newer_exports_count(key: str) -> None:
    """Where one is missing or has another value, there is another digest, or none."""
    row: dict[str, Any] = json.loads(pieces(images_export(1))[0].raw) | NEWER
    (unit,) = row["data_units"].values()
    holder = unit if key in unit else row
    seen: dict[bytes, bytes] = {}
    for value in (holder.get(key, ...), "0", None, {"title": "Done"}, 1, ...):
        holder[key] = value
        if value is ...:
            del holder[key]
        raw = json.dumps(row, separators=(",", ":"), sort_keys=True).encode()
        if found := digested(RowSlice(0, 0, len(raw), raw), b""):
            assert seen.setdefault(found.digest, raw) == raw
    assert len(seen) >= (1 if key == "unknown" else 2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"label_hash"', b'"label_hash":"0","label_hash"'),
        (b'"label_hash"', b'"unknown":1,"label_hash"'),
        (b'"data_sequence"', b'"data_sequence":7,"data_sequence"'),
        (b'"export_hash"', b'"export_hash":"e1","export_hash"'),
        (b'"data_title"', b'"data_title":"\\u0022","data_title"'),
    ],
)
def test_a_key_that_is_there_twice_or_unknown_gives_no_digest(old: bytes, new: bytes) -> None:
    """Another value of it may have been meant: the reader decides."""
    raw = pieces(images_export(1))[0].raw
    assert digested(RowSlice(0, 0, len(raw), raw), b"")
    other = raw.replace(old, new, 1)

    assert digested(RowSlice(0, 0, len(other), other), b"") is None
