"""What was found of the pictures of a checkout, as text."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from encord_dagster.media.look import Fault, Looked, Size

SHOWN = 100  # lines of each kind
_SAYS = {
    "missing": "not in the folder",
    "unreadable": "no picture that Pillow reads",
    "size": "of another size than its labels",
}


def text(looked: Looked, folder: Path, linked: int | None) -> str:
    """A table of what is wrong, what is too much, and the commands that extract frames."""
    return "".join(f"{line}\n" for line in _lines(looked, folder, linked))


def _lines(looked: Looked, folder: Path, linked: int | None) -> Iterator[str]:
    yield f"{looked.images:,} images, {len(looked.paths):,} of them in {folder}" + (
        "" if linked is None else f"; {linked:,} links"
    )
    if looked.faults:
        yield f"{'fault':<11}{'recorded':>13}{'stored':>13}  file"
    for fault in looked.faults[:SHOWN]:
        yield f"{fault.kind:<11}{_size(fault.recorded):>13}{_size(fault.stored):>13}  {fault.file_name}{_turned(fault)}"
    if len(looked.faults) > SHOWN:
        yield f"and {len(looked.faults) - SHOWN:,} more: --json lists all"
    for kind, count in Counter(fault.kind for fault in looked.faults).items():
        yield f"{kind}: {count:,}, {_SAYS.get(kind, 'by EXIF shown otherwise than it is stored')}"
    if looked.surplus:
        yield f"surplus: {len(looked.surplus):,} pictures or videos that no label asks for"
        yield from (f"  {name}" for name in looked.surplus[:SHOWN])
    for one in looked.extractions:
        where = f"{one.data_hash}/{one.space}" if one.space else one.data_hash
        yield f"{one.frames:,} frames of {where} are missing; frames are counted from 0, as Encord does"
        if not one.commands:
            yield "  their names do not hold the frame number: check out with --file-name and {frame} in it"
        elif one.video is None:
            yield f"  no video {where}.* is in the folder: put the path of it in the place of VIDEO"
        yield from (f"  {command}" for command in one.commands)
    for where, count in looked.unclear.items():
        yield f"{count:,} images of {where} are missing: frames of a video, or slices of a scan"
        yield f"  of a video: put it into the folder as {where.rpartition('/')[2]}.mp4, or as it ends, and run again"
        yield "  of a scan: make pictures of its slices with a DICOM or NIfTI tool; ffmpeg cannot"


def _size(size: Size | None) -> str:
    return f"{size[0]}x{size[1]}" if size else ""


def _turned(fault: Fault) -> str:
    if fault.kind != "turned" or fault.stored is None:
        return ""
    if fault.recorded == fault.stored:
        return f" (EXIF orientation {fault.orientation}: readers that turn it no longer match the labels)"
    return f" (EXIF orientation {fault.orientation}: labels match readers that turn it, such as Ultralytics, OpenCV)"
