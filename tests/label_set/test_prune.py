"""Old folders of training sets are deleted, as docs/operations.md says, and never one that a newer record names."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from encord_dagster.cli import main
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set.operations import rollback
from encord_dagster.label_set.prune import Pruned, prune
from encord_dagster.label_set.training_set import LATEST, MANIFEST, Made, Record, record_key
from encord_dagster.label_set.training_sets import encoded
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.storage.s3 import S3Store
from tests import factories
from tests.formats.test_stratify import rarely
from tests.label_set.test_training_sets import STRATIFIED, keys, made_of
from tests.lakes import Desk
from tests.written import desk_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """All ways of deleting."""
    if request.param != "s3":
        return LocalStore(tmp_path / "sets") if request.param == "folder" else MemoryStore()
    client: S3Client = request.getfixturevalue("s3_client")
    client.create_bucket(Bucket="sets")
    return S3Store(client, "sets", tmp_path.name)


def several(store: ObjectStore, count: int = 4) -> tuple[Desk, list[Made]]:
    """A label set, and a training set of each of its versions."""
    desk = desk_of(*rarely(10))
    made = [made_of(desk, store)]
    for number in range(1, count):
        desk.bring(f"{number}.json", factories.encode(rarely(2, first=10 * number)))
        made.append(made_of(desk, store))
    return desk, made


def folders(store: ObjectStore) -> list[str]:
    """The folders that hold something."""
    return sorted({key.partition("/")[0] for key in keys(store)} - {"records"})


def test_the_newest_are_kept(store: ObjectStore) -> None:
    """A dry run says the same and deletes nothing; a second one finds nothing more; what is no set's is left."""
    _, made = several(store)
    names = [one.record.folder for one in made]
    store.put_hint("000001-notes/of-mine.txt", b"mine")
    before = keys(store)

    would = prune(store, keep=2, dry_run=True)
    assert keys(store) == before
    did = prune(store, keep=2)

    assert would == msgspec.structs.replace(did, dry_run=True)
    assert (did.kept, did.removed) == ((names[3], names[2]), (names[1], names[0]))
    assert folders(store) == ["000001-notes", *names[2:]]
    gone = {key for key in before if key.startswith((names[0], names[1]))}
    assert (did.files, did.bytes) == (len(gone), sum(len(before[key]) for key in gone))
    assert keys(store).keys() == before.keys() - gone | {record_key(5)}
    assert store.get(LATEST) == store.get(record_key(5))
    assert prune(store, keep=2) == Pruned(dry_run=False, kept=did.kept, removed=(), files=0, bytes=0)
    if isinstance(store, LocalStore):
        assert {path.name for path in store.root.iterdir()} == {"000001-notes", *names[2:], "records", LATEST}


def test_the_next_set_goes_on_behind_it(store: ObjectStore) -> None:
    """The same is not written again; what was deleted is, under another name."""
    desk, made = several(store, 2)
    prune(store, keep=1)

    again = made_of(desk, store)
    rollback(desk.lake, "street", 1, "the second one was wrong")
    back = made_of(desk, store)

    assert (again.record.folder, again.written) == (made[1].record.folder, False)
    assert back.written
    assert back.record.folder != made[0].record.folder
    assert store.head(f"{back.record.folder}/{MANIFEST}")


def test_the_splits_are_kept(store: ObjectStore) -> None:
    """Of the last set that has some, however old it is: no image moves."""
    desk = desk_of(*rarely(40))
    old = made_of(desk, store, selection=STRATIFIED)
    for number in (1, 2):
        desk.bring(f"{number}.json", factories.encode(rarely(2, first=40 + 10 * number)))
        newest = made_of(desk, store)

    pruned = prune(store, keep=1)
    last = made_of(desk, store, selection=STRATIFIED)

    assert pruned.kept == (newest.record.folder, old.record.folder)
    assert last.manifest.splits_from == old.record.folder


class Interrupted(MemoryStore):
    """Something happens just before a call of a kind, once."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, object] = {}

    def create(self, key: str, data: bytes) -> Create:
        if key.startswith("records/") and callable(then := self.before.pop("create", None)):
            then()
        return super().create(key, data)

    def delete(self, key: str) -> None:
        super().delete(key)
        if callable(then := self.before.pop("delete", None)):
            then()


def test_a_run_that_was_about_to_name_a_folder_makes_another() -> None:
    """It goes back to a version whose folder is deleted in the meantime."""
    store = Interrupted()
    desk, made = several(store, 2)
    rollback(desk.lake, "street", 1, "the second one was wrong")
    store.before["create"] = lambda: prune(store, keep=1)

    back = made_of(desk, store)

    assert back.record.folder not in {one.record.folder for one in made}
    assert store.get(f"{back.record.folder}/{MANIFEST}")
    assert folders(store) == sorted([made[1].record.folder, back.record.folder])


def test_a_folder_that_is_named_meanwhile_is_kept() -> None:
    """The run was faster."""
    store = Interrupted()
    desk, made = several(store, 3)
    rollback(desk.lake, "street", 1, "both others were wrong")
    store.before["create"] = lambda: made_of(desk, store)

    pruned = prune(store, keep=1)

    assert pruned.kept == (made[0].record.folder,)
    assert store.get(f"{made[0].record.folder}/{MANIFEST}")
    assert sorted(pruned.removed) == sorted(one.record.folder for one in made[1:])


def test_a_deletion_that_was_cut_off_is_finished_by_the_next() -> None:
    """In between no folder looks whole that is not."""
    store = Interrupted()
    _, made = several(store, 2)

    def die() -> None:
        raise ConnectionError("the line went dead")

    store.before["delete"] = die
    with pytest.raises(ConnectionError):
        prune(store, keep=1)
    assert made[0].record.folder in folders(store)
    assert store.head(f"{made[0].record.folder}/{MANIFEST}") is None

    again = prune(store, keep=1)

    assert again.files > 0
    assert folders(store) == [made[1].record.folder]


def test_what_cannot_be_pruned_is_refused(store: ObjectStore) -> None:
    """No training set, nothing to keep, and a record that names what is none of its folders."""
    with pytest.raises(UsageError, match="holds no training set"):
        prune(store, keep=1)
    _, made = several(store, 2)
    with pytest.raises(UsageError, match="1 folder or more, not 0"):
        prune(store, keep=0)
    store.put_hint(record_key(1), encoded(msgspec.structs.replace(made[0].record, folder="records")))
    before = keys(store)
    with pytest.raises(HistoryDamaged, match="names 'records'"):
        prune(store, keep=1)
    assert keys(store) == before


def test_links_in_a_folder_are_deleted_and_not_what_they_lead_to(tmp_path: Path) -> None:
    """As `media --link` makes them."""
    store = LocalStore(tmp_path / "sets")
    _, made = several(store, 2)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "one.jpg").touch()
    (store.root / made[0].record.folder / "images").symlink_to(tmp_path / "media")

    assert main(["prune", str(store.root), "--keep", "1"]) == 0

    assert folders(store) == [made[1].record.folder]
    assert (tmp_path / "media" / "one.jpg").exists()


def test_records_of_before_are_read() -> None:
    """They do not say how often folders were removed."""
    _, made = several(MemoryStore(), 1)
    old = msgspec.to_builtins(made[0].record)
    del old["epoch"], old["removed"]
    assert msgspec.convert(old, Record) == msgspec.structs.replace(made[0].record, removed=())
