"""What formats that are written at checkout hold, as a stranger reads it: checkouts, masks, polygons drawn again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as rle

from encord_dagster.formats.selection import Selection
from tests import factories
from tests.lakes import Desk
from tests.published import Json, opened

Mask = npt.NDArray[np.bool_]


def desk_of(*rows: Json) -> Desk:
    """A label set of these rows."""
    desk = Desk()
    desk.bring("rows.json", factories.encode(list(rows)))
    return desk


def checked_out(
    folder: Path, desk: Desk, *formats: str, dicom_headers: Path | None = None, ontology: str = "", **selection: Any
) -> Path:
    """A folder with the newest version in these formats."""
    version = desk.label_set().version()
    chosen = Selection(**selection)
    version.checkout(folder, formats=formats, selection=chosen, dicom_headers=dicom_headers, ontology=ontology)
    return folder


def document(folder: Path, name: str = "instances") -> Json:
    """A JSON file of annotations."""
    found: Json = json.loads((folder / "annotations" / f"{name}.json").read_bytes())
    return found


def losses(folder: Path) -> dict[str, int]:
    """The loss report, by code."""
    lines = json.loads((folder / "loss_report.json").read_bytes())["losses"]
    return {line["code"]: line["count"] for line in lines}


def report(folder: Path) -> Json:
    """What was chosen, and what became of everything."""
    found: Json = json.loads((folder / "selection.json").read_bytes())
    return found


def picture(path: Path) -> npt.NDArray[Any]:
    """The values of a PNG, by Pillow."""
    with Image.open(path) as image:
        return np.array(image)


def drawn(polygon: list[float], *, width: int, height: int) -> Mask:
    """The pixels of a polygon by pycocotools."""
    mask: Mask = rle.decode(rle.frPyObjects([polygon], height, width)[0]).astype(bool)
    return mask


def masks_of(coco: Json) -> dict[int, Mask]:
    """The pixels of every annotation by its id."""
    index = opened(coco)
    return {one["id"]: index.annToMask(one).astype(bool) for one in coco["annotations"]}


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union; 1 where both are empty."""
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0
