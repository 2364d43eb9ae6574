"""Rows of one image read at a glance are what they are when they are read with care."""

import json
from typing import Any

import pytest

from encord_dagster.accounting import disclosure_of
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord import plain
from encord_dagster.encord.plain_images import bare_image
from encord_dagster.encord.plain_many import bare_row
from encord_dagster.encord.plain_rows import PlainReader
from tests import factories as make

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
    "answers of nobody": {"object_answers": {"nobody01": {"objectHash": "nobody01", "classifications": []}}},
    "answers": {"object_answers": {"object01": {"objectHash": "object01", "classifications": [make.answer("a")]}}},
    "a classification": {"classification_answers": {"classif1": {"classificationHash": "classif1"}}},
}
UNITS: dict[str, dict[str, object]] = {
    "another key": {"data_hash": "another-hash"},
    "before the first": {"data_sequence": -1},
    "far behind": {"data_sequence": 10**9},
    "a place": {"data_sequence": 7},
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


def _both(document: Any) -> tuple[object, object]:
    row = plain.decode(json.dumps(document).encode())
    assert isinstance(row, plain.ImageRow)
    found = [read(row, _reader()) for read in (bare_image, bare_row)]
    glance, care = [one and (one.row, one.exported_at, one.export_hash, one.sheets, one.keys) for one in found]
    return glance, care


@pytest.mark.parametrize("head", sorted(HEADS))
def test_heads(head: str) -> None:
    """Whatever stands in one, nothing is read that careful reading leaves."""
    glance, care = _both(make.image_row(make.box(), **HEADS[head]))
    assert glance in (None, care)
    assert head != "as it is" or glance


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_units(unit: str) -> None:
    """The same of what stands in the image."""
    document: Any = make.image_row(make.box())
    ((key, held),) = document["data_units"].items()
    document["data_units"] = {key: held | UNITS[unit]}
    glance, care = _both(document)
    assert glance in (None, care)


def test_two_images_are_not_one() -> None:
    """A group is read with care."""
    glance, care = _both(make.group_row([make.box()], [make.polygon()]))
    assert glance is None
    assert care is not None
