"""What a version is, for tools that load datasets: `croissant.json`, by Croissant 1.1.

Paths are those of a checkout. Files that are part of the version have their sha256; tables, masks and a COCO file that
are put together by a checkout are file sets, by pattern. The same version gives the same bytes: there is no time in it.
`license`, `creator`, `url` and `datePublished`, which the specification wants too, are the owner's to say, and are left
out rather than guessed.
"""

from collections.abc import Mapping

import msgspec
import pyarrow as pa

from encord_dagster.formats import provenance, tables

FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes"),
            *("extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray"),
            *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "readLines", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "sdVersion", "separator", "source"),
            *("subField", "transform", "unArchive", "value"),
        )
    },
}

RECORDS = {  # table -> its main fields; the first is what names a record, where something does
    "images": ("image_id", "file_name", "width", "height", "data_hash", "frame", "label_hash", "objects"),
    "annotations": (
        *("annotation_id", "image_id", "category_id", "class_name", "shape", "object_hash", "track_id"),
        *("x", "y", "width", "height", "area", "label_hash"),
    ),
    "classifications": ("classification_hash", "name", "label_hash"),
    "attributes": ("of_hash", "of", "name", "text", "number", "label_hash"),
    "findings": ("rule", "severity", "label_hash", "message"),
}
_KEYS = {"annotations": "annotation_id"}  # of images two label rows can have a record
_TABLES = {name: f"tables/{name}.parquet" for name in (*RECORDS, "row_events")}
_SETS = {  # what a checkout puts together: path -> id, pattern, kind
    "annotations/instances.json": ("instances", "annotations/instances.json", "application/json"),
    **{path: (f"{name}-table", path, "application/x-parquet") for name, path in _TABLES.items()},
    "masks/semantic": ("semantic-masks", "masks/semantic/**/*.png", "image/png"),
    "masks/instance": ("instance-masks", "masks/instance/**/*.png", "image/png"),
}
_KINDS = {"json": "application/json", "jsonld": "application/ld+json", "parquet": "application/x-parquet"}


class File(msgspec.Struct, frozen=True):
    """A plain file of a version."""

    sha256: str
    size: int


def document(about: provenance.About, files: Mapping[str, File], *, masks: bool) -> bytes:
    """The description of a version, of which these plain files are known, by path."""
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": about.name,
        "description": (
            f"Version {about.version} of the label set {about.name}: Encord labels of {about.rows:,} label rows, "
            f"{about.images:,} images, {about.annotations:,} annotations, as COCO, masks and tables."
        ),
        "version": f"{about.version}.0.0",
        "identifier": provenance.content(about.content_digest),
        "isLiveDataset": False,  # a version never changes
        **provenance.relations(about),
        "distribution": [*_objects(files), *_file_sets(files, masks=masks)],
        "recordSet": [_record_set(name, known=_TABLES[name] in files) for name in RECORDS],
    }
    return msgspec.json.format(msgspec.json.encode(described)) + b"\n"


def _objects(files: Mapping[str, File]) -> list[dict[str, object]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path.rpartition("/")[2],
            "contentUrl": path,
            "contentSize": f"{files[path].size} B",
            "encodingFormat": _KINDS.get(path.rpartition(".")[2], "application/octet-stream"),
            "sha256": files[path].sha256,
        }
        for path in sorted(files)
    ]


def _file_sets(files: Mapping[str, File], *, masks: bool) -> list[dict[str, object]]:
    return [
        {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": kind, "includes": pattern}
        for path, (name, pattern, kind) in _SETS.items()
        if path not in files and (masks or not path.startswith("masks/"))
    ]


def _record_set(table: str, *, known: bool) -> dict[str, object]:
    """The records of one table; `known`: whether it lies there as a file, else as a file set."""
    path = _TABLES[table]
    place = {"fileObject": {"@id": path}} if known else {"fileSet": {"@id": _SETS[path][0]}}
    schema = tables.FINDINGS if table == "findings" else tables.SCHEMAS[table]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{table}/{column}",
            "name": column,
            "dataType": _data_type(schema.field(column).type),
            "source": place | {"extract": {"column": column}},
        }
        for column in RECORDS[table]
    ]
    key = {"key": {"@id": f"{table}/{_KEYS[table]}"}} if table in _KEYS else {}
    return {"@type": "cr:RecordSet", "@id": table, "name": table, **key, "field": fields}


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
