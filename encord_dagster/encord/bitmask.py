"""Encord's run-length code of a bitmask: COCO's alphabet over row-major pixels, zeros first."""

from collections.abc import Iterator

from encord_dagster.geometry import LARGEST_MASK

_LONGEST_NUMBER = 7  # groups of 5 bits: 35 bits, more than the largest mask needs


class RunsError(ValueError):
    """A run-length code that cannot be a mask of the stated size; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode_runs(text: str, width: int, height: int) -> tuple[int, ...]:
    """The row-major runs of a mask, zeros first; their sum is exactly width x height. RunsError otherwise."""
    pixels = width * height
    if width <= 0 or height <= 0:
        raise RunsError(f"a mask cannot be {width}x{height}")
    if pixels > LARGEST_MASK:
        raise RunsError(f"a mask of {width}x{height} is larger than {LARGEST_MASK} pixels")
    if not text:
        raise RunsError("the run-length code is empty")
    if len(text) > _LONGEST_NUMBER * (pixels + 1):
        raise RunsError(f"the run-length code is longer than any mask of {width}x{height} needs")
    runs: list[int] = []
    total = 0
    for difference in _numbers(text):
        run = difference if len(runs) < 3 else difference + runs[-2]
        total += run
        if len(runs) > pixels:
            raise RunsError(f"there are more runs than the {pixels} pixels of {width}x{height} can have")
        if run < 0:
            raise RunsError(f"run {len(runs)} is negative")
        if total > pixels:
            raise RunsError(f"the runs reach beyond the {pixels} pixels of {width}x{height}")
        runs.append(run)
    if total != pixels:
        raise RunsError(f"the runs cover {total} of the {pixels} pixels of {width}x{height}")
    return tuple(runs)


def paste_runs(runs: tuple[int, ...], *, width: int, at: tuple[int, int], frame: tuple[int, int]) -> tuple[int, ...]:
    """The runs of a mask of `width` pasted with its top-left pixel `at` (x, y) into an empty `frame` (w, h)."""
    (left, top), (frame_width, frame_height) = at, frame
    pasted: list[int] = []
    end = 0
    for start, stop in _segments(runs, width):
        first = (top + start // width) * frame_width + left + start % width
        last = first + stop - start
        if pasted and first == end:
            pasted[-1] += last - first
        else:
            pasted += [first - end, last - first]
        end = last
    rest = frame_width * frame_height - end
    return (*pasted, rest) if rest else tuple(pasted)


def _segments(runs: tuple[int, ...], width: int) -> Iterator[tuple[int, int]]:
    """The set pixels as half-open intervals that do not cross a row's end."""
    position = 0
    for index, run in enumerate(runs):
        stop = position + run
        while index % 2 and position < stop:
            row_end = min(stop, position - position % width + width)
            yield position, row_end
            position = row_end
        position = stop


def _numbers(text: str) -> Iterator[int]:
    """The signed numbers of a code: little-endian groups of 5 bits, bit 5 says that more follow."""
    value = groups = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise RunsError("the run-length code holds a character outside its alphabet")
        value |= (code & 31) << (5 * groups)
        groups += 1
        if groups > _LONGEST_NUMBER:
            raise RunsError("the run-length code holds a number larger than any mask")
        if code & 32:
            continue
        yield value - (1 << (5 * groups)) if code & 16 else value
        value = groups = 0
    if groups:
        raise RunsError("the run-length code ends inside a number")
