"""Splits in which classes have their shares: what has a split keeps it, whatever comes; what is new evens out."""

import json
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encord_dagster import cli
from encord_dagster.errors import UsageError
from encord_dagster.formats.selection import Selection
from encord_dagster.formats.splits import split_of
from encord_dagster.formats.stratify import Group, stratified
from tests import factories
from tests.formats.test_splits import SHARES, images, listed
from tests.lakes import Desk
from tests.published import Json
from tests.written import checked_out, desk_of, document, report

CLASSES = {"CarClass": "Car", "VanClass": "Van", "TreeClas": "Tree"}

groups = st.dictionaries(
    st.text("abcdef0123456789", min_size=1, max_size=8),
    st.builds(Group, images=st.integers(1, 5), objects=st.dictionaries(st.integers(1, 6), st.integers(1, 9))),
    max_size=40,
)
shares = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
    lambda parts: {f"split-{place}": part / sum(parts) for place, part in enumerate(parts)}
)


def rarely(count: int, first: int = 0) -> list[Json]:
    """Rows of one image: all have a car, every fifth a van, every twentieth a tree, every seventh nothing."""
    rows = []
    for number in range(first, first + count):
        hashes = ["CarClass"] if number % 7 else []
        hashes += ["VanClass"] if number % 5 == 0 else []
        hashes += ["TreeClas"] if number % 20 == 0 else []
        boxes = [
            factories.box(0.1 * place, 0.1, 0.05, 0.05, f"o{number}-{one}", featureHash=one, name=CLASSES[one])
            for place, one in enumerate(hashes)
        ]
        unit = factories.unit(f"data-{number}", "image/jpeg", factories.labels(*boxes))
        rows.append(factories.row("image", [unit], label_hash=f"row-{number}"))
    return rows


def off(folder: Path) -> dict[str, dict[str, float]]:
    """How far each class is from its share in each split, counted from the COCO file and the lists of images."""
    coco = document(folder)
    split = {name: part for part, names in listed(folder).items() for name in names}
    where = {image["id"]: split[image["file_name"]] for image in coco["images"]}
    names = {one["id"]: one["name"] for one in coco["categories"]}
    found = Counter((names[one["category_id"]], where[one["image_id"]]) for one in coco["annotations"])
    totals = {name: sum(found[name, part] for part in SHARES) for name in names.values()}
    return {
        name: {part: round(found[name, part] / totals[name] - SHARES[part], 4) for part in SHARES} for name in totals
    }


@settings(max_examples=300)
@given(groups, groups, shares, st.text(max_size=3))
def test_more_data_moves_nothing_and_all_of_it_is_divided(
    old: dict[str, Group], new: dict[str, Group], shares: dict[str, float], seed: str
) -> None:
    """Also where old groups changed, or are gone."""
    before = stratified(old, shares, seed=seed, kept={})

    added = stratified(new, shares, seed=seed, kept=before)

    assert set(before) == set(old)
    assert set(added) == set(new) - set(old)  # what has a split is not asked about at all
    assert {*before.values(), *added.values()} <= set(shares)


@given(groups, shares, st.randoms())
def test_the_order_in_which_groups_are_read_does_not_matter(
    found: dict[str, Group], shares: dict[str, float], random: object
) -> None:
    """Buckets split as a label set grows."""
    names = list(found)
    random.shuffle(names)  # type: ignore[attr-defined]  # hypothesis's own Random

    shuffled = stratified({name: found[name] for name in names}, shares, kept={})

    assert shuffled == stratified(found, shares, kept={})


def random_groups(count: int, classes: int, seed: int) -> dict[str, Group]:
    """Images with a class in every second, others rarer and rarer down to one in 250, as they fall."""
    random = Random(seed)
    rates = [0.5 * (0.008 ** (rank / (classes - 1))) for rank in range(classes)]
    return {
        f"group-{number}": Group(1, {rank: 1 for rank, rate in enumerate(rates, 1) if random.random() < rate})
        for number in range(count)
    }


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_nearer_to_their_shares_than_by_hash(seed: int) -> None:
    """Two thousand images, twenty classes: no split is two objects of a class off; by hash one is more than seven."""
    found = random_groups(2000, 20, seed)
    by_hash = {name: split_of(name, SHARES) for name in found}

    made = stratified(found, SHARES, kept={})

    def furthest(splits: dict[str, str]) -> float:
        held = Counter((one, splits[name]) for name, group in found.items() for one in group.objects)
        totals = Counter(one for group in found.values() for one in group.objects)
        return max(abs(held[one, part] - SHARES[part] * totals[one]) for one in totals for part in SHARES)

    assert furthest(made) < 2
    assert furthest(by_hash) > 7
    assert all(abs(count - 2000 * SHARES[part]) <= 2 for part, count in Counter(made.values()).items())


def test_a_group_takes_some_hundred_bytes() -> None:
    """With what is kept about it while the splits are made."""
    tracemalloc.start()
    found = random_groups(5000, 20, 0)
    stratified(found, SHARES, kept={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak / 5000 < 700


def test_another_seed_divides_otherwise() -> None:
    """The hash decides between groups that are alike."""
    found = {f"group-{number}": Group(1, {1: 1}) for number in range(100)}

    one, other = (stratified(found, SHARES, seed=seed, kept={}) for seed in ("", "b"))

    assert one != other
    assert Counter(one.values()) == Counter(other.values()) == {"train": 80, "val": 10, "test": 10}


def test_ten_percent_more_data_moves_no_old_image(tmp_path: Path) -> None:
    """Through a lake and the files of the earlier checkout; classes stay near their shares, and the report says so."""
    desk = desk_of(*rarely(200))
    before = listed(checked_out(tmp_path / "one", desk, "coco", splits=SHARES, stratify=True))
    desk.bring("more.json", factories.encode(rarely(20, first=200)))
    chosen = Selection(splits=SHARES, stratify=True)

    desk.label_set().version().checkout(
        tmp_path / "two", formats=["coco"], selection=chosen, splits_from=tmp_path / "one"
    )

    after = listed(tmp_path / "two")
    said = report(tmp_path / "two")
    assert all(before[name] <= after[name] for name in SHARES)
    assert sum(map(len, after.values())) == 220
    assert {one["name"]: one["off"] for one in said["classes"]} == off(tmp_path / "two")
    assert all(abs(far) < 0.06 for one in said["classes"] for far in one["off"].values())
    assert {name: held["kept"] for name, held in said["splits"].items()} == {n: len(i) for n, i in before.items()}


def test_without_a_reference_old_images_may_move(tmp_path: Path) -> None:
    """Which is why there is one; hashes alone move nothing."""
    desk = desk_of(*rarely(100))
    before = listed(checked_out(tmp_path / "one", desk, "coco", splits=SHARES, stratify=True))
    desk.bring("more.json", factories.encode(rarely(40, first=100)))

    after = listed(checked_out(tmp_path / "two", desk, "coco", splits=SHARES, stratify=True))

    assert not all(before[name] <= after[name] for name in SHARES)


def again(desk: Desk, tmp_path: Path, **selection: object) -> Path:
    """A checkout that keeps the splits of the one in `one`."""
    chosen = Selection(**selection)  # type: ignore[arg-type]
    desk.label_set().version().checkout(
        tmp_path / "two", formats=["coco"], selection=chosen, splits_from=tmp_path / "one"
    )
    return tmp_path / "two"


def test_splits_by_hash_can_be_stratified_later(tmp_path: Path) -> None:
    """What they had stays."""
    desk = desk_of(*images(30))
    before = listed(checked_out(tmp_path / "one", desk, "coco", splits=SHARES))

    after = listed(again(desk, tmp_path, splits=SHARES, stratify=True))

    assert before == after


def test_other_shares_move_nothing_either(tmp_path: Path) -> None:
    """Also by hash alone, where they would."""
    desk = desk_of(*images(50))
    before = listed(checked_out(tmp_path / "one", desk, "coco", splits=SHARES))
    others = {"train": 0.4, "val": 0.3, "test": 0.3}
    moved = listed(checked_out(tmp_path / "moved", desk, "coco", splits=others))

    after = listed(again(desk, tmp_path, splits=others))

    assert moved != before
    assert after == before


def test_what_was_away_comes_back_to_its_split(tmp_path: Path) -> None:
    """A model may have learned it."""
    desk = desk_of(*rarely(40))
    before = listed(checked_out(tmp_path / "one", desk, "coco", splits=SHARES, stratify=True))
    few = again(desk, tmp_path, splits=SHARES, stratify=True, classes={"v": ["Van"]}, negatives="drop", **DROP)
    desk.label_set().version().checkout(
        tmp_path / "three",
        formats=["coco"],
        selection=Selection(splits=SHARES, stratify=True),
        splits_from=few,
    )

    assert sum(map(len, listed(few).values())) == 8
    assert listed(tmp_path / "three") == before


DROP = {"other_classes": "drop"}


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"splits": SHARES, "split_by": "label_hash"}, "has split_by 'data_hash', not 'label_hash'"),
        ({"splits": SHARES, "split_seed": "b"}, "has split_seed '', not 'b'"),
        ({"splits": {"train": 0.5, "val": 0.5}}, "has the split test, which is not chosen now"),
        ({}, "there are no splits now"),
    ],
)
def test_splits_that_cannot_be_kept_are_refused(chosen: Json, says: str, tmp_path: Path) -> None:
    """Before anything is written."""
    desk = desk_of(*images(40))
    checked_out(tmp_path / "one", desk, "coco", splits=SHARES)

    with pytest.raises(UsageError, match=says):
        again(desk, tmp_path, **chosen)

    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("splits/groups.jsonl", None, r"has no splits: splits/groups.jsonl is not there"),
        ("selection.json", None, "has no splits: selection.json is not there"),
        ("splits/groups.jsonl", "{", "cannot be read"),
        ("selection.json", "[]", "cannot be read"),
        ("splits/groups.jsonl", '{"group":"a","split":"val"}\n{"group":"a","split":"test"}', "'a' in two splits"),
    ],
)
def test_a_folder_that_is_no_checkout_with_splits_is_refused(
    name: str, text: str | None, says: str, tmp_path: Path
) -> None:
    """The error names the file."""
    desk = desk_of(*images(5))
    checked_out(tmp_path / "one", desk, "coco", splits=SHARES)
    (tmp_path / "one" / name).unlink()
    if text is not None:
        (tmp_path / "one" / name).write_text(text)

    with pytest.raises(UsageError, match=says):
        again(desk, tmp_path, splits=SHARES)


def test_stratify_needs_splits() -> None:
    """There would be nothing to even out."""
    with pytest.raises(UsageError, match="stratify: there are no splits"):
        Selection(stratify=True)


def test_the_command_line_keeps_splits(tmp_path: Path) -> None:
    """`checkout` and `convert`; old files lie in their old splits."""
    exports = [tmp_path / "exports" / f"{name}.json" for name in ("one", "two")]
    exports[0].parent.mkdir()
    exports[0].write_bytes(factories.encode(rarely(60)))
    exports[1].write_bytes(factories.encode(rarely(20, first=60)))
    chosen = ["--formats", "coco", "--splits", "train=0.8,val=0.1,test=0.1", "--stratify"]
    place = ["--lake", str(tmp_path / "lake"), "--name", "street"]
    one, two, three = (str(tmp_path / name) for name in ("first", "second", "third"))

    codes = [cli.main(["convert", str(exports[0]), "-q", "-o", one, *chosen])]
    codes.append(cli.main(["convert", *map(str, exports), "-q", "-o", two, *chosen, "--splits-from", one]))
    codes.append(cli.main(["ingest", *map(str, exports), "-q", *place]))
    codes.append(cli.main(["checkout", "latest", "-o", three, *place, *chosen, "--splits-from", one]))

    before, *after = (listed(Path(folder)) for folder in (one, two, three))
    assert codes == [0, 0, 0, 0]
    assert all(before[name] <= found[name] for found in after for name in SHARES)
    assert after[0] == after[1]
    groups = [json.loads(line) for line in (Path(two) / "splits" / "groups.jsonl").read_text().splitlines()]
    assert Counter(one["split"] for one in groups) == {name: len(found) for name, found in after[0].items()}
