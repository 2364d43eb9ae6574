"""What the sensor learns from an export's bytes."""

import gzip
import hashlib
import io
import zipfile

import pytest

from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration import peek as module
from encord_dagster.orchestration.peek import export_hashes, peek
from encord_dagster.storage.memory import MemoryStore

ROW = b'{"export_hash": "new-1", "export_history": [{"export_hash": "new-1"}, {"export_hash": "old-1"}], "a": 1}'


def _listed(store: MemoryStore) -> Export:
    return next(iter(exports_in(store)))


def test_hashes_of_earlier_exports_are_not_this_export() -> None:
    """`export_history`, as a list or by index, names exports that came before."""
    by_index = b'{"export_history":{"0":{"export_hash":"old-2"}},"export_hash":"new-2"}'

    assert export_hashes(b"[" + ROW + b"," + by_index + b"]") == ["new-1", "new-2"]


def test_a_small_export_is_read_whole_and_digested() -> None:
    """The digest is over the bytes as they lie there, compressed or not."""
    store = MemoryStore()
    data = gzip.compress(b"[" + ROW + b"]")
    store.put_hint("a.json.gz", data)

    seen = peek(store, _listed(store))

    assert (seen.hashes, seen.sha256) == (("new-1",), hashlib.sha256(data).hexdigest())


def test_of_a_large_export_only_both_ends_are_read() -> None:
    """Without the whole there is no digest, and hashes in the middle stay unknown."""
    store = MemoryStore()
    middle = b'{"export_hash": "unseen"}'
    filler = b" " * module.WHOLE_UP_TO
    store.put_hint("a.json", b'{"export_hash": "first"}' + filler + middle + filler + b'{"export_hash": "last-1"}')

    seen = peek(store, _listed(store))

    assert (seen.hashes, seen.sha256, seen.changed) == (("first", "last-1"), None, False)


def test_an_export_that_was_rewritten_or_removed_since_the_listing_is_left_alone() -> None:
    """Its bytes would not be those of the id that the listing gave."""
    store = MemoryStore()
    store.put_hint("a.json", b"one")
    export = _listed(store)

    store.put_hint("a.json", b"two")
    rewritten = peek(store, export)
    store.delete("a.json")
    removed = peek(store, export)

    assert rewritten.changed
    assert removed.changed


def test_broken_compression_tells_nothing_and_stops_nothing() -> None:
    """What the bytes are is for the run to decide."""
    store = MemoryStore()
    store.put_hint("a.json.gz", b"\x1f\x8bnot gzip at all")

    seen = peek(store, _listed(store))

    assert (seen.hashes, seen.changed) == ((), False)


def zipped(*contents: bytes) -> bytes:
    """A zip of JSON files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.json", content)
    return file.getvalue()


def test_a_small_zip_is_looked_into() -> None:
    """Label Sets arrive as one file per row."""
    store = MemoryStore()
    store.put_hint("a.zip", zipped(ROW, b'{"export_hash": "new-2"}'))

    assert peek(store, _listed(store)).hashes == ("new-1", "new-2")


def test_a_bomb_is_not_unpacked_in_the_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beyond what its size allows, nor beyond what is needed."""
    late = b" " * 4_000_000 + b'{"export_hash": "late-1"}'

    assert export_hashes(gzip.compress(ROW + late)) == ["new-1"]
    assert export_hashes(zipped(ROW, late)) == ["new-1"]
    monkeypatch.setattr(module, "UNPACKED_UP_TO", 300_000)
    plain = b"".join(b'{"export_hash": "hash-%d"}' % number for number in range(30_000))
    assert 1000 < len(export_hashes(gzip.compress(plain))) < 15_000
