"""Writes training sets: a folder for each, whole or absent, and a numbered record that commits it.

What is there is never written again nor changed, and each set that is stratified keeps the splits of those before.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from encord_dagster.errors import HistoryDamaged, StorageError, UsageError
from encord_dagster.formats import losses, split_lists
from encord_dagster.formats.kept import kept
from encord_dagster.formats.selection import Counted
from encord_dagster.formats.selection_report import FILE, ClassLine, Report
from encord_dagster.formats.writing import Given
from encord_dagster.label_set.checkout import Progress, checkout
from encord_dagster.label_set.staging import staged
from encord_dagster.label_set.training_set import (
    LATEST,
    MANIFEST,
    PROBE,
    RECORDS,
    Made,
    Manifest,
    Record,
    TrainingSet,
    record_key,
)
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe

if TYPE_CHECKING:
    from encord_dagster.label_set.read import Version

ATTEMPTS = 50  # each lost to another run that committed
LARGE = 32 * 2**20  # bytes: files that are uploaded one at a time, as each is in memory then

Kind = TypeVar("Kind", Record, Manifest)


def publish(
    version: "Version", wanted: TrainingSet, store: ObjectStore, *, progress: Progress, ontology: str = ""
) -> Made:
    """Write a version as a training set into a folder of a store, unless the same is there; record it in any case.

    `ontology` is the project's document.

    Raises:
        UsageError: the store holds another training set, or the splits of those before cannot be kept.
    """
    if not isinstance(store, LocalStore):
        refuse_unsafe(store, prefix=PROBE)
    told = _told(version) if "tables" in wanted.formats else ""
    digest = wanted.digest(version.root.content_digest, ontology, version.root.categories, told)
    given = Given(dicom_headers=Path(wanted.dicom_headers) if wanted.dicom_headers else None, ontology=ontology)
    for _ in range(ATTEMPTS):
        head = _head(store, version, wanted)
        known = _known(store, digest, head, wanted)
        if known and head and known.seq == head.seq:
            return _made(store, head, written=False)
        folder = known.folder if known else _write(version, wanted, store, head, digest, given, progress)
        earlier = head.splits if head else None
        record = Record(
            seq=head.seq + 1 if head else 1,
            label_set=version.label_set.name,
            training_set=wanted.name,
            version=version.number,
            content_digest=version.root.content_digest,
            digest=digest,
            folder=folder,
            splits=folder if wanted.selection.splits and not known else earlier,
            epoch=head.epoch if head else 0,
        )
        if store.create(record_key(record.seq), encoded(record)) is not Create.DIFFERENT:
            return _made(store, record, written=known is None)
        progress(f"{store.url}: another run recorded a training set; looking again")
    raise StorageError(f"{store.url}: {ATTEMPTS} other runs were faster; let one run at a time write a training set")


def _told(version: "Version") -> str:
    """Equal where row events and findings of a version are."""
    entries = [(entry.id, entry.events.sha256) for entry in version.exports().values()]
    return hashlib.sha256(msgspec.json.encode((version.record.doubts, entries))).hexdigest()


def _head(store: ObjectStore, version: "Version", wanted: TrainingSet) -> Record | None:
    """The newest record."""
    newest = max((info.key for info in store.list(RECORDS)), default=None)
    record = read(store, newest, Record) if newest else None
    if record and (record.label_set, record.training_set) != (version.label_set.name, wanted.name):
        raise UsageError(
            f"{store.url} holds training set {record.training_set!r} of label set {record.label_set!r}; "
            f"give {wanted.name!r} a url of its own"
        )
    return record


def _known(store: ObjectStore, digest: str, head: Record | None, wanted: TrainingSet) -> Record | None:
    """A record of the same files, if they are still there: the newest one, or one before, as after a rollback.

    One before that is stratified counts only where the newest splits go back to its own: they may have been others
    in the meantime.
    """
    if head is None:
        return None
    keys = (record_key(seq) for seq in range(head.seq - 1, 0, -1))
    gone: set[str] = set()
    for one in chain([head], at_once(store, partial(read, store, kind=Record), keys)):
        gone.update(one.removed)
        if one.digest == digest and one.folder not in gone and store.head(f"{one.folder}/{MANIFEST}"):
            fits = one is head or not wanted.selection.stratify or one.folder in _go_back_to(store, head.splits)
            return one if fits else None
    return None


def _go_back_to(store: ObjectStore, folder: str | None) -> Iterator[str]:
    """A folder, the one whose splits it kept, the one before, as far as they are there."""
    while folder:
        yield folder
        there = store.head(f"{folder}/{MANIFEST}")
        folder = read(store, f"{folder}/{MANIFEST}", Manifest).splits_from if there else None


def _write(
    version: "Version",
    wanted: TrainingSet,
    store: ObjectStore,
    head: Record | None,
    digest: str,
    given: Given,
    progress: Progress,
) -> str:
    """Write the files, the manifest last, and return their folder. A run that goes on after a crash finds the same."""
    splits_from = head.splits if head and wanted.selection.stratify else None
    made_of = (digest, splits_from, version.record.seq, head.epoch if head else 0)
    folder = f"{version.number:06d}-{hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()[:12]}"
    if store.head(f"{folder}/{MANIFEST}"):
        return folder
    if splits_from:
        given = msgspec.structs.replace(given, kept=_kept(store, splits_from, wanted))
    fill = partial(_fill, version, wanted, digest=digest, given=given, splits_from=splits_from, progress=progress)
    if isinstance(store, LocalStore):
        try:
            with staged(store.root / folder) as place:
                fill(place)
        except (OSError, UsageError):  # the latter where it was finished before this run began to write
            if not store.head(f"{folder}/{MANIFEST}"):  # else another run finished the same folder meanwhile
                raise
        os.sync()  # a record that survives a power cut is of files that do
    else:
        with tempfile.TemporaryDirectory(prefix="training-set-") as name:
            fill(Path(name))
            _upload(store, Path(name), folder, progress)
    return folder


def _kept(store: ObjectStore, folder: str, wanted: TrainingSet) -> Mapping[str, str]:
    report, groups = (store.get(f"{folder}/{name}") for name in (FILE, split_lists.GROUPS))
    return kept(wanted.selection, report, groups, where=f"{store.url}/{folder}")


def _fill(
    version: "Version",
    wanted: TrainingSet,
    place: Path,
    *,
    digest: str,
    given: Given,
    splits_from: str | None,
    progress: Progress,
) -> None:
    checkout(
        version,
        place,
        formats=wanted.formats,
        selection=wanted.selection,
        cache=None,
        link=False,
        progress=progress,
        given=given,
    )
    sizes = [path.stat().st_size for path in _files(place)]
    manifest = Manifest(
        label_set=version.label_set.name,
        training_set=wanted.name,
        version=version.number,
        content_digest=version.root.content_digest,
        digest=digest,
        formats=wanted.formats,
        splits_from=splits_from,
        files=len(sizes),
        bytes=sum(sizes),
        report=_report(place, version, wanted),
        losses=losses.counts((place / losses.FILE).read_bytes()),
    )
    (place / MANIFEST).write_bytes(encoded(manifest))


def _report(place: Path, version: "Version", wanted: TrainingSet) -> Report:
    """What was written, by class; where nothing is chosen, all of the version."""
    if (place / FILE).is_file():
        return msgspec.json.decode((place / FILE).read_bytes(), type=Report)
    objects = {count.feature_hash: count.objects for count in version.root.classes}
    whole = Counted(rows=version.rows, images=version.images, annotations=version.root.annotations)
    return Report(
        version=version.number,
        content_digest=version.root.content_digest,
        selection=wanted.selection,
        classes=[
            ClassLine(one.id, one.name, [one.name], objects.get(one.feature_hash, 0)) for one in version.categories
        ],
        read=whole,
        removed={},
        written=whole,
    )


def _upload(store: ObjectStore, place: Path, folder: str, progress: Progress) -> None:
    """The files into a bucket, the manifest last: large ones one by one, others as many at once as the store takes."""

    def put(path: Path) -> None:
        key = f"{folder}/{path.relative_to(place).as_posix()}"
        if store.create(key, path.read_bytes()) is Create.DIFFERENT:
            raise StorageError(f"{store.url}: {key} holds other bytes; take {folder}/ away and run again")

    paths = [path for path in _files(place) if path != place / MANIFEST]
    progress(f"{store.url}/{folder}: {len(paths):,} files")
    large = [path for path in paths if path.stat().st_size > LARGE]
    for path in large:
        put(path)
    for _ in at_once(store, put, sorted(set(paths).difference(large))):
        pass
    put(place / MANIFEST)


def _files(place: Path) -> Iterator[Path]:
    return (path for path in sorted(place.rglob("*")) if path.is_file())


def _made(store: ObjectStore, record: Record, *, written: bool) -> Made:
    if store.get(LATEST) != encoded(record):
        store.put_hint(LATEST, encoded(record))
    manifest = read(store, f"{record.folder}/{MANIFEST}", Manifest)
    return Made(record=record, manifest=manifest, uri=f"{store.url}/{record.folder}", written=written)


def read(store: ObjectStore, key: str, kind: type[Kind]) -> Kind:
    """A record or a manifest. HistoryDamaged where it is none."""
    try:
        return msgspec.json.decode(store.get(key) or b"", type=kind)
    except msgspec.MsgspecError as error:
        raise HistoryDamaged(f"{store.url}: {key} is gone or cannot be read ({error}); restore it") from error


def encoded(record: Record | Manifest) -> bytes:
    """The bytes of a record or a manifest."""
    return msgspec.json.format(msgspec.json.encode(record)) + b"\n"
