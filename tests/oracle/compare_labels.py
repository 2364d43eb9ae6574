"""Our label rows against the SDK's LabelRowV2 and the slow model: geometry, masks, answers, classifications."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from encord_dagster import geometry as g
from encord_dagster.encord.model import Frame, ObjectInstance
from tests.oracle import slow_model
from tests.oracle.judge import NOT_CONVERTED, Judge
from tests.oracle.ontologies import NEW_SHAPES, all_attributes
from tests.oracle.ours import Ours, answers

Json = dict[str, Any]
RELATIVE = 1e-6
VISIBILITIES = {None: "visible", "VISIBLE": "visible", "INVISIBLE": "invisible", "OCCLUDED": "occluded"}


def compare_labels(judge: Judge, row: Json, ontology: Json, ours: Ours, sdk: Json) -> None:
    """Every object and classification of one row."""
    label_hash = row["label_hash"]
    entries = slow_model.entries_of(row)
    theirs = {(one["frame"], one["object_hash"]): one for one in sdk["objects"]}
    objects = ours.objects
    for key in sorted(entries.keys() | theirs.keys() | objects.keys()):
        where = (label_hash, *key)
        known = None
        if key in entries and entries[key].get("isDeleted"):
            known = "deleted_kept"
        elif key in entries and entries[key]["shape"] in NEW_SHAPES:
            known = NOT_CONVERTED
        judge.check("object", where, key in objects, key in theirs, agree=key in objects and key in theirs, known=known)
        if key in objects and key in theirs and key in entries:
            frame, item = objects[key]
            judge.counts[f"objects of shape {item.shape}"] += 1
            _compare_geometry(judge, where, frame, item, theirs[key])
            _compare_authorship(judge, where, item, theirs[key], entries[key])
            _compare_answers(judge, where, row, ontology, item, sdk)
    _compare_classifications(judge, row, ours, sdk)


def _compare_geometry(judge: Judge, where: tuple[Any, ...], frame: Frame, item: ObjectInstance, theirs: Json) -> None:
    width, height = frame.width or 0, frame.height or 0
    kind = f"geometry {item.shape}"
    given = theirs["coordinates"]
    if isinstance(item.geometry, g.Bitmask):
        _compare_mask(judge, where, item.geometry, (width, height), given)
        return
    mine = list(numbers(item.geometry))
    scaled = expected(theirs["shape"], given, width, height)
    clipped = expected(theirs["shape"], inside(theirs["shape"], given), width, height)
    judge.check(kind, where, mine, clipped, agree=close(mine, clipped, width, height))
    if not close(scaled, clipped, width, height):
        judge.seen("clipped")
    if isinstance(item.geometry, g.Skeleton):
        named = [(joint.name, joint.feature_hash, joint.visibility) for joint in item.geometry.joints]
        told = [(one[2], one[3], VISIBILITIES.get(one[4], "self_occluded")) for one in given]
        judge.same("joints", where, named, told)


def numbers(geometry: g.Geometry) -> Iterator[float]:
    """The numbers of one of our geometries in a row; structure, as of rings, as a negative count."""
    match geometry:
        case g.Polygon(polygons):
            for rings in polygons:
                yield -len(rings) - 1e9
                for ring in rings:
                    yield -len(ring) - 1e9
                    yield from ring
        case g.Skeleton(joints):
            yield from (value for joint in joints for value in (joint.x, joint.y))
        case g.Polyline(points):
            yield from points
        case g.Bitmask():
            return
        case g.RotatedBox(x, y, w, h, theta) | g.Ellipse(x, y, w, h, theta):
            round_one = isinstance(geometry, g.Ellipse) and abs(w - h) < 1e-9 * max(w, h)
            yield from (x, y, w, h, 0.0 if round_one else theta % 360)
        case g.Box(x, y, w, h):
            yield from (x, y, w, h)
        case g.Point(x, y):
            yield from (x, y)


def expected(shape: str, given: Any, width: int, height: int) -> list[float]:
    """The same of the SDK's fractions, in pixels."""
    match shape:
        case "bounding_box" | "rotatable_bounding_box" | "ellipse":
            x, y, w, h, *theta = given
            return [x * width, y * height, w * width, h * height, *(turn % 360 for turn in theta)]
        case "circle":
            x, y, r, stretch, theta = given
            turn = 0.0 if abs(stretch - 1) < 1e-9 else theta % 360
            return [x * width, y * height, r * width, r * width * stretch, turn]
        case "polygon":
            found: list[float] = []
            for rings in given:
                found.append(-len(rings) - 1e9)
                for ring in rings:
                    found += [-len(ring) - 1e9, *_scaled(ring, width, height)]
            return found
        case "skeleton":
            return _scaled([value for x, y, *_ in given for value in (x, y)], width, height)
        case _:
            return _scaled(given, width, height)


def inside(shape: str, given: Any) -> Any:
    """The SDK's fractions, cut to the frame as we cut them."""
    if shape == "bounding_box":
        x, y, w, h = given
        left, top, right, bottom = (min(1, max(0, value)) for value in (x, y, x + w, y + h))
        return [left, top, right - left, bottom - top]
    if shape == "polygon":
        return [[[min(1, max(0, value)) for value in ring] for ring in rings] for rings in given]
    if shape in ("polyline", "point"):
        return [min(1, max(0, value)) for value in given]
    return given


def close(one: list[float], other: list[float], width: int, height: int) -> bool:
    """Whether two lists of pixels agree to a millionth of the frame."""
    limit = RELATIVE * max(width, height)
    return len(one) == len(other) and all(
        abs(a - b) <= limit or abs(abs(a - b) - 360) <= RELATIVE for a, b in zip(one, other, strict=True)
    )


def _scaled(ring: list[float], width: int, height: int) -> list[float]:
    return [value * (height if index % 2 else width) for index, value in enumerate(ring)]


def _compare_mask(judge: Judge, where: object, mask: g.Bitmask, size: tuple[int, int], theirs: Json) -> None:
    width, height = size
    known = None if theirs["size"] == [height, width] else "mask_offsets"
    judge.same("mask runs", where, list(mask.runs), theirs["runs"], known)
    bits = np.arange(len(mask.runs)) % 2
    pixels = np.repeat(bits, mask.runs).astype(np.uint8)
    judge.same("mask pixels", where, hashlib.sha256(pixels.tobytes()).hexdigest(), theirs["pixels"], known)
    judge.same("mask area", where, int(pixels.sum()), theirs["area"])


def _compare_authorship(judge: Judge, where: object, item: ObjectInstance, theirs: Json, entry: Json) -> None:
    if isinstance(theirs["confidence"], str):
        judge.seen("confidence_as_text")
    judge.same("confidence", where, item.confidence, float(theirs["confidence"]))
    judge.same("manual annotation", where, item.manual, theirs["manual"])
    judge.same("class of object", where, item.feature_hash, theirs["feature_hash"])
    judge.same("class name", where, item.name, entry["name"])


def _compare_answers(
    judge: Judge, where: tuple[Any, ...], row: Json, ontology: Json, item: ObjectInstance, sdk: Json
) -> None:
    _, frame, object_hash = where
    mine = answers(item.attributes)
    slow = slow_model.answers_at(row, object_hash, frame)
    cls = next(one for one in ontology["objects"] if one["featureNodeHash"] == item.feature_hash)
    dynamic = {one["featureNodeHash"] for one in all_attributes(cls) if one["dynamic"]}
    judge.same("answers, slow model", where, mine, slow)
    static = {key: value for key, value in mine.items() if key not in dynamic}
    judge.counts["answers"] += len(mine)
    _same_answers(judge, "static answers", where, static, sdk["static"][object_hash])
    overlaps = slow_model.overlapping_radio(row, ontology, object_hash, frame)
    for key in sorted(dynamic):
        told = [
            answer
            for answer, ranges in sdk["dynamic"][object_hash].get(key, [])
            if any(first <= frame <= last for first, last in ranges)
        ]
        answer = told[0] if told else None
        known = None
        if key in overlaps:
            known = "radio_overlap"
        elif mine.get(key) == slow.get(key) and _fewer(answer, mine.get(key)):
            known = "ticks_lost"
        _same_answers(judge, "dynamic answers", (*where, key), {key: mine.get(key)}, {key: answer}, known)


def _same_answers(judge: Judge, kind: str, where: object, mine: Json, theirs: Json, known: str | None = None) -> None:
    judge.same(kind, where, mine, theirs, known)


def _fewer(answer: Any, mine: Any) -> bool:
    """Whether an answer holds some of the options of ours and no others."""
    return isinstance(mine, list) and set(answer or []) < set(mine)


def _compare_classifications(judge: Judge, row: Json, ours: Ours, sdk: Json) -> None:
    label_hash = row["label_hash"]
    slow = slow_model.placements(row)
    mine: dict[str, set[int]] = {one.classification_hash: set() for one in ours.reading.row.classifications}
    given = {one.classification_hash: answers(one.attributes) for one in ours.reading.row.classifications}
    for frame in ours.reading.row.frames:
        for one in frame.classifications:
            mine.setdefault(one.classification_hash, set()).add(frame.number)
            given[one.classification_hash] = answers(one.attributes)
    theirs = {one["classification_hash"]: one for one in sdk["classifications"]}
    judge.same("classification placement, slow model", label_hash, mine, slow)
    for key in sorted(mine.keys() | theirs.keys() | slow.keys()):
        known = None
        if "featureHash" not in row["classification_answers"].get(key, {}) and sdk["version"] != "0.1.190":
            known = "frame_entries_not_read"
        elif not slow.get(key):
            known = "no_place"
        elif not slow_model.classification_answers(row, key):
            known = "no_answer"
        told = set(theirs[key]["frames"]) if key in theirs else None
        judge.counts["classifications"] += 1
        judge.same("classification placement", (label_hash, key), mine.get(key), told, known)
        judge.same(
            "classification answers, slow model", key, given.get(key), slow_model.classification_answers(row, key)
        )
        if key in theirs:
            apart = slow_model.ticks_apart(row, key)
            _same_answers(
                judge,
                "classification answers",
                (label_hash, key),
                given.get(key, {}),
                theirs[key]["answers"],
                "ticks_apart" if apart else None,
            )
