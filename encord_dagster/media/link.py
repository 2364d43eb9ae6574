"""Links to pictures where COCO readers and YOLO look for them. Nothing is copied."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from encord_dagster.errors import UsageError
from encord_dagster.formats.yolo import image_path

Way = Literal["symbolic", "hard"]


def link(paths: Mapping[str, str], *, folder: Path, checkout: Path, way: Way) -> int:
    """Link pictures, given by their file names, into a checkout; how many links there are then.

    A COCO reader is given the checkout as its root, and finds `file_name` below it. Beside the labels of each kind of
    YOLO lies `images/`. Links that are there are left, so a second run adds what was missing.

    Raises:
        UsageError: a file that is no link to the picture stands in the place of one.
    """
    roots = sorted(path for path in checkout.glob("yolo_*") if path.is_dir())
    made: set[str] = set()  # folders
    count = 0
    for name, path in paths.items():
        source = (folder / path).resolve()
        for target in (checkout / name, *(root / image_path(name) for root in roots)):
            if str(target.parent) not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(str(target.parent))
            _linked(source, target, way)
            count += 1
    return count


def _linked(source: Path, target: Path, way: Way) -> None:
    try:
        if way == "symbolic":
            target.symlink_to(source)
        else:
            os.link(source, target)
    except FileExistsError as error:
        if not target.exists() or not target.samefile(source):
            raise UsageError(f"{target} is there already, and is not {source}; remove it") from error
