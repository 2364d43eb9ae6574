"""Masks as the platform writes them: runs of pixels row by row, zeros first, in COCO's compressed-counts alphabet."""

from collections.abc import Iterable, Iterator, Sequence

from encord_dagster.samples.document import Mask

Span = tuple[int, int, int]  # y, first x, last x + 1 in pixels


def mask(spans: Iterable[Span], *, width: int, height: int) -> Mask:
    """The mask of a frame of `width` x `height` pixels; spans in reading order, not overlapping."""
    return Mask(compressed(runs(spans, width=width, height=height)), 0, 0, width, height)


def runs(spans: Iterable[Span], *, width: int, height: int) -> list[int]:
    """Lengths of alternating runs of 0 and 1, zeros first; spans that touch across a line end become one run."""
    found: list[int] = []
    end = 0
    for y, left, right in spans:
        start = y * width + left
        if found and start == end:
            found[-1] += right - left
        else:
            found += [start - end, right - left]
        end = y * width + right
    if end < width * height:
        found.append(width * height - end)
    return found


def compressed(lengths: Sequence[int]) -> str:
    """Run lengths as text: from the fourth on each as difference to the one two before, in 5-bit groups."""
    return "".join(
        _number(length - lengths[index - 2] if index > 2 else length) for index, length in enumerate(lengths)
    )


def filled(ring: Sequence[tuple[float, float]], *, width: int, height: int) -> Iterator[Span]:
    """Spans of the pixels whose centre lies in the ring (points in pixels, even-odd rule), in reading order."""
    edges = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    top = max(0, int(min(y for _, y in ring)))
    bottom = min(height, int(max(y for _, y in ring)) + 1)
    for row in range(top, bottom):
        middle = row + 0.5
        cut = [edge for edge in edges if (edge[0][1] <= middle) != (edge[1][1] <= middle)]
        crossings = sorted(x0 + (middle - y0) * (x1 - x0) / (y1 - y0) for (x0, y0), (x1, y1) in cut)
        for enter, leave in zip(crossings[::2], crossings[1::2], strict=True):
            left, right = max(0, round(enter)), min(width, round(leave))
            if left < right:
                yield row, left, right


def _number(value: int) -> str:
    """A signed number in little-endian 5-bit groups; bit 5 says that more follow, bit 4 of the last is the sign."""
    text = ""
    while True:
        group = value & 31
        value >>= 5
        more = value != (-1 if group & 16 else 0)
        text += chr(48 + (group | 32 if more else group))
        if not more:
            return text
