"""Canaries for every place of an export where a text can stand; each says by its number where it was planted.

What decides how an export is read (hashes, shapes, types) stays as it is. Each text carries a word, an address, a
signed link with a login, and an access key: the word may be published where people choose names, the rest never.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from encord_dagster.encord.times import parse_time
from tests import factories as make

Json = dict[str, Any]
Found = set[tuple[str, str]]  # kind of canary, place

STRUCTURE = {
    *("label_hash", "data_hash", "dataset_hash", "objectHash", "featureHash", "featureNodeHash", "feature_node_hash"),
    *("classificationHash", "trackHash", "export_hash", "encord_track_uuid", "spaceId"),
    *("shape", "data_type", "type", "space_type", "rleString", "branch_name", "supercategory", "counts", "level"),
    *("exported_at", "created_at", "last_edited_at"),  # of rows: lineage
}
PEOPLE = {"createdBy", "lastEditedBy", "user_email", "assigned_user_email"}
TIMES = {"createdAt", "lastEditedAt"}
LINKS = {"data_link", "data_links", "video_link", "file_uri", "coco_url"}
BY_KEY = {  # members of these are named by hashes, numbers or paths: another one would be another row
    *("data_units", "labels", "object_answers", "object_actions", "classification_answers", "spaces"),
    *("polygon", "polyline", "point", "skeleton", "skeletonEdges", "boundingBox", "rotatableBoundingBox"),
}
_SIGNED = (
    "X-Amz-Credential=sign{n}&X-Amz-Signature=0a",
    "X-Goog-Credential=sign{n}&X-Goog-Signature=0a",
    "sv=2023&sig=sign{n}",
)
_FOUND = re.compile(r"(Word|mail|user|pass|path|sign|AKIA|frag|Person|Uid)([0-9]{5})", re.IGNORECASE)


class Planter:
    """Plants canaries and knows where each one is."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}  # number -> place
        self.people: dict[str, str] = {}  # address -> place
        self.times: dict[str, str] = {}  # as it is published -> place

    def text(self, place: str) -> str:
        """What a person may have typed."""
        n = self._number(place)
        return f"Word{n} mail{n}@hospital.example.org {self._link(n)} AKIA{n}CANARYKEY"

    def link(self, place: str) -> str:
        """A signed link with a login."""
        return self._link(self._number(place))

    def person(self, place: str) -> str:
        """An address, alone in its field."""
        address = f"Person{self._number(place)}@hospital.example.org"
        self.people[address] = place
        return address

    def time(self, place: str) -> str:
        """A time of its own."""
        moment = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(minutes=len(self.times))
        written = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
        self.times[str(parse_time(written))] = place
        return written

    def name(self, place: str) -> str:
        """What a person may have called a file."""
        n = self._number(place)
        return f"Word{n} mail{n}@hospital.example.org AKIA{n}CANARYKEY x?X-Amz-Signature=sign{n}"

    def uid(self) -> str:
        """A DICOM instance uid."""
        return f"1.2.Uid{self._number('uid')}"

    def planted(self, value: Any, place: tuple[str, ...] = (), key: str = "") -> Any:
        """A document with canaries at all its places."""
        if key in STRUCTURE:
            return value
        if isinstance(value, list):
            return [self.planted(child, place, key) for child in value]
        if isinstance(value, dict):
            return self._planted_in(value, place, key)
        return self._value(key, ".".join(place[-2:])) if isinstance(value, str) else value

    def _planted_in(self, value: Json, place: tuple[str, ...], key: str) -> Json:
        by_key = key in BY_KEY and not {"objects", "classifications"} & value.keys()
        inner = ((name, place if by_key else (*place, name)) for name in value)
        planted = {name: self.planted(value[name], where, "" if by_key else name) for name, where in inner}
        if by_key or key == "<answers>":
            return planted
        here = place[-1]
        return planted | {self.text(f"{here}.<key>"): self.text(f"{here}.<unknown>"), "reviews": self._review(here)}

    def _review(self, here: str) -> list[Json]:
        return [{"rejectionComment": self.text(f"{here}.reviews"), "createdBy": self.person(f"{here}.reviews")}]

    def _value(self, key: str, place: str) -> str:
        if key in PEOPLE:
            return self.person(place)
        if key in TIMES:
            return self.time(place)
        if key in LINKS:
            return self.link(place)
        if key == "dicom_instance_uid":
            return self.uid()
        return self.text(place)

    def _number(self, place: str) -> str:
        number = str(10_000 + len(self.places))
        self.places[number] = place
        return number

    def _link(self, n: str) -> str:
        signed = _SIGNED[int(n) % 3].format(n=n)
        return f"https://user{n}:pass{n}@storage.example.org/path{n}/x.png?{signed}#frag{n}"

    def found(self, text: str) -> Found:
        """(kind, place) of all canaries in a text, in any case of letters."""
        kinds = {(kind.lower(), self.places[number]) for kind, number in set(_FOUND.findall(text))}
        return kinds | {("time", place) for time, place in self.times.items() if time in text}


def label_rows(planter: Planter, name: str) -> list[Json]:
    """Rows of every data type, all shapes among them, full of canaries; their hashes begin with the name.

    All can be used but the last one, and the object of the last but one.
    """
    rows = [
        _full(make.image_row(*_shapes(), classifications=[_signed(make.classification())])),
        make.group_row([make.box()], [make.polygon()]),
        make.video_row({0: [make.box()], 3: [make.rotated_box()]}),
        make.dicom_row({0: make.dicom_slice(make.box())}),
        make.nifti_row({7: [make.box()]}),
        make.audio_row(make.entry("audio", {}, "sound001")),
        _html(),
        make.row("pdf", [make.unit("pdf-0", "application/pdf", {"0": make.labels(make.box())}, width=0, height=0)]),
        _group(planter),
        make.changed(make.image_row(make.box()), "deleted", "data_type"),
        make.image_row(make.box(y=6204)),
        make.changed(make.image_row(make.box()), 5, "data_units", "data-0", "labels"),
    ]
    named: list[Json] = []
    for number, row in enumerate(rows):
        planted: Json = planter.planted(_known_keys(row), ("row",))
        named.append(planted | {"label_hash": f"{name}-{number:02}"})
    return named


def ontology(planter: Planter) -> Json:
    """An ontology of some of their classes."""
    chosen = make.ontology_option("sunny", "OptionA1", make.ontology_attribute("text", feature_hash="AttrNest"))
    classes = [
        make.ontology_class(
            make.ontology_attribute("text", feature_hash="AttrText"),
            make.ontology_attribute("radio", chosen, feature_hash="AttrRadi"),
        ),
        make.ontology_class(shape="skeleton", feature_hash="Skeleto1"),
    ]
    weather = make.ontology_classification(make.ontology_attribute("radio", chosen, feature_hash="AttrRadi"))
    joints = [make.joint(0.25, 0.5), make.joint(0.75, 0.25, feature_hash="JointCl2")]
    template = make.skeleton_template("a", "Skeleto1", joints, [(0, 1)])
    document = make.ontology(*classes, classifications=[weather], skeleton_templates=[template])
    planted: Json = planter.planted(document, ("ontology",))
    planted["objects"][0]["color"] = "#D33115"  # that of the other class is none
    return planted


def coco_export(planter: Planter) -> Json:
    """Encord's COCO export of an image, a slice and a frame of a video."""
    size: Json = {"width": 640, "height": 480, "coco_url": ""}
    file_names = [f"images/coco-0.{planter.text('images.file_name')}", f"dicom/coco-1/{planter.uid()}"]
    images: list[Json] = [
        {"id": 0, "image_title": "", **size},
        {"id": 1, "image_title": "", **size},
        {"id": 2, "video_title": "", **size},
    ]
    attributes = {
        "track_id": 0,
        "encord_track_uuid": "object01",
        "manual_annotation": True,
        "<answers>": {"<answer>": "text", "<ticked>": True, "<list>": ["one"]},
    }
    box = {"id": 0, "category_id": 1, "bbox": [4.0, 5.0, 10.0, 3.0], "area": 30.0, "iscrowd": 0}
    annotations = [
        box | {"id": n, "image_id": n, "segmentation": [[4, 5, 14, 5, 14, 8, 4, 8]], "attributes": attributes}
        for n in range(3)
    ]
    category = {"id": 1, "name": "", "supercategory": "bounding_box"}
    document = {
        "info": {"description": ""},
        "categories": [category],
        "images": images,
        "annotations": annotations,
    }
    planted: Json = planter.planted(document, ("coco",))
    for image, name in zip(planted["images"], (*file_names, "videos/coco-2/5.jpg"), strict=True):
        image["file_name"] = name
    for annotation in planted["annotations"]:
        attributes = annotation["attributes"]
        given = attributes.pop("<answers>")
        attributes["classifications"] = {planter.text(f"<answers>.{name}"): child for name, child in given.items()}
    return planted


def deliveries(planter: Planter) -> dict[str, dict[str, bytes]]:
    """Label rows without and with an ontology, a COCO export, and a file that is no export; by folder and name."""
    known = {"ontology.json": make.encode(ontology(planter))}
    found = {
        "rows": make.encode(label_rows(planter, "rows")),
        "known": make.encode(label_rows(planter, "known")),
        "coco": make.encode(coco_export(planter)),
        "bad": make.encode({planter.text("bad.<key>"): planter.text("bad.<value>")}),
    }
    names = {folder: planter.name("export.name") for folder in found}
    return {
        folder: {f"{names[folder]}.json": data} | (known if folder == "known" else {}) for folder, data in found.items()
    }


def _known_keys(row: Json) -> Json:
    """The row with the keys that few rows have."""
    more: Json = {
        "workflow_graph_node": {"uuid": "a", "title": "a"},
        "assigned_user_email": "a",
        "client_metadata": {"patient": "a"},
        "task_uuid": "a",
        "backing_item_uuid": "a",
        "video_link": "a",
        "label_status": "a",
        "annotation_task_status": "a",
    }
    return row | more


def _signed(entry: Json) -> Json:
    return entry | {"lastEditedBy": "a", "lastEditedAt": "a"}


def _shapes() -> list[Json]:
    holes = [[[0.1, 0.1, 0.4, 0.1, 0.4, 0.4], [0.2, 0.15, 0.3, 0.15, 0.3, 0.2]]]
    found = [
        make.box(),
        make.rotated_box(),
        make.polygon(),
        make.polygons(holes, "object11"),
        make.polyline(),
        make.point(),
        make.skeleton(),
        make.bitmask("01", 1, 1, top=1),
        make.circle("object12"),
        make.ellipse("object13"),
        make.cuboid(),
    ]
    return [_signed(entry) for entry in found]


def _full(row: Json) -> Json:
    """The row with answers and dynamic answers of every kind."""
    sunny, red, blue = (
        make.option(name, key) for name, key in (("a", "OptionA1"), ("b", "OptionB1"), ("c", "OptionB2"))
    )
    given = [
        make.answer("text", "a", "AttrText"),
        make.answer([sunny], "a", "AttrRadi"),
        make.answer([red, blue], "a", "AttrList"),
        make.answer({"to": "a"}, "a", "AttrRela", type="relation"),
    ]
    actions = [make.action("a", [[0, 0]], "a", "AttrDyna"), make.action([red], [[0, 9]], "a", "AttrDyn2")]
    weather = _signed(make.classification()) | {"classifications": given}
    whole = weather | {"classificationHash": "classif2", "range": []}
    return row | {
        "object_answers": {"object01": {"objectHash": "object01", "classifications": given}},
        "object_actions": {"object01": {"objectHash": "object01", "actions": actions}},
        "classification_answers": {"classif1": weather, "classif2": whole},
    }


def _html() -> Json:
    row = make.audio_row(make.entry("text", {}, "text0001"), data_type="plain_text")
    ranges = [{"start": {"xpath": "/p", "offset": 1}, "end": {"xpath": "/p", "offset": 3}}]
    return make.changed(row, ranges, "object_answers", "text0001", "range_html")


def _group(planter: Planter) -> Json:
    image: Json = {
        "space_type": "image",
        "child_info": {"layout_key": "a", "file_name": "a"},
        "width": 640,
        "height": 480,
        "labels": {"0": make.labels(make.box())},
    }
    cloud: Json = {"space_type": "point_cloud", "child_info": {"layout_key": "a"}, "labels": {}}
    spaces = {f"rooms/{planter.text('spaces.<id>')}": image, planter.text("spaces.<id>"): cloud}
    group = make.row("group", [make.unit("group-0", "application/json", {}, width=None, height=None)])
    return group | {"spaces": spaces}
