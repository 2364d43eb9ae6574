"""Reading a published label set: its log, its versions, their files. Needs no Dagster, writes nothing to the lake."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from encord_dagster import identity
from encord_dagster.encord.model import RowEvent
from encord_dagster.errors import UsageError
from encord_dagster.findings import Finding
from encord_dagster.formats import losses, masks, tables
from encord_dagster.formats.coco import Image
from encord_dagster.formats.png import size_of
from encord_dagster.label_set import events, history, objects, shards, sources
from encord_dagster.label_set.document import coco_document
from encord_dagster.label_set.manifest import Bucket, BucketRow, ExportEntry, LogRecord, ObjectRef, Root
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    import pandas as pd

INSTANCES = "annotations/instances.json"
FORMATS = ("coco", "masks", "tables")


def open_label_set(lake: str | ObjectStore, name: str) -> "LabelSet":
    """Open a label set of a lake, given by url or as a store."""
    return LabelSet(open_store(lake) if isinstance(lake, str) else lake, name)


class LabelSet:
    """A label set as its log had it when it was opened."""

    def __init__(self, lake: ObjectStore, name: str) -> None:
        self.lake, self.name = lake, name
        self.head = history.head(lake, name)

    def log(self, *, last: int | None = None) -> list[LogRecord]:
        """All records, or the last ones, oldest first, their chain checked."""
        after = 0 if last is None else max(0, self.head.seq - last)
        return history.records(self.lake, self.name, self.head, after=after)

    def version(self, which: int | str = "latest") -> "Version":
        """A version by number, or `latest`."""
        if self.head.record is None:
            raise UsageError(f"{self.lake.url} holds no label set {self.name!r}; publish an export to it first")
        if which == "latest":
            return Version(self, self.head.record)
        number = int(which) if str(which).isdecimal() else None
        found = [record for record in self.log() if record.version == number and record.root]
        if not found:
            newest = self.head.record.version
            raise UsageError(f"label set {self.name!r} has no version {which!r}; it has 1 to {newest}, or say latest")
        return Version(self, found[-1])

    def accounted(self) -> set[str]:
        """Ids of the exports that need no further run."""
        return sources.accounted(self.lake, self.name)

    def export_hashes(self, entry: ExportEntry) -> list[str]:
        """All export hashes that one accounted export carried."""
        if entry.export_hash_count <= len(entry.export_hashes):
            return list(entry.export_hashes)
        column = events.read_events(self.lake, entry.events, ["export_hash"])["export_hash"]
        return sorted({value for value in column.to_pylist() if value})


class Version:
    """One version. The record it was opened by also says which exports it accounts for."""

    def __init__(self, label_set: LabelSet, record: LogRecord) -> None:
        self.label_set, self.record = label_set, record
        self.lake = label_set.lake
        self.number = record.version
        self.root = self._root(record.root)
        self.classes = self._classes()

    def _root(self, ref: ObjectRef | None) -> Root:
        if ref is None:
            raise UsageError(f"label set {self.label_set.name!r} has no version yet: its exports held no label rows")
        return msgspec.json.decode(objects.read(self.lake, ref), type=Root)

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

    def buckets(self) -> Iterator[Bucket]:
        """The buckets, in order of row identity."""
        for ref in self.root.buckets.values():
            yield msgspec.json.decode(objects.read(self.lake, ref.ref), type=Bucket)

    def label_rows(self) -> Iterator[BucketRow]:
        """Every label row of the version."""
        for bucket in self.buckets():
            yield from bucket.rows

    def coco(self) -> bytes:
        """The COCO file."""
        plain = self.root.files.get(INSTANCES)
        return objects.read(self.lake, plain) if plain else b"".join(coco_document(self.lake, self.root))

    def table(self, name: str) -> pa.Table:
        """One table: images, annotations, classifications, attributes, row_events or findings."""
        if name == "row_events":
            return self._row_events()
        if name == "findings":
            return self._findings_table()
        if name not in tables.SCHEMAS:
            raise UsageError(f"no table {name!r}; there are {', '.join([*tables.SCHEMAS, 'row_events', 'findings'])}")
        parts = [tables.from_parquet(objects.read(self.lake, bucket.shards[name])) for bucket in self.buckets()]
        whole = tables.united(parts, tables.SCHEMAS[name])
        return tables.numbered(whole) if name == "annotations" else whole

    def annotations(self) -> "pd.DataFrame":
        """The annotations as a pandas frame; lengths in pixels."""
        return self.table("annotations").to_pandas()

    def exports(self) -> dict[str, ExportEntry]:
        """The exports that had been accounted for when the version was committed, or by later observes of it."""
        upto = history.Head(*self._opened_at())
        return history.accounted(self.lake, self.label_set.name, upto)

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
            for record in events.read_events(self.lake, entry.events).drop_columns(["findings"]).to_pylist():
                if record["status"] != "export":  # findings of the export itself
                    held.append({"export_id": export_id, **record})
        schema = pa.schema([pa.field("export_id", pa.string()), *(f for f in events.SCHEMA if f.name != "findings")])
        return pa.Table.from_pylist(held, schema=schema)

    def findings(self) -> list[Finding]:
        """Findings of the row events that the version stands for, of it beside the one before, of one held back."""
        winners = {key: export_id for key, (export_id, _) in self.winning().items()}
        found = list(self.record.doubts)
        for export_id, entry in self.exports().items():
            for row, finding in events.findings_of(events.read_events(self.lake, entry.events)):
                if row is None or winners.get(row) == export_id:
                    found.append(finding)
        return found

    def _findings_table(self) -> pa.Table:
        records: list[tables.Record] = [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "label_hash": finding.location.row,
                "data_hash": finding.location.unit,
                "frame": finding.location.frame,
                "object_hash": finding.location.object,
                "message": finding.message,
            }
            for finding in self.findings()
        ]
        return pa.Table.from_pylist(records, schema=tables.FINDINGS)

    def checkout(self, folder: Path, *, formats: Sequence[str] = FORMATS) -> list[Path]:
        """Write the version's plain files into a folder that is empty or absent, and return their paths."""
        if unknown := set(formats) - set(FORMATS):
            raise UsageError(f"no format {', '.join(sorted(unknown))}; there are {', '.join(FORMATS)}")
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; name a folder that is, or does not exist yet")
        made = [_write(folder / losses.FILE, losses.report(self.root.losses))]
        made += [_write(folder / INSTANCES, self.coco())] if "coco" in formats else []
        for name in [*tables.SCHEMAS, "row_events", "findings"] if "tables" in formats else ():
            made.append(_write(folder / "tables" / f"{name}.parquet", tables.to_parquet(self.table(name))))
        return made + list(self._masks_into(folder / "masks") if "masks" in formats else ())

    def _masks_into(self, folder: Path) -> Iterator[Path]:
        names = {image.id: image.file_name for image in self._images()}
        painted: Counter[int] = Counter()  # annotations already on an image: the offset of the next row's values
        for bucket in self.buckets():
            if "masks" not in bucket.shards:
                continue
            counts = {line.row: _per_image(line) for line in shards.coco_rows(self._shard(bucket, "coco"))}
            index = tables.from_parquet(self._shard(bucket, "masks_index")).to_pylist()
            tar = self._shard(bucket, "masks")
            for place in index:
                image_id, kind = place["image_id"], place["kind"]
                path = folder / kind / Path(names[image_id]).with_suffix(".png")
                png = tar[place["offset"] : place["offset"] + place["size"]]
                if path.exists() and size_of(path.read_bytes()) != size_of(png):
                    # two label rows disagree on the image's size, so neither mask can lie on the other
                    path = path.with_name(f"{path.stem}.{place['row'][:12]}.png")
                elif path.exists():  # a second label row describes the same image
                    offset = painted[image_id] if kind == "instance" else 0
                    png = masks.compose(path.read_bytes(), png, offset=offset)
                    path.unlink()
                yield _write(path, png)
                if kind == "instance":
                    painted[image_id] += counts[place["row"]][image_id]

    def _images(self) -> list[Image]:
        class File(msgspec.Struct):
            images: list[Image]

        return msgspec.json.decode(self.coco(), type=File).images

    def _shard(self, bucket: Bucket, kind: str) -> bytes:
        return objects.read(self.lake, bucket.shards[kind])


def _per_image(line: shards.CocoRow) -> Counter[int]:
    class OnImage(msgspec.Struct):
        image_id: int

    decoder = msgspec.json.Decoder(OnImage)
    return Counter(decoder.decode(annotation).image_id for annotation in line.annotations)


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
