"""Rules that fired on a version: what its root counts is what its row events say, and most of these are not read."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.label_set.events import findings_of, read_events
from encord_dagster.label_set.fired import LOOKED_INTO, _counted, fired
from encord_dagster.label_set.retire import retire
from encord_dagster.samples import bad_row
from encord_dagster.storage.memory import MemoryStore
from tests.effort import examples
from tests.label_set.test_diff import CountingStore
from tests.lakes import DAY, Desk, exported_again, images_export, project_export

BAD = bad_row(seed=3, rows=4, exported_at=DAY)


@settings(max_examples=examples(6), deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_the_root_counts_what_the_events_say(changes: list[int]) -> None:
    """Rows that change, that stay, that are partly in quarantine, and one that is retired."""
    desk = Desk()
    last = project_export(6)
    desk.bring("first.json", last)
    desk.bring("bad.json", BAD)
    for day, changed in enumerate(changes, start=1):
        last = exported_again(last, changed=changed, days=day)
        desk.bring(f"{day}.json", last)
    version = desk.label_set().version()
    gone = next(row.label_hash for row in version.label_rows() if row.fragment)
    retire(desk.lake, "street", "asked to", label_hashes=[gone])

    version = desk.label_set().version()

    told = Counter({rule: one.count for rule, one in _counted(version).items()})
    told.subtract(finding.rule for finding in version.record.doubts)  # these are of the version, the next of exports
    for entry in version.exports().values():
        for row, finding in findings_of(read_events(desk.lake, entry.events)):
            told[finding.rule] -= row is None
    assert version.root.rules == {rule: count for rule, count in sorted(told.items()) if count}


def test_findings_are_looked_for_in_the_newest_exports() -> None:
    """However many there are. Each rule that fired has a first finding."""
    counting = CountingStore(MemoryStore())
    desk = Desk(lake=counting)
    last = images_export(4)
    desk.bring("bad.json", BAD)
    for day in range(LOOKED_INTO + 10):
        desk.bring(f"{day}.json", last)
        last = exported_again(last, changed=1, days=day + 1)
    version = desk.label_set().version()
    counting.read.clear()

    found = fired(version)

    assert sum("/events-" in key for key in counting.read) <= LOOKED_INTO
    assert found.keys() >= (version.root.rules or {}).keys()
    assert any("newest exports" in one.first.message for one in found.values())
