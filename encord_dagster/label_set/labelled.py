"""The label rows of a version for formats that are written at checkout: those on one data unit come together."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from encord_dagster.formats import coco, tables
from encord_dagster.formats.labelled import About, Row
from encord_dagster.label_set import annotations, objects, shards
from encord_dagster.label_set.manifest import Bucket, BucketRef, Root
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IMAGES = msgspec.json.Decoder(tuple[coco.Image, ...])
_COLUMNS = ("row", "data_type", "dataset_hash", "label_status", "workflow_node")


def together(lake: ObjectStore, root: Root) -> Iterator[list[Row]]:
    """Rows one by one, in order of identity; rows on the same data unit as one list, when its last is read.

    So no more than a bucket is in memory, and what waits for another row of its data unit.
    """
    waiting_for = _shared(lake, root)
    waiting: dict[int, list[Row]] = defaultdict(list)
    for lines, about in at_once(lake, partial(_lines, lake), Tree(lake, root).buckets()):
        for line in lines:
            if not line.images:
                continue
            row = _row(line, about[line.row])
            group, members = waiting_for.get(line.row, (0, 1))
            if members == 1:
                yield [row]
                continue
            waiting[group].append(row)
            if len(waiting[group]) == members:
                yield waiting.pop(group)


def _row(line: shards.CocoRow, about: About) -> Row:
    return Row(
        row=line.row,
        images=_IMAGES.decode(annotations.listed(line.images)),
        annotations=annotations.read(line.annotations),
        data_type=about.data_type,
        dataset_hash=about.dataset_hash,
        label_status=about.label_status,
        workflow_node=about.workflow_node,
    )


def _lines(lake: ObjectStore, named: tuple[str, BucketRef]) -> tuple[list[shards.CocoRow], dict[str, About]]:
    opened = _open(lake, named)
    return opened.coco_rows(), _about(opened)


def _open(lake: ObjectStore, named: tuple[str, BucketRef]) -> shards.OpenBucket:
    return shards.OpenBucket(lake, msgspec.json.decode(objects.read(lake, named[1].ref), type=Bucket))


def _about(opened: shards.OpenBucket) -> dict[str, About]:
    table = tables.united([opened.table("images")], tables.SCHEMAS["images"])
    columns = (table[name].to_pylist() for name in _COLUMNS)
    return {row: About(*more) for row, *more in zip(*columns, strict=True)}


def _shared(lake: ObjectStore, root: Root) -> Mapping[str, tuple[int, int]]:
    """For each row on a data unit of another row too: a number for all that hang together, and how many they are."""
    names = [np.empty(0, dtype=np.uint64), *at_once(lake, partial(_names, lake), Tree(lake, root).buckets())]
    every, count = np.unique(np.concatenate(names), return_counts=True)
    several = set(every[count > 1].tolist())
    if not several:
        return {}
    rows_of: dict[str, list[str]] = defaultdict(list)
    for part in at_once(lake, partial(_described, lake), Tree(lake, root).buckets()):
        for row, data_hash in part:
            if _name(data_hash) in several:
                rows_of[data_hash].append(row)
    return _groups(rows_of.values())


def _names(lake: ObjectStore, named: tuple[str, BucketRef]) -> "NDArray[np.uint64]":
    return np.array([_name(data_hash) for _, data_hash in _described(lake, named)], dtype=np.uint64)


def _name(data_hash: str) -> int:
    """Eight bytes in place of many, for all data units at once. Two that are called alike wait for each other."""
    return int.from_bytes(hashlib.blake2b(data_hash.encode(), digest_size=8).digest(), "big")


def _described(lake: ObjectStore, named: tuple[str, BucketRef]) -> list[tuple[str, str]]:
    """Row and data hash of each data unit that a row has images of."""
    table = _open(lake, named).table("images", ["row", "data_hash"])
    pairs = zip(*(table[name].to_pylist() for name in ("row", "data_hash")), strict=True)
    return list(dict.fromkeys((str(row), str(data_hash)) for row, data_hash in pairs))


def _groups(joined: Iterable[list[str]]) -> dict[str, tuple[int, int]]:
    leader: dict[str, str] = {}

    def lead(row: str) -> str:
        while leader.setdefault(row, row) != row:
            leader[row] = row = leader[leader[row]]
        return row

    for rows in joined:
        for row in rows[1:]:
            leader[lead(row)] = lead(rows[0])
    members: dict[str, list[str]] = defaultdict(list)
    for row in list(leader):
        members[lead(row)].append(row)
    return {row: (number, len(rows)) for number, rows in enumerate(members.values()) for row in rows}
