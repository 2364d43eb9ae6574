"""Real label rows read a second time, slowly and without the package: what each object and frame must become."""

import json
from typing import Any

import msgspec

from tests.factories import real_export

Json = dict[str, Any]
Answer = str | float | list[str]


class Labelled(msgspec.Struct, frozen=True):
    """One object entry on one frame of an export; `width` and `height` of that frame in pixels."""

    row: Json
    data_hash: str
    frame: int
    width: int
    height: int
    entry: Json

    @property
    def key(self) -> tuple[str, int, str]:
        """What finds the annotation again."""
        return self.data_hash, self.frame, self.entry["objectHash"]


def rows_of(name: str) -> list[Json]:
    """The rows of a real export; the test is skipped where it is absent."""
    document = json.loads(real_export(name))
    return document if isinstance(document, list) else [document]


def frames_of(row: Json) -> list[tuple[str, int, Json, Json]]:
    """(data hash, frame number, labels, data unit) of every frame that a row with pixels names."""
    found: list[tuple[str, int, Json, Json]] = []
    for unit in row["data_units"].values():
        labels = unit["labels"]
        if "objects" in labels or "classifications" in labels:
            found.append((unit["data_hash"], int(unit["data_sequence"]), labels, unit))
        else:
            found += [(unit["data_hash"], int(number), one, unit) for number, one in labels.items()]
    return found


def objects_of(row: Json) -> list[Labelled]:
    """Every object entry on the frames of a row."""
    found: list[Labelled] = []
    for data_hash, frame, labels, unit in frames_of(row):
        size = {key: value for key, value in (labels.get("metadata") or {}).items() if key in ("width", "height")}
        width, height = int(size.get("width") or unit["width"]), int(size.get("height") or unit["height"])
        found += [Labelled(row, data_hash, frame, width, height, entry) for entry in labels.get("objects", [])]
    return found


def answers_at(item: Labelled) -> dict[str, Answer]:
    """Attribute hash -> answer of an object at its frame: text, number, or the hashes of options, sorted."""
    found: dict[str, Answer] = {}
    object_hash = item.entry["objectHash"]
    for answer in item.row["object_answers"].get(object_hash, {}).get("classifications", []):
        _add(found, answer)
    dynamic: dict[str, Answer] = {}
    for action in item.row.get("object_actions", {}).get(object_hash, {}).get("actions", []):
        if any(item.frame in range(first, last + 1) for first, last in action["range"]):
            _add(dynamic, action)
    return found | dynamic


def classification_answers(row: Json, classification_hash: str) -> dict[str, Answer]:
    """Attribute hash -> answer of a classification."""
    found: dict[str, Answer] = {}
    for answer in row["classification_answers"][classification_hash]["classifications"]:
        _add(found, answer)
    return found


def _add(found: dict[str, Answer], answer: Json) -> None:
    given, key = answer["answers"], answer["featureHash"]
    if isinstance(given, list):
        before = found.get(key, [])
        assert isinstance(before, list)
        found[key] = sorted({*before, *(option["featureHash"] for option in given)})
    else:
        found[key] = given
