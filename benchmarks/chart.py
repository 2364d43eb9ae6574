"""A chart as SVG text: bars by profile on a logarithmic axis, and lines of growth beside them. Plain Python."""

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

COLOURS = ("#b5543c", "#e0a458", "#2b6a99", "#8a8f98", "#c9ccd1")
BAR, GAP, HEIGHT, TOP, LEFT = 16, 22, 300, 70, 52
GROWTH_WIDTH = 300
Groups = Sequence[tuple[str, Sequence[tuple[str, float | None]]]]
Lines = Sequence[tuple[str, Sequence[tuple[int, float | None]]]]


def svg(title: str, groups: Groups, lines: Lines) -> str:
    """Bars for each group and, where there are some, lines over the number of images; values are CPU seconds."""
    names = [name for name, _ in groups[0][1]]
    values = [value for _, bars in groups for _, value in bars if value]
    values += [value for _, points in lines for _, value in points if value]
    axis = _Axis(min(values), max(values))
    bars_end = LEFT + len(groups) * (len(names) * BAR + GAP) + 10
    width = bars_end + (GROWTH_WIDTH + 60 if lines else 0) + 20
    height = TOP + HEIGHT + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(LEFT, 22, title, size=14),
        *_legend(names),
        *axis.grid(LEFT, bars_end),
        *_bars(groups, axis),
    ]
    if lines:
        start = bars_end + 60
        parts += [*axis.grid(start, start + GROWTH_WIDTH), *_growth(lines, axis, start)]
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Axis:
    """Seconds to heights, logarithmic, from one power of ten to another."""

    def __init__(self, lowest: float, highest: float) -> None:
        self.first = math.floor(math.log10(lowest))
        self.last = max(self.first + 1, math.ceil(math.log10(highest)))

    def y(self, value: float) -> float:
        """Where a value lies."""
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return TOP + HEIGHT * (1 - share)

    def grid(self, left: float, right: float) -> Iterator[str]:
        """A line and its number for each power of ten."""
        for power in range(self.first, self.last + 1):
            y = self.y(10**power)
            yield f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            yield _text(left - 6, y + 4, f"{10**power:g} s", anchor="end")


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = LEFT
    for name, colour in zip(names, COLOURS, strict=False):
        yield f'<rect x="{x}" y="36" width="11" height="11" fill="{colour}"/>'
        yield _text(x + 16, 46, name)
        x += 40 + 7 * len(name)


def _bars(groups: Groups, axis: _Axis) -> Iterator[str]:
    x: float = LEFT + GAP / 2
    for label, bars in groups:
        middle = x + len(bars) * BAR / 2
        yield _text(middle, TOP + HEIGHT + 18, label, anchor="middle")
        for (name, value), colour in zip(bars, COLOURS, strict=False):
            if value:
                y = axis.y(value)
                yield (
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{BAR - 2}" height="{TOP + HEIGHT - y:.1f}" fill="{colour}">'
                    f"<title>{escape(f'{label}, {name}: {value:.2f} s')}</title></rect>"
                )
                yield _text(
                    x + BAR / 2 - 1, y - 3, f"{value:.2g}" if value < 100 else f"{value:.0f}", anchor="middle", size=8
                )
            x += BAR
        x += GAP


def _growth(lines: Lines, axis: _Axis, left: float) -> Iterator[str]:
    images = sorted({number for _, points in lines for number, _ in points})
    lowest, highest = math.log(images[0]), math.log(images[-1])

    def across(number: int) -> float:
        share = (math.log(number) - lowest) / ((highest - lowest) or 1)
        return left + 20 + (GROWTH_WIDTH - 40) * share

    for number in images:
        yield _text(across(number), TOP + HEIGHT + 18, f"{number:,}", anchor="middle")
    yield _text(left + GROWTH_WIDTH / 2, TOP + HEIGHT + 36, "images of boxes", anchor="middle")
    for (_, points), colour in zip(lines, COLOURS, strict=False):
        places = [(across(number), axis.y(value)) for number, value in points if value]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
