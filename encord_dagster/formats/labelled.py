"""What formats that are written at checkout are made of: the images of a version with all annotations on them."""

from collections.abc import Container, Iterable, Iterator, Sequence

import msgspec

from encord_dagster.errors import IdClash
from encord_dagster.formats import coco

KINDS = ("image", "img_group", "video")  # data types told apart here; all others are films, as videos are


def kind_of(data_type: str) -> int:
    """Which of `KINDS` stands for a data type."""
    return KINDS.index(data_type) if data_type in KINDS else KINDS.index("video")


class About(msgspec.Struct, frozen=True):
    """What the table of images says of a whole label row."""

    data_type: str = "image"
    dataset_hash: str | None = None
    label_status: str | None = None
    workflow_node: str | None = None


class Row(About, frozen=True, kw_only=True):
    """A label row of a version, in COCO's records, and what its table of images says of all of it."""

    row: str  # its identity
    images: tuple[coco.Image, ...]
    annotations: tuple[coco.Annotation, ...]  # in document order


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """An image with its annotations: row after row in order of identity, each in document order."""

    image: coco.Image
    annotations: tuple[coco.Annotation, ...]
    data_type: str = "image"
    dataset_hash: str | None = None
    split: str = ""  # "" where nothing is split

    @property
    def sequence(self) -> str | None:
        """The name of the video, series, stack or group of images that it is a frame of; None of a single image.

        Images of a group have data hashes of their own: the label row is what holds them together.
        """
        origin = self.image.encord
        if self.data_type == "image":
            return None
        if self.data_type == "img_group":
            return origin.label_hash
        return origin.data_hash if origin.space is None else f"{origin.data_hash}/{origin.space}"


def merged(rows: Iterable[Row]) -> list[Labelled]:
    """The images of some rows, each once: described by the first row, classified and annotated by all of them.

    Raises:
        IdClash: an id stands for two images.
    """
    images: dict[int, coco.Image] = {}
    first: dict[int, Row] = {}
    held: dict[int, list[coco.Annotation]] = {}
    for row in rows:
        for image in row.images:
            known = images.get(image.id)
            if known is None:
                first[image.id], held[image.id], images[image.id] = row, [], image
                continue
            if _place(known) != _place(image):
                raise IdClash(f"image id {image.id} stands for two images; use the tables, which tell label rows apart")
            both = known.classifications + image.classifications
            images[image.id] = msgspec.structs.replace(known, classifications=both)
        for annotation in row.annotations:
            held[annotation.image_id].append(annotation)
    return [
        Labelled(
            image=image,
            annotations=tuple(held[number]),
            data_type=first[number].data_type,
            dataset_hash=first[number].dataset_hash,
        )
        for number, image in images.items()
    ]


def _place(image: coco.Image) -> tuple[str, int, str | None]:
    return image.encord.data_hash, image.encord.frame, image.encord.space


def sequences(images: Sequence[Labelled]) -> dict[str, list[Labelled]]:
    """The images that are frames, by sequence, in order of their numbers."""
    found: dict[str, list[Labelled]] = {}
    for one in images:
        if one.sequence is not None:
            found.setdefault(one.sequence, []).append(one)
    return {name: sorted(frames, key=lambda one: one.image.encord.frame) for name, frames in found.items()}


def sequences_by_split(images: Sequence[Labelled], files: Container[str]) -> Iterator[tuple[str, str, list[Labelled]]]:
    """The sequences among some images, each with a file that takes it and the frames for that.

    Files are called as splits; one that is called "" takes all.
    """
    for name, frames in sequences(images).items():
        for split in dict.fromkeys(one.split for one in frames) if "" not in files else ("",):
            yield name, split, [one for one in frames if split in ("", one.split)]
