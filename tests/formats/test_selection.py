"""What is chosen at checkout: classes, filters, names; nothing disappears without being counted."""

import json
from pathlib import Path

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.formats.selection import Selection
from tests import factories
from tests.lakes import Desk, project_export
from tests.published import Json
from tests.written import checked_out, desk_of, document, report


def cars(state: str | None, name: str) -> tuple[Json, Json]:
    """A box of class Car, and its answer."""
    box = factories.box(object_hash=name, featureHash="CarClass", name="Car")
    given = [factories.answer([factories.option(state, f"Option-{state}")])] if state else []
    return box, {name: {"objectHash": name, "classifications": given}}


def street() -> Desk:
    """An image with two damaged cars, a whole one, a van and a tree; one without anything."""
    objects: list[Json] = []
    answers: Json = {}
    for number, state in enumerate(("damaged", "damaged", "whole")):
        one, answer = cars(state, f"object{number}0")
        objects.append(factories.changed(one, 0.1 * number, "boundingBox", "x"))
        answers |= answer
    objects.append(factories.box(0.6, 0.1, 0.2, 0.2, "object40", featureHash="VanClass", name="Van"))
    objects.append(
        factories.polygon(object_hash="object50", featureHash="TreeClas", name="Tree", confidence=0.4)
        | {"manualAnnotation": False}
    )
    objects.append(factories.box(0.7, 0.7, 0.001, 0.2, "object60", featureHash="VanClass", name="Van"))
    unit = factories.unit("data-1", "image/png", factories.labels())
    return desk_of(
        factories.image_row(*objects, object_answers=answers, label_hash="row-0"),
        factories.row("image", [unit], label_hash="row-1", label_status="NOT_LABELLED"),
    )


def names(folder: Path) -> list[str]:
    """The class of each annotation, sorted."""
    coco = document(folder)
    classes = {one["id"]: one["name"] for one in coco["categories"]}
    return sorted(classes[one["category_id"]] for one in coco["annotations"])


def assert_all_is_counted(found: Json) -> None:
    """What was read was written or removed by a filter."""
    for what in ("rows", "images", "annotations"):
        removed = sum(counts[what] for counts in found["removed"].values())
        assert found["read"][what] == found["written"][what] + removed


def test_without_a_selection_coco_is_that_of_the_version(tmp_path: Path) -> None:
    """And nothing says that something was chosen."""
    desk = street()

    checked_out(tmp_path, desk, "coco")

    assert (tmp_path / "annotations" / "instances.json").read_bytes() == desk.label_set().version().coco()
    assert not (tmp_path / "selection.json").exists()


def test_a_selection_that_keeps_all_writes_the_same_records(tmp_path: Path) -> None:
    """Through the other way: records, categories and their order are those published, for every shape."""
    desk = Desk()
    desk.bring("one.json", project_export(8))

    checked_out(tmp_path, desk, "coco", file_name="{file_name}")

    assert document(tmp_path) == json.loads(desk.label_set().version().coco())


def test_classes_are_renamed_merged_ordered_and_dropped(tmp_path: Path) -> None:
    """Ids count from 1 in the order given; a class can be named by its feature hash."""
    folder = checked_out(
        tmp_path, street(), "coco", classes={"plant": ["TreeClas"], "vehicle": ["Car", "Van"]}, negatives="drop"
    )

    assert [(one["id"], one["name"]) for one in document(folder)["categories"]] == [(1, "plant"), (2, "vehicle")]
    assert names(folder) == ["plant", *["vehicle"] * 5]
    assert report(folder)["classes"][1] == {"id": 2, "name": "vehicle", "from": ["Car", "Van"], "annotations": 5}
    assert report(folder)["removed"] == {"negatives": {"rows": 0, "images": 1, "annotations": 0}}
    assert_all_is_counted(report(folder))


def test_answers_become_classes(tmp_path: Path) -> None:
    """An object with the answer goes to its class, others of the same class stay what they are."""
    folder = checked_out(tmp_path, street(), "coco", classes={"wreck": ["Car[state=damaged]"]}, drop_classes=["Van"])

    assert names(folder) == ["Car", "Tree", "wreck", "wreck"]
    assert report(folder)["removed"]["classes"]["annotations"] == 2
    assert_all_is_counted(report(folder))


def test_classes_that_are_not_named_can_be_dropped(tmp_path: Path) -> None:
    """Those that are dropped are no category either."""
    folder = checked_out(tmp_path, street(), "coco", classes={"vehicle": ["Van"]}, other_classes="drop")

    assert names(folder) == ["vehicle", "vehicle"]
    assert [one["name"] for one in document(folder)["categories"]] == ["vehicle"]


def test_a_class_that_takes_the_name_of_another_takes_its_objects_too(tmp_path: Path) -> None:
    """One name is one category."""
    folder = checked_out(tmp_path, street(), "coco", classes={"Car": ["Van"]})

    assert names(folder) == ["Car"] * 5 + ["Tree"]


def test_ids_stay_where_classes_are_only_dropped(tmp_path: Path) -> None:
    """They are those of the version."""
    desk = street()
    before = {one.name: one.id for one in desk.label_set().version().categories}

    folder = checked_out(tmp_path, desk, "coco", drop_classes=["Car"])

    assert {one["name"]: one["id"] for one in document(folder)["categories"]} == {
        name: number for name, number in before.items() if name != "Car"
    }


@pytest.mark.parametrize(
    ("chosen", "left", "removed"),
    [
        ({"min_confidence": 0.5}, 5, {"min_confidence": (0, 0, 1)}),
        ({"manual_only": True}, 5, {"manual_only": (0, 0, 1)}),
        ({"min_side": 2.0}, 5, {"min_side": (0, 0, 1)}),
        ({"label_statuses": ("LABELLED",)}, 6, {"label_statuses": (1, 1, 0)}),
        ({"workflow_nodes": ("Review",)}, 0, {"workflow_nodes": (2, 2, 6)}),
        ({"negatives": "drop"}, 6, {"negatives": (0, 1, 0)}),
    ],
)
def test_each_filter_counts_what_it_removes(
    chosen: Json, left: int, removed: dict[str, tuple[int, int, int]], tmp_path: Path
) -> None:
    """Rows, images and annotations, under its name."""
    folder = checked_out(tmp_path, street(), "coco", **chosen)

    assert len(document(folder)["annotations"]) == left
    assert {name: tuple(counts.values()) for name, counts in report(folder)["removed"].items()} == removed
    assert_all_is_counted(report(folder))


def test_a_frame_step_keeps_frames_by_their_numbers(tmp_path: Path) -> None:
    """Of videos; images and groups of images have no frames to leave out."""
    video = factories.video_row({frame: [factories.box()] for frame in (0, 3, 4, 8, 9)}, label_hash="row-v")
    group = factories.group_row([factories.box()], [factories.box()], label_hash="row-g")

    folder = checked_out(tmp_path, desk_of(video, group), "coco", frame_step=4)

    frames = [one["encord"]["frame"] for one in document(folder)["images"] if "videos/" in one["file_name"]]
    assert sorted(frames) == [0, 4, 8]
    assert len(document(folder)["images"]) == 5
    assert report(folder)["removed"] == {"frame_step": {"rows": 0, "images": 2, "annotations": 2}}
    assert_all_is_counted(report(folder))


def test_points_and_lines_have_no_size_to_be_too_small(tmp_path: Path) -> None:
    """A point is 0 pixels wide and stays."""
    row = factories.image_row(factories.point(), factories.polyline([(0.1, 0.5), (0.9, 0.5)]))

    folder = checked_out(tmp_path, desk_of(row), "coco", min_side=10.0)

    assert len(document(folder)["annotations"]) == 2


def test_templates_name_images_and_say_where_they_are(tmp_path: Path) -> None:
    """Frame numbers take a format; the address may use the new name."""
    desk = desk_of(factories.image_row(label_hash="row-i"), factories.video_row({7: []}, label_hash="row-v"))

    folder = checked_out(
        tmp_path,
        desk,
        *("coco", "masks", "yolo_detect"),
        file_name="{data_type}/{data_hash}_{frame:05}{ext}",
        coco_url="s3://media/{file_name}",
    )

    images = {one["file_name"]: one["coco_url"] for one in document(folder)["images"]}
    assert images == {
        "image/data-0_00000.jpg": "s3://media/image/data-0_00000.jpg",
        "video/video-0_00007.jpg": "s3://media/video/video-0_00007.jpg",
    }
    assert (folder / "masks" / "instance" / "video" / "video-0_00007.png").exists()
    assert (folder / "yolo_detect" / "labels" / "image" / "data-0_00000.txt").exists()


@pytest.mark.parametrize("template", ["{nothing}", "{data_hash", "{frame:q}", "{frame!r}", "{data_hash.x}"])
def test_templates_with_unknown_fields_are_refused(template: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match="file_name"):
        Selection(file_name=template)


@pytest.mark.parametrize("template", ["../{data_hash}", "/{data_hash}", "a//{data_hash}", "{space}/x", "a\\{frame}"])
def test_names_that_lead_out_of_the_folder_are_refused(template: str, tmp_path: Path) -> None:
    """Whatever made them so; no file is left behind."""
    with pytest.raises(UsageError, match="no path below a folder"):
        checked_out(tmp_path / "out", desk_of(factories.image_row()), "coco", file_name=template)

    assert not (tmp_path / "out").exists()


def test_hashes_in_a_template_are_quoted(tmp_path: Path) -> None:
    """They come from outside, and must name one file."""
    unit = factories.unit("a/b", "image/jpeg", factories.labels())

    folder = checked_out(tmp_path, desk_of(factories.row("image", [unit])), "coco", file_name="{data_hash}{ext}")

    assert document(folder)["images"][0]["file_name"] == "a%2Fb.jpg"


def test_titles_name_images_only_where_they_are_published(tmp_path: Path) -> None:
    """The error says how to publish them."""
    with pytest.raises(UsageError, match="publish=titles"):
        checked_out(tmp_path / "out", desk_of(factories.image_row()), "coco", file_name="{title}")


@pytest.mark.parametrize("formats", [("yolo_detect",), ("coco",), ("masks",)])
def test_two_images_of_one_name_are_refused(formats: tuple[str, ...], tmp_path: Path) -> None:
    """One would take the other's labels."""
    desk = desk_of(factories.group_row([], []))

    with pytest.raises(UsageError, match="two images"):
        checked_out(tmp_path / "out", desk, *formats, file_name="{label_hash}.png")


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"classes": {"a": ["Cat"]}}, "no class 'Cat' in this version; there are Car, Tree, Van"),
        ({"classes": {"a": ["Car"], "b": ["Car"]}}, "named twice"),
        ({"drop_classes": ["Car"], "classes": {"b": ["Car"]}}, "named twice"),
        ({"classes": {"a": []}}, "classes that it is made of"),
    ],
)
def test_class_maps_that_cannot_be_meant_are_refused(chosen: Json, text: str, tmp_path: Path) -> None:
    """A slip in a name must not drop a class unseen."""
    with pytest.raises(UsageError, match=text):
        checked_out(tmp_path / "out", street(), "coco", **chosen)


def test_skeletons_with_other_joints_are_not_merged(tmp_path: Path) -> None:
    """A category has one list of joints."""
    other = factories.skeleton([factories.joint(0.1, 0.1, "hand", "JointCl9")], "object99", featureHash="Skeleto9")
    desk = desk_of(factories.image_row(factories.skeleton(), other | {"name": "other"}))

    with pytest.raises(UsageError, match="other joints"):
        checked_out(tmp_path / "out", desk, "coco", classes={"body": ["Skeleto1", "Skeleto9"]})


@pytest.mark.parametrize(
    "chosen", [{"frame_step": 0}, {"min_confidence": 2.0}, {"min_side": -1.0}, {"coco_per_split": True}]
)
def test_numbers_that_mean_nothing_are_refused(chosen: Json) -> None:
    """With what to use instead."""
    with pytest.raises(UsageError):
        Selection(**chosen)


def test_masks_show_what_lay_below_an_object_that_is_left_out(tmp_path: Path) -> None:
    """They are painted anew from what is chosen, pixel by pixel as COCO has it."""
    from tests.test_checkout import assert_masks_are_those_of_coco, every_shape

    desk = desk_of(factories.image_row(*every_shape()))

    checked_out(tmp_path, desk, "coco", "masks", drop_classes=["a bitmask"])

    assert "a bitmask" not in {one["name"] for one in document(tmp_path)["categories"]}
    assert assert_masks_are_those_of_coco(tmp_path) > 100_000


def test_coco_can_be_one_file_for_each_split(tmp_path: Path) -> None:
    """Together they are all of it."""
    desk = Desk()
    desk.bring("one.json", project_export(10))
    whole = checked_out(tmp_path / "whole", desk, "coco")

    parts = checked_out(tmp_path / "parts", desk, "coco", splits={"train": 0.5, "val": 0.5}, coco_per_split=True)

    train, val = document(parts, "instances_train"), document(parts, "instances_val")
    for what in ("images", "annotations"):
        ids = [{one["id"] for one in half[what]} for half in (train, val)]
        assert ids[0] | ids[1] == {one["id"] for one in document(whole)[what]}
        assert not ids[0] & ids[1]
    assert train["categories"] == val["categories"] == document(whole)["categories"]
