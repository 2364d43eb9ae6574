"""Rows of images read together are what they are when each is read with care."""

import json
from typing import Any

import pytest

from encord_dagster.accounting import disclosure_of
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord import plain
from encord_dagster.encord.plain_columns import RowColumns
from encord_dagster.encord.plain_frames import Row
from encord_dagster.encord.plain_images import image_columns
from encord_dagster.encord.plain_many import bare_columns, bare_row
from encord_dagster.encord.plain_rows import NEVER, PlainReader
from tests import factories as make
from tests.stream_exports import named

ENTRY = {"export_hash": "other-export", "exported_at": "Tue, 05 Dec 2023 10:30:02 UTC", "user_email": None}
HEADS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "hash too short": {"label_hash": "null"},
    "hash too long": {"data_hash": "a" * 65},
    "two hashes in one": {"label_hash": "label hash1"},
    "no hash": {"dataset_hash": ""},
    "an access key": {"dataset_hash": "AKIA0123456789ABCDEF"},
    "a letter that hashes do not have": {"label_hash": "label-hash-é"},
    "a line": {"label_hash": "label-hash\n"},
    "no time": {"last_edited_at": "yesterday"},
    "an hour too many": {"exported_at": "2023-12-05 24:30:02"},
    "another status": {"label_status": "DONE"},
    "task": {"annotation_task_status": "ASSIGNED"},
    "another task": {"annotation_task_status": "LOST"},
    "not valid": {"is_valid": False},
    "a branch": {"branch_name": "review"},
    "no branch": {"branch_name": None},
    "a group": {"data_type": "img_group", "is_image_sequence": True},
    "older exports": {"export_history": [ENTRY, ENTRY | {"exported_at": "2023-12-01 10:30:02"}]},
    "an older export without a time": {"export_history": [ENTRY | {"exported_at": "before"}]},
    "an older export without a hash": {"export_history": [ENTRY | {"export_hash": "no hash"}]},
    "no older export": {"export_history": []},
    "a stage": {"workflow_graph_node": {"uuid": "0c7f0f0d-2c5a", "title": "Review"}},
    "a stage of somebody": {"workflow_graph_node": {"title": "for somebody@example.com"}},
    "other keys": {"is_shadow_data": False, "spaces": {}, "client_metadata": {"a": [{"b": 1}]}, "priority": 1},
    "not exported": {"export_hash": None, "exported_at": None, "export_history": None},
    "not exported, it seems": {"export_hash": None},
    "answers of nobody": {"object_answers": {"nobody01": {"objectHash": "nobody01", "classifications": []}}},
    "answers": {"object_answers": {"object01": {"objectHash": "object01", "classifications": [make.answer("a")]}}},
    "a classification": {"classification_answers": {"classif1": {"classificationHash": "classif1"}}},
}
UNITS: dict[str, dict[str, object]] = {
    "another key": {"data_hash": "another-hash"},
    "before the first": {"data_sequence": -1},
    "far behind": {"data_sequence": 10**9},
    "a place": {"data_sequence": 7},
    "a place as a text": {"data_sequence": "7"},
    "no place": {"data_sequence": "seven"},
    "no width": {"width": 0},
    "too high": {"height": 10**6},
    "a type of media": {"data_type": "IMAGE/PNG"},
    "no type of media": {"data_type": "image"},
    "labels": {"labels": make.labels()},
    "one object twice": {"labels": make.labels(make.box(), make.box())},
    "classified": {"labels": make.labels(make.box(), classifications=[make.classification()])},
}


def _reader() -> PlainReader:
    disclosure = disclosure_of(LabelSetConfig(name="converted"))
    return PlainReader(relations=frozenset(), disclosure=disclosure, keep_going=True)


def told_by(rows: RowColumns) -> object:
    """All that is told of rows, to be compared."""
    of_frames = [answers for answers, frames in rows.answers for _ in range(frames)]
    pairs = zip(of_frames, rows.sheets, strict=True)
    answers = [held.at(one.object_hash, 0) for held, sheet in pairs for one in sheet]
    told = (rows.label_hashes, rows.branch_names, rows.data_types, rows.label_statuses, rows.exported_at)
    more = (rows.export_hashes, rows.frame_counts, *rows.frames, rows.sheets)
    return [*map(list, (*told, *more)), answers, rows.keys, rows.unlabelled()]


def _together(documents: list[Any]) -> object:
    """The rows in columns, None where they are Odd together."""
    rows = [row for document in documents if isinstance(row := _decoded(document), plain.ImageRow)]
    assert len(rows) == len(documents)
    try:
        return told_by(image_columns(rows, _reader()))
    except NEVER:
        return None


def _one_by_one(documents: list[Any]) -> object:
    """The same, each read for itself."""
    rows = [bare_row(_decoded(document), _reader()) for document in documents]
    read = [row for row in rows if row]
    return told_by(bare_columns(read)) if len(read) == len(rows) else None


def _decoded(document: Any) -> Row:
    return plain.decode(json.dumps(document).encode())


def _both(document: Any) -> tuple[object, object]:
    """Of a row that stands between two others."""
    documents = [named(make.image_row(make.box()), 1), document, named(make.image_row(make.polygon()), 2)]
    return _together(documents), _one_by_one(documents)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_heads(head: str) -> None:
    """Whatever stands in one, nothing is read that careful reading leaves."""
    glance, care = _both(make.image_row(make.box(), **HEADS[head]))
    assert glance in (None, care)
    assert head not in ("as it is", "a stage", "other keys", "not exported") or glance


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_units(unit: str) -> None:
    """The same of what stands in the image."""
    document: Any = make.image_row(make.box())
    ((key, held),) = document["data_units"].items()
    document["data_units"] = {key: held | UNITS[unit]}
    glance, care = _both(document)
    assert glance in (None, care)
    assert not unit.startswith("a place") or glance


def test_groups() -> None:
    """Also with a frame that has no labels, and one object on two."""
    twice = make.group_row([make.box()], [make.box(), make.polygon()])
    for document in (twice, make.group_row([make.box()], []), make.group_row([], [make.polygon()])):
        glance, care = _both(document)
        assert glance == care is not None


def test_answers_of_an_object_in_another_row() -> None:
    """Are Odd, also where each row has as many answers as objects."""
    answers = {one: {"objectHash": one, "classifications": [make.answer("a")]} for one in ("object01", "object02")}
    rows = [
        named(make.image_row(make.box(object_hash=own), object_answers={of: answers[of]}), number)
        for number, (own, of) in enumerate([("object01", "object02"), ("object02", "object01")])
    ]
    assert _together(rows) is None
    assert _one_by_one(rows) is None
    rows[0]["object_answers"], rows[1]["object_answers"] = rows[1]["object_answers"], rows[0]["object_answers"]
    assert _together(rows) == _one_by_one(rows) is not None
