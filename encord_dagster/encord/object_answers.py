"""`object_answers` and `object_actions` of one row, read when an object asks for them."""

import copy
from collections.abc import Iterator

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.answers import Action, merge, read_actions, read_answers
from encord_dagster.encord.children import entries, members
from encord_dagster.encord.model import Attribute
from encord_dagster.encord.notes import Notes, problem, quote, row_error
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar
from encord_dagster.findings import Location


class _Static(msgspec.Struct):
    classifications: Raw = ABSENT


class _Dynamic(msgspec.Struct):
    actions: Raw = ABSENT


class _Action(msgspec.Struct, rename="camel"):
    space_id: str | None = None


class RangedObject(msgspec.Struct, rename="camel"):
    """An object of audio or text, which lies in `object_answers` alone."""

    object_hash: Scalar = None
    feature_hash: Scalar = None
    shape: Scalar = None


_STATIC = msgspec.json.Decoder(_Static)
_DYNAMIC = msgspec.json.Decoder(_Dynamic)
_ACTION = msgspec.json.Decoder(_Action)
_RANGED = msgspec.json.Decoder(RangedObject)


class ObjectAnswers:
    """The attributes of each object of a row at each frame, or at each frame of one space of a data group."""

    def __init__(self, answers: Raw, actions: Raw, notes: Notes) -> None:
        self._answers = read_members(answers, "object_answers")
        self._actions = read_members(actions, "object_actions")
        self._notes = notes
        self._static: dict[str, tuple[Attribute, ...]] = {}
        self._by_space: dict[str, list[tuple[str | None, Action]]] = {}
        self._dynamic: dict[str, _Timeline | None] = {}
        self._overlapping: set[tuple[str, str]] = set()
        self._space: str | None = None

    def within(self, space: str) -> "ObjectAnswers":
        """The same answers at the frames of one space: dynamic answers of other spaces do not hold there."""
        view = copy.copy(self)
        view._space, view._dynamic = space, {}
        return view

    def at(self, object_hash: str, frame: int) -> tuple[Attribute, ...]:
        """The attributes of an object at a frame: those of all frames, then dynamic ones."""
        if object_hash not in self._static:
            self._static[object_hash] = self._read_static(object_hash)
        if object_hash not in self._dynamic:
            self._dynamic[object_hash] = self._read_dynamic(object_hash)
        static, timeline = self._static[object_hash], self._dynamic[object_hash]
        given = timeline.at(frame) if timeline else ()
        if not given:
            return static
        dynamic, overlapping = merge(given)
        if overlapping:
            self._note_overlap(object_hash, frame, overlapping)
        hashes = {attribute.feature_hash for attribute in dynamic}
        return (*(attribute for attribute in static if attribute.feature_hash not in hashes), *dynamic)

    def elsewhere(self, seen: set[str]) -> Iterator[tuple[str, RangedObject]]:
        """Entries by key whose object is on no frame; unreadable ones come as empty objects."""
        for key, raw in self._answers.items():
            if key not in seen:
                try:
                    yield key, _RANGED.decode(raw)
                except UNREADABLE:
                    yield key, RangedObject()

    def _read_static(self, object_hash: str) -> tuple[Attribute, ...]:
        raw = self._answers.get(object_hash)
        if raw is None:
            return ()
        where = self._notes.at(object=object_hash)
        try:
            entry = _STATIC.decode(raw)
        except UNREADABLE as error:
            self._notes.add(codes.BAD_ANSWER, f"the answers cannot be read ({problem(error)}); left out", where)
            return ()
        return read_answers(entry.classifications, where, self._notes)

    def _read_dynamic(self, object_hash: str) -> "_Timeline | None":
        raw = self._actions.get(object_hash)
        if raw is None:
            return None
        if self._space is None:
            where = self._notes.at(object=object_hash)
            return _Timeline(read_actions(self._actions_in(raw, where), where, self._notes))
        if object_hash not in self._by_space:
            self._by_space[object_hash] = self._read_by_space(raw, self._notes.at(object=object_hash))
        actions = self._by_space[object_hash]
        return _Timeline(tuple(action for space, action in actions if space is None or space == self._space))

    def _read_by_space(self, raw: Raw, where: Location) -> list[tuple[str | None, Action]]:
        """The dynamic answers of an object, each with the only space that it holds in."""
        actions = self._actions_in(raw, where)
        try:
            children = entries(actions)
        except UNREADABLE:
            children = []
            read_actions(actions, where, self._notes)  # says what is wrong with them
        found = []
        for child in children:
            for action in read_actions(Raw(b"[" + bytes(child) + b"]"), where, self._notes):
                try:
                    found.append((_ACTION.decode(child).space_id, action))
                except UNREADABLE:
                    self._notes.add(codes.BAD_ANSWER, "the spaceId of an answer is no text; it was left out", where)
        return found

    def _actions_in(self, raw: Raw, where: Location) -> Raw:
        try:
            return _DYNAMIC.decode(raw).actions
        except UNREADABLE as error:
            self._notes.add(codes.BAD_ANSWER, f"the actions cannot be read ({problem(error)}); left out", where)
            return ABSENT

    def _note_overlap(self, object_hash: str, frame: int, name: str) -> None:
        if (object_hash, name) not in self._overlapping:
            self._overlapping.add((object_hash, name))
            message = f"the attribute {quote(name)} has two answers at a frame; the last one was taken"
            self._notes.add(codes.OVERLAPPING_ANSWERS, message, self._notes.at(frame=frame, object=object_hash))


class _Timeline:
    """Actions by frame. Frames are asked for in ascending order, so each range is entered and left once."""

    def __init__(self, actions: tuple[Action, ...]) -> None:
        self._attributes = [action.attribute for action in actions]
        ranges = [(first, last, index) for index, action in enumerate(actions) for first, last in action.ranges]
        self._ranges = sorted(ranges)
        self._frame = -1
        self._next = 0
        self._open: dict[int, int] = {}  # action to the last frame that it holds at

    def at(self, frame: int) -> list[Attribute]:
        """The attributes answered at a frame, in document order."""
        if frame < self._frame:
            self._next, self._open = 0, {}
        self._frame = frame
        while self._next < len(self._ranges) and self._ranges[self._next][0] <= frame:
            _, last, index = self._ranges[self._next]
            self._open[index] = max(last, self._open.get(index, -1))
            self._next += 1
        self._open = {index: last for index, last in self._open.items() if last >= frame}
        return [self._attributes[index] for index in sorted(self._open)]


def read_members(raw: Raw, name: str) -> dict[str, Raw]:
    """One of the row's maps by hash; RowError where it is none."""
    try:
        return members(raw)
    except UNREADABLE as error:
        message = f"`{name}` is no JSON object ({problem(error)}); export the row again"
        raise row_error(codes.ROW_UNREADABLE, message) from error
