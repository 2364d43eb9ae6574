"""A training set: a version in formats and a selection that somebody trains on, and what is recorded of it.

Light: definitions load it. `training_sets` writes them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from encord_dagster import __version__
from encord_dagster.config import NAME
from encord_dagster.errors import UsageError
from encord_dagster.formats import catalogue
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.selection_report import Report

MANIFEST = "training_set.json"  # of a folder; the last file that is written into it
LATEST = "latest.json"  # where the newest folder is: a hint for scripts
RECORDS = "records/"
PROBE = "probes/"


class TrainingSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wanted."""

    name: str
    url: str  # a folder or s3://bucket/prefix of its own
    formats: tuple[str, ...]
    selection: Selection = Selection()
    version: int | str = "latest"  # or a number, a tag, the hash of an export
    dicom_headers: str = ""  # a folder of DICOM files, which `nifti` and `dicom_seg` take the geometry of series from

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not NAME.fullmatch(self.name):
            raise UsageError(f"training set {self.name!r}: use letters, digits, _ and -, at most 63, letter first")
        if not self.url:
            raise UsageError(f"training set {self.name}: its url is empty; name a folder or s3://bucket/prefix")
        if not self.formats:
            raise UsageError(f"training set {self.name}: it has no formats; there are {', '.join(catalogue.FORMATS)}")
        catalogue.checked(self.formats)

    def digest(
        self, content_digest: str = "", ontology: str = "", categories: Sequence[Category] = (), told: str = ""
    ) -> str:
        """Equal where the files would be: for the same labels, selection, formats and release of this package.

        Where labels are the same, classes can still have other colours and edges, or there can be more of them. The
        ontology counts where `encord_coco` takes from it what could have been ticked; of DICOM files the folder. `told`
        stands for the row events and findings, which are others after an export that changed no label: `tables` holds
        them.
        """
        chosen = msgspec.convert(msgspec.to_builtins(self.selection), Selection)  # 4 in Python is 4.0 in YAML
        used = ontology if "encord_coco" in self.formats else ""
        fields, formats = msgspec.structs.asdict(chosen), sorted(set(self.formats))
        made_of = (content_digest, fields, formats, used, self.dicom_headers, __version__, categories, told)
        return hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`training_set.json`: what the files beside it are. A folder without it is not finished."""

    label_set: str
    training_set: str
    version: int
    content_digest: str
    digest: str
    formats: tuple[str, ...]
    splits_from: str | None  # the folder whose splits were kept
    files: int  # this one not counted
    bytes: int
    report: Report
    losses: dict[str, int]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`records/<12 digits>.json`: the commit. Its number is one more than that of the record before."""

    format_version: Literal[1] = 1
    seq: int
    label_set: str
    training_set: str
    version: int
    content_digest: str
    digest: str
    folder: str  # where the files are
    splits: str | None  # the folder whose splits/groups.jsonl knows all groups so far
    epoch: int = 0  # how often folders were removed before: what is made behind that is called otherwise
    removed: tuple[str, ...] = ()  # folders that this record takes away; it repeats the one before then


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a training set."""

    record: Record
    manifest: Manifest
    uri: str  # of the folder
    written: bool  # False: the same was there already


def checked(wanted: Iterable[TrainingSet], *, landing: str) -> None:
    """Refuse training sets that would get in each other's way, or be taken for exports."""
    names: set[str] = set()
    urls: set[str] = set()
    for one in wanted:
        name, url = one.name.replace("-", "_"), _place(one.url)
        if name in names:
            raise UsageError(f"training set {one.name}: another one is called so; - and _ count as one")
        if url in urls:
            raise UsageError(f"training set {one.name}: another one is written to {url}; give each a url of its own")
        if f"{url}/".startswith(f"{_place(landing)}/"):
            raise UsageError(f"training set {one.name}: {url} is where exports arrive, which its files would be")
        names.add(name)
        urls.add(url)


def _place(url: str) -> str:
    """A url as it can be compared: of a folder the whole path."""
    return url.rstrip("/") if "://" in url else str(Path(url).resolve())


def record_key(seq: int) -> str:
    """Where a record lies."""
    return f"{RECORDS}{seq:012d}.json"
