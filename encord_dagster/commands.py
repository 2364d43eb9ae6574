"""What the commands do, as functions of urls."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from encord_dagster.accounting import excluded, open_delivery, read_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.privacy import redact
from encord_dagster.errors import ExportError, UsageError
from encord_dagster.findings import Finding, Location
from encord_dagster.formats.selection import Selection
from encord_dagster.label_set.staging import files_below, staged
from encord_dagster.landing import Export, export_of, exports_in, ontology_keys
from encord_dagster.outcomes import Batch
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from encord_dagster.stream.convert import Asked

Progress = Callable[[str], None]


class Validated(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one export."""

    key: str
    rows: int
    rows_quarantined: int
    objects_in: int
    objects_quarantined: int
    objects_excluded: dict[str, int]  # by reason: what is legal, and in no format
    findings: tuple[Finding, ...]


def exports_at(url: str) -> tuple[ObjectStore, list[Export]]:
    """The store and the exports that a url stands for: one object, or all exports below a prefix."""
    parent, _, name = url.rstrip("/").rpartition("/")
    if name and not url.endswith("/") and parent not in ("s3:/", "s3:", "file:/"):
        beside = open_store(parent or ("/" if url.startswith("/") else "."))
        name = unquote(name) if url.startswith("file://") else name
        # out of a listing, as everywhere: in a versioned bucket HEAD names another version of the same object
        first = next(iter(beside.list(name)), None)  # a key comes before all that it is the beginning of
        if first is not None and first.key == name:
            return beside, [export_of(first)]
    store = open_store(url)
    exports = list(exports_in(store))
    if not exports:
        raise UsageError(f"no exports at {url}: neither an object nor a prefix with objects in it")
    return store, exports


def _by_store(urls: Sequence[str]) -> Iterator[tuple[ObjectStore, list[Export]]]:
    stores: dict[str, tuple[ObjectStore, dict[str, Export]]] = {}
    for url in urls:
        store, exports = exports_at(url)
        stores.setdefault(store.url, (store, {}))[1].update((export.id, export) for export in exports)
    return ((store, list(found.values())) for store, found in stores.values())


def ingest_urls(
    urls: Sequence[str], *, lake: str, config: LabelSetConfig, progress: Progress, processes: int = 0
) -> list[Batch]:
    """Ingest what the lake does not account for yet, one batch per landing store."""
    from encord_dagster import workers
    from encord_dagster.label_set.sources import accounted
    from encord_dagster.pipeline import ingest

    store = open_store(lake)
    batches: list[Batch] = []
    for landing, exports in _by_store(urls):
        known = accounted(store, config.name)
        new = [export for export in exports if export.id not in known]
        progress(f"{landing.url}: {len(exports):,} exports found, {len(new):,} new")
        with workers.local(processes) as find:
            batches.append(ingest(new, landing=landing, lake=store, config=config, progress=progress, workers=find))
    return batches


def convert_urls(
    urls: Sequence[str],
    *,
    output: Path,
    formats: Sequence[str],
    config: LabelSetConfig,
    progress: Progress,
    selection: Selection | None = None,
    splits_from: Path | None = None,
    processes: int = 0,
    dicom_headers: Path | None = None,
) -> tuple[list[Batch], list[Path]]:
    """Convert exports into a folder: one plain file range by range, all else through a lake in memory."""
    from encord_dagster.formats import catalogue  # formats and streams are nothing to the other commands
    from encord_dagster.stream.convert import convert
    from encord_dagster.stream.cut import Unusual

    catalogue.checked(formats)
    chosen = selection or Selection()
    if straight := _straight(urls, formats, config, processes):
        landing, asked = straight
        asked = msgspec.structs.replace(asked, selection=chosen, kept=_kept(splits_from, chosen))
        try:
            with staged(output.resolve()) as staging:
                with _on_disk(landing, asked, staging, progress) as asked:
                    batch = convert(asked, staging, progress)
                names = files_below(staging)
            return [batch], list(map(output.resolve().joinpath, names))
        except Unusual as reason:
            progress(f"{redact(asked.export.key)}: {reason}; converting it in memory")
    return in_memory(
        urls,
        output,
        formats,
        config,
        progress,
        selection=chosen,
        dicom_headers=dicom_headers,
        splits_from=splits_from,
    )


def _kept(splits_from: Path | None, selection: Selection) -> Mapping[str, str]:
    """The splits of an earlier checkout, if one is named."""
    if splits_from is None:
        return {}
    from encord_dagster.label_set.checkout import kept_in

    return kept_in(splits_from, selection)


@contextlib.contextmanager
def _on_disk(landing: ObjectStore, asked: "Asked", folder: Path, progress: Progress) -> Iterator["Asked"]:
    """The same with a file of this machine: an export that lies elsewhere is fetched into the folder as it is read."""
    if isinstance(landing, LocalStore):
        yield asked
        return
    from encord_dagster.storage.fetch import fetching  # and with it threads, which nothing else here needs

    export = asked.export
    progress(f"{redact(export.key)}: fetching {export.size:,} bytes")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as within:
        path = Path(within, "export")
        readers = asked.processes_for(export.size)
        with fetching(landing, export.key, etag=export.etag, size=export.size, path=path, readers=readers):
            yield msgspec.structs.replace(asked, path=path)


def in_memory(
    urls: Sequence[str],
    output: Path,
    formats: Sequence[str],
    config: LabelSetConfig,
    progress: Progress,
    *,
    selection: Selection | None = None,
    dicom_headers: Path | None = None,
    splits_from: Path | None = None,
) -> tuple[list[Batch], list[Path]]:
    """Convert exports of any kind into a folder, through a lake in memory."""
    from encord_dagster.label_set.read import open_label_set
    from encord_dagster.pipeline import ingest

    lake = MemoryStore()
    batches = [
        ingest(exports, landing=landing, lake=lake, config=config, progress=progress)
        for landing, exports in _by_store(urls)
    ]
    label_set = open_label_set(lake, config.name)
    if label_set.head.record is None or label_set.head.record.root is None:
        return batches, []
    version = label_set.version()
    paths = version.checkout(
        output,
        formats=formats,
        selection=selection,
        dicom_headers=dicom_headers,
        ontology=config.ontology,
        splits_from=splits_from,
    )
    return batches, paths


def _straight(
    urls: Sequence[str], formats: Sequence[str], config: LabelSetConfig, processes: int
) -> "tuple[ObjectStore, Asked] | None":
    """What can be converted without a lake: one export, into formats that need none.

    Tables hold fingerprints, which nothing else needs.
    """
    from encord_dagster.formats import catalogue
    from encord_dagster.stream.convert import Asked

    able = catalogue.NEED_A_LAKE.isdisjoint(formats) and config.on_bad_object != "fail_export" and not config.publish
    if not able or len(urls) != 1 or config.content != "join" or config.name_pattern:
        return None
    landing, exports = exports_at(urls[0])
    if len(exports) != 1 or exports[0].key.endswith((".gz", ".zip")):
        return None
    (export,) = exports
    beside = None if config.ontology else next(filter(None, map(landing.get, ontology_keys(export.key))), None)
    if beside and not beside.isascii():
        return None
    return landing, Asked(
        path=landing.root / export.key if isinstance(landing, LocalStore) else Path(),
        export=export,
        config=config,
        ontology=config.ontology or (beside.decode("ascii") if beside else None),
        formats=formats,
        processes=processes,
    )


def validate_urls(urls: Sequence[str], *, config: LabelSetConfig) -> list[Validated]:
    """Read exports and collect their findings."""
    return [_validated(export, landing, config) for landing, exports in _by_store(urls) for export in exports]


def _validated(export: Export, landing: ObjectStore, config: LabelSetConfig) -> Validated:
    from encord_dagster.storage import whole  # and with it threads, which nothing else here needs

    key = export.key
    findings: list[Finding] = []
    rows = quarantined = objects_in = objects_quarantined = 0
    left_out: Counter[str] = Counter()
    try:
        beside = next(filter(None, map(landing.get, ontology_keys(key))), None)
        data = whole.get(landing, key, etag=export.etag, size=export.size) or b""
        for reading in read_rows(open_delivery(data, config, beside=beside), config):
            rows += 1
            quarantined += reading.status == "quarantined"
            objects_in += reading.row.objects_in if reading.row else 0
            objects_quarantined += len(reading.row.quarantined) if reading.row else 0
            left_out.update(excluded(reading.row) if reading.row else {})
            findings += reading.findings
    except ExportError as error:
        findings.append(Finding(error.reason, "error", Location(), str(error)))
    return Validated(
        key=redact(key),
        rows=rows,
        rows_quarantined=quarantined,
        objects_in=objects_in,
        objects_quarantined=objects_quarantined,
        objects_excluded=dict(left_out),
        findings=tuple(findings),
    )
