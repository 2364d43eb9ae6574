"""Export rows as plain JSON, as Encord writes them: every test says only what it is about."""

import copy
import json
import os
from pathlib import Path

import pytest

from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import RowReading, read_row

Json = dict[str, object]

WIDTH, HEIGHT = 1280, 720  # not square: a reader that swaps the two is caught
REAL_EXPORTS = Path(os.environ.get("ENCORD_REAL_EXPORTS", Path(__file__).parents[2] / "shared" / "real_exports"))

FEATURES = {
    "bounding_box": "BoxClas1",
    "rotatable_bounding_box": "RotClas1",
    "polygon": "Polygon1",
    "polyline": "Polylin1",
    "point": "PointCl1",
    "skeleton": "Skeleto1",
    "bitmask": "Bitmask1",
}


def entry(shape: str, geometry: Json, object_hash: str = "object01", **changes: object) -> Json:
    """An object entry of a frame: the keys of every shape, then its geometry, then `changes`."""
    base: Json = {
        "objectHash": object_hash,
        "featureHash": FEATURES.get(shape, "OtherCl1"),
        "name": f"a {shape}",
        "value": f"a_{shape}",
        "color": "#D33115",
        "shape": shape,
        "confidence": 1,
        "createdBy": "annotator@example.com",
        "createdAt": "Fri, 01 Dec 2023 10:30:02 GMT",
        "manualAnnotation": True,
    }
    return base | geometry | changes


def box(
    x: object = 0.25,
    y: object = 0.5,
    w: object = 0.125,
    h: object = 0.25,
    object_hash: str = "object01",
    **changes: object,
) -> Json:
    """A bounding box; fractions of the image."""
    return entry("bounding_box", {"boundingBox": {"h": h, "w": w, "x": x, "y": y}}, object_hash, **changes)


def rotated_box(theta: object = 30.0, object_hash: str = "object02", **changes: object) -> Json:
    """A rotatable bounding box; degrees, clockwise."""
    geometry = {"h": 0.25, "w": 0.125, "x": 0.25, "y": 0.5, "theta": theta}
    return entry("rotatable_bounding_box", {"rotatableBoundingBox": geometry}, object_hash, **changes)


def polygon(points: list[tuple[float, float]] | None = None, object_hash: str = "object03", **changes: object) -> Json:
    """A polygon in the spelling of 2023."""
    return entry(
        "polygon", {"polygon": _by_index(points or [(0.1, 0.1), (0.4, 0.1), (0.4, 0.6)])}, object_hash, **changes
    )


def polygons(rings: list[list[list[float]]], object_hash: str = "object03", **changes: object) -> Json:
    """Polygons with holes in the spelling of 2025, which repeats the first outline as `polygon`."""
    outline = rings[0][0]
    repeated = _by_index(list(zip(outline[::2], outline[1::2], strict=True)))
    return entry("polygon", {"polygon": repeated, "polygons": rings}, object_hash, **changes)


def polyline(points: list[tuple[float, float]] | None = None, object_hash: str = "object04", **changes: object) -> Json:
    """An open line."""
    return entry("polyline", {"polyline": _by_index(points or [(0.1, 0.2), (0.9, 0.8)])}, object_hash, **changes)


def point(x: object = 0.25, y: object = 0.5, object_hash: str = "object05", **changes: object) -> Json:
    """A point; `z` among the changes goes into its geometry."""
    depth = {"z": changes.pop("z")} if "z" in changes else {}
    return entry("point", {"point": {"0": {"x": x, "y": y} | depth}}, object_hash, **changes)


def joint(x: float, y: float, name: str = "nose", feature_hash: str = "JointCl1", **changes: object) -> Json:
    """One joint of a skeleton."""
    base: Json = {"x": x, "y": y, "name": name, "color": "#000000", "value": name, "featureHash": feature_hash}
    return base | changes


def skeleton(joints: list[Json] | None = None, object_hash: str = "object06", **changes: object) -> Json:
    """A skeleton of two joints, or of those given."""
    chosen = joints or [joint(0.25, 0.5), joint(0.75, 0.25, "tail", "JointCl2", occluded=True)]
    return entry("skeleton", {"skeleton": {str(i): one for i, one in enumerate(chosen)}}, object_hash, **changes)


def bitmask(
    code: object, width: object = WIDTH, height: object = HEIGHT, object_hash: str = "object07", **changes: object
) -> Json:
    """A bitmask over the whole image; `top` and `left` among the changes move it."""
    offsets = {"top": changes.pop("top", 0), "left": changes.pop("left", 0)}
    geometry: Json = {"rleString": code, "width": width, "height": height, **offsets}
    return entry("bitmask", {"bitmask": geometry}, object_hash, **changes)


def circle(object_hash: str = "object08", r: object = 0.1, **more: object) -> Json:
    """A circle about the image's centre; `stretch` and `theta` among the rest go into its geometry."""
    return entry("circle", {"circle": {"x": 0.5, "y": 0.5, "r": r} | more}, object_hash, featureHash="CircleC1")


def ellipse(object_hash: str = "object09", rx: object = 0.2, ry: object = 0.1, **more: object) -> Json:
    """An ellipse about the image's centre; `theta` among the rest goes into its geometry."""
    return entry(
        "ellipse", {"ellipse": {"x": 0.5, "y": 0.5, "rx": rx, "ry": ry} | more}, object_hash, featureHash="Ellipse1"
    )


def cuboid(object_hash: str = "object10", **changes: object) -> Json:
    """A cuboid, one of the shapes that are not converted."""
    front = [0.1, 0.1, 0.4, 0.1, 0.4, 0.4, 0.1, 0.4]
    return entry("cuboid_2d", {"cuboid_2d": {"front": front, "offset": {"x": 0.1, "y": 0.1}}}, object_hash, **changes)


def option(name: str, feature_hash: str) -> Json:
    """An option of a radio or checklist attribute."""
    return {"name": name, "value": name.lower().replace(" ", "_"), "featureHash": feature_hash}


def answer(answers: object, name: str = "state", feature_hash: str = "Attribu1", **changes: object) -> Json:
    """An answer to an attribute; with `range` and `dynamic` among the changes it is an action."""
    base: Json = {
        "name": name,
        "value": name,
        "answers": answers,
        "featureHash": feature_hash,
        "manualAnnotation": True,
    }
    return base | changes


def action(answers: object, ranges: object, name: str = "state", feature_hash: str = "Attribu1") -> Json:
    """A dynamic answer over inclusive ranges of frames."""
    extra: Json = {"dynamic": True, "range": ranges, "shouldPropagate": False, "trackHash": "track-1"}
    return answer(answers, name, feature_hash) | extra


def classification(classification_hash: str = "classif1", feature_hash: str = "ClassCl1", **changes: object) -> Json:
    """A classification as a frame lists it."""
    base: Json = {
        "classificationHash": classification_hash,
        "featureHash": feature_hash,
        "name": "weather",
        "value": "weather",
        "confidence": 1,
        "createdBy": "annotator@example.com",
        "createdAt": "Fri, 01 Dec 2023 10:37:25 GMT",
        "manualAnnotation": True,
    }
    return base | changes


def labels(*objects: Json, classifications: list[Json] | None = None, **more: object) -> Json:
    """The labels of one frame."""
    return {"objects": list(objects), "classifications": classifications or [], **more}


def unit(data_hash: str, mime: str, found: object, sequence: object = 0, **changes: object) -> Json:
    """A data unit; a change to None removes the key."""
    base: Json = {
        "data_hash": data_hash,
        "data_title": "holiday of Jane Doe.jpg",
        "data_type": mime,
        "data_sequence": sequence,
        "data_link": f"cord-images/{data_hash}?X-Goog-Signature=0123456789",
        "width": WIDTH,
        "height": HEIGHT,
        "labels": found,
    }
    return {key: value for key, value in (base | changes).items() if value is not None}


def row(data_type: str, units: list[Json], /, **changes: object) -> Json:
    """A label row around data units; a change to None removes the key."""
    base: Json = {
        "label_hash": "a97f86f8-3af8-478c-9280-7b80afbf5ffc",
        "branch_name": "main",
        "created_at": "2023-12-01 10:34:23",
        "last_edited_at": "2023-12-01 10:45:17",
        "dataset_hash": "682ab35e-adcb-4502-bd3e-18500dfaace6",
        "dataset_title": "patients of Dr Example",
        "data_title": "holiday of Jane Doe.jpg",
        "data_hash": units[0]["data_hash"] if units else "data-0",
        "data_type": data_type,
        "is_image_sequence": None,
        "video_link": None,
        "data_units": {str(one["data_hash"]): one for one in units},
        "object_answers": {},
        "classification_answers": {},
        "object_actions": {},
        "label_status": "LABELLED",
        "annotation_task_status": "QUEUED",
        "export_hash": "23f99935-cca7-4c7d-8987-44e46a00b392",
        "exported_at": "Fri, 19 Jul 2024 09:20:25 UTC",
        "export_history": [
            {
                "export_hash": "625aea31-6d63-4623-b9aa-ed8d89f1db14",
                "exported_at": "Thu, 18 Jul 2024 13:07:59 UTC",
                "user_email": "exporter@example.com",
            }
        ],
    }
    return {key: value for key, value in (base | changes).items() if value is not None or key not in changes}


def image_row(*objects: Json, classifications: list[Json] | None = None, **changes: object) -> Json:
    """A row of one image."""
    return row("image", [unit("data-0", "image/jpeg", labels(*objects, classifications=classifications))], **changes)


def group_row(*images: list[Json], **changes: object) -> Json:
    """A row of an image group; each argument holds the objects of one image."""
    units = [unit(f"data-{i}", "image/png", labels(*objects), sequence=i) for i, objects in enumerate(images)]
    return row("img_group", units, **({"data_hash": "group-0", "is_image_sequence": False} | changes))


def video_row(frames: dict[int, list[Json]], **changes: object) -> Json:
    """A row of a video of 10 seconds at 25 frames a second; objects by frame number."""
    found = {str(number): labels(*objects) for number, objects in frames.items()}
    one = unit("video-0", "video/mp4", found, data_fps=25.0, data_duration=10.0)
    return row("video", [one], **({"video_link": "cord-videos/video-0?X-Goog-Signature=0123456789"} | changes))


def dicom_row(slices: dict[int, Json], **changes: object) -> Json:
    """A row of a DICOM series; the labels of each slice by its number."""
    found = {str(number): one for number, one in slices.items()}
    metadata = {"patient_id": "PATIENT-4711", "study_uid": "1.2.3", "series_uid": "1.2.3.4"}
    one = unit("dicom-0", "application/dicom", found, metadata=metadata, data_links=["cord-dicoms/one"], data_link=None)
    return row("dicom", [one], **changes)


def dicom_slice(*objects: Json, uid: object = "1.2.3.4.5", multiframe: object = None, **size: object) -> Json:
    """The labels of one slice with its metadata; `width` and `height` are those of the slice."""
    metadata = {"dicom_instance_uid": uid, "multiframe_frame_number": multiframe, "file_uri": "cord-dicoms/one"} | size
    return labels(*objects, metadata=metadata)


def nifti_row(slices: dict[int, list[Json]], **changes: object) -> Json:
    """A row of a NIfTI volume; objects by slice number."""
    found = {str(number): labels(*objects) for number, objects in slices.items()}
    return row("nifti", [unit("nifti-0", "application/nifti1", found)], **changes)


def audio_row(*objects: Json, **changes: object) -> Json:
    """A row of audio, whose objects live in `object_answers` alone."""
    answers = {str(one["objectHash"]): one | {"range": [[100, 200]], "classifications": []} for one in objects}
    one = unit("audio-0", "audio/mpeg", {}, width=None, height=None)
    return row("audio", [one], **({"object_answers": answers} | changes))


def ontology(*objects: Json, classifications: list[Json] | None = None, **more: object) -> Json:
    """An ontology document."""
    return {"objects": list(objects), "classifications": classifications or [], **more}


def ontology_class(
    *attributes: Json,
    shape: str = "bounding_box",
    name: str | None = None,
    feature_hash: str | None = None,
    **more: object,
) -> Json:
    """A class of objects; without name and hash that of the entries of its shape."""
    base: Json = {
        "id": "1",
        "name": f"a {shape}" if name is None else name,
        "color": "#D33115",
        "shape": shape,
        "featureNodeHash": feature_hash or FEATURES[shape],
        "attributes": list(attributes),
    }
    return base | more


def ontology_classification(*attributes: Json, feature_hash: str = "ClassCl1", **more: object) -> Json:
    """A classification, which is named after its outermost attribute."""
    return {"id": "1", "featureNodeHash": feature_hash, "attributes": list(attributes), **more}


def ontology_attribute(
    kind: str, *options: Json, name: str = "state", feature_hash: str = "Attribu1", **more: object
) -> Json:
    """An attribute; options are those of a radio or checklist."""
    base: Json = {
        "id": "1.1",
        "name": name,
        "type": kind,
        "required": False,
        "dynamic": False,
        "featureNodeHash": feature_hash,
    }
    return base | ({"options": list(options)} if options else {}) | more


def ontology_option(label: str, feature_hash: str, *nested: Json, **more: object) -> Json:
    """An option, with the attributes that it opens."""
    base: Json = {"id": "1.1.1", "label": label, "value": label.lower().replace(" ", "_")}
    return base | {"featureNodeHash": feature_hash} | ({"options": list(nested)} if nested else {}) | more


def skeleton_template(name: str, feature_hash: object, joints: list[Json], edges: list[tuple[int, int]]) -> Json:
    """The template of a skeleton class; edges are pairs of positions."""
    found: dict[str, Json] = {}
    for start, end in edges:
        found.setdefault(str(start), {})[str(end)] = {"color": "#000000"}
    template: Json = {
        "name": name,
        "shape": "skeleton",
        "width": 0.25,
        "height": 0.25,
        "skeleton": {str(index): one for index, one in enumerate(joints)},
        "skeletonEdges": found,
        "feature_node_hash": feature_hash,
    }
    return {"template": template}


def changed(document: Json, value: object, *path: str | int) -> Json:
    """A copy of a row with another value at a path; the value `...` removes the key."""
    copied = copy.deepcopy(document)
    place: object = copied
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]  # a path through free JSON
    if value is ...:
        del place[path[-1]]  # type: ignore[attr-defined]  # a path through free JSON
    else:
        place[path[-1]] = value  # type: ignore[index]  # a path through free JSON
    return copied


def encode(document: object) -> bytes:
    """JSON as Python writes it, with NaN and Infinity where they occur."""
    return json.dumps(document).encode()


def read(document: Json) -> RowReading:
    """The reading of one row."""
    (piece,) = iter_rows(encode([document]))
    return read_row(piece)


def rules(reading: RowReading) -> list[str]:
    """The codes of a reading's findings."""
    return [finding.rule for finding in reading.findings]


def real_export(name: str) -> bytes:
    """The bytes of a real export; the test is skipped where they are not at hand."""
    path = REAL_EXPORTS / name
    if not path.exists():
        pytest.skip(f"real exports lie beside the project, not in it: {name} is not there")
    return path.read_bytes()


def _by_index(points: list[tuple[float, float]]) -> Json:
    return {str(index): {"x": x, "y": y} for index, (x, y) in enumerate(points)}
