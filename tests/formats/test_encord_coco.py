"""Encord's own COCO shape, field by field beside what the SDK's exporter writes (`make oracle` for that)."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats.encord_coco import flat
from encord_dagster.samples import catalogue
from tests import factories
from tests.lakes import Desk, project_export
from tests.published import Json, opened
from tests.written import checked_out, desk_of, document, losses

SDK = Path(__file__).parents[2] / ".make" / "oracle-0.1.211" / "bin" / "python"
EXPORTER = """
import json, sys
from encord.objects.ontology_structure import OntologyStructure
from encord.utilities.coco.exporter import CocoExporter
structure = OntologyStructure.from_dict(json.load(open(sys.argv[1])))
rows = json.load(open(sys.argv[2]))
json.dump([CocoExporter(labels_list=[row], ontology=structure).export() for row in rows], open(sys.argv[3], "w"))
"""
ONTOLOGY = msgspec.json.encode(catalogue.document())


def test_fields_are_those_of_the_sdk(tmp_path: Path) -> None:
    """On all data types and shapes: the same keys in the same order, and values that differ only as documented."""
    if not SDK.exists():
        pytest.skip("Encord's SDK has an environment of its own, which is not there: make oracle")
    export = project_export(30)
    config = LabelSetConfig(name="street", publish=("titles", "links"), ontology=ONTOLOGY.decode())
    desk = Desk(config=config)
    desk.bring("one.json", export)
    ours = document(checked_out(tmp_path / "out", desk, "encord_coco", ontology=config.ontology), "encord_coco")
    theirs = _exported(tmp_path, export)
    differ = Counter[str]()

    for told in theirs:
        assert list(told) == list(ours) == ["info", "categories", "images", "annotations"]
        assert list(told["info"]) == list(ours["info"])
    for mine, told in zip(ours["categories"], theirs[0]["categories"], strict=True):
        joints = {"keypoints", "skeleton"}  # of points a string there, of skeletons not there
        assert {key: mine[key] for key in mine.keys() - joints} == {key: told[key] for key in told.keys() - joints}
    images = {_place(one): one for one in ours["images"]}
    records = {(one["image_id"], one["attributes"]["encord_track_uuid"]): one for one in ours["annotations"]}
    assert len(images) == len(ours["images"]) == sum(len(told["images"]) for told in theirs)
    assert len(records) == len(ours["annotations"]) == sum(len(told["annotations"]) for told in theirs)
    for told in theirs:
        slices = _slices(told)
        for image in told["images"]:
            mine = images[slices.get(image["id"], image["file_name"])]
            assert list(mine) == list(image)
            differ.update(filter(None, (_differs(key, mine, image) for key in image)))
            for one in told["annotations"]:
                if one["image_id"] == image["id"]:
                    same = records[mine["id"], one["attributes"]["encord_track_uuid"]]
                    assert list(same) == list(one)
                    differ.update(_differences(same, one, _shape(ours, same)))

    assert set(differ) == {
        "file_name of a slice",
        "rotatable_bounding_box bbox",
        "rotatable_bounding_box segmentation",
        "point segmentation",
        "skeleton segmentation",
        "skeleton keypoints",
        "skeleton num_keypoints",
        "bitmask iscrowd",
        "polygon of several rings area",
        "polygon of several rings bbox",
        "polygon of several rings iscrowd",
        "polygon of several rings segmentation",
        "classifications: dynamic",
        "classifications: nested",
    }


def _exported(folder: Path, export: bytes) -> list[Json]:
    """What the exporter makes of each row alone: of several it gives all the dynamic answers of the first."""
    rows, ontology, answer = folder / "rows.json", folder / "ontology.json", folder / "answer.json"
    rows.write_bytes(export)
    ontology.write_bytes(ONTOLOGY)
    command: list[str | Path] = [SDK, "-I", "-c", EXPORTER, ontology, rows, answer]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[Json] = json.loads(answer.read_bytes())
    return found


def _place(image: Json) -> str:
    return str(image["file_name"])


def _slices(told: Json) -> dict[int, str]:
    """Our names of the slices of a DICOM series, which the exporter names by their SOP instance uids."""
    found: dict[int, str] = {}
    for number, image in enumerate(one for one in told["images"] if one["file_name"].startswith("dicom/")):
        found[image["id"]] = f"{image['file_name'].rpartition('/')[0]}/{number}"
    return found


def _shape(ours: Json, one: Json) -> str:
    return str(next(known["supercategory"] for known in ours["categories"] if known["id"] == one["category_id"]))


def _differs(key: str, mine: Json, told: Json) -> str | None:
    if key == "id" or mine[key] == told[key]:
        return None
    if key == "coco_url":
        assert mine[key] == told[key].partition("?")[0]
        return None
    return f"{key} of a slice" if "/dicom" in f"/{told[key]}" else key


def _differences(mine: Json, told: Json, shape: str) -> Iterator[str]:
    if shape == "polygon" and isinstance(told["segmentation"], dict):
        shape = "polygon of several rings"  # which OpenCV fills a pixel too far
    for key in ("area", "bbox", "category_id", "iscrowd", "segmentation", "keypoints", "num_keypoints"):
        if not _near(mine[key], told[key]):
            yield f"{shape} {key}"
    own, given = mine["attributes"], told["attributes"]
    assert list(own) == list(given)
    for key in ("encord_track_uuid", "manual_annotation", "rotation"):
        assert own.get(key) == given.get(key)
    answers, dynamic = own["classifications"], _dynamic(shape.removesuffix(" of several rings"))
    for name in answers.keys() | given["classifications"].keys():
        if name in dynamic:
            yield "classifications: dynamic"
        elif name not in given["classifications"]:
            yield "classifications: nested"
        else:
            assert answers[name] == given["classifications"][name], name


def _dynamic(shape: str) -> set[str]:
    """Names of answers that change over frames, of which the exporter gives those of another frame."""
    found = set[str]()
    for cls in catalogue.document().objects:
        if cls.shape == shape:
            for attribute in cls.attributes:
                options = attribute.options if isinstance(attribute.options, tuple) else ()
                if attribute.dynamic:
                    found |= {attribute.name, *(option.label for option in options)}
    return found


def _near(mine: Any, told: Any) -> bool:
    """Equal up to the six decimals that we write."""
    if isinstance(mine, list) and isinstance(told, list):
        return len(mine) == len(told) and all(map(_near, mine, told))
    if isinstance(mine, float | int) and isinstance(told, float | int):
        return abs(mine - told) <= 1e-5
    return bool(mine == told)


def test_ids_count_and_pycocotools_reads_all(tmp_path: Path) -> None:
    """Images and tracks from 0 in file order, annotations from 1; every segmentation decodes, with its area."""
    desk = Desk()
    desk.bring("one.json", project_export(12))
    folder = checked_out(tmp_path, desk, "coco", "encord_coco")
    ours, coco = document(folder, "encord_coco"), document(folder)

    assert [one["id"] for one in ours["images"]] == list(range(len(coco["images"])))
    assert [one["id"] for one in ours["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    tracks = [one["attributes"]["track_id"] for one in ours["annotations"]]
    assert list(dict.fromkeys(tracks)) == list(range(len(set(tracks))))
    assert len(set(tracks)) == len({one["attributes"]["track_id"] for one in coco["annotations"]})
    index = opened(ours)
    for mine, same in zip(ours["annotations"], coco["annotations"], strict=True):
        assert index.annToMask(mine).shape == (
            ours["images"][mine["image_id"]]["height"],
            ours["images"][mine["image_id"]]["width"],
        )
        assert (mine["area"], mine["bbox"], mine["segmentation"]) == (same["area"], same["bbox"], same["segmentation"])


def test_what_is_not_published_is_empty(tmp_path: Path) -> None:
    """Titles and links may name people: the fields are there, and say nothing; names end as media types do."""
    folder = checked_out(tmp_path, desk_of(factories.image_row(factories.box())), "encord_coco")
    assert document(folder, "encord_coco")["images"] == [
        {
            "coco_url": "",
            "id": 0,
            "image_title": "",
            "file_name": "images/data-0.jpg",
            "height": factories.HEIGHT,
            "width": factories.WIDTH,
        }
    ]
    assert losses(folder) == {}


def test_each_split_counts_for_itself(tmp_path: Path) -> None:
    """Each file has ids from its first on, also of a video whose rows share it."""
    rows = [
        factories.changed(factories.image_row(factories.box(), label_hash=f"row-{n}"), f"d{n}", *_DATA_HASH)
        for n in range(6)
    ]

    folder = checked_out(
        tmp_path, desk_of(*rows), "encord_coco", splits={"train": 0.5, "val": 0.5}, coco_per_split=True
    )

    files = [document(folder, f"encord_coco_{split}") for split in ("train", "val")]
    for file in files:
        assert [one["id"] for one in file["images"]] == list(range(len(file["images"])))
        assert [one["attributes"]["track_id"] for one in file["annotations"]] == list(range(len(file["images"])))
    assert sum(len(file["images"]) for file in files) == 6
    assert all(file["images"] for file in files)


_DATA_HASH = ("data_units", "data-0", "data_hash")


def test_ticks_stand_by_their_own_names() -> None:
    """None is lost where an option is called as an attribute, or as an option of another checklist."""
    answers: dict[str, Any] = {"state": ["wet", "colour"], "colour": "red", "load": ["wet"], "empty": []}

    assert flat(answers, {}) == {"colour": "red", "wet": True, "colour [state]": True, "wet [load]": True}
    ticked = {"wet": True, "dry": False, "colour [state]": True, "wet [load]": True, "new": False}
    assert flat(answers, {"state": ["dry", "wet"], "empty": ["new"]}) == {"colour": "red"} | ticked
