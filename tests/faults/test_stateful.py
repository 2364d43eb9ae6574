"""Random sequences of all that is done to a label set, crashes among them, held against a model of dictionaries."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig, Thresholds
from encord_dagster.errors import UsageError, VersionGone
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.operations import release, rollback, unblock
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.retire import restore, retire
from encord_dagster.label_set.tags import tag
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import Export
from encord_dagster.pipeline import ingest
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from tests import factories as make
from tests.effort import EFFORT, examples
from tests.faults.stage import NAME, Counting, Crash, Watched
from tests.lakes import DAY, Desk

CONFIG = LabelSetConfig(name=NAME, masks=False, hold_back=("class_vanished",), thresholds=Thresholds(class_vanished=1))
CRASHES = st.none() | st.tuples(st.integers(1, 60), st.booleans())
"""The storage call at which the process dies, and whether after it."""
ROWS = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(1, 2), st.integers(0, 1)), min_size=1)
"""Rows of an export: label hash -> boxes and points."""


class Event(msgspec.Struct, frozen=True):
    """One label row as one export has it; the greatest by `order` wins."""

    row: str
    order: tuple[int, str, str]  # day, export hash, fingerprint
    boxes: int
    points: int

    @property
    def content(self) -> tuple[str, int]:
        """Its labels, and how many there are."""
        return self.order[2], self.boxes + self.points


Content = dict[str, Event]  # label hash -> winning event


class Model(msgspec.Struct):
    """What a label set must be: nothing here is learnt from it but which exports a rollback blocks."""

    version: int = 0
    content: Content = {}
    held: Content | None = None
    accounted: set[str] = set()  # export ids
    blocked: set[str] = set()
    again: set[str] = set()  # to be read again by the next run
    retired: set[str] = set()  # label hashes

    def copy(self) -> "Model":
        """Another one that can be changed."""
        return msgspec.json.decode(msgspec.json.encode(self), type=Model)

    def becomes(self, content: Content) -> None:
        """Readers see this; a version of its own where labels changed."""
        self.version += _labels(content) != _labels(self.content)
        self.content = content

    def runs(self, events: dict[str, list[Event]], brought: set[str]) -> None:
        """A run that brings exports."""
        if not brought - self.accounted and not self.again:
            return
        self.accounted |= brought
        self.again = set()
        joined: Content = {}
        for each in (event for key in self.accounted - self.blocked for event in events[key]):
            if each.row not in self.retired and (each.row not in joined or each.order > joined[each.row].order):
                joined[each.row] = each
        self.held = None
        if self.version and _classes(self.content) - _classes(joined):
            self.held = joined
        else:
            self.becomes(joined)


def _labels(content: Content) -> dict[str, tuple[str, int]]:
    return {row: event.content for row, event in content.items()}


def _classes(content: Content) -> set[str]:
    counts: Counter[str] = Counter()
    for event in content.values():
        counts.update(boxes=event.boxes, points=event.points)
    return {name for name, count in counts.items() if count}


def _of(version: Version) -> dict[str, tuple[str, int]]:
    """What a reader gets of a version, its tables read too."""
    rows = {row.label_hash: (row.fingerprint, row.annotations) for row in version.label_rows()}
    assert version.table("annotations").num_rows == sum(count for _, count in rows.values())
    return rows


class LabelSetMachine(RuleBasedStateMachine):
    """Each rule does one thing to the lake and to the model; the invariants compare them."""

    crashes = 0  # of all machines

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(config=CONFIG)
        self.desk.landing = MemoryStore(now=lambda: DAY)  # ids of exports must not depend on the clock
        self.model = Model()
        self.at: dict[int, Model] = {}  # the model as each version was made
        self.gone: set[int] = set()  # versions that gc dropped
        self.tags: dict[str, int] = {}
        self.pinned: list[tuple[LabelSet, int]] = []
        self.files: dict[int, bytes] = {}  # COCO file of each version
        self.log: list[bytes] = []
        self.exports: dict[str, tuple[int, str, bytes]] = {}  # id -> day, export hash, bytes
        self.events: dict[str, list[Event]] = {}  # of each export
        self.steps = 0

    # what is done

    def do(
        self, crash: tuple[int, bool] | None, act: Callable[[ObjectStore], object], new: Model | None = None
    ) -> object:
        """Do something, after a crash in the middle of it where one is asked for; readers then see old or new whole."""
        if crash:
            try:
                act(Watched(self.desk.lake, Counting(crash[0], after=crash[1])))
            except Crash:
                LabelSetMachine.crashes += 1
                allowed = [(one.version, _labels(one.content)) for one in (self.model, new or self.model)]
                assert self.seen() in allowed
                assert verify(self.desk.lake, NAME).problems == []
        done = act(self.desk.lake)
        self.is_now(new or self.model)
        return done

    def is_now(self, model: Model) -> None:
        """The model from now on."""
        if model.version != self.model.version:
            self.at[model.version] = model.copy()
        self.model = model

    def seen(self) -> tuple[int, dict[str, tuple[str, int]]]:
        """Version and labels that readers see."""
        label_set = self.desk.label_set()
        return (label_set.head.record.version, _of(label_set.version())) if label_set.head.record else (0, {})

    def why(self) -> str:
        """A reason that no other operation has: with the same one again, an operation is the same one again."""
        self.steps += 1
        return f"reason {self.steps}"

    def deliver(self, day: int, export_hash: str, rows: dict[str, tuple[int, int]]) -> Export:
        """Put an export into the landing prefix."""
        at = (DAY + timedelta(days=day)).strftime("%a, %d %b %Y %H:%M:%S UTC")
        documents = [
            _row(name, *shapes) | {"export_hash": export_hash, "exported_at": at} for name, shapes in rows.items()
        ]
        data = make.encode(documents)
        same = next((key for key, known in self.exports.items() if known[2] == data), None)
        export = self.desk.deliver(f"{self.why()}.json", data)
        if same is None:
            self.exports[export.id] = (day, export_hash, data)
            self.events[export.id] = [
                Event(name, (day, export_hash, make.read(document).event.fingerprint), *rows[name])
                for (name, document) in zip(rows, documents, strict=True)
            ]
        return export

    def bring(self, crash: tuple[int, bool] | None, *exports: Export) -> None:
        """A run that brings exports; of bytes that came before nothing is new."""
        new = self.model.copy()
        new.runs(self.events, {export.id for export in exports if export.id in self.events})
        landing = self.desk.landing
        self.do(crash, lambda lake: ingest(exports, landing=landing, lake=lake, config=CONFIG), new)

    @rule(rows=ROWS, more=st.none() | ROWS, crash=CRASHES)
    def publish_new(
        self, rows: dict[str, tuple[int, int]], more: dict[str, tuple[int, int]] | None, crash: tuple[int, bool] | None
    ) -> None:
        """One or two exports, newer than all before."""
        newest = max((day for day, _, _ in self.exports.values()), default=10)
        exports = [self.deliver(newest + 1, f"new-{self.steps}", rows)]
        if more:
            exports.append(self.deliver(newest + 2, f"new-{self.steps}", more))
        self.bring(crash, *exports)

    @rule(rows=ROWS, day=st.integers(0, 14), crash=CRASHES)
    def publish_late(self, rows: dict[str, tuple[int, int]], day: int, crash: tuple[int, bool] | None) -> None:
        """An export of some day, mostly past."""
        self.bring(crash, self.deliver(day, f"late-{self.steps}", rows))

    @precondition(lambda self: self.exports)
    @rule(data=st.data(), rows=ROWS, crash=CRASHES)
    def publish_conflicting(
        self, data: st.DataObject, rows: dict[str, tuple[int, int]], crash: tuple[int, bool] | None
    ) -> None:
        """An export that has day and export hash of another one, with whatever labels."""
        day, export_hash, _ = self.exports[data.draw(st.sampled_from(sorted(self.exports)))]
        self.bring(crash, self.deliver(day, export_hash, rows))

    @precondition(lambda self: self.exports)
    @rule(data=st.data(), crash=CRASHES)
    def publish_duplicate(self, data: st.DataObject, crash: tuple[int, bool] | None) -> None:
        """Bytes that came before, under another key."""
        known = self.exports[data.draw(st.sampled_from(sorted(self.exports)))]
        self.bring(crash, self.desk.deliver(f"{self.why()}.json", known[2]))

    @precondition(lambda self: self.model.again)
    @rule(crash=CRASHES)
    def run_without_exports(self, crash: tuple[int, bool] | None) -> None:
        """What was unblocked or restored comes in."""
        self.bring(crash)

    @precondition(lambda self: self.at)
    @rule(data=st.data(), crash=CRASHES)
    def roll_back(self, data: st.DataObject, crash: tuple[int, bool] | None) -> None:
        """To any version that there was."""
        to, why = data.draw(st.sampled_from(sorted(self.at))), self.why()
        then, new = self.at[to], self.model.copy()
        new.retired |= then.retired
        content = {row: event for row, event in then.content.items() if row not in new.retired}
        same = _labels(content) == _labels(new.content)
        if to in self.gone or (same and new.held is None):
            with pytest.raises(VersionGone if to in self.gone else UsageError):
                rollback(self.desk.lake, NAME, to, why)
            return
        new.becomes(content)
        new.held = None
        done = self.do(crash, lambda lake: rollback(lake, NAME, to, why), new)
        self.model.blocked = set(getattr(done, "blocked"))  # noqa: B009 - of a LogRecord
        self.model.again = (then.again | self.model.again) - self.model.blocked
        assert self.model.blocked <= self.model.accounted
        self.at[self.model.version] = self.at[self.model.version] if same else self.model.copy()

    @precondition(lambda self: self.model.blocked)
    @rule(data=st.data(), crash=CRASHES)
    def unblock(self, data: st.DataObject, crash: tuple[int, bool] | None) -> None:
        """One or more of the blocked exports."""
        keys = data.draw(st.sets(st.sampled_from(sorted(self.model.blocked)), min_size=1))
        new, why = self.model.copy(), self.why()
        new.blocked -= keys
        new.again |= keys
        self.do(crash, lambda lake: unblock(lake, NAME, keys, why), new)

    @precondition(lambda self: self.model.content or self.model.held)
    @rule(data=st.data(), crash=CRASHES)
    def retire(self, data: st.DataObject, crash: tuple[int, bool] | None) -> None:
        """One row that readers see, or would see after a release."""
        row = data.draw(st.sampled_from(sorted({*self.model.content, *(self.model.held or ())})))
        new, why = self.model.copy(), self.why()
        new.retired.add(row)
        new.becomes({name: event for name, event in new.content.items() if name != row})
        held = new.held and {name: event for name, event in new.held.items() if name != row}
        new.held = None if held is None or _labels(held) == _labels(new.content) else held
        self.do(crash, lambda lake: retire(lake, NAME, why, label_hashes=[row]), new)

    @precondition(lambda self: self.model.retired)
    @rule(data=st.data(), crash=CRASHES)
    def restore(self, data: st.DataObject, crash: tuple[int, bool] | None) -> None:
        """One retired row."""
        row = data.draw(st.sampled_from(sorted(self.model.retired)))
        new, why = self.model.copy(), self.why()
        new.retired.discard(row)
        new.again |= {key for key in new.accounted - new.blocked if any(event.row == row for event in self.events[key])}
        self.do(crash, lambda lake: restore(lake, NAME, [row], why), new)

    @precondition(lambda self: self.model.version)
    @rule(crash=CRASHES)
    def release(self, crash: tuple[int, bool] | None) -> None:
        """What is held back, if anything is."""
        new, why = self.model.copy(), self.why()
        if new.held is None:
            with pytest.raises(UsageError, match="holds no version back"):
                release(self.desk.lake, NAME, why)
            return
        new.becomes(new.held)
        new.held = None
        self.do(crash, lambda lake: release(lake, NAME, why), new)

    @precondition(lambda self: self.at)
    @rule(data=st.data(), name=st.sampled_from(["gold", "v1.0"]), crash=CRASHES)
    def tag(self, data: st.DataObject, name: str, crash: tuple[int, bool] | None) -> None:
        """Any version; a tag never moves."""
        version = data.draw(st.sampled_from(sorted(self.at)))
        if version in self.gone or self.tags.get(name, version) != version:
            with pytest.raises((VersionGone, UsageError)):
                tag(self.desk.lake, NAME, name, version)
            return
        self.do(crash, lambda lake: tag(lake, NAME, name, version))
        self.tags[name] = version

    @precondition(lambda self: self.at)
    @rule(keep=st.none() | st.integers(1, 3), crash=CRASHES)
    def collect_garbage(self, keep: int | None, crash: tuple[int, bool] | None) -> None:
        """Versions that must stay do, and of the others those that share a root with one."""
        versions = sorted(self.at)
        must = {self.model.version, *self.tags.values(), *(versions[-keep:] if keep else versions)} - self.gone
        kept: set[int] = set()

        def collect(lake: ObjectStore) -> None:
            kept.clear()
            kept.update(gc(lake, NAME, keep=keep).kept)

        before, self.gone = self.gone, set(versions) - must  # while it dies on the way, those may be gone or not
        self.do(crash, collect)
        self.gone = set(versions) - kept
        assert must <= kept <= set(versions) - before

    @precondition(lambda self: self.at)
    @rule()
    def pin(self) -> None:
        """A reader opens the label set, and keeps it open."""
        self.pinned.append((self.desk.label_set(), self.model.version))

    def is_plain(self) -> bool:
        """Whether no operation stands between the exports and what readers see."""
        model = self.model
        return bool(model.accounted) and not (model.blocked or model.again or model.retired or model.held)

    @precondition(is_plain)
    @rule()
    def compare_with_a_fresh_lake(self) -> None:
        """The same exports in order of time, into an empty lake."""
        fresh = Desk(config=msgspec.structs.replace(CONFIG, hold_back=()))
        for key in sorted(self.model.accounted, key=lambda key: (self.exports[key][0], key)):
            fresh.bring(f"{key}.json", self.exports[key][2])
        head = self.desk.label_set().head.record
        assert head
        assert fresh.label_set().version().root.content_digest == head.content_digest

    # what must hold

    @invariant()
    def readers_see_what_the_model_says(self) -> None:
        """The newest version, each earlier one by number, and the tags."""
        assert self.seen() == (self.model.version, _labels(self.model.content))
        label_set = self.desk.label_set()
        for number in self.at:
            self.is_as_it_was(label_set, number, number)
        for name, number in self.tags.items():
            self.is_as_it_was(label_set, name, number)
        for pinned, number in self.pinned[-3:]:
            self.is_as_it_was(pinned, "latest", number)

    def is_as_it_was(self, label_set: LabelSet, which: int | str, number: int) -> None:
        """A version is what it was when it was made, or gone where gc dropped it."""
        if number in self.gone:
            with pytest.raises(VersionGone):
                label_set.version(which)
            return
        version = label_set.version(which)
        assert version.number == number
        assert _of(version) == _labels(self.at[number].content)
        assert version.coco() == self.files.setdefault(number, version.coco())

    @invariant()
    def nothing_is_damaged(self) -> None:
        """All digests hold, the chain of records too, and no record ever changes."""
        assert verify(self.desk.lake, NAME).problems == []
        records = self.desk.label_set().log()
        log = [self.desk.lake.get(layout.log(NAME, record.seq)) or b"" for record in records]
        assert log[: len(self.log)] == self.log
        self.log = log
        assert self.desk.label_set().accounted() >= self.model.accounted


def _row(name: str, boxes: int, points: int) -> make.Json:
    drawn = [make.box(0.01 * number, object_hash=f"box{number:05}") for number in range(boxes)]
    drawn += [make.point(object_hash=f"point{number:03}") for number in range(points)]
    return make.row("image", [make.unit(f"data-{name}", "image/jpeg", make.labels(*drawn))], label_hash=name)


@pytest.mark.faults("F01", "F02", "F29", "F31", "F33", "F44", on=("memory",))
def test_whatever_is_done_in_whatever_order_readers_see_what_the_model_says(survived: Callable[[int], None]) -> None:
    """Publishing, operating, tagging, collecting garbage, dying and running again, in sequences by chance."""
    LabelSetMachine.crashes = 0

    run_state_machine_as_test(
        LabelSetMachine,
        settings=settings(
            max_examples=examples(6),
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize=EFFORT == 1,
            suppress_health_check=list(HealthCheck),
        ),
    )

    assert LabelSetMachine.crashes > 5
    survived(LabelSetMachine.crashes)
