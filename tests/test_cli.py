"""The command line as people and scripts use it: what it prints, what it exits with, what it leaves behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from encord_dagster.cli import main
from encord_dagster.formats.catalogue import FORMATS
from encord_dagster.samples import bad_row, catalogue
from tests import dicom_files, factories
from tests.lakes import DAY, exported_again, images_export, project_export
from tests.published import Json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[1]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two exports of one project, and a lake into which they have been published: made once, copied."""
    folder, data = tmp_path_factory.mktemp("made"), images_export(2)
    for name, export in (("day1/one.json", data), ("day2/two.json", exported_again(data, changed=1))):
        (folder / "landing" / name).parent.mkdir(parents=True)
        (folder / "landing" / name).write_bytes(export)
    assert main(["ingest", "-q", str(folder / "landing"), "--lake", str(folder / "lake"), "--name", "street"]) == 0
    return folder


@pytest.fixture
def landing(made: Path, tmp_path: Path) -> Path:
    """The two exports; hard links, so that they are the same deliveries and not newer ones."""
    shutil.copytree(made / "landing", tmp_path / "landing", copy_function=os.link)
    return tmp_path / "landing"


@pytest.fixture
def street(tmp_path: Path) -> list[str]:
    """The options that name a label set in a lake."""
    return ["--lake", str(tmp_path / "lake"), "--name", "street"]


@pytest.fixture
def published(made: Path, tmp_path: Path, street: list[str]) -> list[str]:
    """The same options, where the exports have been published."""
    shutil.copytree(made / "lake", tmp_path / "lake")
    return street


def as_json(arguments: list[str], capsys: Capture, *, code: int = 0) -> Any:
    """What a command prints with --json; everything on standard output must be JSON."""
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path and bytes of every file, but for the probes of the self-test."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "probes" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_sample_writes_exports(tmp_path: Path, capsys: Capture) -> None:
    """`sample` writes what it lists: the same bytes for the same seed, with bad files unless told otherwise."""
    options = ["--rows", "3", "--days", "2"]

    first = as_json(["sample", str(tmp_path / "one"), *options], capsys)
    assert main(["sample", str(tmp_path / "two"), *options, "--no-bad"]) == 0
    second = capsys.readouterr().out.splitlines()

    assert {Path(path).relative_to(tmp_path / "one").as_posix() for path in first} == files_below(
        tmp_path / "one"
    ).keys()
    good = files_below(tmp_path / "two")
    assert len(second) == len(good) < len(first)
    assert good.items() <= files_below(tmp_path / "one").items()


def test_ingest_publishes(landing: Path, street: list[str], capsys: Capture) -> None:
    """`ingest` says what became of each export and which version that made; progress goes to standard error."""
    assert main(["ingest", str(landing), *street]) == 0

    out, err = capsys.readouterr()
    assert "day2/two.json: published\n  2 label rows, " in out
    assert out.splitlines()[-1].startswith("version 1 (record 1, publish): 2 label rows, 2 images, ")
    assert "2 exports found, 2 new" in err
    assert err.splitlines()[0] not in out


def test_ingest_as_json(landing: Path, street: list[str], capsys: Capture) -> None:
    """One batch for each landing store, with outcomes and the version."""
    (batch,) = as_json(["ingest", str(landing), *street], capsys)

    assert {outcome["export"]["key"] for outcome in batch["outcomes"]} == {"day1/one.json", "day2/two.json"}
    for outcome in batch["outcomes"]:
        excluded = sum(outcome["objects_excluded"].values())
        assert outcome["objects_in"] == outcome["objects_published"] + outcome["objects_quarantined"] + excluded > 0
        assert len(outcome["export_hashes"]) == 2
    assert (batch["published"]["version"], batch["published"]["op"]) == (1, "publish")


def test_ingest_twice_does_nothing_the_second_time(published: list[str], landing: Path, capsys: Capture) -> None:
    """Nothing is read again, nothing is written, no version is made; the answer says so."""
    lake = Path(published[1])
    before = files_below(lake)

    assert main(["ingest", str(landing), *published]) == 0

    assert files_below(lake) == before
    out, err = capsys.readouterr()
    assert out.startswith("nothing new: version 1 (record 1, publish)")
    assert "0 new" in err


def test_ingest_of_one_file_named_twice_reads_it_once(landing: Path, street: list[str], capsys: Capture) -> None:
    """The same url twice is one export; its folder afterwards holds a second source of the same bytes."""
    file = str(landing / "day1" / "one.json")

    (batch,) = as_json(["ingest", "-q", file, file, *street], capsys)
    assert main(["ingest", "-q", str(landing), *street]) == 0

    assert len(batch["outcomes"]) == 1
    assert "day1/one.json: observed, the same bytes as export " in capsys.readouterr().out


def test_convert_writes_what_a_checkout_of_an_ingest_has(
    landing: Path, street: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Without a lake, and through one: the same files, byte for byte, but for the two that name the label set."""
    export = tmp_path / "export.json"
    export.write_bytes(project_export(8))

    result = as_json(["convert", str(export), "-o", str(tmp_path / "converted")], capsys)
    assert main(["ingest", "-q", str(export), *street]) == 0
    assert main(["checkout", "-o", str(tmp_path / "checkout"), *street]) == 0

    converted, checkout = files_below(tmp_path / "converted"), files_below(tmp_path / "checkout")
    named = {"croissant.json", "prov.jsonld"}
    assert converted.keys() == checkout.keys() >= named
    assert {key: converted[key] for key in converted.keys() - named} == {
        key: checkout[key] for key in checkout.keys() - named
    }
    assert {Path(path).relative_to(tmp_path / "converted").as_posix() for path in result["files"]} == converted.keys()
    assert result["exports"][0]["outcomes"][0]["rows"] == 8
    assert capsys.readouterr().out.splitlines()[-1] == f"version 1: {len(converted)} files in {tmp_path / 'checkout'}"


def test_convert_without_masks(landing: Path, tmp_path: Path, capsys: Capture) -> None:
    """`--formats coco,tables` leaves masks out, and says how many files that are."""
    output = tmp_path / "converted"

    assert main(["convert", str(landing), "-q", "--formats", "coco,tables", "-o", str(output)]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == f"10 files in {output}"
    described = {"loss_report.json", "croissant.json", "prov.jsonld"}
    assert {Path(name).parts[0] for name in files_below(output)} == {"annotations", "tables", *described}


def test_validate_lists_findings_and_writes_nothing(tmp_path: Path, capsys: Capture) -> None:
    """Worst first, each with its place and rule; exit code 1 for errors, 0 for a sound export."""
    (tmp_path / "bad.json").write_bytes(bad_row(exported_at=DAY))
    (tmp_path / "good.json").write_bytes(images_export(2))
    before = files_below(tmp_path)

    assert main(["validate", str(tmp_path / "bad.json")]) == 1
    out, err = capsys.readouterr()
    assert main(["validate", str(tmp_path / "good.json")]) == 0

    assert out.startswith("bad.json: 4 label rows, 56 objects (3 cannot be converted), 3 findings\n    error   ")
    assert "object bad+runs [bad_bitmask]" in out
    assert err == "encord-dagster: findings of severity error or worse: exit code 1\n"
    assert ": 2 label rows, " in capsys.readouterr().out
    assert files_below(tmp_path) == before


def test_validate_says_what_is_left_out(tmp_path: Path, capsys: Capture) -> None:
    """Objects that no format can hold are no finding, and whoever looks must not think that they are converted."""
    solid, flat = factories.entry("cuboid", {"cuboid": {}}, "cuboid01"), factories.box(w=0, object_hash="badbox01")
    (tmp_path / "a.json").write_bytes(factories.encode([factories.image_row(solid, flat, factories.box())]))

    main(["validate", str(tmp_path / "a.json")])

    assert "3 objects (1 cannot be converted, 1 left out: unsupported_shape 1)" in capsys.readouterr().out


def test_validate_as_json(tmp_path: Path, capsys: Capture) -> None:
    """A list of exports with their findings."""
    (tmp_path / "bad.json").write_bytes(bad_row(exported_at=DAY))

    (report,) = as_json(["validate", str(tmp_path)], capsys, code=1)

    assert (report["key"], report["rows"], report["objects_quarantined"]) == ("bad.json", 4, 3)
    assert {finding["rule"] for finding in report["findings"]} == {"bad_bitmask", "outside_image", "too_few_points"}
    assert all(finding["location"]["row"] and finding["message"] for finding in report["findings"])


def test_log_as_json_has_the_promised_fields(published: list[str], landing: Path, capsys: Capture) -> None:
    """One entry for each record, oldest first: publish, then observe where no label changed."""
    data = (landing / "day2" / "two.json").read_bytes()
    again = exported_again(data, days=5)
    (landing / "day3.json").write_bytes(again)
    assert main(["ingest", "-q", str(landing), *published]) == 0
    capsys.readouterr()

    entries = as_json(["log", *published], capsys)

    assert [(entry["version"], entry["op"]) for entry in entries] == [(1, "publish"), (1, "observe")]
    for entry in entries:
        assert len(entry["content_digest"]) == len(entry["manifest_digest"]) == 64
    assert entries[0]["content_digest"] == entries[1]["content_digest"]
    assert len(entries[0]["export_hashes"]) == entries[0]["export_hash_count"] == 4
    assert set(entries[1]["export_hashes"]) == {row["export_hash"] for row in json.loads(again)}


def test_log_as_text(published: list[str], capsys: Capture) -> None:
    """A head line and a line for each record."""
    assert main(["log", *published]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["seq", "version", "op", "content", "fragments", "findings", "exports"]
    assert lines[1].split()[:3] == ["1", "1", "publish"]
    assert len(lines) == 2


def test_log_of_what_is_not_there_is_empty(street: list[str], capsys: Capture) -> None:
    """No record yet is no error: an empty list, or a sentence."""
    assert as_json(["log", *street], capsys) == []
    assert main(["log", *street]) == 0
    assert "holds no record of label set 'street' yet" in capsys.readouterr().out


def test_show_describes_a_version(published: list[str], capsys: Capture) -> None:
    """Counts, classes with their ids, exports and files, for people and for scripts."""
    summary = as_json(["show", *published], capsys)
    assert main(["show", "1", *published]) == 0
    text = capsys.readouterr().out

    assert (summary["version"], summary["rows"], summary["images"]) == (1, 2, 2)
    assert sum(summary["classes"].values()) == summary["annotations"] > 10
    assert {one["name"] for one in summary["categories"]} == summary["classes"].keys()
    assert len(summary["exports"]) == 2
    assert text.startswith("version 1 (record 1, publish)\n  2 label rows, 2 images, ")
    for name, count in summary["classes"].items():
        assert any(line.split()[1:-2] == name.split() and line.split()[-2] == str(count) for line in text.splitlines())


def test_verify_holds(published: list[str], capsys: Capture) -> None:
    """A sound label set: exit code 0 and no problem."""
    report = as_json(["verify", *published], capsys)
    assert main(["verify", *published]) == 0

    assert (report["problems"], report["records"]) == ([], 1)
    assert capsys.readouterr().out.endswith(": every digest and count holds\n")


@pytest.mark.parametrize("which", ["latest", "1"])
def test_checkout_writes_the_files(which: str, published: list[str], tmp_path: Path, capsys: Capture) -> None:
    """A version by number or name; the list of files is what is there."""
    paths = as_json(["checkout", which, "-o", str(tmp_path / "out"), *published], capsys)

    assert {Path(path).relative_to(tmp_path / "out").as_posix() for path in paths} == files_below(
        tmp_path / "out"
    ).keys()
    document: Json = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_bytes())
    assert len(document["images"]) == 2


def test_a_missing_version_is_a_usage_error(published: list[str], tmp_path: Path, capsys: Capture) -> None:
    """Exit code 2, what there is instead, and no folder left behind."""
    assert main(["checkout", "7", "-o", str(tmp_path / "out"), *published]) == 2

    assert "has no version '7'" in only_line(capsys)
    assert not (tmp_path / "out").exists()


def test_findings_below_the_threshold_exit_with_0(tmp_path: Path, street: list[str], capsys: Capture) -> None:
    """`--fail-at` moves the threshold; a version is published either way."""
    row = factories.image_row(factories.box(confidence=7))
    (tmp_path / "odd.json").write_bytes(factories.encode([row]))
    command = ["ingest", "-q", str(tmp_path / "odd.json"), *street]

    assert main(["validate", str(tmp_path / "odd.json")]) == 0
    assert main(["validate", str(tmp_path / "odd.json"), "--fail-at", "warning"]) == 1
    assert main([*command, "--fail-at", "warning"]) == 1

    assert "[bad_confidence]" in capsys.readouterr().out
    assert len(as_json(["log", *street], capsys)) == 1


def test_a_bad_file_does_not_keep_the_good_one_back(landing: Path, street: list[str], capsys: Capture) -> None:
    """Exit code 1, the reason once, and the good exports published."""
    (landing / "page.json").write_bytes(b"<html>sign in</html>")

    assert main(["ingest", "-q", str(landing), *street]) == 1

    out = capsys.readouterr().out
    assert out.count("the export is a web page") == 1
    assert "version 1 (record 1, publish): 2 label rows" in out


def test_only_bad_files_publish_nothing(tmp_path: Path, street: list[str], capsys: Capture) -> None:
    """Exit code 1 from `ingest` and `convert`; no version, no files, and a sentence that says so."""
    (tmp_path / "page.json").write_bytes(b"<html>sign in</html>")

    assert main(["ingest", "-q", str(tmp_path / "page.json"), *street]) == 1
    assert capsys.readouterr().out.endswith("nothing was published\n")
    assert main(["convert", "-q", str(tmp_path / "page.json"), "-o", str(tmp_path / "out")]) == 1

    assert capsys.readouterr().out.endswith(f"0 files in {tmp_path / 'out'}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("no/such/folder", "no exports at no/such/folder"),
        ("no-such-file.json", "no exports at no-such-file.json"),
        ("ftp://host/exports", "use s3://bucket/prefix"),
        ("s3://", "names no bucket"),
        ("file://host/exports", "three slashes"),
        ("", "names no folder"),
    ],
)
@pytest.mark.parametrize("command", ["ingest", "convert", "validate"])
def test_a_bad_url_is_one_line(command: str, url: str, says: str, tmp_path: Path, capsys: Capture) -> None:
    """Exit code 2 and one line that says what to do; nothing is written."""
    more = {
        "ingest": ["--lake", str(tmp_path / "lake"), "--name", "street"],
        "convert": ["-o", str(tmp_path / "out")],
        "validate": [],
    }

    assert main([command, url, *more[command]]) == 2

    assert says in only_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["log", "show", "verify", "checkout", "ingest"])
@pytest.mark.parametrize(
    ("lake", "name", "says"),
    [
        ("gs://bucket/lake", "street", "use s3://bucket/prefix"),
        ("s3://", "street", "names no bucket"),
        ("lake", "../street", "street"),
    ],
)
def test_a_bad_lake_is_one_line(
    command: str, lake: str, name: str, says: str, landing: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Exit code 2 for every command that takes a lake."""
    more = {"ingest": [str(landing)], "checkout": ["-o", str(tmp_path / "out")]}
    place = str(tmp_path / lake) if lake == "lake" else lake

    assert main([command, *more.get(command, []), "--lake", place, "--name", name]) == 2

    assert says in last_line(capsys)
    assert {path.name for path in tmp_path.iterdir()} <= {"landing", "lake"}
    assert files_below(tmp_path / "lake") == {}


@pytest.mark.parametrize("command", ["show", "verify", "checkout"])
def test_a_label_set_that_is_not_there_is_named(
    command: str, street: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Exit code 2: a slip in the url must not look like a sound, empty label set."""
    more = ["-o", str(tmp_path / "out")] if command == "checkout" else []

    assert main([command, *more, *street]) == 2

    assert "holds no label set 'street'" in only_line(capsys)


@pytest.mark.parametrize(
    "arguments",
    [[], ["frobnicate"], ["ingest"], ["show"], ["validate", "x", "--fail-at", "never"], ["log", "--lake", "x"]],
)
def test_wrong_arguments_show_the_usage(arguments: list[str], capsys: Capture) -> None:
    """Exit code 2 and the usage."""
    with pytest.raises(SystemExit) as raised:
        main(arguments)

    assert raised.value.code == 2
    assert capsys.readouterr().err.startswith("usage: encord-dagster")


def test_storage_that_fails_exits_with_3(landing: Path, tmp_path: Path, capsys: Capture) -> None:
    """A lake where nothing can be written: one line with the place and the reason."""
    (tmp_path / "file").write_text("not a folder")

    assert main(["ingest", "-q", str(landing), "--lake", str(tmp_path / "file"), "--name", "street"]) == 3

    assert "encord-dagster: STORAGE: " in only_line(capsys)


@pytest.mark.parametrize("command", ["checkout", "convert", "sample"])
def test_a_folder_that_cannot_be_written_exits_with_3(
    command: str, published: list[str], landing: Path, tmp_path: Path, capsys: Capture
) -> None:
    """The output lies below a file: one line, no traceback."""
    (tmp_path / "file").write_text("not a folder")
    output = str(tmp_path / "file" / "out")
    arguments = {
        "checkout": ["-o", output, *published],
        "convert": ["-q", str(landing), "-o", output],
        "sample": [output, "--rows", "1"],
    }

    assert main([command, *arguments[command]]) == 3

    assert str(tmp_path / "file") in only_line(capsys)


def test_a_folder_that_is_not_empty_is_refused(published: list[str], tmp_path: Path, capsys: Capture) -> None:
    """Exit code 2; what is in it stays as it is."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")

    assert main(["checkout", "-o", str(tmp_path / "out"), *published]) == 2

    assert "is not empty" in only_line(capsys)
    assert files_below(tmp_path / "out") == {"notes.txt": b"mine"}


@pytest.mark.parametrize("command", ["log", "show", "verify", "checkout", "ingest"])
def test_a_damaged_history_exits_with_4(
    command: str, published: list[str], landing: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A record of the log that is no longer what was written: every command that needs it says so."""
    record = Path(published[1]) / "label_sets" / "street" / "log" / "000000000001.json"
    record.chmod(0o644)
    record.write_bytes(b"{}")
    more = {"ingest": ["-q", str(landing)], "checkout": ["-o", str(tmp_path / "out")]}

    assert main([command, *more.get(command, []), *published]) == 4

    out, err = capsys.readouterr()
    assert "log/000000000001.json" in out + err
    assert "Traceback" not in err


def test_verify_finds_a_flipped_bit(published: list[str], capsys: Capture) -> None:
    """Exit code 4 and the name of the object."""
    objects = sorted((Path(published[1]) / "label_sets" / "street" / "objects").rglob("*"))
    spoilt = next(path for path in objects if path.is_file())
    data = spoilt.read_bytes()
    spoilt.chmod(0o644)
    spoilt.write_bytes(bytes([data[0] ^ 1]) + data[1:])

    assert main(["verify", *published]) == 4

    out = capsys.readouterr().out
    assert spoilt.name in out
    assert "1 problem" in out


def test_urls_can_be_files_folders_and_file_urls(landing: Path, tmp_path: Path, capsys: Capture) -> None:
    """The same export by path, by folder, with a slash behind it, by file url with escapes."""
    odd = tmp_path / "my exports"
    odd.mkdir()
    (odd / "day 1.json").write_bytes((landing / "day1" / "one.json").read_bytes())

    reports = [
        as_json(["validate", url], capsys)[0]["rows"]
        for url in (
            str(odd / "day 1.json"),
            str(odd),
            f"{odd}/",
            odd.as_uri(),
            (odd / "day 1.json").as_uri(),
        )
    ]

    assert reports == [2] * 5


def test_the_same_works_on_s3(
    s3_server: str,
    s3_client: "S3Client",
    landing: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    """Landing and lake in a bucket, found by the usual environment; a bucket that is not there is exit code 3."""
    for name, value in (("ENDPOINT_URL", s3_server), ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3_client.create_bucket(Bucket="cli")
    for key, data in files_below(landing).items():
        s3_client.put_object(Bucket="cli", Key=f"in/{key}", Body=data)
    lake = ["--lake", "s3://cli/lake", "--name", "street"]

    assert main(["ingest", "-q", "s3://cli/in/day1/one.json", *lake]) == 0
    assert main(["ingest", "-q", "s3://cli/in", *lake]) == 0
    assert main(["verify", *lake]) == 0
    capsys.readouterr()
    summary = as_json(["show", *lake], capsys)
    assert main(["checkout", "-o", str(tmp_path / "out"), *lake]) == 0
    capsys.readouterr()

    assert (summary["version"], summary["rows"]) == (2, 2)
    assert len(json.loads((tmp_path / "out" / "annotations" / "instances.json").read_bytes())["images"]) == 2
    for source, output in (("s3://cli/in/day1/one.json", "far"), (str(landing / "day1" / "one.json"), "near")):
        assert main(["convert", "-q", source, "-o", str(tmp_path / output), "--formats", "coco,masks"]) == 0
    capsys.readouterr()
    assert files_below(tmp_path / "far") == files_below(tmp_path / "near")
    assert main(["ingest", "s3://no-such-bucket-here/in", *lake]) == 3
    assert "no-such-bucket-here" in only_line(capsys)


def test_help_of_the_installed_program() -> None:
    """`python -m encord_dagster.cli --help` names every command and the exit codes, without heavy imports."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "encord_dagster.cli", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    for command in ("sample", "ingest", "convert", "validate", "log", "show", "verify", "checkout"):
        assert f"\n    {command} " in told.stdout
    assert "4 damaged history" in " ".join(told.stdout.split())
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert not loaded & {"numpy", "pyarrow", "pandas", "boto3", "dagster", "pycocotools"}


def test_a_reader_that_stops_early_is_no_error(published: list[str]) -> None:
    """Piped into a program that reads one line and leaves: no traceback."""
    script = "import sys; from encord_dagster import cli; cli._print = lambda v: [print('x' * 99) for _ in range(9999)]"
    code = f"{script}; raise SystemExit(cli.main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, "log", "--json", *published],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        said = program.stderr.read()

    assert (said, program.returncode) == (b"", 0)


def only_line(capsys: Capture) -> str:
    """The one line on standard error; nothing was printed to standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.endswith(" new")]
    assert line.startswith("encord-dagster: ")
    return line


def last_line(capsys: Capture) -> str:
    """The last line on standard error, behind progress."""
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_an_unknown_format_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which formats there are."""
    main(["sample", str(tmp_path / "exports"), "--days", "1", "--no-bad", "--rows", "2"])

    code = main(["convert", str(tmp_path / "exports"), "-q", "--formats", "yolo", "-o", str(tmp_path / "out")])

    assert code == 2
    assert "no format yolo; there are coco, masks, tables" in capsys.readouterr().err


def test_a_damaged_object_is_put_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 where the lake is whole again, and what was done is said."""
    lake = tmp_path / "lake"
    street = ["--lake", str(lake), "--name", "street"]
    assert main(["sample", str(tmp_path / "landing"), "--rows", "6", "--no-bad"]) == 0
    assert main(["ingest", "-q", str(tmp_path / "landing"), *street]) == 0
    damaged = max((path for path in lake.glob("label_sets/street/objects/**/*") if path.is_file()), key=_size)
    sound = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(sound[:-1])
    assert main(["verify", *street]) == 4
    capsys.readouterr()

    assert main(["repair", *street]) == 0

    assert "objects put back: 1, problems left: 0" in capsys.readouterr().out
    assert damaged.read_bytes() == sound


def _size(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.parametrize("command", ["convert", "checkout"])
def test_help_names_every_format(command: str, capsys: Capture) -> None:
    """The parser cannot ask the catalogue, which imports every format: so the list stands in both."""
    with pytest.raises(SystemExit):
        main([command, "--help"])

    listed = set(re.findall(r"[a-z_]+", capsys.readouterr().out))
    assert set(FORMATS) <= listed


def test_volumes_are_written_out_of_headers(tmp_path: Path, capsys: Capture) -> None:
    """`convert` and `checkout` take the folder of DICOM files; without it they say what is missing."""
    labels, _ = dicom_files.marked(range(5))
    (tmp_path / "rows.json").write_bytes(factories.encode([factories.dicom_row(labels)]))
    dicom_files.write_series(tmp_path / "dicom")
    lake = ["--lake", str(tmp_path / "lake"), "--name", "ct"]
    assert main(["ingest", str(tmp_path / "rows.json"), *lake, "-q"]) == 0
    written = ["--formats", "nifti,dicom_seg", "--dicom-headers", str(tmp_path / "dicom")]

    assert main(["convert", str(tmp_path / "rows.json"), "-o", str(tmp_path / "a"), *written, "-q"]) == 0
    assert main(["checkout", "-o", str(tmp_path / "b"), *lake, *written]) == 0

    names = ("nifti/labelsTr/dicom-0.nii.gz", "dicom_seg/dicom-0.dcm")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    capsys.readouterr()
    assert main(["checkout", "-o", str(tmp_path / "c"), *lake, "--formats", "nifti"]) == 2
    assert "--dicom-headers" in capsys.readouterr().err


def test_a_checkout_is_told_what_could_have_been_ticked(tmp_path: Path) -> None:
    """By the ontology, which no version holds."""
    lake = ["--lake", str(tmp_path / "lake"), "--name", "roads"]
    (tmp_path / "rows.json").write_bytes(project_export(6))
    (tmp_path / "project.txt").write_bytes(msgspec.json.encode(catalogue.document()))
    ontology = ["--ontology", str(tmp_path / "project.txt")]
    assert main(["ingest", str(tmp_path / "rows.json"), *lake, *ontology, "-q"]) == 0

    assert main(["checkout", "-o", str(tmp_path / "with"), *lake, "--formats", "encord_coco", *ontology]) == 0
    assert main(["checkout", "-o", str(tmp_path / "without"), *lake, "--formats", "encord_coco"]) == 0

    said = {name: (tmp_path / name / "annotations" / "encord_coco.json").read_text() for name in ("with", "without")}
    assert '"Wet":false' in said["with"]
    assert '"Wet":true' in said["without"]
    assert '"Wet":false' not in said["without"]
