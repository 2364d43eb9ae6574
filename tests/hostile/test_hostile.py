"""Every bad input of the list goes through the whole pipeline between two good exports, and stops only itself."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests import factories as make
from tests.hostile.case import Case, Delivery, accepted, beside, one, refused
from tests.hostile.judge import complaints
from tests.hostile.registry import CASES, COUNTS, FOUND, VALID
from tests.hostile.runner import Verdict, Worker, worker

LISTED = 291
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    """The process in which the light cases run."""
    with worker() as running:
        yield running


def params(cases: tuple[Case, ...]) -> list[object]:
    """The cases as parameters."""
    return [pytest.param(case, id=case.title, marks=[pytest.mark.slow] if case.slow else []) for case in cases]


def verdict_on(case: Case, shared: Worker, record: Record) -> Verdict:
    """Run a case, a heavy one alone, and write it down for the summary."""
    record("hostile", case.id[0])
    if not case.heavy:
        return shared.run(case.id)
    with worker() as own:
        return own.run(case.id)


@pytest.mark.parametrize("case", params(CASES))
def test_a_bad_input_stops_only_itself(case: Case, shared: Worker, record_property: Record) -> None:
    """It gets its named outcome; good exports beside it are published; memory stays below 1 GiB."""
    verdict = verdict_on(case, shared, record_property)

    assert verdict.complaints == []


@pytest.mark.parametrize("case", params(VALID))
def test_valid_json_that_is_no_export_fails_by_schema_alone(
    case: Case, shared: Worker, record_property: Record
) -> None:
    """It is read as JSON: alone it holds no label rows, inside a row it harms nothing."""
    verdict = verdict_on(case, shared, record_property)

    assert verdict.complaints == []


@pytest.mark.parametrize("case", params(FOUND))
def test_a_bad_input_beyond_the_list_stops_only_itself(case: Case, shared: Worker, record_property: Record) -> None:
    """What searching has found is held the same way."""
    verdict = verdict_on(case, shared, record_property)

    assert verdict.complaints == []


def test_the_list_is_whole() -> None:
    """As many bad inputs as the list has, by letter, each with its own name; and 95 valid texts."""
    counted = Counter(case.id[0] for case in CASES)

    assert counted == COUNTS
    assert len(CASES) == LISTED
    assert [case.id for case in CASES] == [f"{key}{n:0{_digits(key)}}" for key in COUNTS for n in _numbers(key)]
    assert len({(case.id[0], case.name) for case in CASES}) == LISTED
    assert len(VALID) == 95


@pytest.mark.parametrize(
    ("delivery", "complaint"),
    [
        (Delivery(data=b"", expected=accepted(1)), "status"),
        (Delivery(data=b"", expected=refused("not_json")), "reason"),
        (Delivery(data=beside(make.image_row(make.box(y=6204))), expected=accepted(2)), "objects published"),
        (Delivery(data=beside(make.image_row(make.box())), expected=accepted(3)), "objects published"),
        (Delivery(data=beside(make.image_row(make.box())), expected=accepted(2, "bad_time")), "findings missing"),
        (Delivery(data=beside(make.image_row(make.box())), expected=accepted(2), seen=("zebra",)), "COCO file"),
    ],
)
def test_the_judge_complains_of_another_outcome(delivery: Delivery, complaint: str) -> None:
    """A judge that is content with everything proves nothing."""
    case = Case(id="N99", name="wrong", make=lambda: [delivery])

    found = complaints(case)

    assert any(complaint in one_ for one_ in found)


def test_the_judge_finds_what_was_planted() -> None:
    """A text that is published is found in the COCO file and in the tables."""
    data = beside(make.image_row(make.box(name="planted canary", featureHash="CanaryCl")))
    case = Case(id="N99", name="leak", make=lambda: one(data, accepted(2)), absent=("planted canary",))

    found = complaints(case)

    assert any("stands in coco" in one_ for one_ in found)
    assert any("stands in annotations" in one_ for one_ in found)
    assert any("stands in said" in one_ for one_ in found)


def test_a_process_that_dies_is_a_complaint_and_the_next_case_runs() -> None:
    """As after a segmentation fault."""
    with worker() as running:
        dead = running.run("no such case")
        alive = running.run("B01")

    assert dead.complaints == ["the process died with exit code 1"]
    assert (alive.complaints, alive.peak > 50) == ([], True)


def _digits(key: str) -> int:
    return 3 if key == "J" else 2


def _numbers(key: str) -> range:
    return range(1, COUNTS[key] + 1)
