"""Pictures beside labels: whether those of a checkout are there, of the recorded size, and where readers look."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

_Run = Callable[[argparse.Namespace], int]


def add_command(add: Callable[[str, _Run, str], argparse.ArgumentParser]) -> None:
    """Add the command `media` to the command line."""
    parser = add("media", _media, "Look for the pictures of a checkout: missing, of another size, surplus.")
    parser.add_argument("folder", type=Path, help="a folder that checkout or convert wrote, coco among its formats")
    parser.add_argument(
        "--images", type=Path, required=True, metavar="FOLDER", help="where each file_name is looked up"
    )
    parser.add_argument(
        "--link",
        nargs="?",
        const="symbolic",
        choices=("symbolic", "hard"),
        help="link pictures where COCO and YOLO look for them; copies nothing",
    )


def _media(arguments: argparse.Namespace) -> int:
    import msgspec

    from encord_dagster.media import report
    from encord_dagster.media.link import link
    from encord_dagster.media.look import look
    from encord_dagster.media.records import images_of

    looked = look(images_of(arguments.folder), arguments.images)
    linked = None
    if arguments.link:
        linked = link(looked.paths, folder=arguments.images, checkout=arguments.folder, way=arguments.link)
    if arguments.json:
        found = msgspec.json.format(msgspec.json.encode({"linked": linked, "found": looked}))
        sys.stdout.write(found.decode() + "\n")
    else:
        sys.stdout.write(report.text(looked, arguments.images, linked))
    return int(bool(looked.faults))
