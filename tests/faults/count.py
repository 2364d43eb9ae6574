"""The count of what was survived, said at the end of a run."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from _pytest.terminal import TerminalReporter

from tests.faults.registry import FAULTS


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """A line for each fault, and the sum."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    lost: dict[str, list[str]] = defaultdict(list)
    for outcome in ("passed", "failed", "xfailed", "xpassed", "error"):
        for report in terminalreporter.getreports(outcome):
            given = getattr(report, "user_properties", ())  # none of a module that could not be imported
            told = [pair for pair in given if report.when == "call" or outcome == "error"]
            _count(told, report.nodeid, outcome == "passed", counted, total, lost)
    if not (counted or lost):
        return
    terminalreporter.section("faults")
    for fault in FAULTS:
        if fault.id in counted or fault.id in lost:
            stores = ", ".join(f"{store} {count:,}" for store, count in counted[fault.id].items()) or "none"
            terminalreporter.line(f"{fault.id} {fault.name}: {stores}")
            for nodeid in lost.get(fault.id, []):
                terminalreporter.line(f"    NOT SURVIVED: {nodeid}")
    by_store = ", ".join(f"{store} {count:,}" for store, count in total.items())
    whole = [fault.id for fault in FAULTS if counted.get(fault.id) and fault.id not in lost]
    terminalreporter.line(f"{len(whole)} faults of {len(FAULTS)}, {total.total():,} injections survived ({by_store})")


def _count(
    told: Sequence[tuple[str, object]],
    nodeid: str,
    passed: bool,
    counted: dict[str, Counter[str]],
    total: Counter[str],
    lost: dict[str, list[str]],
) -> None:
    """Add one test: under each of its faults, and once to the total of its store."""
    properties = dict(told)
    ids = properties.get("faults")
    if not isinstance(ids, list):
        return
    counts = [value for name, value in told if name == "injections" and isinstance(value, int)]
    for fault in ids:
        if passed:
            counted[fault][str(properties["store"])] += sum(counts) or 1
        else:
            lost[fault].append(nodeid)
    if passed:
        total[str(properties["store"])] += sum(counts) or 1
