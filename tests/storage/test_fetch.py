"""A large object copied to a file in ranges."""

import io

import pytest

from encord_dagster.errors import StorageError
from encord_dagster.storage import fetch as module
from encord_dagster.storage.fetch import fetch
from tests.storage.test_at_once import Waiting


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """A store that may be asked four things at a time, with ranges of seven bytes."""
    monkeypatch.setattr(module, "STEP", 7)
    return Waiting(4)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 200])
def test_an_object_is_copied_whole(store: Waiting, size: int) -> None:
    """Whatever is left for the last range."""
    store.create("a.json", bytes(range(size)))
    (info,) = store.list()
    to = io.BytesIO()

    fetch(store, "a.json", etag=info.etag, size=info.size, to=to)

    assert to.getvalue() == bytes(range(size))


def test_an_object_that_changed_since_it_was_listed_is_refused(store: Waiting) -> None:
    """Half of one and half of the other would be no export of anybody."""
    store.create("a.json", b"x" * 50)
    (info,) = store.list()
    store.put_hint("a.json", b"y" * 50)

    with pytest.raises(StorageError, match="changed"):
        fetch(store, "a.json", etag=info.etag, size=info.size, to=io.BytesIO())


def test_an_object_that_went_is_refused(store: Waiting) -> None:
    """It says what and what to do."""
    with pytest.raises(StorageError, match="run again"):
        fetch(store, "a.json", etag="e", size=50, to=io.BytesIO())
