"""Times read together are those that are read alone."""

import random

import pytest

from encord_dagster.encord.plain_heads import time, times
from encord_dagster.encord.plain_keys import Odd
from tests.effort import examples

USUAL = ["Fri, 01 Mar 2024 09:00:00 UTC", "Tue, 05 Dec 2023 23:59:59 GMT", "2024-03-01 09:00:00", "2024-03-01T00:00:59"]
ODD = [
    "",
    "yesterday",
    "Fri, 01 Mar 2024 24:00:00 UTC",
    "Fri, 01 Mar 2024T09:00:00 UTC",
    "Fri, 01 Mar 2024 09:00:00\nUTC",
    "2024-03-01 9:00:00",
    "2024-03-01X23:59:59",
    "2024-13-01 09:00:00",
    "2024-03-01 09:00:0\n",
    "2024-03-01 09:00:00Z",
    "2024-03-01T09:00:00.5",
    "2024-03-01 \u0660\u0669:00:00",
]


def _alone(texts: list[str]) -> list[str] | None:
    try:
        return [time(text) for text in texts]
    except Odd:
        return None


def _together(texts: list[str]) -> list[str] | None:
    try:
        return times(texts)
    except Odd:
        return None


@pytest.mark.parametrize("kinds", [USUAL, USUAL[:2], USUAL[2:]])
def test_times(kinds: list[str]) -> None:
    """In one way of writing or several, with or without one that is odd."""
    rng = random.Random(len(kinds))
    for _ in range(examples(50)):
        texts = [rng.choice(kinds) for _ in range(rng.randrange(1, 5))]
        assert _together(texts) == _alone(texts) is not None
        for odd in ODD:
            texts[rng.randrange(len(texts))] = odd
            assert _together(texts) == _alone(texts)
