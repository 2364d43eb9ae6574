"""Stores for the faults."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import ObjectStore
from tests.faults.registry import ON_RADOSGW
from tests.faults.stage import Backend

MARK = (
    "faults(*ids, on, slow_on): the faults of the registry that a test shows, the stores it shows them on, "
    "and those that are left to the slow run"
)
SLOW_STORES = ("local", "s3", "radosgw")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the mark means."""
    config.addinivalue_line("markers", MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a backend runs on each store that its mark names."""
    if "backend" not in metafunc.fixturenames:
        return
    (mark,) = metafunc.definition.iter_markers("faults")
    on = mark.kwargs["on"]
    if "s3" in on and ON_RADOSGW & {int(fault[1:]) for fault in mark.args}:
        on = (*on, "radosgw")
    slow = (*mark.kwargs.get("slow_on", ()), "radosgw")
    stores = [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in on]
    metafunc.parametrize("backend", stores, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Over a disk or a network the quick run takes the first case of each test; memory takes all."""
    first: set[tuple[str, str]] = set()
    for item in items:
        mark, callspec = item.get_closest_marker("faults"), getattr(item, "callspec", None)
        store = callspec.params.get("backend", callspec.params.get("proxy")) if callspec else None
        if mark is None or store not in SLOW_STORES or item.get_closest_marker("slow"):
            continue
        test = (item.nodeid.partition("[")[0], store)
        if test in first:
            item.add_marker(pytest.mark.slow)
        first.add(test)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """One kind of store; each `new` is empty."""
    kind: str = request.param
    if kind == "memory":
        return Backend("memory", MemoryStore)
    if kind == "local":
        return Backend("local", lambda: LocalStore(tmp_path / secrets.token_hex(8)))
    client = request.getfixturevalue(f"{kind}_client")
    client.create_bucket(Bucket="faults")

    def new() -> ObjectStore:
        return open_store(f"s3://faults/{secrets.token_hex(8)}", client=client)

    return Backend(kind, new)


@pytest.fixture
def survived(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Tells how many injections a test has survived, where it is not one."""
    return lambda injections: record_property("injections", injections)


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Write down which faults a test shows, and on which store."""
    for mark in request.node.iter_markers("faults"):
        record_property("faults", list(mark.args))
        callspec = getattr(request.node, "callspec", None)
        chosen = [callspec.params[name] for name in ("backend", "proxy") if name in callspec.params] if callspec else []
        record_property("store", chosen[0] if chosen else mark.kwargs.get("on", ("memory",))[0])
