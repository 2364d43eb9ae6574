"""Scenes become labels: objects on frames, their answers and actions, frame classifications in both encodings."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec
from msgspec import UNSET

from encord_dagster.samples import stamps
from encord_dagster.samples.catalogue import CLASSES, CLASSIFICATIONS, Attribute, Option, slug
from encord_dagster.samples.document import (
    Action,
    Answer,
    Answered,
    Choice,
    ClassificationAnswer,
    FrameClassification,
    LabelObject,
    Labels,
    ObjectAction,
    ObjectAnswer,
)
from encord_dagster.samples.scenes import Drawn

_WORDS = ("checked twice", "hard to see", "low sun", "Straße gesperrt", "ok", 'sign says "open"')


class RowLabels(msgspec.Struct):
    """All labels of a row: by frame number, and by hash."""

    frames: dict[int, Labels]
    object_answers: dict[str, ObjectAnswer]
    object_actions: dict[str, ObjectAction]
    classification_answers: dict[str, ClassificationAnswer]


def label(frames: Mapping[int, Sequence[Drawn]], *, random: Random, at: datetime) -> RowLabels:
    """Labels of what was drawn on each frame, made from `at` on; no classifications yet."""
    labels = RowLabels({number: Labels([], []) for number in frames}, {}, {}, {})
    hashes: dict[str, str] = {}
    seen: dict[str, list[int]] = {}
    for number, drawn in frames.items():
        for item in drawn:
            if item.track not in hashes:
                hashes[item.track] = stamps.object_hash(random)
                _answer_statics(labels, item.class_name, hashes[item.track], random)
            seen.setdefault(item.track, []).append(number)
            made = at + timedelta(seconds=7 * sum(map(len, seen.values())))
            labels.frames[number].objects.append(_labelled(item, hashes[item.track], random, made))
    classes = {item.track: item.class_name for drawn in frames.values() for item in drawn}
    for track, numbers in seen.items():
        _answer_dynamics(labels, classes[track], hashes[track], numbers, random)
    return labels


def classify(labels: RowLabels, name: str, *, by_range: bool, random: Random, at: datetime) -> None:
    """Adds a classification to the labelled frames, as entries on frames or in the newer encoding by range."""
    kind = CLASSIFICATIONS[name]
    node, numbers = kind.feature_node_hash, [n for n, frame in labels.frames.items() if frame.objects]
    classification_hash, who, when = (
        stamps.object_hash(random),
        random.choice(stamps.ANNOTATORS),
        stamps.object_time(at),
    )
    answer = ClassificationAnswer(
        classification_hash=classification_hash,
        classifications=[answer for attribute in kind.attributes for answer in answered(attribute, random=random)],
    )
    labels.classification_answers[classification_hash] = answer
    if by_range or kind.level == "global":
        answer.feature_hash, answer.range = node, [] if kind.level == "global" else _ranges(numbers)
        answer.created_by = answer.last_edited_by = who
        answer.created_at = answer.last_edited_at = when
        answer.manual_annotation, answer.spaces = True, {}  # spaces belong to multi-view rows, and are empty in others
        return
    for number in numbers:
        entry = FrameClassification(
            feature_hash=node,
            classification_hash=classification_hash,
            name=name,
            value=slug(name),
            created_by=who,
            created_at=when,
            last_edited_at=when,
        )
        labels.frames[number].classifications.append(entry)


def answered(attribute: Attribute, *, random: Random) -> list[Answer]:
    """The answer to a question and to those that open under it, flat, children first."""
    given = _given(attribute, random)
    labels = {choice.name for choice in given} if isinstance(given, list) else set()
    nested = [
        answer
        for option in options(attribute)
        if option.label in labels and not isinstance(option.options, msgspec.UnsetType)
        for inner in option.options
        for answer in answered(inner, random=random)
    ]
    return [*nested, Answer(attribute.name, slug(attribute.name), given, attribute.feature_node_hash)]


def options(attribute: Attribute) -> tuple[Option, ...]:
    """The options of a radio or checklist, else none."""
    return () if isinstance(attribute.options, msgspec.UnsetType) else attribute.options


def choice(option: Option) -> Choice:
    """An option as answers name it."""
    return Choice(option.label, option.value, option.feature_node_hash)


def _given(attribute: Attribute, random: Random) -> Answered:
    match attribute.type:
        case "text":
            return random.choice(_WORDS)
        case "numeric":
            return random.randint(2, 6)
        case "radio":
            return [choice(random.choice(options(attribute)))]
        case "checklist":
            return [choice(option) for option in options(attribute) if random.random() < 0.5]


def _labelled(item: Drawn, object_hash: str, random: Random, at: datetime) -> LabelObject:
    kind = CLASSES[item.class_name]
    by_model = random.random() < 0.25
    edited = random.random() < 0.5
    return LabelObject(
        feature_hash=kind.feature_node_hash,
        object_hash=object_hash,
        name=kind.name,
        value=slug(kind.name),
        color=kind.color,
        shape=kind.shape,
        confidence=round(random.uniform(0.5, 0.99), 6) if by_model else 1,
        created_by=random.choice(stamps.ANNOTATORS),
        created_at=stamps.object_time(at),
        last_edited_by=random.choice(stamps.ANNOTATORS) if edited else UNSET,
        last_edited_at=stamps.object_time(at + timedelta(seconds=3)) if edited else UNSET,
        manual_annotation=not by_model,
        **item.geometry,
    )


def _answer_statics(labels: RowLabels, class_name: str, object_hash: str, random: Random) -> None:
    statics = [attribute for attribute in CLASSES[class_name].attributes if not attribute.dynamic]
    answers = [answer for attribute in statics for answer in answered(attribute, random=random)]
    labels.object_answers[object_hash] = ObjectAnswer(object_hash, answers)


def _answer_dynamics(
    labels: RowLabels, class_name: str, object_hash: str, numbers: Sequence[int], random: Random
) -> None:
    """Dynamic answers: one over the first half of the track's frames, another over the second."""
    middle = numbers[len(numbers) // 2]
    spans = [(numbers[0], middle - 1), (middle, numbers[-1])] if middle > numbers[0] else [(middle, middle)]
    actions = [
        Action(
            attribute.name,
            [span],
            slug(attribute.name),
            _given(attribute, random),
            dynamic=True,
            track_hash="" if len(spans) == 1 else stamps.uuid4(random),
            feature_hash=attribute.feature_node_hash,
            should_propagate=len(spans) > 1,
        )
        for attribute in CLASSES[class_name].attributes
        if attribute.dynamic
        for span in spans
    ]
    if actions:
        labels.object_actions[object_hash] = ObjectAction(object_hash, actions)


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Frame numbers as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
