"""A conversion straight from the disk makes the same files as one through a lake in memory."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encord_dagster import commands
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.container import RowSlice
from encord_dagster.errors import StorageError, UsageError
from encord_dagster.formats import yolo
from encord_dagster.formats.catalogue import FORMATS, NEED_A_LAKE, PUBLISHED
from encord_dagster.outcomes import Batch, ExportOutcome
from encord_dagster.storage import arriving, fetch
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.storage.s3 import S3Store
from encord_dagster.stream import cut, large, training, worker
from encord_dagster.stream.job import Job
from encord_dagster.stream.training import Writing
from encord_dagster.stream.work import Work
from tests import factories as make
from tests.effort import examples
from tests.encord.rows import label_rows
from tests.factories import Json
from tests.lakes import images_export
from tests.stream_exports import compact, export, files_below, named, objects, silent, through_memory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DESCRIPTIONS = {"croissant.json", "prov.jsonld"}  # of versions, which a conversion without a lake has none of
CONFIG = LabelSetConfig(name="converted", masks=False)
TRAINING = tuple(name for name in FORMATS if name not in PUBLISHED and name not in NEED_A_LAKE)


def converted(
    data: bytes, folder: Path, *formats: str, processes: int = 1, config: LabelSetConfig = CONFIG
) -> tuple[ExportOutcome, dict[str, bytes], list[str]]:
    """What a conversion says of an export, the files that it makes, and what it told on its way."""
    source = folder / "landing" / "export.json"
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(data)
    told: list[str] = []
    output = folder / f"{len(list(folder.iterdir()))}"
    config = msgspec.structs.replace(config, masks="masks" in formats)
    batches, paths = commands.convert_urls(
        [str(source)], output=output, formats=formats, config=config, progress=told.append, processes=processes
    )
    found = files_below(output)
    assert {path.relative_to(output).as_posix() for path in paths} == found.keys()
    return only(batches), found, [line for line in told if not line.endswith(" s left")]


def only(batches: list[Batch]) -> ExportOutcome:
    """The outcome of the only export."""
    ((outcome,),) = (batch.outcomes for batch in batches)
    return outcome


def in_memory(
    data: bytes, folder: Path, *formats: str, config: LabelSetConfig = CONFIG
) -> tuple[ExportOutcome, dict[str, bytes]]:
    """The same through a lake in memory."""
    source = folder / "landing" / "export.json"
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(data)
    output = folder / "memory"
    config = msgspec.structs.replace(config, masks="masks" in formats)
    batches, _ = through_memory(source, output, formats, config)
    found = files_below(output) if output.exists() else {}
    return only(batches), {name: data for name, data in found.items() if name not in DESCRIPTIONS}


def counts(outcome: ExportOutcome) -> Json:
    """What an outcome says, but for where it lies and how it got there."""
    told = {name: getattr(outcome, name) for name in ExportOutcome.__struct_fields__}
    for name in ("status", "sha256", "uris", "export"):
        del told[name]
    return told


@pytest.mark.parametrize(
    "formats", [("coco",), ("coco", "masks"), ("masks",), TRAINING, ("coco", "masks", "coco_panoptic")]
)
def test_files_and_counts_are_those_of_a_lake(tmp_path: Path, formats: tuple[str, ...]) -> None:
    """Of rows of all kinds, good, odd, bad, deleted and on other branches."""
    data = compact(export(64))
    expected = in_memory(data, tmp_path, *formats)
    outcome, found, told = converted(data, tmp_path, *formats)
    assert told == []
    assert outcome.status == "converted"
    assert counts(outcome) == counts(expected[0])
    assert found == expected[1]


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("formats", [("coco",), ("coco", "masks"), ("coco", *TRAINING)])
def test_any_number_of_processes_makes_the_same_files(tmp_path: Path, processes: int, formats: tuple[str, ...]) -> None:
    """Also where each range brings classes of its own, whose numbers depend on the ranges before."""
    data = compact(export(96))
    one, several = (converted(data, tmp_path, *formats, processes=number) for number in (1, processes))
    assert several[1] == one[1]
    assert several[2] == []
    assert counts(several[0]) == counts(one[0])


def test_any_number_of_records_at_once_makes_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to those of one row."""
    data = compact(export(24))
    expected = converted(data, tmp_path, *TRAINING)
    monkeypatch.setattr(training, "AT_ONCE", 1)
    assert converted(data, tmp_path, *TRAINING)[1] == expected[1]


def test_two_images_with_one_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which hashes as names rule out, and so is made up here; whichever process meets the second of them."""
    data = compact([named(make.image_row(make.box()), number) for number in range(2)])
    monkeypatch.setattr(yolo, "labels_path", lambda _: "labels/same.txt")
    monkeypatch.setattr(worker, "start", _run_here)
    for processes in (1, 2):
        with pytest.raises(UsageError, match=r"two images would have the file yolo_detect/labels/same.txt"):
            converted(data, tmp_path, "yolo_detect", processes=processes)


@pytest.fixture
def bucket(s3_server: str, s3_client: "S3Client", monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a bucket with nothing in it, which commands can reach."""
    s3_client.create_bucket(Bucket="convert")
    for name, value in {"ENDPOINT_URL_S3": s3_server, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return "convert"


def convert_from(bucket: str, output: Path, processes: int) -> None:
    """Convert the export in a bucket."""
    url = f"s3://{bucket}/export.json"
    commands.convert_urls([url], output=output, formats=["coco"], config=CONFIG, progress=silent, processes=processes)


@pytest.mark.parametrize("processes", [1, 3])
def test_an_export_in_a_bucket_is_converted_as_it_arrives(
    tmp_path: Path, bucket: str, s3_client: "S3Client", processes: int
) -> None:
    """To the same files as one on the disk, whoever reads it."""
    data = images_export(600)
    assert len(data) > 3 * arriving.STEP
    s3_client.put_object(Bucket=bucket, Key="export.json", Body=data)
    _, local, _ = converted(data, tmp_path, "coco")

    output = tmp_path / "from-bucket"
    convert_from(bucket, output, processes)

    assert files_below(output) == local


@pytest.mark.parametrize("processes", [1, 3])
def test_an_export_that_changes_while_it_is_converted_is_refused(
    tmp_path: Path, bucket: str, s3_client: "S3Client", monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """It says so, whichever process came upon it, and there is no output."""
    data = images_export(600)
    s3_client.put_object(Bucket=bucket, Key="export.json", Body=data)
    ranged = fetch.ranged

    def changed(store: ObjectStore, key: str, *, etag: str, start: int, end: int) -> bytes:
        if start == 2 * arriving.STEP:
            s3_client.put_object(Bucket=bucket, Key="export.json", Body=data[:-1] + b" ]")
        return ranged(store, key, etag=etag, start=start, end=end)

    monkeypatch.setattr(fetch, "ranged", changed)
    monkeypatch.setattr(S3Store, "calls_at_once", 1)
    output = tmp_path / "from-bucket"
    with pytest.raises(StorageError, match="changed"):
        convert_from(bucket, output, processes)

    assert not output.exists()
    assert not list(tmp_path.iterdir())


def test_a_process_that_dies_ends_the_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is left that lacks the files of some rows."""
    data = compact([named(make.image_row(make.box()), number) for number in range(20)])
    monkeypatch.setattr(training, "__name__", "no.such.module")
    with pytest.raises(RuntimeError, match="run again with one process"):
        converted(data, tmp_path, "yolo_detect", processes=2)
    assert [path.name for path in tmp_path.iterdir()] == ["landing"]


def _run_here(job: Writing | Job, _module: str = "") -> "_Ended":
    path = Path(job.folder, "job")
    path.write_bytes(msgspec.json.encode(job))
    return _Ended(training.main(path) if isinstance(job, Writing) else worker.main(path))


class _Ended:
    """A process that has done its job."""

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode

    def poll(self) -> int:
        """Its exit code."""
        return self.returncode

    wait = poll

    def kill(self) -> None:
        """It is gone already."""


@pytest.mark.parametrize("chunk", [1, 700, 5000])
def test_any_size_of_chunk_makes_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Down to one row at a time."""
    data = compact(export(24))
    expected = converted(data, tmp_path, "coco")
    some = cut.chunks
    monkeypatch.setattr(
        "encord_dagster.stream.ranges.chunks", lambda *where, last: some(*where, last=last, chunk=chunk)
    )
    found = converted(data, tmp_path, "coco")
    assert found[1:] == expected[1:]
    assert counts(found[0]) == counts(expected[0])


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture),
)
@given(st.lists(label_rows(), min_size=1, max_size=4))
def test_rows_of_any_shape_make_the_same_files(tmp_path_factory: pytest.TempPathFactory, documents: list[Json]) -> None:
    """Whatever their sizes and numbers of frames."""
    folder = tmp_path_factory.mktemp("rows")
    data = compact([named(document, number) for number, document in enumerate(documents)])
    expected = in_memory(data, folder, "coco")
    outcome, found, _ = converted(data, folder, "coco")
    assert counts(outcome) == counts(expected[0]) or outcome.status != "converted"
    assert found.items() <= expected[1].items() | found.items()
    assert found["annotations/instances.json"] == expected[1]["annotations/instances.json"]


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([make.image_row(make.box()), make.image_row(make.box(x=0.5))], "one label row twice"),
        ([make.image_row(make.box()), make.image_row(label_hash="another-row")], "describe one image"),
        ([make.image_row(data_units={})], "none of its rows"),
        ([1, make.image_row(make.box())], "does not start as an array"),
        ([make.image_row(make.box()), 1], "no row"),
        (make.image_row(make.box()), "does not start as an array"),
        ([], "does not start as an array"),
    ],
)
def test_what_is_unusual_is_converted_in_memory(tmp_path: Path, documents: object, reason: str) -> None:
    """And told, since it takes more memory."""
    data = compact(documents)
    expected = in_memory(data, tmp_path, "coco")
    try:
        outcome, found, told = converted(data, tmp_path, "coco")
    except FileNotFoundError:
        return
    assert reason in told[0]
    assert counts(outcome) == counts(expected[0])
    assert {name: file for name, file in found.items() if name not in DESCRIPTIONS} == expected[1]


def test_bytes_that_are_no_array_of_rows_are_not_taken_for_one() -> None:
    """Cut at a row's opening inside a row, a comma too many, one missing, text behind the end."""
    row = compact(make.image_row(make.box()))
    opening = b'{"label_hash":'
    inner = row.replace(b'"data_title":', b'"extra":[0,{"label_hash":1},{"label_hash":2}],"data_title":', 1)
    for text in (row + b",," + row, row + row, row + b"," + row + b",", inner[:-1], b"1," + row, row + b"]"):
        with pytest.raises(cut.Unusual):
            list(_rows(text, opening, 10_000))
    for chunk in (10, 300, 1500):
        try:
            found = [piece.raw for some in _rows(row + b"," + inner + b", " + row, opening, chunk) for piece in some]
        except cut.Unusual:
            continue
        assert found == [row, inner, row]


def test_rows_know_where_they_lie(tmp_path: Path) -> None:
    """Their places are those of the bytes in the file."""
    documents = [compact(document) for document in export(9)]
    path = tmp_path / "export.json"
    path.write_bytes(b" [ " + b" ,\n ".join(documents) + b" ]\n")
    for parts in (1, 2, 4):
        found = cut.cuts(path, parts)
        pieces = [
            piece
            for start, end in found.ranges
            for some in cut.rows(path, start, end, found.opening, last=end == found.ranges[-1][1], chunk=2000)
            for piece in some
        ]
        assert [piece.raw for piece in pieces] == documents
        whole = path.read_bytes()
        assert all(whole[piece.offset : piece.offset + piece.length] == piece.raw for piece in pieces)


@pytest.mark.parametrize("between", [b",", b" ,\n  ", b",\n\n"])
def test_rows_larger_than_a_chunk_are_cut_out_once(between: bytes) -> None:
    """Whatever stands between them, and whether or not it lies on the edge of a chunk."""
    documents = [compact(document) for document in export(6)]
    for chunk in range(40, 400, 7):
        found = list(_rows(between.join(documents), b'{"label_hash":', chunk))
        assert [piece.raw for some in found for piece in some] == documents


def test_records_of_a_large_row_are_placed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where their categories are renumbered, and where a record is larger than a part."""
    data = compact(export(32))
    expected = in_memory(data, tmp_path, "coco")
    for step in (100, 1000):
        monkeypatch.setattr("encord_dagster.stream.assemble._STEP", step)
        for processes in (1, 3):
            assert converted(data, tmp_path, "coco", processes=processes)[1] == expected[1]


def test_large_rows_are_converted_a_few_frames_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same files and counts; where something is to be said of a row, it is read whole."""
    plain = [make.video_row({number: objects(number)[:2] for number in range(5, 25)}) for _ in range(4)]
    plain[2]["data_units"]["video-0"]["labels"]["6"]["objects"][0]["name"] = "another"  # type: ignore[index]
    plain[1]["data_units"]["video-0"]["labels"]["30"] = make.labels()  # type: ignore[index]  # free JSON
    found = {number: make.dicom_slice(*objects(number)[:5], uid=f"1.2.3.{number}") for number in range(6)}
    documents = [*plain, make.dicom_row(found), *export(24)]
    data = compact([named(document, number) for number, document in enumerate(documents)])
    expected = converted(data, tmp_path, "coco")
    in_parts: list[bool] = []

    def counted(work: Work, piece: RowSlice) -> bool:
        in_parts.append(large.convert_in_parts(work, piece))
        return in_parts[-1]

    monkeypatch.setattr("encord_dagster.stream.large.LARGE", 0)
    monkeypatch.setattr("encord_dagster.encord.plain_parts._PART", 1)
    monkeypatch.setattr("encord_dagster.stream.ranges.convert_in_parts", counted)
    outcome, files, _ = converted(data, tmp_path, "coco")
    assert in_parts[:4] == [True, True, False, True]
    assert files == expected[1]
    assert counts(outcome) == counts(expected[0])


def test_a_large_row_with_a_key_twice_is_not_converted_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tolerant reader says what is wrong with it; nothing of it stays."""
    good, bad = (compact(named(make.video_row({1: [make.box()], 2: [make.box()]}), number)) for number in (1, 2))
    place = bad.rindex(b'"color"')
    data = b"[" + good + b"," + bad[:place] + b'"color":"#000000",' + bad[place:] + b"]"
    expected = in_memory(data, tmp_path, "coco")
    monkeypatch.setattr("encord_dagster.stream.large.LARGE", 0)
    monkeypatch.setattr("encord_dagster.encord.plain_parts._PART", 1)
    outcome, files, _ = converted(data, tmp_path, "coco")
    assert outcome.rows_quarantined == 1
    assert counts(outcome) == counts(expected[0])
    assert files == expected[1]


def test_an_ontology_beside_the_export_is_used(tmp_path: Path) -> None:
    """Its classes have the first numbers, its names and colours."""
    document = make.ontology(
        make.ontology_class(name="Never used", feature_hash="Never001"),
        make.ontology_class(name="Lorry"),
    )
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "export.ontology.json").write_bytes(compact(document))
    data = compact(export(32))
    expected = in_memory(data, tmp_path, "coco")
    outcome, found, told = converted(data, tmp_path, "coco", processes=2)
    assert told == []
    assert b'"name":"Never used"' in found["annotations/instances.json"]
    assert found == expected[1]
    assert counts(outcome) == counts(expected[0])


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, objects, bytes and the time left, where it takes a while."""
    monkeypatch.setattr("encord_dagster.stream.convert._PATIENCE", 0.0)
    source = tmp_path / "export.json"
    source.write_bytes(compact(export(8)))
    told: list[str] = []
    output = tmp_path / "out"
    commands.convert_urls([str(source)], output=output, formats=["coco"], config=CONFIG, progress=told.append)
    assert "8 rows" in told[-1]
    assert "s left" in told[-1]


def _rows(text: bytes, opening: bytes, chunk: int) -> Iterator[Sequence[RowSlice]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        yield from cut.rows(Path(file.name), 0, len(text), opening, last=True, chunk=chunk)
