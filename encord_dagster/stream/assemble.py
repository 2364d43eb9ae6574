"""The files of a conversion out of the spools of its ranges: rows in order of identity, each record as it is."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.stream.cut import Unusual
from encord_dagster.stream.job import Done
from encord_dagster.stream.work import ENTRY, HELD, NEW_CLASS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Index = NDArray[np.void]

_STEP = 2**20  # bytes written at a time
_CATEGORY = re.compile(rb'^(\{"id":[0-9]+,"image_id":[0-9]+,"category_id":)([0-9]+)', re.MULTILINE)
_FIELDS = (
    *[(f"row{place}", ">u8") for place in range(4)],
    *[(name, "<i8") for name in ("image_at", "image_size", "annotation_at", "annotation_size")],
    ("flag", "u1"),
)


Rows = tuple["Index", "NDArray[np.int64]"]  # entries of the index, and the number of the range of each


def united(known: Sequence[Category], parts: Sequence[Done]) -> dict[str, Category]:
    """The categories of all ranges, numbered as one range would have numbered them."""
    found = {category.feature_hash: category for category in known}
    for part in parts:
        for category in part.categories:
            numbered = found.get(category.feature_hash)
            if numbered is None:
                category = _numbered(category, len(found) + 1)
                found[category.feature_hash] = category
            elif numbered.joints != category.joints:
                raise Unusual("two ranges hold skeletons of one class with different joints")
    return found


def _numbered(category: Category, number: int) -> Category:
    import msgspec

    made: Category = msgspec.structs.replace(category, id=number)
    return made


def index_of(folders: Sequence[Path]) -> Rows:
    """The rows of all ranges in order of identity, with the number of the range of each.

    Unusual where two rows, two images or two annotations have one identity.
    """
    import numpy as np

    parts = [np.frombuffer((folder / "index").read_bytes(), dtype=np.dtype(list(_FIELDS))) for folder in folders]
    entries = np.concatenate(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.lexsort([entries[f"row{place}"] for place in (3, 2, 1, 0)])
    entries, owner = entries[order], owner[order]
    rows = np.stack([entries[f"row{place}"] for place in range(4)])
    if (rows[:, 1:] == rows[:, :-1]).all(axis=0).any():
        raise Unusual("it holds one label row twice")
    for name in ("image_ids", "annotation_ids"):
        ids = np.concatenate([np.fromfile(folder / name, dtype=np.int64) for folder in folders])
        ids.sort()
        if (ids[1:] == ids[:-1]).any():
            raise Unusual("two label rows describe one image")
    usable = entries["flag"] != HELD
    return entries[usable], owner[usable]


def write_coco(
    path: Path,
    folders: Sequence[Path],
    rows: Rows,
    categories: Sequence[Category],
    renamed: Sequence[Mapping[int, int]],
) -> None:
    """Write the COCO file. `renamed` has, for each range, the numbers of categories that became others."""
    entries, owner = rows
    with path.open("wb") as file:
        file.write(coco.head(categories))
        _copy(file, [folder / "images" for folder in folders], _places(entries, owner, "image"))
        file.write(coco.ANNOTATIONS)
        _copy(file, [folder / "annotations" for folder in folders], _places(entries, owner, "annotation"), renamed)
        file.write(coco.END)


Place = tuple[int, int, int, bool]  # range, start and length of records; whether they can name a new category


def _places(entries: "Index", owner: "NDArray[np.int64]", kind: str) -> Iterator[Place]:
    found = zip(
        owner.tolist(),
        entries[f"{kind}_at"].tolist(),
        entries[f"{kind}_size"].tolist(),
        (entries["flag"] == NEW_CLASS).tolist(),
        strict=True,
    )
    return (place for place in found if place[2])


def _copy(
    file: BinaryIO, spools: Sequence[Path], places: Iterator[Place], renamed: Sequence[Mapping[int, int]] = ()
) -> None:
    """Append records, without what is behind the last of them."""
    descriptors = [os.open(spool, os.O_RDONLY) for spool in spools]
    held: list[bytes] = []
    size = 0
    try:
        for part, start, length, is_new in places:
            numbers = renamed[part] if is_new and renamed else {}
            for records in _blocks(descriptors[part], start, length):
                held.append(_renamed(records, numbers) if numbers else records)
                size += len(records)
                if size >= _STEP:
                    whole = b"".join(held)
                    file.write(whole[: -len(coco.BETWEEN)])
                    held, size = [whole[-len(coco.BETWEEN) :]], 0
        file.write(b"".join(held).removesuffix(coco.BETWEEN))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _blocks(descriptor: int, start: int, length: int) -> Iterable[bytes]:
    """The records of a row, some at a time: they can be most of an export."""
    return (os.pread(descriptor, length, start),) if length <= _STEP else _parts(descriptor, start, start + length)


def _parts(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    step = _STEP
    while start < end and (block := os.pread(descriptor, min(step, end - start), start)):
        if start + len(block) < end:
            block = block[: block.rfind(b"\n") + 1]
        step = _STEP if block else 2 * step
        start += len(block)
        if block:
            yield block


def _renamed(records: bytes, numbers: Mapping[int, int]) -> bytes:
    def number(found: re.Match[bytes]) -> bytes:
        old = int(found[2])
        return found[1] + str(numbers.get(old, old)).encode()

    return _CATEGORY.sub(number, records)


assert ENTRY.size == 32 + 4 * 8 + 1  # noqa: S101 - the two descriptions of an entry agree
