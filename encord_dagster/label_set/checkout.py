"""A version as plain files in a folder: COCO, masks, tables, the loss report."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from encord_dagster.formats import catalogue, croissant, losses, masks, provenance, split_lists, tables
from encord_dagster.formats.catalogue import PUBLISHED
from encord_dagster.formats.kept import kept as splits_kept
from encord_dagster.formats.png import size_of
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.selection_report import FILE
from encord_dagster.formats.writing import Given
from encord_dagster.label_set import document, objects, shards, tree
from encord_dagster.label_set.cache import Cache, link_or_copy
from encord_dagster.label_set.images import Described, described
from encord_dagster.label_set.staging import NewFiles, staged, twice
from encord_dagster.label_set.writing import write_chosen

if TYPE_CHECKING:
    from encord_dagster.label_set.read import Version

TABLES = (*tables.SCHEMAS, "row_events", "findings")

Progress = Callable[[str], None]


def checkout(
    version: "Version",
    folder: Path,
    *,
    formats: Sequence[str],
    selection: Selection,
    cache: Cache | None,
    link: bool,
    progress: Progress,
    given: Given,
) -> list[Path]:
    """Write the files of a version; a folder that does not exist yet appears with all of them, or not at all.

    COCO, masks and tables are copied as they are published, unless something is left out or called otherwise. Then
    there is no `croissant.json` either, which has the digests of those that are published.
    """
    catalogue.checked(formats)
    copied = [name for name in PUBLISHED if name in formats and not selection.changes_files]
    written = list(dict.fromkeys(name for name in formats if name not in copied))
    with staged(folder.resolve()) as staging:
        files = _Files(staging, cache, link=link)
        lost: Mapping[str, int] = {}
        if written or selection != Selection():
            lost = write_chosen(version, written, selection, files, progress, given)
        files.write(losses.FILE, losses.report(losses.total([version.root.losses, lost])))
        for name in (provenance.FILE,) if selection.changes_files else (croissant.FILE, provenance.FILE):
            if ref := version.root.files.get(name):  # versions of older releases have none
                files.write(name, objects.read(version.lake, ref))
        if "coco" in copied:
            progress(f"version {version.number}: {document.INSTANCES}")
            files.coco(version)
        for name in TABLES if "tables" in copied else ():
            progress(f"version {version.number}: table {name}")
            files.write(f"tables/{name}.parquet", tables.to_parquet(version.table(name)))
        if "masks" in copied:
            _write_masks(version, files, progress)
    return [folder / name for name in files.written]


class _Files:
    """The files of one checkout so far, in the order in which they were written."""

    def __init__(self, folder: Path, cache: Cache | None, *, link: bool) -> None:
        self.folder, self.cache, self.link = folder, cache, link
        self.written: dict[str, None] = {}
        self._new = NewFiles(folder)

    def write(self, name: str, data: bytes) -> None:
        """Write a file; one of that name is replaced, never written into: it may be the cache's."""
        path = self._place(name)
        if self.cache:
            link_or_copy(self.cache.add(data), path, link=self.link)
        else:
            path.write_bytes(data)

    def add(self, name: str, data: bytes | Iterator[bytes]) -> None:
        """Write a file of a format, which names each once."""
        try:
            self._new.write(name, data)
        except FileExistsError as error:
            raise twice(name) from error
        self.written[name] = None

    def coco(self, version: "Version") -> None:
        """Write the COCO file, piece by piece."""
        path = self._place(document.INSTANCES)
        if self.cache:
            link_or_copy(version.coco_in(self.cache), path, link=self.link)
            return
        with path.open("xb") as file:
            file.writelines(document.pieces(version.lake, version.root))

    def read(self, name: str) -> bytes | None:
        """A file that this checkout wrote."""
        return (self.folder / name).read_bytes() if name in self.written else None

    def _place(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self.written[name] = None
        return path


def kept_in(folder: Path, selection: Selection) -> Mapping[str, str]:
    """The splits by group of an earlier checkout in a folder. UsageError where they cannot be kept."""
    report, groups = (
        (folder / name).read_bytes() if (folder / name).is_file() else None for name in (FILE, split_lists.GROUPS)
    )
    return splits_kept(selection, report, groups, where=str(folder))


def _write_masks(version: "Version", files: _Files, progress: Progress) -> None:
    images: dict[int, Described] = {}
    painted: Counter[int] = Counter()  # annotations already on an image: the offset of the next row's values
    total = tree.count(version.root)
    for number, bucket in enumerate(version.buckets(), start=1):
        progress(f"version {version.number}: masks, {number:,} of {total:,} buckets")
        opened = shards.OpenBucket(version.lake, bucket)
        objects_on = described(opened, images)
        for row, mask in ((row, mask) for row, given in opened.masks().items() for mask in given):
            image_id, kind, png = mask.image_id, mask.kind, mask.png
            name = Path("masks", kind, images[image_id].file_name).with_suffix(".png")
            below = files.read(str(name))
            if below and size_of(below) != size_of(png):
                # two label rows disagree on the image's size, so neither mask can lie on the other
                name = name.with_name(f"{name.stem}.{row[:12]}.png")
            elif below:  # a second label row describes the same image
                png = masks.compose(below, png, offset=painted[image_id] if kind == "instance" else 0)
            files.write(str(name), png)
            if kind == "instance":
                painted[image_id] += objects_on[row, image_id]
