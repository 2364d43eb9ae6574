"""The Parquet tables of a version as pandas reads them: they say what instances.json says, and where it came from."""

import json
import subprocess
import sys
import typing
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from encord_dagster.formats import records, row_tables, tables
from encord_dagster.samples import BAD_OBJECTS, bad_row
from tests import factories
from tests.factories import action, answer, option
from tests.lakes import DAY, Desk, exported_again, project_export
from tests.published import Json, coco_of

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A project exported twice, and an export with bad objects."""
    desk, data = Desk(), project_export(8)
    desk.bring("one.json", data)
    desk.bring("bad.json", bad_row(seed=3, exported_at=DAY))
    desk.bring("two.json", exported_again(data, changed=3, added=1, deleted=1))
    return desk


@pytest.fixture(scope="module")
def document(desk: Desk) -> Json:
    """The COCO file of the newest version."""
    return coco_of(desk)


@pytest.fixture(scope="module")
def frames(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """The tables of a checkout, opened by pandas from their files."""
    folder = tmp_path_factory.mktemp("checkout")
    desk.label_set().version().checkout(folder)
    return {path.stem: pd.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}


def test_there_are_six_tables(frames: Frames) -> None:
    """None is missing, and none is empty."""
    assert frames.keys() == {"images", "annotations", "classifications", "attributes", "row_events", "findings"}
    assert all(len(frame) for frame in frames.values())


def test_images_and_annotations_are_those_of_coco(frames: Frames, document: Json) -> None:
    """The same ids, in number and one by one; and sizes, boxes and areas with them."""
    images, annotations = frames["images"].set_index("image_id"), frames["annotations"].set_index("annotation_id")

    assert sorted(images.index) == sorted(image["id"] for image in document["images"])
    assert sorted(annotations.index) == sorted(annotation["id"] for annotation in document["annotations"])
    for image in document["images"]:
        record = images.loc[image["id"]]
        assert (record["width"], record["height"], record["file_name"]) == (
            image["width"],
            image["height"],
            image["file_name"],
        )
    for annotation in document["annotations"]:
        record = annotations.loc[annotation["id"]]
        assert (record["image_id"], record["category_id"]) == (annotation["image_id"], annotation["category_id"])
        assert record[["x", "y", "width", "height"]].tolist() == annotation["bbox"]
        assert record["area"] == annotation["area"]
        assert record["object_hash"] == annotation["encord"]["object_hash"]


def test_counts_of_objects_agree(frames: Frames) -> None:
    """`objects` of an image is how many annotations it has; `mask_value` numbers them from 1."""
    images = frames["images"].set_index("image_id")

    counts = frames["annotations"]["image_id"].value_counts()

    assert images["objects"].sum() == len(frames["annotations"])
    assert images.loc[counts.index, "objects"].tolist() == counts.tolist()
    for _, values in frames["annotations"].groupby("image_id")["mask_value"]:
        assert sorted(values) == list(range(1, len(values) + 1))


def test_mask_values_are_those_of_the_masks_where_rows_share_an_image(tmp_path: Path) -> None:
    """Two label rows of one image: the table says the value that each object has in the instance mask."""
    rows = [
        factories.image_row(
            *(factories.box(x, y, 0.1, 0.1, f"{name}-{x:.0%}"[:-1]) for x in (0.1, 0.3, 0.5)), label_hash=f"row-{name}"
        )
        for name, y in (("one", 0.2), ("two", 0.6))
    ]
    desk = Desk()
    desk.bring("rows.json", factories.encode(rows))

    desk.label_set().version().checkout(tmp_path)

    table = pd.read_parquet(tmp_path / "tables" / "annotations.parquet")
    with Image.open(tmp_path / "masks" / "instance" / "images" / "data-0.png") as picture:
        mask = np.array(picture)
    middles = zip(table["y"] + table["height"] / 2, table["x"] + table["width"] / 2, strict=True)
    assert table["mask_value"].tolist() == [int(mask[int(y), int(x)]) for y, x in middles]
    assert sorted(table["mask_value"]) == [1, 2, 3, 4, 5, 6]


def test_every_attribute_of_coco_is_in_the_table(frames: Frames, document: Json) -> None:
    """Joined by annotation id, names and answers are those that the annotation shows."""
    attributes = frames["attributes"].query("of == 'object'").groupby("annotation_id")
    checked = 0

    for annotation in document["annotations"]:
        shown = annotation["attributes"]["classifications"]
        if annotation["id"] not in attributes.groups:
            assert shown == {}
            continue
        held = attributes.get_group(annotation["id"])
        assert dict(zip(held["name"], map(_answer, held.to_dict("records")), strict=True)) == shown
        checked += 1

    assert checked > 50
    assert frames["attributes"]["dynamic"].any()
    assert {len(row) > 1 for row in frames["attributes"]["options"].dropna()} == {True, False}
    assert frames["attributes"]["number"].notna().any()


def test_dynamic_attributes_change_over_the_frames_of_a_video(desk: Desk) -> None:
    """An answer is in the table at the frames of its range, and at no other."""
    frames = {number: [factories.box()] for number in (0, 4, 5, 9)}
    red, green = option("Red", "OptRed"), option("Green", "OptGreen")
    row = factories.video_row(frames) | {
        "object_answers": {"object01": {"objectHash": "object01", "classifications": [answer(7, "Axles", "AttrAxle")]}},
        "object_actions": {
            "object01": {"objectHash": "object01", "actions": [action([red], [[0, 4]]), action([green], [[5, 8]])]}
        },
    }
    video = Desk()

    video.bring("video.json", factories.encode([row]))

    table = video.label_set().version().table("attributes").to_pandas()
    dynamic = table[table["dynamic"]].set_index("frame")["options"].map(list).to_dict()
    assert dynamic == {0: ["Red"], 4: ["Red"], 5: ["Green"]}
    assert table[~table["dynamic"]].set_index("frame")["number"].to_dict() == {0: 7.0, 4: 7.0, 5: 7.0, 9: 7.0}


def test_classifications_of_frames_and_of_data_units(frames: Frames, document: Json) -> None:
    """Those with a frame are on that image in COCO; those of a whole data unit have none and are on all its images."""
    table = frames["classifications"]
    of_frames, of_units = table[table["frame"].notna()], table[table["frame"].isna()]

    in_coco = [(image["id"], one) for image in document["images"] for one in image["classifications"]]

    assert {(image, one["classification_hash"]) for image, one in in_coco if one["scope"] == "frame"} == set(
        zip(of_frames["image_id"].astype(np.int64), of_frames["classification_hash"], strict=True)
    )
    assert {one["classification_hash"] for _, one in in_coco if one["scope"] == "data_unit"} == set(
        of_units["classification_hash"]
    )
    assert len(of_frames) > len(of_units) > 0


def test_row_events_are_the_lineage_of_every_export(desk: Desk, frames: Frames) -> None:
    """Each row of each export with its own export hash, its time and its history; offsets find it in the raw bytes."""
    events = frames["row_events"]
    exports = {export_id: entry.sha256 for export_id, entry in desk.label_set().version().exports().items()}

    assert set(events["export_id"]) == exports.keys()
    assert len(events) == 8 + 4 + 9
    assert events["export_hash"].is_unique
    for event in events.to_dict("records"):
        raw = desk.lake.get(f"raw/{exports[event['export_id']][:2]}/{exports[event['export_id']]}") or b""
        row = json.loads(raw[event["offset"] : event["offset"] + event["length"]])
        assert (row["label_hash"], row["export_hash"]) == (event["label_hash"], event["export_hash"])
        history = {entry["export_hash"] for entry in event["history"]}
        assert history == {row["export_hash"], *(entry["export_hash"] for entry in row["export_history"])}
        assert pd.Timestamp(event["exported_at"]) == pd.Timestamp(row["exported_at"])
    assert (events["objects_quarantined"].sum(), set(events["status"])) == (3, {"accepted"})


def test_findings_name_rule_place_and_reason(frames: Frames) -> None:
    """The three bad objects are there, each with its row, data unit, frame and object, and what to do."""
    errors = frames["findings"].query("severity == 'error'")

    assert set(errors["object_hash"]) == set(BAD_OBJECTS.values())
    assert set(errors["rule"]) == {"bad_bitmask", "outside_image", "too_few_points"}
    assert errors[["label_hash", "data_hash", "frame", "message"]].notna().all().all()
    assert errors["message"].str.contains("Encord").all()


def test_a_deleted_row_is_in_no_table_but_the_lineage(desk: Desk, frames: Frames) -> None:
    """The tombstone's images, annotations and classifications are gone; its events are kept."""
    (gone,) = [row.label_hash for row in desk.label_set().version().label_rows() if row.fragment is None]

    held = {name: (frame["label_hash"] == gone).any() for name, frame in frames.items()}

    assert held["row_events"]
    assert not any(held[name] for name in ("images", "annotations", "classifications", "attributes"))
    assert (frames["row_events"]["label_hash"] == gone).sum() == 2


def test_tables_join_on_the_row_identity(frames: Frames) -> None:
    """`row` is one name for one label row in every table."""
    pairs = pd.concat([frame[["row", "label_hash", "branch_name"]] for frame in frames.values() if "row" in frame])

    unique = pairs.dropna().drop_duplicates()

    assert unique["row"].is_unique
    assert unique["label_hash"].is_unique
    assert set(unique["branch_name"]) == {"main"}


def test_the_reader_gives_pandas(desk: Desk, frames: Frames) -> None:
    """annotations() is the table of the checkout."""
    frame = desk.label_set().version().annotations()

    pd.testing.assert_frame_equal(frame, frames["annotations"])


def test_an_empty_version_has_empty_tables(tmp_path: Path) -> None:
    """A label set of one text row: every table is there, with its columns and without records."""
    desk = Desk()
    desk.bring("audio.json", factories.encode([factories.audio_row(factories.entry("audio", {}, "sound001"))]))

    desk.label_set().version().checkout(tmp_path)

    images, annotations, events = (
        pd.read_parquet(tmp_path / "tables" / f"{name}.parquet") for name in ("images", "annotations", "row_events")
    )
    assert (len(images), len(annotations), len(events)) == (0, 0, 1)
    assert {"image_id", "width", "height", "file_name"} <= set(images.columns)
    assert events["objects_excluded"].tolist() == [1]


def test_a_frame_of_unknown_size_keeps_its_classifications() -> None:
    """It can be no COCO image, and what was said of it is still in the tables."""
    desk = Desk()
    row = factories.image_row(classifications=[factories.classification()])
    for side in ("width", "height"):
        row = factories.changed(row, ..., "data_units", "data-0", side)
    desk.bring("unsized.json", factories.encode([row]))

    version = desk.label_set().version()

    assert version.images == 0
    assert version.table("classifications").to_pandas()["classification_hash"].tolist() == ["classif1"]


def test_very_many_records_are_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is packed while a row is converted comes out as it went in, in order, also where rows are changed later."""
    data = project_export(8)
    later = exported_again(data, changed=3)
    held = []
    for packed_at in (row_tables.PACKED_AT, 2):
        monkeypatch.setattr(row_tables, "PACKED_AT", packed_at)
        desk = Desk()
        desk.bring("one.json", data)
        desk.bring("two.json", later)
        versions = [desk.label_set().version(number) for number in (1, 2)]
        held.append([version.table(name).to_pylist() for version in versions for name in tables.SCHEMAS])

    assert held[0] == held[1]
    assert all(held[0])


def test_pandas_alone_opens_them(desk: Desk, tmp_path: Path) -> None:
    """Another process, without this package, reads a table and counts its records."""
    desk.label_set().version().checkout(tmp_path)
    script = "import sys, pandas; print(len(pandas.read_parquet(sys.argv[1])), 'encord_dagster' in sys.modules)"
    path = tmp_path / "tables" / "annotations.parquet"

    told = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)

    assert told.stdout.split() == [str(desk.label_set().version().root.annotations), "False"]


def _answer(record: dict[Hashable, Any]) -> str | float | list[str]:
    """The answer as COCO shows it; pandas may say None or NaN for what is not there."""
    if isinstance(record["text"], str):
        return record["text"]
    if record["number"] == record["number"]:
        return float(record["number"])
    options = [str(name) for name in record["options"]]
    return options[0] if len(options) == 1 else options


@pytest.mark.parametrize("name", tables.SCHEMAS)
def test_records_have_the_columns_of_their_table(name: str) -> None:
    """All of them, and in their order."""
    (kind,) = typing.get_args(typing.get_type_hints(records.Records)[name])

    assert list(kind.__struct_fields__) == tables.SCHEMAS[name].names
