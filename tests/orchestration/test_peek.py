"""What the sensor learns from an export's bytes."""

import gzip
import hashlib

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
