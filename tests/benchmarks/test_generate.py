"""The inputs of the benchmarks are exports as the platform writes them, and say again what they said before."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from pycocotools import mask as coco

from benchmarks import geometry
from benchmarks.counts import Counts, count
from benchmarks.generate import export_rows, write
from benchmarks.profiles import HEIGHT, PROFILES, SIZES, WIDTH, ontology, write_ontology
from benchmarks.runners import ROOT, SDK_PYTHON
from benchmarks.suite import differ
from encord_dagster.commands import convert_urls, validate_urls
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.fingerprint import fingerprint

Json = dict[str, Any]
SMALL = tuple(SIZES["XS"])
CONFIG = LabelSetConfig(name="bench", masks=False)
EVENT = ("export_hash", "exported_at", "export_history")


def frames_of(row: Json) -> Iterator[Json]:
    """The labels of each frame, in the layout of the platform: flat for images, by number for videos and series."""
    for unit in row["data_units"].values():
        yield from unit["labels"].values() if row["data_type"] in ("video", "dicom") else [unit["labels"]]


def objects_of(rows: list[Json]) -> list[Json]:
    """The object entries on all frames."""
    return [entry for row in rows for frame in frames_of(row) for entry in frame["objects"]]


@pytest.mark.parametrize("profile", SMALL)
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, profile: str) -> None:
    """Inputs that are made again on another machine are the same inputs."""
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        write(tmp_path / f"{name}.json", profile, "XS", seed=seed)

    one, again, other = ((tmp_path / f"{name}.json").read_bytes() for name in ("one", "again", "other"))
    assert one == again
    assert one != other


@pytest.mark.parametrize("profile", SMALL)
def test_our_reader_finds_nothing_wrong(tmp_path: Path, profile: str) -> None:
    """Nothing is quarantined, and no rule above `info` fires, also against the ontology."""
    path = tmp_path / "export.json"
    write(path, profile, "XS")
    config = msgspec.structs.replace(CONFIG, ontology=json.dumps(ontology()))

    (report,) = validate_urls([str(path)], config=config)

    assert [finding for finding in report.findings if finding.severity != "info"] == []
    assert report.objects_quarantined == 0
    assert report.objects_in == len(objects_of(list(export_rows(profile, "XS")))) > 0


@pytest.mark.slow
@pytest.mark.skipif(
    not SDK_PYTHON.exists(), reason="the SDK's environment is not made; `make bench` makes it and checks"
)
@pytest.mark.parametrize("how", ["whole", "rows"])
def test_the_vendors_exporter_reads_it_and_counts_as_we_do(tmp_path: Path, how: str) -> None:
    """Images, annotations, classes and areas of all data types."""
    export, document, coco_file = (tmp_path / name for name in ("in.json", "ontology/o.json", "sdk.json"))
    write(export, "mixed", "XS")
    write_ontology(document)
    script = str(ROOT / "benchmarks" / "sdk.py")

    subprocess.run([SDK_PYTHON, "-I", script, how, export, document, coco_file], check=True)

    convert_urls([str(export)], output=tmp_path / "ours", formats=["coco"], config=CONFIG, progress=lambda _: None)
    ours = count((tmp_path / "ours" / "annotations" / "instances.json").read_bytes())
    assert differ(count(coco_file.read_bytes()), ours) == ""
    assert ours.annotations == len(objects_of(list(export_rows("mixed", "XS"))))


@pytest.mark.parametrize("profile", SMALL)
def test_the_next_export_is_new_in_every_row_and_changes_no_label(profile: str) -> None:
    """Hash, time, one more entry of history, and other queries behind the links."""
    before, after = list(export_rows(profile, "XS")), list(export_rows(profile, "XS", number=2))

    for old, new in zip(before, after, strict=True):
        assert all(old[key] != new[key] for key in EVENT)
        assert new["export_history"][1:] == old["export_history"]
        old_links, new_links = ([unit["data_link"] for unit in row["data_units"].values()] for row in (old, new))
        assert not set(old_links) & set(new_links)
        assert [link.partition("?")[0] for link in old_links] == [link.partition("?")[0] for link in new_links]
        assert prints([old]) == prints([new])


@pytest.mark.parametrize(("share", "changed"), [(0.01, 1), (0.25, 3), (1.0, 12)])
def test_a_share_of_the_rows_is_relabelled(share: float, changed: int) -> None:
    """That many fingerprints change, and no identity of a row does."""
    before, after = list(export_rows("boxes", "XS")), list(export_rows("boxes", "XS", number=2, changed=share))

    assert sum(one != other for one, other in zip(prints(before), prints(after), strict=True)) == changed
    for key in ("label_hash", "data_hash", "data_title"):
        assert [row[key] for row in before] == [row[key] for row in after]


def prints(rows: list[Json]) -> list[str]:
    """Fingerprints of rows."""
    return [fingerprint(msgspec.json.encode(row)) for row in rows]


def test_run_length_strings_are_those_of_pycocotools() -> None:
    """Random blobs, with numbers of one to four characters, of both signs."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        code = geometry.bitmask(rng, rows=200)["bitmask"]["rleString"]

        pixels = coco.decode({"size": [WIDTH, HEIGHT], "counts": code.encode()})

        assert 0 < pixels.sum() < WIDTH * HEIGHT
        assert coco.encode(pixels)["counts"].decode() == code


def test_inputs_are_as_large_as_they_say() -> None:
    """Eight objects an image, 35 vertices a polygon, 460 bytes a mask, some holes and parts: on average."""
    boxes, polygons, masks = (
        [row for _, row in zip(range(60), export_rows(profile, "S"), strict=False)]
        for profile in ("boxes", "polygons", "bitmasks")
    )

    assert len(objects_of(boxes)) / 60 == pytest.approx(8, rel=0.15)
    outlines = objects_of(polygons)
    assert np.mean([len(one["polygon"]) for one in outlines]) == pytest.approx(35, rel=0.05)
    shapes = [one["polygons"] for one in outlines if "polygons" in one]
    assert {len(parts) for parts in shapes} == {1, 2}
    codes = [len(one["bitmask"]["rleString"]) for one in objects_of(masks)]
    assert np.mean(codes) == pytest.approx(460, rel=0.05)


def test_tracks_carry_answers_that_hold_on_their_frames() -> None:
    """Every object has a static radio; of tracks the ranges of the dynamic answers lie within their frames."""
    for profile in ("video", "dicom"):
        for row in export_rows(profile, "XS"):
            (unit,) = row["data_units"].values()
            on: dict[str, list[int]] = {}
            for number, frame in unit["labels"].items():
                for entry in frame["objects"]:
                    on.setdefault(entry["objectHash"], []).append(int(number))
            assert on.keys() <= row["object_answers"].keys() == row["object_actions"].keys()
            for key, numbers in on.items():
                spans = [span for one in row["object_actions"][key]["actions"] for span in one["range"]]
                assert spans == sorted(spans)
                assert min(numbers) - 1 <= spans[0][0] <= spans[-1][1] <= max(numbers) + 1  # a frame may be unnamed
                assert row["object_answers"][key]["classifications"][0]["name"] == "state"


def test_an_export_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs are reused, so half of one must not pass for one."""

    def breaks_off(*_: object, **__: object) -> Iterator[Json]:
        yield {"label_hash": "1"}
        raise OSError("disk full")

    monkeypatch.setattr("benchmarks.generate.export_rows", breaks_off)

    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "export.json", "boxes", "XS")

    assert not (tmp_path / "export.json").exists()


def test_the_generator_holds_one_row_at_a_time(tmp_path: Path) -> None:
    """The command's memory does not grow with its output."""
    peak = "import resource, sys; sys.argv = ['x', *sys.argv[1:]]; from benchmarks.generate import main; main(); "
    peak += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    sizes = []
    for size in ("x1", "x4"):
        command = [sys.executable, "-c", peak, "boxes", size, str(tmp_path / f"{size}.json")]
        sizes.append(int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout))

    assert (tmp_path / "x4.json").stat().st_size > 3.5 * (tmp_path / "x1.json").stat().st_size
    assert sizes[1] - sizes[0] < 4000  # kB, where the larger file is 10 MB larger


def test_every_profile_has_the_sizes_that_are_run() -> None:
    """S and L hold all profiles; long videos only come large."""
    assert set(SIZES["L"]) == set(PROFILES)
    assert set(SIZES["S"]) == set(SMALL) == set(PROFILES) - {"video-long"}


@pytest.mark.parametrize(
    "change",
    [{"images": 3}, {"annotations": 9}, {"annotated_images": 1}, {"classes": {"Car": 7, "Van": 1}}, {"area": 103.0}],
)
def test_a_converter_that_counts_otherwise_is_found(change: dict[str, object]) -> None:
    """So that a fast wrong answer fails."""
    one = Counts(images=2, annotations=8, annotated_images=2, classes={"Car": 8}, area=100.0)

    assert differ(one, msgspec.structs.replace(one, area=101.0)) == ""
    assert differ(one, msgspec.structs.replace(one, **change)) != ""
