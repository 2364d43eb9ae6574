"""The vendor's CocoExporter on a whole file: `sdk.py whole|rows EXPORT ONTOLOGY COCO`. Runs in the SDK's environment.

`whole` is one exporter over all rows, as the SDK is used. `rows` is one exporter for each row and the outputs joined,
which spares it the walk over all images for every object: its best case, though nobody runs it so.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def main(how: str, export: str, ontology: str, coco: str) -> None:
    """Load, export, write."""
    from encord.objects.ontology_structure import OntologyStructure

    logging.disable(logging.WARNING)
    structure = OntologyStructure.from_dict(json.loads(Path(ontology).read_text("utf-8")))
    with Path(export).open("rb") as file:
        rows = json.load(file)
    made = _export(rows, structure) if how == "whole" else _joined(rows, structure)
    with Path(coco).open("w", encoding="utf-8") as file:
        json.dump(made, file)


def _export(rows: list[Json], structure: Any) -> Json:
    from encord.utilities.coco.exporter import CocoExporter

    made: Json = CocoExporter(labels_list=rows, ontology=structure).export()
    return made


def _joined(rows: list[Json], structure: Any) -> Json:
    """The outputs of one exporter a row, with images, annotations and tracks numbered on."""
    whole: Json = {}
    tracks = 0
    for row in rows:
        made = _export([row], structure)
        if not whole:
            whole = made | {"images": [], "annotations": []}
        images, annotations = len(whole["images"]), len(whole["annotations"])
        for image in made["images"]:
            image["id"] += images
        highest = -1
        for annotation in made["annotations"]:
            annotation["id"] += annotations
            annotation["image_id"] += images
            attributes = annotation["attributes"]
            if (track := attributes.get("track_id")) is not None:
                highest = max(highest, track)
                attributes["track_id"] = track + tracks
        tracks += highest + 1
        whole["images"] += made["images"]
        whole["annotations"] += made["annotations"]
    return whole


if __name__ == "__main__":
    main(*sys.argv[1:])
