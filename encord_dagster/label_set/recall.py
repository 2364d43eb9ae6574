"""What earlier exports say of rows that come again unchanged, so that these need not be read again."""

import contextlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from encord_dagster.encord.row_digest import SIZE
from encord_dagster.errors import HistoryDamaged, VersionGone
from encord_dagster.findings import Finding
from encord_dagster.label_set.events import finding_of, read_events
from encord_dagster.label_set.manifest import ExportEntry
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPORTS = 20  # that are looked into, the newest first
SHARE = 4  # times the rows of the export at hand: larger ones cost more than they could save
_COLUMNS = ("label_hash", "status", "fingerprint", "digest", "findings", "objects_in", "images", "classes", "excluded")


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a row came to: the same for each row of the same digest."""

    digest: bytes
    status: str
    fingerprint: str
    findings: tuple[Finding, ...]
    objects_in: int
    images: int
    classes: dict[str, int]
    excluded: dict[str, int]


class Recall:
    """The rows of the newest exports, by digest. Nothing is read before it is asked for something."""

    def __init__(self, lake: ObjectStore, newest_first: Iterable[ExportEntry], *, rows: int) -> None:
        self._lake, self._newest_first, self._rows = lake, newest_first, rows

    def find(self, digests: Sequence[bytes | None]) -> list[Remembered | None]:
        """What is known of rows, one for each digest."""
        wanted = np.frombuffer(b"".join(digest or bytes(SIZE) for digest in digests), np.uint64)[:: SIZE // 8]
        found = self._known.rows(wanted)
        return [row if row and row.digest == digest else None for row, digest in zip(found, digests, strict=True)]

    @cached_property
    def _known(self) -> "_Known":
        room, tables = self._rows * SHARE, list[pa.Table]()
        for entry, _ in zip(self._newest_first, range(EXPORTS), strict=False):
            if entry.rows > room:
                continue
            room -= entry.rows
            with contextlib.suppress(HistoryDamaged, VersionGone):  # then rows are read; `verify` tells the damage
                table = read_events(self._lake, entry.events, _COLUMNS)
                if "digest" in table.column_names:  # events of older releases have none
                    tables.append(table.filter(table["digest"].is_valid()))
        return _Known(pa.concat_tables(tables) if tables else None)


class _Known:
    """Rows in the order of the first eight bytes of their digests."""

    def __init__(self, table: pa.Table | None) -> None:
        self._columns = {name: table[name].combine_chunks() for name in _COLUMNS} if table and len(table) else {}
        leading = _leading(self._columns["digest"]) if self._columns else np.empty(0, np.uint64)
        self._order = np.argsort(leading, kind="stable")  # the newest export first
        self._leading: NDArray[np.uint64] = leading[self._order]

    def rows(self, wanted: "NDArray[np.uint64]") -> list[Remembered | None]:
        """For each of the eight bytes the first row that has them, if there is one: it may have another digest."""
        places = np.searchsorted(self._leading, wanted)
        there = np.flatnonzero(places < len(self._order))
        there = there[self._leading[places[there]] == wanted[there]]
        found: list[Remembered | None] = [None] * len(wanted)
        if len(there):
            order = self._order[places[there]]
            at = pa.Array.from_buffers(pa.int64(), len(order), [None, pa.py_buffer(order)])  # pa.array() imports pandas
            for place, *values in zip(
                there.tolist(), *(self._columns[name].take(at).to_pylist() for name in _COLUMNS), strict=True
            ):
                found[place] = _remembered(*values)
        return found


def _remembered(
    label_hash: str,
    status: str,
    fingerprint: str,
    digest: bytes,
    findings: list[dict[str, Any]],
    objects_in: int,
    images: int,
    classes: list[dict[str, Any]],
    excluded: list[dict[str, Any]],
) -> Remembered:
    return Remembered(
        status=status,
        fingerprint=fingerprint,
        digest=digest,
        findings=tuple(finding_of(item, label_hash) for item in findings),
        objects_in=objects_in,
        images=images,
        classes={count["name"]: count["objects"] for count in classes},
        excluded={count["name"]: count["objects"] for count in excluded},
    )


def _leading(digests: "pa.Array[Any]") -> "NDArray[np.uint64]":
    data: NDArray[np.uint64] = np.frombuffer(memoryview(digests.buffers()[1] or b""), np.uint64)
    start = digests.offset * SIZE // 8
    return data[start : start + len(digests) * SIZE // 8 : SIZE // 8]
