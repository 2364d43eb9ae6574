"""The shape of Encord's own COCO export, for programs that were written for it: its keys, names and order of fields.

Values are those of our COCO file, also where the exporter's are wrong; `docs/formats.md` lists what differs on purpose.
Images and tracks count from 0 in their file as there, annotations from 1: COCOeval takes 0 for "no match".
Source: format of `CocoExporter` in Encord's SDK 0.1.211, as its output has it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from encord_dagster.encord.ontology import OntologyAttribute, read_ontology
from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.writing import Chosen, File, Growing

FILE = "annotations/encord_coco.json"
INFO = dict.fromkeys(("description", "contributor", "date_created", "url", "version", "year"))
_TITLES = {"video": "video_title", "dicom": "", "nifti": ""}  # what they call the title, "" where they have none
_EXTENSION = re.compile(r".*\.([0-9A-Za-z]{1,10})", re.DOTALL)


class EncordCoco:
    """Writes annotations/encord_coco.json, or one file for each split."""

    def __init__(self, chosen: Chosen) -> None:
        self._names = chosen.names(FILE)
        self._files = {split: Growing(chosen, "images", "annotations") for split in self._names}
        self._counts = {split: [0, 0, 0] for split in self._names}  # images, annotations and tracks so far
        self._head: dict[str, object] = {"info": INFO, "categories": [_category(one) for one in chosen.categories]}
        self._renamed = bool(chosen.selection.file_name)
        self._options = _options(chosen.given.ontology)
        self._lost = chosen.lost

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """Nothing is finished before the end."""
        tracks: dict[tuple[str, int], int] = {}  # by split and object: all frames of an object come at once
        for one in images:
            split = "" if "" in self._files else one.split
            count = self._counts[split]
            self._lost["encord_coco:classifications"] += len(one.image.classifications)
            made = []
            for item in one.annotations:
                count[1] += 1
                key = split, item.attributes.track_id
                if key not in tracks:
                    tracks[key] = count[2]
                    count[2] += 1
                made.append(self._annotation(item, number=count[1], image=count[0], track=tracks[key]))
            self._files[split].add("images", [self._image(one, count[0])])
            self._files[split].add("annotations", made)
            count[0] += 1
        yield from ()

    def _image(self, one: Labelled, number: int) -> dict[str, object]:
        image = one.image
        title = image.image_title if isinstance(image.image_title, str) else ""
        name, extension = image.file_name, _EXTENSION.fullmatch(title)
        if extension and one.data_type in ("image", "img_group") and not self._renamed:
            name = f"images/{coco.quoted(image.encord.data_hash)}.{extension[1]}"
        called = _TITLES.get(one.data_type, "image_title")
        return {
            "coco_url": image.coco_url if isinstance(image.coco_url, str) else "",
            "id": number,
            **({called: title} if called else {}),
            "file_name": name,
            "height": image.height,
            "width": image.width,
        }

    def _annotation(self, item: coco.Annotation, *, number: int, image: int, track: int) -> dict[str, object]:
        about, options = item.attributes, self._options.get(str(item.encord.feature_hash), {})
        self._lost["encord_coco:confidence"] += item.score != 1
        lists = {name for name, answer in about.classifications.items() if isinstance(answer, list)}
        self._lost["encord_coco:not_ticked"] += not lists <= options.keys()
        return {
            "area": item.area,
            "bbox": item.bbox,
            "category_id": item.category_id,
            "image_id": image,
            "iscrowd": item.iscrowd,
            "segmentation": item.segmentation,
            "keypoints": item.keypoints,
            "num_keypoints": item.num_keypoints,
            "id": number,
            "attributes": {
                "track_id": track,
                "encord_track_uuid": item.encord.object_hash,
                **({} if about.rotation is None else {"rotation": about.rotation}),
                "classifications": flat(about.classifications, options),
                "manual_annotation": about.manual_annotation,
            },
        }

    def end(self) -> Iterator[File]:
        """The files."""
        for split, file in self._files.items():
            yield self._names[split], file.document(self._head)


def flat(answers: Mapping[str, coco.Answer], options: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Answers by attribute, but those of a checklist by option: whether it is ticked.

    Without the `options` of a checklist those that are ticked stand alone. An option that is called as something else
    there has its attribute's name behind it.
    """
    made: dict[str, object] = {name: answer for name, answer in answers.items() if not isinstance(answer, list)}
    for name, answer in answers.items():
        ticked = answer if isinstance(answer, list) else []
        for option in dict.fromkeys([*options.get(name, ()), *ticked]) if isinstance(answer, list) else ():
            made[f"{option} [{name}]" if option in made else option] = option in ticked
    return made


def _options(document: str) -> dict[str, dict[str, list[str]]]:
    """The options of each checklist by class and name, also of those below options."""
    if not document:
        return {}
    classes = read_ontology(document.encode()).classes
    return {key: dict(_checklists(one.attributes)) for key, one in classes.items()}


def _checklists(attributes: Sequence[OntologyAttribute]) -> Iterator[tuple[str, list[str]]]:
    for one in attributes:
        if one.kind == "checklist":
            yield one.name, [option.label for option in one.options]
        for option in one.options:
            yield from _checklists(option.attributes)


def _category(one: Category) -> dict[str, object]:
    record: dict[str, object] = {"supercategory": one.shape, "id": one.id, "name": one.name}
    if one.shape == "point":
        record |= {"keypoints": ["keypoint"], "skeleton": []}
    if one.joints:
        record |= {"keypoints": [joint.name for joint in one.joints], "skeleton": one.skeleton}
    return record
