"""What the fuzzer calls holds over its own seeds, and notices a broken promise."""

import json
from collections.abc import Iterator

import pytest

from encord_dagster.encord.bitmask import decode_runs
from tests import factories as make
from tests.hostile import targets

WIDTH, HEIGHT = 6, 6
CODE = bytes(ord(one) - 48 for one in "02220N:0F20N")


class Scripted:
    """A chooser that gives what it was told, then the lowest."""

    def __init__(self, numbers: list[int], data: bytes = b"") -> None:
        self._numbers: Iterator[int] = iter(numbers)
        self._data = data

    def ConsumeIntInRange(self, low: int, high: int, /) -> int:  # noqa: N802 - the fuzzer's name
        return min(high, max(low, next(self._numbers, low)))

    def ConsumeUnicode(self, count: int, /) -> str:  # noqa: N802 - the fuzzer's name
        return "\ud800"[:count]

    def ConsumeBytes(self, count: int, /) -> bytes:  # noqa: N802 - the fuzzer's name
        return self._data[:count]

    def ConsumeFloat(self) -> float:  # noqa: N802 - the fuzzer's name
        return float("nan")


def test_the_seeds_hold() -> None:
    """A search that starts from broken inputs finds nothing else."""
    for seed in targets.seeds("bytes"):
        targets.read_export(seed)
    targets.read_runs(Scripted([WIDTH, HEIGHT], CODE))
    for change in range(len(targets.CHANGES)):
        targets.read_tree(Scripted([change % 8, 3, 10, change, 40, 20, change, 5, 30, change, 7]))


def test_a_decoder_that_takes_too_few_pixels_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leak that the check of the sum is there for."""

    def careless(text: str, width: int, height: int) -> tuple[int, ...]:
        return decode_runs(text, width, height)[:-2]

    monkeypatch.setattr(targets, "decode_runs", careless)

    with pytest.raises(targets.Broken, match="decoders disagree"):
        targets.read_runs(Scripted([WIDTH, HEIGHT], CODE))


def test_an_address_that_leaves_the_reader_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would in the name of a class, if names were not cleaned."""
    data = json.dumps([make.image_row(make.box(name=f"see {targets.ADDRESS}"))]).encode()
    targets.read_export(data)
    monkeypatch.setattr("encord_dagster.encord.notes._redact", lambda value: value)

    with pytest.raises(targets.Broken, match="an address left"):
        targets.read_export(data)


def test_a_lost_object_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a row of two objects reports one of them on no list."""
    data = json.dumps([make.image_row(make.box(), make.point())]).encode()
    monkeypatch.setattr("encord_dagster.encord.instances._instance", lambda *_: None)

    with pytest.raises(targets.Broken, match="unaccounted"):
        targets.read_export(data)
