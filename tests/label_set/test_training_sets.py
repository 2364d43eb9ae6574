"""Training sets in a folder and in a bucket: whole or absent, never written twice, splits kept from one to the next."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from encord_dagster.errors import HistoryDamaged, StorageError, UsageError
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.tables import from_parquet
from encord_dagster.label_set import training_sets
from encord_dagster.label_set.operations import rollback
from encord_dagster.label_set.staging import staged
from encord_dagster.label_set.training_set import LATEST, MANIFEST, Made, Record, TrainingSet, checked, record_key
from encord_dagster.label_set.training_sets import publish
from encord_dagster.samples import Project, ontology
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import Create, ObjectStore
from tests import factories
from tests.formats.test_splits import SHARES
from tests.formats.test_stratify import rarely
from tests.lakes import Desk
from tests.written import desk_of

STRATIFIED = Selection(splits=SHARES, stratify=True)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A folder gets a folder that is renamed, all else objects one by one."""
    return LocalStore(tmp_path / "sets") if request.param == "folder" else MemoryStore()


def wanted(**more: Any) -> TrainingSet:
    """A training set; its url is not looked at where the store is given."""
    return TrainingSet(**{"name": "detector", "url": "elsewhere", "formats": ("coco", "yolo_detect")} | more)


def made_of(desk: Desk, store: ObjectStore, **more: Any) -> Made:
    """The training set of the newest version."""
    return publish(desk.label_set().version(), wanted(**more), store, progress=lambda line: None)


def keys(store: ObjectStore) -> dict[str, bytes]:
    """What there is, but for probes and hints."""
    found = {info.key: store.get(info.key) or b"" for info in store.list()}
    return {key: data for key, data in found.items() if not key.startswith("probes/") and key != LATEST}


def splits(store: ObjectStore, made: Made) -> dict[str, set[str]]:
    """The images of each split."""
    return {
        name: set((store.get(f"{made.record.folder}/splits/{name}.txt") or b"").decode().splitlines())
        for name in SHARES
    }


def test_the_files_are_those_of_a_checkout(store: ObjectStore, tmp_path: Path) -> None:
    """And a manifest that counts them, a record, and a hint where the newest is."""
    desk = desk_of(*rarely(10))
    desk.label_set().version().checkout(tmp_path / "out", formats=("coco", "yolo_detect"), selection=STRATIFIED)

    made = made_of(desk, store, selection=STRATIFIED)

    folder = made.record.folder
    held = {key.removeprefix(f"{folder}/"): data for key, data in keys(store).items() if key.startswith(folder)}
    files = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    manifest = json.loads(held.pop(MANIFEST))
    assert held == files
    assert (manifest["files"], manifest["bytes"]) == (len(files), sum(map(len, files.values())))
    assert manifest["report"] == json.loads(files["selection.json"])
    assert set(keys(store)) == {f"{folder}/{name}" for name in (*files, MANIFEST)} | {record_key(1)}
    assert (store.get(LATEST), made.written) == (store.get(record_key(1)), True)


def test_without_a_selection_all_of_the_version_is_reported(store: ObjectStore) -> None:
    """There is no `selection.json` then."""
    made = made_of(desk_of(*rarely(20)), store, formats=("coco",))

    assert {one.name: one.annotations for one in made.manifest.report.classes} == {"Car": 17, "Van": 4, "Tree": 1}
    assert made.manifest.report.written.images == 20


def test_the_same_set_is_not_written_again(store: ObjectStore) -> None:
    """Nor recorded: the store holds the same bytes as before."""
    desk = desk_of(*rarely(10))
    first = made_of(desk, store)
    before = keys(store)

    again = made_of(desk, store, formats=("yolo_detect", "coco"))

    assert keys(store) == before
    assert (again.record, again.written) == (first.record, False)


@pytest.mark.parametrize("other", [{"formats": ("coco",)}, {"selection": Selection(min_side=3)}])
def test_another_selection_or_format_is_another_folder(other: dict[str, Any], store: ObjectStore) -> None:
    """The old one stays as it is."""
    desk = desk_of(*rarely(10))
    first = made_of(desk, store)
    before = keys(store)

    second = made_of(desk, store, **other)

    assert second.record.folder != first.record.folder
    assert before.items() <= keys(store).items()
    assert store.get(LATEST) == store.get(record_key(2))


def test_a_new_version_moves_nothing_between_splits(store: ObjectStore) -> None:
    """Stratified from version to version, also where a run in between was of another selection."""
    desk = desk_of(*rarely(60))
    sets = [made_of(desk, store, selection=STRATIFIED)]
    desk.bring("two.json", factories.encode(rarely(12, first=60)))
    fewer = msgspec.structs.replace(STRATIFIED, classes={"van": ("Van",)}, other_classes="drop", negatives="drop")
    middle = made_of(desk, store, selection=fewer)
    sets.append(made_of(desk, store, selection=STRATIFIED))
    desk.bring("three.json", factories.encode(rarely(12, first=72)))
    sets.append(made_of(desk, store, selection=STRATIFIED))

    held = [splits(store, made) for made in sets]

    assert [sum(map(len, one.values())) for one in held] == [60, 72, 84]
    assert all(old[name] <= new[name] for old, new in zip(held, held[1:], strict=False) for name in SHARES)
    assert all(splits(store, middle)[name] <= held[1][name] for name in SHARES)
    assert [made.manifest.splits_from for made in sets] == [None, middle.record.folder, sets[1].record.folder]
    assert sets[2].manifest.report.splits["train"].kept == len(held[1]["train"])


def test_after_a_rollback_the_old_folder_is_taken_again(store: ObjectStore) -> None:
    """It is the same content; and what came later in the meantime keeps its split when it comes back."""
    desk = desk_of(*rarely(40))
    first = made_of(desk, store, selection=STRATIFIED)
    desk.bring("two.json", factories.encode(rarely(10, first=40)))
    second = made_of(desk, store, selection=STRATIFIED)
    rollback(desk.lake, "street", 1, "the second one was wrong")
    back = made_of(desk, store, selection=STRATIFIED)
    desk.bring("three.json", factories.encode(rarely(15, first=40)))

    last = made_of(desk, store, selection=STRATIFIED)

    assert (back.record.folder, back.written, back.record.seq) == (first.record.folder, False, 3)
    assert back.record.version == 3
    assert all(splits(store, second)[name] <= splits(store, last)[name] for name in SHARES)


def test_tables_tell_of_exports_that_changed_no_label(store: ObjectStore) -> None:
    """Their row events are among them, so it is another folder; of other formats it is the same."""
    desk = desk_of(*rarely(10))
    made = {formats: made_of(desk, store, formats=formats) for formats in (("coco", "tables"), ("coco",))}
    desk.bring("again.json", factories.encode(rarely(5)))
    version = desk.label_set().version()
    assert version.number == 1

    again = {formats: made_of(desk, store, formats=formats) for formats in made}

    assert [again[one].record.folder == made[one].record.folder for one in made] == [False, True]
    folder = again["coco", "tables"].record.folder
    events = from_parquet(store.get(f"{folder}/tables/row_events.parquet") or b"")
    assert events.equals(version.table("row_events"))
    assert len(set(events["export_id"].to_pylist())) == 2
    assert not made_of(desk, store, formats=("coco", "tables")).written


def test_splits_by_hash_are_kept_when_they_are_stratified_later(store: ObjectStore) -> None:
    """Switching it on moves nothing."""
    desk = desk_of(*rarely(40))
    first = made_of(desk, store, selection=Selection(splits=SHARES))
    desk.bring("two.json", factories.encode(rarely(10, first=40)))

    second = made_of(desk, store, selection=STRATIFIED)

    assert all(splits(store, first)[name] <= splits(store, second)[name] for name in SHARES)


def test_splits_from_before_others_were_chosen_do_not_come_back(store: ObjectStore) -> None:
    """Stratified, by hash, and stratified again: the last one keeps what was by hash, as what follows will."""
    desk = desk_of(*rarely(60))
    made_of(desk, store, selection=STRATIFIED)
    by_hash = made_of(desk, store, selection=Selection(splits=SHARES))

    again = made_of(desk, store, selection=STRATIFIED)

    assert splits(store, again) == splits(store, by_hash)
    assert again.manifest.splits_from == by_hash.record.folder


def test_other_classes_are_another_set(store: ObjectStore) -> None:
    """Labels that changed and changed back are the same content, though the ontology has more classes by then."""
    desk, made, names = Desk(), [], []
    for day, known in enumerate((["Car"], ["Car"], ["Car", "Bus"]), start=1):
        classes = [factories.ontology_class(feature_hash=f"{name}Class", name=name) for name in known]
        desk.landing.put_hint("ontology.json", factories.encode(factories.ontology(*classes)))
        status = {"label_status": ("LABELLED", "REVIEWED")[day == 2], "exported_at": f"2024-03-0{day} 10:00:00"}
        desk.bring(f"{day}.json", factories.encode([row | status for row in rarely(2)]))
        made.append(made_of(desk, store, formats=("coco",)))
        document = json.loads(store.get(f"{made[-1].record.folder}/annotations/instances.json") or b"")
        names.append({each["name"] for each in document["categories"]})

    assert made[0].record.content_digest == made[2].record.content_digest != made[1].record.content_digest
    assert ["Bus" in known for known in names] == [False, False, True]


def test_a_set_whose_files_were_deleted_is_written_again(tmp_path: Path) -> None:
    """Old folders may go, and the newest may be wanted back; the splits are those it had."""
    store = LocalStore(tmp_path / "sets")
    desk = desk_of(*rarely(20))
    first = made_of(desk, store, formats=("coco",))
    before = keys(store)
    for path in sorted((store.root / first.record.folder).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (store.root / first.record.folder).rmdir()

    again = made_of(desk, store, formats=("coco",))

    assert again.written
    assert keys(store).items() >= before.items()


class Failing(MemoryStore):
    """Breaks off at a write."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def create(self, key: str, data: bytes) -> Create:
        self.after -= 1
        if self.after == 0:
            raise StorageError("the network is gone")
        return super().create(key, data)


def test_a_crash_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    """At every single write; the next run finishes, with the same bytes as one that was never interrupted."""
    desk = desk_of(*rarely(6))
    smooth = MemoryStore()
    made_of(desk, smooth, selection=STRATIFIED)
    writes = len(keys(smooth)) + 2  # and two probes

    for number in range(1, writes + 1):
        store = Failing(after=number)
        with pytest.raises(StorageError, match="network"):
            made_of(desk, store, selection=STRATIFIED)
        left = keys(store)
        assert record_key(1) not in left
        assert not any(key.endswith(MANIFEST) for key in left) or len(left) == len(keys(smooth)) - 1

        assert made_of(desk, store, selection=STRATIFIED).record.seq == 1
        assert keys(store) == keys(smooth)


def test_a_crash_in_a_folder_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its name when all is in it, the manifest too."""
    store = LocalStore(tmp_path / "sets")
    desk = desk_of(*rarely(6))

    def fail(*args: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(training_sets, "_report", fail)
        with pytest.raises(StorageError):
            made_of(desk, store)

    assert list((tmp_path / "sets").iterdir()) == []
    assert made_of(desk, store).written


def test_a_folder_that_another_run_finished_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look whether it is there and the first file."""
    store, desk = LocalStore(tmp_path / "sets"), desk_of(*rarely(6))

    def late(folder: Path) -> AbstractContextManager[Path]:
        monkeypatch.setattr(training_sets, "staged", staged)
        made_of(desk, store)
        return staged(folder)

    monkeypatch.setattr(training_sets, "staged", late)

    assert made_of(desk, store).record.seq == 1


class Racing(MemoryStore):
    """Another run commits first, once."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk: Desk | None = desk

    def create(self, key: str, data: bytes) -> Create:
        if key == record_key(1) and self.desk:
            desk, self.desk = self.desk, None
            desk.bring("two.json", factories.encode(rarely(30, first=40)))
            made_of(desk, self, selection=STRATIFIED)
        return super().create(key, data)


def test_of_two_runs_the_second_keeps_the_splits_of_the_first() -> None:
    """Also where it had written its own files already: no record names them."""
    desk = desk_of(*rarely(40))
    store = Racing(desk)

    mine = made_of(desk, store, selection=STRATIFIED)

    theirs = msgspec.json.decode(store.get(record_key(1)) or b"", type=Record)
    assert (theirs.version, mine.record.version, mine.record.seq) == (2, 1, 2)
    assert mine.manifest.splits_from == theirs.folder
    held = [(store.get(f"{theirs.folder}/splits/{name}.txt") or b"").decode().splitlines() for name in SHARES]
    assert all(splits(store, mine)[name] <= set(names) for name, names in zip(SHARES, held, strict=True))


def test_a_place_of_another_set_is_refused(store: ObjectStore) -> None:
    """Two would take each other's splits."""
    desk = desk_of(*rarely(6))
    made_of(desk, store)

    with pytest.raises(UsageError, match="holds training set 'detector' of label set 'street'"):
        made_of(desk, store, name="other")


def test_other_groups_are_refused_with_the_place(store: ObjectStore) -> None:
    """Which images would move could not be told."""
    desk = desk_of(*rarely(6))
    first = made_of(desk, store, selection=STRATIFIED)

    with pytest.raises(UsageError, match=f"{first.record.folder} has split_by 'data_hash', not 'label_hash'"):
        made_of(desk, store, selection=msgspec.structs.replace(STRATIFIED, split_by="label_hash"))


def test_a_damaged_record_is_named(store: ObjectStore) -> None:
    """Instead of starting anew, with other splits."""
    desk = desk_of(*rarely(6))
    made_of(desk, store)
    store.delete(record_key(1))
    store.create(record_key(1), b"{")

    with pytest.raises(HistoryDamaged, match="000000000001.json is gone or cannot be read"):
        made_of(desk, store)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "a/b"}, "use letters, digits"),
        ({"url": ""}, "its url is empty"),
        ({"formats": ()}, "it has no formats; there are coco"),
        ({"formats": ("yolo",)}, "no format yolo"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], says: str) -> None:
    """Before there is a version."""
    with pytest.raises(UsageError, match=says):
        wanted(**fields)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"url": "s3://b/two"}, "another one is called so"),
        ({"name": "two", "url": "s3://b/one/"}, "is written to s3://b/one; give each"),
        ({"name": "two", "url": "s3://b/in/two"}, "is where exports arrive"),
    ],
)
def test_sets_in_each_others_way_are_refused(other: dict[str, Any], says: str) -> None:
    """Or in that of exports."""
    with pytest.raises(UsageError, match=says):
        checked([wanted(url="s3://b/one"), wanted(**other)], landing="s3://b/in")


def test_a_folder_is_the_same_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From where one stands, or from the root."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="where exports arrive"):
        checked([wanted(url="in/sets")], landing=str(tmp_path / "in"))
    with pytest.raises(UsageError, match="another one is written"):
        checked([wanted(url="./sets"), wanted(name="other", url=str(tmp_path / "sets"))], landing="in")


def test_a_number_is_the_same_however_it_is_written() -> None:
    """YAML makes 4.0 of what is 4 in Python, and names every default."""
    short = Selection(splits={"a": 1}, min_side=4)
    long = msgspec.convert({**msgspec.structs.asdict(short), "min_side": 4.0, "frame_rate": 30.0}, Selection)

    assert wanted(selection=short).digest() == wanted(selection=long).digest()
    assert wanted(selection=short).digest() != wanted(selection=Selection(splits={"a": 1}, min_side=5)).digest()


def test_large_files_are_uploaded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same objects."""
    desk = desk_of(*rarely(6))
    one, other = MemoryStore(), MemoryStore()
    made_of(desk, one)
    monkeypatch.setattr(training_sets, "LARGE", 100)

    made_of(desk, other)

    assert keys(one) == keys(other)


def test_formats_get_what_they_need_beside_the_labels(tmp_path: Path) -> None:
    """The ontology, which counts as part of what makes the files, and the folder of DICOM files."""
    desk = desk_of(*rarely(4))
    version, store = desk.label_set().version(), MemoryStore()
    sample = ontology(Project(seed=1)).decode()
    encord = wanted(formats=("encord_coco",))

    made = [publish(version, encord, store, progress=lambda line: None, ontology=text) for text in ("", sample)]

    assert [one.written for one in made] == [True, True]
    assert made_of(desk, MemoryStore(), dicom_headers=str(tmp_path)).record.digest != wanted().digest()
    with pytest.raises(UsageError, match="dicom"):
        made_of(desk, MemoryStore(), formats=("nifti",))
