"""The formats as those who train with them read them, in environments of their own.

`make readers`, `make readers-torch` and `make readers-fiftyone` make these. What a reader found goes back as JSON and
is compared here with the COCO file of the same checkout.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools import mask as rle

from encord_dagster.formats.catalogue import FORMATS
from encord_dagster.formats.yolo import image_path
from tests import dicom_files as dicom
from tests import factories
from tests.lakes import Desk, project_export
from tests.published import Json
from tests.test_checkout import every_shape
from tests.written import Mask, checked_out, document, drawn, losses, masks_of, overlap

MADE = Path(__file__).parents[2] / ".make"
KINDS = ("yolo_detect", "yolo_segment", "yolo_pose", "yolo_obb")
pytestmark = pytest.mark.slow

ULTRALYTICS = """
import json, os, sys
from pathlib import Path
os.environ |= {"YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": sys.argv[1], "YOLO_VERBOSE": "false"}
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
found = {}
for task in ("detect", "segment", "pose", "obb"):
    about = check_det_dataset(str(Path(sys.argv[1], f"yolo_{task}", "data.yaml")), autodownload=False)
    labels = found[f"yolo_{task}"] = {"names": list(about["names"].values())}
    for split in ("train", "val"):
        for one in YOLODataset(img_path=about[split], data=about, task=task, augment=False, imgsz=64).labels:
            joints = one["keypoints"]
            labels[Path(one["im_file"]).name] = {
                "classes": one["cls"].ravel().astype(int).tolist(),
                "boxes": one["bboxes"].tolist(),
                "outlines": [part.tolist() for part in one["segments"]],
                "joints": [] if joints is None else joints.tolist(),
            }
Path(sys.argv[2]).write_text(json.dumps(found))
"""
TORCHVISION = """
import json, sys
from pathlib import Path
from torchvision.datasets import CocoDetection
folder = Path(sys.argv[1])
dataset = CocoDetection(str(folder / "media"), str(folder / "annotations" / "instances.json"))
found = [{"size": image.size, "annotations": given} for image, given in dataset]
Path(sys.argv[2]).write_text(json.dumps(found))
"""
SUPERVISION = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import supervision as sv
folder = Path(sys.argv[1])
more = {"yolo_detect": {}, "yolo_segment": {"force_masks": True}, "yolo_obb": {"is_obb": True}}
sets = {
    name: sv.DetectionDataset.from_yolo(
        images_directory_path=str(folder / name / "images"),
        annotations_directory_path=str(folder / name / "labels"),
        data_yaml_path=str(folder / name / "data.yaml"),
        **given,
    )
    for name, given in more.items()
}
sets["coco"] = sv.DetectionDataset.from_coco(
    str(folder / "media"), str(folder / "annotations" / "instances.json"), force_masks=True
)
found = {
    name: {
        Path(path).name: {
            "classes": one.class_id.tolist(),
            "boxes": one.xyxy.tolist(),
            "areas": [] if one.mask is None else one.mask.sum(axis=(1, 2)).tolist(),
        }
        for path, one in dataset.annotations.items()
    }
    for name, dataset in sets.items()
}
Path(sys.argv[2]).write_text(json.dumps(found | {"names": sets["yolo_detect"].classes}))
"""
FIFTYONE = """
import json, os, sys
from pathlib import Path
import numpy
from pycocotools import mask
folder, home = Path(sys.argv[1]), Path(sys.argv[2] + ".fiftyone")
for name in [one for one in os.environ if one.startswith("FIFTYONE_")]:
    del os.environ[name]  # such as the address of somebody's database
os.environ |= {"HOME": str(home), "FIFTYONE_DATABASE_DIR": str(home / "db"), "FIFTYONE_DO_NOT_TRACK": "true"}
import fiftyone as fo
def packed(pixels):
    code = mask.encode(numpy.asfortranarray(pixels, dtype=numpy.uint8))
    return {"size": code["size"], "counts": code["counts"].decode()}
def coco(name):
    return fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset, data_path=str(folder / "media"),
        labels_path=str(folder / "annotations" / f"{name}.json"),
    )
found = {
    "encord_coco": coco("encord_coco").count("segmentations.detections"),
    "coco_keypoints": coco("keypoints").count("keypoints.keypoints"),
}
found["coco"] = {
    sample.filename: {
        "boxes": [[one.label, one.bounding_box, one.confidence] for one in sample.detections.detections],
        "masks": [[one.confidence, packed(one.mask)] for one in sample.segmentations.detections],
        "joints": [[one.track_id, one.points, one.visible] for one in (sample.keypoints or fo.Keypoints()).keypoints],
        "attributes": [dict(one.iter_attributes()) for one in sample.detections.detections],
    }
    for sample in coco("instances")
    if sample.detections
}
for name, kind in ("yolo_detect", "detections"), ("yolo_segment", "polylines"), ("yolo_segment", "instances"):
    held = found[kind] = {}
    for split in ("train", "val"):
        dataset = fo.Dataset.from_dir(
            dataset_type=fo.types.YOLOv5Dataset, yaml_path=str(folder / name / "data.yaml"), split=split,
            label_type=kind, include_all_data=True,
        )
        for sample in dataset:
            labels = sample.ground_truth
            if kind == "polylines":
                shapes = [[one.label, *one.points] for one in labels.polylines]
            elif kind == "detections":
                shapes = [[one.label, one.bounding_box] for one in labels.detections]
            else:
                size = (sample.metadata.width, sample.metadata.height)
                drawn = [one.to_segmentation(frame_size=size, target=1).mask for one in labels.detections]
                shapes = [[one.label, packed(pixels)] for one, pixels in zip(labels.detections, drawn)]
            held[sample.filename] = shapes
Path(sys.argv[2]).write_text(json.dumps(found))
"""
DATASETS = """
import json, os, sys
from pathlib import Path
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": sys.argv[2] + ".home"}
from datasets import load_dataset
found = {}
for path in sorted(Path(sys.argv[1], "tables").glob("*.parquet")):
    loaded = load_dataset("parquet", data_files=str(path), split="train")
    found[path.stem] = {"rows": len(loaded), "columns": loaded.column_names}
Path(sys.argv[2]).write_text(json.dumps(found))
"""
MOTMETRICS = """
import json, sys
from pathlib import Path
import motmetrics
found = {}
for path in sorted(Path(sys.argv[1], "mot").glob("*/*/gt/gt.txt")):
    truth = motmetrics.io.loadtxt(str(path), fmt="mot16", min_confidence=1)
    judged = motmetrics.utils.compare_to_groundtruth(truth, truth, "iou", distth=0.5)
    wanted = ["num_frames", "num_unique_objects", "num_objects", "mota", "idf1"]
    (scores,) = motmetrics.metrics.create().compute(judged, metrics=wanted).to_dict("records")
    found["/".join(path.parts[-4:-2])] = scores
Path(sys.argv[2]).write_text(json.dumps(found))
"""
TRACKEVAL = """
import contextlib, io, json, sys
from pathlib import Path
import numpy, trackeval
folder, ours = Path(sys.argv[1], "mot"), Path(sys.argv[2] + ".tracks")
for path in (folder / "train").glob("*/gt/gt.txt"):
    copy = ours / "ours" / "data" / f"{path.parent.parent.name}.txt"
    copy.parent.mkdir(parents=True, exist_ok=True)
    lines = (",".join([*line.split(",")[:6], "1,-1,-1,-1"]) for line in path.read_text().split())
    copy.write_text("\\n".join(lines))
config = trackeval.datasets.MotChallenge2DBox.get_default_dataset_config() | {
    "GT_FOLDER": str(folder / "train"), "TRACKERS_FOLDER": str(ours), "TRACKERS_TO_EVAL": ["ours"],
    "SKIP_SPLIT_FOL": True, "SEQMAP_FILE": str(folder / "seqmaps" / "train.txt"), "DO_PREPROC": False,
    "PRINT_CONFIG": False,
}
quiet = {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False}
quiet |= {"PLOT_CURVES": False, "TIME_PROGRESS": False, "BREAK_ON_ERROR": True}
with contextlib.redirect_stdout(io.StringIO()):
    judge = trackeval.Evaluator(trackeval.Evaluator.get_default_eval_config() | quiet)
    dataset = trackeval.datasets.MotChallenge2DBox(config)
    results, _ = judge.evaluate([dataset], [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR()])
every = results["MotChallenge2DBox"]["ours"]["COMBINED_SEQ"]["pedestrian"]
found = {"hota": float(numpy.mean(every["HOTA"]["HOTA"])), "mota": float(every["CLEAR"]["MOTA"])}
Path(sys.argv[2]).write_text(json.dumps(found | {"boxes": int(every["Count"]["GT_Dets"])}))
"""

JUDGED = """
import contextlib, io
import numpy, trackeval
def judged(name, config):
    # what TrackEval counts of a data set of ours, and its two figures
    quiet = {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False}
    quiet |= {"PLOT_CURVES": False, "TIME_PROGRESS": False, "BREAK_ON_ERROR": True}
    with contextlib.redirect_stdout(io.StringIO()):
        judge = trackeval.Evaluator(trackeval.Evaluator.get_default_eval_config() | quiet)
        whole = {"USE_AREA_RANGES": False, "USE_TIME_RANGES": False}
        metrics = [trackeval.metrics.TrackMAP(whole), trackeval.metrics.HOTA()]
        results, _ = judge.evaluate([getattr(trackeval.datasets, name)(config)], metrics)
    every = results[name]["ours"]["COMBINED_SEQ"]["cls_comb_det_av"]
    figures = {"hota": numpy.mean(every["HOTA"]["HOTA"]), "ap": numpy.mean(every["TrackMAP"]["AP_all"])}
    return every, {name: float(value) for name, value in figures.items()}
"""

VIDEOS = (
    JUDGED
    + """
import contextlib, io, json, sys
from pathlib import Path
import numpy, trackeval
from pycocotools import mask
given = json.loads(Path(sys.argv[1], "annotations", "youtube_vis.json").read_text())
place = Path(sys.argv[2] + ".videos")
(place / "truth" / "youtube_vis_all").mkdir(parents=True)
(place / "truth" / "youtube_vis_all" / "truth.json").write_text(json.dumps(given))
def packed(shape):
    code = mask.frPyObjects(shape, *shape["size"]) if shape else None
    return code and {"size": code["size"], "counts": code["counts"].decode()}
ours = [
    {
        "video_id": one["video_id"], "category_id": one["category_id"], "score": 1.0,
        "segmentations": list(map(packed, one["segmentations"])),
    }
    for one in given["annotations"]
]
data = place / "found" / "youtube_vis_all" / "ours" / "data"
data.mkdir(parents=True)
(data / "ours.json").write_text(json.dumps(ours))
config = trackeval.datasets.YouTubeVIS.get_default_dataset_config() | {
    "GT_FOLDER": f"{place}/truth/", "TRACKERS_FOLDER": f"{place}/found/", "SPLIT_TO_EVAL": "all", "PRINT_CONFIG": False,
}
every, found = judged("YouTubeVIS", config)
Path(sys.argv[2]).write_text(json.dumps(found | {"masks": int(every["Count"]["GT_Dets"])}))
"""
)

TAO = (
    JUDGED
    + """
import contextlib, io, json, sys
from pathlib import Path
import numpy, trackeval
given = json.loads(Path(sys.argv[1], "annotations", "tao.json").read_text())
place = Path(sys.argv[2] + ".tao")
truth, ours = place / "truth", place / "found" / "ours" / "data"
for path in (truth, ours):
    path.mkdir(parents=True)
(truth / "truth.json").write_text(json.dumps(given))
def result(one):
    # a hair smaller: of equal boxes with fractions the intersection can be rounded above the union, which is refused
    x, y, width, height = one["bbox"]
    box = [x, y, width * (1 - 1e-9), height * (1 - 1e-9)]
    return {"score": 1.0, "bbox": box} | {key: one[key] for key in ("image_id", "video_id", "track_id", "category_id")}
(ours / "ours.json").write_text(json.dumps(list(map(result, given["annotations"]))))
config = trackeval.datasets.TAO.get_default_dataset_config() | {
    "GT_FOLDER": str(truth), "TRACKERS_FOLDER": str(place / "found"), "PRINT_CONFIG": False,
}
every, found = judged("TAO", config)
Path(sys.argv[2]).write_text(json.dumps(found | {"boxes": int(every["Count"]["GT_Dets"])}))
"""
)

SIMPLEITK = """
import json, sys
from pathlib import Path
import nibabel, numpy
import SimpleITK as sitk
found = {}
for path in sorted(Path(sys.argv[1], "nifti", "labelsTr").glob("*.nii.gz")):
    reader = sitk.ImageSeriesReader()
    headers = Path(sys.argv[1]).parent / "headers" / path.name.removesuffix(".nii.gz")
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(headers)))
    image, labels, affine = reader.Execute(), sitk.ReadImage(str(path)), nibabel.load(path).affine
    size, apart = image.GetSize(), []
    for i in (0, size[0] - 1):
        for j in (0, size[1] - 1):
            for k in (0, size[2] - 1):
                here = numpy.array(image.TransformIndexToPhysicalPoint((i, j, k)))
                apart.append(abs(here - labels.TransformIndexToPhysicalPoint((i, j, k))).max())
                apart.append(abs(here - (affine @ [i, j, k, 1])[:3] * [-1, -1, 1]).max())
    of_series, of_labels = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(labels)
    found[path.name.removesuffix(".nii.gz")] = {
        "apart": max(apart),
        "sizes": [size, labels.GetSize()],
        "marked": int((of_series == 1).sum()),
        "same": bool((of_series == of_labels).all()),
    }
Path(sys.argv[2]).write_text(json.dumps(found))
"""
HIGHDICOM = """
import json, sys
from pathlib import Path
import highdicom, numpy
found = {}
for path in sorted(Path(sys.argv[1], "dicom_seg").glob("*.dcm")):
    seg = highdicom.seg.segread(path)
    volume, held = seg.get_volume(combine_segments=False), []
    for number in seg.segment_numbers:
        about = seg.get_segment_description(number)
        voxels = numpy.argwhere(volume.array[..., number - 1])
        points = voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        held.append({
            "label": about.segment_label, "object": about.tracking_id, "code": about.segmented_property_type.value,
            "points": points.tolist(),
        })
    found[path.stem] = held
Path(sys.argv[2]).write_text(json.dumps(found))
"""
DCMQI = """
import json, subprocess, sys
from pathlib import Path
import numpy
import SimpleITK as sitk
found, program = {}, Path(sys.executable).parent / "segimage2itkimage"
for path in sorted(Path(sys.argv[1], "dicom_seg").glob("*.dcm")):
    out = Path(sys.argv[2] + f".{path.stem}")
    out.mkdir()
    told = ["--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd"]
    done = subprocess.run([program, *told], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    groups = json.loads((out / "meta.json").read_text())["segmentAttributes"]
    about = {one["labelID"]: one for group in groups for one in group}
    points = {number: [] for number in about}
    for picture in out.glob("*.nrrd"):
        image = sitk.ReadImage(str(picture))
        for z, y, x in numpy.argwhere(sitk.GetArrayFromImage(image)).tolist():
            points[int(image[x, y, z])].append(image.TransformIndexToPhysicalPoint((x, y, z)))
    found[path.stem] = [
        {
            "label": one["SegmentLabel"], "object": one["TrackingIdentifier"],
            "code": one["SegmentedPropertyTypeCodeSequence"]["CodeValue"], "points": points[number],
        }
        for number, one in sorted(about.items())
    ]
Path(sys.argv[2]).write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of all data types and shapes in every format, with black images where readers look for them."""
    desk = Desk()
    desk.bring("one.json", project_export(12))
    desk.bring("shapes.json", factories.encode([factories.image_row(*every_shape())]))
    out = tmp_path_factory.mktemp("readers") / "out"
    splits = {"train": 0.7, "val": 0.3}
    headers = tmp_path_factory.mktemp("headers")
    dicom.write_series(headers)
    checked_out(out, desk, *FORMATS, splits=splits, file_name="{data_hash}_{frame:04}.png", dicom_headers=headers)
    for image in document(out)["images"]:
        black = Image.new("RGB", (image["width"], image["height"]))
        for path in (
            out / "media" / image["file_name"],
            *(out / kind / image_path(image["file_name"]) for kind in KINDS),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            black.save(path)
    return out


def read(environment: str, program: str, folder: Path) -> Any:
    """What a program of another environment found in a checkout."""
    interpreter = MADE / environment / "bin" / "python"
    if not interpreter.exists():
        pytest.skip(f"these readers have an environment of their own, which is not there: make {environment}")
    answer = folder.parent / "answer.json"
    answer.unlink(missing_ok=True)
    command: list[str | Path] = [interpreter, "-c", program, folder, answer]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(answer.read_bytes())


def objects(folder: Path) -> Iterator[tuple[Json, list[Json]]]:
    """The images of the COCO file, each with its annotations."""
    coco = document(folder)
    for image in coco["images"]:
        yield image, [one for one in coco["annotations"] if one["image_id"] == image["id"]]


def has_area(one: Json) -> bool:
    """Whether an annotation is none of points, lines and skeletons."""
    return "polyline" not in one and "keypoints" not in one


def has_box(one: Json) -> bool:
    """Whether YOLO can hold the box of an annotation."""
    return "polyline" not in one and one["bbox"][2] > 0 and one["bbox"][3] > 0


def indices(folder: Path) -> dict[int, int]:
    """The class index of each category."""
    return {one["id"]: place for place, one in enumerate(document(folder)["categories"])}


def corners(one: Json, image: Json) -> list[float]:
    """Left, top, right, bottom of a box, cut off at the frame."""
    x, y, width, height = one["bbox"]
    return [max(x, 0), max(y, 0), min(x + width, image["width"]), min(y + height, image["height"])]


def agrees(outline: list[list[float]], one: Json, image: Json, mask: Mask) -> bool:
    """Whether an outline of YOLO encloses the pixels of an annotation: all where it was made of pixels or of parts."""
    polygon = (np.array(outline) * [image["width"], image["height"]]).reshape(-1).tolist()
    again = drawn(polygon, width=image["width"], height=image["height"])
    is_pixels = isinstance(one["segmentation"], dict) or len(one["segmentation"]) > 1
    return overlap(again, mask) >= (1.0 if is_pixels else 0.995)


def test_ultralytics_reads_every_label(folder: Path) -> None:
    """No image is refused; classes, boxes, masks to the pixel, joints and corners are those of the COCO file."""
    found = read("readers-torch", ULTRALYTICS, folder)
    places, masks, seen = indices(folder), masks_of(document(folder)), Counter[str]()
    names = [one["name"] for one in document(folder)["categories"]]
    assert all(found[kind]["names"] == names for kind in KINDS)

    for image, annotations in objects(folder):
        scale = np.array([image["width"], image["height"]])
        held = {kind: found[kind][image["file_name"]] for kind in KINDS}
        expected = {
            "yolo_detect": [one for one in annotations if has_box(one)],
            "yolo_segment": [one for one in annotations if has_area(one)],
            "yolo_pose": [one for one in annotations if "keypoints" in one and has_box(one)],
            "yolo_obb": [one for one in annotations if has_box(one)],
        }
        for kind, ones in expected.items():
            assert held[kind]["classes"] == [places[one["category_id"]] for one in ones]
            seen[kind] += len(ones)
        for one, (x, y, width, height) in zip(expected["yolo_detect"], held["yolo_detect"]["boxes"], strict=True):
            box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * [*scale, *scale]
            assert box == pytest.approx(corners(one, image), abs=0.01)
        for one, outline in zip(expected["yolo_segment"], held["yolo_segment"]["outlines"], strict=True):
            assert agrees(outline, one, image, masks[one["id"]])
        for one, joints in zip(expected["yolo_pose"], held["yolo_pose"]["joints"], strict=True):
            given = np.array(one["keypoints"]).reshape(-1, 3)
            assert np.array(joints)[: len(given)] * [*scale, 1] == pytest.approx(given, abs=0.01)
            assert not np.array(joints)[len(given) :].any()
        for one, ring in zip(expected["yolo_obb"], held["yolo_obb"]["outlines"], strict=True):
            if one["attributes"].get("rotation") and len(one["segmentation"][0]) == 8:
                assert (np.array(ring) * scale).reshape(-1) == pytest.approx(one["segmentation"][0], abs=0.01)
                seen["turned"] += 1

    assert min(seen.values()) > 20
    total = len(document(folder)["annotations"])
    lost = losses(folder)
    assert (
        total == seen["yolo_detect"] + lost["yolo_detect:no_box"] == seen["yolo_segment"] + lost["yolo_segment:no_area"]
    )


def test_torchvision_reads_the_coco_file(folder: Path) -> None:
    """CocoDetection gives each image with its annotations, as they are."""
    found = read("readers-torch", TORCHVISION, folder)

    expected = sorted(objects(folder), key=lambda one: one[0]["id"])
    assert len(found) == len(expected)
    for one, (image, annotations) in zip(found, expected, strict=True):
        assert one == {"size": [image["width"], image["height"]], "annotations": annotations}


def test_supervision_reads_yolo_and_coco(folder: Path) -> None:
    """Boxes within a hundredth of a pixel; masks as OpenCV paints them, which takes their border too."""
    found = read("readers", SUPERVISION, folder)
    places, masks = indices(folder), masks_of(document(folder))
    assert found["names"] == [one["name"] for one in document(folder)["categories"]]
    ours = theirs = 0

    for image, annotations in objects(folder):
        boxes = [one for one in annotations if has_box(one)]
        shapes = [one for one in annotations if has_area(one)]
        for kind, ones in (("yolo_detect", boxes), ("yolo_obb", boxes), ("yolo_segment", shapes)):
            held = found[kind][image["file_name"]]
            assert held["classes"] == [places[one["category_id"]] for one in ones]
        for one, box in zip(boxes, found["yolo_detect"][image["file_name"]]["boxes"], strict=True):
            assert box == pytest.approx(corners(one, image), abs=0.01)
        ours += sum(int(masks[one["id"]].sum()) for one in shapes)
        theirs += sum(found["yolo_segment"][image["file_name"]]["areas"])
        coco = found["coco"][image["file_name"]]
        assert len(coco["classes"]) == len(annotations)
        for one, box in zip(annotations, coco["boxes"], strict=True):
            x, y, width, height = one["bbox"]
            assert box == pytest.approx([x, y, x + width, y + height], abs=0.01)

    assert theirs == pytest.approx(ours, rel=0.03)


@pytest.fixture(scope="module")
def fiftyone(folder: Path) -> Json:
    """What FiftyOne holds after loading COCO and YOLO into its database, which runs in the folder of the tests."""
    found: Json = read("readers-fiftyone", FIFTYONE, folder)
    return found


def test_fiftyone_holds_the_coco_file(fiftyone: Json, folder: Path) -> None:
    """Its import, with nothing chosen, has all of every object; each mask to the pixel, where its rounded box says.

    Our attributes become arguments of its own class, beside `confidence`, which is our score: see docs/formats.md.
    """
    classes = {one["id"]: one for one in document(folder)["categories"]}
    masks, seen = masks_of(document(folder)), Counter[str]()

    for image, annotations in objects(folder):
        if not annotations:
            assert image["file_name"] not in fiftyone["coco"]
            continue
        size, held = [image["width"], image["height"]], fiftyone["coco"][image["file_name"]]
        for one, (label, box, confidence), (confidence_too, code), attributes in zip(
            annotations, held["boxes"], held["masks"], held["attributes"], strict=True
        ):
            about = classes[one["category_id"]]
            assert (label, confidence, confidence_too) == (about["name"], one["score"], one["score"])
            assert np.array(box) * [*size, *size] == pytest.approx(one["bbox"], abs=1e-6)
            beside = {key: one[key] for key in ("iscrowd", "encord", "num_keypoints", "polyline") if key in one}
            assert attributes == one["attributes"] | beside | {"supercategory": about["supercategory"]}
            seen["unsure"] += confidence < 1
            cut, again = rle.decode(code).astype(bool), np.zeros((image["height"], image["width"]), bool)
            left, top = (round(value) for value in one["bbox"][:2])
            again[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
            assert overlap(again, masks[one["id"]]) == 1.0
            seen["pixels" if isinstance(one["segmentation"], dict) else "outline"] += bool(cut.any())
        jointed = [one for one in annotations if "keypoints" in one]
        for one, (number, points, visible) in zip(jointed, held["joints"], strict=True):
            given = np.array(one["keypoints"]).reshape(-1, 3)
            assert (number, visible) == (one["attributes"]["track_id"], given[:, 2].tolist())
            assert np.nan_to_num(np.array(points)) * size == pytest.approx(given[:, :2], abs=1e-6)
            seen["joints"] += 1

    assert len(seen) == 4
    assert min(seen.values()) > 20
    assert fiftyone["encord_coco"] == len(document(folder)["annotations"])
    assert fiftyone["coco_keypoints"] == seen["joints"] == len(document(folder, "keypoints")["annotations"])


def test_fiftyone_reads_yolo(fiftyone: Json, folder: Path) -> None:
    """Boxes and outlines are ours; its own masks, by OpenCV, take the border too: nine tenths are common."""
    names = {one["id"]: one["name"] for one in document(folder)["categories"]}
    masks, seen = masks_of(document(folder)), Counter[str]()

    for image, annotations in objects(folder):
        boxes = [one for one in annotations if has_box(one)]
        shapes = [one for one in annotations if has_area(one)]
        scale = [image["width"], image["height"]]
        held = {kind: fiftyone[kind][image["file_name"]] for kind in ("detections", "polylines", "instances")}
        for kind, ones in (("detections", boxes), ("polylines", shapes), ("instances", shapes)):
            assert [label for label, _ in held[kind]] == [names[one["category_id"]] for one in ones]
            seen[kind] += len(ones)
        for one, (_, (x, y, width, height)) in zip(boxes, held["detections"], strict=True):
            box = np.array([x, y, x + width, y + height]) * [*scale, *scale]
            assert box == pytest.approx(corners(one, image), abs=0.01)
        for one, (_, outline), (_, code) in zip(shapes, held["polylines"], held["instances"], strict=True):
            assert agrees(outline, one, image, masks[one["id"]])
            assert overlap(rle.decode(code).astype(bool), masks[one["id"]]) > 0.9

    assert min(seen.values()) > 100


def test_datasets_loads_every_table(folder: Path) -> None:
    """Hugging Face's Parquet loader has their rows and columns."""
    found = read("readers", DATASETS, folder)

    tables = {path.stem: pq.read_table(path) for path in (folder / "tables").glob("*.parquet")}
    expected: Json = {name: {"rows": len(one), "columns": one.column_names} for name, one in tables.items()}
    assert found == expected
    assert found["annotations"]["rows"] == len(document(folder)["annotations"])


def test_motmetrics_reads_every_sequence(folder: Path) -> None:
    """Compared with itself each has MOTA and IDF1 of 1; objects, frames and tracks are those of the COCO file."""
    found = read("readers", MOTMETRICS, folder)

    assert all((one["mota"], one["idf1"]) == (1.0, 1.0) for one in found.values())
    lost = losses(folder)
    held = len(document(folder)["annotations"]) - lost["mot:no_box"] - lost["mot:no_sequence"]
    assert sum(one["num_objects"] for one in found.values()) == held
    for place, one in found.items():
        name = place.rpartition("/")[2]
        tracks: dict[int, set[int]] = {}
        for image, annotations in objects(folder):
            origin = image["encord"]
            for item in annotations:
                if name in (origin["data_hash"], origin["label_hash"]) and has_box(item):
                    tracks.setdefault(item["attributes"]["track_id"], set()).add(origin["frame"])
        assert len(tracks) >= one["num_unique_objects"]
        assert one["num_frames"] <= len(set().union(*tracks.values()))


def test_trackeval_scores_perfect_tracks(folder: Path) -> None:
    """HOTA and MOTA are 1 for the truth itself."""
    found = read("readers", TRACKEVAL, folder)

    assert found["hota"] == found["mota"] == 1
    assert found["boxes"] == sum(
        len(path.read_text().splitlines()) for path in (folder / "mot" / "train").glob("*/gt/gt.txt")
    )


def test_trackeval_scores_perfect_masks_of_videos(folder: Path) -> None:
    """HOTA and average precision are 1 for the truth itself; every mask of every track is there."""
    found = read("readers", VIDEOS, folder)

    vis = document(folder, "youtube_vis")["annotations"]
    masks = sum(shape is not None for one in vis for shape in one["segmentations"])
    assert found == {"hota": 1.0, "ap": 1.0, "masks": masks}
    assert masks > 50


def test_trackeval_scores_perfect_tracks_of_tao(folder: Path) -> None:
    """HOTA and average precision are 1 for the truth itself; every box of every track is there."""
    found = read("readers", TAO, folder)

    assert found == {"hota": 1.0, "ap": 1.0, "boxes": len(document(folder, "tao")["annotations"])}
    assert found["boxes"] > 50


HEIGHTS = [2.5 * number for number in (3, 0, 4, 1, 2)]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of a series in each orientation, whose own pixels are the marks that its labels describe."""
    folder, desk = tmp_path_factory.mktemp("volumes"), Desk()
    rows: list[Json] = []
    for name, orientation in dicom.ORIENTATIONS.items():
        data_hash = name.replace(" ", "-")
        series = f"1.2.3.{len(rows)}"
        labels, pixels = dicom.marked([2, 0, 4, 1, 3], series=series)
        dicom.write_series(folder / "headers" / data_hash, orientation, heights=HEIGHTS, pixels=pixels, series=series)
        row = factories.dicom_row(labels, label_hash=f"row-{data_hash}")
        rows.append(factories.changed(row, data_hash, "data_units", "dicom-0", "data_hash"))
    desk.bring("rows.json", factories.encode(rows))
    return checked_out(folder / "out", desk, "nifti", "dicom_seg", dicom_headers=folder / "headers")


def test_simpleitk_has_every_voxel_of_series_and_labels_in_one_place(volumes: Path) -> None:
    """It reads the DICOM series and the NIfTI; nibabel's affine agrees, and the marks of the series are the labels."""
    found = read("readers", SIMPLEITK, volumes)

    assert len(found) == len(dicom.ORIENTATIONS)
    for one in found.values():
        assert one["apart"] < 1e-4
        assert one["sizes"] == [[dicom.COLUMNS, dicom.ROWS, dicom.SLICES]] * 2
        assert one["same"]
        assert one["marked"] > 50


@pytest.mark.parametrize("program", [HIGHDICOM, DCMQI], ids=["highdicom", "dcmqi"])
def test_segments_lie_where_their_pixels_do(program: str, volumes: Path) -> None:
    """By DICOM's equation, in each orientation, with class and object."""
    found = read("readers", program, volumes)

    _, pixels = dicom.marked(range(5))
    for name, orientation in dicom.ORIENTATIONS.items():
        (segment,) = found[name.replace(" ", "-")]
        assert (segment["label"], segment["object"], segment["code"]) == ("a bounding_box", "object01", "BoxClas1")
        expected = dicom.points(orientation, HEIGHTS, pixels)
        assert dicom.ordered(segment["points"]) == pytest.approx(expected, abs=1e-3)
