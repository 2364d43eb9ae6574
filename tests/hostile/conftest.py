"""Says in the end how many bad inputs were tried and how many survived."""

from collections import Counter

from _pytest.terminal import TerminalReporter

from tests.hostile.registry import COUNTS, TITLES

FURTHER = {"Y": "valid JSON that is no export", "X": "found by searching"}


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """One line for each letter that was run."""
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            letter = dict(report.user_properties).get("hostile") if report.when == "call" else None
            if isinstance(letter, str):
                tried[letter] += 1
                survived[letter] += outcome == "passed"
    if not tried:
        return
    terminalreporter.section("bad inputs")
    for letter in (*COUNTS, *FURTHER):
        if tried[letter]:
            name = (TITLES | FURTHER)[letter]
            terminalreporter.line(f"{letter} {name}: {survived[letter]} of {tried[letter]} survived")
    listed = sum(tried[letter] for letter in COUNTS)
    whole = sum(survived[letter] for letter in COUNTS)
    terminalreporter.line(f"{whole} of {listed} survived; the list has {sum(COUNTS.values())}")
