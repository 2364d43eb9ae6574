"""Sets with so many buckets that nodes name them: the same versions, and a publish that writes what changed."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encord_dagster.label_set import manifest, objects, tree
from encord_dagster.label_set.diff import diff
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.manifest import BucketRef, Node, ObjectRef, Root, sha256
from encord_dagster.label_set.operations import rollback
from encord_dagster.label_set.retire import retire
from encord_dagster.label_set.tree import Tree
from encord_dagster.label_set.verify import verify
from encord_dagster.storage.memory import MemoryStore
from tests.effort import examples
from tests.lakes import Desk, exported_again, images_export

FIRST = images_export(40)
SECOND = exported_again(FIRST, changed=3, added=2, deleted=1)
THIRD = exported_again(SECOND, days=2, changed=2)


@pytest.fixture
def tall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets of four hex digits for a few rows."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 0.001)


def desk_with(*exports: bytes) -> Desk:
    """A label set of these exports."""
    desk = Desk()
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk


@pytest.fixture
def flat() -> Desk:
    """The same label set in one bucket, made before prefixes get long."""
    return desk_with(FIRST, SECOND)


def test_a_set_with_nodes_holds_what_a_flat_one_holds(flat: Desk, tall: None, tmp_path: Path) -> None:
    """Content digest, COCO file, tables, differences and checkout do not tell how buckets are named."""
    desk = desk_with(FIRST, SECOND)
    one, other = flat.label_set().version(), desk.label_set().version()

    assert (one.root.prefix_length, other.root.prefix_length) == (0, 4)
    assert not other.root.buckets
    assert tree.count(other.root) == other.rows
    assert one.root.content_digest == other.root.content_digest
    assert one.coco() == other.coco()
    assert one.table("annotations").equals(other.table("annotations"))
    was, now = (diff(at.label_set(), 1, 2) for at in (flat, desk))
    assert (was.rows, was.objects) == (now.rows, now.objects)
    assert [(one.label_hash, one.fate, one.objects) for one in was.listed] == [
        (one.label_hash, one.fate, one.objects) for one in now.listed
    ]
    assert [p.relative_to(tmp_path / "a") for p in one.checkout(tmp_path / "a")] == [
        p.relative_to(tmp_path / "b") for p in other.checkout(tmp_path / "b")
    ]
    assert verify(desk.lake, "street").problems == []


def test_a_publish_writes_the_nodes_above_what_changed(tall: None) -> None:
    """And reads no others."""
    desk = desk_with(FIRST, SECOND)
    before = desk.written("label_sets/street/objects/")

    desk.bring("third.json", THIRD)

    new = [desk.lake.get(key) or b"" for key in desk.written("label_sets/street/objects/") - before]
    assert sum(_is_node(data) for data in new) == 2 * 2  # of two and of three digits, above each changed row
    assert desk.label_set().log()[-1].buckets == 2


def _is_node(data: bytes) -> bool:
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    return isinstance(value, dict) and value.keys() in (
        {"format_version", "nodes"},
        {"format_version", "buckets"},
    )


def test_operations_go_through_nodes(tall: None) -> None:
    """Going back, taking out, garbage collection and verification."""
    desk = desk_with(FIRST, SECOND, THIRD)
    row = next(desk.label_set().version().label_rows()).label_hash

    retire(desk.lake, "street", "consent withdrawn", label_hashes=[row])
    assert row not in {one.label_hash for one in desk.label_set().version().label_rows()}
    rollback(desk.lake, "street", 1, "labels were wrong")
    report = gc(desk.lake, "street", keep=1)

    assert report.removed
    assert verify(desk.lake, "street").problems == []
    held = {one.label_hash for one in desk.label_set().version().label_rows()}
    assert held == {one.label_hash for one in desk_with(FIRST).label_set().version().label_rows()} - {row}


@pytest.mark.parametrize("damage", ["flipped", "missing", "sums"])
def test_a_damaged_node_is_named_and_refused(damage: str, tall: None) -> None:
    """A node that says other sums is found also where its own digest holds."""
    desk = desk_with(FIRST)
    root = desk.label_set().version().root
    prefix, named = next(iter(root.nodes.items()))
    if damage == "sums":
        forged = msgspec.structs.replace(named, coco_size=named.coco_size + 1)
        _replace_root(desk, msgspec.structs.replace(root, nodes={**root.nodes, prefix: forged}))
    else:
        data = desk.lake.get(named.ref.key) or b""
        desk.lake.delete(named.ref.key)
        if damage == "flipped":
            desk.lake.create(named.ref.key, data.replace(b'"rows":', b'"rowt":', 1))

    assert any(named.ref.key in problem for problem in verify(desk.lake, "street").problems)


def _replace_root(desk: Desk, root: Root) -> None:
    record = desk.label_set().head.record
    assert record
    assert record.root
    ref = objects.write(desk.lake, "street", 0, manifest.encode(root))
    data = manifest.encode(msgspec.structs.replace(record, root=ref))
    (key,) = desk.written("label_sets/street/log/")
    desk.lake.put_hint(key, data)


def prefixes(length: int) -> st.SearchStrategy[dict[str, bool]]:
    """Some prefixes, and whether the bucket of each is there."""
    digits = st.text("0123", min_size=length, max_size=length)
    return st.dictionaries(digits, st.booleans(), max_size=12)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), length=st.integers(1, 5))
def test_a_tree_grown_in_steps_is_the_tree_grown_at_once(data: st.DataObject, length: int) -> None:
    """Any sequence of changes ends in the same names as one that brings the end alone, byte for byte."""
    lake = MemoryStore()
    held: dict[str, BucketRef] = {}
    grown: Tree | None = None
    for step in range(data.draw(st.integers(1, 4))):
        changes = {
            prefix: _bucket(prefix, step) if there else None for prefix, there in data.draw(prefixes(length)).items()
        }
        held = {prefix: ref for prefix, ref in {**held, **changes}.items() if ref}
        grown = Tree(lake, _root(_grown(lake, grown, changes, length), length))
    assert grown
    at_once = _root(_grown(lake, None, held, length), length)

    assert grown.root == at_once
    assert dict(grown.buckets()) == held
    assert list(dict(grown.buckets())) == sorted(held)
    assert all(grown.bucket(prefix) == held.get(prefix) for prefix in held)
    assert grown.bucket("9" * length) is None
    assert tree.count(grown.root) == len(held)
    assert manifest.content_digest(tree.upper(grown.root), "c") == manifest.content_digest(held, "c")
    assert all(dict(grown.below(key[:2])) == {k: v for k, v in held.items() if k.startswith(key[:2])} for key in held)


def _bucket(prefix: str, step: int) -> BucketRef:
    digest = sha256(f"{prefix}{step}".encode())
    return BucketRef(ref=ObjectRef(f"k/{digest}", digest, 1), rows=2, digest=digest, coco_size=3)


def _grown(lake: MemoryStore, before: Tree | None, changes: Mapping[str, BucketRef | None], length: int) -> tree.Names:
    def write(data: bytes) -> ObjectRef:
        assert msgspec.json.decode(data, type=Node)
        return objects.write(lake, "street", 0, data)

    return tree.grown(before, changes, length=length, write=write)


def _root(names: tree.Names, length: int) -> Root:
    return Root(
        format_version=manifest.FORMAT_VERSION,
        content_digest="",
        config_digest="",
        prefix_length=length,
        buckets=names.buckets,
        nodes=names.nodes,
        categories=(),
        classes=(),
        datasets=(),
        id_overrides={},
        files={},
        rows=0,
        tombstones=0,
        images=0,
        annotations=0,
    )


def test_a_bucket_holds_no_more_annotations_than_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of few rows with many annotations has several buckets too, but no more than about one for each row."""
    monkeypatch.setattr(manifest, "ANNOTATIONS_PER_BUCKET", 20)
    desk = desk_with(images_export(12))

    root = desk.label_set().version().root
    assert (root.rows <= 16, root.annotations > 20, root.prefix_length) == (True, True, 1)
    assert len(root.buckets) > 4
    assert verify(desk.lake, "street").problems == []
    assert [manifest.prefix_length(rows, 10**9) for rows in (0, 1, 2, 16, 17)] == [0, 0, 1, 1, 2]
    assert manifest.prefix_length(2, 10, at_least=3) == 3
