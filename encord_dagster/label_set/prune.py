"""Deletes old folders of a training set: a record says first which they are, so that no run names one of them again.

The record takes the next number. A run that was about to name such a folder loses its place to it and looks again; what
it then makes anew gets another name, so a deletion that was cut off can be finished at any time.
"""

import re
import shutil
from functools import partial

import msgspec

from encord_dagster.errors import HistoryDamaged, StorageError, UsageError
from encord_dagster.label_set.training_set import LATEST, MANIFEST, PROBE, RECORDS, Record, record_key
from encord_dagster.label_set.training_sets import ATTEMPTS, encoded, read
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.protocol import Create, ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe

_FOLDER = re.compile(r"[0-9]{6,}-[0-9a-f]{12}")


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be in a dry run."""

    dry_run: bool
    kept: tuple[str, ...]  # folders, the newest first
    removed: tuple[str, ...]
    files: int
    bytes: int


def prune(store: ObjectStore, *, keep: int, dry_run: bool = False) -> Pruned:
    """Delete the folders of a training set that its records name, but the newest ones and the one with the splits.

    A folder is as new as the last record that names it. What no record names is left: a run may be writing it.

    Raises:
        UsageError: the store holds no training set, or `keep` is less than 1.
        HistoryDamaged: a record cannot be read, or names what is no folder of a training set; nothing is deleted then.
    """
    if keep < 1:
        raise UsageError(f"prune can keep 1 folder or more, not {keep}; the newest one is never deleted")
    if not (dry_run or isinstance(store, LocalStore)):
        refuse_unsafe(store, prefix=PROBE)
    for _ in range(ATTEMPTS):
        records = _records(store)
        head = records[0]
        gone = {folder for one in records for folder in one.removed}
        named = [folder for folder in dict.fromkeys(one.folder for one in records) if folder not in gone]
        kept = [folder for place, folder in enumerate(named) if place < keep or folder == head.splits]
        dead = [folder for folder in named if folder not in kept]
        if odd := next((one for one in (*named, *gone) if not _FOLDER.fullmatch(one)), None):
            raise HistoryDamaged(f"{store.url}: a record names {odd!r}, which is no folder of a training set")
        if dead and not dry_run:
            record = msgspec.structs.replace(head, seq=head.seq + 1, epoch=head.epoch + 1, removed=tuple(dead))
            if store.create(record_key(record.seq), encoded(record)) is Create.DIFFERENT:
                continue
            store.put_hint(LATEST, encoded(record))
        sizes = [_delete(store, folder, dry_run=dry_run) for folder in (*dead, *sorted(gone))]
        files, size = (sum(one[place] for one in sizes) for place in range(2))
        return Pruned(dry_run=dry_run, kept=tuple(kept), removed=tuple(dead), files=files, bytes=size)
    raise StorageError(f"{store.url}: {ATTEMPTS} other runs were faster; prune when no run writes the training set")


def _records(store: ObjectStore) -> list[Record]:
    """All records, the newest first."""
    keys = sorted((info.key for info in store.list(RECORDS)), reverse=True)
    found = list(at_once(store, partial(read, store, kind=Record), keys))
    if not found:
        raise UsageError(f"{store.url} holds no training set; name the url of one")
    return found


def _delete(store: ObjectStore, folder: str, *, dry_run: bool) -> tuple[int, int]:
    """Delete a folder; how many files and bytes it had. Without its manifest it counts as not there."""
    there = list(store.list(f"{folder}/"))
    if not dry_run:
        store.delete(f"{folder}/{MANIFEST}")
        if isinstance(store, LocalStore):
            _delete_folder(store, folder)
        else:
            for _ in at_once(store, store.delete, (info.key for info in there)):
                pass
    return len(there), sum(info.size for info in there)


def _delete_folder(store: LocalStore, folder: str) -> None:
    try:
        shutil.rmtree(store.root / folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"could not delete {error.filename}: {error.strerror}; put that right, run again") from error
