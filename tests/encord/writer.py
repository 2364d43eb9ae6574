"""The reader backwards: a label row written as an export has it. What the reader drops for good is not written."""

from collections.abc import Mapping

from encord_dagster import rle
from encord_dagster.encord.label_rows import RowReading
from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow, ObjectInstance
from encord_dagster.geometry import (
    Bitmask,
    Box,
    Ellipse,
    Geometry,
    Point,
    Polygon,
    Polyline,
    Ring,
    RotatedBox,
    Skeleton,
)
from tests.factories import Json

_VISIBILITY: Mapping[str, Json] = {
    "visible": {},
    "occluded": {"occluded": True},
    "self_occluded": {"selfOccluded": True},
    "invisible": {"invisible": True},
}


def write(reading: RowReading) -> Json:
    """The row of an export."""
    row, event = reading.row, reading.event
    document: Json = {
        "label_hash": event.label_hash,
        "branch_name": event.branch_name,
        "export_hash": event.export_hash,
        "exported_at": event.exported_at,
        "last_edited_at": event.last_edited_at,
        "export_history": [
            {"export_hash": entry.export_hash, "exported_at": entry.exported_at} for entry in event.history
        ],
        "data_hash": row.data_hash,
        "dataset_hash": row.dataset_hash,
        "data_type": row.data_type,
        "is_image_sequence": row.is_image_sequence,
        "label_status": row.label_status,
        "annotation_task_status": row.annotation_task_status,
        "data_units": _units(row),
        "object_answers": {item.object_hash: _static(item) for _, item in _objects(row)},
        "object_actions": _actions(row),
        "classification_answers": _classification_answers(row),
    }
    if row.workflow_node:
        document["workflow_graph_node"] = {"title": row.workflow_node}
    return document


def _objects(row: LabelRow) -> list[tuple[Frame, ObjectInstance]]:
    return [(frame, item) for frame in row.frames for item in frame.objects]


def _units(row: LabelRow) -> Json:
    units: dict[str, Json] = {}
    for frame in row.frames:
        flat = row.data_type in ("image", "img_group")
        unit = units.setdefault(
            frame.data_hash,
            {
                "data_hash": frame.data_hash,
                "data_type": frame.mime_type,
                "data_sequence": frame.number if flat else 0,
                "width": frame.width,
                "height": frame.height,
                "labels": {},
            },
        )
        labels: Json = {
            "objects": [_entry(item, frame.width or 0, frame.height or 0) for item in frame.objects],
            "classifications": [_on_frame(item) for item in frame.classifications],
        }
        if frame.identity.startswith("sop:"):
            labels["metadata"] = _slice(frame)
        place = unit["labels"]
        assert isinstance(place, dict)
        place.update(labels if flat else {str(frame.number): labels})
    return dict(units)


def _slice(frame: Frame) -> Json:
    uid, _, multiframe = frame.identity.removeprefix("sop:").rpartition("#")
    number = None if multiframe == "-" else int(multiframe)
    return {
        "dicom_instance_uid": uid,
        "multiframe_frame_number": number,
        "width": frame.width,
        "height": frame.height,
    }


def _entry(item: ObjectInstance, width: int, height: int) -> Json:
    return {
        "objectHash": item.object_hash,
        "featureHash": item.feature_hash,
        "name": item.name,
        "shape": item.shape,
        "confidence": item.confidence,
        "manualAnnotation": item.manual,
        **_geometry(item.geometry, width, height),
    }


def _geometry(shape: Geometry, width: int, height: int) -> Json:
    def box(one: Box | RotatedBox) -> Json:
        return {"x": one.x / width, "y": one.y / height, "w": one.width / width, "h": one.height / height}

    def fractions(ring: Ring) -> list[float]:
        return [value / (height if index % 2 else width) for index, value in enumerate(ring)]

    def points(ring: Ring) -> Json:
        flat = fractions(ring)
        return {str(i): {"x": x, "y": y} for i, (x, y) in enumerate(zip(flat[::2], flat[1::2], strict=True))}

    match shape:
        case Box():
            return {"boundingBox": box(shape)}
        case RotatedBox():
            return {"rotatableBoundingBox": {**box(shape), "theta": shape.theta}}
        case Ellipse(x, y, rx, ry, theta):
            place = {"x": x / width, "y": y / height, "rx": rx / width, "ry": ry / height, "theta": theta}
            return {"shape": "ellipse", "ellipse": place}
        case Polygon(polygons):
            return {"polygons": [[fractions(ring) for ring in rings] for rings in polygons]}
        case Polyline(line):
            return {"polyline": points(line)}
        case Point(x, y):
            return {"point": points((x, y))}
        case Skeleton(joints):
            named: Json = {}
            for index, joint in enumerate(joints):
                joint_place = {"x": joint.x / width, "y": joint.y / height}
                names = {"name": joint.name, "featureHash": joint.feature_hash}
                named[str(index)] = joint_place | names | _VISIBILITY[joint.visibility]
            return {"skeleton": named}
        case Bitmask(runs):
            return {"bitmask": {"rleString": rle.encode(runs), "width": width, "height": height, "top": 0, "left": 0}}


def _answer(attribute: Attribute) -> Json:
    answer: object = attribute.answer
    if isinstance(attribute.answer, tuple):
        answer = [{"name": o.name, "value": o.value, "featureHash": o.feature_hash} for o in attribute.answer]
    return {"name": attribute.name, "featureHash": attribute.feature_hash, "answers": answer}


def _static(item: ObjectInstance) -> Json:
    return {
        "objectHash": item.object_hash,
        "classifications": [_answer(attribute) for attribute in item.attributes if not attribute.dynamic],
    }


def _actions(row: LabelRow) -> Json:
    actions: dict[str, Json] = {}
    for frame, item in _objects(row):
        dynamic = [
            _answer(one) | {"dynamic": True, "range": [[frame.number] * 2]} for one in item.attributes if one.dynamic
        ]
        if dynamic:
            entry = actions.setdefault(item.object_hash, {"objectHash": item.object_hash, "actions": []})
            given = entry["actions"]
            assert isinstance(given, list)
            given += dynamic
    return dict(actions)


def _on_frame(item: Classification) -> Json:
    return {
        "classificationHash": item.classification_hash,
        "featureHash": item.feature_hash,
        "name": item.name,
        "confidence": item.confidence,
        "manualAnnotation": item.manual,
    }


def _classification_answers(row: LabelRow) -> Json:
    on_frames = {item.classification_hash: item for frame in row.frames for item in frame.classifications}
    whole = {item.classification_hash: item for item in row.classifications}
    return {
        key: {
            **_on_frame(item),
            "classifications": [_answer(attribute) for attribute in item.attributes],
            **({"range": []} if key in whole else {}),
        }
        for key, item in (on_frames | whole).items()
    }
