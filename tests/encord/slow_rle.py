"""The run-length code of bitmasks a second time: slow, and straight from the format's own words.

Nothing here comes from the package, so that a mistake in one of the two shows in the other.
"""

import numpy as np
from numpy.typing import NDArray

MOST_GROUPS = 7  # of a number: the only limit that the format does not have; 7 groups hold 34 billion


class Refused(ValueError):
    """The code is not a mask of that size."""


def mask_of(code: str, width: int, height: int) -> NDArray[np.bool_]:
    """The mask that a code stands for, indexed [y, x]; Refused where it stands for none."""
    if width <= 0 or height <= 0:
        raise Refused("no pixels")
    runs = _runs(_numbers(code))
    if not runs or min(runs) < 0 or sum(runs) != width * height or len(runs) > width * height + 1:
        raise Refused("the runs are not those of a mask of this size")
    mask = np.zeros((height, width), dtype=np.bool_)
    pixel, value = 0, False
    for run in runs:
        for p in range(pixel, pixel + run):
            mask[p // width, p % width] = value
        pixel, value = pixel + run, not value
    return mask


def code_of(mask: NDArray[np.bool_]) -> str:
    """The canonical code of a mask."""
    runs, value = [0], False
    for pixel in mask.reshape(-1).tolist():
        if pixel is not value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    numbers = [run if place < 3 else run - runs[place - 2] for place, run in enumerate(runs)]
    return "".join(map(written, numbers))


def written(number: int) -> str:
    """One signed number in as few groups as hold it."""
    groups = 1
    while not -(32**groups) // 2 <= number < 32**groups // 2:
        groups += 1
    rest = number % 32**groups
    payloads = [rest // 32**place % 32 for place in range(groups)]
    return "".join(chr(48 + payload + (32 if place < groups - 1 else 0)) for place, payload in enumerate(payloads))


def _numbers(code: str) -> list[int]:
    numbers: list[int] = []
    payloads: list[int] = []
    for character in code:
        v = ord(character) - 48
        if not 0 <= v <= 63:
            raise Refused("not in the alphabet")
        payloads.append(v % 32)
        if len(payloads) > MOST_GROUPS:
            raise Refused("an endless number")
        if v >= 32:
            continue
        k = len(payloads)
        d = sum(payload * 32**j for j, payload in enumerate(payloads))
        numbers.append(d - 32**k if payloads[-1] >= 16 else d)
        payloads = []
    if payloads:
        raise Refused("the last number is unfinished")
    return numbers


def _runs(numbers: list[int]) -> list[int]:
    runs: list[int] = []
    for i, d in enumerate(numbers):
        runs.append(d if i < 3 else d + runs[i - 2])
    return runs
