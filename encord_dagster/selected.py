"""What of a version `checkout` and `convert` write: a selection out of a file and the command line, which decides."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from encord_dagster.errors import UsageError

if TYPE_CHECKING:
    from encord_dagster.formats.selection import Selection


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a selection; each is a field of `formats.selection.Selection`."""
    group = parser.add_argument_group(
        "selection", "What to write. What was chosen, and what each filter removed, is in selection.json."
    )

    def add(name: str, field: str, text: str, **more: object) -> None:
        if more.get("action") != "store_true":
            more["metavar"] = name.lstrip("-").replace("-", "_").upper()  # argparse would take the field's name
        group.add_argument(name, dest=f"selected_{field}", default=None, help=text, **more)  # type: ignore[arg-type]

    group.add_argument("--select", type=Path, metavar="FILE", help="JSON or YAML with these fields; options decide")
    add("--splits", "splits", "for instance train=0.8,val=0.1,test=0.1; new data moves no old image")
    add("--split-by", "split_by", "data_hash (default), label_hash, dataset_hash or title")
    add("--split-seed", "split_seed", "another text gives another division")
    add("--stratify", "stratify", "each class has its share in each split", action="store_true")
    text = "an earlier checkout: what it has in a split stays there, and only what is new is divided"
    group.add_argument("--splits-from", type=Path, metavar="DIR", help=text)
    add("--coco-per-split", "coco_per_split", "a COCO file for each split", action="store_true")
    add("--class", "classes", "NEW=OLD,OLD[attribute=option],...: again for the next class", action="append")
    add("--drop-class", "drop_classes", "a class to leave out; may be given again", action="append")
    add("--other-classes", "other_classes", "keep (default) or drop classes that --class does not name")
    add("--with-status", "label_statuses", "only rows of this label status; may be given again", action="append")
    add("--with-node", "workflow_nodes", "only rows at this workflow stage; may be given again", action="append")
    add("--frame-step", "frame_step", "every so manieth frame of videos and series", type=int)
    add("--min-confidence", "min_confidence", "leave out objects below it", type=float)
    add("--manual-only", "manual_only", "leave out objects that a model made", action="store_true")
    add("--min-side", "min_side", "leave out objects narrower or lower than so many pixels", type=float)
    add("--negatives", "negatives", "keep (default) or drop images without any object")
    add("--file-name", "file_name", "template, for instance {data_hash}{ext}")
    add("--coco-url", "coco_url", "template, for instance s3://media/{data_hash}{ext}")
    add("--frame-rate", "frame_rate", "of videos in seqinfo.ini: label sets do not hold it", type=float)


def selection_of(arguments: argparse.Namespace) -> "Selection":
    """The selection that the file and the options make. UsageError where they do not fit."""
    import msgspec

    from encord_dagster.formats.selection import Selection

    given: dict[str, object] = _read(arguments.select) if arguments.select else {}
    for name, value in vars(arguments).items():
        field = name.removeprefix("selected_")
        if field != name and value is not None:
            given[field] = _SPELLED[field](value) if field in _SPELLED else value
    try:
        return msgspec.convert(given, Selection)
    except msgspec.ValidationError as error:
        raise UsageError(f"selection: {error}") from error


def _classes(given: Sequence[str]) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    for text in given:
        name, equals, sources = text.partition("=")
        if not equals:
            raise UsageError(f"--class {text!r}: give a new name and old ones, for instance vehicle=Car,Truck")
        classes.setdefault(name.strip(), []).extend(_listed(sources))
    return classes


def _shares(text: str) -> dict[str, float]:
    from encord_dagster.formats.splits import parsed

    return parsed(text)


_SPELLED: dict[str, Callable[..., object]] = {"classes": _classes, "splits": _shares}


def _read(path: Path) -> dict[str, object]:
    import yaml  # JSON is YAML

    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"selection {path}: {error}") from error
    if not isinstance(given, dict):
        raise UsageError(f"selection {path}: it holds no fields such as splits or classes")
    return given
