"""Publishers in threads that make one storage call at a time, in the order of a schedule."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

from encord_dagster.pipeline import ingest
from tests.faults.stage import CONFIG, Act, Around, Crash, Watched
from tests.lakes import Desk

Schedule = list[int]


class Stepper:
    """Lets threads make one storage call at a time, in the order of a schedule."""

    def __init__(self, schedule: Iterator[int]) -> None:
        self.schedule = schedule
        self.changed = threading.Condition()
        self.parked: set[int] = set()
        self.ended: set[int] = set()
        self.turn: int | None = None

    def pass_through(self, me: int) -> Around:
        """What the calls of one thread go through."""

        def around(call: str, key: str, act: Act) -> object:
            with self.changed:
                self.parked.add(me)
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.turn == me)
                self.turn = None
                self.parked.discard(me)
                return act()

        return around

    def end(self, me: int) -> None:
        """A thread makes no further call."""
        with self.changed:
            self.ended.add(me)
            self.changed.notify_all()

    def drive(self, threads: int) -> None:
        """Wait until every thread stands before a call or is done; let one go; again."""
        while True:
            with self.changed:
                ready = self.changed.wait_for(
                    lambda: self.turn is None and len(self.parked) + len(self.ended) == threads, timeout=60
                )
                assert ready, "a thread hangs"
                if len(self.ended) == threads:
                    return
                wanted = next(self.schedule, 0)
                self.turn = wanted if wanted in self.parked else min(self.parked)
                self.changed.notify_all()


def interleaved(schedule: Sequence[int], *works: Callable[[Around], object]) -> list[object]:
    """Do several works at once, their storage calls in the order of the schedule; what each gave, or its error."""
    stepper = Stepper(iter(schedule))

    def do(me: int) -> object:
        try:
            return works[me](stepper.pass_through(me))
        except (Exception, Crash) as error:  # noqa: BLE001 - the test judges it
            return error
        finally:
            stepper.end(me)

    with ThreadPoolExecutor(len(works)) as pool:
        doing = [pool.submit(do, me) for me in range(len(works))]
        stepper.drive(len(works))
        return [one.result() for one in doing]


def publisher(desk: Desk, key: str) -> Callable[[Around], object]:
    """A work: publish one delivered export."""
    export = desk.deliver(key, desk.landing.get(key) or b"")

    def publish(around: Around) -> object:
        return ingest([export], landing=desk.landing, lake=Watched(desk.lake, around), config=CONFIG)

    return publish


def overtaken(step: int, *, calls: int = 64) -> list[Schedule]:
    """One of two works is overtaken at each of its calls, and goes on when the other is done."""
    places = range(step // 2, calls, step)
    return [[first] * at + [1 - first] * 500 for first in (0, 1) for at in places]


def twice_overtaken(step: int, *, calls: int = 64) -> list[Schedule]:
    """The first is overtaken at any call, goes on when the other has made some of its own, and then it is its turn."""
    places = range(1, calls, step)
    return [[0] * one + [1] * other + [0] * 500 for one in places for other in places]


def by_chance(count: int, *, works: int = 2) -> list[Schedule]:
    """Strict turns, and turns by chance."""
    turns = [list(range(works)) * 300]
    return turns + [Random(seed).choices(range(works), k=900) for seed in range(count)]
