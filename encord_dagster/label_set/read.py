"""Reading a published label set: its log, its versions, their files. Needs no Dagster, writes nothing to the lake."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import pyarrow as pa

from encord_dagster import identity
from encord_dagster.encord.model import RowEvent
from encord_dagster.errors import UsageError
from encord_dagster.findings import Finding
from encord_dagster.formats import tables
from encord_dagster.formats.catalogue import PUBLISHED
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.writing import Given
from encord_dagster.label_set import document, events, history, objects, shards, sources
from encord_dagster.label_set import which as which_version
from encord_dagster.label_set.accounted import Accounted
from encord_dagster.label_set.cache import Cache, Through
from encord_dagster.label_set.checkout import Progress, checkout, kept_in
from encord_dagster.label_set.manifest import Bucket, BucketRow, ExportEntry, LogRecord, Root
from encord_dagster.label_set.pixels import Kind, Pixels
from encord_dagster.label_set.seen import remembered_head
from encord_dagster.label_set.tree import Tree
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from encord_dagster.label_set.numbers import Summary


def open_label_set(lake: str | ObjectStore, name: str, *, state: Path | None = None) -> "LabelSet":
    """Open a label set of a lake, given by url or as a store.

    With a `state` file the newest record ever seen is remembered there, and HistoryDamaged is raised when the lake
    shows an older head, or another record in its place.
    """
    return LabelSet(open_store(lake) if isinstance(lake, str) else lake, name, state=state)


class LabelSet:
    """A label set as its log had it when it was opened: what is published later is not seen."""

    def __init__(self, lake: ObjectStore, name: str, *, state: Path | None = None) -> None:
        self.lake, self.name = lake, name
        self.head = remembered_head(lake, name, state) if state else history.head(lake, name)

    def log(self, *, last: int | None = None) -> list[LogRecord]:
        """All records, or the last ones, oldest first, their chain checked."""
        after = 0 if last is None else max(0, self.head.seq - last)
        return history.records(self.lake, self.name, self.head, after=after)

    def version(self, which: int | str = "latest") -> "Version":
        """A version by number, `latest`, tag, or the hash of an export that it came with: the newest of several."""
        return Version(self, which_version.record_of(self.lake, self.name, self.head, which))

    def accounted(self) -> set[str]:
        """Ids of the exports that need no further run."""
        return sources.accounted(self.lake, self.name)

    def export_hashes(self, entry: ExportEntry) -> list[str]:
        """All export hashes that one accounted export carried."""
        return which_version.export_hashes(self.lake, entry)

    def __getstate__(self) -> NoReturn:
        _refuse_to_travel()


def _refuse_to_travel() -> NoReturn:
    raise TypeError("a label set is not sent between processes: call open_label_set(url, name) in each of them")


class Version:
    """One version. The record it was opened by also says which exports it accounts for."""

    def __init__(self, label_set: LabelSet, record: LogRecord, *, lake: ObjectStore | None = None) -> None:
        self.label_set, self.record = label_set, record
        self.lake = lake or label_set.lake
        self.number = record.version
        if record.root is None:
            raise UsageError(f"label set {label_set.name!r} has no version yet: its exports held no label rows")
        self.root_digest = record.root.sha256
        self.root = msgspec.json.decode(objects.read(self.lake, record.root), type=Root)
        self.classes = self._classes()
        self._pixels = Pixels(self.lake, self.root)

    def __getstate__(self) -> NoReturn:
        _refuse_to_travel()

    def _classes(self) -> dict[str, int]:
        names = {category.feature_hash: category.name for category in self.root.categories}
        counts: Counter[str] = Counter()
        for count in self.root.classes:
            counts[names[count.feature_hash]] += count.objects
        return dict(counts.most_common())

    @property
    def rows(self) -> int:
        """Label rows, tombstones among them."""
        return self.root.rows

    @property
    def images(self) -> int:
        """Image records; an image that two label rows describe counts twice."""
        return self.root.images

    @property
    def losses(self) -> dict[str, int]:
        """What the formats cannot hold of the version, by code; `formats.losses` says what each code means."""
        return dict(sorted(self.root.losses.items()))

    @property
    def categories(self) -> list[Category]:
        """The classes of the version, by id; names may change between versions, ids do not."""
        return list(self.root.categories)

    def buckets(self) -> Iterator[Bucket]:
        """The buckets, in order of row identity."""
        for _, ref in Tree(self.lake, self.root).buckets():
            yield msgspec.json.decode(objects.read(self.lake, ref.ref), type=Bucket)

    def label_rows(self) -> Iterator[BucketRow]:
        """Every label row of the version."""
        for bucket in self.buckets():
            yield from bucket.rows

    def coco(self) -> bytes:
        """The COCO file."""
        return b"".join(document.pieces(self.lake, self.root))

    def coco_path(self, cache: Path) -> Path:
        """The COCO file in a cache folder, read-only, fetched where it is not there yet."""
        return self.coco_in(Cache(cache))

    def coco_in(self, cache: Cache) -> Path:
        """The COCO file in an open cache."""
        return cache.coco(self.root_digest, document.pieces(self.lake, self.root))

    def masks(self, image: int | str, kind: Kind = "semantic") -> "NDArray[np.uint16]":
        """The mask of an image, by its id or file name, indexed [y, x]; 0 is background.

        Semantic: category ids. Instance: k for the k-th annotation of the image. The first call reads the ids of all
        images, others only the bytes of their masks; threads may share a version, processes open their own.
        """
        return self._pixels.mask(image, kind)

    def mask_of(self, annotation_id: int) -> "NDArray[np.bool_]":
        """The pixels of one annotation, indexed [y, x], whatever lies on top of it."""
        return self._pixels.mask_of(annotation_id)

    def table(self, name: str) -> pa.Table:
        """One table: images, annotations, classifications, attributes, row_events or findings."""
        if name == "row_events":
            return self._row_events()
        if name == "findings":
            return self._findings_table()
        if name not in tables.SCHEMAS:
            raise UsageError(f"no table {name!r}; there are {', '.join([*tables.SCHEMAS, 'row_events', 'findings'])}")
        parts = at_once(self.lake, partial(self._table, name), self.buckets())
        whole = tables.united(list(parts), tables.SCHEMAS[name])
        return tables.numbered(whole) if name == "annotations" else whole

    def _table(self, name: str, bucket: Bucket) -> pa.Table:
        return shards.OpenBucket(self.lake, bucket).table(name)

    def frame(self, name: str) -> "pd.DataFrame":
        """One table as a pandas frame."""
        return self.table(name).to_pandas()

    def annotations(self) -> "pd.DataFrame":
        """The annotations as a pandas frame; lengths in pixels."""
        return self.frame("annotations")

    def summary(self) -> "Summary":
        """The version in numbers: classes, sizes, shapes, answers, statuses, findings. Its `frame` is one of pandas."""
        from encord_dagster.label_set.summary import summarise

        return summarise(self)

    def exports(self) -> dict[str, ExportEntry]:
        """The exports that had been accounted for when the version was committed, or by later observes of it."""
        upto = history.Head(*self._opened_at())
        return Accounted(self.lake, self.label_set.name, upto).all()

    def newest_first(self) -> Iterator[ExportEntry]:
        """The same exports, the latest first; only as much of the log is read as is asked for."""
        return Accounted(self.lake, self.label_set.name, history.Head(*self._opened_at())).descending()

    def _opened_at(self) -> tuple[int, LogRecord, str]:
        found = history.read_record(self.lake, self.label_set.name, self.record.seq)
        if found is None:
            raise UsageError(f"record {self.record.seq} is gone; run `verify`")
        return self.record.seq, found[0], found[1]

    def winning(self) -> dict[str, tuple[str, RowEvent]]:
        """For each label row (by identity) the export id and event that it stands for."""
        fingerprints = {row.row: row.fingerprint for row in self.label_rows()}
        found: dict[str, tuple[str, RowEvent]] = {}
        for export_id, entry in self.exports().items():
            for event in events.accepted(events.read_events(self.lake, entry.events)):
                key = identity.row_identity(event.label_hash, event.branch_name)
                if fingerprints.get(key) == event.fingerprint and (
                    key not in found or events.order(event) > events.order(found[key][1])
                ):
                    found[key] = (export_id, event)
        return found

    def _row_events(self) -> pa.Table:
        entries = self.exports()
        held: list[tables.Record] = []
        for export_id, entry in entries.items():
            for record in events.read_events(self.lake, entry.events, events.PUBLIC).to_pylist():
                if record["status"] != "export":  # findings of the export itself
                    held.append({"export_id": export_id, **record})
        schema = pa.schema([pa.field("export_id", pa.string()), *map(events.SCHEMA.field, events.PUBLIC)])
        return pa.Table.from_pylist(held, schema=schema)

    def findings(self) -> list[Finding]:
        """Findings of the row events that the version stands for, of it beside the one before, of one held back."""
        return [finding for _, finding in self.found()]

    def found(self) -> Iterator[tuple[str, Finding]]:
        """Findings, each with the key of the row events that tell it, "" where it is of the version as such."""
        winners = {key: export_id for key, (export_id, _) in self.winning().items()}
        yield from (("", finding) for finding in self.record.doubts)
        for export_id, entry in self.exports().items():
            for row, finding in events.findings_of(events.read_events(self.lake, entry.events)):
                if row is None or winners.get(row) == export_id:
                    yield entry.events.key, finding

    def _findings_table(self) -> pa.Table:
        records: list[tables.Record] = [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "label_hash": finding.location.row,
                "data_hash": finding.location.unit,
                "space": finding.location.space,
                "frame": finding.location.frame,
                "object_hash": finding.location.object,
                "message": finding.message,
            }
            for finding in self.findings()
        ]
        return pa.Table.from_pylist(records, schema=tables.FINDINGS)

    def checkout(
        self,
        folder: Path,
        *,
        formats: Sequence[str] = PUBLISHED,
        selection: Selection | None = None,
        cache: Path | None = None,
        link: bool = True,
        progress: Progress = lambda line: None,
        dicom_headers: Path | None = None,
        ontology: str = "",
        splits_from: Path | None = None,
    ) -> list[Path]:
        """Write the version's plain files into a folder that is empty or absent, and return their paths.

        `formats` are those of `formats.catalogue`; `selection` says what of the version they hold. `dicom_headers` is
        a folder of DICOM files, with or without pixels, which `nifti` and `dicom_seg` take the geometry of series from;
        `ontology` is the project's document, in which `encord_coco` finds what is not ticked. What an earlier checkout,
        in the folder `splits_from`, has in a split stays in it.

        What a cache folder holds is not fetched again, and its files are linked into the checkout, read-only; with
        `link=False`, and on another file system, they are copied.
        """
        held = Cache(cache) if cache else None
        version = Version(self.label_set, self.record, lake=Through(self.lake, held)) if held else self
        chosen = selection or Selection()
        return checkout(
            version,
            folder,
            formats=formats,
            selection=chosen,
            cache=held,
            link=link,
            progress=progress,
            given=Given(
                dicom_headers=dicom_headers,
                ontology=ontology,
                kept=kept_in(splits_from, chosen) if splits_from else {},
            ),
        )
