"""Looks for the pictures of a checkout in a folder: which are missing, which are not as the labels say."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats.coco import Image, frame_name
from encord_dagster.formats.yolo import PICTURES
from encord_dagster.media.frames import ENDINGS, Extraction, extraction

Kind = Literal["missing", "unreadable", "size", "turned"]
Size = tuple[int, int]  # width, height in pixels
_ORIENTATION = 0x0112  # EXIF; 5 to 8 turn a picture by a quarter
_QUARTER_TURNS = (5, 6, 7, 8)
_ORIENTATIONS = range(1, 9)  # what else stands there is nothing to readers


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that is not as the labels say.

    missing: there is none. unreadable: it is no picture that Pillow knows. size: it is of another size. turned: by its
    EXIF orientation it is stored with one size and shown with another, and one of the two is what the labels say.
    """

    kind: Kind
    file_name: str
    recorded: Size
    stored: Size | None = None
    orientation: int | None = None  # EXIF

    @property
    def can_be_used(self) -> bool:
        """Whether a reader that turns pictures, or leaves them, as the labels do gets on with it."""
        return self.kind == "turned"


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the pictures of a checkout. `paths` of those found are relative to the folder, by file name."""

    images: int
    faults: tuple[Fault, ...]
    surplus: tuple[str, ...]  # pictures and videos in the folder that no record asks for
    extractions: tuple[Extraction, ...]  # of frames that are missing
    unclear: dict[str, int]  # by data hash: missing images of which nothing says whether a video or a scan has them
    paths: dict[str, str]


def look(images: Iterator[Image], folder: Path) -> Looked:
    """Look for each image below a folder by its `file_name`; one without a picture's ending may have any of them.

    Sizes come from the headers of the files.

    Raises:
        UsageError: there is no such folder, or Pillow is not installed.
    """
    there = _files(folder)
    endless: dict[str, str] = {}
    for name in sorted(there):
        stem, dot, kind = name.rpartition(".")
        if dot and f".{kind.lower()}" in PICTURES:
            endless.setdefault(stem, name)
    count, faults, paths, used = 0, list[Fault](), dict[str, str](), set[str]()
    missing: dict[tuple[str, str | None], dict[int, str]] = defaultdict(dict)
    films: dict[tuple[str, str | None], int] = defaultdict(int)
    for image in images:
        count += 1
        name, key = image.file_name, (image.encord.data_hash, image.encord.space)
        films[key] += 1
        path = name if name in there else None if name.lower().endswith(PICTURES) else endless.get(name)
        if path is None:
            faults.append(Fault(kind="missing", file_name=name, recorded=(image.width, image.height)))
            missing[key][image.encord.frame] = name
            continue
        used.add(path)
        fault = _fault(image, folder / path)
        if fault is not None:
            faults.append(fault)
        if fault is None or fault.can_be_used:
            paths[name] = path
    extractions, unclear, videos = _extractions(missing, films, there, folder)
    surplus = [name for name in sorted(there - used - videos) if name.lower().endswith((*PICTURES, *ENDINGS))]
    return Looked(
        images=count,
        faults=tuple(faults),
        surplus=tuple(surplus),
        extractions=tuple(extractions),
        unclear=unclear,
        paths=paths,
    )


def _files(folder: Path) -> set[str]:
    """All files below a folder, by their paths in it, `/` between the parts."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name the one below which the pictures lie")
    found: set[str] = set()
    for path, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _leads_back(path, name)]
        above = Path(path).relative_to(folder).as_posix()
        found.update(names if above == "." else (f"{above}/{name}" for name in names))
    return found


def _leads_back(path: str, name: str) -> bool:
    """Whether a folder in another one is a link to that one, or to one above it: below it all comes again."""
    below = os.path.join(path, name)  # noqa: PTH118 - thousands of folders
    return os.path.islink(below) and Path(path).resolve().is_relative_to(Path(below).resolve())  # noqa: PTH114


def _fault(image: Image, path: Path) -> Fault | None:
    recorded = (image.width, image.height)
    header = size_of(path)
    if header is None:
        return Fault(kind="unreadable", file_name=image.file_name, recorded=recorded)
    stored, orientation = header
    turns = orientation in _QUARTER_TURNS
    shown = stored[::-1] if turns else stored
    if recorded not in (stored, shown):
        kind: Kind = "size"
    elif stored != shown:
        kind = "turned"
    else:
        return None
    given = orientation if turns else None
    return Fault(kind=kind, file_name=image.file_name, recorded=recorded, stored=stored, orientation=given)


def size_of(path: Path) -> tuple[Size, int] | None:
    """Stored width and height, and EXIF orientation (1 where there is none), out of the header; None of no picture."""
    try:
        from PIL import Image as Pillow
    except ImportError as error:
        raise UsageError("sizes of pictures are read by Pillow: pip install 'encord-dagster[media]'") from error
    most, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None  # no pixel is read, however many they are
    try:
        with Pillow.open(path) as picture:
            found = picture.getexif().get(_ORIENTATION, 1)
            return picture.size, int(found) if found in _ORIENTATIONS else 1
    except (OSError, SyntaxError, ValueError):  # what Pillow raises of bytes that are no picture, or a damaged one
        return None
    finally:
        Pillow.MAX_IMAGE_PIXELS = most


def _extractions(
    missing: Mapping[tuple[str, str | None], dict[int, str]],
    films: Mapping[tuple[str, str | None], int],
    there: set[str],
    folder: Path,
) -> tuple[list[Extraction], dict[str, int], set[str]]:
    """How to get the frames of videos that are missing, what may be such frames, and which files are such videos.

    COCO does not say what images are cut from. A video is known by the names that its frames have without a template,
    or by a file in the folder; slices of a scan, which ffmpeg does not read, can have any name by a template.
    """
    videos: dict[str, str] = {}
    for name in sorted(there):
        stem, _, kind = name.rpartition(".")
        if f".{kind.lower()}" in ENDINGS:
            videos.setdefault(stem.rpartition("/")[2], name)
    made: list[Extraction] = []
    unclear: dict[str, int] = {}
    for (data_hash, space), named in missing.items():
        frame, name = next(iter(named.items()))
        if not name.lower().endswith(PICTURES):
            continue
        video = videos.get(space or data_hash)
        path = folder / video if video else None
        if video or name == frame_name(data_hash, space, frame):
            made.append(extraction(named, data_hash=data_hash, space=space, video=path, into=folder))
        elif films[data_hash, space] > 1:
            unclear[f"{data_hash}/{space}" if space else data_hash] = len(named)
    return made, unclear, {videos[key] for hashes in films for key in hashes if key in videos}
