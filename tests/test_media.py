"""Pictures beside labels: what is missing or otherwise than recorded is found, linked where readers look, extracted.

Among it the command that docs/media.md shows for frames.
"""

import json
import math
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from encord_dagster import cli
from encord_dagster.errors import UsageError
from encord_dagster.formats.coco import Image as Record
from encord_dagster.formats.coco import Origin
from encord_dagster.media import frames
from encord_dagster.media.link import link
from encord_dagster.media.look import Looked, look
from encord_dagster.media.records import images_of
from tests import factories as make
from tests.stream_exports import compact, named

NAMES = [f"images/data-{number:04}-0.jpg" for number in range(6)]
ORIENTATION = 0x0112


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Six images of 1280x720 and frames 3, 7, 8 and 59 of a video, as COCO and YOLO."""
    rows = [named(make.image_row(make.box()), number) for number in range(len(NAMES))]
    rows.append(make.video_row({3: [make.box()], 7: [make.box()], 8: [], 59: [make.box()]}))
    return converted(tmp_path, rows)


def converted(folder: Path, rows: Sequence[object], *more: str) -> Path:
    """A conversion of some rows."""
    (folder / "export.json").write_bytes(compact(rows))
    arguments = ["convert", str(folder / "export.json"), "-o", str(folder / "out"), "--formats", "coco,yolo_detect"]
    assert cli.main([*arguments, "--quiet", *more]) == 0
    return folder / "out"


def save(path: Path, width: int = 1280, height: int = 720, orientation: int = 1) -> None:
    """A picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)


def looked(checkout: Path, media: Path) -> Looked:
    """What is found."""
    return look(images_of(checkout), media)


def test_what_is_not_as_recorded_is_told(checkout: Path, tmp_path: Path) -> None:
    """Missing, of another size, no picture, turned by EXIF in both directions; surplus; right ones are not."""
    media = tmp_path / "media"
    save(media / NAMES[0])
    save(media / NAMES[1], 640, 360)
    save(media / NAMES[2], 720, 1280, orientation=6)
    save(media / NAMES[3], 1280, 720, orientation=8)
    (media / NAMES[4]).write_text("no picture")
    for number in (3, 7, 8, 59):
        save(media / f"videos/video-0/{number}.jpg", orientation=3)  # upside down: the size stays
    save(media / "images/other.png")
    (media / "notes.txt").touch()

    found = looked(checkout, media)

    assert found.images == 10
    assert {one.file_name: (one.kind, one.stored, one.orientation) for one in found.faults} == {
        NAMES[1]: ("size", (640, 360), None),
        NAMES[2]: ("turned", (720, 1280), 6),
        NAMES[3]: ("turned", (1280, 720), 8),
        NAMES[4]: ("unreadable", None, None),
        NAMES[5]: ("missing", None, None),
    }
    assert {one.recorded for one in found.faults} == {(1280, 720)}
    assert found.surplus == ("images/other.png",)
    assert found.extractions == ()
    assert found.paths.keys() == {*NAMES[:1], *NAMES[2:4], *(f"videos/video-0/{n}.jpg" for n in (3, 7, 8, 59))}


def test_links_are_followed_but_not_in_a_circle(checkout: Path, tmp_path: Path) -> None:
    """A folder may lie elsewhere, and a link may lead back to where one came from."""
    media = tmp_path / "media"
    save(tmp_path / "elsewhere" / "data-0000-0.jpg")
    save(media / "other" / "more.png")
    (media / "images").symlink_to(tmp_path / "elsewhere")
    (media / "other" / "back").symlink_to(media)

    found = looked(checkout, media)

    assert found.paths == {NAMES[0]: NAMES[0]}
    assert found.surplus == ("other/more.png",)


@pytest.mark.parametrize(
    "value", [(11, 1, struct.pack("<f", math.inf)), (7, 2, b"\6\0\0\0"), (2, 2, b"x\0\0\0"), (3, 1, b"\x09\0\0\0")]
)
def test_an_orientation_that_is_none_is_as_if_it_were_not_there(
    value: tuple[int, int, bytes], checkout: Path, tmp_path: Path
) -> None:
    """As readers take it: of another type, or a number that means nothing."""
    kind, count, data = value
    entry = struct.pack("<HHI", ORIENTATION, kind, count) + data
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    path = tmp_path / "media" / NAMES[0]
    path.parent.mkdir(parents=True)
    Image.new("RGB", (1280, 720)).save(path, exif=exif)

    found = looked(checkout, tmp_path / "media")

    assert NAMES[0] in found.paths
    assert NAMES[0] not in {one.file_name for one in found.faults}


def test_the_command_says_so_by_its_exit_code(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 where something is wrong, 0 where nothing is: also as JSON."""
    media = tmp_path / "media"
    arguments = ["media", str(checkout), "--images", str(media)]
    assert cli.main(arguments) == 2  # no such folder
    media.mkdir()
    assert cli.main(arguments) == 1
    out = capsys.readouterr().out
    assert f"missing         1280x720               {NAMES[0]}" in out
    assert "missing: 10, not in the folder" in out
    assert "4 frames of video-0 are missing; frames are counted from 0" in out
    for name in (*NAMES, *(f"videos/video-0/{number}.jpg" for number in (3, 7, 8, 59))):
        save(media / name)
    assert cli.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["found"]["images"] == 10
    assert told["found"]["faults"] == told["found"]["surplus"] == []
    assert told["linked"] is None


@pytest.mark.parametrize("way", ["symbolic", "hard"])
def test_links_lie_where_readers_look(checkout: Path, tmp_path: Path, way: str) -> None:
    """COCO's root is the checkout; YOLO finds images beside its labels. Again is no fault; another file is one."""
    media = tmp_path / "media"
    save(media / NAMES[0])
    save(media / NAMES[1], 640, 360)  # of another size: not linked
    arguments = ["media", str(checkout), "--images", str(media), "--link", way]
    assert cli.main(arguments) == cli.main(arguments) == 1

    coco = json.loads((checkout / "annotations" / "instances.json").read_text())
    there = [one["file_name"] for one in coco["images"] if (checkout / one["file_name"]).exists()]
    assert there == [NAMES[0]]
    listed = (checkout / "yolo_detect" / "images.txt").read_text().split()
    assert [name for name in listed if (checkout / "yolo_detect" / name).exists()] == [f"./{NAMES[0]}"]
    for path in (checkout / NAMES[0], checkout / "yolo_detect" / NAMES[0]):
        assert path.samefile(media / NAMES[0])
        assert path.is_symlink() == (way == "symbolic")

    save(checkout / NAMES[2])
    save(media / NAMES[2])
    with pytest.raises(UsageError, match="is there already"):
        link(looked(checkout, media).paths, folder=media, checkout=checkout, way="symbolic")


def test_names_without_an_ending_take_any_picture(tmp_path: Path) -> None:
    """Slices, and images of groups."""
    out = converted(tmp_path, [make.dicom_row({0: make.dicom_slice(make.box()), 4: make.dicom_slice(uid="1.2.3.9")})])
    save(tmp_path / "media" / "dicom" / "dicom-0" / "4.png")
    found = looked(out, tmp_path / "media")
    assert found.paths == {"dicom/dicom-0/4": "dicom/dicom-0/4.png"}
    assert [(one.kind, one.file_name) for one in found.faults] == [("missing", "dicom/dicom-0/0")]
    assert found.extractions == ()  # ffmpeg does not cut series
    assert found.surplus == ()


def test_splits_are_read_together(tmp_path: Path) -> None:
    """A COCO file for each split holds some of the images."""
    rows = [named(make.image_row(make.box()), number) for number in range(12)]
    out = converted(tmp_path, rows, "--splits", "train=0.5,val=0.5", "--coco-per-split")
    assert not (out / "annotations" / "instances.json").exists()
    assert len(list(images_of(out))) == 12


def test_what_cannot_be_read_is_refused(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No COCO, damaged COCO, names that lead out of the folder, no Pillow."""
    with pytest.raises(UsageError, match="has coco among its formats"):
        list(images_of(tmp_path))
    save(tmp_path / "media" / NAMES[0])
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "PIL", None)
        with pytest.raises(UsageError, match=r"pip install 'encord-dagster\[media\]'"):
            looked(checkout, tmp_path / "media")
    path = checkout / "annotations" / "instances.json"
    text = path.read_text()
    path.write_text(text.replace(f'"{NAMES[0]}"', '"../../elsewhere.jpg"'))
    with pytest.raises(UsageError, match="no path below a folder"):
        list(images_of(checkout))
    path.write_text(text[:300])
    with pytest.raises(UsageError, match="is no COCO file of this package"):
        list(images_of(checkout))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed (apt: ffmpeg)")
@pytest.mark.parametrize("template", ["", "{data_hash}/frame_{frame:06}.jpg"])
def test_ffmpeg_extracts_the_labelled_frames(tmp_path: Path, template: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A video of 29.97 frames a second, some out of order in the file; the brightness of a frame is its number."""
    rows = [make.video_row({number: [make.box()] for number in (0, 3, 7, 8, 9, 59)}, width=64, height=48)]
    rows[0]["data_units"]["video-0"] |= {"width": 64, "height": 48}  # type: ignore[index]  # free JSON
    out = converted(tmp_path, rows, *(("--file-name", template) if template else ()))
    media = tmp_path / "100% media's"
    (media / "raw").mkdir(parents=True)
    luma = "nullsrc=s=64x48:r=30000/1001:d=2.1,geq=lum='16+N*3':cb=128:cr=128"
    video = media / "raw" / "video-0.mp4"
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", luma, "-c:v", "libx264", "-bf", "2", "-g", "12"]
    subprocess.run([*made, "-pix_fmt", "yuv420p", str(video)], check=True)
    arguments = ["media", str(out), "--images", str(media), "--json"]
    capsys.readouterr()
    assert cli.main(arguments) == 1
    (one,) = json.loads(capsys.readouterr().out)["found"]["extractions"]
    assert (one["frames"], one["video"]) == (6, str(video))

    for command in one["commands"]:
        subprocess.run(["sh", "-c", command], check=True, env={"PATH": os.environ["PATH"]})

    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)["found"]
    assert found["surplus"] == []
    for number in (0, 3, 7, 8, 9, 59):
        name = (template or "videos/video-0/{frame}.jpg").format(data_hash="video-0", frame=number)
        pixels = np.asarray(Image.open(media / name).convert("L"))
        assert abs(pixels.mean() - number * 3 * 255 / 219) < 1.5


def test_a_video_that_is_not_there_is_asked_for(checkout: Path, tmp_path: Path) -> None:
    """The command is given with VIDEO in its place; only frames that are missing are extracted."""
    media = tmp_path / "media"
    save(media / "videos/video-0/7.jpg")
    (one,) = looked(checkout, media).extractions
    assert one.video is None
    (command,) = one.commands
    assert "-i VIDEO" in command
    assert r"select=eq(n\,3)+eq(n\,8)+eq(n\,59)" in command


@given(st.sets(st.integers(0, 3000), min_size=1), st.sampled_from(["v/{}.jpg", "a-0/%/{:05}.png", "{:02}-7/{}.jpg"]))
def test_commands_choose_each_frame_once_and_name_it(numbers: set[int], template: str) -> None:
    """However many they are; and the names come out again."""
    named_frames = {number: template.format(number, number) for number in numbers}
    pattern = frames.pattern_of({number: named_frames[number] for number in sorted(numbers, reverse=True)})
    if pattern is None:
        assert template.count("{") > 1
        return
    assert {number: pattern % number for number in numbers} == named_frames
    made = frames.extraction(named_frames, data_hash="v", space=None, video=None, into=Path("into"))
    chosen: list[int] = []
    for command in made.commands:
        (terms,) = [part for part in command.split() if "select=" in part]
        for term in terms.strip("'").partition("select=")[2].split("+"):
            first, last = (term.strip(")").split("\\,") + [""])[1:3]
            chosen += range(int(first), int(last or first) + 1)
    assert sorted(chosen) == sorted(numbers)


def test_frames_whose_names_do_not_tell_their_number(tmp_path: Path) -> None:
    """No command can name them, and that is said."""
    images = [
        Record(n, 64, 48, f"videos/v/{word}.jpg", (), Origin("l", "v", n)) for n, word in enumerate(("one", "two"))
    ]
    (tmp_path / "v.mp4").touch()
    (found,) = look(iter(images), tmp_path).extractions
    assert found.commands == ()


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_ffmpeg_is_not_offered_for_scans(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever their slices are called; a video that is called so, and is not there, cannot be told from them."""
    scan = make.nifti_row({0: [make.box()], 5: [make.box()]})
    if kind == "dicom":
        scan = make.dicom_row({n: make.dicom_slice(make.box(), uid=f"1.2.{n}") for n in (0, 5)})
    film = make.video_row({3: [make.box()], 7: [make.box()]}, label_hash="label-film")
    out = converted(tmp_path, [scan, film], "--file-name", "{data_hash}/{frame}.png")
    media = tmp_path / "media"
    media.mkdir()
    capsys.readouterr()

    assert cli.main(["media", str(out), "--images", str(media)]) == 1
    said = capsys.readouterr().out
    assert "ffmpeg -v" not in said
    assert f"2 images of {kind}-0 are missing: frames of a video, or slices of a scan" in said
    assert "as video-0.mp4" in said

    (media / "video-0.mp4").touch()
    found = looked(out, media)
    assert [one.data_hash for one in found.extractions] == ["video-0"]
    assert found.unclear == {f"{kind}-0": 2}


def test_frames_of_a_video_in_a_group_are_known_by_their_names(tmp_path: Path) -> None:
    """As those of a video alone; slices in a group do not end like pictures."""
    origin = [Origin("l", "g", n, space="front view") for n in (2, 4)]
    images = [
        Record(n, 64, 48, f"groups/g/front%20view/{one.frame}.jpg", (), one) for n, one in enumerate(origin, start=1)
    ]
    (found,) = look(iter(images), tmp_path).extractions
    assert found.frames == 2
    assert found.commands
