"""The files of a conversion out of the spools of its ranges: rows in order of identity, each record as it is."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import About
from encord_dagster.stream.cut import Unusual
from encord_dagster.stream.job import Done
from encord_dagster.stream.work import ENTRY, HELD, NEW_CLASS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Index = NDArray[np.void]

_STEP = 2**20  # bytes written at a time
_SMALL = 2**23  # bytes of a spool that is held in memory
_ROWS = 10_000  # whose places are looked up at a time
_CATEGORY = re.compile(rb'^(\{"id":[0-9]+,"image_id":[0-9]+,"category_id":)([0-9]+)', re.MULTILINE)
_FIELDS = (
    *[(f"row{place}", ">u8") for place in range(4)],
    *[(name, "<i8") for name in ("image_at", "image_size", "annotation_at", "annotation_size")],
    *[(name, "u1") for name in ("flag", "kind")],
)


Reader = Callable[[int, int], bytes]


class Rows(NamedTuple):
    """The rows of all ranges: the entries of their indexes one after the other, and which to write, in order."""

    entries: "Index"
    ends: Sequence[int]  # of ranges among the entries
    order: "NDArray[np.int64]"

    def part_of(self, order: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """The ranges that rows are of."""
        import numpy as np

        return np.searchsorted(self.ends, order, side="right")


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
    """The rows of all ranges in order of identity. They and the ids are in memory once: there may be millions.

    Unusual where two rows, two images or two annotations have one identity.
    """
    import numpy as np

    shared = _is_shared(folders, "image_ids") or _is_shared(folders, "annotation_ids")
    entries, ends = _together(folders, "index", np.dtype(list(_FIELDS)))
    leading = entries["row0"].astype(np.uint64)
    order = np.argsort(leading)
    if _has_neighbours(leading[order]):  # sixteen digits of a sha256: hardly ever but where it is one row
        order = np.lexsort([entries[f"row{place}"] for place in (3, 2, 1, 0)])
        rows = np.stack([entries[f"row{place}"][order] for place in range(4)])
        if (rows[:, 1:] == rows[:, :-1]).all(axis=0).any():
            raise Unusual("it holds one label row twice")
    if shared:
        raise Unusual("two label rows describe one image")
    return Rows(entries, ends, order[entries["flag"][order] != HELD])


def some_of(folders: Sequence[Path], order: Path, start: int, stop: int) -> Rows:
    """Some rows of those that `save_order` has saved the order of."""
    import numpy as np

    entries, ends = _together(folders, "index", np.dtype(list(_FIELDS)))
    return Rows(entries, ends, np.fromfile(order, dtype=np.int64, count=stop - start, offset=8 * start))


def save_order(rows: Rows, path: Path) -> None:
    """Save the order of all rows for other processes."""
    rows.order.astype("int64").tofile(path)


def _together(folders: Sequence[Path], name: str, kind: "np.dtype[Any]") -> "tuple[NDArray[Any], list[int]]":
    """The arrays in files of one name, one after the other, and where each ends."""
    import numpy as np

    ends = list(accumulate((folder / name).stat().st_size // kind.itemsize for folder in folders))
    whole = np.empty(ends[-1], kind)
    for folder, start, end in zip(folders, (0, *ends), ends, strict=False):
        with (folder / name).open("rb") as file:
            file.readinto(whole[start:end].view(np.uint8).data)
    return whole, ends


def _is_shared(folders: Sequence[Path], name: str) -> bool:
    """Whether an id of all ranges is there twice."""
    import numpy as np

    ids, _ = _together(folders, name, np.dtype(np.int64))
    ids.sort()
    return _has_neighbours(ids)


def _has_neighbours(ordered: "NDArray[Any]") -> bool:
    """Whether two that stand side by side are equal."""
    return bool((ordered[1:] == ordered[:-1]).any())


def write_coco(
    path: Path,
    folders: Sequence[Path],
    rows: Rows,
    categories: Sequence[Category],
    renamed: Sequence[Mapping[int, int]],
) -> None:
    """Write the COCO file. `renamed` has, for each range, the numbers of categories that became others."""
    with path.open("wb") as file:
        file.write(coco.head(categories))
        _copy(file, [folder / "images" for folder in folders], _places(rows, "image"))
        file.write(coco.ANNOTATIONS)
        _copy(file, [folder / "annotations" for folder in folders], _places(rows, "annotation"), renamed)
        file.write(coco.END)


class Records(NamedTuple):
    """The records of a row, each with what separates them behind it; `kind` is a place in `labelled.KINDS`."""

    images: bytes
    annotations: bytes
    kind: int


def size_of(rows: Rows) -> "NDArray[np.int64]":
    """How many bytes the records of each row take, in order."""
    some = rows.entries[rows.order]
    size: NDArray[np.int64] = some["image_size"] + some["annotation_size"]
    return size


def records(folders: Sequence[Path], rows: Rows, renamed: Sequence[Mapping[int, int]]) -> Iterator[tuple[int, Records]]:
    """The records of rows that have images, one row after the other, by their numbers."""
    names = ("image_at", "image_size", "annotation_at", "annotation_size", "flag", "kind")
    with contextlib.ExitStack() as stack:
        images, annotations = (
            [_reader(stack.enter_context((folder / name).open("rb", buffering=0))) for folder in folders]
            for name in ("images", "annotations")
        )
        for first in range(0, len(rows.order), _ROWS):
            order = rows.order[first : first + _ROWS]
            some = rows.entries[order]
            columns = (rows.part_of(order), *(some[name] for name in names))
            for number, (part, image_at, image_size, at, size, flag, kind) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True), start=first
            ):
                if not image_size:
                    continue
                numbers = renamed[part] if flag == NEW_CLASS and renamed else {}
                of_row = annotations[part](at, size)
                of_row = _renamed(of_row, numbers) if numbers else of_row
                yield number, Records(images[part](image_at, image_size), of_row, kind)


def abouts(folders: Sequence[Path], rows: Rows, known: Sequence[Sequence[About]]) -> Callable[[int], About]:
    """Finds what is known of a row by its number; `known` has, for each range, what its rows point to."""
    import numpy as np

    places, _ = _together(folders, "about", np.dtype(np.int32))
    parts, places = rows.part_of(rows.order), places[rows.order]
    return lambda number: known[parts[number]][places[number]]


class _Places(NamedTuple):
    """Where records of some rows are: range, start and length; and which rows can name a new category."""

    parts: list[int]
    starts: list[int]
    lengths: list[int]
    are_new: list[bool]


def _places(rows: Rows, kind: str) -> Iterator[_Places]:
    """Of rows that have such records, as many at a time as have about so many bytes."""
    import numpy as np

    for first in range(0, len(rows.order), _ROWS):
        order = rows.order[first : first + _ROWS]
        some = rows.entries[order]
        sizes = some[f"{kind}_size"]
        order, some, sizes = order[sizes > 0], some[sizes > 0], sizes[sizes > 0]
        if not len(sizes):
            continue
        parts = rows.part_of(order)
        steps = np.flatnonzero(np.diff(sizes.cumsum() // _STEP)) + 1
        columns = (parts, some[f"{kind}_at"], sizes, some["flag"] == NEW_CLASS)
        for one in zip(*(np.split(column, steps) for column in columns), strict=True):
            yield _Places(*(column.tolist() for column in one))


def _copy(
    file: BinaryIO, spools: Sequence[Path], places: Iterator[_Places], renamed: Sequence[Mapping[int, int]] = ()
) -> None:
    """Append records, without what is behind the last of them."""
    last = b""
    with contextlib.ExitStack() as stack:
        readers = [_reader(stack.enter_context(spool.open("rb", buffering=0))) for spool in spools]
        for some in places:
            for records in _read(readers, some, renamed):
                file.write(last)  # what is held back may be that of all
                last = records
        file.write(last.removesuffix(coco.BETWEEN))


def _read(readers: Sequence[Reader], some: _Places, renamed: Sequence[Mapping[int, int]]) -> Iterator[bytes]:
    """The records of some rows, a few pieces at most; a row can be most of an export."""
    if max(some.lengths) <= _STEP and not (any(some.are_new) and any(renamed)):
        yield b"".join([readers[part](start, length) for part, start, length, _ in zip(*some, strict=True)])
        return
    for part, start, length, is_new in zip(*some, strict=True):
        numbers = renamed[part] if is_new and renamed else {}
        for records in _parts(readers[part], start, start + length):
            yield _renamed(records, numbers) if numbers else records


def _reader(spool: BinaryIO) -> Reader:
    """Gives bytes of a spool by start and length; one that is small is read once."""
    descriptor = spool.fileno()
    if os.fstat(descriptor).st_size > _SMALL:
        pread = os.pread
        return lambda start, length: pread(descriptor, length, start)
    whole = spool.read()
    return lambda start, length: whole[start : start + length]


def _parts(read: Reader, start: int, end: int) -> Iterator[bytes]:
    step = _STEP
    while start < end and (block := read(start, min(step, end - start))):
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


assert ENTRY.size == 32 + 4 * 8 + 2  # noqa: S101 - the two descriptions of an entry agree
