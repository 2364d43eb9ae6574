"""The plain COCO file of a version out of that of the version before: what stays is copied, without a look into it."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from encord_dagster.errors import HistoryDamaged, VersionGone
from encord_dagster.formats import coco
from encord_dagster.formats.fragment import Category, Fragment
from encord_dagster.label_set import objects
from encord_dagster.label_set.manifest import Bucket, Root
from encord_dagster.storage.local import Piece
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ID = b'{"id":'  # that a record starts with
_BLOCK = 2**18  # bytes looked at together: they and what is made of them stay in the processor's cache
_DIGITS = 16  # that an id has at most


class _Row(NamedTuple):
    row: str
    images: int
    annotations: int


class Records(NamedTuple):
    """The records of one kind in a file: where each starts and ends, and its id."""

    starts: "NDArray[np.int64]"
    ends: "NDArray[np.int64]"
    ids: "NDArray[np.int64]"


def rewritten(
    lake: ObjectStore,
    old: Root,
    buckets: Iterable[Bucket],
    categories: Sequence[Category],
    *,
    fresh: Mapping[str, Fragment],
    gone: Collection[str],
) -> list[Piece] | None:
    """The COCO file of `old` with these categories and the records of fresh rows, without those of rows that are gone.

    It comes in pieces, most of them views of the old file. `buckets` are those of `old`, in order. None where it has to
    be made out of them: there is no such file, or it is damaged, which `verify` tells, or records of several rows have
    one id.
    """
    import numpy as np

    data = None
    with contextlib.suppress(HistoryDamaged, VersionGone):
        data = objects.read(lake, old.files[coco.FILE]) if coco.FILE in old.files else None
    if data is None:
        return None
    rows = [_Row(row.row, row.images, row.annotations) for bucket in buckets for row in bucket.rows]
    places = _places(data, sum(row.images for row in rows), sum(row.annotations for row in rows))
    if places is None:
        return None
    stays = [row.row not in gone for row in rows]
    held = memoryview(data)
    parts: list[Piece] = [coco.head(categories)]
    for kind, records in zip(("images", "annotations"), places, strict=True):
        counts = [getattr(row, kind) for row in rows]
        new = {key: getattr(fragment, kind) for key, fragment in fresh.items()}
        if _are_shared(records.ids[np.repeat(stays, counts)], new):
            return None
        starts = list(accumulate(counts, initial=0))
        kept = [(row.row, starts[at], starts[at + 1]) for at, row in enumerate(rows) if stays[at] and counts[at]]
        parts += [*_joined(held, records, kept, new), coco.ANNOTATIONS]
    parts[-1] = coco.END
    return parts


def _places(data: bytes, images: int, annotations: int) -> tuple[Records, Records] | None:
    """The images and annotations of a file, None where it has not so many: of rows that share an image it is one."""
    import numpy as np

    first = data.find(coco.HEAD_END) + len(coco.HEAD_END)
    between = data.find(coco.ANNOTATIONS, first)
    feeds = _line_feeds(np.frombuffer(data, np.uint8), first)
    split = int(np.searchsorted(feeds, between))
    if min(first, between, images, annotations) <= 0 or (split + 1, len(feeds) - split - 1) != (images, annotations):
        return None
    second = between + len(coco.ANNOTATIONS)
    made = _records(data, first, feeds[:split], between), _records(data, second, feeds[split + 1 : -1], len(data) - 3)
    return None if made[0] is None or made[1] is None else (made[0], made[1])


def _line_feeds(data: "NDArray[np.uint8]", first: int) -> "NDArray[np.int64]":
    """Where there are line feeds, from a place on."""
    import numpy as np

    starts = range(first, len(data), _BLOCK)
    return np.concatenate([np.flatnonzero(data[at : at + _BLOCK] == ord("\n")) + at for at in starts])


def _records(data: bytes, first: int, feeds: "NDArray[np.int64]", end: int) -> Records | None:
    """Records from one place to another, with line feeds between them; None where one starts otherwise."""
    import numpy as np

    starts, ends = np.append(first, feeds + 1), np.append(feeds - 1, end)
    view = np.frombuffer(data, np.uint8)
    if (view[starts[:, None] + np.arange(len(_ID))] != np.frombuffer(_ID, np.uint8)).any():
        return None
    ids, is_open = np.zeros(len(starts), np.int64), np.ones(len(starts), np.bool_)
    for place in range(_DIGITS):
        digits = view[starts + len(_ID) + place] - ord("0")  # what is less wraps around
        is_open &= digits < 10
        ids = np.where(is_open, ids * 10 + digits, ids)
    return Records(starts, ends, ids)


def _are_shared(kept: "NDArray[np.int64]", fresh: Mapping[str, Sequence[bytes]]) -> bool:
    """Whether two records come to have one id."""
    import numpy as np

    new = [msgspec.json.decode(record, type=_Numbered).id for record in chain.from_iterable(fresh.values())]
    return len(set(new)) < len(new) or bool(np.isin(new, kept, assume_unique=True).any())


class _Numbered(msgspec.Struct, frozen=True):
    id: int


def _joined(
    data: memoryview, records: Records, kept: Sequence[tuple[str, int, int]], fresh: Mapping[str, Sequence[bytes]]
) -> Iterator[Piece]:
    """The records of all rows in the order of their identities; those that stay together are copied together."""
    spans: list[tuple[int, int] | bytes] = []
    for key, start, end in sorted([*kept, *((key, -1, -1) for key, some in fresh.items() if some)]):
        before = spans[-1] if spans else b""
        if start < 0:
            spans.append(coco.BETWEEN.join(fresh[key]))
        elif isinstance(before, tuple) and before[1] == start:
            spans[-1] = (before[0], end)
        else:
            spans.append((start, end))
    between = b""
    for span in spans:
        yield between
        yield span if isinstance(span, bytes) else data[records.starts[span[0]] : records.ends[span[1] - 1]]
        between = coco.BETWEEN
