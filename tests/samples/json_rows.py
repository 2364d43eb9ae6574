"""Walks export files as plain JSON, without the samples' own types."""

import json
from collections.abc import Iterator
from typing import Any

JsonObject = dict[str, Any]  # a document of the outside world, looked at key by key


def rows(export: bytes) -> list[JsonObject]:
    """The rows of an export."""
    parsed: list[JsonObject] = json.loads(export)
    return parsed


def frames(row: JsonObject) -> Iterator[tuple[JsonObject, int, JsonObject]]:
    """Data unit, frame number and labels of each frame of a row."""
    for unit in row["data_units"].values():
        if "objects" in unit["labels"]:
            yield unit, int(unit["data_sequence"]), unit["labels"]
        else:
            for number, labels in unit["labels"].items():
                yield unit, int(number), labels


def objects(row: JsonObject) -> list[JsonObject]:
    """All object entries of a row."""
    return [entry for _, _, labels in frames(row) for entry in labels["objects"]]


def label_content(row: JsonObject) -> str:
    """The labels of a row as text that times, authors, links and export events do not change."""
    volatile = {"createdAt", "createdBy", "lastEditedAt", "lastEditedBy", "file_uri"}
    kept = [[unit["data_hash"], number, labels] for unit, number, labels in frames(row)]
    answers = [row["object_answers"], row["classification_answers"], row["object_actions"]]
    return json.dumps(_without([kept, answers], volatile), sort_keys=True)


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value]
    return value
