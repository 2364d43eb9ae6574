"""Splits: decided by the group's name alone, so they stay as data is added; near the shares that were asked for."""

from pathlib import Path

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.formats.splits import checked, parsed, split_of
from tests import factories
from tests.written import checked_out, desk_of, report

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def images(count: int) -> list[factories.Json]:
    """Rows of one image each."""
    return [
        factories.row(
            "image",
            [factories.unit(f"data-{number}", "image/jpeg", factories.labels(factories.box()))],
            label_hash=f"row-{number}",
        )
        for number in range(count)
    ]


def listed(folder: Path) -> dict[str, set[str]]:
    """The names of images in each split."""
    return {path.stem: set(path.read_text().splitlines()) for path in (folder / "splits").glob("*.txt")}


def test_ten_percent_more_data_moves_no_old_image(tmp_path: Path) -> None:
    """Every image of the first version lies in the second one's split of the same name."""
    desk = desk_of(*images(100))
    before = listed(checked_out(tmp_path / "one", desk, "yolo_detect", splits=SHARES))
    desk.bring("more.json", factories.encode(images(110)[100:]))

    after = listed(checked_out(tmp_path / "two", desk, "yolo_detect", splits=SHARES))

    assert sum(map(len, before.values())) == 100
    assert sum(map(len, after.values())) == 110
    assert all(before[name] <= after[name] for name in SHARES)
    counts = {name: held["images"] for name, held in report(tmp_path / "two")["splits"].items()}
    assert counts == {name: len(names) for name, names in after.items()}


def test_shares_are_those_asked_for_on_average() -> None:
    """Within two percent of ten thousand."""
    found = [split_of(f"group {number}", SHARES) for number in range(10_000)]

    for name, share in SHARES.items():
        assert abs(found.count(name) / 10_000 - share) < 0.02


def test_another_seed_divides_otherwise_and_the_same_one_does_not() -> None:
    """The seed is part of what is hashed."""
    groups = [f"group {number}" for number in range(1000)]

    first, again, other = ([split_of(group, SHARES, seed) for group in groups] for seed in ("", "", "b"))

    assert first == again
    assert first != other


def test_frames_of_a_video_stay_together(tmp_path: Path) -> None:
    """Whatever its share, a video lies in one split."""
    rows = [
        factories.changed(
            factories.video_row({frame: [factories.box()] for frame in range(5)}, label_hash=f"row-{number}"),
            f"video-{number}",
            *("data_units", "video-0", "data_hash"),
        )
        for number in range(12)
    ]

    found = listed(checked_out(tmp_path, desk_of(*rows), "mot", splits={"a": 0.5, "b": 0.5}))

    videos = [{name.split("/")[1] for name in names} for names in found.values()]
    assert not videos[0] & videos[1]
    assert [len(names) % 5 for names in found.values()] == [0, 0]
    assert all(videos)


def test_images_of_a_group_stay_together_by_label_hash(tmp_path: Path) -> None:
    """By data hash they are images of their own."""
    desk = desk_of(factories.group_row(*[[factories.box()]] * 20))

    found = listed(checked_out(tmp_path, desk, "coco", splits={"a": 0.5, "b": 0.5}, split_by="label_hash"))

    assert sorted(map(len, found.values())) == [0, 20]


def test_a_field_that_is_not_published_splits_nothing(tmp_path: Path) -> None:
    """Titles are left out unless they are asked for, and the error says so."""
    with pytest.raises(UsageError, match="none published"):
        checked_out(tmp_path / "out", desk_of(*images(1)), "coco", splits=SHARES, split_by="title")


@pytest.mark.parametrize("text", ["train", "train=a", "train=0.5,train=0.5", "=1", "train=0.5=0.5"])
def test_what_is_no_list_of_shares_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(UsageError):
        checked(parsed(text))


@pytest.mark.parametrize("shares", [{"train": 0.8}, {"train": 1.2}, {"a": 0.5, "b": 0.6}, {"a/b": 1.0}, {"a": 0.0}])
def test_shares_that_make_no_whole_are_refused(shares: dict[str, float]) -> None:
    """As are names that could not be files."""
    with pytest.raises(UsageError):
        checked(shares)


def test_shares_can_be_read_from_the_command_line() -> None:
    """In the order given."""
    assert list(parsed("train=0.8, val=0.1,test=0.1").items()) == list(SHARES.items())
