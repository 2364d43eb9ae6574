"""Real exports and the ontologies that fit them, where they are at hand; read in place."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from tests.factories import REAL_EXPORTS

Json = dict[str, Any]
PIXELS = frozenset({"image", "img_group", "video", "dicom", "nifti"})


def exports() -> Iterator[tuple[str, Json, list[Json]]]:
    """Name, ontology and rows of each real export that has pixels and an ontology."""
    folder = REAL_EXPORTS
    if not folder.is_dir():
        print(f"real exports: {folder} is not there, so they were left out; ENCORD_REAL_EXPORTS names another folder")
        return
    ontologies = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("**/*.ontology.json"))]
    for path in (folder / "platform_rows.json", *sorted((folder / "fixture_rows").glob("*.rows.json"))):
        document = json.loads(path.read_text("utf-8"))
        rows = [row for row in (document if isinstance(document, list) else [document]) if _has_pixels(row)]
        fitting = [one for one in ontologies if rows and _classes(rows) <= _hashes(one)]
        if fitting:
            yield f"real {path.name.removesuffix('.json')}", fitting[0], rows
        elif rows:
            print(f"real exports: no ontology fits {path.name}, so it was left out")


def lifted(row: Json) -> Json:
    """A copy whose classifications of frames are ranges in their answers too, as newer SDKs want them."""
    row = copy.deepcopy(row)
    for unit in row["data_units"].values():
        labels = unit["labels"]
        flat = "objects" in labels or "classifications" in labels
        for number, frame in ({unit["data_sequence"]: labels} if flat else labels).items():
            for entry in frame.get("classifications", []):
                answer = row["classification_answers"].get(entry["classificationHash"])
                if answer is not None:
                    answer.setdefault("featureHash", entry["featureHash"])
                    answer.setdefault("range", []).append([int(number), int(number)])
    return row


def _has_pixels(row: Json) -> bool:
    return row.get("data_type") in PIXELS and all("width" in unit for unit in row["data_units"].values())


def _classes(rows: list[Json]) -> set[str]:
    found: set[str] = set()
    for row in rows:
        for unit in row["data_units"].values():
            labels = unit["labels"]
            frames = [labels] if "objects" in labels or "classifications" in labels else list(labels.values())
            for frame in frames:
                found |= {one["featureHash"] for kind in ("objects", "classifications") for one in frame.get(kind, [])}
    return found


def _hashes(ontology: Json) -> set[str]:
    return {one["featureNodeHash"] for kind in ("objects", "classifications") for one in ontology.get(kind, [])}
