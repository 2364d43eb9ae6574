"""A COCO file sorted out: its images by asset and frame, its annotations by image, and what belongs nowhere.

Exports that hold one asset twice have two images of one name, and may have one image id twice: Encord's exporter
counts assets where it should count images.
"""

from collections.abc import Iterator

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.coco_export.images import CocoImage, frame_numbers, read_image
from encord_dagster.encord.coco_export.objects import Piece, Sheet
from encord_dagster.encord.instances import Place
from encord_dagster.encord.notes import Notes
from encord_dagster.encord.scalars import UNREADABLE, Raw, Scalar, integer
from encord_dagster.encord.units import read_size


class Asset(msgspec.Struct, kw_only=True):
    """The images of one data asset by identity, and the annotations on them; `doubtful` ones may lie elsewhere."""

    data_hash: str
    data_type: str
    images: dict[str, CocoImage] = {}
    pieces: dict[str, list[Piece]] = {}
    again: dict[str, list[CocoImage]] = {}
    doubtful: list[Piece] = []

    @property
    def numbered(self) -> bool:
        """Whether a frame has no number of its own."""
        return any(image.number is None for image in self.images.values())

    def by_number(self) -> list[tuple[int, CocoImage]]:
        """The images by frame number."""
        numbers = frame_numbers(list(self.images.values()))
        return sorted(((numbers[image.identity], image) for image in self.images.values()), key=lambda pair: pair[0])

    def sheets(self, notes: Notes) -> Iterator[tuple[Sheet, CocoImage]]:
        """Each frame with its annotations unread, and its image."""
        for number, image in self.by_number():
            width, height = self._size(image, number, notes)
            place = Place(self.data_hash, number, width, height)
            yield Sheet(place=place, identity=image.identity, pieces=self.pieces[image.identity]), image

    def _size(self, image: CocoImage, number: int, notes: Notes) -> tuple[int | None, int | None]:
        again = self.again.get(image.identity, [])
        where = notes.at(self.data_hash, number)
        if any((other.width, other.height) != (image.width, image.height) for other in again):
            notes.add(codes.COCO_IMAGE_TWICE, "the image is there twice, with two sizes; neither was taken", where)
            return None, None
        if again:
            notes.add(codes.COCO_IMAGE_TWICE, "the image is there twice; annotations of both were taken", where)
        width = read_size(image.width, "width", notes, self.data_hash, number)
        return width, read_size(image.height, "height", notes, self.data_hash, number)


class Sorted(msgspec.Struct, kw_only=True):
    """Assets in the order of the file; positions of images without an asset and annotations without an image."""

    assets: list[Asset]
    unnamed: list[int]
    on_unnamed: int  # annotations
    orphans: list[int]


class _Ids(msgspec.Struct):
    id: Scalar = None
    image_id: Scalar = None


_IDS = msgspec.json.Decoder(_Ids)
_Holders = dict[int, dict[tuple[str, str] | None, CocoImage | None]]  # image id -> the images that claim it, by place


def sort_out(images: list[Raw], annotations: list[Raw]) -> Sorted:
    """Every image and annotation of a file in its place, or in none."""
    assets: dict[str, Asset] = {}
    holders: _Holders = {}
    found = Sorted(assets=[], unnamed=[], on_unnamed=0, orphans=[])
    for position, raw in enumerate(images):
        key, image = read_image(raw, position)
        if image is None or key is None or not _add(image, assets):
            image = None
            found.unnamed.append(position)
        if key is not None:
            holders.setdefault(key, {})[image.place if image else None] = image
    found.assets = list(assets.values())
    seen: set[int] = set()
    for position, raw in enumerate(annotations):
        key, image_id = _ids(raw)
        doubt = "another annotation has the same id" if key in seen else None
        seen.update(() if key is None else (key,))
        _place(position, raw, image_id, doubt, holders, assets, found)
    return found


def _add(image: CocoImage, assets: dict[str, Asset]) -> bool:
    """Whether the image fits its asset, and so became part of it."""
    asset = assets.get(image.data_hash)
    if asset is None:
        asset = assets[image.data_hash] = Asset(data_hash=image.data_hash, data_type=image.data_type)
    if asset.data_type != image.data_type:
        return False
    if image.identity in asset.images:
        asset.again.setdefault(image.identity, []).append(image)
    else:
        asset.images[image.identity] = image
        asset.pieces[image.identity] = []
    return True


def _place(
    position: int,
    raw: Raw,
    image_id: int | None,
    doubt: str | None,
    holders: _Holders,
    assets: dict[str, Asset],
    found: Sorted,
) -> None:
    held = holders.get(image_id) if image_id is not None else None
    if held is None or image_id is None:
        found.orphans.append(position)
        return
    images = [image for image in held.values() if image is not None]
    if not images:
        found.on_unnamed += 1
        return
    asset = assets[images[0].data_hash]
    if len(held) > 1:
        doubt = "its image id stands for several images"
        asset.doubtful.append(Piece(position=position, raw=raw, doubt=doubt))
    else:
        piece = Piece(position=position, raw=raw, doubt=doubt)
        asset.pieces[images[0].identity].append(piece)


def _ids(raw: Raw) -> tuple[int | None, int | None]:
    """Own id and image id of an annotation, None where they cannot be read."""
    try:
        ids = _IDS.decode(raw)
    except UNREADABLE:
        return None, None
    return integer(ids.id), integer(ids.image_id)
