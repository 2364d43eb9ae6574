"""Rows of videos and series read together are what they are when each is read with care."""

import json
from typing import Any

import pytest

from encord_dagster.accounting import disclosure_of
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord import plain
from encord_dagster.encord.plain_films import film_columns
from encord_dagster.encord.plain_many import bare_columns, bare_row
from encord_dagster.encord.plain_rows import NEVER, PlainReader
from tests import factories as make
from tests.encord.test_plain_images import told_by
from tests.stream_exports import named

FRAMES = {7: [make.box()], 0: [make.box(), make.polygon()], 30: []}
SLICES = {
    1: make.dicom_slice(make.polygon(), uid="1.2.3.4.6", width=20, height=30),
    0: make.dicom_slice(make.box(), multiframe=3),
}
HEADS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another status": {"label_status": "DONE"},
    "no hash": {"dataset_hash": ""},
    "no time": {"last_edited_at": "yesterday"},
    "a classification": {"classification_answers": {"classif1": {"classificationHash": "classif1"}}},
    "a stage": {"workflow_graph_node": {"uuid": "0c7f0f0d-2c5a", "title": "Review"}},
    "a stage of somebody": {"workflow_graph_node": {"title": "for somebody@example.com"}},
    "other keys": {"is_shadow_data": False, "spaces": {}, "client_metadata": {"a": [{"b": 1}]}, "priority": 1},
    "answers of nobody": {"object_answers": {"nobody01": {"objectHash": "nobody01", "classifications": []}}},
}
FILMS: dict[str, dict[str, object]] = {
    "as it is": {},
    "no width": {"width": 0},
    "another key": {"data_hash": "another-hash"},
    "no type of media": {"data_type": "video"},
    "no frame number": {"labels": {"first": make.labels(make.box())}},
    "a place as a text": {"data_sequence": "0"},
    "one frame twice": {"labels": {"1": make.labels(make.box()), "01": make.labels()}},
    "behind the last frame": {"data_fps": 1.0, "data_duration": 5.0},
    "one object twice": {"labels": {"1": make.labels(make.box(), make.box())}},
    "classified": {"labels": {"1": make.labels(make.box(), classifications=[make.classification()])}},
}


def _reader() -> PlainReader:
    disclosure = disclosure_of(LabelSetConfig(name="converted"))
    return PlainReader(relations=frozenset(), disclosure=disclosure, keep_going=True)


def _both(document: Any) -> tuple[object, object]:
    """What is told of a row that stands between two others, together and one by one; None where it is Odd."""
    documents = [named(make.video_row(FRAMES), 1), document, named(make.dicom_row(SLICES), 2)]
    rows = [plain.decode(json.dumps(one).encode()) for one in documents]
    films = [row for row in rows if isinstance(row, plain.FilmRow)]
    assert len(films) == len(rows)
    read = [one for row in rows if (one := bare_row(row, _reader()))]
    one_by_one = told_by(bare_columns(read)) if len(read) == len(rows) else None
    try:
        return told_by(film_columns(films, _reader())), one_by_one
    except NEVER:
        return None, one_by_one


@pytest.mark.parametrize("head", sorted(HEADS))
def test_heads(head: str) -> None:
    """Whatever stands in one, nothing is read that careful reading leaves."""
    together, care = _both(make.video_row(FRAMES) | HEADS[head])
    assert together in (None, care)
    assert head not in ("as it is", "a stage", "other keys") or together


@pytest.mark.parametrize("film", sorted(FILMS))
def test_films(film: str) -> None:
    """The same of what stands in the video."""
    document: Any = make.video_row(FRAMES)
    ((key, held),) = document["data_units"].items()
    together, care = _both(document | {"data_units": {key: held | FILMS[film]}})
    assert together in (None, care)
    assert film not in ("as it is", "a place as a text") or together


def test_series() -> None:
    """Slices have identities and sizes of their own; two of one identity are left."""
    together, care = _both(make.dicom_row(SLICES))
    assert together == care is not None
    together, care = _both(make.dicom_row({0: make.dicom_slice(make.box()), 1: make.dicom_slice()}))
    assert together is care is None
