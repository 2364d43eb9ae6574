"""The plain COCO file of the next version, copied out of that of the version before: the same as out of the buckets."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats import coco
from encord_dagster.label_set.document import coco_document
from encord_dagster.label_set.retire import retire
from encord_dagster.label_set.rewritten import rewritten
from tests import factories as make
from tests.effort import examples
from tests.label_set.test_patches import CHANGES
from tests.lakes import Desk, exported_again, images_export

CONFIG = LabelSetConfig(name="street", masks=False, hold_back=())
FIRST = images_export(40)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each file that was asked for, whether it could be copied."""
    found: list[bool] = []

    def told(*given: Any, **named: Any) -> Any:
        made = rewritten(*given, **named)
        found.append(made is not None)
        return made

    monkeypatch.setattr("encord_dagster.label_set.publish.rewritten", told)
    return found


def desk_with(*exports: bytes) -> Desk:
    """A label set that took in some exports."""
    desk = Desk(config=CONFIG)
    for number, data in enumerate(exports):
        desk.bring(f"{number}.json", data)
    return desk


def is_as_in_buckets(desk: Desk) -> bool:
    """Whether the plain file of the newest version is what its buckets come to."""
    version = desk.label_set().version()
    return desk.lake.get(version.root.files[coco.FILE].key) == b"".join(coco_document(desk.lake, version.root))


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_it_is_what_the_buckets_come_to(changes: list[dict[str, int]]) -> None:
    """Whatever changed, came and went."""
    desk = desk_with(FIRST)
    data = FIRST
    for day, change in enumerate(changes, start=1):
        data = exported_again(data, days=day, **change)
        desk.bring(f"day-{day}.json", data)
        assert is_as_in_buckets(desk)


def test_a_version_of_which_little_changed_is_copied(copied: list[bool]) -> None:
    """Changed rows, new ones before, between and behind the others, and rows that are gone."""
    desk = desk_with(FIRST, exported_again(FIRST, changed=2, added=3, deleted=1))
    label_set = desk.label_set()
    retire(desk.lake, "street", "asked to", label_hashes=[next(iter(label_set.version().label_rows())).label_hash])

    assert copied == [True, True]
    assert is_as_in_buckets(desk)


def test_rows_that_share_an_image_are_put_together_anew(copied: list[bool]) -> None:
    """Their images are one record, which no row has alone: neither when it comes to be, nor when it stays."""
    rows = json.loads(FIRST)
    twin = json.loads(make.encode(rows[0])) | {"label_hash": "7c0ffee0-0000-4000-8000-000000000000"}
    for unit in twin["data_units"].values():
        for number, item in enumerate(unit["labels"]["objects"]):
            item["objectHash"] = f"twin{number:04}"
    twin["object_answers"] = {}
    with_twin = make.encode([*json.loads(exported_again(FIRST, days=1)), twin])
    desk = desk_with(FIRST, with_twin)

    assert copied == [False]
    assert is_as_in_buckets(desk)
    desk.bring("next.json", exported_again(with_twin, changed=1, days=2))
    assert copied == [False, False]
    assert is_as_in_buckets(desk)


def test_a_damaged_file_stops_no_version(copied: list[bool]) -> None:
    """The next version has a sound one again."""
    desk = desk_with(FIRST)
    ref = desk.label_set().version().root.files[coco.FILE]
    desk.lake.delete(ref.key)
    desk.lake.create(ref.key, b"{}")
    desk.bring("next.json", exported_again(FIRST, changed=1))

    assert copied == [False]
    assert is_as_in_buckets(desk)


def test_a_version_of_which_much_changed_is_put_together_anew(copied: list[bool]) -> None:
    """So that no more fragments are in memory at once."""
    desk = desk_with(FIRST, exported_again(FIRST, changed=20))

    assert copied == []
    assert is_as_in_buckets(desk)
