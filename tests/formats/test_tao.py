"""TAO as its own toolkit indexes it: tracks of one class and one video, boxes and outlines those of the COCO file."""

from pathlib import Path

from tests import factories
from tests.lakes import Desk, project_export
from tests.published import Json
from tests.written import checked_out, desk_of, document, losses


def tracks_of(tao: Json) -> dict[int, list[Json]]:
    """Annotations by track, in order of frames; what TAO's toolkit refuses is refused here."""
    tracks = {one["id"]: one for one in tao["tracks"]}
    videos = {one["id"]: one for one in tao["videos"]}
    images = {one["id"]: one for one in tao["images"]}
    classes = {one["id"] for one in tao["categories"]}
    assert len(tracks) == len(tao["tracks"])
    assert len(videos) == len({one["name"].replace("/", "-") for one in tao["videos"]}) == len(tao["videos"])
    assert len({one["id"] for one in tao["annotations"]}) == len(tao["annotations"])
    found: dict[int, list[Json]] = {number: [] for number in tracks}
    for one in sorted(tao["annotations"], key=lambda one: images[one["image_id"]]["frame_index"]):
        track, image = tracks[one["track_id"]], images[one["image_id"]]
        assert one["category_id"] == track["category_id"] in classes
        assert one["video_id"] == track["video_id"] == image["video_id"] in videos
        found[track["id"]].append(one)
    for held in found.values():
        assert len({one["image_id"] for one in held}) == len(held) > 0
    return found


def test_tao_holds_every_box_of_a_track(tmp_path: Path) -> None:
    """In the samples: all annotations on frames, with box and outline of the COCO file; the others are counted."""
    desk = Desk()
    desk.bring("one.json", project_export(12))
    folder = checked_out(tmp_path, desk, "coco", "tao")
    coco, tao = document(folder), document(folder, "tao")
    same = {one["id"]: one for one in coco["annotations"]}
    lost, held = losses(folder), tracks_of(tao)

    assert sorted(held) == list(range(1, len(held) + 1))
    assert max(map(len, held.values())) > 2
    assert len(tao["annotations"]) + lost["tao:no_box"] + lost["tao:no_sequence"] == len(coco["annotations"])
    objects = {one["id"]: one["encord_track_id"] for one in tao["tracks"]}
    for one in tao["annotations"]:
        ours = same[one["id"]]
        assert objects[one["track_id"]] == ours["attributes"]["track_id"]
        for key in ("image_id", "category_id", "bbox", "segmentation", "iscrowd"):
            assert one[key] == ours[key]
        assert abs(one["area"] - one["bbox"][2] * one["bbox"][3]) < 1e-5
    names = {one["id"]: one["file_name"] for one in coco["images"]}
    assert all(names[one["id"]] == one["file_name"] for one in tao["images"])


def test_nothing_is_said_that_labels_do_not_say(tmp_path: Path) -> None:
    """No synset, no frequency, no class that somebody looked for in vain."""
    folder = checked_out(tmp_path, desk_of(factories.video_row({3: [factories.box()]})), "tao")
    tao = document(folder, "tao")

    ((category,), (video,), (image,)) = tao["categories"], tao["videos"], tao["images"]

    assert category == {
        "id": category["id"],
        "name": "a bounding_box",
        "supercategory": "bounding_box",
        "synset": "unknown",
    }
    assert video["neg_category_ids"] == video["not_exhaustive_category_ids"] == []
    assert video["name"] == image["video"] == "video-0"
    assert image["frame_index"] == 3


def test_a_track_has_one_class(tmp_path: Path) -> None:
    """An object whose class changes is one for each, and two rows that share a hash are two."""
    other = factories.box(featureHash="other", name="other")
    one = factories.video_row({0: [factories.box()], 1: [factories.box()], 2: [other]}, label_hash="row-one")
    two = factories.video_row({1: [factories.box(0.1)]}, label_hash="row-two")

    found = tracks_of(document(checked_out(tmp_path, desk_of(one, two), "tao"), "tao"))

    assert sorted(map(len, found.values())) == [1, 1, 2]


def test_frames_keep_their_own_size_and_lie_in_their_split(tmp_path: Path) -> None:
    """Nothing is lost of a series whose slices differ; a file for each split where that is chosen."""
    slices = {n: factories.dicom_slice(factories.box(), uid=f"1.{n}", width=100 + n, height=80) for n in (1, 2)}

    folder = checked_out(
        tmp_path, desk_of(factories.dicom_row(slices)), "tao", splits={"train": 0.5, "val": 0.5}, coco_per_split=True
    )

    files = [document(folder, f"tao_{split}") for split in ("train", "val")]
    assert [one["width"] for file in files for one in file["images"]] == [101, 102]
    assert sorted(len(file["videos"]) for file in files) == [0, 1]
    assert losses(folder) == {}
