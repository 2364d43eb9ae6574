"""What reading an export costs at least: `python -m benchmarks.floors read|json|typed FILE OUT`.

`typed` decodes the fields that COCO needs into structs and encodes the same fields again: no design in pure Python
can cost less. Prints the CPU seconds of the work alone, without interpreter and imports.
"""

import gc
import json
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Raw


class Box(msgspec.Struct, gc=False):
    """A bounding box in fractions."""

    x: float
    y: float
    w: float
    h: float


class Point(msgspec.Struct, gc=False):
    """A point of an outline."""

    x: float
    y: float


class Bitmask(msgspec.Struct, gc=False):
    """A mask as run lengths."""

    width: int
    height: int
    rleString: str  # noqa: N815 - the platform's name


class Entry(msgspec.Struct, gc=False, omit_defaults=True, rename="camel"):
    """An object on a frame."""

    object_hash: str
    feature_hash: str
    manual_annotation: bool = True
    bounding_box: Box | None = None
    polygon: dict[str, Point] | None = None
    polygons: list[list[list[float]]] | None = None
    bitmask: Bitmask | None = None


class Labels(msgspec.Struct, gc=False):
    """What lies on a frame."""

    objects: list[Entry]


class Unit(msgspec.Struct, gc=False):
    """A data unit; its labels are decoded next, as its type says."""

    data_hash: str
    data_title: str
    width: int
    height: int
    labels: Raw


class Row(msgspec.Struct, gc=False):
    """A label row; answers and actions are copied, not opened."""

    label_hash: str
    data_type: str
    data_units: dict[str, Unit]
    object_answers: Raw
    object_actions: Raw


_ROWS = msgspec.json.Decoder(list[Row])
_FLAT = msgspec.json.Decoder(Labels)
_KEYED = msgspec.json.Decoder(dict[str, Labels])


def main(how: str, path: str, out: str) -> None:
    """Do the work of that name and print its CPU seconds."""
    gc.disable()
    started = time.process_time()
    data = Path(path).read_bytes()
    if how == "json":
        json.loads(data)
    elif how == "typed":
        _typed(data, Path(out))
    print(json.dumps({"cpu": time.process_time() - started}))


def _typed(data: bytes, out: Path) -> None:
    encoder = msgspec.json.Encoder()
    with out.open("wb") as file:
        for row in _ROWS.decode(data):
            keyed = row.data_type in ("video", "dicom")
            for unit in row.data_units.values():
                labels = _KEYED.decode(unit.labels) if keyed else _FLAT.decode(unit.labels)
                unit.labels = Raw(encoder.encode(labels))
            file.write(encoder.encode(row))


if __name__ == "__main__":
    main(*sys.argv[1:])
