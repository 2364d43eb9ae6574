"""Classifications of frames and of whole assets, in both encodings: frame entries, and ranges in the answers."""

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.answers import Range, read_answers, read_ranges
from encord_dagster.encord.authors import Signed, read_authors
from encord_dagster.encord.children import members
from encord_dagster.encord.instances import Place, read_confidence
from encord_dagster.encord.model import Attribute, Classification
from encord_dagster.encord.notes import Notes, problem, shown
from encord_dagster.encord.object_answers import read_members
from encord_dagster.encord.scalars import ABSENT, UNREADABLE, Raw, Scalar, flag, is_hash, present, readable_hash
from encord_dagster.encord.spaces import ROOT
from encord_dagster.findings import Location

_RENAMED = {
    "classification_hash": "classificationHash",
    "feature_hash": "featureHash",
    "manual": "manualAnnotation",
    "manual_2020": "manual_annotation",
    "ranges": "range",
}


class _Entry(Signed, rename=_RENAMED):
    classification_hash: Scalar = None
    feature_hash: Scalar = None
    name: Scalar = None
    confidence: Scalar = None
    manual: Scalar = None
    manual_2020: Scalar = None
    classifications: Raw = ABSENT
    ranges: Raw = ABSENT
    spaces: Raw = ABSENT


class _InSpace(msgspec.Struct):
    range: Raw = ABSENT


class _Answers(msgspec.Struct):
    """One entry of `classification_answers`; ranges are None where the export has no `range`."""

    entry: _Entry
    attributes: tuple[Attribute, ...]
    ranges: tuple[Range, ...] | None
    spaces: dict[str, Raw]


_ENTRY = msgspec.json.Decoder(_Entry)
_IN_SPACE = msgspec.json.Decoder(_InSpace)


class ClassificationAnswers:
    """`classification_answers` of one row, and which of its classifications have been placed on a frame."""

    def __init__(self, raw: Raw, notes: Notes) -> None:
        self._notes = notes
        self._placed: set[str] = set()
        self._placed_in: set[tuple[str, str]] = set()  # hash and space
        self._in_space: dict[tuple[str, str], tuple[Range, ...] | None] = {}
        self._unanswered: set[str] = set()
        self._names: dict[str, str] = {}  # of ontology classifications, by feature hash, as frames call them
        self._answers = {
            key: answers
            for key, child in read_members(raw, "classification_answers").items()
            if (answers := self._read(key, child)) is not None
        }

    def on_frame(self, children: list[Raw], place: Place) -> tuple[Classification, ...]:
        """The classifications that a frame lists itself."""
        found: dict[str, Classification] = {}
        for child in children:
            classification = self._from_frame(child, place)
            if classification is None:
                continue
            if classification.classification_hash in found:
                where = self._notes.at(place.unit, place.frame, classification.classification_hash)
                message = "the classification is twice on this frame; the last one was kept"
                self._notes.add(codes.DUPLICATE_CLASSIFICATION, message, where)
            found[classification.classification_hash] = classification
        return tuple(found.values())

    def ranged(self, space: str | None = None) -> list[tuple[Classification, tuple[Range, ...]]]:
        """The classifications that hold at ranges of frames, of a space where one is given.

        Ask after all frames: they know the names. Ranges that name no space hold at the row's own frames, which in a
        group are those of its root.
        """
        found = []
        for key, one in self._answers.items():
            ranges = one.ranges or () if space in (None, ROOT) else ()
            ranges += self._ranges_in(key, one, space) or ()
            if ranges:
                self._place(key, space)
                found.append((self._from_answers(key, one), ranges))
        return found

    def of_space(self, space: str) -> tuple[Classification, ...]:
        """The classifications of the whole of a space: of each of its frames. Ask after all frames."""
        whole = []
        for key, one in self._answers.items():
            if self._ranges_in(key, one, space) == ():
                self._place(key, space)
                whole.append(self._from_answers(key, one))
        return tuple(whole)

    def of_the_whole(self, *, on_frames: bool) -> tuple[Classification, ...]:
        """The classifications of the whole asset. Ask after all frames; others without a place are findings.

        `on_frames` tells whether all frames of the asset, and so its placed classifications, are converted.
        """
        whole = []
        for key, one in self._answers.items():
            elsewhere = any((key, space) not in self._placed_in for space in one.spaces)
            if key in self._placed and not elsewhere:
                continue
            where = self._notes.at(object=key)
            if elsewhere or one.ranges or (one.ranges is None and not on_frames):
                message = "the classification lies on a part of the asset that is not converted"
                self._notes.add(codes.NOT_PLACED, message, where)
            elif one.ranges is None:
                self._notes.add(codes.ORPHAN_ANSWER, "the classification is on no frame; it was left out", where)
            else:
                whole.append(self._from_answers(key, one))
        return tuple(whole)

    def _place(self, key: str, space: str | None) -> None:
        self._placed.add(key)
        if space is not None:
            self._placed_in.add((key, space))

    def _ranges_in(self, key: str, one: _Answers, space: str | None) -> tuple[Range, ...] | None:
        """The ranges of a classification in a space: empty for all of it, None where the space is not named."""
        raw = one.spaces.get(space) if space is not None else None
        if space is None or raw is None:
            return None
        if (key, space) not in self._in_space:
            self._in_space[key, space] = self._read_in_space(raw, self._notes.at(object=key))
        return self._in_space[key, space]

    def _read_in_space(self, raw: Raw, where: Location) -> tuple[Range, ...] | None:
        try:
            entry = _IN_SPACE.decode(raw)
        except UNREADABLE as error:
            message = f"the place of a classification in a space cannot be read ({problem(error)}); it was left out"
            self._notes.add(codes.BAD_RANGE, message, where)
            return None
        return self._ranges(entry.range, where)

    def _ranges(self, raw: Raw, where: Location) -> tuple[Range, ...] | None:
        """Empty for an empty list, which means everywhere; None where there is no range, or none that can be read."""
        ranges = read_ranges(raw, where, self._notes)
        return ranges if ranges or bytes(raw).translate(None, b" \t\r\n") in (b"[]", b"{}") else None

    def _read(self, key: str, raw: Raw) -> _Answers | None:
        where = self._notes.at(object=readable_hash(key))
        try:
            entry = _ENTRY.decode(raw)
        except UNREADABLE as error:
            message = f"an entry of classification_answers cannot be read ({problem(error)}); it was left out"
            self._notes.add(codes.BAD_CLASSIFICATION, message, where)
            return None
        if not is_hash(key):
            message = f"{shown(key)} in classification_answers is no hash; it was left out"
            self._notes.add(codes.BAD_CLASSIFICATION, message, where)
            return None
        attributes = read_answers(entry.classifications, where, self._notes)
        ranges = self._ranges(entry.ranges, where)
        try:
            return _Answers(entry, attributes, ranges, members(entry.spaces))
        except UNREADABLE as error:
            message = f"the spaces of a classification cannot be read ({problem(error)}); it was left out"
            self._notes.add(codes.BAD_CLASSIFICATION, message, where)
            return None

    def _from_frame(self, raw: Raw, place: Place) -> Classification | None:
        where = self._notes.at(place.unit, place.frame)
        try:
            entry = _ENTRY.decode(raw)
        except UNREADABLE as error:
            message = f"a classification cannot be read ({problem(error)}); it was left out"
            self._notes.add(codes.BAD_CLASSIFICATION, message, where)
            return None
        key = readable_hash(entry.classification_hash)
        if key is None:
            message = f"the classificationHash {shown(entry.classification_hash)} is no hash; it was left out"
            self._notes.add(codes.BAD_CLASSIFICATION, message, where)
            return None
        answers = self._answers.get(key)
        if answers is None and key not in self._unanswered:
            self._unanswered.add(key)
            message = "the classification has no answers in classification_answers"
            self._notes.add(codes.NO_ANSWER, message, self._notes.at(place.unit, place.frame, key))
        self._placed.add(key)
        return self._classification(key, entry, answers)

    def _from_answers(self, key: str, answers: _Answers) -> Classification:
        return self._classification(key, answers.entry, answers)

    def _classification(self, key: str, entry: _Entry, answers: _Answers | None) -> Classification:
        where = self._notes.at(object=key)
        feature_hash = readable_hash(entry.feature_hash) or (answers and readable_hash(answers.entry.feature_hash))
        name = self._notes.clean(entry.name, "a classification's name", where)
        attributes = answers.attributes if answers else ()
        if feature_hash and name:
            self._names.setdefault(feature_hash, name)
        elif feature_hash:
            name = self._names.get(feature_hash, "")
        if not name and len(attributes) == 1:
            name = attributes[0].name  # a classification is named after its outermost attribute
        stated = entry.manual if present(entry.manual) is not None else entry.manual_2020
        return Classification(
            classification_hash=key,
            feature_hash=feature_hash or None,
            name=name,
            confidence=read_confidence(entry.confidence, where, self._notes),
            manual=flag(stated) is not False,
            attributes=attributes,
            **read_authors(entry, self._notes),
        )
