"""What rows of some years, of the platform or of the SDK, have otherwise, and which means the same to any reader."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests import factories as make
from tests.factories import Json

RANGED = {
    "classificationHash": "classif1",
    "featureHash": "ClassCl1",
    "classifications": [make.answer("sun")],
    "createdBy": "annotator@example.com",
    "confidence": 1,
    "manualAnnotation": True,
    "spaces": {},
}


def ranged(*ranges: list[int]) -> Json:
    """A classification that holds at ranges of frames."""
    return {"classif1": RANGED | {"range": list(ranges)}}


def of_row(**more: Any) -> Callable[[Json], Json]:
    """Other values in the row; `...` takes a key away."""
    return lambda row: {key: value for key, value in (row | more).items() if value is not ...}


def of_units(**more: Any) -> Callable[[Json], Json]:
    """The same in its data units."""

    def changed(row: Any) -> Json:
        units = {key: unit | more for key, unit in row["data_units"].items()}
        return {**row, "data_units": {key: _without(unit) for key, unit in units.items()}}

    return changed


def of_objects(**more: Any) -> Callable[[Json], Json]:
    """The same in all objects."""

    def changed(row: Json) -> Json:
        copied = copy.deepcopy(row)
        for holder, key in list(places(copied)):
            if key == "objects" and isinstance(holder[key], list):
                holder[key] = [_without(one | more) if isinstance(one, dict) else one for one in holder[key]]
        return copied

    return changed


def _without(given: Json) -> Json:
    return {key: value for key, value in given.items() if value is not ...}


def _sequence_as_text(row: Any) -> Json:
    units = {key: unit | {"data_sequence": str(unit["data_sequence"])} for key, unit in row["data_units"].items()}
    return {**row, "data_units": units}


FREE: dict[str, Callable[[Json], Json]] = {
    "no video link": of_row(video_link=...),
    "shadow data": of_row(is_shadow_data=False),
    "no spaces": of_row(spaces={}),
    "null spaces": of_row(spaces=None),
    "place as text": _sequence_as_text,
    "not a sequence": of_row(is_image_sequence="None"),
    "a sequence": of_row(is_image_sequence="true"),
    "no branch": of_row(branch_name=None),
    "no word of a branch": of_row(branch_name=...),
    "no task": of_row(annotation_task_status=...),
    "a null task": of_row(annotation_task_status=None),
    "valid": of_row(is_valid=True),
    "no export": of_row(export_hash=..., exported_at=..., export_history=...),
    "a stage": of_row(workflow_graph_node={"uuid": "0c7f0f0d-2c5a-4e0f-8b9a-540d8a5d0b1c", "title": "Review"}),
    "a stage without a title": of_row(workflow_graph_node={"uuid": "0c7f0f0d-2c5a-4e0f-8b9a-540d8a5d0b1c"}),
    "no stage": of_row(workflow_graph_node=None),
    "a task of the workflow": of_row(task_uuid="0c7f0f0d", priority=0.5, assigned_user_email="a@example.com"),
    "metadata": of_row(client_metadata={"site": "a:b", "tags": [{"x": 1}, {"x": 2}], "data_units": {}}),
    "no metadata": of_row(client_metadata=None, backing_item_uuid=None, group_hash=None),
    "any key": of_row(something_new={"a": [{"a": 1}], "objects": "x: y"}),
    "any key of a unit": of_units(something_new={"a": None}, file_type="image"),
    "null rates": of_units(data_fps=None, data_duration=None),
    "any key of objects": of_objects(objectNumber=3, interpolate=False, something_new={"x": 0.5}),
    "nobody": of_objects(createdBy=..., lastEditedBy=None),
    "a text that looks like a key": of_row(dataset_title='she said "x": y'),
    "a ranged classification": of_row(classification_answers=ranged([0, 0])),
}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document that holds a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield value, key
        yield from places(child)
