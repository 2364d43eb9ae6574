"""The inputs that benchmarks run on: what is in each, and how much of it."""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

WIDTH, HEIGHT = 1280, 720  # pixels of every frame
GROUP_IMAGES = 60
SHORT_VIDEO = 60  # frames
LONG_VIDEO = 1000
SLICES = 60

Kind = Literal["boxes", "polygons", "bitmasks", "group", "video", "dicom"]
Json = dict[str, Any]


class Part(msgspec.Struct, frozen=True):
    """Label rows of one kind; `frames` is the length of a row where its kind has several."""

    kind: Kind
    rows: int
    frames: int = 1


PROFILES = ("boxes", "polygons", "bitmasks", "groups", "video", "video-long", "dicom", "mixed")
SIZES: dict[str, dict[str, tuple[Part, ...]]] = {
    "XS": {  # for tests of the benchmarks themselves
        "boxes": (Part("boxes", 12),),
        "polygons": (Part("polygons", 12),),
        "bitmasks": (Part("bitmasks", 12),),
        "groups": (Part("group", 2, 5),),
        "video": (Part("video", 2, 20),),
        "dicom": (Part("dicom", 2, 8),),
        "mixed": tuple(Part(kind, 2, 8) for kind in ("boxes", "polygons", "bitmasks", "group", "video", "dicom")),
    },
    "S": {
        "boxes": (Part("boxes", 2000),),
        "polygons": (Part("polygons", 2000),),
        "bitmasks": (Part("bitmasks", 2000),),
        "groups": (Part("group", 30, GROUP_IMAGES),),
        "video": (Part("video", 30, SHORT_VIDEO),),
        "dicom": (Part("dicom", 30, SLICES),),
        "mixed": (
            *(Part(kind, 105) for kind in ("boxes", "polygons", "bitmasks")),
            Part("group", 2, GROUP_IMAGES),
            Part("video", 3, SHORT_VIDEO),
            Part("dicom", 2, SLICES),
        ),
    },
    "L": {
        "boxes": (Part("boxes", 16000),),
        "polygons": (Part("polygons", 4000),),
        "bitmasks": (Part("bitmasks", 4000),),
        "groups": (Part("group", 60, GROUP_IMAGES),),
        "video": (Part("video", 10, LONG_VIDEO),),
        "video-long": (Part("video", 40, LONG_VIDEO),),
        "dicom": (Part("dicom", 60, SLICES),),
        "mixed": (
            *(Part(kind, 720) for kind in ("boxes", "polygons", "bitmasks")),
            Part("group", 14, GROUP_IMAGES),
            Part("video", 18, SHORT_VIDEO),
            Part("dicom", 14, SLICES),
        ),
    },
    # growth of boxes with the number of rows: one, four and sixteen times as many
    "x1": {"boxes": (Part("boxes", 500),)},
    "x4": {"boxes": (Part("boxes", 2000),)},
    "x16": {"boxes": (Part("boxes", 8000),)},
}
GROWTH = ("x1", "x4", "x16")

_SHAPES = ("bounding_box", "polygon", "bitmask")
_COLOURS = ("#D33115", "#E27300", "#16406C", "#FE9200")
_NAMES = {
    "bounding_box": ("Car", "Delivery van", "Traffic light", "Person"),
    "polygon": ("Road", "Building", "Lane marking", "Tree"),
    "bitmask": ("Lesion", "Vessel", "Left kidney", "Spill"),
}
_STATES = ("good", "worn", "damaged")
_VISIBLE = ("fully", "partly", "hidden")
WORDS = ("near the kerb", "seen twice", "check again", "parked", "left of centre, low", "blurred by motion")


def classes(shape: str) -> list[Json]:
    """The ontology's classes of one shape."""
    return [one for one in ontology()["objects"] if one["shape"] == shape]


def ontology() -> Json:
    """The ontology document of every input: four classes a shape, each with two static and one dynamic attribute."""
    objects: list[Json] = []
    for shape in _SHAPES:
        for place, name in enumerate(_NAMES[shape]):
            uid = str(len(objects) + 1)
            feature = f"{shape[:2].upper()}class{place}"
            objects.append(
                {
                    "id": uid,
                    "name": name,
                    "color": _COLOURS[place],
                    "shape": shape,
                    "featureNodeHash": feature,
                    "required": False,
                    "attributes": [
                        _attribute(uid, 1, feature, "state", "radio", _STATES),
                        _attribute(uid, 2, feature, "remark", "text"),
                        _attribute(uid, 3, feature, "visible", "radio", _VISIBLE, dynamic=True),
                    ],
                }
            )
    return {"objects": objects, "classifications": []}


def write_ontology(path: Path) -> None:
    """The document as a file, which the vendor's exporter needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ontology()), "utf-8")


def _attribute(
    uid: str, number: int, feature: str, name: str, kind: str, options: tuple[str, ...] = (), *, dynamic: bool = False
) -> Json:
    own = f"{feature[:2]}{feature[-1]}at{number:03}"
    attribute: Json = {
        "id": f"{uid}.{number}",
        "name": name,
        "type": kind,
        "featureNodeHash": own,
        "required": False,
        "dynamic": dynamic,
    }
    if options:
        attribute["options"] = [
            {
                "id": f"{uid}.{number}.{i + 1}",
                "label": label,
                "value": label,
                "featureNodeHash": f"{own[:3]}op{number}{i}x",
            }
            for i, label in enumerate(options)
        ]
    return attribute
