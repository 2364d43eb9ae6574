"""What describes a version: Croissant as mlcroissant reads it, provenance by PROV-O; both small and deterministic."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats import croissant, provenance, tables
from encord_dagster.formats.croissant import File
from encord_dagster.formats.provenance import EXPORTS_NAMED, HASHES_NAMED, About, Origin
from encord_dagster.label_set.described import FILES
from tests.lakes import Desk, exported_again, images_export, project_export

Json = dict[str, Any]

INTERPRETER = Path(__file__).parents[2] / ".make" / "croissant" / "bin" / "python"
READ = """
import json, logging, sys
import mlcroissant
logging.disable(logging.CRITICAL)
dataset = mlcroissant.Dataset(sys.argv[1])
counts = {one.id: sum(1 for _ in dataset.records(one.id)) for one in dataset.metadata.record_sets}
issues = dataset.metadata.issues
print(json.dumps({"errors": sorted(map(str, issues.errors)), "warnings": len(issues.warnings), "records": counts}))
"""


def published(config: LabelSetConfig | None = None) -> Desk:
    """A label set of all shapes with two versions."""
    desk = Desk(config=config)
    data = project_export(8)
    desk.bring("one.json", data)
    desk.bring("two.json", exported_again(data, changed=2))
    return desk


def described(desk: Desk, version: int | str = "latest") -> dict[str, Json]:
    """The documents of a version."""
    root = desk.label_set().version(version).root
    return {name: json.loads(desk.lake.get(root.files[name].key) or b"") for name in FILES}


def test_a_version_holds_its_descriptions() -> None:
    """Both are files of the root; the Croissant document names the other by its sha256, and is no live dataset."""
    desk = published()

    document = described(desk)[croissant.FILE]

    root = desk.label_set().version().root
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert (document["name"], document["version"], document["isLiveDataset"]) == ("street", "2.0.0", False)
    held = {one["@id"]: one["sha256"] for one in document["distribution"] if one["@type"] == "cr:FileObject"}
    assert held == {name: ref.sha256 for name, ref in root.files.items() if name != croissant.FILE}


def test_every_reference_of_the_document_leads_somewhere() -> None:
    """Ids are unique, every source is in the distribution, every column in the schema, every term in the context."""
    document = described(published())[croissant.FILE]

    resources = [one["@id"] for one in document["distribution"]]
    fields = [field for one in document["recordSet"] for field in one["field"]]
    ids = [*resources, *(one["@id"] for one in document["recordSet"]), *(field["@id"] for field in fields)]
    assert len(set(ids)) == len(ids)
    for field in fields:
        table, column = field["@id"].split("/")
        schema = tables.FINDINGS if table == "findings" else tables.SCHEMAS[table]
        assert column == field["source"]["extract"]["column"]
        assert column in schema.names
        place = field["source"].get("fileObject") or field["source"]["fileSet"]
        assert place["@id"] in resources
    assert {key for key in terms(document) if key not in document["@context"]} <= SCHEMA_ORG | {"key"}


SCHEMA_ORG = {
    *("name", "description", "version", "identifier", "distribution"),
    *("contentUrl", "contentSize", "encodingFormat", "sha256"),
}


def terms(value: object) -> set[str]:
    """The plain names of all properties in a JSON-LD document, without those of its context."""
    if isinstance(value, list):
        return {term for one in value for term in terms(one)}
    if not isinstance(value, dict):
        return set()
    own = {key for key in value if not key.startswith("@") and ":" not in key}
    return own | {term for key, one in value.items() if key != "@context" for term in terms(one)}


def test_a_large_coco_file_and_masks_are_file_sets() -> None:
    """What only a checkout puts together has a pattern; masks are named where there are some."""
    desk = published(LabelSetConfig(name="street", inline_coco_bytes=0, masks=False))

    document = described(desk)[croissant.FILE]

    patterns = [one["includes"] for one in document["distribution"] if one["@type"] == "cr:FileSet"]
    assert "annotations/instances.json" in patterns
    assert not any(pattern.startswith("masks/") for pattern in patterns)
    with_masks = described(published())[croissant.FILE]["distribution"]
    assert any(one.get("includes", "").startswith("masks/") for one in with_masks)


def test_a_checkout_holds_the_descriptions_of_its_version(tmp_path: Path) -> None:
    """The bytes that the root names; what it lists with a sha256 lies there so."""
    desk = published()
    root = desk.label_set().version().root

    desk.label_set().version().checkout(tmp_path / "out")

    for name, ref in root.files.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == ref.sha256


def test_provenance_names_what_the_version_was_made_of() -> None:
    """The export by its bytes, the version before by its content, converter and configuration, the row events."""
    desk = published()
    label_set = desk.label_set()

    graph = {one["@id"]: one for one in described(desk)[provenance.FILE]["@graph"]}

    record = label_set.log()[-1]
    (entry,) = record.exports
    version = graph[provenance.content(record.content_digest)]
    assert version["prov:wasDerivedFrom"] == [{"@id": f"nih:sha-256;{entry.sha256}"}]
    before = provenance.content(label_set.version(1).root.content_digest)
    assert version["prov:wasRevisionOf"] == {"@id": before}
    assert before in graph
    made_by = graph[version["prov:wasGeneratedBy"]["@id"]]
    assert made_by["encord:converterVersion"] == record.converter_version
    assert made_by["encord:configDigest"] == record.config_digest
    assert made_by["prov:wasAssociatedWith"]["@id"] in graph
    export = graph[f"nih:sha-256;{entry.sha256}"]
    assert export["encord:rowEvents"] == {"@id": f"nih:sha-256;{entry.events.sha256}"}
    assert set(export["encord:exportHash"]) == set(label_set.export_hashes(entry))
    assert "prov:wasRevisionOf" not in json.dumps(described(desk, 1)[provenance.FILE])


def test_the_same_publish_gives_the_same_bytes_and_no_times() -> None:
    """Two lakes with the same exports have the same descriptions, and neither holds a time or an export id."""
    one, two = published(), published()

    for name in FILES:
        data = one.lake.get(one.label_set().version().root.files[name].key) or b""
        assert data == two.lake.get(two.label_set().version().root.files[name].key)
        assert not re.search(rb"20\d\d-?\d\d-?\d\dT", data)


def test_another_order_gives_other_descriptions_of_the_same_content() -> None:
    """The content digest is that of the labels alone, whatever the exports came in."""
    first = images_export(4)
    second = exported_again(first, changed=2)
    forth, back = Desk(), Desk()
    forth.bring("a.json", first)
    forth.bring("b.json", second)
    back.bring("b.json", second)
    back.bring("a.json", first)

    roots = [desk.label_set().version().root for desk in (forth, back)]

    assert roots[0].content_digest == roots[1].content_digest
    assert roots[0].files[provenance.FILE] != roots[1].files[provenance.FILE]


def test_descriptions_stay_small() -> None:
    """A version of a million rows out of ten thousand exports: both documents below 100 KB, and what they leave out."""
    origins = tuple(
        Origin(
            sha256=hashlib.sha256(b"%d" % number).hexdigest(),
            events=hashlib.sha256(b"e%d" % number).hexdigest(),
            rows=100,
            export_hashes=tuple(f"{number:08}-{place}" for place in range(100)),
            export_hash_count=100,
        )
        for number in range(10_000)
    )
    about = About(
        name="street",
        version=7,
        content_digest="c" * 64,
        config_digest="d" * 64,
        converter_version=2,
        rows=10**6,
        images=10**6,
        annotations=10**7,
        parent="p" * 64,
        exports=origins,
    )

    data = provenance.document(about)
    other = croissant.document(about, {provenance.FILE: File("a" * 64, len(data))}, masks=True)

    assert len(data) < 100_000
    assert len(other) < 100_000
    graph = json.loads(data)["@graph"]
    assert graph[0]["encord:exportCount"] == 10_000
    assert len(graph[0]["prov:wasDerivedFrom"]) == EXPORTS_NAMED
    assert sum(len(one.get("encord:exportHash", ())) for one in graph) == HASHES_NAMED
    assert provenance.document(about) == data


@pytest.mark.slow
def test_mlcroissant_reads_every_record(tmp_path: Path) -> None:
    """Without an error, and as many records as the tables have."""
    if not INTERPRETER.exists():
        pytest.skip("mlcroissant has an environment of its own, which is not there: make croissant")
    desk = published()
    folder = tmp_path / "out"
    desk.label_set().version().checkout(folder)

    command: list[str | Path] = [INTERPRETER, "-c", READ, folder / croissant.FILE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    found = json.loads(done.stdout)
    assert found["errors"] == []
    assert found["warnings"] <= 3  # citeAs, datePublished, license: the owner's to say
    assert found["records"] == {
        name: pq.read_metadata(folder / "tables" / f"{name}.parquet").num_rows for name in croissant.RECORDS
    }
    assert found["records"]["annotations"] > 100
