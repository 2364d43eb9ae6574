"""Images of a COCO export: which asset and which frame of it each one is, told from its file name alone."""

import re

import msgspec

from encord_dagster.encord.scalars import ABSENT, FRAME_NUMBER, UNREADABLE, Raw, Scalar, integer

_HASH = r"(?P<hash>[0-9A-Za-z+=_-]{1,64})"
_NAMES = (
    ("image", re.compile(rf"images/{_HASH}(?:\.(?P<ending>.*))?", re.DOTALL)),
    ("video", re.compile(rf"videos/{_HASH}/(?P<frame>[0-9]{{1,9}})\.jpg")),
    ("nifti", re.compile(rf"nifti/{_HASH}/(?P<frame>[0-9]{{1,9}})")),
    ("dicom", re.compile(rf"dicom/{_HASH}/(?P<uid>[0-9A-Za-z.+/=_-]{{1,128}}?)(?:/(?P<multiframe>[0-9]{{1,9}}))?")),
)
_MIME_TYPES = {
    "bmp": "image/bmp",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
}


class CocoImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image. `number` is None for a DICOM slice that is named by its SOP instance uid; the last four are unread."""

    position: int  # in the file
    data_hash: str
    data_type: str
    number: int | None
    identity: str
    mime_type: str
    width: Scalar
    height: Scalar
    title: Raw
    link: Raw

    @property
    def place(self) -> tuple[str, str]:
        """Asset and frame."""
        return self.data_hash, self.identity


class _Image(msgspec.Struct):
    id: Scalar = None
    file_name: Scalar = None
    width: Scalar = None
    height: Scalar = None
    image_title: Raw = ABSENT
    video_title: Raw = ABSENT
    coco_url: Raw = ABSENT


_IMAGE = msgspec.json.Decoder(_Image)


def read_image(raw: Raw, position: int) -> tuple[int | None, CocoImage | None]:
    """Id and image of one entry, each None where it cannot be read."""
    try:
        entry = _IMAGE.decode(raw)
    except UNREADABLE:
        return None, None
    key = integer(entry.id)
    if key is None or not isinstance(entry.file_name, str):
        return key, None
    for data_type, pattern in _NAMES:
        if found := pattern.fullmatch(entry.file_name):
            return key, _image(found, data_type, entry, position)
    return key, None


def frame_numbers(images: list[CocoImage]) -> dict[str, int]:
    """The frame number of each image of one asset, by identity; those without one get the lowest free, in order."""
    numbers = {image.identity: image.number for image in images if image.number is not None}
    taken = set(numbers.values())
    free = 0
    for image in images:
        if image.identity in numbers:
            continue
        while free in taken:
            free += 1
        numbers[image.identity] = free
        taken.add(free)
    return numbers


def _image(found: re.Match[str], data_type: str, entry: _Image, position: int) -> CocoImage:
    number, identity = _frame(found.groupdict(), data_type)
    return CocoImage(
        position=position,
        data_hash=found["hash"],
        data_type=data_type,
        number=number,
        identity=identity,
        mime_type=_mime_type(found.groupdict(), data_type),
        width=entry.width,
        height=entry.height,
        title=entry.video_title if entry.image_title is ABSENT else entry.image_title,
        link=entry.coco_url,
    )


def _frame(parts: dict[str, str | None], data_type: str) -> tuple[int | None, str]:
    """Number and identity of the frame, as the reader of label rows makes them."""
    if data_type == "image":
        return 0, "0"
    frame, uid, multiframe = parts.get("frame"), parts.get("uid") or "", parts.get("multiframe")
    if frame is None and multiframe is None and FRAME_NUMBER.fullmatch(uid):
        frame = uid  # a slice without metadata has its frame number in place of a uid
    if frame is not None:
        return int(frame), str(int(frame))
    return None, f"sop:{uid}#{'-' if multiframe is None else int(multiframe)}"


def _mime_type(parts: dict[str, str | None], data_type: str) -> str:
    """The MIME type where the name tells it for certain."""
    if data_type == "dicom":
        return "application/dicom"
    return _MIME_TYPES.get((parts.get("ending") or "").lower(), "")
