"""Mask PNGs of 720p frames with eight bitmasks on average: ours, and as one would write it with Pillow."""

import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from benchmarks.figures import Figure, show
from benchmarks.generate import export_rows
from benchmarks.profiles import HEIGHT, WIDTH
from encord_dagster.encord.container import iter_rows
from encord_dagster.encord.label_rows import read_row
from encord_dagster.encord.model import Frame
from encord_dagster.formats.masks import MaskPngs, mask_pngs
from encord_dagster.formats.palette import palette

FRAMES = 40
ROUNDS = 3
Drawn = list[tuple[str, int]]  # run-length string and category id of each object


def main() -> None:
    """Measure both, and compare their pixels."""
    rows = [row for _, row in zip(range(FRAMES), export_rows("bitmasks", "S", seed=2), strict=False)]
    frames = [frame for raw in iter_rows(msgspec.json.encode(rows)) for frame in read_row(raw).row.frames]
    drawn = [[(one["bitmask"]["rleString"], one["featureHash"]) for one in _objects(row)] for row in rows]
    hashes = sorted({feature for objects in drawn for _, feature in objects})
    ids = {feature: number for number, feature in enumerate(hashes, start=1)}
    numbered = [[(code, ids[feature]) for code, feature in objects] for objects in drawn]
    for frame, objects in zip(frames, numbered, strict=True):
        _compare(mask_pngs(frame, ids), objects)
    naive = _milliseconds(lambda: [(_semantic(objects), _instance(objects)) for objects in numbered])
    ours = _milliseconds(lambda: [mask_pngs(frame, ids) for frame in frames])
    sizes = [_sizes(frame, ids) for frame in frames]
    show(
        [
            Figure(
                "mask PNGs, ours: semantic and instance", ours, "ms CPU/image", f"{statistics.mean(sizes):.0f} bytes"
            ),
            Figure("mask PNGs, naive: semantic and instance", naive, "ms CPU/image", "decode each, paint, Pillow"),
            Figure(
                "mask PNGs, naive: semantic alone",
                _milliseconds(lambda: [_semantic(objects) for objects in numbered]),
                "ms CPU/image",
            ),
            Figure("mask PNGs, naive / ours", naive / ours, "x"),
        ]
    )


def _objects(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The object entries of an image row."""
    return [entry for unit in row["data_units"].values() for entry in unit["labels"]["objects"]]


def _milliseconds(work: Callable[[], object]) -> float:
    """CPU of one frame: the median of some rounds."""
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        found.append((time.process_time() - started) / FRAMES * 1000)
    return statistics.median(found)


def _decoded(code: str) -> NDArray[np.uint8]:
    """Pixels [y, x]: row-major runs are column-major ones of the frame on its side."""
    return np.asarray(coco.decode({"size": [WIDTH, HEIGHT], "counts": code.encode()}).T)


def _semantic(objects: Drawn) -> bytes:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    for code, category in objects:
        canvas[_decoded(code) == 1] = category
    image = Image.fromarray(canvas).convert("P")
    image.putpalette(palette(max((category for _, category in objects), default=0)))
    return _saved(image)


def _instance(objects: Drawn) -> bytes:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint16)
    for number, (code, _) in enumerate(objects, start=1):
        canvas[_decoded(code) == 1] = number
    return _saved(Image.fromarray(canvas))


def _saved(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _compare(ours: MaskPngs | None, objects: Drawn) -> None:
    """Pillow must read the same pixels in ours as in its own."""
    assert ours is not None  # noqa: S101 - frames have a size
    for mine, theirs in ((ours.semantic, _semantic(objects)), (ours.instance, _instance(objects))):
        one, other = (np.asarray(Image.open(io.BytesIO(data))) for data in (mine, theirs))
        if not np.array_equal(one, other):
            raise SystemExit("the mask PNGs differ from those painted naively: their time says nothing")


def _sizes(frame: Frame, ids: dict[str, int]) -> int:
    made = mask_pngs(frame, ids)
    return len(made.semantic) + len(made.instance) if made else 0


if __name__ == "__main__":
    main()
