"""What the vendor's SDK makes of label rows, as plain JSON. Runs in the SDK's own environment, on its own.

`sdk_reader.py read IN OUT` reads every folder in IN: its `ontology.json` and its `rows-*.json`.
`sdk_reader.py make ONTOLOGY OUT ROWS SEED` has the SDK itself make rows (0.1.211 and newer).
"""

import copy
import hashlib
import json
import logging
import random
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

Json = dict[str, Any]

FRAMES = 1_000_000  # that any row may have: the SDK refuses ranges beyond
PURE_PYTHON_MASK = 20_000  # pixels: the SDK turns run-length codes in Python, pixel by pixel
TEN = 10


def read_folder(folder: Path, out: Path) -> None:
    """Write what the SDK makes of each row of a folder, under the names of its files."""
    from encord.objects.ontology_structure import OntologyStructure

    structure = OntologyStructure.from_dict(json.loads((folder / "ontology.json").read_text("utf-8")))
    out.mkdir(parents=True)
    for path in sorted(folder.glob("rows-*.json")):
        results = [read_row(row, structure) for row in json.loads(path.read_text("utf-8"))]
        (out / path.name).write_text(json.dumps(results), "utf-8")


def read_row(row: Json, structure: Any) -> Json:
    """One row by both of the SDK's readers: LabelRowV2, and the COCO exporter."""
    return _labels(_filled(row), structure) | _coco(row, structure)


def _filled(row: Json) -> Json:
    """A copy with what the SDK cannot do without and an export need not have."""
    row = copy.deepcopy(row)
    for key, value in {"branch_name": "main", "annotation_task_status": "QUEUED", "spaces": {}}.items():
        row[key] = row.get(key) or value
    for key in ("created_at", "last_edited_at", "dataset_hash", "dataset_title", "data_title", "data_hash"):
        row.setdefault(key, "2023-03-23 11:42:14" if key.endswith("_at") else str(uuid.UUID(int=0)))
    for answer in row["classification_answers"].values():
        answer.setdefault("spaces", {})
    return row


def _labels(row: Json, structure: Any) -> Json:
    try:
        label_row = _label_row(row, structure)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is its answer
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "error": None,
        "objects": [one for item in label_row.get_object_instances() for one in _annotations(item)],
        "static": {item.object_hash: _static(item) for item in label_row.get_object_instances()},
        "dynamic": {item.object_hash: _dynamic(item) for item in label_row.get_object_instances()},
        "classifications": [_classification(item) for item in label_row.get_classification_instances()],
    }


def _label_row(row: Json, structure: Any) -> Any:
    from encord.objects.ontology_labels_impl import LabelRowV2
    from encord.orm.label_row import LabelRowMetadata

    known = ("label_hash", "branch_name", "data_hash", "dataset_hash", "dataset_title", "data_title", "spaces")
    sizes = {"width": None, "height": None, "number_of_frames": FRAMES, "frames_per_second": None, "duration": None}
    sound = {f"audio_{name}": None for name in ("codec", "sample_rate", "bit_depth", "num_channels")}
    metadata = LabelRowMetadata(
        **{key: row[key] for key in known},
        **sizes,
        **sound,
        created_at=None,
        last_edited_at=None,
        data_type=row["data_type"].upper(),
        data_link=None,
        label_status=row["label_status"],
        annotation_task_status=row["annotation_task_status"],
        workflow_graph_node=None,
        is_shadow_data=False,
    )
    label_row = LabelRowV2(metadata, Mock(), Mock(structure=structure))
    label_row.from_labels_dict(row)
    return label_row


def _annotations(item: Any) -> Iterator[Json]:
    for annotation in item.get_annotations():
        yield {
            "object_hash": item.object_hash,
            "feature_hash": item.feature_hash,
            "frame": annotation.frame,
            "shape": item.ontology_item.shape.value,
            "coordinates": _coordinates(annotation.coordinates),
            "confidence": annotation.confidence,
            "manual": annotation.manual_annotation,
            "deleted": annotation.is_deleted,
        }


def _coordinates(value: Any) -> Any:
    """Fractions as lists of numbers; a bitmask as its runs and a digest of its pixels."""
    match type(value).__name__:
        case "BoundingBoxCoordinates":
            return [value.top_left_x, value.top_left_y, value.width, value.height]
        case "RotatableBoundingBoxCoordinates":
            return [value.top_left_x, value.top_left_y, value.width, value.height, value.theta]
        case "PolygonCoordinates":
            return [[_flat(ring) for ring in rings] for rings in value.polygons]
        case "PolylineCoordinates":
            return _flat(value.values)
        case "PointCoordinate":
            return [value.x, value.y]
        case "SkeletonCoordinates":
            return [[one.x, one.y, one.name, one.feature_hash, _visibility(one)] for one in value.values]
        case "BitmaskCoordinates":
            return _mask(value)
        case "CircleCoordinates":
            return [value.center_x, value.center_y, value.radius, value.stretch, value.theta]
        case "EllipseCoordinates":
            return [value.center_x, value.center_y, value.rx, value.ry, value.theta]
        case _:
            return None


def _flat(points: Any) -> list[float]:
    return [number for point in points for number in (point.x, point.y)]


def _visibility(joint: Any) -> str | None:
    return None if joint.visibility is None else str(joint.visibility.name)


def _mask(value: Any) -> Json:
    from encord.common import bitmask_operations

    pixels = value.to_numpy_array()
    height, width = pixels.shape
    code = value.to_dict()["rleString"]
    turn = getattr(bitmask_operations, "encord_rle_to_coco_rle", None)
    small = turn is not None and height * width <= PURE_PYTHON_MASK
    return {
        "size": [height, width],
        "area": int(pixels.sum()),
        "pixels": hashlib.sha256(pixels.astype("uint8").tobytes()).hexdigest(),
        "runs": [int(run) for run in bitmask_operations._string_to_rle(code)],
        "coco": turn(code, height=height, width=width) if turn is not None and small else None,
    }


def _static(item: Any) -> Json:
    """Answers by attribute hash, those below options among them; not those that are dynamic."""
    attributes = [one for one in _nested(item.ontology_item.attributes) if not one.dynamic]
    return _answered({one.feature_node_hash: item.get_answer(attribute=one) for one in attributes})


def _nested(attributes: Any) -> Iterator[Any]:
    for attribute in attributes:
        if attribute.dynamic:
            yield attribute
            continue
        yield attribute
        for option in getattr(attribute, "options", []):
            yield from _nested(getattr(option, "attributes", []))


def _answered(answers: Json) -> Json:
    plain = {key: _plain(answer) for key, answer in answers.items()}
    return {key: answer for key, answer in plain.items() if answer not in (None, [], "")}


def _plain(answer: Any) -> Any:
    """Text and numbers as they are, options as a sorted list of their hashes."""
    if answer is None or isinstance(answer, str | int | float):
        return answer
    options = answer if isinstance(answer, list | tuple | set) else [answer]
    return sorted(option.feature_node_hash for option in options)


def _dynamic(item: Any) -> Json:
    found: Json = {}
    for attribute in item.ontology_item.attributes:
        if attribute.dynamic:
            given = item.get_answer(attribute=attribute)
            spans = [(_plain(one.answer), [[r.start, r.end] for r in one.ranges]) for one in given]
            found[attribute.feature_node_hash] = [span for span in spans if span[0] not in ([], "")]
    return found


def _classification(item: Any) -> Json:
    attributes = list(_nested(item.ontology_item.attributes))
    frames = [] if item.is_range_only() else sorted(annotation.frame for annotation in item.get_annotations())
    return {
        "classification_hash": item.classification_hash,
        "feature_hash": item.feature_hash,
        "frames": frames,
        "answers": _answered({one.feature_node_hash: item.get_answer(attribute=one) for one in attributes}),
    }


def _coco(row: Json, structure: Any) -> Json:
    """The exporter's COCO, its errors, and of each polygon whether it is simple, of each turned box its corners."""
    errors: list[str] = []
    for mend in (None, "manual", "gaps", "answers", "row"):
        row = _mended(row, mend)
        try:
            return _exported(row, structure) | {"coco_errors": errors, "judged": _judged(row)}
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is its answer
            errors.append(f"{type(error).__name__}: {error}")
    return {"coco": None, "image_ids": [], "coco_errors": errors, "judged": {}}


def _exported(row: Json, structure: Any) -> Json:
    from encord.utilities.coco.exporter import CocoExporter

    exporter = CocoExporter(labels_list=[copy.deepcopy(row)], ontology=structure)
    coco = exporter.export()
    ids = [[data_hash, frame, number] for (data_hash, frame), number in exporter._data_hash_to_image_id_map.items()]
    return {"coco": {key: coco[key] for key in ("images", "annotations")}, "image_ids": ids}


def _mended(row: Json, mend: str | None) -> Json:
    """A copy without one of the things that the exporter raises on."""
    row = copy.deepcopy(row)
    for _, _, entry in _entries(row):
        if mend == "answers":
            empty = {"objectHash": entry["objectHash"], "classifications": []}
            row["object_answers"].setdefault(entry["objectHash"], empty)
        if mend == "manual":
            entry.setdefault("manualAnnotation", True)
        for key in ("polygon", "polyline"):
            if mend == "gaps" and isinstance(entry.get(key), dict):
                points = [entry[key][index] for index in sorted(entry[key], key=int)]
                entry[key] = {str(index): point for index, point in enumerate(points)}
    return _filled(row) if mend == "row" else row


def _entries(row: Json) -> Iterator[tuple[int, tuple[int, int], Json]]:
    """Frame number, frame size and object entry of every object with pixels."""
    for unit in row["data_units"].values():
        labels = unit["labels"]
        flat = "objects" in labels or "classifications" in labels
        keyed = {unit["data_sequence"]: labels} if flat else labels
        for number, frame in keyed.items():
            own = frame.get("metadata") or {}
            size = own.get("width", unit.get("width")), own.get("height", unit.get("height"))
            for entry in frame.get("objects", []):
                yield int(number), size, entry


def _judged(row: Json) -> Json:
    """Shapely's word, by frame and object hash: whether the outline is simple, the corners of a turned box."""
    from shapely import affinity
    from shapely.geometry import LinearRing, box

    found: Json = {}
    for frame, (width, height), entry in _entries(row):
        key = f"{frame} {entry['objectHash']}"
        if entry["shape"] == "polygon":
            ring = [(x * width, y * height) for x, y in _outline(entry)]
            found[key] = {"simple": bool(LinearRing(ring).is_simple)}
        elif entry["shape"] == "rotatable_bounding_box":
            x, y, w, h, theta = (entry["rotatableBoundingBox"][name] for name in ("x", "y", "w", "h", "theta"))
            plain = box(x * width, y * height, (x + w) * width, (y + h) * height)
            turned = affinity.rotate(plain, theta, origin="center")
            found[key] = {"corners": [list(point) for point in turned.exterior.coords[:-1]]}
    return found


def _outline(entry: Json) -> list[tuple[float, float]]:
    if entry.get("polygons"):
        ring = entry["polygons"][0][0]
        return list(zip(ring[::2], ring[1::2], strict=True))
    points = entry["polygon"]
    if isinstance(points, dict):
        points = [points[index] for index in sorted(points, key=int)]
    return [(point["x"], point["y"]) for point in points]


def make(ontology: Path, out: Path, number: int, seed: int) -> None:
    """Rows that the SDK itself makes: detached label rows of images, image groups and videos."""
    from encord.objects.ontology_structure import OntologyStructure

    document = json.loads(ontology.read_text("utf-8"))
    structure = OntologyStructure.from_dict(document)
    out.mkdir(parents=True)
    (out / "ontology.json").write_text(json.dumps(document), "utf-8")
    made = [_made(random.Random(f"made {seed} {index}"), structure, index) for index in range(number)]
    for start in range(0, number, 100):
        (out / f"rows-{start // 100:03}.json").write_text(json.dumps(made[start : start + 100]), "utf-8")


def _made(rng: random.Random, structure: Any, index: int) -> Json:
    from encord.objects.ontology_labels_impl import LabelRowV2
    from encord.orm import storage

    sizes = [(1, 7), (3, 5), (37, 211), (640, 480)]
    width, height = rng.choice(sizes)
    size = {"width": width, "height": height, "file_size": 1}
    image = storage.CustomerProvidedImageMetadata(mime_type="image/png", **size)
    video = storage.CustomerProvidedVideoMetadata(mime_type="video/mp4", fps=TEN, duration=1, **size)
    media, frames = [(image, 1), ([image, image], 2), (video, TEN)][index % 3]
    label_row = LabelRowV2.from_media_metadata(Mock(structure=structure), media)
    for ontology_object in rng.sample(structure.objects, 5):
        _add_object(rng, label_row, ontology_object, frames, (width, height))
    row: Json = label_row.to_encord_dict()
    return row | {"label_hash": str(uuid.UUID(int=rng.getrandbits(128), version=4))}


def _add_object(rng: random.Random, label_row: Any, ontology_object: Any, frames: int, size: tuple[int, int]) -> None:
    item = ontology_object.create_instance()
    on = sorted(rng.sample(range(frames), rng.randint(1, frames)))
    for frame in on:
        coordinates = _random_coordinates(rng, ontology_object.shape.value, size)
        item.set_for_frames(coordinates=coordinates, frames=frame, confidence=rng.random(), manual_annotation=True)
    label_row.add_object_instance(item)
    for attribute in ontology_object.attributes:
        if rng.random() < 0.7:
            answer = _random_answer(rng, attribute)
            item.set_answer(answer, attribute, **({"frames": rng.choice(on)} if attribute.dynamic else {}))


def _random_answer(rng: random.Random, attribute: Any) -> Any:
    options = list(getattr(attribute, "options", []))
    match attribute.get_property_type().value:
        case "text":
            return "written by the SDK"
        case "numeric":
            return rng.uniform(-5, 5)
        case "radio":
            return rng.choice(options)
        case _:
            return rng.sample(options, rng.randint(1, len(options)))


def _random_coordinates(rng: random.Random, shape: str, size: tuple[int, int]) -> Any:
    import numpy as np
    from encord.objects import coordinates as c

    x, y, w, h = (rng.uniform(0.05, 0.45) for _ in range(4))
    outline = [c.PointCoordinate(x, y), c.PointCoordinate(x + w, y), c.PointCoordinate(x + w, y + h)]
    match shape:
        case "bounding_box":
            return c.BoundingBoxCoordinates(height=h, width=w, top_left_x=x, top_left_y=y)
        case "rotatable_bounding_box":
            return c.RotatableBoundingBoxCoordinates(
                height=h, width=w, top_left_x=x, top_left_y=y, theta=rng.uniform(0, 360)
            )
        case "polygon":
            inner = [
                c.PointCoordinate(x + w * 0.7 + dx, y + h * 0.3 + dy) for dx, dy in ((0, 0), (w / 9, 0), (0, h / 9))
            ]
            return c.PolygonCoordinates(polygons=[[outline, inner]] if rng.random() < 0.5 else [[outline]])
        case "polyline":
            return c.PolylineCoordinates(values=outline)
        case "point":
            return c.PointCoordinate(x, y)
        case "bitmask":
            noise = np.random.default_rng(rng.getrandbits(32)).random((size[1], size[0]))
            return c.BitmaskCoordinates(noise < 0.3)
        case "skeleton":
            return c.SkeletonCoordinates(name="skeleton", values=[_random_joint(rng, index) for index in range(4)])
        case "circle":
            return c.CircleCoordinates(center_x=0.5, center_y=0.5, radius=0.3 * min(1, size[1] / size[0]))
        case "ellipse":
            return c.EllipseCoordinates(center_x=0.5, center_y=0.5, rx=w / 2, ry=h / 2, theta=rng.uniform(0, 90))
        case _:
            raise ValueError(shape)


def _random_joint(rng: random.Random, index: int) -> Any:
    from encord.objects import coordinates as c

    visibility = rng.choice([None, *c.Visibility])
    name = f"joint {index}"
    return c.SkeletonCoordinate(
        x=rng.random(), y=rng.random(), name=name, feature_hash=f"joint{index:03}", visibility=visibility
    )


def main(arguments: list[str]) -> None:
    """Read, or make."""
    logging.disable(logging.CRITICAL)  # thousands of warnings on rows that are odd on purpose
    if arguments[0] == "make":
        make(Path(arguments[1]), Path(arguments[2]), int(arguments[3]), int(arguments[4]))
        return
    for folder in sorted(one for one in Path(arguments[1]).iterdir() if one.is_dir()):
        read_folder(folder, Path(arguments[2]) / folder.name)


if __name__ == "__main__":
    main(sys.argv[1:])
