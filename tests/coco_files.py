"""Encord's COCO export as plain JSON, as its exporter writes it: every test says only what it is about."""

from typing import Any

import numpy as np
from pycocotools import mask as coco_masks

WIDTH, HEIGHT = 40, 30
SHAPES = ["bounding_box", "rotatable_bounding_box", "polygon", "polyline", "bitmask", "point", "skeleton"]
CORNERS = [4.0, 5.0, 14.0, 5.0, 14.0, 8.0, 4.0, 8.0]
MASK = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
MASK[3:9, 5:17] = 1
MASK[12, 39] = 1


def code_of(pixels: Any) -> dict[str, Any]:
    """The run-length code that pycocotools gives a mask."""
    code = coco_masks.encode(np.asfortranarray(pixels))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode()}


def annotation(shape: str = "bounding_box", name: str = "object01", **changes: object) -> dict[str, Any]:
    """An annotation as Encord's exporter writes it; `attributes` among the changes are added."""
    drawn: dict[str, dict[str, Any]] = {
        "bounding_box": {"bbox": [4.0, 5.0, 10.0, 3.0], "segmentation": [CORNERS]},
        "rotatable_bounding_box": {"bbox": [4.0, 5.0, 10.0, 3.0], "segmentation": [CORNERS]},
        "polygon": {"segmentation": [[1.0, 1.0, 9.5, 1.0, 9.5, 7.25]]},
        "polyline": {"segmentation": [[1.0, 2.0, 8.0, 3.0, 9.0, 20.0, 9.0, 20.0, 8.0, 3.0, 1.0, 2.0]]},
        "bitmask": {"segmentation": code_of(MASK), "iscrowd": 1},
        "point": {"segmentation": [[3.5, 4.25]], "keypoints": [3.5, 4.25, 2.0]},
        "skeleton": {"segmentation": [], "keypoints": [1.0, 2.0, 2.0, 3.0, 4.0, 1.0, 5.0, 6.0, 0.0]},
    }
    attributes: dict[str, Any] = {"track_id": 0, "encord_track_uuid": name, "manual_annotation": True}
    if shape == "rotatable_bounding_box":
        attributes["rotation"] = 30.0
    attributes |= changes.pop("attributes", {})  # type: ignore[call-overload]  # of free JSON
    base: dict[str, Any] = {
        "area": 0.0,
        "bbox": [0.0, 0.0, 0.0, 0.0],
        "category_id": SHAPES.index(shape) + 1 if shape in SHAPES else 99,
        "image_id": 0,
        "iscrowd": 0,
        "keypoints": None,
        "num_keypoints": None,
    }
    return base | drawn.get(shape, {}) | {"attributes": attributes} | changes


def image(file_name: str = "images/data-0.jpg", **changes: object) -> dict[str, Any]:
    """An image."""
    base = {"coco_url": "cord/x?X-Goog-Signature=1", "image_title": "Jane Doe.jpg", "width": WIDTH, "height": HEIGHT}
    return base | {"file_name": file_name} | changes


def document(annotations: list[Any], images: list[Any] | None = None, **changes: object) -> dict[str, Any]:
    """A COCO export; images and annotations without an id are counted from 0."""
    images = [image()] if images is None else images
    base = {
        "info": {"description": "Jane Doe.jpg"},
        "categories": [{"supercategory": shape, "id": i + 1, "name": f"a {shape}"} for i, shape in enumerate(SHAPES)],
        "images": [{"id": index} | one if isinstance(one, dict) else one for index, one in enumerate(images)],
        "annotations": [{"id": i} | one if isinstance(one, dict) else one for i, one in enumerate(annotations)],
    }
    return base | changes
