"""Our COCO records against those of the SDK's CocoExporter: boxes, polygons, masks, keypoints, attributes, images."""

import math
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
from numpy.typing import NDArray

from encord_dagster import geometry as g
from encord_dagster.encord.model import Frame, ObjectInstance
from tests.oracle import slow_model
from tests.oracle.compare_labels import close, expected, inside
from tests.oracle.judge import Judge
from tests.oracle.ontologies import all_attributes
from tests.oracle.ours import Ours

Json = dict[str, Any]
Pixels = NDArray[np.uint8]
LEAST_AREA = 2_000  # px^2 from which two ways to fill several rings must agree
LEAST_IOU = 0.9
LEAST_SIDE = 20  # px: of a thinner mask, one pixel of edge is more than the IoU allows
ROUNDED = 1e-6  # COCO files hold six decimals


def compare_coco(judge: Judge, row: Json, ontology: Json, ours: Ours, sdk: Json) -> None:
    """Every image and annotation of one row."""
    for error in sdk["coco_errors"]:
        judge.check("exporter runs", row["label_hash"], "converted", error, agree=False, known=_cause(error, row))
    if sdk["coco"] is None:
        return
    frame_of = _compare_images(judge, row, ours, sdk)
    theirs = {
        (frame_of[one["image_id"]], one["attributes"]["encord_track_uuid"]): one
        for one in sdk["coco"]["annotations"]
        if one["image_id"] in frame_of
    }
    judge.known["exporter", "id_zero"] += sum(one["id"] == 0 for one in sdk["coco"]["annotations"])
    objects, entries = ours.objects, slow_model.entries_of(row)
    for key in sorted(ours.annotations.keys() | theirs.keys()):
        where = (row["label_hash"], *key)
        deleted = "deleted_kept" if entries[key].get("isDeleted") else None
        dropped = "shape_dropped" if entries[key]["shape"] in ("circle", "ellipse") else None
        both = key in ours.annotations and key in theirs
        judge.check(
            "COCO annotation", where, key in ours.annotations, key in theirs, agree=both, known=deleted or dropped
        )
        if key not in objects:
            continue
        frame, item = objects[key]
        made = ours.annotations[key]
        _compare_alone(judge, where, made, frame, item, sdk["judged"].get(f"{key[0]} {key[1]}", {}))
        if both:
            _compare_shape(judge, where, made, theirs[key], frame, item, entries[key], sdk)
            _compare_flags(judge, where, made, theirs[key], item)
            _compare_answers(judge, where, row, ontology, item, made, theirs[key])


def _cause(error: str, row: Json) -> str | None:
    """The known reason for an error of the exporter."""
    missing = error.removeprefix("KeyError: ").strip("'")
    if missing == "manualAnnotation":
        return "manual_missing"
    if missing.isdigit() and len(missing) < 4:
        return "key_gaps"
    objects = {object_hash for _, object_hash in slow_model.entries_of(row)}
    return "answers_missing" if missing in objects - row["object_answers"].keys() else None


def _compare_images(judge: Judge, row: Json, ours: Ours, sdk: Json) -> dict[int, int]:
    """The frame number of each of the exporter's images, which tells frame 0 for every single image."""
    single = {
        unit["data_hash"]: int(unit["data_sequence"])
        for unit in row["data_units"].values()
        if row["data_type"] in ("image", "img_group")
    }
    frame_of = {number: single.get(data_hash, frame) for data_hash, frame, number in sdk["image_ids"]}
    places = {(data_hash, frame_of[number]): number for data_hash, _, number in sdk["image_ids"]}
    records = {one["id"]: one for one in sdk["coco"]["images"]}
    named = slow_model.frames_of(row)
    for place in sorted(ours.images.keys() | places.keys()):
        ranged_only = place[1] not in named and sdk["version"] == "0.1.190"
        both = place in ours.images and place in places
        known = "exporter_frames" if ranged_only else None
        judge.check("image", place, place in ours.images, place in places, agree=both, known=known)
        if both:
            record, image = records[places[place]], ours.images[place]
            size = (record["width"], record["height"])
            judge.same("image size", place, (image["width"], image["height"]), size)
    judge.counts["images"] += len(ours.images)
    return frame_of


def _compare_alone(judge: Judge, where: object, made: Json, frame: Frame, item: ObjectInstance, judged: Json) -> None:
    """What the exporter cannot tell: turned boxes and ellipses, by formula and by shapely."""
    size = (frame.width or 1, frame.height or 1)
    if isinstance(item.geometry, g.RotatedBox):
        one = item.geometry
        corners = slow_model.corners([one.x, one.y, one.width, one.height, one.theta])
        ring = made["segmentation"][0]
        told = list(zip(ring[::2], ring[1::2], strict=True))
        flat = [value for corner in corners for value in corner]
        judge.check("turned box, formula", where, told, corners, agree=_near(ring, flat, size))
        hull = [min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])]
        box = [hull[0], hull[1], hull[2] - hull[0], hull[3] - hull[1]]
        judge.check("turned box, hull", where, made["bbox"], box, agree=_near(made["bbox"], box, size))
        if judged:
            theirs = [tuple(corner) for corner in judged["corners"]]
            judge.check("turned box, shapely", where, told, theirs, agree=_same_points(told, theirs, size))
    elif isinstance(item.geometry, g.Ellipse):
        turned = item.geometry
        hull = slow_model.ellipse_hull([turned.x, turned.y, turned.rx, turned.ry, turned.theta])
        within = all(abs(a - b) <= 2 + 0.01 * max(size) for a, b in zip(made["bbox"], hull, strict=True))
        judge.check("ellipse, hull to 2 px and 1 %", where, made["bbox"], hull, agree=within)
        area = math.pi * turned.rx * turned.ry
        edge = 2 * math.pi * max(turned.rx, turned.ry) + 4  # pixels that the outline can gain or lose
        judge.check("ellipse, area", where, made["area"], area, agree=abs(made["area"] - area) <= edge)


def _compare_shape(
    judge: Judge,
    where: tuple[Any, ...],
    made: Json,
    theirs: Json,
    frame: Frame,
    item: ObjectInstance,
    entry: Json,
    sdk: Json,
) -> None:
    size = (frame.width or 1, frame.height or 1)
    match item.geometry:
        case g.Polygon():
            judged = sdk["judged"].get(f"{where[1]} {where[2]}", {})
            _compare_polygon(judge, where, made, theirs, size, entry, judged)
        case g.Bitmask():
            offset = entry["bitmask"]["top"] or entry["bitmask"]["left"]
            known = "mask_offsets" if offset else None
            mine, told = _decoded(made["segmentation"], size), _decoded(theirs["segmentation"], size)
            judge.check("COCO mask pixels", where, "", "", agree=_equal(mine, told), known=known)
            judge.same("COCO mask counts", where, made["segmentation"], theirs["segmentation"], known)
            judge.same("COCO bbox bitmask", where, [float(v) for v in made["bbox"]], theirs["bbox"], known)
            judge.same("COCO area bitmask", where, float(made["area"]), theirs["area"])
        case g.RotatedBox(x, y, w, h, theta):
            judge.check(
                "COCO bbox turned box",
                where,
                [x, y, w, h],
                theirs["bbox"],
                agree=_near([x, y, w, h], theirs["bbox"], size),
            )
            turn = abs(theta - theirs["attributes"]["rotation"]) % 360
            judge.check(
                "COCO rotation", where, theta, theirs["attributes"]["rotation"], agree=min(turn, 360 - turn) < ROUNDED
            )
            if not _near(made["bbox"], theirs["bbox"], size):
                judge.seen("rotation_dropped")
            _compare_area(judge, where, made, theirs, size)
        case g.Point() | g.Skeleton():
            joints = [entry["skeleton"][key] for key in sorted(entry.get("skeleton", {}), key=int)]
            _compare_keypoints(judge, where, made, theirs, item, size, [slow_model.visibility(one) for one in joints])
        case _:
            _compare_plain(judge, where, made, theirs, item, size)


def _compare_plain(
    judge: Judge, where: object, made: Json, theirs: Json, item: ObjectInstance, size: tuple[int, int]
) -> None:
    """Boxes and polylines: the same numbers, but where we clip."""
    known = "clipped" if _outside([*theirs["segmentation"][0]], size) else None
    for field in ("bbox", "segmentation"):
        mine, told = made[field], theirs[field]
        if field == "segmentation":
            mine, told = mine[0], told[0]
            told = _without_repeat(told) if item.shape == "polyline" else told
            mine = _without_repeat(mine) if item.shape == "polyline" else mine
        judge.check(f"COCO {field} {item.shape}", where, mine, told, agree=_near(mine, told, size), known=known)
    _compare_area(judge, where, made, theirs, size, known)


def _compare_polygon(
    judge: Judge, where: object, made: Json, theirs: Json, size: tuple[int, int], entry: Json, judged: Json
) -> None:
    nested = entry.get("polygons") or []
    if len(nested) > 1 or (nested and len(nested[0]) > 1):
        _compare_fill(judge, where, made, theirs, size)
        return
    told = theirs["segmentation"][0]
    differs = bool(nested) and not _near(expected("polyline", inside("polyline", nested[0][0]), *size), told, size)
    known = "polygon_key" if differs else ("clipped" if _outside(told, size) else None)
    judge.check(
        "COCO segmentation polygon",
        where,
        made["segmentation"][0],
        told,
        agree=_near(made["segmentation"][0], told, size),
        known=known,
    )
    judge.check(
        "COCO bbox polygon",
        where,
        made["bbox"],
        theirs["bbox"],
        agree=_near(made["bbox"], theirs["bbox"], size),
        known=known,
    )
    simple = judged.get("simple", True)
    _compare_area(judge, where, made, theirs, size, known or (None if simple else "self_crossing"))


def _compare_fill(judge: Judge, where: object, made: Json, theirs: Json, size: tuple[int, int]) -> None:
    """Several rings: the same pixels, but for one along the edges."""
    mine, told = _decoded(made["segmentation"], size), _decoded(theirs["segmentation"], size)
    if mine is None or told is None:
        judge.check("several rings, size", where, made["segmentation"], theirs["segmentation"], agree=False)
        return
    both, either = int((mine & told).sum()), int((mine | told).sum())
    thick = min(theirs["bbox"][2:]) >= LEAST_SIDE * 3
    if int(mine.sum()) > LEAST_AREA and thick:
        judge.check("several rings, IoU", where, both / either, f">= {LEAST_IOU}", agree=both >= LEAST_IOU * either)
    far = (mine != told) & ~(_edges(mine) | _edges(told)).astype(bool)
    judge.check("several rings, differ at edges only", where, int(far.sum()), 0, agree=not far.any())
    if not np.array_equal(mine, told):
        judge.seen("filled_by_cv2")


def _edges(mask: Pixels) -> Pixels:
    """Pixels within two of an edge of the mask."""
    found = np.zeros_like(mask)
    found[:, 1:] |= mask[:, 1:] ^ mask[:, :-1]
    found[1:, :] |= mask[1:, :] ^ mask[:-1, :]
    found[0], found[-1], found[:, 0], found[:, -1] = (
        found[0] | mask[0],
        found[-1] | mask[-1],
        found[:, 0] | mask[:, 0],
        found[:, -1] | mask[:, -1],
    )
    for _ in range(2):
        grown = found.copy()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        found = grown
    return found


def _compare_area(
    judge: Judge, where: object, made: Json, theirs: Json, size: tuple[int, int], known: str | None = None
) -> None:
    limit = ROUNDED * (size[0] * size[1] + 2 * sum(size) + 1)
    agree = abs(made["area"] - theirs["area"]) <= limit
    judge.check("COCO area", where, made["area"], theirs["area"], agree=agree, known=known)


def _compare_keypoints(
    judge: Judge, where: object, made: Json, theirs: Json, item: ObjectInstance, size: tuple[int, int], seen: list[int]
) -> None:
    judge.seen("point_mask")
    mine, told = made["keypoints"], list(theirs["keypoints"])
    for index, visibility in enumerate(seen):
        if told[3 * index + 2] != visibility:
            judge.seen("visibility_word")
            told[3 * index + 2] = visibility
    for start in range(0, len(told), 3):
        if told[start + 2] == 0:
            judge.seen("invisible_joint")
            told[start], told[start + 1] = 0, 0
    known = "clipped" if _outside([v for i, v in enumerate(told) if i % 3 < 2], size) else None
    judge.check(f"COCO keypoints {item.shape}", where, mine, told, agree=_near(mine, told, size), known=known)
    judge.check(
        f"COCO bbox {item.shape}",
        where,
        made["bbox"],
        theirs["bbox"],
        agree=_near(made["bbox"], theirs["bbox"], size),
        known=known,
    )
    fewer = "num_keypoints" if made["num_keypoints"] == sum(v > 0 for v in told[2::3]) else None
    judge.same("COCO num_keypoints", where, made["num_keypoints"], theirs["num_keypoints"], fewer)


def _compare_flags(judge: Judge, where: object, made: Json, theirs: Json, item: ObjectInstance) -> None:
    known = "iscrowd" if made["iscrowd"] == 0 and item.shape in ("bitmask", "polygon") else None
    judge.same("COCO iscrowd", where, made["iscrowd"], theirs["iscrowd"], known)
    mine, told = made["attributes"]["manual_annotation"], theirs["attributes"]["manual_annotation"]
    judge.same("COCO manual_annotation", where, mine, told)


def _compare_answers(
    judge: Judge, where: tuple[Any, ...], row: Json, ontology: Json, item: ObjectInstance, made: Json, theirs: Json
) -> None:
    """Answers by attribute name, of the outermost attributes; checklists the exporter writes tick by tick."""
    mine = made["attributes"]["classifications"]
    told = theirs["attributes"].get("classifications", {})
    slow = slow_model.answers_at(row, str(where[2]), int(where[1]))
    cls = next(one for one in ontology["objects"] if one["featureNodeHash"] == item.feature_hash)
    outermost = {one["featureNodeHash"]: one for one in cls.get("attributes", [])}
    _compare_names(judge, where, cls, mine, slow)
    judge.known["exporter", "nested_dropped"] += len(slow.keys() - outermost.keys())
    for attribute in outermost.values():
        if attribute["type"] == "checklist":
            ticked: Any = sorted(one["label"] for one in attribute["options"] if told.get(one["label"]))
            given = mine.get(attribute["name"], [])
            own: Any = sorted([given] if isinstance(given, str) else given)
        else:
            ticked, own = told.get(attribute["name"]), mine.get(attribute["name"])
        known = "dynamic_by_image_id" if attribute["dynamic"] else _renamed(row, str(where[2]), attribute)
        judge.same("COCO answers", (*where, attribute["name"]), own, ticked, known)


def _compare_names(judge: Judge, where: object, cls: Json, mine: Json, slow: Json) -> None:
    """Our answers by name against those of the slow model by hash, nested and dynamic ones among them."""
    for attribute in all_attributes(cls):
        key, name = attribute["featureNodeHash"], attribute["name"]
        told, own = slow.get(key), mine.get(f"{name} [{key}]", mine.get(name))
        own = None if own in ("", []) else own
        if not isinstance(told, list):
            judge.same("COCO answers, slow model", (where, name), own, told)
            continue
        labels = {one["label"] for one in attribute["options"]} | {name}  # exports may name an option so
        given = [own] if isinstance(own, str) else own or []
        agree = len(given) == len(told) and set(given) <= labels
        judge.check("COCO answers, slow model", (where, name), own, told, agree=agree)


def _renamed(row: Json, object_hash: str, attribute: Json) -> str | None:
    """The deviation, where an answer does not call its option as the ontology does."""
    labels = {one["featureNodeHash"]: one["label"] for one in attribute.get("options", [])}
    entries = row["object_answers"].get(object_hash, {}).get("classifications", [])
    own = [one["answers"] for one in entries if one["featureHash"] == attribute["featureNodeHash"]]
    named = [option for given in own if isinstance(given, list) for option in given]
    differ = any(labels.get(option["featureHash"]) != option["name"] for option in named)
    return "answer_by_name" if differ or len(own) > 1 else None


def _near(one: list[float], other: list[float], size: tuple[int, int]) -> bool:
    return close(one, other, size[0] + 1, size[1] + 1)


def _same_points(one: list[Any], other: list[Any], size: tuple[int, int]) -> bool:
    """The same points, wherever the ring starts and whichever way it runs."""
    limit = ROUNDED * (max(size) + 1)
    return all(min(math.dist(a, b) for b in other) <= limit for a in one)


def _outside(flat: list[float], size: tuple[int, int]) -> bool:
    limits = [size[index % 2] for index in range(len(flat))]
    return any(value < 0 or value > limit for value, limit in zip(flat, limits, strict=True))


def _without_repeat(flat: list[float]) -> list[float]:
    """A line there and back without the points that it repeats at its end or turn."""
    points = list(zip(flat[::2], flat[1::2], strict=True))
    kept = [one for index, one in enumerate(points) if index == 0 or math.dist(one, points[index - 1]) > ROUNDED]
    return [value for one in kept for value in one]


def _decoded(segmentation: Any, size: tuple[int, int]) -> Pixels | None:
    """The pixels of a COCO segmentation, None where they are not of the frame's size."""
    width, height = size
    if isinstance(segmentation, dict):
        if segmentation["size"] != [height, width]:
            return None
        code: Any = {"size": segmentation["size"], "counts": segmentation["counts"].encode()}
    else:
        code = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    pixels: Pixels = coco_mask.decode(code)
    return pixels


def _equal(one: Pixels | None, other: Pixels | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)
