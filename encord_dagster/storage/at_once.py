"""Several calls of a store at a time, where each is a wait and the store says that it may be asked so."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from encord_dagster.storage.protocol import ObjectStore

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(store: ObjectStore, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` on each item, results in the order of items: one by one, or by as many threads as the store has calls.

    No more than twice as many results wait. What `work` raises is raised here, and no further item is begun. Threads
    begin once work has waited longer than it has computed: on a fast disk they would mostly wait for each other.
    """
    calls: int = getattr(store, "calls_at_once", 1)
    waited, rest = 0.0, iter(items)
    for item in rest:
        started, computed = time.perf_counter(), time.thread_time()
        result = work(item)
        waited += time.perf_counter() - started - 2 * (time.thread_time() - computed)
        yield result
        if calls > 1 and waited > 0:
            yield from _by_threads(calls, work, rest)


def _by_threads(calls: int, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    pool = ThreadPoolExecutor(calls, thread_name_prefix="store")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * calls:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
