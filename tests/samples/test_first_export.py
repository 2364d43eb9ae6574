"""A first export holds every data type, shape and encoding, in the platform's layout."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.samples import Project, canaries, first_export, large_project, ontology
from tests.samples.json_rows import JsonObject, frames, objects, rows

AT = datetime(2023, 10, 2, 14, 35, 30, tzinfo=UTC)
REAL = Path(__file__).parents[3] / "shared" / "real_exports" / "platform_rows.json"


@pytest.fixture(scope="module")
def export() -> bytes:
    """The export of a project of 24 rows."""
    return first_export(Project(seed=7), exported_at=AT)


def test_same_seed_gives_same_bytes(export: bytes) -> None:
    """Nothing but the description and the time decides the bytes."""
    assert first_export(Project(seed=7), exported_at=AT) == export
    assert first_export(Project(seed=8), exported_at=AT) != export


def test_time_without_zone_is_refused() -> None:
    """A naive time would make the bytes depend on the machine."""
    with pytest.raises(UsageError, match="time zone"):
        first_export(Project(seed=7, rows=1), exported_at=datetime(2023, 10, 2))


@pytest.mark.parametrize("count", [8, 24])
def test_all_data_types_and_shapes_are_there(count: int) -> None:
    """Eight rows are enough for each data type and each shape."""
    made = rows(first_export(Project(seed=3, rows=count), exported_at=AT))

    assert len(made) == count
    assert {row["data_type"] for row in made} == {"image", "img_group", "video", "dicom", "nifti"}
    assert {row["is_image_sequence"] for row in made} == {None, True, False}
    assert {entry["shape"] for row in made for entry in objects(row)} == {
        "bounding_box",
        "rotatable_bounding_box",
        "polygon",
        "polyline",
        "point",
        "skeleton",
        "bitmask",
    }


def test_polygons_come_in_both_forms(export: bytes) -> None:
    """Some polygons have the older key only, some the newer one with a hole, which repeats the outline."""
    polygons = [entry for row in rows(export) for entry in objects(row) if entry["shape"] == "polygon"]
    newer = [entry for entry in polygons if "polygons" in entry]

    assert 0 < len(newer) < len(polygons)
    for entry in newer:
        outline, hole = entry["polygons"][0]
        assert outline == [value for point in entry["polygon"].values() for value in (point["x"], point["y"])]
        assert len(hole) >= 6


def test_fractions_lie_in_the_frame(export: bytes) -> None:
    """No good sample reaches out of its frame, and boxes have an area."""
    for row in rows(export):
        for entry in objects(row):
            for key in ("polygon", "polyline", "point", "skeleton"):
                for point in entry.get(key, {}).values():
                    assert 0 <= point["x"] <= 1
                    assert 0 <= point["y"] <= 1
            if box := entry.get("boundingBox"):
                assert box["x"] >= 0 and box["x"] + box["w"] <= 1.0001 and box["w"] > 0.01
                assert box["y"] >= 0 and box["y"] + box["h"] <= 1.0001 and box["h"] > 0.01


def test_frames_are_not_square_and_differ(export: bytes) -> None:
    """Swapped width and height cannot go unnoticed."""
    sizes = {(unit["width"], unit["height"]) for row in rows(export) for unit, _, _ in frames(row)}

    assert all(width != height for width, height in sizes)
    assert {(1280, 720), (720, 1280), (641, 481)} <= sizes


def test_dicom_has_slice_metadata_and_a_slice_of_other_size(export: bytes) -> None:
    """The mask of a slice has the slice's own size."""
    series = next(row for row in rows(export) if row["data_type"] == "dicom")

    own = [(unit, labels) for unit, _, labels in frames(series) if labels["metadata"]["width"] != unit["width"]]

    assert len({labels["metadata"]["dicom_instance_uid"] for _, _, labels in frames(series)}) == 4
    [(_, labels)] = own
    [mask] = [entry["bitmask"] for entry in labels["objects"] if entry["shape"] == "bitmask"]
    assert (mask["width"], mask["height"]) == (labels["metadata"]["width"], labels["metadata"]["height"])


def test_answers_of_every_kind_are_there(export: bytes) -> None:
    """Radio, checklist, text and numeric answers, dynamic ones over ranges, and nested ones."""
    made = rows(export)
    statics = [a for row in made for given in row["object_answers"].values() for a in given["classifications"]]
    actions = [a for row in made for given in row["object_actions"].values() for a in given["actions"]]

    assert {type(answer["answers"]) for answer in statics} == {str, int, list}
    assert any(answer["answers"] == [] or len(answer["answers"]) > 1 for answer in statics if answer["name"] == "State")
    assert any(first < last for action in actions for first, last in action["range"])
    assert {answer["name"] for answer in statics} >= {"Usage", "Shop sign"}


def test_every_object_has_an_answer_entry(export: bytes) -> None:
    """As in real exports, an object without attributes has an empty one."""
    for row in rows(export):
        assert set(row["object_answers"]) == {entry["objectHash"] for entry in objects(row)}


def test_dynamic_answers_cover_each_frame_of_their_track_once(export: bytes) -> None:
    """Ranges of one attribute neither overlap nor leave out a frame the object is on."""
    for row in rows(export):
        for object_hash, given in row["object_actions"].items():
            on = [n for _, n, labels in frames(row) if object_hash in {e["objectHash"] for e in labels["objects"]}]
            for name in {action["name"] for action in given["actions"]}:
                ranges = [r for action in given["actions"] if action["name"] == name for r in action["range"]]
                assert all(sum(first <= n <= last for first, last in ranges) == 1 for n in on)


def test_classifications_come_in_both_encodings(export: bytes) -> None:
    """Entries on frames with bare answers, answers with a range and no entries, and a global one."""
    answers = [answer for row in rows(export) for answer in row["classification_answers"].values()]
    entries = [entry for row in rows(export) for _, _, f in frames(row) for entry in f["classifications"]]
    on_frames = {entry["classificationHash"] for entry in entries}

    older = {answer["classificationHash"] for answer in answers if "range" not in answer}
    assert older == on_frames != set()
    assert any(answer.get("range") == [] for answer in answers)
    assert any(answer.get("range") for answer in answers)


def test_tracks_run_over_frames_of_a_video(export: bytes) -> None:
    """The same object moves, and one frame is there without labels."""
    video = next(row for row in rows(export) if row["data_type"] == "video")
    cars: dict[str, list[JsonObject]] = {}
    for entry in objects(video):
        if entry["name"] == "Car":
            cars.setdefault(entry["objectHash"], []).append(entry["boundingBox"])

    assert any(not labels["objects"] for _, _, labels in frames(video))
    assert all(len(boxes) > 5 and boxes[0] != boxes[-1] for boxes in cars.values())


def test_an_image_has_no_labels(export: bytes) -> None:
    """Rows nobody has labelled yet are exported too."""
    bare = [row for row in rows(export) if not objects(row)]

    assert {row["label_status"] for row in bare} == {"NOT_LABELLED"}


def test_hashes_need_escaping(export: bytes) -> None:
    """Real hashes hold `/` and `+`, so these do."""
    hashes = "".join(entry["objectHash"] for row in rows(export) for entry in objects(row))

    assert "/" in hashes
    assert "+" in hashes


def test_rows_have_events_one_second_apart(export: bytes) -> None:
    """Export hash and time belong to the row, not to the file."""
    made = rows(export)

    assert len({row["export_hash"] for row in made}) == len(made)
    assert [row["exported_at"] for row in made[:2]] == [
        "Mon, 02 Oct 2023 14:35:30 UTC",
        "Mon, 02 Oct 2023 14:35:31 UTC",
    ]


def test_history_may_hold_the_current_export() -> None:
    """Real exports list the current event or do not; both can be had."""
    with_current = rows(first_export(Project(seed=1, rows=2, history_holds_current=True), exported_at=AT))

    assert all(row["export_history"][0]["export_hash"] == row["export_hash"] for row in with_current)


@pytest.mark.parametrize("canary", canaries())
def test_canary_is_in_the_export(canary: str) -> None:
    """Each piece of personal data that must not leave the export is in it, also with eight rows."""
    assert canary.encode() in first_export(Project(seed=5, rows=8), exported_at=AT)


def test_ontology_names_every_class_attribute_and_option(export: bytes) -> None:
    """Each feature hash in the rows is in the ontology document, which also has a class that no row uses."""
    document = ontology(Project(seed=7))
    known = set(_feature_hashes(json.loads(document)))
    used = {h for row in rows(export) for h in _feature_hashes(row)}
    classes = {entry["featureNodeHash"] for entry in json.loads(document)["objects"]}

    assert used <= known
    assert classes - {entry["featureHash"] for row in rows(export) for entry in objects(row)}


def test_a_large_project_is_images_in_compact_json() -> None:
    """Many rows differ from one another and share the format of few."""
    export = first_export(large_project(60, seed=3), exported_at=AT)

    assert b"\n" not in export
    assert {row["data_type"] for row in rows(export)} == {"image"}
    assert len({row["label_hash"] for row in rows(export)}) == 60


@pytest.mark.skipif(not REAL.exists(), reason="real label rows are not beside the project")
def test_keys_are_those_of_real_rows(export: bytes) -> None:
    """Rows, data units and objects have the keys that the platform's rows have."""
    real, made = rows(REAL.read_bytes()), rows(export)
    newer_row = {"workflow_graph_node", "assigned_user_email"}

    for row in made:
        twins = [other for other in real if other["data_type"] == row["data_type"]]
        assert set(twins[0]) <= set(row) <= set(twins[0]) | {"branch_name"} | newer_row
        for unit, _, labels in frames(row):
            twin, _, twin_labels = next(frames(twins[0]))
            assert set(unit) == set(twin)
            assert set(labels) == set(twin_labels)
    newer_shape_keys = {"polygon": {"polygons"}}
    expected = {shape: keys | newer_shape_keys.get(shape, set()) for shape, keys in _object_keys(real).items()}
    assert _object_keys(made) == expected


def _object_keys(made: list[JsonObject]) -> dict[str, set[str]]:
    """Keys of all objects by shape, without those that an object has only once it was edited."""
    keys: dict[str, set[str]] = {}
    for row in made:
        for entry in objects(row):
            keys.setdefault(entry["shape"], set()).update(entry.keys() - {"lastEditedBy", "lastEditedAt"})
    return keys


def _feature_hashes(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [str(value[key]) for key in ("featureHash", "featureNodeHash") if key in value]
        return own + [h for inner in value.values() for h in _feature_hashes(inner)]
    if isinstance(value, list):
        return [h for inner in value for h in _feature_hashes(inner)]
    return []
