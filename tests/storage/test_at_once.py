"""Several calls of a store at a time: the same results in the same order, and no more begun after a failure."""

import threading
import time
from types import SimpleNamespace

import pytest

from encord_dagster.errors import StorageError
from encord_dagster.storage.at_once import at_once
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import Create
from tests.lakes import DAY, Desk, exported_again, images_export


class Waiting(MemoryStore):
    """A store in memory whose writes take a while, and that may be asked several things at a time."""

    def __init__(self, calls_at_once: int) -> None:
        super().__init__("waiting")
        self.calls_at_once = calls_at_once
        self.now = self.most = 0
        self._count = threading.Lock()

    def create(self, key: str, data: bytes) -> Create:
        """As ever, and later."""
        with self._count:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.001)
        try:
            return super().create(key, data)
        finally:
            with self._count:
                self.now -= 1


@pytest.mark.parametrize("calls", [1, 4])
def test_results_come_in_the_order_of_items(calls: int) -> None:
    """Also where the first takes longest."""

    def work(item: int) -> int:
        time.sleep(0.01 if item == 0 else 0)
        return item * item

    assert list(at_once(Waiting(calls), work, range(50))) == [item * item for item in range(50)]


@pytest.mark.parametrize("calls", [1, 4])
def test_a_failure_is_raised_and_few_items_more_are_begun(calls: int) -> None:
    """What would come after it is not asked of the store."""
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 5:
            raise StorageError("the store is away")
        return item

    with pytest.raises(StorageError, match="away"):
        list(at_once(Waiting(calls), work, range(1000)))

    assert len(begun) <= 5 + 3 * calls


def test_work_that_does_not_wait_is_done_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a fast disk: threads that compute would wait for each other."""
    clocks = SimpleNamespace(perf_counter=time.thread_time, thread_time=time.thread_time)
    monkeypatch.setattr("encord_dagster.storage.at_once.time", clocks)  # others use this machine too

    def work(_: int) -> int:
        sum(range(20_000))
        return threading.get_ident()

    assert set(at_once(Waiting(4), work, range(20))) == {threading.get_ident()}


def test_a_lake_is_the_same_however_many_calls_there_are_at_once() -> None:
    """To the byte, and the calls did overlap."""
    first = images_export(300)
    lakes: list[dict[str, bytes | None]] = []
    most = []
    for calls in (1, 8):
        store = Waiting(calls)
        desk = Desk(store)
        for number, data in enumerate((first, exported_again(first, changed=40))):
            desk.landing = MemoryStore(now=lambda: DAY)
            desk.bring(f"{number}.json", data)
        lakes.append({key: store.get(key) for key in desk.written() if "/probes/" not in key})
        most.append(store.most)

    assert lakes[0] == lakes[1]
    assert most[0] == 1 < most[1]
