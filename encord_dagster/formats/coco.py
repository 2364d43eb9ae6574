"""COCO: image and annotation records of a label row, and the file that holds those of many.

Every `segmentation` can be decoded by pycocotools, and `area` is the area of that segmentation: points and skeletons
have an empty mask, a polyline is a polygon there and back, as in Encord's own COCO.
Source: cocodataset.org "Data format" and pycocotools 2.0.11; deviations from Encord's exporter are in docs/formats.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from urllib.parse import quote

import msgspec

from encord_dagster import identity
from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow, ObjectInstance
from encord_dagster.formats.forms import Form, Rle, form_of
from encord_dagster.formats.fragment import Category
from encord_dagster.geometry import Ring

Answer = str | float | list[str] | None
_ENCODER = msgspec.json.Encoder()
_MOST_KNOWN = 20_000  # answers
PLAIN_NAMES = re.compile(r"[0-9A-Za-z_-]*")  # that are quoted as they are
EXTENSIONS = {"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png", "image/tiff": ".tif", "image/bmp": ".bmp"}


class Origin(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The lineage keys of one record."""

    label_hash: str
    data_hash: str
    frame: int
    object_hash: str | None = None
    feature_hash: str | None = None
    branch_name: str = "main"
    space: str | None = None  # of a data group: the frame number counts within it


class ImageClassification(msgspec.Struct, frozen=True):
    """A classification of an image; scope says whether it was given to the frame or to the whole data unit."""

    name: str
    scope: str
    attributes: dict[str, Answer]
    classification_hash: str
    feature_hash: str | None
    label_hash: str


class Image(msgspec.Struct, frozen=True, gc=False):
    """A COCO image."""

    id: int
    width: int
    height: int
    file_name: str
    classifications: tuple[ImageClassification, ...]
    encord: Origin
    image_title: str | msgspec.UnsetType = msgspec.UNSET  # this and the next: only where they are published
    coco_url: str | msgspec.UnsetType = msgspec.UNSET


class AnnotationAttributes(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What COCO has no field for. `rotation` is in degrees, clockwise on screen."""

    track_id: int
    manual_annotation: bool
    classifications: dict[str, Answer]
    rotation: float | None = None
    created_by: str | None = None  # this and the next three: only where they are published
    last_edited_by: str | None = None
    created_at: str | None = None
    last_edited_at: str | None = None


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A COCO annotation; lengths in pixels, `bbox` is x, y, width, height, `score` its confidence from 0 to 1."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: tuple[Ring, ...] | Rle
    iscrowd: int  # no default: always written
    score: float  # as results have it: among the attributes, FiftyOne would take it for an argument of its own
    attributes: AnnotationAttributes
    encord: Origin
    keypoints: tuple[float, ...] | None = None
    num_keypoints: int | None = None
    polyline: Ring | None = None


@lru_cache(maxsize=4096)
def quoted(text: str) -> str:
    """A text as a part of a path."""
    return quote(text, safe="")


def file_name(frame: Frame, data_type: str) -> str:
    """A stable relative name. Encord's file names may hold personal data, so it is made of hashes only.

    Members of a data group lie under the group and their space: `groups/<group>/<space>` is an image, whose kind and
    so extension the export does not say, `groups/<group>/<space>/<frame>.jpg` a frame, without `.jpg` a slice.
    """
    if frame.space is not None:
        return _in_group(frame.data_hash, frame.space) + _within_space(frame)
    return name_of(quoted(frame.data_hash), frame.number, frame.mime_type, data_type)


def name_of(data_hash: str, number: int, mime_type: str, data_type: str) -> str:
    """The same of a frame that is in no group; its data hash is quoted already."""
    if data_type in ("image", "img_group"):
        return f"images/{data_hash}{EXTENSIONS.get(mime_type.lower(), '')}"
    if data_type == "video":
        return f"videos/{data_hash}/{number}.jpg"
    return f"{data_type}/{data_hash}/{number}"


def frame_name(data_hash: str, space: str | None, number: int) -> str:
    """The name of a frame of a video, in a group or not."""
    if space is None:
        return name_of(quoted(data_hash), number, "", "video")
    return f"{_in_group(data_hash, space)}/{number}.jpg"


def _in_group(data_hash: str, space: str) -> str:
    return f"groups/{quoted(data_hash)}/{quoted(space)}"


def _within_space(frame: Frame) -> str:
    kind = frame.mime_type.partition("/")[0]
    if kind == "image":
        return EXTENSIONS.get(frame.mime_type, "")
    return f"/{frame.number}.jpg" if kind == "video" else f"/{frame.number}"


def answers(attributes: Sequence[Attribute]) -> dict[str, Answer]:
    """Attribute name -> answer: the option's name, a list of names, a text, a number, or null where not answered.

    A checklist is always a list where an ontology tells it from a radio; without one, a single option is its name.
    Two attributes may share a name; the later ones get their feature hash behind it, so that none is lost.
    """
    named: dict[str, Answer] = {}
    for attribute in attributes:
        name = attribute.name if attribute.name not in named else f"{attribute.name} [{attribute.feature_hash}]"
        named[name] = _answer(attribute)
    return named


def _answer(attribute: Attribute) -> Answer:
    answer = attribute.answer
    if attribute.kind == "checklist":
        return [option.name for option in answer] if isinstance(answer, tuple) else _as_list(answer)
    if not isinstance(answer, tuple):
        return answer
    options = [option.name for option in answer]
    if attribute.kind == "radio" and not options:
        return None
    return options[0] if len(options) == 1 else options


def _as_list(answer: str | float | None) -> list[str]:
    """A checklist that is not answered by options: not answered, or by what cannot be told to be one of them."""
    return [] if answer is None else [str(answer)]


def annotation(item: ObjectInstance, category: Category, *, image: Image, row: LabelRow) -> Annotation:
    """The COCO annotation of one object on one image."""
    form = form_of(item.geometry, category, width=image.width, height=image.height)
    (made,) = RowAnnotations(row, {item.feature_hash: category.id}, answers).on_image([item], iter([form]), image)
    return made


def written_answers() -> Callable[[Sequence[Attribute]], msgspec.Raw]:
    """`answers` as JSON. Those that many objects share, as the fast reader gives them, are written once."""
    known: dict[int, tuple[Sequence[Attribute], msgspec.Raw]] = {}
    encode = msgspec.json.Encoder().encode

    def written(attributes: Sequence[Attribute]) -> msgspec.Raw:
        found = known.get(id(attributes))
        if found is None or found[0] is not attributes:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            found = known[id(attributes)] = (attributes, msgspec.Raw(encode(answers(attributes))))
        return found[1]

    return written


class RowAnnotations:
    """Makes the annotations of one label row; `answers` makes what they hold as classifications."""

    def __init__(
        self,
        row: LabelRow,
        category_ids: Mapping[str, int],
        answers: Callable[[Sequence[Attribute]], dict[str, Answer] | msgspec.Raw],
    ) -> None:
        self.row, self.answers, self.category_ids = row, answers, category_ids
        self.number = identity.numbering("annotation", row.label_hash, row.branch_name)
        self.track = identity.numbering("track", row.label_hash, row.branch_name)
        self.tracks: dict[str, int] = {}

    def on_image(self, objects: Sequence[ObjectInstance], forms: Iterator[Form], image: Image) -> list[Annotation]:
        """The annotations of the objects of one frame."""
        row, encord, image_id, tracks = self.row, image.encord, image.id, self.tracks
        hashes = [item.object_hash for item in objects]
        if new := [key for key in hashes if key not in tracks]:
            tracks.update(zip(new, self.track(new), strict=True))
        behind = f"\0{image_id}"
        numbers = self.number([key + behind for key in hashes])
        made = []
        for item, one, form in zip(objects, numbers, forms, strict=False):
            made.append(
                Annotation(
                    one,
                    image_id,
                    self.category_ids[item.feature_hash],
                    form.bbox,
                    form.area,
                    form.segmentation,
                    0,  # one object, also where the mask is RLE: trainers drop crowds
                    item.confidence,
                    self._attributes(item, form),
                    Origin(
                        row.label_hash,
                        encord.data_hash,
                        encord.frame,
                        item.object_hash,
                        item.feature_hash,
                        row.branch_name,
                        encord.space,
                    ),
                    form.keypoints,
                    form.num_keypoints,
                    form.polyline,
                )
            )
        return made

    def _attributes(self, item: ObjectInstance, form: Form) -> AnnotationAttributes:
        return AnnotationAttributes(
            self.tracks[item.object_hash],
            item.manual,
            self.answers(item.attributes),  # type: ignore[arg-type]  # or its JSON, which is written as it is
            form.rotation,
            item.created_by,
            item.last_edited_by,
            item.created_at,
            item.last_edited_at,
        )


def _classification(item: Classification, scope: str, label_hash: str) -> ImageClassification:
    return ImageClassification(
        name=item.name,
        scope=scope,
        attributes=answers(item.attributes),
        classification_hash=item.classification_hash,
        feature_hash=item.feature_hash,
        label_hash=label_hash,
    )


def classifications(
    of_frame: Sequence[Classification], of_row: Sequence[Classification], label_hash: str
) -> tuple[ImageClassification, ...]:
    """What is given to an image by its frame, and by its row."""
    given = [_classification(item, "frame", label_hash) for item in of_frame]
    return (*given, *(_classification(item, "data_unit", label_hash) for item in of_row))


def image(frame: Frame, row: LabelRow) -> Image | None:
    """The COCO image of one frame; None where the export does not say its size."""
    if not frame.width or not frame.height:
        return None
    return Image(
        id=identity.image_id(frame.data_hash, frame.identity),
        width=frame.width,
        height=frame.height,
        file_name=file_name(frame, row.data_type),
        classifications=classifications(frame.classifications, row.classifications, row.label_hash),
        encord=Origin(
            label_hash=row.label_hash,
            data_hash=frame.data_hash,
            frame=frame.number,
            branch_name=row.branch_name,
            space=frame.space,
        ),
        image_title=frame.title or msgspec.UNSET,
        coco_url=frame.link or msgspec.UNSET,
    )


def lines(records: Sequence[Image] | Sequence[Annotation]) -> bytes:
    """Records as JSON, each with a line feed behind it and none in it."""
    return _ENCODER.encode_lines(records)


def category_record(category: Category) -> dict[str, object]:
    """A category as COCO has it; keypoint classes name their joints."""
    record: dict[str, object] = {
        "id": category.id,
        "name": category.name,
        "supercategory": category.shape,
        "encord": {"feature_hash": category.feature_hash} | ({"color": category.color} if category.color else {}),
    }
    if category.shape == "point":
        record |= {"keypoints": [category.name], "skeleton": []}
    if category.joints:
        record |= {"keypoints": [joint.name for joint in category.joints], "skeleton": category.skeleton}
    return record


def merged_image(first: bytes, second: bytes) -> bytes:
    """One record of an image that two label rows describe: the first, with the classifications of both."""
    one, two = (msgspec.json.decode(record, type=Image) for record in (first, second))
    return msgspec.json.encode(msgspec.structs.replace(one, classifications=one.classifications + two.classifications))


FILE = "annotations/instances.json"
BETWEEN = b",\n"
HEAD_END = b',"images":['
ANNOTATIONS = b'],\n"annotations":['
END = b"]}\n"
ABOUT: dict[str, object] = {"info": {"description": "Encord labels, converted by encord_dagster"}, "licenses": []}


def head(categories: Sequence[Category]) -> bytes:
    """The COCO file up to its first image. Records follow with BETWEEN between them, then ANNOTATIONS, records, END."""
    listed = msgspec.json.encode([category_record(category) for category in categories])
    return msgspec.json.encode(ABOUT)[:-1] + b',"categories":' + listed + HEAD_END


def document(
    categories: Sequence[Category], images: Mapping[int, bytes], annotations: Iterable[bytes]
) -> Iterator[bytes]:
    """The COCO file in pieces, out of records that are JSON already; annotations come with BETWEEN between them."""
    yield head(categories)
    yield from joined(images.values())
    yield ANNOTATIONS
    yield from annotations
    yield END


def joined(records: Iterable[bytes]) -> Iterator[bytes]:
    """Records with commas between them, some at a time."""
    rest, before = iter(records), b""
    while some := list(islice(rest, 1000)):
        yield before + BETWEEN.join(some)
        before = BETWEEN
