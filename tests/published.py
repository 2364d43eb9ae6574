"""What was published, as a stranger sees it: COCO as plain JSON, pycocotools' own view, every text in a lake."""

import contextlib
import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools.coco import COCO

from encord_dagster.storage.protocol import ObjectStore
from tests.lakes import Desk

Json = dict[str, Any]


def coco_of(desk: Desk, version: int | str = "latest") -> Json:
    """The COCO file of a version as plain JSON."""
    document: Json = json.loads(desk.label_set().version(version).coco())
    return document


def opened(document: Json) -> Any:
    """The document as pycocotools opens it, without its chatter."""
    coco = COCO()
    coco.dataset = json.loads(json.dumps(document))
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def pixels(coco: Any, annotation: Json) -> npt.NDArray[np.bool_]:
    """The pixels of an annotation, [y, x], by pycocotools."""
    mask: npt.NDArray[np.bool_] = coco.annToMask(annotation).astype(bool)
    return mask


def texts(lake: ObjectStore, *, below: str = "") -> dict[str, str]:
    """Everything written outside raw/, by key: the bytes as they are, and for Parquet every value in it besides."""
    found: dict[str, str] = {}
    for info in lake.list(below):
        if not info.key.startswith("raw/"):
            found[info.key] = text_of(lake.get(info.key) or b"")
    return found


def text_of(data: bytes) -> str:
    """Bytes as text with which one can search; a Parquet file is unpacked."""
    text = data.decode("utf-8", "replace")
    if not data.startswith(b"PAR1"):
        return text
    table = pq.read_table(pa.BufferReader(data))
    return "\n".join((text, str(table.schema), json.dumps(table.to_pylist(), ensure_ascii=False, default=str)))


def leaks(texts_by_place: dict[str, str], secrets: set[str] | tuple[str, ...]) -> list[tuple[str, str]]:
    """(place, secret) of every secret that is to be read somewhere."""
    return [(place, secret) for place, text in texts_by_place.items() for secret in secrets if secret in text]
