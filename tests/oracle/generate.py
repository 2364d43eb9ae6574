"""Random label rows as plain JSON, by a hand that knows nothing of our reader: same seed, same rows."""

import random
import uuid
from collections.abc import Iterator
from typing import Any, Literal

from tests.oracle.geometries import geometry
from tests.oracle.ontologies import joints_of, short_hash

Json = dict[str, Any]
Era = Literal["frames", "ranges"]  # classifications on frames, to 2025; as ranges in their answers, since
SIZES = ((1, 1), (1, 7), (3, 5), (37, 211), (1920, 1080), (8000, 5))
DATA_TYPES = ("image", "img_group", "video", "dicom", "nifti")
FPS = 10
_TIME = "Thu, 07 Sep 2023 09:47:35 GMT"
_WORDS = ("red", "a lorry", "größer", "left, right", "7", "x > y", "two\nlines")


def rows(seed: int, number: int, ontology: Json, era: Era) -> Iterator[Json]:
    """`number` rows: data types and sizes in turn, everything else at random."""
    for index in range(number):
        rng = random.Random(f"row {seed} {index}")
        yield _Row(rng, ontology, era, DATA_TYPES[index % len(DATA_TYPES)]).build()


class _Frame:
    """One frame: its number, size and what lies on it."""

    def __init__(self, number: int, size: tuple[int, int]) -> None:
        self.number = number
        self.size = size
        self.objects: list[Json] = []
        self.classifications: list[Json] = []


class _Row:
    """One row in the making."""

    def __init__(self, rng: random.Random, ontology: Json, era: Era, data_type: str) -> None:
        self.rng = rng
        self.ontology = ontology
        self.era = era
        self.data_type = data_type
        self.size = rng.choice(SIZES)
        self.length = {"image": 1, "img_group": rng.randint(1, 4)}.get(data_type, rng.randint(1, 30))
        self.object_answers: Json = {}
        self.object_actions: Json = {}
        self.classification_answers: Json = {}

    def build(self) -> Json:
        """The row as an export holds it."""
        frames = self._frames()
        self._draw(frames)
        self._classify(frames)
        units = self._units(frames)
        hashes = list(units)
        own = hashes[0] if self.data_type != "img_group" else self._uuid()
        return {
            "label_hash": self._uuid(),
            "branch_name": "main",
            "created_at": "2023-03-23 11:42:14",
            "last_edited_at": "2023-03-23 11:42:14",
            "data_hash": own,
            "dataset_hash": self._uuid(),
            "dataset_title": "oracle",
            "data_title": "row.bin",
            "data_type": self.data_type,
            "data_units": units,
            "object_answers": self.object_answers,
            "classification_answers": self.classification_answers,
            "object_actions": self.object_actions,
            "label_status": "LABELLED",
            "annotation_task_status": "QUEUED",
            "spaces": {},
            "is_image_sequence": {"img_group": False}.get(self.data_type),
            "video_link": None,
            "export_hash": self._uuid(),
            "exported_at": "Mon, 02 Oct 2023 14:35:30 UTC",
            "export_history": [],
        }

    def _frames(self) -> list[_Frame]:
        """The frames that the row names: of a video or volume some, of the others all; slices have own sizes."""
        numbers = range(self.length)
        if self.data_type in ("image", "img_group"):
            return [_Frame(number, self.rng.choice(SIZES)) for number in numbers]
        named = sorted(self.rng.sample(numbers, self.rng.randint(1, min(self.length, 5))))
        own_sizes = self.data_type == "dicom" and self.rng.random() < 0.5
        return [_Frame(number, self.rng.choice(SIZES) if own_sizes else self.size) for number in named]

    def _draw(self, frames: list[_Frame]) -> None:
        for _ in range(self.rng.randint(0, 6)):
            cls = self.rng.choice(self.ontology["objects"])
            object_hash = short_hash(self.rng)
            deleted = self.rng.random() < 0.01
            on = self.rng.sample(frames, self.rng.randint(1, len(frames)))
            for frame in on:
                frame.objects.append(
                    self._entry(cls, object_hash, frame.size) | ({"isDeleted": True} if deleted else {})
                )
            static = [one for one in cls["attributes"] if not one["dynamic"]]
            self.object_answers[object_hash] = {"objectHash": object_hash, "classifications": self._answers(static)}
            actions = [action for one in cls["attributes"] if one["dynamic"] for action in self._actions(one)]
            if actions:
                self.object_actions[object_hash] = {"objectHash": object_hash, "actions": actions}

    def _entry(self, cls: Json, object_hash: str, size: tuple[int, int]) -> Json:
        rng = self.rng
        entry: Json = {
            "featureHash": cls["featureNodeHash"],
            "objectHash": object_hash,
            "name": cls["name"],
            "value": cls["name"].replace(" ", "_"),
            "color": cls["color"],
            "shape": cls["shape"],
            "createdBy": "annotator@example.com",
            "createdAt": _TIME,
            "lastEditedAt": _TIME,
        }
        confidence = rng.choice([1, 1, 1.0, 0.25, 0, rng.random(), "1", "0.5", None, ...])
        manual = ... if rng.random() < 0.01 else rng.random() < 0.8
        entry |= {} if confidence is ... else {"confidence": confidence}
        entry |= {} if manual is ... else {"manualAnnotation": manual}
        return entry | geometry(rng, cls["shape"], size, joints_of(self.ontology, cls["featureNodeHash"]))

    def _answers(self, attributes: list[Json]) -> list[Json]:
        """Answers to some of the attributes and, below chosen options, to nested ones, in one flat list."""
        found: list[Json] = []
        for attribute in attributes:
            if self.rng.random() < 0.25:
                continue
            given = self._given(attribute)
            for option in attribute.get("options", []):
                if attribute["type"] == "radio" and option["featureNodeHash"] == given[0]["featureHash"]:
                    found += self._answers(option.get("options", []))
            if attribute["type"] == "checklist" and self.rng.random() < 0.2:  # the web application's way
                found += [self._answer(attribute, [option]) for option in given]
            else:
                found.append(self._answer(attribute, given))
        return found

    def _given(self, attribute: Json) -> Any:
        rng = self.rng
        match attribute["type"]:
            case "text":
                return rng.choice(_WORDS)
            case "numeric":
                return rng.choice([0, 1, -3, 2.5, rng.uniform(-1e6, 1e6)])
            case "radio":
                return [self._option(attribute, rng.choice(attribute["options"]))]
            case _:
                chosen = rng.sample(attribute["options"], rng.randint(0, len(attribute["options"])))
                return [self._option(attribute, option) for option in chosen]

    def _option(self, attribute: Json, option: Json) -> Json:
        """An option; exports sometimes name it after its attribute."""
        name = attribute["name"] if self.rng.random() < 0.1 else option["label"]
        return {"name": name, "value": option["value"], "featureHash": option["featureNodeHash"]}

    def _answer(self, attribute: Json, given: Any) -> Json:
        return {
            "name": attribute["name"],
            "value": attribute["name"].replace(" ", "_"),
            "answers": given,
            "featureHash": attribute["featureNodeHash"],
            "manualAnnotation": True,
        }

    def _actions(self, attribute: Json) -> list[Json]:
        """Dynamic answers by range: one after the other; ticks of a checklist overlap, other answers seldom."""
        if attribute["type"] == "checklist":
            ticks = [[self._option(attribute, option)] for option in attribute["options"] if self.rng.random() < 0.7]
            return [self._action(attribute, tick, self._ranges(0, self.length - 1)) for tick in ticks]
        actions: list[Json] = []
        start = 0
        while start < self.length:
            stop = self.rng.randint(start, self.length - 1)
            if self.rng.random() < 0.8:
                actions.append(self._action(attribute, self._given(attribute), self._ranges(start, stop)))
            start = stop + 1
        if actions and self.rng.random() < 0.05:
            actions.append(self._action(attribute, self._given(attribute), [[0, self.rng.randint(0, self.length - 1)]]))
        return actions

    def _ranges(self, first: int, last: int) -> list[list[int]]:
        """One range, or two with a gap between them."""
        if last - first >= 4 and self.rng.random() < 0.4:
            middle = self.rng.randint(first + 1, last - 2)
            return [[first, middle - 1], [middle + 1, last]]
        return [[first, self.rng.randint(first, last)]]

    def _action(self, attribute: Json, given: Any, ranges: list[list[int]]) -> Json:
        more = {"dynamic": True, "range": ranges, "shouldPropagate": False, "trackHash": ""}
        return self._answer(attribute, given) | more

    def _classify(self, frames: list[_Frame]) -> None:
        for cls in self.ontology["classifications"]:
            of_the_whole = cls.get("level") == "global"
            if self.rng.random() < 0.6 or (of_the_whole and self.era == "frames"):
                continue
            key = short_hash(self.rng)
            numbers = [] if of_the_whole else self._classified(frames)
            spelling = "range" if of_the_whole else self.rng.choice(["range"] * 8 + ["both", "frames"])
            answer: Json = {"classificationHash": key, "classifications": self._answers(cls["attributes"])}
            if self.era == "ranges" and spelling != "frames":
                more = {
                    "range": _as_ranges(numbers),
                    "spaces": {},
                    "createdAt": _TIME,
                    "createdBy": "a",
                    "confidence": 1,
                }
                answer |= {"featureHash": cls["featureNodeHash"], "manualAnnotation": True, **more}
            if self.era == "frames" or spelling != "range":
                self._list(cls, key, numbers, frames)
            self.classification_answers[key] = answer

    def _classified(self, frames: list[_Frame]) -> list[int]:
        """The frames that a classification holds at, also some without objects where the row has such."""
        if self.data_type in ("image", "img_group"):
            return sorted(one.number for one in self.rng.sample(frames, self.rng.randint(1, len(frames))))
        first = self.rng.randrange(self.length)
        return list(range(first, self.rng.randint(first, self.length - 1) + 1))

    def _list(self, cls: Json, key: str, numbers: list[int], frames: list[_Frame]) -> None:
        entry: Json = {
            "classificationHash": key,
            "featureHash": cls["featureNodeHash"],
            "name": cls["attributes"][0]["name"],
            "value": cls["attributes"][0]["name"].replace(" ", "_"),
            "confidence": 1,
            "createdBy": "annotator@example.com",
            "createdAt": _TIME,
            "manualAnnotation": True,
        }
        by_number = {frame.number: frame for frame in frames}
        for number in numbers:
            if number not in by_number:
                by_number[number] = _Frame(number, self.size)
                frames.append(by_number[number])
            by_number[number].classifications.append(dict(entry))
        frames.sort(key=lambda frame: frame.number)

    def _units(self, frames: list[_Frame]) -> Json:
        if self.data_type in ("image", "img_group"):
            units = [self._unit("image/png", frame.size, frame.number) | {"labels": _labels(frame)} for frame in frames]
        else:
            mime = {"video": "video/mp4", "dicom": "application/dicom"}.get(self.data_type, "application/nifti1")
            unit = self._unit(mime, self.size, 0) | {"labels": {str(one.number): _labels(one) for one in frames}}
            if self.data_type == "video":
                unit |= {"data_fps": FPS, "data_duration": self.length / FPS}
            if self.data_type == "dicom":
                self._add_slices(unit, frames)
            units = [unit]
        return {unit["data_hash"]: unit for unit in units}

    def _unit(self, mime: str, size: tuple[int, int], sequence: int) -> Json:
        return {
            "data_hash": self._uuid(),
            "data_title": "file.png",
            "data_type": mime,
            "data_sequence": str(sequence) if self.rng.random() < 0.3 else sequence,
            "data_link": "bucket/file",
            "width": size[0],
            "height": size[1],
        }

    def _add_slices(self, unit: Json, frames: list[_Frame]) -> None:
        """Metadata of the series and of its slices; some slices have none, which then have the size of the series."""
        unit["metadata"] = {"patient_id": "p", "study_uid": "1.2.3", "series_uid": "1.2.3.4"}
        unit["data_links"] = ["bucket/file"]
        multiframe = self.rng.random() < 0.3
        for frame in frames:
            if frame.size == self.size and self.rng.random() < 0.3:
                continue
            unit["labels"][str(frame.number)]["metadata"] = {
                "dicom_instance_uid": "1.2.3.4.0" if multiframe else f"1.2.3.4.{frame.number}",
                "multiframe_frame_number": frame.number if multiframe else None,
                "file_uri": "bucket/file",
                "width": frame.size[0],
                "height": frame.size[1],
            }

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))


def _labels(frame: _Frame) -> Json:
    return {"objects": frame.objects, "classifications": frame.classifications}


def _as_ranges(numbers: list[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges
