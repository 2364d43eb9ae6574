"""Markdown of our own: hostile names stay text, tables stay within their bytes, and the most important comes first."""

import json

import pytest

from encord_dagster.findings import Finding, Location
from encord_dagster.formats.chart import ClassBar
from encord_dagster.label_set.beside import Beside
from encord_dagster.label_set.fired import Fired
from encord_dagster.label_set.touched import Fate
from encord_dagster.orchestration import markdown, readable
from tests.orchestration.conftest import newest
from tests.orchestration.hostile_names import NAMES


def beside(*classes: ClassBar, before: int = 1, whole: bool = True, converted: int = 0) -> Beside:
    """A version that changed these classes."""
    rows: dict[Fate, int] = {"added": 2, "removed": 0, "changed": 1, "converted": converted}
    return Beside(before=before, after=2, rows=rows, whole=whole, classes=classes, scenes=())


def told(section: readable.Section, room: int = 5000) -> str:
    """The Markdown of one section."""
    return str(readable.fitted([section], room)[section.key].value)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_code_whatever_it_says(name: str) -> None:
    """One pair of backticks round it, none in it, and nothing that ends a cell or a line."""
    shown = markdown.code(name)

    assert shown[0] == shown[-1] == "`"
    assert "`" not in shown[1:-1]
    assert "|" not in shown.replace("\\|", "")
    assert shown.isprintable()


def test_a_name_of_nothing_or_of_very_much_is_code_too() -> None:
    """An empty pair of backticks would open a longer one."""
    assert markdown.code("") == markdown.code("\n\t") == "` `"
    assert len(markdown.code("x" * 100_000)) == 82


def test_hostile_names_make_one_line_each() -> None:
    """In every table that names classes, places or hashes."""
    bars = [ClassBar(number, name, number, 0) for number, name in enumerate(NAMES, 1)]
    odd = Finding("bad_object", "error", Location(row=NAMES[0], object=NAMES[5]), NAMES[1])
    tables = [
        told(readable.changes(beside(*bars))).partition("\n\n")[2],
        told(readable.classes(dict.fromkeys(NAMES, 1))),
        told(readable.findings([odd])),
        told(readable.version_findings([odd])),
        told(readable.fired({"bad_object": Fired(1, odd, "events")})),
    ]

    for table in tables:
        lines = table.partition("\n\n")[0].splitlines()
        columns = lines[0].count("|")
        assert [line.replace("\\|", "").count("|") for line in lines] == [columns] * len(lines)
        assert "evil" not in "".join(line.split("`")[0::2][0] for line in lines)


def test_a_table_takes_no_more_bytes_than_it_may() -> None:
    """As the database counts them, where a letter may be six bytes; what is left out is said."""
    names = {f"車両{number}" * 5: number for number in range(500)}

    text = told(readable.classes(names))

    assert len(json.dumps(text)) <= readable.classes({}).most + 80
    assert "encord-dagster show" in text


def test_sections_share_their_room_and_the_first_come_first() -> None:
    """The last one goes without."""
    many = {f"class {number}": number for number in range(500)}

    shown = readable.fitted([readable.classes(many), readable.lineage(newest().records)], 700)

    assert list(shown) == ["encord/classes"]


def test_changes_say_what_moved_and_leave_out_what_did_not() -> None:
    """Most first."""
    text = told(
        readable.changes(beside(ClassBar(1, "Car", 1200, 1150), ClassBar(2, "Bus", 4, 4), ClassBar(3, "Tram", 0, 90)))
    )

    assert text.splitlines() == [
        "Label rows since version 1:",
        "",
        "2 added, 1 changed, 0 removed",
        "",
        "| before | now | change | class |",
        "| --- | --- | --- | --- |",
        "| 90 | 0 | -90 | `Tram` |",
        "| 1,150 | 1,200 | +50 | `Car` |",
    ]


def test_a_first_version_and_one_that_was_compared_in_part_say_so() -> None:
    """Nobody takes a part for the whole."""
    first = told(readable.changes(beside(ClassBar(1, "Car", 5), before=0)))
    part = told(readable.changes(beside(ClassBar(1, "Car", 5, 5), whole=False, converted=7)))

    assert first == "2 label rows; no version before is kept."
    assert "7 converted anew\n\nof the part that was compared" in part


def test_findings_lead_to_the_lake() -> None:
    """Rule, and the export: a partition in Dagster, a folder in the lake."""
    odd = Finding("bad_hash", "warning", Location(row="row-1"), "odd")

    text = told(readable.fired({"bad_hash": Fired(3, odd, "label_sets/street/exports/e1/events-0.parquet")}))

    assert text.splitlines()[-1] == "| 3 | warning | bad_hash | `e1` |"


def test_what_fits_the_page_is_shown_without_a_click() -> None:
    """Dagster 1.13.27 shows Markdown of less than 1,000 letters at once."""
    many = {f"class {number}": number for number in range(500)}
    log = [newest().records[0]] * 50

    assert all(len(told(one)) < 1000 for one in (readable.classes(many), readable.lineage(log), readable.losses(many)))
