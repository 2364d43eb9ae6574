"""COCO: image and annotation records of a label row, and the file that holds those of many.

Every `segmentation` can be decoded by pycocotools, and `area` is the area of that segmentation: points and skeletons
have an empty mask, a polyline is a polygon there and back, as in Encord's own COCO.
Source: cocodataset.org "Data format" and pycocotools 2.0.11; deviations from Encord's exporter are in docs/formats.md.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import quote

import msgspec

from encord_dagster import identity
from encord_dagster.encord.model import Attribute, Classification, Frame, LabelRow, ObjectInstance
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.raster import (
    DECIMALS,
    Raster,
    area_in_pixels,
    corners,
    ellipse_hull,
    ellipse_ring,
    is_simple,
    needs_rle,
    rasterise,
    ring_area,
)
from encord_dagster.geometry import Bitmask, Box, Ellipse, Joint, Point, Polygon, Polyline, Ring, RotatedBox, Skeleton

EXTENSIONS = {"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png", "image/tiff": ".tif", "image/bmp": ".bmp"}
COCO_VISIBILITY = {"visible": 2, "occluded": 1, "self_occluded": 1, "invisible": 0}


class Rle(msgspec.Struct, frozen=True):
    """Compressed column-major runs; `size` is (height, width)."""

    size: tuple[int, int]
    counts: str


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
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
    attributes: dict[str, str | float | list[str] | None]
    classification_hash: str
    feature_hash: str | None
    label_hash: str


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A COCO image."""

    id: int
    width: int
    height: int
    file_name: str
    classifications: tuple[ImageClassification, ...]
    encord: Origin
    image_title: str | msgspec.UnsetType = msgspec.UNSET  # this and the next: only where they are published
    coco_url: str | msgspec.UnsetType = msgspec.UNSET


class AnnotationAttributes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What COCO has no field for. `rotation` is in degrees, clockwise on screen."""

    track_id: int
    confidence: float
    manual_annotation: bool
    classifications: dict[str, str | float | list[str] | None]
    rotation: float | None = None
    created_by: str | None = None  # this and the next three: only where they are published
    last_edited_by: str | None = None
    created_at: str | None = None
    last_edited_at: str | None = None


class Annotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A COCO annotation; lengths in pixels, `bbox` is x, y, width, height."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: tuple[Ring, ...] | Rle
    iscrowd: int  # no default: always written
    attributes: AnnotationAttributes
    encord: Origin
    keypoints: tuple[float, ...] | None = None
    num_keypoints: int | None = None
    polyline: Ring | None = None


def _r(value: float) -> float:
    return round(value, DECIMALS)


def _ring(points: Sequence[float]) -> Ring:
    return tuple(_r(value) for value in points)


def _hull(points: Sequence[float]) -> tuple[float, float, float, float]:
    left, top = min(points[::2]), min(points[1::2])
    return _r(left), _r(top), _r(max(points[::2]) - left), _r(max(points[1::2]) - top)


def file_name(frame: Frame, data_type: str) -> str:
    """A stable relative name. Encord's file names may hold personal data, so it is made of hashes only.

    Members of a data group lie under the group and their space: `groups/<group>/<space>` is an image, whose kind and
    so extension the export does not say, `groups/<group>/<space>/<frame>.jpg` a frame, without `.jpg` a slice.
    """
    data_hash = quote(frame.data_hash, safe="")
    if frame.space is not None:
        return f"groups/{data_hash}/{quote(frame.space, safe='')}{_within_space(frame)}"
    if data_type in ("image", "img_group"):
        return f"images/{data_hash}{EXTENSIONS.get(frame.mime_type.lower(), '')}"
    if data_type == "video":
        return f"videos/{data_hash}/{frame.number}.jpg"
    return f"{data_type}/{data_hash}/{frame.number}"


def _within_space(frame: Frame) -> str:
    kind = frame.mime_type.partition("/")[0]
    if kind == "image":
        return EXTENSIONS.get(frame.mime_type, "")
    return f"/{frame.number}.jpg" if kind == "video" else f"/{frame.number}"


def answers(attributes: Sequence[Attribute]) -> dict[str, str | float | list[str] | None]:
    """Attribute name -> answer: the option's name, a list of names, a text, a number, or null where not answered.

    A checklist is always a list where an ontology tells it from a radio; without one, a single option is its name.
    Two attributes may share a name; the later ones get their feature hash behind it, so that none is lost.
    """
    named: dict[str, str | float | list[str] | None] = {}
    for attribute in attributes:
        name = attribute.name if attribute.name not in named else f"{attribute.name} [{attribute.feature_hash}]"
        named[name] = _answer(attribute)
    return named


def _answer(attribute: Attribute) -> str | float | list[str] | None:
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


class _Form(msgspec.Struct, frozen=True, kw_only=True):
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: tuple[Ring, ...] | Rle
    keypoints: tuple[float, ...] | None = None
    num_keypoints: int | None = None
    polyline: Ring | None = None
    rotation: float | None = None


def _raster_form(raster: Raster | None, *, width: int, height: int) -> _Form:
    if raster is None:
        return _Form(bbox=(0, 0, 0, 0), area=0, segmentation=_empty(width, height))
    return _Form(bbox=raster.bbox, area=raster.area, segmentation=Rle(raster.size, raster.counts))


def _empty(width: int, height: int) -> Rle:
    from encord_dagster import rle

    return Rle((height, width), rle.encode([width * height]))


def _polygon_form(polygon: Polygon, *, width: int, height: int) -> _Form:
    if needs_rle(polygon):
        return _raster_form(rasterise(polygon, width=width, height=height), width=width, height=height)
    rings = tuple(_ring(ring) for rings in polygon.polygons for ring in rings)
    exact = len(rings) == 1 and is_simple(rings[0])
    area = ring_area(rings[0]) if exact else area_in_pixels(polygon, width=width, height=height)
    return _Form(bbox=_hull([v for ring in rings for v in ring]), area=_r(area), segmentation=rings)


def _ellipse_form(ellipse: Ellipse) -> _Form:
    """A ring nowhere 0.1 pixels off the ellipse with the ring's own area, and the exact hull of the ellipse."""
    ring = _ring(ellipse_ring(ellipse))
    left, top, across, down = ellipse_hull(ellipse)
    return _Form(
        bbox=(_r(left), _r(top), _r(across), _r(down)),
        area=_r(ring_area(ring)),
        segmentation=(ring,),
        rotation=_r(ellipse.theta) or None,
    )


def _skeleton_form(joints: Sequence[Joint], category: Category, *, width: int, height: int) -> _Form:
    by_hash = {joint.feature_hash: joint for joint in joints}
    keypoints: list[float] = []
    for name in category.joints:
        joint = by_hash.get(name.feature_hash)
        seen = COCO_VISIBILITY[joint.visibility] if joint else 0
        keypoints += [_r(joint.x), _r(joint.y), seen] if joint and seen else [0, 0, 0]
    return _Form(
        bbox=_hull([v for joint in joints for v in (joint.x, joint.y)]),
        area=0,
        segmentation=_empty(width, height),
        keypoints=tuple(keypoints),
        num_keypoints=sum(1 for v in keypoints[2::3] if v),
    )


def _form(item: ObjectInstance, category: Category, *, width: int, height: int) -> _Form:
    match item.geometry:
        case Box(x, y, w, h):
            ring = _ring((x, y, x + w, y, x + w, y + h, x, y + h))
            return _Form(bbox=(_r(x), _r(y), _r(w), _r(h)), area=_r(w * h), segmentation=(ring,))
        case RotatedBox(_, _, w, h, theta) as box:
            ring = _ring(corners(box))
            return _Form(bbox=_hull(ring), area=_r(w * h), segmentation=(ring,), rotation=_r(math.fmod(theta, 360)))
        case Ellipse() as ellipse:
            return _ellipse_form(ellipse)
        case Polygon() as polygon:
            return _polygon_form(polygon, width=width, height=height)
        case Bitmask() as mask:
            return _raster_form(rasterise(mask, width=width, height=height), width=width, height=height)
        case Polyline(points):
            line = _ring(points)
            back = tuple(v for i in range(len(line) - 2, -1, -2) for v in line[i : i + 2])
            return _Form(bbox=_hull(line), area=0, segmentation=(line + back,), polyline=line)
        case Point(x, y):
            return _Form(
                bbox=(_r(x), _r(y), 0, 0),
                area=0,
                segmentation=_empty(width, height),
                keypoints=(_r(x), _r(y), 2),
                num_keypoints=1,
            )
        case Skeleton(joints):
            return _skeleton_form(joints, category, width=width, height=height)


def annotation(item: ObjectInstance, category: Category, *, image: Image, row: LabelRow) -> Annotation:
    """The COCO annotation of one object on one image."""
    form = _form(item, category, width=image.width, height=image.height)
    return Annotation(
        id=identity.annotation_id(row.label_hash, row.branch_name, item.object_hash, image.id),
        image_id=image.id,
        category_id=category.id,
        bbox=form.bbox,
        area=form.area,
        segmentation=form.segmentation,
        iscrowd=0,  # one object, also where the mask is RLE: trainers drop crowds
        keypoints=form.keypoints,
        num_keypoints=form.num_keypoints,
        polyline=form.polyline,
        attributes=AnnotationAttributes(
            track_id=identity.track_id(row.label_hash, row.branch_name, item.object_hash),
            confidence=item.confidence,
            manual_annotation=item.manual,
            classifications=answers(item.attributes),
            rotation=form.rotation,
            created_by=item.created_by,
            last_edited_by=item.last_edited_by,
            created_at=item.created_at,
            last_edited_at=item.last_edited_at,
        ),
        encord=Origin(
            label_hash=row.label_hash,
            data_hash=image.encord.data_hash,
            frame=image.encord.frame,
            object_hash=item.object_hash,
            feature_hash=item.feature_hash,
            branch_name=row.branch_name,
            space=image.encord.space,
        ),
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


def image(frame: Frame, row: LabelRow) -> Image | None:
    """The COCO image of one frame; None where the export does not say its size."""
    if not frame.width or not frame.height:
        return None
    given = [_classification(item, "frame", row.label_hash) for item in frame.classifications]
    given += [_classification(item, "data_unit", row.label_hash) for item in row.classifications]
    return Image(
        id=identity.image_id(frame.data_hash, frame.identity),
        width=frame.width,
        height=frame.height,
        file_name=file_name(frame, row.data_type),
        classifications=tuple(given),
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


def document(
    categories: Sequence[Category], images: Mapping[int, bytes], annotations: Iterable[bytes]
) -> Iterator[bytes]:
    """The COCO file in pieces, out of records that are JSON already."""
    head = {"info": {"description": "Encord labels, converted by encord_dagster"}, "licenses": []}
    yield msgspec.json.encode(head)[:-1]
    yield b',"categories":' + msgspec.json.encode([category_record(category) for category in categories])
    yield b',"images":['
    yield from _joined(images.values())
    yield b'],\n"annotations":['
    yield from _joined(annotations)
    yield b"]}\n"


def _joined(records: Iterable[bytes]) -> Iterator[bytes]:
    """Records with commas between them, some at a time."""
    rest, before = iter(records), b""
    while some := list(islice(rest, 1000)):
        yield before + b",\n".join(some)
        before = b",\n"
