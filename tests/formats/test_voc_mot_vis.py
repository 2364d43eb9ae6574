"""Pascal VOC masks, MOT Challenge and YouTube-VIS, each read back with nothing but its own description."""

import configparser
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as codes

from encord_dagster.formats import voc_masks
from tests import factories
from tests.factories import HEIGHT, WIDTH
from tests.lakes import Desk, project_export
from tests.published import Json
from tests.written import checked_out, desk_of, document, losses, masks_of, picture


def test_voc_masks_are_ours_by_other_numbers(tmp_path: Path) -> None:
    """Class k is the k-th category, objects are numbered among those with pixels; the lists name every picture."""
    desk = Desk()
    desk.bring("one.json", project_export(8))
    folder = checked_out(tmp_path, desk, "coco", "masks", "voc_masks") / "voc_masks"
    index = {one["id"]: place for place, one in enumerate(document(tmp_path)["categories"], start=1)}
    table = np.zeros(256, dtype=np.int64)
    table[list(index)] = list(index.values())

    names = (folder / "ImageSets" / "Segmentation" / "trainval.txt").read_text().split()

    assert len(names) == len(document(tmp_path)["images"])
    for name in names:
        classes = picture(folder / "SegmentationClass" / f"{name}.png")
        objects = picture(folder / "SegmentationObject" / f"{name}.png")
        assert np.array_equal(classes, table[picture(tmp_path / "masks" / "semantic" / f"{name}.png")])
        ours = picture(tmp_path / "masks" / "instance" / f"{name}.png")
        pairs = np.unique(np.stack((objects, ours), axis=-1).reshape(-1, 2), axis=0)
        assert len(pairs) == len(np.unique(ours)) == len(np.unique(objects))
    labels = (folder / "labels.txt").read_text().splitlines()
    assert labels == ["background", *(one["name"] for one in document(tmp_path)["categories"])]


def test_voc_masks_have_its_colours(tmp_path: Path) -> None:
    """Aeroplane is 128, 0, 0; the border would be 224, 224, 192."""
    checked_out(tmp_path, desk_of(factories.image_row(factories.box())), "voc_masks")

    with Image.open(tmp_path / "voc_masks" / "SegmentationClass" / "data-0.png".replace("data", "images/data")) as one:
        assert one.mode == "P"
        colours = one.getpalette()

    assert colours is not None
    assert [colours[3 * value : 3 * value + 3] for value in (0, 1, 15, 255)] == [
        [0, 0, 0],
        [128, 0, 0],
        [192, 128, 128],
        [224, 224, 192],
    ]
    assert bytes(colours) == voc_masks.palette()


def test_what_does_not_fit_into_8_bits_becomes_border_and_is_counted(tmp_path: Path) -> None:
    """Of 300 objects of 300 classes."""
    boxes = [
        factories.box(n / 400, n / 500, 0.05, 0.06, f"object-{n}", featureHash=f"class-{n}", name=f"class {n}")
        for n in range(300)
    ]

    checked_out(tmp_path, desk_of(factories.image_row(*boxes)), "voc_masks")

    assert losses(tmp_path)["voc_masks:object_above_254"] == 46
    assert losses(tmp_path)["voc_masks:class_above_254"] == 46
    assert picture(tmp_path / "voc_masks" / "SegmentationObject" / "images" / "data-0.png").max() == 255


def moving(frames: range, name: str, start: float = 0.1) -> dict[int, list[Json]]:
    """A box that moves to the right."""
    return {frame: [factories.box(start + frame / 100, 0.2, 0.1, 0.2, name)] for frame in frames}


def test_tracks_of_two_rows_on_one_video_are_apart(tmp_path: Path) -> None:
    """Also where both call their object the same; frames count from 1, boxes are those of COCO."""
    one = factories.video_row(moving(range(5), "object01"), label_hash="row-one")
    two = factories.video_row(moving(range(3, 8), "object01", 0.3), label_hash="row-two")

    folder = checked_out(tmp_path, desk_of(one, two), "coco", "mot", "youtube_vis")

    lines = [
        [float(part) for part in line.split(",")]
        for line in (folder / "mot" / "train" / "video-0" / "gt" / "gt.txt").read_text().splitlines()
    ]
    tracks = defaultdict(set)
    for line in lines:
        tracks[line[1]].add(int(line[0]))
    assert sorted(map(sorted, tracks.values())) == [[1, 2, 3, 4, 5], [4, 5, 6, 7, 8]]
    coco = document(folder)
    assert sorted(line[2:6] for line in lines) == sorted(one["bbox"] for one in coco["annotations"])
    assert {tuple(line[6:]) for line in lines} == {(1, 1, 1)}
    about = configparser.ConfigParser()
    about.read(folder / "mot" / "train" / "video-0" / "seqinfo.ini")
    assert dict(about["Sequence"]) == {
        "name": "video-0",
        "imdir": "img1",
        "framerate": "30",
        "seqlength": "8",
        "imwidth": str(WIDTH),
        "imheight": str(HEIGHT),
        "imext": ".jpg",
    }
    assert (folder / "mot" / "seqmaps" / "train.txt").read_text() == "name\nvideo-0\n"
    (video,) = document(folder, "youtube_vis")["videos"]
    assert video["frames"] == list(range(8))
    assert len(document(folder, "youtube_vis")["annotations"]) == 2


def test_rows_on_one_video_without_a_common_frame_are_one_sequence(tmp_path: Path) -> None:
    """What they share is the data unit."""
    one = factories.video_row(moving(range(3), "object01"), label_hash="row-one")
    two = factories.video_row(moving(range(6, 8), "object01"), label_hash="row-two")

    folder = checked_out(tmp_path, desk_of(one, two), "mot", "youtube_vis")

    assert len((folder / "mot" / "train" / "video-0" / "gt" / "gt.txt").read_text().splitlines()) == 5
    assert len(document(folder, "youtube_vis")["videos"]) == 1


def test_youtube_vis_holds_every_mask_of_a_track(tmp_path: Path) -> None:
    """In the samples: all annotations on frames, each at its frame, null elsewhere; what it cannot hold is counted."""
    desk = Desk()
    desk.bring("one.json", project_export(12))
    folder = checked_out(tmp_path, desk, "coco", "youtube_vis")
    coco, vis = document(folder), document(folder, "youtube_vis")
    images, masks = {one["file_name"]: one for one in coco["images"]}, masks_of(coco)
    by_place = {(one["image_id"], one["attributes"]["track_id"]): one for one in coco["annotations"]}
    videos = {one["id"]: one for one in vis["videos"]}
    held = 0

    assert len({one["id"] for one in vis["annotations"]}) == len(vis["annotations"]) > 20
    for track in vis["annotations"]:
        names = videos[track["video_id"]]["file_names"]
        assert len(names) == videos[track["video_id"]]["length"] == len(track["segmentations"])
        for name, shape, box, area in zip(names, track["segmentations"], track["bboxes"], track["areas"], strict=True):
            if shape is None:
                assert box is area is None
                continue
            same = by_place[images[name]["id"], track["track_id"]]
            assert (box, area) == (same["bbox"], same["area"])
            assert np.array_equal(
                codes.decode(codes.frPyObjects(shape, *shape["size"])).astype(bool), masks[same["id"]]
            )
            assert track["category_id"] == same["category_id"]
            held += 1

    lost = losses(folder)
    assert held + sum(lost[f"youtube_vis:{name}"] for name in ("no_area", "no_sequence", "frame_sizes")) == len(
        coco["annotations"]
    )
    assert lost["youtube_vis:outline_as_mask"] > 20
    assert held > 50


def test_images_of_a_group_are_a_sequence_and_single_images_are_none(tmp_path: Path) -> None:
    """The label row is what holds them together; an object of a single image is counted."""
    group = factories.group_row([factories.box()], [factories.box(0.3)], label_hash="row-group")
    single = factories.changed(factories.image_row(factories.box(), factories.point()), "lone", "label_hash")

    folder = checked_out(tmp_path, desk_of(group, factories.changed(single, "x", *_HASH)), "mot", "youtube_vis")

    assert len((folder / "mot" / "train" / "row-group" / "gt" / "gt.txt").read_text().splitlines()) == 2
    (track,) = document(folder, "youtube_vis")["annotations"]
    assert None not in track["bboxes"]
    assert losses(folder)["mot:no_sequence"] == losses(folder)["youtube_vis:no_sequence"] == 2


_HASH = ("data_units", "data-0", "data_hash")


def test_frames_of_another_size_are_counted(tmp_path: Path) -> None:
    """YouTube-VIS has one size for a video, MOT too, but its boxes stay."""
    row = factories.dicom_row(
        {0: factories.dicom_slice(factories.box(), uid="1.2", width=100, height=80)}
        | {1: factories.dicom_slice(factories.box(), uid="1.3", width=50, height=80)}
    )

    folder = checked_out(tmp_path, desk_of(row), "mot", "youtube_vis")

    assert losses(folder)["youtube_vis:frame_sizes"] == losses(folder)["mot:frame_sizes"] == 1
    assert len((folder / "mot" / "train" / "dicom-0" / "gt" / "gt.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize("formats", [("mot",), ("youtube_vis",)])
def test_splits_divide_sequences(formats: tuple[str, ...], tmp_path: Path) -> None:
    """Each lies in the folder or file of its split."""
    rows = [
        factories.changed(
            factories.video_row(moving(range(3), "object01"), label_hash=f"row-{n}"),
            f"video-{n}",
            *("data_units", "video-0", "data_hash"),
        )
        for n in range(6)
    ]

    folder = checked_out(
        tmp_path, desk_of(*rows), *formats, splits={"train": 0.5, "val": 0.5}, coco_per_split=True, frame_rate=25.0
    )

    if formats == ("mot",):
        counts = [len(list((folder / "mot" / split).iterdir())) for split in ("train", "val")]
    else:
        counts = [len(document(folder, f"youtube_vis_{split}")["videos"]) for split in ("train", "val")]
    assert sum(counts) == 6
    assert all(counts)


def test_masks_of_voc_and_coco_count_the_same_pixels(tmp_path: Path) -> None:
    """The union of all masks is what is not background."""
    row = factories.image_row(factories.box(), factories.polygon(), factories.point())

    folder = checked_out(tmp_path, desk_of(row), "coco", "voc_masks")

    union = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    for mask in masks_of(document(folder)).values():
        union |= mask
    assert np.array_equal(picture(folder / "voc_masks" / "SegmentationClass" / "images" / "data-0.png") > 0, union)
    assert losses(folder)["voc_masks:no_area"] == 1
