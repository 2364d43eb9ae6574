"""Label rows in the platform's own layout, one at a time: plain JSON values, the same for the same numbers."""

import random
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np

from benchmarks import geometry
from benchmarks.profiles import HEIGHT, WIDTH, WORDS, Kind, classes

Json = dict[str, Any]
OBJECTS = 8  # in a frame, on average
OUTLINED = 0.28  # share of a video's tracks that are polygons; with it a frame has the bytes that real ones have
UNLABELLED = 0.023  # share of a video's frames that the export does not name
ROWS_OF_MASK = {"bitmasks": 205.0, "dicom": 115.0}  # pixel rows: strings of about 460 and 260 bytes
_HASH = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CLASSES = {shape: classes(shape) for shape in ("bounding_box", "polygon", "bitmask")}
_TIME = "Thu, 07 Sep 2023 09:47:35 GMT"
Draw = Callable[[np.random.Generator], Json]
_DRAW: dict[str, tuple[str, Draw]] = {
    "boxes": ("bounding_box", lambda rng: geometry.bounding_box(*geometry.box(rng))),
    "polygons": ("polygon", geometry.polygon),
    "bitmasks": ("bitmask", lambda rng: geometry.bitmask(rng, rows=ROWS_OF_MASK["bitmasks"])),
    "dicom": ("bitmask", lambda rng: geometry.bitmask(rng, rows=ROWS_OF_MASK["dicom"])),
}


class Source(msgspec.Struct, frozen=True):
    """What a row is made from. `name` is its own for ever, `revision` says how often its labels were drawn anew."""

    seed: int
    name: str
    revision: int = 0


def row(kind: Kind, frames: int, source: Source, sign: Callable[[str], str]) -> Json:
    """One row without its export fields; `sign` makes a link of a path."""
    return _Row(kind, frames, source, sign).build()


class _Row:
    """A row in the making: the answers collect while its objects are drawn."""

    def __init__(self, kind: Kind, frames: int, source: Source, sign: Callable[[str], str]) -> None:
        self.kind = kind
        self.frames = frames
        self.sign = sign
        self.own = random.Random(f"{source.seed} {source.name}")  # hashes and titles, which never change
        self.labels = random.Random(f"{source.seed} {source.name} {source.revision}")
        self.rng = np.random.default_rng(self.labels.getrandbits(64))
        self.answers: Json = {}
        self.actions: Json = {}

    def build(self) -> Json:
        label_hash, data_hash, title = uuid4(self.own), uuid4(self.own), f"{self.own.getrandbits(32):08x}"
        if self.kind == "video":
            data_type, title, units = "video", f"{title}.mp4", [self._video(data_hash, title)]
        elif self.kind == "dicom":
            data_type, units = "dicom", [self._series(data_hash, title)]
        elif self.kind == "group":
            data_type, units = "img_group", [self._image(uuid4(self.own), number) for number in range(self.frames)]
        else:
            data_type, title, units = "image", f"{title}.jpg", [self._image(data_hash, 0)]
        return {
            "label_hash": label_hash,
            "branch_name": "main",
            "created_at": "2023-09-04 11:42:14",
            "last_edited_at": f"2023-09-0{5 + min(4, self.labels.randrange(5))} 16:02:51",
            "data_hash": data_hash,
            "dataset_hash": "7f0f0d2c-5a0e-4f0b-9a54-0d8a5d0b1c11",
            "dataset_title": "Benchmark",
            "data_title": title,
            "data_type": data_type,
            "is_image_sequence": False if data_type == "img_group" else None,
            "video_link": units[0]["data_link"] if data_type == "video" else None,
            "data_units": {unit["data_hash"]: unit for unit in units},
            "object_answers": self.answers,
            "classification_answers": {},
            "object_actions": self.actions,
            "label_status": "LABELLED",
            "annotation_task_status": "COMPLETED",
        }

    def _image(self, data_hash: str, number: int) -> Json:
        title = f"frame_{number:04}.jpg"
        objects = []
        for _ in range(int(self.rng.poisson(OBJECTS))):
            kind = self.kind if self.kind != "group" else ("boxes", "polygons")[self.labels.random() < 0.4]
            shape, draw = _DRAW[kind]
            objects.append(self._entry(self._class(shape), self._hash()) | draw(self.rng))
        for entry in objects:
            self._answer(entry)
        unit = self._unit(data_hash, title, "image/jpeg", number)
        return unit | {"data_link": self.sign(f"images/{data_hash}"), "labels": _labels(objects)}

    def _video(self, data_hash: str, title: str) -> Json:
        sheets: list[list[Json]] = [[] for _ in range(self.frames)]
        for first, last in self._tracks(long=40 if self.frames <= 60 else 200):
            shape: Literal["polygon", "bounding_box"] = "polygon" if self.labels.random() < OUTLINED else "bounding_box"
            entry = self._track(shape, first, last)
            moved = self.rng.normal(0, 0.002, (last - first + 1, 2)).cumsum(axis=0).tolist()
            for number, drawn in zip(range(first, last + 1), geometry.track(self.rng, shape, moved), strict=True):
                sheets[number].append(entry | drawn)
        named = self.rng.random(self.frames) >= UNLABELLED
        named[0] = True
        labels = {str(number): _labels(sheet) for number, sheet in enumerate(sheets) if named[number]}
        about = {"data_link": self.sign(f"videos/{data_hash}"), "data_fps": 25.0, "data_duration": self.frames / 25}
        return self._unit(data_hash, title, "video/mp4", 0) | about | {"labels": labels}

    def _series(self, data_hash: str, title: str) -> Json:
        sheets: list[list[Json]] = [[] for _ in range(self.frames)]
        for first, last in self._tracks(long=25):
            entry = self._track("bitmask", first, last)
            for number in range(first, last + 1):
                sheets[number].append(entry | _DRAW["dicom"][1](self.rng))
        uid = f"1.2.826.0.1.{self.own.getrandbits(40)}"
        links = [self.sign(f"dicom/{data_hash}/{number}") for number in range(self.frames)]
        labels = {
            str(number): _labels(sheet) | {"metadata": _slice(f"{uid}.1.{number}", links[number])}
            for number, sheet in enumerate(sheets)
        }
        series = {"patient_id": "NOID", "study_uid": uid, "series_uid": f"{uid}.1"}
        about = {"data_links": links, "data_link": links[0], "metadata": series}
        return self._unit(data_hash, title, "application/dicom", 0) | about | {"labels": labels}

    def _tracks(self, *, long: int) -> list[tuple[int, int]]:
        """First and last frames of objects that come and go, about OBJECTS of them at any time."""
        lead = 3 * long
        number = round(OBJECTS * (self.frames + lead) / long)
        starts = self.rng.integers(-lead, self.frames, number).tolist()
        lengths = self.rng.exponential(long, number).astype(int).tolist()
        spans = [
            (max(0, start), min(self.frames - 1, start + length)) for start, length in zip(starts, lengths, strict=True)
        ]
        return sorted((first, last) for first, last in spans if last >= first)

    def _track(self, shape: str, first: int, last: int) -> Json:
        """The entry that an object has on each of its frames, but for its place; its answers are noted."""
        cls = self._class(shape)
        entry = self._entry(cls, self._hash())
        self._answer(entry)
        dynamic = cls["attributes"][2]
        actions = []
        while first <= last:
            until = self.labels.randint(first, last)
            option = self.labels.choice(dynamic["options"])
            given = _answered(dynamic, [_option(option)])
            actions.append(
                given | {"dynamic": True, "range": [[first, until]], "shouldPropagate": False, "trackHash": ""}
            )
            first = until + 1 + self.labels.randrange(3)
        self.actions[entry["objectHash"]] = {"objectHash": entry["objectHash"], "actions": actions}
        return entry

    def _answer(self, entry: Json) -> None:
        cls = next(one for one in _CLASSES[entry["shape"]] if one["featureNodeHash"] == entry["featureHash"])
        state, remark, _ = cls["attributes"]
        answers = [_answered(state, [_option(self.labels.choice(state["options"]))])]
        if self.labels.random() < 0.5:
            answers.append(_answered(remark, self.labels.choice(WORDS)))
        key = entry["objectHash"]
        self.answers[key] = {"objectHash": key, "classifications": answers}

    def _class(self, shape: str) -> Json:
        return self.labels.choices(_CLASSES[shape], (8, 4, 2, 1))[0]

    def _hash(self) -> str:
        return "".join(self.labels.choices(_HASH, k=8))

    def _entry(self, cls: Json, object_hash: str) -> Json:
        return {
            "featureHash": cls["featureNodeHash"],
            "objectHash": object_hash,
            "name": cls["name"],
            "value": cls["name"].lower().replace(" ", "_"),
            "color": cls["color"],
            "shape": cls["shape"],
            "confidence": 1,
            "createdBy": "annotator@example.com",
            "createdAt": _TIME,
            "lastEditedBy": "annotator@example.com",
            "lastEditedAt": _TIME,
            "manualAnnotation": True,
        }

    def _unit(self, data_hash: str, title: str, mime: str, sequence: int) -> Json:
        return {
            "data_hash": data_hash,
            "data_title": title,
            "data_type": mime,
            "data_sequence": sequence,
            "width": WIDTH,
            "height": HEIGHT,
        }


def uuid4(rng: random.Random) -> str:
    """A version 4 UUID of random bits that are given."""
    bits = f"{rng.getrandbits(128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"


def _labels(objects: list[Json]) -> Json:
    return {"objects": objects, "classifications": []}


def _slice(uid: str, link: str) -> Json:
    return {
        "dicom_instance_uid": uid,
        "multiframe_frame_number": None,
        "file_uri": link,
        "width": WIDTH,
        "height": HEIGHT,
    }


def _answered(attribute: Json, given: Any) -> Json:
    return {
        "name": attribute["name"],
        "value": attribute["name"],
        "answers": given,
        "featureHash": attribute["featureNodeHash"],
        "manualAnnotation": True,
    }


def _option(option: Json) -> Json:
    return {"name": option["label"], "value": option["value"], "featureHash": option["featureNodeHash"]}
