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
from encord_dagster.formats.arrays import array, compute
from encord_dagster.formats.tables import from_parquet
from encord_dagster.label_set import objects
from encord_dagster.label_set.events import SCHEMA, finding_of
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

    def find(self, digests: Sequence[bytes | None]) -> list[int]:
        """The place of each row, -1 where nothing is known of one of its digest."""
        return self._known.find(digests)

    def told(self, places: Sequence[int]) -> pa.Table:
        """The same of rows at some places, in columns."""
        table: pa.Table = compute("take", self._known.upto(max(places)).table, array(places, pa.int64()))
        return table

    def is_usual(self, place: int) -> bool:
        """Whether the row was accepted, and nothing was found in it."""
        return self._known.upto(place).usual[place]

    def fingerprints(self, places: Sequence[int]) -> list[str]:
        """Those of rows at some places."""
        fingerprints = self._known.upto(max(places)).fingerprints
        return [fingerprints[place] for place in places]

    @cached_property
    def _known(self) -> "_Known":
        room, exports = self._rows * SHARE, list[tuple[bytes, pa.Table]]()
        for entry, _ in zip(self._newest_first, range(EXPORTS), strict=False):
            if entry.rows > room:
                continue
            room -= entry.rows
            with contextlib.suppress(HistoryDamaged, VersionGone):  # then rows are read; `verify` tells the damage
                data = objects.read(self._lake, entry.events)
                table = from_parquet(data, ["digest"])
                if table.column_names:  # events of older releases have no digests
                    exports.append((data, _with_digest(table)))
        return _Known(exports)


def _with_digest(table: pa.Table) -> pa.Table:
    found: pa.Table = compute("filter", table, compute("is_valid", table["digest"]))
    return found


class _Known:
    """Rows of exports in the order of the first eight bytes of their digests.

    Most are found in the newest export: of the others no more than the digests is looked at before a row is there.
    """

    def __init__(self, exports: Sequence[tuple[bytes, pa.Table]]) -> None:
        self.table = pa.Table.from_batches([], pa.schema([SCHEMA.field(name) for name in _COLUMNS]))
        self.fingerprints: list[Any] = []
        self.usual: list[bool] = []
        self._unread = [data for data, _ in exports]
        self._digests: list[Any] = [digest for _, table in exports for digest in table["digest"].to_pylist()]
        leading = np.frombuffer(b"".join(self._digests), np.uint64)[:: SIZE // 8]
        self._order = np.argsort(leading, kind="stable")  # the newest export first
        self._leading: NDArray[np.uint64] = leading[self._order]

    def upto(self, place: int) -> "_Known":
        """The same with all that is known of the exports up to the one that has a place."""
        while place >= len(self.usual):
            table = _with_digest(from_parquet(self._unread.pop(0), _COLUMNS))
            self.table = pa.concat_tables([self.table, table]).combine_chunks()
            self.fingerprints += table["fingerprint"].to_pylist()
            found = compute("list_value_length", table["findings"]).to_pylist()
            told = zip(table["status"].to_pylist(), found, strict=True)
            self.usual += [status == "accepted" and not count for status, count in told]
        return self

    def find(self, digests: Sequence[bytes | None]) -> list[int]:
        """The first row that has the first eight bytes of each digest, if it has the others too."""
        if not self._digests:
            return [-1] * len(digests)
        wanted = np.frombuffer(b"".join(digest or bytes(SIZE) for digest in digests), np.uint64)[:: SIZE // 8]
        at = np.minimum(np.searchsorted(self._leading, wanted), len(self._order) - 1)
        places: list[int] = self._order[at].tolist()
        return [place if digest == self._digests[place] else -1 for place, digest in zip(places, digests, strict=True)]


def remembered(
    *,
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
    """A row out of its record in the events of an export."""
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
