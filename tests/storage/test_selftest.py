"""Stores without create-only writes are refused."""

import pytest

from encord_dagster.errors import UnsafeStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import Create
from encord_dagster.storage.selftest import refuse_unsafe


class IgnoresIfNoneMatch(MemoryStore):
    """Accepts every create, as a server does that does not know the header."""

    def create(self, key: str, data: bytes) -> Create:
        self.put_hint(key, data)
        return Create.CREATED


class RefusesButOverwrites(MemoryStore):
    """Says no and writes all the same."""

    def create(self, key: str, data: bytes) -> Create:
        outcome = super().create(key, data)
        self.put_hint(key, data)
        return outcome


class ForgetsAtOnce(MemoryStore):
    """Refuses the second create, but the first cannot be read."""

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        return None


@pytest.mark.parametrize("kind", [IgnoresIfNoneMatch, RefusesButOverwrites, ForgetsAtOnce])
def test_a_store_that_does_not_keep_the_first_object_is_refused(kind: type[MemoryStore]) -> None:
    """Each way to lose the first of two creates is found, and advice is given."""
    store = kind()

    with pytest.raises(UnsafeStore, match=r"memory://.*If-None-Match"):
        refuse_unsafe(store, prefix="selftest/")


def test_a_refused_store_is_refused_again() -> None:
    """Only a pass is remembered."""
    store = IgnoresIfNoneMatch()

    for _ in range(2):
        with pytest.raises(UnsafeStore):
            refuse_unsafe(store, prefix="selftest/")


def test_a_pass_says_nothing_about_another_store() -> None:
    """Unnamed memory stores have urls of their own, so none passes for another."""
    refuse_unsafe(MemoryStore(), prefix="selftest/")

    with pytest.raises(UnsafeStore):
        refuse_unsafe(IgnoresIfNoneMatch(), prefix="selftest/")
