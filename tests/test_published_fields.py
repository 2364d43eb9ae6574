"""The allow-list: docs/privacy.md names every field of every file that is published, and no other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats import coco, losses, tables
from encord_dagster.formats.fragment import Category
from encord_dagster.label_set import quarantine
from encord_dagster.label_set.accounted import Checkpoint
from encord_dagster.label_set.described import FILES
from encord_dagster.label_set.events import PUBLIC, SCHEMA
from encord_dagster.label_set.history import Hint
from encord_dagster.label_set.manifest import Bucket, LogRecord, Node, Retired, Root
from encord_dagster.label_set.tags import Tag
from encord_dagster.landing import Export, exports_in
from tests.canaries import Planter, deliveries
from tests.lakes import Desk
from tests.published import coco_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "privacy.md"
Fields = dict[str, set[str]]  # file -> dotted fields; `*` stands for keys that are data

MAPS = {  # objects whose keys are data
    *("buckets", "nodes", "id_overrides", "files", "losses", "objects_excluded", "named", "shards"),
    *("rules", "@context"),
    *("attributes.classifications", "classifications.attributes"),
}


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A label set of every shape and data type with all switches on, published twice, with a quarantine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY_KEY", "k" * 32)
        config = LabelSetConfig(
            name="street",
            publish=("titles", "links", "people", "times"),
            pseudonym_key_variable="CANARY_KEY",
            name_pattern="(?P<project>.*)",
            hold_back=(),
        )
        desk = Desk(config=config)
        for folder, files in deliveries(Planter()).items():
            for name, data in files.items():
                desk.landing.create(f"{folder}/{name}", data)
        for export in exports_in(desk.landing):
            desk.ingest(export)
    return desk


def test_every_published_field_is_listed_and_every_listed_one_exists(desk: Desk) -> None:
    """A new field fails here until somebody has thought about what it gives away."""
    published = written(desk)
    for file, fields in declared().items():
        published[file] |= fields

    assert sorted(_flat(published) - _flat(listed())) == []
    assert sorted(_flat(listed()) - _flat(published)) == []


def written(desk: Desk) -> Fields:
    """The fields of what was written, by file."""
    label_set = desk.label_set()
    version = label_set.version()
    root = label_set.head.record.root if label_set.head.record else None
    names = ("images", "annotations", "classifications", "attributes", "row_events", "findings")
    held = {
        "annotations/instances.json": fields(coco_of(desk)),
        "loss_report.json": fields(_json(desk, version.root.files["loss_report.json"].key)),
        **{name: fields(_json(desk, version.root.files[name].key)) for name in FILES},
        "objects/ (root)": fields(_json(desk, root.key)) if root else set(),
        "objects/ (shard)": {"row", "image_ids", *tables.MASKS.names},
        "objects/ (bucket)": {one for ref in version.root.buckets.values() for one in fields(_json(desk, ref.ref.key))},
        "log/, checkpoints/, latest.json": _of(desk, r"log/|checkpoints/|latest"),
        "tags/": _of(desk, "tags/"),
        "objects/ (retired)": set(),
        "objects/ (node)": set(),
        "categories/": _of(desk, "categories/"),
        "exports/ (sources)": _of(desk, r"exports/.*json"),
        "exports/ (events)": set(_columns(SCHEMA)),
        "quarantine/": _of(desk, "quarantine/"),
    }
    return held | {f"tables/{name}.parquet": set(_columns(version.table(name).schema)) for name in names}


def declared() -> Fields:
    """The fields that the types of these files have, also those that no file here happens to hold."""
    images = {f"images.{one}" for one in _declared(coco.Image)}
    annotations = {f"annotations.{one}" for one in _declared(coco.Annotation)}
    events = set(_columns(SCHEMA))
    return {
        "annotations/instances.json": images | annotations,
        "loss_report.json": {f"losses.{one}" for one in _declared(losses.Reported)},
        "objects/ (root)": _declared(Root),
        "objects/ (bucket)": _declared(Bucket),
        "objects/ (node)": _declared(Node),
        "log/, checkpoints/, latest.json": _declared(LogRecord) | _declared(Checkpoint) | _declared(Hint),
        "tags/": _declared(Tag),
        "objects/ (retired)": _declared(Retired),
        "categories/": _declared(Category),
        "exports/ (sources)": _declared(Export),
        "quarantine/": _declared(quarantine.Record),
        "tables/row_events.parquet": {one for one in events if one.partition(".")[0] in PUBLIC},
        "tables/findings.parquet": set(tables.FINDINGS.names),
        **{f"tables/{name}.parquet": set(schema.names) for name, schema in tables.SCHEMAS.items()},
    }


def listed() -> Fields:
    """What the document lists: the names in the first column of the table below each file's heading."""
    found: Fields = {}
    for section in re.split(r"^### ", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        lines = re.findall(r"^\| (`[^|]*)\|", body.partition("\n## ")[0], re.MULTILINE)
        found[heading.replace("`", "").strip()] = {name for line in lines for name in re.findall(r"`([^`]+)`", line)}
    return found


def fields(value: Any, at: str = "") -> set[str]:
    """The dotted names of all values in a document."""
    if isinstance(value, list) and any(isinstance(child, dict | list) for child in value):
        return {name for child in value for name in _members(child, at, is_map=False)}
    return _members(value, at, is_map=any(at == name or at.endswith(f".{name}") for name in MAPS))


def _members(value: Any, at: str, *, is_map: bool) -> set[str]:
    if isinstance(value, dict):
        return {name for key, child in value.items() for name in fields(child, _below(at, "*" if is_map else key))}
    return {at} if at and value != [] else set()


def _declared(type_: type) -> set[str]:
    return set(_fields_of(msgspec.inspect.type_info(type_), ""))


def _fields_of(info: msgspec.inspect.Type, at: str) -> Iterator[str]:
    match info:
        case msgspec.inspect.StructType():
            for field in info.fields:
                yield from _fields_of(field.type, _below(at, field.encode_name))
        case msgspec.inspect.VarTupleType():
            yield from _fields_of(info.item_type, at)
        case msgspec.inspect.DictType():
            yield from _fields_of(info.value_type, _below(at, "*"))
        case msgspec.inspect.UnionType():
            inner = [
                one for one in info.types if isinstance(one, msgspec.inspect.StructType | msgspec.inspect.DictType)
            ]
            for one in inner:
                yield from _fields_of(one, at)
            if len(inner) < len(info.types) - info.includes_none:
                yield at
        case _:
            yield at


def _columns(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_struct(kind):
            yield from (f"{field.name}.{inner.name}" for inner in kind)
        else:
            yield field.name


def _of(desk: Desk, pattern: str) -> set[str]:
    """The fields of all objects whose place below the label set begins so."""
    keys = [key for key in desk.written("label_sets/street/") if re.match(pattern, key.split("/", 2)[2])]
    return {name for key in keys for name in fields(_json(desk, key))}


def _json(desk: Desk, key: str) -> Any:
    return json.loads(desk.lake.get(key) or b"null")


def _flat(files: Fields) -> set[str]:
    return {f"{file}: {field}" for file, found in files.items() for field in found}


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
